"""The nginx example for the intake, started before two real intakes over a topic of lists: who comes back to which of them, what is
said where they are gone, and that their answers pass as they are."""

from __future__ import annotations

import asyncio
import io
import re
import ssl
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tally_stream.settings import load_settings
from tally_stream.station.intake.identity import new_token, token_line
from tally_stream.station.intake.problems import PROBLEM_CONTENT, PROBLEMS
from tally_stream.station.intake.server import MANY, MANY_MAX_BYTES, ONE, Intake
from tests.deploy.files import program, run
from tests.deploy.nginx import NGINX, Nginx
from tests.support.processes import said_in
from tests.support.report_messages import ELECTION, as_bytes, counts
from tests.support.topic_of_lists import TopicOfLists
from tests.support.waiting import until

CONF = NGINX / "intake.conf"
BROWSERS, LOOKS = 12, 5
TOKEN = new_token()


def before(directory: Path, *intakes: str) -> Nginx:
    """The example before intakes at these (host:port)."""
    servers = [f"server {intake} max_fails=2 fail_timeout=5s;" for intake in intakes]
    return Nginx(
        directory, CONF, ("server 127.0.0.1:8090 max_fails=2 fail_timeout=5s;", "\n    ".join(servers)),
        ("/var/log/nginx/tally-intake.log", str(directory / "access.log")),
    )  # fmt: skip


class Scene:
    """Two intakes behind nginx. `end` ends one of them."""

    def __init__(self, nginx: Nginx, intakes: dict[str, AsyncExitStack]) -> None:
        self.nginx, self.intakes = nginx, intakes
        self._trusts = ssl.create_default_context(cafile=nginx.certificate)

    def caller(self, **headers: str) -> aiohttp.ClientSession:
        """With a jar of cookies of its own, as a browser has one."""
        return aiohttp.ClientSession(
            f"https://127.0.0.1:{self.nginx.port}", headers=headers, cookie_jar=aiohttp.CookieJar(unsafe=True),
            connector=aiohttp.TCPConnector(ssl=self._trusts),
        )  # fmt: skip

    async def end(self, *addresses: str) -> None:
        for address in addresses:
            await self.intakes[address].aclose()

    async def asked(self, count: int) -> list[str]:
        """Which intake each of so many requests came to."""
        await until(lambda: said_in(self.nginx.directory / "access.log").count("\n") >= count, "nginx's log")
        return re.findall(r" to=(\S+)$", said_in(self.nginx.directory / "access.log"), re.MULTILINE)


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    program("nginx")
    (tmp_path / "tokens").write_text(token_line(TOKEN, ["A-1"]))
    settings = load_settings(
        bootstrap="127.0.0.1:1", intake_port=0, intake_tokens=str(tmp_path / "tokens"), intake_rate_per_minute=1_000
    )
    intakes: dict[str, AsyncExitStack] = {}
    async with AsyncExitStack() as whole:
        for _ in range(2):
            stack = await whole.enter_async_context(AsyncExitStack())
            served = await stack.enter_async_context(Intake(settings, ELECTION, lambda line: None, TopicOfLists()))
            intakes[served.address.removeprefix("http://")] = stack
        with before(tmp_path / "nginx", *intakes) as nginx:
            yield Scene(nginx, intakes)


async def signed_in(browser: aiohttp.ClientSession) -> bool:
    async with browser.get("/") as page:
        assert page.status == 200
        return 'class="reports"' in await page.text()


async def sign_in(browser: aiohttp.ClientSession) -> None:
    assert not await signed_in(browser)
    async with browser.post("/login", data={"token": TOKEN, "to": "/"}) as page:
        assert page.status == 200


def test_nginx_finds_no_mistake_in_it_and_it_may_stand_beside_the_board_s(tmp_path: Path) -> None:
    nginx = before(tmp_path / "nginx", "127.0.0.1:8090")
    said = run(program("nginx"), "-t", "-c", nginx.main)
    assert "test is successful" in said
    assert "warn" not in said
    zones = [
        re.findall(r"(?:zone=|shared:|^upstream |^log_format )(\w+)", path.read_text(), re.M) for path in NGINX.glob("*.conf")
    ]
    assert len(zones) == 2
    assert not set(zones[0]) & set(zones[1])


async def test_a_browser_comes_back_to_where_it_signed_in_and_all_intakes_have_some(scene: Scene) -> None:
    for _ in range(BROWSERS):
        async with scene.caller() as browser:
            await sign_in(browser)
            assert [await signed_in(browser) for _ in range(LOOKS)] == [True] * LOOKS
    asked = await scene.asked(BROWSERS * (LOOKS + 3))  # a look before, the token, and where that leads
    assert set(asked) == set(scene.intakes)


async def test_a_program_comes_to_the_intake_that_knows_what_it_sent(scene: Scene) -> None:
    answers = []
    for _ in range(8):
        async with (
            scene.caller(Authorization=f"Bearer {TOKEN}") as program,
            program.post("/v1/reports?accept_warnings=true", data=as_bytes(counts()), headers={"Content-Type": ONE}) as answer,
        ):
            answers.append(answer.status)
            assert "Set-Cookie" not in answer.headers
    assert answers == [201, *[200] * 7], "the other one would have sent it again"


async def test_where_an_intake_is_gone_another_one_answers_and_where_all_are_that_is_said(scene: Scene) -> None:
    async with scene.caller() as browser:
        await sign_in(browser)
        where = (await scene.asked(3))[-1]
        await scene.end(where)
        assert not await signed_in(browser), "the other one does not know the session"
        await sign_in(browser)
        await scene.end(*scene.intakes.keys() - {where})
        async with browser.get("/") as answer:
            told: dict[str, Any] = await answer.json(content_type=PROBLEM_CONTENT)
    assert (answer.status, answer.headers["Retry-After"]) == (503, "5")
    assert told["type"] == "urn:tally-stream:intake:busy"
    assert (told["status"], told["title"]) == PROBLEMS["busy"]


async def test_answers_pass_as_they_are_and_what_is_for_operators_does_not(scene: Scene) -> None:
    async with scene.caller() as browser:
        async with browser.get("/") as page:
            for name in ("Content-Security-Policy", "X-Content-Type-Options", "Strict-Transport-Security", "Referrer-Policy"):
                assert len(page.headers.getall(name)) == 1, name
            (given,) = page.headers.getall("Set-Cookie")
            assert re.fullmatch(r"tally_way=[0-9a-f]{32}; Path=/; HttpOnly; Secure; SameSite=Strict", given)
        async with browser.post("/login", data={"token": TOKEN, "to": "/"}, allow_redirects=False) as login:
            assert ["; Secure" in cookie for cookie in login.headers.getall("Set-Cookie")] == [True], "and no second way"
        for path in ("/livez", "/readyz"):
            async with browser.get(path) as answer:
                assert answer.status == 404, path
    async with scene.caller(Authorization=f"Bearer {TOKEN}") as program:
        for body, kind, why in ((b"nonsense", ONE, "no-statement"), (b"x" * (MANY_MAX_BYTES + 1), MANY, "too-large")):
            async with program.post("/v1/reports", data=io.BytesIO(body), headers={"Content-Type": kind}) as answer:
                told = await answer.json(content_type=PROBLEM_CONTENT)
                assert (answer.status, told["type"]) == (PROBLEMS[why][0], f"urn:tally-stream:intake:{why}")


async def test_a_flood_from_one_address_is_told_to_wait_in_the_intake_s_own_form(scene: Scene) -> None:
    flood = ("--http2", "--parallel", "--parallel-max", "40", "--include")
    said = await asyncio.to_thread(scene.nginx.curl, *flood, path="/clerk/none?[1-500]")
    codes = re.findall(r"HTTP/2 (\d{3})", said)
    assert set(codes) == {"404", "429"}
    assert said.count('"type":"urn:tally-stream:intake:too-many"') == said.lower().count("retry-after: 5") > 0
