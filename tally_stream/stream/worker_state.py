"""What an operator asks of a worker: is it ready, and its metrics.

Decides what "ready" means: the worker has joined its group, has read all that stood on the topics when its ownership began,
and has published each of its partitions once. Everything is read from the state that is there anyway, when it is asked for;
no broker is asked. Read `health.py` for how it is served and `metrics.py` for what each sample means.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from tally_stream.domain.election import Election
from tally_stream.metrics import Histogram, Sample, build, told
from tally_stream.stream.counted import CountedPartition
from tally_stream.stream.counting import Counting
from tally_stream.stream.faust.transport import RunTransport
from tally_stream.stream.merging import Merging
from tally_stream.stream.timings import Timings

Figure = TypeVar("Figure")

STATES = ("counted", "partial", "held", "annulled", "outstanding")
"""Of stations, as a standings message has them: each station is in exactly one."""

INCOMPLETE_TOLD_MAX = 20
"""Contests that are named with the partitions in which an authority's statement stands."""


class WorkerState:
    """`has_joined` is set by the worker at its first assignment; `risks` are those that a rehearsal takes."""

    def __init__(
        self,
        election: Election,
        counting: Counting,
        merging: Merging,
        transport: RunTransport,
        timings: Timings,
        risks: list[str],
    ) -> None:
        self.has_joined = False
        self.risks = risks
        self._election = election
        self._counting = counting
        self._merging = merging
        self._transport = transport
        self._timings = timings

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
        merging, timings = self._merging, self._timings
        age = self._transport.heartbeat_age() if self.has_joined else None
        return {
            "tally_build_info": build(self._election.id, self._election.digest),
            "tally_partitions": _one(self._counting.partition_count),
            "tally_partials_sent_total": _one(self._counting.partials_sent),
            "tally_flush_seconds": _one(timings.flush),
            "tally_publication_seconds": _one(timings.publication),
            "tally_stage_two_seconds_total": _one(merging.worked_seconds),
            "tally_publishes_standings": _one(int(merging.is_owner)),
            "tally_last_publication_timestamp_seconds": _one(merging.last_publication_seconds),
            "tally_last_heartbeat_age_seconds": _one(age),
            "tally_rebalances_total": _one(self._transport.joined_count() if self.has_joined else 0),
            "tally_ready": _one(int(self.readiness()["ready"])),
            "tally_rehearsal": _one(int(bool(self.risks))),
            **self._of_partitions(),
            **(self._of_contests() if merging.is_owner else {}),
        }

    def _of_partitions(self) -> dict[str, Iterable[Sample]]:
        reports, transport = self._counting.topics.reports, self._transport
        owned = sorted(self._counting.partitions.items())
        ends = {n: max(p.log_end, transport.known_end(reports, n) or 0, p.fold.next_offset) for n, p in owned}

        def each(of: Callable[[int, CountedPartition], float]) -> list[Sample]:
            return [((str(n),), of(n, p)) for n, p in owned]

        newest = [p.fold.newest_ms for _, p in owned if p.fold.newest_ms is not None]
        return {
            "tally_records_read_total": each(lambda _, p: p.fold.next_offset),
            "tally_verdicts_total": [
                ((str(n), verdict), count) for n, p in owned for verdict, count in p.fold.verdicts.items()
            ],
            "tally_codes_total": [((str(n), code), count) for n, p in owned for code, count in sorted(p.fold.codes.items())],
            "tally_lag_records": each(lambda n, p: ends[n] - p.fold.next_offset),
            "tally_log_end_offset": each(lambda n, _: ends[n]),
            "tally_marked_offset": each(lambda _, p: p.flushed_offset),
            "tally_committed_offset": each(lambda n, p: max(p.committed, transport.committed(reports, n) or 0)),
            "tally_commit_age_seconds": each(lambda n, _: transport.commit_age(reports, n)),
            "tally_replay_remaining_records": each(lambda _, p: max(0, p.committed - p.fold.next_offset)),
            "tally_replay_due_records": each(lambda _, p: p.committed),
            "tally_unacknowledged_runs": each(lambda _, p: len(p.events)),
            "tally_last_input_timestamp_seconds": _one(max(newest) / 1000 if newest else None),
        }

    def _of_contests(self) -> dict[str, Iterable[Sample]]:
        """Of the owner of stage 2. Contests are the definition's; of many, one figure for all."""
        merging, contests = self._merging, self._election.contests
        marks = merging.marks()

        def by_contest(of: Callable[[int], Figure], of_all: Callable[[], Figure]) -> dict[str, Figure]:
            return told(range(len(contests)), lambda i: contests[i].id, of, of_all)

        versions = by_contest(lambda i: merging.version(i) or 0, merging.lowest_version)
        roots = by_contest(merging.told, merging.told_together)

        def flagged(flag: str) -> list[Sample]:
            return [((contest,), root["flags"][flag]) for contest, root in roots.items() if root]

        on_hold = [set(mark.holds) for mark in marks]
        rows = {mark.certified for mark in marks}
        certified = [mark.certified_contests() for mark in marks] if len(rows) > 1 else []
        return {
            "tally_acknowledged_to_published_seconds": _one(self._timings.acknowledged_to_published),
            "tally_standings_version": [((contest,), version) for contest, version in versions.items()],
            "tally_stations": [
                ((contest, state), root["stations"][state]) for contest, root in roots.items() if root for state in STATES
            ],
            "tally_held_stations": flagged("held"),
            "tally_disputed_stations": flagged("disputed"),
            "tally_contests_on_hold": _one(len(set().union(*on_hold))),
            "tally_incomplete_statements": [(("hold",), len(_in_some(on_hold))), (("certify",), len(_in_some(certified)))],
            "tally_incomplete_statement_partitions": [
                ((kind, contests[contest].id), sum(contest in stands for stands in partitions))
                for kind, partitions in (("hold", on_hold), ("certify", certified))
                for contest in sorted(_in_some(partitions))[:INCOMPLETE_TOLD_MAX]
            ],
        }


def _one(value: float | Histogram | None) -> list[Sample]:
    """The sample of a metric without labels; none where there is no value."""
    return [] if value is None else [((), value)]


def _in_some(partitions: list[set[int]]) -> set[int]:
    """Those that stand in some of them and not in all."""
    if not partitions:
        return set()
    some: set[int] = set().union(*partitions)
    every = set.intersection(*partitions)
    return some - every
