"""The night of a demo: each record at its time, and what the standings say at the night's moments.

Decides the pace of a recorded night. Sending itself is `station/night.py`'s; what is shown is `demo_screen.py`'s.
"""

from __future__ import annotations

import asyncio
import csv
import time
from dataclasses import dataclass
from pathlib import Path

from tally_stream.cli.common import EXIT_USAGE, refuse
from tally_stream.cli.demo_processes import DemoFailed
from tally_stream.cli.demo_screen import Screen
from tally_stream.cli.view import plain_line
from tally_stream.domain.election import Election
from tally_stream.domain.scalars import parse_time
from tally_stream.settings import Settings

NIGHT_SECONDS = 60.0
"""About how long a night takes at the default pace."""

GAP_MAX_MS = 120_000
"""Quiet stretches longer than this are cut to it at the default pace: a night has days without a report."""

RECORD_MS = 400
"""What each record adds to the default pace: a burst at one instant unfolds too."""

SETTLE_SECONDS = 120.0


@dataclass(slots=True)
class Moment:
    """A line of the folder's moments.csv: at this time, this was announced."""

    time_ms: int
    what: str


def read_moments(folder: Path) -> list[Moment]:
    path = folder / "moments.csv"
    if not path.exists():
        return []
    found = []
    with path.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            time_ms = parse_time(row.get("time") or "")
            if time_ms is None:
                refuse([f"{path}: {row.get('time')!r} is no RFC 3339 time with an offset"], EXIT_USAGE)
            found.append(Moment(time_ms, row.get("what") or ""))
    return sorted(found, key=lambda moment: moment.time_ms)


class Player:
    """Sends a recorded night at its pace, and waits at each moment for the standings of all that was sent."""

    def __init__(
        self, election: Election, log: Path, moments: list[Moment], speed: float | None, fast: bool, screen: Screen
    ) -> None:
        self.election, self.log, self.moments, self.speed, self.fast = election, log, moments, speed, fast
        self.screen, self.show = screen, screen.show

    async def play(self, settings: Settings, topic: str, partitions: int) -> int:
        from tally_stream.kafka.client import sender
        from tally_stream.station.night import Night, Sending, already_sent
        from tally_stream.station.night import play as send

        night = Night(self.election, self.log, partitions)
        sent = await already_sent(settings, topic, night)
        times = [sending.record.timestamp_ms for sending in night]
        self.show.total = len(times)
        due = self._due_seconds(times)
        begin = time.monotonic()
        paused = 0.0
        moments = list(self.moments)
        async with sender(settings) as producer:

            async def wait(sending: Sending) -> None:
                nonlocal paused
                while moments and sending.record.timestamp_ms > moments[0].time_ms:
                    moment = moments.pop(0)
                    at = time.monotonic()
                    await producer.flush()
                    await self._mark(moment)
                    paused += time.monotonic() - at
                ahead = due[sending.index] - (time.monotonic() - begin - paused)
                if ahead > 0.002:
                    await asyncio.sleep(ahead)
                elif sending.index % 500 == 0:
                    await asyncio.sleep(0)

            def on_sent(sending: Sending) -> None:
                self.show.sent = sending.index + 1

            standing_count = await send(producer, topic, night, sent, wait=wait, on_sent=on_sent)
            for moment in moments:
                await self._mark(moment, standing_count)
            return standing_count

    def _due_seconds(self, times: list[int]) -> list[float]:
        """When each record is due, in seconds from the start."""
        if self.fast:
            return [0.0] * len(times)
        due, at = [], 0.0
        previous = times[0] if times else 0
        for moment in times:
            gap = max(0, moment - previous)
            at += gap if self.speed is not None else min(gap, GAP_MAX_MS) + RECORD_MS
            previous = max(previous, moment)
            due.append(at)
        if self.speed is not None:
            return [d / 1000 / self.speed for d in due]
        scale = NIGHT_SECONDS / at if at else 0.0
        return [d * scale for d in due]

    async def _mark(self, moment: Moment, standing_count: int | None = None) -> None:
        """A moment of the night: what was announced, beside what the standings say at that very record."""
        await self._wait_for_version(self.show.sent if standing_count is None else standing_count)
        roots = self.show.roots()
        line = f"{moment.what}  →  {plain_line(roots[0])}" if roots else moment.what
        self.show.moments.append(line)
        if not self.screen.is_live:
            self.screen.line(line)

    async def _wait_for_version(self, version: int) -> None:
        """Standings of all that was sent; a night on hold does not get there, and is not waited for long."""
        end = time.monotonic() + SETTLE_SECONDS
        while self.show.version() < version and time.monotonic() < end:
            if any(m["on_hold"] for m in self.show.roots()):
                return
            await asyncio.sleep(0.02)

    async def settled(self, standing_count: int, watcher: asyncio.Task[None]) -> None:
        waiting = asyncio.create_task(self._wait_for_version(standing_count))
        await asyncio.wait({waiting, watcher}, return_when=asyncio.FIRST_COMPLETED)
        if watcher.done():
            waiting.cancel()
            watcher.result()
        await asyncio.sleep(0.3)  # one more refresh of the screen
        if self.show.version() < standing_count and not any(m["on_hold"] for m in self.show.roots()):
            raise DemoFailed(f"the standings stopped at version {self.show.version()}, {standing_count} records were sent")
