"""Everything that is not the product's own in a simulated worker, in one list.

Sockets: aiokafka's connections (`create_conn`) lead to the cluster in memory, the metrics port is not opened. Thread: the
timer that watches a stop is the loop's. Process: ending it is
`Process.exit`, the garbage collector is left alone. All else in a worker is what runs in production; `PRODUCTION` names
what the tests look at to hold that.
"""
# ruff: noqa: SLF001  (the private names that are replaced, or looked at, in a simulated worker)

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import aiokafka.client
from aiokafka.consumer.consumer import AIOKafkaConsumer
from aiokafka.consumer.fetcher import Fetcher
from aiokafka.consumer.group_coordinator import GroupCoordinator
from aiokafka.producer.producer import AIOKafkaProducer
from aiokafka.producer.sender import Sender
from faust.transport.consumer import Consumer

from tally_stream.stream import worker as worker_module
from tally_stream.stream.counting import Counting
from tally_stream.stream.faust import app as faust_app
from tally_stream.stream.faust.app import RunApp
from tally_stream.stream.faust.client import RunClient
from tally_stream.stream.faust.consumer import RunConsumer
from tally_stream.stream.faust.producer import RunProducer
from tally_stream.stream.faust.transport import RunTransport
from tally_stream.stream.merging import Merging
from tally_stream.stream.worker import Worker
from tests.simulation.cluster import Cluster

PRODUCTION = {
    "worker": Worker,
    "app": RunApp,
    "transport": RunTransport,
    "consumer": RunConsumer,
    "producer": RunProducer,
    "stage 1": Counting,
    "stage 2": Merging,
    "client": RunClient,
    "consumer of aiokafka": AIOKafkaConsumer,
    "fetcher": Fetcher,
    "group member": GroupCoordinator,
    "producer of aiokafka": AIOKafkaProducer,
    "sender": Sender,
}

METHODS = {
    "getmany": RunConsumer.getmany,
    "perform_seek": RunConsumer.perform_seek,
    "_new_offset": RunConsumer._new_offset,
    "_commit_offsets": RunConsumer._commit_offsets,
    "on_partitions_revoked": RunConsumer.on_partitions_revoked,
    "on_partitions_assigned": RunConsumer.on_partitions_assigned,
    "commit": Consumer.commit,
    "_commit_handler": Consumer._commit_handler,
    "_drain_messages": Consumer._drain_messages,
}
"""Of the consumer, by name: each is looked up on the running one."""


class LoopTimer:
    """In place of `threading.Timer`."""

    daemon = False

    def __init__(self, seconds: float, function: Any, args: Any = ()) -> None:
        self._seconds, self._function, self._args = seconds, function, args
        self._handle: asyncio.TimerHandle | None = None

    def start(self) -> None:
        self._handle = asyncio.get_running_loop().call_later(self._seconds, self._function, *self._args)

    def cancel(self) -> None:
        if self._handle is not None:
            self._handle.cancel()


class NoServer:
    """In place of the metrics and health server."""

    def __init__(self, host: str, port: int, registry: Any, readiness: Any) -> None:
        self.port = port

    async def start(self) -> None: ...

    async def stop(self) -> None: ...


REPLACED = (
    "aiokafka.client.create_conn",
    "tally_stream.stream.faust.app.threading.Timer",
    "tally_stream.stream.worker.HealthServer",
    "tally_stream.stream.worker.gc",
    "on_fatal (Process.exit)",
    "time.monotonic, time.time, time.perf_counter",
    "PAGE_MAX_BYTES and BATCH_BYTES, smaller in some seeds",
)


def replace(cluster: Cluster) -> None:
    aiokafka.client.create_conn = cluster.connect
    # Each is the module's own name for what it imports: nobody else sees the other.
    for module, name, other in (
        (faust_app, "threading", SimpleNamespace(Timer=LoopTimer)),
        (worker_module, "HealthServer", NoServer),
        (worker_module, "gc", SimpleNamespace(collect=lambda: 0, freeze=lambda: None, set_threshold=lambda *_: None)),
    ):
        assert hasattr(module, name), f"{module.__name__} has no {name}"
        setattr(module, name, other)


def parts_of(worker: Worker) -> dict[str, Any]:
    """Of a running worker that owns the standings: each object that `PRODUCTION` names a class for."""
    consumer, producer = worker.app.consumer, worker.app.producer
    client = consumer._thread._consumer
    return {
        "worker": worker,
        "app": worker.app,
        "transport": worker.app.transport,
        "consumer": consumer,
        "producer": producer,
        "stage 1": worker.counting,
        "stage 2": worker.merging,
        "client": consumer._thread,
        "consumer of aiokafka": client,
        "fetcher": client._fetcher,
        "group member": client._coordinator,
        "producer of aiokafka": producer._producer,
        "sender": producer._producer._sender,
    }


def look_at(worker: Worker) -> dict[str, Any]:
    """Name → whether it is the production's own class or function; for the test that lists them."""
    parts = parts_of(worker)
    found: dict[str, Any] = {name: type(part) is PRODUCTION[name] for name, part in parts.items()}
    consumer = parts["consumer"]
    for name, function in METHODS.items():
        task = getattr(type(consumer), name)
        found[f"RunConsumer.{name}"] = task is function and name not in vars(consumer)
    return found
