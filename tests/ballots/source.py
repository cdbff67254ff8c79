"""The ballots of real elections, as they were collected beside the project: stations, contests, candidates, protocols.

Decides where they lie (`../shared/data`, a folder a set; they are never copied into the project) and what happens where
they do not: a test is skipped by name, in CI that is a failure. Reads all sets alike: every figure of a protocol is an
integer, nothing is added and nothing left out. Refuses to know what a set means; see `conversions.py`.
"""

from __future__ import annotations

import csv
import gzip
import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest

from tests.support.paths import ROOT

DATA = ROOT.parent / "shared" / "data"

Row = dict[str, str]
Protocol = dict[str, int]
"""Item → count: `@cast`, `@valid` and the like, and the votes of each candidate that stands there."""


MadeSet = Callable[[str], Path]
"""A set's name → its election folder, with the log in it."""


@dataclass(frozen=True)
class Ballots:
    """One set. Files are read when first asked for."""

    folder: Path

    def _table(self, name: str) -> list[Row]:
        with gzip.open(self.folder / f"{name}.csv.gz", "rt", encoding="utf-8", newline="") as file:
            return list(csv.DictReader(file))

    @cached_property
    def stations(self) -> list[Row]:
        return self._table("stations")

    @cached_property
    def contests(self) -> list[Row]:
        return self._table("contests")

    @cached_property
    def candidates(self) -> list[Row]:
        return self._table("candidates")

    @cached_property
    def official(self) -> dict[str, Any]:
        """What the authority announced, and how the set may be judged (README.md beside it)."""
        found: dict[str, Any] = json.loads((self.folder / "official.json").read_text(encoding="utf-8"))
        return found

    @cached_property
    def levels(self) -> list[str]:
        """The columns of stations.csv behind the four that every one has, outermost first."""
        return list(self.stations[0])[4:]

    @cached_property
    def path_of(self) -> dict[str, tuple[str, ...]]:
        """Station → its level values."""
        return {row["station_id"]: tuple(row[level] for level in self.levels) for row in self.stations}

    @cached_property
    def protocols(self) -> dict[tuple[str, str], Protocol]:
        """(contest, station) → what its protocol says."""
        found: dict[tuple[str, str], Protocol] = {}
        for row in self._table("results"):
            found.setdefault((row["contest"], row["station_id"]), {})[row["item"]] = int(row["count"])
        return found

    @cached_property
    def turnout_of(self) -> dict[str, tuple[int, int]]:
        """Station → how many had voted at two times of the first day, where its protocols say so. Where those of several
        contests differ (slips in Georgia), the one that every station has counts: its party list's."""
        found: dict[str, tuple[int, int]] = {}
        for (contest, station), protocol in self.protocols.items():
            if "@turnout1" in protocol and (contest.startswith("SAKPR-") or len(self.protocols_of[station]) == 1):
                found[station] = protocol["@turnout1"], protocol["@turnout2"]
        return found

    @cached_property
    def protocols_of(self) -> dict[str, list[Protocol]]:
        """Station → its protocols, one a contest."""
        found: dict[str, list[Protocol]] = {}
        for (_, station), protocol in self.protocols.items():
            found.setdefault(station, []).append(protocol)
        return found

    @cached_property
    def annulled(self) -> frozenset[str]:
        """Stations that the official result leaves out."""
        return frozenset(self.official.get("annul_to_reach_official", ()))

    @cached_property
    def votes_per_ballot(self) -> dict[str, int]:
        return {row["contest"]: int(row["votes_per_ballot"]) for row in self.contests}

    @cached_property
    def candidates_of(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for row in self.candidates:
            found.setdefault(row["contest"], []).append(row["candidate"])
        return found

    @cached_property
    def official_votes(self) -> dict[str, dict[str, int]]:
        """Contest → candidate → the votes announced for it."""
        found: dict[str, dict[str, int]] = {}
        for row in self.candidates:
            found.setdefault(row["contest"], {})[row["candidate"]] = int(row["official_votes"])
        return found


def ballots_of(name: str) -> Ballots:
    return Ballots(DATA / name)


def require_ballots(name: str) -> Ballots:
    """For a test: the set, or a skip that says which one is not here; in CI a failure."""
    if not (DATA / name).is_dir():
        reason = f"the ballots of {name} are not here: {DATA / name}"
        if os.environ.get("TALLY_CI") == "1":
            pytest.fail(reason)
        pytest.skip(reason)
    return ballots_of(name)
