"""One real request for each operation on each resource that Kafka knows rules for: what the broker's authorizer says of it.

Each changes nothing where it is allowed: it is only validated, or asks for what is not there. So a probe can be put by a
super user too, and one that is refused to him, or allowed to a stranger, is a broken probe.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import asynccontextmanager
from typing import Any, ClassVar

from aiokafka.client import AIOKafkaClient
from aiokafka.protocol.admin import (
    AlterConfigsRequest,
    CreateAclsRequest,
    CreatePartitionsRequest,
    CreateTopicsRequest,
    DeleteGroupsRequest,
    DeleteRecordsRequest,
    DescribeAclsRequest,
    DescribeConfigsRequest,
    DescribeGroupsRequest,
)
from aiokafka.protocol.api import Request
from aiokafka.protocol.coordination import FindCoordinatorRequest
from aiokafka.protocol.fetch import FetchRequest, FetchRequest_v11
from aiokafka.protocol.group import HeartbeatRequest
from aiokafka.protocol.metadata import MetadataRequest
from aiokafka.protocol.produce import ProduceRequest
from aiokafka.protocol.transaction import InitProducerIdRequest
from aiokafka.protocol.types import Array, Schema

from tally_stream.kafka.client import connection
from tally_stream.settings import Settings
from tests.support.paths import ROOT
from tests.support.raw_batches import NONE, a_batch

ACLS = ROOT / "deploy" / "kafka" / "acls.toml"

REFUSED = {29, 30, 31, 53}
"""Kafka's codes for: not on this topic, not in this group, not on the cluster, not with this transactional id."""

WAIT_MS = 5_000
TOPIC, BROKER = 2, 4
BATCH = a_batch(NONE, [(b"key", b"a probe", [])])


class FollowerFetch(Request[FetchRequest_v11]):  # type: ignore[misc]  # aiokafka is not followed by mypy
    """A fetch as another broker sends it: that takes ClusterAction."""

    API_KEY: ClassVar[int] = 1

    def __init__(self, topic: str) -> None:
        self._topic = topic

    def build(self, request_struct_class: Any) -> Any:
        return request_struct_class(99, 0, 0, 1, 0, 0, -1, [(self._topic, [(0, -1, 0, 0, 1)])], [], "")


Probe = Callable[[], Any]


def on_topic(topic: str) -> dict[str, Probe]:
    return {
        "Read": lambda: FetchRequest(0, 0, 1024, 0, [(topic, [(0, 0, 1024)])]),
        "Write": lambda: ProduceRequest(None, 1, WAIT_MS, [(topic, [(0, BATCH)])]),
        "Create": lambda: CreateTopicsRequest([(topic, 1, 1, [], [])], WAIT_MS, validate_only=True),
        "Delete": lambda: DeleteRecordsRequest([(topic, [(0, 0)])], WAIT_MS),
        "Alter": lambda: CreatePartitionsRequest([(topic, (1, None))], WAIT_MS, validate_only=True),
        "Describe": lambda: MetadataRequest([topic]),
        "DescribeConfigs": lambda: DescribeConfigsRequest([(TOPIC, topic, ["cleanup.policy"])]),
        "AlterConfigs": lambda: AlterConfigsRequest([(TOPIC, topic, [])], validate_only=True),
    }


def on_group(group: str) -> dict[str, Probe]:
    return {
        "Read": lambda: HeartbeatRequest(group, 1, "nobody"),
        "Describe": lambda: DescribeGroupsRequest([group]),
        "Delete": lambda: DeleteGroupsRequest([group]),
    }


def on_cluster(nobodys_topic: str, topic: str) -> dict[str, Probe]:
    return {
        "Create": lambda: CreateTopicsRequest([(nobodys_topic, 1, 1, [], [])], WAIT_MS, validate_only=True),
        "Alter": lambda: CreateAclsRequest(4, "no such cluster", 3, "User:nobody", "*", 8, 3),
        "Describe": lambda: DescribeAclsRequest(4, "kafka-cluster", 3, "User:nobody", None, 1, 1),
        "ClusterAction": lambda: FollowerFetch(topic),
        "DescribeConfigs": lambda: DescribeConfigsRequest([(BROKER, "1", ["node.id"])]),
        "AlterConfigs": lambda: AlterConfigsRequest([(BROKER, "1", [])], validate_only=True),
        "IdempotentWrite": lambda: InitProducerIdRequest(None, WAIT_MS),
    }


def on_transactional_id(name: str) -> dict[str, Probe]:
    return {
        "Write": lambda: InitProducerIdRequest(name, WAIT_MS),
        "Describe": lambda: FindCoordinatorRequest(name, 1),
    }


@asynccontextmanager
async def asking(settings: Settings) -> AsyncIterator[Callable[[Probe], Any]]:
    """A client of one principal, for all its probes: whether what one asks for is allowed."""
    client = AIOKafkaClient(**connection(settings))
    await client.bootstrap()

    async def is_allowed(probe: Probe) -> bool:
        answer = await client.send(client.get_random_node(), probe())
        return REFUSED.isdisjoint(_codes(answer.SCHEMA, [answer.get_item(name) for name in answer.SCHEMA.names]))

    try:
        yield is_allowed
    finally:
        await client.close()


def _codes(schema: Schema, values: Iterable[Any]) -> Iterator[int]:
    """Every error code in an answer, however deep. (aiokafka's own `to_object` fails where a list is absent.)"""
    for name, kind, value in zip(schema.names, schema.fields, values, strict=True):
        if isinstance(kind, Array) and isinstance(kind.array_of, Schema):
            for part in value or ():
                yield from _codes(kind.array_of, part)
        elif "error_code" in name:
            yield value
