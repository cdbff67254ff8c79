"""A1, A2, A3, A8, A9: the paper contradicts itself, and the report is held."""

from typing import Any

import pytest

from tests.support.small_elections import Night, election, report, station


def verdict(register: int | None = 200, expected: int | None = None, **fields: Any) -> str:
    return Night(election([station(registered=register, expected=expected)])).verdict(report(**fields))


@pytest.mark.parametrize(("votes_sum", "expected"), [(95, "held A1"), (96, "counted"), (97, "held A1")])
def test_a1_holds_votes_that_do_not_add_up_to_the_valid_ballots(votes_sum: int, expected: str) -> None:
    assert verdict(votes=(votes_sum - 40, 40), valid=96) == expected


@pytest.mark.parametrize(("cast", "expected"), [(99, "held A2"), (100, "counted"), (101, "held A2")])
def test_a2_with_every_figure_known_the_sum_must_be_the_ballots_cast(cast: int, expected: str) -> None:
    assert verdict(cast=cast) == expected


@pytest.mark.parametrize(("blank", "invalid"), [(None, 2), (2, None)], ids=["blank unknown", "invalid unknown"])
@pytest.mark.parametrize(("cast", "expected"), [(97, "held A2"), (98, "counted"), (99, "counted")])
def test_a2_with_one_unknown_the_known_ones_must_not_pass_cast(
    blank: int | None, invalid: int | None, cast: int, expected: str
) -> None:
    assert verdict(blank=blank, invalid=invalid, cast=cast) == expected


@pytest.mark.parametrize(("cast", "expected"), [(95, "held A2"), (96, "counted"), (97, "counted")])
def test_a2_with_both_unknown_the_valid_ones_must_not_pass_cast(cast: int, expected: str) -> None:
    assert verdict(blank=None, invalid=None, cast=cast) == expected


def test_a2_does_not_fire_where_cast_is_unknown() -> None:
    assert verdict(register=300, cast=None, blank=90, invalid=90) == "counted"


@pytest.mark.parametrize(("stated", "expected"), [(99, "held A3 P5"), (100, "counted P5"), (101, "counted P5")])
def test_a3_the_reports_own_register_is_a_strict_limit(stated: int, expected: str) -> None:
    assert verdict(register=100, registered=stated) == expected


@pytest.mark.parametrize(("ballots", "expected"), [(101, "counted"), (102, "counted"), (103, "held A3")])
def test_a3_over_the_register_102_per_cent_are_allowed(ballots: int, expected: str) -> None:
    assert verdict(register=100, votes=(ballots - 40, 40), cast=None, blank=None, invalid=None) == expected


def test_a3_the_limit_over_the_register_is_not_rounded() -> None:
    just_within: dict[str, Any] = {"votes": (50, 0), "valid": 50, "blank": None, "invalid": None, "cast": None}
    assert verdict(register=50, **{**just_within, "votes": (41, 10), "valid": 51}) == "counted"  # 51.0 allowed
    assert verdict(register=49, **{**just_within, "votes": (40, 10)}) == "held A3"  # 49.98 allowed


def test_a3_takes_cast_and_where_it_is_unknown_all_that_is_known() -> None:
    assert verdict(register=97, blank=None, invalid=None, cast=99) == "held A3 P5"
    assert verdict(register=97, blank=None, invalid=None, cast=None) == "counted"
    assert verdict(register=96, blank=1, invalid=None, cast=None) == "counted"  # 97 of 97.92
    assert verdict(register=96, blank=1, invalid=1, cast=None) == "held A3"
    assert verdict(register=96, blank=None, invalid=2, cast=None) == "held A3"


def test_a3_of_a_unit_without_voters_of_its_own_is_102_per_cent_of_its_ballots_expected() -> None:
    none_blank: dict[str, Any] = {"blank": None, "invalid": None, "cast": None}
    assert verdict(register=0, expected=100, votes=(62, 40), **none_blank) == "counted"
    assert verdict(register=0, expected=100, votes=(63, 40), **none_blank) == "held A3"
    assert verdict(register=0, expected=100, votes=(63, 40), registered=500, **none_blank) == "held A3"
    assert verdict(register=0, expected=100, votes=(62, 40), registered=5, **none_blank) == "counted"
    assert verdict(register=100, expected=200, votes=(63, 40), **none_blank) == "held A3"  # its voters are its own
    assert verdict(register=None, expected=100, votes=(63, 40), **none_blank) == "counted"


def test_a3_and_a8_do_not_fire_where_no_register_is_known() -> None:
    assert verdict(register=None) == "counted"


@pytest.mark.parametrize(
    ("registered", "ballots", "expected"),
    [
        (0, 0, "counted P4"),
        (0, 1, "held A3 A8"),
        (1, 1, "counted"),
        (None, 1, "counted"),
    ],
)
def test_a8_holds_ballots_where_the_register_is_empty(registered: int | None, ballots: int, expected: str) -> None:
    fields: dict[str, Any] = {"votes": (ballots, 0), "cast": None, "blank": None, "invalid": None}
    assert verdict(register=registered, **fields) == expected
    if registered is not None:
        assert verdict(register=None, registered=registered, **fields) == expected


def test_a8_the_reports_own_register_comes_before_the_stations() -> None:
    own: dict[str, Any] = {"votes": (1, 0), "cast": None, "blank": None, "invalid": None}
    assert verdict(register=0, registered=1, **own) == "held A9 P7"
    assert verdict(register=10, registered=0, **own) == "held A3 A8 P7"


def test_a8_counts_every_ballot_that_is_known() -> None:
    assert verdict(register=0, votes=(0, 0), cast=None, blank=1, invalid=None) == "held A3 A8"


@pytest.mark.parametrize(("expected", "is_held"), [(None, True), (0, True), (1, False)])
def test_a8_spares_a_unit_without_voters_of_its_own(expected: int | None, is_held: bool) -> None:
    own: dict[str, Any] = {"votes": (1, 0), "cast": None, "blank": None, "invalid": None}
    assert verdict(register=0, expected=expected, **own) == ("held A3 A8" if is_held else "counted")
    assert verdict(register=0, expected=expected, registered=0, **own) == ("held A3 A8" if is_held else "counted")


@pytest.mark.parametrize(("stated", "is_held"), [(150, False), (151, True)])
def test_a9_holds_a_register_beyond_the_bound(stated: int, is_held: bool) -> None:
    assert verdict(register=100, registered=stated) == ("held A9 P7" if is_held else "counted P7")
    assert verdict(register=None, registered=stated) == "counted"


def test_a9_the_limit_is_not_rounded() -> None:
    few: dict[str, Any] = {"votes": (1, 0), "blank": 0, "invalid": 0}
    assert verdict(register=3, registered=4, **few) == "counted P7"  # 4.5 allowed
    assert verdict(register=3, registered=5, **few) == "held A9 P7"


def test_a9_and_p5_and_p7_spare_a_unit_without_voters_of_its_own() -> None:
    assert verdict(register=0, expected=100, registered=999_999_999) == "counted"
    assert verdict(register=0, expected=100, registered=101) == "counted"


def test_all_errors_and_warnings_are_collected_not_the_first_alone() -> None:
    assert verdict(register=100, votes=(200, 0), valid=96, cast=150, invalid=50) == "held A1 A2 A3 P1 P5 P6"


def test_a_finding_carries_the_two_figures_it_compared() -> None:
    (finding,) = Night().take(report(votes=(50, 45), valid=96)).findings
    assert (finding.code, finding.left, finding.right) == ("A1", 95, 96)
