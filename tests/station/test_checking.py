"""A statement before it is sent: each rule speaks here as it does at the count, and what is not known here is only a warning."""

from __future__ import annotations

from typing import Any

import pytest

from tally_stream.domain.fold import PartitionFold
from tally_stream.station.checking import Checked, KnownStatements
from tally_stream.station.preparing import NotAStatement, prepare
from tally_stream.wire.folder.assembling import load_election
from tally_stream.wire.reading import ReportReader
from tally_stream.wire.run import read_record
from tests.support.doc_pages import marked
from tests.support.paths import DOCS, NIGHTS
from tests.support.report_messages import ABSENT, ELECTION, LOG_MS, as_bytes, control, counts, decision, key_of, turnout

CORRECTION = {"kind": "correct", "revision": 2, "replaces": 1, "reason": "misread", "authority": "the board"}
TWO_DAYS_MS = 2 * 24 * 3_600_000


def check(*messages: dict[str, Any], at_ms: int = LOG_MS) -> Checked:
    """The last one, the others known."""
    known = KnownStatements(ELECTION)
    for message in messages[:-1]:
        known.take(as_bytes(message), key_of(message), at_ms)
    return known.check(as_bytes(messages[-1]), key_of(messages[-1]), at_ms)


@pytest.mark.parametrize(
    ("absent", "said"),
    [
        (("revision",), "the field revision is missing"),
        (("schema", "kind", "election", "revision"), "the fields schema, kind, election, revision are missing"),
        (("kind", "votes"), "the fields kind, votes are missing"),
    ],
)
def test_all_fields_that_are_missing_are_named_at_once(absent: tuple[str, ...], said: str) -> None:
    (remark,) = check(counts(**dict.fromkeys(absent, ABSENT))).remarks
    assert str(remark) == f"S1: {said}"


@pytest.mark.parametrize(
    ("votes", "said"),
    [
        ({"ANNA": 50}, "no votes given for BELA"),
        ({}, "no votes given for ANNA, BELA"),
        ({"BELA": None}, "no votes given for ANNA, BELA"),
    ],
)
def test_all_candidates_without_votes_are_named_at_once(votes: dict[str, Any], said: str) -> None:
    (remark,) = check(counts(votes=votes)).remarks
    assert str(remark) == f"S3: {said}"


@pytest.mark.parametrize("odd", [b'"kind":[]', b'"revision":' + b"1" * 5000])
def test_odd_values_beside_missing_fields_are_refused_all_the_same(odd: bytes) -> None:
    (remark,) = KnownStatements(ELECTION).check(b"{%s}" % odd, b"A-1", LOG_MS).remarks
    assert remark.sentence.startswith("the field")


def test_the_body_in_the_page_of_the_intake_is_whole() -> None:
    body = marked(DOCS / "intake.md", "example")["body"].text.encode()
    council = load_election(NIGHTS / "council")
    assert KnownStatements(council).check(body, b"11", 1_747_600_000_000).remarks == ()


def codes(checked: Checked) -> list[tuple[str, str]]:
    return [(remark.code, remark.severity) for remark in checked.remarks]


@pytest.mark.parametrize(
    ("message", "verdict", "found"),
    [
        (counts(), "counted", []),
        (counts(nonsense=1), "rejected", [("S1", "reject")]),
        (counts(votes={"ANNA": -1, "BELA": 46}), "rejected", [("S4", "reject")]),
        (counts(contest="NONE"), "rejected", [("S2", "reject")]),
        (counts(votes={"ANNA": 50}), "rejected", [("S3", "reject")]),
        (counts(phase="test"), "rejected", [("S5", "reject")]),
        (counts(votes={"ANNA": 50, "BELA": 45}), "held", [("A1", "error")]),
        (counts(ballots={"cast": 99, "valid": 96, "blank": 2, "invalid": 2}), "held", [("A2", "error")]),
        (counts(ballots={"cast": 100, "valid": 96, "blank": 1, "invalid": 3}), "counted", [("P1", "warning")]),
        (counts(kind="correct"), "rejected", [("Q5", "reject")]),
        (turnout(), "counted", []),
        (counts(registered=100_000), "held", [("A9", "error"), ("P7", "warning")]),
    ],
)  # fmt: skip
def test_each_rule_speaks_as_at_the_count(message: dict[str, Any], verdict: str, found: list[tuple[str, str]]) -> None:
    checked = check(message)
    assert (checked.verdict, codes(checked)) == (verdict, found)
    fold = PartitionFold(ELECTION)
    counted = read_record(ReportReader(ELECTION), fold, 0, LOG_MS, key_of(message), as_bytes(message))
    assert [f.code for f in counted.findings] == [code for code, _ in found], "as it is counted"


def test_a_sentence_has_both_figures() -> None:
    (remark,) = check(counts(ballots={"cast": 99, "valid": 96, "blank": 2, "invalid": 2})).remarks
    assert str(remark) == "A2: valid, blank and invalid add up to 100, cast are 99"
    assert (remark.left, remark.right) == (100, 99)


def test_earlier_statements_are_known() -> None:
    assert codes(check(counts(), counts())) == [("Q1", "information")]
    assert codes(check(counts(), counts(votes={"ANNA": 46, "BELA": 50}))) == [("Q3", "reject")]
    assert codes(check(counts(revision=2), counts())) == [("Q2", "reject")]
    lower = counts(**CORRECTION, ballots={"cast": 60, "valid": 58, "blank": 1, "invalid": 1}, votes={"ANNA": 12, "BELA": 46})
    assert codes(check(counts(), lower)) == [("Q6", "warning"), ("P10", "warning")]
    assert codes(check(turnout(), turnout(voted=81))) == [("Q3", "reject")]
    assert codes(check(turnout(revision=2), turnout())) == [("Q2", "reject")]
    assert codes(check(counts(), decision())) == []
    assert codes(check(counts(), decision(), counts(revision=3))) == [("Q4", "error")]


def test_to_look_changes_nothing() -> None:
    known = KnownStatements(ELECTION)
    for _ in range(2):
        assert known.check(as_bytes(counts()), b"A-1", LOG_MS).verdict == "counted"
    assert known.next_revision("A-1", "PRES") == 1


def test_what_is_not_known_here_is_a_warning_and_the_rules_behind_it_are_asked() -> None:
    """After a restore from a backup, or where another laptop sent revision 6, nobody here knows better."""
    checked = check(counts(**(CORRECTION | {"revision": 7, "replaces": 6}), votes={"ANNA": 50, "BELA": 45}))
    assert (checked.verdict, codes(checked)) == ("held", [("Q5", "warning"), ("A1", "error")])
    assert "as far as this place knows" in checked.remarks[0].sentence
    checked = check(counts(), counts(revision=1_002, ballots={"cast": 100, "valid": 96, "blank": 0, "invalid": 4}))
    assert (checked.verdict, codes(checked)) == ("counted", [("Q8", "warning"), ("P1", "warning")])
    assert codes(check(turnout(), turnout(revision=1_002))) == [("Q8", "warning")]
    assert codes(check(counts(), decision(replaces=9))) == [("Q5", "warning")]
    assert codes(check(decision(replaces=9), decision(replaces=2, revision=3, kind="withdraw"))) == [("Q5", "warning")]


def test_a_clock_two_days_off_is_told_in_times() -> None:
    early = check(counts(counted_at="2024-02-05T20:00:00+04:00"))
    assert codes(early) == [("Q7", "warning")]
    assert str(early.remarks[0]) == (
        "Q7: counted at 2024-02-05T20:00:00+04:00, before the polls closed (2024-02-07T15:00:00.000Z): look at the date and the clock"
    )
    late = check(counts(counted_at="2024-02-09T20:00:00+04:00"))
    assert codes(late) == [("Q7", "warning")]
    assert "later than this machine's clock, 2024-02-07T16:00:00.000Z" in str(late.remarks[0])
    assert codes(check(counts(), at_ms=LOG_MS - TWO_DAYS_MS)) == [("Q7", "warning")], "the laptop's own clock is behind"


def test_the_next_revision_is_one_above_the_highest_known() -> None:
    known = KnownStatements(ELECTION)
    known.take(as_bytes(counts(revision=4)), b"A-1", LOG_MS)
    known.take(as_bytes(turnout(revision=9)), b"A-1", LOG_MS)
    known.take_refused(as_bytes(counts(revision=6)), b"A-1")
    known.take_refused(b"nonsense", b"A-1")
    assert known.next_revision("A-1", "PRES") == 7
    assert known.next_revision("A-1", "turnout") == 10
    assert known.next_revision("A-1", "SEAT") == known.next_revision("B-1", "PRES") == 1
    known.take(as_bytes(counts(revision=7)), b"A-1", LOG_MS)
    assert codes(known.check(as_bytes(counts(revision=8)), b"A-1", LOG_MS)) == [], "6 was refused: 4, then 7 stand"


class TestPreparing:
    def test_what_can_only_be_one_thing_is_filled_in(self) -> None:
        known = KnownStatements(ELECTION)
        left_out = counts(schema=ABSENT, election=ABSENT, kind=ABSENT, revision=None)
        prepared = prepare(left_out, known, LOG_MS)
        assert (prepared.station, prepared.sequence, prepared.revision, prepared.kind) == ("A-1", "PRES", 1, "report")
        assert prepared.key == b"A-1"
        assert prepared.checked.verdict == "counted"
        assert known.next_revision("A-1", "PRES") == 1

    def test_what_is_given_stays(self) -> None:
        known = KnownStatements(ELECTION)
        assert prepare(counts(revision=5), known, LOG_MS).revision == 5
        assert prepare(counts(revision=5), known, LOG_MS, revision=8).revision == 8
        assert prepare(counts(contest="SEAT"), known, LOG_MS, "PRES").sequence == "SEAT"
        assert prepare(counts(contest=None), known, LOG_MS, "PRES").sequence == "PRES"
        assert prepare(turnout(revision=None), known, LOG_MS, "PRES").sequence == "turnout"

    def test_a_correction_is_above_what_it_replaces(self) -> None:
        corrects = counts(revision=None, kind="correct", replaces=2, reason="misread", authority="it")
        assert prepare(corrects, KnownStatements(ELECTION), LOG_MS).revision == 3, "a new machine"
        known = KnownStatements(ELECTION)
        known.take(as_bytes(counts()), b"A-1", LOG_MS)
        assert prepare(corrects, known, LOG_MS).revision == 3, "2 was an order of an authority"
        known.take(as_bytes(counts(revision=4)), b"A-1", LOG_MS)
        assert prepare(corrects, known, LOG_MS).revision == 5
        assert prepare(corrects, known, LOG_MS, revision=9).revision == 9
        assert codes(prepare(corrects | {"replaces": "2"}, known, LOG_MS).checked) == [("S4", "reject")]

    @pytest.mark.parametrize(
        ("message", "sentence"),
        [
            (counts(contest=None), "it names no contest, and there are several"),
            (counts(station=None), "it names no station"),
            (counts(station=7), "it names no station"),
            (control(), "hold is no statement of a station"),
        ],
    )
    def test_what_no_record_can_be_made_of(self, message: dict[str, Any], sentence: str) -> None:
        with pytest.raises(NotAStatement, match=sentence):
            prepare(message, KnownStatements(ELECTION), LOG_MS)

    def test_a_value_of_a_wrong_type_is_for_the_rules(self) -> None:
        prepared = prepare(counts(revision="two", kind=["report"]), KnownStatements(ELECTION), LOG_MS)
        assert codes(prepared.checked) == [("S1", "reject")]
