"""Every metric, named once with its kind, unit and labels; values are read from the counting state when scraped.

Reading at scrape time costs the hot path nothing. Label values come from the definition (contests) or are small
integers (partitions) or fixed words, so a hostile record can't make a new one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

Sample = tuple[tuple[str, ...], float]


@dataclass(frozen=True, slots=True)
class MetricDefinition:
    """`name` as scraped (counters end in `_total`)."""

    name: str
    kind: Literal["counter", "gauge"]
    labels: tuple[str, ...]
    help: str


METRICS: tuple[MetricDefinition, ...] = (
    MetricDefinition("tally_records_read_total", "counter", ("partition",),
                     "Records of the reports topic in the fold, from offset 0; the verdicts add up to it."),
    MetricDefinition("tally_verdicts_total", "counter", ("partition", "verdict"), "Records by verdict."),
    MetricDefinition("tally_codes_total", "counter", ("partition", "code"), "Records by rule code; one can have several."),
    MetricDefinition("tally_lag_records", "gauge", ("partition",),
                     "Records of an owned partition that are not in the fold yet."),
    MetricDefinition("tally_replay_remaining_records", "gauge", ("partition",),
                     "Records below the committed offset that a replay still has to read."),
    MetricDefinition("tally_unacknowledged_runs", "gauge", ("partition",),
                     "Runs in the fold whose outputs were not all acknowledged yet."),
    MetricDefinition("tally_partials_sent_total", "counter", (), "Pages and marks acknowledged by the broker."),
    MetricDefinition("tally_stage_two_seconds_total", "counter", (),
                     "How long this process has worked on standings: reading pages, adding, rendering."),
    MetricDefinition("tally_standings_version", "gauge", ("contest",),
                     "Version of the newest standings; only on the worker that publishes them."),
    MetricDefinition("tally_last_input_timestamp_seconds", "gauge", (),
                     "Log time of the newest report in any owned partition, seconds since 1970."),
    MetricDefinition("tally_last_publication_timestamp_seconds", "gauge", (),
                     "When standings were last acknowledged by the broker, seconds since 1970."),
    MetricDefinition("tally_last_heartbeat_age_seconds", "gauge", (), "Since the group last confirmed this worker."),
    MetricDefinition("tally_ready", "gauge", (), "1 when everything owned is caught up."),
    MetricDefinition("tally_rehearsal", "gauge", (), "1 when durability settings that break a promise were waived."),
)  # fmt: skip

BOARD_METRICS: tuple[MetricDefinition, ...] = (
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

Source = Callable[[], dict[str, Iterable[Sample]]]
"""Metric name → samples now; names that are missing have none."""


class _Collector:
    def __init__(self, source: Source, definitions: tuple[MetricDefinition, ...]) -> None:
        self._source, self._definitions = source, definitions

    def collect(self) -> Iterator[Metric]:
        found = self._source()
        for definition in self._definitions:
            family: CounterMetricFamily | GaugeMetricFamily
            if definition.kind == "counter":
                name = definition.name.removesuffix("_total")
                family = CounterMetricFamily(name, definition.help, labels=definition.labels)
            else:
                family = GaugeMetricFamily(definition.name, definition.help, labels=definition.labels)
            for labels, value in found.get(definition.name, ()):
                family.add_metric(list(labels), value)
            yield family


def registry_of(source: Source, definitions: tuple[MetricDefinition, ...] = METRICS) -> CollectorRegistry:
    """A registry that asks `source` at each scrape."""
    registry = CollectorRegistry()
    registry.register(_Collector(source, definitions))
    return registry


def render(registry: CollectorRegistry) -> bytes:
    """The Prometheus text format."""
    return generate_latest(registry)
