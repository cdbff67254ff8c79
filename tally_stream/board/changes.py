"""The public ledger: every change once, newest first; and what was refused or held, counted and listed.

Decides the order, that a repeat with the same key is one line, and how many are kept. Refuses to know Kafka.
"""

from __future__ import annotations

import base64
import binascii
from bisect import bisect_left, insort
from collections import Counter, deque
from collections.abc import Iterator
from itertools import islice
from typing import Any, NamedTuple

import msgspec

CHANGES_MAX = 100_000
"""Changes kept, and up to a hundredth more: they are forgotten many at a time, as each time moves all that stay. The night of
Bolivia, with 34,555 stations, had 706."""

REJECTIONS_MAX = 1_000
"""Rejections listed; all are counted."""

AREA_MAX_LEVELS = 32
"""Below so many levels nobody looks for changes: a path from outside must not make a list for each of its slashes."""

KEY_SHOWN_MAX_CHARS = 64

Place = tuple[int, int, int]
"""(log timestamp, partition, offset) of a report: the order of the ledger."""


class Line(NamedTuple):
    """A change; `value` as it was published."""

    place: Place
    contest: str
    station: str
    area: str
    value: bytes


class Ledger:
    """Changes of one definition. `take` any number of times."""

    def __init__(self, definition: str) -> None:
        self._definition = definition
        self._seen: set[tuple[int, int]] = set()
        self._lists: dict[tuple[str | None, str | None], list[Line]] = {}
        """(contest, area) → its lines in order; None: of all of them. An area has those of all below it. Whoever asks for one
        contest among a thousand, or one area among thousands, must not be a reason to look at every line."""
        self._taken: dict[tuple[str | None, str | None], int] = {}

    def taken(self, contest: str | None, area: str | None) -> int:
        """Rises with every new line of a contest (None: of any) in an area and all below it (None: anywhere)."""
        return self._taken.get((contest, area), 0)

    def take(self, value: bytes | None) -> bool:
        """Whether this is a new line. Another definition's, and what is no change at all, is passed over."""
        try:
            change = msgspec.json.decode(value or b"")
            if change["definition"] != self._definition:
                return False
            source = change["source"]
            place = (int(source["timestamp"]), int(source["partition"]), int(source["offset"]))
            contest, station, area = str(change["contest"]), str(change["station"]), str(change["area"])
        except (msgspec.MsgspecError, KeyError, TypeError, ValueError):
            return False
        if place[1:] in self._seen:
            return False
        self._seen.add(place[1:])
        line = Line(place, contest, station, area, value or b"")
        for key in _keys(line):
            insort(self._lists.setdefault(key, []), line)  # no two have one place, so nothing else is compared
            self._taken[key] = self._taken.get(key, 0) + 1
        more = max(1, CHANGES_MAX // 100)
        if len(self._seen) >= CHANGES_MAX + more:
            self._forget(self._lists[None, None][:more])
        return True

    def _forget(self, oldest: list[Line]) -> None:
        self._seen.difference_update(line.place[1:] for line in oldest)
        # The oldest of all are the oldest of each list they are in.
        for key, count in Counter(key for line in oldest for key in _keys(line)).items():
            lines = self._lists[key]
            del lines[:count]
            if not lines:
                del self._lists[key]

    def page(
        self, *, contest: str | None, area: str | None, station: str | None, before: Place | None, limit: int
    ) -> list[Line]:
        """At most `limit` lines, newest first, from before a place on. An area has those of all below it."""
        lines = self._lists.get((contest, area), [])
        end = len(lines) if before is None else bisect_left(lines, before, key=_place_of)
        found = (lines[at] for at in range(end - 1, -1, -1) if station in (None, lines[at].station))
        return list(islice(found, limit))


def _place_of(line: Line) -> Place:
    return line.place


def _keys(line: Line) -> Iterator[tuple[str | None, str | None]]:
    parts = line.area.split("/")[: AREA_MAX_LEVELS + 1]
    areas = [None, *("/".join(parts[: n + 1]) for n in range(len(parts)))]
    yield from ((contest, area) for contest in (None, line.contest) for area in areas)


class Refusals:
    """Rejections of one definition, by verdict and code, and the newest of them without their bytes.

    A partition's rejections are sent in the order of their reports: what is not beyond the newest one is a repeat.
    """

    def __init__(self, definition: str) -> None:
        self._definition = definition
        self._reached: dict[int, int] = {}
        """Partition → offset of its newest rejection."""
        self.verdicts: Counter[str] = Counter()
        self.codes: Counter[str] = Counter()
        self._newest: deque[dict[str, Any]] = deque(maxlen=REJECTIONS_MAX)

    def take(self, value: bytes | None) -> None:
        """Another definition's, and what is no rejection at all, is passed over."""
        try:
            r = msgspec.json.decode(value or b"")
            if r["definition"] != self._definition:
                return
            partition, offset = int(r["source"]["partition"]), int(r["source"]["offset"])
            if offset <= self._reached.get(partition, -1):
                return
            verdict, codes = str(r["verdict"]), [str(code) for code in r["codes"]]
            line = {
                "verdict": verdict,
                "codes": codes,
                "details": r["details"],
                "key": _shown_key(r["key_base64"]),
                "source": r["source"],
                "value_bytes": r["value_bytes"],
                "value_sha256": r["value_sha256"],
            }
        except (msgspec.MsgspecError, KeyError, TypeError, ValueError):
            return
        self._reached[partition] = offset
        self.verdicts[verdict] += 1
        self.codes.update(codes)
        self._newest.append(line)

    def newest(self) -> list[dict[str, Any]]:
        """Newest first, in the order they were read."""
        return list(reversed(self._newest))


def without_figures(refusal: dict[str, Any]) -> dict[str, Any]:
    """Before the polls close: the rules that were broken, and nothing of what the report said. Who knows all of a report
    but a few figures tries them until the digest fits."""
    details = [{"code": c, "message": None, "left": None, "right": None} for c in refusal["codes"]]
    return {**refusal, "details": details, "value_bytes": None, "value_sha256": None}


def _shown_key(encoded: str | None) -> str | None:
    """A record's key where it is short printable text: nearly always the station's id."""
    try:
        text = base64.b64decode(encoded or "", validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return None
    return text if 0 < len(text) <= KEY_SHOWN_MAX_CHARS and text.isprintable() else None
