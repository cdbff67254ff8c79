"""What is certain of a contest, with the most ballots that can still take effect as the bound.

Single cases with their figures; that nothing false is ever certain is what `tests/certainty` enumerates.
"""

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import pytest

from tally_stream.domain.contest import Allocation, Contest, Majority, SeatMethod, SeatTie, ThresholdBase
from tally_stream.domain.outcome import outcome
from tally_stream.domain.seats import seats_of
from tests.support.small_elections import Night, contest, control, counted, decision, election, report, station, turnout

NAMES = ("ANNA", "BELA", "CLEO", "DORA")
FORTY_AND_TEN = Majority(Fraction(50), or_percent=Fraction(40), or_lead_percent=Fraction(10))


def of(votes: Sequence[int], **fields: Any) -> Contest:
    return contest(candidates=NAMES[: len(votes)], **fields)


def state(
    votes: Sequence[int], total: int | None, bound: int | None, untold: int = 0, contradicted: int = 0, **of_: Any
) -> str:
    found: str = outcome(of(votes, **of_), counted(votes, total, bound, untold, contradicted))["state"]
    return found


class TestMajority:
    """Decided when the leader wins with all outstanding ballots at the second; runoff when nobody wins with all of them."""

    @pytest.mark.parametrize(
        ("votes", "base", "bound", "expected"),
        [
            ((0, 0), 0, 0, "none"),
            ((0, 0), 0, None, "none"),
            ((51, 49), 100, None, "undecided"),
            ((51, 49), 100, 0, "decided"),
            ((51, 49), 100, 1, "decided"),
            ((51, 49), 100, 2, "undecided"),
            ((50, 50), 100, 0, "runoff"),
            ((40, 30, 30), 100, 19, "runoff"),
            ((40, 30, 30), 100, 20, "runoff"),
            ((40, 30, 30), 100, 21, "undecided"),
            ((9,), 9, 8, "decided"),
            ((9,), 9, 9, "undecided"),
            ((9,), 20, 2, "runoff"),
            ((9,), 20, 3, "undecided"),
        ],
    )
    def test_states(self, votes: Sequence[int], base: int, bound: int | None, expected: str) -> None:
        assert state(votes, base, bound) == expected

    @pytest.mark.parametrize(
        ("votes", "bound", "expected"),
        [
            ((40, 30, 30), 0, "decided"),  # 40 % and 10 points ahead
            ((40, 30, 30), 1, "undecided"),
            ((40, 31, 29), 0, "runoff"),
            ((39, 25, 36), 0, "runoff"),
            ((51, 49), 1, "decided"),  # more than half is enough
            ((48, 20, 32), 5, "decided"),  # in the worst case 48 and 37 of 105
            ((48, 20, 32), 6, "undecided"),  # 48 and 38 of 106: 9.4 points
            ((35, 35, 30), 11, "runoff"),  # 46 and 35 of 111: 9.9 points
            ((35, 35, 30), 12, "undecided"),
        ],
    )
    def test_forty_per_cent_and_ten_points(self, votes: Sequence[int], bound: int, expected: str) -> None:
        assert state(votes, sum(votes), bound, majority=FORTY_AND_TEN) == expected

    @pytest.mark.parametrize(
        ("votes", "percent", "at_least", "expected"),
        [
            ((50, 30, 20), 50, False, "runoff"),
            ((50, 30, 20), 50, True, "decided"),
            ((50, 50), 50, True, "runoff"),
            ((40, 35, 25), 40, True, "decided"),
            ((40, 40, 20), 30, False, "runoff"),  # nobody has more than every other
            ((66, 34), Fraction(200, 3), True, "runoff"),
            ((67, 33), Fraction(200, 3), True, "decided"),
            ((100, 0), 100, False, "runoff"),
            ((100, 0), 100, True, "decided"),
        ],
    )
    def test_other_limits(self, votes: Sequence[int], percent: Fraction, at_least: bool, expected: str) -> None:
        assert state(votes, 100, 0, majority=Majority(Fraction(percent), at_least)) == expected

    def test_a_sole_candidate_needs_its_lead_over_nobody(self) -> None:
        assert state((41,), 100, 0, majority=FORTY_AND_TEN) == "decided"
        assert state((39,), 100, 0, majority=FORTY_AND_TEN) == "runoff"
        assert state((39, 61), 100, 0, majority=FORTY_AND_TEN, ineligible=["BELA"]) == "runoff"
        assert state((40, 60), 100, 0, majority=FORTY_AND_TEN, ineligible=["BELA"]) == "decided"

    def test_who_cannot_win_counts_in_the_base(self) -> None:
        found = outcome(of((60, 30, 10), ineligible=["ANNA"]), counted((60, 30, 10), 100, 0))
        assert (found["state"], found["leader"], found["lead"]) == ("runoff", "BELA", 20)
        assert state((30, 60, 10), 100, 9, majority=Majority(Fraction(55)), ineligible=["ANNA"]) == "decided"  # 60 of 109
        assert state((30, 60, 10), 100, 10, majority=Majority(Fraction(55)), ineligible=["ANNA"]) == "undecided"

    def test_ballots_cast_and_not_told_apart_become_votes_without_adding_to_a_base_of_cast(self) -> None:
        assert state((45, 30), 100, 10, base="cast") == "runoff"  # 55 of 110
        assert state((45, 30), 100, 10, untold=10, base="cast") == "undecided"  # 55 of 100
        assert state((45, 30), 100, 10, untold=10, base="valid") == "runoff"
        assert state((56, 30), 100, 12, base="cast") == "undecided"  # 56 of 112
        assert state((56, 30), 100, 12, untold=1, base="cast") == "decided"  # 56 of 111

    def test_what_contradicts_itself_is_certain_of_less(self) -> None:
        assert state((51, 49), 100, 0, contradicted=1) == "decided"
        assert state((51, 49), 100, 0, contradicted=2) == "undecided"
        assert state((48, 42), 100, 0, contradicted=2) == "runoff"
        assert state((48, 42), 100, 0, contradicted=3) == "undecided"
        assert state((51, 40), 101, 0, contradicted=1, base="cast") == "undecided"  # 51 of 102
        assert state((51, 40), 101, 0, contradicted=1, base="valid") == "decided"

    def test_an_unknown_base_is_undecided(self) -> None:
        assert state((99, 1), None, 0, base="cast") == "undecided"
        assert state((0, 0), None, 0, base="cast") == "none"

    def test_a_majority_of_the_ballots_cast_is_more_than_one_of_the_valid_ones(self) -> None:
        counts: dict[str, Any] = {"votes": (51, 49), "blank": 1, "invalid": 1}
        valid = Night(election(contests=[contest(base="valid")]), report(**counts))
        cast = Night(election(contests=[contest(base="cast")]), report(**counts))
        assert valid.root()["outcome"]["state"] == "decided"
        assert cast.root()["outcome"]["state"] == "runoff"

    def test_base_cast_with_cast_unknown_is_undecided(self) -> None:
        night = Night(election(contests=[contest(base="cast")]), report(cast=None))
        assert night.root()["outcome"]["state"] == "undecided"

    def test_there_is_never_a_tie(self) -> None:
        assert state((50, 50), 100, 0) == "runoff"

    def test_elected_is_the_leader_once_decided(self) -> None:
        assert outcome(of((49, 51)), counted((49, 51), 100, 0))["elected"] == ["BELA"]
        assert outcome(of((49, 51)), counted((49, 51), 100, 5))["elected"] == []
        assert outcome(of((50, 50)), counted((50, 50), 100, 0))["elected"] == []


class TestPlurality:
    """Elected are those for whom fewer than s others can together reach their votes."""

    @pytest.mark.parametrize(
        ("votes", "bound", "expected"),
        [
            ((0, 0), 0, "none"),
            ((30, 20), 9, "decided"),
            ((30, 20), 10, "undecided"),
            ((30, 20), 11, "undecided"),
            ((30, 20), None, "undecided"),
            ((30, 30), 0, "tie"),
            ((30, 30), 1, "undecided"),
            ((31, 30), 0, "decided"),
            ((5,), 5, "decided"),  # nobody is against
            ((5,), None, "undecided"),
        ],
    )
    def test_one_seat(self, votes: Sequence[int], bound: int | None, expected: str) -> None:
        assert state(votes, sum(votes), bound, rule="plurality") == expected

    @pytest.mark.parametrize(
        ("votes", "seats", "bound", "expected", "elected"),
        [
            ((50, 40, 10), 2, 29, "decided", ["ANNA", "BELA"]),
            ((50, 40, 10), 2, 30, "undecided", ["ANNA"]),
            ((50, 40, 10), 2, 49, "undecided", ["ANNA"]),  # BELA and CLEO lack 10 and 40: not both of them
            ((50, 40, 10), 2, 50, "undecided", []),
            ((30, 30, 20), 2, 9, "decided", ["ANNA", "BELA"]),
            ((30, 30, 20), 2, 10, "undecided", []),
            ((20, 30, 20), 2, 0, "tie", ["BELA"]),
            ((20, 30, 20), 2, 1, "undecided", ["BELA"]),
            ((20, 30, 10), 3, 10, "decided", ["ANNA", "BELA", "CLEO"]),  # no more candidates than seats
            ((20, 30, 0), 3, 0, "decided", ["ANNA", "BELA", "CLEO"]),
            ((20, 30), 5, 99, "decided", ["ANNA", "BELA"]),
            ((20, 30), 5, None, "undecided", []),
            ((9, 8, 7, 6), 3, 1, "undecided", ["ANNA", "BELA"]),
            ((9, 8, 7, 6), 3, 2, "undecided", ["ANNA", "BELA"]),  # CLEO and DORA lack 1 and 2
            ((9, 8, 7, 6), 3, 3, "undecided", ["ANNA"]),
        ],
    )
    def test_several_seats(
        self, votes: Sequence[int], seats: int, bound: int | None, expected: str, elected: list[str]
    ) -> None:
        found = outcome(of(votes, rule="plurality", seats=seats), counted(votes, None, bound))
        assert (found["state"], found["elected"]) == (expected, elected)

    @pytest.mark.parametrize(
        ("votes", "seats", "tied"),
        [
            ((30, 30), 1, {"seats": 1, "between": ["ANNA", "BELA"]}),
            ((23, 50, 23), 2, {"seats": 1, "between": ["ANNA", "CLEO"]}),
            ((10, 10, 10), 2, {"seats": 2, "between": ["ANNA", "BELA", "CLEO"]}),
            ((10, 10, 10, 9), 2, {"seats": 2, "between": ["ANNA", "BELA", "CLEO"]}),
            ((31, 30), 1, None),
        ],
    )
    def test_who_shares_the_last_seats(self, votes: Sequence[int], seats: int, tied: dict[str, Any] | None) -> None:
        assert outcome(of(votes, rule="plurality", seats=seats), counted(votes, None, 0))["tied"] == tied

    def test_who_cannot_win_takes_no_seat_and_shares_none(self) -> None:
        nobody = of((10, 30, 10), rule="plurality", ineligible=["BELA"])
        assert outcome(nobody, counted((10, 30, 10), None, 0))["tied"] == {"seats": 1, "between": ["ANNA", "CLEO"]}
        assert outcome(nobody, counted((12, 30, 10), None, 1))["elected"] == ["ANNA"]
        two = of((10, 30, 10), rule="plurality", seats=2, ineligible=["BELA"])
        assert outcome(two, counted((10, 30, 10), None, 99))["elected"] == ["ANNA", "CLEO"]
        assert outcome(two, counted((0, 30, 0), None, 99))["elected"] == ["ANNA", "CLEO"], "nobody else can take a seat"

    def test_a_tie_is_none_while_figures_contradict_each_other(self) -> None:
        assert state((30, 30), 60, 0, contradicted=1, rule="plurality") == "undecided"
        assert state((31, 30), 61, 0, contradicted=1, rule="plurality") == "undecided"
        assert state((32, 30), 62, 0, contradicted=1, rule="plurality") == "decided"

    def test_there_is_never_a_runoff_and_the_base_does_not_matter(self) -> None:
        assert state((20, 19), 100, 0, rule="plurality") == "decided"
        assert state((20, 19), None, 0, rule="plurality", base="cast") == "decided"


class TestSeveralVotesABallot:
    """Each other by no more than the bound, all of them by no more than votes_per_ballot times the bound."""

    def elected(self, votes: Sequence[int], seats: int, bound: int, k: int, contradicted: int = 0) -> list[str]:
        several = of(votes, rule="plurality", seats=seats, votes_per_ballot=k)
        return outcome(several, counted(votes, None, bound, contradicted=contradicted))["elected"]

    def test_no_candidate_gets_two_votes_of_one_ballot(self) -> None:
        assert self.elected((30, 20), 1, 9, 2) == ["ANNA"]
        assert self.elected((30, 20), 1, 10, 2) == []

    def test_but_several_candidates_get_one_each(self) -> None:
        assert self.elected((30, 24, 22), 2, 8, 1) == ["ANNA"], "BELA and CLEO lack 6 and 8"
        assert self.elected((30, 24, 22), 2, 8, 2) == []
        assert self.elected((30, 24, 22), 2, 7, 2) == ["ANNA"], "CLEO lacks 8, with 7 ballots out"
        assert self.elected((30, 24, 22), 2, 13, 1) == ["ANNA"]
        assert self.elected((30, 24, 22), 2, 14, 1) == []

    def test_all_of_them_get_no_more_than_all_ballots_have(self) -> None:
        assert self.elected((30, 24, 24, 24), 3, 8, 2) == ["ANNA"], "18 votes are lacking, 16 are out"
        assert self.elected((30, 24, 24, 24), 3, 9, 2) == []

    def test_what_contradicts_itself_is_so_many_votes(self) -> None:
        assert self.elected((30, 26, 26, 26), 3, 4, 2, contradicted=3) == ["ANNA"], "12 are lacking, 11 are out"
        assert self.elected((30, 26, 26, 26), 3, 4, 2, contradicted=4) == []

    def test_a_majority_is_of_ballots_whatever_a_ballot_gives(self) -> None:
        assert state((51, 49), 100, 1, votes_per_ballot=3) == "decided"
        assert state((51, 49), 100, 2, votes_per_ballot=3) == "undecided"


def shared(
    votes: Sequence[int], seats: int, bound: int | None, contradicted: int = 0, method: SeatMethod = "dhondt",
    tie: SeatTie = "nobody", base: ThresholdBase = "valid", percent: int = 0, **fields: Any,
) -> dict[str, Any]:  # fmt: skip
    contest_ = of(
        votes, rule="proportional", seats=seats, allocation=Allocation(method, Fraction(percent), base, tie=tie), **fields
    )
    figures = counted(votes, None, bound, contradicted=contradicted, cast=None)
    return outcome(contest_, figures, seats_of(contest_, figures))


class TestProportional:
    """Decided when Σ certain = seats, or with nothing outstanding and nothing tied."""

    def test_decided_once_every_seat_is_certain(self) -> None:
        assert shared((50, 33, 9), 5, 7)["state"] == "decided"
        assert shared((50, 33, 9), 5, 8)["state"] == "undecided"

    def test_elected_are_those_certain_of_a_seat_in_definition_order(self) -> None:
        assert shared((33, 50, 9), 5, 7)["elected"] == ["ANNA", "BELA"]
        assert shared((20, 50, 9), 2, 20)["elected"] == ["BELA"]
        assert shared((20, 30, 9), 2, 20)["elected"] == ["BELA"], "ANNA has a seat now"
        assert shared((33, 50, 9), 5, None)["elected"] == []

    def test_undecided_with_an_unknown_bound_or_base(self) -> None:
        assert shared((50, 33), 5, None)["state"] == "undecided"
        assert shared((50, 33), 5, 0, base="cast")["state"] == "undecided"
        assert shared((50, 33), 5, 0, base="cast")["elected"] == []

    def test_none_while_nobody_has_votes(self) -> None:
        assert shared((0, 0), 5, 9)["state"] == "none"
        assert shared((0, 0), 5, 0)["state"] == "none"

    def test_a_tie_with_nothing_out(self) -> None:
        found = shared((30, 30, 9), 3, 0)
        assert (found["state"], found["elected"]) == ("tie", ["ANNA", "BELA"])
        assert found["tied"] == {"seats": 1, "between": ["ANNA", "BELA"]}
        assert shared((30, 30, 9), 3, 1)["state"] == "undecided"
        assert shared((30, 30, 9), 3, 1)["tied"] is None
        assert shared((40, 20, 9), 2, 0)["state"] == "tie"
        assert shared((40, 20, 9), 2, 0, tie="more-votes")["state"] == "decided"

    def test_none_while_figures_contradict_each_other(self) -> None:
        assert shared((30, 30, 9), 3, 0, contradicted=1)["state"] == "undecided"
        assert shared((50, 33, 9), 5, 0, contradicted=8)["state"] == "undecided"
        assert shared((50, 33, 9), 5, 0, contradicted=7)["state"] == "decided"

    def test_decided_too_where_no_list_passes_or_fills_all_seats(self) -> None:
        found = shared((3, 3, 3), 5, 0, percent=40)
        assert (found["state"], found["elected"], found["tied"]) == ("decided", [], None)

    def test_a_leader_by_votes_all_the_same(self) -> None:
        assert (shared((33, 50, 9), 5, 7)["leader"], shared((33, 50, 9), 5, 7)["lead"]) == ("BELA", 17)

    def test_where_nobody_is_eligible(self) -> None:
        assert shared((3, 2), 5, 0, ineligible=["ANNA", "BELA"])["state"] == "none"


class TestNone:
    @pytest.mark.parametrize("bound", [None, 0, 7])
    def test_always_for_rule_none_whose_leader_is_known(self, bound: int | None) -> None:
        found = outcome(of((5, 9), rule="none"), counted((5, 9), 14, bound))
        assert found == {
            "state": "none", "leader": "BELA", "lead": 4, "outstanding_bound": bound, "elected": [], "tied": None,
            "quorum": None, "double_majority": None,
        }  # fmt: skip

    @pytest.mark.parametrize("rule", ["majority", "plurality", "none"])
    def test_where_nobody_is_eligible(self, rule: str) -> None:
        found = outcome(of((5, 9), rule=rule, ineligible=["ANNA", "BELA"]), counted((5, 9), 14, 0))
        assert (found["state"], found["leader"], found["lead"], found["elected"]) == ("none", None, None, [])


class TestLeader:
    def test_none_while_nobody_has_votes(self) -> None:
        assert outcome(of((0, 0, 0)), counted((0, 0, 0), 0, 7)) == {
            "state": "none", "leader": None, "lead": None, "outstanding_bound": 7, "elected": [], "tied": None,
            "quorum": None, "double_majority": None,
        }  # fmt: skip

    def test_none_while_only_those_have_votes_who_cannot_win(self) -> None:
        found = outcome(of((0, 7), ineligible=["BELA"]), counted((0, 7), 7, 6))
        assert (found["state"], found["leader"], found["lead"]) == ("runoff", None, None)

    def test_the_first_by_definition_order_where_equal_with_a_lead_of_0(self) -> None:
        found = outcome(of((5, 9, 9)), counted((5, 9, 9), 23, 7))
        assert (found["leader"], found["lead"]) == ("BELA", 0)

    def test_the_lead_is_over_the_next_eligible_candidate_also_with_more_seats(self) -> None:
        found = outcome(of((9, 4, 1), seats=2, rule="plurality"), counted((9, 4, 1), 14, 0))
        assert (found["leader"], found["lead"]) == ("ANNA", 5)
        assert outcome(of((9, 4, 1), ineligible=["BELA"]), counted((9, 4, 1), 14, 0))["lead"] == 8

    def test_a_sole_candidate_leads_by_all_votes(self) -> None:
        assert outcome(of((9,)), counted((9,), 9, 0))["lead"] == 9


class TestBound:
    """Over stations neither counted nor annulled: the most that each may come to by what is known of it, less what its
    partial count brought, never below 0."""

    def bound(self, night: Night) -> int | None:
        found: int | None = night.root()["outcome"]["outstanding_bound"]
        return found

    def test_outstanding_stations_count_each_floored(self) -> None:
        of = election([station("A-1", 49), station("A-2", 49), station("A-3", 49)], phase="test")
        assert self.bound(Night(of)) == 3 * 73  # of 73.5

    def test_counted_and_annulled_stations_do_not(self) -> None:
        of = election([station("A-1", 200), station("A-2", 100), station("A-3", 100)])
        night = Night(of, report("A-1"), decision("annul", "A-2", 1, 0))
        assert self.bound(night) == 150

    @pytest.mark.parametrize(("registered", "expected", "most"), [(100, 149, 150), (100, 151, 151), (0, 90, 135), (0, 0, 0)])
    def test_ballots_expected_count_where_they_are_more(self, registered: int, expected: int, most: int) -> None:
        assert self.bound(Night(election([station("A-1", registered, expected)], phase="test"))) == most

    def test_the_postal_unit_that_was_forgotten(self) -> None:
        """900 ballots expected of voters who stand in other registers, and a lead of 240: nothing is decided."""
        night = Night(election([station("A-1", 600), station("POST", 0, 900)]), report("A-1", votes=(370, 130)))
        assert night.root()["outcome"]["state"] == "undecided"
        assert night.root()["outcome"]["outstanding_bound"] == 1350

    def test_a_turnout_statement_counts_where_it_is_more(self) -> None:
        night = Night(election([station("A-1", 100, 20)], phase="test"), turnout("A-1", voted=150))
        assert self.bound(night) == 150
        night.take(turnout("A-1", 2, voted=151))
        assert self.bound(night) == 151
        night.take(report("A-1", votes=(50, 46), complete=False))
        assert self.bound(night) == 51

    @pytest.mark.parametrize(
        ("figures", "ballots"),
        [
            ({"cast": 400}, 400),
            ({"cast": None, "blank": 4, "invalid": None}, 320),
            ({"cast": None, "blank": 4, "invalid": 6}, 326),
        ],
    )
    def test_a_held_report_counts_where_it_is_more(self, figures: dict[str, Any], ballots: int) -> None:
        night = Night(election([station("A-1", 200)]), report("A-1", votes=(300, 16), **figures))
        assert (night.states(), self.bound(night)) == ({"held": 1}, ballots)
        night = Night(election([station("A-1", 200)]), report(complete=False), report(revision=2, votes=(300, 16), **figures))
        assert (night.states(), self.bound(night)) == ({"partial": 1}, ballots - 100)
        night = Night(election([station("A-1", 200)]), report(), report(revision=2, votes=(300, 16), **figures))
        assert (night.states(), self.bound(night)) == ({"counted": 1}, 0)

    @pytest.mark.parametrize(
        ("figures", "told_apart"), [({}, 100), ({"cast": None}, 100), ({"blank": None}, 98), ({"blank": None, "cast": 140}, 98)]
    )
    def test_a_partial_count_leaves_the_rest_of_its_station(self, figures: dict[str, Any], told_apart: int) -> None:
        night = Night(election([station("A-1", 200)]), report(complete=False, **figures))
        assert self.bound(night) == 300 - told_apart

    def test_a_partial_counts_own_register_does_not_count(self) -> None:
        night = Night(election([station("A-1", 200)]), report(complete=False, registered=210))
        assert self.bound(night) == 300 - 100
        night = Night(election([station("A-1", None)]), report(complete=False, registered=210))
        assert self.bound(night) is None

    def test_null_where_a_register_is_unknown_until_that_station_is_counted(self) -> None:
        night = Night(election([station("A-1", 200), station("A-2", None, 50)]), report("A-1"))
        assert self.bound(night) is None
        assert night.root()["outcome"]["state"] == "undecided"
        night.take(report("A-2", complete=False))
        assert self.bound(night) is None
        night.take(report("A-2", 2))
        assert self.bound(night) == 0

    def test_null_is_over_where_the_station_is_annulled_and_back_with_a_restore(self) -> None:
        night = Night(election([station("A-1", 200), station("A-2", None)]), report("A-1"), decision("annul", "A-2", 1, 0))
        assert self.bound(night) == 0
        night.take(decision("restore", "A-2", 2, 1))
        assert self.bound(night) is None

    def test_it_is_back_after_a_withdrawal(self) -> None:
        night = Night(election([station("A-1", 200)]), report(), decision("withdraw"))
        assert self.bound(night) == 300

    def test_no_station_is_below_nothing(self) -> None:
        """A partial count that an authority let pass its register takes nothing from the other station."""
        of = election([station("A-1", 20), station("A-2", 200)])
        night = Night(of, report("A-1", complete=False, votes=(50, 46), valid=97), decision("accept", "A-1"))
        assert night.states() == {"partial": 1, "outstanding": 1}
        assert self.bound(night) == 300

    def test_certified_in_every_partition_nothing_can_come(self) -> None:
        night = Night(election([station("A-1", 200), station("A-2", None)]), report("A-1", votes=(51, 49)), control("certify"))
        assert self.bound(night) == 0
        assert night.root()["outcome"]["state"] == "decided"
