"""`[checks]`: every limit can be changed, moves its own rule and no other, and is part of the digest."""

from fractions import Fraction
from typing import Any

import pytest

from tally_stream.domain.election import CHECK_NAMES, Checks
from tests.support.small_elections import CLOSE_MS, COUNTED_MS, Night, election, report, station

ALONE: dict[str, Any] = {"blank": 0, "invalid": 0}
VALID_ALONE: dict[str, Any] = {"blank": None, "invalid": None, "cast": None}
CASES: dict[str, tuple[Any, dict[str, Any], dict[str, Any], str]] = {
    # name: (changed limit, the last report within it, the first one past it, the verdict of that one)
    "A3_register_percent": (110, {"votes": (60, 50), **VALID_ALONE}, {"votes": (60, 51), **VALID_ALONE}, "held A3"),
    "P1_invalid_percent": (5, {"invalid": 4, "votes": (50, 46), "blank": 0}, {"invalid": 5, "votes": (50, 45), "blank": 0}, "counted P1"),
    "P2_blank_percent": (Fraction(5, 2), {"blank": 2, "votes": (50, 48), "invalid": 0}, {"blank": 3, "votes": (50, 47), "invalid": 0}, "counted P2"),
    "P5_turnout_percent": (90, {"votes": (49, 40), **ALONE}, {"votes": (50, 40), **ALONE}, "counted P5"),
    "P6_votes_min": (50, {"votes": (49, 0), **ALONE}, {"votes": (50, 0), **ALONE}, "counted P6"),
    "P7_register_percent": (20, {"registered": 120}, {"registered": 121}, "counted P7"),
    "bound_register_percent": (110, {"registered": 110}, {"registered": 111}, "held A9 P7"),
    "Q7_skew_seconds": (10, {"counted_at_ms": COUNTED_MS + 10_000}, {"counted_at_ms": COUNTED_MS + 10_001}, "counted Q7"),
}  # fmt: skip


def voters(name: str) -> int:
    """A register of 100 where the rule compares with it, else one that no other rule minds."""
    return (
        100 if name in ("A3_register_percent", "P5_turnout_percent", "P7_register_percent", "bound_register_percent") else 1000
    )


@pytest.mark.parametrize("name", CASES)
def test_a_changed_limit_moves_its_rule(name: str) -> None:
    limit, within, past, expected = CASES[name]
    of = election([station(registered=voters(name))], **{name: limit})
    assert name not in Night(of).verdict(report(**within))
    code = expected.split()[1]
    assert code not in Night(of).verdict(report(**within))
    assert Night(of).verdict(report(**past)) == expected


def test_p10_with_another_limit() -> None:
    for ballots, expected in ((105, "counted"), (106, "counted P10")):
        night = Night(election([station(registered=None)], P10_change_percent=5), report(votes=(50, 50), cast=None))
        assert night.verdict(report(revision=2, votes=(55, ballots - 55), cast=None)) == expected


def test_a_limit_that_is_no_whole_number_is_compared_exactly() -> None:
    of = election([station(registered=1000)], A3_register_percent=Fraction(1001, 10))
    assert Night(of).verdict(report(votes=(1000, 1), **VALID_ALONE)) == "counted"
    assert Night(of).verdict(report(votes=(1000, 2), **VALID_ALONE)) == "held A3"


def test_p6_minimum_of_nothing_does_not_make_an_empty_report_unanimous() -> None:
    assert Night(election(P6_votes_min=0)).verdict(report(votes=(0, 0), **ALONE)) == "counted P4"
    assert Night(election(P6_votes_min=0)).verdict(report(votes=(0, 0), complete=False, **ALONE)) == "counted"
    assert Night(election(P6_votes_min=0)).verdict(report(votes=(1, 0), **ALONE)) == "counted P6"


def test_the_outstanding_bound_has_a_limit_of_its_own() -> None:
    def bound(**checks: Any) -> int:
        found: int = Night(election([station(registered=99)], phase="test", **checks)).root()["outcome"]["outstanding_bound"]
        return found

    assert bound() == bound(A3_register_percent=Fraction(120)) == 148
    assert bound(bound_register_percent=Fraction(2051, 20)) == 101


def test_every_name_has_a_case_and_the_published_default() -> None:
    assert {*CASES, "P10_change_percent"} == set(CHECK_NAMES)
    defaults = {name: getattr(Checks(), name) for name in CHECK_NAMES}
    assert defaults == {
        "A3_register_percent": 102,
        "P1_invalid_percent": 3,
        "P2_blank_percent": 3,
        "P5_turnout_percent": 98,
        "P6_votes_min": 100,
        "P7_register_percent": 10,
        "P10_change_percent": 20,
        "Q7_skew_seconds": 300,
        "bound_register_percent": 150,
    }


@pytest.mark.parametrize("name", CHECK_NAMES)
def test_every_limit_is_part_of_the_digest(name: str) -> None:
    other: dict[str, Any] = {name: 7}
    assert election(**other).digest != election().digest
    assert election(**{name: getattr(Checks(), name)}).digest == election().digest


def test_no_limit_moves_the_polls_close() -> None:
    assert Night(election(Q7_skew_seconds=10_000)).verdict(report(counted_at_ms=CLOSE_MS - 1)) == "counted Q7"
