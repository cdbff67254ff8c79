"""What an operator asks of a worker: is it ready, and its metrics.

Decides what "ready" means: the worker has joined its group, has read all that stood on the topics when its ownership began,
and has published each of its partitions once. Everything is read from the state that is there anyway, when it is asked for;
no broker is asked. Read `health.py` for how it is served and `metrics.py` for what each sample means.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from tally_stream.domain.election import Election
from tally_stream.kafka.topics import Topics
from tally_stream.metrics import Sample
from tally_stream.stream.counting import Counting
from tally_stream.stream.faust.transport import RunTransport
from tally_stream.stream.merging import Merging


class WorkerState:
    """`has_joined` is set by the worker at its first assignment; `risks` are those that a rehearsal takes."""

    def __init__(
        self,
        election: Election,
        topics: Topics,
        counting: Counting,
        merging: Merging,
        transport: RunTransport,
        risks: list[str],
    ) -> None:
        self.has_joined = False
        self.risks = risks
        self._election = election
        self._topics = topics
        self._counting = counting
        self._merging = merging
        self._transport = transport

    def readiness(self) -> dict[str, Any]:
        """`ready`, and why not: every owned partition with what is left to read."""
        partitions = self._counting.partitions
        is_ready = (
            self.has_joined
            and self._merging.is_caught_up
            and all(p.is_caught_up and p.flushed_offset >= 0 for p in partitions.values())
        )
        return {
            "ready": bool(is_ready),
            "rehearsal": self.risks,
            "election": self._election.id,
            "definition": self._election.digest,
            "publishes_standings": self._merging.is_owner,
            "partitions": {
                str(number): {
                    "next_offset": p.fold.next_offset,
                    "remaining": max(0, p.log_end - p.fold.next_offset),
                }
                for number, p in sorted(partitions.items())
            },
        }

    def samples(self) -> dict[str, Iterable[Sample]]:
        """The metrics of `metrics.METRICS` that have a value now."""
        counting, merging = self._counting, self._merging
        partitions = sorted(counting.partitions.items())
        ends = {n: self._transport.known_end(self._topics.reports, n) or 0 for n, _ in partitions}
        found: dict[str, Iterable[Sample]] = {
            "tally_records_read_total": [((str(n),), p.fold.next_offset) for n, p in partitions],
            "tally_verdicts_total": [
                ((str(n), verdict), count) for n, p in partitions for verdict, count in p.fold.verdicts.items()
            ],
            "tally_codes_total": [
                ((str(n), code), count) for n, p in partitions for code, count in sorted(p.fold.codes.items())
            ],
            "tally_lag_records": [((str(n),), max(0, max(p.log_end, ends[n]) - p.fold.next_offset)) for n, p in partitions],
            "tally_replay_remaining_records": [((str(n),), max(0, p.committed - p.fold.next_offset)) for n, p in partitions],
            "tally_unacknowledged_runs": [((str(n),), len(p.events)) for n, p in partitions],
            "tally_partials_sent_total": [((), counting.partials_sent)],
            "tally_stage_two_seconds_total": [((), merging.worked_seconds)],
            "tally_ready": [((), int(self.readiness()["ready"]))],
            "tally_rehearsal": [((), int(bool(self.risks)))],
        }
        if merging.is_owner:
            found["tally_standings_version"] = [
                ((contest.id,), merging.version(index) or 0) for index, contest in enumerate(self._election.contests)
            ]
        newest = [p.fold.newest_ms for _, p in partitions if p.fold.newest_ms is not None]
        if newest:
            found["tally_last_input_timestamp_seconds"] = [((), max(newest) / 1000)]
        if merging.last_publication_seconds is not None:
            found["tally_last_publication_timestamp_seconds"] = [((), merging.last_publication_seconds)]
        age = self._transport.heartbeat_age() if self.has_joined else None
        if age is not None:
            found["tally_last_heartbeat_age_seconds"] = [((), age)]
        return found
