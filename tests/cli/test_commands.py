"""The command line without a broker: output, exit codes, and refusals without a traceback."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.calling import AZ, call
from tests.support.processes import LIFELINE, command
from tests.support.waiting import wait_for

LOG = str(AZ / "reports.jsonl.gz")


def test_replay_prints_areas_first_and_the_root_last() -> None:
    done = call("replay", str(AZ), LOG, "--until", "2024-02-08T03:13:00+04:00", "--json", "--verdicts")
    lines = done.stdout.splitlines()
    root = json.loads(lines[-1])
    assert len(lines) == 126
    assert root["area"] == "AZ"
    assert root["progress"]["stations"] == {"done": 6102, "of": 6537, "percent": "93.35"}
    assert root["ballots"]["valid"] == 4_651_473
    assert [c["share"] for c in root["candidates"]] == ["92.05", "2.19", "2.00", "1.76", "0.80", "0.67", "0.53"]
    assert len(root["exit_polls"]) == 3
    verdicts = json.loads(done.stderr)
    assert sum(v for k, v in verdicts.items() if k != "codes") == 38_649


def test_replay_shows_a_board_without_json() -> None:
    done = call("replay", "az-2024", LOG)
    assert "4,567,458" in done.stdout
    assert "polling stations (counted or annulled): 100.00 % (6,537 of 6,537)" in done.stdout
    assert "ballots: not known" in done.stdout


@pytest.mark.parametrize(
    "arguments", [("--until", "yesterday"), ("--at", "0=x"), ("--at", "0=1,0=2"), ("--at", "0=" + "9" * 5_000), ("--nonsense",)]
)
def test_wrong_usage_exits_2(arguments: tuple[str, ...]) -> None:
    call("replay", str(AZ), LOG, *arguments, expect=2)


def test_a_broken_log_is_refused_with_its_line(tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    log.write_text('{"timestamp": 1, "key": "A", "value": "{}"}\nnonsense\n')
    assert f"{log}:2:" in call("replay", str(AZ), str(log), expect=1).stderr
    assert "cannot be read" in call("replay", str(AZ), str(tmp_path / "none"), expect=1).stderr


def test_a_broken_election_folder_lists_every_mistake_and_exits_2(tmp_path: Path) -> None:
    (tmp_path / "election.toml").write_text('id = "lower case"\nphase = "rehearsal"\nnonsense = 1\n')
    (tmp_path / "stations.csv").write_text("station_id,name,registered,ballots_expected\nA-1,x,many,\n")
    done = call("worker", "--election", str(tmp_path), expect=2)
    for wanted in ("election.toml:1: id", "election.toml:2: phase", "election.toml:3: nonsense", "contests is missing"):
        assert wanted in done.stderr


def test_all_mistakes_of_the_settings_are_reported_at_once() -> None:
    done = call("worker", "--election", "az-2024", expect=2, TALLY_BOOTSTRAP="nowhere", TALLY_METRICS_PORT="70000",
                TALLY_PUBLISH_INTERVAL_MS="soon")  # fmt: skip
    for name in ("TALLY_BOOTSTRAP", "TALLY_METRICS_PORT", "TALLY_PUBLISH_INTERVAL_MS"):
        assert name in done.stderr


def test_a_broker_that_is_not_up_is_waited_for_and_named() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    done = call("worker", "--election", "az-2024", "--once", expect=1, TALLY_BOOTSTRAP=address, TALLY_BROKER_WAIT_SECONDS="2")
    assert (
        f"no Kafka broker answers at {address} (Connection refused): not up yet, or TALLY_BOOTSTRAP is wrong; next try in"
        in done.stderr
    )
    assert (
        f"no Kafka broker answers at {address} (Connection refused): not up yet, or TALLY_BOOTSTRAP is wrong; waited"
        in done.stderr
    )


def test_a_worker_that_found_no_broker_is_started_again_until_it_is_told_to_stop(tmp_path: Path) -> None:
    """As after a power cut, when Kafka needs longer than the worker waits: only a refusal is for good."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    log = tmp_path / "log"
    with log.open("wb") as said:
        worker = subprocess.Popen(
            command("worker", "--election", "az-2024"), stdout=said, stderr=said,
            **LIFELINE.arguments({**os.environ, "TALLY_BOOTSTRAP": address, "TALLY_BROKER_WAIT_SECONDS": "0"}),
        )  # fmt: skip
    try:
        wait_for(lambda: "(start 3)" in log.read_text() or worker.poll() is not None, "a third start", 60)
        assert worker.poll() is None, log.read_text()
        assert (
            f"tally-stream: no Kafka broker answers at {address} (Connection refused): not up yet, or TALLY_BOOTSTRAP is wrong; waited 0 s"
            in log.read_text()
        )
        assert (
            "supervisor tally-stream: worker-1: the worker ended with exit code 1; it starts again in 1.0 s (start 3)"
            in log.read_text()
        )
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(20) == 0
    finally:
        worker.kill()
        worker.wait()
    assert "Traceback" not in log.read_text()


def test_rules_are_listed_for_people_and_programs() -> None:
    rules = [json.loads(line) for line in call("rules", "--json").stdout.splitlines()]
    assert {"S1", "Q1", "A1", "P10", "X1"} <= {rule["code"] for rule in rules}
    assert "Abacus F.202" in call("rules").stdout


@pytest.mark.parametrize("name", ["demo", "worker", "send", "submit", "standings", "export", "dump", "replay", "rules"])
def test_every_command_has_help_with_an_example(name: str) -> None:
    assert f"Example: tally-stream {name}" in " ".join(call(name, "--help").stdout.split())


def test_a_demo_says_that_it_stays() -> None:
    assert "stays up until Ctrl-C; with --exit it ends with the night" in " ".join(call("demo", "--help").stdout.split())


def test_a_port_past_the_last_one_is_refused_for_each_worker_of_a_command() -> None:
    done = call("worker", "--election", "az-2024", "--processes", "2", "--metrics-port", "65535", expect=2)
    (line,) = done.stderr.splitlines()
    assert line.partition(" supervisor ")[2] == (
        "tally-stream: --processes 2 from metrics port 65535 on: process 2 would need port 65536, the last one is 65535; a lower "
        "one: --metrics-port or TALLY_METRICS_PORT"
    )


def test_a_night_that_is_misspelt_is_told_the_nights_there_are() -> None:
    done = call("replay", "az-2042", expect=2)
    assert done.stderr == (
        "tally-stream: az-2042: no such election folder, and no night of that name ships (az-2024, bolivia-2019, council, wisconsin-2024)\n"
    )


def test_all_of_a_large_answer_is_written_where_a_write_takes_a_part() -> None:
    """As a pipe may where Python does not buffer: an export once ended after 64 KiB, with exit 0."""
    code = (
        "import io, sys\n"
        "from tally_stream.cli.common import write_out\n"
        "class Part(io.RawIOBase):\n"
        "    def write(self, content): return real.write(bytes(content[:7]))\n"
        "real = sys.stdout.buffer\n"
        "sys.stdout = type('Out', (), {'buffer': Part()})\n"
        "write_out(bytes(range(100)))\n"
        "sys.stdout = sys.__stdout__\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert done.stdout == bytes(range(100))


@pytest.mark.parametrize("debug", ["", "1"])
def test_a_worker_writes_the_trace_of_what_ends_it_only_for_who_asks(debug: str) -> None:
    """One line names the place; where no handler stands, Python would write the trace beside it."""
    ends = (
        "import logging\nfrom tally_stream.cli import worker\n"
        "def count(*_):\n"
        "    logging.getLogger('tally_stream.stream.faust.transport').critical('planted', exc_info=ValueError('trace'))\n"
        "    return 0\n"
        "worker._count = count\nworker.worker(['--election', 'az-2024', '--once'])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", ends], capture_output=True, text=True, check=False, env={**os.environ, "TALLY_DEBUG": debug}
    )
    assert done.returncode == 0, done.stderr
    assert ("ValueError: trace" in done.stderr) is bool(debug)
