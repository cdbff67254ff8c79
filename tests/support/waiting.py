"""Waits for a condition, with a deadline that fails by name. Nothing here sleeps for a time that decides anything."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def wait_for(look: Callable[[], T | None], what: str, limit_seconds: float = 120) -> T:
    """Poll until `look` returns something true; the deadline is a failure that says what was waited for."""
    end = time.monotonic() + limit_seconds
    while time.monotonic() < end:
        found = look()
        if found:
            return found
        time.sleep(0.05)
    raise AssertionError(f"not within {limit_seconds:.0f} s: {what}")
