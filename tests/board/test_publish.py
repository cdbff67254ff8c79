"""Snapshots as files: whole or not there, each named by its digest, and never changed again."""

from __future__ import annotations

import csv
import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from tally_stream.board.server import Board
from tally_stream.kafka.client import StoredRecord
from tally_stream.settings import load_settings
from tally_stream.wire.election_folder import load_election
from tally_stream.wire.messages import canonical_json
from tests.board.scene import Scene, rehearsal_folder, root_message
from tests.nights.harness import wait_for


def test_a_snapshot_is_what_the_board_serves(rehearsal: Scene, tmp_path: Path) -> None:
    rehearsal.report("S1", (310, 190))
    rehearsal.decide("S1", "annul")
    rehearsal.report("S6", (44, 6))
    root = rehearsal.wait_shown()
    board = rehearsal.start_board("--publish", str(tmp_path / "out"))
    try:
        latest = tmp_path / "out" / "latest.json"
        pointer = wait_for(lambda: latest.exists() and json.loads(latest.read_text()), "the pointer")
        assert pointer["phase"] == "test"
        folder = tmp_path / "out" / pointer["contests"]["PRES"]["path"]
        assert (folder / "standings.json").read_bytes() == board.get("/api/v1/standings/PRES")[1]
        manifest = json.loads((folder / "manifest.json").read_text())
        assert manifest["version"] == root["version"]
        assert manifest["next_offsets"] == manifest["stations_next_offsets"] == root["provenance"]["next_offsets"]
        for name, said in manifest["files"].items():
            content = (folder / name).read_bytes()
            assert (len(content), hashlib.sha256(content).hexdigest()) == (said["bytes"], said["sha256"])
        stations = {row["station"]: row for row in csv.DictReader((folder / "stations.csv").open(encoding="utf-8"))}
        areas = {row["area"]: row for row in csv.DictReader((folder / "areas.csv").open(encoding="utf-8"))}
        assert len(stations) == 8
        assert stations["S1"]["state"] == "annulled"
        assert stations["S1"]["valid"] == "", "unknown is not 0"
        assert sum(int(row["votes_ANNA"] or 0) for row in stations.values()) == root["candidates"][
            [c["id"] for c in root["candidates"]].index("ANNA")]["votes"]  # fmt: skip
        assert set(areas) == {"R", "R/NORTH", "R/SOUTH"}
        assert int(areas["R"]["valid"]) == root["ballots"]["valid"]
        # A newer version is another folder; the older stays as it was.
        before = {p.name: p.read_bytes() for p in folder.iterdir()}
        rehearsal.report("S6", (45, 6))
        due = rehearsal.wait_shown()
        wait_for(lambda: json.loads(latest.read_text())["contests"]["PRES"]["version"] == due["version"], "the newer one", 30)
        assert {p.name: p.read_bytes() for p in folder.iterdir()} == before
        assert not list((tmp_path / "out").rglob(".*")), "no draft is left"
    finally:
        board.stop()


@pytest.fixture
def published(tmp_path: Path) -> tuple[Board, list[str], Path]:
    said: list[str] = []
    board = Board(load_settings(), load_election(rehearsal_folder(tmp_path / "e")), said.append, tmp_path / "out")
    (tmp_path / "out").mkdir()
    board.feed._behind.clear()
    content = root_message(board.election, version=1)
    board.feed._take_standings(StoredRecord(0, 0, 5, b"PRES|R", canonical_json(content)))
    return board, said, tmp_path / "out"


async def test_nothing_is_written_before_the_stations_are_read(published: tuple[Board, list[str], Path]) -> None:
    board, _, out = published
    assert board.publisher is not None
    await board.publisher.publish_due()
    assert list(out.iterdir()) == []


async def test_a_disk_that_takes_nothing_is_said_once_and_tried_again(
    published: tuple[Board, list[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    from tally_stream.board import publish, stations

    board, said, out = published
    assert board.publisher is not None
    monkeypatch.setattr(stations.Stations, "is_caught_up", property(lambda _: True))
    monkeypatch.setattr(stations.Stations, "of_area", lambda *_, **__: ([], False))
    real = publish._write_through

    def full(path: Path, content: bytes) -> Any:
        if path.name == "areas.csv":
            raise OSError(28, "No space left on device")
        real(path, content)

    monkeypatch.setattr(publish, "_write_through", full)
    await board.publisher.publish_due()
    await board.publisher.publish_due()
    assert said == ["no snapshot written: [Errno 28] No space left on device"]
    assert not (out / "latest.json").exists()
    assert not (out / "PRES" / "000000000001").exists(), "whole or not there"
    monkeypatch.setattr(publish, "_write_through", real)
    await board.publisher.publish_due()
    assert json.loads((out / "latest.json").read_text())["contests"]["PRES"]["version"] == 1
