"""Who reads what, in a group on a real Apache Kafka: each change of the group is one rebalance, and the shares are even
after it. The topics are those of a worker: one with the load, and one of a single partition beside it."""
# ruff: noqa: SLF001  (the client's generation is said nowhere else)

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from typing import Any

import aiokafka
import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.coordinator.assignors.sticky.sticky_assignor import StickyPartitionAssignor

from tests.stream.members import Member
from tests.support.waiting import until

pytestmark = pytest.mark.kafka


class Group:
    """Two topics and the members that read them."""

    def __init__(self, bootstrap: str, name: str) -> None:
        self.bootstrap = bootstrap
        self.load, self.single = f"{name}-reports", f"{name}-partials"
        self.name = f"group-{self.load}"
        self.members: dict[str, Member] = {}

    async def start(self, name: str, *, is_static: bool = True) -> Member:
        instance_id = name if is_static else None
        self.members[name] = Member(self.bootstrap, self.load, instance_id=instance_id, beside=(self.single,))
        return await self.members[name].start()

    async def stop(self, name: str) -> None:
        await self.members.pop(name).stop()

    def has(self, name: str) -> set[int]:
        """Partitions of the load."""
        return {partition for topic, partition in self.members[name].folds.assigned if topic == self.load}

    def sizes(self) -> list[int]:
        return sorted(len(self.has(name)) for name in self.members)

    def generation(self) -> int:
        """The newest that a member knows."""
        consumers = [member.app.consumer._thread._consumer for member in self.members.values()]
        return max(consumer._coordinator.generation for consumer in consumers if consumer and consumer._coordinator)

    async def is_shared(self, *sizes: int) -> None:
        """Wait until the shares are these, largest last, all of the load has one owner, and the single one too."""

        def look() -> bool:
            owned = [key for member in self.members.values() for key in member.folds.assigned]
            return self.sizes() == list(sizes) and len(owned) == len(set(owned)) == sum(sizes) + 1

        try:
            await until(look, f"shares of {sizes}")
        except AssertionError as late:
            raise AssertionError(f"{late}; they are {self.sizes()}") from late

    def who_has_the_single(self) -> str:
        (name,) = [name for name, m in self.members.items() if (self.single, 0) in m.folds.assigned]
        return name


@pytest.fixture
async def group(kafka_one: Any) -> AsyncIterator[Group]:
    made = Group(kafka_one.bootstrap, f"shares-{uuid.uuid4().hex[:10]}")
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka_one.bootstrap)
    await admin.start()
    await admin.create_topics([NewTopic(made.load, 8, 1), NewTopic(made.single, 1, 1)])
    await admin.close()
    yield made
    for name in list(made.members):
        assert made.members[name].reasons == []
        await made.stop(name)


async def test_each_that_joins_later_gets_its_share_in_one_rebalance(group: Group) -> None:
    await group.start("first")
    await group.is_shared(8)
    before, began = group.has("first"), group.generation()
    await group.start("second")
    await group.is_shared(4, 4)
    assert group.has("first") < before
    assert group.who_has_the_single() == "first", "it stays"
    before_first, before_second = group.has("first"), group.has("second")
    await group.start("third")
    await group.is_shared(2, 3, 3)
    assert group.generation() == began + 2, "a join is one rebalance"
    assert group.has("first") < before_first
    assert group.has("second") < before_second
    assert len(group.has("third")) == 2, "with three for it one more would have moved"


async def test_where_one_leaves_the_others_keep_what_they_had(group: Group) -> None:
    for name in ("first", "second", "third"):
        await group.start(name, is_static=False)
    await group.is_shared(2, 3, 3)
    before = {name: group.has(name) for name in group.members}
    await group.stop("first")
    await group.is_shared(4, 4)
    for name in group.members:
        assert group.has(name) > before[name]


@pytest.mark.parametrize("name", ["first", "second"])
async def test_a_restarted_static_member_knows_what_it_has(group: Group, name: str) -> None:
    """The first leads the group. The broker gives either what it had and begins no rebalance, so it must remember that for
    the next one: who claims nothing would lose all of it."""
    await group.start("first")
    await group.is_shared(8)
    await group.start("second")
    await group.is_shared(4, 4)
    before, generation = {each: group.has(each) for each in group.members}, group.generation()
    await group.stop(name)
    await group.start(name)
    await group.is_shared(4, 4)
    assert {each: group.has(each) for each in group.members} == before
    assert group.generation() == generation, "no rebalance"
    await group.start("third")
    await group.is_shared(2, 3, 3)
    assert group.generation() == generation + 1
    for each, had in before.items():
        assert group.has(each) < had, f"{each} keeps what it need not give"


async def test_a_worker_joins_a_group_that_an_older_one_leads(group: Group) -> None:
    """In an upgrade one by one. The older leads until it leaves; what it plans need not be even, but is whole."""
    older = aiokafka.AIOKafkaConsumer(
        group.load, group.single, bootstrap_servers=group.bootstrap, group_id=group.name, heartbeat_interval_ms=500,
        partition_assignment_strategy=[type("Own", (StickyPartitionAssignor,), {})],
    )  # fmt: skip
    await older.start()
    await until(lambda: len(older.assignment()) == 9, "all for the older one")
    await group.start("newer")

    def is_shared() -> bool:
        ours = group.members["newer"].folds.assigned
        theirs = {(tp.topic, tp.partition) for tp in older.assignment()}
        return bool(ours) and len(ours) + len(theirs) == len(ours | theirs) == 9

    await until(is_shared, "a share for each")
    await older.stop()
    await group.is_shared(8)
    await group.start("next")
    await group.is_shared(4, 4)
