"""Whether a key may sign, asked before sending: the same as the count says where the record was read, no guess where not."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tally_stream.domain.key_ring import KeyRing
from tally_stream.domain.rules import Finding
from tally_stream.kafka.client import StoredRecord
from tally_stream.station.checking import KnownStatements
from tally_stream.station.client import NotSubmitted, StationClient
from tally_stream.station.known_keys import KnownKeys
from tally_stream.station.preparing import prepare
from tally_stream.station.receipts import StationReceipt
from tally_stream.station.record_read import OnRecord
from tally_stream.station.signing_key import SealingKey
from tally_stream.station.spool import Spool, Spooled
from tally_stream.wire.reading import ReportReader
from tally_stream.wire.signed import read_signed
from tally_stream.wire.signing import Signing
from tests.support.report_messages import ELECTION, LOG_MS, as_bytes, counts, election, key_of, turnout
from tests.support.signing import key_statement, private, signed, signing_key
from tests.support.topic_of_lists import TopicOfLists

STATION = ("report", "correct", "turnout")
OF = election(
    signatures="required",
    keys=[
        signing_key("K-A1", "A-1", STATION), signing_key("COUNTS", "A-1", ("report",)), signing_key("COURT"),
        signing_key("EARLY", "A-1", STATION, valid_to_ms=LOG_MS - 1), signing_key("LATE", "A-1", STATION, valid_from_ms=LOG_MS + 1),
        signing_key("GONE", "A-1", STATION),
    ],
)  # fmt: skip
REPORTS = ReportReader(OF)


def ring() -> KeyRing:
    """Of a record on which GONE was revoked and NEW was added."""
    found = OnRecord(OF, 1, [], "K-A1")
    revoked = {"holder": None, "station": None, "kinds": None, "public_key": None, "key_id": "GONE", "action": "revoke"}
    revoked = {name: value for name, value in (key_statement() | revoked).items() if value is not None}
    for offset, message in enumerate([revoked, key_statement()]):
        value = signed(message, "COURT")
        found.take(StoredRecord(0, offset, LOG_MS, str(message["key_id"]).encode(), value))
    assert found.keys is not None, "it was asked about one"
    return found.keys


CASES: list[tuple[str, dict[str, Any], bytes, str | None]] = [
    ("right", counts(), signed(counts(), "K-A1"), None),
    ("an authority's", counts(station="B-1"), signed(counts(station="B-1"), "COURT"), None),
    ("added on the record", counts(), signed(counts(), "NEW"), None),
    ("none", counts(), as_bytes(counts()), "not signed, and the definition demands signatures"),
    ("unknown", counts(), signed(counts(), "STRANGER"), "key STRANGER is unknown (own.key): the authority adds it"),
    ("revoked", counts(), signed(counts(), "GONE"), "key GONE is revoked (own.key): make a new key"),
    ("early", counts(), signed(counts(), "LATE"), "(own.key): it is in force from 2024-02-07T16:00:00.001Z; look at this"),
    ("late", counts(), signed(counts(), "EARLY"), "(own.key): it is in force to 2024-02-07T15:59:59.999Z; look at"),
    ("forged", counts(), signed(counts(), "K-A1", named="COURT"), "is not that of key COURT (own.key): TALLY_SIGNING_KEY names"),
    ("of another station", counts(station="B-1"), signed(counts(station="B-1"), "K-A1"),
     "key K-A1 signs for A-1 alone (own.key): TALLY_SIGNING_KEY names the key of B-1"),
    ("of another kind", turnout(), signed(turnout(), "COUNTS"),
     "key COUNTS may not sign a statement of kind turnout (own.key): it may sign report;"),
    ("no statement", counts(votes={}), signed(counts(votes={}), "K-A1"), None),
]  # fmt: skip


@pytest.mark.parametrize(("message", "value", "said"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_with_the_record_it_says_what_the_count_says(message: dict[str, Any], value: bytes, said: str | None) -> None:
    told: list[str] = []
    checked = KnownStatements(OF, KnownKeys(OF, ring(), "own.key", told.append)).check(value, key_of(message), LOG_MS)
    found = [remark for remark in checked.remarks if remark.code == "S6"]
    read = read_signed(REPORTS, Signing(ring(), LOG_MS), value, key_of(message))
    assert bool(found) is (isinstance(read, Finding) and read.code == "S6")
    assert bool(found) is (said is not None)
    if said is not None:
        assert (checked.verdict, found[0].severity, len(checked.remarks)) == ("rejected", "reject", 1)
        assert said in found[0].sentence
    assert told == []


def test_without_the_record_keys_csv_refuses_and_what_it_does_not_have_is_told_once() -> None:
    told: list[str] = []
    known = KnownStatements(OF, KnownKeys(OF, None, "own.key", told.append))

    def said(value: bytes, station: bytes = b"A-1") -> list[str]:
        return [str(remark) for remark in known.check(value, station, LOG_MS).remarks if remark.code == "S6"]

    (late,) = said(signed(counts(), "EARLY"))
    assert "is not in force at 2024-02-07T16:00:00.000Z (own.key, by keys.csv alone): it is in force to" in late
    (other,) = said(signed(counts(station="B-1"), "K-A1"), b"B-1")
    assert "signs for A-1 alone (own.key, by keys.csv alone)" in other
    assert said(signed(counts(), "GONE")) == said(signed(counts(), "K-A1")) == [], "nobody knows better here"
    assert told == []
    for _ in range(2):
        assert said(signed(counts(), "NEW")) == said(signed(counts(), "K-A1", named="COURT")) == []
    assert told == [
        "S6: whether key NEW (own.key, by keys.csv alone) may sign is not known: keys.csv of X-2024 does not have it; unless it was "
        "added on the record, what it signs is refused at the count",
        "S6: whether key COURT (own.key, by keys.csv alone) may sign is not known: keys.csv of X-2024 has it with another public "
        "key; unless it was added on the record, what it signs is refused at the count",
    ]


def test_what_was_signed_stays_known_when_its_key_is_revoked() -> None:
    known = KnownStatements(OF, KnownKeys(OF, ring()))
    assert known.take(signed(counts(), "GONE"), b"A-1", LOG_MS).verdict == "counted"
    again = prepare(
        counts(revision=None, votes={"ANNA": 49, "BELA": 47}), known, LOG_MS, seal=SealingKey("K-A1", private("K-A1")).seal
    )
    assert (again.revision, again.checked.verdict) == (2, "counted")


def test_a_statement_about_a_key_counts_only_signed() -> None:
    found = OnRecord(OF, 1, [], "NEW")
    for value in (as_bytes(key_statement()), signed(key_statement(), "K-A1"), signed(counts(), "COURT"), b"\xff", None):
        found.take(StoredRecord(0, 0, LOG_MS, b"NEW", value))
    assert found.keys is not None
    assert found.keys.get("NEW") is None


class Refusing:
    """Of each statement it says that it was refused at the count."""

    async def turn(self, stations: Sequence[Spooled]) -> None:
        pass

    def receipts(self, statements: Sequence[Spooled]) -> dict[int, StationReceipt]:
        return {spooled.id: StationReceipt("rejected", ("S3",), ("an unknown candidate",)) for spooled in statements}


async def test_a_client_keeps_nothing_that_its_key_may_not_sign(tmp_path: Path) -> None:
    topic = TopicOfLists()
    spool = Spool(tmp_path / "spool", "t.reports", OF.id)
    key = SealingKey("COUNTS", private("COUNTS"))
    async with StationClient(OF, spool, topic, seal=key.seal) as client:
        with pytest.raises(NotSubmitted, match=r"S6: key COUNTS signs for A-1 alone \(by keys.csv alone\)"):
            await client.submit(counts(station="B-1"))
        assert client.statements() == []
        await client.submit(counts())
        await client.flush()
        await client.receipts(Refusing())
        with pytest.raises(NotSubmitted, match="S6: key COUNTS may not sign"):
            await client.submit(turnout())
    assert len(topic.values) == 1
    async with StationClient(ELECTION, Spool(tmp_path / "plain", "t.reports", OF.id), topic, seal=key.seal) as client:
        with pytest.raises(NotSubmitted, match="S6: a signed envelope, and the definition demands no signatures"):
            await client.submit(counts())
