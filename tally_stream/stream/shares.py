"""Decides which member of the group reads which partition, and how a member says what it had before.

A pure function, that of the group's leader: no Kafka, no Faust, no memory. It plans each topic for itself, because a
partition of reports is work and the one partition of partials is not the same work: a plan that evened out the sum gave
one worker 3 partitions of reports and another 1 with the partials, for good (5 and 3 of 8; 2, 2 and 0 of 4).

Of a plan holds, in this order:

1. Every partition has one owner among the members subscribed to its topic.
2. The shares of a topic differ by at most one.
3. No plan with 1 and 2 moves fewer partitions away from the members that claim them.
4. Where the shares of a topic cannot be equal, a smaller one is for who has more to do otherwise, so for the member with
   the partials. No partition moves for that.
5. The same members, claims and partitions give the same plan, in whatever order they come.

It refuses to know how a plan reaches the members. Read next: `InformedAssignor` in `faust/membership.py`, which asks for it.
"""

from __future__ import annotations

import struct
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice

from tally_stream.stream.runs import TopicPartition

Plan = dict[str, dict[str, list[int]]]
"""Member → topic → its partitions, in order; a topic it has nothing of is not named."""

NO_GENERATION = -1
"""Of a member that was never given anything."""

USER_DATA_BYTES_MAX = 256 * 1024
"""Of what a member says it had: room for 65,000 partitions. More is not read."""


@dataclass(frozen=True)
class Member:
    """What the leader knows of a member: what it reads, and what it was given in which generation of the group."""

    topics: Collection[str]
    claims: Collection[TopicPartition] = ()
    generation: int = NO_GENERATION


def plan_shares(partitions: Mapping[str, Collection[int]], members: Mapping[str, Member]) -> Plan:
    """Who reads what. `partitions` has those of each topic; a topic that nobody reads is in no plan.

    Of two members that claim a partition the one with the newer generation has it; of two with the same one, the first by
    name. Claims of what is not there, or not read by who claims it, count for nothing.
    """
    there = {topic: frozenset(numbers) for topic, numbers in partitions.items()}
    claimed = _claimed(there, members)
    work: Counter[str] = Counter()
    for by_member in claimed.values():
        work.update({member: len(kept) for member, kept in by_member.items()})
    plan: Plan = {member: {} for member in members}
    # The topic with most partitions comes first, so that a single one goes where its shares have left least.
    for topic in sorted(there, key=lambda topic: (-len(there[topic]), topic)):
        readers = {member: claimed[topic][member] for member in sorted(members) if topic in members[member].topics}
        for member, kept in readers.items():
            work[member] -= len(kept)  # from here on: what is planned before this topic and claimed after it
        for member, share in _shares(there[topic], readers, work).items():
            work[member] += len(share)
            if share:
                plan[member][topic] = share
    return plan


def _claimed(there: Mapping[str, frozenset[int]], members: Mapping[str, Member]) -> Mapping[str, Mapping[str, list[int]]]:
    """Topic → member → the partitions whose newest claim it has, in order."""
    newest: dict[TopicPartition, tuple[int, str]] = {}
    for name, member in sorted(members.items()):
        for topic, partition in set(member.claims):
            if topic in member.topics and partition in there.get(topic, ()):
                other = newest.get((topic, partition))
                if other is None or member.generation > other[0]:
                    newest[topic, partition] = member.generation, name
    claimed: defaultdict[str, defaultdict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
    for (topic, partition), (_, name) in sorted(newest.items()):
        claimed[topic][name].append(partition)
    return claimed


def _shares(partitions: frozenset[int], readers: Mapping[str, list[int]], work: Mapping[str, int]) -> Mapping[str, list[int]]:
    """One topic's partitions among its readers, of whom each keeps what it holds up to its share."""
    if not readers:
        return {}
    least, larger_count = divmod(len(partitions), len(readers))
    # A larger share saves a move where a member holds more than the smaller one; the rest go to who has least to do.
    order = sorted(readers, key=lambda member: (len(readers[member]) <= least, work[member], member))
    sizes = {member: least + (place < larger_count) for place, member in enumerate(order)}
    shares = {member: kept[: sizes[member]] for member, kept in readers.items()}
    free: Iterator[int] = iter(sorted(partitions.difference(*shares.values())))
    return {member: sorted([*share, *islice(free, sizes[member] - len(share))]) for member, share in sorted(shares.items())}


# --- what a member says it had ------------------------------------------------------------------------------------
# The bytes are those of the sticky protocol of Kafka's clients, which older versions of a worker also read and write: an
# array of (topic, array of partitions), then the generation; numbers of 4 bytes, a topic's length of 2.


def encode_claims(claims: Iterable[TopicPartition], generation: int) -> bytes:
    """What a member had, for the leader of the next generation."""
    by_topic: defaultdict[str, list[int]] = defaultdict(list)
    for topic, partition in sorted(claims):
        by_topic[topic].append(partition)
    parts = [struct.pack(">i", len(by_topic))]
    for topic, partitions in by_topic.items():
        name = topic.encode()
        parts.append(struct.pack(f">h{len(name)}si{len(partitions)}i", len(name), name, len(partitions), *partitions))
    return b"".join([*parts, struct.pack(">i", generation)])


def decode_claims(user_data: bytes | None) -> tuple[list[TopicPartition], int]:
    """What a member had and when; nothing, where that is not said or cannot be read. Never raises: any member of the
    group may have written it, and a plan is needed all the same."""
    nothing: tuple[list[TopicPartition], int] = [], NO_GENERATION
    if not user_data or len(user_data) > USER_DATA_BYTES_MAX:
        return nothing
    claims: list[TopicPartition] = []
    at = 4
    try:
        (topic_count,) = struct.unpack_from(">i", user_data)
        for _ in range(_count(topic_count)):
            (length,) = struct.unpack_from(">h", user_data, at)
            name, count = struct.unpack_from(f">{_count(length)}si", user_data, at + 2)
            topic = name.decode()
            at += 2 + length + 4
            claims += [(topic, partition) for partition in struct.unpack_from(f">{_count(count)}i", user_data, at)]
            at += 4 * count
        (generation,) = struct.unpack_from(">i", user_data, at)
    except (struct.error, ValueError):
        return nothing
    return claims, generation


def _count(number: int) -> int:
    if number < 0:
        raise ValueError(f"a count of {number}")
    return number
