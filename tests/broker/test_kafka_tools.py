"""Kafka's own tools, as `make kafka` brings them: those that the runbook names are there, and they do what it says they do."""

from __future__ import annotations

import re
import subprocess
import uuid
import zipfile
from pathlib import Path

import pytest

from deploy.kafka.local.jars import JARS
from deploy.kafka.local.tools import TOOLS, login, write_tools
from tests.support.brokers import Broker
from tests.support.paths import DOCS, ROOT

PAGES = [*sorted(DOCS.glob("*.md")), ROOT / "README.md", ROOT / "SECURITY.md"]


def test_every_tool_that_a_page_names_comes_with_make_kafka() -> None:
    named = {name for page in PAGES for name in re.findall(r"\bkafka-[a-z-]+\.sh\b", page.read_text(encoding="utf-8"))}
    assert "kafka-configs.sh" in named
    assert named <= TOOLS.keys()


@pytest.mark.kafka
def test_every_tool_s_class_is_in_kafka_s_jars(kafka_one: Broker) -> None:
    there = {name for jar in JARS.glob("kafka*.jar") for name in zipfile.ZipFile(jar).namelist()}
    assert [c for c in TOOLS.values() if f"{c.replace('.', '/')}.class" not in there] == []


@pytest.mark.kafka
def test_the_runbook_s_tool_sets_a_topic_s_times(kafka_one: Broker, tmp_path: Path) -> None:
    """The very words of the page, with the broker and the topic of the test."""
    folder = write_tools(tmp_path)
    topic = f"tools-{uuid.uuid4().hex[:8]}.reports"

    def tool(name: str, *words: str) -> str:
        ran = subprocess.run([folder / name, *words], capture_output=True, text=True, check=False)
        assert ran.returncode == 0, ran.stdout + ran.stderr
        return ran.stdout

    tool("kafka-topics.sh", "--bootstrap-server", kafka_one.bootstrap, "--create", "--topic", topic)
    runbook = (DOCS / "runbook.md").read_text(encoding="utf-8").replace("\\\n", " ")
    (line,) = set(re.findall(r"^kafka-configs\.sh (.*message\.timestamp\.type=LogAppendTime)$", runbook, re.MULTILINE))
    words = line.replace("HOST:PORT", kafka_one.bootstrap).replace("tally.reports", topic).split()
    tool("kafka-configs.sh", *words)
    said = tool(
        "kafka-configs.sh", "--bootstrap-server", kafka_one.bootstrap, "--describe", "--entity-type", "topics",
        "--entity-name", topic,
    )  # fmt: skip
    assert "message.timestamp.type=LogAppendTime" in said


def test_a_login_names_who_and_whom_it_trusts() -> None:
    said = login("setup", "secret", Path("/ca.pem"))
    assert 'username="setup" password="secret"' in said
    assert "security.protocol=SASL_SSL" in said
    assert "ssl.truststore.location=/ca.pem" in said
