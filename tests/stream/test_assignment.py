"""What a worker checks when partitions are assigned to it, without a broker."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from tally_stream.settings import load_settings
from tally_stream.stream.invariant import BrokenInvariant
from tally_stream.stream.runs import LogBounds, TopicPartition
from tally_stream.stream.starting import Start, WorkerOptions
from tally_stream.stream.worker import Worker
from tests.stream.outlets import flushed, report, stored
from tests.support.small_elections import election

DEADLINE_SECONDS = 5.0
REPORTS: TopicPartition = ("tally.reports", 0)


@pytest.fixture
async def worker() -> AsyncIterator[Worker]:
    settings = load_settings(bootstrap="127.0.0.1:1", metrics_port=0)
    worker = Worker(settings, election(), Start(1, {}, []), WorkerOptions(), on_fatal=lambda reason: None)
    yield worker
    worker.counting.stop()


async def test_what_is_published_while_the_log_bounds_are_asked_for_is_no_loss(
    worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The answer is from before: the log may have grown since, and another worker may have published that."""

    async def log_bounds() -> dict[TopicPartition, LogBounds]:
        worker.merging.published_offsets[0] = 132  # the follower of standings reads on meanwhile
        return {REPORTS: LogBounds(0, 127)}

    monkeypatch.setattr(worker.transport, "log_bounds", log_bounds)
    await worker.partitions_assigned({REPORTS}, {REPORTS: 120})
    assert worker.counting.partitions.keys() == {0}


async def test_a_flush_that_meets_a_stop_s_closed_producer_is_no_failure(
    worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker.transport, "is_membership_lost", lambda: False)
    assert worker.app.kafka_producer is None
    worker.counting.assign({0: 0}, {0: 0})
    publisher = worker.counting.partitions[0].publisher
    assert publisher is not None
    await asyncio.wait({publisher}, timeout=DEADLINE_SECONDS)
    assert publisher.cancelled()
    assert worker.transport.failure is None


@pytest.mark.parametrize(
    ("bounds", "committed", "published", "lost"),
    [
        (LogBounds(0, 127), 120, 132, "partition 0, from 127, to 131 (the published standings stand on them)"),
        (LogBounds(0, 119), 120, 0, "partition 0, from 119, to 119 (the group's commits stand on them)"),
        (LogBounds(7, 127), 120, 0, "partition 0, from 0, to 6 (the log must begin at offset 0)"),
    ],
)
async def test_a_shorter_log_is_a_loss(
    worker: Worker, monkeypatch: pytest.MonkeyPatch, bounds: LogBounds, committed: int, published: int, lost: str
) -> None:
    async def log_bounds() -> dict[TopicPartition, LogBounds]:
        return {REPORTS: bounds}

    worker.merging.published_offsets[0] = published
    monkeypatch.setattr(worker.transport, "log_bounds", log_bounds)
    with pytest.raises(BrokenInvariant) as found:
        await worker.partitions_assigned({REPORTS}, {REPORTS: committed})
    assert lost in str(found.value)
    assert not worker.counting.partitions


async def test_a_log_that_ends_below_a_mark_is_a_loss(worker: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing was published of it yet, and nothing committed: the partials alone knew."""

    async def log_bounds() -> dict[TopicPartition, LogBounds]:
        return {REPORTS: LogBounds(0, 1)}

    worker.merging.begin_ownership(0, 0)
    told = flushed(report(0), report(1, 2), of=worker.election)
    worker.merging.take(stored(*told))
    monkeypatch.setattr(worker.transport, "log_bounds", log_bounds)
    with pytest.raises(BrokenInvariant, match=r"partition 0, from 1, to 1 \(the partials stand on them\)"):
        await worker.partitions_assigned({REPORTS}, {REPORTS: None})
    worker.merging.end_ownership()


async def test_a_partition_that_was_added_is_not_taken(worker: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    """It would count stations that another partition has."""
    added: TopicPartition = ("tally.reports", 1)

    async def log_bounds() -> dict[TopicPartition, LogBounds]:
        return {REPORTS: LogBounds(0, 9), added: LogBounds(0, 0)}

    monkeypatch.setattr(worker.transport, "log_bounds", log_bounds)
    with pytest.raises(BrokenInvariant, match=r"tally\.reports has partition 1, it had 1 partitions"):
        await worker.partitions_assigned({REPORTS, added}, {REPORTS: None, added: None})
    assert not worker.counting.partitions
