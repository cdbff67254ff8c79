"""hold, release, certify: in force in each partition from its own record on."""

import pytest

from tally_stream.domain.election import Election
from tally_stream.domain.fold import PartitionFold
from tally_stream.domain.report import UnsignedStatement
from tally_stream.domain.standings import MergedFigures, Message
from tests.support.random_nights import HOME
from tests.support.small_elections import (
    COUNTED_MS,
    TOPIC,
    Night,
    contest,
    control,
    election,
    key_of,
    placed,
    report,
    station,
    turnout,
)

TWO = (station("A-1"), station("A-2"))
SECOND = 1000


class Nights:
    """Two partitions; a statement goes to the one asked for."""

    def __init__(self, of: Election) -> None:
        self.election = of
        self.folds = [PartitionFold(of, partition, 2) for partition in range(2)]

    def take(self, partition: int, statement: UnsignedStatement, at_ms: int = COUNTED_MS) -> str:
        fold = self.folds[partition]
        key = key_of(statement, self.election)
        return fold.take(fold.next_offset, at_ms, key, placed(statement, self.election)).name

    def root(self, contest: int = 0) -> Message:
        standings = MergedFigures(self.election, contest, TOPIC, 2)
        for fold in self.folds:
            standings.put(fold.figures(contest))
        return standings.messages()[-1]


class TestHold:
    def test_freezes_figures_time_and_next_offset_at_its_own_offset_and_one(self) -> None:
        night = Night(election(TWO), report("A-1"))
        night.take(control("hold"), at_ms=COUNTED_MS + 70 * SECOND)
        frozen = night.messages()
        night.take(report("A-2"), at_ms=COUNTED_MS + 90 * SECOND)
        night.take(turnout("A-1"))
        assert night.messages() == frozen
        assert frozen[-1]["on_hold"] is True
        assert frozen[-1]["version"] == 2
        assert frozen[-1]["provenance"]["next_offsets"] == {"0": 2}
        assert frozen[-1]["as_of"] == "2024-02-07T16:01:10.000Z"
        assert night.fold.is_on_hold(0)

    def test_counting_goes_on_behind_it_and_release_shows_it(self) -> None:
        night = Night(election(TWO), report("A-1"), control("hold"))
        assert night.verdict(report("A-2", votes=(10, 5), blank=0, invalid=0)) == "counted"
        night.take(control("release", 2))
        root = night.root()
        assert (root["on_hold"], root["version"]) == (False, 4)
        assert night.votes() == {"ANNA": 60, "BELA": 51}
        assert not night.fold.is_on_hold(0)

    def test_a_further_hold_does_not_move_it(self) -> None:
        night = Night(election(TWO), control("hold"), report("A-1"))
        frozen = night.messages()
        assert night.verdict(control("hold", 2)) == "counted"
        assert night.messages() == frozen

    def test_one_release_undoes_two_holds(self) -> None:
        night = Night(election(TWO), control("hold"), control("hold", 2), control("release", 3))
        assert night.root()["on_hold"] is False

    def test_a_second_hold_after_a_release_freezes_anew(self) -> None:
        night = Night(election(TWO), control("hold"), control("release", 2), report("A-1"), control("hold", 3))
        night.take(report("A-2"))
        assert night.root()["stations"]["counted"] == 1
        assert night.root()["version"] == 4

    def test_a_refused_hold_freezes_nothing(self) -> None:
        night = Night(election(TWO), control("release", 5), control("hold", 4), control("hold", 5))
        assert night.root()["on_hold"] is False

    def test_another_contest_goes_on(self) -> None:
        of = election(contests=[contest("PRES"), contest("SEAT")])
        night = Night(of, control("hold"), report(contest=1))
        assert night.root(0)["version"] == 1
        assert (night.root(1)["version"], night.root(1)["on_hold"]) == (2, False)
        assert night.root(1)["stations"]["counted"] == 1

    def test_each_partition_by_itself_and_one_hold_shows_on_hold(self) -> None:
        nights = Nights(election([station("A-1"), station("B-1")]))
        assert HOME["A-1"] != HOME["B-1"]
        nights.take(HOME["A-1"], control("hold"))
        nights.take(HOME["A-1"], report("A-1"))
        nights.take(HOME["B-1"], report("B-1"))
        root = nights.root()
        assert root["on_hold"] is True
        assert root["stations"]["counted"] == 1
        assert root["provenance"]["next_offsets"] == {str(HOME["A-1"]): 1, str(HOME["B-1"]): 1}


class TestCertify:
    def test_the_status_is_certified_when_all_partitions_have_it(self) -> None:
        nights = Nights(election(TWO))
        nights.take(0, control("certify"))
        assert nights.root()["status"] == "unofficial-partial"
        nights.take(1, control("certify"))
        assert nights.root()["status"] == "certified"

    def test_in_force_in_each_partition_from_its_own_record_on(self) -> None:
        nights = Nights(election([station("A-1"), station("B-1")]))
        nights.take(HOME["A-1"], control("certify"))
        assert nights.take(HOME["A-1"], report("A-1")) == "held"
        assert nights.take(HOME["B-1"], report("B-1")) == "counted"

    def test_not_before_figures_of_every_partition_are_there(self) -> None:
        of = election()
        standings = MergedFigures(of, 0, TOPIC, 2)
        fold = PartitionFold(of, 0, 2)
        fold.take(0, COUNTED_MS, b"PRES", control("certify"))
        standings.put(fold.figures(0))
        assert not standings.is_complete
        assert standings.messages()[-1]["status"] == "unofficial-partial"

    def test_behind_a_hold_it_shows_with_the_release(self) -> None:
        night = Night(election(), report(), control("hold"), control("certify", 2))
        assert night.verdict(report(revision=2)) == "held Q4", "counting knows it at once"
        assert night.root()["status"] == "unofficial-complete"
        night.take(control("release", 3))
        assert night.root()["status"] == "certified"

    def test_it_stays_through_release_and_hold(self) -> None:
        night = Night(election(), report(), control("certify"), control("hold", 2), control("release", 3))
        assert night.root()["status"] == "certified"

    @pytest.mark.parametrize("contest_index", [0, 1])
    def test_one_contest_alone(self, contest_index: int) -> None:
        night = Night(election(contests=[contest("PRES"), contest("SEAT")]), control("certify", contest=contest_index))
        assert [night.root(i)["status"] == "certified" for i in (0, 1)] == [contest_index == 0, contest_index == 1]


def test_control_statements_are_counted_and_owe_nothing() -> None:
    night = Night()
    for revision, kind in enumerate(["release", "certify", "certify", "hold", "release"], start=1):
        verdict = night.take(control(kind, revision))
        assert (verdict.name, verdict.change, verdict.is_refusal) == ("counted", None, False)
    assert night.fold.verdict_counts() == {
        "counted": 5, "repeated": 0, "stale": 0, "conflicting": 0, "held": 0, "rejected": 0, "codes": {}
    }  # fmt: skip
