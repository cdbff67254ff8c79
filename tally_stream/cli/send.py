"""`tally-stream send`: play a report log into Kafka."""

from __future__ import annotations

import asyncio
from pathlib import Path

import click
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from tally_stream.cli.common import (
    ELECTION,
    LOG,
    err,
    open_election,
    out,
    recorded_night,
    refuse,
    run_async,
    settings_of,
    warn,
    with_broker,
)
from tally_stream.domain.election import Election
from tally_stream.settings import Settings


@click.command()
@click.argument("folder", metavar="DIR", type=ELECTION)
@click.argument("log", type=LOG, required=False)
@with_broker
@click.option("--rate", type=click.FloatRange(min=0, min_open=True), help="Records a second; default: as fast as it goes.")
def send(folder: str, log: Path | None, rate: float | None, **flags: object) -> None:
    """Play the report log LOG of the election in DIR into the reports topic, acknowledged by all brokers.

    DIR is an election folder, or the name of a night that ships. Without LOG the folder's own recorded night is played.
    Run again after a break, it goes on where it stopped; a topic that holds anything else is refused.

    Example: tally-stream send az-2024 --rate 2000
    """
    settings = settings_of(**flags)
    election, directory = open_election(folder)
    out.print(send_night(settings, election, log or recorded_night(directory), rate), markup=False)


def send_night(settings: Settings, election: Election, log: Path, rate: float | None) -> str:
    """What stands there now, in a sentence; whatever hinders it is printed and exits 1."""
    from tally_stream.kafka.client import BrokerUnavailable, KafkaError
    from tally_stream.station.night import NightRefused
    from tally_stream.wire.report_log import LogError

    try:
        total, sent_before = run_async(_send(settings, election, log, rate))
    except (NightRefused, LogError, BrokerUnavailable, KafkaError, OSError) as error:
        refuse([str(error)])
    note = f" ({sent_before:,} were there already)" if sent_before else ""
    return f"{total:,} records stand in {settings.prefix}.reports{note}"


async def _send(settings: Settings, election: Election, log: Path, rate: float | None) -> tuple[int, int]:
    from tally_stream.kafka.client import TopicReader, sender, wait_for_broker
    from tally_stream.station.night import Night, Sending, already_sent, play

    await wait_for_broker(settings, warn)
    topic = f"{settings.prefix}.reports"
    async with TopicReader(settings, topic) as reader:
        partitions = len(reader.partitions)
    night = Night(election, log, partitions)
    sent = await already_sent(settings, topic, night)
    total = sum(1 for _ in night.log)
    loop = asyncio.get_running_loop()
    begin = loop.time()

    async def keep_rate(sending: Sending) -> None:
        assert rate is not None
        ahead = sending.index / rate - (loop.time() - begin)
        if ahead > 0.002:
            await asyncio.sleep(ahead)

    columns = (TextColumn("sending"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=err, disable=not err.is_terminal, transient=True) as progress:
        task = progress.add_task("sending", total=total)
        async with sender(settings) as producer:
            standing_count = await play(
                producer, topic, night, sent,
                wait=keep_rate if rate is not None else None,
                on_sent=lambda sending: progress.update(task, completed=sending.index + 1),
            )  # fmt: skip
    return standing_count, sum(sent.values())
