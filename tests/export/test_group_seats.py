"""Seats of a group: whose they are, over contests of every rule."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tally_stream.domain.contest import Candidate, Contest, ContestRule
from tally_stream.export.group_seats import contest_seats, groups_of, party_seats, seats_to_share
from tests.support.every_ballot import BRIDGE, COUNCIL, SCHOOLS, night, roots, town
from tests.support.small_elections import contest


def race(id: str, rule: ContestRule = "plurality", seats: int = 1, **party_of: str | None) -> Contest:
    """Candidates with their parties; NOBODY can't win."""
    made = contest(id, tuple(party_of), rule=rule, seats=seats, ineligible=("NOBODY",))
    candidates = tuple(replace(c, name=f"{c.name} of {id}", party=party_of[c.id]) for c in made.candidates)
    return replace(made, candidates=candidates, group="G")


def root(of: Contest, votes: tuple[int, ...], elected: tuple[str, ...] = ()) -> dict[str, Any]:
    lines = [
        {"id": c.id, "votes": count, "seats": None, "rank": 1 if c.eligible else None}
        for c, count in zip(of.candidates, votes, strict=True)
    ]
    return {"candidates": lines, "outcome": {"elected": list(elected)}}


def test_groups_come_in_the_order_of_the_definition() -> None:
    assert {name: [c.id for c in found] for name, found in groups_of(town()).items()} == {"TOWN": ["COUNCIL", "SCHOOLS"]}


def test_seats_of_a_party_are_added_over_its_contests_and_a_name_stands_where_there_is_none() -> None:
    north, south = race("N", ANNA="Red", BELA=None), race("S", ANNA="Red", BELA="Blue")
    seats = party_seats([north, south], {"N": root(north, (9, 5), ("ANNA",)), "S": root(south, (9, 5))})
    assert [(s.party, s.now, s.certain) for s in seats] == [("Red", 2, 1)]
    other = party_seats([north, south], {"N": root(north, (1, 5)), "S": root(south, (9, 50), ("BELA",))})
    assert [(s.party, s.now, s.certain) for s in other] == [("Blue", 1, 1), ("Bela of N", 1, 0)], "the certain one first"


def test_the_town_has_seats_of_lists_and_of_those_who_are_ahead() -> None:
    shown = roots(night())
    assert [(s.party, s.now, s.certain, s.color) for s in party_seats([COUNCIL, SCHOOLS], shown)] == [
        ("Red", 9, 9, "#a01414"), ("Blue", 7, 6, "#0b4f8a"), ("Green List", 3, 2, None), ("Old Town", 1, 1, None),
        ("Ada", 1, 0, None), ("Ben", 1, 0, None), ("Caro", 1, 0, None),
    ]  # fmt: skip
    assert seats_to_share([COUNCIL, BRIDGE, SCHOOLS]) == 24, "a referendum has none"


@pytest.mark.parametrize(
    ("votes", "seats", "ahead"),
    [
        ((9, 5, 5, 0), 2, {"A"}), ((9, 5, 4, 0), 2, {"A", "B"}), ((5, 5, 5, 0), 2, set()), ((9, 0, 0, 0), 2, {"A"}),
        ((0, 0, 0, 99), 2, set()), ((9, 5, 4, 99), 3, {"A", "B", "C"}), ((9, 5, 4, 99), 5, {"A", "B", "C"}),
    ],
)  # fmt: skip
def test_ahead_is_whom_nobody_shares_the_last_seat_with(votes: tuple[int, ...], seats: int, ahead: set[str]) -> None:
    of = race("P", "plurality", seats, A="x", B="y", C="z", NOBODY=None)
    assert {id for id, (now, _) in contest_seats(of, root(of, votes)).items() if now} == ahead


def test_under_a_majority_only_the_certain_one_has_it() -> None:
    of = race("M", "majority", A="x", B="y")
    assert contest_seats(of, root(of, (90, 5))) == {}
    assert contest_seats(of, root(of, (90, 5), ("A",))) == {"A": (1, 1)}


def test_before_the_close_without_a_root_and_without_a_rule_nobody_has_any() -> None:
    of = race("P", A="x", B="y")
    assert contest_seats(of, None) == {}
    assert contest_seats(of, {**root(of, (9, 1), ("A",)), "outcome": None}) == {}
    assert contest_seats(race("R", "none", A="x", B="y"), root(of, (9, 1), ("A",))) == {}
    assert contest_seats(BRIDGE, roots(night())["BRIDGE"]) == {}
    assert party_seats([of], {}) == []


def test_a_list_without_seats_takes_no_room() -> None:
    bare = replace(COUNCIL, candidates=(*COUNCIL.candidates, Candidate("LATE", "Late list", "Late")))
    assert "Late" not in [s.party for s in party_seats([bare], roots(night()))]
