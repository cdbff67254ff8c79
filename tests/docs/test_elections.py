"""docs/elections.md as a newcomer follows it: its files, written into a fresh directory, and its commands, one after the other."""

from __future__ import annotations

import gzip
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tally_stream.wire.folder.contest_rules import FIELDS_OF_RULES
from tally_stream.wire.folder.contest_tables import CONTEST_COLUMNS
from tests.support.doc_pages import blocks, marked
from tests.support.paths import DOCS, NIGHTS
from tests.support.processes import command

PAGE = DOCS / "elections.md"
NOT_HERE = {"demo", "simulate"}
"""They need a broker, or a quarter of a minute for 20,000 stations; the tests of each run it."""


def words_of(said: str) -> list[str]:
    """What is said, without the lines of tables."""
    return re.sub(r"[─-╿█▌▎▍▋▊▉]", " ", said).split()


@pytest.fixture
def fresh(tmp_path: Path) -> Path:
    """The files of the page as they stand there."""
    for name, block in marked(PAGE, "file").items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(block.text, encoding="utf-8")
    return tmp_path


def run(line: str, directory: Path) -> subprocess.CompletedProcess[str]:
    words = shlex.split(line)
    argv = command(*words[1:]) if words[0].endswith("/tally-stream") else [sys.executable, *words[1:]]
    return subprocess.run(argv, cwd=directory, capture_output=True, text=True, check=False, timeout=60)


def test_every_command_in_turn_prints_what_stands_below_it(fresh: Path) -> None:
    outputs = marked(PAGE, "output")
    lines = [line for b in blocks(PAGE) if b.language == "sh" for line in b.text.splitlines()]
    done = [run(line, fresh) for line in lines if shlex.split(line)[1] not in NOT_HERE]
    assert [(said.returncode, said.stderr) for said in done] == [(0, "")] * 3
    assert words_of(done[0].stdout) == words_of(outputs["check"].text)
    assert words_of(done[2].stdout) == words_of(outputs["mayor"].text)


def test_the_parts_of_the_invented_town_stand_in_its_folder() -> None:
    council = NIGHTS / "council"
    parts = [block for block in blocks(PAGE) if block.marker == "part-of-council"]
    assert {block.name for block in parts} == {"election.toml", "contests.csv", "stations.csv"}
    for block in parts:
        path = council / block.name
        text = path.read_text(encoding="utf-8") if path.exists() else gzip.decompress(Path(f"{path}.gz").read_bytes()).decode()
        assert set(block.text.splitlines()) <= set(text.splitlines()), block.where


def test_the_table_of_a_contest_s_fields_has_every_one_in_its_rules() -> None:
    rows = re.findall(r"^\| `([a-z_.]+)` \| ([a-z, ]+) \|", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert sorted(field for field, _ in rows) == sorted(CONTEST_COLUMNS)
    for field, rules in rows:
        name = field.partition(".")[0]
        of = set(FIELDS_OF_RULES.get(name, ("all",))) - ({"referendum"} if ".or_" in field else set())
        assert set(rules.split(", ")) == of, field


def test_the_mistakes_are_those_that_it_names(fresh: Path) -> None:
    folder = fresh / "my-election"
    for name, old, new in (
        ("stations.csv", "Market Hall,760", "Market Hall,76O"), ("stations.csv", "890,,North", "890,,north"),
        ("candidates.csv", "MAYOR,CAT", "MAJOR,CAT"),
    ):  # fmt: skip
        text = (folder / name).read_text(encoding="utf-8")
        assert text.count(old) == 1
        (folder / name).write_text(text.replace(old, new), encoding="utf-8")
    said = run(".venv/bin/tally-stream check my-election", fresh)
    assert (said.returncode, said.stdout) == (2, "")
    assert words_of(said.stderr) == words_of(marked(PAGE, "output")["mistakes"].text)
