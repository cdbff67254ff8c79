"""Sends an authority's order into the reports topic, and reads back what became of it, until it is in force.

Decides when an order is in force: its record, or each copy of it, was judged `counted`, or `repeated` because the same bytes
stood there. Where somebody else was quicker (`stale`, `conflicting`) the next revision is sent, SENDINGS_MAX times at most.
What is due each time is said in `orders.py`. Sealing a statement is a function of its bytes: `unsealed` leaves it as it is.

What is lost if the process dies: nothing that a broker has acknowledged. Run again, the same order is found where it stands,
and of one about a contest the copies that are missing are sent, the same bytes.
"""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from tally_stream.domain.ledger import Verdict
from tally_stream.domain.rules import message_of
from tally_stream.kafka.client import KafkaError, StoredRecord, TopicReader, sender
from tally_stream.settings import Settings
from tally_stream.station.orders import Docket, OrderDue, OrderRefused, StationSeen
from tally_stream.wire.newest import root_seconds
from tally_stream.wire.schema.published import read_canonical_standings

SENDINGS_MAX = 8
"""Revisions that are tried. Two authorities who order at the same moment need two or three."""

AGAIN_SECONDS = 0.2
"""Waited at most before the second revision is sent, twice that before the third, and so on."""

READ_BACK_SECONDS = 60.0
PUBLISHED_SECONDS = 60.0
"""For a root that stands on the order, beside the time within which all contests' roots come round."""

NEWEST_MESSAGES = 2_000
"""Of the standings topic, from which on a root is looked for: it is sent again, if it was published before these."""

Seal = Callable[[bytes], bytes]
"""Of a statement's bytes, the record's value."""


def unsealed(statement: bytes) -> bytes:
    return statement


@dataclass(frozen=True, slots=True)
class Given:
    """An order that is in force. `sent`: partition → the offset of what was sent now, {} where all of it stood already.
    `stands_at`: partition → the offset from which on it is in force, or a newer statement is."""

    due: OrderDue
    sent: Mapping[int, int]
    stands_at: Mapping[int, int]


async def give(
    settings: Settings,
    docket: Docket,
    next_offsets: dict[int, int],
    shown: StationSeen | None,
    seal: Seal,
    say: Callable[[str], None],
) -> Given:
    """Bring the order into force, reading on at `next_offsets`. Raises OrderRefused, and KafkaError where no broker answers."""
    topic = f"{settings.prefix}.reports"
    async with TopicReader(settings, topic, is_log=True) as reader, sender(settings) as producer:
        await reader.seek(next_offsets)
        for sendings in range(SENDINGS_MAX):
            # Two who repeat in step would be in each other's way again: whoever waits less is through first.
            await asyncio.sleep(random.uniform(0, sendings * AGAIN_SECONDS))
            async for records in reader.read_to_end():
                for record in records:
                    docket.take(record)
            due = docket.due(shown)
            if not due.partitions:
                return Given(due, {}, dict(docket.stands_at))
            value = seal(due.statement) if due.value is None else due.value
            docket.refuse_unsealed(due, value, int(time.time() * 1000))
            offsets = await send_copies(producer, topic, due.partitions, docket.order.key, value, f"revision {due.revision}")
            verdicts = await read_back(reader, offsets, docket.take)
            if all(verdict.name in ("counted", "repeated") for verdict in verdicts.values()):
                return Given(due, offsets, dict(docket.stands_at))
            for verdict in verdicts.values():
                if verdict.name in ("rejected", "held"):
                    raise OrderRefused(message_of(verdict.findings[0]), verdict.findings[0].code)
            say(_overtaken(due, verdicts, docket))
    raise OrderRefused(
        f"{SENDINGS_MAX} revisions were sent and each time somebody else was quicker: ask who else gives orders about "
        f"{docket.order.station or docket.order.contest}, then run it again"
    )


async def send_copies(
    producer: Any, topic: str, partitions: Iterable[int], key: bytes, value: bytes, what: str
) -> dict[int, int]:
    """All copies at once; partition → offset. Each is awaited, whatever becomes of the others. Raises KafkaError where one is
    not acknowledged; `what` was sent is named in it."""
    sent = {partition: await producer.send(topic, value, key=key, partition=partition) for partition in partitions}
    await asyncio.wait(sent.values())
    failed = [error for answer in sent.values() if (error := answer.exception()) is not None]
    if failed:
        raise KafkaError(
            f"not every partition has acknowledged {what} ({failed[0]}): run it again, it sends what lacks"
        ) from failed[0]
    return {partition: answer.result().offset for partition, answer in sent.items()}


async def read_back(
    reader: TopicReader, offsets: Mapping[int, int], take: Callable[[StoredRecord], Verdict | None]
) -> dict[int, Verdict]:
    """Partition → the verdict of our own record there, once all before it is folded: `take` folds a record."""
    found: dict[int, Verdict] = {}
    end = time.monotonic() + READ_BACK_SECONDS
    while len(found) < len(offsets):
        if time.monotonic() >= end:
            raise KafkaError(f"what was sent could not be read again within {READ_BACK_SECONDS:.0f} s: run it again")
        for record in await reader.poll():
            verdict = take(record)
            if verdict is not None and offsets.get(record.partition) == record.offset:
                found[record.partition] = verdict
    return found


def _overtaken(due: OrderDue, verdicts: Mapping[int, Verdict], docket: Docket) -> str:
    lost = [str(p) for p, verdict in sorted(verdicts.items()) if verdict.name not in ("counted", "repeated")]
    where = "" if docket.order.station is not None else f" in partition {', '.join(lost)}"
    return f"somebody else was quicker than revision {due.revision}{where}: it is sent again as the next one"


async def published_definition(settings: Settings, docket: Docket) -> str | None:
    """The digest of the newest root of the order's contest; None where none stands among the newest messages."""
    found = None
    async with TopicReader(settings, f"{settings.prefix}.standings") as reader:
        await _seek_newest(reader)
        async for records in reader.read_to_end():
            for record in records:
                root = _root_in(record, docket)
                found = found if root is None else str(root["definition"])
    return found


async def published_root(
    settings: Settings, docket: Docket, offsets: Mapping[int, int], limit_seconds: float = PUBLISHED_SECONDS
) -> dict[str, Any] | None:
    """The contest's first root that stands on all these offsets of the reports; None where none came within the limit."""
    end = time.monotonic() + limit_seconds + root_seconds(len(docket.election.contests))
    async with TopicReader(settings, f"{settings.prefix}.standings") as reader:
        await _seek_newest(reader)
        while time.monotonic() < end:
            for record in await reader.poll():
                root = _root_in(record, docket)
                if root is None or root["definition"] != docket.election.digest:
                    continue
                reached = root["provenance"]["next_offsets"]
                if all(reached.get(str(partition), 0) > offset for partition, offset in offsets.items()):
                    return root
    return None


async def _seek_newest(reader: TopicReader) -> None:
    bounds = await reader.bounds()
    await reader.seek({p: max(start, last - NEWEST_MESSAGES) for p, (start, last) in bounds.items()})


def _root_in(record: StoredRecord, docket: Docket) -> dict[str, Any] | None:
    """The order's contest's root, if it is one that a worker publishes: whoever may write to the topic may write anything."""
    if record.key != f"{docket.order.contest}|{docket.election.root}".encode() or record.value is None:
        return None
    try:
        read_canonical_standings(record.value)
    except ValueError:
        return None
    root: dict[str, Any] = json.loads(record.value)
    return root
