"""The clerk's page over HTTP: who is signed in, what a sent form becomes, and where it leads.

Decides statuses, cookies and the policy of the pages (nothing from elsewhere, no script or style in the page, no frame), and
that a form counts only with the number its session gave it and from a page of this very address. A statement is taken as any
other is (`taking.py`), under the revision that the form was made for: the same form sent twice is one report, and another one
under that revision is refused. Whatever goes wrong, the form comes back with what was typed. Read `clerk_page.py` before.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Protocol

from aiohttp import web

from tally_stream.station.checking import Checked, Remark
from tally_stream.station.intake.clerk_form import (
    StationPaper,
    TypedPaper,
    completed_answers,
    papers_of,
    statement_of,
    typed_paper,
    unconfirmed,
    zone_of,
)
from tally_stream.station.intake.clerk_page import (
    CLERK_FILES,
    ClerkFrame,
    ClerkSheet,
    form_page,
    login_page,
    none_page,
    receipt_page,
    receipt_path,
    reports_page,
    sheet_path,
    title_of,
)
from tally_stream.station.intake.clerk_sessions import ClerkSession, ClerkSessions
from tally_stream.station.intake.clerk_words import CLERK_LANGUAGES, CLERK_STATIC, ClerkWords, language_of
from tally_stream.station.intake.identity import Identities, Identity
from tally_stream.station.intake.recent import RecentStatement
from tally_stream.station.intake.taking import RefusedStatement, Taken, Taking
from tally_stream.station.paper import BALLOTS, CORRECTION, VOTED, VOTES, Answers
from tally_stream.station.receipts import WAITING, StationReceipt
from tally_stream.wire.search import folded

COOKIE = "tally_clerk"
FORM_MAX_BYTES = 64 * 1024
FORM_SECONDS = 30.0
SEARCH_MAX_CHARS = 80
SEARCHED_FROM = 20
NUMBER_MAX_DIGITS = 18
KEPT = "kept "
KEPT_MAX = 2_000
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; base-uri 'none'; "
    "form-action 'self'; frame-ancestors 'none'"
)
PAGE_HEADERS = {
    "Content-Security-Policy": POLICY,
    # Not no-store: a browser then forgets what was typed when somebody goes back to the form.
    "Cache-Control": "private, no-cache",
    "Vary": "Accept-Language, Cookie",
}
_TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}

ReceiptAt = Callable[[int, int], Awaitable[tuple[RecentStatement | None, StationReceipt]]]
"""A place → the statement there and what became of it; no statement and WAITING where nobody can say it now. Raises
LookupError where nothing stands there."""


class Take(Protocol):
    """As `Taking.take`."""

    async def __call__(
        self, value: bytes, identity: Identity, *, accepts_warnings: bool, accepts_errors: bool
    ) -> Taken | RefusedStatement: ...


class ClerkPages:
    """`add_to` puts the pages on an application, beside what programs ask."""

    def __init__(
        self, taking: Taking, identities: Identities, receipt_at: ReceiptAt, take: Take,
        now: Callable[[], datetime] = lambda: datetime.now(UTC).astimezone(),
    ) -> None:  # fmt: skip
        self._taking, self._identities, self._receipt_at, self._now = taking, identities, receipt_at, now
        self._election, self._take = taking.election, take
        self._sessions = ClerkSessions(time.monotonic)
        self._words = {language: ClerkWords(language) for language in CLERK_LANGUAGES}
        self._files = {path.name: path for path in CLERK_STATIC.iterdir() if path.suffix in _TYPES}
        self._contents = {name: path.read_bytes() for name, path in self._files.items()}

    def add_to(self, app: web.Application) -> None:
        app.router.add_get("/", self._reports)
        app.router.add_post("/login", self._login)
        app.router.add_post("/logout", self._logout)
        app.router.add_get("/station/{station}/{sequence}", self._form)
        app.router.add_post("/station/{station}/{sequence}", self._sent)
        app.router.add_get("/station/{station}/{sequence}/receipt/{partition}/{offset}", self._receipt)
        app.router.add_get(CLERK_FILES + "{name}", self._file)

    # -- who is there ----------------------------------------------------------------------------------------------

    def _session(self, request: web.Request) -> tuple[ClerkSession, Identity] | None:
        session = self._sessions.find(request.cookies.get(COOKIE, ""))
        if session is None:
            return None
        identity = self._identities.of_token(session.token)
        if identity is None:
            self._sessions.end(request.cookies.get(COOKIE, ""))
            return None
        asked = request.query.get("lang", "")
        if asked in CLERK_LANGUAGES:
            session.language = asked
        return session, identity

    def _frame(self, request: web.Request, session: ClerkSession | None) -> ClerkFrame:
        chosen = request.query.get("lang", "") or (session.language if session else "")
        words = self._words[language_of(chosen, request.headers.get("Accept-Language", ""))]
        here = request.path if request.method == "GET" else "/"
        return ClerkFrame(self._election, words, here, session.csrf if session else None)

    async def _login(self, request: web.Request) -> web.Response:
        form = await _form_of(request)
        frame = self._frame(request, None)
        kept = [(name.removeprefix(KEPT), value) for name, value in form if name.startswith(KEPT)][:KEPT_MAX]
        fields = dict(form)
        token, to = fields.get("token", "").strip(), fields.get("to", "/")
        identity = self._identities.of_token(token)
        if identity is None:
            return _page(login_page(frame, to=to, trouble="login.wrong", kept=kept), 403)
        cookie = self._sessions.begin(token, request.query.get("lang", ""))
        session = self._sessions.find(cookie)
        assert session is not None, "it has just begun"
        found = next((paper for paper in self._own(identity) if sheet_path(paper) == to), None)
        if found is not None and kept:
            typed = typed_paper(dict(kept), (), found, zone_of(self._now()))
            response = self._shown(self._frame(request, session), found, typed, 200)
        else:
            response = _to(sheet_path(found) if found is not None else "/")
        is_tls = request.secure or request.headers.get("X-Forwarded-Proto") == "https"
        response.set_cookie(COOKIE, cookie, httponly=True, samesite="Strict", secure=is_tls, path="/")
        return response

    async def _logout(self, request: web.Request) -> web.Response:
        signed_in, form = self._session(request), dict(await _form_of(request))
        if signed_in is not None and signed_in[0].is_own(form.get("csrf", "")):
            self._sessions.end(request.cookies.get(COOKIE, ""))
        response = _to("/")
        response.del_cookie(COOKIE, path="/")
        return response

    # -- what may be sent ------------------------------------------------------------------------------------------

    def _own(self, identity: Identity) -> list[StationPaper]:
        """The papers of a caller, in the stations' order."""
        stations = [self._election.stations[id] for id in sorted(identity.stations) if id in self._election.stations]
        return [paper for station in stations for paper in papers_of(self._election, station)]

    def _asked(self, request: web.Request, identity: Identity) -> StationPaper | None:
        station, sequence = self._election.stations.get(request.match_info["station"]), request.match_info["sequence"]
        if station is None or not identity.may_speak_for(station.id):
            return None
        return next((paper for paper in papers_of(self._election, station) if paper.sequence == sequence), None)

    async def _reports(self, request: web.Request) -> web.Response:
        signed_in = self._session(request)
        if signed_in is None:
            return _page(login_page(self._frame(request, None)))
        own, words = self._own(signed_in[1]), request.query.get("q", "").strip()[:SEARCH_MAX_CHARS]
        counts = [paper for paper in own if paper.contest is not None]
        if len(counts) == 1:
            return _to(sheet_path(counts[0]))  # which leads on to its station's turnout
        frame, wanted = self._frame(request, signed_in[0]), folded(words)
        found = (
            own
            if not wanted
            else [
                paper
                for paper in own
                if wanted in folded(f"{paper.station.id} {paper.station.name} {title_of(frame.words, paper)}")
            ]
        )
        return _page(reports_page(frame, found, words, searches=len(own) > SEARCHED_FROM))

    # -- the form --------------------------------------------------------------------------------------------------

    async def _form(self, request: web.Request) -> web.Response:
        signed_in = self._session(request)
        if signed_in is None:
            return _page(login_page(self._frame(request, None), to=request.path), 401)
        frame, asked = self._frame(request, signed_in[0]), self._asked(request, signed_in[1])
        if asked is None:
            return _page(none_page(frame), 404)
        await self._taking.is_known(asked.station.id)
        typed = typed_paper({}, (), asked, zone_of(self._now()))
        trouble = "trouble.signed" if self._election.signatures == "required" else None
        return self._shown(frame, asked, typed, 200, is_fresh=True, trouble=trouble)

    async def _sent(self, request: web.Request) -> web.Response:
        pairs = await _form_of(request)
        form, signed_in = dict(pairs), self._session(request)
        if signed_in is None:
            kept = [(name, value) for name, value in pairs if name not in ("csrf", "do", "confirm")][:KEPT_MAX]
            return _page(login_page(self._frame(request, None), to=request.path, kept=kept), 401)
        session, identity = signed_in
        asked = self._asked(request, identity)
        if asked is None:
            return _page(none_page(self._frame(request, session)), 404)
        typed = typed_paper(form, [v for n, v in pairs if n == "confirm"], asked, zone_of(self._now()))
        if form.get("do") in CLERK_LANGUAGES:
            session.language = form["do"]
            return self._shown(self._frame(request, session), asked, typed, 200)
        frame = self._frame(request, session)
        if not session.is_own(form.get("csrf", "")):
            return self._shown(frame, asked, typed, 403, trouble="trouble.old")
        return await self._judged(frame, identity, asked, typed)

    async def _judged(self, frame: ClerkFrame, identity: Identity, paper: StationPaper, typed: TypedPaper) -> web.Response:
        answers, mistakes = completed_answers(typed, paper, self._now())
        typed = TypedPaper(answers, typed.revision, typed.zone, typed.confirmed)
        if mistakes:
            return self._shown(frame, paper, typed, 422, mistakes=mistakes)
        if self._election.signatures == "required":
            return self._shown(frame, paper, typed, 422, trouble="trouble.signed")
        await self._taking.is_known(paper.station.id)
        # Of what is replaced the form may not have known: it can have come meanwhile.
        above = int(answers.get("replaces") or 0) + 1
        revision = max(typed.revision or self._taking.next_revision(paper.station.id, paper.sequence), above)
        value = statement_of(answers, self._election, paper, revision)
        checked = self._taking.check(value, paper.station.id)
        if checked.verdict in ("stale", "conflicting"):
            return self._sent_before(frame, paper, typed, checked)
        if unconfirmed(checked, typed.confirmed):
            return self._shown(frame, paper, typed, 422, remarks=_worth_saying(checked.remarks))
        answer = await self._take(
            value, identity, accepts_warnings=bool(checked.of("warning")), accepts_errors=bool(checked.of("error"))
        )
        if isinstance(answer, Taken):
            return _to(receipt_path(paper, answer.partition, answer.offset))
        return self._refused(frame, paper, typed, answer)

    def _refused(self, frame: ClerkFrame, paper: StationPaper, typed: TypedPaper, answer: RefusedStatement) -> web.Response:
        if answer.retry_seconds is not None:
            return self._shown(frame, paper, typed, 503, trouble=f"trouble.{answer.why}", waits=True)
        if answer.why == "other-content":
            return self._sent_before(frame, paper, typed, None)
        if answer.remarks:
            return self._shown(frame, paper, typed, 422, remarks=_worth_saying(answer.remarks))
        return self._shown(frame, paper, typed, 422, trouble="trouble.refused", said=answer.sentence)

    def _sent_before(self, frame: ClerkFrame, paper: StationPaper, typed: TypedPaper, checked: Checked | None) -> web.Response:
        """This revision is taken: said, and the form has the next one, for a clerk who wants that after a look."""
        renewed = TypedPaper(typed.answers, None, typed.zone, frozenset())
        if checked is not None and checked.verdict == "stale":
            return self._shown(frame, paper, renewed, 409, remarks=_worth_saying(checked.remarks))
        return self._shown(frame, paper, renewed, 409, trouble="trouble.other")

    def _shown(
        self, frame: ClerkFrame, paper: StationPaper, typed: TypedPaper, status: int, *,
        mistakes: Mapping[str, str] | None = None, remarks: Sequence[Remark] = (), trouble: str | None = None, said: str = "",
        is_fresh: bool = False, waits: bool = False,
    ) -> web.Response:  # fmt: skip
        """The form with what was typed."""
        following = self._taking.next_revision(paper.station.id, paper.sequence)
        last = self._taking.recent.find(paper.station.id, paper.sequence, following - 1)
        sheet = ClerkSheet(
            paper, typed.revision or following, following, typed.zone, typed.answers, mistakes or {}, remarks,
            typed.confirmed, trouble, said, is_fresh, waits, None if last is None else (last.partition, last.offset),
        )  # fmt: skip
        return _page(form_page(frame, sheet), status)

    # -- the receipt -----------------------------------------------------------------------------------------------

    async def _receipt(self, request: web.Request) -> web.Response:
        signed_in = self._session(request)
        if signed_in is None:
            return _page(login_page(self._frame(request, None), to=request.path), 401)
        frame, asked = self._frame(request, signed_in[0]), self._asked(request, signed_in[1])
        place = _place_of(request)
        if asked is None or place is None:
            return _page(none_page(frame), 404)
        try:
            statement, receipt = await self._receipt_at(*place)
        except LookupError:
            return _page(none_page(frame), 404)
        if statement is None:
            return _page(receipt_page(frame, asked, None, place, WAITING, {}))
        if (statement.station, statement.sequence) != (asked.station.id, asked.sequence):
            return _page(none_page(frame), 404)
        return _page(receipt_page(frame, asked, statement.revision, place, receipt, figures_of(statement.value)))

    async def _file(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        if name not in self._contents:
            raise web.HTTPNotFound
        headers = {"Cache-Control": "no-cache"}
        kind = _TYPES[self._files[name].suffix]
        return web.Response(body=self._contents[name], content_type=kind, charset="utf-8", headers=headers)


def figures_of(value: bytes) -> Answers:
    """A statement's figures as answers; none of what is sealed."""
    try:
        fields: Any = json.loads(value)
    except ValueError:
        return {}
    ballots, votes = fields.get("ballots") or {}, fields.get("votes") or {}
    found = {name: fields.get(name) for name in ("registered", "counted_at", *(q.name for q in (*VOTED, *CORRECTION)))}
    found |= {name: ballots.get(name) for name in BALLOTS} | {VOTES + id: count for id, count in votes.items()}
    return {name: str(figure) for name, figure in found.items() if figure is not None}


def _worth_saying(remarks: Sequence[Remark]) -> list[Remark]:
    return [remark for remark in remarks if remark.severity != "information"]


def _place_of(request: web.Request) -> tuple[int, int] | None:
    place = [request.match_info[name] for name in ("partition", "offset")]
    if not all(text.isascii() and text.isdigit() and len(text) <= NUMBER_MAX_DIGITS for text in place):
        return None
    return int(place[0]), int(place[1])


async def _form_of(request: web.Request) -> list[tuple[str, str]]:
    """What a form of this very address sent, in its order."""
    if request.headers.get("Sec-Fetch-Site", "same-origin") not in ("same-origin", "none"):
        raise web.HTTPForbidden(reason="a page of another address sent this form")
    if request.content_type != "application/x-www-form-urlencoded":
        raise web.HTTPUnsupportedMediaType(reason="a form is sent as application/x-www-form-urlencoded")
    if request.content_length is None or request.content_length > FORM_MAX_BYTES:
        raise web.HTTPRequestEntityTooLarge(FORM_MAX_BYTES, request.content_length or 0)
    try:
        async with asyncio.timeout(FORM_SECONDS):
            form = await request.post()
    except TimeoutError as error:
        raise web.HTTPRequestTimeout(reason="the form did not come in time") from error
    return [(name, value) for name, value in form.items() if isinstance(value, str)]


def _page(text: str, status: int = 200) -> web.Response:
    return web.Response(text=text, status=status, content_type="text/html", charset="utf-8", headers=PAGE_HEADERS)


def _to(path: str) -> web.Response:
    return web.Response(status=303, headers={"Location": path, "Cache-Control": "no-store"})
