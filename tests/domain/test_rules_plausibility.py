"""P1–P7: plausible but unusual; the report is counted, and flagged."""

from typing import Any

import pytest

from tests.support.small_elections import Night, election, report, station


def verdict(register: int | None = 2000, **fields: Any) -> str:
    return Night(election([station(registered=register)])).verdict(report(**fields))


@pytest.mark.parametrize(("name", "code"), [("invalid", "P1"), ("blank", "P2")])
class TestThreePerCentInvalidOrBlank:
    """`invalid / blank ≥ 3 % of cast, rounded up to a whole ballot, and at least one`."""

    @pytest.mark.parametrize(("part", "cast", "fires"), [(2, 100, False), (3, 100, True), (4, 100, True)])
    def test_at_three_of_a_hundred(self, name: str, code: str, part: int, cast: int, fires: bool) -> None:
        self.check(name, code, part, cast, fires)

    @pytest.mark.parametrize(
        ("part", "cast", "fires"), [(3, 101, False), (4, 101, True), (3, 99, True), (2, 67, False), (2, 66, True)]
    )
    def test_the_limit_is_rounded_up(self, name: str, code: str, part: int, cast: int, fires: bool) -> None:
        self.check(name, code, part, cast, fires)

    @pytest.mark.parametrize(("part", "cast", "fires"), [(0, 10, False), (1, 10, True)])
    def test_at_least_one_ballot(self, name: str, code: str, part: int, cast: int, fires: bool) -> None:
        self.check(name, code, part, cast, fires)

    def test_nothing_fires_where_either_figure_is_unknown(self, name: str, code: str) -> None:
        other = {"invalid": "blank", "blank": "invalid"}[name]
        assert verdict(**{name: None, other: 0, "cast": 100}) == "counted"
        assert verdict(**{name: 50, other: 0, "cast": None}) == "counted"

    def check(self, name: str, code: str, part: int, cast: int, fires: bool) -> None:
        other = {"invalid": "blank", "blank": "invalid"}[name]
        votes = (cast - part - 1, 1)
        assert verdict(votes=votes, **{name: part, other: 0}) == ("counted " + code if fires else "counted")


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"votes": (0, 0), "blank": 0, "invalid": 0}, "counted P4"),
        ({"votes": (0, 0), "blank": 0, "invalid": 0, "complete": False}, "counted"),
        ({"votes": (0, 0), "blank": None, "invalid": None, "cast": None}, "counted P4"),
        ({"votes": (1, 0), "blank": 0, "invalid": 0}, "counted"),
        ({"votes": (0, 0), "blank": 1, "invalid": 0}, "counted P2"),
        ({"votes": (0, 0), "blank": 1, "invalid": None, "cast": None}, "counted"),
        ({"votes": (0, 0), "blank": None, "invalid": 1, "cast": None}, "counted"),
    ],
)
def test_p4_a_complete_report_of_no_ballots(fields: dict[str, Any], expected: str) -> None:
    assert verdict(**fields) == expected


@pytest.mark.parametrize(("cast", "expected"), [(97, "counted"), (98, "counted P5"), (99, "counted P5")])
def test_p5_turnout_of_98_per_cent(cast: int, expected: str) -> None:
    assert verdict(register=100, votes=(cast - 41, 41), blank=0, invalid=0) == expected


def test_p5_takes_the_reports_register_before_the_stations() -> None:
    counts = {"votes": (60, 40), "blank": 0, "invalid": 0}
    assert verdict(register=110, **counts) == "counted"
    assert verdict(register=110, registered=102, **counts) == "counted P5"


def test_p5_needs_cast_and_somebody_registered() -> None:
    assert verdict(register=99, cast=None) == "counted"
    assert verdict(register=None) == "counted"
    assert "P5" not in verdict(register=0)


@pytest.mark.parametrize(
    ("votes", "expected"),
    [
        ((99, 0), "counted"),
        ((100, 0), "counted P6"),
        ((0, 101), "counted P6"),
        ((100, 1), "counted"),
    ],
)
def test_p6_one_candidate_with_all_of_a_hundred_votes(votes: tuple[int, int], expected: str) -> None:
    assert verdict(votes=votes, blank=0, invalid=0) == expected


@pytest.mark.parametrize(
    ("stated", "expected"),
    [
        (179, "counted P7"),
        (180, "counted"),
        (181, "counted"),
        (219, "counted"),
        (220, "counted"),
        (221, "counted P7"),
    ],
)
def test_p7_a_register_ten_per_cent_off_either_way(stated: int, expected: str) -> None:
    assert verdict(register=200, registered=stated) == expected


def test_p7_needs_both_registers() -> None:
    assert verdict(register=None, registered=5000) == "counted"


def test_p7_any_voter_is_too_many_against_an_empty_register() -> None:
    assert verdict(register=0, registered=1000) == "held A9 P7"


def test_a_warning_is_flagged_on_the_station() -> None:
    night = Night()
    night.take(report(votes=(0, 0), blank=0, invalid=0))
    assert night.root()["flags"]["warned"] == 1
    night.take(report(revision=2))
    assert night.root()["flags"]["warned"] == 1, "P10: from 0 to 100 ballots"
    night.take(report(revision=3))
    assert night.root()["flags"]["warned"] == 0
