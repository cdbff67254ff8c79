"""`tally-stream verify`: what was published, recomputed from the log and compared byte for byte."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import click
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from tally_stream.audit.verified import verified
from tally_stream.audit.verify import Difference, Found, Verification
from tally_stream.cli.common import (
    ELECTION,
    EXIT_FAILED,
    LOG,
    err,
    open_election,
    out,
    refuse,
    run_async,
    settings_of,
    warn,
    with_broker,
)
from tally_stream.kafka.lost import lost_records
from tally_stream.settings import Settings
from tally_stream.wire.report_log import LogError, LogRecord, ReportLog

DIFFERENCES_SHOWN_MAX = 20


@click.command()
@click.argument("folder", metavar="DIR", type=ELECTION)
@click.argument("log", type=LOG, required=False)
@click.option("--standings", type=click.Path(path_type=Path, dir_okay=False),
              help="Messages to check, one a line, instead of the topic's.")  # fmt: skip
@click.option("--replace-definition", metavar="DIGEST", multiple=True,
              help="Pass over standings of this older definition; may be given again for each.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="The result as one JSON line.")
@with_broker
def verify(
    folder: str, log: Path | None, standings: Path | None, replace_definition: tuple[str, ...], as_json: bool, **flags: object
) -> None:
    """Recompute every standings message from the report log at the offsets it names, and compare byte for byte.

    Without LOG the log is read from the reports topic; an election folder stands for the log in it. Without --standings
    the messages are read from theirs. Exits 1 on any difference. After `worker --replace-definition`, the old definition's
    messages stay on the topic until it is compacted: name it here too. Where the definition demands or allows signatures each
    one is verified again, which takes most of the time (docs/signatures.md).

    Example: tally-stream verify az-2024 reports.jsonl.gz --standings standings.jsonl
    """
    election, _ = open_election(folder)
    settings = settings_of(**flags)
    replaced = frozenset(replace_definition)
    try:
        saved = None if log is None else ReportLog(log)
        if saved is not None:
            check = Verification(election, saved.topic, saved.partition_count, replaced)
        else:
            check = Verification(election, f"{settings.prefix}.reports", run_async(_partitions(settings)), replaced)
        if standings is not None:
            check.expect(_of_file(standings))
        else:
            run_async(_expect_topic(settings, check))
        if saved is not None:
            _fold_file(check, saved)
        else:
            run_async(_fold_topic(settings, check))
    except LogError as broken:
        refuse([str(broken)])
    except OSError as error:
        refuse([f"{error.filename or standings}: {error.strerror or error}"])
    except Exception as error:
        if not _is_kafka_trouble(error):
            raise
        refuse([str(error)])
    check.finish()
    _report(check, as_json)


def _is_kafka_trouble(error: Exception) -> bool:
    from tally_stream.kafka.client import BrokerUnavailable, KafkaError

    return isinstance(error, BrokerUnavailable | KafkaError)


def _report(check: Verification, as_json: bool) -> None:
    lines = _lines(check.differences)
    for line, _ in lines[:DIFFERENCES_SHOWN_MAX]:
        warn(line)
    if left := sum(count for _, count in lines[DIFFERENCES_SHOWN_MAX:]):
        warn(f"and {left:,} more differences")
    if check.ignored:
        warn(f"{check.ignored:,} standings messages of replaced definitions were passed over")
    counts = {"records": check.records, "compared": check.compared, "ignored": check.ignored,
              "different": len(check.differences)}  # fmt: skip
    if as_json:
        sys.stdout.write(json.dumps(counts) + "\n")
    elif not check.compared:
        warn("there are no standings to compare")
    elif not check.differences:
        out.print(f"{check.compared:,} standings messages equal what {check.records:,} records give, byte for byte")
    else:
        warn(f"{len(check.differences):,} of {check.compared:,} standings messages differ from what "
            f"{check.records:,} records give")  # fmt: skip
    sys.exit(EXIT_FAILED if check.differences or not check.compared else 0)


def _lines(differences: list[Difference]) -> list[tuple[str, int]]:
    """(line, how many differences it tells of). All messages of one other definition differ in the same: one line for them."""
    of_definition: dict[str, list[Difference]] = {}
    lines: list[tuple[str, int]] = []
    for difference in differences:
        if difference.other_definition:
            of_definition.setdefault(difference.other_definition, []).append(difference)
        else:
            lines.append((str(difference), 1))
    others = [
        (f"{found[0]} ({len(found):,} messages; where it was replaced on purpose: --replace-definition {digest})", len(found))
        for digest, found in of_definition.items()
    ]
    return [*others, *lines]


def _progress() -> Progress:
    return Progress(
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(),
        console=err, transient=True, disable=not err.is_terminal,
    )  # fmt: skip


def _of_file(path: Path) -> Iterator[Found]:
    with path.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            yield Found(f"{path}:{number}", None, line.rstrip(b"\n"))


async def _partitions(settings: Settings) -> int:
    from tally_stream.kafka.client import TopicReader, wait_for_broker

    await wait_for_broker(settings, warn)
    async with TopicReader(settings, f"{settings.prefix}.reports") as reader:
        return len(reader.partitions)


async def _expect_topic(settings: Settings, check: Verification) -> None:
    from tally_stream.kafka.client import TopicReader, wait_for_broker

    await wait_for_broker(settings, warn)
    topic = f"{settings.prefix}.standings"
    async with TopicReader(settings, topic) as reader:
        with _progress() as progress:
            task = progress.add_task("standings", total=sum(end for _, end in (await reader.bounds()).values()))
            async for records in reader.read_to_end():
                check.expect(Found(f"{topic}, offset {r.offset}", r.key, r.value) for r in records if r.value is not None)
                progress.update(task, completed=records[-1].offset + 1)


def _fold_file(check: Verification, log: ReportLog) -> None:
    with _progress() as progress:
        task = progress.add_task("records", total=None)
        for record, ahead in verified(check.folds, log):
            check.take(record, ahead)
            progress.advance(task)
    log.check_end()


async def _fold_topic(settings: Settings, check: Verification) -> None:
    from tally_stream.kafka.client import TopicReader

    async with TopicReader(settings, check.topic, is_log=True) as reader:
        bounds = await reader.bounds()
        next_offsets = dict.fromkeys(bounds, 0)
        with _progress() as progress:
            task = progress.add_task("records", total=sum(end for _, end in bounds.values()))
            async for records in reader.read_to_end():
                for r in records:
                    if r.offset != next_offsets[r.partition]:
                        raise LogError(lost_records(r.partition, next_offsets[r.partition], r.offset - 1))
                    next_offsets[r.partition] += 1
                logged = (LogRecord(r.timestamp_ms, r.key, r.value, r.partition, r.offset) for r in records)
                for record, ahead in verified(check.folds, logged):
                    check.take(record, ahead)
                progress.advance(task, len(records))
