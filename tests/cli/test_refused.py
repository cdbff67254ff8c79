"""A night whose reports are refused does not look like a quiet one: `replay` and `demo` say so in a line."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tally_stream.cli.demo_refusals import refused_lines
from tally_stream.domain.election import Election
from tally_stream.domain.ledger import Verdict
from tally_stream.domain.rules import Finding
from tally_stream.wire.folder.assembling import load_election
from tally_stream.wire.messages import encode_rejection
from tests.cli.calling import call
from tests.support.folders import Folder

BY_S5 = "2 of 2 records were refused: 2 by S5 (such as: phase official in an election of phase test)"


@pytest.fixture(scope="module")
def rehearsal(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Reports of an official election, in the folder of its rehearsal."""
    folder = Folder(tmp_path_factory.mktemp("rehearsal"))
    folder.replace(('"official"', '"test"'))
    lines = []
    for station in ("A-1", "A-2"):
        report = {
            "schema": 1, "election": "X-2024", "contest": "PRES", "station": station, "revision": 1, "kind": "report",
            "counted_at": "2024-02-07T20:00:00+04:00", "ballots": {"valid": 60}, "votes": {"ANNA": 40, "BELA": 20},
        }  # fmt: skip
        lines.append(json.dumps({"timestamp": 1_707_322_000_000, "key": station, "value": json.dumps(report)}) + "\n")
    folder.write("reports.jsonl", "".join(lines))
    return folder.path


def test_replay_says_it_after_the_tables(rehearsal: Path) -> None:
    done = call("replay", str(rehearsal))
    assert done.stdout.splitlines()[-1] == f"{BY_S5}; --verdicts has all counts"
    assert done.stderr == ""


def test_beside_json_it_is_said_on_stderr(rehearsal: Path) -> None:
    done = call("replay", str(rehearsal), "--json")
    assert done.stderr == f"tally-stream: {BY_S5}; --verdicts has all counts\n"
    assert all(json.loads(line) for line in done.stdout.splitlines())


def test_the_verdicts_of_a_program_stand_alone(rehearsal: Path) -> None:
    assert json.loads(call("replay", str(rehearsal), "--json", "--verdicts").stderr)["codes"] == {"S5": 2}


def test_a_demo_says_it_at_its_end(rehearsal: Path) -> None:
    done = call("demo", "--election", str(rehearsal), "--fast", "--exit")
    assert done.stdout.splitlines()[-1] == f"{BY_S5}; replay --verdicts has all counts"


class Rejections:
    """A topic of rejections; the first partition begins at `first`."""

    def __init__(self, *values: bytes | None, first: int = 0) -> None:
        self.values, self.first = values, first

    async def bounds(self) -> dict[int, tuple[int, int]]:
        return {0: (self.first, self.first + len(self.values)), 1: (0, 0)}

    async def read_to_end(self) -> Any:
        yield [SimpleNamespace(value=value) for value in self.values]


@pytest.fixture(scope="module")
def election(rehearsal: Path) -> Election:
    return load_election(rehearsal)


def rejection(election: Election, offset: int, name: Any = "rejected") -> bytes:
    verdict = Verdict(name, (Finding("S2", "unknown"),))
    return encode_rejection(election, "t.reports", 0, offset, 1, b"K", b"{}", verdict)


async def said(election: Election, *values: bytes | None, first: int = 0) -> list[str]:
    reader: Any = Rejections(*values, first=first)
    return await refused_lines(reader, election.digest, 9)


async def test_of_a_topic_each_record_counts_once_and_what_is_held_does_not(election: Election) -> None:
    other = rejection(election, 7).replace(election.digest.encode(), b"sha256:" + b"0" * 64)
    found = [rejection(election, 1), rejection(election, 1), rejection(election, 2, "held"), other, None, b"\xff", b"{}"]
    assert await said(election, *found) == [
        "1 of 9 records were refused: 1 by S2 (such as: unknown); replay --verdicts has all counts"
    ]
    assert await said(election) == []


async def test_of_a_topic_that_forgot_its_oldest(election: Election) -> None:
    (line,) = await said(election, rejection(election, 1), first=5)
    assert line.startswith("at least 1 of 9 records")
