"""stations.csv → its rows, and every mistake, each with its line.

Decides what a row may say. Stations are checked in plain code, because a night may have a million of them: many at a time
in `plain_stations.py`, and where that finds something wrong row by row here, which names each mistake. Refuses to know
what election.toml says beyond the levels and the closing it is given. Read next: `plain_stations.py`, then `areas.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from pathlib import Path

from tally_stream.domain.election import StationRow
from tally_stream.domain.scalars import is_id
from tally_stream.wire.folder.plain_stations import (
    CHANNEL_COLUMN,
    CLOSING_COLUMN,
    FIXED_COLUMNS,
    OPTIONAL_COLUMNS,
    Stations,
    channel_error,
    closing_of,
    level_error,
    plain_stations,
)
from tally_stream.wire.folder.table import Mistake, Table, folded, not_an_id
from tally_stream.wire.limits import STATIONS_MAX

OWN_COLUMNS = (*FIXED_COLUMNS, *OPTIONAL_COLUMNS)
"""What no level may be called."""


class StationTable:
    """What stations.csv says: `rows`, `closings` and `channels` (`Stations`). `is_whole`: all of it could be read, so that what
    is not there is nowhere."""

    def __init__(self, path: Path, levels: Sequence[str], closes_ms: int, mistakes: list[Mistake]) -> None:
        self.path = path
        self.levels = levels
        self.is_whole = True
        found = plain_stations(path, levels, closes_ms, STATIONS_MAX)
        if found is None:
            found, self.is_whole = stations_by_row(path, levels, closes_ms, mistakes)
        self.rows, self.closings, self.channels = found

    @cached_property
    def areas(self) -> set[tuple[str, ...]]:
        """The paths of all areas in which a station lies, published or not, the root's () among them."""
        return {path[:depth] for path in {row[4] for row in self.rows} for depth in range(len(path) + 1)}

    def lines_where(self, is_meant: Callable[[str, tuple[str, ...]], bool]) -> Iterable[tuple[int, str, tuple[str, ...]]]:
        """Line, id and level values of stations, in file order; the file is read once more. For sentences about what was
        found in the rows, which know no lines."""
        table = Table(self.path, [])
        for row in table.rows((*FIXED_COLUMNS, *self.levels), OPTIONAL_COLUMNS):
            path = tuple(row[len(FIXED_COLUMNS) : -len(OPTIONAL_COLUMNS)])
            if is_meant(row[0], path):
                yield table.line, row[0], path


def stations_by_row(path: Path, levels: Sequence[str], closes_ms: int, mistakes: list[Mistake]) -> tuple[Stations, bool]:
    """What `plain_stations` gives, every mistake, and whether the file could be read to its end."""
    table = Table(path, mistakes)
    wrong = table.wrong
    found: list[StationRow] = []
    closings: dict[str, int] = {}
    seen: set[str] = set()
    good_paths: dict[tuple[str, ...], tuple[str, ...]] = {}
    numbers: dict[int | None, int | None] = {}
    """One object for each: half a million stations have a few thousand different registers."""
    channels = Channels(table)
    for row in table.rows((*FIXED_COLUMNS, *levels), OPTIONAL_COLUMNS):
        station_id, name = row[0], row[1]
        if not is_id(station_id):
            wrong(f"station_id {not_an_id(station_id)}")
        elif station_id in seen:
            wrong(f"station_id {station_id} occurs twice")
        seen.add(station_id)
        table.text("name", name)
        area_path = tuple(row[len(FIXED_COLUMNS) : -len(OPTIONAL_COLUMNS)])
        shared = good_paths.get(area_path)
        if shared is None:
            shared = area_path
            before = len(mistakes)
            for level, value in zip(levels, area_path, strict=True):
                mistake = level_error(value)
                if mistake:
                    wrong(f"{level} {mistake}")
            if len(mistakes) == before:
                good_paths[area_path] = area_path
        registered = table.count("registered", row[2])
        expected = table.count("ballots_expected", row[3])
        channels.take(station_id, row[-2])
        own_ms, mistake = closing_of(row[-1], closes_ms)
        if mistake:
            wrong(f"{CLOSING_COLUMN} {mistake}")
        if own_ms is not None:
            closings[station_id] = own_ms
        found.append(
            (station_id, name, numbers.setdefault(registered, registered), numbers.setdefault(expected, expected), shared)
        )
        if len(found) > STATIONS_MAX:
            wrong(f"more than {STATIONS_MAX} polling stations")
            break
    if not found and table.is_whole:
        wrong("no polling stations")
    return Stations(found, closings, channels.of_stations), table.is_whole


class Channels:
    """How each station's votes came in, row by row."""

    def __init__(self, table: Table) -> None:
        self.of_stations: dict[str, str] = {}
        self._table = table
        self._names: dict[str, str] = {}
        """The one text for all stations that have it."""
        self._firsts: dict[str, tuple[str, int]] = {}
        """What is equal of those that look alike → the first of them, and its line."""

    def take(self, station_id: str, name: str) -> None:
        if CHANNEL_COLUMN not in self._table.columns:
            return
        if name not in self._names and not self._learn(name):
            return
        self.of_stations[station_id] = self._names[name]

    def _learn(self, name: str) -> bool:
        """Whether it is one."""
        mistake = channel_error(name)
        if mistake is not None:
            self._table.wrong(f"{CHANNEL_COLUMN} {mistake}")
            return False
        self._names[name] = name
        first, line = self._firsts.setdefault(folded(name), (name, self._table.line))
        if first != name:
            self._table.wrong(f"{CHANNEL_COLUMN} {name!r} is {first!r} (line {line}) but for case or form")
        return True
