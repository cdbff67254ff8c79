"""What a spool's statements make known of their stations, for whoever judges the next one.

Decides that what was refused at the count is no part of it, but for its revision. Read `checking.py` next.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from tally_stream.domain.election import Election
from tally_stream.station.checking import KnownStatements
from tally_stream.station.known_keys import KnownKeys
from tally_stream.station.receipts import REFUSED_STATES
from tally_stream.station.spool import Spooled

if TYPE_CHECKING:  # the Kafka client is loaded late, so that --check is quick
    from tally_stream.kafka.client import StoredRecord


def known_of(
    election: Election, statements: Sequence[Spooled], keys: KnownKeys | None = None, stated: Iterable[StoredRecord] = ()
) -> KnownStatements:
    """What is known of stations by a spool: all that was kept, but what took no effect. `keys`: who may sign; `stated`: what
    the record has of them (`record_read.py`), which comes first."""
    known = KnownStatements(election, keys, remembers_all=True)
    for record in stated:
        known.take(record.value, record.key, record.timestamp_ms)
    for spooled in statements:
        if spooled.receipt_state in REFUSED_STATES:
            known.take_refused(spooled.value, spooled.key)
        else:
            known.take(spooled.value, spooled.key, spooled.kept_ms)
    return known
