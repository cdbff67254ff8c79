"""The contests of a folder, from election.toml and the tables beside it, each whole or with its mistakes.

Decides what a contest is in the end: its own fields, those of [contest_defaults] that it leaves out and its rule has, and its
candidates from the one place where they stand. Refuses to know what a field may say (`shape.py`), what fields say together
(`contest_rules.py`) and where a contest is held (`scopes.py`). Read next: `scopes.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from tally_stream.domain.contest import Candidate
from tally_stream.wire.folder.contest_rules import (
    check_candidates_named,
    check_half_areas,
    check_level,
    check_needed,
    check_own,
    check_seats,
    filled_from,
)
from tally_stream.wire.folder.contest_tables import candidate_rows, contest_rows
from tally_stream.wire.folder.shape import ContestModel
from tally_stream.wire.folder.table import Mistake, Table, is_language_column, text_mistake
from tally_stream.wire.folder.toml import FieldPath, Toml, field_text, sentence_of
from tally_stream.wire.limits import CANDIDATES_MAX, CONTESTS_MAX

NEVER_BY_DEFAULT = ("id",)
_NO_DEFAULTS = tuple((name,) for name in NEVER_BY_DEFAULT)


@dataclass
class StatedContest:
    """One contest as its file states it, while it is checked."""

    path: Path
    place: Callable[[FieldPath], tuple[int, str]]
    """A field of it → its line, and what it is called there."""
    own: dict[str, Any]
    """The fields that it states itself."""
    filled: dict[str, Any] = field(default_factory=dict)
    """Those that it has from [contest_defaults]."""
    candidates: list[Candidate] = field(default_factory=list)
    """Those of candidates.csv."""
    is_in_table: bool = False
    may_have_others: bool = False
    """Whether it may have candidates that could not be read."""
    model: ContestModel | None = None
    """What it is in the end; None where something is wrong with it."""

    @property
    def id(self) -> str | None:
        id = self.own.get("id")
        return id if isinstance(id, str) else None

    @property
    def line(self) -> int:
        return self.place(())[0]

    @property
    def fields(self) -> dict[str, Any]:
        """All that it says or is filled with."""
        return {**self.own, **self.filled}

    def candidate_ids(self) -> set[str] | None:
        """None where not all could be read."""
        rows = self.fields.get("candidates", [])
        if self.may_have_others or not isinstance(rows, list):
            return None
        listed = [row.get("id") if isinstance(row, dict) else None for row in rows]
        ids = {id for id in listed if isinstance(id, str)} | {candidate.id for candidate in self.candidates}
        return ids if all(isinstance(id, str) for id in listed) else None

    def scope(self) -> list[str] | None:
        """Where it is a list of texts; else None, and the model says so."""
        scope = self.fields.get("scope")
        return scope if isinstance(scope, list) and all(isinstance(area, str) for area in scope) else None


class Contests:
    """`stated` has all of them, those of election.toml first; `by_id` finds one. `is_whole`: what is not there is no
    contest, and not one that could not be read."""

    def __init__(self, toml: Toml, table: Path | None, candidates: Path | None, mistakes: list[Mistake]) -> None:
        self._toml = toml
        self._mistakes = mistakes
        self.stated = list(_in_toml(toml))
        given = toml.document.get("contests", [])
        self.is_whole = toml.is_read and isinstance(given, list) and len(self.stated) == len(given)
        if table is not None:
            rows = Table(table, mistakes)
            self.stated += _in_table(rows)
            self.is_whole = self.is_whole and rows.is_whole
        if not self.stated and self.is_whole:
            toml.wrong((), "contests is missing")
        if len(self.stated) > CONTESTS_MAX:
            mistakes.append(Mistake(self.stated[-1].path, self.stated[-1].line, f"more than {CONTESTS_MAX} contests"))
        self.is_whole = self.is_whole and all(stated.id is not None for stated in self.stated)
        self.by_id: dict[str, StatedContest] = {}
        for stated in self.stated:
            self._note(stated)
        self._default: StatedContest | None = None
        has_all_candidates = candidates is None or self._read_candidates(Table(candidates, mistakes))
        defaults = self._defaults()
        for stated in self.stated:
            is_unnamed = candidates is not None and stated.id is None  # its rows can not be told from those of no contest
            has_some = "candidates" in stated.own or stated.candidates
            stated.may_have_others = not has_all_candidates or (not has_some and (defaults is None or is_unnamed))
            self._check(stated, defaults)

    def candidate_ids(self) -> dict[str, set[str] | None]:
        """Contest id → the ids of its candidates, None where not all could be read."""
        return {id: stated.candidate_ids() for id, stated in self.by_id.items()}

    def _wrong(self, stated: StatedContest, where: FieldPath, what: str) -> None:
        line, name = stated.place(where)
        self._mistakes.append(Mistake(stated.path, line, f"{name} {what}"))

    def _note(self, stated: StatedContest) -> None:
        id = stated.id
        if id is None:
            return
        first = self.by_id.setdefault(id, stated)
        if first is not stated:
            where = "" if first.path == stated.path else f": it stands in {first.path.name}, line {first.line}, too"
            self._wrong(stated, ("id",), f"{id[:80]!r} occurs twice{where}")

    def _read_candidates(self, table: Table) -> bool:
        """Give each contest its own; whether all rows could be read."""
        refused: set[str] = set()
        seen: dict[str, set[str]] = {}
        for row in candidate_rows(table):
            stated = self.by_id.get(row.contest)
            if stated is None:
                if self.is_whole:
                    table.wrong(f"contest {row.contest[:80]!r} is no contest")
                continue
            if "candidates" in stated.own and row.contest not in refused:
                refused.add(row.contest)
                table.wrong(f"candidates of {row.contest} stand in {stated.path.name} too")
            ids = seen.setdefault(row.contest, set())
            if row.candidate.id in ids:
                table.wrong(f"candidate {row.candidate.id[:80]!r} of {row.contest} occurs twice")
            elif len(ids) == CANDIDATES_MAX:
                table.wrong(f"more than {CANDIDATES_MAX} candidates of {row.contest}")
            ids.add(row.candidate.id)
            stated.candidates.append(row.candidate)
        return table.is_whole

    # -- defaults --------------------------------------------------------------------------------------------------

    def _defaults(self) -> dict[str, Any] | None:
        """Those that may be used; what is wrong with one is said once, at its own line. None where they are not known."""
        given = self._toml.document.get("contest_defaults", {})
        if not self._toml.is_read or not isinstance(given, dict):
            return None  # the model of the file says that it is no table
        for name in NEVER_BY_DEFAULT:
            if name in given:
                self._toml.wrong(("contest_defaults", name), "is a contest's own")
        default = StatedContest(
            self._toml.path, lambda where: self._toml.place(("contest_defaults", *where)),
            {name: value for name, value in given.items() if name not in NEVER_BY_DEFAULT},
        )  # fmt: skip
        self._default = default
        self._take_out_languages(default)
        # What it leaves out each contest may say; and which rule its fields will meet is not known here.
        stand_ins = {"id": "X", "name": "", "rule": "majority", "rounding": {"method": "half-up", "places": 0}}
        wrong = partial(self._wrong, default)
        check_own(default.own, None, wrong)
        check_seats(default.own, wrong)
        self._check_level(default)
        self._validate(default, {**stand_ins, **default.own}, stand_ins.keys() - default.own.keys())
        return default.own

    # -- one contest -----------------------------------------------------------------------------------------------

    def _check(self, stated: StatedContest, defaults: dict[str, Any] | None) -> None:
        before = len(self._mistakes)
        self._take_out_languages(stated)
        own, known = stated.own, defaults or {}
        stated.filled = filled_from(known, own, has_candidates=bool(stated.candidates))
        fields, wrong = stated.fields, partial(self._wrong, stated)
        check_own(own, fields.get("rule"), wrong)
        if "seats" in own or "rule" in own:  # else [contest_defaults] has both, and it was said there
            check_seats(fields, wrong)
        if defaults is not None:
            check_needed(fields, wrong)
        if (ids := stated.candidate_ids()) and self._is_first(stated):
            check_candidates_named(fields, ids, wrong)
        self._check_level(stated)
        stated.model = self._validate(stated, fields, stated.filled.keys(), are_all_known=defaults is not None)
        self._check_candidates(stated)
        if len(self._mistakes) > before:
            stated.model = None

    def _is_first(self, stated: StatedContest) -> bool:
        return stated.id is None or self.by_id[stated.id] is stated

    def _check_level(self, stated: StatedContest) -> None:
        published = self._toml.published_levels
        if published is not None:
            check_level(stated.own, published, partial(self._wrong, stated))

    def check_half_areas(self, root: str, there: Collection[tuple[str, ...]]) -> None:
        """Whether areas of double majorities are there; `there` has the paths of all areas in which a station lies."""
        published = self._toml.published_levels
        if published is not None:
            for stated in (*([] if self._default is None else [self._default]), *self.stated):
                check_half_areas(stated.own, published, root, there, partial(self._wrong, stated))

    def _check_candidates(self, stated: StatedContest) -> None:
        """Whether there are any; of a contest that stands twice the first has them."""
        has_some = "candidates" in stated.own or "candidates" in stated.filled or stated.candidates
        if self._is_first(stated) and not has_some and not stated.may_have_others:
            which = "the contest" if stated.id is None else f"contest {stated.id[:80]!r}"
            where = "they stand in [[contests.candidates]] or in candidates.csv"
            self._mistakes.append(Mistake(stated.path, stated.line, f"{which} has no candidates ({where})"))

    def _take_out_languages(self, stated: StatedContest) -> None:
        """Names in other languages are texts, and no part of the definition: they are looked at and taken out."""
        rows = stated.own.get("candidates")
        stated.own = self._without_languages(stated, stated.own, ())
        if isinstance(rows, list):
            stated.own["candidates"] = [
                self._without_languages(stated, c, ("candidates", j)) if isinstance(c, dict) else c for j, c in enumerate(rows)
            ]

    def _without_languages(self, stated: StatedContest, fields: dict[str, Any], where: FieldPath) -> dict[str, Any]:
        for name in filter(is_language_column, fields):
            value = fields[name]
            mistake = text_mistake(value) if isinstance(value, str) else "is not a text"
            if mistake is not None:
                self._wrong(stated, (*where, name), mistake)
        return {name: value for name, value in fields.items() if not is_language_column(name)}

    def _validate(
        self, stated: StatedContest, fields: dict[str, Any], passed: Iterable[str], *, are_all_known: bool = True
    ) -> ContestModel | None:
        """The model; None, and mistakes of every field but those that are `passed`, where something is wrong. Where not
        `are_all_known`, a default that could not be read may give what seems to be missing."""
        try:
            return ContestModel.model_validate(fields)
        except ValidationError as error:
            of_others = set(passed)
            for item in error.errors(include_url=False):
                where = tuple(part for part in item["loc"] if part != "[key]")
                may_be_given = not are_all_known and item["type"] == "missing" and where not in _NO_DEFAULTS
                if (where and where[0] in of_others) or (len(where) == 1 and may_be_given):
                    continue
                self._wrong(stated, where, sentence_of(where, item, is_in_table=stated.is_in_table))
            return None


def _in_toml(toml: Toml) -> Iterable[StatedContest]:
    rows = toml.document.get("contests")
    for i, fields in enumerate(rows if isinstance(rows, list) else []):
        if isinstance(fields, dict):  # the model of the file says what the others are
            yield StatedContest(toml.path, partial(_place_in_toml, toml, i), fields)


def _in_table(table: Table) -> Iterable[StatedContest]:
    for line, fields in contest_rows(table):
        yield StatedContest(table.path, partial(_place_in_table, line), fields, is_in_table=True)


def _place_in_toml(toml: Toml, index: int, where: FieldPath) -> tuple[int, str]:
    return toml.place(("contests", index, *where))


def _place_in_table(line: int, where: FieldPath) -> tuple[int, str]:
    return line, field_text(where)
