"""How a converted set is written: the election folder's files, and its night as a recorded log.

Decides the order of the night: stations report in an order that mixes all areas, each on all its contests one after the
other, later days behind earlier ones; ten statements a second. The same set gives the same bytes. Refuses to know what any
figure means; see `conversions.py`.
"""

from __future__ import annotations

import datetime
import shutil
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tally_stream.elections.night import milliseconds, report_log, table
from tests.ballots.source import Ballots, Row

Statement = dict[str, Any]
STATEMENTS_A_SECOND = 10
LOG_NAME = "reports.jsonl"


@dataclass(frozen=True)
class Made:
    """A set as the product reads it. `head` is election.toml; `contests` are rows of contests.csv, none where they stand in
    election.toml; `stations` are rows of stations.csv, none where the set's own file says it all; `scopes` are (contest,
    station); `party` is what a party is called that stands under other names in places."""

    head: str
    ballots: Ballots
    contests: list[Row]
    statements: Iterable[Statement]
    stations: list[Row] = field(default_factory=list)
    scopes: list[tuple[str, str]] = field(default_factory=list)
    party: dict[str, str] = field(default_factory=dict)


def write(made: Made, directory: Path) -> Path:
    """Every file of the folder and its log into `directory`; the log."""
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "election.toml").write_text(made.head, encoding="utf-8")
    if made.stations:
        _write_rows(directory / "stations.csv", made.stations)
    else:
        shutil.copyfile(made.ballots.folder / "stations.csv.gz", directory / "stations.csv.gz")
    if made.contests:
        _write_rows(directory / "contests.csv", made.contests)
    _write_rows(
        directory / "candidates.csv",
        [
            {"contest": r["contest"], "id": r["candidate"], "name": r["name"], "party": made.party.get(r["party"], r["party"])}
            for r in made.ballots.candidates
        ],
    )
    if made.scopes:
        (directory / "scopes.csv").write_bytes(table(("contest", "station_id"), made.scopes))
    log = directory / LOG_NAME
    log.write_bytes(report_log(in_log_order(made.statements)))
    return log


def _write_rows(path: Path, rows: Sequence[Row]) -> None:
    path.write_bytes(table(tuple(rows[0]), (tuple(row.values()) for row in rows)))


def in_log_order(statements: Iterable[Statement]) -> Iterator[tuple[int, Statement]]:
    """(log time in ms, statement): each second ten of those that were made by then."""
    ordered = sorted(statements, key=lambda r: (_made_at(r), zlib.crc32(r["station"].encode()), r["station"]))
    for number, statement in enumerate(ordered):
        made_at = datetime.datetime.fromisoformat(_made_at(statement))
        yield milliseconds(made_at) + number * 1_000 // STATEMENTS_A_SECOND, statement


def _made_at(statement: Statement) -> str:
    found: str = statement["as_of"] if statement["kind"] == "turnout" else statement["counted_at"]
    return found
