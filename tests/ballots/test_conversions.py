"""The conversions alone: what they write adds up to what was announced, before anybody counts it."""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tally_stream.domain.scalars import is_id
from tests.ballots.conversions import CONVERSIONS, kalamazoo_valid
from tests.ballots.folder import LOG_NAME
from tests.ballots.make import make
from tests.ballots.source import MadeSet, require_ballots


@pytest.mark.parametrize("name", sorted(CONVERSIONS))
def test_the_log_adds_up_to_what_was_announced(name: str, made_set: MadeSet) -> None:
    ballots = require_ballots(name)
    sums: dict[str, Counter[str]] = {contest: Counter() for contest in ballots.official_votes}
    seen: set[tuple[str, str]] = set()
    turnouts: dict[str, list[int]] = {}
    newest = 0
    for record in log_of(made_set(name)):
        statement = json.loads(record["value"])
        assert record["key"] == statement["station"]
        assert record["timestamp"] >= newest
        newest = record["timestamp"]
        if statement["kind"] == "turnout":
            turnouts.setdefault(statement["station"], []).append(statement["voted"])
        elif statement["kind"] == "report":
            said, votes = statement["ballots"], statement["votes"]
            assert "undervotes" in said or sum(votes.values()) == said["valid"]
            seen.add((statement["contest"], statement["station"]))
            if statement["station"] not in ballots.annulled:
                sums[statement["contest"]].update(votes)
    assert {contest: dict(votes) for contest, votes in sums.items()} == ballots.official_votes
    assert seen == ballots.protocols.keys()
    assert {station: tuple(voted) for station, voted in turnouts.items()} == ballots.turnout_of


def test_ballots_that_carry_a_contest_are_those_of_the_precinct_or_fewer() -> None:
    """Where a ballot has N votes, votes given, not given and lost are N times the ballots; not everywhere, as its README says."""
    ballots = require_ballots("us-mi-kalamazoo-2024")
    found: Counter[str] = Counter()
    for (contest, _), protocol in ballots.protocols.items():
        valid, cast = kalamazoo_valid(protocol, ballots.votes_per_ballot[contest]), protocol["@cast"]
        sums = sum(count for item, count in protocol.items() if item != "@cast")
        is_exact = sums == ballots.votes_per_ballot[contest] * cast
        found["exact" if is_exact else "rounded" if valid == cast else "fewer" if valid < cast else "more"] += 1
    due = ballots.official["anomalies"]
    assert found == {"exact": 2_243, "rounded": 67, "fewer": 887, "more": 38}
    assert (due["fewer_than_N_x_ballots"]["count"], due["more_than_N_x_ballots"]["count"]) == (67 + 887, 38)


@pytest.mark.parametrize(
    ("votes", "under", "over", "votes_per_ballot", "valid"),
    [({"A": 60, "B": 40}, 3, 1, 1, 104), ({"A": 60, "B": 40}, 3, 1, 2, 60), ({"A": 51, "B": 40}, 3, 1, 2, 51), ({"A": 3}, 8, 0, 4, 3)],
)  # fmt: skip
def test_a_precinct_s_ballots_of_a_contest(
    votes: dict[str, int], under: int, over: int, votes_per_ballot: int, valid: int
) -> None:
    protocol = {"@cast": 1_000, "@undervotes": under, "@overvotes": over, **votes}
    assert kalamazoo_valid(protocol, votes_per_ballot) == valid


@pytest.mark.parametrize("name", sorted(CONVERSIONS))
def test_the_tables_name_each_contest_candidate_and_station_once(name: str, made_set: MadeSet) -> None:
    ballots, folder = require_ballots(name), made_set(name)
    candidates = [(row["contest"], row["id"]) for row in rows(folder / "candidates.csv")]
    assert candidates == [(row["contest"], row["candidate"]) for row in ballots.candidates]
    assert all(is_id(id) for _, id in candidates)
    if (folder / "contests.csv").exists():
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


def log_of(folder: Path) -> Iterator[dict[str, Any]]:
    with (folder / LOG_NAME).open(encoding="utf-8") as log:
        for line in log:
            yield json.loads(line)


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))
