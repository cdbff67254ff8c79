"""The ground on which all run: one broker of a local Kafka, the loads filled into it once, topics made and dropped.

Decides what every competitor finds: the same topic with the same records in the same four partitions. Refuses to know
who reads it. Read `load.py` for the records, `product.py` and `peers/` for those who read.
"""

from __future__ import annotations

import asyncio
import gc
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiokafka.admin import NewTopic

from bench.load import Load, Recount, reports, write_definition
from bench.signing import seal
from deploy.kafka.local.cluster import LocalKafka
from deploy.kafka.local.jars import LocalKafkaError, available
from tally_stream.domain.election import Election
from tally_stream.domain.scalars import murmur2_partition
from tally_stream.kafka.client import admin_client, sender
from tally_stream.settings import Settings, load_settings
from tally_stream.wire.folder.assembling import load_election
from tally_stream.wire.report_log import LogRecord
from tests.support.processes import run
from tests.support.topics import save_log

PARTITIONS = 4

GROUP_DELAY_MS = 1_500
"""`group.initial.rebalance.delay.ms`: the two workers of one group share their first rebalance (Kafka's default is 3 s).
With the tests' 100 ms the first would take all partitions and give half of them up again."""


_SAVED: dict[str, list[LogRecord]] = {}


@dataclass(frozen=True, slots=True)
class Filled:
    """A load in its topic: where, how much, and what a plain recomputation of it gives."""

    load: Load
    settings: Settings
    folder: Path
    election: Election
    records: int
    value_bytes: int
    recounted: list[int]
    directory: Path
    ends: dict[str, dict[int, int]] = field(default_factory=dict)
    """Contest → partition → the next offset that its root must reach."""

    @property
    def topic(self) -> str:
        return f"{self.settings.prefix}.reports"

    def saved(self) -> list[LogRecord]:
        """The topic's records as a saved log gives them; read once, for each run of the product is compared with them."""
        path = self.directory / "saved.jsonl"
        if self.topic not in _SAVED:
            gc.disable()  # a million objects that all live: looking through them again and again is half of the time
            _SAVED[self.topic] = list(save_log(self.settings, path))
            gc.enable()
            path.unlink()
        return _SAVED[self.topic]


@dataclass(frozen=True, slots=True)
class Ground:
    """A running broker."""

    bootstrap: str
    directory: Path

    def settings(self, prefix: str) -> Settings:
        return load_settings(bootstrap=self.bootstrap, prefix=prefix, rehearsal=True)

    def fill(self, load: Load) -> Filled:
        """Topics of their own and every record of the load."""
        prefix = f"{load.kind}-{load.layout}-{load.stations}-{uuid.uuid4().hex[:6]}"
        settings = self.settings(prefix)
        directory = self.directory / prefix
        folder = directory / "definition"
        write_definition(load, folder)
        create_topics(settings, folder)
        recount = Recount()
        size = asyncio.run(_send(settings, load, recount))
        election = load_election(folder)
        return Filled(load, settings, folder, election, recount.records, size, recount.totals(), directory, recount.ends)

    def empty(self, load: Load) -> Filled:
        """The load's definition and topics, nothing in them."""
        prefix = f"{load.kind}-{load.layout}-{load.stations}-{uuid.uuid4().hex[:6]}"
        directory = self.directory / prefix
        write_definition(load, directory / "definition")
        settings = self.settings(prefix)
        create_topics(settings, directory / "definition")
        return Filled(load, settings, directory / "definition", load_election(directory / "definition"), 0, 0, [], directory)


@contextmanager
def ground(directory: Path) -> Iterator[Ground]:
    """The broker, up for the block. Raises SystemExit with a sentence where this machine cannot run one."""
    if missing := available():
        raise SystemExit(f"bench: {missing}")
    more = {"group.initial.rebalance.delay.ms": str(GROUP_DELAY_MS)}
    kafka = LocalKafka(brokers=1, directory=directory / "kafka", more_settings=more)
    try:
        kafka.start()
    except LocalKafkaError as error:
        raise SystemExit(f"bench: {error}") from error
    try:
        yield Ground(kafka.bootstrap, directory)
    finally:
        kafka.stop()


async def _send(settings: Settings, load: Load, recount: Recount) -> int:
    """Send every record, and count it plainly on the way; bytes of the values."""
    size = 0
    topic = f"{settings.prefix}.reports"
    batches: dict[int, Any] = {}
    async with sender(settings) as producer:
        for key, value, time_ms in reports(load):
            partition = murmur2_partition(key, PARTITIONS)
            batch = batches.get(partition) or producer.create_batch()
            batches[partition] = batch
            sent = seal(key, value) if load.is_signed else value
            if batch.append(key=key, value=sent, timestamp=time_ms) is None:
                await producer.send_batch(batch, topic, partition=partition)
                batches[partition] = batch = producer.create_batch()
                batch.append(key=key, value=sent, timestamp=time_ms)
            recount.take(key, value, partition)
            size += len(sent)
        for partition, batch in batches.items():
            await producer.send_batch(batch, topic, partition=partition)
        await producer.flush()
    return size


def create_topics(settings: Settings, folder: Path | str) -> None:
    run("topics", "create", "--election", str(folder), "--partitions", str(PARTITIONS), "--replication", "1",
        "--create-time", settings=settings)  # fmt: skip


def renew_outputs(filled: Filled) -> None:
    """Delete and create every topic but the reports, so that each run publishes from nothing."""
    names = {f"{filled.settings.prefix}.{n}" for n in ("partials", "standings", "rejections", "changes")}
    asyncio.run(_delete(filled.settings, names))
    create_topics(filled.settings, filled.folder)


def create_output(settings: Settings, topic: str) -> None:
    """A topic of one partition for a competitor's totals."""

    async def create() -> None:
        async with admin_client(settings) as admin:
            await admin.create_topics([NewTopic(topic, 1, 1, topic_configs={"retention.ms": "-1"})])
            while topic not in await admin.list_topics():
                await asyncio.sleep(0.05)

    asyncio.run(create())


def drop_topics(settings: Settings, part: str) -> None:
    """Delete every topic whose name contains `part`: what a competitor made for itself."""

    async def drop() -> None:
        async with admin_client(settings) as admin:
            names = {name for name in await admin.list_topics() if part in name}
        if names:
            await _delete(settings, names)

    asyncio.run(drop())


async def _delete(settings: Settings, names: set[str]) -> None:
    async with admin_client(settings) as admin:
        await admin.delete_topics(sorted(names))
        while names & set(await admin.list_topics()):
            await asyncio.sleep(0.1)
