"""stations.csv and areas.csv → their rows, and every mistake, each with its line.

Decides what a row may say. Stations are checked in plain code, because a night may have a million of them: many at a time
in `plain_stations.py`, and where that finds something wrong row by row here, which names each mistake. Refuses to know
what election.toml says beyond the levels and the root it is given. Read next: `plain_stations.py`.
"""

from __future__ import annotations

import csv
import zlib
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

from tally_stream.domain.election import StationRow
from tally_stream.domain.scalars import COUNT_MAX, is_id, text_error
from tally_stream.wire.folder.plain_stations import FIXED_COLUMNS, csv_reader, is_count, level_error, plain_stations
from tally_stream.wire.limits import STATIONS_MAX
from tally_stream.wire.report_log import open_maybe_gzip


def one_of(folder: Path, name: str) -> tuple[Path | None, str | None]:
    """`(path, mistake)` of a file that may be gzipped; both None where it is not there."""
    plain, packed = folder / name, folder / (name + ".gz")
    if plain.exists() and packed.exists():
        return None, f"{plain}:1: stands beside {packed.name}; one of them must go"
    return (plain if plain.exists() else packed if packed.exists() else None), None


class _Table:
    """A CSV file while it is checked."""

    def __init__(self, path: Path, errors: list[str]) -> None:
        self.path = path
        self.errors = errors
        self.line = 1

    def wrong(self, what: str) -> None:
        self.errors.append(f"{self.path}:{self.line}: {what}")

    def rows(self, columns: Iterable[str]) -> Iterable[list[str]]:
        """The rows as lists in the order of `columns`, whatever order the header has."""
        wanted = list(columns)
        try:
            with open_maybe_gzip(self.path) as raw:
                reader = csv_reader(raw)
                header = next(reader, [])
                if sorted(header) != sorted(wanted):
                    self.wrong(f"the header is {','.join(header)[:200]!r}, it should be {','.join(wanted)!r}")
                    return
                order = [header.index(name) for name in wanted]
                in_order = order == list(range(len(wanted)))
                for row in reader:
                    self.line = reader.line_num
                    if not row:
                        continue  # an empty line says nothing
                    if len(row) != len(wanted):
                        self.wrong(f"{len(row)} fields, the header has {len(wanted)}")
                        continue
                    yield row if in_order else [row[i] for i in order]
        except UnicodeDecodeError as error:
            self.line = self._line_not_utf8()
            self.wrong(f"not UTF-8 ({error.reason})")
        except csv.Error as error:
            self.line += 1  # the row that could not be read begins behind the last one that could
            self.wrong(f"not CSV: {error}")
        except (OSError, EOFError, zlib.error) as error:
            self.wrong(f"cannot be read: {getattr(error, 'strerror', None) or error}")

    def _line_not_utf8(self) -> int:
        """Text is decoded ahead of the rows, so the line has to be looked for."""
        number = 0
        with suppress(OSError, EOFError, zlib.error), open_maybe_gzip(self.path) as raw:
            for number, line in enumerate(raw, 1):
                try:
                    line.decode("utf-8")
                except UnicodeDecodeError:
                    return number
        return number + 1  # of a packed file that was cut in this very line


def _read_count(text: str, name: str, wrong: Callable[[str], None]) -> int | None:
    if not is_count(text):
        wrong(f"{name} is {text[:80]!r}, not an integer from 0 to {COUNT_MAX} (empty: unknown)")
        return None
    return int(text) if text else None


def read_stations(path: Path, levels: list[str], errors: list[str]) -> list[StationRow]:
    found = plain_stations(path, levels, STATIONS_MAX)
    return read_stations_by_row(path, levels, errors) if found is None else found


def read_stations_by_row(path: Path, levels: list[str], errors: list[str]) -> list[StationRow]:
    """The same rows, and every mistake."""
    table = _Table(path, errors)
    wrong = table.wrong
    found: list[StationRow] = []
    seen: set[str] = set()
    good_paths: dict[tuple[str, ...], tuple[str, ...]] = {}
    numbers: dict[int | None, int | None] = {}
    """One object for each: half a million stations have a few thousand different registers."""
    for row in table.rows((*FIXED_COLUMNS, *levels)):
        station_id, name = row[0], row[1]
        if not is_id(station_id):
            wrong(f"station_id {station_id[:80]!r} is not an id")
        elif station_id in seen:
            wrong(f"station_id {station_id} occurs twice")
        seen.add(station_id)
        mistake = text_error(name)
        if mistake:
            wrong(f"name {mistake}")
        area_path = tuple(row[4:])
        shared = good_paths.get(area_path)
        if shared is None:
            shared = area_path
            before = len(errors)
            for level, value in zip(levels, area_path, strict=True):
                mistake = level_error(value)
                if mistake:
                    wrong(f"{level} {mistake}")
            if len(errors) == before:
                good_paths[area_path] = area_path
        registered = _read_count(row[2], "registered", wrong)
        expected = _read_count(row[3], "ballots_expected", wrong)
        found.append(
            (station_id, name, numbers.setdefault(registered, registered), numbers.setdefault(expected, expected), shared)
        )
        if len(found) > STATIONS_MAX:
            wrong(f"more than {STATIONS_MAX} polling stations")
            break
    if not found and not errors:
        wrong("no polling stations")
    return found


def read_area_names(path: Path, root: str, errors: list[str]) -> list[tuple[str, str]]:
    table = _Table(path, errors)
    found: dict[str, str] = {}
    for area, name in table.rows(("area", "name")):
        if area != root and not area.startswith(root + "/"):
            table.wrong(f"area {area[:80]!r} does not begin with the root {root}")
        if area in found:
            table.wrong(f"area {area[:80]!r} occurs twice")
        for value in area.split("/"):
            mistake = text_error(value) or ("has an empty level" if not value else None)
            if mistake:
                table.wrong(f"area {mistake}")
        mistake = text_error(name)
        if mistake:
            table.wrong(f"name {mistake}")
        found[area] = name
    return list(found.items())
