"""What leaves through a worker's producer, and what stage 1 makes of the answers; the broker answers when the test says so."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.producer.message_accumulator import BatchBuilder

from tally_stream.stream import counting as counting_module
from tally_stream.stream.invariant import BrokenInvariant
from tally_stream.stream.outlet import Gathering, KafkaOutlet
from tests.stream.outlets import (
    HELD,
    TOPICS,
    HeldOutlet,
    OnePartition,
    falling,
    release,
    report,
    settle,
    unknown,
)

DEADLINE_SECONDS = 5.0
BATCH_BYTES = 200


class Producer:
    """aiokafka's, as far as an outlet uses it; the batches are its own."""

    def __init__(self) -> None:
        self.sent: list[BatchBuilder] = []
        self.answers: list[asyncio.Future[Any]] = []

    def _answer(self) -> asyncio.Future[Any]:
        self.answers.append(asyncio.get_running_loop().create_future())
        return self.answers[-1]

    def create_batch(self) -> BatchBuilder:
        return BatchBuilder(BATCH_BYTES, 0)

    async def send(self, topic: str, value: bytes, *, key: bytes, partition: int) -> asyncio.Future[Any]:
        return self._answer()

    async def send_batch(self, batch: BatchBuilder, topic: str, *, partition: int) -> asyncio.Future[Any]:
        assert batch.closed(), "others' records may join it"
        self.sent.append(batch)
        return self._answer()


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    """Between two flushes: how long it lasts is measured, and no clock decides here."""
    monkeypatch.setattr(counting_module, "ENCODE_SHARE_MAX", 0)


@pytest.fixture
async def producer() -> Producer:
    return Producer()


def an_outlet(producer: Producer | None, *, is_membership_lost: bool = False) -> KafkaOutlet:
    return KafkaOutlet(lambda: producer, lambda: is_membership_lost)


class TestKafkaOutlet:
    """The way out of a running worker."""

    async def test_it_says_how_many_records_fit_the_batch(self, producer: Producer) -> None:
        records = [(b"0/%d" % n, bytes(50)) for n in range(5)]
        count, _ = await an_outlet(producer).send_batch("t.changes", records, 0)
        assert 1 < count < len(records)
        assert producer.sent[0].record_count() == count

    async def test_a_record_larger_than_a_batch_leaves_alone(self, producer: Producer) -> None:
        count, _ = await an_outlet(producer).send_batch("t.changes", [(b"0/0", bytes(BATCH_BYTES)), (b"0/1", b"")], 0)
        assert count == 1

    @pytest.mark.parametrize("is_batch", [False, True])
    async def test_an_answer_is_an_offset_an_error_or_a_cancellation(self, producer: Producer, is_batch: bool) -> None:
        outlet = an_outlet(producer)

        async def send() -> asyncio.Future[int]:
            if is_batch:
                return (await outlet.send_batch("t.changes", [(b"k", b"v")], 0))[1]
            return await outlet.send("t.changes", b"k", b"v", 0)

        good, bad, cut = [await send() for _ in range(3)]
        await settle()
        assert not good.done(), "acknowledged by nobody"
        producer.answers[0].set_result(SimpleNamespace(offset=7))
        producer.answers[1].set_exception(OSError("planted"))
        producer.answers[2].cancel()
        await settle()
        assert good.result() == 7
        with pytest.raises(OSError, match="planted"):
            bad.result()
        assert cut.cancelled()

    @pytest.mark.parametrize("is_batch", [False, True])
    async def test_a_worker_that_may_have_lost_its_partitions_sends_nothing(self, producer: Producer, is_batch: bool) -> None:
        outlet = an_outlet(producer, is_membership_lost=True)
        with pytest.raises(BrokenInvariant, match="older than the session"):
            await (outlet.send_batch("t.changes", [(b"k", b"v")], 0) if is_batch else outlet.send("t.changes", b"k", b"v", 0))
        assert not producer.answers

    async def test_a_stop_that_took_the_producer_ends_who_still_sends(self) -> None:
        with pytest.raises(asyncio.CancelledError):
            await an_outlet(None).send("t.changes", b"k", b"v", 0)


class GatedOutlet(HeldOutlet):
    """Its buffers are full: a batch is taken when the test opens the gate."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = asyncio.Event()
        self.waiting = 0

    async def send_batch(
        self, topic: str, records: Iterable[tuple[bytes, bytes]], partition: int
    ) -> tuple[int, asyncio.Future[int]]:
        self.waiting += 1
        await self.gate.wait()
        return await super().send_batch(topic, records, partition)


class Stage(OnePartition):
    """Of which nothing was committed before."""

    def __init__(self, outlet: HeldOutlet) -> None:
        super().__init__(outlet)
        self.counting.assign({0: 0}, {0: 1})


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    stage = Stage(HeldOutlet())
    yield stage
    stage.counting.stop()


async def test_outputs_of_several_batches_leave_once_each_and_in_order(stage: Stage) -> None:
    await stage.take(report(0), *(unknown(n) for n in range(1, 6)))
    assert stage.outlet.batch_records == 2
    assert stage.keys(TOPICS.rejections) == [b"0/1", b"0/2", b"0/3", b"0/4", b"0/5"]


async def test_one_sender_at_a_time_empties_an_outbox() -> None:
    """A run and a flush may want to at once: the buffers are full, and the publisher wakes meanwhile."""
    outlet = GatedOutlet()
    stage = Stage(outlet)
    taking = asyncio.create_task(stage.take(report(0), *(unknown(n) for n in range(1, 4))))
    await settle()
    assert outlet.waiting == 1, "two have the same records in hand"
    outlet.gate.set()
    async with asyncio.timeout(DEADLINE_SECONDS):
        await taking
    await settle()
    assert stage.keys(TOPICS.rejections) == [b"0/1", b"0/2", b"0/3"]
    stage.counting.stop()


async def test_a_sender_that_is_cancelled_loses_no_output() -> None:
    """What it had in hand was not handed over; whoever sends next does it."""
    outlet = GatedOutlet()
    stage = Stage(outlet)
    taking = asyncio.create_task(stage.take(report(0), unknown(1)))
    await settle()
    taking.cancel()
    outlet.gate.set()
    await settle()
    assert taking.cancelled()
    assert stage.keys(TOPICS.rejections) == [b"0/1"]
    stage.counting.stop()


@pytest.mark.parametrize("topic", [TOPICS.rejections, TOPICS.changes])
async def test_an_output_that_failed_is_not_acknowledged_and_ends_the_worker(stage: Stage, topic: str) -> None:
    event = await stage.take(report(0), falling(1, 2) if topic == TOPICS.changes else unknown(1))
    stage.outlet.refuse(topic)
    await settle()
    assert not stage.outlet.of(TOPICS.partials), "a page whose reason nobody has"
    assert not event.is_acked
    assert stage.fatal == ["publishing partition 0 failed: planted"]


async def test_a_page_that_failed_is_not_acknowledged_and_ends_the_worker(stage: Stage) -> None:
    stage.outlet.batch_records = 1
    event = await stage.take(report(0))
    await stage.outlet.wait_marks(1)
    page = next(future for _, key, _, future in stage.outlet.sent if key == b"PRES|0|0")
    page.set_exception(OSError("planted"))
    stage.outlet.answer(TOPICS.partials)  # the mark is acknowledged
    await settle()
    assert not event.is_acked
    assert stage.fatal == ["publishing partition 0 failed: planted"]


async def test_a_mark_that_failed_is_not_acknowledged_and_ends_the_worker(stage: Stage) -> None:
    stage.outlet.batch_records = 1
    event = await stage.take(report(0))
    await stage.outlet.wait_marks(1)
    stage.outlet.sent[-1][3].set_exception(OSError("planted"))  # the page is acknowledged
    stage.outlet.answer(TOPICS.partials)
    await settle()
    assert not event.is_acked
    assert stage.fatal == ["publishing partition 0 failed: planted"]


async def test_a_flush_waits_for_the_changes_that_it_sends_itself(stage: Stage) -> None:
    """Those that waited behind a hold leave with the first flush after the release, not with a run."""
    await stage.take(*HELD)
    await stage.outlet.wait_marks(1)
    stage.outlet.answer(TOPICS.partials)
    await settle()
    event = await stage.take(release(5))
    await settle()
    assert stage.keys(TOPICS.changes) == [b"0/2", b"0/3", b"0/4"]
    assert len(stage.outlet.marks()) == 1, "a fall before its reason was acknowledged"
    stage.outlet.answer(TOPICS.changes)
    await stage.outlet.wait_marks(2)
    assert not event.is_acked


class TestGathering:
    """Pages of partitions that flush together leave in the same batches."""

    async def test_what_waits_leaves_with_the_next_batch_and_each_sender_knows_its_own_offsets(self) -> None:
        outlet = GatedOutlet()
        outlet.batch_records = 9
        gathering = Gathering(outlet, TOPICS.partials)
        senders = [asyncio.create_task(gathering.send([(b"%d" % n, b""), (b"%d" % n, b"")])) for n in range(3)]
        await settle()
        outlet.gate.set()
        senders.append(asyncio.create_task(gathering.send([(b"3", b"")])))
        await settle()
        assert [key for key, _ in outlet.of(TOPICS.partials)] == [b"0", b"0", b"1", b"1", b"2", b"2", b"3"]
        outlet.sent[0][3].set_result(10)
        await settle()
        assert [sender.done() for sender in senders] == [True, True, True, False], "the fourth's are not acknowledged"
        outlet.sent[6][3].set_result(99)
        assert await asyncio.gather(*senders) == [[10, 11], [12, 13], [14, 15], [99]]

    async def test_a_batch_that_failed_or_was_not_taken_fails_its_senders_and_no_others(self) -> None:
        outlet = HeldOutlet()
        gathering = Gathering(outlet, TOPICS.partials)
        first = asyncio.create_task(gathering.send([(b"0", b"")]))
        await settle()
        second = asyncio.create_task(gathering.send([(b"1", b"")]))
        await settle()
        outlet.sent[0][3].set_exception(OSError("planted"))
        outlet.sent[1][3].set_result(5)
        with pytest.raises(OSError, match="planted"):
            await first
        assert await second == [5]

        lost = Gathering(an_outlet(Producer(), is_membership_lost=True), TOPICS.partials)
        with pytest.raises(BrokenInvariant, match="older than the session"):
            await lost.send([(b"0", b"")])
        with pytest.raises(asyncio.CancelledError):
            await Gathering(an_outlet(None), TOPICS.partials).send([(b"0", b"")])

    async def test_a_sender_that_is_gone_leaves_the_others(self) -> None:
        outlet = HeldOutlet()
        gathering = Gathering(outlet, TOPICS.partials)
        gone, stays = [asyncio.create_task(gathering.send([(b"%d" % n, b"")])) for n in range(2)]
        await settle()
        gone.cancel()
        await settle()
        outlet.answer(TOPICS.partials, 3)
        assert await stays == [4]
