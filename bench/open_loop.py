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
from typing import Any, cast

from confluent_kafka import Consumer, Producer, TopicPartition

from bench.layouts import ONE_CONTEST, LayoutName, layout
from bench.load import Load, reports
from bench.signing import seal
from tally_stream.domain.scalars import murmur2_partition

PARTITIONS = 4

LOOK_SECONDS = 0.2
"""How often the reader looks whether it is told the ends, and how long it waits for a message."""


def send(
    bootstrap: str, topic: str, rate: int, seconds: float, stations: int, layout_name: LayoutName, *, is_signed: bool, path: str
) -> None:  # fmt: skip
    count = int(rate * seconds)
    a_revision = stations * len(layout(layout_name).contests_of(layout(layout_name).id_of(0)))
    load = Load(stations, "churn", revisions=-(-count // a_revision), layout=layout_name)
    made = [(key, value, time_ms, _contest_of(value)) for key, value, time_ms in itertools.islice(reports(load), count)]
    messages = [(k, seal(k, v) if is_signed else v, t, murmur2_partition(k, PARTITIONS), contest) for k, v, t, contest in made]
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
    for number, (key, value, time_ms, partition, _) in enumerate(messages):
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
        number = order[partition][offset]
        due, at = sent[number]
        found.append((due, at, at + latency, partition, offset, messages[number][-1]))
    Path(path).write_text(json.dumps(sorted(found)))


def _contest_of(value: bytes) -> str:
    return value.split(b'"contest":"', 1)[1].split(b'"', 1)[0].decode()


def vector_of(value: bytes) -> list[int]:
    """Next offset of every partition in a root message, the product's or a competitor's."""
    message = json.loads(value)
    if "seen" in message:
        return list(message["seen"])
    offsets = message["provenance"]["next_offsets"]
    return [offsets[str(p)] for p in range(PARTITIONS)]


def read(bootstrap: str, topic: str, root: str, path: str) -> None:
    """`root`: the area whose messages are read, of every contest; "" for a competitor, who has one contest and no areas."""
    consumer = Consumer(
        {"bootstrap.servers": bootstrap, "group.id": "bench-reader", "enable.auto.commit": False, "fetch.min.bytes": 1}
    )
    _, end = consumer.get_watermark_offsets(TopicPartition(topic, 0))
    consumer.assign([TopicPartition(topic, 0, end)])
    consumer.poll(1.0)
    wanted = f"|{root}".encode()
    seen: dict[str, tuple[list[float], list[list[int]]]] = {}
    ends: dict[str, list[int]] | None = None
    deadline, look_at = float("inf"), 0.0

    def is_reached(contest: str) -> bool:
        assert ends is not None
        return contest in seen and all(v >= e for v, e in zip(seen[contest][1][-1], ends[contest], strict=True))

    print("ready", flush=True)
    left: set[str] | None = None
    while monotonic() < deadline and left != set():
        message = consumer.poll(LOOK_SECONDS)
        now = monotonic()
        if message is not None and message.error() is None and (not root or message.key().endswith(wanted)):
            contest = message.key().removesuffix(wanted).decode() if root else ONE_CONTEST
            times, vectors = seen.setdefault(contest, ([], []))
            times.append(now)
            vectors.append(vector_of(message.value()))
            if left is not None and contest in left and is_reached(contest):
                left.discard(contest)
        if ends is None and now >= look_at:  # by the clock: roots of many contests come without a pause
            look_at = now + LOOK_SECONDS
            if select.select([sys.stdin], [], [], 0)[0]:
                ends, grace = json.loads(sys.stdin.readline())
                deadline = now + grace
                left = {contest for contest in ends or {} if not is_reached(contest)}
    Path(path).write_text(json.dumps(seen))
    consumer.close()


if __name__ == "__main__":
    if sys.argv[1] == "send":
        bootstrap, topic, rate, seconds, stations, layout_name, signed, path = sys.argv[2:]
        send(
            bootstrap, topic, int(rate), float(seconds), int(stations), cast(LayoutName, layout_name),
            is_signed=signed == "signed", path=path,
        )  # fmt: skip
    else:
        read(*sys.argv[2:6])
