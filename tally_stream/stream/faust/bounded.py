"""Decides when waiting is over: a limit in time that holds although Faust and mode swallow cancellations.

`asyncio.timeout` is no such limit. A commit of Faust's that waits for another one answers its cancellation by beginning a
commit of its own, and then goes on without a limit. Here the work gets a task of its own, and at the limit its caller goes on.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any

logger = logging.getLogger(__name__)


async def ended_within(seconds: float, work: Coroutine[Any, Any, Any], what: str) -> bool:
    """Do the work, and tell whether it ended in time; what it raises is raised here.

    False, after a warning that names `what`, where the limit passed: the work is then told to cancel, and nobody waits until
    it has. False too where the work ended as cancelled although nobody here cancelled it: aiokafka's fetcher, as it closes,
    lets the cancellation of its own tasks through to its caller.
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
