"""What the product counts on from a broker, told once and held against all three that it runs on.

Each test has a topic and a group of its own, so they share brokers and run in any order. What the
embedded broker cannot do is expected to fail, with the reason; should it learn it, the test says so.
"""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiokafka
import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import IncompatibleBrokerVersion, KafkaError
from aiokafka.partitioner import murmur2
from aiokafka.structs import ConsumerRecord, TopicPartition

from tests.support.brokers import Broker, every_broker
from tests.support.waiting import until

pytestmark = pytest.mark.asyncio

PARTITIONS = 4
"""What the embedded broker makes of any topic, so that one suite fits all."""

COUNT = 200
"""Records a test: several batches of BATCH_BYTES, and still quick."""

BATCH_BYTES = 2_048
NIGHT_MS = 1_707_332_400_000
"""A timestamp of 2024: a recorded night keeps its own times, years old as they are."""


def _cannot(reason: str, raises: type[Exception] | tuple[type[Exception], ...]) -> pytest.MarkDecorator:
    return pytest.mark.xfail(strict=True, raises=raises, reason=f"embedded broker: {reason}")


@asynccontextmanager
async def _admin(broker: Broker) -> AsyncIterator[AIOKafkaAdminClient]:
    admin = AIOKafkaAdminClient(bootstrap_servers=broker.bootstrap)
    await admin.start()
    try:
        yield admin
    finally:
        await admin.close()


@asynccontextmanager
async def _producer(broker: Broker, **settings: Any) -> AsyncIterator[aiokafka.AIOKafkaProducer]:
    producer = aiokafka.AIOKafkaProducer(
        bootstrap_servers=broker.bootstrap,
        acks="all",
        enable_idempotence=True,
        max_batch_size=BATCH_BYTES,
        **settings,
    )
    await producer.start()
    try:
        yield producer
    finally:
        await producer.stop()


@asynccontextmanager
async def _reader(broker: Broker, *partitions: TopicPartition) -> AsyncIterator[aiokafka.AIOKafkaConsumer]:
    """A consumer outside any group, at the beginning of the partitions."""
    reader = aiokafka.AIOKafkaConsumer(
        bootstrap_servers=broker.bootstrap, enable_auto_commit=False, auto_offset_reset="earliest"
    )
    await reader.start()
    try:
        reader.assign(partitions)
        yield reader
    finally:
        await reader.stop()


@asynccontextmanager
async def _member(broker: Broker, topic: str, group: str) -> AsyncIterator[aiokafka.AIOKafkaConsumer]:
    member = aiokafka.AIOKafkaConsumer(
        topic,
        bootstrap_servers=broker.bootstrap,
        group_id=group,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        session_timeout_ms=broker.session_timeout_ms,
        heartbeat_interval_ms=200,
    )
    try:
        await member.start()
        yield member
    finally:
        await member.stop()


async def _topic(broker: Broker, **configs: str) -> str:
    """A new topic of PARTITIONS; where the broker has no API for that, by asking for its metadata."""
    name = f"contract-{uuid.uuid4().hex[:12]}"
    if broker.kind == "embedded":
        async with _producer(broker) as producer:
            await producer.partitions_for(name)
        return name
    await _create(broker, name, **configs)
    return name


async def _create(broker: Broker, name: str, **configs: str) -> None:
    """Through the admin API, kept for ever, known to every node."""
    wanted = {"retention.ms": "-1"} | {key.replace("_", "."): value for key, value in configs.items()}
    async with _admin(broker) as admin:
        made = await admin.create_topics([NewTopic(name, PARTITIONS, broker.replication, topic_configs=wanted)])
        assert [error[1] for error in made.topic_errors] == [0], made

        async def has_leaders() -> bool:
            (told,) = await admin.describe_topics([name])
            return len([p for p in told["partitions"] if p["leader"] >= 0]) == PARTITIONS

        await until(has_leaders, f"a leader for every partition of {name}")


async def _read(reader: aiokafka.AIOKafkaConsumer, count: int) -> list[ConsumerRecord]:
    """The next `count` records, in the order in which they come."""
    got: list[ConsumerRecord] = []

    async def enough() -> bool:
        for records in (await reader.getmany(timeout_ms=100)).values():
            got.extend(records)
        return len(got) >= count

    await until(enough, f"{count} records")
    return got


def _value(index: int) -> bytes:
    return b'{"station":"s-%d","votes":[1,2,3]}' % index


# --- producing and reading ------------------------------------------------------------------------


@every_broker()
async def test_records_come_back_in_order_and_as_they_were_sent(broker: Broker) -> None:
    """acks=all, idempotent, to a named partition: same offsets, keys, values, times, headers."""
    partition = TopicPartition(await _topic(broker), 2)
    async with _producer(broker) as producer:
        sent = [
            await producer.send(
                partition.topic,
                _value(index),
                key=b"s-%d" % index,
                partition=partition.partition,
                timestamp_ms=NIGHT_MS + index,
                headers=[("index", b"%d" % index)],
            )
            for index in range(COUNT)
        ]
        offsets = [(await one).offset for one in sent]
    async with _reader(broker, partition) as reader:
        records = await _read(reader, COUNT)
    assert offsets == list(range(COUNT))
    assert [(r.offset, r.key, r.value, r.timestamp, r.timestamp_type, r.headers) for r in records] == [
        (i, b"s-%d" % i, _value(i), NIGHT_MS + i, 0, (("index", b"%d" % i),)) for i in range(COUNT)
    ]


@every_broker()
async def test_a_missing_key_or_value_stays_missing(broker: Broker) -> None:
    """Null and empty are different: a null value is a deletion in a compacted topic."""
    partition = TopicPartition(await _topic(broker), 0)
    async with _producer(broker) as producer:
        await producer.send_and_wait(partition.topic, None, key=b"key", partition=0)
        await producer.send_and_wait(partition.topic, b"", key=None, partition=0)
    async with _reader(broker, partition) as reader:
        records = await _read(reader, 2)
    assert [(r.key, r.value) for r in records] == [(b"key", None), (None, b"")]


@every_broker()
async def test_offsets_begin_at_zero_and_end_after_the_last(broker: Broker) -> None:
    """The continuity check leans on both ends; other partitions stay empty."""
    topic = await _topic(broker)
    partitions = [TopicPartition(topic, number) for number in range(PARTITIONS)]
    async with _producer(broker) as producer:
        for index in range(10):
            await producer.send_and_wait(topic, _value(index), partition=1)
    async with _reader(broker, *partitions) as reader:
        assert await reader.beginning_offsets(partitions) == dict.fromkeys(partitions, 0)
        assert await reader.end_offsets(partitions) == {p: 10 if p.partition == 1 else 0 for p in partitions}


@every_broker()
async def test_reading_past_the_end_is_an_error_of_its_own(broker: Broker) -> None:
    """Without a reset policy: a log shorter than remembered must not look like silence."""
    partition = TopicPartition(await _topic(broker), 0)
    async with _producer(broker) as producer:
        await producer.send_and_wait(partition.topic, _value(0), partition=0)
    reader = aiokafka.AIOKafkaConsumer(bootstrap_servers=broker.bootstrap, enable_auto_commit=False, auto_offset_reset="none")
    await reader.start()
    try:
        reader.assign([partition])
        reader.seek(partition, 5)
        with pytest.raises(aiokafka.errors.OffsetOutOfRangeError):
            await reader.getone()
    finally:
        await reader.stop()


@every_broker()
@pytest.mark.parametrize("compression", [None, "gzip", "snappy", "lz4", "zstd"])
async def test_compressed_batches_come_back_whole(broker: Broker, compression: str | None) -> None:
    """Every kind that aiokafka can write."""
    partition = TopicPartition(await _topic(broker), 3)
    async with _producer(broker, compression_type=compression, linger_ms=5) as producer:
        sent = [await producer.send(partition.topic, _value(index), partition=3) for index in range(COUNT)]
        for one in sent:
            await one
    async with _reader(broker, partition) as reader:
        assert [r.value for r in await _read(reader, COUNT)] == [_value(i) for i in range(COUNT)]


@every_broker()
async def test_a_key_lives_in_the_partition_of_its_murmur2(broker: Broker) -> None:
    """The default partitioner; a station's partition is a rule of the product (S7)."""
    topic = await _topic(broker)
    async with _producer(broker) as producer:
        for index in range(50):
            key = b"station-%d" % index
            sent = await producer.send_and_wait(topic, _value(index), key=key)
            assert sent.partition == (murmur2(key) & 0x7FFFFFFF) % PARTITIONS


# --- groups ---------------------------------------------------------------------------------------


@every_broker()
async def test_a_group_goes_on_where_it_committed(broker: Broker) -> None:
    """Another member of the group, later, reads from the committed offset."""
    partition = TopicPartition(await _topic(broker), 0)
    async with _producer(broker) as producer:
        for index in range(10):
            await producer.send_and_wait(partition.topic, _value(index), partition=0)
    async with _member(broker, partition.topic, f"g-{partition.topic}") as first:
        assert [r.offset for r in await _read(first, 10)] == list(range(10))
        await first.commit({partition: 6})
    async with _member(broker, partition.topic, f"g-{partition.topic}") as second:
        assert await second.committed(partition) == 6
        assert [r.offset for r in await _read(second, 4)] == [6, 7, 8, 9]


@every_broker(
    embedded=_cannot(
        "the leader's SyncGroup ends the round before the follower's, which is then refused",
        raises=KafkaError,
    )
)
async def test_two_members_share_the_partitions(broker: Broker) -> None:
    """Each has half, and together all; one that leaves gives its half to the other."""
    topic = await _topic(broker)
    everything = {TopicPartition(topic, number) for number in range(PARTITIONS)}
    async with _member(broker, topic, f"g-{topic}") as first:
        async with _member(broker, topic, f"g-{topic}") as second:

            async def is_shared() -> bool:
                halves = [set(first.assignment()), set(second.assignment())]
                return [len(half) for half in halves] == [2, 2] and halves[0] | halves[1] == everything

            await until(is_shared, "two partitions for each member")

        async def has_all() -> bool:
            return set(first.assignment()) == everything

        await until(has_all, "all partitions for the member that stayed")


# --- topics ---------------------------------------------------------------------------------------


@every_broker(
    embedded=_cannot(
        "CreateTopics and DescribeConfigs are not served",
        (AttributeError, IncompatibleBrokerVersion),
    )
)
async def test_a_topic_has_the_settings_it_was_created_with(broker: Broker) -> None:
    """What `topics create` writes, `topics check` reads back."""
    name = f"contract-{uuid.uuid4().hex[:12]}"
    await _create(
        broker,
        name,
        cleanup_policy="delete",
        max_message_bytes="1048576",
        message_timestamp_type="LogAppendTime",
    )
    async with _admin(broker) as admin:
        answers = await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, name)])
        (told,) = await admin.describe_topics([name])
    found = {entry[0]: entry[1] for answer in answers for entry in answer.resources[0][4]}
    assert {key: found[key] for key in _WANTED} == _WANTED
    assert found["min.insync.replicas"] == ("2" if broker.replication == 3 else "1")
    assert [len(p["replicas"]) for p in told["partitions"]] == [broker.replication] * PARTITIONS


_WANTED = {
    "cleanup.policy": "delete",
    "retention.ms": "-1",
    "max.message.bytes": "1048576",
    "message.timestamp.type": "LogAppendTime",
    "unclean.leader.election.enable": "false",
}


@every_broker(embedded=_cannot("it keeps the producer's time and knows no other", AssertionError))
async def test_the_log_can_stamp_records_itself(broker: Broker) -> None:
    """LogAppendTime: a station's clock cannot date a report."""
    partition = TopicPartition(await _topic(broker, message_timestamp_type="LogAppendTime"), 0)
    async with _producer(broker) as producer:
        await producer.send_and_wait(partition.topic, _value(0), partition=0, timestamp_ms=NIGHT_MS)
    async with _reader(broker, partition) as reader:
        (record,) = await _read(reader, 1)
    assert record.timestamp_type == 1
    assert record.timestamp > NIGHT_MS


@every_broker(embedded=_cannot("any metadata request makes the topic", AssertionError))
async def test_a_misspelt_topic_is_not_made(broker: Broker) -> None:
    """auto.create.topics.enable=false: asking for a topic never makes one."""
    name = f"contract-{uuid.uuid4().hex[:12]}"
    async with _admin(broker) as admin:
        (told,) = await admin.describe_topics([name])
        assert told["error_code"] == 3  # unknown topic or partition
        assert name not in await admin.list_topics()
