"""What a worker's metrics say: of each partition and contest, of latencies, and how few series there are whatever comes."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tally_stream.domain.election import Election
from tally_stream.domain.pages import Mark
from tally_stream.domain.rules import RULES, VERDICTS
from tally_stream.metrics import (
    BUCKETS_SECONDS,
    CONTESTS_TOLD_MAX,
    MEASURED_SECONDS_MAX,
    METRICS,
    PROCESS_METRICS,
    Histogram,
    registry_of,
    render,
)
from tally_stream.stream.counting import Counting
from tally_stream.stream.merging import Merging
from tally_stream.stream.timings import Timings
from tally_stream.stream.worker_state import STATES, WorkerState
from tests.stream.outlets import (
    ELECTION,
    TOPICS,
    Event,
    Flushing,
    HeldOutlet,
    Record,
    flushed,
    hold,
    release,
    report,
    run_of,
    settle,
    stored,
)
from tests.support.report_messages import LOG_MS, control, counts
from tests.support.small_elections import contest, station
from tests.support.small_elections import election as small_election

Series = dict[tuple[str, ...], float]


class State:
    """A worker's parts without a broker; `read` scrapes it."""

    def __init__(self, of: Election = ELECTION, partition_count: int = 1) -> None:
        self.outlet, self.timings = HeldOutlet(*TOPICS.all), Timings()
        self.outlet.batch_records = 500
        self.counting = Counting(
            of,
            TOPICS,
            partition_count,
            self.outlet,
            publish_interval_seconds=0.0,
            on_fatal=lambda _: None,
            timings=self.timings,
        )
        self.merging = Merging(of, TOPICS, partition_count, self.outlet, on_fatal=lambda _: None, timings=self.timings)
        transport: Any = SimpleNamespace(
            known_end=lambda topic, p: 9, committed=lambda topic, p: 2, commit_age=lambda topic, p: 1.5,
            heartbeat_age=lambda: 0.5, joined_count=lambda: 3,
        )  # fmt: skip
        self.state = WorkerState(of, self.counting, self.merging, transport, self.timings, ["a risk"])
        self.state.has_joined = True
        self._registry = registry_of(self.state.samples)

    async def own(self) -> None:
        self.merging.begin_ownership(0, 0)
        await self.merging.see([], is_end=True)

    def read(self) -> Series:
        """(name, *label values) → value."""
        families = text_string_to_metric_families(render(self._registry).decode())
        return {(s.name, *s.labels.values()): s.value for f in families for s in f.samples}

    def of(self, name: str) -> Series:
        return {labels: value for (found, *rest), value in self.read().items() if found == name for labels in [tuple(rest)]}

    def close(self) -> None:
        self.counting.stop()
        self.merging.end_ownership()


async def test_it_says_what_a_partition_has_and_what_it_owes() -> None:
    worker = State()
    worker.counting.assign({0: 1}, {0: 4})
    await worker.counting.take(run_of(report(0), report(1, 2), report(2, station="NOBODY")), Event())
    await worker.outlet.wait_marks(1)
    await settle()
    read = worker.read()
    assert read["tally_partitions",] == 1
    assert read["tally_records_read_total", "0"] == 3
    assert sum(worker.of("tally_verdicts_total").values()) == 3
    assert read["tally_log_end_offset", "0"] == 9, "the newest answer tells more than the start"
    assert read["tally_lag_records", "0"] == 6
    assert read["tally_marked_offset", "0"] == 3
    assert read["tally_committed_offset", "0"] == 2
    assert read["tally_commit_age_seconds", "0"] == 1.5
    assert (read["tally_replay_due_records", "0"], read["tally_replay_remaining_records", "0"]) == (1, 0)
    assert read["tally_rebalances_total",] == 3
    assert read["tally_rehearsal",] == 1
    assert read["tally_publishes_standings",] == 0
    assert read["tally_flush_seconds_count",] == 1
    assert worker.of("tally_build_info").keys() == {(ELECTION.digest, ELECTION.id, "0.1.0")}
    assert not worker.of("tally_standings_version"), "another worker may have them"
    worker.close()


async def test_the_owner_says_how_stations_stand_in_each_contest() -> None:
    worker = State()
    await worker.own()
    assert worker.of("tally_stations") == {}, "nothing is said before the first root"
    worker.merging.take(stored(*flushed(report(0))))
    await settle()
    read, states = worker.read(), worker.of("tally_stations")
    root = next(json.loads(v) for k, v in worker.outlet.of(TOPICS.standings) if k == b"PRES|X")
    assert {state: states["PRES", state] for state in STATES} == {state: root["stations"][state] for state in STATES}
    assert sum(states["PRES", state] for state in STATES) == root["stations"]["expected"]
    assert states["PRES", "counted"] + states["PRES", "partial"] == 1
    assert read["tally_held_stations", "PRES"] == read["tally_disputed_stations", "PRES"] == 0
    assert read["tally_publishes_standings",] == 1
    assert read["tally_standings_version", "PRES"] == 1
    assert read["tally_publication_seconds_count",] >= 1
    worker.close()


async def test_an_authority_s_statement_that_is_not_in_every_partition_is_told() -> None:
    worker = State(partition_count=2)
    await worker.own()
    both = [Flushing(partition, 2) for partition in (0, 1)]
    begin = 0

    async def after(partition: int, *records: Record) -> tuple[float, float, float]:
        nonlocal begin
        told = both[partition].flush(*records)
        worker.merging.take(stored(*told, begin=begin))
        begin += len(told)
        await settle()
        found = worker.of("tally_incomplete_statements")
        return worker.read()["tally_contests_on_hold",], found["hold",], found["certify",]

    assert await after(0) == (0, 0, 0)
    assert await after(0, hold(0)) == (1, 0, 0), "of the other partition nothing is known yet"
    assert await after(1) == (1, 1, 0)
    assert worker.of("tally_incomplete_statement_partitions") == {("PRES", "hold"): 1}
    assert await after(1, hold(0)) == (1, 0, 0)
    assert worker.of("tally_incomplete_statement_partitions") == {}
    assert await after(0, release(1)) == (1, 1, 0), "and a release"
    assert await after(1, release(1)) == (0, 0, 0)
    assert await after(1, Record(2, control(revision=3, kind="certify"))) == (0, 0, 1)
    assert await after(0, Record(2, control(revision=3, kind="certify"))) == (0, 0, 0)
    worker.close()


HOSTILE = ("", 'X"} 1\n# HELP', "../../etc", "\u202e", "\u0000", "Ω" * 5_000, "all")


async def test_no_record_makes_a_label() -> None:
    """Whatever ids and kinds records have, labels are partitions, verdicts, rule codes and the definition's contests."""
    worker = State()
    await worker.own()
    worker.counting.assign({0: 0}, {0: 0})
    records = [
        Record(offset, counts(**{field: text}))
        for offset, (field, text) in enumerate((f, t) for f in ("contest", "station", "kind", "election") for t in HOSTILE)
    ]
    await worker.counting.take(run_of(*records), Event())
    await worker.outlet.wait_marks(1)
    worker.merging.take([])
    await settle()
    assert {code for code, _ in worker.of("tally_codes_total")} <= {rule.code for rule in RULES}
    assert {verdict for _, verdict in worker.of("tally_verdicts_total")} == set(VERDICTS)
    allowed = {"0", *VERDICTS, *(rule.code for rule in RULES), *(c.id for c in ELECTION.contests), *STATES, "hold", "certify"}
    allowed |= {"0.1.0", ELECTION.id, ELECTION.digest, "+Inf", *map(str, BUCKETS_SECONDS)}
    assert {label for _, *labels in worker.read() for label in labels} <= allowed
    worker.close()


def many(count: int) -> Election:
    return small_election([station("A-1")], [contest(f"C-{n:05}") for n in range(count)])


@pytest.mark.parametrize(("count", "told"), [(CONTESTS_TOLD_MAX, CONTESTS_TOLD_MAX), (CONTESTS_TOLD_MAX + 1, 1), (3_000, 1)])
async def test_of_many_contests_one_figure_is_told_for_all(count: int, told: int) -> None:
    of = many(count)
    worker, sender = State(of), Flushing(of=of)
    await worker.own()
    first = sender.flush()
    worker.merging.take(stored(*first))
    for _ in range(3):
        await settle()
    worker.merging.take(stored(*sender.flush(hold_of("C-00001", 0), Record(1, counts(contest="C-00002"))), begin=len(first)))
    for _ in range(400):  # so many are sent in several goes
        await settle()
        if sum(worker.of("tally_stations").values()) == count and worker.merging.told(2)["stations"]["outstanding"] == 0:
            break
    assert len(worker.of("tally_standings_version")) == told
    assert len(worker.of("tally_stations")) == told * len(STATES)
    assert len(worker.read()) < told * 10 + 200
    versions, stations = worker.of("tally_standings_version"), worker.of("tally_stations")
    assert min(versions.values()) == 1, "the contest on hold stands at its hold's offset + 1"
    assert sum(value for (_, state), value in stations.items() if state == "outstanding") == count - 1
    assert sum(stations.values()) == count
    assert {contest for contest, _ in stations} == ({"all"} if told == 1 else {c.id for c in of.contests})
    worker.close()


def hold_of(contest_id: str, offset: int) -> Record:
    return Record(offset, control(contest=contest_id))


async def test_every_metric_of_the_catalogue_is_served_and_no_other() -> None:
    worker = State()
    names = {f.name for f in text_string_to_metric_families(render(worker._registry).decode())}  # noqa: SLF001 (what is served)
    assert names == {m.name.removesuffix("_total") for m in (*METRICS, *PROCESS_METRICS)}
    worker.close()


# --- latencies ----------------------------------------------------------------------------------------------------


def test_a_bucket_holds_what_is_as_long_as_its_bound() -> None:
    histogram = Histogram()
    for seconds, times in ((0.001, 1), (0.0011, 2), (60.0, 3), (60.1, 4), (-1.0, 5)):
        histogram.observe(seconds, times)
    found = dict(histogram.buckets())
    assert (found["0.001"], found["0.0025"], found["30.0"], found["60.0"], found["+Inf"]) == (6, 8, 8, 11, 15)
    assert histogram.sum_seconds == pytest.approx(0.001 + 0.0022 + 180 + 240.4)
    assert (BUCKETS_SECONDS[0], BUCKETS_SECONDS[-1]) == (0.001, 60.0)
    assert list(BUCKETS_SECONDS) == sorted(BUCKETS_SECONDS)


def mark(next_offset: int, newest_ms: int | None, partition: int = 0) -> Mark:
    return Mark(partition, next_offset, newest_ms, {}, (), 0)


def test_each_record_is_measured_once_at_the_newest_of_its_mark() -> None:
    timings, now = Timings(), LOG_MS / 1000
    timings.begin_ownership({0: 4}, 2)
    latency = timings.acknowledged_to_published
    timings.note_published([mark(4, LOG_MS), mark(0, None, 1)], now + 5)
    assert latency.buckets()[-1] == ("+Inf", 0), "what was published before is not measured again"
    timings.note_published([mark(10, LOG_MS), mark(3, LOG_MS + 900, 1)], now + 1)
    timings.note_published([mark(10, LOG_MS), mark(3, LOG_MS + 900, 1)], now + 99)
    assert dict(latency.buckets())["0.1"] == 3
    assert dict(latency.buckets())["1.0"] == 9
    assert latency.buckets()[-1] == ("+Inf", 9)


def test_a_recorded_night_is_not_measured() -> None:
    timings, now = Timings(), LOG_MS / 1000
    timings.begin_ownership({}, 1)
    timings.note_published([mark(5, LOG_MS)], now + MEASURED_SECONDS_MAX + 1)
    timings.note_published([mark(6, LOG_MS)], now + MEASURED_SECONDS_MAX)
    assert timings.acknowledged_to_published.buckets()[-1] == ("+Inf", 1)


async def test_a_publication_measures_the_marks_that_it_has_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tally_stream.stream.publishing.time", lambda: LOG_MS / 1000 + 0.2)
    worker = State()
    worker.outlet.answers.discard(TOPICS.standings)
    await worker.own()
    worker.merging.take(stored(*flushed(report(0), report(1, 2))))
    await settle()
    assert worker.read()["tally_acknowledged_to_published_seconds_count",] == 0, "no broker has acknowledged it"
    worker.outlet.answer(TOPICS.standings)
    await settle()
    found = worker.of("tally_acknowledged_to_published_seconds_bucket")
    assert (found["0.1",], found["0.25",], found["+Inf",]) == (0, 2, 2)
    worker.close()
