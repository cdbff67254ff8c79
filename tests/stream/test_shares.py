"""Who reads what: the plan by itself, against every other plan where they can be counted; then through the assignor as
aiokafka drives it, over joins, leaves and restarts; then what a member says it had, as bytes."""

from __future__ import annotations

import itertools
import random
import struct
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from aiokafka.cluster import ClusterMetadata
from aiokafka.coordinator.assignors.sticky.sticky_assignor import StickyAssignorUserDataV1, StickyPartitionAssignor
from aiokafka.coordinator.protocol import ConsumerProtocolMemberAssignment, ConsumerProtocolMemberMetadata
from aiokafka.protocol.metadata import MetadataResponse_v1
from hypothesis import given
from hypothesis import strategies as st

from tally_stream.stream.faust.membership import InformedAssignor
from tally_stream.stream.runs import TopicPartition
from tally_stream.stream.shares import (
    NO_GENERATION,
    USER_DATA_BYTES_MAX,
    Member,
    Plan,
    decode_claims,
    encode_claims,
    plan_shares,
)

REPORTS, PARTIALS = "t.reports", "t.partials"
BOTH = (REPORTS, PARTIALS)


def share(plan: Plan, member: str, topic: str = REPORTS) -> list[int]:
    return plan[member].get(topic, [])


def sizes(plan: Plan, topic: str = REPORTS) -> list[int]:
    return [len(share(plan, member, topic)) for member in plan]


def owners(plan: Plan) -> dict[TopicPartition, str]:
    found: dict[TopicPartition, str] = {}
    for member, topics in plan.items():
        for topic, partitions in topics.items():
            for partition in partitions:
                assert found.setdefault((topic, partition), member) == member, "a partition with two owners"
    return found


def holders(partitions: Mapping[str, Sequence[int]], members: Mapping[str, Member]) -> dict[TopicPartition, str]:
    """Who may keep what: of those that claim it, who has the newest generation, then the first name."""
    found: dict[TopicPartition, str] = {}
    for topic, numbers in partitions.items():
        for partition in numbers:
            claiming = [
                (-m.generation, name) for name, m in members.items() if topic in m.topics and (topic, partition) in m.claims
            ]
            if claiming:
                found[topic, partition] = min(claiming)[1]
    return found


def kept_at_most(partition_count: int, held: Sequence[int]) -> int:
    """How many partitions of a topic can stay where shares differ by at most one; `held` has a number for each reader."""
    least, larger = divmod(partition_count, len(held))
    return sum(min(h, least) for h in held) + min(larger, sum(h > least for h in held))


def check(partitions: Mapping[str, Sequence[int]], members: Mapping[str, Member], plan: Plan) -> None:
    """The promises of `shares.py` that hold for any input."""
    assert plan.keys() == members.keys()
    read = {topic for m in members.values() for topic in m.topics}
    owner, holder = owners(plan), holders(partitions, members)
    assert owner.keys() == {(topic, p) for topic, numbers in partitions.items() if topic in read for p in numbers}
    for topic, numbers in partitions.items():
        readers = [name for name, m in members.items() if topic in m.topics]
        assert all(topic in members[name].topics for name in members if topic in plan[name])
        if readers:
            found = [len(share(plan, name, topic)) for name in readers]
            assert max(found) - min(found) <= 1, f"{topic}: {found}"
            held = [sum(holder.get((topic, p)) == name for p in numbers) for name in readers]
            kept = sum(holder.get((topic, p)) == owner[topic, p] for p in numbers)
            assert kept == kept_at_most(len(numbers), held), f"{topic}: {kept} stayed"


# --- the plan -------------------------------------------------------------------------------------

NAMES = st.sampled_from("abcdefgh")


@st.composite
def groups(
    draw: st.DrawFn, most: int = 64, members_most: int = 8, *, mixed: bool = True
) -> tuple[dict[str, list[int]], dict[str, Member]]:
    """A group at a join, with claims that overlap, are old, or are of what is not there."""
    count = draw(st.integers(1, most))
    partitions = {REPORTS: list(range(count)), PARTIALS: [0]}
    names = draw(st.lists(NAMES, min_size=1, max_size=members_most, unique=True))
    chance = random.Random(draw(st.integers(0, 2**32)))
    members = {}
    for name in names:
        claims = {(REPORTS, p) for p in range(count + 2) if chance.random() < chance.choice((0, 0.2, 0.5, 1))}
        claims |= {(PARTIALS, p) for p in range(2) if chance.random() < 0.3} | (
            {("gone", 0)} if chance.random() < 0.2 else set()
        )
        topics = chance.choice((BOTH, (REPORTS,), (PARTIALS,), ())) if mixed and chance.random() < 0.2 else BOTH
        members[name] = Member(topics, claims, chance.choice((NO_GENERATION, 1, 2)))
    return partitions, members


@given(groups())
def test_every_partition_has_one_owner_shares_are_even_and_as_few_move_as_can(group: Any) -> None:
    partitions, members = group
    check(partitions, members, plan_shares(partitions, members))


@given(groups(), st.randoms(use_true_random=False))
def test_the_order_of_members_claims_and_partitions_is_nothing(group: Any, chance: random.Random) -> None:
    partitions, members = group

    def mixed(items: Any) -> list[Any]:
        return chance.sample(list(items), len(items))

    other = {name: Member(mixed(m.topics), mixed(m.claims) * 2, m.generation) for name, m in mixed(members.items())}
    assert plan_shares({t: mixed(ps) for t, ps in mixed(partitions.items())}, other) == plan_shares(partitions, members)


@given(groups(most=5, members_most=3, mixed=False))
def test_no_even_plan_moves_less_or_gives_less_to_who_has_the_partials(group: Any) -> None:
    """Every even plan there is, counted: the fewest partitions moved, then the smallest share beside the partials."""
    partitions, members = group
    holder = holders(partitions, members)
    keys = [(topic, p) for topic, numbers in partitions.items() for p in numbers]
    least, larger = divmod(len(partitions[REPORTS]), len(members))

    def cost(owner: Mapping[TopicPartition, str]) -> tuple[int, int]:
        moved = sum(owner[key] != name for key, name in holder.items())
        return moved, sum(t == REPORTS and name == owner[PARTIALS, 0] for (t, _), name in owner.items())

    def is_even(chosen: Sequence[str]) -> bool:
        found = Counter(chosen[:-1])  # the last is who has the partials
        return sorted(found[name] for name in members) == sorted([least + 1] * larger + [least] * (len(members) - larger))

    every = [dict(zip(keys, c, strict=True)) for c in itertools.product(members, repeat=len(keys)) if is_even(c)]
    assert cost(owners(plan_shares(partitions, members))) == min(map(cost, every))


def test_a_plan_for_nobody_and_for_a_topic_that_nobody_reads() -> None:
    assert plan_shares({REPORTS: [0]}, {}) == {}
    assert plan_shares({REPORTS: [0]}, {"a": Member(())}) == {"a": {}}


def test_the_partials_stay_and_the_larger_share_is_for_another() -> None:
    had = {"a": Member(BOTH, [(REPORTS, p) for p in range(5)] + [(PARTIALS, 0)], 1), "b": Member(BOTH)}
    plan = plan_shares({REPORTS: range(5), PARTIALS: [0]}, had)
    assert (sizes(plan), sizes(plan, PARTIALS)) == ([3, 2], [1, 0]), "nothing more moves for it"
    had["c"] = Member(BOTH)
    plan = plan_shares({REPORTS: range(8), PARTIALS: [0]}, had)
    assert (sizes(plan), sizes(plan, PARTIALS)) == ([3, 3, 2], [1, 0, 0])
    plan = plan_shares({REPORTS: range(8), PARTIALS: [0]}, dict.fromkeys("abc", Member(BOTH)))
    assert (sizes(plan), sizes(plan, PARTIALS)) == ([3, 3, 2], [0, 0, 1])


def test_who_thaws_with_an_older_claim_does_not_win_it_back() -> None:
    claims = [(REPORTS, 0), (REPORTS, 1)]
    plan = plan_shares({REPORTS: range(4)}, {"a": Member(BOTH, claims, 1), "b": Member(BOTH, claims, 2)})
    assert plan == {"a": {REPORTS: [2, 3]}, "b": {REPORTS: [0, 1]}}


# --- through the assignor, as aiokafka drives it --------------------------------------------------


def cluster(**counts: int) -> ClusterMetadata:
    found = ClusterMetadata()
    topics = [(0, f"t.{name}", False, [(0, p, 0, [0], [0]) for p in range(n)]) for name, n in counts.items()]
    found.update_metadata(MetadataResponse_v1([(0, "host", 1, None)], 0, topics))
    return found


class Worker:
    """A member of the group."""

    def __init__(self, assignor: Any = None, topics: Sequence[str] = BOTH) -> None:
        self.assignor = assignor or InformedAssignor()
        self.topics = topics
        self.memory = Member(topics)
        """What it was told that it has, beside what the assignor keeps of it."""

    def told(self, generation: int, share: bytes) -> None:
        assignment = ConsumerProtocolMemberAssignment.decode(share)
        if isinstance(self.assignor, InformedAssignor):
            self.assignor.on_generation(generation)
        else:
            self.assignor.on_generation_assignment(generation)
        self.assignor.on_assignment(assignment)
        self.memory = Member(self.topics, {(topic, p) for topic, p in assignment.partitions()}, generation)


class Group:
    """What a broker does: gather what members say, hand it to the leader, hand its plan out and keep it."""

    def __init__(self, reports: int) -> None:
        self.cluster = cluster(reports=reports, partials=1)
        self.workers: dict[str, Worker] = {}
        self.plan: dict[str, bytes] = {}
        self.generation = 0

    def rebalance(self, leader: str | None = None, deaf: frozenset[str] = frozenset()) -> Plan:
        """`deaf`: members whose answer is lost, because the next rebalance begins before they ask for it."""
        self.generation += 1
        said = {
            name: ConsumerProtocolMemberMetadata.decode(w.assignor.metadata(w.topics).encode())
            for name, w in self.workers.items()
        }
        planned = self.workers[leader or next(iter(self.workers))].assignor.assign(self.cluster, said)
        self.plan = {name: found.encode() for name, found in planned.items()}
        for name in self.workers.keys() - deaf:
            self.workers[name].told(self.generation, self.plan[name])
        return {name: dict(ConsumerProtocolMemberAssignment.decode(found).assignment) for name, found in self.plan.items()}

    def join(self, name: str, **settings: Any) -> Plan:
        self.workers[name] = Worker(**settings)
        return self.rebalance()

    def restart(self, name: str) -> None:
        """Of a static member: the broker gives it what it had, and no rebalance begins. It remembers nothing itself."""
        self.workers[name] = Worker()
        self.workers[name].told(self.generation, self.plan[name])


@pytest.mark.parametrize("topics", [(REPORTS, PARTIALS), (PARTIALS, REPORTS)])
@pytest.mark.parametrize(
    ("partitions", "expected"),
    [(4, [[4], [2, 2], [1, 2, 1]]), (8, [[8], [4, 4], [3, 3, 2]])],
)
def test_a_worker_that_joins_later_gets_its_share(topics: Sequence[str], partitions: int, expected: Any) -> None:
    """aiokafka's plan: 3 and 1 with the partials; 5 and 3; 2, 2 and none. It took members whose two topics came in another
    order (a set's, in each process another) for members that read other topics, and moved the partials first."""
    group = Group(partitions)
    found = [sorted(sizes(group.join("a"))), sizes(group.join("b", topics=topics)), sizes(group.join("c", topics=topics))]
    assert [sorted(f) for f in found] == [sorted(e) for e in expected]
    assert sizes(group.rebalance()) == found[-1], "another rebalance moves nothing"


STEPS = st.tuples(
    st.sampled_from(("join", "join", "leave", "restart", "return", "rebalance", "deaf")), st.integers(0, 7), st.integers(0, 7)
)


@given(st.integers(1, 64), st.lists(STEPS, max_size=20))
def test_over_joins_leaves_and_restarts_shares_are_even_and_nothing_moves_that_need_not(count: int, steps: Any) -> None:
    group, names = Group(count), itertools.count()
    for step, which, leading in steps:
        present = list(group.workers)
        chosen = present[which % len(present)] if present else ""
        if not chosen or (step == "join" and len(present) < 8):
            name = f"m{next(names) * 37 % 100:02}"  # the order of names is not that of arrival
            group.workers[name] = Worker(topics=BOTH if which % 2 else BOTH[::-1])
        elif step == "restart" and chosen in group.plan:
            group.restart(chosen)
            continue
        elif step in ("leave", "return"):
            del group.workers[chosen]
            if step == "return":  # under another name and with no memory
                name = f"r{next(names)}"
                group.workers[name] = Worker()
        if group.workers:
            memories = {name: worker.memory for name, worker in group.workers.items()}
            leader = list(group.workers)[leading % len(group.workers)]
            plan = group.rebalance(leader, frozenset(list(group.workers)[which::2]) if step == "deaf" else frozenset())
            check({REPORTS: range(count), PARTIALS: [0]}, memories, plan)
            had, has = holders({PARTIALS: [0]}, memories), owners(plan)
            assert has.items() >= had.items(), "the partials stay with a living member"


def older() -> Any:
    return type("Own", (StickyPartitionAssignor,), {})


@pytest.mark.parametrize("leader", ["old", "new"])
def test_an_older_worker_and_this_one_read_each_other(leader: str) -> None:
    group = Group(8)
    group.join("old", assignor=older())
    group.workers["new"] = Worker()
    plan = group.rebalance(leader)
    assert len(owners(plan)) == 9
    for _ in range(2):
        assert owners(group.rebalance(leader)) == owners(plan), "what each says it had is understood"
    if leader == "new":
        assert sizes(plan) == [4, 4]
    del group.workers["old"]
    assert sizes(group.rebalance()) == [8]


@pytest.mark.parametrize("user_data", [b"", None, b"\xff", b"\x7f\xff\xff\xff", b"\x00" * 7, struct.pack(">i", -1) * 9])
@pytest.mark.parametrize("subscription", [None, list(BOTH), [REPORTS, REPORTS]])
def test_whatever_another_member_says_there_is_a_plan(user_data: bytes | None, subscription: Any) -> None:
    said = {"a": InformedAssignor().metadata(BOTH), "b": ConsumerProtocolMemberMetadata(7, subscription, user_data)}
    planned = InformedAssignor().assign(cluster(reports=8, partials=1), said)
    assert len({tp for one in planned.values() for tp in one.partitions()}) == 9


# --- what a member says it had --------------------------------------------------------------------

CLAIMS = st.sets(st.tuples(st.text(st.characters(codec="utf-8"), max_size=8), st.integers(0, 2**31 - 1)))
GENERATIONS = st.integers(-1, 2**31 - 1)


@given(CLAIMS, GENERATIONS)
def test_what_is_said_is_what_is_read(claims: set[TopicPartition], generation: int) -> None:
    said = encode_claims(claims, generation)
    found, of = decode_claims(said)
    assert (set(found), of) == (claims, generation)
    assert len(found) == len(claims)
    theirs = StickyAssignorUserDataV1.decode(said)
    assert {(topic, p) for topic, numbers in theirs.previous_assignment for p in numbers} == claims
    assert theirs.generation == generation
    assert theirs.encode() == said


@given(CLAIMS, GENERATIONS, st.data())
def test_what_is_cut_short_says_nothing(claims: set[TopicPartition], generation: int, data: st.DataObject) -> None:
    said = encode_claims(claims, generation)
    assert decode_claims(said[: data.draw(st.integers(0, len(said) - 1))]) == ([], NO_GENERATION)


@given(st.binary(max_size=64) | st.lists(st.sampled_from((-(2**31), -1, 0, 1, 2, 2**31 - 1))).map(
    lambda numbers: struct.pack(f">{len(numbers)}i", *numbers)))  # fmt: skip
def test_no_bytes_are_an_error(user_data: bytes) -> None:
    decode_claims(user_data)


def test_the_most_that_is_read() -> None:
    room = (USER_DATA_BYTES_MAX - len(encode_claims([("t", 0)], 1))) // 4
    said = encode_claims([("t", p) for p in range(room + 1)], 1)
    said += bytes(USER_DATA_BYTES_MAX - len(said))
    assert len(decode_claims(said)[0]) == room + 1
    assert decode_claims(said + b"\x00") == ([], NO_GENERATION)
