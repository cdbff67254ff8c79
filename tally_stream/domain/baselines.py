"""What the definition alone expects of each contest in each published area: the starting points of sums that are kept relative
to an untouched station.

Decides them in one pass over the stations. Refuses to know reports (`tally.py`). Read `standings.py` next.
"""

from __future__ import annotations

from tally_stream.domain.election import Election
from tally_stream.domain.rules import Limits
from tally_stream.domain.scopes import contests_alike
from tally_stream.domain.tally import bound_of

Baseline = dict[int, dict[str, int]]
"""Published area → name → figure."""
_BASELINE_NAMES: tuple[str, ...] = (
    "expected", "registered_of", "registered_of_unknown", "ballots_of", "ballots_of_unknown", "bound", "bound_unknown",
)  # fmt: skip


def baselines(election: Election, limits: Limits) -> list[Baseline]:
    """What each contest's stations add up to, all outstanding and untouched, in every published area that has one:
    expected stations, and the starting points of `registered_of`, `ballots_of` and `bound` with their unknowns.

    Where there are channels, expected stations of each too (`expected_of`). One pass over the stations for all contests;
    contests with the same stations share one object.
    """
    names = (*_BASELINE_NAMES, *(expected_of(channel) for channel in range(len(election.channels))))
    lists: list[tuple[int, ...]] = []
    sums_of_list: list[Baseline] = []
    place_of: dict[int, int] = {}
    for station in election.stations.values():
        place = place_of.get(id(station.contests))
        if place is None:
            place = place_of[id(station.contests)] = len(lists)
            lists.append(station.contests)
            sums_of_list.append({})
        of_list = sums_of_list[place]
        area = of_list.get(station.leaf)
        if area is None:
            area = of_list[station.leaf] = dict.fromkeys(names, 0)
        area["expected"] += 1
        if election.channels:
            area[expected_of(station.channel)] += 1
        if station.registered is None:
            area["registered_of_unknown"] += 1
            area["bound_unknown"] += 1
        else:
            area["registered_of"] += station.registered
            area["bound"] += bound_of(station, limits)
        if station.ballots_expected is None:
            area["ballots_of_unknown"] += 1
        else:
            area["ballots_of"] += station.ballots_expected
    found: list[Baseline] = [{}] * len(election.contests)
    for places, contests in contests_alike(len(election.contests), lists).items():
        areas = election.contest_areas[contests[0]]
        sums = {index: dict.fromkeys(names, 0) for index in areas}
        for place in places:
            for leaf, of_leaf in sums_of_list[place].items():
                _add_named(sums[leaf], of_leaf)
        for index in reversed(areas[1:]):  # children come after their parents
            parent = election.areas[index].parent
            assert parent is not None, "every area but the root has a parent"
            _add_named(sums[parent], sums[index])
        for contest in contests:
            found[contest] = sums
    return found


def expected_of(channel: int) -> str:
    """What a baseline calls the expected stations of a channel."""
    return f"expected of channel {channel}"


def _add_named(sums: dict[str, int], others: dict[str, int]) -> None:
    for name, figure in others.items():
        sums[name] += figure
