"""How often a broker is asked, and how records leave. Without a broker."""
# ruff: noqa: SLF001  (the overrides of the clients' private hooks are what is tested: nothing else calls them)

import asyncio
from typing import Any

import pytest
from faust.transport.drivers import aiokafka as driver

from tally_stream.stream.faust import client as client_module
from tally_stream.stream.faust import producer as producer_module
from tally_stream.stream.faust.client import pace
from tally_stream.stream.faust.consumer import RunConsumer


class Clock:
    """Goes on where somebody sleeps, and nowhere else."""

    def __init__(self) -> None:
        self.now = 128.0

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.now += seconds


class PacedFetcher:
    """As much of aiokafka's as `pace` takes hold of."""

    def __init__(self, clock: Clock) -> None:
        self.asked: list[tuple[int, float]] = []
        self._clock = clock

    async def _proc_fetch_request(self, assignment: object, node_id: int, request: object) -> bool:
        self.asked.append((node_id, self._clock()))
        return True


async def test_a_broker_is_asked_no_more_often_than_agreed_and_each_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    monkeypatch.setattr(client_module, "FETCH_PACE_SECONDS", 0.25)
    monkeypatch.setattr(client_module, "monotonic", clock)
    monkeypatch.setattr(asyncio, "sleep", clock.sleep)
    fetcher = PacedFetcher(clock)
    pace(fetcher)
    for node in (1, 2, 1):
        assert await fetcher._proc_fetch_request(None, node, None)
    assert fetcher.asked == [(1, 128.0), (2, 128.0), (1, 128.25)]
    clock.now += 0.25
    await fetcher._proc_fetch_request(None, 1, None)
    assert fetcher.asked[-1] == (1, 128.5), "a broker that was left alone for so long"


async def test_a_fetch_that_is_called_off_while_it_waits_brings_nothing_and_asks_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(client_module, "FETCH_PACE_SECONDS", 30.0)
    fetcher = PacedFetcher(Clock())
    pace(fetcher)
    await fetcher._proc_fetch_request(None, 1, None)
    waiting = asyncio.create_task(fetcher._proc_fetch_request(None, 1, None))
    await asyncio.sleep(0)
    waiting.cancel()
    assert await waiting is False
    assert len(fetcher.asked) == 1


async def test_a_flush_behind_a_dead_broker_ends_and_one_that_fails_is_told(
    consumer: RunConsumer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Faust flushes before each commit: what can't be sent would hold up every commit of what was."""
    fate: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def flush(self: Any) -> None:
        await fate

    monkeypatch.setattr(driver.Producer, "flush", flush)
    monkeypatch.setattr(producer_module, "FLUSH_SECONDS", 0.01)
    async with asyncio.timeout(5):
        await consumer.app.producer.flush()
    fate = asyncio.get_running_loop().create_future()
    fate.set_exception(OSError("planted"))
    with pytest.raises(OSError, match="planted"):
        await consumer.app.producer.flush()


async def test_the_producer_is_idempotent_and_patient_within_reason(consumer: RunConsumer) -> None:
    producer = consumer.app.producer
    settings = {**producer._settings_default(), **producer._settings_auth(), **producer._settings_extra()}
    assert settings["acks"] == "all"
    assert settings["enable_idempotence"] is True
    assert settings["max_batch_size"] >= 128 * 1024
    assert settings["linger_ms"] <= 10
    assert settings["request_timeout_ms"] == 30_000
    assert settings["compression_type"] == "snappy"
