"""Decided or not, with the most ballots that may still come as the bound."""

from collections.abc import Sequence
from typing import Any

import pytest

from tally_stream.domain.outcome import outcome
from tests.support.small_elections import Night, contest, decision, election, report, station

MAJORITY = contest(candidates=("ANNA", "BELA", "CLEO"))


def state(votes: Sequence[int], total: int | None, bound: int | None, **of: Any) -> str:
    names = ("ANNA", "BELA", "CLEO", "DORA")[: len(votes)]
    found: str = outcome(contest(candidates=names, **of), votes, total, bound)["state"]
    return found


class TestMajority:
    """Decided when 2 × leader > base + bound; runoff when 2 × (leader + bound) ≤ base + bound."""

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
        ],
    )
    def test_states(self, votes: Sequence[int], base: int, bound: int | None, expected: str) -> None:
        assert state(votes, base, bound) == expected

    def test_an_unknown_base_is_undecided(self) -> None:
        assert state((99, 1), None, 0) == "undecided"
        assert state((0, 0), None, 0) == "none"

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


class TestPlurality:
    """Decided when votes[seats] − votes[seats + 1] > bound; a tie when bound = 0 and the two are equal."""

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
            ((5,), 4, "decided"),
            ((5,), 5, "undecided"),
        ],
    )
    def test_one_seat(self, votes: Sequence[int], bound: int | None, expected: str) -> None:
        assert state(votes, sum(votes), bound, rule="plurality") == expected

    @pytest.mark.parametrize(
        ("votes", "seats", "bound", "expected"),
        [
            ((30, 30, 20), 2, 9, "decided"),
            ((30, 30, 20), 2, 10, "undecided"),
            ((30, 20, 20), 2, 0, "tie"),
            ((30, 20, 20), 2, 1, "undecided"),
            ((20, 30, 10), 3, 9, "decided"),  # as many seats as candidates: the last against nobody
            ((20, 30, 10), 3, 10, "undecided"),
            ((20, 30, 0), 3, 0, "tie"),
            ((20, 30), 3, 0, "tie"),  # fewer candidates than seats: nobody against nobody
            ((20, 30), 3, 5, "undecided"),
            ((20, 30), 5, 0, "tie"),
        ],
    )
    def test_several_seats(self, votes: Sequence[int], seats: int, bound: int, expected: str) -> None:
        assert state(votes, sum(votes), bound, rule="plurality", seats=seats) == expected

    def test_there_is_never_a_runoff_and_the_base_does_not_matter(self) -> None:
        assert state((20, 19), 100, 0, rule="plurality") == "decided"
        assert state((20, 19), None, 0, rule="plurality", base="cast") == "decided"


class TestLeader:
    def test_none_while_nobody_has_votes(self) -> None:
        assert outcome(MAJORITY, (0, 0, 0), 0, 7) == {
            "state": "none", "leader": None, "lead": None, "outstanding_bound": 7
        }  # fmt: skip

    def test_the_first_by_definition_order_where_equal_with_a_lead_of_0(self) -> None:
        found = outcome(MAJORITY, (5, 9, 9), 23, 7)
        assert (found["leader"], found["lead"]) == ("BELA", 0)

    def test_the_lead_is_over_the_next_candidate_also_with_more_seats(self) -> None:
        found = outcome(contest(candidates=("A", "B", "C"), seats=2, rule="plurality"), (9, 4, 1), 14, 0)
        assert (found["leader"], found["lead"]) == ("A", 5)

    def test_a_sole_candidate_leads_by_all_votes(self) -> None:
        assert outcome(contest(candidates=("A",)), (9,), 9, 0)["lead"] == 9


class TestBound:
    """Σ floor(registered × 102 / 100) over stations neither counted nor annulled, less the ballots of partial counts."""

    def bound(self, night: Night) -> int | None:
        found: int | None = night.root()["outcome"]["outstanding_bound"]
        return found

    def test_outstanding_and_held_stations_count_each_floored(self) -> None:
        of = election([station("A-1", 49), station("A-2", 49), station("A-3", 49)], phase="test")
        assert self.bound(Night(of)) == 3 * 49
        assert self.bound(Night(of, report("A-1", votes=(40, 0), valid=41, cast=None))) == 3 * 49

    def test_counted_and_annulled_stations_do_not(self) -> None:
        of = election([station("A-1", 200), station("A-2", 100), station("A-3", 100)])
        night = Night(of, report("A-1"), decision("annul", "A-2", 1, 0))
        assert self.bound(night) == 102

    @pytest.mark.parametrize(("cast", "ballots"), [(100, 100), (None, 96)])
    def test_a_partial_count_leaves_the_rest_of_its_station(self, cast: int | None, ballots: int) -> None:
        night = Night(election([station("A-1", 200)]), report(complete=False, cast=cast))
        assert self.bound(night) == 204 - ballots

    def test_a_partial_counts_own_register_comes_first(self) -> None:
        night = Night(election([station("A-1", 200)]), report(complete=False, registered=210))
        assert self.bound(night) == 214 - 100
        night = Night(election([station("A-1", None)]), report(complete=False, registered=210))
        assert self.bound(night) == 214 - 100

    def test_null_where_a_register_is_unknown_until_that_station_is_counted(self) -> None:
        night = Night(election([station("A-1", 200), station("A-2", None)]), report("A-1"))
        assert self.bound(night) is None
        assert night.root()["outcome"]["state"] == "undecided"
        night.take(report("A-2", complete=False))
        assert self.bound(night) is None
        night.take(report("A-2", 2))
        assert self.bound(night) == 0

    def test_it_is_back_after_a_withdrawal(self) -> None:
        night = Night(election([station("A-1", 200)]), report(), decision("withdraw"))
        assert self.bound(night) == 204

    def test_never_below_nothing(self) -> None:
        of = election([station("A-1", 200)], A3_register_percent=10)
        night = Night(of, report(complete=False), decision("accept"))
        assert self.bound(night) == 0
