"""Kafka's own command-line tools for a local Kafka: small scripts in its directory's `bin/`, as Kafka's distribution has them.

Decides which tools there are (those that the runbook uses, and those that an operator reaches for), and what they need to log
in to a secured cluster. Refuses to know what they do.
"""

from __future__ import annotations

import shlex
from pathlib import Path

from deploy.kafka.local.jars import JARS, find_java

TOOLS = {
    "kafka-acls.sh": "org.apache.kafka.tools.AclCommand",
    "kafka-broker-api-versions.sh": "org.apache.kafka.tools.BrokerApiVersionsCommand",
    "kafka-configs.sh": "kafka.admin.ConfigCommand",
    "kafka-console-consumer.sh": "org.apache.kafka.tools.consumer.ConsoleConsumer",
    "kafka-consumer-groups.sh": "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand",
    "kafka-dump-log.sh": "org.apache.kafka.tools.DumpLogSegments",
    "kafka-get-offsets.sh": "org.apache.kafka.tools.GetOffsetShell",
    "kafka-leader-election.sh": "org.apache.kafka.tools.LeaderElectionCommand",
    "kafka-log-dirs.sh": "org.apache.kafka.tools.LogDirsCommand",
    "kafka-metadata-quorum.sh": "org.apache.kafka.tools.MetadataQuorumCommand",
    "kafka-reassign-partitions.sh": "org.apache.kafka.tools.reassign.ReassignPartitionsCommand",
    "kafka-topics.sh": "org.apache.kafka.tools.TopicCommand",
}
"""The name that every distribution of Kafka gives a tool, and its class."""

JVM = ("-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
"""A tool runs for a second."""


def write_tools(directory: Path) -> Path:
    """The folder of the scripts, made anew: they name this machine's Java and jars."""
    folder = directory / "bin"
    folder.mkdir(exist_ok=True)
    for name, java_class in TOOLS.items():
        words = [find_java() or "java", *JVM, "-cp", f"{JARS}/*", java_class]
        script = folder / name
        script.write_text(f'#!/bin/sh\nexec {shlex.join(words)} "$@"\n', encoding="utf-8")
        script.chmod(0o755)
    return folder


def login(username: str, password: str, cafile: Path) -> str:
    """The lines of a file that a tool is given as `--command-config`, to log in with a password over TLS."""
    module = "org.apache.kafka.common.security.scram.ScramLoginModule"
    said = {
        "security.protocol": "SASL_SSL",
        "sasl.mechanism": "SCRAM-SHA-512",
        "sasl.jaas.config": f'{module} required username="{username}" password="{password}";',
        "ssl.truststore.type": "PEM",
        "ssl.truststore.location": str(cafile),
    }
    return "".join(f"{name}={value}\n" for name, value in said.items())
