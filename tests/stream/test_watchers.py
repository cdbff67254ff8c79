"""The watchers of a worker: one that fails ends it, so that nothing hangs unwatched; one that is told to stop does not."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tally_stream.kafka.client import StoredRecord
from tally_stream.settings import load_settings
from tally_stream.stream import watches
from tally_stream.stream import worker as worker_module
from tally_stream.stream.merging import Merging
from tally_stream.stream.starting import Start, WorkerOptions, WorkerRefused
from tally_stream.stream.watches import ProgressWatch, check_marks, follow_standings
from tally_stream.stream.worker import Worker
from tests.stream.outlets import ELECTION, TOPICS, HeldOutlet, flushed, report, settle, stored
from tests.support.small_elections import election

DEADLINE_SECONDS = 5.0


async def reasons_of(monkeypatch: pytest.MonkeyPatch, *, stops_by_itself: bool) -> list[str]:
    """Run a worker without a broker until its first fatal reason, or until it is told to stop."""
    reasons: list[str] = []
    ended = asyncio.Event()

    def on_fatal(reason: str) -> None:
        reasons.append(reason)
        ended.set()

    async def run_worker(_: Any, stop: asyncio.Event) -> None:
        await asyncio.sleep(0)  # the watchers begin
        await stop.wait()

    monkeypatch.setattr(worker_module, "run_worker", run_worker)
    settings = load_settings(bootstrap="127.0.0.1:1", metrics_port=0)
    worker = Worker(settings, election(), Start(1, {}, []), WorkerOptions(), on_fatal=on_fatal)
    if stops_by_itself:
        ended.set()
    async with asyncio.timeout(DEADLINE_SECONDS):
        await worker.run(ended, lambda line: None, lambda: None)
        await asyncio.sleep(0)  # for callbacks of the watchers that were cancelled
    return reasons


@pytest.mark.parametrize(
    ("watched", "method", "name"),
    [(ProgressWatch, "run", "progress"), (Worker, "_catch_up_then_watch_partitions", "partition count")],
)
async def test_a_watcher_that_fails_ends_the_worker_and_is_named(
    monkeypatch: pytest.MonkeyPatch, watched: type, method: str, name: str
) -> None:
    async def fail(self: Any, *_: Any) -> None:
        raise KeyError("planted")

    monkeypatch.setattr(watched, method, fail)
    (reason,) = await reasons_of(monkeypatch, stops_by_itself=False)
    assert reason.startswith(f"the watch over the {name} ended: KeyError('planted') (tests/stream/test_watchers.py:")


async def test_watchers_that_end_with_their_worker_are_no_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    assert await reasons_of(monkeypatch, stops_by_itself=True) == []


async def test_a_metrics_port_that_is_taken_is_refused_in_one_line_with_the_setting_that_changes_it() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        settings = load_settings(bootstrap="127.0.0.1:1", metrics_port=port)
        worker = Worker(settings, election(), Start(1, {}, []), WorkerOptions(), on_fatal=lambda reason: None)
        with pytest.raises(WorkerRefused) as refused:
            await worker.run(asyncio.Event(), lambda line: None, lambda: None)
    assert refused.value.errors == [
        f"metrics can't be served at 127.0.0.1:{port}: Address already in use; another port: --metrics-port or TALLY_METRICS_PORT"
    ]


@pytest.mark.parametrize(("end", "is_lost"), [(2, False), (1, True)])
async def test_an_owner_of_stage_2_whose_partials_stand_on_lost_records_ends(
    monkeypatch: pytest.MonkeyPatch, end: int, is_lost: bool
) -> None:
    """Of every partition, also one that another worker counts; and not before all that stood on the topics was read."""

    class Reader:
        def __init__(self, *_: Any) -> None: ...

        async def __aenter__(self) -> Reader:
            return self

        async def __aexit__(self, *_: object) -> None: ...

        async def bounds(self) -> dict[int, tuple[int, int]]:
            assert merging.is_caught_up
            return {0: (0, 9), 1: (0, end)}

    monkeypatch.setattr(watches, "TopicReader", Reader)
    monkeypatch.setattr(watches, "FOLLOW_SECONDS", 0)
    outlet = HeldOutlet(TOPICS.standings)
    merging = Merging(ELECTION, TOPICS, 2, outlet, on_fatal=lambda _: None)
    told = [*flushed(partition=0, partition_count=2), *flushed(report(0), report(1, 2), partition=1, partition_count=2)]
    merging.begin_ownership(0, len(told), waits_for_log=True)
    reasons: list[str] = []
    checking = asyncio.create_task(check_marks(load_settings(bootstrap="127.0.0.1:1"), TOPICS, merging, reasons.append))
    await settle()
    merging.take(stored(*told))
    await merging.see([], is_end=True)
    await asyncio.wait_for(checking, DEADLINE_SECONDS)
    lost = "the report log lost records: partition 1, from 1, to 1 (the partials stand on them)"
    assert reasons == ([lost] if is_lost else [])
    await settle()
    assert bool(outlet.of(TOPICS.standings)) is not is_lost, "what stands on lost reports is not published"
    merging.end_ownership()


async def test_a_message_that_can_not_be_sent_again_is_no_fault_of_reading(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who follows the standings sends ours again where an older one lies on top: where that fails, writing is what to look at."""
    outlet, other_outlet = HeldOutlet(TOPICS.standings), HeldOutlet(TOPICS.standings)
    merging, other = (Merging(ELECTION, TOPICS, 1, one, on_fatal=lambda _: None) for one in (outlet, other_outlet))
    other.begin_ownership(0, 0)
    other.take(stored(*flushed(report(0))))
    await other.see([], is_end=True)
    await settle()
    other.end_ownership()
    older = dict(other_outlet.of(TOPICS.standings))[b"PRES|X"]

    class Reader:
        def __init__(self, *_: Any) -> None: ...

        async def __aenter__(self) -> Reader:
            return self

        async def __aexit__(self, *_: object) -> None: ...

        async def read_to_end(self) -> AsyncIterator[list[StoredRecord]]:
            yield []

        async def poll(self) -> list[StoredRecord]:
            await settle()
            outlet.answers.clear()
            return [StoredRecord(0, 150, 0, b"PRES|X", older)]

    monkeypatch.setattr(watches, "TopicReader", Reader)
    reasons: list[str] = []
    merging.begin_ownership(0, 0)
    merging.take(stored(*flushed(report(0), report(1, 2))))
    settings = load_settings(bootstrap="127.0.0.1:1")
    following = asyncio.create_task(follow_standings(settings, TOPICS.standings, merging, reasons.append))
    await settle()
    await settle()
    outlet.refuse(TOPICS.standings)
    await asyncio.wait_for(following, DEADLINE_SECONDS)
    assert reasons == ["publishing standings failed: planted"]
    merging.end_ownership()
