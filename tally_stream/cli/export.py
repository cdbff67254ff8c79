"""`tally-stream export`: one consistent set of standings in a format that others read, or nothing."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import IO, Any

import click

from tally_stream.cli.common import (
    ELECTION,
    EXIT_USAGE,
    LOG,
    has_log,
    no_contest,
    note,
    open_election,
    refuse,
    run_async,
    settings_of,
    warn,
    with_broker,
    write_out,
)
from tally_stream.cli.whole import read_until_whole
from tally_stream.domain.election import Election
from tally_stream.export.nist import nist_report
from tally_stream.export.nist_checks import nist_problems
from tally_stream.export.snapshot import ElectionSnapshot
from tally_stream.export.table import csv_channels, csv_table
from tally_stream.settings import Settings
from tally_stream.wire.folder.assembling import election_day
from tally_stream.wire.messages import canonical_json
from tally_stream.wire.report_log import LogError
from tally_stream.wire.schema.published import read_standings


@click.command()
@click.argument("folder", metavar="DIR", type=ELECTION)
@click.argument("log", type=LOG, required=False)
@click.option("--format", "form", type=click.Choice(["nist-err-v2", "csv", "csv-channels"]), required=True,
              help="NIST SP 1500-100 version 2 as JSON, a table, or a table of the votes of each way of voting.")  # fmt: skip
@click.option("--standings", type=click.File("rb"), metavar="FILE",
              help="Messages to export, one a line, instead of the topic's; - is standard input.")  # fmt: skip
@click.option("--contest", help="Only this contest.")
@with_broker
def export(folder: str, log: Path | None, form: str, standings: IO[bytes] | None, contest: str | None, **flags: object) -> None:
    """Write the newest standings of the election in DIR to standard output, in a format that others read.

    With LOG they are computed from a report log, or from the log in an election folder; with --standings they are messages
    saved before. What does not hold together, or fails the checks of the format, is not written.

    Example: tally-stream export az-2024 --format csv > az-2024.csv
    """
    if log is not None and standings is not None:
        raise click.UsageError("LOG and --standings exclude each other")
    election, directory = open_election(folder)
    snapshot = ElectionSnapshot(election, [c for c in election.contests if contest in (None, c.id)])
    snapshots = snapshot.contests
    if contest is not None and not snapshots:
        refuse([no_contest(contest, election)], EXIT_USAGE)
    if standings is not None:
        _of_file(snapshot, standings)
    elif log is not None:
        _of_log(snapshot, election, log)
    else:
        without = f"without Kafka, from a report log: tally-stream export {folder} {folder if has_log(directory) else 'LOG'}"
        _of_topic(snapshot, settings_of(**flags), without)
    problems = [problem for of_contest in snapshots for problem in of_contest.problems()]
    if problems:
        refuse([f"not exported: {problem}" for problem in problems])
    if form != "nist-err-v2":
        content = (csv_table if form == "csv" else csv_channels)(snapshots).encode()
    else:
        report = nist_report(snapshots, election_day(directory), time.time_ns() // 1_000_000)
        broken = nist_problems(report)
        if broken:
            refuse([f"not exported: {problem}" for problem in broken])
        content = canonical_json(report) + b"\n"
    write_out(content)
    sys.stdout.flush()


def _of_file(snapshot: ElectionSnapshot, file: IO[bytes]) -> None:
    for number, line in enumerate(file, 1):
        try:
            snapshot.take(read_standings(line))
        except ValueError as error:
            refuse([f"{file.name}:{number}: {error}"])


def _of_log(snapshot: ElectionSnapshot, election: Election, log: Path) -> None:
    from tally_stream.audit.replay import replay

    try:
        result = replay(election, log)
    except LogError as broken:
        refuse([str(broken)])
    for of_contest in snapshot.contests:
        index = election.contest_index(of_contest.contest.id)
        for message in result.messages(index or 0):
            snapshot.take(read_standings(canonical_json(message)))


def _of_topic(snapshot: ElectionSnapshot, settings: Settings, without: str) -> None:
    from tally_stream.kafka.client import BrokerUnavailable, KafkaError

    try:
        run_async(_read_topic(snapshot, settings, without))
    except (BrokerUnavailable, KafkaError, OSError) as error:
        refuse([str(error)])


async def _read_topic(snapshot: ElectionSnapshot, settings: Settings, without: str) -> None:
    """To the end found at the start; then on, until every area of each contest that has begun is there. `without`: what to do
    where there is no broker, said once a broker has not answered."""
    from tally_stream.kafka.client import TopicReader, wait_for_broker

    hints = [without]

    def tell(line: str) -> None:
        warn(line)
        if hints:
            note(hints.pop())

    await wait_for_broker(settings, tell)
    topic = f"{settings.prefix}.standings"

    def take(records: Iterable[Any]) -> None:
        for record in records:
            if record.value is None:
                continue
            try:
                snapshot.take(read_standings(record.value))
            except ValueError as error:  # one stray record on the topic must not end all exports for ever
                warn(f"passed over {topic}, offset {record.offset}: {error}")

    async with TopicReader(settings, topic) as reader:
        async for records in reader.read_to_end():
            take(records)
        await read_until_whole(reader, take, lambda: snapshot.is_whole)
