"""A small town with every kind of ballot: a council by lists, a bridge to be voted on, a school board of three, postal and
early votes. Messages are the fold's own; who shows them is tested with the seats and outcomes that a test puts in.

The council has 21 seats, a threshold of 5 % of valid ballots, one exempt list, two lists that are counted together, and "none
of these", which can win nothing.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from fractions import Fraction
from typing import Any

from tally_stream.domain.contest import Allocation, Candidate, Contest, DoubleMajority, Majority, Quorum, Rounding
from tally_stream.domain.election import Election
from tally_stream.domain.standings import Message
from tests.support.small_elections import Night, control, election, report, station, turnout

HALF_UP = Rounding("half-up", 2)

COUNCIL = Contest(
    "COUNCIL", "Town council", 21, "proportional", "valid", None, HALF_UP,
    (
        Candidate("RED", "Red List", "Red", color="#a01414"), Candidate("BLUE", "Blue List", "Blue", color="#0b4f8a"),
        Candidate("GREEN", "Green List"), Candidate("OLD", "Old Town"), Candidate("TINY", "Tiny <List>"),
        Candidate("NONE", "None of these", eligible=False),
    ),
    group="TOWN", combinations=(("RED", "GREEN"),),
    allocation=Allocation("dhondt", Fraction(5), "valid", ("OLD",)),
)  # fmt: skip
BRIDGE = Contest(
    "BRIDGE", "A new bridge", 1, "referendum", "valid", Majority(), HALF_UP,
    (Candidate("YES", "Yes"), Candidate("NO", "No")),
    approval="YES", quorum=Quorum(Fraction(50), "cast"), double_majority=DoubleMajority("ward", ("X/West",)),
)  # fmt: skip
SCHOOLS = Contest(
    "SCHOOLS", "School board", 3, "plurality", "valid", None, HALF_UP,
    tuple(Candidate(id, name) for id, name in
          (("ADA", "Ada"), ("BEN", "Ben"), ("CARO", "Caro"), ("DAN", "Dan"))), votes_per_ballot=3, group="TOWN",
)  # fmt: skip
SEATS = {"RED": (9, 9), "BLUE": (7, 6), "GREEN": (3, 2), "OLD": (1, 1), "TINY": (0, 0), "NONE": (0, 0)}
CHANNELS = {"A-1": "early", "A-2": "election day", "B-1": "election day", "B-2": "postal", "B-3": "postal"}


def town(**more: Any) -> Election:
    stations = [station(id, 2_000, None, ("East" if id[0] == "A" else "West",)) for id in CHANNELS]
    return election(stations, (COUNCIL, BRIDGE, SCHOOLS), levels=("ward",), depth=1, **{"channels": CHANNELS, **more})


def night(of: Election | None = None) -> Night:
    """All voted on election day and early is counted, of the postal votes half; turnout was stated by three stations."""
    played = Night(of or town())
    for id in ("A-1", "A-2", "B-1"):
        played.take(turnout(id, voted=900))
    for id in ("A-1", "A-2", "B-1", "B-2"):
        played.take(report(id, votes=(400, 300, 140, 30, 20, 10)))
        played.take(report(id, votes=(480, 420), contest=1))
        played.take(report(id, votes=(700, 600, 500, 100), valid=900, contest=2, undervotes=795, overvotes=5))
    return played


def with_seats(message: Message, seats: Mapping[str, tuple[int, int]] = SEATS, **outcome: Any) -> Message:
    """A root of the council with these seats (now, certain) and other fields of its outcome."""
    changed = copy.deepcopy(message)
    for line in changed["candidates"]:
        now, certain = seats[line["id"]]
        line["seats"] = {"now": now, "certain": certain}
    elected = [id for id in COUNCIL.candidate_ids if seats[id][1]]
    changed["outcome"] |= {"state": "undecided", "elected": elected, "tied": None, **outcome}
    return changed


def with_outcome(message: Message, **outcome: Any) -> Message:
    changed = copy.deepcopy(message)
    changed["outcome"] |= outcome
    return changed


QUORUM = {"done": 3_616, "of": 10_000, "percent": "36.16", "needed": 5_000}
AREAS = {"approved": "1", "rejected": "0", "undecided": "0.5", "of": "1.5"}


def roots(played: Night) -> dict[str, Message]:
    """Of the three contests: the council with its seats, one of them nobody's; the bridge without its quorum so far."""
    council, bridge, schools = (played.root(n) for n in range(3))
    return {
        "COUNCIL": with_seats(council),
        "BRIDGE": with_outcome(bridge, state="undecided", elected=[], quorum=QUORUM, double_majority=AREAS),
        "SCHOOLS": schools,
    }


def closed(played: Night, contest: int) -> Night:
    """What is not there does not come any more."""
    played.take(control("certify", contest=contest))
    return played
