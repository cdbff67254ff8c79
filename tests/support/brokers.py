"""The three brokers that tests run on, each started once a test session, when first asked for.

Decides when a broker that cannot run here is skipped (a developer's machine without Java) and when
that is a failure (CI, which says so with TALLY_CI=1). Other test folders get the fixtures through
the top conftest.py; a test that breaks a node of the shared three mends it before it returns.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import ClassVar, NoReturn

import pytest

from deploy.kafka.local.cluster import LocalKafka
from deploy.kafka.local.jars import available
from tally_stream.kafka.embedded import EmbeddedBroker, EmbeddedBrokerError


class Embedded(EmbeddedBroker):
    """The mock cluster in the confluent-kafka wheel."""

    kind: ClassVar[str] = "embedded"
    replication: ClassVar[int] = 1
    session_timeout_ms: ClassVar[int] = 2_000
    """A second group member waits for all of this but a second: short, so that tests are."""


class ShortLived(LocalKafka):
    """A Kafka that ends with the tests: compiling for hours of use took half of all that its nodes computed."""

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


Broker = Embedded | KafkaOne | KafkaThree


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
def kafka_one() -> Iterator[KafkaOne]:
    """One real Kafka node; `.bootstrap`, `.kind`, and LocalKafka's faults."""
    require_local_kafka()
    with KafkaOne(brokers=1) as kafka:
        yield kafka


@pytest.fixture(scope="session")
def kafka_three() -> Iterator[KafkaThree]:
    """Three real Kafka nodes; `.bootstrap`, `.kind`, and LocalKafka's faults (mend what you break)."""
    require_local_kafka()
    with KafkaThree(brokers=3) as kafka:
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
