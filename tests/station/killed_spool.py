"""A process that keeps and sends one statement, and is killed (SIGKILL, by itself) at the step that its first argument names.

    python -m tests.station.killed_spool STEP SPOOL TOPIC

TOPIC is a file that stands for the topic: a line for each record that "a broker" took. `STEPS` are in order.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

from tally_stream.station.client import StationClient
from tally_stream.station.spool import Spool
from tests.support.report_messages import ELECTION, counts

STEPS = (
    "opened", "begin of keeping", "before it is committed", "kept", "before it is sent", "taken", "before it is noted",
    "before that is committed", "noted", "none",
)  # fmt: skip


class Steps:
    def __init__(self, killed_at: str) -> None:
        self._killed_at = killed_at
        self._commits = 0

    def reached(self, step: str) -> None:
        if step == self._killed_at:
            os.kill(os.getpid(), signal.SIGKILL)

    def statement(self, sql: str) -> None:
        """What SQLite is about to do."""
        if sql.startswith("INSERT INTO statements"):
            self.reached("begin of keeping")
        elif sql.startswith("UPDATE statements SET partition"):
            self.reached("before it is noted")
        elif sql.startswith("COMMIT"):
            self._commits += 1
            self.reached("before it is committed" if self._commits == 1 else "before that is committed")


class FileTopic:
    """A transport into a file."""

    def __init__(self, path: Path, steps: Steps) -> None:
        self._path, self._steps = path, steps

    async def send(self, key: bytes, value: bytes) -> tuple[int, int]:
        self._steps.reached("before it is sent")
        with self._path.open("ab") as file:
            file.write(value + b"\n")
        self._steps.reached("taken")
        return 0, len(self._path.read_bytes().splitlines()) - 1

    async def close(self) -> None: ...


async def main(step: str, path: Path, topic: Path) -> None:
    steps = Steps(step)
    spool = Spool(path, "t.reports", ELECTION.id)
    spool._db.set_trace_callback(steps.statement)  # noqa: SLF001 (where a commit begins, nobody else can say)
    steps.reached("opened")
    async with StationClient(ELECTION, spool, FileTopic(topic, steps)) as client:
        await client.submit(counts())
        steps.reached("kept")
        await client.flush()
        steps.reached("noted")


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])))
