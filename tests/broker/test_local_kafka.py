"""The local Kafka's own promises: it mends, it leaves nothing behind, it touches nobody else's process."""

from __future__ import annotations

import asyncio
import json
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import aiokafka
import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from deploy.kafka.local import jars
from deploy.kafka.local.cluster import LocalKafka
from deploy.kafka.local.jars import HERE, LocalKafkaError
from deploy.kafka.local.node import Node, brokers_seen_by, end_nodes
from tests.support.brokers import KafkaOne, KafkaThree, require_local_kafka
from tests.support.waiting import until, wait_for

pytestmark = pytest.mark.kafka

PROGRAM = HERE / "kafka_local.py"


def _run(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, str(PROGRAM), *words], capture_output=True, text=True, check=False)


def _is_kafka(node: dict[str, object]) -> bool:
    """Whether the pid in cluster.json is a process that still names its node's directory."""
    try:
        command_line = Path(f"/proc/{node['pid']}/cmdline").read_bytes()
    except OSError:
        return False
    return str(node["directory"]).encode() in command_line


@pytest.mark.asyncio
async def test_a_killed_a_wiped_and_a_restarted_node_come_back_with_every_record(
    kafka_three: KafkaThree,
) -> None:
    """Acknowledged by two with one dead; once all three are in sync again, all of it is there."""
    topic = "mended"
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka_three.bootstrap)
    producer = aiokafka.AIOKafkaProducer(bootstrap_servers=kafka_three.bootstrap, acks="all", enable_idempotence=True)
    await admin.start()
    await admin.create_topics([NewTopic(topic, 1, 3)])
    await producer.start()

    async def is_in_sync() -> bool:
        (told,) = await admin.describe_topics([topic])
        return sorted(told["partitions"][0]["isr"]) == [1, 2, 3]

    try:
        await producer.send_and_wait(topic, b"0", partition=0)
        kafka_three.kill(2)
        assert not kafka_three.nodes[1].is_running
        await producer.send_and_wait(topic, b"1", partition=0)
        await asyncio.to_thread(kafka_three.restart, 2)
        await until(is_in_sync, "node 2 in sync after its restart")
        await asyncio.to_thread(kafka_three.wipe, 3)
        await producer.send_and_wait(topic, b"2", partition=0)
        await asyncio.to_thread(kafka_three.restart, 3)
        await until(is_in_sync, "node 3 in sync on its new disk")
    finally:
        await producer.stop()
        await admin.close()
    reader = aiokafka.AIOKafkaConsumer(topic, bootstrap_servers=kafka_three.bootstrap, auto_offset_reset="earliest")
    await reader.start()
    try:
        assert [(await asyncio.wait_for(reader.getone(), 30)).value for _ in range(3)] == [
            b"0",
            b"1",
            b"2",
        ]
    finally:
        await reader.stop()


@pytest.mark.asyncio
async def test_a_frozen_node_answers_nothing_until_thawed(kafka_of_its_own: KafkaOne) -> None:
    kafka = kafka_of_its_own
    port = kafka.nodes[0].port
    assert brokers_seen_by(port) == {1}
    kafka.freeze(1)
    try:
        assert await asyncio.to_thread(brokers_seen_by, port) == set()
        assert kafka.nodes[0].is_running
    finally:
        kafka.thaw(1)

    async def answers() -> bool:
        return await asyncio.to_thread(brokers_seen_by, port) == {1}

    await until(answers, "an answer after the thaw")


def test_the_command_starts_describes_keeps_data_and_stops(tmp_path: Path) -> None:
    """start, stop, start again on the same data: the same cluster."""
    require_local_kafka()
    started = _run("start", "--directory", str(tmp_path))
    assert started.returncode == 0, started.stderr
    described = json.loads((tmp_path / "cluster.json").read_text())
    assert started.stdout.strip() == described["bootstrap"]
    assert all(_is_kafka(node) for node in described["nodes"])
    twice = _run("start", "--directory", str(tmp_path))
    assert (twice.returncode, "already running" in twice.stderr) == (1, True)
    assert _run("stop", "--directory", str(tmp_path)).returncode == 0
    assert not any(_is_kafka(node) for node in described["nodes"])
    with LocalKafka(tmp_path) as again:
        assert again.cluster_id == described["cluster_id"]
    with pytest.raises(LocalKafkaError, match="holds a cluster of 1 nodes"):
        LocalKafka(tmp_path, brokers=3).start()


def test_stop_without_a_cluster_fails(tmp_path: Path) -> None:
    stopped = _run("stop", "--directory", str(tmp_path))
    assert (stopped.returncode, "no cluster.json" in stopped.stderr) == (1, True)


def test_another_process_with_the_same_pid_is_not_touched(tmp_path: Path) -> None:
    """Pids are given out again: stop() reads the command line before it signals."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as innocent:
        node = Node(1, 0, 0, tmp_path / "node-1", innocent.pid)
        assert not node.is_running
        end_nodes([node])
        assert innocent.poll() is None
        assert innocent.stdin is not None
        innocent.stdin.close()


def test_a_killed_parent_leaves_no_node_and_no_directory() -> None:
    require_local_kafka()
    program = (
        f"import os, signal, sys; sys.path.insert(0, {str(HERE)!r});"
        "from kafka_local import LocalKafka; k = LocalKafka(); k.start(); print(k.directory, flush=True);"
        "print(k.nodes[0].pid, flush=True); os.kill(os.getpid(), signal.SIGKILL)"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert ran.returncode == -signal.SIGKILL, ran.stderr
    directory, pid = ran.stdout.split()

    node: dict[str, object] = {"pid": pid, "directory": directory}

    def is_gone() -> bool:
        return not _is_kafka(node) and not Path(directory).exists()

    wait_for(is_gone, "the end of the node and of its directory")


def test_a_node_that_ends_early_names_its_log(tmp_path: Path) -> None:
    """A port in use, a broken disk: the message leads to the reason."""
    require_local_kafka()
    kafka = LocalKafka(tmp_path, more_settings={"process.roles": "nonsense"})
    with pytest.raises(LocalKafkaError, match=r"node 1 ended with status 1 .*nonsense.*kafka\.log"):
        kafka.start()


def test_a_port_in_use_is_named(tmp_path: Path) -> None:
    require_local_kafka()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(LocalKafkaError, match=f"port {port} cannot be used"):
            LocalKafka(tmp_path, port_base=port).start()


def test_without_java_the_reason_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jars, "find_java", lambda: None)
    assert "Java is missing" in str(jars.available())


def test_an_old_java_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = tmp_path / "java"
    old.write_text("#!/bin/sh\necho 'openjdk version \"1.8.0_392\"' >&2\n")
    old.chmod(0o755)
    monkeypatch.setattr(jars, "find_java", lambda: str(old))
    assert jars.available() == "Java 8 is too old: local Kafka needs 17 or newer"


def test_maven_is_only_asked_for_when_jars_are_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    require_local_kafka()
    monkeypatch.setattr(shutil, "which", lambda name: None if name == "mvn" else "java")
    monkeypatch.setattr(jars, "has_all_jars", lambda: True)
    assert jars.available() is None
    monkeypatch.setattr(jars, "has_all_jars", lambda: False)
    assert "Maven is missing" in str(jars.available())


def test_only_one_or_three_nodes() -> None:
    with pytest.raises(ValueError, match="1 or 3"):
        LocalKafka(brokers=2)


def test_the_template_sets_what_the_promises_ask_for() -> None:
    """Read from the file, so that a setting cannot be dropped with its comment left standing."""
    lines = (HERE / "server.properties").read_text().splitlines()
    settings = dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))
    assert settings["unclean.leader.election.enable"] == "false"
    assert settings["auto.create.topics.enable"] == "false"
    assert settings["min.insync.replicas"] == "${min_insync}"
    assert settings["listeners"].count("127.0.0.1") == 2
    for index, line in enumerate(lines):
        assert not line or line.startswith("#") or lines[index - 1] != "", f"no reason given: {line}"
