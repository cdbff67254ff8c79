"""What is certain of a question: accepted, rejected or void, with its quorum and the areas that must approve too.

Single cases with their figures; that nothing false is ever certain is what `tests/certainty` enumerates.
"""

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import pytest

from tally_stream.domain.contest import Contest, DoubleMajority, Majority, Quorum
from tally_stream.domain.outcome import outcome
from tests.support.small_elections import CLOSE_MS, Night, contest, control, counted, decision, election, report, station

HALF = Fraction(50)


def question(**fields: Any) -> Contest:
    return contest("ASK", ("YES", "NO"), rule="referendum", **{"approval": "YES", **fields})


def said(votes: Sequence[int], bound: int | None = 0, base: int | None = None, of: Contest | None = None, **fields: Any) -> Any:
    return outcome(of or question(), counted(votes, sum(votes) if base is None else base, bound, **fields))


def state(
    votes: Sequence[int], bound: int | None = 0, base: int | None = None, of: Contest | None = None, **fields: Any
) -> str:
    found: str = said(votes, bound, base, of, **fields)["state"]
    return found


class TestTheVotes:
    @pytest.mark.parametrize(
        ("votes", "bound", "expected"),
        [
            ((0, 0), 0, "none"),
            ((0, 0), None, "none"),
            ((51, 49), None, "undecided"),
            ((51, 49), 0, "accepted"),
            ((51, 49), 1, "accepted"),
            ((51, 49), 2, "undecided"),
            ((50, 50), 0, "rejected"),
            ((49, 51), 2, "rejected"),
            ((49, 51), 3, "undecided"),
        ],
    )
    def test_states(self, votes: Sequence[int], bound: int | None, expected: str) -> None:
        assert state(votes, bound) == expected

    def test_yes_is_the_candidate_that_the_definition_names(self) -> None:
        of = question(approval="NO")
        assert state((49, 51), of=of) == "accepted"
        assert state((51, 49), of=of) == "rejected"

    @pytest.mark.parametrize(
        ("majority", "votes", "expected"),
        [
            (Majority(Fraction(60)), (60, 40), "rejected"),
            (Majority(Fraction(60)), (61, 39), "accepted"),
            (Majority(Fraction(60), at_least=True), (60, 40), "accepted"),
            (Majority(Fraction(40), at_least=True), (50, 50), "rejected"),
            (Majority(Fraction(40), at_least=True), (45, 46), "rejected"),
            (Majority(Fraction(200, 3), at_least=True), (2, 1), "accepted"),
            (Majority(Fraction(200, 3)), (2, 1), "rejected"),
        ],
    )
    def test_other_limits(self, majority: Majority, votes: Sequence[int], expected: str) -> None:
        assert state(votes, of=question(majority=majority)) == expected

    def test_of_a_base_of_cast_what_is_not_valid_counts_against_it(self) -> None:
        of = question(base="cast")
        assert state((51, 40), 0, 102, of) == "rejected"
        assert state((52, 40), 0, 102, of) == "accepted"
        assert state((52, 40), 2, 102, of) == "undecided"  # 52 of 104
        assert state((52, 40), 2, 102, of, untold=1) == "accepted"  # 52 of 103
        assert state((45, 30), 10, 100, of) == "rejected"  # 55 of 110
        assert state((45, 30), 10, 100, of, untold=10) == "undecided"  # 55 of 100
        assert state((99, 1), 0, None, question(base="cast"), cast=None) == "undecided"

    def test_what_contradicts_itself_is_certain_of_less(self) -> None:
        assert state((51, 49), 0, contradicted=1) == "accepted"
        assert state((51, 49), 0, contradicted=2) == "undecided"
        assert state((49, 51), 0, contradicted=2) == "rejected"
        assert state((49, 51), 0, contradicted=3) == "undecided"
        assert state((51, 40), 0, 101, question(base="cast"), contradicted=1) == "undecided"  # 51 of 102

    def test_nobody_is_elected_and_yes_or_no_leads(self) -> None:
        found = said((51, 49), 1)
        assert (found["elected"], found["tied"]) == ([], None)
        assert (found["leader"], found["lead"], found["outstanding_bound"]) == ("YES", 2, 1)
        assert said((49, 51))["leader"] == "NO"
        assert (found["quorum"], found["double_majority"]) == (None, None)

    def test_who_is_not_eligible_can_not_win(self) -> None:
        assert state((9, 1), 5, of=question(ineligible=["YES"])) == "rejected"
        assert state((9, 1), 5, of=question(ineligible=["NO"])) == "accepted"
        assert state((1, 9), 5, of=question(ineligible=["NO"])) == "rejected", "yes wins against the other"
        assert state((9, 1), 0, of=question(ineligible=["YES", "NO"])) == "none"


class TestTheQuorum:
    @pytest.mark.parametrize(
        ("percent", "more_than", "registered", "needed"),
        [
            (50, False, 200, 100),
            (50, True, 200, 101),
            (50, False, 201, 101),
            (50, True, 201, 101),
            (Fraction(333, 10), False, 1000, 333),
            (Fraction(333, 10), False, 1001, 334),
            (Fraction(333, 10), True, 1000, 334),
            (Fraction(333, 10), True, 1001, 334),
            (0, False, 7, 0),
            (0, True, 7, 1),
            (100, False, 7, 7),
            (100, True, 7, 8),
        ],
    )
    def test_how_many_are_needed(self, percent: Fraction | int, more_than: bool, registered: int, needed: int) -> None:
        of = question(quorum=Quorum(Fraction(percent), "cast", more_than))
        assert said((51, 49), of=of, registered=registered)["quorum"]["needed"] == needed

    @pytest.mark.parametrize(("what", "done"), [("cast", 104), ("valid", 101), ("approval", 51)])
    def test_of_what(self, what: Any, done: int) -> None:
        found = said((51, 49), 0, 104, question(quorum=Quorum(HALF, what)), valid=101, registered=208)
        assert found["quorum"] == {
            "done": done, "of": 208, "percent": {104: "50.00", 101: "48.56", 51: "24.52"}[done], "needed": 104
        }  # fmt: skip
        assert found["state"] == ("accepted" if what == "cast" else "void")

    @pytest.mark.parametrize(("method", "percent"), [("half-up", "66.7"), ("truncate", "66.6"), ("largest-remainder", "66.7")])
    def test_its_percent_is_rounded_as_the_contest_rounds(self, method: Any, percent: str) -> None:
        of = question(quorum=Quorum(HALF, "cast"), method=method, places=1)
        assert said((2, 0), of=of, registered=3)["quorum"]["percent"] == percent

    @pytest.mark.parametrize(
        ("votes", "bound", "expected"),
        [
            ((60, 40), 0, "accepted"),
            ((40, 60), 0, "rejected"),
            ((60, 39), 0, "void"),
            ((39, 60), 0, "void"),
            ((60, 39), 1, "undecided"),
            ((9, 60), 30, "void"),
            ((9, 60), 31, "undecided"),
            ((0, 60), 39, "void"),
        ],
    )
    def test_nothing_but_void_is_certain_before_it_is_reached(self, votes: Sequence[int], bound: int, expected: str) -> None:
        assert state(votes, bound, of=question(quorum=Quorum(HALF, "cast")), registered=200) == expected
        assert state(votes, bound, of=question(quorum=Quorum(HALF, "valid")), registered=200) == expected

    def test_the_share_must_be_passed_where_the_definition_says_so(self) -> None:
        of = question(quorum=Quorum(HALF, "cast", more_than=True))
        assert state((60, 40), of=of, registered=200) == "void"
        assert state((60, 41), of=of, registered=200) == "accepted"

    def test_of_votes_for_yes(self) -> None:
        of = question(quorum=Quorum(Fraction(25), "approval"))
        assert state((50, 40), of=of, registered=200) == "accepted"
        assert state((49, 40), of=of, registered=200) == "void"
        assert state((49, 60), 1, of=of, registered=200) == "undecided"
        assert state((40, 60), 9, of=of, registered=200) == "void"
        assert state((50, 60), 9, of=of, registered=200) == "rejected"
        assert state((49, 60), 0, of=of, registered=200, contradicted=1) == "undecided"

    def test_ballots_cast_and_not_told_apart_are_in_cast_already(self) -> None:
        of = question(quorum=Quorum(HALF, "cast"))
        assert state((50, 40), 10, 95, of, registered=200, untold=5) == "undecided"
        assert state((50, 40), 10, 94, of, registered=200, untold=5) == "void"
        assert state((50, 40), 10, 94, of, registered=200, untold=5, contradicted=1) == "undecided"
        of = question(quorum=Quorum(HALF, "valid"))
        assert state((50, 40), 10, 95, of, valid=90, registered=200, untold=5) == "undecided"

    def test_nothing_is_said_of_a_figure_that_is_unknown(self) -> None:
        of = question(quorum=Quorum(HALF, "cast"))
        for fields in ({"registered": None}, {"registered": 100, "cast": None}, {"registered": 0, "cast": None}):
            found = said((60, 40), of=of, **fields)
            assert (found["state"], found["quorum"]) == ("undecided", None)
        assert state((60, 40), of=question(quorum=Quorum(HALF, "valid")), registered=100, cast=None) == "accepted"
        found = said((60, 40), None, of=of, registered=100)
        assert found["state"] == "undecided"
        assert found["quorum"] == {"done": 100, "of": 100, "percent": "100.00", "needed": 50}
        assert state((1, 0), None, of=of, registered=100) == "undecided"

    @pytest.mark.parametrize(("what", "done"), [("cast", 100), ("valid", 99), ("approval", 60)])
    def test_of_nobody_registered_it_is_reached(self, what: Any, done: int) -> None:
        for more_than in (False, True):
            of = question(quorum=Quorum(HALF, what, more_than))
            found = said((60, 39), 7, 100, of, valid=99, registered=0)
            assert found["quorum"] == {"done": done, "of": 0, "percent": None, "needed": int(more_than)}
            assert found["state"] == "accepted"

    def test_of_nobody_registered_it_is_passed_by_one(self) -> None:
        of = question(quorum=Quorum(HALF, "approval", more_than=True))
        assert state((0, 39), 0, of=of, registered=0) == "void"
        assert state((0, 39), 1, of=of, registered=0) == "undecided"
        assert state((0, 39), 0, of=of, registered=0, contradicted=1) == "undecided"
        assert state((1, 39), 1, of=of, registered=0) == "rejected"
        of = question(quorum=Quorum(HALF, "approval"))
        assert state((0, 39), 1, of=of, registered=0) == "rejected"

    @pytest.mark.parametrize("what", ["cast", "valid", "approval"])
    def test_before_any_vote_is_counted_nothing_applies(self, what: Any) -> None:
        found = said((0, 0), 0, of=question(quorum=Quorum(HALF, what)), registered=200)
        assert found["state"] == "none"
        assert found["quorum"] == {"done": 0, "of": 200, "percent": "0.00", "needed": 100}


NORTH, SOUTH, WEST = ("X/NORTH", "X/SOUTH", "X/WEST")
CANTONS = (
    station("N-1", 100, path=("NORTH",)), station("S-1", 100, path=("SOUTH",)), station("W-1", 100, path=("WEST",)),
)  # fmt: skip


def asked(*half: str, **fields: Any) -> Contest:
    return question(double_majority=DoubleMajority("canton", half), **fields)


def counts(station: str, yes: int, no: int, **fields: Any) -> Any:
    return report(station, fields.pop("revision", 1), (yes, no), blank=0, invalid=0, **fields)


def night(of: Contest, *reports: Any) -> Night:
    """A test, so that a quarter of each register is the bound."""
    return Night(
        election(CANTONS, [of], levels=("canton",), depth=1, A3_register_percent=100, bound_register_percent=100), *reports
    )


def areas(approved: str, rejected: str, undecided: str, of: str) -> dict[str, str]:
    return {"approved": approved, "rejected": rejected, "undecided": undecided, "of": of}


class TestTheAreas:
    def test_more_than_half_of_them_must_approve_too(self) -> None:
        reports = [counts("N-1", 90, 10), counts("S-1", 40, 50)]
        found = night(asked(), *reports, counts("W-1", 51, 49)).root()["outcome"]
        assert (found["state"], found["double_majority"]) == ("accepted", areas("2", "1", "0", "3"))
        found = night(asked(), *reports, counts("W-1", 49, 51)).root()["outcome"]
        assert (found["state"], found["double_majority"]) == ("rejected", areas("1", "2", "0", "3"))

    def test_halves_count_one_half(self) -> None:
        reports = [counts("N-1", 90, 10), counts("S-1", 40, 50), counts("W-1", 49, 51)]
        found = night(asked(SOUTH, WEST), *reports).root()["outcome"]
        assert (found["state"], found["double_majority"]) == ("rejected", areas("1", "1", "0", "2")), (
            "half is not more than half"
        )
        found = night(asked(SOUTH), *reports).root()["outcome"]
        assert found["double_majority"] == areas("1", "1.5", "0", "2.5")
        found = night(asked(NORTH), counts("N-1", 10, 90), counts("S-1", 90, 10), counts("W-1", 60, 40)).root()["outcome"]
        assert (found["state"], found["double_majority"]) == ("accepted", areas("2", "0.5", "0", "2.5"))

    def test_votes_equal_with_nothing_out_do_not_approve(self) -> None:
        reports = [counts("N-1", 90, 10), counts("S-1", 50, 50), counts("W-1", 10, 20)]
        assert night(asked(), *reports).root()["outcome"]["double_majority"] == areas("1", "2", "0", "3")

    def test_each_is_certain_by_its_own_bound(self) -> None:
        partial = counts("S-1", 60, 10, complete=False)
        found = night(asked(), counts("N-1", 90, 10), partial).root()["outcome"]
        assert (found["state"], found["double_majority"]) == ("undecided", areas("2", "0", "1", "3"))
        found = night(asked(), counts("N-1", 90, 10), counts("S-1", 50, 20, complete=False)).root()["outcome"]
        assert found["double_majority"] == areas("1", "0", "2", "3"), "50 against 20, and 30 are out"
        found = night(asked(), counts("N-1", 90, 10), counts("S-1", 20, 50, complete=False)).root()["outcome"]
        assert found["double_majority"] == areas("1", "1", "1", "3"), "20 and 30 out are no more than 50"
        found = night(asked(), counts("N-1", 90, 10), counts("S-1", 20, 49, complete=False)).root()["outcome"]
        assert found["double_majority"] == areas("1", "0", "2", "3")

    def test_enough_of_them_and_of_the_votes_are_certain_before_all_are_in(self) -> None:
        found = night(asked(WEST), counts("N-1", 90, 1), counts("S-1", 90, 5)).root()["outcome"]
        assert (found["state"], found["double_majority"]) == ("accepted", areas("2", "0", "0.5", "2.5"))

    def test_rejected_once_too_few_are_left(self) -> None:
        found = night(asked(), counts("N-1", 90, 1), counts("S-1", 40, 50)).root()["outcome"]
        assert found["state"] == "undecided"
        found = night(asked(WEST), counts("N-1", 10, 20), counts("S-1", 90, 1)).root()["outcome"]
        assert (found["state"], found["double_majority"]) == ("undecided", areas("1", "1", "0.5", "2.5"))
        found = night(asked(SOUTH, WEST), counts("N-1", 10, 20), counts("S-1", 90, 1)).root()["outcome"]
        assert (found["state"], found["double_majority"]) == ("rejected", areas("0.5", "1", "0.5", "2"))

    def test_of_the_votes_alone_it_can_be_rejected(self) -> None:
        reports = [counts("N-1", 51, 49), counts("S-1", 51, 49), counts("W-1", 0, 100)]
        found = night(asked(), *reports).root()["outcome"]
        assert (found["state"], found["double_majority"]) == ("rejected", areas("2", "1", "0", "3"))

    def test_a_quorum_comes_before_them(self) -> None:
        of = asked(quorum=Quorum(HALF, "cast"))
        reports = [counts("N-1", 90, 10), counts("S-1", 40, 0), counts("W-1", 9, 0)]
        found = night(of, *reports).root()["outcome"]
        assert (found["state"], found["double_majority"]) == ("void", areas("3", "0", "0", "3"))
        assert found["quorum"] == {"done": 149, "of": 300, "percent": "49.67", "needed": 150}

    def test_an_area_whose_register_is_unknown_is_undecided_until_it_is_counted(self) -> None:
        stations = [station("N-1", None, path=("NORTH",)), *CANTONS[1:]]
        of = election(stations, [asked()], levels=("canton",), depth=1)
        found = Night(of, counts("S-1", 90, 5)).root()["outcome"]
        assert (found["state"], found["double_majority"]) == ("undecided", areas("1", "0", "2", "3"))
        found = Night(of, counts("S-1", 90, 5), counts("N-1", 9, 5)).root()["outcome"]
        assert found["double_majority"] == areas("2", "0", "1", "3")

    def test_what_contradicts_itself_in_an_area_is_certain_of_less(self) -> None:
        accepted = [
            counts("S-1", 60, 30, complete=False, cast=100, valid=90),
            counts("S-1", 55, 36, revision=2, complete=False, cast=80, valid=100),
        ]
        found = night(asked(), counts("N-1", 9, 1), *accepted, decision("accept", "S-1", 3, 2)).root()["outcome"]
        assert found["double_majority"] == areas("1", "0", "2", "3")

    def test_nothing_can_move_an_area_once_the_contest_is_certified(self) -> None:
        found = night(asked(), counts("N-1", 9, 1), counts("S-1", 5, 9, complete=False), control("certify")).root()["outcome"]
        assert (found["state"], found["double_majority"]) == ("rejected", areas("1", "2", "0", "3"))

    def test_areas_without_a_station_of_the_contest_have_no_say(self) -> None:
        named = {"ASK": ["N-1", "S-1"]}
        of = election(CANTONS, [asked(WEST), contest()], levels=("canton",), depth=1, named=named)
        found = Night(of, counts("N-1", 9, 1)).root()["outcome"]
        assert found["double_majority"] == areas("1", "0", "1", "2")

    def test_of_a_level_below_another(self) -> None:
        rows = [station("A-1", 10, path=("R", "A")), station("B-1", 10, path=("R", "B")), station("C-1", 10, path=("S", "C"))]
        of = election(rows, [question(double_majority=DoubleMajority("town", ("X/S/C",)))], levels=("region", "town"), depth=2)
        assert Night(of, counts("A-1", 5, 4)).root()["outcome"]["double_majority"] == areas("1", "0", "1.5", "2.5")
        of = election(rows, [question(double_majority=DoubleMajority("region"))], levels=("region", "town"), depth=2)
        assert Night(of, counts("C-1", 5, 4)).root()["outcome"]["double_majority"] == areas("1", "0", "1", "2")

    def test_before_anything_is_heard_all_are_undecided(self) -> None:
        of = election(CANTONS, [asked()], levels=("canton",), depth=1, phase="test")
        found = Night(of).root()["outcome"]
        assert (found["state"], found["double_majority"]) == ("none", areas("0", "0", "3", "3"))

    def test_only_the_root_says_so_and_says_it_again_when_an_area_moves(self) -> None:
        night_ = night(asked(), counts("N-1", 9, 1))
        first = night_.messages()
        assert [m["area"] for m in first if m["outcome"] is not None] == ["X"]
        night_.take(counts("N-1", 1, 9, revision=2))
        assert night_.root()["outcome"]["double_majority"] == areas("0", "1", "2", "3")
        assert first[-1]["outcome"]["double_majority"] == areas("1", "0", "2", "3")

    def test_before_the_polls_close_nothing_is_said(self) -> None:
        night_ = night(asked(quorum=Quorum(HALF, "cast")))
        night_.take(counts("N-1", 9, 1), at_ms=CLOSE_MS - 1)
        assert night_.root()["outcome"] is None
