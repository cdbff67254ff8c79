"""Snapshots of a board that is told record by record: what stands in a folder, and the order of writing."""

from __future__ import annotations

import asyncio
import csv
import json
from pathlib import Path
from typing import Any

import pytest

from tally_stream.board import publish
from tally_stream.board.publish import Publisher
from tests.board.told import ToldBoard, statement

VOTES = (3, 2)


@pytest.fixture
def told(tmp_path: Path) -> ToldBoard:
    return ToldBoard(tmp_path)


def publisher_of(told: ToldBoard) -> Publisher:
    assert told.board.publisher is not None
    return told.board.publisher


def pointers(told: ToldBoard) -> dict[str, Any]:
    latest = told.out / "latest.json"
    found: dict[str, Any] = json.loads(latest.read_text())["contests"] if latest.exists() else {}
    return found


def pointer(told: ToldBoard, contest: str = "PRES") -> dict[str, Any]:
    entry: dict[str, Any] = pointers(told)[contest]
    return entry


def rows(told: ToldBoard, name: str, contest: str = "PRES") -> list[dict[str, str]]:
    return list(csv.DictReader((told.out / pointer(told, contest)["path"] / name).open(encoding="utf-8")))


@pytest.mark.parametrize(("read", "published"), [(1, 2), (2, 1)])
async def test_stations_of_another_version_never_stand_beside_the_areas(
    told: ToldBoard, read: int, published: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether the report log is read too little or too far: it waits, and goes without them where that lasts too long."""
    records = [statement("PRES", f"S{n}", 1, "report", VOTES) for n in (1, 2)]
    for count in range(1, 3):
        told.log(records[count - 1])
        if count == published:
            told.publish()
    told.board.stations.up_to = lambda: {"0": read}
    told.board.stations.advance()
    assert told.board.stations.is_caught_up
    assert [told.board.stations.is_at(0, {"0": n}) for n in (read, published)] == [True, False]
    assert told.board.feed.shown["PRES"].version == published
    await publisher_of(told).publish_due()
    assert "PRES" not in pointers(told), "SEAT may be there: nothing was reported in it"
    monkeypatch.setattr(publish, "STATIONS_WAIT_SECONDS", 0)
    assert await publisher_of(told).publish_due()
    assert not pointer(told)["has_stations"]
    assert not (told.out / pointer(told)["path"] / "stations.csv").exists()


async def test_a_folder_that_is_there_already_stays_as_it_is(told: ToldBoard, tmp_path: Path) -> None:
    """Another board wrote it, or this one before it started again."""
    told.take(statement("PRES", "S1", 1, "report", VOTES))
    assert await publisher_of(told).publish_due()
    folder = told.out / pointer(told)["path"]
    before = {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.iterdir()}
    (told.out / "latest.json").unlink()
    (tmp_path / "again").mkdir()
    again = ToldBoard(tmp_path / "again")
    publisher_of(again)._directory = told.out  # noqa: SLF001  (two boards that publish into one folder)
    again.take(statement("PRES", "S1", 1, "report", VOTES))
    assert await publisher_of(again).publish_due()
    assert again.said == []
    assert {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.iterdir()} == before
    assert told.out / pointer(told)["path"] == folder
    assert not list(told.out.rglob(".*")), "no draft is left"


async def test_every_row_says_that_the_contest_is_on_hold(told: ToldBoard) -> None:
    told.take(statement("PRES", "S1", 1, "report", VOTES), statement("PRES", "PRES", 1, "hold"))
    assert await publisher_of(told).publish_due()
    for contest, is_on_hold in (("PRES", True), ("SEAT", False)):
        assert pointer(told, contest)["on_hold"] is is_on_hold
        manifest = json.loads((told.out / pointer(told, contest)["path"] / "manifest.json").read_text())
        assert manifest["on_hold"] is is_on_hold
        for name in ("areas.csv", "stations.csv"):
            assert {row["on_hold"] for row in rows(told, name, contest)} == {"yes" if is_on_hold else "no"}, (contest, name)


async def test_the_pointer_is_written_last(told: ToldBoard, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever reads the pointer finds the folder, at every moment: also where the folder could not be given its name."""
    told.take(statement("PRES", "S1", 1, "report", VOTES))
    real = Path.rename

    def refused(path: Path, target: Path) -> Path:
        assert not (told.out / "latest.json").exists(), "the pointer stands there before its folder"
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "rename", refused)
    assert await publisher_of(told).publish_due()
    assert told.said == ["no snapshot written: [Errno 28] No space left on device"]
    assert not (told.out / "latest.json").exists()
    monkeypatch.setattr(Path, "rename", real)
    assert await publisher_of(told).publish_due()
    assert rows(told, "stations.csv")[0]["valid"] == str(sum(VOTES))


async def test_a_contest_is_written_when_its_figures_changed_and_with_its_stations(told: ToldBoard) -> None:
    """Of 1,200 contests most stand still: each is sent again and again with a newer version, and need not be written."""
    told.take(statement("PRES", "S1", 1, "report", VOTES), statement("SEAT", "S1", 1, "report", VOTES))
    assert await publisher_of(told).publish_due()
    before = pointers(told)
    told.take(statement("PRES", "S2", 1, "report", VOTES))
    assert told.board.feed.shown["SEAT"].version == told.board.feed.shown["PRES"].version == 3
    assert await publisher_of(told).publish_due()
    assert pointer(told)["version"] == 3
    assert pointers(told)["SEAT"] == before["SEAT"]
    assert not await publisher_of(told).publish_due(), "nothing changed since"


async def test_a_contest_that_stands_still_keeps_the_stations_of_none_back(told: ToldBoard) -> None:
    """The root of a contest without news comes later than those that changed: their stations are at hand all the same."""
    told.take(statement("PRES", "S1", 1, "report", VOTES), statement("SEAT", "S2", 1, "report", VOTES))
    told.log(statement("PRES", "S3", 1, "report", VOTES))
    told.publish("PRES")
    assert told.board.feed.next_offsets() == {"0": 3}
    assert await publisher_of(told).publish_due()
    assert (pointer(told)["version"], pointer(told)["has_stations"]) == (3, True)
    assert (pointer(told, "SEAT")["version"], pointer(told, "SEAT")["has_stations"]) == (2, True)
    assert [row["station"] for row in rows(told, "stations.csv") if row["valid"]] == ["S1", "S3"]
    assert [row["station"] for row in rows(told, "stations.csv", "SEAT") if row["valid"]] == ["S2"]
    # A record of its own behind its root is not among its stations.
    told.log(statement("SEAT", "S4", 1, "report", VOTES), statement("PRES", "S4", 1, "report", VOTES))
    told.publish("PRES")
    assert await publisher_of(told).publish_due()
    assert not told.board.stations.is_at(1, {"0": 2})
    assert pointer(told)["version"] == 5
    assert pointer(told, "SEAT")["version"] == 2
    told.publish("SEAT")
    assert await publisher_of(told).publish_due()
    assert [row["station"] for row in rows(told, "stations.csv", "SEAT") if row["valid"]] == ["S2", "S4"]


async def test_many_contests_are_written_in_parts(told: ToldBoard, monkeypatch: pytest.MonkeyPatch) -> None:
    """The pointer never names a folder that is not there, and what one part could not write is tried again."""
    monkeypatch.setattr(publish, "CONTESTS_AT_ONCE", 1)
    told.take(statement("PRES", "S1", 1, "report", VOTES))
    parts: list[list[str]] = []
    real = Publisher._write  # noqa: SLF001  (watched in its place)

    def write(publisher: Publisher, made: dict[str, Any], latest: bytes) -> None:
        parts.append(sorted(made))
        if len(parts) == 2:
            raise OSError(28, "No space left on device")
        real(publisher, made, latest)
        assert all((told.out / entry["path"]).is_dir() for entry in pointers(told).values())

    monkeypatch.setattr(Publisher, "_write", write)
    assert await publisher_of(told).publish_due()
    assert await publisher_of(told).publish_due()
    whole = ["PRES/000000000001", "SEAT/000000000001"]
    assert parts == [whole[:1], whole[1:], whole[1:]]
    assert sorted(entry["path"] for entry in pointers(told).values()) == whole


async def test_a_snapshot_is_of_one_moment_though_others_have_their_turn(
    told: ToldBoard, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While its tables are made row by row, standings and statements come."""
    monkeypatch.setattr(publish, "ROWS_A_BREATH", 1)
    told.take(statement("PRES", "S1", 1, "report", VOTES))
    running = asyncio.create_task(publisher_of(told).publish_due())
    await asyncio.sleep(0)
    for n in range(2, 9):
        told.take(statement("PRES", f"S{n}", 1, "report", VOTES))
        await asyncio.sleep(0)
    assert await running
    folder = told.out / pointers(told)["PRES"]["path"]
    assert json.loads((folder / "standings.json").read_text())["version"] == pointer(told)["version"] == 1
    assert json.loads((folder / "manifest.json").read_text())["version"] == 1
    assert {row["version"] for row in [*rows(told, "areas.csv"), *rows(told, "stations.csv")]} == {"1"}
    assert [row["station"] for row in rows(told, "stations.csv") if row["valid"]] == ["S1"]
    assert await publisher_of(told).publish_due(), "and what came meanwhile is written then"
    assert [row["station"] for row in rows(told, "stations.csv") if row["valid"]] == [f"S{n}" for n in range(1, 9)]
