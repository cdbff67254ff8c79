"""Three progress measures with their figures: never 100 while something is outstanding, never above."""

from fractions import Fraction
from typing import Any

from hypothesis import given

from tests.support.examples import examples
from tests.support.random_nights import ELECTIONS, Plan, folded, make_logs, plans, standings_of, steps_ms
from tests.support.small_elections import Night, decision, election, report, station


def progress(night: Night) -> dict[str, Any]:
    found: dict[str, Any] = night.root()["progress"]
    return found


class TestByStations:
    def test_counted_and_annulled_are_done_partial_and_held_are_not(self) -> None:
        of = election([station(f"A-{n}") for n in range(1, 6)])
        night = Night(
            of,
            report("A-1"),
            report("A-2", complete=False),
            report("A-3", valid=97),
            decision("annul", "A-4", 1, 0),
        )
        assert progress(night)["stations"] == {"done": 2, "of": 5, "percent": "40.00"}
        assert night.root()["stations"] == {
            "expected": 5, "received": 4, "counted": 1, "partial": 1, "held": 1, "annulled": 1, "outstanding": 1
        }  # fmt: skip

    def test_all(self) -> None:
        assert progress(Night(election(), report()))["stations"] == {"done": 1, "of": 1, "percent": "100.00"}


class TestByRegisteredVoters:
    def test_the_reports_register_comes_before_the_stations_in_both_figures(self) -> None:
        of = election([station("A-1", 200), station("A-2", 300)])
        night = Night(of, report("A-1", registered=210))
        assert progress(night)["registered"] == {"done": 210, "of": 510, "percent": "41.18"}

    def test_a_partial_counts_register_is_expected_but_not_done(self) -> None:
        night = Night(election([station("A-1", 200)]), report(registered=210, complete=False))
        assert progress(night)["registered"] == {"done": 0, "of": 210, "percent": "0.00"}

    def test_a_held_reports_register_is_not_looked_at(self) -> None:
        night = Night(election([station("A-1", 200)]), report(registered=210, valid=97))
        assert progress(night)["registered"] == {"done": 0, "of": 200, "percent": "0.00"}

    def test_an_annulled_station_is_done_with_the_registers_figure(self) -> None:
        night = Night(election([station("A-1", 200)]), report(registered=210), decision("annul"))
        assert progress(night)["registered"] == {"done": 200, "of": 200, "percent": "100.00"}

    def test_null_where_one_station_is_unknown(self) -> None:
        of = election([station("A-1", 200), station("A-2", None)])
        night = Night(of, report("A-1"))
        assert progress(night)["registered"] is None
        night.take(report("A-2", registered=100))
        assert progress(night)["registered"] == {"done": 300, "of": 300, "percent": "100.00"}
        night.take(decision("annul", "A-2"))
        assert progress(night)["registered"] is None, "annulled: the register's, which is unknown"

    def test_null_where_nobody_is_registered(self) -> None:
        assert progress(Night(election([station(registered=0)], phase="test")))["registered"] is None


class TestByBallots:
    def test_cast_of_counts_in_force_over_the_expected_ballots(self) -> None:
        of = election([station("A-1", 200, 90), station("A-2", 200, 50), station("A-3", 200, 60)])
        night = Night(of, report("A-1"), report("A-2", complete=False, votes=(20, 10), blank=0, invalid=0))
        assert progress(night)["ballots"] == {"done": 130, "of": 210, "percent": "61.90"}

    def test_below_100_where_partial_counts_have_all_that_was_expected(self) -> None:
        night = Night(election([station("A-1", 200, 100)]), report(complete=False))
        assert progress(night)["ballots"] == {"done": 100, "of": 100, "percent": "99.99"}


def test_never_100_while_one_station_of_many_is_out() -> None:
    of = election([station(f"A-{n}", 1 if n == 0 else 100, 1 if n == 0 else 90) for n in range(1, 300)])
    night = Night(of, *(report(f"A-{n}", votes=(50, 40), blank=0, invalid=0) for n in range(1, 299)))
    measures = progress(night)
    assert {m["percent"] for m in measures.values()} == {"99.67"}
    night.take(report("A-299", votes=(50, 40), blank=0, invalid=0))
    assert {m["percent"] for m in progress(night).values()} == {"100.00"}


@examples(60)
@given(plans, steps_ms)
def test_every_measure_of_every_area_is_honest(drawn: list[Plan], steps: list[int]) -> None:
    for of in ELECTIONS:
        folds = folded(of, make_logs(of, drawn, steps))
        for contest in range(len(of.contests)):
            for message in standings_of(of, folds, contest).messages():
                stations = message["stations"]
                is_finished = stations["counted"] + stations["annulled"] == stations["expected"]
                for measure in message["progress"].values():
                    if measure is None:
                        continue
                    percent = Fraction(measure["percent"])
                    assert 0 <= measure["done"] <= measure["of"]
                    assert 0 <= percent <= 100
                    assert percent < 100 or (is_finished and measure["done"] == measure["of"])
