"""A night with a board on it: embedded broker, worker and board as processes, reports sent one by one, and a browser.

One broker holds one worker, so each scene has a broker of its own.
"""

from __future__ import annotations

import asyncio
import json
import re
import urllib.error
import urllib.request
from collections.abc import Coroutine, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tally_stream.audit.replay import Replay
from tally_stream.domain.election import Election
from tally_stream.domain.scalars import murmur2_partition
from tally_stream.kafka.client import TopicReader, sender
from tally_stream.kafka.embedded import AUTO_PARTITIONS, EmbeddedBroker
from tally_stream.settings import Settings
from tests.support.preloaded import begun
from tests.support.processes import command, environment, settings_for, terminated
from tests.support.waiting import wait_for
from tests.support.worker import WorkerProcess

HOSTILE = "<img src=x onerror=\"document.title='broken'\"><script>document.title=1</script>"
PREFIX = "scene"

TOML = f"""\
id = "REH-2026"
name = "Rehearsal of a small country"
phase = "test"
polls_close = 2026-01-01T19:00:00Z

[areas]
root = "R"
root_name = "Everywhere"
levels = ["region"]
publish_depth = 1

[[contests]]
id = "PRES"
name = "President"
seats = 1
rule = "majority"
majority_base = "valid"
rounding = {{ method = "half-up", places = 2 }}

[[contests.candidates]]
id = "ANNA"
name = "Anna Ahl"
party = "Greens"

[[contests.candidates]]
id = "EVIL"
name = {json.dumps(HOSTILE)}
party = {json.dumps("party " + HOSTILE)}

[[contests]]
id = "SEAT"
name = "Council"
seats = 1
rule = "plurality"
rounding = {{ method = "half-up", places = 1 }}

[[contests.candidates]]
id = "CLEO"
name = "Cleo"

[[contests.candidates]]
id = "DORA"
name = "Dora"

[[exit_polls]]
contest = "PRES"
pollster = {json.dumps("poll " + HOSTILE)}
publish_after = 2026-01-01T19:00:00Z
shares = {{ ANNA = 50.0, EVIL = 50.0 }}
"""
STATIONS = "station_id,name,registered,ballots_expected,region\n" + "".join(
    f"S{n},Station {n},1000,,{'NORTH' if n < 5 else 'SOUTH'}\n" for n in range(1, 9)
)
CANDIDATES = {"PRES": ("ANNA", "EVIL"), "SEAT": ("CLEO", "DORA")}


def apart(work: Coroutine[Any, Any, None]) -> None:
    """Run in a thread of its own: this one has the browser's loop."""
    with ThreadPoolExecutor(1) as pool:
        pool.submit(asyncio.run, work).result()


def rehearsal_folder(path: Path) -> Path:
    path.mkdir()
    (path / "election.toml").write_text(TOML, encoding="utf-8")
    (path / "stations.csv").write_text(STATIONS, encoding="utf-8")
    return path


def root_message(election: Election, **more: Any) -> dict[str, Any]:
    """The root of the first contest before any report, with some of its fields changed."""
    return {**Replay(election, "tally.reports", None).messages(0)[-1], **more}


class BoardProcess:
    """`tally-stream board` in a process of its own."""

    def __init__(self, settings: Settings, election: str, log_path: Path, *flags: str, port: int = 0) -> None:
        self.log_path = log_path
        self._log = log_path.open("wb")
        words = command("board", "--election", election, "--port", str(port), *flags)
        self.process = begun(words, environment(settings), self._log)
        found = wait_for(self._said, f"the board to say where it is: {log_path}")
        self.address = found[1]
        wait_for(lambda: self.get("/readyz")[0] == 200, "the board to be ready")

    def _said(self) -> re.Match[str] | None:
        assert self.process.poll() is None, self.log_path.read_text()
        return re.search(r"board at (http://\S+)/ ", self.log_path.read_text())

    def get(self, path: str, headers: dict[str, str] | None = None) -> tuple[int, bytes, dict[str, str]]:
        """Status, body and headers (names in lower case)."""
        request = urllib.request.Request(self.address + path, headers=headers or {})
        try:
            with urllib.request.urlopen(request, timeout=5) as answer:
                return answer.status, answer.read(), {k.lower(): v for k, v in answer.headers.items()}
        except urllib.error.HTTPError as error:
            return error.code, error.read(), {k.lower(): v for k, v in error.headers.items()}
        except OSError:
            return 0, b"", {}

    def json(self, path: str) -> Any:
        status, body, _ = self.get(path)
        assert status == 200, (path, status, body)
        return json.loads(body)

    def stop(self) -> int:
        code = terminated(self.process)
        self._log.close()
        return code


class Scene:
    """Broker, worker, board. `send` statements; `wait_version` for the standings of all that was sent."""

    def __init__(self, bootstrap: str, election: str, directory: Path) -> None:
        self.settings = settings_for(bootstrap, PREFIX)
        self.election, self.directory = election, directory
        self.sent = 0
        self._revisions: dict[tuple[str, str], int] = {}
        self.worker = WorkerProcess(
            self.settings, election, directory / "worker.log", "--embedded", "--publish-interval-ms", "50"
        ).wait_ready()
        self.board = self.start_board()

    def start_board(self, *flags: str, port: int = 0) -> BoardProcess:
        return BoardProcess(self.settings, self.election, self.directory / "board.log", *flags, port=port)

    def close(self) -> None:
        self.board.stop()
        self.worker.close()

    # -- sending ---------------------------------------------------------------------------------------------------

    def produce(self, *records: tuple[str, bytes]) -> None:
        """Records (key, value), each to the partition of its key."""

        async def main() -> None:
            async with sender(self.settings) as producer:
                for key, value in records:
                    partition = murmur2_partition(key.encode(), AUTO_PARTITIONS)
                    await producer.send(f"{PREFIX}.reports", value, key=key.encode(), partition=partition)

        apart(main())
        self.sent += len(records)

    def statement(self, station: str, kind: str, votes: tuple[int, int] | None = None, contest: str = "PRES") -> bytes:
        """The station's next statement, replacing the one before it."""
        before = self._revisions.get((contest, station), 0)
        self._revisions[contest, station] = before + 1
        content: dict[str, Any] = {
            "schema": 1, "election": "REH-2026", "contest": contest, "station": station, "revision": before + 1,
            "kind": kind, "phase": "test",
        }  # fmt: skip
        if votes is not None:
            content["counted_at"] = "2026-01-01T20:00:00Z"
            content["ballots"] = {"cast": sum(votes), "valid": sum(votes), "blank": 0, "invalid": 0}
            content["votes"] = dict(zip(CANDIDATES[contest], votes, strict=True))
        if kind != "report":
            content |= {"replaces": before, "reason": f"because of {kind} at {station}", "authority": "The Commission"}
        return json.dumps(content).encode()

    def report(self, station: str, votes: tuple[int, int], kind: str = "report", contest: str = "PRES") -> None:
        self.produce((station, self.statement(station, kind, votes, contest)))

    def decide(self, station: str, kind: str) -> None:
        self.produce((station, self.statement(station, kind)))

    def control(
        self, kind: str, contest: str = "PRES", *, partitions: Sequence[int] = range(AUTO_PARTITIONS), is_same: bool = False
    ) -> None:
        """One copy to every partition; `is_same`: of the statement that was sent last."""
        revision = self._revisions[contest, "*"] = self._revisions.get((contest, "*"), 0) + (not is_same)
        value = json.dumps(
            {"schema": 1, "election": "REH-2026", "contest": contest, "kind": kind, "revision": revision,
             "reason": "a rehearsal", "authority": "The Commission", "phase": "test"}
        ).encode()  # fmt: skip

        async def main() -> None:
            async with sender(self.settings) as producer:
                for partition in partitions:
                    await producer.send(f"{PREFIX}.reports", value, key=contest.encode(), partition=partition)

        apart(main())
        self.sent += len(partitions)

    def root(self, contest: str) -> dict[str, Any]:
        status, body, _ = self.board.get(f"/api/v1/standings/{contest}")
        found: dict[str, Any] = json.loads(body) if status == 200 else {"version": -1}
        return found

    def wait_shown(self, contest: str = "PRES", version: int | None = None) -> dict[str, Any]:
        """The root on the board at the version of all that was sent."""
        due = self.sent if version is None else version
        return wait_for(lambda: r if (r := self.root(contest))["version"] >= due else None, f"version {due}", 30)


@contextmanager
def scene(election: str, directory: Path) -> Iterator[Scene]:
    broker = EmbeddedBroker(topics={f"{PREFIX}.partials": 1, f"{PREFIX}.standings": 1})
    bootstrap = broker.start()
    try:
        settings = settings_for(bootstrap, PREFIX)

        async def make() -> None:  # asking for a topic makes it
            for name in ("reports", "partials", "standings", "rejections", "changes"):
                async with TopicReader(settings, f"{PREFIX}.{name}"):
                    pass

        apart(make())
        played = Scene(bootstrap, election, directory)
        try:
            yield played
        finally:
            played.close()
    finally:
        broker.stop()
