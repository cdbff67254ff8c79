"""Seats of a proportional contest, sentence by sentence: what each list has now, what is nobody's, what is certain.

Single cases with their figures. Properties and other people's packages stand in `test_seats_properties.py`; that no certain
seat is ever lost is what `tests/certainty` enumerates.
"""

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import pytest

from tally_stream.domain.contest import Allocation, Contest, SeatMethod
from tally_stream.domain.seats import Seats, seats_of
from tally_stream.domain.standings import MergedFigures
from tests.support.small_elections import TOPIC, Night, contest, control, correct, counted, election, report, station

METHODS: tuple[SeatMethod, ...] = ("dhondt", "sainte-lague", "sainte-lague-1.4", "hare")


def lists(count: int, seats: int, method: SeatMethod = "dhondt", percent: Any = 0, **fields: Any) -> Contest:
    """L-0, L-1, … with so many seats between them."""
    of = {name: fields.pop(name) for name in ("threshold_base", "exempt", "tie") if name in fields}
    allocation = Allocation(method, Fraction(percent), **of)
    ids = [f"L-{i}" for i in range(count)]
    return contest(candidates=ids, rule="proportional", seats=seats, allocation=allocation, **fields)


def found(of: Contest, votes: Sequence[int], bound: int | None = 0, **figures: Any) -> Seats:
    seats = seats_of(of, counted(votes, None, bound, **figures))
    assert seats is not None
    return seats


def now(votes: Sequence[int], seats: int, method: SeatMethod = "dhondt", percent: Any = 0, **fields: Any) -> list[int]:
    figures = {name: fields.pop(name) for name in ("valid", "blank", "cast") if name in fields}
    return found(lists(len(votes), seats, method, percent, **fields), votes, **figures).now


def tied(votes: Sequence[int], seats: int, method: SeatMethod = "dhondt", **fields: Any) -> tuple[list[int], int, list[int]]:
    of = found(lists(len(votes), seats, method, **fields), votes)
    return of.now, of.tied_seats, of.tied


def certain(
    votes: Sequence[int], seats: int, bound: int | None, method: SeatMethod = "dhondt", percent: Any = 0, **fields: Any
) -> list[int]:
    figures = {name: fields.pop(name) for name in ("valid", "blank", "cast", "contradicted") if name in fields}
    return found(lists(len(votes), seats, method, percent, **fields), votes, bound, **figures).certain


class TestMethods:
    @pytest.mark.parametrize(
        ("method", "expected"),
        [
            ("dhondt", [4, 3, 1, 0]),
            ("sainte-lague", [3, 3, 1, 1]),
            ("sainte-lague-1.4", [4, 3, 1, 0]),  # the last seat: 100,000 / 7 and 19,000 / 1.4
            ("hare", [3, 3, 1, 1]),  # a quota of 28,625: 3.49, 2.79, 1.05, 0.66
        ],
    )
    def test_each_by_its_divisors_or_quota(self, method: SeatMethod, expected: list[int]) -> None:
        assert now((100_000, 80_000, 30_000, 19_000), 8, method) == expected

    def test_dhondt_divides_by_1_2_3(self) -> None:
        assert now((61, 20), 3) == [3, 0]
        assert now((59, 20), 3) == [2, 1]
        assert now((81, 20), 4) == [4, 0]

    def test_sainte_lague_divides_by_1_3_5(self) -> None:
        assert now((101, 20), 3, "sainte-lague") == [3, 0]
        assert now((99, 20), 3, "sainte-lague") == [2, 1]

    def test_its_other_form_by_1_4_first(self) -> None:
        assert now((141, 301), 2, "sainte-lague-1.4") == [1, 1]  # 141 / 1.4 = 100.7, 301 / 3 = 100.3
        assert now((139, 301), 2, "sainte-lague-1.4") == [0, 2]
        assert now((139, 301), 2, "sainte-lague") == [1, 1]
        assert now((701, 200), 4, "sainte-lague-1.4") == [3, 1]  # 701 / 7 = 100.1, and 200 / 1.4 = 142.9
        assert now((701, 139), 4, "sainte-lague-1.4") == [4, 0]

    def test_hare_gives_whole_quotas_and_then_the_largest_remainders(self) -> None:
        assert now((47, 17, 15, 12, 6, 3), 10, "hare") == [5, 2, 1, 1, 1, 0]
        assert now((50, 30, 20), 10, "hare") == [5, 3, 2], "nothing is left"

    def test_hare_s_quota_is_of_the_votes_of_lists_that_pass(self) -> None:
        assert now((51, 45, 4), 24, "hare") == [12, 11, 1]  # of 100: 12.24, 10.8, 0.96
        assert now((51, 45, 4), 24, "hare", 5) == [13, 11, 0]  # of 96: 12.75, 11.25

    @pytest.mark.parametrize("method", METHODS)
    def test_a_large_house_is_shared_out_to_the_last_seat(self, method: SeatMethod) -> None:
        votes = [1_000_003 * (i % 97 + 1) + i for i in range(500)]
        seats = now(votes, 9_999, method)
        assert sum(seats) == 9_999
        quota = Fraction(sum(votes), 9_999)
        assert all(abs(n - v / quota) < 3 for n, v in zip(seats, votes, strict=True))

    @pytest.mark.parametrize("method", METHODS)
    def test_nobody_gets_a_seat_without_votes(self, method: SeatMethod) -> None:
        assert tied((0, 0), 3, method) == ([0, 0], 0, [])
        assert tied((0, 7), 3, method) == ([0, 3], 0, [])

    def test_votes_are_never_rounded(self) -> None:
        large = 900_000_000_000_000_007
        assert now((large, large - 1), 1) == [1, 0]
        assert now((3 * large, large + 1), 3) == [2, 1]
        assert now((3 * large + 4, large + 1), 3) == [3, 0]


class TestThreshold:
    """A list passes with 100 × votes ≥ threshold_percent × base."""

    @pytest.mark.parametrize(("votes", "expected"), [((95, 5), [19, 1]), ((96, 4), [20, 0])])
    def test_of_valid_ballots(self, votes: Sequence[int], expected: list[int]) -> None:
        assert now(votes, 20, "sainte-lague", 5) == expected

    def test_a_list_that_has_just_the_percent_passes(self) -> None:
        assert now((950, 50), 20, percent=5) == [19, 1]
        assert now((951, 49), 20, percent=5) == [20, 0]
        assert now((990, 10), 100, percent="0.99") == [99, 1]
        assert now((2, 1), 3, percent=Fraction(100, 3)) == [2, 1]

    def test_of_valid_and_blank_ballots(self) -> None:
        assert now((95, 5), 20, percent=5, threshold_base="valid-and-blank", blank=0) == [19, 1]
        assert now((95, 5), 20, percent=5, threshold_base="valid-and-blank", blank=1) == [20, 0]
        assert now((95, 5), 20, percent=5, blank=1) == [19, 1]

    def test_of_ballots_cast(self) -> None:
        assert now((95, 5), 20, percent=5, threshold_base="cast", cast=100, blank=1) == [19, 1]
        assert now((95, 5), 20, percent=5, threshold_base="cast", cast=101) == [20, 0]

    def test_valid_ballots_without_a_vote_for_a_list_are_in_the_base(self) -> None:
        assert now((95, 5), 20, percent=5, valid=101) == [20, 0]

    def test_seats_are_null_while_the_base_is_unknown(self) -> None:
        for base, figure in (("valid-and-blank", "blank"), ("cast", "cast")):
            of, unknown = lists(2, 5, threshold_base=base), {figure: None}
            assert seats_of(of, counted((3, 2), 5, 0)) is not None
            assert seats_of(of, counted((3, 2), 5, 0, 0, 0, **unknown)) is None

    def test_nobody_passes(self) -> None:
        assert tied((3, 3, 3), 5, percent=40) == ([0, 0, 0], 0, [])

    def test_exempt_lists_pass_with_any_votes(self) -> None:
        assert now((90, 6, 4), 10, "hare", 7, exempt=("L-2",)) == [10, 0, 0]  # of 94: 9.57, 0.43
        assert now((80, 14, 6), 10, "hare", 20, exempt=("L-2",)) == [9, 0, 1]

    def test_only_eligible_lists_take_part_and_the_others_are_in_the_base(self) -> None:
        assert now((50, 30, 20), 5, ineligible=["L-0"]) == [0, 3, 2]
        assert now((50, 48, 2), 5, percent=3, ineligible=["L-0"]) == [0, 5, 0]
        assert now((50, 30, 20), 5, "hare", ineligible=["L-0"], exempt=("L-0",)) == [0, 3, 2]

    def test_other_rules_have_no_seats(self) -> None:
        assert seats_of(contest(), counted((3, 2), 5, 0)) is None


class TestCombinations:
    """One list first, then its seats are shared among its members by the same method."""

    def test_together_they_get_more(self) -> None:
        assert now((48, 29, 21), 3) == [2, 1, 0]
        assert now((48, 29, 21), 3, combinations=(("L-1", "L-2"),)) == [1, 1, 1]  # their 25 against 24

    def test_the_same_method_inside(self) -> None:
        votes = (60, 61, 20)
        assert now(votes, 5, combinations=(("L-1", "L-2"),)) == [2, 3, 0]
        assert now(votes, 5, "sainte-lague", combinations=(("L-1", "L-2"),)) == [2, 2, 1]
        assert now(votes, 5, "hare", combinations=(("L-1", "L-2"),)) == [2, 2, 1]

    def test_a_member_that_does_not_pass_brings_nothing(self) -> None:
        together = (("L-1", "L-2"),)
        assert now((52, 44, 4), 5, combinations=together) == [3, 2, 0]
        assert now((51, 45, 4), 24, "hare", combinations=together) == [12, 11, 1]
        assert now((51, 45, 4), 24, "hare", 5, combinations=together) == [13, 11, 0]
        assert now((52, 45, 3), 32, percent=5, combinations=together) == [*now((52, 45), 32), 0]

    def test_a_member_that_is_exempt_does(self) -> None:
        assert now((51, 45, 4), 24, "hare", 5, exempt=("L-2",), combinations=(("L-1", "L-2"),)) == [12, 11, 1]

    def test_a_member_that_is_not_eligible_does_not(self) -> None:
        assert now((50, 30, 20), 8, combinations=(("L-1", "L-2"),), ineligible=["L-2"]) == [5, 3, 0]

    def test_several(self) -> None:
        assert now((40, 30, 20, 10), 10, "hare", combinations=(("L-0", "L-3"), ("L-1", "L-2"))) == [4, 3, 2, 1]


class TestTies:
    def test_equal_quotients_leave_the_seat_to_nobody(self) -> None:
        assert tied((30, 30), 3) == ([1, 1], 1, [0, 1])
        assert tied((30, 30), 2) == ([1, 1], 0, [])
        assert tied((40, 20, 7), 3) == ([2, 1, 0], 0, [])
        assert tied((40, 20, 7), 2) == ([1, 0, 0], 1, [0, 1])

    def test_the_second_quotient_of_one_and_the_first_of_another(self) -> None:
        assert tied((42, 14), 3, "sainte-lague") == ([2, 1], 0, [])
        assert tied((42, 14), 2, "sainte-lague") == ([1, 0], 1, [0, 1])
        assert tied((100_000, 80_000, 30_000, 20_000), 8, "sainte-lague-1.4") == ([3, 3, 1, 0], 1, [0, 3])

    def test_more_seats_than_one(self) -> None:
        assert tied((10, 10, 10, 3), 5) == ([1, 1, 1, 0], 2, [0, 1, 2])

    def test_equal_remainders(self) -> None:
        assert tied((15, 15, 70), 10, "hare") == ([1, 1, 7], 1, [0, 1])
        assert tied((15, 15, 15, 55), 10, "hare") == ([1, 1, 1, 5], 2, [0, 1, 2, 3])
        assert tied((16, 13, 13, 58), 10, "hare") == ([2, 1, 1, 6], 0, [])

    def test_the_list_with_more_votes_is_first_where_the_definition_says_so(self) -> None:
        assert tied((40, 20, 7), 2, tie="more-votes") == ([2, 0, 0], 0, [])
        assert tied((20, 40, 7), 2, tie="more-votes") == ([0, 2, 0], 0, [])
        assert tied((100_000, 80_000, 30_000, 20_000), 8, "sainte-lague-1.4", tie="more-votes") == ([4, 3, 1, 0], 0, [])
        assert tied((25, 35, 40), 10, "hare", tie="more-votes") == ([2, 4, 4], 0, [])

    def test_and_nobody_where_these_are_equal_too(self) -> None:
        assert tied((30, 30), 3, tie="more-votes") == ([1, 1], 1, [0, 1])
        assert tied((60, 30, 30), 3, tie="more-votes") == ([2, 0, 0], 1, [1, 2])
        assert tied((60, 30, 30), 2, tie="more-votes") == ([2, 0, 0], 0, [])
        assert tied((60, 60, 30), 3, tie="more-votes") == ([1, 1, 0], 1, [0, 1])
        assert tied((60, 60, 30), 3) == ([1, 1, 0], 1, [0, 1, 2])
        assert tied((30, 60, 30), 2) == ([0, 1, 0], 1, [0, 1, 2])

    def test_a_combination_is_tied_by_its_members(self) -> None:
        together = (("L-1", "L-2"),)
        assert tied((30, 20, 10), 1, combinations=together) == ([0, 0, 0], 1, [0, 1, 2])
        assert tied((30, 20, 10), 1, combinations=together, tie="more-votes") == ([0, 0, 0], 1, [0, 1, 2])
        assert tied((30, 28, 2, 2), 1, percent=5, combinations=(("L-1", "L-2", "L-3"),)) == ([1, 0, 0, 0], 0, [])

    def test_those_inside_a_combination_too(self) -> None:
        assert tied((50, 20, 20), 3, combinations=(("L-1", "L-2"),)) == ([2, 0, 0], 1, [1, 2])

    def test_all_of_them_are_one_sum(self) -> None:
        """One seat between the two combinations, and inside the first one between its two members."""
        both = (("L-0", "L-1"), ("L-2", "L-3"))
        assert tied((20, 20, 30, 10), 3, combinations=both) == ([0, 0, 1, 0], 2, [0, 1, 2, 3])

    def test_who_is_tied_is_said_in_definition_order(self) -> None:
        assert tied((9, 30, 20, 30), 1) == ([0, 0, 0, 0], 1, [1, 3])


class TestCertain:
    """The m-th seat: with base + bound it passes, and all others that can pass get fewer than seats − m + 1 quotients no less
    than votes / divisor(m) with the votes still out."""

    @pytest.mark.parametrize(
        ("bound", "expected"),
        [
            (None, [0, 0, 0]),
            (0, [3, 2, 0]),
            (1, [3, 2, 0]),  # quotients 50, 33, 25, 16.7, 16.5
            (7, [3, 2, 0]),  # 9 + 7 is below both
            (8, [2, 1, 0]),  # 33 1/3 and 16 2/3 are as much as L-0's third; 17 is more than L-1's second
        ],
    )
    def test_one_seat_after_the_other(self, bound: int | None, expected: list[int]) -> None:
        assert certain((50, 33, 9), 5, bound) == expected

    def test_votes_still_out_are_given_where_they_bring_a_quotient_cheapest(self) -> None:
        # L-0's first seat of one: L-1 lacks 10, L-2 lacks 11.
        assert certain((30, 20, 19), 1, 9) == [1, 0, 0]
        assert certain((30, 20, 19), 1, 10) == [0, 0, 0]
        assert certain((30, 19, 20), 1, 10) == [0, 0, 0]
        # Two seats: both must pass it, for 21.
        assert certain((30, 20, 19), 2, 20) == [1, 0, 0]
        assert certain((30, 20, 19), 2, 21) == [0, 0, 0]

    def test_one_rival_may_get_several(self) -> None:
        # Two seats: L-1 alone needs quotients 20 and 10 no less than 30: 60 in all, 40 more.
        assert certain((30, 20), 2, 39) == [1, 0]
        assert certain((30, 20), 2, 40) == [0, 0]
        assert certain((30, 20), 2, 69, "sainte-lague") == [1, 0]
        assert certain((30, 20), 2, 70, "sainte-lague") == [0, 0]

    def test_votes_are_given_as_fractions(self) -> None:
        # For L-0's third seat of three: 10 / 3 each. L-1 lacks 1/3 of a vote; with a whole one it has more than it needs.
        assert certain((10, 3), 3, 1) == [2, 0]
        # Two rivals lack 1/3 of a vote each, so that one vote is enough for both of them.
        assert certain((10, 3, 3), 4, 1) == [2, 0, 0]

    def test_equal_is_enough_to_lose_it(self) -> None:
        assert certain((10, 8), 1, 1) == [1, 0]
        assert certain((10, 9), 1, 1) == [0, 0]

    def test_the_first_of_1_4_costs_more_and_the_second_less(self) -> None:
        # L-0's one seat: 28 / 1.4 = 20. L-1 needs 28 votes for one no less, and 60 for two.
        assert certain((28, 0), 1, 27, "sainte-lague-1.4") == [1, 0]
        assert certain((28, 0), 1, 28, "sainte-lague-1.4") == [0, 0]
        assert certain((28, 0), 2, 59, "sainte-lague-1.4") == [1, 0]
        assert certain((28, 0), 2, 60, "sainte-lague-1.4") == [0, 0]
        # What one list's first quotient is certain of says nothing of another's second: that one's rival lacks less.
        assert certain((4, 9), 3, 5, "sainte-lague-1.4") == [1, 1]
        assert certain((28, 0), 3, 99, "sainte-lague-1.4")[0] == 1
        assert certain((28, 0), 3, 100, "sainte-lague-1.4")[0] == 0

    def test_a_ballot_brings_as_many_votes_as_the_contest_says(self) -> None:
        assert certain((30, 20), 1, 9, votes_per_ballot=1) == [1, 0]
        assert certain((30, 20), 1, 4, votes_per_ballot=2) == [1, 0]
        assert certain((30, 20), 1, 5, votes_per_ballot=2) == [0, 0]

    def test_what_contradicts_itself_is_still_out(self) -> None:
        assert certain((30, 20), 1, 0, contradicted=9) == [1, 0]
        assert certain((30, 20), 1, 0, contradicted=10) == [0, 0]
        assert certain((30, 20), 1, 4, contradicted=1, votes_per_ballot=2) == [1, 0]
        assert certain((30, 20), 1, 4, contradicted=2, votes_per_ballot=2) == [0, 0]

    def test_the_list_itself_must_pass_with_all_ballots_in_the_base(self) -> None:
        assert certain((90, 10), 10, 4, percent="9.6") == [9, 1]  # 10 of 104
        assert certain((90, 10), 10, 5, percent="9.6") == [9, 0]
        just = Fraction(100 * 100, 601)
        assert certain((500, 100), 6, 1, "sainte-lague", just) == [5, 1]
        assert certain((500, 100), 6, 2, "sainte-lague", just) == [5, 0]
        assert certain((90, 10), 10, 4, percent="9.6", threshold_base="cast", cast=100) == [9, 1]
        assert certain((90, 10), 10, 4, percent="9.6", threshold_base="cast", cast=101) == [9, 0]

    def test_a_rival_that_can_pass_takes_part(self) -> None:
        # L-1 has 4 of 100 votes; with 1 more it has the 5 per cent of 100.
        assert certain((96, 4), 1, 91, percent=5) == [1, 0]
        assert certain((96, 4), 1, 92, percent=5) == [0, 0]
        assert certain((10, 4), 3, 1, percent=40, valid=100) == [0, 0]
        # Of 20 per cent L-1 lacks 16: it can't get a seat with 15 more.
        assert certain((96, 4), 20, 15, percent=20) == [20, 0]
        assert certain((96, 4), 20, 16, percent=20)[0] < 20

    def test_exempt_lists_pass_in_every_case(self) -> None:
        assert certain((90, 10), 9, 1, percent=50, exempt=("L-1",)) == [8, 0]
        assert certain((80, 20), 9, 1, percent=50, exempt=("L-1",)) == [7, 1]

    def test_only_eligible_lists_are_rivals(self) -> None:
        assert certain((30, 29), 1, 9, ineligible=["L-1"]) == [1, 0]

    def test_a_list_that_is_alone_keeps_all(self) -> None:
        assert certain((7,), 4, 99) == [4]
        assert certain((0,), 4, 99) == [0], "nobody voted for it yet"

    def test_hare(self) -> None:
        # floor(votes × seats / (votes of all that pass or could + bound))
        assert certain((60, 40), 10, 20, "hare") == [5, 3]  # of 120: 5, 3.3
        assert certain((60, 40), 10, 21, "hare") == [4, 3]
        assert certain((60, 40), 10, 10, "hare", votes_per_ballot=2) == [5, 3]
        assert certain((60, 36, 4), 10, 1, "hare", 10) == [6, 3, 0]  # L-2 can't pass: of 97
        assert certain((60, 36, 4), 10, 6, "hare", 10) == [5, 3, 0]  # now it can: of 106

    def test_with_nothing_out_it_is_what_lists_have_now_tied_seats_apart(self) -> None:
        assert certain((30, 30), 3, 0) == [1, 1]
        assert certain((30, 31), 3, 0) == [1, 2]


class TestCertainInCombinations:
    def test_it_counts_by_the_members_that_are_sure_to_pass(self) -> None:
        # Both pass: 60 against 41. With 3 more in the base, L-2's 10 are no 10 per cent of 104: 50 against 41.
        fields: dict[str, Any] = {"percent": Fraction(1000, 103), "combinations": (("L-1", "L-2"),)}
        assert certain((41, 50, 10), 1, 2, **fields) == [0, 1, 0]
        assert certain((30, 50, 21), 1, 9, percent=20, combinations=(("L-1", "L-2"),)) == [0, 1, 0]
        assert certain((41, 50, 10), 1, 9, **fields) == [0, 0, 0]
        assert certain((41, 50, 10), 1, 8, **fields) == [0, 1, 0]
        assert certain((41, 50, 10), 1, 9, combinations=(("L-1", "L-2"),)) == [0, 1, 0]

    def test_as_a_rival_it_has_all_that_can_pass(self) -> None:
        # L-2 lacks 1 of 10 per cent: 44 + 9 and 3 more are as much as 56.
        fields: dict[str, Any] = {"percent": Fraction(1000, 109), "combinations": (("L-1", "L-2"),)}
        assert certain((56, 44, 9), 1, 2, **fields) == [1, 0, 0]
        assert certain((56, 44, 9), 1, 3, **fields) == [0, 0, 0]

    def test_what_it_is_sure_of_says_nothing_of_a_list_with_as_many_votes(self) -> None:
        # L-1 lacks 4 votes for a second quotient of 4: L-0 with L-2 is sure of a seat. Those two lack 3, as L-2 may pass: L-1 is not.
        assert certain((4, 4, 1), 2, 3, percent=30, combinations=(("L-0", "L-2"),)) == [0, 0, 0]
        assert certain((4, 4, 1), 2, 2, percent=30, combinations=(("L-0", "L-2"),)) == [1, 1, 0]

    def test_inside_it_the_same_among_its_members(self) -> None:
        together = (("L-1", "L-2"),)
        assert certain((10, 60, 30), 2, 29, combinations=together) == [0, 1, 0]
        assert certain((10, 60, 31), 1, 28, combinations=together) == [0, 1, 0]
        assert certain((10, 60, 31), 1, 29, combinations=together) == [0, 0, 0]
        # Of two seats the combination is sure of both, with up to 34 more for L-0; inside, 31 can not become 60 by 28.
        assert certain((10, 60, 31), 2, 28, combinations=together) == [0, 1, 0]

    def test_of_the_seats_that_the_combination_is_certain_of(self) -> None:
        # Two now, one for each member; one is certain, and that is the larger one's.
        together = (("L-1", "L-2"),)
        assert now((40, 42, 40), 2, combinations=together) == [0, 1, 1]
        assert certain((40, 42, 40), 2, 1, combinations=together) == [0, 1, 0]
        assert certain((40, 42, 40), 2, 2, combinations=together) == [0, 0, 0]

    def test_a_seat_that_members_share_evenly_does_not_make_less_certain(self) -> None:
        # Three seats are the combination's, and the third lies between its equal members.
        together = (("L-0", "L-1"),)
        assert tied((4, 4), 3, combinations=together) == ([1, 1], 1, [0, 1])
        assert certain((4, 4), 3, 1, "sainte-lague-1.4", combinations=together) == [1, 1]

    def test_hare_inside(self) -> None:
        # 80 × 10 / 110 = 7.3; of the 7, 50 × 7 / 90 = 3.9 and 30 × 7 / 90 = 2.3
        assert certain((20, 50, 30), 10, 10, "hare", combinations=(("L-1", "L-2"),)) == [1, 3, 2]

    def test_a_member_that_may_not_pass_is_certain_of_none_and_takes_some_from_the_other(self) -> None:
        # 22 of 102 votes, and of 110, are 20 per cent; not of 112.
        assert certain((10, 70, 22), 10, 8, percent=20, combinations=(("L-1", "L-2"),)) == [0, 7, 2]
        assert certain((10, 70, 22), 10, 10, percent=20, combinations=(("L-1", "L-2"),)) == [0, 7, 0]

    def test_a_member_that_is_the_only_one_to_pass_keeps_them_all(self) -> None:
        # L-2 has 5 of 100 votes, and with 10 more still no 20 per cent: 60 × 10 / 105 = 5.7 for L-1.
        assert certain((35, 60, 5), 10, 10, "hare", 20, combinations=(("L-1", "L-2"),)) == [3, 5, 0]
        assert certain((35, 60, 5), 10, 10, percent=20, combinations=(("L-1", "L-2"),)) == [*certain((35, 60), 10, 10), 0]


class TestInMessages:
    """On the root alone, after the close, for proportional contests."""

    def night(self, *statements: Any, **fields: Any) -> Night:
        of = lists(2, 5, "dhondt", 5, **fields)
        rows = [station("A-1", 200, path=("N",)), station("A-2", 100, path=("S",))]
        return Night(election(rows, [of], levels=("side",), depth=1), *statements)

    def seats(self, night: Night) -> dict[str, Any]:
        return {row["id"]: row["seats"] for row in night.root()["candidates"]}

    def test_now_and_certain_on_the_root(self) -> None:
        night = self.night(report("A-1", votes=(50, 46)))
        assert self.seats(night) == {"L-0": {"now": 3, "certain": 1}, "L-1": {"now": 2, "certain": 1}}
        night.take(report("A-2", votes=(20, 10)))
        assert self.seats(night) == {"L-0": {"now": 3, "certain": 3}, "L-1": {"now": 2, "certain": 2}}

    def test_null_on_other_areas(self) -> None:
        night = self.night(report("A-1", votes=(50, 46)))
        others = [m for m in night.messages() if m["area"] != "X"]
        assert len(others) == 2
        assert all(row["seats"] is None for m in others for row in m["candidates"])
        assert all(m["outcome"] is None for m in others)

    def test_null_before_the_close(self) -> None:
        assert self.seats(self.night()) == {"L-0": None, "L-1": None}

    def test_null_while_the_base_is_unknown(self) -> None:
        night = self.night(report("A-1", votes=(50, 46), cast=None, blank=None))
        assert self.seats(night)["L-0"] == {"now": 3, "certain": 1}
        of = lists(2, 5, "dhondt", 5, threshold_base="cast")
        unknown = Night(election([station()], [of]), report("A-1", votes=(50, 46), cast=None))
        assert self.seats(unknown) == {"L-0": None, "L-1": None}
        assert unknown.root()["outcome"]["state"] == "undecided"

    def test_nothing_is_certain_with_an_unknown_register(self) -> None:
        of = Night(election([station(), station("A-2", None)], [lists(2, 5)]), report("A-1", votes=(50, 46)))
        assert self.seats(of) == {"L-0": {"now": 3, "certain": 0}, "L-1": {"now": 2, "certain": 0}}

    def test_those_that_are_not_eligible_have_none(self) -> None:
        night = self.night(report("A-1", votes=(50, 46)), ineligible=["L-0"])
        assert self.seats(night) == {"L-0": {"now": 0, "certain": 0}, "L-1": {"now": 5, "certain": 5}}

    def test_all_that_is_now_is_certain_once_all_is_certified(self) -> None:
        night = self.night(report("A-1", votes=(50, 46)), control("certify"))
        assert self.seats(night) == {"L-0": {"now": 3, "certain": 3}, "L-1": {"now": 2, "certain": 2}}

    def test_null_in_contests_of_other_rules(self) -> None:
        night = Night(election([station()], [contest()]), report())
        assert self.seats(night) == {"ANNA": None, "BELA": None}

    def test_they_are_computed_again_only_when_what_they_rest_on_changed(self) -> None:
        night = self.night(report("A-1", votes=(50, 46)), report("A-2", votes=(20, 10)))
        merged = MergedFigures(night.election, 0, TOPIC, 1)

        def seats() -> Seats | None:
            merged.put(night.fold.figures(0))
            merged.messages()
            return merged.seats

        first = seats()
        night.take(control("hold"))
        assert seats() is first
        assert merged.messages()[-1]["on_hold"], "the root was rendered again"
        night.take(control("release", revision=2))
        assert seats() is first
        night.take(correct("A-1", votes=(51, 45)))
        assert seats() is not first
