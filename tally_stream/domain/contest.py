"""A contest of the definition: its candidates, and the rule that says who wins what.

Decides what can be said of one race, and its part of the digest. Refuses to know areas, stations and files; what comes of a
rule is decided in `outcome.py`. Read `election.py` next.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction
from typing import Any, Literal

ContestRule = Literal["majority", "plurality", "none"]
MajorityBase = Literal["valid", "cast"]
RoundingMethod = Literal["half-up", "truncate", "largest-remainder"]


@dataclass(frozen=True)
class Candidate:
    """One who is not `eligible` counts in every base, and can win nothing (none of these). `color` is for pictures alone."""

    id: str
    name: str
    party: str | None = None
    eligible: bool = True
    color: str | None = None


@dataclass(frozen=True)
class Rounding:
    method: RoundingMethod
    places: int


@dataclass(frozen=True)
class Majority:
    """What wins: more votes than every other eligible candidate, and more than `percent` of the base (`at_least`: that much
    is enough); or, where `or_percent` stands, that much of the base and a lead of `or_lead_percent` of it."""

    percent: Fraction = Fraction(50)
    at_least: bool = False
    or_percent: Fraction | None = None
    or_lead_percent: Fraction | None = None


@dataclass(frozen=True)
class Contest:
    """One race. `candidate_ids` are in definition order, which breaks every tie; `eligible` are the places of those who
    can win. `majority` is there for the rule of that name alone, and `majority_base` has no effect elsewhere. `scope`: areas
    whose stations vote in it; () = all."""

    id: str
    name: str
    seats: int
    rule: ContestRule
    majority_base: MajorityBase
    majority: Majority | None
    rounding: Rounding
    candidates: tuple[Candidate, ...]
    scope: tuple[str, ...] = ()
    candidate_ids: tuple[str, ...] = field(init=False)
    eligible: tuple[int, ...] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "candidate_ids", tuple(c.id for c in self.candidates))
        object.__setattr__(self, "eligible", tuple(i for i, c in enumerate(self.candidates) if c.eligible))


def canonical_number(value: Fraction | Decimal | int) -> str:
    """A limit or a poll's share as exact text: equal numbers, however written, have equal text only for limits;
    a poll's share keeps the places it was published with."""
    return format(value, "f") if isinstance(value, Decimal) else str(value)


def _majority(m: Majority | None) -> dict[str, Any] | None:
    if m is None:
        return None
    return {
        "percent": canonical_number(m.percent),
        "at_least": m.at_least,
        "or_percent": None if m.or_percent is None else canonical_number(m.or_percent),
        "or_lead_percent": None if m.or_lead_percent is None else canonical_number(m.or_lead_percent),
    }


def canonical_contest(c: Contest) -> dict[str, Any]:
    """As plain JSON values (see docs/wire-format.md, "Digest")."""
    return {
        "id": c.id,
        "name": c.name,
        "seats": c.seats,
        "rule": c.rule,
        "majority_base": c.majority_base if c.majority else None,
        "majority": _majority(c.majority),
        "rounding": {"method": c.rounding.method, "places": c.rounding.places},
        "scope": sorted(c.scope),
        "candidates": [{"id": k.id, "name": k.name, "party": k.party, "eligible": k.eligible} for k in c.candidates],
    }
