"""status: the first that applies, from the area's own stations."""

import pytest

from tally_stream.domain.report import Control, Report
from tests.support.small_elections import CLOSE_MS, Night, control, correct, decision, election, report, station

TWO = (station("A-1"), station("A-2"))
CORRECT = correct("A-1")
RECOUNT = correct("A-2", kind="recount")
ANNUL = decision("annul", "A-1")


@pytest.mark.parametrize(
    ("then", "expected"),
    [
        ([], "unofficial-complete"),
        ([report("A-1", 2)], "unofficial-complete"),
        ([CORRECT], "correction"),
        ([RECOUNT], "recount"),
        ([CORRECT, RECOUNT], "recount"),
        ([ANNUL], "correction"),
        ([ANNUL, RECOUNT], "recount"),
        ([ANNUL, decision("restore", "A-1", 3, 2)], "correction"),
        ([report("A-1", 2, valid=97), decision("accept", "A-1", 3, 2)], "correction"),
        ([CORRECT, report("A-1", 3, votes=(52, 46))], "unofficial-complete"),
        ([RECOUNT, control("certify")], "certified"),
        ([CORRECT, decision("withdraw", "A-1", 3, 2)], "unofficial-partial"),
        ([decision("withdraw", "A-1"), control("certify")], "certified"),
        ([report("A-1", 2, complete=False), RECOUNT], "unofficial-partial"),
        ([report("A-1", 2, valid=97)], "unofficial-complete"),
    ],
)
def test_of_two_counted_stations(then: list[Report | Control], expected: str) -> None:
    night = Night(election(TWO), report("A-1"), report("A-2"), *then)
    assert night.root()["status"] == expected


@pytest.mark.parametrize(
    "first",
    [report(valid=97), report(complete=False), CORRECT, decision("restore", "A-1", 3, 2)],
    ids=["held", "partial", "refused", "refused decision"],
)
def test_partial_while_a_station_is_neither_counted_nor_annulled(first: Report) -> None:
    assert Night(election(), first).root()["status"] == "unofficial-partial"


def test_a_restored_station_without_counts_is_outstanding_again() -> None:
    night = Night(election(), decision("annul", revision=1, replaces=0))
    assert night.root()["status"] == "correction"
    night.take(decision("restore", revision=2, replaces=1))
    assert night.root()["status"] == "unofficial-partial"


def test_each_area_by_its_own_stations() -> None:
    of = election(
        [station("A-1", path=("N",)), station("B-1", path=("S",)), station("C-1", path=("W",))],
        levels=("region",),
        depth=1,
    )
    night = Night(of, report("A-1"), report("B-1"), correct("B-1"))
    assert {m["area"]: m["status"] for m in night.messages()} == {
        "X/N": "unofficial-complete", "X/S": "correction", "X/W": "unofficial-partial", "X": "unofficial-partial"
    }  # fmt: skip


def test_before_the_close_comes_before_certified() -> None:
    night = Night()
    night.take(control("certify"), at_ms=CLOSE_MS - 1)
    assert night.root()["status"] == "pre-election"
