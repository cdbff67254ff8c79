"""Waits for the root of areas that a topic has already: whoever prints standings once must not print half of them.

Decides how long. Refuses to know what whole means: `standings` prints whatever waits for nothing, `export` needs every area.
Read `wire/newest.py` for what waits.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # the client is loaded late, so that --help is quick
    from tally_stream.kafka.client import StoredRecord, TopicReader

WHOLE_WITHIN_SECONDS = 30.0
"""A root comes every 10 s at the latest."""


async def read_until_whole(
    reader: TopicReader, take: Callable[[list[StoredRecord]], object], is_whole: Callable[[], bool]
) -> None:
    """Read on where the start's end was reached, until `is_whole`; after WHOLE_WITHIN_SECONDS it is left as it is."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + WHOLE_WITHIN_SECONDS
    while not is_whole() and loop.time() < deadline:
        take(await reader.poll())
