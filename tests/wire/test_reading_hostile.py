"""Hostile bytes: nothing raises, the two readers agree, and every duplicate key is found."""

import json
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tally_stream.domain.fold import PartitionFold
from tally_stream.domain.ledger import Verdict
from tally_stream.domain.report import Report
from tally_stream.domain.rules import VERDICTS, Finding
from tally_stream.wire.messages import encode_rejection
from tally_stream.wire.reading import ReportReader
from tally_stream.wire.run import read_record
from tests.support.examples import examples
from tests.support.report_fields import REPORT_FIELDS
from tests.support.report_messages import (
    ELECTION,
    LOG_MS,
    READER,
    Json,
    as_bytes,
    control,
    counts,
    decision,
    election,
    key_of,
    turnout,
)

REJECTION_MAX_BYTES = 200_000
"""Of 64 KiB each of key and value in base64, and a sentence; every topic takes 1,000,000 (MESSAGE_MIN_BYTES)."""

BASES: list[Json] = [
    counts(),
    counts(kind="correct", replaces=0, reason="r", authority="a", complete=False, registered=200, phase="official"),
    counts(ballots={"valid": 96, "undervotes": 0, "overvotes": 2}, complete=False),
    counts(ballots={"valid": 96}, contest="SEAT", votes={"CLEO": 96}, counted_at="2024-02-07T16:00:00.5Z"),
    decision(),
    turnout(),
    control(),
]
SCOPED = ReportReader(election(named={"SEAT": ["B-1"]}))
READERS = (READER, ReportReader(election("test")), ReportReader(election(contest_count=1)), SCOPED)
VALUES = [
    "9223372036854775808", "-9223372036854775809", "18446744073709551616", "1E400", "-0e-0",
    "null", "true", "false", "0", "-0", '"Z-9"', "1", "1.0", "1e3", "-1", "999999999", "1000000000", "123456789012345678901234567890",
    '""', '"x"', '"A-1"', '"official"', '"test"', '"\\u0041-1"', '"\\ud800"', '"\\ud83d\\ude00"', '"\u202e"', '"e\u0301"',
    '"a\x01b"', "NaN", "Infinity", "[]", "{}", '{"a":1,"a":2}', "[" * 70 + "]" * 70, '"2024-02-07T20:00:60Z"',
    '"2024-02-07T16:00:00.9999999Z"', '"report"', '"\\"', "01", "'x'",
]  # fmt: skip
NAMES = [
    "schema", "election", "contest", "station", "revision", "kind", "phase", "complete", "counted_at", "registered",
    "ballots", "votes", "replaces", "reason", "authority", "voted", "as_of", "payload", "cast", "valid", "blank", "invalid",
    "undervotes", "overvotes",     "ANNA", "BELA", "CLEO", "ZOE", "", "colour",
]  # fmt: skip


def both_read(value: bytes, key: bytes | None) -> None:
    """The property: what is read fast, the exact reader reads as the same statement; neither raises."""
    for reader in READERS:
        exact, found = reader.exact.read(value, key), reader.read(value, key)
        assert found == exact
        assert type(found) is type(exact)
        if isinstance(found, Report) and isinstance(exact, Report):
            assert typed(found) == typed(exact), "equal, and of the same types"


def typed(r: Report) -> list[tuple[type, Any]]:
    return [(type(getattr(r, name)), getattr(r, name)) for name in REPORT_FIELDS]


def text_of(message: Json, raw: dict[str, str], order: random.Random) -> str:
    """The message as JSON text, with raw texts for some values, keys in another order, spaces, escapes, doubles."""
    pairs = list(message.items())
    order.shuffle(pairs)
    parts = []
    for name, value in pairs:
        text = raw.get(name) or (
            text_of(value, raw, order) if isinstance(value, dict) else json.dumps(value, ensure_ascii=order.random() < 0.5)
        )
        spelled = json.dumps(name)
        if order.random() < 0.03:
            spelled = '"' + "".join(f"\\u{ord(c):04x}" for c in name) + '"'
        space = order.choice(["", "", "", " ", "\n", "\t\r\n", "\f", "\u00a0"]) if order.random() < 0.05 else ""
        parts.append(f"{space}{spelled}{space}:{space}{text}")
        if order.random() < 0.03:
            parts.append(f"{json.dumps(name)}:{order.choice([text, 'null'])}")
    return "{" + ",".join(parts) + "}"


@examples(1200)
@given(st.integers(0, 2**32))
def test_a_valid_message_with_a_few_things_wrong(seed: int) -> None:
    order = random.Random(seed)
    message = json.loads(json.dumps(order.choice(BASES)))
    raw: dict[str, str] = {}
    for _ in range(order.choice([0, 1, 1, 2])):
        name = order.choice(NAMES)
        where = order.choice([message, *(v for v in message.values() if isinstance(v, dict))])
        if order.random() < 0.25 and name in where:
            del where[name]
        elif order.random() < 0.7 or name in where:
            where.setdefault(name, 0)
            raw[name] = order.choice(VALUES)
    value = text_of(message, raw, order).encode("utf-8", "surrogatepass")
    value += order.choice([b"", b"", b"", b" ", b"}", b"\x00", b"{}", b","]) if order.random() < 0.1 else b""
    both_read(value, order.choice([b"A-1"] * 8 + [b"PRES", b"SEAT", None, b"\xff"]))


@examples(300)
@given(st.binary(max_size=200), st.one_of(st.none(), st.binary(max_size=8)))
def test_random_bytes(value: bytes, key: bytes | None) -> None:
    both_read(value, key)


json_values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5), st.sampled_from(NAMES)),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.sampled_from(NAMES) | st.text(max_size=3), inner)),
    max_leaves=8,
)


@examples(120)
@given(json_values)
def test_random_json(value: Any) -> None:
    both_read(json.dumps(value).encode(), b"A-1")


def judged(value: bytes | None, key: bytes | None, reader: ReportReader = READER) -> Verdict:
    """What a worker makes of one record at offset 0: never an exception, and a rejection that fits its topic."""
    verdict = read_record(reader, PartitionFold(reader.election), 0, LOG_MS, key, value)
    assert verdict.name in VERDICTS
    if verdict.is_refusal:
        rejection = encode_rejection(reader.election, "t.reports", 0, 0, LOG_MS, key, value, verdict)
        assert len(rejection) < REJECTION_MAX_BYTES
        assert json.loads(rejection)["codes"] == [f.code for f in verdict.findings]
    return verdict


@pytest.mark.parametrize("message", BASES, ids=lambda m: m["kind"])
def test_every_truncation_of_a_valid_message(message: Json) -> None:
    value = as_bytes(message)
    for length in range(len(value)):
        both_read(value[:length], key_of(message))
        (finding,) = judged(value[:length], key_of(message)).findings
        assert finding.code == "S1"


@pytest.mark.parametrize("message", BASES, ids=lambda m: m["kind"])
def test_every_single_bit_flip_of_a_valid_message(message: Json) -> None:
    value = as_bytes(message)
    for index in range(len(value)):
        for bit in range(8):
            flipped = value[:index] + bytes([value[index] ^ 1 << bit]) + value[index + 1 :]
            both_read(flipped, key_of(message))
            judged(flipped, key_of(message))


def test_every_single_bit_flip_of_a_key() -> None:
    for message in BASES:
        key, value = key_of(message), as_bytes(message)
        for at in range(8 * len(key)):
            flipped = bytes(byte ^ (1 << at % 8 if index == at // 8 else 0) for index, byte in enumerate(key))
            both_read(value, flipped)
            (finding,) = judged(value, flipped).findings
            assert finding.code == "S5"


HOSTILE_IDS = [
    "", "A\x00", "\x00", "A\nB-1", "../../etc/passwd", "A/..", "A\u202e1-A", "A-\u200b1", "\ufeffA-1", "A-1\u200d",
    'A-1"} 1\ntally_ready{x="', "A-1,partition=0", "A=1", "A|B", "{{.}}", "%s%n", "${A}", "<b>", "A" * 65, "A" * 65_000,
    "\u0661", "a-1", "А-1", "'; DROP TABLE", "NaN", "-1", "A\u2028", "\u0301A",
]  # fmt: skip


@pytest.mark.parametrize("text", HOSTILE_IDS, ids=lambda t: ascii(t)[1:20])
def test_hostile_ids_are_refused_wherever_one_may_stand(text: str) -> None:
    """In any field they are no ids (S4); as a key they are not the station (S5)."""
    for name in ("election", "contest", "station"):
        value = as_bytes(counts(**{name: text}))
        for key in (b"A-1", text.encode()):
            both_read(value, key)
            (finding,) = judged(value, key).findings
            assert finding.code == "S4", name
            assert len(str(finding.left)) <= 80
            assert str(finding.left).isascii()
            assert str(finding.left).isprintable()
    value = as_bytes(counts(votes={text: 96}))
    both_read(value, b"A-1")
    assert judged(value, b"A-1").findings[0].code == "S4"
    (finding,) = judged(as_bytes(counts()), text.encode()).findings
    assert finding.code == "S5"


@pytest.mark.parametrize("size", [65_536, 65_537, 5_000_000])
def test_a_rejection_fits_its_topic_whatever_the_size_of_its_record(size: int) -> None:
    for key, value in ((b"A-1", b"\xff" * size), (b"\xff" * size, b"{"), (b"\x01" * size, b"\x01" * size), (b'"' * size, None)):
        verdict = judged(value, key)
        assert verdict.is_refusal


def test_a_byte_inserted_or_taken_out_anywhere() -> None:
    value = as_bytes(BASES[0])
    for index in range(len(value) + 1):
        both_read(value[:index] + value[index + 1 :], b"A-1")
        for byte in b'"\\{}[],:0 \x00\xff\n':
            both_read(value[:index] + bytes([byte]) + value[index:], b"A-1")


@examples(600)
@given(st.integers(0, 2**32))
def test_duplicate_keys_are_found_as_the_standard_library_finds_them(seed: int) -> None:
    """Whatever else is wrong: a text with a key twice in one object is never a statement, one without may be."""
    order = random.Random(seed)
    value = text_of(order.choice(BASES), {}, order).encode()
    doubles: list[str] = []

    def note(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        names = [name for name, _ in pairs]
        doubles.extend({name for name in names if names.count(name) > 1})
        return dict(pairs)

    try:
        json.loads(value, object_pairs_hook=note)
    except ValueError:
        return
    found = READER.read(value, b"A-1")
    twice = isinstance(found, Finding) and found.message == "the key {left} occurs twice"
    assert twice == bool(doubles)


@examples(300)
@given(st.integers(0, 2**32))
def test_what_is_written_is_read_back(seed: int) -> None:
    order = random.Random(seed)
    votes = {"ANNA": order.randint(0, 999_999_999), "BELA": order.randint(0, 999_999_999)}
    ballots = {"valid": order.randint(0, 999_999_999)} | {
        name: order.randint(0, 999_999_999) for name in ("cast", "blank", "invalid") if order.random() < 0.5
    }
    message = counts(
        revision=order.randint(1, 999_999_999),
        votes=votes,
        ballots=ballots,
        kind=order.choice(["report", "correct", "recount"]),
        complete=order.random() < 0.5,
        reason="".join(order.choices("aÉ क😀/|{}[]:,", k=order.randint(0, 20))),
    )
    found = READER.read(as_bytes(message), b"A-1")
    assert isinstance(found, Report)
    assert (found.revision, found.kind, found.complete) == (message["revision"], message["kind"], message["complete"])
    assert dict(zip(("ANNA", "BELA"), found.votes, strict=True)) == votes
    assert {n: getattr(found, n) for n in ("cast", "valid", "blank", "invalid") if n in ballots} == ballots
    assert found.reason == message["reason"]
    decoded = READER.decode(as_bytes(message))
    assert decoded is not None
    assert READER.accept(decoded, ELECTION.stations["A-1"], as_bytes(message), b"A-1") == found, "the fast way takes it"


class TestOfAnUnknownStation:
    """The refusals that the fast reader gives itself: of an unknown station, and of one without that contest."""

    @pytest.mark.parametrize("reader", READERS, ids=["official", "test", "one contest", "scoped"])
    @pytest.mark.parametrize("name", ["Z-9", "a" * 64, "A-1 ", "", "é", "a" * 65, "A/1"])
    def test_what_it_says_the_exact_one_says(self, reader: ReportReader, name: str) -> None:
        """With one more thing wrong, or none: either it leaves the record alone, or it is the same finding."""
        spoils: list[Json] = [
            {}, {"counted_at": "2024-02-07"}, {"phase": "official"}, {"phase": "test"}, {"reason": "a\u202eb"}, {"authority": "x"},
            {"votes": {"ANNA": 1}}, {"votes": {"ANNA": 1, "ZOE": 1}}, {"registered": None}, {"contest": "NONE"}, {"revision": 0},
        ]  # fmt: skip
        for spoil in spoils:
            value = as_bytes({**counts(station=name), **spoil})
            decoded = reader.decode(value)
            found = None if decoded is None else reader.refuse_unknown(decoded, value)
            if found is not None:
                assert found == reader.exact.read(value, name.encode()), spoil
            assert reader.read(value, name.encode()) == reader.exact.read(value, name.encode())

    def test_of_a_contest_of_others_too(self) -> None:
        """With one more thing wrong, or none."""
        spoils: list[Json] = [
            {}, {"counted_at": "2024-02-07"}, {"phase": "official"}, {"phase": "test"}, {"reason": "a\u202eb"}, {"authority": "x"},
            {"votes": {"ANNA": 1}}, {"votes": {"CLEO": 1, "ZOE": 1}}, {"registered": None}, {"contest": "NONE"}, {"station": "B-1"},
        ]  # fmt: skip
        said = []
        for spoil in spoils:
            message = {**counts(contest="SEAT", votes={"CLEO": 96}), **spoil}
            value, key = as_bytes(message), message["station"].encode()
            decoded = SCOPED.decode(value)
            found = None if decoded is None else SCOPED.refuse_unknown(decoded, value)
            said.append(found is not None)
            if found is not None:
                assert found == SCOPED.exact.read(value, key), spoil
            assert SCOPED.read(value, key) == SCOPED.exact.read(value, key)
        assert said == [True, False, True, False, False, True, False, False, False, False, False]

    def test_it_says_so_at_all(self) -> None:
        value = as_bytes(counts(station="Z-9"))
        decoded = READER.decode(value)
        assert decoded is not None
        assert READER.refuse_unknown(decoded, value) == Finding("S2", "unknown polling station {left}", "Z-9")

    def test_a_station_of_the_definition_is_left_alone(self) -> None:
        value = as_bytes(counts())
        decoded = READER.decode(value)
        assert decoded is not None
        assert READER.refuse_unknown(decoded, value) is None

    def test_a_key_twice_is_left_to_the_exact_one(self) -> None:
        value = as_bytes(counts(station="Z-9")).replace(b'"revision"', b'"schema":1,"revision"')
        decoded = READER.decode(value)
        assert decoded is not None
        assert READER.refuse_unknown(decoded, value) is None
