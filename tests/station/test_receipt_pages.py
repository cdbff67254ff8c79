"""A receipt to keep: what it says as JSON and as a page, for each thing that can become of a statement."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace

import pytest

from tally_stream.station.receipt_pages import SPOKEN, as_json, page, sentence_of
from tally_stream.station.receipt_reader import rejection_of
from tally_stream.station.receipts import StationReceipt, noted, notes
from tally_stream.station.spool import Spooled
from tally_stream.wire.envelope import PAYLOAD_TYPE, to_base64
from tests.support.report_messages import ELECTION, LOG_MS, as_bytes, counts, turnout

VALUE = as_bytes(counts())
SENT = Spooled(
    1, "A-1", "PRES", 1, "report", b"A-1", VALUE, LOG_MS, 1, None, partition=2, offset=17, sent_ms=LOG_MS + 1, receipt=None,
    receipt_state=None,
)  # fmt: skip
KEPT = replace(SENT, partition=None, offset=None, sent_ms=None, last_error="nobody is there")
HELD = StationReceipt("held", ("A2",), ("they add up to 100, cast are 99",), "sha256:0", None, is_of_a_copy=True)


def test_sentences() -> None:
    assert sentence_of(KEPT, StationReceipt("waiting")) == (
        "waiting: no broker has acknowledged it yet; it is kept here and sent again and again (nobody is there)"
    )
    assert sentence_of(SENT, StationReceipt("counted", version=7)) == (
        "counted when it was read: it is in the published figures unless a later revision or an order of an authority has replaced "
        "it since (version 7)"
    )
    assert sentence_of(SENT, HELD) == (
        "held when it was read: it is not counted unless an authority has accepted it since; a correction replaces it (said of "
        "the same statement, sent before); "
        "A2: they add up to 100, cast are 99"
    )
    refused = replace(KEPT, receipt_state="stale")
    newer = StationReceipt("stale", ("Q2",), ("revision 1, the highest is 2",))
    assert sentence_of(refused, newer) == (
        "refused as older: a higher revision of this station was there before, as from a second machine, or as an order of an "
        "authority. If this one is newer, send it with a higher --revision (said by an intake); Q2: revision 1, the highest is 2"
    )
    assert "(said by an intake; of a try before, its answer may be lost); Q2" in sentence_of(replace(refused, tries=2), newer)
    for state in ("waiting", "counted", "held", "rejected", "stale", "conflicting"):
        assert sentence_of(SENT, StationReceipt(state)) == SPOKEN[state]


def test_json() -> None:
    found = as_json(SENT, HELD, ELECTION, "t.reports", LOG_MS + 2)
    assert found["value_sha256"] == hashlib.sha256(VALUE).hexdigest()
    assert json.loads(found["value"]) == counts()
    assert (found["contest"], found["state"], found["codes"], found["partition"], found["offset"]) == (
        "PRES",
        "held",
        ["A2"],
        2,
        17,
    )
    assert (found["kept_at"], found["looked_at"]) == ("2024-02-07T16:00:00.000Z", "2024-02-07T16:00:00.002Z")
    assert as_json(replace(SENT, sequence="turnout"), HELD, ELECTION, "t", 0)["contest"] is None


def test_a_page_has_the_figures_as_they_were_sent() -> None:
    said = page(SENT, StationReceipt("counted", definition="sha256:1", version=7), ELECTION, "t.reports", LOG_MS)
    for line in (
        "Polling station:    A-1, School", "Contest:            PRES, Pres", "Statement:          report, revision 1",
        "  valid:            96", "  Anna:             50", "  Bela:             46",
        "Where it stands:    t.reports, partition 2, offset 17", "Judged by:          sha256:1",
    ):  # fmt: skip
        assert line + "\n" in said
    waiting = page(KEPT, StationReceipt("waiting"), ELECTION, "t.reports", LOG_MS)
    assert "Acknowledged:       not yet\n" in waiting
    assert "Where it stands:    nowhere yet\n" in waiting
    refused = page(replace(KEPT, receipt_state="rejected"), StationReceipt("rejected"), ELECTION, "t.reports", LOG_MS)
    assert "Where it stands:    it was not taken\n" in refused
    voters = replace(SENT, sequence="turnout", value=as_bytes(turnout()), kind="turnout")
    assert "  voted:            80\n" in page(voters, StationReceipt("counted"), ELECTION, "t", 0)
    envelope = {"payload": to_base64(VALUE), "payload_type": PAYLOAD_TYPE, "key_id": "K-1", "signature": to_base64(bytes(64))}
    assert "  Anna:             50\n" in page(replace(SENT, value=json.dumps(envelope).encode()), HELD, ELECTION, "t", 0)
    assert "Statement:" in page(replace(SENT, value=b"sealed"), StationReceipt("counted"), ELECTION, "t", 0)


def test_the_page_of_a_correction_has_what_it_replaces_why_and_who_decided_it() -> None:
    value = as_bytes(counts(revision=3, kind="correct", replaces=2, reason="two figures swapped", authority="district board"))
    corrected = replace(SENT, revision=3, kind="correct", value=value)
    said = page(corrected, StationReceipt("counted"), ELECTION, "t.reports", LOG_MS)
    assert (
        "Statement:          correct, revision 3\nReplaces:           revision 2\nReason:             two figures swapped\n"
        "Authority:          district board\nWhat became of it:  counted"
    ) in said
    assert "Replaces:" not in page(SENT, StationReceipt("counted"), ELECTION, "t.reports", LOG_MS)
    assert "Statement:" in page(replace(SENT, value=b"[]"), StationReceipt("counted"), ELECTION, "t", 0)


def test_a_receipt_is_noted_whole() -> None:
    ((id, state, text),) = notes([(3, HELD)])
    assert (id, state, noted(text), noted(None)) == (3, "held", HELD, StationReceipt("waiting"))


GOOD: dict[str, object] = {
    "definition": "sha256:0", "verdict": "held", "codes": ["A2"], "details": [{"message": "x"}],
    "source": {"partition": 1, "offset": 2}, "key_base64": "QS0x", "value_base64": "e30=",
}  # fmt: skip


def test_a_rejection_of_one_of_our_stations_is_read() -> None:
    read = rejection_of(json.dumps(GOOD).encode(), {b"A-1"})
    assert read is not None
    assert (read.partition, read.offset, read.key, read.value, read.sentences) == (1, 2, b"A-1", b"{}", ("x",))
    assert rejection_of(json.dumps(GOOD).encode(), {b"B-1"}) is None


CHANGES: tuple[dict[str, object], ...] = (
    {"key_base64": "?"}, {"source": 1}, {"source": {"partition": None, "offset": 1}}, {"details": [1]}, {"verdict": "x"},
    {"verdict": []}, {"key_base64": 1}, {"value_base64": "é"},
)  # fmt: skip


@pytest.mark.parametrize(
    "value", [None, b"", b"[]", b"{}", b"\xff", *(json.dumps(GOOD | change).encode() for change in CHANGES)]
)
def test_from_what_is_no_rejection_nothing_follows(value: bytes | None) -> None:
    assert rejection_of(value, {b"A-1"}) is None
