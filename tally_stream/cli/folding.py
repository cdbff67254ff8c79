"""The reports topic folded to its end, with what each record was judged, for commands that look at the whole count.

Decides that the log is read whole, from offset 0, or not at all: a gap ends the command. Refuses to know what is looked for.
"""

from __future__ import annotations

from collections.abc import Callable

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from tally_stream.audit.replay import Replay
from tally_stream.audit.verified import verified
from tally_stream.cli.common import err, warn
from tally_stream.domain.election import Election
from tally_stream.domain.ledger import Verdict
from tally_stream.kafka.lost import lost_records
from tally_stream.settings import Settings
from tally_stream.wire.report_log import LogError, LogRecord


async def partitions_of_reports(settings: Settings) -> int:
    """Once a broker lets us in."""
    from tally_stream.kafka.client import TopicReader, wait_for_broker

    await wait_for_broker(settings, warn)
    async with TopicReader(settings, f"{settings.prefix}.reports") as reader:
        return len(reader.partitions)


async def fold_reports(
    settings: Settings, election: Election, partitions: int, judged: Callable[[Replay, LogRecord, Verdict], object]
) -> Replay:
    """The log folded to the end that it has now; `judged` is told each record with its verdict, and what was folded so far.
    Raises LogError on a gap."""
    from tally_stream.kafka.client import TopicReader

    topic = f"{settings.prefix}.reports"
    replay = Replay(election, topic, partitions)
    due_offsets = dict.fromkeys(range(partitions), 0)
    columns = (TextColumn("reading reports"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    async with TopicReader(settings, topic, is_log=True) as reader:
        bounds = await reader.bounds()
        with Progress(*columns, console=err, disable=not err.is_terminal, transient=True) as progress:
            task = progress.add_task("reports", total=sum(end for _, end in bounds.values()))
            async for records in reader.read_to_end():
                for r in records:
                    due = due_offsets[r.partition]
                    if r.offset != due:
                        raise LogError(lost_records(r.partition, due, r.offset - 1))
                    due_offsets[r.partition] = due + 1
                logged = (LogRecord(r.timestamp_ms, r.key, r.value, r.partition, r.offset) for r in records)
                for record, ahead in verified(replay.folds, logged):
                    judged(replay, record, replay.take(record, ahead))
                progress.advance(task, len(records))
    return replay
