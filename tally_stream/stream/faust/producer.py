"""Faust's producer as this worker sends with it, and what goes wrong in its background.

Decides what an acknowledgement is (every replica in sync has the record, none twice) and how long a dead broker may hold up
a commit or a stop. Refuses to know what is sent: `stream/outlet.py` sends it, through `RunApp.kafka_producer`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from faust.transport.drivers import aiokafka as driver

from tally_stream.stream.faust.bounded import ended_within
from tally_stream.stream.faust.settings import CLOSE_SECONDS, FLUSH_SECONDS


class RunProducer(driver.Producer):  # type: ignore[misc]  # faust is not followed by mypy
    """Faust's producer, idempotent, and bounded in time where Faust's waits for a broker without limit."""

    def _settings_extra(self) -> Mapping[str, Any]:
        """Faust turns idempotence on for its exactly-once mode alone; without it a retry may write a record twice."""
        return {"acks": "all", "enable_idempotence": True}

    async def flush(self) -> None:
        """As Faust's, which flushes before each commit, but for FLUSH_SECONDS at most: behind a dead broker it never ends.

        A commit after that is still true. What it commits was acknowledged only when the broker had accepted its outputs.
        """
        await ended_within(FLUSH_SECONDS, super().flush(), "answers to all that was sent")

    async def on_stop(self) -> None:
        """As Faust's, within CLOSE_SECONDS: aiokafka waits for every answer it is owed. Then its connections are cut."""
        producer = self._producer
        if not await ended_within(CLOSE_SECONDS, super().on_stop(), "the producer's farewell"):
            await producer.client.close()

    def trouble(self) -> str | None:
        """Why aiokafka's sending task ended by itself; None while it runs, and once a stop has cancelled it.

        What is sent after that is kept and never answered, and nothing else tells.
        """
        task = self._producer and self._producer._sender.sender_task
        if task is None or not task.done() or task.cancelled():
            return None
        return f"sending ended: {task.exception()!r}"
