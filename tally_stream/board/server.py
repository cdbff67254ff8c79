"""The board's HTTP service: what answers where, and who may embed it; `operators.py` has what operators ask.

Decides headers, errors as JSON and the security policy: nothing is loaded from elsewhere, no script or style stands in
the page. Refuses to know figures. The followers run beside it; if one of them fails, so does the board.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

from aiohttp import web

from tally_stream.board.answers import json_answer
from tally_stream.board.api import RETRY_SECONDS, Api, Refused
from tally_stream.board.area_rows import AreaRows
from tally_stream.board.described import MessageDocuments
from tally_stream.board.feed import Feed
from tally_stream.board.openapi import document
from tally_stream.board.operator_desk import OperatorDesk
from tally_stream.board.operators import Operators
from tally_stream.board.page import Pages
from tally_stream.board.places import Places
from tally_stream.board.publish import Publisher
from tally_stream.board.readers import Stream
from tally_stream.board.stations import Stations
from tally_stream.domain.election import Election
from tally_stream.settings import Settings, why_not_listening

SHUTDOWN_SECONDS = 2.0
API = "/api/"
NO_PAGE = "default-src 'none'; frame-ancestors 'none'"
"""The policy of every answer that is not the page: whoever opens it as one gets nothing but its text."""

ASKED_BEFORE = {
    "Access-Control-Allow-Methods": "GET, HEAD",
    "Access-Control-Allow-Headers": "If-None-Match, Last-Event-ID",
    "Access-Control-Max-Age": "86400",
}
"""What a browser is told before a page of another origin asks with headers of its own."""

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Board:
    """Feed, stations and service of one board. `async with`, then `run`; `port` tells where it listens."""

    def __init__(
        self, settings: Settings, election: Election, say: Callable[[str], None], publish_to: Path | None = None
    ) -> None:
        """`publish_to`: a folder for snapshots (`publish.py`)."""
        self.election = election
        self.feed = Feed(settings, election, say)
        self.stations = Stations(settings, election)
        index_of = {contest.id: index for index, contest in enumerate(election.contests)}
        self.feed.partial_hold = lambda contest: self.stations.partial_hold(index_of[contest])
        places = Places(election)
        rows = AreaRows(places)
        self.api = Api(places, rows, self.feed, self.stations)
        self.stream = Stream(self.feed, self.api.published)
        self.operators = Operators(self.feed, self.stations, self.stream)
        token = settings.board_operator_token
        self.desk = (
            OperatorDesk(election, self.feed, self.stations, None if token is None else token.get_secret_value())
            if settings.board_operator
            else None
        )
        self.pages = Pages(places, rows, self.feed, self.stations)
        self.publisher = (
            None if publish_to is None else Publisher(publish_to, election, self.feed, self.stations, places.name, say)
        )
        if publish_to is not None:
            self.stations.up_to = self.feed.next_offsets
        self._description = json_answer(document(election))
        self._say = say
        self._host, self.port = settings.board_host, settings.board_port
        self._runner: web.AppRunner | None = None

    @property
    def address(self) -> str:
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"http://{host}:{self.port}"

    def application(self) -> web.Application:
        app = web.Application(middlewares=[self._guard])
        self.pages.add_to(app)
        self.api.add_to(app)
        MessageDocuments().add_to(app)
        app.router.add_get("/api/v1/stream", self.stream.handle, allow_head=False)
        app.router.add_get("/api/v1/openapi.json", self._openapi)
        self.operators.add_to(app)
        if self.desk is not None:
            self.desk.add_to(app)
        app.on_response_prepare.append(self._head)
        app.on_shutdown.append(self.stream.close)
        return app

    async def __aenter__(self) -> Board:
        """Raises OSError, with a sentence for the operator, where the address can't be had."""
        self._runner = web.AppRunner(
            self.application(), access_log=None, handler_cancellation=True, shutdown_timeout=SHUTDOWN_SECONDS
        )
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, self._host, self.port, backlog=4096).start()
        except OSError as error:
            await self._runner.cleanup()
            why = why_not_listening(error)
            raise OSError(
                f"the board can't be served at {self._host}:{self.port}: {why}; another port: --board-port or TALLY_BOARD_PORT"
            ) from error
        self.port = self._runner.addresses[0][1]
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    async def run(self) -> None:
        """Follow and serve until cancelled. Raises KafkaError, OSError or TopicLost where a topic can't be read on."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self.feed.run())
                group.create_task(self.stations.run())
                group.create_task(self.stream.run())
                if self.publisher is not None:
                    group.create_task(self.publisher.run())
        except ExceptionGroup as several:
            raise _first(several) from several

    # -- for every request -----------------------------------------------------------------------------------------

    @web.middleware
    async def _guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Errors become JSON with one sentence; no traceback leaves the process."""
        response: web.StreamResponse
        if request.method == "OPTIONS" and request.path.startswith(API):
            return web.Response(status=204, headers=ASKED_BEFORE)
        try:
            response = await handler(request)
        except Refused as refused:
            response = web.json_response(refused.content, status=refused.status)
            if refused.status == 503:
                response.headers["Retry-After"] = str(RETRY_SECONDS)
        except web.HTTPException as error:
            response = web.json_response({"error": error.reason.lower()}, status=error.status)
            for name in ("Allow", "Retry-After", "Location", "WWW-Authenticate"):
                if name in error.headers:
                    response.headers[name] = error.headers[name]
        except (asyncio.CancelledError, ConnectionError):
            raise
        except Exception as error:
            self._say(f"{request.method} {request.path!r}: {type(error).__name__}: {error}")
            sentence = "the board failed at this; the standings are not touched by it"
            response = web.json_response({"error": sentence}, status=500)
        return response

    async def _head(self, request: web.Request, response: web.StreamResponse) -> None:
        headers = response.headers
        headers["X-Content-Type-Options"] = "nosniff"
        headers.setdefault("Content-Security-Policy", NO_PAGE)
        headers["Server"] = "tally-stream"
        headers["Referrer-Policy"] = "no-referrer"
        if request.path.startswith(API):
            headers["Access-Control-Allow-Origin"] = "*"
            headers["Access-Control-Expose-Headers"] = "ETag, Last-Modified, Retry-After"

    async def _openapi(self, request: web.Request) -> web.Response:
        return self._description.to(request)


def _first(several: BaseExceptionGroup[BaseException]) -> BaseException:
    error: BaseException = several
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
