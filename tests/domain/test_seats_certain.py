"""Which seats are certain, with their figures: the one figure that the wire format defines.

That no certain seat is ever lost is what `tests/certainty` enumerates.
"""

from fractions import Fraction
from typing import Any

import pytest

from tests.support.seat_cases import certain, now, tied


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
