"""`export` from files: all or nothing on standard output, and what is refused is said on standard error."""

from __future__ import annotations

import csv
import io
import json
import os
import socket
from pathlib import Path

import pytest

from tests.support.folders import Folder
from tests.support.paths import NIGHTS
from tests.support.preloaded import ran_in_bytes
from tests.support.processes import command

LOG = str(NIGHTS / "az-2024" / "reports.jsonl.gz")
AT_03_13 = ("--until", "2024-02-08T03:13:00+04:00")


def call(*arguments: str, expect: int = 0, stdin: bytes = b"") -> tuple[bytes, str]:
    done = ran_in_bytes(command(*arguments), os.environ, 60, stdin)
    assert done.returncode == expect, done.stderr.decode()
    assert b"Traceback" not in done.stderr
    return done.stdout, done.stderr.decode()


@pytest.fixture(scope="module", name="saved")
def saved_messages() -> bytes:
    return call("replay", "az-2024", LOG, *AT_03_13, "--json")[0]


def test_a_table_from_a_log() -> None:
    out, said = call("export", "az-2024", LOG, "--format", "csv")
    rows = list(csv.DictReader(io.StringIO(out.decode(), newline="")))
    assert [r["votes"] for r in rows[:7]] == ["4567458", "107632", "98421", "85411", "39643", "32885", "26517"]
    assert len(rows) == 126 * 7
    assert said == ""


def test_a_report_from_messages_on_standard_input(saved: bytes) -> None:
    out, said = call("export", "az-2024", "--standings", "-", "--format", "nist-err-v2", stdin=saved)
    report = json.loads(out)
    counts = [s["VoteCounts"][0]["Count"] for s in report["Election"][0]["Contest"][0]["ContestSelection"]]
    assert counts == [4_281_625, 101_851, 92_980, 81_799, 37_386, 31_033, 24_799]
    assert report["Election"][0]["StartDate"] == "2024-02-07"
    assert out.endswith(b"\n")
    assert said == ""


def test_messages_from_a_file_and_from_a_log_give_the_same_table(saved: bytes, tmp_path: Path) -> None:
    (tmp_path / "whole.jsonl").write_bytes(saved + call("replay", "az-2024", LOG, "--json")[0])
    from_file, _ = call("export", "az-2024", "--standings", str(tmp_path / "whole.jsonl"), "--format", "csv")
    assert from_file == call("export", "az-2024", LOG, "--format", "csv")[0]


@pytest.mark.parametrize("folder", ["az-2024", "without a log"])
def test_where_no_broker_answers_the_way_without_one_is_said_once(
    folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        monkeypatch.setenv("TALLY_BOOTSTRAP", f"127.0.0.1:{free.getsockname()[1]}")
    monkeypatch.setenv("TALLY_BROKER_WAIT_SECONDS", "1")
    if folder != "az-2024":
        folder = str(Folder(tmp_path).path)
    _, said = call("export", folder, "--format", "csv", expect=1)
    lines = said.splitlines()
    assert "(Connection refused): not up yet, or TALLY_BOOTSTRAP is wrong; next try in 0.2 s" in lines[0]
    log = "az-2024" if folder == "az-2024" else "LOG"
    assert lines[1] == f"tally-stream: without Kafka, from a report log: tally-stream export {folder} {log}"
    assert said.count("without Kafka") == 1
    assert len(lines) > 3


@pytest.mark.parametrize("form", ["csv", "nist-err-v2"])
def test_nothing_is_written_of_what_does_not_hold_together(form: str, saved: bytes) -> None:
    spoilt = saved.replace(b'"votes":4281625', b'"votes":4281626')
    assert spoilt != saved
    out, said = call("export", "az-2024", "--standings", "-", "--format", form, stdin=spoilt, expect=1)
    assert out == b""
    assert said == ("tally-stream: not exported: PRES|AZ: votes of I-ALIYEV are 4,281,626, its parts add up to 4,281,625\n")


def test_a_line_that_is_no_message_is_named(saved: bytes, tmp_path: Path) -> None:
    path = tmp_path / "saved.jsonl"
    path.write_bytes(saved.replace(b'"on_hold":false', b'"on_hold":0', 1))
    out, said = call("export", "az-2024", "--standings", str(path), "--format", "csv", expect=1)
    assert out == b""
    assert said.startswith(f"tally-stream: {path}:1: not a standings message: Expected `bool`, got `int`")
    assert (
        "not a standings message"
        in call("export", "az-2024", "--standings", "-", "--format", "csv", stdin=b"\xff\n", expect=1)[1]
    )


def test_standings_of_another_election_are_refused(saved: bytes) -> None:
    out, said = call("export", "wisconsin-2024", "--standings", "-", "--format", "csv", stdin=saved, expect=1)
    assert out == b""
    assert "not exported: the standings of PRES are of definition sha256:7f421133" in said


def test_a_broken_log_is_refused(tmp_path: Path) -> None:
    (tmp_path / "log.jsonl").write_text("nonsense\n")
    assert "log.jsonl:1:" in call("export", "az-2024", str(tmp_path / "log.jsonl"), "--format", "csv", expect=1)[1]
    assert "cannot be read" in call("export", "az-2024", str(tmp_path / "none"), "--format", "csv", expect=1)[1]


def test_wrong_usage_exits_2(tmp_path: Path) -> None:
    call("export", "az-2024", LOG, expect=2)
    call("export", "az-2024", LOG, "--format", "xml", expect=2)
    call("export", "az-2024", "--standings", str(tmp_path / "none"), "--format", "csv", expect=2)
    call("export", "nowhere", "--format", "csv", expect=2)
    assert "exclude each other" in call("export", "az-2024", LOG, "--standings", "-", "--format", "csv", expect=2)[1]
    assert "no contest of AZ-2024" in call("export", "az-2024", LOG, "--format", "csv", "--contest", "MAYOR", expect=2)[1]
