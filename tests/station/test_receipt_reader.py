"""More rejections than are kept: of what was dropped nothing false is said, and the topic is read again for who asks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from functools import partial
from typing import Any

import pytest

from tally_stream.audit.replay import Replay
from tally_stream.kafka.client import KafkaError, StoredRecord
from tally_stream.settings import Settings
from tally_stream.station import receipt_reader
from tally_stream.station.intake import receipts_read
from tally_stream.station.intake.receipts_read import NotKnownNow, ReceiptsRead
from tally_stream.station.intake.recent import RecentStatement, RecentStatements
from tally_stream.station.receipt_reader import ReceiptReader
from tally_stream.station.receipts import Evidence
from tally_stream.station.spool import Spooled
from tally_stream.wire.messages import canonical_json, encode_rejection, record_key
from tally_stream.wire.report_log import LogRecord
from tests.support.report_messages import ELECTION, LOG_MS, as_bytes, counts
from tests.support.waiting import until

HELD = {"ballots": {"cast": 99, "valid": 96, "blank": 2, "invalid": 2}}
MESSAGES: list[dict[str, Any]] = [
    counts(), counts(revision=2, votes={"ANNA": 1}), counts(station="B-1", **HELD), counts(station="B-1", **HELD),
    counts(revision=1, votes={"ANNA": 40, "BELA": 56}), counts(revision=3), counts(station="B-1", revision=2),
    counts(revision=2, votes={"ANNA": 40, "BELA": 56}),
]  # fmt: skip
DUE = ["counted", "rejected", "held", "held", "conflicting", "counted", "counted", "stale"]


class Topics:
    """Of a count that is through with the messages, in one partition; `opened` counts who read the rejections."""

    def __init__(self) -> None:
        replay, self.opened, self.trouble = Replay(ELECTION, "tally.reports", 1), 0, False
        self.records: dict[str, list[StoredRecord]] = {"tally.standings": [], "tally.rejections": []}
        for offset, message in enumerate(MESSAGES):
            key, value = message["station"].encode(), as_bytes(message)
            verdict = replay.take(LogRecord(LOG_MS, key, value, 0, offset))
            if verdict.is_refusal:
                told = encode_rejection(ELECTION, "tally.reports", 0, offset, LOG_MS, key, value, verdict)
                self._put("rejections", record_key(0, offset), told)
        for contest in range(2):
            for message in replay.messages(contest):
                self._put("standings", b"", canonical_json(message))

    def _put(self, topic: str, key: bytes, value: bytes) -> None:
        at = self.records[f"tally.{topic}"]
        at.append(StoredRecord(0, len(at), LOG_MS, key, value))

    def __call__(self, settings: Settings, topic: str) -> _Reader:
        self.opened += topic == "tally.rejections"
        return _Reader(self, topic)


class _Reader:
    def __init__(self, topics: Topics, topic: str) -> None:
        self._topics, self._topic, self._at = topics, topic, 0

    async def __aenter__(self) -> _Reader:
        return self

    async def __aexit__(self, *_: object) -> None: ...

    async def read_to_end(self) -> AsyncIterator[list[StoredRecord]]:
        await asyncio.sleep(0)
        if self._topics.trouble:
            raise KafkaError("gone")
        records, self._at = self._topics.records[self._topic][self._at :], len(self._topics.records[self._topic])
        yield records


@pytest.fixture
def topics(monkeypatch: pytest.MonkeyPatch) -> Topics:
    """Of rejections one is kept."""
    topics = Topics()
    monkeypatch.setattr(receipt_reader, "TopicReader", topics)
    monkeypatch.setattr(receipt_reader, "Evidence", partial(Evidence, most=1))
    return topics


def taken() -> list[RecentStatement]:
    return [RecentStatement(m["station"], "PRES", m["revision"], "report", as_bytes(m), 0, o) for o, m in enumerate(MESSAGES)]


def spooled() -> list[Spooled]:
    return [
        Spooled(t.offset, t.station, t.sequence, t.revision, t.kind, t.key, t.value, 0, 1, None, 0, t.offset, 0, None, None)
        for t in taken()
    ]


async def test_a_client_s_receipts_are_all_true(topics: Topics) -> None:
    async with ReceiptReader(Settings(), ELECTION) as reader:
        for _ in range(2):
            await reader.turn(spooled())
            found = reader.receipts(spooled())
            assert [found[id].state for id in sorted(found)] == DUE
        assert found[3].is_of_a_copy
        assert topics.opened == 2, "once more, and what was found is kept"


async def following(read: ReceiptsRead) -> asyncio.Task[None]:
    task = asyncio.create_task(read.run())
    await until(lambda: read.trouble is None, "all is read")
    return task


async def test_an_intake_s_receipts_are_all_true_and_read_again_once_for_all_who_ask(topics: Topics) -> None:
    said: list[str] = []
    read = ReceiptsRead(Settings(), ELECTION, RecentStatements(), lambda: ["A-1", "B-1"], said.append)
    assert (await read.receipt(taken()[1])).state == "waiting", "nothing is read yet"
    task = await following(read)
    assert [receipt.state for receipt in await asyncio.gather(*map(read.receipt, taken()))] == DUE
    assert topics.opened == 2
    copy = await read.receipt(taken()[3])
    assert (copy.state, copy.is_of_a_copy) == ("held", True), "by the rejection of another place"
    topics.trouble = True
    for _ in range(2):
        with pytest.raises(NotKnownNow):
            await read.receipt(taken()[1])
    assert (await read.receipt(taken()[7])).state == "stale", "it is the one that is kept"
    assert said == ["a receipt could not be looked up: KafkaError: gone"]
    task.cancel()


async def test_so_many_wait_and_no_more(topics: Topics, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(receipts_read, "ASKED_MAX", 3)
    read = ReceiptsRead(Settings(), ELECTION, RecentStatements(), lambda: ["A-1", "B-1"], print)
    task = await following(read)
    found = await asyncio.gather(*map(read.receipt, [taken()[1]] * 5), return_exceptions=True)
    assert sum(isinstance(one, NotKnownNow) for one in found) == 2
    task.cancel()


async def test_a_station_whose_rejections_were_not_looked_at_waits(topics: Topics) -> None:
    """Its token was added a moment ago: both topics are read again from their start, for it too."""
    read = ReceiptsRead(Settings(), ELECTION, RecentStatements(), lambda: ["A-1"], print)
    task = await following(read)
    assert (await read.receipt(taken()[2])).state == "waiting"
    task.cancel()
