"""Where records leave a worker: the one way out of both stages, and who may still use it.

Decides that a worker which may have lost its partitions to another sends nothing more, and what "sent" means: handed to the
producer now, acknowledged by the broker when the returned future is done. Refuses to know what the records say and in which
order they have to leave; the stages (`counting.py`, `merging.py`) decide that.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from itertools import islice
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


class Gathering:
    """Records of several senders to partition 0 of one topic. What is handed over while a batch waits for its turn leaves with
    the next one: partitions that flush together share a request."""

    def __init__(self, outlet: Outlet, topic: str) -> None:
        self._outlet = outlet
        self._topic = topic
        self._waiting: list[tuple[list[tuple[bytes, bytes]], asyncio.Future[list[int]]]] = []
        self._sender: asyncio.Task[None] | None = None
        self._acknowledging: set[asyncio.Task[None]] = set()

    async def send(self, records: list[tuple[bytes, bytes]]) -> list[int]:
        """Send them in this order; their offsets once all are acknowledged, below 0 where the broker does not tell it."""
        answer: asyncio.Future[list[int]] = asyncio.get_running_loop().create_future()
        self._waiting.append((records, answer))
        if self._sender is None or self._sender.done():
            self._sender = asyncio.create_task(self._send(), name=f"sending to {self._topic}")
        return await answer

    async def _send(self) -> None:
        while self._waiting:
            taken, self._waiting = self._waiting, []
            try:
                sent = await hand_over(self._outlet, self._topic, [record for records, _ in taken for record in records])
            except (Exception, asyncio.CancelledError) as error:
                _refuse([answer for _, answer in taken], error)
                continue
            task = asyncio.create_task(self._acknowledge(taken, sent), name=f"acknowledgements of {self._topic}")
            self._acknowledging.add(task)
            task.add_done_callback(self._acknowledging.discard)

    async def _acknowledge(
        self,
        taken: list[tuple[list[tuple[bytes, bytes]], asyncio.Future[list[int]]]],
        sent: list[tuple[int, asyncio.Future[int]]],
    ) -> None:
        try:
            offsets = await offsets_of(sent)
        except (Exception, asyncio.CancelledError) as error:
            _refuse([answer for _, answer in taken], error)
            return
        begin = 0
        for records, answer in taken:
            if not answer.done():
                answer.set_result(offsets[begin : begin + len(records)])
            begin += len(records)


def _refuse(answers: list[asyncio.Future[list[int]]], error: BaseException) -> None:
    for waiting in answers:
        if waiting.done():
            continue
        if isinstance(error, asyncio.CancelledError):
            waiting.cancel()
        else:
            waiting.set_exception(error)


async def hand_over(outlet: Outlet, topic: str, records: list[tuple[bytes, bytes]]) -> list[tuple[int, asyncio.Future[int]]]:
    """Hand records to partition 0 in this order, in as few batches as they fit: how many each took, and its answer."""
    sent: list[tuple[int, asyncio.Future[int]]] = []
    begin = 0
    while begin < len(records):
        count, answer = await outlet.send_batch(topic, islice(records, begin, None), 0)
        sent.append((count, answer))
        begin += count
    return sent


async def offsets_of(sent: list[tuple[int, asyncio.Future[int]]]) -> list[int]:
    """The offset of each record once all are acknowledged, below 0 where the broker does not tell it."""
    firsts = await asyncio.gather(*(answer for _, answer in sent))
    return [first if first < 0 else first + i for (count, _), first in zip(sent, firsts, strict=True) for i in range(count)]


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
