"""A transport into lists, with the faults a network has: nobody there, an acknowledgement that is lost, a wrong login."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from tally_stream.domain.scalars import murmur2_partition
from tally_stream.station.transport import NotSent

PARTITIONS = 3


class TopicOfLists:
    """`answer` is asked before each record is taken and after; what it raises is what the sender sees."""

    def __init__(self) -> None:
        self.stored: dict[int, list[tuple[bytes, bytes]]] = {p: [] for p in range(PARTITIONS)}
        self.before: Callable[[int], Exception | None] = lambda count: None
        self.after: Callable[[int], Exception | None] = lambda count: None
        self.tries = 0
        self.is_closed = False

    async def send(self, key: bytes, value: bytes) -> tuple[int, int]:
        self.tries += 1
        count = self.tries
        await asyncio.sleep(0)
        if (wrong := self.before(count)) is not None:
            raise wrong
        partition = murmur2_partition(key, PARTITIONS)
        self.stored[partition].append((key, value))
        if (wrong := self.after(count)) is not None:
            raise wrong
        return partition, len(self.stored[partition]) - 1

    async def close(self) -> None:
        self.is_closed = True

    @property
    def values(self) -> list[bytes]:
        return [value for records in self.stored.values() for _, value in records]


def absent(count: int) -> Exception | None:
    return NotSent("nobody is there")
