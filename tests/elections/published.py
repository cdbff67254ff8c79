"""A shipped night's files by plain arithmetic: rows, records, and what stands at a moment.

Knows nothing of the product: it reads the files as FORMATS has them, lets the last revision win and an annulment take a
station out. Read next: `test_nights_source.py`, then a file for each night.
"""

import csv
import gzip
import io
import json
import tomllib
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from functools import cache
from pathlib import Path
from typing import Any

import pytest

ELECTIONS = Path(__file__).resolve().parents[2] / "tally_stream" / "elections"
NIGHTS = ("az-2024", "bolivia-2019", "council", "wisconsin-2024")
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
COUNTS = ("report", "correct")

every_night = pytest.mark.parametrize("name", NIGHTS)
every_real_night = pytest.mark.parametrize("name", [name for name in NIGHTS if name != "council"])
"""Of one contest, of stations that have a register: `test_council_source.py` has what holds of the invented one."""


@dataclass(frozen=True)
class Record:
    moment: datetime
    key: str
    value: dict[str, Any]


@dataclass
class Tally:
    """Counts in force by station, and what became of them."""

    counts: dict[str, dict[str, Any]] = field(default_factory=dict)
    annulled: set[str] = field(default_factory=set)

    def votes(self) -> dict[str, int]:
        total: Counter[str] = Counter()
        for value in self._in_force():
            total.update(value["votes"])
        return dict(total)

    def ballots(self, name: str) -> int:
        return sum(value["ballots"][name] for value in self._in_force())

    def _in_force(self) -> Iterable[dict[str, Any]]:
        return (value for station, value in self.counts.items() if station not in self.annulled)


def content(name: str, file: str) -> bytes:
    path = ELECTIONS / name / file
    return gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()


def rows(name: str, file: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(content(name, file).decode(), newline="")))


@cache
def definition(name: str) -> dict[str, Any]:
    return tomllib.loads(content(name, "election.toml").decode())


@cache
def stations(name: str) -> dict[str, dict[str, str]]:
    listed = rows(name, "stations.csv.gz")
    by_id = {row["station_id"]: row for row in listed}
    assert len(by_id) == len(listed)
    return by_id


@cache
def records(name: str) -> list[Record]:
    lines = map(json.loads, content(name, "reports.jsonl.gz").splitlines())
    return [Record(EPOCH + timedelta(milliseconds=line["timestamp"]), line["key"], json.loads(line["value"])) for line in lines]


def fold(some: Iterable[Record]) -> Tally:
    tally = Tally()
    for record in some:
        if record.value["kind"] in COUNTS:
            tally.counts[record.key] = record.value
        elif record.value["kind"] == "annul":
            tally.annulled.add(record.key)
    return tally


def until(name: str, moment: str) -> Tally:
    end = datetime.fromisoformat(moment)
    return fold(record for record in records(name) if record.moment <= end)


def percent(part: int, whole: int, places: str = "0.01") -> str:
    return str((Decimal(100 * part) / Decimal(whole)).quantize(Decimal(places), ROUND_HALF_UP))
