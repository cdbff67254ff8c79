"""`tally-stream restore`: a saved log back into an empty reports topic."""

from __future__ import annotations

from pathlib import Path

import click
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from tally_stream.cli.common import (
    err,
    out,
    refuse,
    run_async,
    settings_of,
    warn,
    with_broker,
)
from tally_stream.settings import Settings


@click.command()
@click.argument("log", type=click.Path(path_type=Path, dir_okay=False))
@with_broker
def restore(log: Path, **flags: object) -> None:
    """Rebuild the reports topic from LOG, which `dump` saved: same partitions, offsets, timestamps and bytes.

    The topic must be there and empty, with the times of its records kept (`topics create --create-time`). Run again after
    a break, it goes on where it stopped; a topic that holds anything else is refused.

    Example: tally-stream restore reports-saved.jsonl.gz
    """
    settings = settings_of(**flags)

    from tally_stream.kafka.client import BrokerUnavailable, KafkaError
    from tally_stream.kafka.rights import spoken
    from tally_stream.station.restore import RestoreRefused
    from tally_stream.wire.report_log import LogError

    try:
        total, before = _restore(settings, log)
    except RestoreRefused as refused:
        refuse(spoken(line, settings, "Write") for line in refused.errors)
    except (LogError, BrokerUnavailable, KafkaError, OSError) as error:
        refuse([str(error)])
    note = f" ({before:,} were there already)" if before else ""
    out.print(f"{total:,} records stand in {settings.prefix}.reports, each as in {log}{note}", markup=False, soft_wrap=True)


def _restore(settings: Settings, path: Path) -> tuple[int, int]:
    """The topic is looked at first, which is quick; then the whole log, before anything of it is sent."""
    from tally_stream.station.restore import check_topic, partitions_of, read_whole
    from tally_stream.wire.report_log import ReportLog

    topic = f"{settings.prefix}.reports"
    log = ReportLog(path)
    partitions_of(log)

    async def look() -> None:
        from tally_stream.kafka.client import wait_for_broker

        await wait_for_broker(settings, warn)
        await check_topic(settings, topic, log)

    run_async(look())
    if log.topic != topic:
        warn(f"{path} was saved from {log.topic}: standings made from {topic} name that one")
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=err, disable=not err.is_terminal, transient=True) as progress:
        task = progress.add_task("reading", total=None)
        due = read_whole(log, lambda count: progress.update(task, completed=count))
        total = sum(due.next_offsets.values())
        progress.reset(task, description="restoring", total=total)

        async def send() -> int:
            from tally_stream.kafka.client import sender
            from tally_stream.station.restore import restore as send_log

            async with sender(settings) as producer:
                return await send_log(producer, settings, topic, log, due, lambda count: progress.update(task, completed=count))

        before = run_async(send())
    return total, before
