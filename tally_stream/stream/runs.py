"""What a run is: the records of one partition that one fetch returned, as one event; and what may be relied on.

Faust costs 40-90 us for each message. Records therefore reach a stage by runs, so that this cost is paid once for
thousands of them. What a caller may rely on:

- Runs of a partition arrive in offset order, each record once between two seeks. After each seek the
  first run says so (`after_seek`). A jump in offsets is passed on, never hidden: records carry their offsets.
- The committed offset never passes a run that was not acknowledged, in whatever order runs are.
- Nothing is read from a place nobody chose: a partition whose records are gone is a fatal reason.
- Every surprise ends in `on_fatal(reason)`; after that nothing is committed and nothing delivered.

It refuses to know what the records mean and who delivers them. The caller says where to read next (`PositionSource`) and
acknowledges a run when all that came of it was accepted by the broker. Read next: `counting.py` (what is done with a
run), `faust/consumer.py` (how these promises are kept).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

TopicPartition = tuple[str, int]
"""A topic's name and the number of one of its partitions."""


@dataclass(slots=True)
class Receipt:
    """Whether a delivered run was acknowledged. Apart from the run: waiting for the commit must not
    keep thousands of records in memory."""

    last_offset: int
    is_acked: bool = False


@dataclass(slots=True)
class RecordRun:
    """The value of one Faust event: consecutive records of one partition, as one fetch returned them.

    `records` are those of `kafka/batches.py`, never empty, with `.offset`, `.timestamp` (ms), `.key` and
    `.value` (bytes or None). Their offsets rise by one. A jump, also from one run to the next, means that
    offsets are missing (compaction or loss): judge it, it is not judged here.
    """

    partition: int
    records: list[Any]
    after_seek: bool
    receipt: Receipt = field(default_factory=lambda: Receipt(-1), repr=False, compare=False)


class LogBounds(NamedTuple):
    """What a partition holds: the offset of its first record, and the one its next record will get."""

    log_start: int
    log_end: int


class PositionSource(Protocol):
    """Where reading goes on: the caller's folds know, the group's committed offsets do not."""

    def next_offset(self, topic: str, partition: int) -> int | None:
        """The offset to read next; None when nothing is held here (see `make_transport`)."""
        ...

    async def partitions_assigned(self, assigned: set[TopicPartition], committed: dict[TopicPartition, int | None]) -> None:
        """All run partitions this worker has now, before any run of them is delivered.

        Called at least once in each rebalance, often twice, and with nothing when nothing is left:
        what is not named is gone. None in `committed`: nothing was committed yet. Part of
        SEEK_LIMIT_SECONDS; reading the log itself is for the runs that follow.
        """
        ...

    async def partitions_revoked(self, revoked: set[TopicPartition]) -> None:
        """Flush, so that the runs in hand can be acknowledged: DRAIN_SECONDS for it, then a commit.

        A rebalance names every partition here, kept or not (and so does a stop): forget nothing yet.
        """
        ...
