"""Waits for a condition, with a deadline that fails by name. Nothing here sleeps for a time that decides anything."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")

LIMIT_SECONDS = 120.0
"""Far above what is measured: a loaded machine is no failure."""

LOOK_SECONDS = 0.02
"""Between two looks at a condition."""


def wait_for(look: Callable[[], T | None], what: str, limit_seconds: float = LIMIT_SECONDS) -> T:
    """Poll until `look` returns something true; the deadline is a failure that says what was waited for."""
    end = time.monotonic() + limit_seconds
    while time.monotonic() < end:
        found = look()
        if found:
            return found
        time.sleep(LOOK_SECONDS)
    raise AssertionError(f"not within {limit_seconds:.0f} s: {what}")


async def until(condition: Callable[[], Any], what: str, limit_seconds: float = LIMIT_SECONDS) -> None:
    """`wait_for` in an event loop, for a condition that may be a coroutine function."""
    end = time.monotonic() + limit_seconds
    while True:
        found = condition()
        if asyncio.iscoroutine(found):
            found = await found
        if found:
            return
        assert time.monotonic() < end, f"not within {limit_seconds:.0f} s: {what}"
        await asyncio.sleep(LOOK_SECONDS)
