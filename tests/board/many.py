"""A board of a wide election, or of a long ballot: told thousands of made-up messages, without a broker.

`python -m tests.board.many` prints what each costs: time and memory to take all messages, and how long and how large the
answers are that a page asks for. Figures are made up: what is looked at is how the work grows.
"""

from __future__ import annotations

import asyncio
import gc
import os
import tempfile
import time
from collections.abc import Coroutine, Iterable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path
from random import Random
from threading import Thread
from typing import Any

from aiohttp.test_utils import TestClient, TestServer

from tally_stream.audit.replay import Replay
from tally_stream.board.server import Board
from tally_stream.domain.election import Election
from tally_stream.domain.fold import folds_of
from tally_stream.kafka.client import StoredRecord
from tally_stream.settings import load_settings
from tally_stream.wire.messages import canonical_json
from tests.support.wide_elections import election_of

WIDE_AREAS = 8_000
LONG_CONTESTS = 1_200


def wide() -> Election:
    return election_of(regions=50, towns=WIDE_AREAS // 50, contests=1)


def long() -> Election:
    return election_of(regions=3, towns=2, contests=LONG_CONTESTS)


class ManyBoard:
    """A board that has read nothing yet; `take` what `messages` makes."""

    def __init__(self, election: Election, publish_to: Path | None = None) -> None:
        self.election = election
        self.said: list[str] = []
        self.board = Board(load_settings(), election, self.said.append, publish_to)
        self.board.feed._behind.clear()  # noqa: SLF001  (what reading the topics to their end does)
        stations = self.board.stations
        stations._folds, stations._ends = folds_of(election, 1), {0: 0}  # noqa: SLF001  (as its reading of the topics leaves it)
        self._replay = Replay(election, "tally.reports", 1)
        self._random = Random(7)

    def messages(self, version: int, contests: Iterable[int]) -> Iterator[StoredRecord]:
        """All areas of these contests with figures, the root last. As they stand on the topic, offset by offset."""
        for contest in contests:
            for message in self._replay.messages(contest):
                votes = sorted((self._random.randrange(1, 10_000) for _ in message["candidates"]), reverse=True)
                for place, line in enumerate(message["candidates"]):
                    line |= {"votes": votes[place], "share": "9.09", "rank": place + 1}
                message |= {"version": version, "status": "unofficial-partial", "as_of": "2026-01-01T20:00:00.000Z"}
                yield StoredRecord(0, 0, 5, None, canonical_json(message))

    def take(self, records: Iterable[StoredRecord]) -> None:
        for record in records:
            self.board.feed._take_standings(record)  # noqa: SLF001  (what `run` does with each record of the topic)


@contextmanager
def served(told: Board) -> Iterator[str]:
    """Its address, while it is served by a loop in a thread of its own, its stream too."""
    address: Future[str] = Future()
    stop = asyncio.Event()

    async def serve() -> None:
        told.port = 0
        async with told as board:
            stream = asyncio.create_task(board.stream.run())
            address.set_result(board.address)
            await stop.wait()
            stream.cancel()

    loop = asyncio.new_event_loop()
    thread = Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    try:
        yield address.result()
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join()
        loop.close()


# -- measuring -------------------------------------------------------------------------------------------------------------


def memory_mib() -> float:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


async def asked(many: ManyBoard, paths: Iterable[str]) -> None:
    async with TestClient(TestServer(many.board.application())) as client:
        for path in paths:
            times = []
            size = 0
            for _ in range(3):
                many.board.api._answers._kept.clear()  # noqa: SLF001  (what is made anew is measured)
                many.board.pages._pages._kept.clear()  # noqa: SLF001  (as that)
                begin = time.perf_counter()
                answer: Any = await client.get(path, headers={"Accept-Encoding": "identity"})
                size = len(await answer.read())
                times.append(time.perf_counter() - begin)
                assert answer.status == 200 or path == "/readyz", path
            print(f"  {path:55} {size:10,} bytes {1000 * min(times):8.1f} ms (first {1000 * times[0]:.1f})")


async def longest_wait_ms(many: ManyBoard, work: Coroutine[Any, Any, Any]) -> float:
    """Of a reader who asks again and again while this goes on."""
    async with TestClient(TestServer(many.board.application())) as client:
        running = asyncio.create_task(work)
        longest = 0.0
        while not running.done():
            begin = time.perf_counter()
            await (await client.get("/livez")).read()
            longest = max(longest, time.perf_counter() - begin)
        await running
    return 1000 * longest


def measure(name: str, election: Election, paths: list[str]) -> None:
    gc.collect()
    before = memory_mib()
    with tempfile.TemporaryDirectory() as out:
        many = ManyBoard(election, Path(out))
        contests = range(len(election.contests))
        made = list(many.messages(1, contests))
        size = sum(len(r.value or b"") for r in made)
        gc.collect()
        at = memory_mib()
        begin = time.perf_counter()
        many.take(made)
        seconds = time.perf_counter() - begin
        print(
            f"{name}: {len(made):,} messages of {size / 2**20:.0f} MiB taken in {seconds:.2f} s ({1e6 * seconds / len(made):.0f} us each)"
        )
        gc.collect()
        print(
            f"  memory: {memory_mib() - before:.0f} MiB with the messages made, of it {memory_mib() - at:.0f} MiB by taking them"
        )
        asyncio.run(asked(many, paths))
        again = list(many.messages(2, contests))
        taking = many.board.feed._take_all(again, many.board.feed._take_standings)  # noqa: SLF001  (what `run` does with each poll)
        print(f"  a reader waits {asyncio.run(longest_wait_ms(many, taking)):.0f} ms at most while all come again")
        many.board.stations.up_to = None
        publisher = many.board.publisher
        assert publisher is not None
        many.board.stations._ends = {0: 0}  # noqa: SLF001  (as its reading of the topics leaves it)
        for shown in many.board.feed.shown.values():
            shown.root_message["provenance"]["next_offsets"] = {"0": 0}
        begin = time.perf_counter()
        wait = asyncio.run(longest_wait_ms(many, publisher.publish_due()))
        print(f"  --publish: {time.perf_counter() - begin:.2f} s for all, a reader waits {wait:.0f} ms at most; ", end="")
        begin = time.perf_counter()
        assert not asyncio.run(publisher.publish_due())
        print(f"{1000 * (time.perf_counter() - begin):.1f} ms where nothing changed; memory {memory_mib() - before:.0f} MiB")
        print(f"  {many.said[:3]}")


def main() -> None:
    measure("wide", wide(), [
        "/", "/contest/C0000/area/X/R01", "/contest/C0000/area/X/R01/T001", "/?q=durrheim+77", "/api/v1/areas/C0000",
        "/api/v1/areas/C0000?q=durr", "/api/v1/areas/C0000/X/R01?sort=lead&order=desc", "/api/v1/areas/C0000?q=durr&sort=lead",
        "/api/v1/contests", "/api/v1/changes?contest=C0000", "/readyz", "/metrics",
    ])  # fmt: skip
    measure("long", long(), [
        "/", "/contest/C0777", "/contests?q=777", "/api/v1/contests", "/api/v1/contests?q=777", "/api/v1/contests/C0777",
        "/api/v1/areas/C0777", "/api/v1/changes?contest=C0777", "/api/v1/changes", "/readyz", "/metrics",
    ])  # fmt: skip


if __name__ == "__main__":
    main()
