"""docker-compose.yml, read and compared; there is no Docker engine where these tests run.

They hold what can be held without one: compose itself reads the file, nothing listens beyond this machine, every image is one
version, Kafka's is the version that the other tests run on with the settings that the local Kafka proves, nothing can fill
the disk or the memory, and what an operator may change has a default.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import click
import pytest
import yaml

from tally_stream.cli.main import cli
from tally_stream.settings import Settings
from tests.deploy.files import COMPOSE, DOCKERFILE, LOCAL_KAFKA, PROMETHEUS, brokers, parsed, program, run, services
from tests.support.paths import ROOT

KAFKA_VERSION = "4.3.1"
BEHIND_PROFILES = {"alertmanager": ["alertmanager"], "grafana": ["grafana"], "intake": ["intake"]}

PROMISED = {
    "KAFKA_AUTO_CREATE_TOPICS_ENABLE": "false",
    "KAFKA_UNCLEAN_LEADER_ELECTION_ENABLE": "false",
    "KAFKA_DEFAULT_REPLICATION_FACTOR": "3",
    "KAFKA_MIN_INSYNC_REPLICAS": "2",
    "KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR": "3",
}
VARIABLES = re.compile(r"\$\{(\w+)(:-([^}]*))?\}")


def as_compose_reads_it(**environment: str) -> dict[str, Any]:
    """Compose's own reading, with every profile: variables filled in, anchors resolved, defaults added."""
    said = run(
        program("docker-compose"), "--file", str(COMPOSE), *(word for name in BEHIND_PROFILES for word in ("--profile", name)), "config",
        **environment,
    )  # fmt: skip
    read: dict[str, Any] = yaml.safe_load(said)
    return read


def test_compose_reads_its_file() -> None:
    """Its own reading: keys it does not know, anchors, dependencies on services that are not there."""
    assert as_compose_reads_it()["services"].keys() == services().keys()


def test_every_variable_has_a_default_and_stands_in_the_head_of_the_file() -> None:
    text = COMPOSE.read_text(encoding="utf-8")
    head = dict(re.findall(r"^#   (TALLY_\w+) .*?  +(\S+)(?: \(.*\))?$", text, re.MULTILINE))
    used = {name: default for name, has_default, default in VARIABLES.findall(text) if has_default}
    assert used == head
    assert [name for name, has_default, _ in VARIABLES.findall(text) if not has_default] == []


def test_an_operator_chooses_election_memory_and_logs() -> None:
    chosen = as_compose_reads_it(
        TALLY_ELECTION_DIR="/srv/election", TALLY_KAFKA_MEMORY="3g", TALLY_KAFKA_HEAP="2g", TALLY_WORKER_MEMORY="4g",
        TALLY_BOARD_MEMORY="5g", TALLY_DUMP_MEMORY="600m", TALLY_INTAKE_MEMORY="6g", TALLY_WATCH_MEMORY="7g", TALLY_LOG_MAX_SIZE="1m", TALLY_LOG_MAX_FILE="9",
    )["services"]  # fmt: skip
    for name in ("worker-1", "worker-2", "board", "topics", "intake"):
        assert "/srv/election:/election:ro" in chosen[name]["volumes"], name
    memory = {name: one["mem_limit"] for name, one in chosen.items()}
    assert memory == {
        **dict.fromkeys(("kafka-1", "kafka-2", "kafka-3"), "3g"), **dict.fromkeys(("topics", "worker-1", "worker-2"), "4g"),
        "board": "5g", "dump": "600m", "intake": "6g", **dict.fromkeys(("prometheus", "alertmanager", "grafana"), "7g"),
    }  # fmt: skip
    assert chosen["kafka-1"]["environment"]["KAFKA_HEAP_OPTS"] == "-Xms2g -Xmx2g"
    for name, one in chosen.items():
        assert one["logging"] == {"driver": "json-file", "options": {"max-size": "1m", "max-file": "9"}}, name


def test_what_compose_mounts_is_there() -> None:
    """Docker makes an empty folder of what is not there, and says nothing."""
    for name, one in as_compose_reads_it()["services"].items():
        for volume in one.get("volumes", []):
            source = volume.split(":")[0]
            assert not source.startswith("/") or Path(source).exists(), (name, source)


def test_every_port_is_on_loopback() -> None:
    ports = [port for service in services().values() for port in service.get("ports", [])]
    assert ports
    assert [port for port in ports if not re.fullmatch(r"127\.0\.0\.1:\d+:\d+", port)] == []
    outside = [port.split(":")[1] for port in ports]
    assert len(set(outside)) == len(outside)


def test_no_service_shares_the_machine_s_network() -> None:
    """It would publish every port of the container, whatever `ports` says."""
    assert [name for name, one in services().items() if "network_mode" in one] == []


def test_every_image_is_one_version() -> None:
    images = {service["image"] for service in services().values()}
    bases = re.findall(r"^FROM (\S+)", DOCKERFILE.read_text(encoding="utf-8"), re.MULTILINE)
    assert bases
    pinned = re.compile(r"[\w./-]+:v?\d+\.\d+\.\d+[\w.-]*")
    assert [image for image in [*images, *bases] if not pinned.fullmatch(image)] == []


def test_kafka_is_the_version_that_the_tests_run_on() -> None:
    pom = ElementTree.parse(LOCAL_KAFKA / "pom.xml").getroot()
    version = pom.findtext(".//{*}kafka.version")
    assert version == KAFKA_VERSION
    assert {broker["image"] for broker in brokers()} == {f"apache/kafka:{version}"}


def test_three_brokers_keep_the_promised_settings() -> None:
    assert [broker["environment"]["KAFKA_NODE_ID"] for broker in brokers()] == ["1", "2", "3"]
    for broker in brokers():
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
    for name, value in brokers()[0]["environment"].items():
        key = name.removeprefix("KAFKA_").lower().replace("_", ".")
        if name in PROMISED or "TRANSACTION" in name or "SESSION" in name:
            assert values.get(local[key], local[key]) == value, key
            compared += 1
    assert compared == len(PROMISED) + 3


def test_a_host_s_program_finds_each_broker_where_it_is_published() -> None:
    """An advertised address that is not the published one works until the first metadata answer."""
    for broker in brokers():
        advertised = broker["environment"]["KAFKA_ADVERTISED_LISTENERS"]
        outside = re.search(r"HOST://(127\.0\.0\.1:\d+)", advertised)
        assert outside is not None
        assert broker["ports"] == [f"{outside.group(1)}:9092"]
        assert f"INSIDE://{broker['hostname']}:19092" in advertised


def test_topics_are_set_up_once_before_any_worker_starts() -> None:
    topics = services()["topics"]
    assert topics["command"][:2] == ["topics", "create"]
    assert topics["command"][-2:] == ["--replication", "3"]
    assert topics["restart"] == "no"
    workers = [one for one in services().values() if (one.get("command") or [""])[0] == "worker"]
    assert len(workers) == 2
    for worker in workers:
        assert worker["depends_on"]["topics"]["condition"] == "service_completed_successfully"
        assert worker["restart"] == "unless-stopped"
    assert len({worker["environment"]["TALLY_INSTANCE"] for worker in workers}) == len(workers)


def test_the_board_is_reached_where_it_listens_and_reads_only() -> None:
    board = services()["board"]
    environment = board["environment"]
    assert {name.removeprefix("TALLY_").lower() for name in environment} <= set(Settings.model_fields)
    port = environment["TALLY_BOARD_PORT"]
    assert int(port) == Settings.model_fields["board_port"].default
    assert board["ports"] == [f"127.0.0.1:{port}:{port}"]
    assert f"127.0.0.1:{port}/readyz" in board["healthcheck"]["test"][-1]
    assert board["read_only"] is True
    assert Settings.model_fields["board_host"].default == "127.0.0.1", "loopback unless configured"


@pytest.mark.parametrize("name", ["topics", "worker-1", "board", "dump", "intake"])
def test_each_command_is_one_that_the_product_has(name: str) -> None:
    command, *words = services()[name]["command"]
    if command == "topics":
        command, *words = words
        group = cli.get_command(click.Context(cli), "topics")
        assert isinstance(group, click.Group)
        found = group.get_command(click.Context(group), command)
    else:
        found = cli.get_command(click.Context(cli), command)
    assert found is not None
    found.make_context(command, [word.replace("/election", "az-2024") for word in words])


def test_the_copy_of_the_log_is_kept_and_stands_where_the_image_lets_it_write() -> None:
    dump = services()["dump"]
    _, path, follow = dump["command"]
    assert follow == "--follow"
    (volume,) = [one for one in dump["volumes"] if one.split(":")[0] in parsed(COMPOSE)["volumes"]]
    folder = volume.split(":")[1]
    assert path.startswith(f"{folder}/")
    assert f"--owner 10001 --mode 0700 {folder}" in DOCKERFILE.read_text(encoding="utf-8")
    assert dump["restart"] == "unless-stopped"


def test_the_intake_is_reached_where_it_listens_and_its_tokens_outlive_it() -> None:
    intake = services()["intake"]
    told = intake["environment"]
    assert {name.removeprefix("TALLY_").lower() for name in told} <= set(Settings.model_fields)
    ports = [told["TALLY_INTAKE_PORT"], told["TALLY_INTAKE_METRICS_PORT"]]
    assert intake["ports"] == [f"127.0.0.1:{port}:{port}" for port in ports]
    assert int(ports[0]) == Settings.model_fields["intake_port"].default
    assert f"127.0.0.1:{ports[0]}/readyz" in intake["healthcheck"]["test"][-1]
    assert {told["TALLY_INTAKE_HOST"], told["TALLY_INTAKE_METRICS_HOST"]} == {"0.0.0.0"}
    assert Settings.model_fields["intake_host"].default == "127.0.0.1", "loopback unless configured"
    (volume,) = [one for one in intake["volumes"] if one.split(":")[0] in parsed(COMPOSE)["volumes"]]
    folder = volume.split(":")[1]
    assert told["TALLY_INTAKE_TOKENS"].startswith(f"{folder}/")
    assert f"--owner 10001 --mode 0700 {folder}" in DOCKERFILE.read_text(encoding="utf-8"), "where the image lets it write"
    comment = (PROMETHEUS / "targets" / "intakes.yml").read_text(encoding="utf-8")
    for place in (COMPOSE.read_text(encoding="utf-8"), comment):
        assert f'targets: ["intake:{ports[1]}"]' in place


def test_what_is_not_for_everybody_starts_only_when_asked_for() -> None:
    assert {name: one["profiles"] for name, one in services().items() if "profiles" in one} == BEHIND_PROFILES


def test_everything_that_stays_up_has_a_health_check() -> None:
    lacking = [name for name, one in services().items() if "healthcheck" not in one]
    assert lacking == ["topics"]


def test_nothing_waives_a_promise_by_default() -> None:
    assert "TALLY_REHEARSAL" not in COMPOSE.read_text(encoding="utf-8")


def test_the_folders_of_grafana_and_prometheus_are_the_repository_s() -> None:
    mounted = [
        v for name in ("prometheus", "alertmanager", "grafana") for v in services()[name]["volumes"] if v.startswith("./")
    ]
    assert [v.split(":")[2] for v in mounted] == ["ro"] * len(mounted)
    assert all((ROOT / v.split(":")[0]).is_relative_to(ROOT / "deploy") for v in mounted)
