"""A table of reports (CSV), one row a station and contest: `COLUMNS`, and a column for each candidate, named by its id.

Decides what separates the cells (comma, semicolon or tab, whichever the header has most of; Excel's line `sep=;` too) and
what a cell may be: a figure is digits alone, an empty cell is unknown, never 0. Refuses to know whether the figures fit.
"""

from __future__ import annotations

import csv
import io
import re
from typing import Any

from tally_stream.domain.election import Election
from tally_stream.domain.report import COUNT_KINDS
from tally_stream.station.entry_values import Entered, EntryMistake
from tally_stream.wire.folder.table import SHOWN_MAX_CHARS, without_edges

BALLOT_COLUMNS = ("cast", "valid", "blank", "invalid", "undervotes", "overvotes")
COUNT_COLUMNS = ("revision", "registered", "replaces", "voted")
TEXT_COLUMNS = ("station", "contest", "kind", "counted_at", "as_of", "reason", "authority")
COLUMNS = (*TEXT_COLUMNS, *COUNT_COLUMNS, "complete", *BALLOT_COLUMNS)

_SEPARATORS = ",;\t"
_COUNT = re.compile(r"[0-9]{1,9}\Z", re.ASCII)
_TRUTH = {"true": True, "false": False}
_CANDIDATES_SHOWN = 12


def read_table(name: str, text: str, election: Election) -> tuple[list[Entered], list[EntryMistake]]:
    table = _Table(name, text, election)
    try:
        table.read()
    except csv.Error as error:
        table.wrong(0, f"not CSV: {error}")
    return table.entries, table.mistakes


class _Table:
    """`read` once; then `entries` and `mistakes`."""

    def __init__(self, name: str, text: str, election: Election) -> None:
        self.entries: list[Entered] = []
        self.mistakes: list[EntryMistake] = []
        self._name = name
        self._text = text
        self._line = 1
        self._candidates = {candidate for contest in election.contests for candidate in contest.candidate_ids}

    def wrong(self, column: int, what: str) -> None:
        self.mistakes.append(EntryMistake(self._name, self._line, column, what))

    def read(self) -> None:
        first, _, rest = self._text.partition("\n")
        told = re.fullmatch(r"\"?sep=([,;\t])\"?\r?", first)
        if told:
            self._text, self._line = rest, 2
        skipped = self._line - 1
        header_line = self._text.partition("\n")[0]
        separator = told[1] if told else max(_SEPARATORS, key=header_line.count)
        rows = csv.reader(io.StringIO(self._text, newline=""), delimiter=separator, strict=True)
        header = [without_edges(cell) for cell in next(rows, [])]
        while header and not header[-1]:
            header.pop()  # a spreadsheet's empty columns
        if not self._is_right(header):
            return
        self._line = skipped + rows.line_num + 1
        columns = {name: column for column, name in enumerate(header, 1)}
        for row in rows:
            cells = [without_edges(cell) for cell in row]
            if any(cells):
                self._take(header, columns, cells)
            self._line = skipped + rows.line_num + 1

    def _is_right(self, header: list[str]) -> bool:
        for column, name in enumerate(header, 1):
            if name not in COLUMNS and name not in self._candidates:
                self.wrong(column, f"unknown column {name[:SHOWN_MAX_CHARS]!r}: it is neither a candidate's id nor one of "
                                   f"{', '.join(COLUMNS)}; the candidates are {self._some_candidates()}")  # fmt: skip
            elif name in header[: column - 1]:
                self.wrong(column, f"the column {name!r} stands twice")
        if "station" not in header and not self.mistakes:
            self.wrong(0, "the first line names no column 'station'")
        return not self.mistakes

    def _some_candidates(self) -> str:
        some = sorted(self._candidates)
        return ", ".join(some[:_CANDIDATES_SHOWN]) + (", …" if len(some) > _CANDIDATES_SHOWN else "")

    def _take(self, header: list[str], columns: dict[str, int], cells: list[str]) -> None:
        if any(cells[len(header) :]) or len(cells) < len(header):
            self.wrong(0, f"{len(cells)} cells, the first line has {len(header)}: a text with a separator in it stands in "
                          "quotation marks, a figure has none")  # fmt: skip
            return
        fields: dict[str, Any] = {}
        ballots: dict[str, int] = {}
        votes: dict[str, int] = {}
        before = len(self.mistakes)
        for column, (name, cell) in enumerate(zip(header, cells, strict=False), 1):
            if not cell:
                continue
            if name in TEXT_COLUMNS:
                fields[name] = cell
            elif name == "complete":
                self._truth(column, cell, fields)
            else:
                into = ballots if name in BALLOT_COLUMNS else fields if name in COUNT_COLUMNS else votes
                self._count(column, name, cell, into)
        if len(self.mistakes) > before:
            return
        is_count = fields.get("kind", "report") in COUNT_KINDS
        if ballots or is_count:
            fields["ballots"] = ballots
        if votes or is_count:
            fields["votes"] = votes
        self.entries.append(Entered(fields, self._name, self._line, columns))

    def _truth(self, column: int, cell: str, fields: dict[str, Any]) -> None:
        truth = _TRUTH.get(cell.lower())
        if truth is None:
            self.wrong(column, f"complete is {cell[:SHOWN_MAX_CHARS]!r}, not true or false")
        else:
            fields["complete"] = truth

    def _count(self, column: int, name: str, cell: str, into: dict[str, Any]) -> None:
        if _COUNT.match(cell):
            into[name] = int(cell)
        else:
            self.wrong(column, f"{name} is {cell[:SHOWN_MAX_CHARS]!r}, not a whole number in digits alone (empty: unknown)")
