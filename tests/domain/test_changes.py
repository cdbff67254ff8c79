"""Changes: every fall has a public line; a first report and a growing partial count have none."""

from typing import Any

import pytest
from hypothesis import given

from tally_stream.domain.report import UnsignedStatement
from tally_stream.domain.rules import Finding
from tests.support.examples import examples
from tests.support.random_nights import ELECTIONS, Plan, make_logs, plans, steps_ms
from tests.support.second_model import BALLOTS
from tests.support.small_elections import Night, contest, control, correct, decision, election, report, turnout


def line(night: Night, statement: Any) -> tuple[int, int, tuple[int, ...], tuple[int | None, ...]] | None:
    """Without undervotes and overvotes, which no report here has."""
    change = night.change(statement)
    if change is None:
        return None
    *ballots, undervotes, overvotes = change.ballots_delta
    assert undervotes is overvotes is None
    return change.from_revision, change.to_revision, change.votes_delta, tuple(ballots)


class TestWritten:
    def test_when_complete_counts_are_replaced(self) -> None:
        assert line(Night(election(), report()), report(revision=4, votes=(52, 45))) == (1, 4, (2, -1), (1, 1, 0, 0))

    def test_even_by_the_same_figures(self) -> None:
        assert line(Night(election(), report()), correct(votes=(50, 46))) == (1, 2, (0, 0), (0, 0, 0, 0))

    def test_even_when_every_figure_rises(self) -> None:
        assert line(Night(election(), report()), report(revision=2, votes=(60, 50))) == (1, 2, (10, 4), (14, 14, 0, 0))

    def test_when_complete_counts_are_replaced_by_partial_ones(self) -> None:
        statement = report(revision=2, votes=(60, 50), complete=False)
        assert line(Night(election(), report()), statement) == (1, 2, (10, 4), (14, 14, 0, 0))

    @pytest.mark.parametrize("kind", ["annul", "withdraw"])
    def test_when_complete_counts_are_removed(self, kind: str) -> None:
        assert line(Night(election(), report()), decision(kind)) == (1, 2, (-50, -46), (-100, -96, -2, -2))

    def test_when_complete_counts_are_put_back(self) -> None:
        night = Night(election(), report(), decision("annul"))
        assert line(night, decision("restore", revision=3, replaces=2)) == (2, 3, (50, 46), (100, 96, 2, 2))

    def test_when_an_accepted_report_replaces_complete_counts(self) -> None:
        night = Night(election(), report(), report(revision=2, votes=(52, 46), valid=97, cast=101))
        assert line(night, decision("accept", revision=3, replaces=2)) == (1, 3, (2, 0), (1, 1, 0, 0))

    @pytest.mark.parametrize(
        ("fields", "votes", "ballots"),
        [
            ({"votes": (19, 22)}, (-1, 2), (1, 1, 0, 0)),
            ({"votes": (20, 20), "blank": 1}, (0, 0), (-1, 0, -1, 0)),
            ({"votes": (20, 20), "invalid": 1, "blank": 3}, (0, 0), (0, 0, 1, -1)),
            ({"votes": (20, 20), "blank": None, "cast": 44}, (0, 0), (0, 0, None, 0)),
        ],
        ids=["a candidate", "the blank ballots", "the invalid ones", "a figure that becomes unknown"],
    )
    def test_when_any_figure_of_a_partial_count_falls(
        self, fields: dict[str, Any], votes: tuple[int, ...], ballots: tuple[int | None, ...]
    ) -> None:
        night = Night(election(), report(votes=(20, 20), complete=False))
        assert line(night, report(revision=2, complete=False, **fields)) == (1, 2, votes, ballots)

    def test_when_a_partial_count_is_removed(self) -> None:
        night = Night(election(), report(votes=(20, 20), complete=False))
        assert line(night, decision("annul")) == (1, 2, (-20, -20), (-44, -40, -2, -2))


class TestNotWritten:
    @pytest.mark.parametrize("kind", ["report", "accept"])
    @pytest.mark.parametrize("complete", [True, False])
    def test_for_a_first_count(self, kind: str, complete: bool) -> None:
        if kind == "accept":
            night = Night(election(), report(valid=97, complete=complete))
            assert line(night, decision("accept")) is None
        else:
            assert line(Night(), report(complete=complete)) is None

    def test_for_a_first_count_after_a_withdrawal(self) -> None:
        assert line(Night(election(), report(), decision("withdraw")), report(revision=3)) is None

    @pytest.mark.parametrize("complete", [True, False])
    def test_for_a_partial_count_that_grows(self, complete: bool) -> None:
        night = Night(election(), report(votes=(20, 20), complete=False))
        assert line(night, report(revision=2, votes=(20, 21), complete=complete)) is None

    def test_for_a_partial_count_put_back(self) -> None:
        night = Night(election(), report(complete=False), decision("annul"))
        assert line(night, decision("restore", revision=3, replaces=2)) is None

    def test_for_a_partial_count_without_any_ballots_removed(self) -> None:
        night = Night(election(), report(votes=(0, 0), blank=0, invalid=0, complete=False))
        assert line(night, decision("withdraw")) is None

    def test_for_a_decision_about_a_station_without_counts(self) -> None:
        night = Night()
        assert line(night, decision("annul", revision=1, replaces=0)) is None
        assert line(night, decision("restore", revision=2, replaces=1)) is None
        night.take(report(revision=3, valid=97))
        assert line(night, decision("withdraw", revision=4, replaces=3)) is None

    @pytest.mark.parametrize(
        "statement",
        [
            report(),
            report(votes=(46, 50)),
            report(revision=2, valid=97),
            report(revision=2000),
            correct(replaces=9),
            turnout(),
            control("hold"),
        ],
        ids=["repeated", "conflicting", "held", "wild", "refused", "turnout", "control"],
    )
    def test_for_a_statement_that_leaves_the_counts(self, statement: Any) -> None:
        assert line(Night(election(), report()), statement) is None


class TestContent:
    def test_who_why_and_where(self) -> None:
        of = election(contests=[contest("PRES"), contest("SEAT")])
        night = Night(of, report(contest=1))
        change = night.change(correct(contest=1, reason="misread", authority="district"))
        assert change is not None
        assert (change.contest, change.kind) == (1, "correct")
        assert change.station is of.stations["A-1"]
        assert (change.reason, change.authority) == ("misread", "district")

    def test_a_plain_report_may_have_neither(self) -> None:
        change = Night(election(), report()).change(report(revision=2))
        assert change is not None
        assert (change.reason, change.authority) == (None, None)

    def test_an_unknown_figure_on_either_side_has_no_delta(self) -> None:
        night = Night(election(), report(blank=None, cast=98))
        assert line(night, report(revision=2)) == (1, 2, (0, 0), (2, 0, None, 0))
        assert line(night, report(revision=3, cast=None)) == (2, 3, (0, 0), (None, 0, 0, 0))
        assert line(night, decision("withdraw", revision=4, replaces=3)) == (3, 4, (-50, -46), (None, -96, -2, -2))


def figures_of(root: dict[str, Any]) -> dict[str, int | None]:
    return {**{c["id"]: c["votes"] for c in root["candidates"]}, **root["ballots"]}


@examples(60)
@given(plans, steps_ms)
def test_every_fall_of_a_published_figure_is_that_of_a_change(drawn: list[Plan], steps: list[int]) -> None:
    """Record by record: what a change says is what the totals did; where none is written, nothing known fell."""
    for of in ELECTIONS[1:7]:  # those behind differ in what follows from the figures
        for log in make_logs(of, drawn, steps):
            night = Night(of)
            for log_ms, _, read in log:
                check_record(night, log_ms, read)


def check_record(night: Night, log_ms: int, read: UnsignedStatement | Finding) -> None:
    of = night.election
    before = [figures_of(night.root(i)) for i in range(len(of.contests))]
    on_hold = [night.fold.is_on_hold(i) for i in range(len(of.contests))]
    change = night.take(read, at_ms=log_ms).change
    after = [figures_of(night.root(i)) for i in range(len(of.contests))]
    for index, c in enumerate(of.contests):
        if on_hold[index] or night.fold.is_on_hold(index):
            continue
        delta: dict[str, int | None] = {}
        if change is not None and change.contest == index:
            delta = dict(zip(c.candidate_ids, change.votes_delta, strict=True))
            delta |= dict(zip(BALLOTS, change.ballots_delta, strict=True))
        for name, was in before[index].items():
            now = after[index][name]
            if was is None or now is None:
                continue
            if delta:
                assert delta[name] == now - was
            else:
                assert now >= was
