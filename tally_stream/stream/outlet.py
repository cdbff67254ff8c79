"""Where records leave a worker: the one way out of both stages, and who may still use it.

Decides that a worker which may have lost its partitions to another sends nothing more, and what "sent" means: handed to the
producer now, acknowledged by the broker when the returned future is done. Refuses to know what the records say and in which
order they have to leave; the stages (`counting.py`, `merging.py`) decide that.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Any, Protocol

from tally_stream.stream.invariant import BrokenInvariant


class Outlet(Protocol):
    """Where records leave. `send` hands a record over (waiting while buffers are full) and returns a future that is
    done when the broker acknowledged it, with its offset, or failed. It raises where this worker is out of its group: a
    worker whose last answered heartbeat is older than the session sends nothing more."""

    async def send(self, topic: str, key: bytes, value: bytes, partition: int) -> asyncio.Future[int]: ...

    async def send_batch(
        self, topic: str, records: Iterable[tuple[bytes, bytes]], partition: int
    ) -> tuple[int, asyncio.Future[int]]:
        """As `send` for the first of these (key, value) pairs that fit one batch: how many, and the first one's offset."""
        ...


class KafkaOutlet:
    """The `Outlet` of a running worker. `find_producer` gives aiokafka's producer, None once a stop took it away;
    `is_membership_lost` says whether another worker may own our partitions by now."""

    def __init__(self, find_producer: Callable[[], Any], is_membership_lost: Callable[[], bool]) -> None:
        self._find_producer = find_producer
        self._is_membership_lost = is_membership_lost

    async def send(self, topic: str, key: bytes, value: bytes, partition: int) -> asyncio.Future[int]:
        return _offset_of(await self._producer().send(topic, value, key=key, partition=partition))

    async def send_batch(
        self, topic: str, records: Iterable[tuple[bytes, bytes]], partition: int
    ) -> tuple[int, asyncio.Future[int]]:
        producer = self._producer()
        batch = producer.create_batch()
        for key, value in records:
            if batch.append(timestamp=None, key=key, value=value) is None:
                break
        batch.close()  # nothing may join it: it leaves at once
        return batch.record_count(), _offset_of(await producer.send_batch(batch, topic, partition=partition))

    def _producer(self) -> Any:
        """Raises BrokenInvariant where another worker may own our partitions by now. Only a stop takes the producer away:
        whoever still sends then ends with it (what was not sent is not committed either), and that is no failure."""
        if self._is_membership_lost():
            raise BrokenInvariant("the last answered heartbeat is older than the session: nothing more is sent")
        producer = self._find_producer()
        if producer is None:
            raise asyncio.CancelledError
        return producer


def _offset_of(delivery: asyncio.Future[Any]) -> asyncio.Future[int]:
    """The offset alone of what the producer will say of a record, or of a batch's first."""
    answer: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    def settle(done: asyncio.Future[Any]) -> None:
        if answer.done():
            return
        if done.cancelled():
            answer.cancel()
        elif (error := done.exception()) is not None:
            answer.set_exception(error)
        else:
            answer.set_result(done.result().offset)

    delivery.add_done_callback(settle)
    return answer
