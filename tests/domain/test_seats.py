"""Seats of a proportional contest, sentence by sentence: what each list has now, and what is nobody's.

Single cases with their figures. What is certain stands in `test_seats_certain.py`, properties and other people's packages in
`test_seats_properties.py`.
"""

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import pytest

from tally_stream.domain.contest import SeatMethod
from tally_stream.domain.seats import Seats, seats_of
from tally_stream.domain.standings import MergedFigures
from tests.support.seat_cases import METHODS, lists, now, tied
from tests.support.small_elections import TOPIC, Night, contest, control, correct, counted, election, report, station


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

    def test_of_one_list_is_that_list(self) -> None:
        for method in ("dhondt", "hare"):
            assert now((52, 44, 4), 24, method, 5, combinations=(("L-1",),)) == now((52, 44, 4), 24, method, 5)

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
