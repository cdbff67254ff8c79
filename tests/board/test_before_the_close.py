"""Before the polls of an official election close, no endpoint and no file of the board tells a figure of a trial report.

Two contests, of which one closes first: the other is on hold since before the close, so its standings stay there.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer

from tests.board.told import CLOSE_MS, ToldBoard, statement

Ask = Callable[[str], Awaitable[Any]]
Text = Callable[[str], Awaitable[str]]
BEFORE_MS = CLOSE_MS - 3_600_000


@pytest.fixture
def told(tmp_path: Path) -> ToldBoard:
    return ToldBoard(tmp_path, phase="official")


@pytest.fixture
async def text(told: ToldBoard) -> AsyncIterator[Text]:
    async with TestClient(TestServer(told.board.application())) as client:

        async def text(path: str) -> str:
            answer = await client.get(f"/{path}")
            assert answer.status == 200, await answer.text()
            return await answer.text()

        yield text


@pytest.fixture
def ask(text: Text) -> Ask:
    async def ask(path: str) -> Any:
        return json.loads(await text(f"api/v1/{path}"))

    return ask


def trials(told: ToldBoard) -> None:
    """A trial report in each contest."""
    told.take(
        statement("PRES", "S1", 1, "report", (3, 2), phase="official", at_ms=BEFORE_MS),
        statement("SEAT", "S1", 1, "report", (7, 0), phase="official", at_ms=BEFORE_MS),
    )


def close_one(told: ToldBoard) -> None:
    """PRES has a report from behind the close; SEAT is on hold, and stands where it stood before."""
    told.take(
        statement("SEAT", "SEAT", 1, "hold", phase="official", at_ms=BEFORE_MS),
        statement("PRES", "S2", 1, "report", (5, 4), phase="official"),
    )
    assert told.board.feed.shown["SEAT"].is_before_the_close
    assert not told.board.feed.shown["PRES"].is_before_the_close


def close_both(told: ToldBoard) -> None:
    told.take(statement("SEAT", "SEAT", 2, "release", phase="official"))
    assert not told.board.feed.shown["SEAT"].is_before_the_close


def counts_of(station: dict[str, Any]) -> list[bool]:
    """Whether the counts of each contest are told."""
    return [any(c[name] for name in ("in_force", "held", "remembered")) for c in station["contests"]]


async def test_a_station_tells_that_it_reported_and_no_count(told: ToldBoard, ask: Ask) -> None:
    trials(told)
    assert counts_of(await ask("stations/S1")) == [False, False]
    assert [c["state"] for c in (await ask("stations/S1"))["contests"]] == ["counted", "counted"]
    close_one(told)
    assert counts_of(await ask("stations/S1")) == [True, False]
    close_both(told)
    assert counts_of(await ask("stations/S1")) == [True, True]


async def test_a_list_of_stations_tells_no_count(told: ToldBoard, ask: Ask) -> None:
    async def are_told(contest: str) -> bool:
        rows = (await ask(f"stations?contest={contest}"))["stations"]
        assert rows[0]["state"] == "counted"
        return rows[0]["in_force"] is not None

    trials(told)
    assert [await are_told(c) for c in ("PRES", "SEAT")] == [False, False]
    close_one(told)
    assert [await are_told(c) for c in ("PRES", "SEAT")] == [True, False]
    close_both(told)
    assert [await are_told(c) for c in ("PRES", "SEAT")] == [True, True]


async def test_changes_are_told_once_their_contest_is_closed_and_all_once_all_are(told: ToldBoard, ask: Ask) -> None:
    """What was answered before the close is not answered again behind it, though no change came since."""

    async def told_of(query: str) -> int:
        found = await ask(f"changes{query}")
        assert found["count"] == len(found["changes"])
        count: int = found["count"]
        return count

    queries = ("?contest=PRES", "?contest=SEAT", "", "?station=S1")
    trials(told)
    assert told.change(0)
    assert told.change(1, contest="SEAT")
    assert [await told_of(q) for q in queries] == [0, 0, 0, 0]
    close_one(told)
    assert [await told_of(q) for q in queries] == [1, 0, 0, 0]
    close_both(told)
    assert [await told_of(q) for q in queries] == [1, 1, 2, 2]


async def test_lists_of_areas_tell_no_figure(told: ToldBoard, ask: Ask) -> None:
    async def are_told(contest: str) -> set[bool]:
        rows = (await ask(f"areas/{contest}"))["areas"] + (await ask(f"areas/{contest}?q=nor&sort=lead"))["areas"]
        assert len(rows) == 3
        return {row[name] is not None for row in rows for name in ("leader", "lead", "valid") if row["area"] == "R/NORTH"}

    trials(told)
    assert [await are_told(c) for c in ("PRES", "SEAT")] == [{False}, {False}]
    close_one(told)
    assert [await are_told(c) for c in ("PRES", "SEAT")] == [{True}, {False}]
    close_both(told)
    assert [await are_told(c) for c in ("PRES", "SEAT")] == [{True}, {True}]


async def test_no_page_tells_a_figure_or_a_change(told: ToldBoard, text: Text) -> None:
    """Of the whole or of an area, with scripts or without; nor is what was written before the close given again."""

    async def are_told(contest: str) -> set[bool]:
        told_now = set()
        station = {}
        for path in (f"contest/{contest}", f"contest/{contest}/area/R/NORTH", f"contest/{contest}?q=s1"):
            page = await text(path)
            station[path] = re.search(r'<tr data-key="S1">.*?</tr>', page)
            told_now.add("4,711" in page)
            told_now.add("a secret reason" in page)
            told_now.add(" leads by " in page)
            told_now.add(re.search(r'<td class="n share">\d', page) is not None)
        rows = [row[0] for row in station.values() if row is not None]
        assert len(rows) == 2, "the area's, and the one found"
        told_now |= {">Counted</td>" in row and ">400<" in row and ">300<" in row for row in rows}
        return told_now

    for number, contest in enumerate(("PRES", "SEAT")):
        told.take(statement(contest, "S1", 1, "report", (400, 300), phase="official", at_ms=BEFORE_MS))
        assert told.change(
            number, contest=contest, kind="annul", from_revision=1, to_revision=2, votes_delta={}, reason="a secret reason",
            ballots_delta={"valid": -4711}, authority=None,
        )  # fmt: skip
    assert [await are_told(c) for c in ("PRES", "SEAT")] == [{False}, {False}]
    close_one(told)
    assert [await are_told(c) for c in ("PRES", "SEAT")] == [{True}, {False}]
    close_both(told)
    assert [await are_told(c) for c in ("PRES", "SEAT")] == [{True}, {True}]


async def test_a_rejection_tells_its_figures_once_all_are_closed(told: ToldBoard, ask: Ask) -> None:
    trials(told)
    told.board.feed.refusals.take(json.dumps({
        "definition": told.board.election.digest, "verdict": "rejected", "codes": ["A1"], "key_base64": None, "value_bytes": 3,
        "details": [{"code": "A1", "message": "m", "left": 4711, "right": 99}], "value_sha256": "x",
        "source": {"topic": "t", "partition": 0, "offset": 4, "timestamp": 1},
    }).encode())  # fmt: skip

    async def is_told() -> bool:
        return (await ask("rejections"))["newest"][0]["details"][0]["left"] == 4711

    assert not await is_told()
    close_one(told)
    assert not await is_told()
    close_both(told)
    assert await is_told()


async def test_a_snapshot_has_no_count(told: ToldBoard) -> None:
    async def is_told(contest: str) -> bool:
        pointer = json.loads((told.out / "latest.json").read_text())["contests"][contest]
        rows = list(csv.DictReader((told.out / pointer["path"] / "stations.csv").open(encoding="utf-8")))
        assert rows[0]["state"] == "counted"
        columns = [name for name in rows[0] if name.startswith("votes_") or name in ("cast", "valid", "blank", "invalid")]
        assert len(columns) == 6
        is_told = {rows[0][name] != "" for name in columns}
        assert len(is_told) == 1, "all or none"
        return is_told.pop()

    publisher = told.board.publisher
    assert publisher is not None
    trials(told)
    assert await publisher.publish_due()
    assert [await is_told(c) for c in ("PRES", "SEAT")] == [False, False]
    close_one(told)
    assert await publisher.publish_due()
    assert [await is_told(c) for c in ("PRES", "SEAT")] == [True, False]
    close_both(told)
    assert await publisher.publish_due()
    assert [await is_told(c) for c in ("PRES", "SEAT")] == [True, True]
    assert told.said == []


async def test_a_test_election_hides_nothing(tmp_path: Path) -> None:
    """Also while nothing is counted, when its status says `pre-election` too."""
    rehearsal = ToldBoard(tmp_path)
    rehearsal.publish()
    shown = rehearsal.board.feed.shown["PRES"]
    assert shown.root_message["status"] == "pre-election"
    assert not shown.is_before_the_close
    rehearsal.change(0)
    async with TestClient(TestServer(rehearsal.board.application())) as client:
        assert (await (await client.get("/api/v1/changes")).json())["count"] == 1
    rehearsal.take(statement("PRES", "S1", 1, "report", (3, 2), at_ms=BEFORE_MS))
    async with TestClient(TestServer(rehearsal.board.application())) as client:
        assert counts_of(await (await client.get("/api/v1/stations/S1")).json())[0]
