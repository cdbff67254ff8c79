"""The public ledger: every change once, newest first; and what was refused or held, counted and listed.

Decides the order, that a repeat with the same key is one line, and how many are kept. Refuses to know Kafka.
"""

from __future__ import annotations

import base64
import binascii
from bisect import bisect_left, insort
from collections import Counter, deque
from typing import Any

import msgspec

CHANGES_MAX = 100_000
"""Changes kept. Bolivia's night, with 34,555 stations, had 706."""

REJECTIONS_MAX = 1_000
"""Rejections listed; all are counted."""

KEY_SHOWN_MAX_CHARS = 64

Place = tuple[int, int, int]
"""(log timestamp, partition, offset) of a report: the order of the ledger."""


class Ledger:
    """Changes of one definition. `take` any number of times."""

    def __init__(self, definition: str) -> None:
        self._definition = definition
        self._seen: set[tuple[int, int]] = set()
        self._lines: list[tuple[Place, dict[str, Any], bytes]] = []
        self.taken_count = 0
        """Changes taken, all contests: rises with every new line."""

    def take(self, value: bytes | None) -> bool:
        """Whether this is a new line. Another definition's, and what is no change at all, is passed over."""
        try:
            change = msgspec.json.decode(value or b"")
            if change["definition"] != self._definition:
                return False
            source = change["source"]
            place = (int(source["timestamp"]), int(source["partition"]), int(source["offset"]))
            str(change["contest"]), str(change["station"]), str(change["area"])
        except (msgspec.MsgspecError, KeyError, TypeError, ValueError):
            return False
        if place[1:] in self._seen:
            return False
        self._seen.add(place[1:])
        insort(self._lines, (place, change, value or b""), key=lambda line: line[0])
        self.taken_count += 1
        if len(self._lines) > CHANGES_MAX:
            self._seen.discard(self._lines.pop(0)[0][1:])
        return True

    def page(
        self, *, contest: str | None, area: str | None, station: str | None, before: Place | None, limit: int
    ) -> list[bytes]:
        """At most `limit` lines as published, newest first, from before a place on. An area has those of all below it."""
        end = len(self._lines) if before is None else bisect_left(self._lines, before, key=lambda line: line[0])
        found: list[bytes] = []
        for at in range(end - 1, -1, -1):
            _, change, value = self._lines[at]
            if (
                contest in (None, change["contest"])
                and station in (None, change["station"])
                and (area is None or change["area"] == area or change["area"].startswith(area + "/"))
            ):
                found.append(value)
                if len(found) == limit:
                    break
        return found


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
