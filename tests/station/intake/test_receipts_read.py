"""Places that an intake did not take itself: looked up in the reports topic once, however often they are asked for."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tally_stream.kafka.client import KafkaError, StoredRecord
from tally_stream.settings import Settings
from tally_stream.station.intake import receipts_read
from tally_stream.station.intake.receipts_read import NotKnownNow, ReceiptsRead
from tally_stream.station.intake.recent import RecentStatement, RecentStatements
from tests.support.report_messages import ELECTION, as_bytes, counts, turnout


class Topic:
    """A reports topic of one partition; `opened` counts who read it."""

    def __init__(self) -> None:
        self.values = [as_bytes(counts()), as_bytes(turnout()), b"nonsense"]
        self.opened = 0
        self.trouble: Exception | None = None
        self._at = 0

    def __call__(self, settings: Settings, topic: str, *, is_log: bool) -> Topic:
        assert (topic, is_log) == ("tally.reports", True)
        return self

    async def __aenter__(self) -> Topic:
        self.opened += 1
        await asyncio.sleep(0)
        if self.trouble is not None:
            raise self.trouble
        return self

    async def __aexit__(self, *_: object) -> None:
        pass

    async def bounds(self) -> dict[int, tuple[int, int]]:
        return {0: (0, len(self.values))}

    async def seek(self, offsets: dict[int, int]) -> None:
        self._at = offsets[0]

    async def poll(self) -> list[StoredRecord]:
        return [StoredRecord(0, self._at, 0, b"A-1", self.values[self._at])]


@pytest.fixture
def topic(monkeypatch: pytest.MonkeyPatch) -> Topic:
    topic = Topic()
    monkeypatch.setattr(receipts_read, "TopicReader", topic)
    return topic


def made(said: list[str]) -> ReceiptsRead:
    return ReceiptsRead(Settings(), ELECTION, RecentStatements(), lambda: ["A-1"], said.append)


async def test_a_place_is_looked_up_once_for_all_who_ask(topic: Topic) -> None:
    read = made([])
    found = await asyncio.gather(*(read.statement_at(0, 0) for _ in range(50)))
    assert found == [RecentStatement("A-1", "PRES", 1, "report", topic.values[0], 0, 0)] * 50
    assert topic.opened == 1
    assert await read.statement_at(0, 1) == RecentStatement("A-1", "turnout", 1, "turnout", topic.values[1], 0, 1)
    assert await read.statement_at(0, 2) == RecentStatement("A-1", "", 0, "", b"nonsense", 0, 2)
    assert [await read.statement_at(*place) for place in ((0, 3), (1, 0))] == [None, None]
    assert topic.opened == 5


@pytest.mark.parametrize(
    ("trouble", "why"), [(KafkaError("gone"), "KafkaError: gone"), (TimeoutError(), "no answer within 10 s")]
)
async def test_brokers_that_do_not_answer_are_told_of_once(topic: Topic, trouble: Any, why: str) -> None:
    said: list[str] = []
    read = made(said)
    topic.trouble = trouble
    for _ in range(3):
        with pytest.raises(NotKnownNow):
            await read.statement_at(0, 0)
    assert said == [f"a receipt could not be looked up: {why}"]
    topic.trouble = None
    assert await read.statement_at(0, 0) is not None
    topic.trouble = trouble
    with pytest.raises(NotKnownNow):
        await read.statement_at(0, 1)
    assert len(said) == 2, "again, as it was over meanwhile"
