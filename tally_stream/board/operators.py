"""What an operator asks of a board: is it alive, is it ready, its metrics.

Decides what is no ready board: one that has not read what was published before its start, that heard nothing of a worker
for 40 s (longer where there are more than 1,000 contests), or whose fold of the report log stopped. It serves on all the
same: figures that stand still are better than none, so take no board out of service for that. Up to a hundred contests
are told one by one, more of them together.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from aiohttp import web

from tally_stream.board.feed import Feed, now_ms
from tally_stream.board.readers import Stream
from tally_stream.board.stations import Stations
from tally_stream.metrics import BOARD_METRICS, CONTESTS_TOLD_MAX, Sample, build, registry_of, render, told

ROOTS_MISSING = 4
"""So many times a root was not sent again: of up to 1,000 contests, every 10 s."""

_Figure = TypeVar("_Figure")


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

    def _told(self, of: Callable[[str], _Figure], of_all: Callable[[Iterable[_Figure]], _Figure]) -> dict[str, _Figure]:
        """Contest → its figure; of many contests one figure for all."""
        contests = self._feed.shown
        return told(contests, lambda contest: contest, of, lambda: of_all(map(of, contests)), CONTESTS_TOLD_MAX)

    def why_not_ready(self) -> list[str]:
        """Sentences; none of them: ready."""
        reasons = []
        if not self._feed.is_caught_up:
            reasons.append("the board is still reading what was published before it started")
        limit = ROOTS_MISSING * self._feed.root_seconds
        silent = [(c, age) for c in self._feed.shown if (age := self.contact_age_seconds(c)) >= limit]
        reasons += [
            f"no worker published standings of {contest} for {age:.0f} s" for contest, age in silent[:CONTESTS_TOLD_MAX]
        ]
        if len(silent) > CONTESTS_TOLD_MAX:
            reasons.append(f"nor of {len(silent) - CONTESTS_TOLD_MAX:,} other contests")
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
            "standings": self._told(lambda c: feed.shown[c].version, min),
            "contact": self._told(lambda c: feed.shown[c].contact_ms, lambda found: min(ms or 0 for ms in found)),
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
        sent, readers, progress = self._stream.sent, self._stream.readers_of(), self._stations.progress

        def by_contest(of: Callable[[str], float], of_all: Callable[[Iterable[float]], float]) -> list[Sample]:
            return [((contest,), figure) for contest, figure in self._told(of, of_all).items()]

        election = self._feed.election
        return {
            "tally_build_info": build(election.id, election.digest),
            "tally_board_readers": by_contest(lambda c: readers.get(c, 0), sum),
            "tally_board_updates_sent_total": by_contest(lambda c: sent[c].sent_count, sum),
            "tally_board_readers_skipped_total": by_contest(lambda c: sent[c].skipped_count, sum),
            "tally_board_readers_cut_total": by_contest(lambda c: sent[c].cut_count, sum),
            "tally_board_contact_age_seconds": by_contest(self.contact_age_seconds, min),
            "tally_board_version": by_contest(lambda c: self._feed.shown[c].version, min),
            "tally_board_fold_read_records": [((), progress["read"])],
            "tally_board_fold_due_records": [((), progress["of"])],
            "tally_board_fold_failed": [((), self._stations.failure is not None)],
            "tally_board_refused_messages_total": [((), self._feed.refused_count)],
            "tally_board_ready": [((), not self.why_not_ready())],
        }
