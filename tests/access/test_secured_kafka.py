"""A secured local Kafka lets in who is named, nobody else, and lets nobody do anything without a rule."""

from __future__ import annotations

import asyncio
import shlex
import ssl
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaConnectionError, TopicAuthorizationFailedError, for_code

from deploy.kafka.local.node import brokers_seen_by
from tally_stream.kafka.client import admin_client, connection
from tests.support.brokers import require_local_kafka
from tests.support.secured import EXPIRED, KEY_PASSPHRASE, MTLS, OTHER_HOST, PRINCIPALS, SCRAM, SETUP, KafkaSecured, settings_of

pytestmark = [pytest.mark.kafka, pytest.mark.asyncio]


async def _is_let_in(environment: dict[str, str]) -> bool:
    admin = AIOKafkaAdminClient(**connection(settings_of(environment)), request_timeout_ms=10_000)
    try:
        await admin.start()
        await admin.list_topics()
        return True
    except KafkaConnectionError:
        return False
    finally:
        await admin.close()


@pytest.mark.parametrize("listener", [SCRAM, MTLS])
async def test_each_principal_is_let_in(kafka_secured: KafkaSecured, listener: str) -> None:
    for principal in PRINCIPALS:
        assert await _is_let_in(kafka_secured.environment(principal, listener)), principal


WRONG: dict[str, Callable[[KafkaSecured], dict[str, str]]] = {
    "a wrong password": lambda k: k.environment("worker", password="wrong"),
    "a name nobody has": lambda k: k.environment("worker", username="nobody"),
    "the brokers' own name with a password": lambda k: k.environment("worker", username="broker"),
    "a mechanism that is not enabled": lambda k: k.environment("worker", sasl_mechanism="PLAIN"),
    "an authority that signed nothing here": lambda k: k.environment("worker", cafile=str(k.unknown_cafile)),
    "a broker's certificate for another host": lambda k: k.environment("worker", OTHER_HOST),
    "a broker's certificate that has expired": lambda k: k.environment("worker", EXPIRED),
    "a client's certificate that has expired": lambda k: k.environment("worker", MTLS, **k.expired_certificate),
    "a client's certificate of another authority": lambda k: k.environment("worker", MTLS, **k.unknown_certificate),
    "no certificate": lambda k: {n: v for n, v in k.environment("worker", MTLS).items() if not n.endswith(("CERTFILE", "KEYFILE"))},
    "no TLS": lambda k: {"TALLY_BOOTSTRAP": k.bootstrap, "TALLY_SECURITY_PROTOCOL": "PLAINTEXT"},
    "a password without TLS": lambda k: k.environment("worker", protocol="SASL_PLAINTEXT"),
}  # fmt: skip


@pytest.mark.parametrize("wrong", WRONG)
async def test_nobody_else_is(kafka_secured: KafkaSecured, wrong: str) -> None:
    async with asyncio.timeout(20):
        assert not await _is_let_in(WRONG[wrong](kafka_secured))


async def test_no_port_speaks_plain_text(kafka_secured: KafkaSecured) -> None:
    (node,) = kafka_secured.nodes
    for port in (node.port, node.controller_port, *node.more_ports.values()):
        assert await asyncio.to_thread(brokers_seen_by, port) == set()


async def test_an_encrypted_key_wants_its_passphrase(kafka_secured: KafkaSecured) -> None:
    files = kafka_secured.encrypted_key
    context = ssl.create_default_context(cafile=str(kafka_secured.cafile))
    context.load_cert_chain(files["certfile"], files["keyfile"], KEY_PASSPHRASE)
    with pytest.raises(ssl.SSLError):
        context.load_cert_chain(files["certfile"], files["keyfile"], "another")


async def test_without_a_rule_nobody_but_the_set_up_may_do_anything(kafka_secured: KafkaSecured) -> None:
    topic = "nobodys"
    async with admin_client(settings_of(kafka_secured.environment("admin"))) as admin:
        answer = await admin.create_topics([NewTopic(topic, 1, 1)])
        assert for_code(answer.topic_errors[0][1]) is TopicAuthorizationFailedError
    async with admin_client(settings_of(kafka_secured.environment(SETUP, MTLS))) as admin:
        answer = await admin.create_topics([NewTopic(topic, 1, 1)])
        assert answer.topic_errors[0][1] == 0
        assert topic in await admin.list_topics()
        await admin.delete_topics([topic])


async def test_three_brokers_know_each_other_and_a_person_finds_what_a_program_needs(tmp_path: Path) -> None:
    """What a shell reads from NAME.env is the environment; only its owner can read it; passwords stay with the data."""
    require_local_kafka()
    kafka = KafkaSecured(tmp_path, brokers=3)
    await asyncio.to_thread(kafka.start)
    try:
        for file, listener in (("reader.env", SCRAM), ("reader-mtls.env", MTLS)):
            path = kafka.clients / file
            assert stat.S_IMODE(path.stat().st_mode) == 0o600
            read = dict(line.split("=", 1) for line in shlex.split(path.read_text()))
            assert read == kafka.environment("reader", listener)
            async with admin_client(settings_of(read)) as admin:
                assert len((await admin.describe_cluster())["brokers"]) == 3
    finally:
        await asyncio.to_thread(kafka.stop, at_once=True)
    again = KafkaSecured(tmp_path, brokers=3)
    assert again._kept_passwords()["reader"] == kafka.environment("reader")["TALLY_SECURITY_PASSWORD"]  # noqa: SLF001 (what a second start reads)
