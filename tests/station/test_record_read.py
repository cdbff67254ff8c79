"""What the record says of a station before it states the next thing: orders and other machines count, what was refused does not."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tally_stream.domain.scalars import murmur2_partition
from tally_stream.kafka.client import StoredRecord
from tally_stream.settings import Settings
from tally_stream.station import record_read
from tally_stream.station.client import StationClient
from tally_stream.station.known import known_of
from tally_stream.station.preparing import Prepared, prepare
from tally_stream.station.record_read import OnRecord
from tally_stream.station.spool import Spool, Spooled
from tests.support.report_messages import ELECTION, LOG_MS, as_bytes, control, counts, decision, election, key_of, turnout
from tests.support.signing import signed, signing_key
from tests.support.topic_of_lists import TopicOfLists, TopicRead

HELD = {"ballots": {"cast": 99, "valid": 96, "blank": 2, "invalid": 2}}
OTHER_VOTES = {"votes": {"ANNA": 51, "BELA": 45}}
ACCEPTED = [counts(**HELD), decision(kind="accept")]
CORRECT = counts(revision=None, kind="correct", reason="misread", authority="it", **OTHER_VOTES)


def on_record(*messages: dict[str, Any], stations: Sequence[str] = ("A-1", "NONE")) -> OnRecord:
    """With other stations' records between."""
    found = OnRecord(ELECTION, 3, stations)
    for offset, message in enumerate(messages):
        key = key_of(message)
        found.take(StoredRecord(murmur2_partition(key, 3), 7 * offset, LOG_MS, key, as_bytes(message)))
        found.take(StoredRecord(murmur2_partition(key, 3), 7 * offset + 1, LOG_MS, b"B-1", as_bytes(counts(station="B-1"))))
    return found


def next_of(*messages: dict[str, Any], states: dict[str, Any], spool: Sequence[Spooled] = ()) -> Prepared:
    return prepare(states, known_of(ELECTION, spool, None, on_record(*messages).stated), LOG_MS)


def test_after_an_order_of_an_authority_the_next_revision_is_above_it() -> None:
    corrected = next_of(*ACCEPTED, states=CORRECT | {"replaces": 2})
    assert (corrected.revision, corrected.checked.verdict) == (3, "counted")
    assert [r.code for r in corrected.checked.remarks] == ["Q6"], "it is known that 2 is in force"
    (doubt, _) = next_of(*ACCEPTED, states=CORRECT | {"replaces": 1}).checked.remarks
    assert "Q5: replaces 1, in force is revision 2 (as far as this place knows" in str(doubt)
    assert next_of(*ACCEPTED, states=counts(revision=None, **OTHER_VOTES)).revision == 3


def test_a_new_machine_goes_on_where_the_other_stopped() -> None:
    before = [counts(), counts(revision=2, **OTHER_VOTES), turnout()]
    assert next_of(*before, states=counts(revision=None)).revision == 3
    assert next_of(*before, states=CORRECT | {"replaces": 2, "votes": {"ANNA": 52, "BELA": 44}}).revision == 3
    assert next_of(*before, states=turnout(revision=None, voted=81)).revision == 2
    again = next_of(*before, states=counts(revision=None, **OTHER_VOTES))
    assert (again.revision, again.checked.verdict) == (2, "repeated")


def test_whoever_states_again_what_was_accepted_states_nothing_new() -> None:
    again = next_of(*ACCEPTED, states=counts(revision=None, **HELD))
    assert (again.revision, again.checked.verdict) == (1, "repeated")
    taken_back = [counts(), decision(kind="withdraw")]
    assert next_of(*taken_back, states=counts(revision=None)).revision == 3, "the station is outstanding"
    annulled = [counts(), decision(), decision(kind="restore", revision=3, replaces=2)]
    assert next_of(*annulled, states=counts(revision=None)).checked.verdict == "repeated"


def test_what_the_count_refuses_does_not_count() -> None:
    wild, no_replaces = counts(revision=5_000), decision(revision=9, replaces=8)
    found = on_record(counts(), wild, no_replaces, counts(revision=7, votes={}), counts(), counts(revision=3, station="B-1"))
    assert [record.offset for record in found.stated] == [0]
    elsewhere = OnRecord(ELECTION, 3, ["A-1"])
    for partition in range(3):
        elsewhere.take(StoredRecord(partition, 0, LOG_MS, b"A-1", as_bytes(counts())))
    assert [record.partition for record in elsewhere.stated] == [murmur2_partition(b"A-1", 3)]
    of = election(signatures="required", keys=[signing_key("K", "A-1")])
    kept = OnRecord(of, 1, ["A-1"], "K")
    for offset, value in enumerate([as_bytes(counts()), signed(counts(revision=2), "K"), signed(counts(revision=3), "X")]):
        kept.take(StoredRecord(0, offset, LOG_MS, b"A-1", value))
    assert [record.offset for record in kept.stated] == [1], "S6"


async def test_a_client_asks_before_each_statement(tmp_path: Path) -> None:
    log = [counts()]

    async def ask(station: str) -> Sequence[StoredRecord]:
        return on_record(*log, stations=[station]).stated

    topic = TopicOfLists()
    async with StationClient(ELECTION, Spool(tmp_path / "spool", "t.reports", ELECTION.id), topic, ask=ask) as client:
        same = await client.submit(counts(revision=None))
        log += [counts(revision=2, **OTHER_VOTES), decision(revision=3, replaces=2)]
        new = await client.submit(
            counts(revision=None, votes={"ANNA": 49, "BELA": 47}), accepts_warnings=True, accepts_errors=True
        )
        await client.flush()
        assert [(s.id, s.revision) for s in client.statements()] == [(same, 1), (new, 4)], "the first has a receipt here too"


def test_what_came_after_the_certificate_is_held_here_as_it_is_at_the_count() -> None:
    late = [control(kind="certify"), counts(), decision(kind="accept")]
    found = OnRecord(ELECTION, 1, ["A-1"])
    for offset, message in enumerate(late):
        found.take(StoredRecord(0, offset, LOG_MS, key_of(message), as_bytes(message)))
    known = known_of(ELECTION, (), None, found.stated)
    assert prepare(CORRECT | {"replaces": 1}, known, LOG_MS).revision == 3


async def test_whoever_asks_again_reads_on_and_not_from_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    async def is_there(*_: object) -> None:
        return None

    topic = TopicRead()
    monkeypatch.setattr(record_read, "TopicReader", topic.reader)
    monkeypatch.setattr(record_read, "try_broker", is_there)
    ask = record_read.asking(Settings(), ELECTION, print)
    topic.put(counts())
    assert len(await ask("A-1")) == 1
    topic.put(decision(kind="annul", replaces=1))
    topic.put(counts(station="B-1"), b"B-1")
    stated = await ask("A-1")
    assert ([record.offset for record in stated], topic.read) == ([0, 1], 3)
    for records in topic.stored.values():
        records.clear()
    topic.put(counts())
    assert len(await ask("A-1")) == 1, "a topic that was made anew"
