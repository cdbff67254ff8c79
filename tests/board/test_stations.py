"""What is told of one station: in force, held, remembered; behind a hold; before the polls close; under a flood."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from tally_stream.board import stations
from tally_stream.board.stations import COPIES_SECONDS, SEARCHES_KEPT, STATEMENTS_MAX, Stations
from tally_stream.domain.fold import PartitionFold
from tally_stream.kafka.client import StoredRecord
from tally_stream.settings import load_settings
from tally_stream.wire.folder.assembling import load_election
from tests.support.board_scene import rehearsal_folder


class Log:
    """One partition of reports, straight into the fold."""

    def __init__(self, folder: Path) -> None:
        election = load_election(rehearsal_folder(folder))
        self.stations = Stations(load_settings(), election)
        self.stations._folds = [PartitionFold(election, 0, 1)]  # noqa: SLF001  (as its reading of the topics leaves it)
        self.stations._ends = {0: 0}  # noqa: SLF001  (as its reading of the topics leaves it)
        self.offset = 0

    def raw(self, key: str, value: bytes) -> None:
        self.stations.take(StoredRecord(0, self.offset, 1_767_297_600_000, key.encode(), value))
        self.offset += 1

    def say(self, key: str, revision: int, kind: str, votes: tuple[int, int] | None = None, **more: Any) -> None:
        content: dict[str, Any] = {
            "schema": 1, "election": "REH-2026", "contest": "PRES", "revision": revision, "kind": kind, "phase": "test", **more,
        }  # fmt: skip
        if key != "PRES":
            content["station"] = key
        if votes is not None:
            content |= {
                "counted_at": "2026-01-01T19:30:00Z", "ballots": {"cast": sum(votes), "valid": sum(votes), "blank": 0, "invalid": 0},
                "votes": dict(zip(("ANNA", "EVIL"), votes, strict=True)),
            }  # fmt: skip
        if kind != "report":
            content |= {"reason": "r", "authority": "a"}
        self.raw(key, json.dumps(content).encode())

    def shown(self, station: str, *, hides: bool = False) -> dict[str, Any]:
        found = self.stations.one(station, lambda _: hides)
        assert found is not None
        first: dict[str, Any] = found["contests"][0]
        return first


@pytest.fixture
def log(tmp_path: Path) -> Log:
    return Log(tmp_path / "e")


def test_in_force_held_and_remembered(log: Log) -> None:
    assert log.shown("S1")["state"] == "outstanding"
    log.say("S1", 1, "report", (3, 2))
    assert (log.shown("S1")["state"], log.shown("S1")["in_force"]["votes"]) == ("counted", {"ANNA": 3, "EVIL": 2})
    log.say("S1", 2, "correct", (900, 700), replaces=1)  # above the register of 1,000: held
    shown = log.shown("S1")
    assert (shown["state"], shown["in_force"]["revision"], shown["held"]["revision"]) == ("counted", 1, 2)
    log.say("S1", 3, "annul", replaces=2)
    shown = log.shown("S1")
    assert (shown["state"], shown["in_force"], shown["remembered"]["revision"]) == ("annulled", None, 1)
    said = log.stations.one("S1", lambda _: False)
    assert said is not None
    assert [(s["revision"], s["kind"], s["verdict"]) for s in said["statements"]] == [
        (1, "report", "counted"), (2, "correct", "held"), (3, "annul", "counted"),
    ]  # fmt: skip
    assert "A3" in said["statements"][1]["codes"]


def test_before_the_polls_close_no_count_is_told(log: Log) -> None:
    log.say("S1", 1, "report", (3, 2))
    shown = log.shown("S1", hides=True)
    assert (shown["state"], shown["in_force"], shown["held"], shown["remembered"]) == ("counted", None, None, None)
    rows, _ = log.stations.of_area(0, "R", "", 10, hides_counts=True)
    assert all(row["in_force"] is None for row in rows)


def test_behind_a_hold_stands_what_was_in_force_when_it_came(log: Log) -> None:
    log.say("S1", 1, "report", (3, 2))
    log.say("PRES", 1, "hold")
    log.say("S1", 2, "report", (30, 20))
    log.say("S2", 1, "report", (7, 7))
    assert log.shown("S1")["in_force"]["votes"] == {"ANNA": 3, "EVIL": 2}
    assert log.shown("S2")["state"] == "outstanding"
    rows, _ = log.stations.of_area(0, "R/NORTH", "", 10, hides_counts=False)
    assert [row["state"] for row in rows] == ["counted", "outstanding", "outstanding", "outstanding"]
    log.say("PRES", 2, "release")
    assert log.shown("S1")["in_force"]["votes"] == {"ANNA": 30, "EVIL": 20}
    assert log.shown("S2")["state"] == "counted"


def test_a_hold_in_some_partitions_is_told_once_its_copies_had_time(tmp_path: Path) -> None:
    election = load_election(rehearsal_folder(tmp_path / "e"))
    now = 100.0
    stations = Stations(load_settings(), election, lambda: now)
    stations._folds = [PartitionFold(election, p, 3) for p in range(3)]  # noqa: SLF001  (as its reading of the topics leaves it)
    next_offset = [0, 0, 0]

    def say(partition: int, revision: int, kind: str) -> None:
        content = {"schema": 1, "election": "REH-2026", "contest": "PRES", "revision": revision, "kind": kind, "phase": "test",
                   "reason": "r", "authority": "a"}  # fmt: skip
        stations.take(StoredRecord(partition, next_offset[partition], 1_767_297_600_000, b"PRES", json.dumps(content).encode()))
        next_offset[partition] += 1

    say(1, 1, "hold")
    assert stations.partial_hold(0) is None, "the others may be on their way"
    now += COPIES_SECONDS
    assert stations.partial_hold(0) == (1, 3)
    assert stations.partial_hold(1) is None
    say(0, 1, "hold")
    assert stations.partial_hold(0) == (2, 3), "since the first"
    say(2, 1, "hold")
    assert stations.partial_hold(0) is None
    say(0, 2, "release")
    now += COPIES_SECONDS
    assert stations.partial_hold(0) == (2, 3), "a release that is incomplete"
    say(1, 2, "release")
    say(2, 2, "release")
    assert stations.partial_hold(0) is None


def test_before_anything_is_published_no_station_is_outstanding(log: Log) -> None:
    assert log.stations.is_caught_up
    log.stations.up_to = dict
    assert not log.stations.is_caught_up
    log.stations.up_to = lambda: {"0": 0}
    assert log.stations.is_caught_up, "published of an empty log"


async def test_a_partition_far_ahead_does_not_starve_another(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    batches = [[StoredRecord(0, n, 5, b"S1", b"nonsense") for n in range(9)], [StoredRecord(1, 0, 5, b"S2", b"nonsense")]]

    class Reader:
        partitions = (0, 1)

        def __init__(self, *_: object, **__: object) -> None: ...

        async def __aenter__(self) -> Reader:
            return self

        async def __aexit__(self, *_: object) -> None: ...

        async def bounds(self) -> dict[int, tuple[int, int]]:
            return {0: (0, 0), 1: (0, 0)}

        async def poll(self) -> list[StoredRecord]:
            await asyncio.sleep(0)
            return batches.pop(0) if batches else []

    monkeypatch.setattr(stations, "TopicReader", Reader)
    monkeypatch.setattr(stations, "Follower", lambda reader: reader)
    monkeypatch.setattr(stations, "WAITING_MAX_RECORDS", 5)
    ledger = log.stations
    ledger.up_to = lambda: {"0": 2, "1": 1}
    running = asyncio.create_task(ledger.run())
    try:
        async with asyncio.timeout(5):
            while not ledger._folds or not ledger.is_at(0, {"0": 2, "1": 1}):  # noqa: ASYNC110, SLF001 (a fold that another task moves)
                await asyncio.sleep(0.01)
        assert not ledger._wants_more(), "nobody is short of what is published: the others wait"  # noqa: SLF001  (what each step of `run` asks first)
    finally:
        running.cancel()


def test_a_flood_at_one_station_is_cut_to_the_newest(log: Log) -> None:
    for _ in range(STATEMENTS_MAX + 5):
        log.raw("S1", b"nonsense")
    said = log.stations.one("S1", lambda _: False)
    assert said is not None
    assert [s["offset"] for s in said["statements"]] == list(range(5, STATEMENTS_MAX + 5))
    log.raw("NOBODY", b"nonsense")
    log.raw("S\u00e9", b"nonsense")


def test_pages_of_stations(log: Log) -> None:
    first, more = log.stations.of_area(0, "R", "", 3, hides_counts=False)
    second, end = log.stations.of_area(0, "R", first[-1]["station"], 5, hides_counts=False)
    assert [row["station"] for row in first + second] == [f"S{n}" for n in range(1, 9)]
    assert (more, end) == (True, False)
    assert log.stations.of_area(0, "R/SOUTH", "S8", 5, hides_counts=False) == ([], False)


def test_a_station_is_found_by_a_part_of_its_id_or_name(log: Log) -> None:
    def found(words: str, area: str = "R", after: str = "", limit: int = 9) -> tuple[list[str], bool]:
        rows, more = log.stations.of_area(0, area, after, limit, hides_counts=False, words=words)
        return [row["station"] for row in rows], more

    assert found("s7") == (["S7"], False)
    assert found("STATION 7") == (["S7"], False)
    assert found("s7", area="R/NORTH") == ([], False)
    assert found("tion", limit=3) == (["S1", "S2", "S3"], True)
    assert found("tion", after="S3", limit=5) == (["S4", "S5", "S6", "S7", "S8"], False)
    assert found("stațıoñ 7") == found("s7"), "in letters of other alphabets too"
    assert found("nothing") == ([], False)
    assert found("\u0301") == ([], False), "an accent alone is nothing to look for"
    for n in range(SEARCHES_KEPT + 1):
        assert found(f"s{n}") == (([f"S{n}"] if 0 < n < 9 else []), False)
    assert len(log.stations._searches) == SEARCHES_KEPT  # noqa: SLF001  (how many are kept is what this is about)
