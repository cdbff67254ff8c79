"""What every client of Kafka here is held to, whatever aiokafka's own do."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from aiokafka.errors import TopicAuthorizationFailedError

from tally_stream.kafka import client
from tally_stream.kafka.client import TopicReader
from tally_stream.settings import Settings


class Swallowing:
    """A client that closes as aiokafka's do: awaiting a task of its own, deaf to what it is told meanwhile."""

    def __init__(self) -> None:
        self.is_closing = asyncio.Event()
        self.is_closed = False

    async def start(self) -> None: ...

    async def flush(self) -> None: ...

    async def stop(self) -> None:
        self.is_closing.set()
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            self.is_closed = True

    close = stop


async def _reader(swallowing: Swallowing) -> None:
    reader = TopicReader(Settings(), "topic")
    own, reader._consumer = reader._consumer, swallowing  # noqa: SLF001  (the client is said to swallow what it is told)
    await own.stop()
    await reader.__aexit__(None, None, None)


async def _sender(swallowing: Swallowing) -> None:
    async with client.sender(Settings()):
        pass


async def _admin(swallowing: Swallowing) -> None:
    async with client.admin_client(Settings()):
        pass


@pytest.mark.parametrize("use", [_reader, _sender, _admin])
async def test_a_cancellation_that_comes_while_a_client_closes_is_heard(use: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    swallowing = Swallowing()
    monkeypatch.setattr(client, "AIOKafkaProducer", lambda **_: swallowing)
    monkeypatch.setattr(client, "AIOKafkaAdminClient", lambda **_: swallowing)

    async def then_more() -> str:
        await use(swallowing)
        return "went on"

    task = asyncio.create_task(then_more())
    await swallowing.is_closing.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert swallowing.is_closed


class Silent(Swallowing):
    """A client whose broker never says goodbye. (TLS waits for that.)"""

    async def stop(self) -> None:
        self.is_closing.set()
        await asyncio.get_running_loop().create_future()

    close = stop


@pytest.mark.parametrize("use", [_reader, _sender, _admin])
async def test_a_broker_that_never_says_goodbye_is_not_waited_for(use: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    silent = Silent()
    monkeypatch.setattr(client, "CLOSE_SECONDS", 0.01)
    monkeypatch.setattr(client, "AIOKafkaProducer", lambda **_: silent)
    monkeypatch.setattr(client, "AIOKafkaAdminClient", lambda **_: silent)
    async with asyncio.timeout(10):
        await use(silent)
    assert silent.is_closing.is_set()


class Metadata:
    """A consumer and its client: what each metadata update answers (None: nothing), one after the other, then the last."""

    def __init__(self, *answers: set[int] | None) -> None:
        self._client = self.cluster = self
        self.unauthorized_topics: set[str] = set()
        self.answers = list(answers)
        self.known: set[int] | None = None

    def partitions_for_topic(self, topic: str) -> set[int] | None:
        return self.known

    async def add_topic(self, topic: str) -> bool:
        return await self.force_metadata_update()

    async def force_metadata_update(self) -> bool:
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        self.known = answer or None
        return answer is not None


class TestPartitionCount:
    """A broker that has just thawed answers with no brokers at all, which is no answer."""

    async def test_no_answer_is_asked_again(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(client, "METADATA_LOOK_SECONDS", 0.001)
        assert await client.partition_count(Metadata(None, None, None, {0, 1}), "t") == 2

    async def test_a_topic_that_is_not_there_is_said_at_the_first_answer(self) -> None:
        with pytest.raises(client.KafkaError, match="there is no topic t"):
            await client.partition_count(Metadata(None, set(), {0}), "t")

    async def test_a_topic_that_we_may_not_see_is_no_topic_that_is_not_there(self) -> None:
        metadata = Metadata(set())
        metadata.unauthorized_topics = {"t"}
        with pytest.raises(TopicAuthorizationFailedError):
            await client.partition_count(metadata, "t")

    async def test_no_answer_for_long_is_not_taken_for_one(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(client, "METADATA_SECONDS", 0.05)
        monkeypatch.setattr(client, "METADATA_LOOK_SECONDS", 0.001)
        with pytest.raises(client.KafkaError, match="no broker has told of the topic t"):
            await client.partition_count(Metadata(None), "t")
