"""Each principal × resource × operation, asked of a real broker: exactly what deploy/kafka/acls.toml says is allowed."""

from __future__ import annotations

import asyncio
import uuid
from pathlib import Path

import pytest

from tally_stream.kafka.acls import AccessTable, give_access, read_table
from tally_stream.kafka.topics import create_topics
from tally_stream.settings import Settings
from tests.access.probes import ACLS, Probe, asking, on_cluster, on_group, on_topic, on_transactional_id
from tests.support.secured import MTLS, PRINCIPALS, SETUP, STRANGER, KafkaSecured, settings_of

pytestmark = pytest.mark.kafka

DESCRIBES = {"Read", "Write", "Delete", "Alter"}
"""Kafka: who may do one of these may Describe, too."""

Cell = tuple[str, str, str]
"""Resource, its name, operation."""


@pytest.fixture(scope="module")
def prepared(kafka_secured: KafkaSecured) -> tuple[Settings, AccessTable]:
    """Topics of this module's own, with the table applied."""
    settings = settings_of(kafka_secured.environment(SETUP) | {"TALLY_PREFIX": f"m{uuid.uuid4().hex[:8]}"})
    asyncio.run(create_topics(settings, partitions=1, replication=1, is_log_append=True))
    table = read_table(ACLS, settings)
    asyncio.run(give_access(settings, table, revokes=False))
    return settings, table


def cells(table: AccessTable) -> dict[Cell, Probe]:
    """Our topics and group, those of others, the cluster, a transactional id."""
    others = f"{table.topics.prefix}-not"
    found: dict[Cell, Probe] = {}
    for topic in (*table.topics.all, f"{others}.reports"):
        found |= {("topic", topic, operation): probe for operation, probe in on_topic(topic).items()}
    for group in (table.group, f"{others}-workers"):
        found |= {("group", group, operation): probe for operation, probe in on_group(group).items()}
    cluster = on_cluster(f"{others}.nobodys", table.topics.reports)
    found |= {("cluster", "kafka-cluster", operation): probe for operation, probe in cluster.items()}
    transactional_id = on_transactional_id(table.topics.prefix)
    return found | {
        ("transactional id", table.topics.prefix, operation): probe for operation, probe in transactional_id.items()
    }


def allowed_by(table: AccessTable, principal: str) -> set[Cell]:
    """What a principal's rules come to, as Kafka's documentation has it."""
    rules = {(r.resource, r.name, r.operation) for r in table.rules if r.principal == f"User:{principal}"}
    rules |= {(resource, name, "Describe") for resource, name, operation in rules if operation in DESCRIBES}
    if any(resource == "topic" and operation == "Write" for resource, _, operation in rules):
        rules.add(("cluster", "kafka-cluster", "IdempotentWrite"))
    return rules


def asked(settings: Settings, probes: dict[Cell, Probe]) -> set[Cell]:
    """What the broker allows."""

    async def ask() -> set[Cell]:
        async with asking(settings) as is_allowed:
            return {cell for cell, probe in probes.items() if await is_allowed(probe)}

    return asyncio.run(ask())


def test_the_table_has_every_principal_there_is(prepared: tuple[Settings, AccessTable]) -> None:
    assert prepared[1].principals == {f"User:{name}" for name in PRINCIPALS}


def test_a_probe_is_allowed_to_a_super_user_and_to_no_stranger(
    kafka_secured: KafkaSecured, prepared: tuple[Settings, AccessTable]
) -> None:
    """Else it would say nothing of those between them."""
    settings, table = prepared
    probes = cells(table)
    assert asked(settings, probes) == set(probes)
    assert asked(settings_of(kafka_secured.environment(STRANGER, MTLS)), probes) == set()


@pytest.mark.parametrize("principal", PRINCIPALS)
def test_a_principal_may_do_what_the_table_says_and_nothing_else(
    kafka_secured: KafkaSecured, prepared: tuple[Settings, AccessTable], principal: str
) -> None:
    _, table = prepared
    wanted = allowed_by(table, principal)
    assert wanted
    assert asked(settings_of(kafka_secured.environment(principal)), cells(table)) == wanted


def test_the_file_is_read_as_it_stands(prepared: tuple[Settings, AccessTable]) -> None:
    """Counted by another reader: a role that is dropped on the way would be missing from table and brokers alike."""
    lines = [
        line.split("#")[0] for line in Path(ACLS).read_text().splitlines() if not line.startswith(("#", "why", "principals"))
    ]
    assert sum(line.count('"') // 2 for line in lines) == len(prepared[1].rules)
