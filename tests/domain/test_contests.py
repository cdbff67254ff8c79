"""Several contests on one night: one log, one ledger each, turnout in common."""

from tests.support.small_elections import Night, contest, control, correct, decision, election, report, station, turnout

OF = election(
    [station("A-1", 200, 90), station("A-2", 200, 90)],
    [contest("PRES", ("ANNA", "BELA")), contest("SEAT", ("CLEO", "DORA", "EMIL"), rule="plurality", seats=2)],
)


def test_each_has_its_own_figures() -> None:
    night = Night(OF, report(), report(contest=1, votes=(10, 20, 30), blank=0, invalid=0))
    assert [c["votes"] for c in night.root(0)["candidates"]] == [50, 46]
    assert [(c["id"], c["votes"]) for c in night.root(1)["candidates"]] == [("EMIL", 30), ("DORA", 20), ("CLEO", 10)]
    assert [night.root(i)["ballots"]["cast"] for i in (0, 1)] == [100, 60]


def test_each_has_its_own_progress_flags_and_status() -> None:
    night = Night(OF, report("A-1"), report("A-2"), correct("A-2"), report("A-1", contest=1, votes=(10, 20, 30)))
    assert [night.root(i)["status"] for i in (0, 1)] == ["correction", "unofficial-partial"]
    assert [night.root(i)["flags"]["corrected"] for i in (0, 1)] == [1, 0]
    assert [night.root(i)["progress"]["stations"]["done"] for i in (0, 1)] == [2, 1]


def test_a_vector_is_of_the_log_and_common_to_both() -> None:
    night = Night(OF, report(), report(contest=1, votes=(1, 2, 3)), turnout())
    assert [night.root(i)["version"] for i in (0, 1)] == [3, 3]


def test_a_turnout_statement_is_taken_in_by_all() -> None:
    night = Night(OF, turnout("A-1", voted=80), report("A-1"), turnout("A-2", voted=70))
    assert night.root(0)["progress"]["ballots"] == {"done": 100, "of": 170, "percent": "58.82"}
    assert night.root(1)["progress"]["ballots"] == {"done": 0, "of": 150, "percent": "0.00"}


def test_a_turnout_sequence_is_the_stations_not_the_contests() -> None:
    night = Night(OF, turnout("A-1"), report("A-1", contest=1, votes=(1, 2, 3)))
    assert night.verdict(turnout("A-1")) == "repeated Q1"
    assert night.verdict(turnout("A-2")) == "counted"


def test_a_hold_on_one_lets_the_other_go_on() -> None:
    night = Night(OF, report(), control("hold", contest=0), decision("annul"), report(contest=1, votes=(1, 2, 3)))
    assert night.root(0)["stations"]["counted"] == 1
    assert (night.root(0)["on_hold"], night.root(1)["on_hold"]) == (True, False)
    assert (night.root(0)["version"], night.root(1)["version"]) == (2, 4)
