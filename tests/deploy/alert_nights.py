"""Nights as Prometheus sees them: a healthy one as series, and what becomes of it where something breaks.

Decides how a fault looks from outside: a process that is gone or frozen is `up` 0 and all its other series stale, one that starts
again has new counters and a new start time. Refuses to know the rules; `test_alerts.py` says which of them ring when.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

STEP_SECONDS = 5
LONG_SECONDS = 900
DAY_SECONDS = 86_400

WAYS = ("absence", "staleness", "restart")
At = Callable[[float], "float | None"]
"""Seconds since the night began → the value scraped then, None where nothing is."""

WORKERS = {"w1": (0, 1), "w2": (2, 3)}
BOARD, DUMP, INTAKE, OTHER_INTAKE = "board", "dump", "intake", "intake-2"
JOBS = {
    "w1": "tally-worker", "w2": "tally-worker", BOARD: "tally-board", DUMP: "tally-dump", INTAKE: "tally-intake",
    OTHER_INTAKE: "tally-intake", "station": "tally-station",
}  # fmt: skip
STATION = "station"
INTAKES = (INTAKE, OTHER_INTAKE)


def always(value: float) -> At:
    return lambda t: value


def rising(per_second: float, begin: float = 0.0) -> At:
    return lambda t: begin + per_second * t


@dataclass
class Night:
    """(metric, instance, more labels) → its values."""

    series: dict[tuple[str, str, tuple[tuple[str, str], ...]], At] = field(default_factory=dict)
    gone: list[tuple[str, str, float, float]] = field(default_factory=list)
    """Who is gone how and when: one of `WAYS`, instance, from a second until another; a start anew is one for ever."""

    def put(self, name: str, instance: str, at: At, **labels: str) -> Night:
        self.series[name, instance, tuple(sorted(labels.items()))] = at
        return self

    def change(
        self, name: str, value: float | At, since: float = 0.0, until: float = 1e9, *, instance: str = "", **labels: str
    ) -> Night:
        """Let the series with this name (of this instance, with these labels) have another value for a while."""
        found = [
            key for key in self.series
            if key[0] == name and instance in ("", key[1]) and labels.items() <= dict(key[2]).items()
        ]  # fmt: skip
        assert found, f"no series {name} of {instance or 'any'} with {labels}"
        other = value if callable(value) else always(value)
        for key in found:
            self.series[key] = _between(self.series[key], other, since, until)
        return self

    def lose(self, *instances: str, since: float, until: float = 1e9) -> Night:
        """They do not answer: frozen, cut off or ended."""
        self.gone += [("staleness", instance, since, until) for instance in instances]
        return self._lose(*instances, since=since, until=until)

    def _lose(self, *instances: str, since: float, until: float) -> Night:
        for key, at in self.series.items():
            if key[1] in instances:
                self.series[key] = _between(at, always(0) if key[0] == "up" else lambda t: None, since, until)
        return self

    def drop(self, *instances: str, since: float = 0.0) -> Night:
        """They are among no targets any more: nothing is said of them, not even that they are down."""
        self.gone += [("absence", instance, since, 1e9) for instance in instances]
        for key, at in self.series.items():
            if key[1] in instances:
                self.series[key] = _between(at, lambda t: None, since, 1e9)
        return self

    def restart(self, instance: str, *times: float, seconds: float = 10.0) -> Night:
        """It ends at these times, and is there again so much later: its counters begin anew."""
        for begin in times:
            self.gone.append(("restart", instance, begin, 1e9))
            self._lose(instance, since=begin, until=begin + seconds)
            self.change("process_start_time_seconds", begin + seconds, begin + seconds, instance=instance)
            for name in {name for name, at, _ in self.series if at == instance} & ANEW.keys():
                self.change(name, lambda t, a=ANEW[name], b=begin: a(max(0.0, t - b)), begin + seconds, instance=instance)  # type: ignore[misc]
        return self

    def take_over(self, gone: str, by: str, since: float) -> Night:
        """The partitions of one worker, and the standings, are another's from now."""
        for name, instance, labels in list(self.series):
            if instance == gone and ("partition" in dict(labels) or name in OF_OWNER):
                healthy = HEALTHY.series[name, gone, labels]
                self.put(name, by, _between(lambda t: None, healthy, since, 1e9), **dict(labels))
        self.change("tally_publishes_standings", 1, since, instance=by)
        return self

    def give_up(self, instance: str, since: float) -> Night:
        """It has no partition any more, and answers or not."""
        for key, at in self.series.items():
            if key[1] == instance and "partition" in dict(key[2]):
                self.series[key] = _between(at, lambda t: None, since, 1e9)
        return self

    def lines(self, seconds: int) -> Iterator[dict[str, str]]:
        """As promtool's `input_series`."""
        for (name, instance, labels), at in self.series.items():
            told = "".join(f', {label}="{value}"' for label, value in (("job", JOBS[instance]), *labels))
            yield {"series": f'{name}{{instance="{instance}"{told}}}', "values": _values(at, seconds)}


def _between(before: At, other: At, since: float, until: float) -> At:
    return lambda t: other(t) if since <= t < until else before(t)


def _values(at: At, seconds: int) -> str:
    words: list[str] = []
    is_there = False
    for step in range(seconds // STEP_SECONDS + 1):
        value = at(step * STEP_SECONDS)
        words.append(f"{value:g}" if value is not None else "stale" if is_there else "_")
        is_there = value is not None
    return " ".join(words)


ANEW: dict[str, At] = {
    "tally_rebalances_total": always(1), "tally_records_read_total": rising(1), "tally_intake_taken_total": rising(1),
    "tally_intake_refused_total": always(0),
}  # fmt: skip
"""Counters → by seconds since their process started."""
OF_OWNER = (
    "tally_last_publication_timestamp_seconds", "tally_incomplete_statements", "tally_held_stations", "tally_disputed_stations",
    "tally_acknowledged_to_published_seconds_bucket", "tally_acknowledged_to_published_seconds_count",
)  # fmt: skip


def healthy() -> Night:
    """Two workers, of which the first publishes; a board; a copy; two intakes; a station. Ten reports a second in each partition."""
    night = Night()
    for instance in JOBS:
        night.put("up", instance, always(1))
        night.put("process_start_time_seconds", instance, always(-100))
        if instance == STATION:
            continue  # node_exporter's own figures, and what `submit` wrote into a file
        night.put("tally_build_info", instance, always(1), digest="" if instance == DUMP else "d1", election="E", version="1")
    for worker, partitions in WORKERS.items():
        for name, value in (("tally_partitions", 4), ("tally_ready", 1), ("tally_rehearsal", 0), ("tally_rebalances_total", 2)):
            night.put(name, worker, always(value))
        night.put("tally_publishes_standings", worker, always(worker == "w1"))
        for partition in map(str, partitions):
            night.put("tally_records_read_total", worker, rising(10), partition=partition)
            for name in ("tally_log_end_offset", "tally_marked_offset", "tally_committed_offset"):
                night.put(name, worker, rising(10), partition=partition)
            for name in ("tally_lag_records", "tally_commit_age_seconds", "tally_replay_remaining_records"):
                night.put(name, worker, always(0), partition=partition)
    night.put("tally_last_publication_timestamp_seconds", "w1", rising(1))
    for kind in ("hold", "certify"):
        night.put("tally_incomplete_statements", "w1", always(0), kind=kind)
    for name in ("tally_held_stations", "tally_disputed_stations"):
        night.put(name, "w1", always(0), contest="PRES")
    night.put("tally_acknowledged_to_published_seconds_count", "w1", rising(40))
    for le in ("0.1", "30.0", "+Inf"):
        night.put("tally_acknowledged_to_published_seconds_bucket", "w1", rising(40), le=le)
    night.put("tally_board_contact_age_seconds", BOARD, always(4), contest="PRES")
    night.put("tally_board_ready", BOARD, always(1))
    night.put("tally_board_fold_failed", BOARD, always(0))
    night.put("tally_dump_behind_seconds", DUMP, always(3))
    night.put("tally_dump_file_bytes", DUMP, rising(100, 50))
    night.put("tally_dump_last_growth_timestamp_seconds", DUMP, rising(1))
    night.put("tally_dump_log_end_offset", DUMP, rising(10), partition="0")
    for intake in INTAKES:
        night.put("tally_intake_ready", intake, always(1))
        night.put("tally_intake_under_way", intake, lambda t: t % 15 == 0)
        night.put("tally_intake_taken_total", intake, rising(1, 500))
        for why in ("brokers", "busy", "failed", "no-identity", "not-yours", "rules"):
            night.put("tally_intake_refused_total", intake, always(3), why=why)
    night.put("tally_spool_oldest_unsent_timestamp_seconds", STATION, always(0), election="E", topic="tally.reports")
    for state in ("unsent", "counted", "held", "rejected", "stale", "conflicting"):
        night.put("tally_spool_newest_statements", STATION, always(0), election="E", topic="tally.reports", state=state)
    for what in ("kafka-certificate", "signing-key"):
        night.put("tally_spool_credential_ends_timestamp_seconds", STATION, always(10 * DAY_SECONDS), election="E",
                  topic="tally.reports", what=what)  # fmt: skip
    return night


HEALTHY = healthy()
