"""The authority's desk on the board: what it shows, and who may look."""

from __future__ import annotations

import base64
import json
import os
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer

from tally_stream.board.operator_desk import CASES_PAGE
from tally_stream.settings import SettingsError, load_settings
from tally_stream.wire.report_log import LogRecord
from tests.board.told import CLOSE_MS, ToldBoard, statement
from tests.support.preloaded import ran
from tests.support.processes import command

TOKEN = "a token of 20 characters and more ç"
PATH = "/operator/held"


def wrong(
    station: str, *, contest: str = "PRES", revision: int = 1, at_ms: int = CLOSE_MS + 3_600_000, phase: str = "test"
) -> LogRecord:
    """A report that is held: more valid ballots than were cast."""
    votes = (3, 2) if contest == "PRES" else (1, 1)
    good = statement(contest, station, revision, "report", votes, phase=phase, at_ms=at_ms)
    content = json.loads(good.value or b"")
    content["ballots"]["cast"] -= 1
    return LogRecord(at_ms, good.key, json.dumps(content).encode(), 0, 0)


@pytest.fixture
def told(tmp_path: Path) -> ToldBoard:
    return ToldBoard(tmp_path, board_operator=True)


Client = TestClient[Any, Any]


@pytest.fixture
async def client(told: ToldBoard) -> AsyncIterator[Client]:
    async with TestClient(TestServer(told.board.application())) as client:
        yield client


async def test_cases_are_shown_with_what_they_need(told: ToldBoard, client: Client) -> None:
    told.take(
        statement("PRES", "S1", 1, "report", (3, 2)), wrong("S2"), statement("PRES", "S1", 1, "report", (2, 3)),
        wrong("S3", contest="SEAT"),
    )  # fmt: skip
    answer = await client.get(PATH)
    text = re.sub(r"\s+", " ", await answer.text())
    assert (answer.status, answer.headers["Cache-Control"]) == (200, "no-store")
    assert "script-src" not in answer.headers["Content-Security-Policy"]
    assert "3 cases wait, the oldest first." in text
    assert re.findall(r"<h2><bdi>(\w+)</bdi>", text) == ["S2", "S1", "S3"]
    for said in (
        "<strong>A2</strong> valid, blank and invalid add up to 5, cast are 4",
        "<strong>Q3</strong> two different statements",
        "<code>tally-stream authority accept --contest PRES --station S2 --reason … --authority …</code>",
        '<th scope="row"><bdi>ANNA</bdi></th><td class="n">3</td><td class="n">2</td><td class="n">-1</td>',
        "in force (revision 1)",
        "refused (revision 1)",
    ):
        assert said in text
    listed = await (await client.get(f"{PATH}.json?contest=SEAT")).json()
    assert (listed["found"], [case["station"] for case in listed["cases"]]) == (1, ["S3"])
    told.take(statement("PRES", "S2", 2, "report", (3, 2)))
    assert (await (await client.get(f"{PATH}.json?contest=PRES")).json())["found"] == 1


async def test_texts_are_never_markup(told: ToldBoard, client: Client) -> None:
    told.take(wrong("S1"))
    text = await (await client.get(f"{PATH}?contest=PRES&x=<b>'")).text()
    assert "<b>" not in text
    refused = await client.get(f"{PATH}?contest=%3Cb%3E%0A")
    assert (refused.status, await refused.json()) == (404, {"error": "there is no contest '<b>\\n'"})


async def test_a_long_list_comes_in_pages(told: ToldBoard, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    told.take(*(wrong(f"S{n}", contest=contest) for contest in ("PRES", "SEAT") for n in range(1, 9)))
    monkeypatch.setattr("tally_stream.board.operator_desk.CASES_PAGE", 10)
    text = await (await client.get(PATH)).text()
    assert len(re.findall("<h2>", text)) == 10
    (link,) = re.findall(r'href="([^"]+)">6 more', text)
    assert len(re.findall("<h2>", await (await client.get(link)).text())) == 6
    assert (await client.get(f"{PATH}?from=x")).status == 400
    assert CASES_PAGE == 50


async def test_a_board_that_was_not_told_to_has_no_desk(tmp_path: Path) -> None:
    async with TestClient(TestServer(ToldBoard(tmp_path).board.application())) as client:
        assert (await client.get(PATH)).status == 404
        assert (await client.get(f"{PATH}.json")).status == 404


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "board.example.org"},
        {"Host": "10.0.0.1:8080"},
        {"Host": ""},
        {"X-Forwarded-For": "198.51.100.7"},
        {"Forwarded": "for=198.51.100.7"},
        {"Via": "1.1 proxy"},
    ],
)
async def test_without_a_token_only_this_machine_looks_and_through_no_proxy(client: Client, headers: dict[str, str]) -> None:
    """A page of another site leads its reader's browser here by a name of its own; a proxy on this machine serves the public."""
    for path in (PATH, f"{PATH}.json"):
        answer = await client.get(path, headers=headers)
        assert answer.status == 403
        assert (await answer.json())["error"].startswith("without a token only this very machine may look")
        assert "Access-Control-Allow-Origin" not in answer.headers
    assert (await client.get(PATH, headers={"Host": "localhost:1"})).status == 200
    assert (await client.get(PATH, headers={"Host": "[::1]:1"})).status == 200


async def test_with_a_token_whoever_has_it_looks(tmp_path: Path) -> None:
    told = ToldBoard(tmp_path, board_operator=True, board_operator_token=TOKEN, board_host="0.0.0.0")
    basic = base64.b64encode(f"anybody:{TOKEN}".encode()).decode()
    async with TestClient(TestServer(told.board.application())) as client:
        for said in (f"Basic {basic}", f"bearer {TOKEN}"):
            headers = {"Authorization": said, "Host": "board.example.org", "X-Forwarded-For": "198.51.100.7"}
            assert (await client.get(PATH, headers=headers)).status == 200
        for said in (f"Bearer {TOKEN}x", "Bearer ", "Basic !", f"Basic {basic[:-6]}", "Digest x", ""):
            answer = await client.get(PATH, headers={"Authorization": said})
            assert answer.status == 401
            assert answer.headers["WWW-Authenticate"].startswith("Basic realm=")


async def test_no_counts_before_the_close(tmp_path: Path) -> None:
    told = ToldBoard(tmp_path, phase="official", board_operator=True)
    told.take(wrong("S1", at_ms=CLOSE_MS - 3_600_000, phase="official"))
    async with TestClient(TestServer(told.board.application())) as client:
        text = await (await client.get(PATH)).text()
        assert "<strong>A2</strong> </li>" in text
        assert "<table>" not in text


async def test_a_fold_that_stopped_is_said(told: ToldBoard, client: Client) -> None:
    told.board.stations.failure = "stopped at partition 0"
    answer = await client.get(PATH)
    assert (answer.status, await answer.json()) == (503, {"error": "the stations can't be shown: stopped at partition 0"})
    assert answer.headers["Retry-After"]


def refused(**settings: object) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        load_settings(**settings)
    return caught.value.errors


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.1", "board.example.org", ""])
def test_it_is_never_open_to_a_network_without_a_token(host: str) -> None:
    (said,) = refused(board_operator=True, board_host=host)
    assert said.startswith(f"TALLY_BOARD_OPERATOR: the board listens at {host}, open to the network: give the desk a token")
    load_settings(board_operator=True, board_host=host, board_operator_token=TOKEN)
    load_settings(board_host=host)


def test_such_a_board_does_not_start() -> None:
    words = ("board", "--election", "az-2024", "--operator", "--host", "0.0.0.0", "--bootstrap", "127.0.0.1:9")
    done = ran(command(*words), os.environ, 60)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("open to the network: give the desk a token") == 1


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "localhost"])
def test_on_this_machine_it_needs_none(host: str) -> None:
    load_settings(board_operator=True, board_host=host)


def test_a_token_that_could_be_guessed_is_refused_and_one_in_a_file_is_read(tmp_path: Path) -> None:
    assert refused(board_operator_token="x" * 19) == [
        "TALLY_BOARD_OPERATOR_TOKEN: has less than 20 characters, and could be guessed"
    ]
    file = tmp_path / "token"
    file.write_text(f"{TOKEN}\n")
    file.chmod(0o600)
    settings = load_settings(board_operator=True, board_host="::", board_operator_token_file=str(file))
    assert settings.board_operator_token is not None
    assert (settings.board_operator_token.get_secret_value(), settings.warnings) == (TOKEN, [])
    file.chmod(0o644)
    assert "every user of this machine may read" in load_settings(board_operator_token_file=str(file)).warnings[0]
    assert "both given" in refused(board_operator_token=TOKEN, board_operator_token_file=str(file))[0]
    file.write_text("")
    assert refused(board_operator_token_file=str(file)) == [
        f"TALLY_BOARD_OPERATOR_TOKEN_FILE: {file} must hold one line, the secret alone"
    ]
