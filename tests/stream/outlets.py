"""Stage 1 over one partition, a broker that answers when the test says so, records as a fetch gives them, and the election
of the tests of `wire/`."""

import asyncio
import json
from collections.abc import Iterable
from itertools import islice
from typing import Any, NamedTuple

from tally_stream.domain.election import Election
from tally_stream.domain.fold import PartitionFold
from tally_stream.domain.pages import Mark, Page
from tally_stream.kafka.topics import Topics
from tally_stream.stream.counting import Counting
from tally_stream.stream.runs import RecordRun
from tally_stream.wire.pages import PageWriter
from tally_stream.wire.reading import ReportReader
from tally_stream.wire.run import read_run
from tests.support.report_messages import ELECTION, LOG_MS, Json, as_bytes, control, counts, key_of

__all__ = [
    "DEADLINE_SECONDS",
    "ELECTION",
    "HELD",
    "TOPICS",
    "Event",
    "Flushing",
    "HeldOutlet",
    "OnePartition",
    "Record",
    "Stored",
    "Told",
    "falling",
    "flushed",
    "hold",
    "recounted",
    "release",
    "report",
    "run_of",
    "settle",
    "stored",
    "unknown",
]

TOPICS = Topics("t")
DEADLINE_SECONDS = 5.0


class Record:
    timestamp, timestamp_type = LOG_MS, 0

    def __init__(self, offset: int, message: Json) -> None:
        self.offset, self.key, self.value = offset, key_of(message), as_bytes(message)


def run_of(*records: Record, partition: int = 0, after_seek: bool = False) -> RecordRun:
    return RecordRun(partition, list(records), after_seek)


class Told(NamedTuple):
    """A page or mark, and the record that says it."""

    sent: Page | Mark
    key: bytes
    value: bytes


class Flushing:
    """What a worker sends of one partition: `flush` takes records and gives the pages that they changed, then the mark."""

    def __init__(self, partition: int = 0, partition_count: int = 1, of: Election = ELECTION) -> None:
        self.fold = PartitionFold(of, partition, partition_count)
        self._reader, self._writer = ReportReader(of), PageWriter(of, partition_count)

    def flush(self, *records: Record) -> list[Told]:
        read_run(self._reader, self.fold, list(records))
        pages, mark = self.fold.take_flush()
        return [*(Told(page, *self._writer.page(page)) for page in pages), Told(mark, *self._writer.mark(mark))]


def flushed(*records: Record, partition: int = 0, partition_count: int = 1, of: Election = ELECTION) -> list[Told]:
    """The first flush of a partition after these records."""
    return Flushing(partition, partition_count, of).flush(*records)


class Stored:
    """A record of the partials topic as a fetch gives it."""

    def __init__(self, offset: int, key: bytes, value: bytes) -> None:
        self.offset, self.key, self.value = offset, key, value


def stored(*told: Told, begin: int = 0) -> list[Stored]:
    return [Stored(begin + i, one.key, one.value) for i, one in enumerate(told)]


class Event:
    is_acked = False

    def ack(self) -> None:
        self.is_acked = True


class HeldOutlet:
    """What was sent, in order, each with a future that the test answers; `answers` answers a topic's at once."""

    batch_records = 2
    """As many fit into a batch, whose records share the first one's future."""

    def __init__(self, *answers: str) -> None:
        self.answers = set(answers)
        self.sent: list[tuple[str, bytes, bytes, asyncio.Future[int]]] = []

    async def send(self, topic: str, key: bytes, value: bytes, partition: int) -> asyncio.Future[int]:
        future: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self.sent.append((topic, key, value, future))
        if topic in self.answers:
            future.set_result(len(self.sent))
        return future

    async def send_batch(
        self, topic: str, records: Iterable[tuple[bytes, bytes]], partition: int
    ) -> tuple[int, asyncio.Future[int]]:
        few = list(islice(records, self.batch_records))
        future = await self.send(topic, *few[0], partition)
        self.sent += [(topic, key, value, future) for key, value in few[1:]]
        return len(few), future

    def of(self, topic: str) -> list[tuple[bytes, bytes]]:
        return [(key, value) for name, key, value, _ in self.sent if name == topic]

    def answer(self, topic: str, offset: int | None = None) -> None:
        """Acknowledge what waits on this topic: each at its place among all that was sent, or from `offset` on in their
        order; below 0 the broker does not tell it."""
        waiting = [(number, one[3]) for number, one in enumerate(self.sent) if one[0] == topic and not one[3].done()]
        for at, (number, future) in enumerate(waiting):
            if not future.done():  # records of a batch share the first one's
                future.set_result(number if offset is None else offset + at if offset >= 0 else offset)

    def refuse(self, topic: str) -> None:
        """What waits on this topic has failed."""
        for name, _, _, future in self.sent:
            if name == topic and not future.done():
                future.set_exception(OSError("planted"))

    async def wait_sent(self, topic: str, count: int) -> None:
        async with asyncio.timeout(DEADLINE_SECONDS):
            while len(self.of(topic)) < count:  # noqa: ASYNC110
                await asyncio.sleep(0)

    def marks(self, topic: str = TOPICS.partials) -> list[int]:
        """The next offsets of the marks that were sent, in order."""
        return [json.loads(value)["next_offset"] for key, value in self.of(topic) if key.startswith(b"|")]

    async def wait_marks(self, count: int) -> None:
        """Until so many flushes have left: the mark is the last of each."""
        async with asyncio.timeout(DEADLINE_SECONDS):
            while len(self.marks()) < count:  # noqa: ASYNC110
                await asyncio.sleep(0)


class OnePartition:
    """Stage 1 over partition 0, and the reasons for which it would end the worker."""

    def __init__(self, outlet: HeldOutlet) -> None:
        self.outlet = outlet
        self.fatal: list[str] = []
        self.counting = Counting(ELECTION, TOPICS, 1, outlet, publish_interval_seconds=0.0, on_fatal=self.fatal.append)

    async def take(self, *records: Record) -> Event:
        event = Event()
        await self.counting.take(run_of(*records), event)
        return event

    def keys(self, topic: str) -> list[bytes]:
        return [key for key, _ in self.outlet.of(topic)]


async def settle() -> None:
    """Let every task run as far as it can."""
    for _ in range(50):
        await asyncio.sleep(0)


def report(offset: int, revision: int = 1, **changes: Any) -> Record:
    return Record(offset, counts(revision=revision, **changes))


def falling(offset: int, revision: int) -> Record:
    """A correction by which both candidates lose: it makes a change."""
    return report(
        offset, revision, kind="correct", replaces=revision - 1, reason="r", authority="a",
        votes={"ANNA": 40, "BELA": 36}, ballots={"cast": 80, "valid": 76, "blank": 2, "invalid": 2},
    )  # fmt: skip


def unknown(offset: int) -> Record:
    """A report of a station that the election does not have: it makes a rejection."""
    return report(offset, station="NOBODY")


def recounted(offset: int) -> Record:
    """A recount at revision `offset`, by which a candidate gains or loses one vote: it makes a change."""
    anna = 49 + offset % 2
    return report(
        offset, offset, kind="recount", replaces=offset - 1, reason="r", authority="a",
        votes={"ANNA": anna, "BELA": 46}, ballots={"cast": anna + 50, "valid": anna + 46, "blank": 2, "invalid": 2},
    )  # fmt: skip


def hold(offset: int) -> Record:
    return Record(offset, control())


def release(offset: int) -> Record:
    return Record(offset, control(revision=2, kind="release"))


HELD = [report(0), hold(1), *(recounted(offset) for offset in (2, 3, 4))]
"""A report, a hold, and three recounts behind it, each with a change of the same size."""
