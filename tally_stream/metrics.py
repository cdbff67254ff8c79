"""Every metric, named once with its kind, unit and labels; values are read from the counting state when scraped.

Reading at scrape time costs the hot path nothing; the three latencies are noted once a flush or publication. Label values come
from the definition (contests, at most CONTESTS_TOLD_MAX of them) or are small integers (partitions) or fixed words, so a
hostile record can't make a new one. Refuses to know who serves them: `stream/worker_state.py`, `board/operators.py`,
`cli/dump_state.py`; `cli/submit_watched.py` writes a file.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Literal, TypeVar

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest, write_to_textfile
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.parser import text_string_to_metric_families

from tally_stream import __version__

CONTESTS_TOLD_MAX = 100
ALL = "all"
"""In the place of a contest, where there are more; no id is in lower case."""

BUCKETS_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
"""Of every latency: from a millisecond to a minute, and 30 s among them, which is what is promised."""

MEASURED_SECONDS_MAX = 86_400.0
"""A report whose log time is further back is of a recorded night that is played again: its latency says nothing."""


class Histogram:
    """How often a time was how long, in BUCKETS_SECONDS."""

    __slots__ = ("_counts", "sum_seconds")

    def __init__(self) -> None:
        self._counts = [0] * (len(BUCKETS_SECONDS) + 1)
        self.sum_seconds = 0.0

    def observe(self, seconds: float, times: int = 1) -> None:
        """Two clocks may say that something was there before it began: that is 0 s."""
        seconds = max(0.0, seconds)
        self._counts[bisect_left(BUCKETS_SECONDS, seconds)] += times
        self.sum_seconds += seconds * times

    def buckets(self) -> list[tuple[str, float]]:
        """(upper bound, how many up to it), the last for all."""
        return list(zip((*map(str, BUCKETS_SECONDS), "+Inf"), accumulate(self._counts), strict=True))


Sample = tuple[tuple[str, ...], float | Histogram]


@dataclass(frozen=True, slots=True)
class MetricDefinition:
    """`name` as scraped (counters end in `_total`; of a histogram without `_bucket`, `_sum`, `_count`)."""

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    labels: tuple[str, ...]
    help: str


BUILD: tuple[MetricDefinition, ...] = (
    MetricDefinition("tally_build_info", "gauge", ("version", "election", "digest"),
                     "Always 1: the program's version, the election it was given and the digest of its definition; empty "
                     "where it was given none."),
)  # fmt: skip

PROCESS_METRICS: tuple[MetricDefinition, ...] = (
    MetricDefinition("process_start_time_seconds", "gauge", (),
                     "When this process began, seconds since 1970. Of a worker that its supervisor has started again: that."),
    MetricDefinition("process_cpu_seconds_total", "counter", (), "Processor time, the system's for it included."),
    MetricDefinition("process_resident_memory_bytes", "gauge", (), "Memory in use."),
    MetricDefinition("process_virtual_memory_bytes", "gauge", (), "Address space."),
    MetricDefinition("process_open_fds", "gauge", (), "Open files and connections."),
    MetricDefinition("process_max_fds", "gauge", (), "Most of them that the system allows."),
)  # fmt: skip
"""Of the client library's own collector, where the system has /proc."""

METRICS: tuple[MetricDefinition, ...] = (
    *BUILD,
    MetricDefinition("tally_partitions", "gauge", (), "Partitions of the reports topic: so many must be counted by somebody."),
    MetricDefinition("tally_records_read_total", "counter", ("partition",),
                     "Records of the reports topic in the fold, from offset 0; the verdicts add up to it."),
    MetricDefinition("tally_verdicts_total", "counter", ("partition", "verdict"), "Records by verdict."),
    MetricDefinition("tally_codes_total", "counter", ("partition", "code"), "Records by rule code; one can have several."),
    MetricDefinition("tally_lag_records", "gauge", ("partition",),
                     "Records of an owned partition that are not in the fold yet."),
    MetricDefinition("tally_log_end_offset", "gauge", ("partition",),
                     "Where an owned partition ends, as the newest answer of a broker told it."),
    MetricDefinition("tally_marked_offset", "gauge", ("partition",),
                     "How far the newest acknowledged mark of an owned partition goes, −1 before the first."),
    MetricDefinition("tally_committed_offset", "gauge", ("partition",),
                     "The group's committed offset of an owned partition: where the next owner ends its replay."),
    MetricDefinition("tally_commit_age_seconds", "gauge", ("partition",),
                     "How long acknowledged records have waited for a commit; 0 where none does."),
    MetricDefinition("tally_replay_remaining_records", "gauge", ("partition",),
                     "Records below the committed offset that a replay still has to read."),
    MetricDefinition("tally_replay_due_records", "gauge", ("partition",),
                     "Records below the committed offset when this worker was given the partition: all that a replay reads."),
    MetricDefinition("tally_unacknowledged_runs", "gauge", ("partition",),
                     "Runs in the fold whose outputs were not all acknowledged yet."),
    MetricDefinition("tally_partials_sent_total", "counter", (), "Pages and marks acknowledged by the broker."),
    MetricDefinition("tally_flush_seconds", "histogram", (),
                     "From the beginning of a flush until the broker has acknowledged its mark, and all that goes before it."),
    MetricDefinition("tally_publication_seconds", "histogram", (),
                     "From the beginning of a publication, rendering included, until the broker has acknowledged its last "
                     "message."),
    MetricDefinition("tally_acknowledged_to_published_seconds", "histogram", (),
                     "Of records of `reports`, on the worker that publishes: from the log time of the newest record of the "
                     "same mark until the broker had acknowledged the standings of every contest that the mark changed "
                     "(those on hold, and those that wait for an owner, excepted). With LogAppendTime a record's log time is "
                     "when its broker took it. Every record counts once; those in standings before, or with a log time more "
                     "than a day back (a recorded night), do not count. While a partition keeps up, a record is at most a "
                     "flush (`tally_flush_seconds` and the publish interval) older than the newest of its mark; after a time "
                     "without an owner, or after a stall, a whole backlog is measured by its newest record, and looks as if it "
                     "had come in time. What is not published is not counted. So the objective also asks for partitions that "
                     "wait: `tally:partitions_away:count` and `tally:partitions_late:count` in "
                     "`deploy/prometheus/recording.yml`."),
    MetricDefinition("tally_stage_two_seconds_total", "counter", (),
                     "How long this process has worked on standings: reading pages, adding, rendering."),
    MetricDefinition("tally_publishes_standings", "gauge", (), "1 on the worker that publishes; exactly one does."),
    MetricDefinition("tally_standings_version", "gauge", ("contest",),
                     "Version of the newest standings; only on the worker that publishes them. Of more than 100 contests, as "
                     "with the other metrics by contest: one figure, `all`, here the lowest."),
    MetricDefinition("tally_stations", "gauge", ("contest", "state"),
                     "Stations by state in the newest root that this worker has sent: counted, partial, held (held alone), "
                     "annulled, outstanding; they add up to the stations expected. Of more than 100 contests: the sum over "
                     "all."),
    MetricDefinition("tally_held_stations", "gauge", ("contest",),
                     "Stations with a statement that is held, counted beside it or not; as above."),
    MetricDefinition("tally_disputed_stations", "gauge", ("contest",),
                     "Stations of which two statements contradict each other and nothing has settled it; as above."),
    MetricDefinition("tally_contests_on_hold", "gauge", (), "Contests on hold in any partition; on the worker that publishes."),
    MetricDefinition("tally_incomplete_statements", "gauge", ("kind",),
                     "Contests of which an authority's statement stands in some partitions and not in all: `hold` (or a "
                     "release) and `certify`; on the worker that publishes."),
    MetricDefinition("tally_incomplete_statement_partitions", "gauge", ("kind", "contest"),
                     "Partitions in which such a statement stands, of 20 of those contests at most; none where there is none. "
                     "Of a release: those that are still on hold."),
    MetricDefinition("tally_last_input_timestamp_seconds", "gauge", (),
                     "Log time of the newest report in any owned partition, seconds since 1970."),
    MetricDefinition("tally_last_publication_timestamp_seconds", "gauge", (),
                     "When standings were last acknowledged by the broker, seconds since 1970."),
    MetricDefinition("tally_last_heartbeat_age_seconds", "gauge", (), "Since the group last confirmed this worker."),
    MetricDefinition("tally_rebalances_total", "counter", (),
                     "Times that this process has joined its group; each is a rebalance."),
    MetricDefinition("tally_ready", "gauge", (), "1 when everything owned is caught up."),
    MetricDefinition("tally_rehearsal", "gauge", (), "1 when durability settings that break a promise were waived."),
)  # fmt: skip

BOARD_METRICS: tuple[MetricDefinition, ...] = (
    *BUILD,
    MetricDefinition("tally_board_readers", "gauge", ("contest",), "Streams that are open."),
    MetricDefinition("tally_board_updates_sent_total", "counter", ("contest",), "Standings written to readers of the stream."),
    MetricDefinition("tally_board_readers_skipped_total", "counter", ("contest",),
                     "Times that a reader did not keep up, and was left waiting for the newest."),
    MetricDefinition("tally_board_readers_cut_total", "counter", ("contest",),
                     "Readers cut off because they had not read for a minute."),
    MetricDefinition("tally_board_contact_age_seconds", "gauge", ("contest",),
                     "Since a worker last published the root, or since this board's start if none did. Of more than 100 "
                     "contests, as with the other metrics by contest: one figure, `all`, since the root of any of them."),
    MetricDefinition("tally_board_version", "gauge", ("contest",), "Newest version shown; −1 before the first."),
    MetricDefinition("tally_board_fold_read_records", "gauge", (), "Records of the report log that this board has folded."),
    MetricDefinition("tally_board_fold_due_records", "gauge", (), "Records that the log had when this board started."),
    MetricDefinition("tally_board_fold_failed", "gauge", (), "1 when a record stopped the fold: no stations are shown."),
    MetricDefinition("tally_board_refused_messages_total", "counter", (),
                     "Messages on the standings topic that no worker can have published."),
    MetricDefinition("tally_board_ready", "gauge", (), "1 when all is read, there is contact, and the fold goes on."),
)  # fmt: skip

DUMP_METRICS: tuple[MetricDefinition, ...] = (
    *BUILD,
    MetricDefinition("tally_dump_saved_offset", "gauge", ("partition",), "Records of the partition that stand in the file."),
    MetricDefinition("tally_dump_log_end_offset", "gauge", ("partition",),
                     "Where the partition ends, as a broker last told it."),
    MetricDefinition("tally_dump_lag_records", "gauge", ("partition",),
                     "Records of the partition that are not in the file yet."),
    MetricDefinition("tally_dump_behind_seconds", "gauge", (),
                     "Since the file last held all that the topic had, or since the start; it also rises while no broker "
                     "answers."),
    MetricDefinition("tally_dump_last_write_timestamp_seconds", "gauge", (),
                     "When records were last written and brought to the disk, seconds since 1970."),
    MetricDefinition("tally_dump_file_bytes", "gauge", (), "Size of what stands under the file's name; 0 where nothing does."),
    MetricDefinition("tally_dump_last_growth_timestamp_seconds", "gauge", (),
                     "When that size was last seen to be larger than before, seconds since 1970; from the start on: when "
                     "the file that is gone on with had last grown."),
    MetricDefinition("tally_dump_ready", "gauge", (), "1 when it has read all that the topic had, within the last minute."),
)  # fmt: skip

INTAKE_METRICS: tuple[MetricDefinition, ...] = (
    *BUILD,
    MetricDefinition("tally_intake_taken_total", "counter", (), "Statements that the brokers acknowledged."),
    MetricDefinition("tally_intake_repeated_total", "counter", (), "Statements that had been taken before: told their place."),
    MetricDefinition("tally_intake_refused_total", "counter", ("why",),
                     "Requests and statements that were not taken, by the word that ends the `type` of the answer: "
                     "`brokers` and `busy` come again by themselves."),
    MetricDefinition("tally_intake_under_way", "gauge", (), "Statements that wait for an acknowledgement."),
    MetricDefinition("tally_intake_body_bytes", "gauge", (), "Bodies that are in memory."),
    MetricDefinition("tally_intake_tokens", "gauge", (), "Tokens that are known."),
    MetricDefinition("tally_intake_ready", "gauge", (),
                     "1 when the last statement was acknowledged, receipts are read, and the file of tokens could be read."),
)  # fmt: skip

SPOOL_STATES = ("unsent", "waiting", "counted", "held", "rejected", "stale", "conflicting")
_SPOOL = ("election", "topic")

SPOOL_METRICS: tuple[MetricDefinition, ...] = (
    MetricDefinition("tally_spool_unsent_statements", "gauge", _SPOOL, "Statements that are still to be sent."),
    MetricDefinition("tally_spool_oldest_unsent_timestamp_seconds", "gauge", _SPOOL,
                     "When the oldest of them was kept, seconds since 1970; 0 where there is none."),
    MetricDefinition("tally_spool_newest_statements", "gauge", (*_SPOOL, "state"),
                     "The newest statement of each station and contest, by what became of it when last looked at: a state "
                     "of a receipt, `unsent` where it is still to be sent."),
    MetricDefinition("tally_spool_written_timestamp_seconds", "gauge", _SPOOL,
                     "When this was written, seconds since 1970. While a `submit` has something to send, every four minutes at "
                     "the latest."),
    MetricDefinition("tally_spool_credential_ends_timestamp_seconds", "gauge", (*_SPOOL, "what"),
                     "When the certificate shown to Kafka or to the intake ends, or the signing key by the election's folder; "
                     "none where that is not known or has no end."),
)  # fmt: skip

PROGRAMS: dict[str, tuple[MetricDefinition, ...]] = {
    "worker": METRICS, "board": BOARD_METRICS, "dump": DUMP_METRICS, "intake": INTAKE_METRICS,
    "submit": SPOOL_METRICS,
}  # fmt: skip
"""Program → what it serves, PROCESS_METRICS beside it; of `submit` what it writes into a file, without them."""

ALL_NAMES = frozenset(metric.name for metrics in (*PROGRAMS.values(), PROCESS_METRICS) for metric in metrics)

Source = Callable[[], dict[str, Iterable[Sample]]]
"""Metric name → samples now; names that are missing have none."""

_Contest = TypeVar("_Contest")
_Figure = TypeVar("_Figure")


def told(
    contests: Collection[_Contest],
    name: Callable[[_Contest], str],
    of: Callable[[_Contest], _Figure],
    of_all: Callable[[], _Figure],
    most: int = CONTESTS_TOLD_MAX,
) -> dict[str, _Figure]:
    """Contest → its figure; of more than `most` of them one figure for all: a label for each of thousands would cost whoever
    scrapes them more than the count."""
    if len(contests) <= most:
        return {name(contest): of(contest) for contest in contests}
    return {ALL: of_all()}


def build(election: str = "", digest: str = "") -> list[Sample]:
    """The sample of `tally_build_info`."""
    return [((__version__, election, digest), 1)]


class _Collector:
    def __init__(self, source: Source, definitions: tuple[MetricDefinition, ...]) -> None:
        self._source, self._definitions = source, definitions

    def collect(self) -> Iterator[Metric]:
        found = self._source()
        for definition in self._definitions:
            yield _family(definition, found.get(definition.name, ()))


def _family(definition: MetricDefinition, samples: Iterable[Sample]) -> Metric:
    if definition.kind == "histogram":
        histograms = HistogramMetricFamily(definition.name, definition.help, labels=definition.labels)
        for labels, value in samples:
            assert isinstance(value, Histogram)
            histograms.add_metric(list(labels), value.buckets(), value.sum_seconds)
        return histograms
    family: CounterMetricFamily | GaugeMetricFamily
    if definition.kind == "counter":
        name = definition.name.removesuffix("_total")
        family = CounterMetricFamily(name, definition.help, labels=definition.labels)
    else:
        family = GaugeMetricFamily(definition.name, definition.help, labels=definition.labels)
    for labels, value in samples:
        assert not isinstance(value, Histogram)
        family.add_metric(list(labels), value)
    return family


def registry_of(source: Source, definitions: tuple[MetricDefinition, ...] = METRICS) -> CollectorRegistry:
    """A registry of this process that asks `source` at each scrape, and the system for PROCESS_METRICS."""
    registry = CollectorRegistry()
    registry.register(_Collector(source, definitions))
    ProcessCollector(registry=registry)
    return registry


def render(registry: CollectorRegistry) -> bytes:
    """The Prometheus text format."""
    return generate_latest(registry)


def write_file(path: Path, samples: dict[str, Iterable[Sample]], definitions: tuple[MetricDefinition, ...]) -> None:
    """The same text as a file, whole at every moment. Raises OSError."""
    registry = CollectorRegistry()
    registry.register(_Collector(lambda: samples, definitions))
    write_to_textfile(str(path), registry)


def read_samples(text: str) -> dict[str, list[tuple[dict[str, str], float]]]:
    """Name of a sample → its labels and values, of the text that a program serves. Raises ValueError on anything else."""
    found: dict[str, list[tuple[dict[str, str], float]]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            found.setdefault(sample.name, []).append((dict(sample.labels), sample.value))
    return found
