"""What an operator asks of a board: is it alive, is it ready, its metrics.

Decides what is no ready board: one that has not read what was published before its start, that heard nothing of a worker
for 40 s, or whose fold of the report log stopped. It serves on all the same: figures that stand still are better than
none, so take no board out of service for that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from aiohttp import web

from tally_stream.board.feed import Feed, now_ms
from tally_stream.board.readers import Stream
from tally_stream.board.stations import Stations
from tally_stream.metrics import BOARD_METRICS, Sample, registry_of, render

NO_CONTACT_SECONDS = 40.0
"""The root is sent every 10 s, so four are missing."""


class Operators:
    """`add_to` puts `/livez`, `/readyz` and `/metrics` on an application."""

    def __init__(self, feed: Feed, stations: Stations, stream: Stream, clock_ms: Callable[[], int] = now_ms) -> None:
        self._feed, self._stations, self._stream, self._clock_ms = feed, stations, stream, clock_ms
        self._started_ms = clock_ms()
        self._registry = registry_of(self.samples, BOARD_METRICS)

    def add_to(self, app: web.Application) -> None:
        app.router.add_get("/livez", self.livez)
        app.router.add_get("/readyz", self.readyz)
        app.router.add_get("/metrics", self.metrics)

    def contact_age_seconds(self, contest: str) -> float:
        contact = self._feed.shown[contest].contact_ms
        return max(0, self._clock_ms() - (self._started_ms if contact is None else contact)) / 1000

    def why_not_ready(self) -> list[str]:
        """Sentences; none of them: ready."""
        reasons = []
        if not self._feed.is_caught_up:
            reasons.append("the board is still reading what was published before it started")
        for contest in self._feed.shown:
            if (age := self.contact_age_seconds(contest)) >= NO_CONTACT_SECONDS:
                reasons.append(f"no worker published standings of {contest} for {age:.0f} s")
        if self._stations.failure is not None:
            reasons.append(f"the stations can't be shown: {self._stations.failure}")
        return reasons

    async def livez(self, _: web.Request) -> web.Response:
        return web.json_response({"alive": True})

    async def readyz(self, _: web.Request) -> web.Response:
        """Stations may still be on their way."""
        feed, stations = self._feed, self._stations
        reasons = self.why_not_ready()
        state: dict[str, Any] = {
            "ready": not reasons,
            "reasons": reasons,
            "standings": {id: shown.version for id, shown in feed.shown.items()},
            "contact": {id: shown.contact_ms for id, shown in feed.shown.items()},
            "stations": {**stations.progress, "caught_up": stations.is_caught_up, "failure": stations.failure},
            "readers": self._stream.reader_count,
            "other_definitions": feed.foreign_definitions,
            "refused": feed.refused_count,
        }
        return web.json_response(state, status=503 if reasons else 200)

    async def metrics(self, _: web.Request) -> web.Response:
        return web.Response(body=render(self._registry), headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8"})

    def samples(self) -> dict[str, Iterable[Sample]]:
        """Contests come from the definition: no record can make a label."""
        channels, progress = self._stream.channels, self._stations.progress
        return {
            "tally_board_readers": [((c,), len(channel.readers)) for c, channel in channels.items()],
            "tally_board_updates_sent_total": [((c,), channel.sent_count) for c, channel in channels.items()],
            "tally_board_readers_skipped_total": [((c,), channel.skipped_count) for c, channel in channels.items()],
            "tally_board_readers_cut_total": [((c,), channel.cut_count) for c, channel in channels.items()],
            "tally_board_contact_age_seconds": [((c,), self.contact_age_seconds(c)) for c in self._feed.shown],
            "tally_board_version": [((c,), shown.version) for c, shown in self._feed.shown.items()],
            "tally_board_fold_read_records": [((), progress["read"])],
            "tally_board_fold_due_records": [((), progress["of"])],
            "tally_board_fold_failed": [((), self._stations.failure is not None)],
            "tally_board_refused_messages_total": [((), self._feed.refused_count)],
            "tally_board_ready": [((), not self.why_not_ready())],
        }
