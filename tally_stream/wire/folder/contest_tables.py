"""contests.csv and candidates.csv → what they say, row by row, with every mistake in a row.

Decides how a cell is written: as in TOML, tables as dotted columns, lists as JSON arrays; an empty cell says nothing.
Refuses to know whether a contest is right, and whether what a row names is there: `contests.py` does.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from tally_stream.domain.contest import Candidate
from tally_stream.domain.scalars import is_id
from tally_stream.wire.folder.shape import is_color
from tally_stream.wire.folder.table import Table, not_an_id

_INTEGER = re.compile(r"-?[0-9]{1,18}\Z", re.ASCII)
_NUMBER = re.compile(r"-?[0-9]{1,18}(\.[0-9]{1,18})?\Z", re.ASCII)


def _text(cell: str) -> Any:
    return cell


# What is not written as it should be stays a text: the model then says what it should be, as it does of election.toml.
def _integer(cell: str) -> Any:
    return int(cell) if _INTEGER.match(cell) else cell


def _number(cell: str) -> Any:
    return Decimal(cell) if _NUMBER.match(cell) else cell


def _boolean(cell: str) -> Any:
    return {"true": True, "false": False}.get(cell, cell)


def _list(cell: str) -> Any:
    try:
        found = json.loads(cell)
    except (ValueError, RecursionError):
        return cell
    return found if isinstance(found, list) else cell


_KINDS: dict[str, Callable[[str], Any]] = {
    "seats": _integer, "rule": _text, "rounding.method": _text, "rounding.places": _integer, "scope": _list,
    "votes_per_ballot": _integer, "group": _text, "majority_base": _text, "majority.percent": _number,
    "majority.at_least": _boolean, "majority.or_percent": _number, "majority.or_lead_percent": _number,
    "allocation.method": _text, "allocation.threshold_percent": _number, "allocation.threshold_base": _text,
    "allocation.exempt": _list, "allocation.tie": _text, "combinations": _list, "approval": _text,
    "quorum.percent": _number, "quorum.of": _text, "quorum.more_than": _boolean,
    "double_majority.level": _text, "double_majority.half": _list,
}  # fmt: skip
"""Every column of contests.csv but `id` and `name` → what a cell of it becomes."""
CONTEST_COLUMNS = ("id", "name", *_KINDS)


def contest_rows(table: Table) -> Iterator[tuple[int, dict[str, Any]]]:
    """Line, and the fields as TOML would have them."""
    for row in table.rows(("id", "name"), tuple(_KINDS), has_languages=True):
        fields: dict[str, Any] = {}
        for column, cell in zip(CONTEST_COLUMNS, row, strict=True):
            if not cell:
                continue
            name, _, inner = column.partition(".")
            value = _KINDS.get(column, _text)(cell)
            if inner:
                fields.setdefault(name, {})[inner] = value
            else:
                fields[name] = value
        yield table.line, fields


@dataclass(frozen=True)
class CandidateRow:
    line: int
    contest: str
    candidate: Candidate


def candidate_rows(table: Table) -> Iterator[CandidateRow]:
    """In plain code: there may be a million of them."""
    optional = ("party", "color", "eligible")
    for contest, id, name, party, color, eligible in table.rows(("contest", "id", "name"), optional, has_languages=True):
        if not is_id(id):
            table.wrong(f"id {not_an_id(id)}")
        if not name:
            table.wrong("name is missing")
        table.text("name", name)
        table.text("party", party)
        if color and not is_color(color):
            table.wrong("color is no color (# and six hexadecimal digits)")
        if eligible not in ("", "true", "false"):
            table.wrong(f"eligible is {eligible[:80]!r}, not true or false (empty: true)")
        yield CandidateRow(table.line, contest, Candidate(id, name, party or None, eligible != "false", color or None))
