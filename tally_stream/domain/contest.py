"""A contest of the definition: its candidates, and the rule that says who wins what.

Decides what can be said of one race, and its part of the digest. Refuses to know areas, stations and files; what comes of a
rule is decided in `outcome.py`. Read `election.py` next.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction
from typing import Any, Literal

ContestRule = Literal["majority", "plurality", "proportional", "referendum", "none"]
MajorityBase = Literal["valid", "cast"]
RoundingMethod = Literal["half-up", "truncate", "largest-remainder"]
SeatMethod = Literal["dhondt", "sainte-lague", "sainte-lague-1.4", "hare"]
ThresholdBase = Literal["valid", "valid-and-blank", "cast"]
SeatTie = Literal["nobody", "more-votes"]
QuorumOf = Literal["cast", "valid", "approval"]


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
class Allocation:
    """How a proportional contest shares its seats out: among the eligible lists that have `threshold_percent` of the base, or
    are `exempt` (ids). `tie`: whether of equal quotients the list with more votes is first; else the seat goes to nobody."""

    method: SeatMethod
    threshold_percent: Fraction = Fraction(0)
    threshold_base: ThresholdBase = "valid"
    exempt: tuple[str, ...] = ()
    tie: SeatTie = "nobody"


@dataclass(frozen=True)
class Quorum:
    """The share of the registered voters that cast or valid ballots or the votes for yes must reach, or pass (`more_than`)."""

    percent: Fraction
    of: QuorumOf
    more_than: bool = False


@dataclass(frozen=True)
class DoubleMajority:
    """More than half of the areas of a published level must approve too; `half`: ids of areas that count one half."""

    level: str
    half: tuple[str, ...] = ()


@dataclass(frozen=True)
class Contest:
    """One race. `candidate_ids` are in definition order, which breaks every tie; `eligible` are the places of those who
    can win. `majority` is there for the rule of that name and for a referendum, `majority_base` has no effect elsewhere;
    `allocation` is there for proportional contests, `approval` (the candidate that stands for yes) for referendums. `scope`:
    areas whose stations vote in it; () = all. `combinations` have ids of lists that are counted together. `group`: contests
    whose seats are looked at together have the same text."""

    id: str
    name: str
    seats: int
    rule: ContestRule
    majority_base: MajorityBase
    majority: Majority | None
    rounding: Rounding
    candidates: tuple[Candidate, ...]
    scope: tuple[str, ...] = ()
    votes_per_ballot: int = 1
    group: str | None = None
    allocation: Allocation | None = None
    combinations: tuple[tuple[str, ...], ...] = ()
    approval: str | None = None
    quorum: Quorum | None = None
    double_majority: DoubleMajority | None = None
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


def _allocation(a: Allocation | None) -> dict[str, Any] | None:
    if a is None:
        return None
    return {
        "method": a.method,
        "threshold_percent": canonical_number(a.threshold_percent),
        "threshold_base": a.threshold_base,
        "exempt": sorted(a.exempt),
        "tie": a.tie,
    }


def _quorum(q: Quorum | None) -> dict[str, Any] | None:
    return None if q is None else {"percent": canonical_number(q.percent), "of": q.of, "more_than": q.more_than}


def _double_majority(d: DoubleMajority | None) -> dict[str, Any] | None:
    return None if d is None else {"level": d.level, "half": sorted(d.half)}


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
        "votes_per_ballot": c.votes_per_ballot,
        "group": c.group,
        "allocation": _allocation(c.allocation),
        "combinations": sorted(sorted(together) for together in c.combinations),
        "approval": c.approval,
        "quorum": _quorum(c.quorum),
        "double_majority": _double_majority(c.double_majority),
        "candidates": [{"id": k.id, "name": k.name, "party": k.party, "eligible": k.eligible} for k in c.candidates],
    }
