"""One partition of the reports that this worker owns: what it has counted, what it owes for that, and what it has sent.

Decides nothing; `counting.py` does. What is lost if the process dies: nothing; all of it comes from the log again.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict, deque
from dataclasses import dataclass, field
from typing import Any

import msgspec

from tally_stream.domain.fold import PartitionFold
from tally_stream.domain.pages import Mark


class Pending(msgspec.Struct, gc=False):
    """An output that waits: `offset` of the report it belongs to. It holds nothing that could point back at it, so no
    collector looks at it."""

    offset: int
    key: bytes
    value: bytes


class HeldBack:
    """A contest's changes that wait behind its hold, in the order of their offsets."""

    __slots__ = ("changes", "size_bytes")

    def __init__(self) -> None:
        self.changes: deque[Pending] = deque()
        self.size_bytes = 0

    def add(self, change: Pending) -> None:
        self.changes.append(change)
        self.size_bytes += len(change.value)

    def take_below(self, offset: int) -> list[Pending]:
        taken = []
        while self.changes and self.changes[0].offset < offset:
            taken.append(self.changes.popleft())
            self.size_bytes -= len(taken[-1].value)
        return taken


@dataclass(slots=True)
class CountedPartition:
    """One owned partition. Below `committed`, the group's offset when the ownership began, nothing is flushed. Below
    `outputs_from` no rejections and changes are sent: it is the same offset, or 0 to send all of them again. At `log_end`,
    where the log ended when the ownership began, the partition counts as caught up."""

    fold: PartitionFold
    committed: int
    log_end: int
    outputs_from: int
    held_back: defaultdict[int, HeldBack] = field(default_factory=lambda: defaultdict(HeldBack))
    """Contest → changes made while it was on hold, not yet sent."""
    outboxes: defaultdict[str, deque[Pending]] = field(default_factory=lambda: defaultdict(deque))
    """Topic → rejections or changes not yet handed to the producer. They are put here in the same step that moves the fold:
    every output below the fold's offset is here, in `unacknowledged`, or acknowledged."""
    unacknowledged: list[asyncio.Future[int]] = field(default_factory=list)
    """Of rejections and changes that were handed to the producer; the next flush waits for them."""
    sending: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Whoever empties the outboxes has it: the taking of a run and a flush do, and may overlap."""
    events: deque[tuple[int, Any]] = field(default_factory=deque)
    """(last offset, event) of runs in the fold that are not acked yet."""
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    hurry: asyncio.Event = field(default_factory=asyncio.Event)
    """Set while a drain waits: then a flush does not wait for the next interval."""
    flushed_offset: int = -1
    flushed_at: float = 0.0
    mark: Mark | None = None
    """Of the last flush."""
    mark_sent_at: float = 0.0
    sent_pages: dict[tuple[int, int], float] = field(default_factory=dict)
    """(contest, page) → when it was last sent, the one that waits longest first."""
    looked_at: float = 0.0
    """When it was last looked for what is to be sent again."""
    pages_due: float = 0.0
    bytes_due: float = 0.0
    """So many pages may be sent again now, and so many bytes of them; below 0 where the last were more."""
    encode_seconds: float = 0.0
    publisher: asyncio.Task[None] | None = None

    @property
    def is_replaying(self) -> bool:
        return self.fold.next_offset < self.committed

    @property
    def is_caught_up(self) -> bool:
        return self.fold.next_offset >= self.log_end
