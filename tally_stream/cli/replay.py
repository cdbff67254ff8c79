"""`tally-stream replay`: what a worker must have published, computed without one."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click

from tally_stream.audit.replay import replay as fold_log
from tally_stream.cli.common import (
    ELECTION,
    EXIT_USAGE,
    LOG,
    no_contest,
    open_election,
    out,
    recorded_night,
    refuse,
    warn,
    write_out,
)
from tally_stream.cli.view import CONTESTS_SHOWN_MAX, MORE_CONTESTS_AT, board, more_contests
from tally_stream.cli.view_group import group_tables
from tally_stream.domain.scalars import parse_time
from tally_stream.export.group_seats import groups_of
from tally_stream.wire.limits import INTEGER_MAX_DIGITS
from tally_stream.wire.messages import canonical_json
from tally_stream.wire.report_log import LogError


def _vector(text: str | None) -> dict[int, int] | None:
    if text is None:
        return None
    vector: dict[int, int] = {}
    for part in text.split(","):
        partition, _, offset = part.partition("=")
        if not (_is_whole_number(partition) and _is_whole_number(offset)):
            raise click.BadParameter(f"{part[:80]!r} is not partition=offset", param_hint="--at")
        if int(partition) in vector:
            raise click.BadParameter(f"partition {int(partition)} is named twice", param_hint="--at")
        vector[int(partition)] = int(offset)
    return vector


def _is_whole_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= INTEGER_MAX_DIGITS


@click.command()
@click.argument("folder", metavar="DIR", type=ELECTION)
@click.argument("log", type=LOG, required=False)
@click.option("--json", "as_json", is_flag=True, help="Standings messages, one a line: areas first, root last.")
@click.option("--verdicts", is_flag=True, help="Print the verdict counts on stderr as one JSON line.")
@click.option("--until", metavar="TIME", help="Stop before the first record whose log time is later (RFC 3339).")
@click.option("--at", metavar="P=OFFSET,…", help="Stop each partition at its offset.")
@click.option("--contest", help="Only this contest.")
@click.option("--channels", is_flag=True, help="With the votes of each way of voting, where the election has several.")
def replay(
    folder: str, log: Path | None, as_json: bool, verdicts: bool, until: str | None, at: str | None, contest: str | None,
    channels: bool,
) -> None:  # fmt: skip
    """Fold the report log LOG of the election in DIR, without Kafka.

    DIR is an election folder, or the name of a night that ships. Without LOG the folder's own recorded night is folded.
    Where the definition demands or allows signatures each one is verified again, which takes most of the time
    (docs/signatures.md).

    Example: tally-stream replay az-2024 --until 2024-02-08T03:13:00+04:00 --json
    """
    until_ms = None
    if until is not None:
        until_ms = parse_time(until)
        if until_ms is None:
            raise click.BadParameter(f"{until!r} is no RFC 3339 time with an offset", param_hint="--until")
    vector = _vector(at)
    election, directory = open_election(folder)
    indices = [i for i, c in enumerate(election.contests) if contest in (None, c.id)]
    if contest is not None and not indices:
        refuse([no_contest(contest, election)], EXIT_USAGE)
    try:
        result = fold_log(election, log or recorded_night(directory), until_ms=until_ms, at=vector)
    except LogError as broken:
        refuse([str(broken)])
    for index in indices if as_json else indices[:CONTESTS_SHOWN_MAX]:
        messages = result.messages(index)
        if as_json:
            for message in messages:
                write_out(canonical_json(message) + b"\n")
        else:
            out.print(board(messages[-1], election, has_channels=channels))
    if not as_json and contest is None:
        groups = groups_of(election)
        in_groups = {one.id for contests in groups.values() for one in contests}
        roots = {c.id: result.messages(i)[-1] for i, c in enumerate(election.contests) if c.id in in_groups}
        for table in group_tables(election, roots):
            out.print(table)
    refused = result.refusals.lines(result.record_count, "--verdicts has all counts")
    if not as_json:
        for line in [*more_contests(len(indices), CONTESTS_SHOWN_MAX, MORE_CONTESTS_AT), *refused]:
            out.print(line, markup=False, soft_wrap=True)
    sys.stdout.flush()
    if verdicts:  # says the same, to a program that may read nothing else there
        sys.stderr.write(json.dumps(result.verdict_counts(), separators=(",", ":")) + "\n")
    elif as_json:
        for line in refused:
            warn(line)
