"""Snapshots as files: whole or not there, each named by its digest, and never changed again."""

from __future__ import annotations

import csv
import hashlib
import json
from collections import deque
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tally_stream.audit.replay import Replay
from tally_stream.board import publish
from tally_stream.board.publish import _table  # noqa: PLC2701  (cells that no election file can have by now)
from tally_stream.board.server import Board
from tally_stream.domain.fold import PartitionFold
from tally_stream.domain.scalars import murmur2_partition
from tally_stream.kafka.client import StoredRecord
from tally_stream.settings import load_settings
from tally_stream.wire.folder.assembling import load_election
from tally_stream.wire.messages import canonical_json
from tally_stream.wire.report_log import LogRecord, ReportLog
from tests.board.told import ToldBoard, statement
from tests.support.board_scene import Scene, rehearsal_folder
from tests.support.paths import NIGHTS
from tests.support.waiting import wait_for


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
        assert manifest["next_offsets"] == root["provenance"]["next_offsets"]
        assert (manifest["phase"], manifest["on_hold"]) == ("test", False)
        assert "TEST" in manifest["note"]
        assert "TEST" in pointer["note"]
        for name, said in manifest["files"].items():
            content = (folder / name).read_bytes()
            assert (len(content), hashlib.sha256(content).hexdigest()) == (said["bytes"], said["sha256"])
        stations = {row["station"]: row for row in csv.DictReader((folder / "stations.csv").open(encoding="utf-8"))}
        areas = {row["area"]: row for row in csv.DictReader((folder / "areas.csv").open(encoding="utf-8"))}
        assert len(stations) == 8
        assert stations["S1"]["state"] == "annulled"
        assert stations["S1"]["valid"] == "", "unknown is not 0"
        assert {(row["phase"], row["on_hold"], int(row["version"])) for row in [*stations.values(), areas["R"]]} == {
            ("test", "no", root["version"])}  # fmt: skip
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
    board.feed._behind.clear()  # noqa: SLF001  (as if the topics had been read to their end)
    for contest in range(2):
        content = {**Replay(board.election, "tally.reports", None).messages(contest)[-1], "version": 1}
        board.feed._take_standings(StoredRecord(0, 0, 5, None, canonical_json(content)))  # noqa: SLF001  (what `run` does with each record of the topic)
    return board, said, tmp_path / "out"


async def test_a_snapshot_waits_for_the_stations_and_then_goes_without_them(
    published: tuple[Board, list[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    board, said, out = published
    assert board.publisher is not None
    assert not await board.publisher.publish_due()
    assert list(out.iterdir()) == []
    monkeypatch.setattr(publish, "STATIONS_WAIT_SECONDS", 0)
    assert await board.publisher.publish_due()
    assert not await board.publisher.publish_due(), "once"
    contest = json.loads((out / "latest.json").read_text())["contests"]["PRES"]
    assert (contest["path"], contest["has_stations"]) == ("PRES/000000000001-without-stations", False)
    assert {p.name for p in (out / contest["path"]).iterdir()} == {"standings.json", "areas.csv", "manifest.json"}
    assert said == ["snapshots without stations.csv: the report log is not read to there"]
    take_empty_log(board)
    assert await board.publisher.publish_due(), "the same version, whole"
    contest = json.loads((out / "latest.json").read_text())["contests"]["PRES"]
    assert (contest["path"], contest["has_stations"]) == ("PRES/000000000001", True)


async def test_a_fold_that_failed_stops_no_snapshot(published: tuple[Board, list[str], Path]) -> None:
    board, said, out = published
    assert board.publisher is not None
    board.stations.failure = "stopped at partition 0, offset 7: KeyError"
    assert await board.publisher.publish_due()
    assert json.loads((out / "latest.json").read_text())["contests"]["PRES"]["has_stations"] is False
    assert said == ["snapshots without stations.csv: stopped at partition 0, offset 7: KeyError"]


class Night:
    """Two partitions of a recorded night, read to its end by a board whose root is somewhere in the middle of it."""

    def __init__(self, out: Path) -> None:
        self.election = load_election(NIGHTS / "az-2024")
        self.board = Board(load_settings(), self.election, print, out)
        self.board.feed._behind.clear()  # noqa: SLF001  (as if the topics had been read to their end)
        records = list(ReportLog(NIGHTS / "az-2024" / "reports.jsonl.gz"))
        self.records = [[], []]  # type: list[list[StoredRecord]]
        for r in records:
            partition = murmur2_partition(r.key or b"", 2)
            self.records[partition].append(
                StoredRecord(partition, len(self.records[partition]), r.timestamp_ms, r.key, r.value)
            )
        stations = self.board.stations
        stations._folds = [PartitionFold(self.election, p, 2) for p in range(2)]  # noqa: SLF001  (as its reading of the topics leaves it)
        stations._ends = {p: len(self.records[p]) for p in range(2)}  # noqa: SLF001  (as its reading of the topics leaves it)
        stations._waiting = {p: deque(self.records[p]) for p in range(2)}  # noqa: SLF001  (as its reading of the topics leaves it)
        self.replay = Replay(self.election, "tally.reports", 2)

    def publish_root_at(self, *next_offsets: int) -> None:
        for partition, end in enumerate(next_offsets):
            for r in self.records[partition][self.replay.folds[partition].next_offset : end]:
                self.replay.take(LogRecord(r.timestamp_ms, r.key, r.value, r.partition, r.offset))
        for message in self.replay.messages(0):
            self.board.feed._take_standings(StoredRecord(0, 0, 5, None, canonical_json(message)))  # noqa: SLF001  (what `run` does with each record of the topic)


async def test_in_the_middle_of_a_night_stations_are_of_the_very_version(tmp_path: Path) -> None:
    """Whichever way two boards came to a version, they write the same bytes for it; and the stations add up to it."""
    early, late = Night(tmp_path / "early"), Night(tmp_path / "late")
    ends = [len(records) for records in early.records]
    early.publish_root_at(ends[0] // 3, ends[1] // 4)
    early.board.stations.advance(10)
    for night in (early, late):
        night.publish_root_at(9 * ends[0] // 10, 4 * ends[1] // 5)
        assert night.board.publisher is not None
        assert await night.board.publisher.publish_due()
    contest = early.election.contests[0].id
    path = Path(json.loads((tmp_path / "early" / "latest.json").read_text())["contests"][contest]["path"])
    root = json.loads((tmp_path / "early" / path / "standings.json").read_text())
    rows = list(csv.DictReader((tmp_path / "early" / path / "stations.csv").open(encoding="utf-8")))
    assert root["provenance"]["next_offsets"] == {"0": 9 * ends[0] // 10, "1": 4 * ends[1] // 5}
    for line in root["candidates"]:
        assert line["votes"] > 0
        assert sum(int(row[f"votes_{line['id']}"] or 0) for row in rows) == line["votes"]
    assert sum(row["state"] == "counted" for row in rows) == root["stations"]["counted"] < len(rows)
    for file in (tmp_path / "early" / path).iterdir():
        assert file.read_bytes() == (tmp_path / "late" / path / file.name).read_bytes(), file.name


async def test_a_contest_on_hold_does_not_stop_the_stations_of_another(tmp_path: Path) -> None:
    told = ToldBoard(tmp_path)
    board, out = told.board, told.out
    assert board.publisher is not None

    def take(*records: LogRecord) -> None:
        """Published, while the publisher alone has the stations read on."""
        told.log(*records)
        told.publish()

    def written(contest: str) -> tuple[dict[str, Any], dict[str, str]]:
        entry = json.loads((out / "latest.json").read_text())["contests"][contest]
        rows = csv.DictReader((out / entry["path"] / "stations.csv").open(encoding="utf-8"))
        return entry, {row["station"]: row["valid"] for row in rows if row["valid"]}

    take(statement("PRES", "S1", 1, "report", (3, 2)), statement("PRES", "PRES", 1, "hold"))
    take(statement("PRES", "S1", 2, "correct", (4, 2)), statement("SEAT", "S2", 1, "report", (7, 0)))
    assert board.feed.next_offsets() == {"0": 4}
    assert await board.publisher.publish_due()
    assert (written("SEAT")[0]["version"], written("SEAT")[1]) == (4, {"S2": "7"})
    assert (written("PRES")[0]["version"], written("PRES")[0]["on_hold"]) == (2, True)
    assert written("PRES")[1] == {"S1": "5"}, "as it was when the hold came"
    take(statement("SEAT", "SEAT", 1, "hold"), statement("PRES", "S3", 1, "report", (1, 0)))
    assert board.feed.next_offsets() == {"0": 5}, "all are on hold: as far as the newest hold"
    take(statement("PRES", "PRES", 2, "release"))
    assert await board.publisher.publish_due()
    assert written("PRES")[1] == {"S1": "6", "S3": "1"}
    assert written("SEAT")[1] == {"S2": "7"}
    assert told.said == []


async def test_registered_voters_of_the_stations_add_up_to_those_of_their_area(tmp_path: Path) -> None:
    """Those of the register on the day where a report names one, but for units whose voters stand in others' registers."""
    folder = rehearsal_folder(tmp_path / "election")
    with (folder / "stations.csv").open("a", encoding="utf-8") as rows:
        rows.write("POST,Postal votes,0,300,NORTH\nPRISON,Prison,0,50,SOUTH\nEARLY,Early votes,0,90,SOUTH\n")
    told = ToldBoard(tmp_path, folder=folder)
    assert told.board.publisher is not None

    def said(record: LogRecord, **more: Any) -> LogRecord:
        return replace(record, value=json.dumps({**json.loads(record.value or b""), **more}).encode())

    def counted(station: str, registered: int, **more: Any) -> LogRecord:
        return said(statement("PRES", station, 1, "report", (30, 10)), registered=registered, **more)

    told.take(
        counted("S1", 1100), counted("S2", 900, complete=False), counted("POST", 300), counted("PRISON", 40, complete=False),
        counted("S5", 1200), statement("PRES", "S6", 1, "report", (5, 5)), counted("EARLY", 70), counted("S7", 1010),
        said(statement("PRES", "S7", 2, "annul"), station="S7", replaces=1),
    )  # fmt: skip
    assert await told.board.publisher.publish_due()
    folder = told.out / json.loads((told.out / "latest.json").read_text())["contests"]["PRES"]["path"]
    stations, areas = (list(csv.DictReader((folder / name).open(encoding="utf-8"))) for name in ("stations.csv", "areas.csv"))
    assert {row["state"] for row in stations} == {"counted", "partial", "annulled", "outstanding"}
    for area in areas:
        here = [row for row in stations if area["area"] in {"R", row["area"]}]
        done = [row for row in here if row["state"] in {"counted", "annulled"}]
        assert sum(int(row["registered"]) for row in here) == int(area["registered_of"]), area["area"]
        assert sum(int(row["registered"]) for row in done) == int(area["registered_done"]), area["area"]


async def test_no_cell_is_a_formula() -> None:
    assert await _table([["=1+1", "-x", 5, None, "Anna"]]) == b"'=1+1,'-x,5,,Anna\n"


def take_empty_log(board: Board) -> None:
    """As if one partition had been read to offset 1, and nothing in it counted."""
    board.stations._folds = [PartitionFold(board.election, 0, 1)]  # noqa: SLF001  (as its reading of the topics leaves it)
    board.stations._ends = {0: 1}  # noqa: SLF001  (as its reading of the topics leaves it)
    for contest in board.feed.shown.values():
        contest.root_message = {**contest.root_message, "provenance": {"next_offsets": {"0": 1}}}
    board.stations.take(StoredRecord(0, 0, 5, b"S1", b"nonsense"))


async def test_a_disk_that_takes_nothing_is_said_once_and_tried_again(
    published: tuple[Board, list[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    board, said, out = published
    assert board.publisher is not None
    take_empty_log(board)
    real = publish._write_through  # noqa: SLF001  (slowed down in its place)

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
