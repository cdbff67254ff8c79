"""`tally-stream held`: the authority's desk on a terminal: held and disputed stations, oldest first, and what each needs.

Decides the form. Which cases are open, and what would settle them, is in `export/desk.py`; the log is folded here, by itself.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import click
from rich.table import Table
from rich.text import Text

from tally_stream.audit.replay import Replay
from tally_stream.cli.common import (
    ELECTION,
    EXIT_USAGE,
    chosen_election,
    no_contest,
    no_such,
    out,
    refuse,
    run_async,
    settings_of,
    with_broker,
)
from tally_stream.domain.election import Election
from tally_stream.domain.ledger import Verdict
from tally_stream.export.desk import CasePlace, Desk, figures_side_by_side, in_force_said
from tally_stream.settings import Settings
from tally_stream.wire.reading import ReportReader
from tally_stream.wire.report_log import LogError, LogRecord
from tally_stream.wire.signed import statement_in

CASES_SHOWN_MAX = 50
FIGURES_SHOWN_MAX = 40


@click.command("held")
@click.option("--election", type=ELECTION, metavar="DIR", help="Election folder or a night that ships [TALLY_ELECTION].")
@with_broker
@click.option("--contest", metavar="ID", help="Only this contest.")
@click.option("--station", metavar="ID", help="Only this station.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a case.")
def list_cases(election: str | None, contest: str | None, station: str | None, as_json: bool, **flags: object) -> None:
    """Stations whose report is held, or of which two statements contradict each other, oldest first.

    Each with the rules that hold it, its figures beside those in force, and the command for each way to settle it.

    Example: tally-stream held --election az-2024 --contest PRES
    """
    settings = settings_of(election=election, **flags)
    definition = chosen_election(settings)
    index = None if contest is None else definition.contest_index(contest)
    if contest is not None and index is None:
        refuse([no_contest(contest, definition)], EXIT_USAGE)
    if station is not None and station not in definition.stations:
        refuse([no_such(station, "station", definition.id, definition.stations)], EXIT_USAGE)

    from tally_stream.kafka.client import BrokerUnavailable, KafkaError

    try:
        found = run_async(_cases(settings, definition, index, station))
    except (LogError, BrokerUnavailable, KafkaError, OSError) as error:
        refuse([str(error)])
    if as_json:
        for case in found:
            sys.stdout.write(json.dumps(case, ensure_ascii=False) + "\n")
        return
    show(found)


held = list_cases
"""The command by its name, as `main.py` looks for it."""


async def _cases(settings: Settings, election: Election, contest: int | None, station: str | None) -> list[dict[str, Any]]:
    from tally_stream.cli.folding import fold_reports, partitions_of_reports

    desk, reader = Desk(election), ReportReader(election)

    def judged(replay: Replay, record: LogRecord, verdict: Verdict) -> None:
        if desk.concerns(record.key, verdict):
            place = CasePlace(record.partition, record.offset, record.timestamp_ms)
            desk.take(replay.folds[record.partition], place, reader.read(statement_in(record.value), record.key), verdict)

    partitions = await partitions_of_reports(settings)
    replay = await fold_reports(settings, election, partitions, judged)
    return desk.cases(replay.folds, contest, station)


def show(cases: list[dict[str, Any]]) -> None:
    """For a person: a block a case."""
    if not cases:
        out.print("no report is held, and no station is disputed")
        return
    for case in cases[:CASES_SHOWN_MAX]:
        for line in _head(case):
            out.print(Text(line), soft_wrap=True)
        rows = figures_side_by_side(case)
        if rows:
            out.print(_figures(case, rows))
        for need in case["needs"]:
            out.print(Text(f"  · {need['what']}" + (f": {need['command']}" if need["command"] else "")), soft_wrap=True)
        out.print()
    more = len(cases) - CASES_SHOWN_MAX
    out.print(
        f"{len(cases):,} {'case' if len(cases) == 1 else 'cases'}"
        + (f", {more:,} not shown: --json has all" if more > 0 else "")
    )


def _head(case: dict[str, Any]) -> list[str]:
    state = "annulled, " if case["is_annulled"] else ""
    what = " and ".join(word for word, is_so in (("held", case["held"]), ("disputed", case["is_disputed"])) if is_so)
    lines = [f"{case['station']} {case['name']}, {case['area']}, {case['contest']}: {state}{what} since {case['since']}"]
    lines += [f"  {code['code']}: {code['message']}" for code in case["codes"]]
    if case["is_disputed"]:
        other = case["other"]
        revision = "" if other is None else f" under revision {other['revision']}"
        lines.append(f"  Q3: two different statements{revision}; the first in the log stands")
    return lines


def _figures(case: dict[str, Any], rows: list[tuple[str, int | None, int | None]]) -> Table:
    after = case["held"] or case["other"]
    table = Table(expand=False)
    table.add_column("figure", no_wrap=True)
    word = "held" if case["held"] else "refused"
    for head in (in_force_said(case), f"{word} (revision {after['revision']})", "difference"):
        table.add_column(head, justify="right", no_wrap=True)
    for name, left, right in rows[:FIGURES_SHOWN_MAX]:
        difference = "" if left is None or right is None else f"{right - left:+,}" if right != left else "0"
        table.add_row(Text(name), *("–" if figure is None else f"{figure:,}" for figure in (left, right)), difference)
    if len(rows) > FIGURES_SHOWN_MAX:
        table.add_row(f"and {len(rows) - FIGURES_SHOWN_MAX} more", "", "", "")
    return table
