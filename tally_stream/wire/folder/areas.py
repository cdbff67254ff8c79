"""areas.csv → the names of areas; and areas that a reader could not tell apart.

Decides what a row of areas.csv may say, and that no two areas of one parent are equal but for case or compatibility forms.
Refuses to know which areas are published. Read next: `contests.py`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path as FilePath

from tally_stream.domain.election import StationRow
from tally_stream.domain.scopes import Path
from tally_stream.wire.folder.stations import StationTable
from tally_stream.wire.folder.table import Mistake, Table, folded, text_mistake

_TILE = re.compile(r"-?[0-9]{1,9}\Z", re.ASCII)


class AreaTable:
    """`names`: (area, name) as areas.csv has them; `lines`: area → its line."""

    def __init__(self, path: FilePath, root: str, mistakes: list[Mistake]) -> None:
        self.path = path
        table = Table(path, mistakes)
        self.lines: dict[str, int] = {}
        found: dict[str, str] = {}
        for area, name, tile_x, tile_y in table.rows(("area", "name"), ("tile_x", "tile_y"), has_languages=True):
            if area != root and not area.startswith(root + "/"):
                table.wrong(f"area {area[:80]!r} does not begin with the root {root}")
            if area in found:
                table.wrong(f"area {area[:80]!r} occurs twice")
            for value in area.split("/"):
                mistake = text_mistake(value) or ("has an empty level" if not value else None)
                if mistake:
                    table.wrong(f"area {mistake}")
            table.text("name", name)
            _check_tile(table, tile_x, tile_y)
            found[area] = name
            self.lines.setdefault(area, table.line)
        self.names = list(found.items())


def _check_tile(table: Table, x: str, y: str) -> None:
    """Where the area stands in a tile map: both numbers or neither. Nothing but a picture hangs on it."""
    for name, text in (("tile_x", x), ("tile_y", y)):
        if text and not _TILE.match(text):
            table.wrong(f"{name} is {text[:80]!r}, not a whole number of at most nine digits")
    if bool(x) != bool(y):
        table.wrong("has one of tile_x and tile_y: they go together")


# -- areas that look alike -----------------------------------------------------------------------------------------


def check_look_alikes(stations: StationTable, areas: AreaTable | None, root: str, mistakes: list[Mistake]) -> None:
    """Two areas of one parent that differ only in case or compatibility forms are one area misspelt: both lines are named."""
    listed = [tuple(area.split("/")[1:]) for area, _ in areas.names] if areas is not None else []
    if not _may_look_alike(stations.rows, listed):
        return
    twins = _twins({row[4] for row in stations.rows}, listed)
    if not twins:
        return
    lines = _lines_of(twins, stations, areas, root)
    seen: dict[Path, Path] = {}
    for prefix in sorted(twins, key=lambda prefix: lines[prefix]):
        first = seen.setdefault(_key(prefix), prefix)
        if first != prefix:
            _, path, line = lines[prefix]
            _, other_path, other_line = lines[first]
            where = f"line {other_line}" if path == other_path else f"{other_path.name}, line {other_line}"
            mistakes.append(Mistake(path, line, f"area {'/'.join((root, *prefix))!r} is {'/'.join((root, *first))!r} "
                                                f"({where}) but for case or form"))  # fmt: skip


def _may_look_alike(rows: Sequence[StationRow], listed: Iterable[Path]) -> bool:
    """False where no two values of any level fold to one text: nearly always, and found in one pass."""
    values = {value for path in {row[4] for row in rows} for value in path}
    values.update(value for path in listed for value in path)
    return len(set(map(folded, values))) < len(values)


def _key(prefix: Path) -> Path:
    return (*prefix[:-1], folded(prefix[-1]))


def _twins(paths: Iterable[Path], listed: Iterable[Path]) -> set[Path]:
    """Every area that another one of the same parent looks like."""
    prefixes = {path[:depth] for path in (*paths, *listed) for depth in range(1, len(path) + 1)}
    alike: dict[Path, list[Path]] = {}
    for prefix in prefixes:
        alike.setdefault(_key(prefix), []).append(prefix)
    return {prefix for found in alike.values() if len(found) > 1 for prefix in found}


def _lines_of(
    twins: set[Path], stations: StationTable, areas: AreaTable | None, root: str
) -> dict[Path, tuple[int, FilePath, int]]:
    """Area → the first place that names it: which file (stations.csv is the first), its path, its line."""
    found: dict[Path, tuple[int, FilePath, int]] = {}
    for line, _, path in stations.lines_where(lambda _, path: any(path[:depth] in twins for depth in range(1, len(path) + 1))):
        for depth in range(1, len(path) + 1):
            if path[:depth] in twins:
                found.setdefault(path[:depth], (0, stations.path, line))
    if areas is not None:
        for area, line in areas.lines.items():
            prefix = tuple(area.split("/")[1:])
            if prefix in twins:
                found.setdefault(prefix, (1, areas.path, line))
            # An area below it names it too.
            for depth in range(1, len(prefix)):
                if prefix[:depth] in twins:
                    found.setdefault(prefix[:depth], (1, areas.path, line))
    return found
