"""Snapshots for tests: shipped nights at a time, and small elections of any kind."""

from __future__ import annotations

import json
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

from tally_stream.audit.replay import Replay, replay
from tally_stream.domain.election import Election
from tally_stream.domain.scalars import parse_time
from tally_stream.domain.standings import Message
from tally_stream.export.nist import nist_report
from tally_stream.export.snapshot import ContestSnapshot, ElectionSnapshot
from tally_stream.wire.folder.assembling import election_day, load_election
from tally_stream.wire.messages import canonical_json
from tally_stream.wire.report_log import LogRecord
from tally_stream.wire.schema.published import read_standings

NIGHTS = Path(__file__).resolve().parents[2] / "tally_stream" / "elections"
ALL = ("az-2024", "bolivia-2019", "wisconsin-2024")
GENERATED_MS = 1_707_348_789_123
AZ_03_13 = "2024-02-08T03:13:00+04:00"


@cache
def definition(night: str) -> Election:
    return load_election(NIGHTS / night)


@cache
def messages(night: str, until: str | None = None, records: int | None = None) -> tuple[Message, ...]:
    at = None if records is None else {0: records}
    until_ms = None if until is None else parse_time(until)
    return tuple(replay(definition(night), NIGHTS / night / "reports.jsonl.gz", until_ms=until_ms, at=at).messages(0))


def snapshot_of(election: Election, published: Any, contest: int = 0) -> ContestSnapshot:
    snapshot = ElectionSnapshot(election, [election.contests[contest]])
    for message in published:
        snapshot.take(read_standings(canonical_json(message)))
    return snapshot.contests[0]


def snapshot(night: str, until: str | None = None, records: int | None = None) -> ContestSnapshot:
    return snapshot_of(definition(night), messages(night, until, records))


def nist(night: str, until: str | None = None, records: int | None = None) -> dict[str, Any]:
    return nist_report([snapshot(night, until, records)], election_day(NIGHTS / night), GENERATED_MS)


# -- a small election ----------------------------------------------------------------------------------------------

SMALL = """
id = "X-2024"
name = "An example election"
phase = "official"
polls_close = 2024-02-07T19:00:00+04:00

[areas]
root = "X"
root_name = "Everywhere"
levels = ["region", "town"]
publish_depth = 1
"""
PRESIDENT = """
[[contests]]
id = "PRES"
name = "President"
seats = 1
rule = "majority"
majority_base = "valid"
rounding = { method = "half-up", places = 2 }

[[contests.candidates]]
id = "ANNA"
name = "Anna Ahl"

[[contests.candidates]]
id = "BELA"
name = "Béla Bodó"
party = "Greens"
"""
COUNCIL = PRESIDENT.replace('"PRES"', '"SEAT"').replace("President", "Council")
STATIONS = """station_id,name,registered,ballots_expected,region,town
A-1,School 1,200,,North,Alder
A-2,School 2,100,,North,Birch
B-1,Town hall,300,,"South ""É"", old",Cedar
"""
DAY = date(2024, 2, 7)


def small(directory: Path, *, toml: str = SMALL + PRESIDENT, stations: str = STATIONS) -> Election:
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "election.toml").write_text(toml, encoding="utf-8")
    (directory / "stations.csv").write_text(stations, encoding="utf-8")
    return load_election(directory)


def report(station: str, anna: int, bela: int, **fields: Any) -> tuple[str, bytes]:
    """Key and value of a report."""
    return station, json.dumps({
        "schema": 1, "election": "X-2024", "contest": "PRES", "station": station, "revision": 1, "kind": "report",
        "counted_at": "2024-02-07T20:00:00+04:00",
        "ballots": {"cast": anna + bela + 3, "valid": anna + bela, "blank": 1, "invalid": 2},
        "votes": {"ANNA": anna, "BELA": bela}, **fields,
    }).encode()  # fmt: skip


def control(kind: str) -> tuple[str, bytes]:
    return "PRES", json.dumps({
        "schema": 1, "election": "X-2024", "contest": "PRES", "revision": 1, "kind": kind, "reason": "r", "authority": "a",
    }).encode()  # fmt: skip


def counted(election: Election, *records: tuple[str, bytes], at: str = "2024-02-07T20:30:00+04:00") -> Replay:
    """The election with these records (key, value), a second apart; each must count."""
    folded, begin = Replay(election, "tally.reports", None), parse_time(at)
    assert begin is not None
    for n, (key, value) in enumerate(records):
        verdict = folded.take(LogRecord(begin + 1000 * n, key.encode(), value, 0, n))
        assert verdict.name == "counted", verdict
    return folded
