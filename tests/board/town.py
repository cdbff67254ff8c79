"""A board of the small town with every kind of ballot, told by hand: without a broker, and with seats and outcomes of a test's
own on the roots."""

from __future__ import annotations

import asyncio
import html
import re
from collections.abc import Mapping
from typing import Any

from aiohttp.test_utils import TestClient, TestServer

from tally_stream.board.feed import now_ms
from tally_stream.domain.standings import Message
from tally_stream.kafka.client import StoredRecord
from tally_stream.wire.messages import canonical_json
from tests.board.many import ManyBoard
from tests.support.every_ballot import roots
from tests.support.small_elections import Night


def told_town(played: Night, **roots_instead: Message) -> ManyBoard:
    """All areas and the roots of the night; `roots_instead` by id of the contest."""
    told = ManyBoard(played.election)
    show(told, played, {**roots(played), **roots_instead})
    return told


def show(told: ManyBoard, played: Night, instead: Mapping[str, Message], version: int = 0) -> None:
    """Each contest's areas, then its root."""
    for index, contest in enumerate(played.election.contests):
        messages = [*played.messages(index)[:-1], instead[contest.id]]
        told.take(
            StoredRecord(0, 0, now_ms(), None, canonical_json({**message, "version": message["version"] + version}))
            for message in messages
        )


def pages(told: ManyBoard, *paths: str, status: int = 200) -> list[Any]:
    """What is answered: text, or what JSON says."""

    async def ask() -> list[Any]:
        async with TestClient(TestServer(told.board.application())) as client:
            answers = [await client.get(path) for path in paths]
            assert {a.status for a in answers} == {status}, paths
            return [await a.json() if "/api/" in path else await a.text() for a, path in zip(answers, paths, strict=True)]

    return asyncio.run(ask())


def read(markup: str) -> str:
    """As a reader reads it."""
    return " ".join(html.unescape(re.sub("<[^>]+>", " ", markup)).split())
