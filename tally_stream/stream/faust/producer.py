"""Faust's producer as we send with it, and what goes wrong in its background."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from faust.transport.drivers import aiokafka as driver

from tally_stream.stream.faust.bounded import within
from tally_stream.stream.faust.settings import CLOSE_SECONDS, FLUSH_SECONDS


class RunProducer(driver.Producer):  # type: ignore[misc]  # faust is not followed by mypy
    """Faust's producer, idempotent, and bounded wherever a dead broker would hold up a stop."""

    def _settings_extra(self) -> Mapping[str, Any]:
        return {"acks": "all", "enable_idempotence": True}

    async def flush(self) -> None:
        """Wait for what was sent, within FLUSH_SECONDS.

        Faust flushes before each commit. An acknowledged run's outputs were accepted before, so a
        commit after a timeout is still true.
        """
        await within(FLUSH_SECONDS, super().flush(), "answers to all that was sent")

    async def on_stop(self) -> None:
        """Close, within CLOSE_SECONDS."""
        producer = self._producer
        if not await within(CLOSE_SECONDS, super().on_stop(), "the producer's farewell"):
            await producer.client.close()


def sender_trouble(app: Any) -> str | None:
    producer = app._producer and app._producer._producer
    task = producer and producer._sender.sender_task
    if task is None or not task.done() or task.cancelled():
        return None
    return f"sending ended: {task.exception()!r}"
