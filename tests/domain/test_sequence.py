"""Q1, Q2, Q3, Q8: one rising sequence of revisions per station and contest, over all kinds; S7: in one partition."""

from dataclasses import replace
from typing import Any

import pytest

from tally_stream.domain.fold import PartitionFold
from tally_stream.domain.report import Report, UnsignedStatement
from tally_stream.domain.scalars import murmur2_partition
from tests.support.small_elections import (
    COUNTED_MS,
    Night,
    altered,
    contest,
    control,
    correct,
    decision,
    election,
    placed,
    report,
    station,
    turnout,
)


class TestTheHighestRevisionAgain:
    def test_q1_with_the_same_content_is_repeated(self) -> None:
        night = Night(election(), report())
        assert night.verdict(report()) == "repeated Q1"

    @pytest.mark.parametrize(
        "change",
        [
            {"kind": "correct"},
            {"complete": False},
            {"counted_at": "2024-02-07T16:00:00Z"},
            {"registered": 200},
            {"cast": 99},
            {"valid": 95},
            {"blank": None},
            {"invalid": None},
            {"votes": (46, 50)},
            {"replaces": 1},
            {"reason": "r"},
            {"authority": "a"},
        ],
        ids=lambda change: next(iter(change)),
    )
    def test_q3_with_any_other_content_it_is_conflicting(self, change: dict[str, object]) -> None:
        night = Night(election(), report())
        assert night.verdict(altered(report(), **change)) == "conflicting Q3"

    def test_q3_the_first_in_the_log_stays(self) -> None:
        night = Night(election(), report(votes=(50, 46)))
        night.take(report(votes=(46, 50)))
        assert night.votes() == {"ANNA": 50, "BELA": 46}

    def test_q1_and_q3_hold_for_a_held_revision_too(self) -> None:
        night = Night(election(), report(valid=97))
        assert night.verdict(report(valid=97)) == "repeated Q1"
        assert night.verdict(report()) == "conflicting Q3"
        assert night.states() == {"held": 1}

    def test_q1_and_q3_hold_for_a_decision_too(self) -> None:
        night = Night(election(), report(), decision("annul"))
        assert night.verdict(decision("annul")) == "repeated Q1"
        assert night.verdict(decision("annul", reason="another")) == "conflicting Q3"
        assert night.verdict(report(revision=2)) == "conflicting Q3"


class TestDisputed:
    def test_a_conflict_flags_the_station_and_a_repeat_does_not(self) -> None:
        night = Night(election(), report(), report())
        assert night.root()["flags"]["disputed"] == 0
        night.take(report(votes=(46, 50)))
        assert night.root()["flags"]["disputed"] == 1

    @pytest.mark.parametrize(
        "then",
        [
            report(revision=2),
            correct(),
            correct(kind="recount"),
            decision("annul"),
            decision("withdraw"),
        ],
        ids=lambda r: r.kind,
    )
    def test_until_a_higher_revision_of_whatever_kind_takes_effect(self, then: Report) -> None:
        night = Night(election(), report(), report(votes=(46, 50)), then)
        assert night.root()["flags"]["disputed"] == 0

    @pytest.mark.parametrize("counts", [{}, {"complete": False}], ids=["complete", "partial"])
    def test_a_plain_report_settles_it_whatever_was_counted_before(self, counts: dict[str, Any]) -> None:
        """A plain report after plain partial counts is counted in one step; a disputed station is no plain one. An area's
        first report is never counted so: another station sends that."""
        of = election([station("A-1"), station("A-2")])
        night = Night(of, report("A-2"), report(**counts), report(votes=(46, 50), **counts))
        assert night.root()["flags"]["disputed"] == 1
        assert night.verdict(report(revision=2, votes=(51, 46))) == "counted"
        assert night.root()["flags"]["disputed"] == 0
        assert night.votes() == {"ANNA": 101, "BELA": 92}

    def test_a_held_stale_rejected_or_repeated_statement_does_not_settle_it(self) -> None:
        night = Night(election(), report(revision=5), report(revision=5, votes=(46, 50)))
        for statement, verdict in (
            (report(revision=6, valid=97), "held"),
            (report(revision=4), "stale"),
            (report(revision=2000), "rejected"),
            (report(revision=6, valid=97), "repeated"),
        ):
            assert night.verdict(statement).startswith(verdict)
            assert night.root()["flags"]["disputed"] == 1

    def test_it_shows_in_every_state(self) -> None:
        held = Night(election(), report(valid=97), report())
        assert (held.states(), held.root()["flags"]["disputed"]) == ({"held": 1}, 1)
        annulled = Night(election(), report(), decision("annul"), decision("annul", reason="another"))
        assert (annulled.states(), annulled.root()["flags"]["disputed"]) == ({"annulled": 1}, 1)
        withdrawn = Night(election(), report(), decision("withdraw"), decision("withdraw", reason="another"))
        assert (withdrawn.states(), withdrawn.root()["flags"]["disputed"]) == ({"outstanding": 1}, 1)


class TestOtherRevisions:
    @pytest.mark.parametrize(
        ("revision", "expected"),
        [(4, "stale Q2"), (5, "repeated Q1"), (6, "counted"), (1005, "counted"), (1006, "rejected Q8")],
    )
    def test_against_revision_5_counted(self, revision: int, expected: str) -> None:
        assert Night(election(), report(revision=5)).verdict(report(revision=revision)) == expected

    @pytest.mark.parametrize(("revision", "expected"), [(1, "counted"), (1000, "counted"), (1001, "rejected Q8")])
    def test_against_nothing(self, revision: int, expected: str) -> None:
        assert Night().verdict(report(revision=revision)) == expected

    def test_q2_whatever_the_content(self) -> None:
        night = Night(election(), report(), report(revision=2))
        assert night.verdict(report()) == "stale Q2"
        assert night.verdict(report(votes=(1, 2))) == "stale Q2"
        assert night.verdict(decision("annul", revision=1, replaces=2)) == "stale Q2"

    def test_a_held_revision_counts_as_the_highest(self) -> None:
        night = Night(election(), report(), report(revision=5, valid=97))
        assert night.verdict(report(revision=4)) == "stale Q2"
        assert night.verdict(report(revision=1006)) == "rejected Q8"
        assert night.verdict(report(revision=1005)) == "counted"

    @pytest.mark.parametrize("wild", [report(revision=1500), correct(revision=3, replaces=7), report(votes=(1, 1))])
    def test_a_refused_statement_does_not_raise_it(self, wild: Report) -> None:
        night = Night(election(), report(), wild)
        assert night.verdict(report(revision=2)) == "counted"

    def test_one_sequence_per_station_and_contest(self) -> None:
        of = election(contests=[contest("PRES"), contest("SEAT")])
        night = Night(of, report(revision=7))
        assert night.verdict(report(revision=1, contest=1)) == "counted"


class TestTurnoutSequence:
    def test_is_its_own_beside_the_reports(self) -> None:
        night = Night(election(), report(revision=9))
        assert night.verdict(turnout(revision=1)) == "counted"

    @pytest.mark.parametrize(
        ("statement", "expected"),
        [
            (turnout(revision=5, voted=80), "repeated Q1"),
            (turnout(revision=5, voted=81), "conflicting Q3"),
            (replace(turnout(revision=5), as_of="2024-02-07T13:00:00Z"), "conflicting Q3"),
            (turnout(revision=4), "stale Q2"),
            (turnout(revision=1005), "counted"),
            (turnout(revision=1006), "rejected Q8"),
        ],
    )
    def test_against_revision_5(self, statement: object, expected: str) -> None:
        night = Night(election(), turnout(revision=5))
        assert night.verdict(statement) == expected  # type: ignore[arg-type]

    def test_the_first_may_be_a_thousand(self) -> None:
        assert Night().verdict(turnout(revision=1000)) == "counted"
        assert Night().verdict(turnout(revision=1001)) == "rejected Q8"


class TestControlSequence:
    @pytest.mark.parametrize(
        ("statement", "expected"),
        [
            (control("hold", 5), "repeated Q1"),
            (control("release", 5), "conflicting Q3"),
            (control("hold", 5, reason="another"), "conflicting Q3"),
            (control("hold", 4), "stale Q2"),
            (control("release", 1005), "counted"),
            (control("release", 1006), "rejected Q8"),
        ],
    )
    def test_against_revision_5(self, statement: object, expected: str) -> None:
        night = Night(election(), control("hold", 5))
        assert night.verdict(statement) == expected  # type: ignore[arg-type]

    def test_one_per_contest(self) -> None:
        night = Night(election(contests=[contest("PRES"), contest("SEAT")]), control("hold", 7))
        assert night.verdict(control("hold", 1, contest=1)) == "counted"


class TestS7Partition:
    PARTITIONS = 4

    def fold(self, partition: int, **of: object) -> PartitionFold:
        return PartitionFold(election(**of), partition, self.PARTITIONS)  # type: ignore[arg-type]

    @pytest.mark.parametrize("statement", [report(), turnout()], ids=["report", "turnout"])
    @pytest.mark.parametrize("contests", [1, 2])
    def test_a_record_away_from_home_is_refused_and_counts_at_home(self, statement: UnsignedStatement, contests: int) -> None:
        home = murmur2_partition(b"A-1", self.PARTITIONS)
        for partition in range(self.PARTITIONS):
            fold = self.fold(partition, contests=[contest(f"C{i}") for i in range(contests)])
            for offset in range(2):
                verdict = fold.take(offset, COUNTED_MS, b"A-1", placed(statement, fold.election))
                if partition == home:
                    assert verdict.name == ("counted" if offset == 0 else "repeated")
                else:
                    assert (verdict.name, verdict.findings[0].code) == ("rejected", "S7")
                    assert (verdict.findings[0].left, verdict.findings[0].right) == (partition, home)

    def test_a_control_statement_is_at_home_everywhere(self) -> None:
        for partition in range(self.PARTITIONS):
            assert self.fold(partition).take(0, COUNTED_MS, b"PRES", control("hold")).name == "counted"

    def test_a_turnout_at_home_proves_the_place_for_the_reports_and_the_other_way_round(self) -> None:
        home = murmur2_partition(b"A-1", self.PARTITIONS)
        for first, second in ((turnout(), report()), (report(), turnout())):
            fold = self.fold(home, contests=[contest("PRES"), contest("SEAT")])
            assert fold.take(0, COUNTED_MS, b"A-1", placed(first, fold.election)).name == "counted"
            assert fold.take(1, COUNTED_MS, b"A-1", placed(second, fold.election)).name == "counted"

    @pytest.mark.parametrize(
        ("key", "expected"),
        # Kafka's own: org.apache.kafka.common.utils.Utils.murmur2 and its test vectors.
        [
            (b"21", -973932308),
            (b"foobar", -790332482),
            (b"a-little-bit-long-string", -985981536),
            (b"a-little-bit-longer-string", -1486304829),
            (b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971),
            (b"abc", 479470107),
        ],
    )
    def test_the_hash_is_kafkas(self, key: bytes, expected: int) -> None:
        assert murmur2_partition(key, 2**31) == expected & 0x7FFFFFFF


def test_a_gap_or_a_jump_back_is_a_broken_invariant_never_a_verdict() -> None:
    fold = PartitionFold(election(), 3)
    fold.take(0, COUNTED_MS, b"A-1", report())
    for offset in (0, 2):
        with pytest.raises(ValueError, match=f"partition 3: offset {offset} where 1 was due"):
            fold.take(offset, COUNTED_MS, b"A-1", report(revision=2))
    assert fold.next_offset == 1


def test_who_looks_finds_the_ledgers_entry() -> None:
    night = Night(election(), report())
    entry = night.fold.entry(0, "A-1")
    assert entry is not None
    assert entry.counts == placed(report(), night.election)
    assert night.fold.entry(0, "A-2") is None
