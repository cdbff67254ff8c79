"""S4: single values; S2, S3, S5: who speaks of what; and what a good message becomes."""

from types import SimpleNamespace
from typing import Any

import pytest

from tally_stream.domain.election import Skip
from tally_stream.domain.fold import PartitionFold
from tally_stream.domain.report import Control, Report, Turnout
from tally_stream.domain.rules import Finding, message_of
from tally_stream.wire.reading import ReportReader
from tally_stream.wire.run import read_record, read_run
from tests.support.report_messages import (
    ABSENT,
    ELECTION,
    LOG_MS,
    READER,
    Json,
    as_bytes,
    code,
    control,
    counts,
    decision,
    election,
    literal,
    read,
    turnout,
)
from tests.support.second_model import BALLOTS

A_1 = ELECTION.stations["A-1"]
NO_PHASES: tuple[Any, ...] = ("", "Test", "rehearsal", 1, [], False)
NOT_COUNTS = ["-1", "1000000000", "1.0", "1e3", "1E0", "-0.0", "0.5", '"1"', "true", "[]", "[1.5]", "{}", "1" * 19, "1" * 5000,
              str(2**63), str(2**64), "1E400", "-1e-400"]  # fmt: skip


class TestCounts:
    @pytest.mark.parametrize("text", ["0", "-0", "999999999"])
    def test_0_to_999_999_999_and_minus_0_is_0(self, text: str) -> None:
        found = read(literal("registered", text))
        assert isinstance(found, Report)
        assert found.registered == abs(int(text))

    @pytest.mark.parametrize("text", NOT_COUNTS)
    def test_s4_anything_else(self, text: str) -> None:
        assert code(literal("registered", text)) == "S4"
        assert code(literal("replaces", text, decision())) == "S4"
        assert code(literal("voted", text, turnout())) == "S4"
        for old in (b'"cast":100', b'"valid":96', b'"blank":2', b'"invalid":2', b'"ANNA":50'):
            value = as_bytes(counts())
            assert code(value.replace(old, old.split(b":")[0] + b":" + text.encode())) == "S4", old

    @pytest.mark.parametrize(
        ("text", "is_good"), [("0", False), ("-0", False), ("1", True), ("999999999", True), ("1000000000", False)]
    )
    def test_a_revision_is_1_to_999_999_999(self, text: str, is_good: bool) -> None:
        for message in (counts(), decision(), turnout(), control()):
            found = code(literal("revision", text, message), key=(message.get("station") or "PRES").encode())
            assert found == (None if is_good else "S4")

    @pytest.mark.parametrize("text", NOT_COUNTS)
    def test_a_revision_of_any_other_kind(self, text: str) -> None:
        assert code(literal("revision", text)) == "S4"

    @pytest.mark.parametrize("digits", [18, 19])
    def test_a_long_number_is_a_value_out_of_range_wherever_it_stands(self, digits: int) -> None:
        assert code(literal("revision", "9" * digits)) == "S4"
        assert code(literal("schema", "9" * digits)) == "S1"

    def test_the_sentence_shows_a_number_that_is_none_the_same_way_every_time(self) -> None:
        for text in ("[1.5]", '{"a": 1e3}', "2.50"):
            found = read(literal("revision", text))
            assert isinstance(found, Finding)
            assert found == READER.exact.read(literal("revision", text), b"A-1")
            assert "0x" not in str(found.left)
            assert text.strip("[{}]").split(" ")[-1] in str(found.left)


class TestTexts:
    @pytest.mark.parametrize("name", ["reason", "authority"])
    @pytest.mark.parametrize("text", ["", "x" * 200, "Óscar", "क\\u200dष", "😀" * 200])
    def test_good(self, name: str, text: str) -> None:
        assert code(literal(name, f'"{text}"')) is None

    @pytest.mark.parametrize("name", ["reason", "authority"])
    @pytest.mark.parametrize(
        "text",
        [
            '"' + "x" * 201 + '"',
            '"a\\u0000"',
            '"a\\nb"',
            '"\u007f"',
            '"\u2028"',
            '"\u202e"',
            '"e\u0301"',
            "1",
            "[]",
            "{}",
            "true",
        ],
    )
    def test_s4_what_breaks_the_text_rule(self, name: str, text: str) -> None:
        assert code(literal(name, text)) == "S4"
        assert code(literal(name, text, decision())) == "S4"
        assert code(literal(name, text, control()), key=b"PRES") == "S4"


class TestTimes:
    @pytest.mark.parametrize("text", ["2024-02-07T20:00:00+04:00", "2024-02-07T16:00:00Z", "2024-02-07T16:00:00.1234567Z"])
    def test_good(self, text: str) -> None:
        assert code(counts(counted_at=text)) is None
        assert code(turnout(as_of=text)) is None
        assert code(decision(counted_at=text)) is None

    @pytest.mark.parametrize(
        "value",
        ["", "2024-02-07", "2024-02-07T20:00:00", "2024-02-07t20:00:00Z", "2024-02-07T20:00:60Z", "2024-13-07T20:00:00Z",
         "2024-02-07T2x:00:00+04:00", "2024-02-07T20:00:6x+04:00", "x" * 25, 1707321600, [], True],
    )  # fmt: skip
    def test_s4_anything_else(self, value: Any) -> None:
        assert code(counts(counted_at=value)) == "S4"
        assert code(turnout(as_of=value)) == "S4"
        assert code(decision(counted_at=value)) == "S4"

    def test_milliseconds_of_every_spelling(self) -> None:
        for text, expected in (
            ("2024-02-07T16:00:07Z", 7_000),
            ("2024-02-07T20:00:07+04:00", 7_000),
            ("2024-02-07T16:00:07.1239Z", 7_123),
            ("2024-02-07T16:00:07.5000Z", 7_500),
        ):
            found = read(counts(counted_at=text))
            assert isinstance(found, Report)
            assert (found.counted_at, found.counted_at_ms) == (text, LOG_MS + expected)

    def test_times_of_thousands_of_decimals_are_read_and_not_kept_in_memory(self) -> None:
        kept = len(READER.exact.times)
        for decimals in range(60_000, 60_003):
            text = "2024-02-07T16:00:07.1239".ljust(decimals, "9") + "Z"
            found = read(counts(counted_at=text))
            assert isinstance(found, Report)
            assert (found.counted_at, found.counted_at_ms) == (text, LOG_MS + 7_123)
        assert len(READER.exact.times) == kept


class TestIds:
    @pytest.mark.parametrize("name", ["election", "contest", "station"])
    @pytest.mark.parametrize("value", ["", "a-1", "A" * 65, "A 1", "A\n", "A/1", 1, [], {}, True, "Ａ"])
    def test_s4_what_is_no_id(self, name: str, value: Any) -> None:
        assert code(counts(**{name: value}), key=b"A-1") == "S4"

    @pytest.mark.parametrize("candidate", ["", "anna", "A A", "A" * 65, "Ä"])
    def test_s4_a_candidate_that_is_no_id_before_s2_and_s3(self, candidate: str) -> None:
        assert code(counts(votes={candidate: 1})) == "S4"
        assert code(counts(votes={"ZOE": 1, candidate: None})) == "S4"

    @pytest.mark.parametrize("name", ["election", "contest", "station"])
    def test_s2_an_unknown_one(self, name: str) -> None:
        assert code(counts(**{name: "A" * 64}), key=b"A-1") == "S2"

    def test_s2_a_candidate_that_no_contest_has_before_s3(self) -> None:
        assert code(counts(votes={"ANNA": 1, "ZOE": 1})) == "S2"
        assert code(counts(votes={"ANNA": 50, "BELA": 46, "ZOE": None})) == "S2"

    @pytest.mark.parametrize(
        "votes", [{}, {"ANNA": 96}, {"ANNA": 50, "BELA": None}, {"ANNA": 50, "BELA": 46, "CLEO": 0}, {"ANNA": 50, "CLEO": 46}]
    )
    def test_s3_a_candidate_missing_or_of_another_contest(self, votes: Json) -> None:
        assert code(counts(votes=votes)) == "S3"

    def test_a_contest_of_one_candidate(self) -> None:
        found = read(counts(contest="SEAT", votes={"CLEO": 96}))
        assert isinstance(found, Report)
        assert (found.contest, found.votes) == (1, (96,))
        assert code(counts(contest="SEAT", votes={"ANNA": 96})) == "S3"
        assert code(counts(contest="SEAT", votes={"CLEO": 96, "ANNA": 0})) == "S3"
        assert code(counts(contest="SEAT", votes={})) == "S3"


class TestKeyAndPhase:
    @pytest.mark.parametrize("key", [None, b"A-2", b"A-1 ", b"", b"\xff", b"PRES"])
    def test_s5_the_key_is_the_station(self, key: bytes | None) -> None:
        for message in (counts(), decision(), turnout()):
            found = READER.read(as_bytes(message), key)
            assert isinstance(found, Finding)
            assert found.code == "S5"

    @pytest.mark.parametrize("key", [None, b"A-1", b"SEAT"])
    def test_s5_the_key_is_the_contest_in_control(self, key: bytes | None) -> None:
        assert code(control(), key=key) == "S5"

    @pytest.mark.parametrize("message", [counts(), decision(), turnout(), control()], ids=lambda m: m["kind"])
    @pytest.mark.parametrize(
        ("of", "phase", "expected"),
        [
            ("official", ABSENT, None),
            ("official", None, None),
            ("official", "official", None),
            ("official", "test", "S5"),
            ("test", "test", None),
            ("test", "official", "S5"),
            ("test", ABSENT, "S5"),
            ("test", None, "S5"),
            *((of, phase, "S4") for of in ("official", "test") for phase in NO_PHASES),
        ],
    )
    def test_the_phase_is_the_definitions_official_where_unsaid(
        self, message: Json, of: Any, phase: Any, expected: str | None
    ) -> None:
        given = {k: v for k, v in (message | {"phase": phase}).items() if v is not ABSENT}
        assert code(given, reader=ReportReader(election(of))) == expected


class TestContestsOfOthers:
    """S2: a contest that the station does not have."""

    OF = election(named={"SEAT": ["B-1"]})
    READER = ReportReader(OF)

    @pytest.mark.parametrize("message", [counts(contest="SEAT", votes={"CLEO": 96}), decision(contest="SEAT")])
    def test_is_refused_naming_both_and_at_a_station_that_has_it_is_not(self, message: Json) -> None:
        found = read(message, reader=self.READER)
        assert isinstance(found, Finding)
        assert (found.code, message_of(found)) == ("S2", "contest SEAT is not held at polling station A-1")
        assert code(message | {"station": "B-1"}, reader=self.READER) is None
        assert code(message | {"contest": "PRES", "votes": {"ANNA": 50, "BELA": 46}} if "votes" in message else decision(),
                    reader=self.READER) is None  # fmt: skip

    def test_before_its_candidates_and_its_key_are_looked_at(self) -> None:
        assert code(counts(contest="SEAT", votes={"ANNA": 1}, phase="test"), key=b"B-1", reader=self.READER) == "S2"

    def test_and_turnout_and_control_are_of_no_such_pair(self) -> None:
        assert code(turnout(), reader=self.READER) is None
        assert code(control(contest="SEAT"), key=b"SEAT", reader=self.READER) is None

    def test_in_a_run_it_is_refused_like_any_other_way_and_counted_nowhere(self) -> None:
        fold = PartitionFold(self.OF, 0, 1)
        messages = [
            counts(contest="SEAT", votes={"CLEO": 96}),
            counts(),
            counts(station="B-1", contest="SEAT", votes={"CLEO": 96}),
        ]
        records = [SimpleNamespace(offset=i, timestamp=LOG_MS, key=m["station"].encode(), value=as_bytes(m))
                   for i, m in enumerate(messages)]  # fmt: skip
        ((record, verdict),) = read_run(self.READER, fold, records)
        assert (record.offset, verdict.name, [f.code for f in verdict.findings]) == (0, "rejected", ["S2"])
        assert [sorted(entries) for entries in fold.entries] == [["A-1", "B-1"], ["B-1"]]
        assert fold.verdicts["counted"] == 2


class TestOrder:
    """S1 S4 S2 S3 S5: the first that fires ends it."""

    def test_each_before_the_next(self) -> None:
        all_wrong = counts(extra=1, revision=0, election="OTHER", votes={"CLEO": 1}, phase="test")
        assert code(all_wrong, key=b"B-1") == "S1"
        del all_wrong["extra"]
        assert code(all_wrong, key=b"B-1") == "S4"
        all_wrong["revision"] = 1
        assert code(all_wrong, key=b"B-1") == "S2"
        all_wrong["election"] = "X-2024"
        assert code(all_wrong, key=b"B-1") == "S3"
        all_wrong["votes"] = {"ANNA": 50, "BELA": 46}
        assert code(all_wrong, key=b"B-1") == "S5"
        assert code(all_wrong) == "S5"
        del all_wrong["phase"]
        assert code(all_wrong) is None

    def test_complete_is_true_or_false(self) -> None:
        values: tuple[Any, ...] = (1, 0, "true", [], {})
        for value in values:
            assert code(counts(complete=value)) == "S4"

    @pytest.mark.parametrize("name", ["election", "station", "revision", "counted_at", "complete", "registered", "reason"])
    def test_an_object_or_array_where_a_single_value_belongs(self, name: str) -> None:
        for value in ({}, [], [1], {"a": None}):
            assert code(counts(**{name: value}), key=b"A-1") == "S4"


class TestStatements:
    def test_a_report_with_everything(self) -> None:
        message = counts(
            kind="recount", revision=7, complete=False, registered=210, replaces=3, reason="asked for", authority="court",
            phase="official",
        )  # fmt: skip
        assert read(message) == Report(
            0, A_1, 7, "recount", False, "2024-02-07T20:00:00+04:00", LOG_MS, 210, 100, 96, 2, 2, (50, 46), 3,
            "asked for", "court",
        )  # fmt: skip

    def test_undervotes_and_overvotes(self) -> None:
        found = read(counts(ballots={"valid": 96, "undervotes": 3, "overvotes": 0}))
        assert isinstance(found, Report)
        assert (found.undervotes, found.overvotes, found.cast) == (3, 0, None)

    def test_unknown_is_never_0(self) -> None:
        found = read(counts(ballots={"valid": 96}))
        assert isinstance(found, Report)
        assert (found.cast, found.valid, found.blank, found.invalid, found.registered) == (None, 96, None, None, None)
        assert (found.undervotes, found.overvotes) == (None, None)

    @pytest.mark.parametrize(("value", "expected"), [(ABSENT, True), (None, True), (True, True), (False, False)])
    def test_complete_is_true_where_unsaid(self, value: Any, expected: bool) -> None:
        found = read(counts(complete=value))
        assert isinstance(found, Report)
        assert found.complete is expected

    def test_null_is_the_same_as_absent_for_every_optional_field(self) -> None:
        nulls = dict.fromkeys(("phase", "complete", "registered", "replaces", "reason", "authority"))
        assert read(counts(**nulls)) == read(counts())
        thin, thinner = {**dict.fromkeys(BALLOTS), "valid": 96}, {"valid": 96}
        assert read(counts(ballots=thin)) == read(counts(ballots=thinner))
        assert read(decision(counted_at=None, **nulls)) == read(decision(replaces=ABSENT, reason=ABSENT, authority=ABSENT))

    def test_votes_in_candidate_order_whatever_order_they_came_in(self) -> None:
        assert read(counts(votes={"BELA": 46, "ANNA": 50})) == read(counts())

    @pytest.mark.parametrize("kind", ["annul", "restore", "withdraw", "accept"])
    def test_a_decision_carries_no_counts(self, kind: str) -> None:
        found = read(decision(kind=kind))
        assert found == Report(
            0, A_1, 2, kind, True, None, None, None, None, 0, None, None, (), 1, "a ruling", "the court"  # type: ignore[arg-type]
        )  # fmt: skip

    def test_turnout_and_control(self) -> None:
        assert read(turnout()) == Turnout(A_1, 1, "2024-02-07T17:00:00+04:00", 80)
        assert read(control(contest="SEAT", kind="certify")) == Control(1, "certify", 1, "a ruling", "the court")


class TestSkips:
    """X1: the record is never judged, nor read."""

    def test_a_skipped_record_is_refused_whatever_it_says(self) -> None:
        of = election(skips=(Skip(0, 1, "crashes the code", "commission"), Skip(1, 0, "elsewhere", "commission")))
        reader, fold = ReportReader(of), PartitionFold(of)
        values = [as_bytes(counts()), as_bytes(counts(revision=2)), as_bytes(counts(revision=3)), b"junk"]
        verdicts = []
        for offset, value in enumerate(values):
            verdict = read_record(reader, fold, offset, LOG_MS, b"A-1", value)
            verdicts.append((verdict.name, [f.code for f in verdict.findings]))
        assert verdicts == [("counted", []), ("rejected", ["X1"]), ("counted", []), ("rejected", ["S1"])]

    def test_it_says_why_and_by_whom(self) -> None:
        of = election(skips=(Skip(0, 0, "crashes the code", "commission"),))
        (finding,) = read_record(ReportReader(of), PartitionFold(of), 0, LOG_MS, None, None).findings
        assert (finding.left, finding.right) == (0, 0)
        assert message_of(finding) == "skipped: crashes the code (commission)"


def test_hostile_material_in_a_sentence_is_short_printable_ascii() -> None:
    for message in (
        counts(**{"\u202egnp" * 100: 1}),
        counts(revision=["\n\x00" * 500]),
        counts(votes={"É" * 70: 1}),
    ):
        found = read(message)
        assert isinstance(found, Finding)
        assert str(found.left).isascii()
        assert str(found.left).isprintable()
        assert len(str(found.left)) <= 80


def test_the_cache_of_times_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tally_stream.wire.exact.TIMES_CACHED_MAX", 3)
    reader = ReportReader(election())
    for second in [*range(10), *range(10)]:
        found = reader.read(as_bytes(counts(counted_at=f"2024-02-07T16:00:0{second}Z")), b"A-1")
        assert isinstance(found, Report)
        assert found.counted_at_ms == LOG_MS + second * 1000
        assert len(reader.exact.times) <= 3
