"""The embedded broker's own facts, each stated in `tally_stream/kafka/embedded.py` and held here."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import aiokafka
import pytest
from aiokafka.errors import OffsetOutOfRangeError
from aiokafka.structs import TopicPartition

from tally_stream.kafka.embedded import (
    AUTO_PARTITIONS,
    LIMITS_TEXT,
    PARTITION_LIMIT_BYTES,
    EmbeddedBroker,
    EmbeddedBrokerError,
)
from tests.support.brokers import Embedded
from tests.support.waiting import wait_for

BATCH_BYTES = 131_072
BATCH_OVERHEAD_BYTES = 80
"""At most, around one value: the batch header (61) and the record's own lengths."""


def test_topics_have_the_partitions_they_were_given_and_others_four() -> None:
    with EmbeddedBroker({"seven": 7, "one": 1}) as broker:
        assert _partitions(broker.bootstrap, "seven") == 7
        assert _partitions(broker.bootstrap, "one") == 1
        assert _partitions(broker.bootstrap, "never-heard-of") == AUTO_PARTITIONS


def _partitions(bootstrap: str, topic: str) -> int:
    """Asked with librdkafka's own client, in a process of its own."""
    asked = (
        "import sys; from confluent_kafka.admin import AdminClient;"
        "told = AdminClient({'bootstrap.servers': sys.argv[1]}).list_topics(sys.argv[2], timeout=10);"
        "print(len(told.topics[sys.argv[2]].partitions))"
    )
    ran = subprocess.run([sys.executable, "-c", asked, bootstrap, topic], capture_output=True, text=True, check=True)
    return int(ran.stdout)


@pytest.mark.asyncio
async def test_a_partition_keeps_five_mebibytes_and_forgets_the_oldest_batches(
    embedded_broker: Embedded,
) -> None:
    """At the limit every batch is there; one more and the first is gone, and says so when asked for."""
    partition = TopicPartition("room", 0)
    value = os.urandom(BATCH_BYTES - BATCH_OVERHEAD_BYTES)
    fitting = PARTITION_LIMIT_BYTES // BATCH_BYTES
    producer = aiokafka.AIOKafkaProducer(bootstrap_servers=embedded_broker.bootstrap, max_batch_size=BATCH_BYTES)
    reader = aiokafka.AIOKafkaConsumer(bootstrap_servers=embedded_broker.bootstrap, auto_offset_reset="none")
    await producer.start()
    await reader.start()
    try:
        for _ in range(fitting):
            await producer.send_and_wait(partition.topic, value, partition=0)
        assert await reader.beginning_offsets([partition]) == {partition: 0}
        await producer.send_and_wait(partition.topic, value, partition=0)
        assert await reader.beginning_offsets([partition]) == {partition: 1}
        reader.assign([partition])
        reader.seek(partition, 0)
        with pytest.raises(OffsetOutOfRangeError):
            await reader.getone()
    finally:
        await reader.stop()
        await producer.stop()


def test_the_limits_are_said_in_words() -> None:
    assert "5 MB a partition" in LIMITS_TEXT
    assert "durability" in LIMITS_TEXT


def test_stop_ends_the_child_and_may_be_said_twice() -> None:
    broker = EmbeddedBroker()
    broker.start()
    assert broker._child is not None  # noqa: SLF001  (the process of its own is named nowhere else)
    pid = broker._child.pid  # noqa: SLF001  (the process of its own is named nowhere else)
    broker.stop()
    broker.stop()
    assert not Path(f"/proc/{pid}").exists()


def test_a_second_start_is_refused() -> None:
    with EmbeddedBroker() as broker, pytest.raises(EmbeddedBrokerError, match="running already"):
        broker.start()


def test_a_topic_without_partitions_is_refused() -> None:
    with pytest.raises(ValueError, match="topic none: 0 partitions"):
        EmbeddedBroker({"none": 0})


def test_without_the_wheel_the_message_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The child's Python is one that sees no installed package."""
    bare = tmp_path / "python"
    bare.write_text(f'#!/bin/sh\nexec "{sys.executable}" -S "$@"\n')
    bare.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(bare))
    with pytest.raises(EmbeddedBrokerError, match=r"pip install 'tally-stream\[embedded\]'"):
        EmbeddedBroker().start()


def test_the_broker_dies_with_a_killed_parent() -> None:
    """SIGKILL leaves the parent no time to tidy up; the closed pipe is enough."""
    program = (
        "import os, signal; from tally_stream.kafka.embedded import EmbeddedBroker;"
        "b = EmbeddedBroker(); b.start(); print(b._child.pid, flush=True);"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert ran.returncode == -signal.SIGKILL
    command_line = Path(f"/proc/{int(ran.stdout)}/cmdline")

    def is_gone() -> bool:
        try:
            return command_line.read_bytes() == b""  # a zombie has none
        except OSError:
            return True

    wait_for(is_gone, "the end of the broker's process")
