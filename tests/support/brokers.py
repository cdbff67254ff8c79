"""The brokers that tests run on, each started once a test session, when first asked for.

Decides when a broker that cannot run here is skipped (a developer's machine without Java) and when
that is a failure (CI, which says so with TALLY_CI=1). Other test folders get the fixtures through
the top conftest.py. The one node of `kafka_one` may serve several sessions at a time (`shared_kafka`):
whoever wants to break a node takes `kafka_of_its_own`; who breaks one of the three mends it before it returns.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import ClassVar, NoReturn

import pytest

from deploy.kafka.local.cluster import LocalKafka
from deploy.kafka.local.jars import available
from tally_stream.kafka.embedded import EmbeddedBroker, EmbeddedBrokerError
from tests.support.secured import KafkaSecured


class Embedded(EmbeddedBroker):
    """The mock cluster in the confluent-kafka wheel."""

    kind: ClassVar[str] = "embedded"
    replication: ClassVar[int] = 1
    session_timeout_ms: ClassVar[int] = 2_000
    """A second group member waits for all of this but a second: short, so that tests are."""


SHARED = "TALLY_TEST_KAFKA"
"""In the environment of a test session: the bootstrap of a node that other sessions use too."""


class ShortLived(LocalKafka):
    """A Kafka that ends with the tests. Compiling for hours of use took half of all that its nodes computed; and an idle
    node spent two fifths of its time on writing down, twice a second, that nothing had happened."""

    def __init__(self, brokers: int = 1) -> None:
        super().__init__(brokers=brokers, more_settings={"metadata.max.idle.interval.ms": "0"})

    def run(self, java_options: list[str]) -> str:
        return super().run([*java_options, "-XX:TieredStopAtLevel=1"])


class KafkaOne(ShortLived):
    """A real Apache Kafka, one node."""

    kind: ClassVar[str] = "kafka x1"
    replication: ClassVar[int] = 1
    session_timeout_ms: ClassVar[int] = 6_000
    """The least that Kafka takes (group.min.session.timeout.ms)."""


class KafkaThree(ShortLived):
    """A real Apache Kafka, three nodes, everything replicated three times."""

    kind: ClassVar[str] = "kafka x3"
    replication: ClassVar[int] = 3
    session_timeout_ms: ClassVar[int] = 6_000


@dataclass(frozen=True)
class SharedKafka:
    """A node like `KafkaOne` that somebody else started and ends: it has no faults to offer."""

    bootstrap: str
    kind: ClassVar[str] = KafkaOne.kind
    replication: ClassVar[int] = KafkaOne.replication
    session_timeout_ms: ClassVar[int] = KafkaOne.session_timeout_ms


Broker = Embedded | KafkaOne | KafkaThree | SharedKafka


@contextmanager
def shared_kafka() -> Iterator[dict[str, str]]:
    """A node for several test sessions at a time: what their environment must say. Nothing where none can run here; each
    session then says why."""
    if available() is not None:
        yield {}
        return
    with KafkaOne() as kafka:
        yield {SHARED: kafka.bootstrap}


def _unavailable(reason: str) -> NoReturn:
    """Skip by name; in CI fail, or a lost package would silently lose the suite with it."""
    if os.environ.get("TALLY_CI") == "1":
        pytest.fail(f"CI must be able to run this broker: {reason}")
    pytest.skip(reason)


def require_local_kafka() -> None:
    """For a test or fixture that starts a local Kafka of its own."""
    reason = available()
    if reason is not None:
        _unavailable(reason)


@pytest.fixture(scope="session")
def embedded_broker() -> Iterator[Embedded]:
    """The embedded broker; `.bootstrap`, `.kind`."""
    broker = Embedded()
    try:
        broker.start()
    except EmbeddedBrokerError as error:
        _unavailable(str(error))
    yield broker
    broker.stop()


@pytest.fixture(scope="session")
def kafka_one() -> Iterator[KafkaOne | SharedKafka]:
    """One real Kafka node, which nobody may break; `.bootstrap`, `.kind`."""
    shared = os.environ.get(SHARED)
    if shared:
        yield SharedKafka(shared)
        return
    require_local_kafka()
    with KafkaOne() as kafka:
        yield kafka


@pytest.fixture
def kafka_of_its_own() -> Iterator[KafkaOne]:
    """One real Kafka node with LocalKafka's faults, for one test."""
    require_local_kafka()
    with KafkaOne() as kafka:
        yield kafka


@pytest.fixture(scope="session")
def kafka_three() -> Iterator[KafkaThree]:
    """Three real Kafka nodes; `.bootstrap`, `.kind`, and LocalKafka's faults (mend what you break)."""
    require_local_kafka()
    with KafkaThree(brokers=3) as kafka:
        yield kafka


@pytest.fixture(scope="session")
def kafka_secured() -> Iterator[KafkaSecured]:
    """One real Kafka node that lets nobody in who is not named: `.environment(principal)`, and all that is wrong beside it
    (`tests/support/secured.py`)."""
    require_local_kafka()
    with KafkaSecured() as kafka:
        yield kafka


def every_broker(*, embedded: pytest.MarkDecorator | None = None) -> pytest.MarkDecorator:
    """Run a test with `broker` as each of the three; `embedded` marks what that one cannot do."""
    return pytest.mark.parametrize(
        "broker",
        [
            pytest.param("embedded_broker", id="embedded", marks=[embedded] if embedded else []),
            pytest.param("kafka_one", id="kafka_one", marks=pytest.mark.kafka),
            pytest.param("kafka_three", id="kafka_three", marks=pytest.mark.kafka),
        ],
        indirect=True,
    )
