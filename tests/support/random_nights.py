"""Random nights for the property tests: plans drawn by hypothesis, made concrete against the model as it stands.

A plan names a revision and what it replaces by their relation to the station's position ("next", "held"), so that most
statements mean something; the rest is noise the rules must refuse.
"""

import random
from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction
from typing import Any

from hypothesis import strategies as st

from tally_stream.domain.contest import Allocation, DoubleMajority, Majority, Quorum
from tally_stream.domain.election import Election, ExitPoll
from tally_stream.domain.fold import PartitionFold
from tally_stream.domain.report import Control, Report, UnsignedStatement
from tally_stream.domain.rules import Finding
from tally_stream.domain.scalars import murmur2_partition
from tally_stream.domain.standings import MergedFigures
from tests.support.second_model import Position, Record, Walk, step
from tests.support.small_elections import CLOSE_MS, TOPIC, contest, decision, election, key_of, placed, report, station, turnout

STATIONS = ("A-1", "A-2", "B-1", "B-2", "B-3")
PARTITIONS = 2
HOME = {s: murmur2_partition(s.encode(), PARTITIONS) for s in STATIONS}


def a_night(**overrides: Any) -> Election:
    """Five stations in two regions and three towns, one without a register, one without expected ballots."""
    given: dict[str, Any] = {
        "stations": [
            station("A-1", 100, 60, ("NORTH", "ELM")),
            station("A-2", None, 50, ("NORTH", "ELM")),
            station("B-1", 0, None, ("NORTH", "OAK")),
            station("B-2", 120, 80, ("SOUTH", "ASH")),
            station("B-3", 80, 40, ("SOUTH", "ASH")),
        ],
        "contests": [
            contest("PRES", ("ANNA", "BELA", "CLEO"), base="cast", places=1),
            contest("SEAT", ("DORA", "EMIL"), rule="plurality", method="largest-remainder"),
        ],
        "levels": ("region", "town"),
        "depth": 2,
        "polls": [ExitPoll("PRES", "P", CLOSE_MS + 30_000, (("ANNA", Decimal("51.5")), ("CLEO", Decimal("3"))))],
    }
    return election(**{**given, **overrides})


_ALLOCATIONS: tuple[tuple[Any, ...], ...] = (
    ("dhondt", 20, "valid", (), "nobody", (), (), 1),
    ("sainte-lague", 30, "cast", ("CLEO",), "more-votes", (("ANNA", "CLEO"),), (), 1),
    ("sainte-lague-1.4", 25, "valid-and-blank", (), "nobody", (), (), 1),
    ("hare", 10, "valid", (), "more-votes", (("BELA", "CLEO"),), (), 1),
    ("hare", 0, "cast", ("ANNA",), "nobody", (), ("BELA",), 1),
    ("dhondt", 15, "valid", (), "more-votes", (("BELA", "CLEO"),), (), 2),
)
_REFERENDUMS: tuple[tuple[Any, ...], ...] = (
    ("valid", Majority(), Quorum(Fraction(30), "cast"), None),
    ("cast", Majority(Fraction(40), at_least=True), Quorum(Fraction(25), "approval", more_than=True), None),
    ("valid", Majority(Fraction(55)), Quorum(Fraction(100, 3), "valid"), DoubleMajority("town", ("X/N/ELM",))),
    ("cast", Majority(), None, DoubleMajority("region")),
)
ELECTIONS = (
    a_night(P6_votes_min=40),
    a_night(
        depth=1,
        contests=[contest("PRES", ("ANNA", "BELA", "CLEO"), method="truncate", places=0)],
        A3_register_percent=Fraction(205, 2),
        P6_votes_min=0,
    ),
    a_night(
        depth=0,
        phase="test",
        contests=[
            contest("PRES", ("ANNA", "BELA", "CLEO"), seats=2, rule="plurality", places=3),
            contest("SEAT", ("DORA", "EMIL"), seats=3, rule="plurality"),
        ],
        stations=[station(s, 100, 50, ("R", "T")) for s in STATIONS],
        Q7_skew_seconds=0,
        P10_change_percent=0,
    ),
    a_night(named={"SEAT": ["A-2", "B-1"]}, closings={"A-1": CLOSE_MS - 1, "B-1": CLOSE_MS - 60_000}),
    a_night(
        contests=[
            contest(
                "PRES",
                ("ANNA", "BELA", "CLEO"),
                base="cast",
                ineligible=["CLEO"],
                majority=Majority(Fraction(50), or_percent=Fraction(40), or_lead_percent=Fraction(10)),
            ),
            contest("SEAT", ("DORA", "EMIL", "FAYE"), rule="none", ineligible=["DORA"]),
        ],
        stations=[
            station("A-1", 100, None, ("NORTH", "ELM")),
            station("A-2", 0, 50, ("NORTH", "ELM")),
            station("B-1", 0, 60, ("NORTH", "OAK")),
            station("B-2", 60, 120, ("SOUTH", "ASH")),
            station("B-3", 80, 40, ("SOUTH", "ASH")),
        ],
        bound_register_percent=Fraction(225, 2),
    ),
    a_night(
        contests=[
            contest("PRES", ("ANNA", "BELA", "CLEO"), majority=Majority(Fraction(100, 3), at_least=True), ineligible=["ANNA"]),
            contest("SEAT", ("DORA", "EMIL", "FAYE"), rule="plurality", seats=2),
        ],
        stations=[station(s, 60, None, ("R", "T")) for s in STATIONS],
        A3_register_percent=Fraction(90),
        bound_register_percent=Fraction(95),
    ),
    a_night(
        contests=[
            contest("PRES", ("ANNA", "BELA", "CLEO"), rule="plurality", seats=2, votes_per_ballot=2),
            contest("SEAT", ("DORA", "EMIL", "FAYE"), base="cast", votes_per_ballot=3, places=0),
        ],
        named={"SEAT": ["A-2", "B-1", "B-2"]},
        channels=dict(zip(STATIONS, ("postal", "early", "postal", "election day", "postal"), strict=True)),
    ),
    *(
        a_night(
            contests=[
                contest(
                    "PRES",
                    ("ANNA", "BELA", "CLEO"),
                    rule="proportional",
                    seats=7,
                    ineligible=ineligible,
                    allocation=Allocation(method, Fraction(percent), base, exempt, tie),
                    combinations=together,
                    votes_per_ballot=k,
                ),
                contest("SEAT", ("DORA", "EMIL"), rule="proportional", seats=4, allocation=Allocation(method)),
            ],
            stations=[station(s, 50, None, ("R", "T")) for s in STATIONS],
        )
        for method, percent, base, exempt, tie, together, ineligible, k in _ALLOCATIONS
    ),
    *(
        a_night(
            contests=[
                contest(
                    "PRES",
                    ("ANNA", "BELA"),
                    rule="referendum",
                    approval="BELA",
                    base=base,
                    majority=majority,
                    quorum=quorum,
                    double_majority=double,
                ),
                contest("SEAT", ("DORA", "EMIL"), rule="referendum", approval="DORA"),
            ],
            stations=[
                station(s, 50, None, (region, town))
                for s, region, town in zip(
                    STATIONS, ("N", "N", "N", "S", "S"), ("ELM", "ELM", "OAK", "ASH", "FIR"), strict=True
                )
            ],
            polls=[],
        )
        for base, majority, quorum, double in _REFERENDUMS
    ),
)

Plan = dict[str, Any]
Choices = dict[str, Sequence[Any]]

_VOTES = [*range(41), 0, 30, 60]
STATEMENT: Choices = {
    "what": ["report"] * 6 + ["correct", "correct", "recount", "annul", "restore", "withdraw", "accept", "accept"],
    "station": STATIONS,
    "contest": [0, 0, 1],
    "revision": ["next"] * 10 + ["same", "lower", "step", "wild"],
    "replaces": ["in force"] * 5 + ["held"] * 4 + ["zero", "wild", "none"],
    "votes": [(a, b, (a * b) % 41) for a in _VOTES for b in _VOTES] + [(0, 0, 0), (0, 45, 0)] * 60,
    "blank": [0, 0, 0, 0, 1, 2, 2, None],
    "invalid": [0, 0, 0, 0, 1, 2, 3, None],
    "cast": ["sum"] * 8 + ["unknown", "more"],
    "valid": ["sum"] * 12 + ["more"],
    "under_over": [None, None, None, (0, 0), (1, 0), (2, 3), "rest"],
    "complete": [True, True, False],
    "registered": [None, None, None, 0, 90, 110, 130, 190],
    "counted_at_ms": [CLOSE_MS] * 6 + [CLOSE_MS - 1, CLOSE_MS + 400_000],
    "reason": ["a ruling"] * 16 + ["", None],
}
TURNOUT: Choices = {
    "what": ["turnout"],
    "station": STATIONS,
    "revision": ["next"] * 4 + ["same", "lower", "wild"],
    "voted": range(61),
}
_CONTROL: Choices = {
    "what": ["hold", "release", "release", "certify"],
    "contest": [0, 0, 1],
    "revision": ["next"] * 4 + ["same", "lower"],
    "partitions": [(0, 1), (0, 1), (1, 0), (0,), (1,)],
}
_AGAIN: Choices = {"what": ["again"], "back": range(30), "astray": [True, False]}
_REFUSED: Choices = {"what": ["refused"]}
_NOISY = [STATEMENT] * 16 + [TURNOUT] * 2 + [_CONTROL, _AGAIN, _AGAIN, _REFUSED]
_QUIET = [STATEMENT] * 6 + [TURNOUT]


def _drawn(tables: Sequence[Choices], longest: int) -> st.SearchStrategy[list[Plan]]:
    """Short lists that hypothesis can shrink, and long ones from a seed, which reach deeper."""
    one = st.sampled_from(tables).flatmap(
        lambda table: st.fixed_dictionaries({name: st.sampled_from(choices) for name, choices in table.items()})
    )

    def from_seed(seed: int) -> list[Plan]:
        order = random.Random(seed)
        few = order.sample(STATIONS, order.randint(1, len(STATIONS)))
        return [
            {name: order.choice(few if name == "station" else choices) for name, choices in order.choice(tables).items()}
            for _ in range(order.randint(10, longest))
        ]

    return st.one_of(st.lists(one, max_size=12), *[st.integers(0, 2**32).map(from_seed)] * 3)


plans = _drawn(_NOISY, 80)
quiet_plans = _drawn(_QUIET, 60)
steps_ms = st.lists(st.integers(-5_000, 20_000), min_size=1, max_size=8)


def _revision(how: str, top: int) -> int:
    revisions = {"next": top + 1, "same": top, "lower": top - 1, "step": top + 1000, "wild": top + 1001}
    return max(1, revisions[how])


def statement_of(plan: Plan, of: Election, p: Position) -> UnsignedStatement:
    what, revision = plan["what"], _revision(plan["revision"], p.top)
    if what == "turnout":
        return turnout(plan["station"], revision, plan["voted"])
    contest_index = plan["contest"] % len(of.contests)
    if "partitions" in plan:
        return Control(contest_index, what, revision, "a ruling", "the court")
    replaces = {
        "in force": p.revision_in_force,
        "held": p.held[0].revision if p.held else p.revision_in_force,
        "zero": 0,
        "wild": p.top + 3,
        "none": None,
    }[plan["replaces"]]
    named = {"replaces": replaces, "reason": plan["reason"], "authority": "the court"}
    if what in ("annul", "restore", "withdraw", "accept"):
        return decision(what, plan["station"], revision, contest=contest_index, **named)
    votes = plan["votes"][: len(of.contests[contest_index].candidates)]
    k = of.contests[contest_index].votes_per_ballot
    under_over = plan["under_over"]
    valid = (sum(votes) if k == 1 else max(votes)) + (plan["valid"] == "more")
    if under_over == "rest":
        under_over = (max(0, k * valid - sum(votes) - 1), 1)
    known = valid + (plan["blank"] or 0) + (plan["invalid"] or 0)
    return report(
        plan["station"],
        revision,
        votes,
        contest=contest_index,
        kind=what,
        valid=valid,
        undervotes=under_over and under_over[0],
        overvotes=under_over and under_over[1],
        cast={"sum": known, "unknown": None, "more": known + 1}[plan["cast"]],
        counted_at=f"at {plan['counted_at_ms']}",
        **{k: plan[k] for k in ("blank", "invalid", "complete", "registered", "counted_at_ms")},
        **(named if what != "report" else {}),
    )


def make_logs(of: Election, drawn: Sequence[Plan], steps: Sequence[int], start_ms: int = CLOSE_MS) -> list[list[Record]]:
    """The plans as two partitions' logs; every statement at home, but for those that go astray."""
    logs: list[list[Record]] = [[] for _ in range(PARTITIONS)]
    walks = [Walk() for _ in logs]
    log_ms = start_ms

    def append(place: int, key: bytes, read: UnsignedStatement | Finding) -> None:
        logs[place].append((log_ms, key, read))
        step(walks[place], of, logs[place][-1], place, PARTITIONS)

    for number, plan in enumerate(drawn):
        log_ms += steps[number % len(steps)]
        if plan["what"] == "refused":
            append(number % PARTITIONS, b"", Finding("S1", "not JSON"))
            continue
        if plan["what"] == "again":
            everything = [record for log in logs for record in log]
            if everything:
                _, key, read = everything[-1 - plan["back"] % len(everything)]
                home = murmur2_partition(key, PARTITIONS)
                append(1 - home if plan["astray"] else home, key, read)
            continue
        places = plan.get("partitions") or (HOME[plan["station"]],)
        for place in places:
            judged = walks[place]
            if plan["what"] == "turnout":
                position = judged.turnouts.get(plan["station"], Position())
            elif "partitions" in plan:
                position = judged.controls.get(plan["contest"] % len(of.contests), Position())
            else:
                position = judged.position(plan["contest"] % len(of.contests), plan["station"])
            statement = placed(statement_of(plan, of, position), of)
            if isinstance(statement, Report) and not statement.station.has_contest(statement.contest):
                statement = Finding("S2", "not its contest")  # as a reader has it
            append(place, key_of(statement, of), statement)
    return logs


def folded(of: Election, logs: Sequence[Sequence[Record]]) -> list[PartitionFold]:
    folds = []
    for partition, log in enumerate(logs):
        fold = PartitionFold(of, partition, len(logs) if len(logs) > 1 else None)
        for offset, (log_ms, key, read) in enumerate(log):
            fold.take(offset, log_ms, key, read)
        folds.append(fold)
    return folds


def standings_of(of: Election, folds: Sequence[PartitionFold], contest_index: int) -> MergedFigures:
    standings = MergedFigures(of, contest_index, TOPIC, len(folds))
    for fold in folds:
        standings.put(fold.figures(contest_index))
    return standings
