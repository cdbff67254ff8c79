"""Positions that stand still while work waits for them: what a hang looks like from outside.

Decides when silence is a hang. A position is judged only while something is owed to it and the brokers answer, so a
quiet night, an outage and a rebalance are none. Pure: the time is an argument. `watches.py` says what is watched.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Watched:
    """Where something stands, whether it should move, and the sentence for the operator where it does not."""

    position: int
    is_owed: bool
    complaint: str


class Watchdog:
    """`look` at intervals well below the limit; the first look at a name starts its time."""

    def __init__(self, limit_seconds: float) -> None:
        self._limit_seconds = limit_seconds
        self._since: dict[str, tuple[int, float]] = {}
        """Name → position, and when it was first seen there with something owed."""

    def forget(self) -> None:
        """Nothing can be said about the time until now: whatever stands still begins anew."""
        self._since.clear()

    def look(self, now_seconds: float, watched: Mapping[str, Watched]) -> str | None:
        """The complaint of a position that has not moved for the limit though something was owed all the time."""
        for name in self._since.keys() - watched.keys():
            del self._since[name]
        for name, one in watched.items():
            position, since = self._since.get(name, (one.position, now_seconds))
            if not one.is_owed or position != one.position:
                since = now_seconds
            elif now_seconds - since >= self._limit_seconds:
                return f"{one.complaint} for {now_seconds - since:.0f} s"
            self._since[name] = (one.position, since)
        return None
