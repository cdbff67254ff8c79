"""What every client of Kafka here is held to, whatever aiokafka's own do."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tally_stream.kafka import client
from tally_stream.kafka.client import TopicReader
from tally_stream.settings import Settings


class Swallowing:
    """A client that closes as aiokafka's do: awaiting a task of its own, deaf to what it is told meanwhile."""

    def __init__(self) -> None:
        self.is_closing = asyncio.Event()
        self.is_closed = False

    async def start(self) -> None: ...

    async def stop(self) -> None:
        self.is_closing.set()
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            self.is_closed = True

    close = stop


async def _reader(swallowing: Swallowing) -> None:
    reader = TopicReader(Settings(), "topic")
    own, reader._consumer = reader._consumer, swallowing
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
