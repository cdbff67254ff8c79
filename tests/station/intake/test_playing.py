"""A simulated night through an intake: all of it is taken, in order, however often it is told to come again, and counts as planned."""

from __future__ import annotations

import asyncio
import json
import os
import random
from collections.abc import Callable
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from tally_stream.audit.replay import Replay
from tally_stream.settings import load_settings
from tally_stream.station.intake import playing, taking
from tally_stream.station.intake.identity import new_token, token_line
from tally_stream.station.intake.playing import REFUSED_SHOWN_MAX, play
from tally_stream.station.intake.sending import RETRY_MAX_SECONDS, IntakeTransport
from tally_stream.station.intake.server import Intake
from tally_stream.station.receipts import StationReceipt
from tally_stream.station.simulate import Plan, every_code
from tally_stream.station.simulate_folder import write_night
from tally_stream.station.transport import NotSent, NotTaken, RefusedForGood
from tally_stream.wire.folder.assembling import load_election
from tally_stream.wire.report_log import LogRecord, ReportLog
from tests.support.preloaded import ran
from tests.support.processes import command
from tests.support.topic_of_lists import PARTITIONS, TopicOfLists

CODES = every_code(None, by_intake=True, signed=True)
PLANS = [
    Plan(40, 3, 2, tuple(c for c in CODES if c != "S6"), by_intake=True),
    Plan(40, 4, 1, CODES, signed=True, by_intake=True),
]


@pytest.mark.parametrize("plan", PLANS, ids=["plain", "signed"])
async def test_the_topic_comes_to_what_was_planned(plan: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Brokers fail at every fifth record, and the caller may send fewer than it would."""
    expected = write_night(plan, tmp_path / "night")
    election, topic, token = load_election(tmp_path / "night"), TopicOfLists(), new_token()
    topic.before = lambda count: NotSent("nobody is there") if count % 5 == 0 else None
    (tmp_path / "tokens").write_text(token_line(token, election.stations))
    (tmp_path / "token").write_text(token)
    monkeypatch.setattr(taking, "RETRY_SECONDS", 0)
    monkeypatch.setattr(playing, "pause_seconds", lambda failures, asked, chance: 0.0)
    settings = load_settings(
        bootstrap="127.0.0.1:1", intake_port=0, intake_tokens=str(tmp_path / "tokens"), intake_rate_per_minute=3
    )
    async with Intake(settings, election, lambda line: None, topic) as intake:
        transport = IntakeTransport(load_settings(intake_url=intake.address, intake_token_file=str(tmp_path / "token")))
        say: list[str] = []
        found = await play(ReportLog(tmp_path / "night" / "reports.jsonl"), transport, say.append, at_once=16)
        await transport.close()
    assert (found.taken, found.refused) == (expected["records"], 0)
    assert found.told_to_wait > 0
    assert len(say) == 1
    counted = Replay(election, "t.reports", PARTITIONS)
    for partition, records in topic.stored.items():
        for offset, (key, value) in enumerate(records):
            counted.take(LogRecord(2_000_000_000_000, key, value, partition, offset))
    verdicts = expected["verdicts"] | {"repeated": 0}
    verdicts["codes"] = {code: count for code, count in verdicts["codes"].items() if code != "Q1"}
    assert counted.verdict_counts() == verdicts, "as simulate.json has it, but for what was told that it stood there"


async def test_the_command_plays_it_and_says_what_is_missing(tmp_path: Path) -> None:
    night, token = tmp_path / "night", new_token()
    arguments = ["simulate", str(night), "--stations", "30", "--seed", "5", "--errors", "P1,Q1", "--to", "http"]
    (tmp_path / "token").write_text(token)

    async def called(*more: str, expect: int = 0) -> tuple[str, str]:
        given = {**os.environ, "TALLY_INTAKE_TOKEN_FILE": str(tmp_path / "token")}
        done = await asyncio.to_thread(ran, command(*arguments, *more), given, 60, "")
        assert done.returncode == expect, done.stderr
        return done.stdout, done.stderr

    assert "no intake: give --intake or set TALLY_INTAKE_URL" in (await called(expect=2))[1]
    expected = write_night(Plan(30, 5, 2, ("P1", "Q1"), by_intake=True), night)
    election, topic = load_election(night), TopicOfLists()
    (tmp_path / "tokens").write_text(token_line(token, sorted(election.stations)[1:]))
    settings = load_settings(bootstrap="127.0.0.1:1", intake_port=0, intake_tokens=str(tmp_path / "tokens"))
    async with Intake(settings, election, lambda line: None, topic) as intake:
        _, said = await called("--intake", intake.address, expect=1)
        assert "may not speak for station S0001; TALLY_INTAKE_TOKEN_FILE names our token" in said
        assert "run it again: what was taken counts once" in said
        (tmp_path / "tokens").write_text(token_line(token, election.stations))
        out, said = await called("--intake", intake.address, "--at-once", "4", "--rate", "5000", "--json")
    assert json.loads(out) == expected
    assert f"{expected['records']} statements were taken by {intake.address}" in said
    assert len(topic.values) == expected["records"] - expected["verdicts"]["repeated"], "what stood there was told its place"


class Recorded:
    """A transport that fails as it is told to, and records what is sent and how many at once."""

    def __init__(self, fails: Callable[[bytes], Exception | None] = lambda value: None) -> None:
        self.sent: list[tuple[bytes, bytes]] = []
        self.fails, self.under_way, self.most = fails, 0, 0

    async def send(self, key: bytes, value: bytes) -> tuple[int, int]:
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        for _ in range(int(value) % 5):
            await asyncio.sleep(0)
        self.under_way -= 1
        wrong = self.fails(value)
        if wrong is not None:
            raise wrong
        self.sent.append((key, value))
        return 0, len(self.sent)

    async def close(self) -> None: ...


def records(count: int) -> list[LogRecord]:
    return [LogRecord(0, b"S%d" % (n % 7), b"%d" % n, 0, n) for n in range(count)]


@pytest.mark.parametrize("at_once", [1, 4])
async def test_each_station_s_order_is_kept_and_no_more_than_so_many_are_under_way(
    at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    chance = random.Random(3)
    monkeypatch.setattr(playing, "pause_seconds", lambda failures, asked, chance: 0.0)
    transport = Recorded(lambda value: NotSent("no") if chance.random() < 0.4 else None)
    taken: list[int] = []
    found = await play(records(200), transport, print, at_once=at_once, on_taken=taken.append)
    assert (found.taken, taken[-1], found.told_to_wait > 50) == (200, 200, True)
    assert 1 <= transport.most <= at_once
    assert transport.most == at_once, "as many as may be"
    for station in range(7):
        values = [int(value) for key, value in transport.sent if key == b"S%d" % station]
        assert values == sorted(values)


async def test_what_is_refused_for_good_is_counted_and_a_wrong_token_ends_it() -> None:
    refused = Recorded(lambda value: RefusedForGood(f"no {int(value)}", StationReceipt("rejected")) if int(value) % 2 else None)
    found = await play(records(40), refused, print, at_once=4)
    assert (found.taken, found.refused, len(found.whys)) == (20, 20, REFUSED_SHOWN_MAX)
    with pytest.raises(NotTaken, match="no token"):
        await play(records(40), Recorded(lambda value: NotTaken("no token")), print, at_once=4)


async def test_a_pace_is_kept() -> None:
    waited: list[int] = []

    async def wait(index: int) -> None:
        waited.append(index)

    await play(records(10), Recorded(), print, at_once=4, wait=wait)
    assert waited == list(range(10))


async def test_who_is_told_to_come_again_comes_no_sooner(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[int, float | None]] = []

    def pause(failures: int, seconds: float | None, chance: float) -> float:
        asked.append((failures, seconds))
        return 0.0

    monkeypatch.setattr(playing, "pause_seconds", pause)
    wrongs = iter([NotSent("wait", 7.0), NotSent("nobody")])
    assert (await play(records(1), Recorded(lambda value: next(wrongs, None)), print, at_once=1)).taken == 1
    assert asked == [(1, 7.0), (2, None)]


@pytest.mark.parametrize(
    ("answer", "headers", "seconds"),
    [
        ({"retry_after_seconds": 9}, {}, 9.0), ({}, {"Retry-After": "4"}, 4.0), ({}, {}, None),
        ({"retry_after_seconds": "soon"}, {}, None), ({"retry_after_seconds": 10**8}, {}, RETRY_MAX_SECONDS),
    ],
)  # fmt: skip
@pytest.mark.parametrize("status", [429, 503])
async def test_what_an_intake_or_a_proxy_asks_for_is_heard(
    answer: dict[str, object], headers: dict[str, str], seconds: float | None, status: int
) -> None:
    async def answered(request: web.Request) -> web.Response:
        return web.json_response(answer, status=status, headers=headers)

    app = web.Application()
    app.router.add_post("/v1/reports", answered)
    async with TestServer(app) as server:
        transport = IntakeTransport(load_settings(intake_url=str(server.make_url("")).rstrip("/")))
        with pytest.raises(NotSent) as told:
            await transport.send(b"A-1", b"{}")
        await transport.close()
    assert told.value.retry_seconds == seconds
