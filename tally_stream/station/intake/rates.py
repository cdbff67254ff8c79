"""How much one caller may send, and how much all together: statements by the minute, bytes in memory.

Decides when a caller is told to wait, and for how long. A caller may send at once what it may send in a minute, as an office
that speaks for 300 stations does when the last of them has called; the next ones come in at the rate. Read `server.py` next.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from tally_stream.station.intake.identity import Identity

SECONDS_A_MINUTE = 60.0
ROUNDING = 1e-6
"""Of a statement, which refuses nobody."""
CALLERS_MAX = 100_000
"""Whose buckets are kept; beyond it the one that has been there longest begins anew."""


class Rates:
    """A bucket for each caller: as many statements a minute as `per_minute` for each station it may speak for."""

    def __init__(self, per_minute: int, clock: Callable[[], float]) -> None:
        self._per_minute, self._clock = per_minute, clock
        self._buckets: dict[str, tuple[float, float]] = {}
        """Caller → what it may still send, and when that was so (seconds of the clock)."""

    def take(self, identity: Identity, count: int = 1) -> int:
        """0 where the caller may send so many, which are then taken from what it may; else the seconds to wait."""
        most = self._most(identity)
        now = self._clock()
        left, at = self._buckets.get(identity.name, (most, now))
        left = min(most, left + (now - at) * most / SECONDS_A_MINUTE)
        missing = count - left if count - left > ROUNDING else 0.0
        self._buckets[identity.name] = (left if missing else left - count, now)
        if len(self._buckets) > CALLERS_MAX:
            del self._buckets[next(iter(self._buckets))]
        return math.ceil(missing * SECONDS_A_MINUTE / most) if missing else 0

    def _most(self, identity: Identity) -> float:
        return float(self._per_minute * max(1, len(identity.stations)))


class Room:
    """Bytes of bodies that are in memory at the same time."""

    def __init__(self, most_bytes: int) -> None:
        self._most, self.used = most_bytes, 0

    def take(self, count: int) -> bool:
        """Whether there was room for so many more bytes, which are then used."""
        if self.used + count > self._most:
            return False
        self.used += count
        return True

    def give_back(self, count: int) -> None:
        self.used -= count
