"""What the fields of a contest say together: whether its rule has them, and whether what they name is there.

Decides which fields only some rules have and which a rule needs, that seats and votes a ballot fit, and that candidates, levels
and areas that a rule names are those of the contest and the election. Looks at fields of any type, so that one that is broken
hides no other mistake. Refuses to know what a single field may say (`shape.py`) and where a contest comes from (`contests.py`).
Read next: `contests.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from typing import Any, get_args

from tally_stream.domain.contest import ContestRule
from tally_stream.wire.folder.toml import FieldPath

RULES = get_args(ContestRule)
FIELDS_OF_RULES: dict[str, tuple[str, ...]] = {
    "majority_base": ("majority", "referendum"),
    "majority": ("majority", "referendum"),
    "allocation": ("proportional",),
    "combinations": ("proportional",),
    "approval": ("referendum",),
    "quorum": ("referendum",),
    "double_majority": ("referendum",),
}
"""A contest's fields that only these rules have; where another one says them it is refused."""
_NEEDED = {"proportional": "allocation", "referendum": "approval"}
_OF_ONE_SEAT = {"majority": "a majority", "referendum": "a referendum"}
_OTHER_WAY = ("or_percent", "or_lead_percent")
"""Fields of `majority` that a referendum does not have."""

Wrong = Callable[[FieldPath, str], None]
"""Notes a mistake: the field, and what is wrong with it."""


def filled_from(defaults: dict[str, Any], own: dict[str, Any], *, has_candidates: bool) -> dict[str, Any]:
    """What a contest that says `own` has from the defaults: whole fields that it leaves out and its rule has, and of these what
    the rule has. `has_candidates`: those of candidates.csv come before a default."""
    rule = own.get("rule", defaults.get("rule"))
    found = {
        name: value
        for name, value in defaults.items()
        if name not in own
        and (name not in FIELDS_OF_RULES or rule in FIELDS_OF_RULES[name])
        and not (name == "candidates" and has_candidates)
    }
    majority = found.get("majority")
    if rule == "referendum" and isinstance(majority, dict):
        found["majority"] = {name: value for name, value in majority.items() if name not in _OTHER_WAY}
    return found


def check_own(own: dict[str, Any], rule: object, wrong: Wrong) -> None:
    """What holds of the fields that a contest states itself. `rule`: the one that it has in the end; None for
    [contest_defaults], which may have fields of any rule."""
    if rule in RULES:
        for name, rules in FIELDS_OF_RULES.items():
            if name in own and rule not in rules:
                wrong((name,), f"is not known to rule {rule}")
    majority = own.get("majority")
    if isinstance(majority, dict):
        given = [name for name in _OTHER_WAY if name in majority]
        if rule == "referendum":
            for name in given:
                wrong(("majority", name), "is not known to rule referendum")
        elif len(given) == 1:
            wrong(("majority",), "has one of or_percent and or_lead_percent: they go together")
    seen: set[str] = set()
    for j, candidate in enumerate(_list(own.get("candidates"))):
        id = candidate.get("id") if isinstance(candidate, dict) else None
        if isinstance(id, str):
            if id in seen:
                wrong(("candidates", j, "id"), f"{id!r} occurs twice")
            seen.add(id)
    _check_combinations(own, wrong)


def _check_combinations(own: dict[str, Any], wrong: Wrong) -> None:
    seen: set[str] = set()
    for i, together in enumerate(_list(own.get("combinations"))):
        if together == []:
            wrong(("combinations", i), "has no list")
        for member in _texts(together):
            if member in seen:
                wrong(("combinations", i), f"names {member[:80]!r} again: a list is in one of them at most")
            seen.add(member)


def check_seats(fields: dict[str, Any], wrong: Wrong) -> None:
    seats, what = fields.get("seats", 1), _OF_ONE_SEAT.get(str(fields.get("rule")))
    if what is not None and isinstance(seats, int) and seats > 1:
        wrong(("seats",), f"is {seats}: {what} is of one seat")


def check_needed(fields: dict[str, Any], wrong: Wrong) -> None:
    """Whether what its rule can not do without is there; of a contest with all that it was filled with."""
    rule = str(fields.get("rule"))
    name = _NEEDED.get(rule)
    if name is not None and name not in fields:
        wrong((name,), f"is missing: rule {rule} needs it")


def check_candidates_named(fields: dict[str, Any], ids: Collection[str], wrong: Wrong) -> None:
    """Whether a contest that has these candidates, with all that it was filled with, names no others, and has as many as it
    takes."""
    for where, id in _named(fields):
        if id not in ids:
            wrong(where, f"names {id[:80]!r}, no candidate of it")
    there = f"there is {len(ids)}" if len(ids) == 1 else f"there are {len(ids)}"
    if fields.get("rule") == "referendum" and len(ids) != 2:
        wrong(("candidates",), f"should be two in a referendum, {there}")
    most = fields.get("votes_per_ballot", 1)
    if isinstance(most, int) and most > max(len(ids), 1):
        wrong(("votes_per_ballot",), f"is {most}: a ballot has one vote a candidate at most, and {there}")


def _named(fields: dict[str, Any]) -> Iterator[tuple[FieldPath, str]]:
    """The candidates that a contest's fields name, and where."""
    for id in _texts([fields.get("approval")]):
        yield ("approval",), id
    for id in _texts(_inner(fields, "allocation", "exempt")):
        yield ("allocation", "exempt"), id
    for i, together in enumerate(_list(fields.get("combinations"))):
        for id in _texts(together):
            yield ("combinations", i), id


def check_level(own: dict[str, Any], published: list[str], wrong: Wrong) -> None:
    """Whether the level of a double majority is one of those published, which are given."""
    level = _inner(own, "double_majority", "level")
    if isinstance(level, str) and level not in published:
        known = f"those are {', '.join(published)}" if published else "there is none"
        wrong(("double_majority", "level"), f"is {level[:80]!r}, no published level ({known})")


def check_half_areas(
    own: dict[str, Any], published: list[str], root: str, there: Collection[tuple[str, ...]], wrong: Wrong
) -> None:
    """Whether the areas that count one half in a double majority are areas of its level, and have stations; `there` has the
    paths of all areas that do."""
    level = _inner(own, "double_majority", "level")
    if level not in published:
        return
    for area in _texts(_inner(own, "double_majority", "half")):
        first, *values = area.split("/")
        if first != root or len(values) != published.index(level) + 1 or tuple(values) not in there:
            wrong(("double_majority", "half"), f"names {area[:200]!r}, no area of level {level} with a polling station")


def _inner(fields: dict[str, Any], name: str, inner: str) -> Any:
    table = fields.get(name)
    return table.get(inner) if isinstance(table, dict) else None


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _texts(value: Any) -> list[str]:
    """Each once: naming one again says nothing more."""
    return list(dict.fromkeys(text for text in _list(value) if isinstance(text, str)))
