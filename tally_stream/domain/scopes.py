"""Which contests a station has: those of the areas it lies in, and those that name it.

Decides a station's list of contests, once for all that lie in one place, and in which published areas and of which channels a
contest has a station. Stations with the same contests share one list: what is done for each contest is done once a list, never
once a station and contest. Refuses to know whether a scope names what there is: `wire/folder/` looks at that. Read `tally.py`
next.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

Path = tuple[str, ...]
"""Level values, outermost first; () is the root."""
ContestList = tuple[int, ...]
"""Indices of contests, ascending."""


class ContestLists:
    """`of_path` the contests of all stations that lie in one place, `of_station` those of one that is named by some.

    `scopes` has for each contest the paths of the areas whose stations vote in it, none inside another; `named` has the
    contests that name a station: its id → their indices, ascending.
    """

    def __init__(self, scopes: Sequence[Sequence[Path]], named: Mapping[str, Sequence[int]]) -> None:
        self._named = named
        self._of_area: dict[Path, list[int]] = {}
        for contest, paths in enumerate(scopes):
            for path in paths:
                self._of_area.setdefault(path, []).append(contest)
        self._everywhere: ContestList = tuple(sorted(set(self._of_area.pop((), []))))
        self._of_areas: dict[tuple[Path, ...], ContestList] = {(): self._everywhere}
        self._of_names: dict[tuple[int, tuple[int, ...]], ContestList] = {}
        self._shared: dict[ContestList, ContestList] = {self._everywhere: self._everywhere}

    def of_path(self, path: Path) -> ContestList:
        if not self._of_area:
            return self._everywhere
        areas = tuple([path[:depth] for depth in range(1, len(path) + 1) if path[:depth] in self._of_area])
        found = self._of_areas.get(areas)
        if found is None:
            found = self._of_areas[areas] = self._merged(self._everywhere, [self._of_area[area] for area in areas])
        return found

    def of_station(self, station_id: str, of_path: ContestList) -> ContestList:
        """`of_path` of the place where it lies, and the contests that name it."""
        names = self._named.get(station_id)
        if names is None:
            return of_path
        place = id(of_path), tuple(names)
        found = self._of_names.get(place)
        if found is None:
            found = self._of_names[place] = self._merged(of_path, [names])
        return found

    def _merged(self, first: ContestList, others: Sequence[Sequence[int]]) -> ContestList:
        together = set(first)
        for other in others:
            together.update(other)
        merged = tuple(sorted(together))
        return self._shared.setdefault(merged, merged)


def contests_alike(contest_count: int, lists: Sequence[ContestList]) -> dict[tuple[int, ...], list[int]]:
    """Places in `lists` → the contests that stand in these lists and no others: they have the same stations."""
    places: list[list[int]] = [[] for _ in range(contest_count)]
    for place, contests in enumerate(lists):
        for contest in contests:
            places[contest].append(place)
    alike: dict[tuple[int, ...], list[int]] = {}
    for contest, found in enumerate(places):
        alike.setdefault(tuple(found), []).append(contest)
    return alike


def places_of_contests(contest_count: int, stations: Iterable[tuple[ContestList, int]]) -> tuple[tuple[int, ...], ...]:
    """Contest → the places (areas, channels) of its stations, ascending; contests share one tuple where they are equal.

    `stations` are a list of contests and a place each, one for all that have both in common.
    """
    lists: list[ContestList] = []
    places_of_list: list[set[int]] = []
    number_of: dict[int, int] = {}
    for contests, place in stations:
        number = number_of.get(id(contests))
        if number is None:
            number = number_of[id(contests)] = len(lists)
            lists.append(contests)
            places_of_list.append(set())
        places_of_list[number].add(place)

    places_of: list[tuple[int, ...]] = [()] * contest_count
    known: dict[tuple[int, ...], tuple[int, ...]] = {}
    for numbers, contests_here in contests_alike(contest_count, lists).items():
        found: set[int] = set()
        for number in numbers:
            found |= places_of_list[number]
        places = tuple(sorted(found))
        places = known.setdefault(places, places)
        for contest in contests_here:
            places_of[contest] = places
    return tuple(places_of)


def areas_of_contests(
    contest_count: int, parents: Sequence[int | None], stations: Iterable[tuple[ContestList, int]]
) -> tuple[tuple[tuple[int, ...], ...], tuple[tuple[int, ...], ...]]:
    """Contest → the published areas in which it has a station, and the deepest of these; contests share one tuple where
    they are equal.

    `parents` has for each area the one above it, which stands before it; `stations` are a list of contests and a deepest
    published area each, one for all that have both in common.
    """
    leaves_of = places_of_contests(contest_count, stations)
    known: dict[int, tuple[int, ...]] = {}
    """By the tuple itself, not by what is in it: thousands of contests may share one of thousands of areas."""
    for leaves in leaves_of:
        if id(leaves) not in known:
            known[id(leaves)] = _with_those_above(leaves, parents)
    return tuple([known[id(leaves)] for leaves in leaves_of]), leaves_of


def _with_those_above(leaves: tuple[int, ...], parents: Sequence[int | None]) -> tuple[int, ...]:
    found: set[int] = set()
    for leaf in leaves:
        area: int | None = leaf
        while area is not None and area not in found:
            found.add(area)
            area = parents[area]
    return tuple(sorted(found))
