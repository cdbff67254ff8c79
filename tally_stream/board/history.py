"""The root's figures over time: at most so many points, spread evenly over the night.

Decides which points go when there are too many: all but the first of each span of time, and the span doubles. The
newest always stays. A point has the leading candidates of its own time alone: of 2,000 candidates, 2,000 points were
162 MiB. It is encoded once and never again, however often the history is asked for.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from typing import Any

import msgspec

HISTORY_MAX_POINTS = 2_000
"""Points kept of a contest's history, for a chart that is 2,000 pixels wide."""

HISTORY_MAX_CANDIDATES = 10
"""Candidates of a point, the first of its standings: twice the lines of the chart. A point is 0.7 kB, 1.4 kB where ids are as
long as they may be."""

HISTORY_MIN_POINTS = 20
HISTORY_ALL_POINTS = 100_000
"""Points kept of all contests: 70 MB. Where there are many contests, each has its part of them."""


def points_each(contest_count: int) -> int:
    """Points kept of each of so many contests: 2,000 of up to 50, 81 of 1,222."""
    return min(HISTORY_MAX_POINTS, max(HISTORY_MIN_POINTS, HISTORY_ALL_POINTS // contest_count))


@dataclass(frozen=True, slots=True)
class Point:
    """The figures of one version as they are served; `sent_ms` is the broker's time of the record that brought it."""

    version: int
    sent_ms: int
    value: bytes


class History:
    """`take` points of rising versions; `since` for those who answer."""

    def __init__(self, most: int = HISTORY_MAX_POINTS) -> None:
        self._most = most
        self._points: list[Point] = []
        self._span_ms = 1

    def take(self, point: Point) -> None:
        points = self._points
        if len(points) > 1 and not self._is_apart(points[-2], points[-1]):
            points.pop()  # it stood there only because it was the newest
        points.append(point)
        while len(points) > self._most:
            self._span_ms *= 2
            points = self._points = self._thinned()

    def _thinned(self) -> list[Point]:
        first, *rest, newest = self._points
        kept = [first]
        for point in rest:
            if self._is_apart(kept[-1], point):
                kept.append(point)
        return [*kept, newest]

    def _is_apart(self, before: Point, point: Point) -> bool:
        """Whether a point is of another span of time; spans that double lie in one another, so none is favoured. Not
        only of a later one: behind a record that is stamped ahead of its time, all others would be dropped. All points
        are of one span in the end, so thinning ends."""
        return max(0, point.sent_ms) // self._span_ms != max(0, before.sent_ms) // self._span_ms

    def since(self, version: int) -> list[Point]:
        """Points newer than a version, oldest first; all of them where nobody can have that version."""
        if not self._points or version > self._points[-1].version:
            return list(self._points)
        return self._points[bisect_right(self._points, version, key=lambda point: point.version) :]


def point_of(root: dict[str, Any], sent_ms: int) -> Point:
    """The point of a root message. Raises ValueError where it lacks what a root has."""
    try:
        content = {
            "version": root["version"],
            "as_of": root["as_of"],
            "sent": sent_ms,
            "status": root["status"],
            "progress": root["progress"],
            "valid": root["ballots"]["valid"],
            "candidates": [
                {"id": c["id"], "votes": c["votes"], "share": c["share"]} for c in root["candidates"][:HISTORY_MAX_CANDIDATES]
            ],
        }
    except (KeyError, TypeError) as error:
        raise ValueError(f"a root without {error}") from error
    return Point(root["version"], sent_ms, msgspec.json.encode(content, order="deterministic"))
