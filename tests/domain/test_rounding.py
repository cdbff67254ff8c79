"""Named rounding policies, and the night on which one authority used two of them."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tally_stream.domain.contest import Rounding, RoundingMethod
from tally_stream.domain.rounding import progress_percent, ratio_units, shares, units_text
from tests.support.examples import examples
from tests.support.small_elections import Night, contest, election, report

# Azerbaijan, 7 February 2024: candidates in ballot order, and the shares as they were published.
AT_03_13 = (4_281_625, 101_851, 92_980, 81_799, 37_386, 31_033, 24_799)
ALL_STATIONS = (4_577_693, 107_877, 98_623, 85_607, 39_727, 32_956, 26_561)
AFTER_ANNULMENTS = (4_567_458, 107_632, 98_421, 85_411, 39_643, 32_885, 26_517)

HALF_UP = Rounding("half-up", 2)
TRUNCATE = Rounding("truncate", 2)
LARGEST_REMAINDER = Rounding("largest-remainder", 2)


class TestAzerbaijan2024:
    def test_the_announcement_at_03_13_is_half_up(self) -> None:
        assert sum(AT_03_13) == 4_651_473
        published = ["92.05", "2.19", "2.00", "1.76", "0.80", "0.67", "0.53"]
        assert shares(AT_03_13, 4_651_473, HALF_UP) == published

    def test_all_stations_is_half_up_and_not_largest_remainder(self) -> None:
        assert sum(ALL_STATIONS) == 4_969_044
        published = ["92.12", "2.17", "1.98", "1.72", "0.80", "0.66", "0.53"]
        assert shares(ALL_STATIONS, 4_969_044, HALF_UP) == published
        assert sum(int(s.replace(".", "")) for s in published) == 9998
        by_remainder = shares(ALL_STATIONS, 4_969_044, LARGEST_REMAINDER)
        assert (by_remainder[2], by_remainder[6]) == ("1.99", "0.54")

    def test_the_final_figures_are_largest_remainder_and_not_half_up(self) -> None:
        assert sum(AFTER_ANNULMENTS) == 4_957_967
        published = ["92.12", "2.17", "1.99", "1.72", "0.80", "0.66", "0.54"]
        assert shares(AFTER_ANNULMENTS, 4_957_967, LARGEST_REMAINDER) == published
        assert shares(AFTER_ANNULMENTS, 4_957_967, HALF_UP)[6] == "0.53"


@pytest.mark.parametrize(
    ("numerator", "denominator", "half_up", "truncated"),
    [
        (1, 3, "33.33", "33.33"),
        (2, 3, "66.67", "66.66"),
        (1, 20_000, "0.01", "0.00"),  # exactly half a unit
        (1, 20_001, "0.00", "0.00"),
        (3, 20_000, "0.02", "0.01"),
        (1, 1, "100.00", "100.00"),
        (0, 7, "0.00", "0.00"),
        (3, 2, "150.00", "150.00"),
    ],
)
def test_half_up_and_truncate(numerator: int, denominator: int, half_up: str, truncated: str) -> None:
    assert shares([numerator], denominator, HALF_UP) == [half_up]
    assert shares([numerator], denominator, TRUNCATE) == [truncated]


@pytest.mark.parametrize(("places", "text"), [(0, "67"), (1, "66.7"), (2, "66.67"), (3, "66.667"), (6, "66.666667")])
def test_as_many_places_as_the_contest_says(places: int, text: str) -> None:
    assert shares([2], 3, Rounding("half-up", places)) == [text]


@pytest.mark.parametrize(("units", "places", "text"), [(9205, 2, "92.05"), (5, 2, "0.05"), (0, 3, "0.000"), (7, 0, "7")])
def test_units_as_text(units: int, places: int, text: str) -> None:
    assert units_text(units, places) == text


@pytest.mark.parametrize("method", ["half-up", "truncate", "largest-remainder"])
def test_no_share_where_nothing_is_valid(method: RoundingMethod) -> None:
    assert shares([0, 0], 0, Rounding(method, 2)) == [None, None]


class TestLargestRemainder:
    def test_ties_go_in_definition_order(self) -> None:
        assert shares([1, 1, 1], 3, LARGEST_REMAINDER) == ["33.34", "33.33", "33.33"]
        assert shares([1, 1, 1, 1, 1, 1], 6, Rounding("largest-remainder", 0)) == ["17", "17", "17", "17", "16", "16"]

    def test_units_are_handed_out_up_to_the_candidates_own_part_of_the_valid_ballots(self) -> None:
        # Votes that a named authority accepted without adding up: 5 of 6 valid ballots.
        assert shares([2, 3], 6, Rounding("largest-remainder", 0)) == ["33", "50"]
        assert shares([4, 4], 6, Rounding("largest-remainder", 0)) == ["67", "66"]

    @examples(150)
    @given(st.lists(st.integers(0, 10_000), min_size=1, max_size=8), st.integers(0, 4), st.integers(-50, 50))
    def test_the_shares_add_up_and_none_is_a_unit_off(self, votes: list[int], places: int, more: int) -> None:
        valid = max(1, sum(votes) + more)
        printed = shares(votes, valid, Rounding("largest-remainder", places))
        unit = Fraction(1, 10**places)
        exact = [Fraction(v * 100, valid) for v in votes]
        assert sum(Fraction(s) for s in printed if s) == sum(exact) // unit * unit
        assert all(abs(Fraction(s) - x) < unit for s, x in zip(printed, exact, strict=True) if s)


@examples(150)
@given(st.integers(0, 10**9), st.integers(1, 10**9), st.integers(0, 6))
def test_no_policy_is_a_unit_off(numerator: int, denominator: int, places: int) -> None:
    exact = Fraction(numerator * 100 * 10**places, denominator)
    assert abs(ratio_units(numerator, denominator, Rounding("half-up", places)) - exact) <= Fraction(1, 2)
    assert 0 <= exact - ratio_units(numerator, denominator, Rounding("truncate", places)) < 1


class TestProgressPercent:
    @pytest.mark.parametrize(
        ("done", "of", "is_finished", "text"),
        [
            (99_994, 100_000, False, "99.99"),
            (99_995, 100_000, False, "99.99"),  # half-up alone would say 100.00
            (99_999, 100_000, True, "99.99"),
            (100_000, 100_000, False, "99.99"),
            (100_000, 100_000, True, "100.00"),
        ],
    )
    def test_below_100_until_all_is_done(self, done: int, of: int, is_finished: bool, text: str) -> None:
        assert progress_percent(done, of, HALF_UP, is_finished=is_finished) == text

    @pytest.mark.parametrize(("places", "text"), [(0, "99"), (1, "99.9"), (3, "99.999")])
    def test_by_one_unit_of_the_contests_places(self, places: int, text: str) -> None:
        assert progress_percent(10**9 - 1, 10**9, Rounding("half-up", places), is_finished=False) == text

    def test_half_up_but_truncated_under_truncate(self) -> None:
        assert progress_percent(2, 3, HALF_UP, is_finished=False) == "66.67"
        assert progress_percent(2, 3, LARGEST_REMAINDER, is_finished=False) == "66.67"
        assert progress_percent(2, 3, TRUNCATE, is_finished=False) == "66.66"

    def test_the_golden_progress_of_azerbaijan(self) -> None:
        assert progress_percent(6_102, 6_537, HALF_UP, is_finished=False) == "93.35"
        assert progress_percent(3_561, 6_537, HALF_UP, is_finished=False) == "54.47"


class TestCandidateRows:
    def rows(self, *votes: int) -> list[tuple[str, int, str, int]]:
        names = ("ANNA", "BELA", "CLEO", "DORA")
        night = Night(election(contests=[contest(candidates=names)]), report(votes=votes))
        return [(c["id"], c["votes"], c["share"], c["rank"]) for c in night.root()["candidates"]]

    def test_by_votes_then_in_definition_order_and_equal_votes_share_a_rank(self) -> None:
        assert self.rows(20, 30, 30, 20) == [
            ("BELA", 30, "30.00", 1), ("CLEO", 30, "30.00", 1), ("ANNA", 20, "20.00", 3), ("DORA", 20, "20.00", 3)
        ]  # fmt: skip

    def test_all_equal(self) -> None:
        assert [(name, rank) for name, _, _, rank in self.rows(5, 5, 5, 5)] == [
            ("ANNA", 1), ("BELA", 1), ("CLEO", 1), ("DORA", 1)
        ]  # fmt: skip

    def test_all_different(self) -> None:
        assert [(name, rank) for name, _, _, rank in self.rows(1, 2, 3, 4)] == [
            ("DORA", 1), ("CLEO", 2), ("BELA", 3), ("ANNA", 4)
        ]  # fmt: skip

    def test_the_policy_is_named_in_the_message(self) -> None:
        of = election(contests=[contest(method="largest-remainder", places=1)])
        assert Night(of).root()["rounding"] == {"method": "largest-remainder", "places": 1, "base": "valid"}
