"""Files for any static server: an immutable folder a version, and a small pointer to the newest.

Decides what a snapshot holds and the order of writing: files, manifest with their SHA-256, the folder's name, and only
then `latest.json`, each whole or not there at all. Unknown is an empty cell, never 0. A full disk stops no reader: it
is said, and tried again at the next version.
"""

from __future__ import annotations

import asyncio
import csv
import hashlib
import io
import os
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import msgspec

from tally_stream.board.feed import Feed
from tally_stream.board.shown import ContestShown
from tally_stream.board.stations import Stations
from tally_stream.domain.election import Contest, Election

PUBLISH_MIN_SECONDS = 5.0
"""Between two snapshots: versions in between are passed over."""

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
        self._written: dict[str, int] = {}
        self._complaint = ""

    async def run(self) -> None:
        while True:
            await self.publish_due()
            await asyncio.sleep(PUBLISH_MIN_SECONDS)

    async def publish_due(self) -> None:
        """Write what is newer than what was written; once the stations are read, all of a snapshot is there."""
        if not self._feed.is_caught_up or not self._stations.is_caught_up:
            return
        due = {id: s for id, s in self._feed.shown.items() if s.root is not None and s.version != self._written.get(id)}
        if not due:
            return
        made = {id: (s.version, self._files(id, s)) for id, s in due.items()}
        pointer = self._pointer()
        try:
            await asyncio.to_thread(self._write, made, pointer)
        except OSError as error:
            if str(error) != self._complaint:
                self._complaint = str(error)
                self._say(f"no snapshot written: {error}")
            return
        self._complaint = ""
        self._written.update({id: version for id, (version, _) in made.items()})

    # -- what a snapshot holds -------------------------------------------------------------------------------------

    def _files(self, contest_id: str, shown: ContestShown) -> dict[str, bytes]:
        index = self._election.contest_index(contest_id)
        assert index is not None, "it is shown"
        assert shown.root is not None, "it is due"
        contest = self._election.contests[index]
        rows, _ = self._stations.of_area(
            index, self._election.root, "", len(self._election.stations), hides_counts=shown.is_before_the_close
        )
        files = {
            "standings.json": shown.root.value,
            "areas.csv": _table(_areas(contest, shown, self._name)),
            "stations.csv": _table(_stations(contest, rows, self._election)),
        }
        manifest = {
            "contest": contest_id,
            "version": shown.version,
            "as_of": shown.root_message["as_of"],
            "definition": self._election.digest,
            "next_offsets": shown.root_message["provenance"]["next_offsets"],
            "stations_next_offsets": self._stations.next_offsets,
            "files": {name: {"bytes": len(b), "sha256": hashlib.sha256(b).hexdigest()} for name, b in files.items()},
        }
        return {**files, "manifest.json": msgspec.json.encode(manifest, order="sorted") + b"\n"}

    def _pointer(self) -> bytes:
        contests = {
            id: {"version": s.version, "as_of": s.root_message["as_of"], "path": f"{id}/{s.version:012d}"}
            for id, s in self._feed.shown.items()
            if s.root is not None
        }
        content = {"election": self._election.id, "phase": self._election.phase, "contests": contests}
        return msgspec.json.encode(content, order="sorted") + b"\n"

    # -- writing ---------------------------------------------------------------------------------------------------

    def _write(self, made: dict[str, tuple[int, dict[str, bytes]]], pointer: bytes) -> None:
        for contest, (version, files) in made.items():
            final = self._directory / contest / f"{version:012d}"
            if final.exists():
                continue  # another board, or this one before it started again: a version has one content
            draft = final.with_name(f".{final.name}.{os.getpid()}")
            shutil.rmtree(draft, ignore_errors=True)
            draft.mkdir(parents=True)
            for name, content in files.items():
                _write_through(draft / name, content)
            draft.rename(final)
        draft = self._directory / f".latest.{os.getpid()}"
        _write_through(draft, pointer)
        draft.replace(self._directory / "latest.json")


def _write_through(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _table(rows: Iterable[list[Any]]) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().encode()


def _areas(contest: Contest, shown: ContestShown, name: Callable[[str], str]) -> Iterable[list[Any]]:
    yield [
        "area", "name", "version", "status", *(f"stations_{s}" for s in STATION_STATES), "registered_done", "registered_of",
        *BALLOTS, *(f"votes_{c}" for c in contest.candidate_ids), *(f"share_{c}" for c in contest.candidate_ids),
    ]  # fmt: skip
    messages = [shown.root_message, *(msgspec.json.decode(shown.areas[a].value) for a in sorted(shown.areas))]
    for m in messages:
        registered = m["progress"]["registered"] or {"done": None, "of": None}
        of = {c["id"]: c for c in m["candidates"]}
        yield [
            m["area"], name(m["area"]), m["version"], m["status"], *(m["stations"][s] for s in STATION_STATES),
            registered["done"], registered["of"], *(m["ballots"][b] for b in BALLOTS),
            *(of[c]["votes"] for c in contest.candidate_ids), *(of[c]["share"] for c in contest.candidate_ids),
        ]  # fmt: skip


def _stations(contest: Contest, rows: list[dict[str, Any]], election: Election) -> Iterable[list[Any]]:
    yield [
        "station", "name", "area", "state", "revision", "registered", *BALLOTS,
        *(f"votes_{c}" for c in contest.candidate_ids),
    ]  # fmt: skip
    for row in rows:
        counts = row["in_force"]
        registered = row["registered"] if counts is None or counts["registered"] is None else counts["registered"]
        yield [
            row["station"], row["name"], election.areas[election.stations[row["station"]].leaf].id, row["state"],
            row["revision"], registered,
            *(None if counts is None else counts["ballots"][b] for b in BALLOTS),
            *(None if counts is None else counts["votes"][c] for c in contest.candidate_ids),
        ]  # fmt: skip
