"""Turnout statements added up as they come, before the polls close too: `voted`."""

from typing import Any

from tests.support.small_elections import CLOSE_MS, Night, contest, decision, election, report, station, turnout


def two(**fields: Any) -> Night:
    return Night(election([station("A-1", 200), station("A-2", 301), station("A-3", None)], **fields))


def voted(night: Night, contest: int = 0) -> Any:
    return night.root(contest)["voted"]


def test_nothing_where_no_station_has_made_one() -> None:
    night = two()
    night.take(report())
    assert voted(night) is None


def test_the_newest_of_each_station_is_of_the_registers_of_those_that_made_one() -> None:
    night = two()
    night.take(turnout(voted=50), at_ms=CLOSE_MS - 9_000)
    assert voted(night) == {"done": 50, "of": 200, "percent": "25.00", "stations": 1}, "before the polls close"
    night.take(turnout(revision=2, voted=80))
    night.take(turnout("A-2", voted=70))
    assert voted(night) == {"done": 150, "of": 501, "percent": "29.94", "stations": 2}
    night.take(turnout(revision=1, voted=9))
    assert voted(night) == {"done": 150, "of": 501, "percent": "29.94", "stations": 2}, "an older one changes nothing"


def test_one_unknown_register_makes_the_percent_unknown() -> None:
    night = two()
    night.take(turnout(voted=50))
    night.take(turnout("A-3", voted=70))
    assert voted(night) == {"done": 120, "of": None, "percent": None, "stations": 2}


def test_of_a_register_of_nobody_there_is_no_percent() -> None:
    night = Night(election([station("A-1", 0, 90)]), turnout(voted=50))
    assert voted(night) == {"done": 50, "of": 0, "percent": None, "stations": 1}


def test_neither_a_count_nor_an_annulment_takes_it_away() -> None:
    night = two()
    for statement in (turnout(voted=80), report(), decision("annul")):
        night.take(statement)
    assert voted(night) == {"done": 80, "of": 200, "percent": "40.00", "stations": 1}


def test_the_count_of_another_station_of_the_area_leaves_it_alone() -> None:
    night = two()
    for statement in (turnout(voted=80), report("A-2")):
        night.take(statement)
    assert voted(night) == {"done": 80, "of": 200, "percent": "40.00", "stations": 1}
    assert night.root()["ballots"]["cast"] == 100


def test_it_is_rounded_as_turnout_is() -> None:
    night = Night(election([station("A-1", 3)], [contest(method="truncate", places=1)]), turnout(voted=2))
    assert voted(night)["percent"] == "66.6"


def test_an_area_that_has_none_takes_nothing_from_the_whole() -> None:
    of = election([station("A-1", path=("NORTH",)), station("B-1", path=("SOUTH",))], levels=("region",), depth=1)
    for statements in ((turnout("A-1", voted=80), report("B-1")), (report("B-1"), turnout("A-1", voted=80))):
        night = Night(of, *statements)
        assert night.area("X/SOUTH")["voted"] is None
        assert night.area("X/NORTH")["voted"] == night.root()["voted"]
        assert night.root()["voted"]["done"] == 80


def test_each_contest_has_those_of_its_own_stations() -> None:
    night = two(contests=[contest(), contest("SEAT", ("DORA",))], named={"SEAT": ["A-2"]})
    night.take(turnout(voted=80))
    assert (voted(night)["stations"], voted(night, 1)) == (1, None)
    night.take(turnout("A-2", voted=80))
    assert (voted(night)["stations"], voted(night, 1)["stations"]) == (2, 1)
