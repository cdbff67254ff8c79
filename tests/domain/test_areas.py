"""Areas: the root and as many levels below it as the definition publishes; an area is the sum of those below."""

import pytest

from tally_stream.domain.election import Election, build_election
from tally_stream.domain.fold import PartitionFold
from tally_stream.domain.standings import STAMP_FIELDS, MergedFigures, Message, body_of
from tests.support.small_elections import CLOSE_MS, TOPIC, Night, contest, decision, election, report, station

STATIONS = (
    station("A-1", 200, 110, ("NORTH", "ELM")),
    station("A-2", 300, 120, ("NORTH", "OAK")),
    station("B-1", 400, None, ("SOUTH", "ELM")),
    station("B-2", None, 130, ("SOUTH", "ELM")),
)
DEPTHS = {
    0: ["X"],
    1: ["X/NORTH", "X/SOUTH", "X"],
    2: ["X/NORTH", "X/SOUTH", "X/NORTH/ELM", "X/NORTH/OAK", "X/SOUTH/ELM", "X"],
}


def at_depth(depth: int) -> Election:
    return election(STATIONS, levels=("region", "town"), depth=depth)


def busy(depth: int) -> Night:
    return Night(
        at_depth(depth),
        report("A-1"),
        report("A-2", votes=(30, 40), blank=None, cast=80),
        report("B-1", complete=False),
        report("B-2", valid=97),
    )


@pytest.mark.parametrize("depth", DEPTHS)
def test_which_areas_are_published_the_root_last(depth: int) -> None:
    assert [m["area"] for m in Night(at_depth(depth)).messages()] == DEPTHS[depth]


@pytest.mark.parametrize("depth", [1, 2])
def test_the_root_does_not_depend_on_the_depth(depth: int) -> None:
    published = {**busy(depth).root(), "definition": None}
    assert published == {**busy(0).root(), "definition": None}
    assert at_depth(depth).digest != at_depth(0).digest


@pytest.mark.parametrize("depth", [1, 2])
def test_every_area_is_the_sum_of_those_below(depth: int) -> None:
    messages = {m["area"]: m for m in busy(depth).messages()}
    for area, message in messages.items():
        below = [m for name, m in messages.items() if name.rpartition("/")[0] == area]
        if not below:
            continue
        for name in ("expected", "received", "counted", "partial", "held", "annulled", "outstanding"):
            assert message["stations"][name] == sum(m["stations"][name] for m in below)
        assert message["ballots"]["valid"] == sum(m["ballots"]["valid"] for m in below)
        votes = {c["id"]: c["votes"] for c in message["candidates"]}
        for candidate in votes:
            assert votes[candidate] == sum(c["votes"] for m in below for c in m["candidates"] if c["id"] == candidate)


def test_an_unknown_figure_is_unknown_above_and_known_beside() -> None:
    night = busy(2)
    assert night.area("X/NORTH/ELM")["ballots"]["blank"] == 2
    assert night.area("X/NORTH/OAK")["ballots"]["blank"] is None
    assert night.area("X/NORTH")["ballots"]["blank"] is None
    assert night.area("X/SOUTH")["ballots"]["blank"] == 2
    assert night.area("X/NORTH")["progress"]["registered"] == {"done": 500, "of": 500, "percent": "100.00"}
    assert night.area("X/SOUTH")["progress"]["registered"] is None


def test_an_area_that_is_complete_is_complete_while_the_whole_is_not() -> None:
    night = busy(1)
    assert night.area("X/NORTH")["status"] == "unofficial-complete"
    assert night.area("X/SOUTH")["status"] == night.root()["status"] == "unofficial-partial"


def test_the_same_name_below_two_areas_is_two_areas() -> None:
    assert busy(2).area("X/NORTH/ELM")["stations"]["expected"] == 1
    assert busy(2).area("X/SOUTH/ELM")["stations"]["expected"] == 2


def test_outcome_and_exit_polls_are_on_the_root_alone() -> None:
    for message in busy(2).messages()[:-1]:
        assert message["outcome"] is None
        assert message["exit_polls"] is None
    assert busy(2).root()["outcome"]["state"] == "undecided"


def test_all_areas_carry_the_same_vector_and_the_body_leaves_it_out() -> None:
    for message in busy(2).messages():
        assert (message["version"], message["provenance"]["next_offsets"]) == (4, {"0": 4})
        assert set(message) - set(body_of(message)) == STAMP_FIELDS == {"version", "as_of", "provenance"}


def test_an_area_whose_stations_did_not_change_has_the_same_body() -> None:
    night = busy(2)
    before = {m["area"]: body_of(m) for m in night.messages()}
    night.take(decision("annul", "A-1"))
    changed = {m["area"] for m in night.messages() if body_of(m) != before[m["area"]]}
    assert changed == {"X", "X/NORTH", "X/NORTH/ELM"}


def published(standings: MergedFigures) -> list[Message]:
    """What a publication sends: the areas whose body changed, and the root."""
    publication = standings.begin_publication()
    made = [publication.message(area) for area in publication.areas]
    return [message for message, is_changed in made[:-1] if is_changed] + [made[-1][0]]


def test_messages_of_some_areas_are_those_of_all() -> None:
    night = busy(2)
    standings = MergedFigures(night.election, 0, TOPIC, 1)
    standings.put(night.fold.figures(0))
    assert standings.messages({"X/NORTH", "X"}) == [m for m in night.messages() if m["area"] in ("X/NORTH", "X")]
    assert standings.messages() == night.messages()


def test_a_publication_has_the_areas_that_changed_since_the_one_before_and_the_root() -> None:
    night = busy(2)
    standings = MergedFigures(night.election, 0, TOPIC, 1)
    standings.put(night.fold.figures(0))
    assert published(standings) == night.messages()
    assert [m["area"] for m in published(standings)] == ["X"]
    night.take(decision("annul", "A-1"))
    standings.put(night.fold.figures(0))
    everything = night.messages()
    assert published(standings) == [m for m in everything if m["area"] in ("X/NORTH", "X/NORTH/ELM")] + everything[-1:]


def test_a_publication_says_of_each_area_whether_more_than_its_stamp_changed() -> None:
    night = busy(2)
    standings = MergedFigures(night.election, 0, TOPIC, 1)
    standings.put(night.fold.figures(0))
    published(standings)
    for statement, is_changed in ((report("A-1", 9000), False), (decision("annul", "A-1"), True)):
        night.take(statement)
        standings.put(night.fold.figures(0))
        publication = standings.begin_publication()
        message, found = [publication.message(area) for area in publication.areas][-1]
        assert (message["version"], found) == (night.fold.next_offset, is_changed)


def test_what_comes_while_a_publication_is_under_way_shows_in_the_next() -> None:
    night = busy(2)
    standings = MergedFigures(night.election, 0, TOPIC, 1)
    standings.put(night.fold.figures(0))
    before = night.messages()
    publication = standings.begin_publication()
    night.take(decision("annul", "A-1"))
    standings.put(night.fold.figures(0))
    assert [publication.message(area)[0] for area in publication.areas] == before
    assert published(standings)[-1] == night.root()


def test_what_two_partitions_move_in_one_area_between_two_publications_adds_up() -> None:
    of = election([station("A-1"), station("A-2")])
    nights = [Night(of), Night(of)]
    nights[1].fold = PartitionFold(of, 1)
    standings = MergedFigures(of, 0, TOPIC, 2)

    def root() -> Message:
        for night in nights:
            standings.put(night.fold.figures(0))
        return published(standings)[-1]

    for night, id in zip(nights, ("A-1", "A-2"), strict=True):
        night.take(report(id, votes=(50, 46)))
    assert [candidate["votes"] for candidate in root()["candidates"]] == [100, 92]
    for night, id in zip(nights, ("A-1", "A-2"), strict=True):
        night.take(decision("annul", id))
    message = root()
    assert [candidate["votes"] for candidate in message["candidates"]] == [0, 0]
    assert (message["stations"]["counted"], message["stations"]["annulled"]) == (0, 2)


def test_contests_are_found_by_their_id() -> None:
    of = election(contests=[contest("PRES"), contest("SEAT")])
    assert [of.contest_index(name) for name in ("PRES", "SEAT", "PRE")] == [0, 1, None]


def test_a_station_may_have_its_id_or_nothing_as_its_name() -> None:
    of = build_election(
        id="X",
        name="X",
        phase="test",
        polls_close_ms=CLOSE_MS,
        root="X",
        root_name="X",
        levels=(),
        publish_depth=0,
        contests=[contest()],
        stations=[("A-1", "A-1", None, None, ()), ("A-2", "", None, None, ())],
    )
    assert [s.name for s in of.stations.values()] == ["A-1", ""]
