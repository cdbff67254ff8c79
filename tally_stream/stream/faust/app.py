"""The Faust app of a worker: how it starts, what its agents are, and how it stops in bounded time.

Decides that whatever ends by itself (an agent, the start, the app) ends the worker, and how long a stop may take. Refuses to
know what the agents do: `stream/topology.py` declares them. Read next: `transport.py`.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import threading
from collections.abc import Awaitable, Callable
from typing import Any

import aiokafka
import faust
from faust.exceptions import ConsumerNotStarted

from tally_stream.stream.faust.settings import STOP_SECONDS

# It warns of each timer that is late. In an outage all are, and the watches of this product say what an operator can use.
logging.getLogger("mode.timers").setLevel(logging.ERROR)


class RunSchema(faust.Schema):  # type: ignore[misc]  # faust is not followed by mypy
    """Hands a run through undecoded: bytes are the caller's business, and a refusal is not an error."""

    def loads_key(self, app: Any, message: Any, **_: Any) -> None:
        """A run has no key of its own."""

    def loads_value(self, app: Any, message: Any, **_: Any) -> Any:
        """The run, as it is."""
        return message.value


def run_topic(app: Any, name: str) -> Any:
    """The channel for an agent that takes runs of this topic; the topic itself is never created here."""
    return app.topic(name, schema=RunSchema())


Body = Callable[[Any], Awaitable[None]]


def guarded(body: Body) -> Body:
    """The same agent's body, but its end is fatal unless the app stops.

    Faust would log an error, acknowledge the event that it came from, and start the agent again behind it. The body iterates
    `stream.noack().events()`, which acknowledges nothing by itself, calls `event.ack()`, and does not yield.
    """

    @functools.wraps(body)
    async def guarded_body(stream: Any) -> None:
        transport = stream.app.transport
        try:
            await body(stream)
        except (asyncio.CancelledError, GeneratorExit):
            raise
        except BaseException as error:
            transport.fail(f"agent {body.__name__} failed: {error!r}")
        else:
            if not stream.app.should_stop:
                transport.fail(f"agent {body.__name__} ended by itself")

    return guarded_body


class RunApp(faust.App):  # type: ignore[misc]  # as above
    """A Faust app that runs in our own loop, beside others: no directories, no signal handlers, a bounded stop."""

    async def on_first_start(self) -> None:
        """Nothing. Faust's makes directories, for tables that this worker does without."""

    async def on_stop(self) -> None:
        """Finish and commit the runs in hand, then as Faust's, which ends the agents first."""
        consumer = self._consumer
        if consumer is not None:
            try:
                assigned = consumer.assignment()
            except ConsumerNotStarted:
                assigned = set()
            await consumer.drain(assigned)
        await super().on_stop()

    async def stop(self) -> None:
        """As Faust's, but fatal after STOP_SECONDS. A thread watches that: what hangs may hang the loop, and all its timers."""
        overdue = threading.Timer(STOP_SECONDS, self.transport.fail, [f"did not stop within {STOP_SECONDS:.0f} s"])
        overdue.daemon = True
        overdue.start()
        try:
            await super().stop()
        finally:
            overdue.cancel()

    @property
    def kafka_producer(self) -> aiokafka.AIOKafkaProducer:
        """The started aiokafka producer, for `create_batch`/`send_batch`: Faust's send costs 10x."""
        return self.producer._producer


async def run_worker(app: RunApp, stop: asyncio.Event) -> None:
    """Run the app in this loop until `stop` is set, then stop it. A crash or a failed start is fatal.

    Signals are the caller's: let SIGTERM set the event. Call it once for each app.
    """
    starting = asyncio.create_task(app.start())
    ended = asyncio.create_task(app.wait_until_stopped())
    asked = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({starting, ended, asked}, return_when=asyncio.FIRST_COMPLETED)
        if starting.done() and starting.exception() is not None:
            app.transport.fail(f"could not start: {starting.exception()!r}", starting.exception())
        else:
            await asyncio.wait({ended, asked}, return_when=asyncio.FIRST_COMPLETED)
        if app.crashed:
            app.transport.fail(f"crashed: {app.crash_reason!r}", app.crash_reason)
    finally:
        await app.stop()
        for task in (starting, ended, asked):
            task.cancel()
        await asyncio.gather(starting, ended, asked, return_exceptions=True)
