"""Fold a report log without Kafka and render the standings at its end, at a time, or at an offset vector.

The same folds and the same rendering as the worker's, with nothing between them but memory: what this prints is what a
worker must have published at the same vector, byte for byte.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

from tally_stream.audit.refusals import REFUSED, RefusedRecords
from tally_stream.audit.verified import verified
from tally_stream.domain.baselines import Baseline, baselines
from tally_stream.domain.election import Election
from tally_stream.domain.fold import folds_of
from tally_stream.domain.ledger import Verdict
from tally_stream.domain.rules import VERDICTS, Limits, message_of
from tally_stream.domain.standings import MergedFigures, Message
from tally_stream.wire.reading import ReportReader
from tally_stream.wire.report_log import LogError, LogRecord, ReportLog
from tally_stream.wire.run import read_record
from tally_stream.wire.signing import NOTHING_AHEAD, Ahead


class Replay:
    """A log folded: one fold a partition, then standings of any contest."""

    def __init__(self, election: Election, topic: str, partition_count: int | None) -> None:
        self.election = election
        self.topic = topic
        self.folds = folds_of(election, partition_count)
        self.refusals = RefusedRecords()
        self._reader = ReportReader(election)

    def take(self, record: LogRecord, ahead: Ahead = NOTHING_AHEAD) -> Verdict:
        """`ahead`: what was verified before."""
        fold = self.folds[record.partition]
        verdict = read_record(self._reader, fold, record.offset, record.timestamp_ms, record.key, record.value, ahead)
        if verdict.name in REFUSED:
            self.refusals.add((found.code, message_of(found)) for found in verdict.findings)
        return verdict

    @property
    def record_count(self) -> int:
        return sum(fold.next_offset for fold in self.folds)

    @cached_property
    def _baselines(self) -> list[Baseline]:
        """Of all contests, made once for all."""
        return baselines(self.election, Limits(self.election.checks, self.election.polls_close_ms))

    def messages(self, contest: int) -> list[Message]:
        """The contest's standings messages at the folds' vector: areas first, root last."""
        merged = MergedFigures(self.election, contest, self.topic, len(self.folds), self._baselines)
        for fold in self.folds:
            merged.put(fold.figures(contest))
        return merged.messages()

    def verdict_counts(self) -> dict[str, Any]:
        """The verdict counts of all partitions added."""
        codes: Counter[str] = Counter()
        for fold in self.folds:
            codes.update(fold.codes)
        counts: dict[str, Any] = {v: sum(fold.verdicts[v] for fold in self.folds) for v in VERDICTS}
        return {**counts, "codes": dict(sorted(codes.items()))}


def replay(election: Election, log_path: Path, *, until_ms: int | None = None, at: dict[int, int] | None = None) -> Replay:
    """Fold the log at `log_path`.

    `until_ms` stops before the first record whose log timestamp is later (milliseconds since 1970 UTC); `at` gives each
    partition's next offset. Raises LogError where the log is broken or does not reach `at`.
    """
    log = ReportLog(log_path)
    result = Replay(election, log.topic, log.partition_count)
    if at is not None and set(at) != set(range(len(result.folds))):
        raise LogError(f"{log_path}: has {len(result.folds)} partitions, --at names {sorted(at)}; name each once")
    wanted = (r for r in records_until(log, until_ms) if at is None or r.offset < at[r.partition])
    for record, ahead in verified(result.folds, wanted):
        result.take(record, ahead)
    for partition, offset in (at or {}).items():
        reached = result.folds[partition].next_offset
        if reached < offset:
            raise LogError(f"{log_path}: partition {partition} ends at {reached}, before offset {offset}")
    return result


def records_until(log: ReportLog, until_ms: int | None) -> Iterator[LogRecord]:
    for record in log:
        if until_ms is not None and record.timestamp_ms > until_ms:
            return
        yield record
