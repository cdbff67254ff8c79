"""What a worker looks at before it starts, and when it says that it is ready; no broker is asked."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tally_stream.kafka.client import StoredRecord
from tally_stream.kafka.topics import TopicReport
from tally_stream.settings import Settings, load_settings
from tally_stream.stream import starting, watches
from tally_stream.stream.counting import Counting
from tally_stream.stream.merging import Merging
from tally_stream.stream.starting import Start, WorkerOptions, WorkerRefused, look_at_topics
from tally_stream.stream.timings import Timings
from tally_stream.stream.watches import watch_partition_count
from tally_stream.stream.worker_state import WorkerState
from tests.stream.outlets import ELECTION, TOPICS, Event, HeldOutlet, flushed, report, run_of, settle, stored

DEADLINE_SECONDS = 5.0
RISK = "t.reports: replication is 1, it should be 3 or more"
REFUSAL = "t.reports: retention.ms is 5, it must be -1: records are kept for ever"
Bounds = dict[int, tuple[int, int]]


class Topics:
    """What the topics hold and how they are set, in the place of a cluster."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.report = TopicReport(1, True, [], [])
        self.bounds: Bounds = {0: (0, 9)}
        self.standings: list[StoredRecord] = []
        self.opened: list[str] = []
        topics = self

        class Reader:
            def __init__(self, settings: Settings, topic: str) -> None:
                topics.opened.append(topic)
                self.partitions = list(topics.bounds)

            async def __aenter__(self) -> Reader:
                return self

            async def __aexit__(self, *_: object) -> None: ...

            async def read_to_end(self) -> AsyncIterator[list[StoredRecord]]:
                yield topics.standings

            async def bounds(self) -> Bounds:
                return topics.bounds

        async def check_topics(settings: Settings, *, is_official: bool) -> TopicReport:
            return self.report

        monkeypatch.setattr(starting, "TopicReader", Reader)
        monkeypatch.setattr(starting, "check_topics", check_topics)

    async def start(self, *, rehearsal: bool = False, checks_topics: bool = True) -> Start:
        settings = load_settings(prefix="t", bootstrap="127.0.0.1:1", rehearsal=rehearsal)
        return await look_at_topics(settings, ELECTION, WorkerOptions(checks_topics=checks_topics))

    async def refusals(self, **how: Any) -> list[str]:
        with pytest.raises(WorkerRefused) as refused:
            await self.start(**how)
        return refused.value.errors


@pytest.fixture
def topics(monkeypatch: pytest.MonkeyPatch) -> Topics:
    return Topics(monkeypatch)


async def published(next_offset: int) -> list[StoredRecord]:
    """The standings that a worker publishes of one partition with so many records."""
    outlet = HeldOutlet(TOPICS.standings)
    merging = Merging(ELECTION, TOPICS, 1, outlet, on_fatal=lambda _: None)
    merging.begin_ownership(0, 0)
    merging.take(stored(*flushed(*(report(offset) for offset in range(next_offset)))))
    await merging.see([], is_end=True)
    await settle()
    merging.end_ownership()
    return [StoredRecord(0, i, 0, key, value) for i, (key, value) in enumerate(outlet.of(TOPICS.standings))]


async def test_all_that_is_there_is_a_start(topics: Topics) -> None:
    assert await topics.start() == Start(1, {}, [])
    topics.standings = await published(9)
    assert await topics.start() == Start(1, {0: 9}, [])


async def test_a_durability_risk_refuses_unless_it_is_a_rehearsal_that_shows_it(topics: Topics) -> None:
    topics.report = TopicReport(1, True, [], [RISK])
    assert await topics.refusals() == [RISK]
    assert (await topics.start(rehearsal=True)).risks == [RISK]


async def test_a_counting_setting_refuses_a_rehearsal_too_and_all_reasons_come_at_once(topics: Topics) -> None:
    topics.report = TopicReport(1, True, [REFUSAL], [RISK])
    topics.bounds = {0: (1, 9)}
    lost = "the report log lost records: partition 0, from 0, to 0 (the log must begin at offset 0)"
    assert await topics.refusals() == [REFUSAL, RISK, lost]
    assert await topics.refusals(rehearsal=True) == [REFUSAL, lost]


async def test_a_topic_that_is_missing_is_not_asked_for(topics: Topics) -> None:
    """A broker may be set to make what it is asked for."""
    topics.report = TopicReport(0, False, ["t.changes: there is no such topic"], [])
    assert await topics.refusals() == ["t.changes: there is no such topic"]
    assert topics.opened == []


@pytest.mark.parametrize(
    ("bounds", "lost"),
    [
        ((1, 9), "partition 0, from 0, to 0 (the log must begin at offset 0)"),
        ((0, 8), "partition 0, from 8, to 8 (the published standings stand on them)"),
    ],
)
async def test_a_log_that_lost_one_record_at_either_end_is_refused(topics: Topics, bounds: tuple[int, int], lost: str) -> None:
    topics.standings = await published(9)
    topics.bounds = {0: bounds}
    assert await topics.refusals() == [f"the report log lost records: {lost}"]
    assert await topics.refusals(checks_topics=False) == [f"the report log lost records: {lost}"]


async def test_a_partition_that_was_added_since_standings_were_published_is_refused(topics: Topics) -> None:
    topics.standings = await published(1)
    topics.report = TopicReport(2, True, [], [])
    topics.bounds = {0: (0, 9), 1: (0, 0)}
    assert await topics.refusals() == ["t.standings, offset 0: standings over 1 partitions, t.reports has 2"]
    assert await topics.refusals(checks_topics=False) == ["t.standings, offset 0: standings over 1 partitions, t.reports has 2"]


async def test_a_partition_that_is_added_while_it_runs_ends_the_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    """Brokers that do not answer end nothing; the same count does not either."""
    monkeypatch.setattr(watches, "PARTITION_COUNT_LOOK_SECONDS", 0)
    answers: list[int | Exception] = [3, OSError("no broker"), 3, 4]
    fatal: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def count() -> int:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    watching = asyncio.create_task(watch_partition_count(count, "t.reports", 3, fatal.set_result))
    async with asyncio.timeout(DEADLINE_SECONDS):
        assert await fatal == "t.reports now has 4 partitions, it had 3"
    watching.cancel()
    assert answers == []


async def test_it_is_ready_once_its_first_flush_is_acknowledged() -> None:
    """Read to the end is not enough: until then the standings may lack what it has counted."""
    outlet = HeldOutlet()
    counting = Counting(ELECTION, TOPICS, 1, outlet, publish_interval_seconds=0.0, on_fatal=lambda _: None)
    merging = Merging(ELECTION, TOPICS, 1, outlet, on_fatal=lambda _: None)
    transport: Any = None  # no sample is asked for
    state = WorkerState(ELECTION, counting, merging, transport, Timings(), [])

    def is_ready() -> bool:
        return bool(state.readiness()["ready"])

    assert not is_ready(), "it has not joined"
    state.has_joined = True
    counting.assign({0: 0}, {0: 1})
    assert not is_ready(), "it has not read"
    assert state.readiness()["partitions"] == {"0": {"next_offset": 0, "remaining": 1}}
    await counting.take(run_of(report(0)), Event())
    await outlet.wait_marks(1)
    assert not is_ready(), "nobody has its pages yet"
    outlet.answer(TOPICS.partials)
    await settle()
    assert is_ready()
    merging.begin_ownership(0, 1)
    assert not is_ready(), "it owns the standings, and has not read what they are made of"
    counting.stop()
    merging.end_ownership()
