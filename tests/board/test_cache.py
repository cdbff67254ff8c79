"""What is made once and given to many is given to those who asked for just that, and only while it is true."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer

from tally_stream.board import readers as readers_module
from tests.board.told import ToldBoard, statement

Client = TestClient[Any, Any]


def board_of(directory: Path) -> ToldBoard:
    directory.mkdir()
    told = ToldBoard(directory)
    told.take(
        statement("PRES", "S1", 1, "report", (3, 2)),
        statement("PRES", "S8", 1, "report", (1, 7)),
        statement("SEAT", "S1", 1, "report", (4, 4)),
    )
    for offset, (contest, station, area) in enumerate(
        [("PRES", "S1", "R/NORTH"), ("PRES", "S8", "R/SOUTH"), ("SEAT", "S1", "R/NORTH"), ("PRES", "S2", "R/NORTH")]
    ):
        assert told.change(offset, contest=contest, station=station, area=area)
    return told


@pytest.fixture
def told(tmp_path: Path) -> ToldBoard:
    return board_of(tmp_path / "board")


@pytest.fixture
async def client(told: ToldBoard) -> AsyncIterator[Client]:
    async with TestClient(TestServer(told.board.application())) as client:
        yield client


async def body(client: Client, path: str, **headers: str) -> bytes:
    answer = await client.get(path, headers=headers)
    assert answer.status == 200, (path, await answer.text())
    return await answer.read()


@pytest.mark.parametrize(
    "paths",
    [
        ["changes", "changes?contest=PRES", "changes?contest=SEAT", "changes?contest=SEAT&limit=7"],
        ["changes?station=S1", "changes?station=S8", "changes?area=R/SOUTH&limit=9", "changes?area=R/NORTH"],
        ["changes?limit=1", "changes?limit=2", "changes?limit=2&before=3,0,3", "changes?limit=2&before=2,0,2"],
        ["standings/PRES", "standings/SEAT", "standings/PRES/R/NORTH", "standings/PRES/R/SOUTH"],
        ["areas/PRES", "areas/SEAT", "areas/PRES/R/NORTH", "areas/PRES/R/SOUTH", "areas/PRES?q=north", "areas/PRES?q=south"],
        ["areas/PRES", "areas/PRES?order=desc", "areas/PRES?limit=1", "areas/PRES?from=1"],
        ["contests", "contests?q=pres", "contests?from=1", "contests?limit=1", "contests/PRES", "contests/SEAT"],
        ["history/PRES", "history/SEAT", "history/PRES?after=3"],
        ["contests", "rejections"],
    ],
)
async def test_what_differs_in_the_question_differs_in_the_answer(paths: list[str], client: Client, tmp_path: Path) -> None:
    """Each asked alone, of a board that answers nothing else: asked one after the other they are the same, and all differ."""
    one_after_the_other = [await body(client, f"/api/v1/{path}") for path in paths]
    alone = []
    for number, path in enumerate(paths):
        async with TestClient(TestServer(board_of(tmp_path / str(number)).board.application())) as fresh:
            alone.append(await body(fresh, f"/api/v1/{path}"))
    assert one_after_the_other == alone
    assert len(set(alone)) == len(alone)


async def test_each_page_is_that_of_its_contest_language_mode_and_theme(client: Client) -> None:
    asked = [
        "/", "/?contest=SEAT", "/?lang=az", "/?embed", "/?theme=dark", "/?theme=light", "/contest/PRES/area/R/NORTH", "/?q=north",
        "/contest/SEAT/area/R/NORTH", "/contest/PRES/area/R/SOUTH", "/?sort=lead", "/?order=desc", "/?from=1", "/contests",
        "/contests?q=pres", "/?lang=en",
    ]  # fmt: skip
    assert len({await body(client, path) for path in asked}) == len(asked)
    assert await body(client, "/", **{"Accept-Language": "ru"}) not in [await body(client, path) for path in asked]


@pytest.mark.parametrize(
    "path",
    [
        "standings/PRES",
        "standings/PRES/R/NORTH",
        "areas/PRES",
        "areas/PRES?q=north",
        "history/PRES",
        "contests",
        "contests/PRES",
        "changes",
        "rejections",
    ],
)
async def test_an_answer_is_good_until_something_it_tells_is_another(path: str, told: ToldBoard, client: Client) -> None:
    before = await body(client, f"/api/v1/{path}")
    assert await body(client, f"/api/v1/{path}") == before
    told.take(statement("PRES", "S2", 1, "report", (9, 9)))
    told.change(9)
    told.board.feed.refusals.take(json.dumps({
        "definition": told.board.election.digest, "verdict": "rejected", "codes": ["S2"], "details": [], "key_base64": None,
        "value_bytes": 3, "value_sha256": "x", "source": {"partition": 0, "offset": 4, "timestamp": 1},
    }).encode())  # fmt: skip
    assert await body(client, f"/api/v1/{path}") != before


@pytest.mark.parametrize("path", ["/", "/contest/PRES/area/R/NORTH", "/?q=north"])
@pytest.mark.parametrize("happens", ["a report", "a change"])
async def test_a_page_is_good_until_something_on_it_is_another(
    path: str, happens: str, told: ToldBoard, client: Client
) -> None:
    before = await body(client, path)
    assert await body(client, path) == before
    if happens == "a report":
        told.take(statement("PRES", "S2", 1, "report", (9, 9)))
    else:
        told.change(
            9, kind="annul", from_revision=1, to_revision=2, votes_delta={}, ballots_delta={}, reason="x", authority=None
        )
    assert await body(client, path) != before


async def test_an_area_is_not_made_anew_for_what_happens_elsewhere(told: ToldBoard, client: Client) -> None:
    """Of 8,000 areas one changes: the list of those in another is the same answer."""
    asked = ("/api/v1/areas/PRES/R/NORTH", "/api/v1/changes?contest=PRES&area=R/NORTH")
    before = [await body(client, path) for path in asked]
    answers = dict(told.board.api._answers._kept)  # noqa: SLF001  (how many are kept is what the test is about)
    told.log(statement("PRES", "S7", 1, "report", (9, 9)))
    told.publish(without=("R/NORTH",))
    told.change(9, area="R/SOUTH")
    assert [await body(client, path) for path in asked] == before
    assert told.board.api._answers._kept == answers  # noqa: SLF001  (how many are kept is what the test is about)


async def test_so_many_streams_are_open_and_no_more(told: ToldBoard, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """The limit is of the whole board, not of each contest."""
    monkeypatch.setattr(readers_module, "READERS_MAX", 2)
    opened = []
    for contest in ("PRES", "SEAT"):
        stream = await client.get(f"/api/v1/stream?contest={contest}")
        assert stream.status == 200, contest
        await stream.content.readuntil(b"event: beat")
        opened.append(stream)
    refused = await client.get("/api/v1/stream?contest=PRES")
    assert (refused.status, refused.headers["Retry-After"]) == (503, "10")
    assert told.board.stream.reader_count == 2
    opened[0].close()
    async with asyncio.timeout(20):
        while told.board.stream.reader_count == 2:  # noqa: ASYNC110  (a stream tells nobody that its reader went)
            await asyncio.sleep(0.01)
    assert (await client.get("/api/v1/stream?contest=PRES")).status == 200, "a place is free again"
