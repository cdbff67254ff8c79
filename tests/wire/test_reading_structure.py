"""S1: what is no message at all, whatever it says."""

import json
import time
from typing import Any

import pytest

from tally_stream.domain.report import Report
from tally_stream.domain.rules import Finding
from tally_stream.wire.limits import NESTING_MAX_LEVELS, VALUE_MAX_BYTES
from tests.support.report_messages import (
    ABSENT,
    READER,
    Json,
    as_bytes,
    code,
    control,
    counts,
    decision,
    key_of,
    literal,
    read,
    turnout,
)

EVERY_KIND = [counts(), decision(), turnout(), control()]
kinds = pytest.mark.parametrize("message", EVERY_KIND, ids=lambda m: m["kind"])


@kinds
def test_a_good_message_of_every_shape_is_read(message: Json) -> None:
    assert code(message) is None


class TestBytes:
    @pytest.mark.parametrize(
        "value",
        [
            b"",
            b" ",
            b"{",
            b"null",
            b"[]",
            b"1",
            b'"x"',
            b"\xef\xbb\xbf" + as_bytes(counts()),
            b"\xff\xfe",
            as_bytes(counts()) + b"}",
            as_bytes(counts()) + b"\x00",
            as_bytes(counts()) * 2,
            as_bytes(counts()).decode().encode("utf-16"),
            as_bytes(counts()).replace(b"A-1", b"A-\xff"),
            as_bytes(counts()).replace(b"A-1", b"\xed\xa0\x80"),
            as_bytes(counts()).replace(b'"A-1"', b'"A-1\n"'),
            as_bytes(counts()).replace(b'"A-1"', b'"A-1\x00"'),
            as_bytes(counts()).replace(b"}}", b"},}"),
            as_bytes(counts()).replace(b'"A-1"', b"'A-1'"),
            as_bytes(counts()) + b"// note",
        ],
        ids=repr,
    )
    def test_what_is_not_one_json_object_in_utf_8(self, value: bytes) -> None:
        assert code(value) == "S1"

    def test_no_value(self) -> None:
        found = READER.read(None, b"A-1")
        assert isinstance(found, Finding)
        assert found.code == "S1"

    @pytest.mark.parametrize("text", ["NaN", "Infinity", "-Infinity", "01", "+1", "1.", ".5", "0x1", "1_0", "True", "1e"])
    @pytest.mark.parametrize("name", ["revision", "registered", "reason"])
    def test_what_looks_like_a_number_and_is_not_json(self, name: str, text: str) -> None:
        assert code(literal(name, text)) == "S1"

    @kinds
    def test_spaces_between_tokens_and_the_order_of_keys_do_not_matter(self, message: Json) -> None:
        spaced = json.dumps(dict(reversed(message.items())), indent=3).encode()
        assert read(b" \t\r\n" + spaced + b"\n ", key_of(message)) == read(message)

    @kinds
    def test_escapes_do_not_matter(self, message: Json) -> None:
        escaped = as_bytes(message).replace(b"X-2024", b"\\u0058-2024").replace(b'"kind"', b'"\\u006bind"')
        assert read(escaped, key_of(message)) == read(message)


class TestSize:
    def padded(self, size: int) -> bytes:
        value = as_bytes(counts())
        return value + b" " * (size - len(value))

    def test_at_the_limit(self) -> None:
        assert code(self.padded(VALUE_MAX_BYTES)) is None

    def test_one_past_it(self) -> None:
        found = read(self.padded(VALUE_MAX_BYTES + 1))
        assert isinstance(found, Finding)
        assert (found.code, found.left, found.right) == ("S1", 65_537, 65_536)


class TestNesting:
    def nested(self, levels: int) -> bytes:
        """The object itself is one level."""
        return literal("reason", "[" * (levels - 1) + "]" * (levels - 1))

    def test_at_the_limit_it_is_judged_by_what_it_is(self) -> None:
        assert NESTING_MAX_LEVELS == 64
        assert code(self.nested(16)) == "S4"
        assert code(self.nested(NESTING_MAX_LEVELS)) == "S4"

    def test_one_past_it(self) -> None:
        found = read(self.nested(NESTING_MAX_LEVELS + 1))
        assert isinstance(found, Finding)
        assert (found.code, found.left, found.right) == ("S1", 65, 64)

    @pytest.mark.parametrize("opened", [b"[", b"{", b'{"a":', b'[{"a":'])
    def test_as_deep_as_a_record_can_be(self, opened: bytes) -> None:
        assert code(opened * (VALUE_MAX_BYTES // len(opened))) == "S1"

    def test_brackets_in_a_text_are_no_nesting(self) -> None:
        assert code(counts(reason="[" * 100 + "{" * 100)) is None
        assert code(counts(reason='\\"' + "[" * 100)) is None

    @pytest.mark.parametrize(
        "value",
        [
            b'"' + b'\\"' * 32_000 + b"\\",
            b"{}" * 70 + b'"' + b'\\"' * 32_000 + b"\\",
            b'"' * VALUE_MAX_BYTES,
            b"\\" * VALUE_MAX_BYTES,
            b'"' + b"\\\\" * 32_000,
            b"[" + b'"\\",' * 16_000,
            b"{" + b'"a":1,' * 10_000 + b"}",
            b"9" * VALUE_MAX_BYTES,
            b"-" + b"9" * 60_000 + b"." + b"9" * 5_000,
        ],
        ids=lambda v: repr(v[:12]),
    )
    def test_no_text_takes_more_than_linear_time(self, value: bytes) -> None:
        started = time.process_time()  # a machine with much else to do takes no more of it
        assert code(value) == "S1"
        assert time.process_time() - started < 1


class TestDuplicateKeys:
    @pytest.mark.parametrize(
        ("old", "new"),
        [
            (b'"revision":1', b'"revision":1,"revision":1'),
            (b'"revision":1', b'"revision":1,"\\u0072evision":1'),
            (b'"revision":1', b'"revision":1,"reason":null,"reason":null'),
            (b'"cast":100', b'"cast":100,"cast":100'),
            (b'"cast":100', b'"cast":100,"ca\\u0073t":100'),
            (b'"ANNA":50', b'"ANNA":50,"ANNA":50'),
            (b'"ANNA":50', b'"ANNA":50,"\\u0041NNA":50'),
            (b'"revision":1', b'"revision":1,"reason":{"a":1,"a":1}'),
            (b'"revision":1', b'"revision":1,"reason":[{"a":{"b":1,"\\u0062":1}}]'),
        ],
    )
    def test_at_every_depth_and_however_spelled(self, old: bytes, new: bytes) -> None:
        value = as_bytes(counts())
        assert old in value
        found = read(value.replace(old, new))
        assert isinstance(found, Finding)
        assert found.code == "S1"
        assert found.message == "the key {left} occurs twice"


class TestUnicode:
    @pytest.mark.parametrize("text", ['"\\ud800"', '"\\udc00x"', '"\\ud800\\u0041"', '["\\ud800"]', '{"\\udfff":1}'])
    @pytest.mark.parametrize("name", ["reason", "station", "votes"])
    def test_a_lone_surrogate_anywhere(self, name: str, text: str) -> None:
        assert code(literal(name, text)) == "S1"

    def test_a_surrogate_pair_is_a_character(self) -> None:
        found = read(literal("reason", '"\\ud83d\\ude00"'))
        assert isinstance(found, Report)
        assert found.reason == "😀"

    def test_a_refused_escape_of_ascii_is_no_surrogate(self) -> None:
        assert code(literal("reason", '["\\u0041", {"\\u0042": "\\u00e9"}]')) == "S4"


class TestFields:
    @kinds
    def test_each_required_one_missing_or_null(self, message: Json) -> None:
        optional_here = {"replaces", "reason", "authority"} if message["kind"] == "annul" else set()
        for name in set(message) - optional_here:
            assert code(message | {name: None}, key=b"A-1") == "S1", name
            assert code({k: v for k, v in message.items() if k != name}, key=b"A-1") == "S1", name

    @kinds
    @pytest.mark.parametrize("value", [1, None, {}, "x"])
    def test_an_unknown_one_even_when_null(self, message: Json, value: Any) -> None:
        for name in ("colour", "", "Schema", "schema ", "voted" if message["kind"] != "turnout" else "votes"):
            assert code(message | {name: value}) == "S1", name

    @pytest.mark.parametrize("name", ["ballots", "votes"])
    def test_counts_in_a_decision(self, name: str) -> None:
        assert code(decision(**{name: counts()[name]})) == "S1"

    @pytest.mark.parametrize("name", ["ballots", "votes"])
    @pytest.mark.parametrize("value", [[], "x", 1, True, None, ABSENT])
    def test_ballots_and_votes_are_objects(self, name: str, value: Any) -> None:
        assert code(counts(**{name: value})) == "S1"

    @pytest.mark.parametrize(
        "ballots",
        [
            {}, {"cast": 100}, {"valid": None}, {"valid": 96, "spoiled": 1}, {"valid": 96, "x": None},
            {"valid": 96, "undervotes": 0}, {"valid": 96, "overvotes": 3}, {"valid": 96, "undervotes": None, "overvotes": 3},
        ],
    )  # fmt: skip
    def test_ballots_have_valid_and_know_six_figures_two_of_them_together(self, ballots: Json) -> None:
        assert code(counts(ballots=ballots)) == "S1"

    @pytest.mark.parametrize("text", ["2", "0", "-1", "1.0", "1e0", '"1"', "true", "[1]", "{}", "null", "1" * 40])
    def test_schema_is_the_integer_1(self, text: str) -> None:
        assert code(literal("schema", text)) == "S1"

    @pytest.mark.parametrize("text", ['"guess"', '"Report"', '""', "1", "null", "[]", '{"a":1}', "true"])
    def test_an_unknown_kind(self, text: str) -> None:
        assert code(literal("kind", text)) == "S1"

    @pytest.mark.parametrize("name", ["reason", "authority"])
    @pytest.mark.parametrize("kind", ["hold", "release", "certify"])
    def test_control_names_a_reason_and_an_authority(self, name: str, kind: str) -> None:
        assert code(control(kind=kind)) is None
        for value in ("", None, ABSENT):
            assert code(control(kind=kind, **{name: value})) == "S1"


class TestEnvelope:
    ENVELOPE = {"payload": "e30=", "payload_type": "application/vnd.tally", "key_id": "K-1", "signature": "c2ln"}  # noqa: RUF012

    def test_s6_a_definition_without_security_opens_no_envelope(self) -> None:
        assert code(self.ENVELOPE) == "S6"
        assert code(self.ENVELOPE | {"payload": 5, "signature": ""}) == "S6"

    @pytest.mark.parametrize("name", list(ENVELOPE))
    def test_s1_an_envelope_with_a_field_missing_or_too_many_is_none(self, name: str) -> None:
        assert code(self.ENVELOPE | {name: None}) == "S1"
        assert code({k: v for k, v in self.ENVELOPE.items() if k != name}) == "S1"
        assert code(self.ENVELOPE | {"schema": 1}) == "S1"
