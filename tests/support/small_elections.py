"""Small elections, statements with good figures, and a night that takes them one by one.

Every default is unremarkable: no rule fires on `report()` at `election()`. A test changes what it is about.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Any

from tally_stream.domain.contest import Candidate, Contest, ContestRule, Majority, MajorityBase, Rounding, RoundingMethod
from tally_stream.domain.counted import Counted
from tally_stream.domain.election import Checks, Election, ExitPoll, Phase, Station, build_election
from tally_stream.domain.fold import PartitionFold
from tally_stream.domain.ledger import Change, Verdict
from tally_stream.domain.report import Control, Report, Turnout, UnsignedStatement
from tally_stream.domain.rules import Finding
from tally_stream.domain.standings import MergedFigures, Message
from tests.support.report_fields import REPORT_FIELDS

CLOSE = "2024-02-07T19:00:00+04:00"
CLOSE_MS = 1_707_318_000_000
COUNTED_AT = "2024-02-07T20:00:00+04:00"
COUNTED_MS = CLOSE_MS + 3_600_000
TOPIC = "tally.reports"


StationRow = tuple[str, str, int | None, int | None, tuple[str, ...]]


def contest(
    id: str = "PRES",
    candidates: Sequence[str] = ("ANNA", "BELA"),
    *,
    seats: int = 1,
    rule: ContestRule = "majority",
    base: MajorityBase = "valid",
    method: RoundingMethod = "half-up",
    places: int = 2,
    majority: Majority | None = None,
    ineligible: Sequence[str] = (),
    **others: Any,
) -> Contest:
    return Contest(
        id, id.title(), seats, rule, base,
        (majority or Majority()) if rule in ("majority", "referendum") else None, Rounding(method, places),
        tuple(Candidate(c, c.title(), eligible=c not in ineligible) for c in candidates), **others,
    )  # fmt: skip


def counted(
    votes: Sequence[int], base: int | None, bound: int | None, untold: int = 0, contradicted: int = 0, **others: Any
) -> Counted:
    """As many valid ballots as cast ones, unless told; no register."""
    total = sum(votes) if base is None else base
    return Counted(**{
        "votes": votes, "valid": total, "cast": base, "blank": 0, "registered": None, "bound": bound, "untold": untold,
        "contradicted": contradicted, **others,
    })  # fmt: skip


def station(
    id: str = "A-1", registered: int | None = 200, expected: int | None = None, path: tuple[str, ...] = ()
) -> StationRow:
    return (id, f"School {id}", registered, expected, path)


def election(
    stations: Iterable[StationRow] = (),
    contests: Iterable[Contest] = (),
    *,
    levels: tuple[str, ...] = (),
    depth: int = 0,
    phase: Phase = "official",
    polls: Iterable[ExitPoll] = (),
    named: Mapping[str, Iterable[str]] | None = None,
    closings: Mapping[str, int] | None = None,
    channels: Mapping[str, str] | None = None,
    **checks: int | Fraction,
) -> Election:
    return build_election(
        id="X-2024",
        name="An election",
        phase=phase,
        polls_close_ms=CLOSE_MS,
        root="X",
        root_name="Everywhere",
        levels=levels,
        publish_depth=depth,
        contests=tuple(contests) or (contest(),),
        exit_polls=polls,
        checks=Checks(**checks),  # type: ignore[arg-type]  # names are the test's own
        stations=tuple(stations) or (station(),),
        named_stations=named,
        closings=closings,
        channels=channels,
    )


_stubs: dict[str, Station] = {}


def _stub(id: str) -> Station:
    """Stands for the station of that id in any election; `placed` puts the election's own in its place."""
    return _stubs.setdefault(id, Station(id, id, None, None, (), 0))


def placed(statement: UnsignedStatement | Finding, of: Election) -> UnsignedStatement | Finding:
    if isinstance(statement, Control | Finding):
        return statement
    station = of.stations[statement.station.id]
    return replace(statement, station=station) if isinstance(statement, Turnout) else altered(statement, station=station)


def report(station: str = "A-1", revision: int = 1, votes: Sequence[int] = (50, 46), **fields: Any) -> Report:
    """100 ballots cast, 96 of them valid; `valid` follows the votes and `cast` the rest unless given."""
    valid = fields.pop("valid", sum(votes))
    blank, invalid = fields.pop("blank", 2), fields.pop("invalid", 2)
    cast = fields.pop("cast", valid + (blank or 0) + (invalid or 0))
    return Report(
        contest=fields.pop("contest", 0),
        station=_stub(station),
        revision=revision,
        kind=fields.pop("kind", "report"),
        complete=fields.pop("complete", True),
        counted_at=fields.pop("counted_at", COUNTED_AT),
        counted_at_ms=fields.pop("counted_at_ms", COUNTED_MS),
        registered=fields.pop("registered", None),
        cast=cast,
        valid=valid,
        blank=blank,
        invalid=invalid,
        votes=tuple(votes),
        **fields,
    )


def correct(station: str = "A-1", revision: int = 2, votes: Sequence[int] = (51, 46), **fields: Any) -> Report:
    reasons = {"replaces": 1, "reason": "misread", "authority": "district"}
    return report(station, revision, votes, **{"kind": "correct", **reasons, **fields})


def decision(
    kind: str, station: str = "A-1", revision: int = 2, replaces: int | None = 1, *, contest: int = 0, **fields: Any
) -> Report:
    """An annul, restore, withdraw or accept: no counts."""
    return Report(
        contest=contest,
        station=_stub(station),
        revision=revision,
        kind=kind,  # type: ignore[arg-type]  # a test's literal
        complete=True,
        counted_at=None,
        counted_at_ms=None,
        registered=None,
        cast=None,
        valid=0,
        blank=None,
        invalid=None,
        votes=(),
        replaces=replaces,
        reason=fields.pop("reason", "a ruling"),
        authority=fields.pop("authority", "the court"),
        **fields,
    )


def turnout(station: str = "A-1", revision: int = 1, voted: int = 80) -> Turnout:
    return Turnout(_stub(station), revision, "2024-02-07T17:00:00+04:00", voted)


def control(kind: str, revision: int = 1, contest: int = 0, reason: str = "a ruling") -> Control:
    return Control(contest, kind, revision, reason, "the court")  # type: ignore[arg-type]  # a test's literal


def altered(r: Report, **changes: Any) -> Report:
    return Report(**{**{name: getattr(r, name) for name in REPORT_FIELDS}, **changes})


def key_of(statement: UnsignedStatement | Finding, election: Election) -> bytes:
    if isinstance(statement, Control):
        return election.contests[statement.contest].id.encode()
    return b"" if isinstance(statement, Finding) else statement.station.id.encode()


class Night:
    """One log folded as it comes; a record a second from an hour after the close unless `at_ms` says otherwise."""

    def __init__(self, of: Election | None = None, *statements: UnsignedStatement) -> None:
        self.election = of or election()
        self.fold = PartitionFold(self.election)
        for statement in statements:
            self.take(statement)

    def take(self, statement: UnsignedStatement | Finding, *, at_ms: int | None = None) -> Verdict:
        offset = self.fold.next_offset
        log_ms = COUNTED_MS + offset * 1000 if at_ms is None else at_ms
        return self.fold.take(offset, log_ms, key_of(statement, self.election), placed(statement, self.election))

    def verdict(self, statement: UnsignedStatement, *, at_ms: int | None = None) -> str:
        """The verdict and its codes in one text: `held A1 P4`."""
        verdict = self.take(statement, at_ms=at_ms)
        return " ".join([verdict.name, *(f.code for f in verdict.findings)])

    def change(self, statement: UnsignedStatement) -> Change | None:
        return self.take(statement).change

    def messages(self, contest: int = 0) -> list[Message]:
        standings = MergedFigures(self.election, contest, TOPIC, 1)
        standings.put(self.fold.figures(contest))
        return standings.messages()

    def root(self, contest: int = 0) -> Message:
        return self.messages(contest)[-1]

    def area(self, area: str, contest: int = 0) -> Message:
        (found,) = [m for m in self.messages(contest) if m["area"] == area]
        return found

    def votes(self) -> dict[str, int]:
        return {c["id"]: c["votes"] for c in self.root()["candidates"]}

    def states(self) -> dict[str, int]:
        """Station states that are not zero, of the root."""
        names = ("counted", "partial", "held", "annulled", "outstanding")
        return {name: self.root()["stations"][name] for name in names if self.root()["stations"][name]}
