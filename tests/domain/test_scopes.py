"""Contests in their places: which a station has, what a fold keeps of them, and which areas have a message."""

from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tally_stream.domain.baselines import baselines
from tally_stream.domain.election import Election
from tally_stream.domain.fold import PartitionFold, folds_of
from tally_stream.domain.rules import Limits
from tally_stream.domain.scopes import ContestLists, Path, areas_of_contests, contests_alike
from tally_stream.domain.standings import MergedFigures
from tests.support.examples import examples
from tests.support.small_elections import (
    CLOSE_MS,
    COUNTED_MS,
    TOPIC,
    Night,
    contest,
    control,
    decision,
    election,
    report,
    station,
    turnout,
)

STATIONS = (
    station("A-1", 200, 110, ("NORTH", "ELM")),
    station("A-2", 300, 120, ("NORTH", "OAK")),
    station("B-1", 400, None, ("SOUTH", "ELM")),
    station("B-2", None, 130, ("SOUTH", "ELM")),
)
CONTESTS = (contest("PRES"), contest("ELMS"), contest("OAKS"), contest("ALSO"))
NAMED = {"ELMS": ["B-2", "A-1", "B-1"], "OAKS": ["A-2"], "ALSO": ["A-2"]}


def of_places() -> Election:
    return election(STATIONS, CONTESTS, levels=("region", "town"), depth=2, named=NAMED)


class TestWhichContestsAStationHas:
    def test_those_everywhere_and_those_that_name_it(self) -> None:
        of = of_places()
        assert {s.id: s.contests for s in of.stations.values()} == {
            "A-1": (0, 1),
            "A-2": (0, 2, 3),
            "B-1": (0, 1),
            "B-2": (0, 1),
        }

    def test_stations_with_the_same_share_one_list(self) -> None:
        of = of_places()
        assert of.stations["A-1"].contests is of.stations["B-2"].contests
        whole = election(STATIONS, CONTESTS, levels=("region", "town"))
        assert len({id(s.contests) for s in whole.stations.values()}) == 1

    def test_whether_it_has_one(self) -> None:
        a_1 = of_places().stations["A-1"]
        assert [a_1.has_contest(index) for index in range(-1, 5)] == [False, True, True, False, False, False]

    def test_of_areas_at_any_level_below_the_root(self) -> None:
        lists = ContestLists([[()], [("NORTH",)], [("NORTH", "ELM"), ("SOUTH",)], [("WEST",)], []], {"A-1": [0, 4]})
        assert lists.of_path(("NORTH", "ELM")) == (0, 1, 2)
        assert lists.of_path(("NORTH", "OAK")) == (0, 1)
        assert lists.of_path(("NORTH",)) == (0, 1)
        assert lists.of_path(("SOUTH", "ELM")) == (0, 2)
        assert lists.of_path(("EAST", "ELM")) == lists.of_path(()) == (0,)
        assert lists.of_station("A-1", lists.of_path(("NORTH",))) == (0, 1, 4)
        assert lists.of_station("A-2", lists.of_path(("NORTH",))) == (0, 1)

    @examples(200)
    @given(
        st.lists(st.lists(st.lists(st.sampled_from("AB"), max_size=3).map(tuple), max_size=3), max_size=5),
        st.dictionaries(st.sampled_from(["S-1", "S-2"]), st.sets(st.integers(0, 6)).map(sorted)),
    )
    def test_is_what_a_look_at_each_contest_gives(self, scopes: list[list[Path]], named: dict[str, list[int]]) -> None:
        lists = ContestLists(scopes, named)
        for path in [(), ("A",), ("A", "B"), ("B", "B", "A"), ("A", "A", "A")]:
            of_path = [c for c, areas in enumerate(scopes) if any(path[: len(area)] == area for area in areas)]
            assert lists.of_path(path) == tuple(of_path)
            assert lists.of_path(path) is lists.of_path(tuple(path))
            for id in ("S-1", "S-2", "S-3"):
                found = lists.of_station(id, lists.of_path(path))
                assert found == tuple(sorted({*of_path, *named.get(id, [])}))
                assert found is lists.of_station(id, lists.of_path(path))


class TestWhichAreasAContestHas:
    def test_those_with_a_station_of_it_the_root_first(self) -> None:
        of = of_places()
        assert [[of.areas[i].id for i in areas] for areas in of.contest_areas] == [
            ["X", "X/NORTH", "X/SOUTH", "X/NORTH/ELM", "X/NORTH/OAK", "X/SOUTH/ELM"],
            ["X", "X/NORTH", "X/SOUTH", "X/NORTH/ELM", "X/SOUTH/ELM"],
            ["X", "X/NORTH", "X/NORTH/OAK"],
            ["X", "X/NORTH", "X/NORTH/OAK"],
        ]
        assert [[of.areas[i].id for i in leaves] for leaves in of.contest_leaves] == [
            ["X/NORTH/ELM", "X/NORTH/OAK", "X/SOUTH/ELM"], ["X/NORTH/ELM", "X/SOUTH/ELM"], ["X/NORTH/OAK"], ["X/NORTH/OAK"]
        ]  # fmt: skip
        assert of.contest_areas[2] is of.contest_areas[3]
        assert of.contest_leaves[2] is of.contest_leaves[3]

    @pytest.mark.parametrize("depth", [0, 1, 2])
    def test_of_contests_that_are_held_everywhere_they_are_all(self, depth: int) -> None:
        of = election(STATIONS, CONTESTS, levels=("region", "town"), depth=depth)
        assert set(of.contest_areas) == {tuple(range(len(of.areas)))}
        assert set(of.contest_leaves) == {of.leaf_areas}

    def test_of_one_without_a_station_none(self) -> None:
        assert areas_of_contests(2, [None, 0], [((1,), 1)]) == (((), (0, 1)), ((), (1,)))

    def test_contests_in_the_same_lists_are_alike(self) -> None:
        assert contests_alike(5, [(0, 1, 2), (0, 2), (3,)]) == {(0, 1): [0, 2], (0,): [1], (2,): [3], (): [4]}


class TestWhichChannelsAContestHas:
    HOW = {"A-1": "postal", "A-2": "early", "B-1": "Postal", "B-2": "postal"}  # noqa: RUF012  (read alone)

    def of_channels(self) -> Election:
        return election(STATIONS, CONTESTS, levels=("region", "town"), depth=2, named=NAMED, channels=self.HOW)

    def test_their_names_are_sorted_by_code_point_and_each_station_has_one(self) -> None:
        of = self.of_channels()
        assert of.channels == ("Postal", "early", "postal")
        assert {id: of.channels[s.channel] for id, s in of.stations.items()} == self.HOW

    def test_those_of_its_stations_and_contests_of_the_same_share_one_tuple(self) -> None:
        of = self.of_channels()
        assert of.contest_channels == ((0, 1, 2), (0, 2), (1,), (1,))
        assert of.contest_channels[2] is of.contest_channels[3]

    def test_of_contests_that_are_held_everywhere_they_are_all(self) -> None:
        of = election(STATIONS, CONTESTS, levels=("region", "town"), channels=self.HOW)
        assert of.contest_channels == ((0, 1, 2),) * 4
        assert len({id(channels) for channels in of.contest_channels}) == 1

    def test_without_channels_there_are_none(self) -> None:
        of = of_places()
        assert of.channels == ()
        assert of.contest_channels == ((),) * 4
        assert {s.channel for s in of.stations.values()} == {-1}


class TestTheDigest:
    def test_which_stations_are_named_is_part_of_it_and_their_order_is_not(self) -> None:
        def digest(named: dict[str, Iterable[str]]) -> str:
            return election(STATIONS, CONTESTS, levels=("region", "town"), named=named).digest

        assert digest({"ELMS": ["A-1", "B-1"], "OAKS": ["A-2"]}) == digest({"OAKS": ["A-2"], "ELMS": ["B-1", "A-1"]})
        assert len({digest({}), digest({"ELMS": ["A-1"]}), digest({"OAKS": ["A-1"]}), digest({"ELMS": ["A-1", "B-1"]})}) == 4


class TestAFold:
    def test_keeps_entries_only_for_the_stations_of_a_contest(self) -> None:
        fold = PartitionFold(of_places())
        assert [sorted(entries) for entries in fold.entries] == [
            ["A-1", "A-2", "B-1", "B-2"], ["A-1", "B-1", "B-2"], ["A-2"], ["A-2"]
        ]  # fmt: skip

    def test_counts_a_report_for_its_own_contest_alone(self) -> None:
        night = Night(of_places(), report("A-1", contest=1), report("A-2", contest=2, votes=(30, 40)))
        assert [night.root(index)["stations"]["counted"] for index in range(4)] == [0, 1, 1, 0]
        assert [night.root(index)["stations"]["expected"] for index in range(4)] == [4, 3, 1, 1]

    def test_turnout_is_told_to_the_contests_of_its_station_and_no_others(self) -> None:
        night = Night(of_places(), turnout("A-1", voted=80))
        assert [night.root(index)["progress"]["ballots"] for index in range(4)] == [
            None, None, {"done": 0, "of": 120, "percent": "0.00"}, {"done": 0, "of": 120, "percent": "0.00"}
        ]  # fmt: skip
        night = Night(of_places(), turnout("A-2", voted=80))
        assert [night.root(index)["progress"]["ballots"] for index in (2, 3)] == [{"done": 0, "of": 80, "percent": "0.00"}] * 2

    def test_of_a_partition_without_a_station_of_a_contest_takes_its_control_all_the_same(self) -> None:
        """Control statements go to every partition."""
        of = of_places()
        folds = folds_of(of, 8)
        home = [p for p, fold in enumerate(folds) if fold.entries[2]]
        assert len(home) == 1
        for fold in folds:
            assert fold.figures(2).stand.next_offset == 0
            assert not fold.is_on_hold(2)
            assert fold.entry(2, "A-2") is None
            assert fold.take(0, COUNTED_MS, b"OAKS", control("hold", contest=2)).name == "counted"
            assert fold.take(1, COUNTED_MS, b"OAKS", control("certify", 2, contest=2)).name == "counted"
            assert fold.is_on_hold(2)
            assert fold.figures(2).stand.next_offset == 1
            assert fold.take(2, COUNTED_MS, b"OAKS", control("release", 3, contest=2)).name == "counted"
            assert fold.figures(2).stand.is_certified
            assert not fold.figures(3).stand.is_certified
        standings = MergedFigures(of, 2, TOPIC, 8)
        for fold in folds:
            standings.put(fold.figures(2))
        assert standings.messages()[-1]["status"] == "certified"

    def test_does_not_go_through_all_contests_for_each_station(self) -> None:
        """Of 2,000 contests each station has one: 4,000 entries and 6,000 pairs of contest and area, not 8,000,000."""
        contests = [contest(f"C{n}") for n in range(2_000)]
        stations = [station(f"S{n}", path=(str(n % 500),)) for n in range(4_000)]
        named = {c.id: [s[0] for s in stations[n * 2 : n * 2 + 2]] for n, c in enumerate(contests)}
        of = election(stations, contests, levels=("town",), depth=1, named=named)
        assert sum(len(entries) for fold in folds_of(of, 4) for entries in fold.entries) == 4_000
        assert sum(map(len, of.contest_areas)) == 6_000
        assert sum(map(len, baselines(of, Limits(of.checks, CLOSE_MS)))) == 6_000


class TestBaselines:
    def test_are_of_a_contests_own_stations_and_areas(self) -> None:
        of = of_places()
        found = baselines(of, Limits(of.checks, CLOSE_MS))
        assert [sorted(of.areas[area].id for area in sums) for sums in found] == [
            sorted(of.areas[area].id for area in areas) for areas in of.contest_areas
        ]
        assert [sums[0]["expected"] for sums in found] == [4, 3, 1, 1]
        assert [sums[0]["registered_of"] for sums in found] == [900, 600, 300, 300]
        assert [sums[0]["registered_of_unknown"] for sums in found] == [1, 1, 0, 0]
        assert found[2] is found[3], "made once for contests with the same stations"


class TestMessages:
    def test_a_contest_has_messages_of_its_own_areas_alone(self) -> None:
        night = Night(of_places(), report("A-1", contest=1))
        assert [m["area"] for m in night.messages(1)] == ["X/NORTH", "X/SOUTH", "X/NORTH/ELM", "X/SOUTH/ELM", "X"]
        assert [m["area"] for m in night.messages(2)] == ["X/NORTH", "X/NORTH/OAK", "X"]

    def test_its_changes_go_up_to_the_root_as_any(self) -> None:
        night = Night(of_places(), report("A-2", contest=2), decision("annul", "A-2", contest=2))
        assert {m["stations"]["annulled"] for m in night.messages(2)} == {1}
        assert {m["stations"]["annulled"] for m in night.messages(3)} == {0}
