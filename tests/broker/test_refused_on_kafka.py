"""Each way in which a real Kafka refuses is told in one sentence that names broker and setting, and ends a worker for good.

The sentences alone: `tests/kafka/test_refused.py`. All tests share the one secured node, and leave it as it was.
"""

from __future__ import annotations

import asyncio
import socket
import subprocess
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import pytest_asyncio
from aiokafka.protocol.admin import CreateAclsRequest, DeleteAclsRequest

from deploy.kafka.local.cluster import LocalKafka
from tally_stream.kafka import client
from tally_stream.kafka.client import BrokerRefused, TopicReader, admin_client, sender, wait_for_broker
from tally_stream.kafka.rights import NotAllowed
from tally_stream.kafka.topics import Topics, TopicsError, check_topics, create_topics, look_at_reports
from tally_stream.settings import load_settings
from tests.support.processes import LIFELINE, command, said_in
from tests.support.secured import EXPIRED, MTLS, OTHER_HOST, SCRAM, SETUP, KafkaSecured, settings_of
from tests.support.waiting import until, wait_for

pytestmark = [pytest.mark.kafka, pytest.mark.asyncio(loop_scope="module")]

PREFIX = "refused"
TOPICS = Topics(PREFIX)
Environment = dict[str, str]


def without(environment: Environment, *endings: str) -> Environment:
    return {name: value for name, value in environment.items() if not name.endswith(endings)}


WRONG: dict[str, tuple[Callable[[KafkaSecured], Environment], str]] = {
    "password": (lambda k: k.environment("worker", password="wrong"),
                 "the broker at {SCRAM} answered and refused the login of 'worker': TALLY_SECURITY_USERNAME, TALLY_SECURITY_PASSWORD"),
    "user": (lambda k: k.environment("worker", username="nobody"),
             "the broker at {SCRAM} answered and refused the login of 'nobody': TALLY_SECURITY_USERNAME, TALLY_SECURITY_PASSWORD"),
    "mechanism": (lambda k: k.environment("worker", sasl_mechanism="PLAIN"),
                  "the broker at {SCRAM} does not offer PLAIN, but SCRAM-SHA-512: TALLY_SECURITY_SASL_MECHANISM"),
    "authority": (lambda k: k.environment("worker", cafile=str(k.unknown_cafile)),
                  "the certificate of the broker at {SCRAM} is signed by nobody that TALLY_SECURITY_CAFILE ({unknown_ca}) knows"),
    "host": (lambda k: k.environment("worker", OTHER_HOST),
             "the certificate of the broker at {OTHER_HOST} is not for '127.0.0.1': TALLY_BOOTSTRAP has to name a host that stands in "
             "the certificate"),
    "expired": (lambda k: k.environment("worker", EXPIRED),
                "the certificate of the broker at {EXPIRED} has expired: that broker needs a new one (or this machine's clock is wrong)"),
    "no certificate": (lambda k: without(k.environment("worker", MTLS), "CERTFILE", "KEYFILE"),
                       "the broker at {MTLS} asks for a certificate of ours (certificate required): TALLY_SECURITY_CERTFILE, "
                       "TALLY_SECURITY_KEYFILE"),
    "unknown certificate": (lambda k: k.environment("worker", MTLS, **k.unknown_certificate),
                            "the broker at {MTLS} did not accept our certificate (certificate unknown): TALLY_SECURITY_CERTFILE "
                            "({unknown}) has expired, or is signed by nobody it knows"),
    "expired certificate": (lambda k: k.environment("worker", MTLS, **k.expired_certificate),
                            "the broker at {MTLS} did not accept our certificate (certificate unknown): TALLY_SECURITY_CERTFILE "
                            "({expired}) has expired, or is signed by nobody it knows"),
    "plain text": (lambda k: {"TALLY_BOOTSTRAP": k.bootstrap},
                   "the broker at {SCRAM} speaks TLS there: TALLY_SECURITY_PROTOCOL is PLAINTEXT, it should be SSL or SASL_SSL"),
    "a login in plain text": (lambda k: k.environment("worker", protocol="SASL_PLAINTEXT"),
                              "the broker at {SCRAM} speaks TLS there: TALLY_SECURITY_PROTOCOL is SASL_PLAINTEXT, it should be SASL_SSL"),
    "no login": (lambda k: without(k.environment("worker", protocol="SSL"), "USERNAME", "PASSWORD"),
                 "the broker at {SCRAM} wants a login there: TALLY_SECURITY_PROTOCOL is SSL, it should be SASL_SSL"),
    "a login where none is taken": (
        lambda k: {**k.environment("worker", MTLS), **k.environment("worker"), "TALLY_BOOTSTRAP": k.mtls_bootstrap},
        "the broker at {MTLS} takes no login there: TALLY_SECURITY_PROTOCOL is SASL_SSL, it should be SSL"),
}  # fmt: skip


@pytest.mark.parametrize("wrong", WRONG)
async def test_each_refusal_names_broker_and_setting(
    kafka_secured: KafkaSecured, wrong: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "SECOND_TRY_SECONDS", 0.0)
    make, sentence = WRONG[wrong]
    places = {name: kafka_secured.listener(name) for name in (SCRAM, MTLS, OTHER_HOST, EXPIRED)}
    files = {"unknown_ca": kafka_secured.unknown_cafile, "unknown": kafka_secured.unknown_certificate["certfile"],
             "expired": kafka_secured.expired_certificate["certfile"]}  # fmt: skip
    with pytest.raises(BrokerRefused) as caught:
        await wait_for_broker(settings_of(make(kafka_secured)), pytest.fail)
    assert str(caught.value) == sentence.format(**places, **files)


async def test_an_advertised_address_that_nobody_can_reach_is_named(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        nowhere = f"127.0.0.1:{taken.getsockname()[1]}"
    with LocalKafka(tmp_path / "kafka", more_settings={"advertised.listeners": f"CLIENT://{nowhere}"}) as kafka:
        said: asyncio.Queue[str] = asyncio.Queue()
        async with asyncio.TaskGroup() as group:
            # It waits: the address may come right, or the way to it.
            waiting = group.create_task(wait_for_broker(load_settings(bootstrap=kafka.bootstrap), said.put_nowait))
            sentence = await asyncio.wait_for(said.get(), 60)
            waiting.cancel()
    assert sentence.startswith(
        f"the broker at {kafka.bootstrap} answered and names {nowhere} as the address of broker 1, where nobody answers "
        "(Connection refused): advertised.listeners of that broker, or the way to it"
    ), sentence


async def test_who_is_right_is_let_in(kafka_secured: KafkaSecured) -> None:
    for listener in (SCRAM, MTLS):
        await wait_for_broker(settings_of(kafka_secured.environment("worker", listener)), pytest.fail)


MISSING = ": an access rule (ACL) is missing"
TOPIC, GROUP, CLUSTER = 2, 3, 4
ANY, MATCH, LITERAL, PREFIXED = 1, 2, 3, 4
ALL, READ, WRITE, DESCRIBE, DESCRIBE_CONFIGS = 2, 3, 4, 8, 10
ALLOW = 3


class Rules:
    """Access rules of the principal `worker`, made and taken away by the one who may."""

    def __init__(self, kafka: KafkaSecured) -> None:
        self.kafka = kafka
        self.settings = settings_of({**kafka.environment(SETUP), "TALLY_PREFIX": PREFIX})

    async def _send(self, request: object) -> None:
        async with admin_client(self.settings) as admin:
            answer = await admin._send_to_controller(request)  # noqa: SLF001 (aiokafka has the requests, and no call for them)
        assert not [row for row in answer.to_object().get("creation_responses", []) if row["error_code"]]

    async def give(self, kind: int, name: str, operation: int) -> None:
        await self._send(CreateAclsRequest(kind, name, LITERAL, "User:worker", "*", operation, ALLOW))

    async def take(self, kind: int = ANY, name: str | None = None, operation: int = ANY) -> None:
        await self._send(DeleteAclsRequest(kind, name, ANY, "User:worker", None, operation, ANY))

    async def give_all(self) -> None:
        for topic in TOPICS.all:
            for operation in (READ, WRITE, DESCRIBE_CONFIGS):
                await self.give(TOPIC, topic, operation)
        await self.give(GROUP, f"{PREFIX}-workers", READ)
        await self.give(CLUSTER, "kafka-cluster", DESCRIBE_CONFIGS)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def rules(kafka_secured: KafkaSecured) -> AsyncIterator[Rules]:
    """With the topics of PREFIX, and no rule at all."""
    made = Rules(kafka_secured)
    await create_topics(made.settings, partitions=2, replication=1, is_log_append=True)
    yield made
    await made.take()
    async with admin_client(made.settings) as admin:
        await admin.delete_topics(list(TOPICS.all))


async def test_without_a_rule_each_right_that_is_missing_is_named(kafka_secured: KafkaSecured, rules: Rules) -> None:
    told = settings_of({**kafka_secured.environment("worker"), "TALLY_PREFIX": PREFIX})
    hidden = [f"'worker' has no right to Describe topic {topic}{MISSING}" for topic in TOPICS.all]
    await rules.give(CLUSTER, "kafka-cluster", DESCRIBE_CONFIGS)

    async def all_are_hidden() -> bool:
        try:
            return (await check_topics(told, is_official=False)).refusals == hidden
        except NotAllowed:  # brokers learn of a rule a moment after it was made
            return False

    await until(all_are_hidden, "the brokers to hide each topic", 30)
    await rules.take()
    with pytest.raises(NotAllowed) as caught:
        await look_at_reports(told)
    assert str(caught.value) == f"'worker' has no right to Describe topic {TOPICS.reports}{MISSING}"
    with pytest.raises(NotAllowed) as caught:
        async with TopicReader(told, TOPICS.standings):
            pass
    assert str(caught.value) == f"'worker' has no right to Read topic {TOPICS.standings}{MISSING}"
    with pytest.raises(NotAllowed) as caught:
        async with sender(told) as producer:
            await producer.send_and_wait(TOPICS.reports, b"x")
    assert str(caught.value) == f"'worker' has no right to IdempotentWrite cluster{MISSING} (whoever may Write a topic has it)"
    other = told.model_copy(update={"prefix": "elsewhere"})
    with pytest.raises(TopicsError) as refused:
        await create_topics(other, partitions=2, replication=1, is_log_append=True)
    assert sorted(refused.value.errors) == sorted(
        f"'worker' has no right to Create topic {topic}{MISSING}" for topic in Topics("elsewhere").all
    )


def started(environment: Environment, log: Path) -> subprocess.Popen[bytes]:
    """A worker with its supervisor."""
    words = command("worker", "--election", "az-2024", "--prefix", PREFIX, "--metrics-port", "0", "--rehearsal")
    with log.open("wb") as said:
        return subprocess.Popen(words, **LIFELINE.arguments(environment), stdout=said, stderr=said, stdin=subprocess.DEVNULL)


async def test_a_refused_login_ends_the_supervisor_too(kafka_secured: KafkaSecured, tmp_path: Path) -> None:
    log = tmp_path / "worker.log"
    assert started(kafka_secured.environment("worker", password="wrong"), log).wait(30) == 1
    (line,) = said_in(log).splitlines()
    assert line.endswith("refused the login of 'worker': TALLY_SECURITY_USERNAME, TALLY_SECURITY_PASSWORD")


async def test_a_right_that_is_taken_away_ends_a_running_worker_for_good(
    kafka_secured: KafkaSecured, rules: Rules, tmp_path: Path
) -> None:
    log = tmp_path / "worker.log"
    await rules.give_all()
    worker = started(kafka_secured.environment("worker"), log)
    try:
        wait_for(lambda: "caught up" in said_in(log), "the worker to have caught up", 60)
        await rules.take(TOPIC, TOPICS.partials, WRITE)
        assert worker.wait(60) == 1
    finally:
        worker.kill()
    lines = said_in(log).splitlines()
    assert lines[-1].endswith(f"fatal: 'worker' has no right to Write topic {TOPICS.partials}{MISSING}")
    assert not any("starts again" in line for line in lines)
