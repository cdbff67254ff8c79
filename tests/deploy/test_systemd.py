"""The units of a bare machine: systemd's own judgement, how they come back, what they may use, where their secrets come from."""

from __future__ import annotations

import configparser
import re
import subprocess
from pathlib import Path

import click
import pytest

from tally_stream.cli.main import cli
from tally_stream.settings import SettingsError, load_settings
from tests.deploy.files import SYSTEMD, program, run

UNITS = sorted(SYSTEMD.glob("*.service"))
NAMES = {f"tally-stream-{name}.service": name.removesuffix("@") for name in ("board", "dump", "intake", "worker@")}
EXPOSURE_MAX = 2.0
GIVES_UP = {"worker": ["1", "2"], "board": ["2"], "dump": ["2"], "intake": ["2"]}
"""Exit codes after which a person has to look; the worker's 1 is its supervisor's refusal (cli/supervise.py)."""

per_unit = pytest.mark.parametrize("path", UNITS, ids=lambda path: NAMES[path.name])


def sections(path: Path) -> configparser.RawConfigParser:
    unit = configparser.RawConfigParser(strict=False)
    unit.optionxform = str  # type: ignore[method-assign,assignment]  # systemd's names are not lower case
    unit.read(path, encoding="utf-8")
    return unit


def environment(path: Path) -> dict[str, str]:
    return dict(re.findall(r"^Environment=(\w+)=(\S+)$", path.read_text(encoding="utf-8"), re.MULTILINE))


def test_there_is_a_unit_for_each() -> None:
    assert [path.name for path in UNITS] == sorted(NAMES)


@per_unit
def test_systemd_finds_no_mistake_in_it(path: Path) -> None:
    said = subprocess.run([program("systemd-analyze"), "verify", path], capture_output=True, text=True, check=False).stderr
    about = path.stem.removesuffix("@")
    assert [line for line in said.splitlines() if about in line and "is not executable" not in line] == []


@per_unit
def test_little_is_open_to_it(path: Path) -> None:
    """systemd's own measure, 0 to 10; it ends with 1 above the threshold, which counts tenths."""
    said = run(
        program("systemd-analyze"), "security", "--offline=true", f"--threshold={EXPOSURE_MAX * 10:.0f}", "--no-pager", path
    )  # fmt: skip
    (level,) = re.findall(r"Overall exposure level for \S+: (\d+\.\d+)", said)
    assert 0 < float(level) <= EXPOSURE_MAX


@per_unit
def test_it_comes_back_from_what_passes_and_lies_where_a_person_has_to_look(path: Path) -> None:
    service = sections(path)["Service"]
    assert service["Restart"] == "always"
    assert service["RestartPreventExitStatus"].split() == GIVES_UP[NAMES[path.name]]
    assert service["KillMode"] == "mixed"
    assert int(service["TimeoutStopSec"]) > 10  # a clean end takes up to 10 s
    assert sections(path)["Unit"].get("StartLimitIntervalSec") == (None if NAMES[path.name] == "worker" else "0")


@per_unit
def test_it_may_not_take_all_the_memory(path: Path) -> None:
    service = sections(path)["Service"]
    assert re.fullmatch(r"\d+[MG]", service["MemoryMax"])
    assert int(service["TasksMax"]) <= 64


@per_unit
def test_its_password_is_a_credential_and_in_no_environment(path: Path) -> None:
    service, name = sections(path)["Service"], NAMES[path.name]
    assert service["LoadCredential"] == f"password:/etc/tally-stream/{name}.password"
    assert environment(path)["TALLY_SECURITY_PASSWORD_FILE"] == "%d/password"
    assert "TALLY_SECURITY_PASSWORD" not in environment(path)
    assert service["EnvironmentFile"] == f"/etc/tally-stream/{name}.env"
    assert service["LimitCORE"] == "0"


@per_unit
def test_it_starts_what_the_product_has(path: Path) -> None:
    program_path, command, *words = sections(path)["Service"]["ExecStart"].split()
    assert program_path == "/opt/tally-stream/bin/tally-stream"
    assert command == NAMES[path.name]
    found = cli.get_command(click.Context(cli), command)
    assert found is not None
    found.make_context(command, words)


def test_only_the_copy_writes_and_only_into_its_own_folder() -> None:
    writers = {NAMES[path.name]: sections(path)["Service"].get("StateDirectory") for path in UNITS}
    assert writers == {"worker": None, "board": None, "dump": "tally-stream", "intake": None}
    for path in UNITS:
        service = sections(path)["Service"]
        assert service["ProtectSystem"] == "strict"
        assert service["DynamicUser"] == "yes"
        assert "ReadWritePaths" not in service


def test_nine_workers_of_a_machine_have_ports_of_their_own() -> None:
    path = SYSTEMD / "tally-stream-worker@.service"
    port = environment(path)["TALLY_METRICS_PORT"]
    assert "instances 1 to 9" in path.read_text(encoding="utf-8")
    ports = {load_settings(metrics_port=port.replace("%i", str(instance))).metrics_port for instance in range(1, 10)}
    assert len(ports) == 9
    with pytest.raises(SettingsError, match="TALLY_METRICS_PORT"):
        load_settings(metrics_port=port.replace("%i", "10"))
