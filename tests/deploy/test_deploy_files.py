"""What an operator starts is held to the promises without being started: read, compared and linted.

There is no Docker engine where these tests run. They hold what can be held without one: the files
parse, nothing listens beyond this machine, every image is one version, Kafka's is the version that
the other tests run on, its settings are those that the local Kafka proves, and the alarms ring.
"""

from __future__ import annotations

import configparser
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import click
import pytest
import yaml

from tally_stream.cli.main import cli
from tally_stream.metrics import BOARD_METRICS, METRICS
from tally_stream.settings import Settings, SettingsError, load_settings

ROOT = Path(__file__).resolve().parents[2]
COMPOSE = ROOT / "docker-compose.yml"
DOCKERFILE = ROOT / "deploy" / "docker" / "Dockerfile"
PROMETHEUS = ROOT / "deploy" / "prometheus"
LOCAL_KAFKA = ROOT / "deploy" / "kafka" / "local"
KAFKA_VERSION = "4.3.1"

PROMISED = {
    "KAFKA_AUTO_CREATE_TOPICS_ENABLE": "false",
    "KAFKA_UNCLEAN_LEADER_ELECTION_ENABLE": "false",
    "KAFKA_DEFAULT_REPLICATION_FACTOR": "3",
    "KAFKA_MIN_INSYNC_REPLICAS": "2",
    "KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR": "3",
}


def _compose() -> dict[str, Any]:
    read: dict[str, Any] = yaml.safe_load(COMPOSE.read_text(encoding="utf-8"))
    return read


def _services() -> dict[str, dict[str, Any]]:
    services: dict[str, dict[str, Any]] = _compose()["services"]
    return services


def _brokers() -> list[dict[str, Any]]:
    return [one for one in _services().values() if one["image"].startswith("apache/kafka")]


def _program(name: str) -> str:
    """A lint program's path; without it skipped, in CI (TALLY_CI=1) failed."""
    path = shutil.which(name)
    if path is None:
        if os.environ.get("TALLY_CI") == "1":
            pytest.fail(f"CI must have {name}")
        pytest.skip(f"{name} is not installed")
    return path


def _run(*words: str) -> None:
    ran = subprocess.run(words, capture_output=True, text=True, check=False, cwd=ROOT)
    assert ran.returncode == 0, ran.stdout + ran.stderr


# --- Compose --------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", [COMPOSE, *sorted(PROMETHEUS.glob("*.yml"))], ids=lambda path: path.name)
def test_the_yaml_parses(path: Path) -> None:
    assert isinstance(yaml.safe_load(path.read_text(encoding="utf-8")), dict)


def test_compose_reads_its_file() -> None:
    """Its own reading: keys it does not know, anchors, dependencies on services that are not there."""
    program = shutil.which("docker-compose")
    if program is None:
        pytest.skip("docker-compose is not installed")
    _run(program, "--file", str(COMPOSE), "config", "--quiet")


def test_every_port_is_on_loopback() -> None:
    ports = [port for service in _services().values() for port in service.get("ports", [])]
    assert ports
    assert [port for port in ports if not re.fullmatch(r"127\.0\.0\.1:\d+:\d+", port)] == []
    outside = [port.split(":")[1] for port in ports]
    assert len(set(outside)) == len(outside)


def test_no_service_shares_the_machine_s_network() -> None:
    """It would publish every port of the container, whatever `ports` says."""
    assert [name for name, one in _services().items() if "network_mode" in one] == []


def test_every_image_is_one_version() -> None:
    images = {service["image"] for service in _services().values()}
    bases = re.findall(r"^FROM (\S+)", DOCKERFILE.read_text(encoding="utf-8"), re.MULTILINE)
    assert bases
    pinned = re.compile(r"[\w./-]+:v?\d+\.\d+\.\d+[\w.-]*")
    assert [image for image in [*images, *bases] if not pinned.fullmatch(image)] == []


def test_kafka_is_the_version_that_the_tests_run_on() -> None:
    pom = ElementTree.parse(LOCAL_KAFKA / "pom.xml").getroot()
    version = pom.findtext(".//{*}kafka.version")
    assert version == KAFKA_VERSION
    assert {broker["image"] for broker in _brokers()} == {f"apache/kafka:{version}"}


def test_three_brokers_keep_the_promised_settings() -> None:
    brokers = _brokers()
    assert [broker["environment"]["KAFKA_NODE_ID"] for broker in brokers] == ["1", "2", "3"]
    for broker in brokers:
        environment = broker["environment"]
        assert {name: environment[name] for name in PROMISED} == PROMISED
        assert broker["restart"] == "unless-stopped"


def test_the_brokers_settings_are_those_of_the_local_kafka() -> None:
    """What both files set, they set alike; three nodes stand for the template's values."""
    template = (LOCAL_KAFKA / "server.properties").read_text(encoding="utf-8")
    lines = [line for line in template.splitlines() if line and not line.startswith("#")]
    local = dict(line.split("=", 1) for line in lines)
    values = {"${replication}": "3", "${min_insync}": "2"}
    compared = 0
    for name, value in _brokers()[0]["environment"].items():
        key = name.removeprefix("KAFKA_").lower().replace("_", ".")
        if name in PROMISED or "TRANSACTION" in name or "SESSION" in name:
            assert values.get(local[key], local[key]) == value, key
            compared += 1
    assert compared == len(PROMISED) + 3


def test_a_host_s_program_finds_each_broker_where_it_is_published() -> None:
    """An advertised address that is not the published one works until the first metadata answer."""
    for broker in _brokers():
        advertised = broker["environment"]["KAFKA_ADVERTISED_LISTENERS"]
        outside = re.search(r"HOST://(127\.0\.0\.1:\d+)", advertised)
        assert outside is not None
        assert broker["ports"] == [f"{outside.group(1)}:9092"]
        assert f"INSIDE://{broker['hostname']}:19092" in advertised


def test_topics_are_set_up_once_before_any_worker_starts() -> None:
    services = _services()
    topics = services["topics"]
    assert topics["command"][:2] == ["topics", "create"]
    assert topics["command"][-2:] == ["--replication", "3"]
    assert topics["restart"] == "no"
    workers = [one for one in services.values() if (one.get("command") or [""])[0] == "worker"]
    assert len(workers) == 2
    for worker in workers:
        assert worker["depends_on"]["topics"]["condition"] == "service_completed_successfully"
        assert worker["restart"] == "unless-stopped"
    assert len({worker["environment"]["TALLY_INSTANCE"] for worker in workers}) == len(workers)


def test_the_board_is_reached_where_it_listens_and_reads_only() -> None:
    board = _services()["board"]
    environment = board["environment"]
    assert {name.removeprefix("TALLY_").lower() for name in environment} <= set(Settings.model_fields)
    port = environment["TALLY_BOARD_PORT"]
    assert int(port) == Settings.model_fields["board_port"].default
    assert board["ports"] == [f"127.0.0.1:{port}:{port}"]
    assert f"127.0.0.1:{port}/readyz" in board["healthcheck"]["test"][-1]
    assert board["read_only"] is True
    name, *words = board["command"]
    command = cli.get_command(click.Context(cli), name)
    assert command is not None
    command.make_context(name, words)
    assert Settings.model_fields["board_host"].default == "127.0.0.1", "loopback unless configured"


def test_everything_that_stays_up_has_a_health_check() -> None:
    lacking = [name for name, one in _services().items() if "healthcheck" not in one]
    assert lacking == ["topics"]


def test_nothing_waives_a_promise_by_default() -> None:
    assert "TALLY_REHEARSAL" not in COMPOSE.read_text(encoding="utf-8")


def test_the_image_runs_as_nobody_special() -> None:
    text = DOCKERFILE.read_text(encoding="utf-8")
    assert re.search(r"^USER \d{5}$", text, re.MULTILINE)
    assert "--require-hashes" in text


# --- Prometheus -----------------------------------------------------------------------------------


def test_prometheus_scrapes_every_worker_and_the_board() -> None:
    config = yaml.safe_load((PROMETHEUS / "prometheus.yml").read_text(encoding="utf-8"))
    targets = {
        job["job_name"]: [target for group in job["static_configs"] for target in group["targets"]]
        for job in config["scrape_configs"]
    }
    workers = [name for name, one in _services().items() if name.startswith("worker") and one]
    assert targets == {"tally-worker": [f"{name}:9180" for name in workers], "tally-board": ["board:8080"]}
    assert "board" in _services()


def test_alerts_ask_only_for_metrics_that_exist() -> None:
    """A renamed metric makes an alarm silent for ever, and nobody notices."""
    groups = yaml.safe_load((PROMETHEUS / "alerts.yml").read_text(encoding="utf-8"))["groups"]
    asked = {name for group in groups for rule in group["rules"] for name in re.findall(r"\btally_\w+", rule["expr"])}
    assert asked
    assert asked - {metric.name for metric in (*METRICS, *BOARD_METRICS)} == set()


def test_promtool_accepts_the_files() -> None:
    program = _program("promtool")
    _run(program, "check", "config", str(PROMETHEUS / "prometheus.yml"))
    _run(program, "check", "rules", str(PROMETHEUS / "alerts.yml"))


def test_the_alarms_ring_at_their_limits_and_not_on_a_quiet_night() -> None:
    _run(_program("promtool"), "test", "rules", str(Path(__file__).with_name("alerts_test.yml")))


def test_systemd_brings_a_killed_worker_back_and_lets_one_that_gave_up_lie() -> None:
    unit = configparser.RawConfigParser(strict=False)
    unit.optionxform = str  # type: ignore[method-assign,assignment]  # systemd's names are not lower case
    unit.read(ROOT / "deploy" / "systemd" / "tally-stream-worker@.service", encoding="utf-8")
    service = unit["Service"]
    assert service["Restart"] == "always"
    assert service["RestartPreventExitStatus"].split() == ["1", "2"]  # the supervisor's refusals: cli/supervise.py
    assert service["KillMode"] == "mixed"
    assert int(service["TimeoutStopSec"]) > 10  # a clean end takes up to 10 s
    assert service["ExecStart"].endswith("/tally-stream worker")
    assert {"DynamicUser", "NoNewPrivileges", "ProtectSystem", "CapabilityBoundingSet"} <= set(service)
    text = (ROOT / "deploy" / "systemd" / "tally-stream-worker@.service").read_text(encoding="utf-8")
    (port,) = re.findall(r"^Environment=TALLY_METRICS_PORT=(\S+)$", text, re.MULTILINE)
    assert "instances 1 to 9" in text
    ports = {load_settings(metrics_port=port.replace("%i", str(instance))).metrics_port for instance in range(1, 10)}
    assert len(ports) == 9
    with pytest.raises(SettingsError, match="TALLY_METRICS_PORT"):
        load_settings(metrics_port=port.replace("%i", "10"))
    if shutil.which("systemd-analyze"):
        path = ROOT / "deploy" / "systemd" / "tally-stream-worker@.service"
        said = subprocess.run(["systemd-analyze", "verify", str(path)], capture_output=True, text=True, check=False).stderr
        assert [line for line in said.splitlines() if path.name in line and "is not executable" not in line] == []
