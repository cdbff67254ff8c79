"""Clients of a Kafka cluster for everything that is not the worker's own group: admin, readers, a sender.

Decides how a broker that is not up is waited for, and how a topic is read without a group. Refuses to know what
records say, and why a broker refuses (`refused.py`). The worker's consumer and producer are Faust's (`stream/faust/`).
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from time import monotonic
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError as KafkaError  # noqa: PLC0414 (for those who may not name aiokafka)
from aiokafka.errors import TopicAuthorizationFailedError
from aiokafka.protocol.metadata import MetadataRequest

from tally_stream.kafka.batches import read_whole_batches
from tally_stream.kafka.probe import look_at_named, probe, unreachable
from tally_stream.kafka.refused import Refusal, absent, judge, judge_all
from tally_stream.kafka.rights import rights_said
from tally_stream.settings import Settings

BACK_OFF_FIRST_SECONDS = 0.25
BACK_OFF_MAX_SECONDS = 5.0
REQUEST_TIMEOUT_MS = 30_000
FETCH_MAX_BYTES = 4 * 1024 * 1024
READ_WAIT_MS = 250
SECOND_TRY_SECONDS = 2.0
METADATA_SECONDS = 15.0
METADATA_LOOK_SECONDS = 0.2
CLOSE_SECONDS = 2.0
"""For the farewell of a client that owes nothing any more; the end of the process cuts what is left."""

# aiokafka logs every refused connection as an error of its own; our one line a try says it better.
logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
logging.getLogger("kafka").setLevel(logging.CRITICAL)


class BrokerUnavailable(Exception):
    """No broker could be used within the limit: `args[0]` is a sentence for the operator."""


class BrokerRefused(BrokerUnavailable):
    """A broker answered and does not let us in, and no waiting cures that."""


def ssl_context(settings: Settings) -> ssl.SSLContext | None:
    """The TLS context, None for plaintext. Raises OSError where a file can't be used any more, which was looked at when the
    settings were loaded. An encrypted key without a passphrase is such a file: nobody is asked for one on a terminal."""
    if not settings.uses_tls:
        return None
    files = {"CAFILE": settings.security_cafile, "CERTFILE": settings.security_certfile, "KEYFILE": settings.security_keyfile}
    try:
        context = ssl.create_default_context(cafile=settings.security_cafile)
        if settings.security_certfile:
            context.load_cert_chain(
                settings.security_certfile, settings.security_keyfile, password=lambda: settings.key_password or ""
            )
    except OSError as error:
        named = ", ".join(f"TALLY_SECURITY_{name} ({file})" for name, file in files.items() if file)
        raise OSError(f"{named}: no longer what it was at the start: {error.strerror or error}") from error
    return context


def connection(settings: Settings) -> dict[str, Any]:
    """What every aiokafka client here is given."""
    arguments: dict[str, Any] = {
        "bootstrap_servers": settings.bootstrap,
        "security_protocol": settings.security_protocol,
        "ssl_context": ssl_context(settings),
    }
    if settings.security_protocol.startswith("SASL"):
        arguments["sasl_mechanism"] = settings.security_sasl_mechanism
        arguments["sasl_plain_username"] = settings.security_username
        password = settings.security_password
        arguments["sasl_plain_password"] = password.get_secret_value() if password else None
    return arguments


async def closed(close: Callable[[], Awaitable[None]]) -> None:
    """Close a client, for CLOSE_SECONDS at most, and be cancelled where that was asked meanwhile: aiokafka's clients swallow a
    cancellation that reaches them while they await the end of their own tasks (`AIOKafkaClient.close`), and what was to end
    would go on. Closing with TLS waits for the broker's goodbye, for 30 s where an answer crossed ours: every other command
    on a secured Kafka ended half a minute late."""
    closing = asyncio.ensure_future(close())
    try:
        await asyncio.wait({closing}, timeout=CLOSE_SECONDS)
    finally:
        if not closing.done():
            closing.cancel()
            await asyncio.wait({closing}, timeout=CLOSE_SECONDS)
    if closing.done() and not closing.cancelled():
        closing.result()


@asynccontextmanager
async def admin_client(settings: Settings) -> AsyncIterator[AIOKafkaAdminClient]:
    admin = AIOKafkaAdminClient(**connection(settings), request_timeout_ms=REQUEST_TIMEOUT_MS)
    try:
        await admin.start()
        yield admin
    finally:
        await closed(admin.close)


async def forbidden_topics(admin: AIOKafkaAdminClient, names: Sequence[str]) -> set[str]:
    """Of topics that a list of all did not have, those that we may not see: whether they exist is not told."""
    if not names:
        return set()
    client = admin._client
    answer = await client.send(client.get_random_node(), MetadataRequest(list(names), allow_auto_topic_creation=False))
    return {
        topic["topic"] for topic in answer.to_object()["topics"] if topic["error_code"] == TopicAuthorizationFailedError.errno
    }


async def wait_for_broker(settings: Settings, say: Callable[[str], None]) -> None:
    """Return once a broker lets us in; say each failed try in one line. Raises BrokerUnavailable after the limit, and
    BrokerRefused where no waiting can cure it: after a second try, as a broker that just starts may not have read all its users
    yet."""
    loop = asyncio.get_running_loop()
    begin = loop.time()
    pause = BACK_OFF_FIRST_SECONDS
    given = connection(settings)  # a certificate that can't be read is no broker that is not up: raised at once
    is_second = False
    while True:
        refusal = await _refusal(settings, given, say)
        if refusal is None:
            return
        if refusal.is_final:
            if is_second:
                raise BrokerRefused(refusal.sentence)
            is_second = True
            await asyncio.sleep(SECOND_TRY_SECONDS)
            continue
        is_second = False
        waited = loop.time() - begin
        if waited + pause > settings.broker_wait_seconds:
            raise BrokerUnavailable(f"{refusal.sentence}; waited {waited:.0f} s")
        say(f"{refusal.sentence}; next try in {pause:.1f} s (limit {settings.broker_wait_seconds} s)")
        await asyncio.sleep(pause)
        pause = min(pause * 2, BACK_OFF_MAX_SECONDS)


async def try_broker(settings: Settings, say: Callable[[str], None]) -> Refusal | None:
    """One try: None where a broker lets us in. For whoever decides himself how long to wait. Raises as `ssl_context` does."""
    return await _refusal(settings, connection(settings), say)


async def _refusal(settings: Settings, given: dict[str, Any], say: Callable[[str], None]) -> Refusal | None:
    """None once a broker lets us in, at an address that the cluster itself names: a client uses the first ones only to ask for
    those. What is wrong at the others is said: they lead partitions, which nobody could use."""
    why: BaseException
    try:
        async with admin_client(settings) as admin:
            client = admin._client
            brokers = [(broker.nodeId, broker.host, broker.port) for broker in client.cluster.brokers()]
            if not brokers:  # a cluster without topics may name none; the bootstrap connection is kept then
                return None
            lost = await unreachable(brokers, settings.bootstrap)
            there = [broker for broker in brokers if broker[0] not in {seen.broker_id for seen in lost}]
            for one in there:
                if await client.ready(one[0]):
                    others = [broker for broker in there if broker != one]
                    for seen in [*lost, *await look_at_named(settings.bootstrap, others, settings, given)]:
                        if told := judge(seen, settings):
                            say(told.sentence)
                    return None
        why = KafkaError("no broker that it names could be used")
    except (KafkaError, OSError, TimeoutError) as error:
        why = error
    # It may have come up meanwhile: then there is no refusal to be found, and the next try finds none either.
    return judge_all(await probe(settings, given), settings) or absent(settings.bootstrap, short(why))


def short(error: BaseException) -> str:
    """Its first line, for a sentence."""
    return str(error).splitlines()[0][:200] if str(error) else type(error).__name__


class NoSuchTopic(KafkaError):  # type: ignore[misc]  # aiokafka is not followed by mypy
    """`str()` of it is a sentence for the operator."""

    def __str__(self) -> str:
        return str(self.args[0])


@dataclass(frozen=True, slots=True)
class StoredRecord:
    """A record of a topic; `timestamp_ms` as the broker keeps it."""

    partition: int
    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None


class TopicReader:
    """Reads all partitions of a topic from their start, without a group. `async with`, then `read`.

    `is_log`: every offset is a record, as `batches.py` has it (the reports topic), so that all who read it see the same.
    """

    def __init__(self, settings: Settings, topic: str, *, is_log: bool = False) -> None:
        self.topic = topic
        self._settings = settings
        self._is_log = is_log
        self._consumer = AIOKafkaConsumer(
            **connection(settings),
            group_id=None,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            max_partition_fetch_bytes=FETCH_MAX_BYTES,
            request_timeout_ms=REQUEST_TIMEOUT_MS,
            # A partition that is not written to must not hold up the others.
            fetch_max_wait_ms=READ_WAIT_MS,
        )
        self.partitions: list[TopicPartition] = []

    async def __aenter__(self) -> TopicReader:
        try:
            with rights_said(self._settings, "Read"):
                await self._consumer.start()
                count = await partition_count(self._consumer, self.topic)
                self.partitions = [TopicPartition(self.topic, p) for p in range(count)]
                if self._is_log:
                    read_whole_batches(self._consumer, {self.topic})
                self._consumer.assign(self.partitions)
                await self._consumer.seek_to_beginning(*self.partitions)
        except BaseException:
            await closed(self._consumer.stop)
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await closed(self._consumer.stop)

    async def bounds(self) -> dict[int, tuple[int, int]]:
        """Partition → (first offset, next offset) now."""
        with rights_said(self._settings, "Read"):
            starts = await self._consumer.beginning_offsets(self.partitions)
            ends = await self._consumer.end_offsets(self.partitions)
        return {tp.partition: (starts[tp], ends[tp]) for tp in self.partitions}

    async def is_gone(self) -> bool:
        """Whether the brokers answer, and say that there is no such topic."""
        client = self._consumer._client
        is_answered = await client.force_metadata_update()
        is_forbidden = self.topic in client.cluster.unauthorized_topics
        return bool(is_answered) and not is_forbidden and not self._consumer.partitions_for_topic(self.topic)

    async def answers(self, limit_seconds: float) -> bool:
        """Whether the topic's brokers answer a question within the limit."""
        try:
            async with asyncio.timeout(limit_seconds):
                await self._consumer.end_offsets(self.partitions)
        except (KafkaError, OSError, TimeoutError):
            return False
        return True

    async def seek(self, offsets: Mapping[int, int]) -> None:
        for partition, offset in offsets.items():
            self._consumer.seek(TopicPartition(self.topic, partition), offset)

    async def positions(self) -> dict[int, int]:
        return {tp.partition: await self._consumer.position(tp) for tp in self.partitions}

    async def poll(self) -> list[StoredRecord]:
        """What has come since; waits up to READ_WAIT_MS and may be empty."""
        with rights_said(self._settings, "Read"):
            fetched = await self._consumer.getmany(timeout_ms=READ_WAIT_MS)
        return [
            StoredRecord(tp.partition, r.offset, r.timestamp, r.key, r.value)
            for tp, records in fetched.items()
            for r in records
        ]

    async def read_to_end(self) -> AsyncIterator[list[StoredRecord]]:
        """All records up to the end offsets found now, in runs; each run is of any partitions."""
        ends = {p: end for p, (_, end) in (await self.bounds()).items()}
        while True:
            positions = await self.positions()
            if all(positions[p] >= end for p, end in ends.items()):
                return
            records = await self.poll()
            if records:
                yield records


async def partition_count(consumer: AIOKafkaConsumer, topic: str) -> int:
    """Partitions of `topic`. Raises KafkaError where it does not exist, or nobody has said so for METADATA_SECONDS: a broker
    that has just thawed knows no living broker, and a client that took this for an answer would deny the topic."""
    return await _partition_count(consumer._client, topic)


async def producer_partitions(producer: AIOKafkaProducer, topic: str) -> int:
    """As `partition_count`, for who sends."""
    return await _partition_count(producer.client, topic)


async def _partition_count(client: Any, topic: str) -> int:
    found = client.cluster.partitions_for_topic(topic)
    if not found:
        await client.add_topic(topic)  # the first metadata a client fetches knows only the topics it asked for
    end = monotonic() + METADATA_SECONDS
    while not found:
        is_answered = await client.force_metadata_update()
        found = client.cluster.partitions_for_topic(topic)
        if found:
            break
        if is_answered:
            if topic in client.cluster.unauthorized_topics:
                raise TopicAuthorizationFailedError(topic)
            raise NoSuchTopic(f"there is no topic {topic}")
        if monotonic() >= end:
            raise KafkaError(f"no broker has told of the topic {topic} for {METADATA_SECONDS:.0f} s")
        await asyncio.sleep(METADATA_LOOK_SECONDS)
    return len(found)


@asynccontextmanager
async def sender(settings: Settings) -> AsyncIterator[AIOKafkaProducer]:
    """An idempotent producer with acks=all. Whoever sends awaits the answers: on the way out what is left has CLOSE_SECONDS."""
    producer = AIOKafkaProducer(
        **connection(settings),
        acks="all",
        enable_idempotence=True,
        compression_type="zstd",
        max_batch_size=128 * 1024,
        linger_ms=5,
        request_timeout_ms=REQUEST_TIMEOUT_MS,
    )
    try:
        with rights_said(settings, "Write"):
            await producer.start()
            yield producer
    finally:
        await closed(producer.stop)
