"""The three shipped nights, replayed, to the digit as they were published (each night's SOURCE.md names where)."""

from collections import Counter
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tally_stream.audit.replay import Replay, replay
from tally_stream.domain.election import Election
from tally_stream.domain.ledger import Change
from tally_stream.domain.scalars import parse_time
from tally_stream.wire.folder.assembling import load_election
from tally_stream.wire.report_log import ReportLog

NIGHTS = Path(__file__).resolve().parents[2] / "tally_stream" / "elections"
Root = dict[str, Any]


@cache
def definition(night: str) -> Election:
    return load_election(NIGHTS / night)


def log(night: str) -> Path:
    return NIGHTS / night / "reports.jsonl.gz"


@cache
def replayed(night: str, until: str | None = None, records: int | None = None) -> Replay:
    until_ms = None if until is None else parse_time(until)
    at = None if records is None else {0: records}
    return replay(definition(night), log(night), until_ms=until_ms, at=at)


def root(night: str, until: str | None = None, records: int | None = None) -> Root:
    return replayed(night, until, records).messages(0)[-1]


def votes(message: Root) -> dict[str, int]:
    return {c["id"]: c["votes"] for c in message["candidates"]}


def known(figures: dict[str, Any]) -> dict[str, Any]:
    return {name: figure for name, figure in figures.items() if figure is not None}


def shares(message: Root) -> list[str]:
    return [c["share"] for c in message["candidates"]]


@cache
def changes(night: str) -> tuple[Change, ...]:
    of = definition(night)
    result = Replay(of, "tally.reports", None)
    verdicts = [result.take(record) for record in ReportLog(log(night))]
    return tuple(verdict.change for verdict in verdicts if verdict.change is not None)


class TestAzerbaijan2024:
    NIGHT = "az-2024"
    ORDER = ("I-ALIYEV", "Z-ORUJ", "F-MUSTAFA", "G-HASANGULIYEV", "R-NURULLAYEV", "E-MUSAYEV", "F-ALIYEV")

    def test_at_22_00_the_shares_as_announced(self) -> None:
        found = root(self.NIGHT, "2024-02-07T22:00:00+04:00")
        assert found["stations"]["counted"] == 3_561
        assert found["progress"]["stations"] == {"done": 3_561, "of": 6_537, "percent": "54.47"}
        assert shares(found) == ["92.10", "2.20", "1.99", "1.78", "0.79", "0.66", "0.48"]
        assert [c["id"] for c in found["candidates"]] == list(self.ORDER)
        assert found["status"] == "unofficial-partial"
        assert found["outcome"]["state"] == "undecided"

    def test_at_03_13_the_votes_as_announced(self) -> None:
        found = root(self.NIGHT, "2024-02-08T03:13:00+04:00")
        assert found["progress"]["stations"] == {"done": 6_102, "of": 6_537, "percent": "93.35"}
        assert list(votes(found).values()) == [4_281_625, 101_851, 92_980, 81_799, 37_386, 31_033, 24_799]
        assert known(found["ballots"]) == {"valid": 4_651_473}
        assert shares(found) == ["92.05", "2.19", "2.00", "1.76", "0.80", "0.67", "0.53"]
        assert found["outcome"]["state"] == "decided"
        assert found["outcome"]["lead"] == 4_179_774
        assert found["as_of"] == "2024-02-07T23:13:00.000Z"

    def test_on_9_february_all_stations(self) -> None:
        found = root(self.NIGHT, "2024-02-09T09:00:00+04:00")
        assert list(votes(found).values()) == [4_577_693, 107_877, 98_623, 85_607, 39_727, 32_956, 26_561]
        assert found["ballots"]["valid"] == 4_969_044
        assert shares(found) == ["92.12", "2.17", "1.98", "1.72", "0.80", "0.66", "0.53"]
        assert found["progress"]["stations"]["percent"] == "100.00"
        assert found["status"] == "unofficial-complete"

    def test_at_the_end_after_eleven_annulments(self) -> None:
        found = root(self.NIGHT)
        assert list(votes(found).values()) == [4_567_458, 107_632, 98_421, 85_411, 39_643, 32_885, 26_517]
        assert found["ballots"]["valid"] == 4_957_967
        assert found["stations"] == {
            "expected": 6_537, "received": 6_537, "counted": 6_526, "partial": 0, "held": 0, "annulled": 11, "outstanding": 0
        }  # fmt: skip
        assert found["status"] == "correction"
        assert found["progress"]["registered"] == {"done": 6_478_623, "of": 6_478_623, "percent": "100.00"}

    def test_the_changes_add_up_to_the_fall_of_11_077_in_seven_named_parts(self) -> None:
        listed = changes(self.NIGHT)
        assert [(c.kind, bool(c.reason), bool(c.authority)) for c in listed] == [("annul", True, True)] * 11
        added = [sum(c.votes_delta[i] for c in listed) for i in range(7)]
        assert added == [-10_235, -245, -202, -196, -84, -71, -44]
        assert sum(added) == -11_077 == sum(c.ballots_delta[1] or 0 for c in listed)
        before = votes(root(self.NIGHT, "2024-02-09T09:00:00+04:00"))
        after = votes(root(self.NIGHT))
        assert [after[name] - before[name] for name in self.ORDER] == added

    def test_the_polls_of_the_day_stand_beside_it(self) -> None:
        polls = root(self.NIGHT)["exit_polls"]
        assert [p["share"]["I-ALIYEV"] for p in polls] == ["93.9", "92.4", "92.6"]
        assert [p["difference"]["I-ALIYEV"] for p in polls] == ["-1.78", "-0.28", "-0.48"]

    def test_no_result_is_shown_before_the_polls_close(self) -> None:
        found = root(self.NIGHT, "2024-02-07T18:59:59.999+04:00")
        assert found["status"] == "pre-election"
        assert set(votes(found).values()) == {None}
        assert found["version"] == 6_493 + 6_499 + 6_515 + 6_518, "the turnout bulletins until 17:00"

    @pytest.mark.parametrize(
        ("records", "voted", "percent", "stations"),
        [
            (6_493, 1_259_371, "19.57", 6_493),
            (12_992, 2_499_033, "38.80", 6_499),
            (19_507, 3_922_187, "60.75", 6_515),
            (26_025, 4_590_075, "71.05", 6_518),
            (32_547, 4_971_032, "76.91", 6_522),
        ],
        ids=["10:00", "12:00", "15:00", "17:00", "19:00"],
    )
    def test_the_bulletins_of_the_day(self, records: int, voted: int, percent: str, stations: int) -> None:
        """Of the registers of the stations that stated it: the commission's per cent are of all (19.44 to 76.73)."""
        found = root(self.NIGHT, records=records)["voted"]
        assert (found["done"], found["percent"], found["stations"]) == (voted, percent, stations)
        *areas, whole = replayed(self.NIGHT, records=records).messages(0)
        assert sum(area["voted"]["done"] for area in areas if area["voted"]) == whole["voted"]["done"]

    def test_every_record_counts(self) -> None:
        counts = replayed(self.NIGHT).verdict_counts()
        assert counts == {
            "counted": 39_095, "repeated": 0, "stale": 0, "conflicting": 0, "held": 0, "rejected": 0, "codes": {}
        }  # fmt: skip

    def test_constituencies_add_up(self) -> None:
        *areas, whole = replayed(self.NIGHT).messages(0)
        assert len(areas) == 125
        for name in self.ORDER:
            assert sum(votes(a)[name] for a in areas) == votes(whole)[name]


class TestBolivia2019:
    NIGHT = "bolivia-2019"

    def test_where_the_quick_count_fell_silent(self) -> None:
        found = root(self.NIGHT, records=28_975)
        assert found["stations"]["counted"] == 28_975
        assert (votes(found)["MAS"], votes(found)["CC"]) == (2_355_644, 1_950_000)
        assert found["ballots"]["valid"] == 5_152_979
        assert shares(found)[:2] == ["45.71", "37.84"]
        assert found["progress"]["stations"]["percent"] == "83.85"

    def test_at_the_end_the_official_count(self) -> None:
        found = root(self.NIGHT)
        assert known(found["ballots"]) == {"cast": 6_460_515, "valid": 6_137_671, "blank": 93_507, "invalid": 229_337}
        assert votes(found) == {
            "MAS": 2_889_359, "CC": 2_240_920, "PDC": 539_081, "21F": 260_316, "MTS": 76_827, "MNR": 42_334,
            "PAN-BOL": 39_826, "UCS": 25_283, "FPV": 23_725,
        }  # fmt: skip
        assert shares(found)[:2] == ["47.08", "36.51"]
        assert found["turnout"] == {"cast": 6_460_515, "registered": 7_315_364, "percent": "88.31"}
        assert found["progress"]["ballots"] == {"done": 6_460_515, "of": 6_460_515, "percent": "100.00"}
        assert found["flags"]["corrected"] == 706
        assert found["outcome"] == {
            "state": "decided", "leader": "MAS", "lead": 648_439, "outstanding_bound": 0, "elected": ["MAS"], "tied": None,
            "quorum": None, "double_majority": None,
        }  # fmt: skip

    def test_by_its_own_law_it_is_open_or_won_in_the_first_round(self) -> None:
        """40 per cent and 10 points: 28,975 sheets said 7.87 points, and nobody knew what the rest would say."""
        assert root(self.NIGHT, records=28_975)["outcome"]["state"] == "undecided"
        states = [root(self.NIGHT, records=n)["outcome"]["state"] for n in (1, 10_000, 32_806, 34_000, 34_555, 35_000)]
        assert set(states) <= {"undecided", "decided"}

    def test_every_correction_is_a_change(self) -> None:
        assert Counter(c.kind for c in changes(self.NIGHT)) == {"correct": 706}

    def test_warnings_hold_nothing_back(self) -> None:
        counts = replayed(self.NIGHT).verdict_counts()
        assert counts["counted"] == 35_261 == replayed(self.NIGHT).record_count
        assert counts["codes"]["Q6"] == 435


class TestWisconsin2024:
    NIGHT = "wisconsin-2024"

    def test_at_the_end_of_the_night(self) -> None:
        found = root(self.NIGHT, records=4_263)
        assert (votes(found)["HARRIS"], votes(found)["TRUMP"]) == (1_667_882, 1_697_281)

    def test_certified(self) -> None:
        found = root(self.NIGHT)
        assert votes(found) == {
            "TRUMP": 1_697_626, "HARRIS": 1_668_229, "KENNEDY": 17_740, "STEIN": 12_275, "OLIVER": 10_511, "TERRY": 4_044,
            "WEST": 2_753, "DE-LA-CRUZ": 2_035,
        }  # fmt: skip
        assert found["stations"]["counted"] == 3_603
        assert found["stations"]["annulled"] == 13
        assert found["outcome"]["state"] == "decided"

    def test_the_changes_add_up_to_what_was_taken_out_and_replaced(self) -> None:
        counted = Counter(c.kind for c in changes(self.NIGHT))
        assert counted["annul"] == 13
        assert counted["correct"] == 3_494 + 5

    def test_unknown_is_null(self) -> None:
        found = root(self.NIGHT)
        assert (found["turnout"], found["progress"]["registered"], found["progress"]["ballots"]) == (None, None, None)


@pytest.mark.parametrize("night", ["az-2024", "bolivia-2019", "wisconsin-2024"])
def test_what_the_changes_say_is_what_the_totals_did(night: str) -> None:
    """All first counts and growing partial ones, plus all changes: the final figures."""
    of = definition(night)
    result = Replay(of, "tally.reports", None)
    running = [0] * len(of.contests[0].candidates)
    for record in ReportLog(log(night)):
        before = result.folds[0].next_offset
        verdict = result.take(record)
        assert result.folds[0].next_offset == before + 1
        if verdict.change is not None:
            running = [a + b for a, b in zip(running, verdict.change.votes_delta, strict=True)]
        elif record.value is not None and b'"kind":"report"' in record.value and verdict.name == "counted":
            station = (record.key or b"").decode()
            entry = result.folds[0].entry(0, station)
            assert entry is not None
            assert entry.counts is not None
            running = [a + b for a, b in zip(running, entry.counts.votes, strict=True)]
    assert running == [votes(result.messages(0)[-1])[name] for name in of.contests[0].candidate_ids]
