"""Sender and reader of the latency load, each a process: `python -m bench.open_loop send|read …`.

The sender makes all reports first, says `ready`, and at `go` sends each when it is due, whatever came of those before.
The reader says `ready` once it stands at the end of the topic; told the ends it must see, it goes on until it saw them.
librdkafka on both sides: it takes less of the machine than the systems under measurement.
"""

from __future__ import annotations

import itertools
import json
import select
import sys
from pathlib import Path
from time import monotonic, sleep
from typing import Any

from confluent_kafka import Consumer, Producer, TopicPartition

from bench.load import Load, reports
from tally_stream.domain.scalars import murmur2_partition

PARTITIONS = 4


def send(bootstrap: str, topic: str, rate: int, seconds: float, stations: int, path: str) -> None:
    count = int(rate * seconds)
    load = Load(stations, "churn", revisions=-(-count // stations))
    messages = [(k, v, t, murmur2_partition(k, PARTITIONS)) for k, v, t in itertools.islice(reports(load), count)]
    producer = Producer(
        # Not compressed: batches of one or two reports, for which zstd takes more of the machine than the worker under test.
        {"bootstrap.servers": bootstrap, "acks": "all", "enable.idempotence": True, "linger.ms": 1}
    )
    producer.list_topics(topic)
    sent: list[tuple[float, float]] = []
    order: list[list[int]] = [[] for _ in range(PARTITIONS)]
    acknowledged: list[tuple[float, int, int]] = []  # (seconds from produce to acknowledgement, partition, offset)

    def on_delivery(error: Any, message: Any) -> None:
        if error is not None:
            raise SystemExit(f"not acknowledged: {error}")
        # The client measures up to this call, which comes at once: whenever the sender waits, it waits in `poll`.
        acknowledged.append((message.latency(), message.partition(), message.offset()))

    print("ready", flush=True)
    sys.stdin.readline()
    begin = monotonic() + 0.1
    for number, (key, value, time_ms, partition) in enumerate(messages):
        due = begin + number / rate
        while (wait := due - monotonic()) > 0:
            if wait < 0.001:  # less than `poll` can wait
                sleep(wait)
            else:
                producer.poll(wait)
        sent.append((due, monotonic()))
        order[partition].append(number)
        producer.produce(topic, value, key, partition=partition, timestamp=time_ms, on_delivery=on_delivery)
        producer.poll(0)
    while len(acknowledged) < count and monotonic() < begin + seconds + 60:
        producer.poll(0.1)
    if len(acknowledged) < count:
        raise SystemExit("not everything was acknowledged")
    # The topic was empty, and a partition's records lie in the order in which they were sent.
    found = []
    for latency, partition, offset in acknowledged:
        due, at = sent[order[partition][offset]]
        found.append((due, at, at + latency, partition, offset))
    Path(path).write_text(json.dumps(sorted(found)))


def vector_of(value: bytes) -> list[int]:
    """Next offset of every partition in a root message, the product's or a competitor's."""
    message = json.loads(value)
    if "seen" in message:
        return list(message["seen"])
    offsets = message["provenance"]["next_offsets"]
    return [offsets[str(p)] for p in range(PARTITIONS)]


def read(bootstrap: str, topic: str, key: str, path: str) -> None:
    consumer = Consumer(
        {"bootstrap.servers": bootstrap, "group.id": "bench-reader", "enable.auto.commit": False, "fetch.min.bytes": 1}
    )
    _, end = consumer.get_watermark_offsets(TopicPartition(topic, 0))
    consumer.assign([TopicPartition(topic, 0, end)])
    consumer.poll(1.0)
    wanted = key.encode()
    times: list[float] = []
    vectors: list[list[int]] = []
    ends: list[int] | None = None
    deadline = float("inf")
    print("ready", flush=True)
    while monotonic() < deadline:
        message = consumer.poll(0.2)
        now = monotonic()
        if message is not None and message.error() is None and (not wanted or message.key() == wanted):
            times.append(now)
            vectors.append(vector_of(message.value()))
            if ends is not None and all(v >= e for v, e in zip(vectors[-1], ends, strict=True)):
                break
        elif message is None and ends is None and select.select([sys.stdin], [], [], 0)[0]:
            ends, grace = json.loads(sys.stdin.readline())
            deadline = now + grace
            if vectors and all(v >= e for v, e in zip(vectors[-1], ends, strict=True)):
                break
    Path(path).write_text(json.dumps([times, vectors]))
    consumer.close()


if __name__ == "__main__":
    if sys.argv[1] == "send":
        send(sys.argv[2], sys.argv[3], int(sys.argv[4]), float(sys.argv[5]), int(sys.argv[6]), sys.argv[7])
    else:
        read(*sys.argv[2:6])
