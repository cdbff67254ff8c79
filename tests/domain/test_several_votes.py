"""Ballots of several votes, and the votes that were not given or lost: A1, P8, what is published of them, and the changes."""

from typing import Any

import pytest

from tally_stream.domain.pages import CONTRADICTED_MAX_DIGITS, SUM_MAX_DIGITS
from tally_stream.domain.scalars import COUNT_MAX
from tally_stream.domain.tally import SCALARS
from tests.support.small_elections import Night, contest, correct, decision, election, report, station

THREE = ("ANNA", "BELA", "CLEO")


def verdict(k: int, votes: tuple[int, ...], valid: int, under_over: tuple[int, int] | None = None) -> str:
    of = election([station()], [contest(candidates=THREE, votes_per_ballot=k)])
    under, over = under_over or (None, None)
    stated = report(votes=votes, valid=valid, blank=0, invalid=0, undervotes=under, overvotes=over)
    return Night(of).verdict(stated)


@pytest.mark.parametrize(
    ("k", "votes", "valid", "expected"),
    [
        (1, (20, 20, 10), 50, "counted"),
        (1, (20, 20, 10), 51, "held A1"),
        (1, (20, 20, 10), 49, "held A1"),
        (2, (50, 40, 10), 50, "counted"),
        (2, (50, 40, 11), 50, "held A1"),
        (2, (50, 0, 0), 50, "counted"),
        (2, (51, 0, 0), 50, "held A1"),
        (2, (1, 1, 1), 50, "counted"),
        (3, (50, 50, 50), 50, "counted"),
        (3, (50, 51, 0), 50, "held A1"),
    ],
)
def test_a1_no_more_votes_than_the_ballots_can_give(k: int, votes: tuple[int, ...], valid: int, expected: str) -> None:
    assert verdict(k, votes, valid) == expected


@pytest.mark.parametrize(
    ("k", "votes", "valid", "under_over", "expected"),
    [
        (1, (20, 20, 5), 50, (3, 2), "counted"),
        (1, (20, 20, 5), 50, (3, 3), "held A1"),
        (1, (20, 20, 5), 50, (3, 1), "counted P8"),
        (1, (20, 20, 10), 50, (0, 0), "counted"),
        (2, (40, 40, 10), 50, (10, 0), "counted"),
        (2, (40, 40, 10), 50, (0, 11), "held A1"),
        (2, (40, 40, 10), 50, (0, 9), "counted P8"),
        (2, (51, 0, 0), 50, (49, 0), "held A1"),
        (2, (0, 0, 0), 50, (100, 0), "counted"),
    ],
)
def test_a1_and_p8_with_undervotes_and_overvotes(
    k: int, votes: tuple[int, ...], valid: int, under_over: tuple[int, int], expected: str
) -> None:
    assert verdict(k, votes, valid, under_over) == expected


def test_a1_names_the_two_figures_it_compared() -> None:
    of = election([station()], [contest(votes_per_ballot=2)])
    cases: list[tuple[int, dict[str, Any]]] = [(55, {}), (50, {}), (60, {"undervotes": 11, "overvotes": 0})]
    one, two, three = (Night(of).take(report(votes=(60, 50), valid=valid, **more)).findings[0] for valid, more in cases)
    assert (one.left, one.right, one.message) == (60, 55, "one candidate has {left} votes, the valid ballots are {right}")
    assert (two.left, two.right) == (110, 100)
    assert "can give" in two.message
    assert (three.left, three.right) == (121, 120)
    assert "undervotes" in three.message


def ballots(*reports: Any) -> dict[str, int | None]:
    of = election([station("A-1"), station("A-2")], [contest(votes_per_ballot=2)])
    found: dict[str, int | None] = Night(of, *reports).root()["ballots"]
    return {name: found[name] for name in ("valid", "undervotes", "overvotes")}


KNOWN: dict[str, Any] = {"valid": 60, "undervotes": 20, "overvotes": 4}


class TestSums:
    def test_they_add_up(self) -> None:
        both = [report("A-1", **KNOWN), report("A-2", **{**KNOWN, "undervotes": 21, "overvotes": 3})]
        assert ballots(*both) == {"valid": 120, "undervotes": 41, "overvotes": 7}

    def test_unknown_in_one_statement_in_force_they_are_unknown(self) -> None:
        both = [report("A-1", **KNOWN), report("A-2", valid=60)]
        assert ballots(*both) == {"valid": 120, "undervotes": None, "overvotes": None}

    def test_a_later_statement_that_has_them_makes_them_known(self) -> None:
        said = [report("A-1", valid=60), correct("A-1", votes=(50, 46), **KNOWN)]
        assert ballots(*said) == {"valid": 60, "undervotes": 20, "overvotes": 4}

    def test_a_statement_that_is_taken_back_leaves_nothing(self) -> None:
        said = [report("A-1", **KNOWN), correct("A-1", votes=(50, 46), valid=60)]
        assert ballots(*said) == {"valid": 60, "undervotes": None, "overvotes": None}

    def test_where_nothing_is_in_force_nothing_is_unknown(self) -> None:
        of = election(phase="test")
        assert Night(of).root()["ballots"]["undervotes"] == 0

    def test_an_area_in_which_they_are_known_beside_one_in_which_they_are_not(self) -> None:
        of = election(
            [station("A-1", path=("NORTH",)), station("B-1", path=("SOUTH",))],
            [contest(votes_per_ballot=2)],
            levels=("region",),
            depth=1,
        )
        night = Night(of, report("B-1", valid=60), report("A-1", **KNOWN))
        assert night.area("X/NORTH")["ballots"]["undervotes"] == 20
        assert night.area("X/SOUTH")["ballots"]["undervotes"] is None
        assert night.root()["ballots"]["undervotes"] is None


class TestChanges:
    def test_the_deltas_have_them(self) -> None:
        night = Night(None, report(undervotes=0, overvotes=0))
        change = night.change(correct(votes=(50, 45), valid=96, undervotes=1, overvotes=0))
        assert change is not None
        assert change.ballots_delta == (0, 0, 0, 0, 1, 0)

    @pytest.mark.parametrize(("name", "other"), [("undervotes", "overvotes"), ("overvotes", "undervotes")])
    def test_a_partial_count_in_which_one_falls_owes_one(self, name: str, other: str) -> None:
        first: dict[str, Any] = {"votes": (40, 40), "valid": 96, "complete": False, name: 9, other: 7}
        for now, owed in ((9, False), (8, True)):
            night = Night(None, report(**first))
            change = night.change(report(revision=2, **{**first, name: now, "votes": (41, 40) if owed else (40, 40)}))
            assert (change is not None) == owed

    def test_that_they_are_not_said_any_more_is_a_fall(self) -> None:
        of = election(contests=[contest(votes_per_ballot=2)])
        night = Night(of, report(complete=False, valid=60, undervotes=20, overvotes=4))
        change = night.change(report(revision=2, complete=False, valid=60))
        assert change is not None
        assert change.ballots_delta == (0, 0, 0, 0, None, None)

    def test_what_is_taken_back_owes_one_though_only_undervotes_fall(self) -> None:
        accepted = report(votes=(0, 0), valid=0, cast=0, blank=0, invalid=0, complete=False, undervotes=5, overvotes=0)
        night = Night(None, accepted, decision("accept", revision=2, replaces=1))
        assert night.root()["ballots"]["undervotes"] == 5
        change = night.change(decision("withdraw", revision=3, replaces=2))
        assert change is not None
        assert change.ballots_delta[4] == -5


class TestWhatAPartialCountMayStillBring:
    """Votes come with ballots: those of a partial count gave what it says, and what they left blank is no vote still out."""

    @pytest.mark.parametrize("told", [{}, {"undervotes": 70, "overvotes": 0}], ids=["not told", "undervotes told"])
    def test_votes_that_its_ballots_did_not_give(self, told: dict[str, Any]) -> None:
        of = election(
            [station(registered=100)],
            [contest(rule="plurality", votes_per_ballot=2)],
            A3_register_percent=100,
            bound_register_percent=100,
        )
        counts: dict[str, Any] = {"votes": (80, 50), "valid": 100, "cast": 100, "blank": 0, "invalid": 0, "complete": False}
        night = Night(of, report(**counts, **told))
        outcome = night.root()["outcome"]
        assert (outcome["outstanding_bound"], outcome["state"], outcome["elected"]) == (0, "decided", ["ANNA"])

    def test_nor_where_a_ballot_has_one_vote_and_some_are_missing(self) -> None:
        of = election([station(registered=100)], [contest()], A3_register_percent=100, bound_register_percent=100)
        counts: dict[str, Any] = {"votes": (60, 30), "valid": 100, "cast": 100, "blank": 0, "invalid": 0, "complete": False}
        night = Night(of)
        assert night.verdict(report(**counts, undervotes=0, overvotes=0)) == "counted P5 P8"
        assert night.root()["outcome"]["state"] == "decided"


@pytest.mark.parametrize(
    ("k", "candidates", "most", "digits"),
    [(1, 3, 4, SUM_MAX_DIGITS), (3, 3, 9, SUM_MAX_DIGITS), (4, 4, 12, SUM_MAX_DIGITS + 1), (2000, 2000, 6000, CONTRADICTED_MAX_DIGITS)],
)  # fmt: skip
def test_a_count_contradicts_itself_by_so_much_at_most(k: int, candidates: int, most: int, digits: int) -> None:
    """None cast, and a billion of each kind; where a ballot has one vote, those of the valid ones are missing too."""
    ids = tuple(f"C-{n}" for n in range(candidates))
    night = Night(election([station()], [contest(candidates=ids, votes_per_ballot=k)]))
    votes = (0,) * candidates
    night.take(report(votes=votes, valid=COUNT_MAX, blank=COUNT_MAX, invalid=COUNT_MAX, cast=0, complete=False))
    night.take(decision("accept", "A-1", 2, 1))
    (page,) = night.fold.figures(0).pages
    (area,) = (area for area in page.areas if area is not None)
    contradicted = area[candidates + SCALARS.index("contradicted")]
    assert contradicted == most * COUNT_MAX
    assert len(str(contradicted)) == digits
