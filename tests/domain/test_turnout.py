"""Turnout: statements before the count set the expected ballots; the published figure is over complete counts alone."""

from typing import Any

import pytest

from tests.support.small_elections import Night, contest, control, decision, election, report, station, turnout


def ballots(night: Night, contest: int = 0) -> tuple[int, int] | None:
    measure = night.root(contest)["progress"]["ballots"]
    return None if measure is None else (measure["done"], measure["of"])


def two(**second: Any) -> Night:
    """A-1 expects 90 ballots; A-2 as given."""
    return Night(election([station("A-1", 200, 90), station("A-2", 200, **second)]))


class TestExpectedBallots:
    def test_before_anything_the_definitions_figure(self) -> None:
        night = Night(election([station("A-1", 200, 90)], phase="test"))
        assert ballots(night) == (0, 90)

    def test_a_turnout_statement_replaces_it_and_a_newer_one_that(self) -> None:
        night = two(expected=10)
        night.take(turnout(voted=70))
        assert ballots(night) == (0, 80)
        night.take(turnout(revision=2, voted=75))
        assert ballots(night) == (0, 85)

    def test_a_turnout_statement_makes_an_unknown_figure_known(self) -> None:
        night = two(expected=None)
        night.take(turnout("A-1"))
        assert ballots(night) is None
        night.take(turnout("A-2", voted=30))
        assert ballots(night) == (0, 110)

    def test_until_the_count_arrives(self) -> None:
        night = two(expected=10)
        night.take(turnout(voted=70))
        night.take(report())
        assert ballots(night) == (100, 110)
        night.take(turnout(revision=2, voted=99))
        assert ballots(night) == (100, 110), "a turnout after the count changes nothing"

    def test_it_is_back_after_a_withdrawal(self) -> None:
        night = two(expected=10)
        for statement in (report(), turnout(voted=70), decision("withdraw")):
            night.take(statement)
        assert ballots(night) == (0, 80)

    def test_a_held_report_leaves_it(self) -> None:
        night = two(expected=10)
        night.take(turnout(voted=70))
        night.take(report(valid=97))
        assert ballots(night) == (0, 80)

    def test_an_annulled_station_expects_none(self) -> None:
        night = two(expected=10)
        for statement in (report(), turnout(voted=70), decision("annul"), turnout(revision=2, voted=71)):
            night.take(statement)
        assert ballots(night) == (0, 10)

    @pytest.mark.parametrize(
        ("expected", "voted", "cast", "of"),
        [
            (90, None, 89, 90),
            (90, None, 90, 90),
            (90, None, 91, 91),
            (90, 50, 49, 50),
            (90, 50, 51, 51),
            (None, 50, 49, 50),
        ],
    )
    def test_a_partial_count_never_less_than_its_own_cast(
        self, expected: int | None, voted: int | None, cast: int, of: int
    ) -> None:
        night = Night(election([station("A-1", 200, expected)]))
        if voted is not None:
            night.take(turnout(voted=voted))
        night.take(report(complete=False, votes=(cast, 0), blank=0, invalid=0))
        assert ballots(night) == (cast, of)

    def test_unknown_where_a_partial_count_stands_without_an_expectation(self) -> None:
        assert ballots(Night(election([station("A-1", 200, None)]), report(complete=False))) is None

    @pytest.mark.parametrize("complete", [True, False])
    def test_unknown_where_cast_is(self, complete: bool) -> None:
        night = Night(election([station("A-1", 200, 90)]), report(cast=None, complete=complete))
        assert ballots(night) is None
        night.take(report(revision=2))
        assert ballots(night) == (100, 100)

    def test_null_where_no_ballots_are_expected_at_all(self) -> None:
        assert ballots(Night(election([station("A-1", 200, 0)], phase="test"))) is None

    def test_every_contest_has_it(self) -> None:
        of = election([station("A-1", 200, 90)], [contest("PRES"), contest("SEAT")])
        night = Night(of, turnout(voted=70), report())
        assert (ballots(night, 0), ballots(night, 1)) == ((100, 100), (0, 70))
        night.take(turnout(revision=2, voted=71))
        assert (ballots(night, 0), ballots(night, 1)) == ((100, 100), (0, 71))

    def test_a_refused_turnout_changes_nothing(self) -> None:
        night = two(expected=10)
        for statement in (turnout(revision=2, voted=70), turnout(voted=71), turnout(revision=2, voted=72)):
            night.take(statement)
        assert ballots(night) == (0, 80)
        assert night.root()["flags"]["disputed"] == 0


class TestTurnoutFigure:
    def test_over_complete_counts_in_force(self) -> None:
        of = election([station(f"A-{n}", 200) for n in range(1, 6)])
        night = Night(
            of,
            report("A-1"),
            report("A-2", complete=False),
            report("A-3", valid=97),
            report("A-4"),
            decision("annul", "A-4"),
        )
        assert night.root()["turnout"] == {"cast": 100, "registered": 200, "percent": "50.00"}

    def test_the_register_of_the_day_comes_before_the_stations(self) -> None:
        night = Night(election([station(registered=200)]), report(registered=210))
        assert night.root()["turnout"] == {"cast": 100, "registered": 210, "percent": "47.62"}

    @pytest.mark.parametrize(
        ("register", "fields"), [(None, {}), (200, {"cast": None})], ids=["register unknown", "cast unknown"]
    )
    def test_null_where_a_figure_is_unknown(self, register: int | None, fields: dict[str, Any]) -> None:
        of = election([station("A-1", 200), station("A-2", register)])
        night = Night(of, report("A-1"))
        assert night.root()["turnout"] is not None
        night.take(report("A-2", **fields))
        assert night.root()["turnout"] is None

    def test_null_where_nobody_has_counted_or_is_registered(self) -> None:
        assert Night(election(phase="test")).root()["turnout"] is None
        empty: dict[str, Any] = {"votes": (0, 0), "blank": 0, "invalid": 0}
        assert Night(election([station(registered=0)]), report(**empty)).root()["turnout"] is None

    @pytest.mark.parametrize(
        ("method", "percent"), [("half-up", "66.67"), ("truncate", "66.66"), ("largest-remainder", "66.67")]
    )
    def test_it_is_rounded_as_progress_is(self, method: Any, percent: str) -> None:
        of = election([station(registered=150)], [contest(method=method)])
        assert Night(of, report()).root()["turnout"]["percent"] == percent

    def test_it_may_pass_100(self) -> None:
        night = Night(election([station(registered=80)]), report(), decision("accept"))
        assert night.root()["turnout"]["percent"] == "125.00"


def test_a_turnout_is_no_count() -> None:
    night = Night(election(), turnout(), control("release"))
    assert night.root()["stations"]["received"] == 0
    assert night.root()["progress"]["stations"]["done"] == 0
