"""Ballots of several votes, and the votes that were not given or lost: A1, P8, what is published of them, and the changes."""

from typing import Any

import pytest

from tests.support.small_elections import Night, contest, correct, election, report, station

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


class TestWhatAPartialCountMayStillBring:
    """Its ballots may have votes that are not counted yet: nothing is certain against them."""

    def test_votes_of_which_nothing_is_said(self) -> None:
        of = election([station("A-1"), station("A-2")], [contest(rule="plurality", votes_per_ballot=2)])
        night = Night(of, report("A-1", votes=(50, 40), valid=50, cast=50, blank=0, invalid=0, undervotes=10, overvotes=0))
        night.take(report("A-2", votes=(0, 0), valid=100, cast=300, blank=200, invalid=0, complete=False, registered=300))
        assert night.root()["outcome"]["outstanding_bound"] == 0
        assert night.root()["outcome"]["state"] == "undecided"
        night.take(report(
            "A-2", 2, votes=(0, 0), valid=100, cast=300, blank=200, invalid=0, complete=False, registered=300, undervotes=200,
            overvotes=0,
        ))  # fmt: skip
        assert night.root()["outcome"]["state"] == "decided"

    def test_in_one_step_and_in_many_alike(self) -> None:
        """A count in which each ballot gave one vote of two is plain; what it leaves open is kept all the same."""
        of = election([station("A-1"), station("A-2")], [contest(rule="plurality", votes_per_ballot=2)])
        plain: dict[str, Any] = {"votes": (60, 40), "blank": 0, "invalid": 0, "complete": False, "registered": 200}
        night = Night(of, report("A-2", votes=(90, 10), blank=0, invalid=0), report("A-1", **plain))
        assert night.root()["outcome"]["state"] == "undecided"
        night.take(report("A-1", 2, **{**plain, "complete": True}))
        assert night.root()["outcome"]["state"] == "decided"
