"""A log's records with their signatures verified ahead, where the election's statements are signed.

A replay verifies every signature again, and so does `verify`: what was counted is what a key signed. Several threads do it,
as in a worker.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

from tally_stream.domain.fold import PartitionFold
from tally_stream.wire.report_log import LogRecord
from tally_stream.wire.signing import NOTHING_AHEAD, Ahead
from tally_stream.wire.verifying import VERIFIED_TOGETHER, VerifyingThreads, by_ring


def verified(folds: Sequence[PartitionFold], records: Iterable[LogRecord]) -> Iterator[tuple[LogRecord, Ahead]]:
    """The records, each with what was found ahead of it. `folds` are those that take them, by partition."""
    if folds[0].election.signatures is None:
        yield from ((record, NOTHING_AHEAD) for record in records)
        return
    left = iter(records)
    with VerifyingThreads() as threads:
        while few := list(islice(left, VERIFIED_TOGETHER)):
            ahead = threads.ahead(by_ring(folds, few))
            yield from ((record, ahead) for record in few)
