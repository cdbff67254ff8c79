"""A limit in time that holds although Faust and mode swallow cancellations."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any

logger = logging.getLogger(__name__)


async def within(seconds: float, work: Coroutine[Any, Any, Any], what: str) -> bool:
    """Whether the work ended in time; otherwise a warning, and it is cancelled but not waited for. So too where it ended
    cancelled: aiokafka's fetcher lets the end of its own tasks through as that of whoever closes it.

    Not `asyncio.timeout`: Faust and mode swallow the cancellation in places (a commit that waits for
    another one starts its own instead) and then go on without a limit.
    """
    task = asyncio.ensure_future(work)
    try:
        done, _ = await asyncio.wait({task}, timeout=seconds)
    finally:
        task.cancel()
    if done and not task.cancelled():
        task.result()
        return True
    logger.warning("not within %.1f s, or cut off: %s", seconds, what)
    return False
