"""The conversions alone: what they write adds up to what was announced, before anybody counts it."""

from __future__ import annotations

import csv
import json
from collections import Counter
from pathlib import Path

import pytest

from tally_stream.domain.scalars import is_id
from tests.ballots.conversions import CONVERSIONS
from tests.ballots.folder import LOG_NAME
from tests.ballots.make import make
from tests.ballots.source import MadeSet, require_ballots


@pytest.mark.parametrize("name", sorted(CONVERSIONS))
def test_the_log_adds_up_to_what_was_announced(name: str, made_set: MadeSet) -> None:
    ballots = require_ballots(name)
    sums: dict[str, Counter[str]] = {contest: Counter() for contest in ballots.official_votes}
    seen: set[tuple[str, str]] = set()
    newest = 0
    with (made_set(name) / LOG_NAME).open(encoding="utf-8") as log:
        for line in log:
            record = json.loads(line)
            report = json.loads(record["value"])
            assert record["key"] == report["station"]
            assert record["timestamp"] >= newest
            newest = record["timestamp"]
            assert sum(report["votes"].values()) == report["ballots"]["valid"]
            seen.add((report["contest"], report["station"]))
            sums[report["contest"]].update(report["votes"])
    assert {contest: dict(votes) for contest, votes in sums.items()} == ballots.official_votes
    assert seen == ballots.protocols.keys()


@pytest.mark.parametrize("name", sorted(CONVERSIONS))
def test_the_tables_name_each_contest_candidate_and_station_once(name: str, made_set: MadeSet) -> None:
    ballots, folder = require_ballots(name), made_set(name)
    candidates = [(row["contest"], row["id"]) for row in rows(folder / "candidates.csv")]
    assert candidates == [(row["contest"], row["candidate"]) for row in ballots.candidates]
    assert all(is_id(id) for _, id in candidates)
    if len(ballots.contests) > 1:
        assert [row["id"] for row in rows(folder / "contests.csv")] == [row["contest"] for row in ballots.contests]
    if (folder / "scopes.csv").exists():
        scopes = Counter((row["contest"], row["station_id"]) for row in rows(folder / "scopes.csv"))
        assert scopes == Counter(ballots.protocols.keys())


def test_the_same_set_gives_the_same_bytes(tmp_path: Path) -> None:
    require_ballots("ch-2014-02-09")
    first, second = tmp_path / "first", tmp_path / "second"
    for directory in (first, second):
        make("ch-2014-02-09", directory)
    names = sorted(path.name for path in first.iterdir())
    assert names == ["candidates.csv", "election.toml", "reports.jsonl", "stations.csv.gz"]
    assert all((first / name).read_bytes() == (second / name).read_bytes() for name in names)


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))
