"""A consumer of runs that is never started, and what it is fed with: its own logic, with nothing behind it."""
# ruff: noqa: SLF001  (a consumer that was never started is laid out as its start would)

from collections import deque
from types import SimpleNamespace
from typing import Any

from faust.types import TP

from tally_stream.stream.faust.consumer import RunConsumer

NOWHERE = "127.0.0.1:1"
TOPIC = "runs"
P0 = TP(TOPIC, 0)


class NoPositions:
    def next_offset(self, topic: str, partition: int) -> int | None:
        return None

    async def partitions_assigned(self, assigned: object, committed: object) -> None: ...

    async def partitions_revoked(self, revoked: object) -> None: ...


def records(first: int, last: int) -> list[Any]:
    return [SimpleNamespace(offset=at, timestamp=1000, timestamp_type=0) for at in range(first, last + 1)]


def sought(consumer: RunConsumer, offset: int = 0, committed: int | None = None) -> None:
    """As after a seek of partition 0."""
    consumer._expected[P0] = offset
    consumer._just_sought.add(P0)
    consumer._receipts.setdefault(P0, deque())
    consumer._committed_offset[P0] = committed
    consumer.flow_active = True


async def fetched(consumer: RunConsumer, found: dict[TP, list[Any]]) -> list[Any]:
    async def wait_next_records(_: float) -> Any:
        return found, set(found)

    consumer._wait_next_records = wait_next_records
    return [message async for _, message in consumer.getmany(1.0)]


def delivered(consumer: RunConsumer, *spans: tuple[int, int]) -> list[Any]:
    messages = [consumer._run_message(P0, records(*span), 0) for span in spans]
    for message in messages:
        message.refcount = 1
    return messages
