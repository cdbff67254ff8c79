"""Memory that a burst took goes back to the system, in processes that run for days.

The C library keeps what was freed between things that stay. After two hours of faults a worker held 222 MiB of which it used
185, a board 670 of which it used 512: what they had needed once, when they were far behind, and nothing that grew. Where the C
library is another one nothing is done. Refuses to know what a process does.
"""

from __future__ import annotations

import asyncio
import ctypes
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

GIVE_BACK_SECONDS = 60.0
"""With nothing to give it takes 0.1 ms, after a burst 30 ms once, in a thread of its own."""


@asynccontextmanager
async def memory_given_back() -> AsyncIterator[None]:
    """For the block, every GIVE_BACK_SECONDS."""
    task = asyncio.create_task(_give_back())
    try:
        yield
    finally:
        task.cancel()


async def _give_back() -> None:
    trim = _malloc_trim()
    while trim is not None:
        await asyncio.sleep(GIVE_BACK_SECONDS)
        await asyncio.to_thread(trim, 0)


def _malloc_trim() -> Callable[[int], int] | None:
    """glibc's; None where there is none."""
    try:
        found: Callable[[int], int] = ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError, TypeError):
        return None
    return found
