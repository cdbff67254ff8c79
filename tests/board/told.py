"""A board without a broker: told record by record what stands on the topics, by the product's own replay."""

from __future__ import annotations

import json
from collections import deque
from dataclasses import replace
from pathlib import Path
from typing import Any

from tally_stream.audit.replay import Replay
from tally_stream.board.server import Board
from tally_stream.domain.fold import PartitionFold
from tally_stream.kafka.client import StoredRecord
from tally_stream.settings import load_settings
from tally_stream.wire.folder.assembling import load_election
from tally_stream.wire.messages import canonical_json
from tally_stream.wire.report_log import LogRecord
from tests.support.board_scene import CANDIDATES, rehearsal_folder

CLOSE_MS = 1_767_294_000_000
"""19:00 UTC, as the folder says."""


def statement(
    contest: str, key: str, revision: int, kind: str, votes: tuple[int, int] | None = None, *, phase: str = "test",
    at_ms: int = CLOSE_MS + 3_600_000,
) -> LogRecord:  # fmt: skip
    """A record of `at_ms`. Controls have the contest as key, everything else the station."""
    content: dict[str, Any] = {
        "schema": 1, "election": "REH-2026", "contest": contest, "revision": revision, "kind": kind, "phase": phase,
    }  # fmt: skip
    if votes is not None:
        content |= {
            "station": key, "counted_at": "2026-01-01T18:00:00Z" if at_ms < CLOSE_MS else "2026-01-01T19:30:00Z",
            "votes": dict(zip(CANDIDATES[contest], votes, strict=True)),
            "ballots": {"cast": sum(votes), "valid": sum(votes), "blank": 0, "invalid": 0},
        }  # fmt: skip
    if kind != "report":
        content |= {"reason": "r", "authority": "a"}
    if kind == "correct":
        content["replaces"] = revision - 1
    return LogRecord(at_ms, key.encode(), json.dumps(content).encode(), 0, 0)


AREAS = {
    "R/NORTH": "Nørdland", "R/NORTH/T1": "Sèvres", "R/NORTH/T10": "Ward 10", "R/NORTH/T2": "Ward 9",
    "R/Süd & <West>": "Südwest <b>", "R/Süd & <West>/100 %?#": "Bad Dürkheim",
}  # fmt: skip
"""Area id → name, of an election whose areas lie two levels deep, with names that an address and a page must not take for
anything else."""


def deep_folder(path: Path) -> Path:
    """The rehearsal with AREAS: two stations in each of the deepest; of the contests, SEAT is held in the southwest alone."""
    rehearsal_folder(path)
    toml = path / "election.toml"
    text = toml.read_text(encoding="utf-8")
    text = text.replace('levels = ["region"]', 'levels = ["region", "town"]').replace("publish_depth = 1", "publish_depth = 2")
    text = text.replace('name = "Council"\n', 'name = "Council"\nscope = ["R/Süd & <West>"]\n')
    toml.write_text(text, encoding="utf-8")
    lines = ["area,name", *(f'"{area}","{name}"' for area, name in AREAS.items())]
    (path / "areas.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    towns = [area.split("/")[1:] for area in AREAS if area.count("/") == 2]
    rows = [
        f'S{n},Station {n},1000,,"{towns[(n - 1) // 2][0]}","{towns[(n - 1) // 2][1]}"' for n in range(1, 2 * len(towns) + 1)
    ]
    head = "station_id,name,registered,ballots_expected,region,town"
    (path / "stations.csv").write_text("\n".join([head, *rows]) + "\n", encoding="utf-8")
    return path


class ToldBoard:
    """The board of the small rehearsal, over one partition that is read to its end."""

    def __init__(self, directory: Path, *, phase: str = "test", folder: Path | None = None, **settings: object) -> None:
        folder = folder or rehearsal_folder(directory / "election")
        toml = folder / "election.toml"
        toml.write_text(toml.read_text(encoding="utf-8").replace('phase = "test"', f'phase = "{phase}"'), encoding="utf-8")
        self.said: list[str] = []
        self.out = directory / "out"
        self.board = Board(load_settings(**settings), load_election(folder), self.said.append, self.out)
        self.board.feed._behind.clear()  # noqa: SLF001  (what reading the topics to their end does)
        self.replay = Replay(self.board.election, "tally.reports", 1)
        stations = self.board.stations
        stations._folds, stations._ends = [PartitionFold(self.board.election, 0, 1)], {0: 0}  # noqa: SLF001  (as its reading of the topics leaves it)
        self._waiting: deque[StoredRecord] = deque()
        stations._waiting[0] = self._waiting  # noqa: SLF001  (as its reading of the topics leaves it)

    def log(self, *records: LogRecord) -> None:
        """The records stand in the report log; nothing is published of them yet."""
        for record in records:
            r = replace(record, offset=self.replay.record_count)
            self.replay.take(r)
            self._waiting.append(StoredRecord(0, r.offset, r.timestamp_ms, r.key, r.value))

    def take(self, *records: LogRecord) -> None:
        """The records stand in the report log, are published, and the board has read both."""
        self.log(*records)
        self.publish()
        self.board.stations.advance()

    def publish(self, *contests: str, without: tuple[str, ...] = ()) -> None:
        """Standings of the whole log, as a worker sends them: of these contests, where any are named, and `without` areas
        in which nothing changed."""
        for index, contest in enumerate(self.board.election.contests):
            messages = self.replay.messages(index) if contest.id in contests or not contests else []
            for message in messages:
                if message["area"] in without:
                    continue
                self.board.feed._take_standings(StoredRecord(0, 0, 5, None, canonical_json(message)))  # noqa: SLF001  (what `run` does with each record of the topic)

    def change(self, offset: int, **more: Any) -> bool:
        """A line on the changes topic; whether it is a new one."""
        content = {
            "definition": self.board.election.digest, "contest": "PRES", "station": "S1", "area": "R/NORTH",
            "source": {"partition": 0, "offset": offset, "timestamp": offset}, **more,
        }  # fmt: skip
        return self.board.feed.ledger.take(json.dumps(content).encode())
