"""The bad days of docs/stations.md: what the page says is told is what the client, the intake and the receipt tell."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from tally_stream.audit.replay import Replay
from tally_stream.domain.rules import message_of
from tally_stream.settings import load_settings
from tally_stream.station.client import NotSubmitted, StationClient
from tally_stream.station.intake.identity import Identity, new_token, token_line
from tally_stream.station.intake.server import Intake
from tally_stream.station.intake.taking import RefusedStatement, Taking
from tally_stream.station.receipt_pages import SPOKEN
from tally_stream.station.receipts import REFUSALS
from tally_stream.station.spool import Spool
from tally_stream.station.transport import clock_difference
from tally_stream.wire.report_log import LogRecord
from tests.support.paths import DOCS
from tests.support.report_messages import ELECTION, LOG_MS, as_bytes, counts
from tests.support.topic_of_lists import TopicOfLists, absent
from tests.support.waiting import until

OTHER_VOTES = {"votes": {"ANNA": 51, "BELA": 45}}
TWO_DAYS_MS = 2 * 86_400_000
A = Identity("token a", frozenset({"A-1"}))


def table() -> dict[str, list[str]]:
    """Day → each sentence that the page says is told."""
    text = (DOCS / "stations.md").read_text(encoding="utf-8").split("<!-- bad days -->\n")[1].split("\n\n")[0]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines()[2:]]
    return {day: re.findall(r'"([^"]+)"', told) for day, told, _ in rows}


async def at_the_client(tmp_path: Path, message: dict[str, Any]) -> str:
    spool = Spool(tmp_path / "spool", "tally.reports", ELECTION.id)
    async with StationClient(ELECTION, spool, TopicOfLists()) as client:
        with pytest.raises(NotSubmitted) as refused:
            await client.submit(message)
    return str(refused.value)


async def at_an_intake(*messages: dict[str, Any]) -> str:
    """What it says of the last, having taken those before it."""
    taking = Taking(ELECTION, TopicOfLists(), print, lambda: LOG_MS)
    answers = [await taking.take(as_bytes(message), A, accepts_warnings=True) for message in messages]
    assert isinstance(answers[-1], RefusedStatement), answers
    return "; ".join([answers[-1].sentence, *map(str, answers[-1].remarks)])


def receipt_of(*messages: dict[str, Any]) -> str:
    """What the receipt says of the last, the others having been there before it."""
    replay = Replay(ELECTION, "tally.reports", 1)
    verdicts = [replay.take(LogRecord(LOG_MS, b"A-1", as_bytes(m), 0, offset)) for offset, m in enumerate(messages)]
    found = [f"{finding.code}: {message_of(finding)}" for finding in verdicts[-1].findings]
    return "; ".join([SPOKEN[REFUSALS[verdicts[-1].name]], *found])


async def an_unknown_contest(tmp_path: Path) -> str:
    message = counts(contest="NONE")
    return "\n".join([await at_the_client(tmp_path, message), await at_an_intake(message), receipt_of(message)])


async def a_restored_laptop(_: Path) -> str:
    one_back = receipt_of(counts(revision=3), counts(revision=3, **OTHER_VOTES))
    return "\n".join([one_back, receipt_of(counts(revision=3), counts(revision=2, **OTHER_VOTES))])


async def two_laptops(_: Path) -> str:
    return "\n".join([receipt_of(counts(), counts(**OTHER_VOTES)), await at_an_intake(counts(), counts(**OTHER_VOTES))])


async def a_clock_two_days_off(tmp_path: Path) -> str:
    ahead = await at_an_intake_unconfirmed(counts(counted_at="2024-02-09T20:00:00+04:00"))
    return "\n".join([clock_difference(LOG_MS, LOG_MS + TWO_DAYS_MS) or "", ahead])


async def at_an_intake_unconfirmed(message: dict[str, Any]) -> str:
    answer = await Taking(ELECTION, TopicOfLists(), print, lambda: LOG_MS).take(as_bytes(message), A)
    assert isinstance(answer, RefusedStatement)
    return "; ".join([answer.sentence, *map(str, answer.remarks)])


async def a_token_of_another_station(_: Path) -> str:
    return await at_an_intake(counts(station="B-1"))


async def a_body_of_ten_megabytes(tmp_path: Path) -> str:
    token = new_token()
    (tmp_path / "tokens").write_text(token_line(token, ["A-1"]))
    settings = load_settings(bootstrap="127.0.0.1:1", intake_port=0, intake_tokens=str(tmp_path / "tokens"))
    async with Intake(settings, ELECTION, print, TopicOfLists()) as intake:
        reader, writer = await asyncio.open_connection("127.0.0.1", intake.port)
        head = (
            "POST /v1/reports HTTP/1.1", "Host: intake", f"Authorization: Bearer {token}", "Content-Type: application/json",
            "Content-Length: 10000000",
        )  # fmt: skip
        writer.write("".join(f"{line}\r\n" for line in (*head, "")).encode())
        answer = (await reader.readuntil(b"}")).decode()
        writer.close()
    return f"{answer.split()[1]}: {json.loads(answer.splitlines()[-1])['detail']}"


async def a_thousand_at_once(tmp_path: Path) -> str:
    said: list[str] = []
    topic = TopicOfLists()
    topic.before = absent
    spool = Spool(tmp_path / "spool", "tally.reports", ELECTION.id)
    async with StationClient(ELECTION, spool, topic, say=said.append) as client:
        await client.submit(counts())
        await until(lambda: said, "a try that failed")
    taking = Taking(ELECTION, topic, print, lambda: LOG_MS)
    answer = await taking.take(as_bytes(counts()), A)
    assert isinstance(answer, RefusedStatement)
    return "\n".join([*said, answer.sentence])


DAYS: dict[str, Callable[[Path], Awaitable[str]]] = {
    "a report for an unknown contest": an_unknown_contest,
    "a laptop that was restored from a backup, without brokers": a_restored_laptop,
    "two laptops with one identity": two_laptops,
    "a clock that is two days off": a_clock_two_days_off,
    "a token of another station": a_token_of_another_station,
    "a body of 10 MB": a_body_of_ten_megabytes,
    "a thousand clients at once, as when brokers come back": a_thousand_at_once,
}


def test_each_day_has_a_row() -> None:
    rows = table()
    assert rows.keys() == DAYS.keys()
    assert all(rows.values()), "each says what is told"


@pytest.mark.parametrize("day", DAYS)
async def test_what_is_told_is_what_the_page_says(day: str, tmp_path: Path) -> None:
    told = await asyncio.wait_for(DAYS[day](tmp_path), 30)
    for sentence in table()[day]:
        assert sentence in told, told
