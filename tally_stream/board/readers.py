"""The stream of events: one encoding per update for all readers, and what is done with those who do not read.

Decides that a reader is sent the newest and nothing else, at most twice a second; a slow one skips to the newest and is
cut off after a minute; and that the stream speaks every few seconds, so that silence means trouble. Frames go straight
to the sockets: 5,000 coroutines that wake for each update would cost five times as much.
"""

from __future__ import annotations

import asyncio
import random
import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import msgspec
from aiohttp import web

from tally_stream.board.feed import Feed, now_ms

UPDATE_MIN_SECONDS = 0.5
BEAT_SECONDS = 5.0
BEHIND_MAX_SECONDS = 60.0
READERS_MAX = 10_000
SEND_BUFFER_BYTES = 65_536
"""The kernel keeps this much for a reader that does not read; old frames wait in it, so it is small."""

WRITES_A_BREATH = 500


@dataclass(eq=False, slots=True)
class Reader:
    """One open stream. `version` is that of the newest standings written to it."""

    transport: asyncio.Transport
    version: int
    behind_since: float | None = None
    closed: asyncio.Event = field(default_factory=asyncio.Event)


class Channel:
    """The readers of one contest."""

    def __init__(self, contest: str, feed: Feed) -> None:
        self.contest = contest
        self._feed = feed
        self.readers: set[Reader] = set()
        self._frame: tuple[int, bytes] = (-1, b"")
        self._told: tuple[int, ...] = ()
        self._beat_at = 0.0
        self.sent_count = self.skipped_count = self.cut_count = 0
        """Standings written; readers that began to be behind; readers cut off."""

    def standings_frame(self) -> tuple[int, bytes]:
        """(version, frame) of the root shown; made once for all readers."""
        root = self._feed.shown[self.contest].root
        if root is not None and root.version != self._frame[0]:
            self._frame = (root.version, b"event: standings\nid: %d\ndata: %s\n\n" % (root.version, root.value))
        return self._frame

    def beat_frame(self) -> bytes:
        """What is true now, for everybody: the clock, when there was contact, what there is to ask for anew."""
        shown = self._feed.shown[self.contest]
        content = {
            "now": now_ms(),
            "contact": shown.contact_ms,
            "rise": shown.rise_ms,
            "version": shown.version,
            "areas": shown.areas_taken,
            "changes": self._feed.ledger.taken_count,
        }
        return b"event: beat\ndata: %s\n\n" % msgspec.json.encode(content)

    async def push(self, now: float) -> bool:
        """Send what is due to whoever is not behind; whether anything is new."""
        version, frame = self.standings_frame()
        shown = self._feed.shown[self.contest]
        told = (version, shown.areas_taken, self._feed.ledger.taken_count)
        is_new, beat = told != self._told, b""
        if is_new or now - self._beat_at >= BEAT_SECONDS:
            beat, self._told, self._beat_at = self.beat_frame(), told, now
        both, alone = _chunk(frame + beat), _chunk(beat) if beat else b""
        for written, reader in enumerate(list(self.readers)):
            if written % WRITES_A_BREATH == WRITES_A_BREATH - 1:
                await asyncio.sleep(0)
            chunk = both if reader.version < version else alone
            if chunk:
                self._write(reader, chunk, version, now)
        return is_new

    def _write(self, reader: Reader, chunk: bytes, version: int, now: float) -> None:
        if reader.transport.is_closing():
            self.readers.discard(reader)
            return
        if reader.transport.get_write_buffer_size() == 0:
            reader.transport.write(chunk)
            self.sent_count += reader.version < version
            reader.version = max(reader.version, version)
            reader.behind_since = None
        elif reader.behind_since is None:
            reader.behind_since = now
            self.skipped_count += 1
        elif now - reader.behind_since > BEHIND_MAX_SECONDS:
            reader.transport.abort()
            self.cut_count += 1
            self.readers.discard(reader)

    @property
    def has_slow_readers(self) -> bool:
        return any(r.behind_since is not None for r in self.readers)


class Stream:
    """All channels. `run` sends until it is cancelled; `handle` is the endpoint."""

    def __init__(self, feed: Feed, refuse_until_shown: Callable[[str], Any]) -> None:
        self._feed = feed
        self._refuse_until_shown = refuse_until_shown
        self._default = feed.election.contests[0].id
        self.channels = {contest: Channel(contest, feed) for contest in feed.shown}

    @property
    def reader_count(self) -> int:
        return sum(len(channel.readers) for channel in self.channels.values())

    async def run(self) -> None:
        clock = asyncio.get_running_loop().time
        updated = -UPDATE_MIN_SECONDS
        while True:
            is_waited_for = any(c.has_slow_readers for c in self.channels.values())
            try:
                async with asyncio.timeout(UPDATE_MIN_SECONDS if is_waited_for else BEAT_SECONDS):
                    await self._feed.news.wait()
            except TimeoutError:
                pass
            # News right after a mere beat waits for nothing: only an update takes its half second.
            await asyncio.sleep(max(0.0, updated + UPDATE_MIN_SECONDS - clock()))
            self._feed.news.clear()
            begin = clock()
            for channel in self.channels.values():
                if await channel.push(begin):
                    updated = begin

    async def handle(self, request: web.Request) -> web.StreamResponse:
        contest = request.query.get("contest") or self._default
        self._refuse_until_shown(contest)
        if self.reader_count >= READERS_MAX:
            raise web.HTTPServiceUnavailable(headers={"Retry-After": "10"}, text="too many readers")
        channel = self.channels[contest]
        response = web.StreamResponse(
            headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        )
        if request.version >= (1, 1):
            response.enable_chunked_encoding()
        else:
            raise web.HTTPVersionNotSupported(text="a stream needs HTTP/1.1")
        await response.prepare(request)
        transport = request.transport
        if transport is None:
            return response
        kernel: socket.socket = transport.get_extra_info("socket")
        kernel.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
        version, frame = channel.standings_frame()
        # When a board comes back, its readers must not all come in the same instant.
        first = b"retry: %d\n\n" % random.randint(1_000, 3_000)
        if _last_seen(request) != version:  # a higher one is of a topic that was made anew
            first += frame
            channel.sent_count += 1
        await response.write(first + channel.beat_frame())
        reader = Reader(transport, version)
        channel.readers.add(reader)
        try:
            await reader.closed.wait()
        finally:
            channel.readers.discard(reader)
        return response

    async def close(self, _: web.Application) -> None:
        for channel in self.channels.values():
            for reader in channel.readers:
                reader.closed.set()


def _last_seen(request: web.Request) -> int:
    """The version a reader has, by its Last-Event-ID; −1 where it says none, or nonsense."""
    text = request.headers.get("Last-Event-ID", "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else -1


def _chunk(frame: bytes) -> bytes:
    """As HTTP/1.1 has it on the wire."""
    return b"%x\r\n%s\r\n" % (len(frame), frame)
