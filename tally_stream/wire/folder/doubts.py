"""What a folder may say and hardly means: the warnings of `check`. They refuse nothing; a worker does not ask for them.

Decides what is worth a second look: areas whose names look alike or hold what nobody sees, stations without voters and without
ballots expected, rows of areas.csv that name no area, more seats than candidates, a recorded night that can not be read.
Refuses to know what is wrong: the reader of folders does. Read next: `look_alikes.py`.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path as FilePath

from tally_stream.domain.scopes import Path
from tally_stream.wire.folder.areas import AreaTable
from tally_stream.wire.folder.assembling import ReadFolder, shown_of
from tally_stream.wire.folder.look_alikes import code_points, escaped, mixed_scripts, skeleton, unseen
from tally_stream.wire.folder.stations import StationTable
from tally_stream.wire.folder.table import Mistake, one_of
from tally_stream.wire.report_log import LogError, ReportLog


def doubts_of(folder: ReadFolder) -> list[str]:
    """`file:line: what`, one a doubt, in file order."""
    root = folder.election.root
    found = [*_of_areas(folder.stations, root), *_of_registers(folder.stations), *_of_seats(folder)]
    if folder.areas is not None:
        found += _of_area_names(folder.areas, folder.stations, root)
    unread: list[str] = []
    found += _of_log(folder.stations.path.parent, unread)
    return [*shown_of(found, "warnings"), *unread]


# -- areas ---------------------------------------------------------------------------------------------------------


def _of_areas(stations: StationTable, root: str) -> Iterable[Mistake]:
    """Of each area at most one: that it looks like another one of its parent, else what is odd about its own name."""
    values = {path[-1] for path in stations.areas if path}
    odd = {value: what for value in values if (what := unseen(value) or mixed_scripts(value)) is not None}
    alike = _alike(stations.areas) if len(set(map(skeleton, values))) < len(values) else {}
    meant = alike.keys() | ({path for path in stations.areas if path and path[-1] in odd} if odd else set())
    if not meant:
        return
    lines = _first_lines(meant, stations)
    firsts: dict[tuple[str, ...], Path] = {}
    for path in sorted(meant, key=lambda path: (lines[path], path)):
        line, name = lines[path], _shown(root, path)
        first = firsts.setdefault(alike[path], path) if path in alike else path
        if first != path:
            differing = code_points(set(path[-1]) ^ set(first[-1]))
            how = f": they differ in {differing}" if differing else ""
            what = f"area {name} looks like {_shown(root, first)} (line {lines[first]}), and is another{how}"
            yield Mistake(stations.path, line, what)
        elif path[-1] in odd:
            yield Mistake(stations.path, line, f"area {name} {odd[path[-1]]}")


def _alike(paths: Iterable[Path]) -> dict[Path, tuple[str, ...]]:
    """Every area that another one of its parent looks like → what those have in common."""
    groups: dict[tuple[str, ...], list[Path]] = {}
    for path in paths:
        if path:
            groups.setdefault((*path[:-1], skeleton(path[-1])), []).append(path)
    return {path: key for key, found in groups.items() if len(found) > 1 for path in found}


def _first_lines(meant: Iterable[Path], stations: StationTable) -> dict[Path, int]:
    wanted = set(meant)
    lines: dict[Path, int] = {}
    for line, _, path in stations.lines_where(lambda _, path: any(path[:depth] in wanted for depth in range(1, len(path) + 1))):
        for depth in range(1, len(path) + 1):
            if path[:depth] in wanted:
                lines.setdefault(path[:depth], line)
    return lines


def _shown(root: str, path: Path) -> str:
    """Escaped where it can not be seen."""
    return escaped("/".join((root, *path)))


def _of_area_names(areas: AreaTable, stations: StationTable, root: str) -> Iterable[Mistake]:
    for area, line in areas.lines.items():
        if tuple(area.split("/")[1:]) not in stations.areas:
            yield Mistake(areas.path, line, f"area {escaped(area[:200])}: no polling station lies in it, so nothing is named")


# -- the recorded night ---------------------------------------------------------------------------------------------


def _of_log(folder: FilePath, unread: list[str]) -> list[Mistake]:
    """Whether reports.jsonl, which no worker reads, can be read to its end: where not, `unread` gets why. What the records
    say is not looked at."""
    found: list[Mistake] = []
    path = one_of(folder, "reports.jsonl", found)
    if path is not None:
        try:
            log = ReportLog(path)
            for _ in log:
                pass
            log.check_end()
        except LogError as broken:
            unread.append(str(broken))
    return found


# -- stations and contests -----------------------------------------------------------------------------------------


def _of_registers(stations: StationTable) -> Iterable[Mistake]:
    without = {row[0] for row in stations.rows if row[2] == 0 and row[3] is None}
    if without:
        for line, id, _ in stations.lines_where(lambda id, _: id in without):
            what = "say how many are expected, or leave registered empty where it is not known"
            how = "has registered 0 and no ballots_expected: a report with ballots will be held"
            yield Mistake(stations.path, line, f"station {id} {how}; {what}")


def _of_seats(folder: ReadFolder) -> Iterable[Mistake]:
    for contest, stated in zip(folder.election.contests, folder.contests.stated, strict=True):
        eligible = sum(candidate.eligible for candidate in contest.candidates)
        # Lists take several seats each.
        if contest.rule not in ("proportional", "none") and 0 < eligible < contest.seats:
            line, _ = stated.place(("seats",))
            what = f"contest {contest.id} has {contest.seats:,} seats, and only {eligible:,} who can take one"
            yield Mistake(stated.path, line, what)
