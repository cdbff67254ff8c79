"""election.toml → its model, and its mistakes, each with its line.

Decides what a mistake says and in which line it stands, and whether fields fit each other. Refuses to know the tables
beside it, and which fields there are: `shape.py` has them. Read next: `tables.py`.
"""

from __future__ import annotations

import re
import tomllib
from decimal import Decimal
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from tally_stream.wire.folder.plain_stations import FIXED_COLUMNS
from tally_stream.wire.folder.shape import COUNTED_RULES, FIELDS_OF_RULES, NOT_COUNTED_YET, ElectionModel

_HEADER = re.compile(r"\s*(\[\[?)\s*([^\]]+?)\s*\]\]?\s*(?:#.*)?$")
_KEY = re.compile(r"""\s*(?:"([^"]*)"|'([^']*)'|([A-Za-z0-9_-]+))\s*=""")

_Path = tuple[str | int, ...]


def toml_lines(text: str) -> dict[_Path, int]:
    """Where tables and keys stand: path as in the parsed document → line, counted from 1."""
    lines: dict[_Path, int] = {(): 1}
    counts: dict[_Path, int] = {}
    table: _Path = ()
    for number, line in enumerate(text.splitlines(), start=1):
        header = _HEADER.match(line)
        if header and "=" not in header[2] and "," not in header[2]:
            path: _Path = ()
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


def line_of(path: _Path, lines: dict[_Path, int]) -> int:
    while path not in lines:
        path = path[:-1]
    return lines[path]


def _path_text(path: _Path) -> str:
    text = ""
    for part in path:
        text += f"[{part + 1}]" if isinstance(part, int) else f".{part}" if text else part
    return text


_SENTENCES = {"missing": "is missing", "extra_forbidden": "is not known here", "model_type": "is not a table"}


class Toml:
    """election.toml while it is checked: the parsed document, its lines and the mistakes found."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.errors: list[tuple[int, str]] = []
        self.document: dict[str, Any] = {}
        self.lines: dict[_Path, int] = {(): 1}
        self.model: ElectionModel | None = None
        try:
            text = path.read_bytes().decode("utf-8")
        except OSError as error:
            self.errors.append((1, f"cannot be read: {error.strerror}"))
            return
        except UnicodeDecodeError as error:
            self.errors.append((1, f"is not UTF-8 (byte {error.start})"))
            return
        self.lines = toml_lines(text)
        try:
            self.document = tomllib.loads(text, parse_float=Decimal)
        except (tomllib.TOMLDecodeError, ArithmeticError, ValueError, RecursionError) as error:
            at = re.search(r"\(at line (\d+), column \d+\)", str(error))
            self.errors.append((int(at[1]) if at else 1, f"is not TOML: {error}"))
            return
        try:
            self.model = ElectionModel.model_validate(self.document)
        except ValidationError as error:
            for item in error.errors(include_url=False):
                where = tuple(part for part in item["loc"] if part != "[key]")
                self.wrong(where, _not_counted_yet(where, item) or _SENTENCES.get(item["type"]) or _plain(item["msg"]))
        self._check_across()

    def wrong(self, path: _Path, what: str) -> None:
        self.errors.append((line_of(path, self.lines), f"{_path_text(path)} {what}"))

    def _tables(self, *names: str) -> list[dict[str, Any]]:
        found = self.document
        for name in names:
            value = found.get(name) if isinstance(found, dict) else None
            found = value if value is not None else {}
        return [t for t in found if isinstance(t, dict)] if isinstance(found, list) else []

    def _check_across(self) -> None:
        """What two fields say together; on the raw document, so that one broken field hides no other mistake."""
        areas = self.document.get("areas")
        levels = areas.get("levels") if isinstance(areas, dict) else None
        if isinstance(areas, dict) and isinstance(levels, list):
            depth = areas.get("publish_depth")
            if isinstance(depth, int) and depth > len(levels):
                self.wrong(("areas", "publish_depth"), f"is {depth}, there are {len(levels)} levels")
            for name in _twice([x for x in levels if isinstance(x, str)]):
                self.wrong(("areas", "levels"), f"names {name!r} twice")
            for name in levels:
                if name in FIXED_COLUMNS:
                    self.wrong(("areas", "levels"), f"names {name!r}, a column of its own in stations.csv")
        candidates_of: dict[Any, set[Any]] = {}
        contests = self._tables("contests")
        for i, contest in enumerate(contests):
            rows = contest.get("candidates")
            ids = [c.get("id") for c in rows if isinstance(c, dict)] if isinstance(rows, list) else []
            if isinstance(contest.get("id"), str):
                if contest["id"] in candidates_of:
                    self.wrong(("contests", i, "id"), f"{contest['id']!r} occurs twice")
                candidates_of[contest["id"]] = {x for x in ids if isinstance(x, str)}
            for j, candidate in enumerate(ids):
                if isinstance(candidate, str) and candidate in ids[:j]:
                    self.wrong(("contests", i, "candidates", j, "id"), f"{candidate!r} occurs twice")
            self._check_rule(i, contest)
        for i, poll in enumerate(self._tables("exit_polls")):
            of = poll.get("contest")
            if isinstance(of, str) and of not in candidates_of:
                self.wrong(("exit_polls", i, "contest"), f"{of!r} is no contest")
            elif isinstance(of, str) and isinstance(poll.get("shares"), dict):
                for candidate in poll["shares"]:
                    if candidate not in candidates_of[of]:
                        self.wrong(("exit_polls", i, "shares"), f"name {candidate!r}, no candidate of {of}")
        self._check_bound()
        places = [(s.get("partition"), s.get("offset")) for s in self._tables("skip")]
        for i, place in enumerate(places):
            if place in places[:i]:
                self.wrong(("skip", i), f"names partition {place[0]}, offset {place[1]} twice")

    def _check_rule(self, i: int, contest: dict[str, Any]) -> None:
        """What a contest says beside its rule."""
        rule, seats, majority = contest.get("rule"), contest.get("seats", 1), contest.get("majority")
        for name, rules in FIELDS_OF_RULES.items():
            if name in contest and rule in COUNTED_RULES and rule not in rules:
                self.wrong(("contests", i, name), f"is not known to rule {rule}")
        if rule == "majority" and isinstance(seats, int) and seats > 1:
            self.wrong(("contests", i, "seats"), f"is {seats}: a majority is of one seat")
        if isinstance(majority, dict) and ("or_percent" in majority) != ("or_lead_percent" in majority):
            self.wrong(("contests", i, "majority"), "has one of or_percent and or_lead_percent: they go together")

    def _check_bound(self) -> None:
        checks = self.document.get("checks")
        if not isinstance(checks, dict):
            return
        bound, most = checks.get("bound_register_percent", 150), checks.get("A3_register_percent", 102)
        if all(isinstance(x, int | Decimal) and Decimal(x).is_finite() for x in (bound, most)) and bound < most:
            self.wrong(("checks", "bound_register_percent"), f"is {bound}, below A3_register_percent ({most})")


def _not_counted_yet(where: _Path, item: Any) -> str | None:
    """The sentence for a field or a rule of the format that this version does not count; None of anything else."""
    name = where[-1] if where else None
    if item["type"] == "extra_forbidden" and (where == ("security",) or (where[0] == "contests" and len(where) == 3)):
        return None if (why := NOT_COUNTED_YET.get(str(name))) is None else f"is not counted: {why}"
    if name == "rule" and (why := NOT_COUNTED_YET.get(str(item["input"]))) is not None:
        return f"is {item['input']}: {why}"
    return None


def _plain(message: str) -> str:
    for start in ("Value error, ", "Input should be "):
        if message.startswith(start):
            rest = message.removeprefix(start)
            return rest if start == "Value error, " else "should be " + rest
    return message[:1].lower() + message[1:]


def _twice(values: list[str]) -> list[str]:
    return sorted({value for value in values if values.count(value) > 1})
