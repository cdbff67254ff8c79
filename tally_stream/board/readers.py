"""The stream of events: one encoding per update for all readers, and what is done with those who do not read.

Decides that a reader is sent the newest of what it looks at (a contest, or one area of it) and nothing else, at most twice
a second; a slow one skips to the newest and is cut off after a minute; and that the stream speaks every few seconds, so
that silence means trouble. Frames go straight to the sockets: 5,000 coroutines that wake for each update would cost five
times as much.
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
from tally_stream.board.shown import Published
from tally_stream.wire.newest import is_root

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


@dataclass(slots=True)
class Sent:
    """Of one contest: standings written, readers that began to be behind, readers cut off."""

    sent_count: int = 0
    skipped_count: int = 0
    cut_count: int = 0


class Channel:
    """The readers of one contest in one area: they are sent what they look at, and told of nothing else."""

    def __init__(self, contest: str, area: str, feed: Feed, sent: Sent | None = None) -> None:
        self.contest, self.area = contest, area
        self._feed = feed
        self.readers: set[Reader] = set()
        self.sent = sent or Sent()
        self._frame: tuple[int, bytes] = (-1, b"")
        self._told: tuple[int, ...] = ()
        self._beat_at = 0.0

    @property
    def _published(self) -> Published | None:
        return self._feed.shown[self.contest].of(None if is_root(self.area) else self.area)

    def standings_frame(self) -> tuple[int, bytes]:
        """(version, frame) of the message shown; made once for all readers."""
        published = self._published
        if published is not None and published.version != self._frame[0]:
            frame = b"event: standings\nid: %d\ndata: %s\n\n" % (published.version, published.value)
            self._frame = (published.version, frame)
        return self._frame

    def _counts(self) -> tuple[int, int]:
        """How often an area below was shown anew, and a change was taken: what a page asks for anew when they rise."""
        taken_below = self._feed.shown[self.contest].taken_below(self.area)
        return taken_below, self._feed.ledger.taken(self.contest, self.area)

    def beat_frame(self) -> bytes:
        """What is true now, for everybody: the clock, when there was contact, what there is to ask for anew. `as_of` is the
        root's: an area that did not change is as new as the root."""
        shown = self._feed.shown[self.contest]
        areas, changes = self._counts()
        content = {
            "now": now_ms(),
            "contact": shown.contact_ms,
            "rise": shown.rise_ms,
            "as_of": shown.root_message.get("as_of"),
            "version": self.standings_frame()[0],
            "areas": areas,
            "changes": changes,
            "partial_hold": self._feed.partial_hold(self.contest),
        }
        return b"event: beat\ndata: %s\n\n" % msgspec.json.encode(content)

    async def push(self, now: float) -> bool:
        """Send what is due to whoever is not behind; whether anything is new."""
        version, frame = self.standings_frame()
        told = (version, self._feed.shown[self.contest].version, *self._counts())
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
            self.sent.sent_count += reader.version < version
            reader.version = max(reader.version, version)
            reader.behind_since = None
        elif reader.behind_since is None:
            reader.behind_since = now
            self.sent.skipped_count += 1
        elif now - reader.behind_since > BEHIND_MAX_SECONDS:
            reader.transport.abort()
            self.sent.cut_count += 1
            self.readers.discard(reader)

    @property
    def has_slow_readers(self) -> bool:
        return any(r.behind_since is not None for r in self.readers)


class Stream:
    """All channels that have readers. `run` sends until it is cancelled; `handle` is the endpoint."""

    def __init__(self, feed: Feed, refuse_until_shown: Callable[[str, str], Any]) -> None:
        """`refuse_until_shown(contest, area)` raises for what there is not, or not yet."""
        self._feed = feed
        self._refuse_until_shown = refuse_until_shown
        self._default = feed.election.contests[0].id
        self.channels: dict[tuple[str, str], Channel] = {}
        self.sent = {contest: Sent() for contest in feed.shown}

    @property
    def reader_count(self) -> int:
        return sum(len(channel.readers) for channel in self.channels.values())

    def readers_of(self) -> dict[str, int]:
        """Contest → its readers, of all its areas; those that have none are not there."""
        counts: dict[str, int] = {}
        for channel in self.channels.values():
            counts[channel.contest] = counts.get(channel.contest, 0) + len(channel.readers)
        return counts

    def channel(self, contest: str, area: str) -> Channel:
        found = self.channels.get((contest, area))
        if found is None:
            found = self.channels[contest, area] = Channel(contest, area, self._feed, self.sent[contest])
        return found

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
            for pushed, (key, channel) in enumerate(list(self.channels.items())):
                if pushed % WRITES_A_BREATH == WRITES_A_BREATH - 1:
                    await asyncio.sleep(0)
                if await channel.push(begin):
                    updated = begin
                if not channel.readers:
                    self.channels.pop(key, None)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        contest = request.query.get("contest") or self._default
        area = request.query.get("area") or self._feed.election.root
        self._refuse_until_shown(contest, area)
        if self.reader_count >= READERS_MAX:
            raise web.HTTPServiceUnavailable(headers={"Retry-After": "10"}, text="too many readers")
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
        channel = self.channel(contest, area)
        version, frame = channel.standings_frame()
        # When a board comes back, its readers must not all come in the same instant.
        first = b"retry: %d\n\n" % random.randint(1_000, 3_000)
        if _last_seen(request) != version:  # a higher one is of a topic that was made anew
            first += frame
            channel.sent.sent_count += 1
        first += channel.beat_frame()
        reader = Reader(transport, version)
        await response.write(first)
        channel = self.channel(contest, area)  # the one before may have gone meanwhile: it had no readers
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
