"""librdkafka under its Python client, reading in batches of 10,000 and doing nothing."""

import sys

from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition

bootstrap, source, target, group, partitions, names = sys.argv[1:7]
consumer = Consumer(
    # A full queue backs off for a second by default, which is waiting and not reading.
    {"bootstrap.servers": bootstrap, "group.id": group, "enable.auto.commit": False, "queued.min.messages": 500_000,
     "fetch.queue.backoff.ms": 5}
)  # fmt: skip
assigned = [TopicPartition(source, p, OFFSET_BEGINNING) for p in range(int(partitions))]
records = sum(consumer.get_watermark_offsets(p)[1] for p in assigned)
consumer.assign(assigned)
seen = 0
while seen < records:
    found = len(consumer.consume(10_000, timeout=1.0))
    if found and not seen:
        print("first", found, flush=True)
    seen += found
print("last", flush=True)
consumer.close()
