"""Stage 2 changes hands: from the moment that its owner is gone to the new owner's first root, and to its last.

Two workers have counted everything; the one that publishes is told to end, and leaves its group at once. The other reads
partials and standings from their start, then sends every area and root of every contest again. Refuses to know how long a
group takes to notice a killed member: that is the session's length, whatever the election is (`replaying.py`).
"""

from __future__ import annotations

import asyncio
import json
import time
import uuid

from bench.ground import Filled, renew_outputs
from bench.layouts import ROOT
from bench.process import NoFigure
from bench.product import wait_counted, workers
from tally_stream.kafka.client import TopicReader
from tests.support.waiting import wait_for
from tests.support.worker import WorkerProcess

LIMIT_SECONDS = 120.0


def run_takeover(filled: Filled) -> dict[str, float]:
    """Seconds from the old owner's end to the new one's `first_root_s` and `last_root_s`. Raises NoFigure."""
    renew_outputs(filled)
    with workers(filled, 2, f"takeover-{uuid.uuid4().hex[:6]}") as started:
        asyncio.run(wait_counted(filled, is_alive=lambda: all(w.process.poll() is None for w in started)))
        wait_for(lambda: sum(map(_publishes, started)) == 1, "one owner of the standings")
        old, new = sorted(started, key=_publishes, reverse=True)
        return asyncio.run(_taken_over(filled, old, new))


def _publishes(worker: WorkerProcess) -> bool:
    said = worker.get("/readyz")[1]
    return bool(said) and bool(json.loads(said)["publishes_standings"])


async def _taken_over(filled: Filled, old: WorkerProcess, new: WorkerProcess) -> dict[str, float]:
    left = {f"{contest.id}|{ROOT}".encode() for contest in filled.election.contests}
    async with TopicReader(filled.settings, f"{filled.settings.prefix}.standings") as reader:
        async for _ in reader.read_to_end():
            pass
        if await asyncio.to_thread(old.stop) != 0:
            raise NoFigure("the worker that publishes did not end cleanly")
        begin = time.monotonic()
        ((_, end),) = (await reader.bounds()).values()  # what lies below it the old owner sent
        first = last = 0.0
        while left:
            found = {record.key for record in await reader.poll() if record.offset >= end} & left
            last = time.monotonic()
            first = first or (last if found else 0.0)
            left -= found
            if last > begin + LIMIT_SECONDS or new.process.poll() is not None:
                raise NoFigure(f"{len(left)} contests were not sent again: {new.log[-300:]}")
    return {"first_root_s": first - begin, "last_root_s": last - begin}
