"""Files for any static server: an immutable folder a version, and a small pointer to the newest.

Decides what a snapshot holds, that a contest is written when its figures changed, and the order of writing: files,
manifest with their SHA-256, the folder's name, and only then `latest.json`, each whole or not there at all. Stations are
of the very version; where they can't be, a folder of another name goes without them. Unknown is an empty cell, never 0. A
full disk stops no reader: it is said, and tried again.
"""

from __future__ import annotations

import asyncio
import csv
import hashlib
import io
import os
import shutil
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec

from tally_stream.board.feed import Feed
from tally_stream.board.shown import ContestShown
from tally_stream.board.stations import Stations
from tally_stream.domain.contest import Contest
from tally_stream.domain.election import Election
from tally_stream.export.table import text_cell

PUBLISH_MIN_SECONDS = 5.0
"""Between two snapshots: versions in between are passed over."""

LOOK_SECONDS = 0.25
ROWS_A_BREATH = 200
"""Rows of a table made between two breaths: 5 ms."""

STATIONS_WAIT_SECONDS = 30.0
"""So long a snapshot waits for stations of its version, while they are not far behind."""

CONTESTS_AT_ONCE = 200
BYTES_AT_ONCE = 32 * 1024 * 1024
"""What is made before it is written: the files of so many contests, or of so many bytes."""

WRITERS = 8
"""Folders written at a time: 200 contests in 1.9 s instead of 5.6 s."""

NEVER = {"version": -1, "has_stations": True}
WITHOUT_STATIONS = "-without-stations"
TEST_NOTE = "TEST: these figures are no results"

STATION_STATES = ("expected", "received", "counted", "partial", "held", "annulled", "outstanding")
BALLOTS = ("cast", "valid", "blank", "invalid")


class Publisher:
    """Writes snapshots of all contests below `directory`. `run` until cancelled; `publish_due` once."""

    def __init__(
        self, directory: Path, election: Election, feed: Feed, stations: Stations, name: Callable[[str], str],
        say: Callable[[str], None],
    ) -> None:  # fmt: skip
        self._directory, self._election = directory, election
        self._feed, self._stations, self._name, self._say = feed, stations, name, say
        self._written: dict[str, dict[str, Any]] = {}
        """Contest → what `latest.json` says of it."""
        self._waits_since: dict[str, float] = {}
        """Contest → since when its newest version waits for stations."""
        self._said: set[str] = set()

    async def run(self) -> None:
        while True:
            is_written = await self.publish_due()
            await asyncio.sleep(PUBLISH_MIN_SECONDS if is_written else LOOK_SECONDS)

    async def publish_due(self) -> bool:
        """Write the contests whose figures changed since they were written; whether it was tried. Readers of the page are
        served meanwhile, and what is shown goes on: each contest is of one moment, not all of the same."""
        if not self._feed.is_caught_up:
            return False
        self._stations.advance()
        made: dict[str, dict[str, bytes]] = {}
        byte_count, written, is_tried = 0, dict(self._written), False
        for index, contest in enumerate(self._election.contests):
            if (path := self._path_due(index, contest.id)) is None:
                continue
            shown, is_tried = self._feed.shown[contest.id], True
            written[contest.id] = _entry(shown.root_message, path)
            files = made[path] = await self._files(index, shown, has_stations=not path.endswith(WITHOUT_STATIONS))
            byte_count += sum(len(content) for content in files.values())
            if len(made) >= CONTESTS_AT_ONCE or byte_count >= BYTES_AT_ONCE:
                if not await self._put(made, written):
                    return True
                made, byte_count = {}, 0
        if made:
            await self._put(made, written)
        return is_tried

    async def _put(self, made: dict[str, dict[str, bytes]], written: dict[str, dict[str, Any]]) -> bool:
        """Write the folders and then the pointer; whether the disk took them."""
        try:
            await asyncio.to_thread(self._write, made, self._pointer(written))
        except OSError as error:
            self._say_once(f"no snapshot written: {error}")
            return False
        is_whole = all(entry["has_stations"] for entry in written.values())
        over = ("no snapshot", "snapshots without") if is_whole else ("no snapshot",)
        self._said = {line for line in self._said if not line.startswith(over)}
        for path in made:
            self._waits_since.pop(path.partition("/")[0], None)
        self._written = dict(written)
        return True

    def _path_due(self, index: int, id: str) -> str | None:
        """Where the newest version of a contest is to be written; None: it was, nothing in it changed since, or it waits
        for its stations."""
        shown = self._feed.shown[id]
        written = self._written.get(id, NEVER)
        if shown.root is None or (shown.changed_version <= written["version"] and written["has_stations"]):
            return None
        whole = f"{id}/{shown.version:012d}"
        lacking = whole + WITHOUT_STATIONS
        if self._stations.is_caught_up and self._stations.is_at(index, shown.root_message["provenance"]["next_offsets"]):
            return whole
        begin = self._waits_since.setdefault(id, now := asyncio.get_running_loop().time())
        waits = written["has_stations"] and self._stations.failure is None and now - begin < STATIONS_WAIT_SECONDS
        if waits or shown.changed_version <= written["version"]:
            return None
        self._say_once(f"snapshots without stations.csv: {self._stations.failure or 'the report log is not read to there'}")
        return lacking

    def _say_once(self, line: str) -> None:
        if line not in self._said:
            self._said.add(line)
            self._say(line)

    # -- what a snapshot holds -------------------------------------------------------------------------------------

    async def _files(self, index: int, shown: ContestShown, *, has_stations: bool) -> dict[str, bytes]:
        """All of what is shown when it is called, whatever comes while the tables are made."""
        assert shown.root is not None, "it is due"
        contest, root, value = self._election.contests[index], shown.root_message, shown.root.value
        areas = [root, *(shown.areas[area].value for area in sorted(shown.areas))]
        rows = self._stations.each(index, hides_counts=shown.is_before_the_close)
        files = {"standings.json": value}
        with self._stations.standing_still():
            files["areas.csv"] = await _table(_areas(contest, areas, self._name))
            if has_stations:
                files["stations.csv"] = await _table(_stations(contest, root, rows, self._election))
        manifest = {
            "contest": contest.id,
            "version": root["version"],
            "phase": root["phase"],
            **_note(root["phase"]),
            "on_hold": root["on_hold"],
            "as_of": root["as_of"],
            "definition": self._election.digest,
            "next_offsets": root["provenance"]["next_offsets"],
            "files": {name: {"bytes": len(b), "sha256": hashlib.sha256(b).hexdigest()} for name, b in files.items()},
        }
        return {**files, "manifest.json": msgspec.json.encode(manifest, order="sorted") + b"\n"}

    def _pointer(self, contests: dict[str, dict[str, Any]]) -> bytes:
        phase = self._election.phase
        content = {"election": self._election.id, "phase": phase, **_note(phase), "contests": contests}
        return msgspec.json.encode(content, order="sorted") + b"\n"

    # -- writing ---------------------------------------------------------------------------------------------------

    def _write(self, made: dict[str, dict[str, bytes]], pointer: bytes) -> None:
        """Several folders at a time: a disk takes them through together. The pointer only when all of them stand there."""
        with ThreadPoolExecutor(WRITERS) as pool:
            list(pool.map(self._write_folder, made, made.values()))
        draft = self._directory / f".latest.{os.getpid()}"
        _write_through(draft, pointer)
        draft.replace(self._directory / "latest.json")

    def _write_folder(self, path: str, files: dict[str, bytes]) -> None:
        final = self._directory / path
        if final.exists():
            return  # another board, or this one before it started again: a path has one content
        draft = final.with_name(f".{final.name}.{os.getpid()}")
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(parents=True)
        for name, content in files.items():
            _write_through(draft / name, content)
        draft.rename(final)


def _write_through(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _entry(root: dict[str, Any], path: str) -> dict[str, Any]:
    return {
        "version": root["version"], "as_of": root["as_of"], "on_hold": root["on_hold"], "path": path,
        "has_stations": not path.endswith(WITHOUT_STATIONS),
    }  # fmt: skip


def _note(phase: str) -> dict[str, str]:
    return {"note": TEST_NOTE} if phase == "test" else {}


async def _table(rows: Iterable[list[Any]]) -> bytes:
    """Some rows at a time: others have their turn in between."""
    text = io.StringIO(newline="")
    writer, left = csv.writer(text, lineterminator="\n"), iter(rows)
    while some := list(islice(left, ROWS_A_BREATH)):
        writer.writerows([text_cell(cell) if isinstance(cell, str) else cell for cell in row] for row in some)
        await asyncio.sleep(0)
    return text.getvalue().encode()


def _stamp(root: dict[str, Any]) -> list[Any]:
    """What every row says of itself: cut out of the file, it still shows what it is of."""
    return [root["phase"], "yes" if root["on_hold"] else "no", root["version"]]


STAMP = ("phase", "on_hold", "version")


def _areas(contest: Contest, messages: Iterable[Any], name: Callable[[str], str]) -> Iterable[list[Any]]:
    yield [
        *STAMP, "area", "name", "status", *(f"stations_{s}" for s in STATION_STATES), "registered_done", "registered_of",
        *BALLOTS, *(f"votes_{c}" for c in contest.candidate_ids), *(f"share_{c}" for c in contest.candidate_ids),
    ]  # fmt: skip
    for message in messages:
        m = message if isinstance(message, dict) else msgspec.json.decode(message)
        registered = m["progress"]["registered"] or {"done": None, "of": None}
        of = {c["id"]: c for c in m["candidates"]}
        yield [
            *_stamp(m), m["area"], name(m["area"]), m["status"], *(m["stations"][s] for s in STATION_STATES),
            registered["done"], registered["of"], *(m["ballots"][b] for b in BALLOTS),
            *(of[c]["votes"] for c in contest.candidate_ids), *(of[c]["share"] for c in contest.candidate_ids),
        ]  # fmt: skip


def _stations(
    contest: Contest, root: dict[str, Any], rows: Iterable[dict[str, Any]], election: Election
) -> Iterable[list[Any]]:
    yield [
        *STAMP, "station", "name", "area", "state", "revision", "registered", *BALLOTS,
        *(f"votes_{c}" for c in contest.candidate_ids),
    ]  # fmt: skip
    for row in rows:
        counts, station = row["in_force"], election.stations[row["station"]]
        registered = station.registered
        if counts is not None and counts["registered"] is not None and not station.is_without_voters:
            registered = counts["registered"]  # on the day; as totals take it, so that rows add up to their area's
        yield [
            *_stamp(root), row["station"], row["name"], election.areas[station.leaf].id,
            row["state"], row["revision"], registered,
            *(None if counts is None else counts["ballots"][b] for b in BALLOTS),
            *(None if counts is None else counts["votes"][c] for c in contest.candidate_ids),
        ]  # fmt: skip
