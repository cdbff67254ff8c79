"""What is watched while a worker runs: partitions that were added, positions that hang, standings as others publish them.

Decides what ends a running worker although neither stage failed: the reports topic has another number of partitions, or a
position stands still with work for it and brokers that answer (`watchdog.py` judges that). Refuses to decide about an outage:
where brokers do not answer, the group's own watch does (`faust/client.py`). `worker.py` begins and ends the watches; one that
fails ends the worker.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from time import monotonic
from typing import Any

from tally_stream.kafka.client import TopicReader
from tally_stream.kafka.lost import lost_at_ends
from tally_stream.kafka.rights import is_missing_right
from tally_stream.kafka.topics import Topics
from tally_stream.settings import Settings
from tally_stream.stream.counting import Counting
from tally_stream.stream.faust.transport import RunTransport
from tally_stream.stream.merging import Merging
from tally_stream.stream.publishing import SendingFailed
from tally_stream.stream.runs import TopicPartition
from tally_stream.stream.watchdog import Watchdog, Watched

PARTITION_COUNT_LOOK_SECONDS = 5.0

FOLLOW_SECONDS = 0.2
"""Between two looks at the standings as published: mostly our own, and a look for each would cost a tenth of a core."""

STALL_SECONDS = 30.0
"""How long a position may stand still with work for it and brokers that answer; longer is a hang."""

STALL_LOOK_SECONDS = 2.0
LOG_ENDS_ANSWER_SECONDS = 5.0
"""For the brokers to tell where the logs end; longer is an outage, and nothing is judged."""

Fail = Callable[[str], object]
"""What ends the worker, with a sentence."""


async def watch_partition_count(count: Callable[[], Awaitable[int]], topic: str, due: int, fail: Fail) -> None:
    """A partition added to the reports topic would move stations: the process ends, naming both counts."""
    while True:
        try:
            counted = await count()
        except Exception as error:
            if is_missing_right(error):
                fail(f"reading {topic} failed: {error!r}")
            # A broker that is away is no reason to end: the group's watch decides.
            logging.getLogger(__name__).info("partition count not read: %s", error)
        else:
            if counted != due:
                fail(f"{topic} now has {counted} partitions, it had {due}")
        await asyncio.sleep(PARTITION_COUNT_LOOK_SECONDS)


async def count_partitions(producer: Any, topic: str) -> int:
    """The topic's partitions, as the brokers say it now. `producer` is aiokafka's."""
    await producer.client.force_metadata_update()
    return len(await producer.partitions_for(topic))


class ProgressWatch:
    """Ends a worker that hangs: faust-streaming#523 and aiokafka#1154 look alive and read nothing."""

    def __init__(self, topics: Topics, counting: Counting, merging: Merging, transport: RunTransport) -> None:
        self._topics = topics
        self._counting = counting
        self._merging = merging
        self._transport = transport

    async def run(self, has_joined: Callable[[], bool], fail: Fail) -> None:
        watchdog = Watchdog(STALL_SECONDS)
        ends: asyncio.Task[dict[TopicPartition, Any]] | None = None
        while True:
            await asyncio.sleep(STALL_LOOK_SECONDS)
            if not has_joined() or self._transport.is_rebalancing():
                watchdog.forget()
                continue
            if ends is None:  # one at a time: a question that hangs must not be asked again and again
                ends = asyncio.create_task(self._transport.log_bounds(), name="log ends")
            await asyncio.wait({ends}, timeout=LOG_ENDS_ANSWER_SECONDS)
            if not ends.done():
                watchdog.forget()  # an outage; the group's watch decides
                continue
            asked, ends = ends, None
            if asked.cancelled() or asked.exception() is not None:
                watchdog.forget()
                continue
            complaint = watchdog.look(monotonic(), self.watched({k: b.log_end for k, b in asked.result().items()}))
            if complaint is not None:
                fail(complaint)

    def watched(self, ends: dict[TopicPartition, int]) -> dict[str, Watched]:
        """Every position that may hang: reading, publishing and committing of each partition, and the merging."""
        watched = {}
        for number, p in self._counting.partitions.items():
            position, end = p.fold.next_offset, ends.get((self._topics.reports, number), 0)
            watched[f"reading {number}"] = Watched(
                position, position < end, f"partition {number} is read to offset {position}, its log ends at {end}: no progress"
            )
            watched[f"publishing {number}"] = Watched(
                p.flushed_offset, bool(p.events) and not p.is_replaying,
                f"partition {number} is counted to offset {position}, its newest mark is at {p.flushed_offset}: no progress",
            )  # fmt: skip
        debts = self._transport.commit_debts()
        for (topic, number), (committed, done) in debts.items():
            watched[f"committing {topic} {number}"] = Watched(
                committed, True, f"{topic}[{number}] is committed to offset {committed}, acknowledged to {done}: no commit"
            )
        position, end = self._merging.next_offset() or 0, ends.get((self._topics.partials, 0), 0)
        watched["merging"] = Watched(
            position, self._merging.is_owner and position < end,
            f"{self._topics.partials} is read to offset {position} and ends at {end}: no progress",
        )  # fmt: skip
        return watched


async def follow_standings(settings: Settings, topic: str, merging: Merging, fail: Fail) -> None:
    """Show stage 2 the standings as they stand on the topic, ours and others': first all there is, then what comes."""
    try:
        async with TopicReader(settings, topic) as reader:
            async for records in reader.read_to_end():
                await merging.see(records, is_end=False)
            await merging.see([], is_end=True)
            while True:
                records = await reader.poll()
                if records:
                    await merging.see(records, is_end=True)
                    await asyncio.sleep(FOLLOW_SECONDS)
    except asyncio.CancelledError:
        raise
    except SendingFailed as error:
        fail(f"publishing standings failed: {error}")
    except BaseException as error:
        fail(f"reading {topic} failed: {error or type(error).__name__}")


async def check_marks(settings: Settings, topics: Topics, merging: Merging, fail: Fail) -> None:
    """Once an owner of stage 2 has read what stood on the topics: whether the report log has all that pages and marks stand on,
    in every partition, whoever counts it. Before that nothing is published: it could stand on reports that are gone. The ends
    are asked for after the marks were read: logs only grow."""
    try:
        while not merging.is_caught_up:  # noqa: ASYNC110 (two topics are read for it)
            await asyncio.sleep(FOLLOW_SECONDS)
        marked = merging.highest_offsets()
        async with TopicReader(settings, topics.reports) as reader:
            bounds = await reader.bounds()
        lost = [
            sentence
            for partition, (start, end) in sorted(bounds.items())
            for sentence in lost_at_ends(partition, start, end, marked.get(partition, 0), "the partials stand on them")
        ]
    except asyncio.CancelledError:
        raise
    except BaseException as error:
        fail(f"reading {topics.reports} failed: {error or type(error).__name__}")
    else:
        if lost:
            fail("; ".join(lost))
        else:
            merging.note_log_is_whole()
