"""What a spool's statements make known of their stations, for whoever judges the next one.

Decides that what was refused at the count is no part of it, but for its revision. Read `checking.py` next.
"""

from __future__ import annotations

from collections.abc import Sequence

from tally_stream.domain.election import Election
from tally_stream.station.checking import KnownStatements
from tally_stream.station.known_keys import KnownKeys
from tally_stream.station.spool import Spooled

REFUSED_STATES = frozenset({"rejected", "stale", "conflicting"})
"""Receipts of what took no effect: it is no part of what a station is known to have stated."""


def known_of(election: Election, statements: Sequence[Spooled], keys: KnownKeys | None = None) -> KnownStatements:
    """What is known of stations by a spool: all that was kept, but what took no effect. `keys`: who may sign."""
    known = KnownStatements(election, keys, remembers_all=True)
    for spooled in statements:
        if spooled.receipt_state in REFUSED_STATES:
            known.take_refused(spooled.value, spooled.key)
        else:
            known.take(spooled.value, spooled.key, spooled.kept_ms)
    return known
