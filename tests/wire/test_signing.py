"""S6: who signed what, against the keys of the record's partition and the record's own time."""

from collections.abc import Callable, Iterable
from typing import Any

import pytest

from tally_stream.domain.election import Election
from tally_stream.domain.fold import PartitionFold
from tally_stream.domain.keys import SigningKey
from tally_stream.domain.ledger import Verdict
from tally_stream.domain.rules import message_of
from tally_stream.wire import signing
from tally_stream.wire.envelope import is_right, open_plainly, sealed, signed_bytes, to_base64
from tally_stream.wire.reading import ReportReader
from tally_stream.wire.run import read_record, read_run
from tally_stream.wire.signing import Verified, verify_ahead
from tests.support.report_messages import (
    ABSENT,
    LOG_MS,
    as_bytes,
    control,
    counts,
    decision,
    election,
    key_of,
    turnout,
)
from tests.support.signing import key_statement, private, public, signed, signing_key

STATION_KEY = signing_key("K-A1", "A-1", ("report", "correct", "turnout"))
COURT = signing_key("COURT")
COUNTS_ONLY = signing_key("COUNTS", kinds=("report", "correct", "recount"))
EARLY = signing_key("EARLY", valid_to_ms=LOG_MS - 1)
LATE = signing_key("LATE", valid_from_ms=LOG_MS + 1)
KEYS = (STATION_KEY, COURT, COUNTS_ONLY, EARLY, LATE)
REQUIRED = election(signatures="required", keys=KEYS)
OPTIONAL = election(signatures="optional", keys=KEYS)


class Log:
    """One partition's records, judged one by one."""

    def __init__(self, of: Election = REQUIRED) -> None:
        self.reader = ReportReader(of)
        self.fold = PartitionFold(of)

    def take(self, value: bytes, key: bytes = b"A-1", log_ms: int = LOG_MS) -> Verdict:
        return read_record(self.reader, self.fold, self.fold.next_offset, log_ms, key, value)

    def codes(self, value: bytes, key: bytes = b"A-1", log_ms: int = LOG_MS) -> str:
        verdict = self.take(value, key, log_ms)
        return " ".join([verdict.name, *(f.code for f in verdict.findings)])

    def says(self, value: bytes, key: bytes = b"A-1") -> str:
        return message_of(self.take(value, key).findings[0])


class TestWhoMaySign:
    def test_a_station_s_own_report(self) -> None:
        log = Log()
        assert log.codes(signed(counts(), "K-A1")) == "counted"
        assert log.fold.entry(0, "A-1") is not None

    @pytest.mark.parametrize(
        "message", [counts(), decision(replaces=0, revision=1), turnout(), control()], ids=lambda m: m["kind"]
    )
    def test_an_authority_signs_every_kind(self, message: dict[str, Any]) -> None:
        assert Log().codes(signed(message, "COURT"), key_of(message)) == "counted"

    @pytest.mark.parametrize(
        ("value", "what"),
        [
            (signed(counts(), "K-NONE"), "key K-NONE is unknown"),
            (signed(counts(), "COURT", named="K-A1"), "the signature is not that of key K-A1"),
            (signed(counts(station="B-1"), "K-A1"), "key K-A1 signs for A-1 alone"),
            (signed(counts(kind="recount"), "K-A1"), "key K-A1 may not sign a statement of kind recount"),
            (signed(decision(), "COUNTS"), "key COUNTS may not sign a statement of kind annul"),
            (signed(counts(), "EARLY"), "key EARLY is not in force at 2024-02-07T16:00:00.000Z"),
            (signed(counts(), "LATE"), "key LATE is not in force at 2024-02-07T16:00:00.000Z"),
            (as_bytes(counts()), "not signed, and the definition demands signatures"),
            (as_bytes(turnout()), "not signed, and the definition demands signatures"),
        ],
    )  # fmt: skip
    def test_s6(self, value: bytes, what: str) -> None:
        assert Log().says(value) == what
        assert Log().codes(value) == "rejected S6"

    def test_a_key_of_one_station_signs_nothing_that_has_none(self) -> None:
        log = Log(election(signatures="required", keys=[signing_key("K-A1", "A-1")]))
        assert log.codes(signed(control(), "K-A1"), b"PRES") == "rejected S6"
        revoke = key_statement(action="revoke", key_id="K-A1", holder=ABSENT, station=ABSENT, kinds=ABSENT, public_key=ABSENT)
        assert log.codes(signed(revoke, "K-A1"), b"K-A1") == "rejected S6"
        assert log.codes(signed(key_statement(), "K-A1"), b"NEW") == "counted"
        assert log.codes(signed(key_statement(revision=2, station=""), "K-A1"), b"NEW") == "rejected S6"

    def test_both_ends_of_a_key_s_time_are_in_it(self) -> None:
        log = Log(election(signatures="required", keys=[signing_key("K", valid_from_ms=LOG_MS, valid_to_ms=LOG_MS + 1)]))
        value = signed(counts(), "K")
        found = [log.codes(value, log_ms=ms) for ms in (LOG_MS - 1, LOG_MS, LOG_MS + 1, LOG_MS + 2)]
        assert found == ["rejected S6", "counted", "repeated Q1", "rejected S6"]

    def test_optional_takes_what_is_not_signed_and_refuses_what_is_signed_wrongly(self) -> None:
        log = Log(OPTIONAL)
        assert log.codes(as_bytes(counts())) == "counted"
        assert log.codes(signed(counts(revision=2), "COURT", named="K-A1")) == "rejected S6"
        assert log.codes(signed(counts(revision=2), "K-A1")) == "counted"
        assert log.codes(as_bytes(turnout())) == "counted"
        assert log.codes(as_bytes(control()), b"PRES") == "counted"
        assert log.codes(as_bytes(counts(station="C-9")), b"C-9") == "rejected S2"

    def test_without_security_an_envelope_is_s6_whoever_signed_it(self) -> None:
        log = Log(election(keys=KEYS))
        assert log.codes(signed(counts(), "K-A1")) == "rejected S6"
        assert log.codes(as_bytes(key_statement()), b"NEW") == "rejected S6"
        assert log.codes(as_bytes(counts())) == "counted"


class TestOrder:
    """X1 S1 S6 S4 S2 S3 S5 S7: the signature is verified before a byte of the payload is read."""

    @pytest.mark.parametrize(
        "payload", [b"", b"{", b"\xff", b"[]", b'{"schema":1}', as_bytes(counts(colour=1)), as_bytes(counts(kind="guess"))]
    )
    def test_what_is_no_statement_is_s6_unsigned_and_s1_signed(self, payload: bytes) -> None:
        assert Log().codes(signed(payload, "COURT", named="K-A1")) == "rejected S6"
        assert Log().codes(signed(payload, "COURT")) == "rejected S1"

    def test_an_envelope_in_an_envelope_is_no_statement(self) -> None:
        assert Log().codes(signed(signed(counts(), "COURT"), "COURT")) == "rejected S1"

    @pytest.mark.parametrize(
        ("message", "code"),
        [
            (counts(revision=0), "S4"),
            (counts(station=5), "S4"),
            (counts(station="C-9"), "S2"),
            (counts(contest="NONE"), "S2"),
            (counts(votes={"ANNA": 96}), "S3"),
            (counts(phase="test"), "S5"),
            (turnout(voted=-1), "S4"),
        ],
    )  # fmt: skip
    def test_s6_comes_before_the_rest(self, message: dict[str, Any], code: str) -> None:
        assert Log().codes(signed(message, "COURT")) == f"rejected {code}"
        assert Log().codes(as_bytes(message)) == "rejected S6"
        assert Log().codes(signed(message, "COURT", named="K-A1")) == "rejected S6"

    def test_a_key_of_another_station_is_s6_before_the_station_is_unknown(self) -> None:
        assert Log().codes(signed(counts(station="C-9"), "K-A1"), b"C-9") == "rejected S6"
        assert Log().codes(signed(counts(contest="NONE"), "K-A1")) == "rejected S2"

    def test_an_object_that_is_no_envelope_is_s1(self) -> None:
        value = signed(counts(), "K-A1")
        assert Log().codes(value.replace(b'"key_id"', b'"key"')) == "rejected S1"
        assert Log().codes(value.replace(b'"key_id"', b'"payload"')) == "rejected S1"
        assert Log().codes(value.replace(b'"K-A1"', b"null")) == "rejected S1"

    def test_the_wrong_record_key(self) -> None:
        assert Log().codes(signed(counts(), "K-A1"), b"B-1") == "rejected S5"

    def test_another_way_to_write_the_same_envelope(self) -> None:
        log = Log()
        value = signed(counts(), "K-A1")
        assert log.codes(value.replace(b'"K-A1"', b'"K-\\u00411"')) == "counted"
        assert log.codes(b" " + value.replace(b":", b" : ", 1)) == "repeated Q1"
        forged = signed(counts(revision=2), "COURT", named="K-A1")
        assert log.codes(forged.replace(b'"K-A1"', b'"K-\\u00411"')) == "rejected S6"

    @pytest.mark.parametrize("part", ["payload_type", "signature"])
    def test_what_can_not_be_verified_is_s6(self, part: str) -> None:
        value = signed(counts(), "K-A1").replace(f'"{part}":"'.encode(), f'"{part}":"A'.encode())
        assert Log().codes(value) == "rejected S6"


class TestSameContent:
    def test_the_envelope_does_not_count(self) -> None:
        log = Log(OPTIONAL)
        assert log.codes(signed(counts(), "K-A1")) == "counted"
        assert log.codes(signed(counts(), "COURT")) == "repeated Q1"
        assert log.codes(as_bytes(counts())) == "repeated Q1"
        assert log.codes(signed(counts(votes={"ANNA": 49, "BELA": 47}), "COURT")) == "conflicting Q3"

    def test_every_flipped_bit_is_refused(self) -> None:
        value = signed(counts(), "K-A1")
        log = Log()
        for at in range(0, 8 * len(value), 7):
            flipped = bytearray(value)
            flipped[at // 8] ^= 1 << at % 8
            assert log.codes(bytes(flipped)) in ("rejected S1", "rejected S6"), at
        assert log.codes(value) == "counted"


class TestKeyStatements:
    def test_in_force_from_the_next_record_on(self) -> None:
        log = Log()
        assert log.codes(signed(counts(), "NEW")) == "rejected S6"
        assert log.codes(signed(key_statement(), "COURT"), b"NEW") == "counted"
        assert log.codes(signed(counts(), "NEW")) == "counted"
        assert log.codes(signed(counts(kind="recount", revision=2), "NEW")) == "rejected S6"

    def test_revoked(self) -> None:
        log = Log()
        assert log.codes(signed(counts(), "K-A1")) == "counted"
        revoke = key_statement(action="revoke", key_id="K-A1", holder=ABSENT, station=ABSENT, kinds=ABSENT, public_key=ABSENT)
        assert log.codes(signed(revoke, "COURT"), b"K-A1") == "counted"
        assert log.codes(signed(counts(), "K-A1")) == "rejected S6"
        assert log.says(signed(counts(revision=2), "K-A1")) == "key K-A1 is revoked"
        assert log.codes(signed(revoke, "COURT"), b"K-A1") == "repeated Q1"

    def test_another_public_key_under_the_same_id(self) -> None:
        log = Log()
        renewed = key_statement(key_id="K-A1", public_key=to_base64(public("NEW")))
        assert log.codes(signed(renewed, "COURT"), b"K-A1") == "counted"
        assert log.codes(signed(counts(), "K-A1")) == "rejected S6"
        assert log.codes(signed(counts(), "NEW", named="K-A1")) == "counted"

    @pytest.mark.parametrize("of", [REQUIRED, OPTIONAL], ids=["required", "optional"])
    def test_always_signed_by_a_key_that_may(self, of: Election) -> None:
        assert Log(of).codes(as_bytes(key_statement()), b"NEW") == "rejected S6"
        assert Log(of).codes(signed(key_statement(), "COUNTS"), b"NEW") == "rejected S6"
        assert Log(of).codes(signed(key_statement(), "COURT"), b"NEW") == "counted"

    @pytest.mark.parametrize(
        ("changes", "code"),
        [
            *(({name: absent}, "S1") for name in ("holder", "station", "kinds", "public_key") for absent in (ABSENT, None)),
            *(({name: ABSENT}, "S1") for name in ("action", "key_id", "revision", "reason", "authority", "election")),
            *(({name: ""}, "S1") for name in ("reason", "authority")),
            ({"colour": 1}, "S1"),
            ({"contest": "PRES"}, "S1"),
            ({"action": "revoke"}, "S1"),
            ({"action": "renew"}, "S4"),
            ({"action": ["add"]}, "S4"),
            ({"key_id": "new"}, "S4"),
            ({"holder": 5}, "S4"),
            ({"holder": "a\u0000"}, "S4"),
            ({"station": "a-1"}, "S4"),
            ({"station": 5}, "S4"),
            ({"kinds": ""}, "S4"),
            ({"kinds": "report guess"}, "S4"),
            ({"kinds": ["report"]}, "S4"),
            ({"public_key": "e30="}, "S4"),
            ({"public_key": "?"}, "S4"),
            ({"public_key": 5}, "S4"),
            ({"public_key": to_base64((1).to_bytes(32, "little"))}, "S4"),
            ({"revision": 0}, "S4"),
            ({"station": "C-9"}, "S2"),
            ({"election": "Y-2024"}, "S2"),
            ({"phase": "test"}, "S5"),
        ],
    )  # fmt: skip
    def test_what_is_wrong_with_one(self, changes: dict[str, Any], code: str) -> None:
        message = key_statement(**changes)
        assert Log().codes(signed(message, "COURT"), b"NEW") == f"rejected {code}"

    def test_the_record_key_is_the_key_id(self) -> None:
        assert Log().codes(signed(key_statement(), "COURT"), b"COURT") == "rejected S5"
        assert Log().codes(signed(key_statement(station=""), "COURT"), b"NEW") == "counted"

    def test_it_stands_in_every_partition(self) -> None:
        reader, of = ReportReader(REQUIRED), REQUIRED
        value = signed(key_statement(), "COURT")
        for partition in range(4):
            fold = PartitionFold(of, partition, 4)
            assert read_record(reader, fold, 0, LOG_MS, b"NEW", value).name == "counted"


class Record:
    def __init__(self, offset: int, value: bytes, key: bytes = b"A-1") -> None:
        self.offset, self.timestamp, self.value, self.key = offset, LOG_MS + offset, value, key


def asked(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """The public keys by which signatures are verified from now on."""
    found: list[bytes] = []
    verify: Callable[..., bool] = is_right

    def note(envelope: Any, public_key: bytes) -> bool:
        found.append(public_key)
        return verify(envelope, public_key)

    monkeypatch.setattr(signing, "is_right", note)
    return found


class TestAhead:
    def run(self, values: Iterable[tuple[bytes, bytes]], of: Election = REQUIRED) -> list[list[str]]:
        """Verdicts of records verified ahead, all at once, and not."""
        records = [Record(offset, value, key) for offset, (value, key) in enumerate(values)]
        found = []
        for is_ahead in (True, False):
            fold, reader = PartitionFold(of), ReportReader(of)
            ahead = verify_ahead((r.value for r in records), fold.keys) if is_ahead else {}
            read_run(reader, fold, records, ahead)
            found.append([f"{name} {count}" for name, count in fold.verdict_counts().items()])
        return found

    def test_the_verdicts_are_the_same(self) -> None:
        values = [
            (signed(counts(), "K-A1"), b"A-1"),
            (signed(counts(), "COURT", named="K-A1"), b"A-1"),
            (signed(counts(revision=2), "K-NONE"), b"A-1"),
            (as_bytes(counts(revision=2)), b"A-1"),
            (signed(turnout(), "K-A1"), b"A-1"),
            (signed(counts(revision=3), "K-A1").replace(b'"K-A1"', b'"K-\\u00411"'), b"A-1"),
        ]
        ahead, alone = self.run(values)
        assert ahead == alone
        assert alone[0] == "counted 3"

    def test_a_key_that_changes_on_the_way_is_asked_again(self) -> None:
        renewed = key_statement(key_id="K-A1", public_key=to_base64(public("NEW")))
        values = [
            (signed(renewed, "COURT"), b"K-A1"),
            (signed(counts(), "K-A1"), b"A-1"),
            (signed(counts(), "NEW", named="K-A1"), b"A-1"),
        ]
        ahead, alone = self.run(values)
        assert ahead == alone
        assert alone[0] == "counted 2"

    def test_nothing_is_verified_twice(self, monkeypatch: pytest.MonkeyPatch) -> None:
        found = asked(monkeypatch)
        values = [(signed(counts(), "K-A1"), b"A-1"), (signed(turnout(), "K-A1"), b"A-1")]
        self.run(values)
        assert len(found) == 4, "each once ahead, and each once where nothing is"

    def test_without_ahead_every_record_is_verified_each_time(self, monkeypatch: pytest.MonkeyPatch) -> None:
        found = asked(monkeypatch)
        log = Log()
        value = signed(counts(), "K-A1")
        assert [log.codes(value), log.codes(value)] == ["counted", "repeated Q1"]
        assert len(found) == 2

    def test_what_was_found_for_another_key_says_nothing(self) -> None:
        value = signed(counts(), "K-A1")
        envelope = open_plainly(value)
        assert envelope is not None
        fold = PartitionFold(REQUIRED)
        for wrong in (Verified(envelope, public("COURT"), True), Verified(envelope, public("COURT"), False)):
            verdict = read_record(ReportReader(REQUIRED), fold, fold.next_offset, LOG_MS, b"A-1", value, {value: wrong})
            assert verdict.name in ("counted", "repeated")
        forged = signed(counts(revision=2), "COURT", named="K-A1")
        opened = open_plainly(forged)
        assert opened is not None
        lie = {forged: Verified(opened, public("COURT"), True)}
        assert read_record(ReportReader(REQUIRED), fold, fold.next_offset, LOG_MS, b"A-1", forged, lie).findings[0].code == "S6"

    def test_the_bytes_that_are_signed_hold_their_type_and_length(self) -> None:
        payload = as_bytes(counts())
        assert Log().codes(sealed(payload, "K-A1", private("K-A1").sign(payload))) == "rejected S6"
        assert Log().codes(sealed(payload, "K-A1", private("K-A1").sign(signed_bytes(payload)))) == "counted"


def test_a_key_is_found_by_id_alone() -> None:
    assert isinstance(REQUIRED.keys["COURT"], SigningKey)
    assert list(REQUIRED.keys) == sorted(key.id for key in KEYS)
