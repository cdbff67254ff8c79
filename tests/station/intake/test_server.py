"""The intake over HTTP: what each request is answered, what it may cost, and that nothing acknowledged is lost."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tally_stream.settings import load_settings
from tally_stream.station.intake import rates, server, taking
from tally_stream.station.intake.identity import Identity, new_token, token_line
from tally_stream.station.intake.problems import PROBLEM_CONTENT
from tally_stream.station.intake.server import BODIES_MAX_BYTES, LINES_MAX, MANY, MANY_MAX_BYTES, ONE, Intake
from tally_stream.station.transport import NotSent
from tests.support.report_messages import ELECTION, as_bytes, counts, turnout
from tests.support.topic_of_lists import TopicOfLists, absent
from tests.support.waiting import until
from tests.support.wide_elections import election_of

TOKEN, OTHER = new_token(), new_token()
NOBODY = "127.0.0.1:1"
TAKEN = {"accept_warnings": "true", "accept_errors": "true"}


@pytest.fixture
def topic() -> TopicOfLists:
    return TopicOfLists()


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
async def served(topic: TopicOfLists, tmp_path: Path, said: list[str]) -> AsyncIterator[Intake]:
    tokens = tmp_path / "tokens"
    tokens.write_text(token_line(TOKEN, ["A-1"]) + token_line(OTHER, ["B-1"]))
    settings = load_settings(bootstrap=NOBODY, intake_port=0, intake_tokens=str(tokens), intake_rate_per_minute=5_000)
    async with Intake(settings, ELECTION, said.append, topic) as intake:
        yield intake
    assert topic.is_closed


@pytest.fixture
async def http(served: Intake) -> AsyncIterator[aiohttp.ClientSession]:
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(served.address, headers=bearer(TOKEN), connector=connector) as session:
        yield session


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


async def post(
    http: aiohttp.ClientSession, body: bytes | dict[str, Any], kind: str = ONE, params: dict[str, str] | None = None,
    **headers: str,
) -> tuple[int, Any, dict[str, str]]:  # fmt: skip
    body = body if isinstance(body, bytes) else as_bytes(body)
    asked = http.post(
        "/v1/reports", data=body, params=TAKEN if params is None else params, headers={"Content-Type": kind} | headers
    )
    async with asked as response:
        text = await response.text()
        many = response.content_type == MANY
        content = [json.loads(line) for line in text.splitlines()] if many else json.loads(text)
        assert response.content_type == (MANY if many else ONE if response.status < 400 else PROBLEM_CONTENT)
        return response.status, content, {name.lower(): value for name, value in response.headers.items()}


async def test_a_report_is_answered_with_its_place(http: aiohttp.ClientSession, served: Intake, topic: TopicOfLists) -> None:
    status, content, headers = await post(http, counts())
    assert status == 201
    place = content["partition"], content["offset"]
    assert content == {
        "station": "A-1", "sequence": "PRES", "revision": 1, "kind": "report", "topic": "tally.reports", "partition": place[0],
        "offset": place[1], "is_repeated": False, "receipt": f"/v1/receipts/{place[0]}/{place[1]}", "rules": [],
    }  # fmt: skip
    assert headers["location"] == content["receipt"]
    assert headers["cache-control"] == "no-store"
    assert headers["content-security-policy"] == "default-src 'none'; frame-ancestors 'none'"
    assert (headers["x-content-type-options"], headers["server"]) == ("nosniff", "tally-stream")
    again, repeated, _ = await post(http, counts())
    assert (again, repeated["is_repeated"], repeated["offset"]) == (200, True, place[1])
    assert topic.values == [as_bytes(counts())]
    assert (served.taken_count, served.repeated_count, served.room.used) == (1, 1, 0)


async def test_a_rule_s_word_is_a_problem_with_its_code(http: aiohttp.ClientSession, served: Intake) -> None:
    status, content, _ = await post(http, counts(votes={"ANNA": 50, "BELA": 45}), params={})
    assert (status, content["type"], content["title"]) == (422, "urn:tally-stream:intake:confirm", "It has to be confirmed")
    rule = content["rules"][0]
    assert (rule["code"], rule["severity"], rule["left"], rule["right"]) == ("A1", "error", 95, 96)
    assert "accept_errors=true" in content["detail"]
    status, content, _ = await post(http, counts(votes={"ANNA": 50}))
    assert (status, [r["code"] for r in content["rules"]]) == (422, ["S3"])
    status, content, _ = await post(http, counts(station="B-1"))
    assert (status, content["detail"]) == (403, "who calls may not speak for station B-1")
    assert (await post(http, b"nonsense"))[0] == 422
    await post(http, counts())
    assert (await post(http, counts(votes={"ANNA": 51, "BELA": 45})))[0] == 409
    assert {why: count for why, count in served.refused.items() if count} == {
        "confirm": 1, "rules": 1, "not-yours": 1, "no-statement": 1, "other-content": 1,
    }  # fmt: skip


async def test_who_is_not_known_is_asked_who_it_is(http: aiohttp.ClientSession, topic: TopicOfLists) -> None:
    for said in ("", f"Bearer {new_token()}", f"Basic {TOKEN}", "Bearer"):
        status, content, headers = await post(http, counts(), Authorization=said)
        assert (status, content["type"]) == (401, "urn:tally-stream:intake:no-identity"), said
        assert headers["www-authenticate"] == 'Bearer realm="tally-stream intake"'
    async with http.get("/v1/receipts/0/0", headers={"Authorization": ""}) as response:
        assert response.status == 401
    assert topic.values == []


@pytest.mark.parametrize(
    ("kind", "query", "status", "sentence"),
    [
        ("text/plain", {}, 415, "application/json for one statement"), (ONE, {"accept_errors": "yes"}, 400, "true or false"),
        (MANY, {"accept_warnings": ""}, 400, "true or false"),
    ],
)  # fmt: skip
async def test_a_request_that_is_none(
    http: aiohttp.ClientSession, kind: str, query: dict[str, str], status: int, sentence: str
) -> None:
    found, content, _ = await post(http, counts(), kind, query)
    assert (found, sentence in content["detail"]) == (status, True), content


async def test_what_is_not_there(http: aiohttp.ClientSession) -> None:
    for method, path, status in (
        ("GET", "/nothing", 404), ("GET", "/v1/reports", 405), ("DELETE", "/v1/reports", 405), ("GET", "/v1/receipts/x/1", 400),
        ("GET", "/v1/receipts/1/-1", 400), ("GET", f"/v1/receipts/1/{'9' * 19}", 400),
    ):  # fmt: skip
        async with http.request(method, path) as response:
            assert (response.status, response.content_type) == (status, PROBLEM_CONTENT), (method, path)
            assert status != 405 or "POST" in response.headers["Allow"]


async def test_ten_megabytes_are_refused_unread(http: aiohttp.ClientSession, served: Intake, topic: TopicOfLists) -> None:
    async def endless(size: int) -> AsyncIterator[bytes]:
        for _ in range(size // 65_536):
            yield b" " * 65_536

    for kind, most in ((ONE, 65_536), (MANY, MANY_MAX_BYTES)):
        for body in (io.BytesIO(b" " * 10_000_000), endless(10_000_000)):
            try:
                async with http.post("/v1/reports", data=body, headers={"Content-Type": kind}) as response:
                    assert response.status == 413
                    assert (await response.json(content_type=None))["detail"] == f"at most {most:,} bytes are read"
            except aiohttp.ClientConnectionError:
                pass  # it was still writing when it was told: the connection is closed on it
    await until(lambda: served.room.used == 0, "no body in memory")
    assert served.refused["too-large"] == 4
    assert topic.values == []
    assert (await post(http, counts()))[0] == 201, "the next is served"


async def test_many_are_answered_one_by_one_in_their_order(http: aiohttp.ClientSession, topic: TopicOfLists) -> None:
    given = [turnout(revision=n + 1) for n in range(450)]
    lines = [as_bytes(one) for one in given]
    lines[7], lines[8] = b"nonsense", as_bytes(counts(station="B-1"))
    body = b"\n\n".join(lines) + b"\r\n \n"
    status, answers, _ = await post(http, body, MANY)
    assert status == 200
    assert [answer["line"] for answer in answers] == list(range(1, 451))
    assert [answer["status"] for answer in answers] == [201] * 7 + [422, 403] + [201] * 441
    assert topic.values == [*lines[:7], *lines[9:]], "no revision overtakes another"
    assert (await post(http, b"", MANY))[1] == []


async def test_what_stands_behind_one_that_was_not_taken_is_not_sent(
    http: aiohttp.ClientSession, served: Intake, topic: TopicOfLists, tmp_path: Path
) -> None:
    """A correction that is counted needs what it replaces before it. Other stations do not wait."""
    (tmp_path / "tokens").write_text(token_line(TOKEN, ["A-1", "B-1"]))
    corrected = counts(revision=2, kind="correct", replaces=1, reason="misread", authority="it")
    given = [counts(), counts(station="B-1"), corrected, *(turnout(revision=n + 1) for n in range(300))]
    lines = b"\n".join(as_bytes(one) for one in given)
    topic.before = lambda count: NotSent("nobody is there") if count == 1 else None
    answers = (await post(http, lines, MANY))[1]
    assert [answer["status"] for answer in answers] == [503, 201, *[503] * 301]
    assert {answer["type"] for answer in answers[2:]} == {"urn:tally-stream:intake:brokers"}
    assert "send both again, in this order" in answers[2]["detail"]
    assert answers[2]["retry_after_seconds"] == 5
    assert topic.values == [as_bytes(counts(station="B-1"))]
    assert {answer["status"] for answer in (await post(http, lines, MANY))[1]} == {200, 201}
    assert [value for value in topic.values if b'"A-1"' in value] == [as_bytes(given[0]), *map(as_bytes, given[2:])]


async def test_more_lines_than_are_read(http: aiohttp.ClientSession, topic: TopicOfLists) -> None:
    assert (await post(http, b"x\n" * (LINES_MAX + 1), MANY))[0] == 413
    status, answers, _ = await post(http, b"x\n" * LINES_MAX, MANY)
    assert (status, len(answers)) == (200, LINES_MAX)
    assert topic.values == []


async def test_brokers_that_are_gone(http: aiohttp.ClientSession, topic: TopicOfLists, said: list[str]) -> None:
    topic.before = absent
    status, content, headers = await post(http, counts())
    assert (status, content["type"], headers["retry-after"]) == (503, "urn:tally-stream:intake:brokers", "5")
    async with http.get("/readyz", headers={"Authorization": ""}) as response:
        assert (response.status, await response.json()) == (503, {"ready": False})
    assert said == ["nobody is there"]
    topic.before = lambda count: None
    assert (await post(http, counts()))[0] == 201
    async with http.get("/livez") as response:
        assert response.status == 200


async def test_who_sends_too_many_is_told_when_to_come_again(
    http: aiohttp.ClientSession, served: Intake, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]
    monkeypatch.setattr(served, "rates", rates.Rates(2, lambda: now[0]))
    lines = b"\n".join(as_bytes(turnout(revision=n + 1)) for n in range(3))
    answers: list[dict[str, Any]] = (await post(http, lines, MANY))[1]
    assert [answer["status"] for answer in answers] == [201, 201, 429]
    status, content, headers = await post(http, turnout(revision=3))
    assert (status, content["retry_after_seconds"], headers["retry-after"]) == (429, 30, "30")
    assert (await post(http, turnout(station="B-1"), Authorization=f"Bearer {OTHER}"))[0] == 201, (
        "another caller is not held up"
    )
    now[0] = 30.0
    assert (await post(http, turnout(revision=3)))[0] == 201


def test_a_bucket_is_full_after_a_minute_and_larger_for_who_speaks_for_more() -> None:
    now = [0.0]
    buckets = rates.Rates(10, lambda: now[0])
    one, two = Identity("one", frozenset({"A-1"})), Identity("two", frozenset({"A-1", "B-1"}))
    assert [buckets.take(one) for _ in range(11)] == [0] * 10 + [6]
    assert [buckets.take(two) for _ in range(21)] == [0] * 20 + [3]
    now[0] = 5.9
    assert buckets.take(one) == 1
    now[0] = 6.0
    assert (buckets.take(one), buckets.take(one)) == (0, 6)
    now[0] = 1_000.0
    assert [buckets.take(one) for _ in range(11)][-2:] == [0, 6]


async def test_a_body_that_does_not_come(http: aiohttp.ClientSession, served: Intake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "BODY_SECONDS", 0.05)
    stop = asyncio.Event()

    async def slow() -> AsyncIterator[bytes]:
        yield b"{"
        await stop.wait()

    async with http.post("/v1/reports", data=slow(), headers={"Content-Type": ONE}) as response:
        assert response.status == 408
    stop.set()
    assert served.room.used == 0


async def test_bodies_have_room_together(http: aiohttp.ClientSession, served: Intake) -> None:
    assert served.room.take(BODIES_MAX_BYTES - 10)
    status, content, headers = await post(http, counts())
    assert (status, content["type"], headers["retry-after"]) == (503, "urn:tally-stream:intake:busy", "5")
    served.room.give_back(BODIES_MAX_BYTES - 10)
    assert (await post(http, counts()))[0] == 201


async def test_a_thousand_at_once_are_taken_or_told_to_come_again_and_none_is_lost(
    topic: TopicOfLists, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when brokers come back: 300 may wait here, each of the others comes again until it is through."""
    monkeypatch.setattr(taking, "UNDER_WAY_MAX", 300)
    election = election_of(regions=10, towns=100, contests=1)
    stations = list(election.stations)
    (tmp_path / "tokens").write_text(token_line(TOKEN, stations))
    settings = load_settings(bootstrap=NOBODY, intake_port=0, intake_tokens=str(tmp_path / "tokens"))
    gate = asyncio.Event()
    sending = topic.send
    most = 0

    async def send(key: bytes, value: bytes) -> tuple[int, int]:
        await gate.wait()
        return await sending(key, value)

    topic.send = send  # type: ignore[method-assign]
    statuses: list[int] = []

    async def client(http: aiohttp.ClientSession, station: str) -> tuple[int, int]:
        nonlocal most
        while True:
            message = turnout(station=station, election=election.id, phase="test", voted=1)
            status, content, headers = await post(http, message)
            most = max(most, busy_one.taking.under_way_count)
            statuses.append(status)
            if status in (200, 201):
                return content["partition"], content["offset"]
            assert (status, headers["retry-after"]) == (503, "5"), content
            gate.set()
            await until(lambda: busy_one.taking.under_way_count == 0, "room")

    async with (
        Intake(settings, election, print, topic) as busy_one,
        aiohttp.ClientSession(
            busy_one.address, headers=bearer(TOKEN), connector=aiohttp.TCPConnector(limit=0)
        ) as http,
    ):  # fmt: skip
        places = await asyncio.gather(*(client(http, station) for station in stations))
        assert (busy_one.room.used, busy_one.taking.under_way_count) == (0, 0)
    assert len(set(places)) == len(topic.values) == len(stations) == 1_000, "each has a place of its own"
    assert {key for records in topic.stored.values() for key, _ in records} == {station.encode() for station in stations}
    assert most <= 300
    assert statuses.count(503) >= 700


async def test_no_traceback_leaves_the_process(
    http: aiohttp.ClientSession, served: Intake, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_: object, **__: object) -> None:
        raise RuntimeError("secret at line 7")

    monkeypatch.setattr(served.taking, "take", broken)
    status, content, _ = await post(http, counts())
    assert (status, content["detail"]) == (500, "the intake failed at this: send it again, it counts once")
    assert said == ["POST '/v1/reports': RuntimeError: secret at line 7"]
