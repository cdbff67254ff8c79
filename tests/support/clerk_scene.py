"""The clerk's page at an address of its own, over a transport and receipts in memory: what the brokers do is the test's."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from aiohttp import web

from tally_stream.domain.election import Election
from tally_stream.station.intake.clerk_routes import ClerkPages
from tally_stream.station.intake.identity import Identities, new_token, token_line
from tally_stream.station.intake.recent import RecentStatement
from tally_stream.station.intake.taking import Taking
from tally_stream.station.receipts import WAITING, StationReceipt
from tally_stream.station.transport import NotSent
from tests.support.clerk_election import clerks_election
from tests.support.small_elections import COUNTED_MS


class TransportInMemory:
    """Places as a broker with one partition gives them, while `is_up`."""

    def __init__(self) -> None:
        self.is_up = True
        self.sent: list[bytes] = []

    async def send(self, key: bytes, value: bytes) -> tuple[int, int]:
        if not self.is_up:
            raise NotSent("no broker is there")
        self.sent.append(value)
        return 0, len(self.sent) - 1

    async def close(self) -> None:
        pass


class ClerkScene:
    """`receipts`: offset → what became of it, `waiting` where none is given. `hidden_answers`: so many reports are taken of
    which the sender hears nothing."""

    def __init__(self, directory: Path, of: Election | None = None, stations: tuple[str, ...] = ("A-1", "A-2")) -> None:
        self.election = clerks_election() if of is None else of
        self.transport = TransportInMemory()
        self.receipts: dict[int, StationReceipt] = {}
        self.hidden_answers = 0
        self.token, self.tokens = new_token(), directory / "tokens"
        self.tokens.write_text(token_line(self.token, stations))
        identities = Identities(self.election, self.tokens, print)
        self.taking = Taking(self.election, self.transport, print, lambda: COUNTED_MS + 600_000)
        self.pages = ClerkPages(self.taking, identities, self._receipt_at, self.taking.take)
        self.address = ""

    async def _receipt_at(self, partition: int, offset: int) -> tuple[RecentStatement | None, StationReceipt]:
        found = self.taking.recent.at(partition, offset)
        if found is None:
            raise LookupError
        return found, self.receipts.get(offset, WAITING)

    def application(self) -> web.Application:
        app = web.Application(middlewares=[self._hide])
        self.pages.add_to(app)
        return app

    @web.middleware
    async def _hide(self, request: web.Request, handler: Callable[[web.Request], object]) -> web.StreamResponse:
        response: web.StreamResponse = await handler(request)  # type: ignore[misc]  # aiohttp's own handler
        if self.hidden_answers and request.method == "POST" and response.status == 303 and request.path != "/login":
            self.hidden_answers -= 1
            assert request.transport is not None
            request.transport.abort()
        return response


@contextmanager
def served(scene: ClerkScene) -> Iterator[ClerkScene]:
    """In a thread of its own: this one has the browser's loop."""
    started, loop = threading.Event(), asyncio.new_event_loop()

    async def serve(until_set: asyncio.Event) -> None:
        runner = web.AppRunner(scene.application())
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        scene.address = f"http://127.0.0.1:{runner.addresses[0][1]}"
        started.set()
        await until_set.wait()
        await runner.cleanup()

    ended = asyncio.Event()
    thread = threading.Thread(target=lambda: loop.run_until_complete(serve(ended)))
    thread.start()
    assert started.wait(30)
    try:
        yield scene
    finally:
        loop.call_soon_threadsafe(ended.set)
        thread.join(30)
        loop.close()
