"""election.toml → its model, and its mistakes, each with its line.

Decides what a mistake says and in which line it stands, and whether fields fit each other. Refuses to know the tables
beside it, which fields there are (`shape.py`), and what its contests are: `contests.py` has them with those of the tables.
Read next: `contests.py`.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Collection, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from tally_stream.domain.scalars import is_id
from tally_stream.wire.folder.shape import ElectionModel
from tally_stream.wire.folder.stations import OWN_COLUMNS
from tally_stream.wire.folder.table import Mistake

_HEADER = re.compile(r"\s*(\[\[?)\s*([^\]]+?)\s*\]\]?\s*(?:#.*)?$")
_KEY = re.compile(r"""\s*(?:"([^"]*)"|'([^']*)'|([A-Za-z0-9_-]+))\s*=""")

FieldPath = tuple[str | int, ...]
"""A field of a document: keys, and places in lists counted from 0."""


def toml_lines(text: str) -> dict[FieldPath, int]:
    """Where tables and keys stand: path as in the parsed document → line, counted from 1."""
    lines: dict[FieldPath, int] = {(): 1}
    counts: dict[FieldPath, int] = {}
    table: FieldPath = ()
    for number, line in enumerate(text.splitlines(), start=1):
        header = _HEADER.match(line)
        if header and "=" not in header[2] and "," not in header[2]:
            path: FieldPath = ()
            names = [name.strip().strip("\"'") for name in header[2].split(".")]
            for position, name in enumerate(names):
                path = (*path, name)
                if position == len(names) - 1 and header[1] == "[[":
                    counts[path] = counts.get(path, -1) + 1
                if path in counts:
                    path = (*path, counts[path])
            table = path
            lines.setdefault(table, number)
            continue
        key = _KEY.match(line)
        if key:
            lines.setdefault((*table, key[1] or key[2] or key[3]), number)
    return lines


def line_of(path: FieldPath, lines: dict[FieldPath, int]) -> int:
    while path not in lines:
        path = path[:-1]
    return lines[path]


def field_text(path: FieldPath) -> str:
    text = ""
    for part in path:
        text += f"[{part + 1}]" if isinstance(part, int) else f".{part}" if text else part
    return text


_TIME = "2024-02-07T19:00:00+04:00"
_SENTENCES = {
    "missing": "is missing",
    "extra_forbidden": "is not known here",
    "model_type": "is not a table",
    "dict_type": "is not a table",
    "string_type": 'should be a text in quotation marks, as "North"',
    "int_type": "should be a whole number, as 2",
    "bool_type": "should be true or false",
    "list_type": 'should be a list in square brackets, as ["North"]',
    "datetime_type": f"should be a time without quotation marks, as {_TIME}",
    "timezone_aware": f"has no offset from UTC: write it as {_TIME}",
    "too_short": "has no entries",
}
"""What an error of pydantic means, by its type. Those that are not here are plain once their first word is cut off."""
_TABLES: dict[str | int, str] = {
    "contests": "contests", "candidates": "contests.candidates", "exit_polls": "exit_polls", "skip": "skip",
}  # fmt: skip
"""Fields that are lists of tables, and the header of each table."""

_LISTS: dict[str | int, str] = {
    "scope": '["AZ/041"]', "allocation": '["SSW"]', "combinations": '[["LIKUD", "RZP"]]', "double_majority": '["CH/OW"]',
}  # fmt: skip
"""Fields of a contest that are lists, or tables with one, and what such a list looks like."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def milliseconds(time: datetime) -> int:
    """Since 1970 UTC, cut off."""
    return (time - _EPOCH) // timedelta(milliseconds=1)


class Toml:
    """election.toml while it is checked: the parsed document, its lines, and the model where nothing in it is wrong."""

    def __init__(self, path: Path, mistakes: list[Mistake]) -> None:
        self.path = path
        self.document: dict[str, Any] = {}
        self.model: ElectionModel | None = None
        self.is_read = False
        """Whether it is TOML at all."""
        self._mistakes = mistakes
        self._lines: dict[FieldPath, int] = {(): 1}
        self._read()
        if not self.is_read:
            return
        try:
            self.model = ElectionModel.model_validate(self.document)
        except ValidationError as error:
            for item in error.errors(include_url=False):
                where = tuple(part for part in item["loc"] if part != "[key]")
                self.wrong(where, sentence_of(where, item))
        self._check_areas()
        self._check_bound()
        self._check_skips()

    def _read(self) -> None:
        try:
            text = self.path.read_bytes().decode("utf-8").removeprefix("\ufeff")
        except OSError as error:
            is_there = os.path.lexists(self.path)  # a link to nothing is
            self._mistakes.append(
                Mistake(self.path, 1, f"cannot be read: {error.strerror}") if is_there else Mistake(self.path, 0, "is missing")
            )
            return
        except UnicodeDecodeError as error:
            self._mistakes.append(Mistake(self.path, 1, f"is not UTF-8 (byte {error.start})"))
            return
        self._lines = toml_lines(text)
        try:
            self.document = tomllib.loads(text, parse_float=Decimal)
        except (tomllib.TOMLDecodeError, ArithmeticError, ValueError, RecursionError) as error:
            at = re.search(r"\(at line (\d+), column \d+\)", str(error))
            self._mistakes.append(Mistake(self.path, int(at[1]) if at else 1, f"is not TOML: {error}"))
            return
        self.is_read = True

    def place(self, path: FieldPath) -> tuple[int, str]:
        """The line of a field, and what it is called: of a contest whose id is known by that."""
        line = line_of(path, self._lines)
        if path[:1] == ("contests",) and len(path) > 1 and (id := self._contest_id(path[1])) is not None:
            return line, f"contest {id}: {field_text(path[2:])}".rstrip()
        return line, field_text(path)

    def _contest_id(self, index: int | str) -> str | None:
        rows = self.document["contests"]
        row = rows[index] if isinstance(rows, list) and isinstance(index, int) else None
        id = row.get("id") if isinstance(row, dict) else None
        return id if isinstance(id, str) and is_id(id) else None

    def wrong(self, path: FieldPath, what: str) -> None:
        line, name = self.place(path)
        self._mistakes.append(Mistake(self.path, line, f"{name} {what}".lstrip()))

    # -- what the tables are read with, whatever else is wrong -----------------------------------------------------

    @property
    def levels(self) -> list[str] | None:
        """None where they are no list."""
        areas = self.document.get("areas")
        levels = areas.get("levels") if isinstance(areas, dict) else None
        return [level for level in levels if isinstance(level, str)] if isinstance(levels, list) else None

    @property
    def level_columns(self) -> list[str] | None:
        """Those with which stations.csv can be read; None where no header could be right."""
        levels = self.levels
        if levels is None or len(levels) != len(self.document["areas"]["levels"]):
            return None
        return None if _twice(levels) or set(levels).intersection(OWN_COLUMNS) or "" in levels else levels

    @property
    def published_levels(self) -> list[str] | None:
        """Those with areas that have standings, outermost first; None where they are not known."""
        levels = self.level_columns
        depth = None if levels is None else self.document["areas"].get("publish_depth")
        return None if levels is None or not isinstance(depth, int) or not 0 <= depth <= len(levels) else levels[:depth]

    @property
    def root(self) -> str | None:
        areas = self.document.get("areas")
        root = areas.get("root") if isinstance(areas, dict) else None
        return root if isinstance(root, str) else None

    @property
    def closes_ms(self) -> int | None:
        closes = self.document.get("polls_close")
        return milliseconds(closes) if isinstance(closes, datetime) and closes.tzinfo is not None else None

    # -- what two fields say together; on the raw document, so that one broken field hides no other mistake ---------

    def _check_areas(self) -> None:
        areas, levels = self.document.get("areas"), self.levels
        if not isinstance(areas, dict) or levels is None:
            return
        depth = areas.get("publish_depth")
        if isinstance(depth, int) and depth > len(areas["levels"]):
            self.wrong(("areas", "publish_depth"), f"is {depth}, {_there_are(len(areas['levels']))}")
        for name in _twice(levels):
            self.wrong(("areas", "levels"), f"names {name!r} twice")
        for name in levels:
            if name in OWN_COLUMNS:
                self.wrong(("areas", "levels"), f"names {name!r}, a column of its own in stations.csv")

    def _check_bound(self) -> None:
        checks = self.document.get("checks")
        if not isinstance(checks, dict):
            return
        bound, most = checks.get("bound_register_percent", 150), checks.get("A3_register_percent", 102)
        if all(isinstance(x, int | Decimal) and Decimal(x).is_finite() for x in (bound, most)) and bound < most:
            self.wrong(("checks", "bound_register_percent"), f"is {bound}, below A3_register_percent ({most})")

    def _check_skips(self) -> None:
        places = [(s.get("partition"), s.get("offset")) for s in self._tables("skip")]
        for i, place in enumerate(places):
            if place in places[:i]:
                self.wrong(("skip", i), f"names partition {place[0]}, offset {place[1]} twice")

    def check_exit_polls(self, candidates_of: Mapping[str, Collection[str] | None], is_whole: bool) -> None:
        """Whether each is of a contest and of its candidates, None where they are not known. `is_whole`: there are no
        contests but these."""
        for i, poll in enumerate(self._tables("exit_polls")):
            of = poll.get("contest")
            if not isinstance(of, str):
                continue
            if of not in candidates_of:
                if is_whole:
                    self.wrong(("exit_polls", i, "contest"), f"{of!r} is no contest")
            elif (known := candidates_of[of]) is not None and isinstance(poll.get("shares"), dict):
                for candidate in poll["shares"]:
                    if candidate not in known:
                        self.wrong(("exit_polls", i, "shares"), f"name {candidate!r}, no candidate of {of}")

    def _tables(self, name: str) -> list[dict[str, Any]]:
        found = self.document.get(name)
        return [t for t in found if isinstance(t, dict)] if isinstance(found, list) else []


def sentence_of(where: FieldPath, item: Any, *, is_in_table: bool = False) -> str:
    """What an error of pydantic at a field means, in plain words. `is_in_table`: the field is a cell of contests.csv."""
    if item["type"] == "list_type" and where[0] in _LISTS:
        return f"should be a {'JSON array' if is_in_table else 'list in square brackets'}, as {_LISTS[where[0]]}"
    if item["type"] == "list_type" and where[-1] in _TABLES:
        return f"should be tables, each under [[{_TABLES[where[-1]]}]]"
    if item["type"] == "too_long":
        return f"has {item['ctx']['actual_length']} entries, at most {item['ctx']['max_length']}"
    return _SENTENCES.get(item["type"]) or _plain(item["msg"])


def _plain(message: str) -> str:
    return message.removeprefix("Value error, ").replace("Input should be ", "should be ", 1)


def _there_are(levels: int) -> str:
    return "there is 1 level" if levels == 1 else f"there are {levels} levels"


def _twice(values: list[str]) -> list[str]:
    return sorted({value for value in values if values.count(value) > 1})
