"""Snapshots of a board that is told record by record: what stands in a folder, and the order of writing."""

from __future__ import annotations

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


def pointer(told: ToldBoard, contest: str = "PRES") -> dict[str, Any]:
    entry: dict[str, Any] = json.loads((told.out / "latest.json").read_text())["contests"][contest]
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
    assert told.board.stations.vector(0) == {"0": read}
    assert told.board.feed.shown["PRES"].version == published
    assert not await publisher_of(told).publish_due()
    assert not (told.out / "latest.json").exists()
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
