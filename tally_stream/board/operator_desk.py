"""The authority's desk on the board, for operators alone: held and disputed stations, and what each needs.

Decides who may look: whoever has the token, or, where there is none, whoever asks from this very machine under its own name
and not through a proxy (a page of another site must not reach it by a name that leads here). Nothing is ordered here: the page
names commands. It is in English, as commands and the rules' sentences are, and needs no script. What is open is said by
`export/desk.py`. No counts are shown before the polls closed; behind a hold they are those that wait there.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import html
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from aiohttp import web

from tally_stream.board.feed import Feed
from tally_stream.board.stations import Stations
from tally_stream.board.wording import STATIC
from tally_stream.domain.election import Election
from tally_stream.export.desk import figures_side_by_side, in_force_said
from tally_stream.settings import is_loopback

PATH = "/operator/held"
LIST_PATH = "/operator/held.json"
CASES_PAGE = 50
RETRY_SECONDS = 10
FROM_MAX = 1_000_000
FORWARDED = ("Forwarded", "Via", "X-Forwarded-For", "X-Forwarded-Host", "X-Real-IP")
LOGIN = {"WWW-Authenticate": 'Basic realm="tally-stream operators", charset="UTF-8"'}
POLICY = "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

_escape = html.escape


class OperatorDesk:
    """`add_to` puts the page and its JSON on an application."""

    def __init__(self, election: Election, feed: Feed, stations: Stations, token: str | None) -> None:
        self._election, self._feed, self._stations = election, feed, stations
        self._token = None if token is None else token.encode()
        self._template = (STATIC / "desk.html").read_text(encoding="utf-8")

    def add_to(self, app: web.Application) -> None:
        app.router.add_get(PATH, self.page)
        app.router.add_get(LIST_PATH, self.listed)

    # -- who may look ----------------------------------------------------------------------------------------------

    def _refuse_strangers(self, request: web.Request) -> None:
        if self._token is not None:
            if not hmac.compare_digest(_token_of(request), self._token):
                raise web.HTTPUnauthorized(headers=LOGIN, reason="the operators' token is asked for")
            return
        is_own = is_loopback(request.remote or "") and is_loopback(urlsplit(f"//{request.host}").hostname or "")
        if not is_own or any(name in request.headers for name in FORWARDED):
            raise web.HTTPForbidden(reason="without a token only this very machine may look, and no proxy")

    # -- what is shown ---------------------------------------------------------------------------------------------

    def _cases(self, request: web.Request) -> list[dict[str, Any]]:
        contest = request.query.get("contest") or None
        index = None if contest is None else self._election.contest_index(contest)
        if contest is not None and index is None:
            raise web.HTTPNotFound(reason=f"there is no contest {contest[:80]!a}")
        if self._stations.failure is not None:
            reason = f"the stations can't be shown: {self._stations.failure}"
            raise web.HTTPServiceUnavailable(reason=reason, headers={"Retry-After": str(RETRY_SECONDS)})
        return self._stations.open_cases(index, self._hides_counts)

    def _hides_counts(self, contest: int) -> bool:
        return self._feed.shown[self._election.contests[contest].id].is_before_the_close

    async def listed(self, request: web.Request) -> web.Response:
        self._refuse_strangers(request)
        begin, cases = _begin(request), self._cases(request)
        content = {"read": self._stations.progress, "found": len(cases), "cases": cases[begin : begin + CASES_PAGE]}
        return web.json_response(content, headers={"Cache-Control": "no-store"})

    async def page(self, request: web.Request) -> web.Response:
        self._refuse_strangers(request)
        begin, cases = _begin(request), self._cases(request)
        read = self._stations.progress
        lines = [f"{len(cases):,} {'case waits' if len(cases) == 1 else 'cases wait'}, the oldest first."]
        if not self._stations.is_caught_up:
            lines.append(f"The board still reads the report log: {read['read']:,} of {read['of']:,} records.")
        places = {
            "election": _escape(self._election.name),
            "line": " ".join(map(_escape, lines)),
            "again": _escape(request.rel_url.path_qs),
            "cases": "".join(map(_case, cases[begin : begin + CASES_PAGE])),
            "next": _next(request, begin, len(cases)),
        }
        text = self._template
        for name, value in places.items():
            text = text.replace(f"{{{{{name}}}}}", value)
        return web.Response(
            text=text, content_type="text/html", headers={"Cache-Control": "no-store", "Content-Security-Policy": POLICY}
        )


def _token_of(request: web.Request) -> bytes:
    """As a program sends it (Bearer), or a browser once its user was asked: the password of any name."""
    kind, _, said = request.headers.get("Authorization", "").partition(" ")
    if kind.lower() == "bearer":
        return said.strip().encode(errors="replace")
    if kind.lower() == "basic":
        try:
            return base64.b64decode(said, validate=True).partition(b":")[2]
        except (binascii.Error, ValueError):
            return b""
    return b""


def _begin(request: web.Request) -> int:
    text = request.query.get("from", "0")
    if not (text.isascii() and text.isdigit() and len(text) < 10 and int(text) <= FROM_MAX):
        raise web.HTTPBadRequest(reason=f"from is a whole number from 0 to {FROM_MAX}")
    return int(text)


def _next(request: web.Request, begin: int, count: int) -> str:
    if begin + CASES_PAGE >= count:
        return ""
    query = urlencode(
        {**{k: v for k, v in request.query.items() if k == "contest"}, "from": begin + CASES_PAGE}, quote_via=quote
    )
    return f'<p class="more"><a href="{PATH}?{_escape(query)}">{count - begin - CASES_PAGE:,} more</a></p>'


def _case(case: dict[str, Any]) -> str:
    flags = {"annulled": case["is_annulled"], "held": case["held_at"], "disputed": case["is_disputed"]}
    words = [word for word, is_so in flags.items() if is_so]
    reasons = [f"<li><strong>{code['code']}</strong> {_escape(code['message'] or '')}</li>" for code in case["codes"]]
    if case["is_disputed"]:
        reasons.append("<li><strong>Q3</strong> two different statements under one revision; the first in the log stands</li>")
    needs = "".join(
        f"<li>{_escape(need['what'])}" + (f"<br><code>{_escape(need['command'])}</code>" if need["command"] else "") + "</li>"
        for need in case["needs"]
    )
    named = f"<bdi>{_escape(case['station'])}</bdi> <bdi>{_escape(case['name'])}</bdi>"
    return (
        f"<section><h2>{named}</h2>"
        f'<p class="more"><bdi>{_escape(case["area"])}</bdi> · {_escape(case["contest"])} · {", ".join(words)} since '
        f'<time datetime="{case["since"]}">{case["since"][:10]} {case["since"][11:16]} UTC</time></p>'
        f"<ul>{''.join(reasons)}</ul>{_figures(case)}<h3>What would settle it</h3><ul>{needs}</ul></section>"
    )


def _figures(case: dict[str, Any]) -> str:
    rows = figures_side_by_side(case)
    if not rows:
        return ""
    after = case["held"] or case["other"]
    right = "" if after is None else f"{'held' if case['held'] else 'refused'} (revision {after['revision']})"
    body = "".join(
        f'<tr><th scope="row"><bdi>{_escape(name)}</bdi></th>'
        f'<td class="n">{_number(one)}</td><td class="n">{_number(other)}</td>'
        f'<td class="n">{_difference(one, other)}</td></tr>'
        for name, one, other in rows
    )
    heads = "".join(f'<th scope="col" class="n">{_escape(head)}</th>' for head in (in_force_said(case), right, "difference"))
    return (
        '<div class="table"><table><caption class="more">Figures</caption>'
        f'<thead><tr><th scope="col">figure</th>{heads}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def _difference(one: int | None, other: int | None) -> str:
    if one is None or other is None:
        return ""
    return f"{other - one:+,}" if other != one else "0"


def _number(figure: int | None) -> str:
    return "–" if figure is None else f"{figure:,}"
