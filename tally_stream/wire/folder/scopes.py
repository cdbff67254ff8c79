"""Where contests are held: their scopes and the rows of scopes.csv, held against the stations there are.

Decides whether every area and station that is named is there, and every station has a contest. Refuses to know how it is
worked out which contests a station has (`domain/scopes.py`). Read next: `assembling.py`.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path as FilePath

from tally_stream.domain.scopes import ContestLists, Path
from tally_stream.wire.folder.contests import Contests, StatedContest
from tally_stream.wire.folder.stations import StationTable
from tally_stream.wire.folder.table import Mistake, Table
from tally_stream.wire.limits import STATION_PAIRS_MAX


class Scopes:
    """`named`: contest id → its stations, of contests that have rows in scopes.csv."""

    def __init__(
        self, contests: Contests, table: FilePath | None, stations: StationTable | None, root: str, mistakes: list[Mistake]
    ) -> None:
        self.named: dict[str, list[str]] = {}
        self.is_whole = True
        self._root = root
        self._mistakes = mistakes
        if table is not None:
            ids = None if stations is None or not stations.is_whole else {row[0] for row in stations.rows}
            self._read(Table(table, mistakes), contests, ids)
        if stations is not None and stations.is_whole and contests.stated:
            self._check(contests, stations)

    def _read(self, table: Table, contests: Contests, stations: set[str] | None) -> None:
        """The rows; `stations` are the ids that there are, None where that is not known."""
        seen: dict[str, set[str]] = {}
        refused: set[str] = set()
        number = 0
        for number, (contest, station) in enumerate(table.rows(("contest", "station_id")), 1):
            if number > STATION_PAIRS_MAX:
                table.wrong(f"more than {STATION_PAIRS_MAX} pairs of contest and station")
                return
            stated = contests.by_id.get(contest)
            if stated is None:
                if contests.is_whole:
                    table.wrong(f"contest {contest[:80]!r} is no contest")
                continue
            if stations is not None and station not in stations:
                table.wrong(f"station_id {station[:80]!r} is no polling station")
            if "scope" in stated.own and contest not in refused:
                refused.add(contest)
                table.wrong(f"contest {contest} has a scope in {stated.path.name} too")
            here = seen.setdefault(contest, set())
            if station in here:
                table.wrong(f"contest {contest} names station {station[:80]!r} twice")
            here.add(station)
        self.is_whole = table.is_whole
        if number == 0 and table.is_whole:
            sentence = "has no rows: leave it out where no contest is held at single stations"
            self._mistakes.append(Mistake(table.path, 1, sentence))
        self.named = {contest: list(ids) for contest, ids in seen.items()}

    def _check(self, contests: Contests, stations: StationTable) -> None:
        paths = {row[4] for row in stations.rows}
        scopes: list[list[Path]] = []
        names: dict[str, list[int]] = {}
        for index, contest in enumerate(contests.stated):
            if contest.id in self.named and "scope" not in contest.own:
                scopes.append([])
                for station in self.named[contest.id]:
                    names.setdefault(station, []).append(index)
                continue
            areas = contest.scope()
            if areas is None:
                scopes.append([()])
                continue
            scopes.append(self._areas_of(contest, areas, stations.areas))
        if contests.is_whole and self.is_whole:
            self._check_all_have_one(ContestLists(scopes, names), names, paths, stations)

    def _areas_of(self, contest: StatedContest, areas: list[str], there: set[Path]) -> list[Path]:
        """The paths of a scope's areas, as far as they are right."""
        found: dict[Path, None] = {}
        for area in areas:
            root, *values = area.split("/")
            path = tuple(values)
            what = None
            if root != self._root:
                what = f"which does not begin with the root {self._root}"
            elif path not in there:
                what = "in which no polling station lies"
            elif path in found:
                what = "twice"
            else:
                found[path] = None
            if what is not None:
                self._wrong(contest, f"names {area[:200]!r}{', ' if what != 'twice' else ' '}{what}")
        for path in found:
            for depth in range(len(path)):
                if path[:depth] in found:
                    self._wrong(contest, f"names {self._id(path)!r}, which lies in {self._id(path[:depth])!r}")
        if not areas:
            self._wrong(contest, "names no area: leave it out where all stations vote")
        return list(found)

    def _id(self, path: Path) -> str:
        return "/".join((self._root, *path))

    def _wrong(self, contest: StatedContest, what: str) -> None:
        line, name = contest.place(("scope",))
        self._mistakes.append(Mistake(contest.path, line, f"{name} {what}"))

    def _check_all_have_one(
        self, lists: ContestLists, names: dict[str, list[int]], paths: Iterable[Path], stations: StationTable
    ) -> None:
        without = {path for path in paths if not lists.of_path(path)}
        if not without:
            return
        if all(row[4] not in without or row[0] in names for row in stations.rows):
            return
        for line, station, _ in stations.lines_where(lambda id, path: path in without and id not in names):
            self._mistakes.append(Mistake(stations.path, line, f"station {station} is in no contest"))
