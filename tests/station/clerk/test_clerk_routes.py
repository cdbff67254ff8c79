"""The clerk's page as a browser without scripts has it: sign in, type, be told, confirm, send, receipt."""

from __future__ import annotations

import html
import json
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientResponse
from aiohttp.test_utils import TestClient, TestServer

from tally_stream.domain.election import Signatures
from tally_stream.settings import load_settings
from tally_stream.station.intake.clerk_routes import COOKIE, FORM_MAX_BYTES
from tally_stream.station.intake.identity import new_token, token_line
from tally_stream.station.intake.server import Intake
from tally_stream.station.receipts import StationReceipt
from tests.support.clerk_election import HOSTILE
from tests.support.clerk_scene import ClerkScene
from tests.support.report_messages import election as signing_election
from tests.support.signing import signing_key
from tests.support.small_elections import COUNTED_AT

SHEET = "/station/A-1/MAYOR"
TURNOUT = "/station/A-1/turnout"
GOOD = {
    "cast": "100", "valid": "96", "blank": "2", "invalid": "2", "votes ANNA": "50", "votes EVIL": "46",
    "counted_at": COUNTED_AT, "do": "send",
}  # fmt: skip
ODD = GOOD | {"cast": "107", "invalid": "9"}
P1 = "P1 9 107"


class Clerk:
    """One browser without scripts: `form` is what the page's own hidden fields say."""

    def __init__(self, scene: ClerkScene, client: TestClient[Any, Any]) -> None:
        self.scene, self.client = scene, client

    async def login(self, **more: str) -> ClientResponse:
        return await self.client.post("/login", data={"token": self.scene.token, **more}, allow_redirects=False)

    async def form(self, path: str = SHEET) -> dict[str, str]:
        text = await (await self.client.get(path)).text()
        return {name: fields(text)[name] for name in ("csrf", "revision", "zone")}

    async def send(self, given: dict[str, str] | list[tuple[str, str]], path: str = SHEET) -> tuple[int, str, str]:
        """Status, where it leads, text."""
        answer = await self.client.post(path, data=given, allow_redirects=False)
        return answer.status, answer.headers.get("Location", ""), await answer.text()


def fields(text: str) -> dict[str, str]:
    found = re.findall(r'<input [^>]*?name="([^"]*)" value="([^"]*)"', text)
    return {html.unescape(name): html.unescape(value) for name, value in found}


@pytest.fixture
async def clerk(tmp_path: Path) -> AsyncIterator[Clerk]:
    scene = ClerkScene(tmp_path)
    async with TestClient(TestServer(scene.application())) as client:
        yield Clerk(scene, client)


async def test_a_report_is_sent_and_has_a_receipt_that_changes(clerk: Clerk) -> None:
    await clerk.login()
    status, receipt, _ = await clerk.send({**await clerk.form(), **GOOD})
    assert (status, receipt) == (303, f"{SHEET}/receipt/0/0")
    (value,) = clerk.scene.transport.sent
    assert json.loads(value)["votes"] == {"ANNA": 50, "EVIL": 46}
    text = await (await clerk.client.get(receipt)).text()
    assert "Sent. It is not known yet what became of it." in text
    assert 'data-final="false"' in text
    clerk.scene.receipts[0] = StationReceipt("held", ("A1",), ("the votes add up to 97",))
    text = await (await clerk.client.get(receipt)).text()
    assert "Held when it was read: it is not counted unless the authority has accepted it since." in text
    assert "the votes add up to 97" in text
    assert 'data-final="true"' in text


async def test_turnout_is_sent_as_often_as_it_is_known_and_beside_the_count(clerk: Clerk) -> None:
    await clerk.login()
    assert f'<a href="{TURNOUT}">Turnout so far</a>' in await (await clerk.client.get(SHEET)).text()
    form = await clerk.form(TURNOUT)
    status, _, text = await clerk.send({**form, "voted": "4l2", "as_of": "", "do": "send"}, TURNOUT)
    assert status == 422
    assert '<a href="#q0">Voters who have taken part</a>: Digits alone' in text
    assert '<a href="#q1">Up to what time</a>: This has to be filled in.' in text
    for revision, voted in ((1, "412"), (2, "733")):
        answer = await clerk.send({**await clerk.form(TURNOUT), "voted": voted, "as_of": COUNTED_AT, "do": "send"}, TURNOUT)
        assert answer[:2] == (303, f"{TURNOUT}/receipt/0/{revision - 1}")
    told = [json.loads(value) for value in clerk.scene.transport.sent]
    assert [(t["kind"], t["station"], t["revision"], t["voted"], t["as_of"]) for t in told] == [
        ("turnout", "A-1", 1, 412, COUNTED_AT), ("turnout", "A-1", 2, 733, COUNTED_AT),
    ]  # fmt: skip
    text = await (await clerk.client.get(f"{TURNOUT}/receipt/0/1")).text()
    assert "<dt>Voters who have taken part</dt><dd>733</dd>" in text
    assert (await clerk.client.get(f"{SHEET}/receipt/0/1")).status == 404, "no receipt of a count"
    assert (await clerk.form())["revision"] == "1", "the count's own"


@pytest.mark.parametrize(("signatures", "status"), [("optional", 303), ("required", 422)])
async def test_an_unsigned_report_is_sent_unless_it_must_be_signed(tmp_path: Path, signatures: Signatures, status: int) -> None:
    of = signing_election(signatures=signatures, keys=[signing_key("ALL")])
    scene = ClerkScene(tmp_path, of, ("A-1",))
    given = {"cast": "100", "valid": "96", "blank": "2", "invalid": "2", "votes ANNA": "50", "votes BELA": "46"}
    async with TestClient(TestServer(scene.application())) as client:
        clerk, path = Clerk(scene, client), "/station/A-1/PRES"
        await clerk.login()
        text = await (await client.get(path)).text()
        answer = await clerk.send({**GOOD, **await clerk.form(path), **given}, path)
    assert answer[0] == status, answer[2]
    assert ("takes signed reports only" in text) == ("takes signed reports only" in answer[2]) == (status == 422)
    assert len(scene.transport.sent) == (status == 303)


async def test_the_same_form_twice_is_one_report_and_another_one_under_its_revision_none(clerk: Clerk) -> None:
    await clerk.login()
    form = {**await clerk.form(), **GOOD}
    first = await clerk.send(form)
    assert await clerk.send(form) == first, "as after a page that was loaded again"
    status, _, text = await clerk.send({**form, "votes ANNA": "49", "votes EVIL": "47"})
    assert status == 409
    assert "sent already, with other figures" in text
    assert "From here, revision 1 was sent already." in text
    assert f'<a href="{first[1]}">Receipt</a>' in text
    assert fields(text)["revision"] == "2"
    assert fields(text)["votes ANNA"] == "49", "what was typed is there"
    assert len(clerk.scene.transport.sent) == 1


async def test_what_is_wrong_stands_beside_its_field_and_above_all(clerk: Clerk) -> None:
    await clerk.login()
    status, _, text = await clerk.send({**await clerk.form(), **GOOD, "valid": "", "votes EVIL": "4x"})
    assert status == 422
    assert '<a href="#q2">Valid ballots</a>: This has to be filled in.' in text
    assert re.search(r'id="q2-problem">This has to be filled in[^<]*</p><input id="q2" name="valid" value=""', text)
    assert re.search(r'name="valid"[^>]*aria-describedby="q2-problem" aria-invalid="true"', text)
    assert 'value="4x"' in text
    assert clerk.scene.transport.sent == []


async def test_a_warning_is_confirmed_beside_its_field_with_its_figures(clerk: Clerk) -> None:
    await clerk.login()
    form = await clerk.form()
    status, _, text = await clerk.send({**form, **ODD})
    assert status == 422
    assert '<input type="checkbox" id="rule-P1" name="confirm" value="P1 9 107">' in text
    assert "9 invalid of 107 ballots cast." in text
    other = {**form, **ODD, "cast": "108", "invalid": "10", "confirm": P1}
    assert (await clerk.send(other))[0] == 422, "that was confirmed of other figures"
    assert clerk.scene.transport.sent == []
    assert (await clerk.send({**form, **ODD, "confirm": P1}))[0] == 303


async def test_what_contradicts_itself_is_sent_to_be_held_only_with_a_yes(clerk: Clerk) -> None:
    await clerk.login()
    form = {**await clerk.form(), **GOOD, "cast": "101"}
    status, _, text = await clerk.send(form)
    assert status == 422
    assert "It would be held, not counted:" in text
    assert (await clerk.send({**form, "confirm": "A2 100 101"}))[0] == 303


async def test_a_correction_names_what_it_replaces_and_is_asked_about_where_that_is_not_in_force(clerk: Clerk) -> None:
    await clerk.login()
    await clerk.send({**await clerk.form(), **GOOD})
    why = {"replaces": "7", "reason": 'two "figures" swapped', "authority": "district board"}
    corrected = GOOD | {"votes ANNA": "51", "votes EVIL": "45"} | why
    status, _, text = await clerk.send({**await clerk.form(), **corrected})
    assert (status, "<details open>" in text) == (422, True)
    assert "replaces 7, in force is revision 1" in html.unescape(text)
    del corrected["reason"]
    assert (await clerk.send({**await clerk.form(), **corrected | {"replaces": "1"}}))[0] == 422
    corrected |= why | {"replaces": "1"}
    sent = [*(await clerk.form()).items(), *corrected.items(), ("confirm", "Q6 45 46")]
    status, receipt, text = await clerk.send(sent)
    assert (status, len(clerk.scene.transport.sent)) == (303, 2), text
    said = json.loads(clerk.scene.transport.sent[1])
    assert [said[name] for name in ("kind", "revision", "replaces", "reason", "authority")] == [
        "correct", 2, 1, why["reason"], why["authority"],
    ]  # fmt: skip
    shown = await (await clerk.client.get(receipt)).text()
    assert "two &quot;figures&quot; swapped" in shown
    ordered = corrected | {"replaces": "3", "votes ANNA": "52", "votes EVIL": "44"}  # 3: an order, which no intake has taken
    _, _, text = await clerk.send({**await clerk.form(), **ordered})
    confirmed = [("confirm", value) for value in re.findall(r'name="confirm" value="([^"]*)"', text)]
    assert (await clerk.send([*(await clerk.form()).items(), *ordered.items(), *confirmed]))[0] == 303
    assert json.loads(clerk.scene.transport.sent[2])["revision"] == 4


async def test_a_contest_of_several_votes_asks_for_those_not_given(clerk: Clerk) -> None:
    await clerk.login()
    path = "/station/A-2/BOARD"
    votes = {"votes CLEO": "90", "votes DORA": "60", "undervotes": "42", "overvotes": "0"}
    kept = {name: value for name, value in GOOD.items() if not name.startswith("votes ")}
    assert (await clerk.send({**await clerk.form(path), **kept, **votes}, path))[0] == 303
    assert json.loads(clerk.scene.transport.sent[0])["ballots"]["undervotes"] == 42


# -- trouble ---------------------------------------------------------------------------------------------------------


async def test_without_brokers_the_form_comes_back_with_what_was_typed(clerk: Clerk) -> None:
    await clerk.login()
    clerk.scene.transport.is_up = False
    form = {**await clerk.form(), **ODD, "confirm": P1}
    status, _, text = await clerk.send(form)
    assert status == 503
    assert "the count does not answer" in text
    assert fields(text)["votes ANNA"] == "50"
    assert 'value="P1 9 107" checked' not in text, "nothing to confirm is shown where nothing is asked"
    clerk.scene.transport.is_up = True
    assert (await clerk.send(form))[0] == 303


async def test_signed_out_meanwhile_nothing_typed_is_lost(clerk: Clerk) -> None:
    await clerk.login()
    form = {**await clerk.form(), **GOOD}
    clerk.client.session.cookie_jar.clear()
    status, _, text = await clerk.send(form)
    assert status == 401
    assert "What you typed is kept" in text
    assert "?lang=ru" not in text, "another language would lead away from what was typed"
    hidden = {name: value for name, value in fields(text).items() if name == "to" or name.startswith("kept ")}
    again = await clerk.login(**hidden)
    found = fields(await again.text())
    assert again.status == 200
    assert {name: found[name] for name in GOOD if name != "do"} == {n: v for n, v in GOOD.items() if n != "do"}
    assert (await clerk.send({**found, "do": "send"}))[0] == 303


async def test_a_change_of_language_keeps_what_was_typed_and_sends_nothing(clerk: Clerk) -> None:
    await clerk.login()
    status, _, text = await clerk.send({**await clerk.form(), **GOOD, "do": "ru"})
    assert status == 200
    assert '<html lang="ru">' in text
    assert fields(text)["votes ANNA"] == "50"
    assert clerk.scene.transport.sent == []
    assert '<html lang="ru">' in await (await clerk.client.get(SHEET)).text(), "it stays"


async def test_the_language_of_signing_in_stays(clerk: Clerk) -> None:
    text = await (await clerk.client.get("/?lang=es")).text()
    assert '<form method="post" action="/login?lang=es"' in text
    await clerk.client.post("/login?lang=es", data={"token": clerk.scene.token}, allow_redirects=False)
    assert '<html lang="es">' in await (await clerk.client.get(SHEET)).text()


async def test_the_page_has_the_rate_and_the_counts_of_any_other_sender(clerk: Clerk) -> None:
    scene = clerk.scene
    settings = load_settings(bootstrap="127.0.0.1:1", intake_port=0, intake_tokens=str(scene.tokens), intake_rate_per_minute=1)
    async with (
        Intake(settings, scene.election, print, scene.transport) as intake,
        TestClient(TestServer(intake.application())) as client,
    ):
        clerk.client = client
        await clerk.login()
        statuses = []
        for revision in ("1", "2", "3"):
            status, _, text = await clerk.send({**await clerk.form(), **GOOD, "revision": revision})
            statuses.append(status)
        assert statuses == [303, 303, 503], "one a minute for each of its two stations"
        assert "too many reports come in at once" in text
        assert fields(text)["votes ANNA"] == "50"
        assert (intake.taken_count, intake.refused["too-many"]) == (2, 1)
        assert "It is not known yet" in await (await client.get(f"{SHEET}/receipt/0/0")).text()


# -- who may ---------------------------------------------------------------------------------------------------------


async def test_a_wrong_code_is_said_and_the_cookie_is_nobody_else_s(clerk: Clerk) -> None:
    wrong = await clerk.client.post("/login", data={"token": new_token()}, allow_redirects=False)
    assert wrong.status == 403
    assert "This access code is not known." in await wrong.text()
    right = await clerk.login()
    (cookie,) = right.headers.getall("Set-Cookie")
    assert re.fullmatch(rf"{COOKIE}=[A-Za-z0-9_-]{{43}}; HttpOnly; Path=/; SameSite=Strict", cookie)
    assert clerk.scene.token not in cookie
    behind = await clerk.client.post(
        "/login", data={"token": clerk.scene.token}, headers={"X-Forwarded-Proto": "https"}, allow_redirects=False
    )
    assert "; Secure" in behind.headers["Set-Cookie"]


@pytest.mark.parametrize("path", ["/station/B-1/MAYOR", "/station/Z-9/MAYOR", "/station/A-1/NONE"])
async def test_another_station_s_report_is_not_there(clerk: Clerk, path: str) -> None:
    await clerk.login()
    assert (await clerk.client.get(path)).status == 404
    assert (await clerk.send({**await clerk.form(), **GOOD}, path))[0] == 404
    assert clerk.scene.transport.sent == []


async def test_a_receipt_is_shown_to_its_station_alone(clerk: Clerk) -> None:
    await clerk.login()
    assert (await clerk.send({**await clerk.form(), **GOOD}))[0] == 303
    for path in ("/station/A-2/MAYOR/receipt/0/0", f"{SHEET}/receipt/0/7", f"{SHEET}/receipt/0/x"):
        assert (await clerk.client.get(path)).status == 404


async def test_a_form_of_another_session_or_another_address_is_not_taken(clerk: Clerk) -> None:
    await clerk.login()
    form = {**await clerk.form(), **GOOD}
    status, _, text = await clerk.send({**form, "csrf": "x"})
    assert status == 403
    assert fields(text)["votes ANNA"] == "50"
    headers = {"Sec-Fetch-Site": "cross-site"}
    assert (await clerk.client.post(SHEET, data=form, headers=headers, allow_redirects=False)).status == 403
    assert clerk.scene.transport.sent == []


async def test_a_token_that_is_taken_away_ends_its_sessions(clerk: Clerk) -> None:
    await clerk.login()
    assert (await clerk.client.get(SHEET)).status == 200
    clerk.scene.tokens.write_text(token_line(new_token(), ["A-1"]) + "# one is gone\n")
    assert (await clerk.client.get(SHEET)).status == 401


async def test_signing_out_needs_the_session_s_own_form(clerk: Clerk) -> None:
    await clerk.login()
    form = await clerk.form()
    await clerk.client.post("/logout", data={"csrf": form["csrf"]}, allow_redirects=False)
    assert (await clerk.client.get(SHEET)).status == 401


async def test_signing_in_leads_to_where_one_was_and_nowhere_else(clerk: Clerk) -> None:
    assert (await clerk.login(to=SHEET)).headers["Location"] == SHEET
    for elsewhere in ("https://evil.example/", "//evil.example", "/station/B-1/MAYOR"):
        assert (await clerk.login(to=elsewhere)).headers["Location"] == "/"


# -- the pages themselves --------------------------------------------------------------------------------------------


async def test_names_are_text_and_nothing_comes_from_elsewhere(clerk: Clerk) -> None:
    await clerk.login()
    answer = await clerk.client.get(SHEET)
    text = await answer.text()
    assert HOSTILE not in text
    assert html.escape(HOSTILE) in text
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert re.findall(r'(?:src|href)="(?!/|#)[^"]*"', text) == []
    assert " style=" not in text
    for name in re.findall(r'"(/clerk/[^"]+)"', text):
        assert (await clerk.client.get(name)).status == 200
    assert (await clerk.client.get("/clerk/lang")).status == 404


@pytest.mark.parametrize("hostile", ['"><script>x</script>', HOSTILE])
async def test_what_was_typed_is_text_too(clerk: Clerk, hostile: str) -> None:
    await clerk.login()
    _, _, text = await clerk.send({**await clerk.form(), **GOOD, "valid": hostile, "confirm": hostile, "zone": hostile,
                                 "reason": hostile, "authority": hostile})  # fmt: skip
    assert "<script>x" not in text
    assert "<img" not in text


async def test_a_form_has_a_limit(clerk: Clerk) -> None:
    await clerk.login()
    assert (await clerk.send({"x": "y" * FORM_MAX_BYTES}))[0] == 413
    answer = await clerk.client.post(SHEET, json={})
    assert answer.status == 415


async def test_many_reports_are_searched(tmp_path: Path) -> None:
    scene = ClerkScene(tmp_path, stations=("A-1", "A-2", "B-1"))
    async with TestClient(TestServer(scene.application())) as client:
        clerk = Clerk(scene, client)
        await clerk.login()
        text = await (await client.get("/")).text()
        assert text.count('<li><a href="/station/') == 9, "two contests and turnout of each"
        text = await (await client.get("/?q=SCHÓOL++a-2")).text()
        assert text.count('<li><a href="/station/') == 3, "as a keyboard without accents has it"
        text = await (await client.get("/?q=a-2+school+a-2+turnout")).text()
        assert re.findall(r'<li><a href="(/station/[^"]+)"', text) == ["/station/A-2/turnout"]
