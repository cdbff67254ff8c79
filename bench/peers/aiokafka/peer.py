"""aiokafka reading and doing nothing, on uvloop: the most that a Python worker on this client can reach."""

import sys

import uvloop
from aiokafka import AIOKafkaConsumer, TopicPartition

bootstrap, source, target, group, partitions, names = sys.argv[1:7]


async def main() -> None:
    consumer = AIOKafkaConsumer(
        bootstrap_servers=bootstrap, group_id=None, auto_offset_reset="earliest", enable_auto_commit=False,
        max_partition_fetch_bytes=1024 * 1024,
    )  # fmt: skip
    await consumer.start()
    assigned = [TopicPartition(source, p) for p in range(int(partitions))]
    consumer.assign(assigned)
    ends = await consumer.end_offsets(assigned)
    records, seen = sum(ends.values()), 0
    while seen < records:
        found = sum(map(len, (await consumer.getmany(timeout_ms=1000, max_records=16384)).values()))
        if found and not seen:
            print("first", found, flush=True)
        seen += found
    print("last", flush=True)
    await consumer.stop()


uvloop.run(main())
