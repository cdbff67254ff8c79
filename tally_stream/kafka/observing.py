"""What the brokers tell of a count that runs: who of them is there, replicas, the workers' group, how far it has committed.

Decides what is asked, and that a question which gets no answer is a sentence and hides no other answer: whoever looks at a
cluster in trouble wants to know what is left. Writes nothing. Refuses to judge; `cli/status_judged.py` does.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.coordinator.protocol import ConsumerProtocolMemberAssignment
from aiokafka.errors import for_code

from tally_stream.kafka.client import KafkaError, NoSuchTopic, StoredRecord, TopicReader, admin_client, short
from tally_stream.kafka.topics import TopicReport, Topics, check_topics
from tally_stream.settings import Settings

ANSWER_SECONDS = 5.0
"""For each question; brokers that take longer are told as such."""

AGAIN_SECONDS = 0.2

NEWEST_MESSAGES = (2_000, 200_000)
"""So many of the newest standings messages are read for roots, and then so many where a contest had none: a root is sent behind
its areas, and again every 10 s."""


@dataclass(frozen=True, slots=True)
class PartitionState:
    """`leader` −1: nobody leads it, and nothing can be written or read."""

    topic: str
    partition: int
    leader: int
    replicas: tuple[int, ...]
    in_sync: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class GroupMember:
    """A worker as its group knows it. `partitions` are those of the reports; `has_partials`: it publishes standings."""

    name: str
    host: str
    partitions: tuple[int, ...]
    has_partials: bool


@dataclass(frozen=True, slots=True)
class Group:
    """`state` in Kafka's words: Stable, PreparingRebalance, CompletingRebalance, Empty, Dead."""

    name: str
    state: str
    members: tuple[GroupMember, ...]


@dataclass(slots=True)
class Observed:
    """What was answered; `silent` has a sentence for each question that was not. Offsets are of the reports, by partition."""

    brokers: dict[int, str] = field(default_factory=dict)
    partitions: list[PartitionState] = field(default_factory=list)
    topics: TopicReport | None = None
    group: Group | None = None
    starts: dict[int, int] = field(default_factory=dict)
    ends: dict[int, int] = field(default_factory=dict)
    committed: dict[int, int] = field(default_factory=dict)
    roots: dict[str, StoredRecord] = field(default_factory=dict)
    """Contest, as its key says it → the newest root."""
    newest_ms: int | None = None
    """When the newest of all standings messages was published, in ms since 1970; None: there is none."""
    is_read_whole: bool = False
    """Whether all that stands on the standings topic was read."""
    silent: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    """The same, where the answer is that there is no such topic."""


IsRoot = Callable[[str], bool]
"""Of an area id, whether it is that of the whole."""


async def observe(settings: Settings, contests: Collection[str], is_root: IsRoot, *, is_official: bool) -> Observed:
    """Ask all at once; `contests` are those that must have a root, where that is known. Raises what the client raises where no
    broker lets us in."""
    topics, seen = Topics(settings.prefix), Observed()
    async with admin_client(settings) as admin:
        await _answered(seen, "which brokers there are", lambda: _brokers(admin, seen))

        async def judged() -> None:
            seen.topics = await check_topics(settings, is_official=is_official)

        async def grouped() -> None:
            seen.group = await _group(admin, settings.group_id, topics)
            seen.committed = await _committed(admin, settings.group_id, topics.reports)

        async def newest() -> None:
            async with TopicReader(settings, topics.standings) as reader:
                await _read_newest(reader, contests, is_root, seen)

        await asyncio.gather(
            _answered(seen, "how the topics are replicated", lambda: _partitions(admin, topics, seen)),
            _answered(seen, "how the topics are set", judged),
            _answered(seen, f"who is in the group {settings.group_id}", grouped),
            _answered(seen, f"where {topics.reports} ends", lambda: _bounds(settings, topics.reports, seen)),
            _answered(seen, f"the newest of {topics.standings}", newest),
        )
    return seen


async def _answered(seen: Observed, question: str, ask: Callable[[], Awaitable[None]]) -> None:
    """What may pass is asked again, as long as there is time: a broker that has just started has no coordinator yet."""
    error: BaseException | None = None
    silent = seen.silent
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            while True:
                try:
                    return await ask()
                except KafkaError as refused:
                    error = refused
                    silent = seen.missing if isinstance(refused, NoSuchTopic) else seen.silent
                    if not refused.retriable:
                        break
                await asyncio.sleep(AGAIN_SECONDS)
    except TimeoutError:
        pass
    except OSError as failed:
        error = failed
    why = f"within {ANSWER_SECONDS:.0f} s" if error is None else f"({short(error)})"
    silent.append(f"Kafka did not tell {question} {why}")


async def _brokers(admin: AIOKafkaAdminClient, seen: Observed) -> None:
    described = await admin.describe_cluster()
    seen.brokers = {node["node_id"]: f"{node['host']}:{node['port']}" for node in described["brokers"]}


async def _partitions(admin: AIOKafkaAdminClient, topics: Topics, seen: Observed) -> None:
    for topic in await admin.describe_topics(list(topics.all)):
        seen.partitions += [
            PartitionState(topic["topic"], one["partition"], one["leader"], tuple(one["replicas"]), tuple(one["isr"]))
            for one in topic["partitions"]
        ]
    seen.partitions.sort(key=lambda one: (one.topic, one.partition))


async def _group(admin: AIOKafkaAdminClient, name: str, topics: Topics) -> Group:
    (answer,) = await admin.describe_consumer_groups([name])
    (described,) = answer.groups
    error, _, state, _, _, members = described[:6]
    if error:
        raise for_code(error)(f"of the coordinator of {name}")
    return Group(name, state, tuple(sorted((_member(one, topics) for one in members), key=lambda m: m.name)))


def _member(described: Sequence[Any], topics: Topics) -> GroupMember:
    id, client, host, _, assignment = described[:5]
    owned: Mapping[str, Sequence[int]] = {}
    if assignment:  # none while the group is being put together
        with contextlib.suppress(ValueError, IndexError):  # of another protocol: it is no worker of ours, and has nothing
            owned = dict(ConsumerProtocolMemberAssignment.decode(assignment).assignment)
    # With static membership Kafka makes the id of the instance's name and 37 characters of its own.
    name = id[:-37] if len(id) > 37 and id[-37] == "-" else client
    return GroupMember(name, host.lstrip("/"), tuple(sorted(owned.get(topics.reports, ()))), bool(owned.get(topics.partials)))


async def _committed(admin: AIOKafkaAdminClient, group: str, reports: str) -> dict[int, int]:
    offsets = await admin.list_consumer_group_offsets(group)
    return {tp.partition: found.offset for tp, found in offsets.items() if tp.topic == reports and found.offset >= 0}


async def _bounds(settings: Settings, topic: str, seen: Observed) -> None:
    async with TopicReader(settings, topic) as reader:
        bounds = await reader.bounds()
    seen.starts = {partition: start for partition, (start, _) in bounds.items()}
    seen.ends = {partition: end for partition, (_, end) in bounds.items()}


async def _read_newest(reader: TopicReader, contests: Collection[str], is_root: IsRoot, seen: Observed) -> None:
    for most in NEWEST_MESSAGES:
        bounds = await reader.bounds()
        begins = {p: max(start, end - most) for p, (start, end) in bounds.items()}
        await reader.seek(begins)
        async for records in reader.read_to_end():
            for record in records:
                contest, _, area = (record.key or b"").decode(errors="replace").partition("|")
                seen.newest_ms = max(seen.newest_ms or 0, record.timestamp_ms)
                if area and is_root(area) and record.value is not None:
                    seen.roots[contest] = record
        seen.is_read_whole = all(begins[p] == start for p, (start, _) in bounds.items())
        if seen.is_read_whole or seen.roots.keys() >= set(contests):
            return
