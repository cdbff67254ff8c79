"""The docs' commands exist as they stand there, and those that need no broker give what is shown."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
from functools import cache
from pathlib import Path

import click
import pytest

from deploy.kafka.local.tools import TOOLS
from tally_stream.cli.main import cli
from tally_stream.wire.folder.assembling import load_election
from tests.support.doc_pages import blocks, marked
from tests.support.paths import DOCS, ROOT
from tests.support.preloaded import ran
from tests.support.processes import command
from tests.support.product_commands import parse

README = ROOT / "README.md"
PAGES = [README, ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", ROOT / "SECURITY.md", *sorted(DOCS.rglob("*.md"))]
TALLY = ".venv/bin/tally-stream"
INSTALLED = "tally-stream"
"""As whoever has a wheel calls it."""
PYTHON = ".venv/bin/python"
SYSTEM = {"cp", "export", "kcat", "rm", "systemctl", "umask"}
NEEDS_NO_BROKER = {"check", "replay", "rules"}


def commands(page: Path) -> list[str]:
    """Lines of the page's sh blocks."""
    return [line for b in blocks(page) if b.language == "sh" for line in b.text.splitlines() if line.strip()]


def written_on(page: str) -> set[str]:
    """Files that the page has its reader write."""
    return {name for path in PAGES if path.name == page for name in marked(path, "file")}


ALL_COMMANDS = [(page.name, line) for page in PAGES for line in commands(page)]


@cache
def make_targets() -> set[str]:
    return set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))


@pytest.mark.parametrize(("page", "line"), ALL_COMMANDS)
def test_a_command_exists_as_it_stands_there(page: str, line: str) -> None:
    words = shlex.split(line, comments=True)
    if words[0] in (TALLY, INSTALLED):
        parse([word for word in words[1 : words.index(">") if ">" in words else None] if word != "&"])
    elif words[0] == "make":
        target, *assignments = words[1:]
        assert target in make_targets()
        assert all(a.startswith("ARGS=") for a in assignments)
        if target == "demo" and assignments:
            parse(["demo", *shlex.split(assignments[0].removeprefix("ARGS="))])
    elif words[0] == PYTHON:
        assert words[1] == "-m" or (ROOT / words[1]).exists() or words[1] in written_on(page)
    elif words[0] not in SYSTEM | set(TOOLS):
        pytest.fail(f"{page}: {words[0]} is no command of this repository")


@pytest.mark.parametrize(
    "words", [["nothing"], ["replay", "--quiet", "a", "b"], ["topics"], ["topics", "create", "--partitions", "0"]]
)
def test_the_parser_refuses_what_does_not_exist(words: list[str]) -> None:
    with pytest.raises(click.UsageError):
        parse(words)


@pytest.mark.parametrize("page", [README, DOCS / "elections.md"], ids=lambda page: page.name)
def test_whoever_has_a_wheel_is_told_what_stands_for_the_clone_s_environment(page: Path) -> None:
    before = page.read_text(encoding="utf-8").partition(f"\n{TALLY} ")[0]
    assert "install.md#a-wheel" in before, "ahead of the first command"
    wheel = (DOCS / "install.md").read_text(encoding="utf-8").partition("\n## A wheel\n")[2].partition("\n## ")[0]
    assert all(f"`{written}`" in wheel for written in (TALLY, PYTHON))


@pytest.mark.parametrize("command", cli.list_commands(click.Context(cli)))
def test_every_command_is_in_the_readme(command: str) -> None:
    assert re.search(rf"tally-stream {command}\b|make {command}\b", README.read_text(encoding="utf-8"))


def run(line: str) -> subprocess.CompletedProcess[str]:
    words = shlex.split(line)
    return ran(command(*words[1:]), os.environ, 120)


def _is_of_a_log(line: str) -> bool:
    words = shlex.split(line)
    return words[1] == "export" and len(words) > 3 and not words[3].startswith("-")


RUNNABLE = [
    line
    for line in commands(README)
    if line.startswith(TALLY) and (shlex.split(line)[1] in NEEDS_NO_BROKER or _is_of_a_log(line)) and "--json" not in line
]


@pytest.mark.parametrize("line", RUNNABLE)
def test_a_command_that_needs_no_broker_runs(line: str) -> None:
    said = run(line)
    assert (said.returncode, said.stderr) == (0, "")
    assert said.stdout


def words_of(board: str) -> list[str]:
    """What a board says, without its lines and bars."""
    return re.sub(r"[─-╿█▌]", " ", board).split()


def test_the_capture_is_what_the_command_prints() -> None:
    (block,) = marked(README, "capture").values()
    (line,) = [x for x in RUNNABLE if "--until" in x]
    assert words_of(run(line).stdout) == words_of(block.text)


def test_the_capture_has_the_figures_of_the_announcement() -> None:
    (block,) = marked(README, "capture").values()
    for figure in ("4,281,625", "101,851", "92,980", "81,799", "37,386", "31,033", "24,799", "92.05",
                   "93.35 % (6,102 of 6,537)"):  # fmt: skip
        assert figure in block.text


def test_the_whole_night_as_json_with_its_verdicts() -> None:
    (line,) = [x for x in commands(README) if " replay " in x and "--json" in x]
    said = run(line)
    root = json.loads(said.stdout.splitlines()[-1])
    assert said.returncode == 0
    assert root["area"] == "AZ"
    assert root["candidates"][0] == {
        "id": "I-ALIYEV", "name": "Ilham Aliyev", "votes": 4567458, "share": "92.12", "rank": 1, "seats": None
    }  # fmt: skip
    assert root["stations"]["annulled"] == 11
    counts = json.loads(said.stderr)
    assert sum(n for verdict, n in counts.items() if verdict != "codes") == root["version"]


def test_the_stations_of_the_nights() -> None:
    rows = re.findall(r"^\| `([a-z0-9-]+)` \|.*\| ([\d,]+) \|", README.read_text(encoding="utf-8"), re.MULTILINE)
    stated = {name: int(count.replace(",", "")) for name, count in rows}
    folders = {p.parent.name: p.parent for p in (ROOT / "tally_stream/elections").glob("*/election.toml")}
    assert stated == {name: len(load_election(folder).stations) for name, folder in folders.items()}


def test_the_licence_is_whole() -> None:
    text = (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert "Version 2.0, January 2004" in text
    assert "END OF TERMS AND CONDITIONS" in text
