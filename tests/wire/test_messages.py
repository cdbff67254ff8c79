"""What is published, as bytes: canonical JSON, rejections, and standings read back."""

import base64
import hashlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tally_stream.domain.fold import PartitionFold
from tally_stream.domain.ledger import Verdict
from tally_stream.domain.report import Statement
from tally_stream.domain.standings import MergedFigures
from tally_stream.wire.limits import REJECTION_KEY_MAX_BYTES, REJECTION_VALUE_MAX_BYTES
from tally_stream.wire.messages import (
    canonical_json,
    encode_rejection,
    read_published,
    record_key,
    standings_key,
)
from tally_stream.wire.run import read_record
from tests.support.examples import examples
from tests.support.report_messages import ELECTION, LOG_MS, READER, Json, as_bytes, counts, decision, election

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-(2**53), 2**53), texts),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.text("ABZ019._-az", max_size=4), inner)),
    max_leaves=20,
)


class TestCanonicalJson:
    @examples(100)
    @given(st.dictionaries(st.text("ABZ019._-az", max_size=4), values, max_size=5))
    def test_as_the_standard_library_writes_it_sorted_and_compact(self, message: dict[str, Any]) -> None:
        expected = json.dumps(message, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
        assert canonical_json(message) == expected.encode()

    def test_keys_are_sorted_as_text_and_the_shortest_escapes_are_used(self) -> None:
        assert canonical_json({"10": 1, "9": 2, "2": 3}) == b'{"10":1,"2":3,"9":2}'
        assert (
            canonical_json({"a": '\b\t\n\f\r"\\/\x01\x1fé😀\x7f'})
            == '{"a":"\\b\\t\\n\\f\\r\\"\\\\/\\u0001\\u001fé😀\x7f"}'.encode()
        )

    def test_of_a_standings_message(self) -> None:
        fold = PartitionFold(ELECTION)
        fold.take(0, LOG_MS, b"A-1", statement(counts()))
        standings = MergedFigures(ELECTION, 0, "tally.reports", 12)
        standings.put(fold.figures(0))
        for message in standings.messages():
            value = canonical_json(message)
            assert value == json.dumps(message, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()
            published = read_published(value)
            assert (published.contest, published.area, published.version) == ("PRES", message["area"], 1)
            assert published.definition == ELECTION.digest
            assert published.next_offsets == {str(p): int(p == 0) for p in range(12)}


def statement(message: Json) -> Statement:
    found = READER.read(as_bytes(message), str(message.get("station") or message["contest"]).encode())
    assert isinstance(found, Statement)
    return found


def test_keys() -> None:
    assert standings_key("PRES", "X/North") == b"PRES|X/North"
    assert record_key(3, 1234567) == b"3/1234567"


class TestRejection:
    def taken(self, key: bytes | None, value: bytes | None, *before: bytes) -> Json:
        fold = PartitionFold(ELECTION, 0)
        for offset, earlier in enumerate(before):
            read_record(READER, fold, offset, LOG_MS, b"A-1", earlier)
        offset = len(before)
        verdict = read_record(READER, fold, offset, LOG_MS + 7, key, value)
        assert verdict.is_refusal
        encoded = encode_rejection(ELECTION, "tally.reports", 0, offset, LOG_MS + 7, key, value, verdict)
        assert encoded == canonical_json(json.loads(encoded))
        found: Json = json.loads(encoded)
        return found

    def test_of_junk_has_the_raw_bytes_with_code_and_position(self) -> None:
        found = self.taken(b"A-1", b"\xffjunk")
        assert found == {
            "schema": 1,
            "verdict": "rejected",
            "codes": ["S1"],
            "details": [{"code": "S1", "message": "not UTF-8 at byte 0", "left": 0, "right": None}],
            "source": {"topic": "tally.reports", "partition": 0, "offset": 0, "timestamp": LOG_MS + 7},
            "definition": ELECTION.digest,
            "key_base64": base64.b64encode(b"A-1").decode(),
            "value_base64": base64.b64encode(b"\xffjunk").decode(),
            "value_bytes": 5,
            "value_sha256": hashlib.sha256(b"\xffjunk").hexdigest(),
        }

    @pytest.mark.parametrize(
        ("value", "verdict", "codes"),
        [
            (counts(revision=0), "rejected", ["S4"]),
            (counts(revision=2000), "rejected", ["Q8"]),
            (counts(revision=1), "stale", ["Q2"]),
            (counts(revision=2, registered=200), "conflicting", ["Q3"]),
            (decision(revision=3, replaces=1), "rejected", ["Q5"]),
            (counts(revision=3, votes={"ANNA": 97, "BELA": 0}, ballots={"valid": 96, "cast": 96}), "held", ["A1", "Q6"]),
        ],
    )
    def test_of_every_verdict(self, value: Json, verdict: str, codes: list[str]) -> None:
        first, second = as_bytes(counts()), as_bytes(counts(revision=2))
        found = self.taken(b"A-1", as_bytes(value), first, second)
        assert (found["verdict"], found["codes"]) == (verdict, codes)
        assert [d["code"] for d in found["details"]] == codes
        assert found["source"]["offset"] == 2
        assert all("{" not in d["message"] for d in found["details"])

    @pytest.mark.parametrize("over", [0, 1])
    def test_key_and_value_are_cut_at_64_kib_length_and_hash_are_whole(self, over: int) -> None:
        key = b"k" * (REJECTION_KEY_MAX_BYTES + over)
        value = b"v" * (REJECTION_VALUE_MAX_BYTES + over)
        found = self.taken(key, value)
        assert base64.b64decode(found["key_base64"]) == key[: 64 * 1024]
        assert base64.b64decode(found["value_base64"]) == value[: 64 * 1024]
        assert found["value_bytes"] == 65_536 + over
        assert found["value_sha256"] == hashlib.sha256(value).hexdigest()

    def test_without_key_and_value_the_fields_are_null(self) -> None:
        found = self.taken(None, None)
        assert [found[n] for n in ("key_base64", "value_base64", "value_bytes", "value_sha256")] == [None] * 4
        assert self.taken(b"", b"")["value_bytes"] == 0

    def test_of_the_same_record_has_the_same_bytes(self) -> None:
        for value in (b'{"schema":1,"kind":[1.5]}', as_bytes(counts()).replace(b'"revision":1', b'"revision":[1.5,{"a":2e2}]')):
            assert self.taken(b"A-1", value) == self.taken(b"A-1", value)


class TestPublishedStandings:
    def good(self, **changes: Any) -> Json:
        base = {"definition": "sha256:0", "contest": "PRES", "area": "X", "version": 3}
        return base | {"provenance": {"topic": "t", "next_offsets": {"0": 1, "1": 2}}} | changes

    def test_what_a_worker_needs_of_one(self) -> None:
        found = read_published(as_bytes(self.good(candidates=[], anything=1)))
        assert (found.version, found.next_offsets) == (3, {"0": 1, "1": 2})

    @pytest.mark.parametrize(
        "value",
        [
            b"",
            b"{}",
            b"\xff",
            b"null",
            b'{"definition":"\xff"}',
            as_bytes({"version": 1}),
        ],
    )
    def test_other_bytes_are_refused(self, value: bytes) -> None:
        with pytest.raises(ValueError, match="not a standings message"):
            read_published(value)

    @pytest.mark.parametrize("provenance", [{}, {"next_offsets": []}, {"next_offsets": None}])
    def test_a_message_without_a_vector_is_refused(self, provenance: Json) -> None:
        with pytest.raises(ValueError, match="not a standings message"):
            read_published(as_bytes(self.good(provenance=provenance)))

    def test_offsets_are_integers(self) -> None:
        with pytest.raises(ValueError, match="next_offsets are not integers"):
            read_published(as_bytes(self.good(provenance={"next_offsets": {"0": "1"}})))


def test_a_verdict_owes_a_rejection_unless_counted_or_repeated() -> None:
    fold = PartitionFold(election())
    owed = []
    for offset, value in enumerate([counts(), counts(), counts(registered=200), counts(revision=9000), decision(kind="x")]):
        verdict: Verdict = read_record(READER, fold, offset, LOG_MS, b"A-1", as_bytes(value))
        owed.append(verdict.is_refusal)
    assert owed == [False, False, True, True, True]
