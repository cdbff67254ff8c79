"""Wide elections and long ballots: what a page, an answer or a file costs grows with what it shows, not with what there is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer

from tally_stream.board.history import HISTORY_MAX_CANDIDATES, HISTORY_MAX_POINTS, Point, points_each
from tally_stream.board.stations import Stations
from tests.board.many import ManyBoard
from tests.support.wide_elections import election_of

AREAS = 1_500


async def asked(many: ManyBoard, *paths: str) -> list[bytes]:
    async with TestClient(TestServer(many.board.application())) as client:
        found = []
        for path in paths:
            answer = await client.get(path, headers={"Accept-Encoding": "identity"})
            assert answer.status == 200, path
            found.append(await answer.read())
        return found


@pytest.fixture(scope="module")
def crowded() -> ManyBoard:
    """One contest of 2,000 candidates."""
    many = ManyBoard(election_of(regions=1, towns=2, contests=1, candidates=2_000))
    many.take(many.messages(1, [0]))
    return many


@pytest.fixture(scope="module")
def wide() -> ManyBoard:
    """A region of 1,500 towns, and one of as many."""
    many = ManyBoard(election_of(regions=2, towns=AREAS, contests=1))
    many.take(many.messages(1, [0]))
    return many


async def test_of_1500_areas_a_page_of_them_is_made_and_sent(wide: ManyBoard) -> None:
    rows = wide.board.api._rows._kept  # noqa: SLF001  (how many are made is what the test is about)
    rows.clear()
    listed, page = await asked(wide, "/api/v1/areas/C0000/X/R01", "/contest/C0000/area/X/R01")
    assert (len(json.loads(listed)["areas"]), json.loads(listed)["found"]) == (100, AREAS)
    assert page.count(b" data-key=") == 100 + 11, "areas, candidates"
    assert b"from=100" in page, "the way to the others"
    assert len(rows) == 100
    assert len(listed) < 60_000
    assert len(page) < 60_000
    (last,) = await asked(wide, f"/contest/C0000/area/X/R01?from={AREAS - 50}")
    assert last.count(b" data-key=") == 50 + 11
    assert b"from=" not in last.partition(b"areas-next")[2]


async def test_the_number_found_is_never_the_length_of_a_page(wide: ManyBoard) -> None:
    """534 stations were found, and the page said 200."""
    listed, page, last = await asked(
        wide, "/api/v1/stations?contest=C0000&q=school&limit=200", "/contest/C0000/area/X/R01?q=school",
        f"/contest/C0000/area/X/R01?q=school&stations_from={AREAS - 50}",
    )  # fmt: skip
    answer = json.loads(listed)
    assert (len(answer["stations"]), answer["found"], answer["has_more"]) == (200, 2 * AREAS, True)
    assert b"Found: 0 areas, 1,500 polling stations" in page, "of the place and all below it"
    assert page.count(b'<tr data-key="S01') == 100
    assert b'<p id="stations-next"><a href="/contest/C0000/area/X/R01?q=school&amp;stations_from=100">' in page
    assert last.count(b'<tr data-key="S01') == 50
    assert b'<p id="stations-next"></p>' in last
    both = (await asked(wide, "/contest/C0000/area/X/R01?q=0&from=100&stations_from=200"))[0]
    for link in (b"?q=0&amp;from=200&amp;stations_from=200", b"?q=0&amp;from=100&amp;stations_from=300"):
        assert link in both, "going on in one list keeps the place in the other"
    assert b"?q=0&amp;from=100&amp;stations_from=200&amp;lang=es" in both, "and so does a language"


async def test_a_reader_of_one_area_is_sent_one_area(wide: ManyBoard) -> None:
    written: list[bytes] = []
    channel = wide.board.stream.channel("C0000", "X/R00/T007")
    channel._write = lambda _, chunk, *__: written.append(chunk)  # type: ignore[method-assign]  # noqa: SLF001  (stands in for a socket)
    reader: Any = type("Reader", (), {"version": -1, "behind_since": None})()
    channel.readers = {reader}
    wide.take(wide.messages(2, [0]))
    await channel.push(1.0)
    (chunk,) = written
    assert b'"area":"X/R00/T007"' in chunk
    assert len(chunk) < 4_000
    channel.readers.clear()


async def test_a_page_is_as_long_with_300_contests_as_with_20() -> None:
    sizes = {}
    for count in (20, 300):
        many = ManyBoard(election_of(regions=1, towns=2, contests=count))
        many.take(many.messages(1, range(count)))
        page, one, some = await asked(many, "/contest/C0007", "/api/v1/contests/C0007", "/api/v1/contests")
        sizes[count] = len(page), len(one)
        assert len(json.loads(some)["contests"]) == min(count, 100)
        (listed,) = await asked(many, "/contests")
        assert listed.count(b'<li><a href="/contest/') == min(count, 100)
    assert all(abs(a - b) < 200 for a, b in zip(*sizes.values(), strict=True)), sizes


async def test_files_of_300_contests_cost_a_look_at_each(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a look at all of them for each of them, 1,200 contests kept readers waiting for seconds, four times a second."""
    many = ManyBoard(election_of(regions=1, towns=2, contests=300), tmp_path)
    many.take(many.messages(0, range(300)))
    looks = 0
    real = Stations.is_at

    def is_at(stations: Stations, *of: Any) -> bool:
        nonlocal looks
        looks += 1
        return real(stations, *of)

    monkeypatch.setattr(Stations, "is_at", is_at)
    publisher = many.board.publisher
    assert publisher is not None
    assert await publisher.publish_due()
    assert looks == 300
    assert len(json.loads((tmp_path / "latest.json").read_text())["contests"]) == 300
    assert not await publisher.publish_due()
    assert looks == 300, "what did not change is not looked at"
    assert many.board.feed.next_offsets() is many.board.feed.next_offsets(), "and is not added up again"
    assert many.said == []


async def test_a_contest_has_its_own_stations_and_areas_alone() -> None:
    election = election_of(regions=2, towns=2, contests=2, named_stations={"C0001": ["S00001"]})
    many = ManyBoard(election)
    many.take(many.messages(1, range(2)))
    everywhere, here, other, one = (
        json.loads(body)
        for body in await asked(
            many, "/api/v1/stations?contest=C0000", "/api/v1/stations?contest=C0001", "/api/v1/stations/S01000",
            "/api/v1/stations/S00001",
        )
    )  # fmt: skip
    assert [row["station"] for row in everywhere["stations"]] == ["S00000", "S00001", "S01000", "S01001"]
    assert [row["station"] for row in here["stations"]] == ["S00001"]
    assert [c["contest"] for c in other["contests"]] == ["C0000"]
    assert [c["contest"] for c in one["contests"]] == ["C0000", "C0001"]
    (areas,) = await asked(many, "/api/v1/areas/C0001")
    assert [row["area"] for row in json.loads(areas)["areas"]] == ["X/R00"]
    (found,) = await asked(many, "/api/v1/areas/C0001?q=durrheim")
    assert [row["area"] for row in json.loads(found)["areas"]] == ["X/R00/T001"]


def test_the_history_of_all_contests_has_room() -> None:
    assert [points_each(count) for count in (1, 50, 1_222, 20_000)] == [HISTORY_MAX_POINTS, HISTORY_MAX_POINTS, 81, 20]
    many = ManyBoard(election_of(regions=1, towns=1, contests=100, candidates=2))
    history = many.board.feed.shown["C0099"].history
    for version in range(3_000):
        history.take(Point(version, 1_000 * version, b""))
    assert 500 <= len(history.since(-1)) <= 1_000


async def test_a_point_of_2000_candidates_is_as_large_as_one_of_11(crowded: ManyBoard) -> None:
    """With all of them, the history of one contest was 162 MiB, and a reader's page asked for all of it."""
    few = ManyBoard(election_of(regions=1, towns=2, contests=1))
    few.take(few.messages(1, [0]))
    points = [many.board.feed.shown["C0000"].history.since(-1)[0].value for many in (few, crowded)]
    assert abs(len(points[0]) - len(points[1])) < 30, points
    assert HISTORY_MAX_POINTS * len(points[1]) < 2 * 2**20
    served = json.loads((await asked(crowded, "/api/v1/history/C0000"))[0])["points"][0]["candidates"]
    leading = crowded.board.feed.shown["C0000"].root_message["candidates"][:HISTORY_MAX_CANDIDATES]
    assert served == [{k: c[k] for k in ("id", "votes", "share")} for c in leading], "those that lead, in their order"
