"""Records into the reports topic, one by one, each answered with the place that the brokers gave it.

Decides the partition (murmur2 of the key, as Kafka's own clients have it: rule S7) and which trouble may pass. `NotSent` may:
nobody is there, no answer came in time, the topic is not made yet; then the client is made anew at the next try. `NotTaken`
does not: a login, a certificate, a right; of one station alone it is `NotTakenOfStation`. `RefusedForGood` is about the one
statement, by whoever looks at it before the brokers. Refuses to know what is sent. A transport of another kind is a class with
the same two methods (`Transport`).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import Any, Protocol

from tally_stream.domain.scalars import murmur2_partition
from tally_stream.kafka.client import KafkaError, connection, producer_partitions, sender, short, try_broker
from tally_stream.kafka.refused import Refusal
from tally_stream.kafka.rights import NotAllowed, is_missing_right, rights_said, spoken
from tally_stream.settings import Settings
from tally_stream.station.receipts import StationReceipt

ANSWER_SECONDS = 45.0
"""For an acknowledgement; behind it nobody knows whether the record stands, and it is sent again."""
CLOCK_MAX_MS = 300_000
"""As Q7's skew, unless an election sets another."""
LOG_APPEND_TIME = 1
"""Kafka's number for a record's time that is the broker's."""
NO_CLOCK_BELOW_MS = 946_684_800_000
"""The year 2000: the embedded broker, which has no clock, says 1234."""
SECOND_TRY_SECONDS = 2.0
"""A broker that just starts may not have read all its users yet."""


class NotSent(Exception):
    """No broker has acknowledged the record, which may stand on the topic all the same: `args[0]` is the sentence.
    `retry_seconds`: how long was asked for until the next try, None where nobody said."""

    def __init__(self, sentence: str, retry_seconds: float | None = None) -> None:
        super().__init__(sentence)
        self.retry_seconds = retry_seconds


class NotTaken(Exception):
    """Nothing is taken from us there, and no waiting cures that: `args[0]` is the sentence."""


class NotTakenOfStation(NotTaken):
    """As NotTaken, of what this station states: others' statements are taken."""


class RefusedForGood(Exception):
    """This statement is not taken as it is, whenever it is sent: `args[0]` is the sentence, `receipt` what became of it. Those
    behind it may be taken."""

    def __init__(self, sentence: str, receipt: StationReceipt) -> None:
        super().__init__(sentence)
        self.receipt = receipt


class Transport(Protocol):
    async def send(self, key: bytes, value: bytes) -> tuple[int, int]:
        """The record's partition and offset, once all in-sync replicas have it. Many may be under way; those of one partition
        that were sent one after the other stand in this order. Raises NotSent, NotTaken or RefusedForGood."""
        ...

    async def close(self) -> None: ...


class KafkaTransport:
    """To the reports topic of `settings`. `say` is told what is wrong with brokers that are not needed now."""

    def __init__(self, settings: Settings, say: Callable[[str], None]) -> None:
        self.topic = f"{settings.prefix}.reports"
        self._settings = settings
        self._say = say
        self._is_clock_told = False
        self._opening: asyncio.Task[tuple[AsyncExitStack, Any, int]] | None = None
        self._open: tuple[AsyncExitStack, Any, int] | None = None

    async def send(self, key: bytes, value: bytes) -> tuple[int, int]:
        opened = await self._opened()
        _, producer, partitions = opened
        try:
            with rights_said(self._settings, "Write"):
                answer = await producer.send(self.topic, value, key=key, partition=murmur2_partition(key, partitions))
                answer.add_done_callback(_looked_at)
                done, _ = await asyncio.wait({answer}, timeout=ANSWER_SECONDS)
                if not done:
                    raise NotSent(f"{self.topic}: no broker has acknowledged within {ANSWER_SECONDS:.0f} s")
                landed = answer.result()
        except NotAllowed as error:
            await self._drop(opened)
            raise NotTaken(str(error)) from error
        except (KafkaError, OSError, TimeoutError) as error:
            await self._drop(opened)
            raise NotSent(f"{self.topic}: not acknowledged ({short(error)})") from error
        except NotSent:
            await self._drop(opened)
            raise
        self._tell_of_the_clock(landed)
        return landed.partition, landed.offset

    def _tell_of_the_clock(self, landed: Any) -> None:
        """Once. Where the brokers give records their time, nobody else tells a laptop that its clock is wrong: what it counted
        is then judged by theirs (Q7)."""
        if self._is_clock_told or landed.timestamp_type != LOG_APPEND_TIME or landed.timestamp < NO_CLOCK_BELOW_MS:
            return
        told = clock_difference(landed.timestamp, int(time.time() * 1000))
        if told is not None:
            self._is_clock_told = True
            self._say(told)

    async def close(self) -> None:
        if self._opening is not None:
            self._opening.cancel()
            await asyncio.gather(self._opening, return_exceptions=True)
        if self._open is not None:
            await self._drop(self._open)

    async def _opened(self) -> tuple[AsyncExitStack, Any, int]:
        """One try to open for all who ask meanwhile: of 500 each would ask the brokers anew."""
        if self._open is not None:
            return self._open
        if self._opening is None:
            self._opening = asyncio.create_task(self._opened_anew())
        opening = self._opening
        try:
            await asyncio.wait({opening})
        finally:
            if opening.done() and self._opening is opening:
                self._opening = None
                if not opening.cancelled() and opening.exception() is None:
                    self._open = opening.result()
        return opening.result()

    async def _opened_anew(self) -> tuple[AsyncExitStack, Any, int]:
        refusal = await self._refusal()
        if refusal is not None:
            raise NotSent(refusal.sentence)
        stack = AsyncExitStack()
        try:
            producer = await stack.enter_async_context(sender(self._settings))
            with rights_said(self._settings, "Write"):
                partitions = await producer_partitions(producer, self.topic)
        except BaseException as error:
            await stack.aclose()
            if isinstance(error, KafkaError | OSError | TimeoutError):
                if is_missing_right(error):
                    raise NotTaken(spoken(str(error), self._settings, "Write")) from error
                raise NotSent(short(error)) from error
            raise
        return stack, producer, partitions

    async def _refusal(self) -> Refusal | None:
        """What keeps us out and may pass; raises NotTaken for what does not, seen twice."""
        try:
            connection(self._settings)
        except OSError as error:  # a file of the settings is gone
            raise NotTaken(str(error)) from error
        refusal = await try_broker(self._settings, self._say)
        if refusal is not None and refusal.is_final:
            await asyncio.sleep(SECOND_TRY_SECONDS)
            refusal = await try_broker(self._settings, self._say)
            if refusal is not None and refusal.is_final:
                raise NotTaken(refusal.sentence)
        return refusal

    async def _drop(self, opened: tuple[AsyncExitStack, Any, int]) -> None:
        """The next record gets a client of its own; whoever is still waiting for this one's answer is told by it."""
        if self._open is opened:
            self._open = None
            await opened[0].aclose()


def _looked_at(answer: asyncio.Future[Any]) -> None:
    """Where nobody waits any more, asyncio would write the trace of an answer that came too late."""
    if not answer.cancelled():
        answer.exception()


def clock_difference(broker_ms: int, own_ms: int) -> str | None:
    """A sentence where two clocks differ by more than CLOCK_MAX_MS."""
    off = own_ms - broker_ms
    if abs(off) <= CLOCK_MAX_MS:
        return None
    minutes = abs(off) // 60_000
    days, hours = divmod(minutes // 60, 24)
    much = f"{days} d {hours} h" if days else f"{hours} h {minutes % 60:02d} min"
    where = "ahead of" if off > 0 else "behind"
    return f"this machine's clock is {much} {where} the brokers': set it; times counted by it are warned of (Q7)"
