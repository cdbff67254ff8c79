"""A broker without a Kafka: decides how librdkafka's mock cluster serves a demo and fast tests.

The cluster comes inside the `confluent-kafka` wheel and runs in a child process: it has threads and
memory of its own, and must neither disturb our event loop nor outlive us. The child is this very
file; it ends when the pipe to its parent closes, however the parent ended. It speaks Kafka's
protocol on loopback and is no judge of durability; for that, see `deploy/kafka/local/`.

It refuses to know anything about elections. What it can and cannot do, measured with librdkafka
2.16.0 and aiokafka 0.14.0 (`tests/broker/` holds each; two cores):

- Start: 0.1 s. A first group member has its partitions after 5 ms (the cluster's default: 3 s).
- Topics: made on any metadata request that names them, even one that forbids it, with
  AUTO_PARTITIONS partitions; no configuration changes that number, so topics that need another
  are given to EmbeddedBroker. CreateTopics, DeleteTopics, CreatePartitions, DescribeConfigs and
  ListGroups are not served: aiokafka's admin raises at once (AttributeError, since there is no
  controller, or IncompatibleBrokerVersion); it does not hang.
- Records: gzip, lz4, zstd, snappy and none; batches are stored as they came, CRC unchecked. Keys,
  values (null ones too), headers and CreateTime timestamps come back as sent; LogAppendTime and
  offsets_for_times do not exist. Nothing is compacted.
- Room: a partition keeps PARTITION_LIMIT_BYTES of batches as stored, that is compressed, and then
  drops its oldest batches. Of 50,000 reports of 324 bytes in 128 KiB batches 15,003 were left
  uncompressed, 46,981 with snappy, all with gzip, lz4 and zstd; of 125,000 with zstd 83,234.
  Reading below the new start is OffsetOutOfRange. The limit of 100,000 batches a partition is
  never reached: so many of the smallest batches are larger than the limit in bytes.
- Speed: one batch a partition and fetch, so the batch size decides: 180,000 records/s in 128 KiB
  batches, 50,000/s in 16 KiB ones, 2,000/s one by one.
- Idempotent producers are given an id, but their sequence numbers are not looked at (read in
  its code, not measured): a retried batch would be stored twice.
- Groups: one member. With two the leader's SyncGroup ends the round before the follower's arrives,
  which is then refused (InvalidRequestError, 12 of 12 tries). A second member, or the same one
  again within that time, waits for the session timeout less one second; static members
  are not recognised and wait for twice that.
"""

from __future__ import annotations

import ctypes
import json
import os
import select
import subprocess
import sys
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

PARTITION_LIMIT_BYTES = 5 * 1024 * 1024
"""Batches a partition keeps, as stored; a constant in librdkafka's rdkafka_mock.c."""

AUTO_PARTITIONS = 4
"""Partitions of a topic that was not given to EmbeddedBroker. A constant there too."""

START_LIMIT_SECONDS = 10
"""For the child to import the wheel and listen; measured 0.1 s."""

STOP_LIMIT_SECONDS = 5
"""For the child to see its pipe close; then it is killed."""

REBALANCE_DELAY_MS = 0
"""How long a first member waits for others: there can be none here. The cluster's default: 3000."""

LIMITS_TEXT = (
    "The embedded broker is a stand-in for Kafka: it lives in memory, ends with this program, "
    f"keeps about {PARTITION_LIMIT_BYTES / 1e6:.0f} MB a partition and proves nothing about"
    " durability."
)

MISSING_TEXT = "the embedded broker needs the package confluent-kafka, 2.6 or newer: pip install 'tally-stream[embedded]'"


class EmbeddedBrokerError(RuntimeError):
    """The embedded broker could not be started; the message says why and what to do."""


class EmbeddedBroker:
    """One mock broker on a free loopback port, in a child process.

    `topics` (name → partitions) exist from the start; any other topic is made, with
    AUTO_PARTITIONS, when a client first asks for it. It blocks: in a coroutine use
    asyncio.to_thread.
    """

    def __init__(self, topics: Mapping[str, int] | None = None) -> None:
        self._topics = dict(topics or {})
        for topic, partitions in self._topics.items():
            if partitions < 1:  # the cluster would make it and then answer nobody
                raise ValueError(f"topic {topic}: {partitions} partitions")
        self._child: subprocess.Popen[bytes] | None = None
        self.bootstrap = ""

    def start(self) -> str:
        """Start the broker; returns host:port. Raises EmbeddedBrokerError when that fails."""
        if self._child is not None:
            raise EmbeddedBrokerError("the embedded broker is running already")
        # By path and not with -m: the child must not import the product, only the wheel. -P keeps
        # this folder, with its client.py and topics.py, off the child's import path.
        self._child = subprocess.Popen(
            [sys.executable, "-P", __file__, json.dumps(self._topics)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,  # a terminal's Ctrl-C is for the parent, which then stops us
        )
        try:
            self.bootstrap = _bootstrap_of(self._child)
        except BaseException:
            self.stop()
            raise
        return self.bootstrap

    def stop(self) -> None:
        """End the broker and forget every record. Harmless when it is not running."""
        child, self._child = self._child, None
        if child is None:
            return
        with child:  # closes both pipes: the child's signal to end
            if child.stdin is not None:
                child.stdin.close()
            try:
                child.wait(STOP_LIMIT_SECONDS)
            except subprocess.TimeoutExpired:
                child.kill()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()


def _bootstrap_of(child: subprocess.Popen[bytes]) -> str:
    """The child's one line: where it listens, or why it does not."""
    if child.stdout is None or not select.select([child.stdout], [], [], START_LIMIT_SECONDS)[0]:
        raise EmbeddedBrokerError(f"the embedded broker did not start within {START_LIMIT_SECONDS} s")
    line = child.stdout.readline()
    if not line:
        raise EmbeddedBrokerError(f"the embedded broker ended with status {child.wait()}")
    said: dict[str, str] = json.loads(line)
    if "error" in said:
        raise EmbeddedBrokerError(said["error"])
    return said["bootstrap"]


# --- the child ------------------------------------------------------------------------------------


def _librdkafka() -> Any:
    """librdkafka's C functions, found through the wheel's extension module, which is linked to it.

    The wheel's Python API can start the cluster (`test.mock.num.brokers`) but neither name its
    topics' partitions nor shorten a group's first three seconds; its public rdkafka_mock.h can.
    """
    import confluent_kafka.cimpl as extension  # noqa: PLC0415  (an extra: whoever never starts a broker need not have it)

    library = ctypes.CDLL(extension.__file__)
    handle, text, number = ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int
    for name, result, arguments in (
        ("rd_kafka_conf_new", handle, []),
        ("rd_kafka_conf_set", number, [handle, text, text, text, ctypes.c_size_t]),
        ("rd_kafka_new", handle, [number, handle, text, ctypes.c_size_t]),
        ("rd_kafka_mock_cluster_new", handle, [handle, number]),
        ("rd_kafka_mock_cluster_bootstraps", text, [handle]),
        ("rd_kafka_mock_topic_create", number, [handle, text, number, number]),
        ("rd_kafka_mock_group_initial_rebalance_delay_ms", None, [handle, ctypes.c_int32]),
    ):
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library


def _serve(topics: Mapping[str, int]) -> str:
    """Start the mock cluster on threads of librdkafka's own; its host:port."""
    library = _librdkafka()
    message = ctypes.create_string_buffer(512)
    settings = library.rd_kafka_conf_new()
    # The client that owns the cluster has no broker of its own and would say so; errors (3) only.
    library.rd_kafka_conf_set(settings, b"log_level", b"3", message, len(message))
    owner = library.rd_kafka_new(0, settings, message, len(message))
    cluster = library.rd_kafka_mock_cluster_new(owner, 1) if owner else None
    if not cluster:
        raise EmbeddedBrokerError(f"librdkafka gave no mock cluster: {message.value.decode()}")
    library.rd_kafka_mock_group_initial_rebalance_delay_ms(cluster, REBALANCE_DELAY_MS)
    for topic, partitions in topics.items():
        status = library.rd_kafka_mock_topic_create(cluster, topic.encode(), partitions, 1)
        if status != 0:
            raise EmbeddedBrokerError(f"topic {topic} with {partitions} partitions: error {status}")
    bootstrap: bytes = library.rd_kafka_mock_cluster_bootstraps(cluster)
    return bootstrap.decode()


def _child(topics: Mapping[str, int]) -> None:
    """Say where we listen, then wait for the parent's end of the pipe to close."""
    try:
        said = {"bootstrap": _serve(topics)}
    except (ImportError, AttributeError):  # no wheel, or one without these functions
        said = {"error": MISSING_TEXT}
    except EmbeddedBrokerError as error:
        said = {"error": str(error)}
    sys.stdout.write(json.dumps(said) + "\n")
    sys.stdout.flush()
    sys.stdin.buffer.read()
    os._exit(0)  # librdkafka's threads end with the process; nothing here is worth an orderly end


if __name__ == "__main__":
    _child(json.loads(sys.argv[1]))
