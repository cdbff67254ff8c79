"""Exit polls beside the count: on the root alone, from their own time on, with exact differences."""

from decimal import Decimal
from typing import Any

import pytest

from tally_stream.domain.election import Election, ExitPoll
from tally_stream.domain.standings import MergedFigures
from tests.support.small_elections import CLOSE_MS, Night, contest, election, report, station


def poll(after_ms: int = CLOSE_MS, contest: str = "PRES", pollster: str = "P", **shares: str) -> ExitPoll:
    return ExitPoll(contest, pollster, after_ms, tuple((c, Decimal(s)) for c, s in shares.items()))


def polls_of(of: Election, at_ms: int, contest: int = 0) -> list[dict[str, Any]]:
    night = Night(of)
    night.take(report(), at_ms=at_ms)
    found: list[dict[str, Any]] = night.root(contest)["exit_polls"]
    return found


@pytest.mark.parametrize(("at_ms", "count"), [(CLOSE_MS + 999, 0), (CLOSE_MS + 1000, 1), (CLOSE_MS + 1001, 1)])
def test_from_the_first_record_at_its_own_time(at_ms: int, count: int) -> None:
    assert len(polls_of(election(polls=[poll(CLOSE_MS + 1000, ANNA="51")]), at_ms)) == count


def test_each_by_itself_in_definition_order() -> None:
    of = election(polls=[poll(CLOSE_MS + 9, pollster="LATE", ANNA="1"), poll(pollster="EARLY", ANNA="2")])
    assert [p["pollster"] for p in polls_of(of, CLOSE_MS + 8)] == ["EARLY"]
    assert [p["pollster"] for p in polls_of(of, CLOSE_MS + 9)] == ["LATE", "EARLY"]


@pytest.mark.parametrize(
    ("share", "difference"),
    [
        ("52.08", "0.00"),
        ("52.1", "-0.02"),
        ("52", "0.08"),
        ("52.083", "-0.003"),
        ("0", "52.08"),
        ("100", "-47.92"),
    ],
)
def test_the_difference_is_the_printed_share_less_the_poll(share: str, difference: str) -> None:
    (found,) = polls_of(election(polls=[poll(ANNA=share)]), CLOSE_MS)
    assert found == {"pollster": "P", "share": {"ANNA": share}, "difference": {"ANNA": difference}}


def test_a_share_keeps_the_places_it_was_published_with() -> None:
    (found,) = polls_of(election(polls=[poll(ANNA="52.10", BELA="4E+1")]), CLOSE_MS)
    assert found["share"] == {"ANNA": "52.10", "BELA": "40"}


def test_null_where_there_is_no_share() -> None:
    night = Night(election(polls=[poll(ANNA="52")], phase="test"), report(votes=(0, 0), blank=9, invalid=0))
    assert night.root()["exit_polls"][0]["difference"] == {"ANNA": None}


def test_on_the_root_alone_and_of_its_own_contest() -> None:
    of = election(
        [station(path=("N",))],
        [contest("PRES"), contest("SEAT", ("CLEO", "DORA"))],
        levels=("region",),
        depth=1,
        polls=[poll(ANNA="52"), poll(contest="SEAT", pollster="Q", DORA="9")],
    )
    night = Night(of, report())
    assert [p["pollster"] for p in night.root(0)["exit_polls"]] == ["P"]
    assert [p["pollster"] for p in night.root(1)["exit_polls"]] == ["Q"]
    assert night.area("X/N")["exit_polls"] is None


def test_a_poll_appears_though_no_figure_of_the_area_changed() -> None:
    of = election(polls=[poll(CLOSE_MS + 5_000, ANNA="52")])
    night = Night(of)
    standings = MergedFigures(of, 0, "t", 1)
    for at_ms, count in ((CLOSE_MS, 0), (CLOSE_MS + 5_000, 1)):
        night.take(report(), at_ms=at_ms)
        assert standings.put(night.fold.figures(0))
        assert len(standings.messages()[-1]["exit_polls"]) == count
