"""The authority's desk over folds in memory: which cases are open, since when, and that each order it names would be taken."""

from __future__ import annotations

import json
import shlex
from typing import Any

import pytest

from tally_stream.domain.fold import folds_of
from tally_stream.domain.scalars import murmur2_partition
from tally_stream.export.desk import CasePlace, Desk, figures_side_by_side, in_force_said
from tally_stream.wire.reading import ReportReader
from tally_stream.wire.run import read_at
from tests.support.report_messages import ELECTION, LOG_MS, control, counts, decision

WRONG = {"cast": 99, "valid": 96, "blank": 2, "invalid": 2}


class Log:
    """Records judged as they come, a second apart, and the desk beside."""

    def __init__(self, partitions: int | None = None) -> None:
        self.folds = folds_of(ELECTION, partitions)
        self.desk = Desk(ELECTION)
        self.reader = ReportReader(ELECTION)
        self.seconds = 0

    def say(self, statement: dict[str, Any]) -> str:
        key = str(statement.get("station", statement["contest"])).encode()
        fold = self.folds[murmur2_partition(key, len(self.folds)) if len(self.folds) > 1 else 0]
        place = CasePlace(fold.partition, fold.next_offset, LOG_MS + 1000 * self.seconds)
        self.seconds += 1
        value = json.dumps(statement).encode()
        read = read_at(self.reader, fold, place.offset, place.timestamp_ms, key, value)
        verdict = fold.take(place.offset, place.timestamp_ms, key, read)
        if self.desk.concerns(key, verdict):
            self.desk.take(fold, place, read, verdict)
        return verdict.name

    def cases(self, **asked: Any) -> list[dict[str, Any]]:
        return self.desk.cases(self.folds, **asked)

    def open(self) -> list[tuple[str, str]]:
        return [(case["contest"], case["station"]) for case in self.cases()]


@pytest.fixture
def log() -> Log:
    return Log()


def test_a_held_report_stands_beside_what_is_in_force(log: Log) -> None:
    log.say(counts())
    log.say(counts(revision=2, ballots=WRONG, votes={"ANNA": 47, "BELA": 49}))
    (case,) = log.cases()
    assert (case["station"], case["name"], case["area"], case["contest"]) == ("A-1", "School", "X/North", "PRES")
    assert (case["since"], case["held_at"]) == (
        "2024-02-07T16:00:01.000Z",
        {"partition": 0, "offset": 1, "time": "2024-02-07T16:00:01.000Z"},
    )
    assert [code["code"] for code in case["codes"]] == ["A2", "Q6"]
    assert case["codes"][0]["message"] == "valid, blank and invalid add up to 100, cast are 99"
    assert figures_side_by_side(case) == [
        ("cast", 100, 99), ("valid", 96, 96), ("blank", 2, 2), ("invalid", 2, 2), ("ANNA", 50, 47), ("BELA", 46, 49),
    ]  # fmt: skip
    assert json.loads(json.dumps(case)) == case


def test_two_sheets_are_shown_beside_each_other_until_one_is_settled(log: Log) -> None:
    log.say(counts())
    assert log.say(counts(votes={"ANNA": 46, "BELA": 50})) == "conflicting"
    assert log.say(counts(votes={"ANNA": 1, "BELA": 95})) == "conflicting"
    (case,) = log.cases()
    assert (case["is_disputed"], case["held"], case["other"]["votes"]) == (True, None, {"ANNA": 46, "BELA": 50})
    assert case["disputed_at"]["offset"] == 1, "the first that contradicts"
    assert figures_side_by_side(case)[-2:] == [("ANNA", 50, 46), ("BELA", 46, 50)]
    log.say(decision(kind="annul", revision=2))
    assert log.cases() == []


def test_a_case_goes_when_it_is_settled_and_comes_again(log: Log) -> None:
    log.say(counts(ballots=WRONG))
    assert log.open() == [("PRES", "A-1")]
    log.say(counts(contest="SEAT", votes={"CLEO": 96}))
    assert log.open() == [("PRES", "A-1")], "its other contest"
    log.say(decision(kind="accept", revision=2, replaces=1))
    assert (log.open(), log.desk.keys, log.desk.count()) == ([], set(), 0)
    log.say(counts(revision=3, ballots=WRONG))
    log.say(counts(revision=4))
    assert log.open() == []


def test_of_counts_that_were_accepted_the_accept_s_revision_is_in_force_and_is_what_a_correction_names(log: Log) -> None:
    for statement in (counts(ballots=WRONG), decision(kind="accept"), counts(revision=3, ballots={**WRONG, "cast": 98})):
        log.say(statement)
    (case,) = log.cases()
    assert (case["in_force_revision"], in_force_said(case)) == (2, "in force (revision 2, of report 1)")
    commands = [need["command"] for need in case["needs"] if "a correction" in need["what"]]
    assert commands == ["tally-stream submit FILE --contest PRES --kind correct --replaces 2 --reason … --authority …"]
    log.say(decision(kind="withdraw", revision=4, replaces=2))
    log.say(counts(revision=5, ballots=WRONG))
    assert in_force_said(log.cases()[0]) == "nothing in force (revision 4)"


def test_a_held_report_that_is_held_again_is_as_old_as_the_newest(log: Log) -> None:
    log.say(counts(ballots=WRONG))
    log.say(counts(revision=2, ballots={**WRONG, "cast": 98}))
    (case,) = log.cases()
    assert (case["held"]["revision"], case["held_at"]["offset"]) == (2, 1)
    log.say(counts(revision=2))
    (case,) = log.cases()
    assert (case["is_disputed"], case["held"]["revision"], case["since"][-7:]) == (True, 2, "01.000Z")


def test_the_oldest_comes_first_over_partitions_and_contests() -> None:
    log = Log(partitions=8)
    assert murmur2_partition(b"A-1", 8) != murmur2_partition(b"B-1", 8)
    log.say(counts(station="B-1", ballots=WRONG))
    log.say(counts(ballots=WRONG))
    log.say(counts(station="B-1", contest="SEAT", votes={"CLEO": 96}, ballots=WRONG))
    assert log.open() == [("PRES", "B-1"), ("PRES", "A-1"), ("SEAT", "B-1")]
    assert [case["contest"] for case in log.cases(contest=1)] == ["SEAT"]
    assert [case["station"] for case in log.cases(station="A-1")] == ["A-1"]
    assert (log.desk.count(), log.desk.count(0)) == (3, 2)


def test_figures_can_be_kept_back(log: Log) -> None:
    log.say(counts(ballots=WRONG))
    (case,) = log.cases(hides_counts=lambda contest: contest == 0)
    assert (case["held"], case["codes"]) == (None, [{"code": "A2", "message": None}])
    assert figures_side_by_side(case) == []


@pytest.mark.parametrize(
    "before",
    [
        [counts(ballots=WRONG)],
        [counts(), counts(revision=2, ballots=WRONG)],
        [counts(), counts(votes={"ANNA": 46, "BELA": 50})],
        [counts(ballots=WRONG), counts(votes={"ANNA": 46, "BELA": 50})],
        [counts(), decision(kind="annul"), counts(revision=3)],
        [counts(), decision(kind="withdraw"), decision(kind="withdraw", reason="x")],
        [counts(ballots=WRONG), decision(kind="annul", replaces=1)],
        [control(kind="certify"), counts()],
    ],
    ids=["held", "held beside counts", "disputed", "held and disputed", "annulled", "withdrawn", "held, then annulled", "late"],
)
def test_every_order_that_it_names_would_take_effect(before: list[dict[str, Any]]) -> None:
    """Each on a log of its own."""

    def ready() -> tuple[Log, dict[str, Any]]:
        log = Log()
        for statement in before:
            log.say(statement)
        (case,) = log.cases()
        return log, case

    _, case = ready()
    commands = [need["command"] for need in case["needs"] if need["command"]]
    assert commands
    for command in commands:
        log, case = ready()
        words = shlex.split(command)
        if words[1] == "submit":
            assert words[2:7] == ["FILE", "--contest", "PRES", "--kind", "correct"]
            said = {"revision": 9, "kind": "correct", "replaces": int(words[words.index("--replaces") + 1])}
            is_late = any(code["code"] == "Q4" for code in case["codes"])
            assert log.say(counts(**said, reason="x", authority="y")) == ("held" if is_late else "counted"), command
            continue
        assert words[3:7] == ["--contest", "PRES", "--station", "A-1"]
        entry = log.folds[0].entry(0, "A-1")
        assert entry is not None
        held = entry.held.revision if entry.held else 0
        replaces = held if words[2] == "accept" else entry.in_force_revision or held
        assert log.say(decision(kind=words[2], revision=entry.top + 1, replaces=replaces)) == "counted", command
        is_open = [found["held"] for found in log.cases()]
        assert is_open == [] or words[2] in ("annul", "restore"), "a held report outlives these"
