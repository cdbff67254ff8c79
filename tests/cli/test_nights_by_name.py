"""A night that ships is found by its name, its log too; and a shell completes commands, options and those names."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import pytest

from tally_stream.cli.common import ELECTION, LOG
from tally_stream.cli.main import cli
from tests.cli.calling import AZ, call
from tests.support.paths import NIGHTS
from tests.support.processes import command

NAMES = ["az-2024", "bolivia-2019", "council", "wisconsin-2024"]


def test_replay_without_a_log_folds_the_folder_s_own() -> None:
    by_path = call("replay", str(AZ), str(AZ / "reports.jsonl.gz"), "--json").stdout
    assert call("replay", "az-2024", "--json").stdout == by_path
    assert call("replay", "az-2024", "az-2024", "--json").stdout == by_path


def test_a_folder_of_one_s_own_stands_for_the_log_in_it(tmp_path: Path) -> None:
    shutil.copytree(AZ, tmp_path / "mine")
    until = ("--until", "2024-02-07T22:30:00+04:00", "--json")
    done = call("replay", str(tmp_path / "mine"), *until)
    assert done.stdout == call("replay", "az-2024", str(tmp_path / "mine"), *until).stdout
    assert json.loads(done.stdout.splitlines()[-1])["area"] == "AZ"


def test_a_folder_without_a_log_is_named(tmp_path: Path) -> None:
    shutil.copytree(AZ, tmp_path / "mine")
    (tmp_path / "mine" / "reports.jsonl.gz").unlink()
    for arguments in (
        ("replay", str(tmp_path / "mine")),
        ("replay", "az-2024", str(tmp_path / "mine")),
        ("send", str(tmp_path / "mine")),
    ):
        assert "mine: has no reports.jsonl or reports.jsonl.gz" in call(*arguments, expect=2).stderr


def test_a_file_goes_before_a_night_of_its_name(tmp_path: Path) -> None:
    (tmp_path / "az-2024").write_text("nonsense\n")
    done = subprocess.run(
        command("replay", "az-2024", "az-2024"), cwd=tmp_path, capture_output=True, text=True, check=False,
        env={**os.environ, "PYTHONPATH": str(NIGHTS.parents[1])},
    )  # fmt: skip
    assert done.returncode == 1
    assert "az-2024:1:" in done.stderr


def test_export_and_verify_without_a_log_still_ask_kafka(tmp_path: Path) -> None:
    unreachable: dict[str, Any] = {"TALLY_BOOTSTRAP": "127.0.0.1:1", "TALLY_BROKER_WAIT_SECONDS": "0"}
    assert "no Kafka broker answers" in call("export", "az-2024", "--format", "csv", expect=1, **unreachable).stderr
    assert "no Kafka broker answers" in call("verify", "az-2024", expect=1, **unreachable).stderr
    standings = tmp_path / "standings.jsonl"
    standings.write_text(call("replay", "az-2024", "--json").stdout)
    done = call("verify", "az-2024", "az-2024", "--standings", str(standings), **unreachable)
    assert "126 standings messages equal what 39,095 records give" in done.stdout


def complete(*words: str) -> list[str]:
    """What bash would be offered for the last word, `kind,value` without what the shell completes itself."""
    done = call(
        _TALLY_STREAM_COMPLETE="bash_complete", COMP_WORDS=" ".join(("tally-stream", *words)), COMP_CWORD=str(len(words))
    )
    assert done.stderr == ""
    return [line.removeprefix("plain,") for line in done.stdout.splitlines() if line.startswith("plain,")]


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (("re",), ["restore", "replay"]),
        (("topics", ""), ["check", "create"]),
        (("replay", ""), NAMES),
        (("replay", "w"), ["wisconsin-2024"]),
        (("replay", "az-2024", ""), NAMES),
        (("send", "b"), ["bolivia-2019"]),
        (("verify", "az-2024", "a"), ["az-2024"]),
        (("export", "az"), ["az-2024"]),
        (("board", "--election", ""), NAMES),
        (("demo", "--election", "bo"), ["bolivia-2019"]),
        (("worker", "--election", ""), NAMES),
        (("standings", "--election", ""), NAMES),
        (("topics", "create", "--election", "az"), ["az-2024"]),
        (("replay", "az-2024", "--ver"), ["--verdicts"]),
        (("export", "az-2024", "--format", ""), ["nist-err-v2", "csv", "csv-channels"]),
    ],
    ids=" ".join,
)  # fmt: skip
def test_a_shell_completes(words: tuple[str, ...], offered: list[str]) -> None:
    assert complete(*words) == offered


def test_every_command_is_offered() -> None:
    assert complete("") == cli.list_commands(click.Context(cli))


def test_completing_a_command_s_name_loads_no_command() -> None:
    code = (
        "import sys; from tally_stream.cli.main import cli; import click\n"
        "cli.shell_complete(click.Context(cli), 'w')\n"
        "print(sorted(name for name in sys.modules if name.startswith('tally_stream.cli.')))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == (
        "['tally_stream.cli.doc_pages', 'tally_stream.cli.lifeline', 'tally_stream.cli.main']\n"
    )


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_there_is_a_script_for_each_shell(shell: str) -> None:
    done = call(_TALLY_STREAM_COMPLETE=f"{shell}_source")
    assert f"_TALLY_STREAM_COMPLETE={shell}_complete" in done.stdout


@pytest.mark.parametrize(
    "words",
    [
        ("board",),
        ("demo",),
        ("worker",),
        ("topics", "create"),
        ("topics", "check"),
        ("replay",),
        ("send",),
        ("verify",),
        ("export",),
    ],
)
def test_every_election_and_log_is_completed(words: tuple[str, ...]) -> None:
    found: click.Command = cli
    for word in words:
        assert isinstance(found, click.Group)
        found = found.get_command(click.Context(found), word) or found
    kinds = {p.name: p.type for p in found.params if p.name in {"election", "folder", "log"}}
    assert kinds
    assert all(kind is (LOG if name == "log" else ELECTION) for name, kind in kinds.items())
