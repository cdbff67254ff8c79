"""The intake's HTTP service: what answers where, and what each request may cost.

Decides headers, limits on bodies, and the form of answers; errors are problem details (`problems.py`). Nothing is loaded from
elsewhere, and no page of another origin may ask. Refuses to know rules and brokers: `taking.py`. A body is read whole before
anything of it is taken; the bytes of all bodies together have a limit (`rates.py`), so that a thousand callers at once are told
to come again instead of filling the memory.
"""

from __future__ import annotations

import asyncio
import json
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from aiohttp import web

from tally_stream.domain.election import Election
from tally_stream.settings import Settings, why_not_listening
from tally_stream.station.intake.clerk_routes import ClerkPages
from tally_stream.station.intake.followed import ReportsFollowed
from tally_stream.station.intake.identity import Identities, Identity
from tally_stream.station.intake.openapi import document
from tally_stream.station.intake.problems import (
    PROBLEM_CONTENT,
    PROBLEM_TYPE,
    PROBLEMS,
    Problem,
    content_of,
    problem_of,
    rules_said,
)
from tally_stream.station.intake.rates import Rates, Room
from tally_stream.station.intake.receipts_read import NotKnownNow, ReceiptsRead
from tally_stream.station.intake.recent import RecentStatement, RecentStatements
from tally_stream.station.intake.taking import RETRY_SECONDS, RefusedStatement, Taken, Taking, station_of
from tally_stream.station.receipts import WAITING, StationReceipt
from tally_stream.station.transport import KafkaTransport, Transport
from tally_stream.wire.limits import VALUE_MAX_BYTES

REPORTS = "/v1/reports"
RECEIPTS = "/v1/receipts"
ONE, MANY = "application/json", "application/x-ndjson"
MANY_MAX_BYTES = 8 * 1024 * 1024
LINES_MAX = 10_000
LINES_AT_ONCE = 200
BODIES_MAX_BYTES = 128 * 1024 * 1024
BODY_SECONDS = 30.0
CHUNK_BYTES = 64 * 1024
SHUTDOWN_SECONDS = 5.0
NUMBER_MAX_DIGITS = 18
HEADERS = {
    "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "Server": "tally-stream",
    "Cross-Origin-Resource-Policy": "same-origin",
}  # fmt: skip
NO_PAGE = "default-src 'none'; frame-ancestors 'none'"
"""The policy of every answer that sets none of its own."""

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Answer = tuple[int, dict[str, Any]]
"""Status and content."""


class Intake:
    """Taking, receipts and service of one intake. `async with`, then `run`; `address` tells where it listens.

    `say` is told what the operator should know; a caller is told no address and no name of a broker.
    """

    def __init__(
        self, settings: Settings, election: Election, say: Callable[[str], None], transport: Transport | None = None
    ) -> None:
        """`transport`: another one than to the brokers of `settings`; no topic is followed then. Raises TokenFileError."""
        self.election = election
        self._say = say
        self.transport: Transport = KafkaTransport(settings, say) if transport is None else transport
        self.topic = f"{settings.prefix}.reports"
        self.identities = Identities(election, None if settings.intake_tokens is None else Path(settings.intake_tokens), say)
        self._is_for_certificates = settings.intake_cafile is not None
        recent = RecentStatements()
        self.followed = None if transport else ReportsFollowed(settings, election, recent, self._stations, say)
        self.taking = Taking(election, self.transport, say, recent=recent, followed=self.followed)
        self.receipts = ReceiptsRead(settings, election, recent, self._stations, say)
        self.rates = Rates(settings.intake_rate_per_minute, time.monotonic)
        self.room = Room(BODIES_MAX_BYTES)
        self.taken_count = self.repeated_count = 0
        self.refused: dict[str, int] = dict.fromkeys(PROBLEMS, 0)
        self.clerk = ClerkPages(self.taking, self.identities, self._known_at, self._take_of_clerk)
        self._settings = settings
        self._description = json.dumps(document(election), ensure_ascii=False).encode()
        self._host, self.port = settings.intake_host, settings.intake_port
        self._tls = tls_of(settings)
        self._runner: web.AppRunner | None = None

    @property
    def address(self) -> str:
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"{'https' if self._tls else 'http'}://{host}:{self.port}"

    def application(self) -> web.Application:
        app = web.Application(middlewares=[self._guard])
        app.router.add_post(REPORTS, self._post)
        app.router.add_get(RECEIPTS + "/{partition}/{offset}", self._receipt, allow_head=False)
        app.router.add_get("/v1/openapi.json", self._openapi)
        self.clerk.add_to(app)
        app.router.add_get("/livez", self._livez)
        app.router.add_get("/readyz", self._readyz)
        app.on_response_prepare.append(self._head)
        return app

    async def __aenter__(self) -> Intake:
        """Raises OSError, with a sentence for the operator, where the address can't be had."""
        self._runner = web.AppRunner(
            self.application(), access_log=None, handler_cancellation=True, shutdown_timeout=SHUTDOWN_SECONDS
        )
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, self._host, self.port, ssl_context=self._tls, backlog=4096).start()
        except OSError as error:
            await self._runner.cleanup()
            why = why_not_listening(error)
            raise OSError(
                f"the intake can't be served at {self._host}:{self.port}: {why}; another port: --intake-port or "
                "TALLY_INTAKE_PORT"
            ) from error
        self.port = self._runner.addresses[0][1]
        return self

    async def __aexit__(self, *_: object) -> None:
        """What is under way is sent, or given up after a while."""
        if self._runner is not None:
            await self._runner.cleanup()
        try:
            async with asyncio.timeout(SHUTDOWN_SECONDS):
                await self.taking.settle()
        except TimeoutError:
            pass  # its sender was told nothing, and sends it again
        await self.transport.close()

    async def run(self) -> None:
        """Read reports and receipts until cancelled."""
        if self.followed is None:
            await self.receipts.run()
        else:
            await asyncio.gather(self.followed.run(), self.receipts.run())

    def why_not_ready(self) -> list[str]:
        """Sentences; none of them: ready."""
        reasons = {
            "the brokers do not acknowledge": self.taking.trouble,
            "the reports topic is not read on": None if self.followed is None else self.followed.trouble,
            "receipts are not read on": self.receipts.trouble,
            "the file of tokens": self.identities.mistake,
        }
        return [f"{what}: {why}" for what, why in reasons.items() if why is not None]

    def _stations(self) -> frozenset[str]:
        """Whose callers may ask for a receipt."""
        return frozenset(self.election.stations) if self._is_for_certificates else self.identities.stations

    # -- who calls -------------------------------------------------------------------------------------------------

    def identity(self, request: web.Request) -> Identity:
        """Raises Problem where nobody is known."""
        kind, _, token = request.headers.get("Authorization", "").partition(" ")
        found = None
        if kind:
            found = self.identities.of_token(token.strip()) if kind.lower() == "bearer" else None
        elif (name := _certified(request)) is not None:
            found = self.identities.of_certificate(name)
        if found is None:
            raise Problem("no-identity", "give the token of your station: Authorization: Bearer …")
        return found

    # -- reports ---------------------------------------------------------------------------------------------------

    async def _post(self, request: web.Request) -> web.StreamResponse:
        identity = self.identity(request)
        accepts = {name.replace("accept", "accepts"): _flag(request, name) for name in ("accept_warnings", "accept_errors")}
        if request.content_type not in (ONE, MANY):
            raise Problem("wrong-type", f"{ONE} for one statement, {MANY} for one a line")
        if request.content_type == ONE:
            async with self._body(request, VALUE_MAX_BYTES) as body:
                status, content = await self._take(body, identity, accepts)
            return _answered(status, content)
        async with self._body(request, MANY_MAX_BYTES) as body:
            lines = [line.removesuffix(b"\r") for line in body.split(b"\n") if line.strip()]
            if len(lines) > LINES_MAX:
                raise Problem("too-large", f"{len(lines):,} statements: at most {LINES_MAX:,} at once")
            return await self._many(request, lines, identity, accepts)

    async def _many(
        self, request: web.Request, lines: list[bytes], identity: Identity, accepts: dict[str, bool]
    ) -> web.StreamResponse:
        """A line for each as soon as it and those before it are through."""
        response = web.StreamResponse(headers={"Content-Type": MANY, "Cache-Control": "no-store"})
        await response.prepare(request)
        going: list[asyncio.Task[Answer]] = []
        newest: dict[str, asyncio.Task[Answer]] = {}
        try:
            for begin, line in enumerate(lines):
                station = station_of(line)
                before = newest.get(station) if isinstance(station, str) else None
                going.append(asyncio.create_task(self._take_behind(before, line, identity, accepts)))
                if isinstance(station, str):
                    newest[station] = going[-1]
                if begin >= LINES_AT_ONCE:
                    await _write_line(response, begin - LINES_AT_ONCE, await going[begin - LINES_AT_ONCE])
            for number in range(max(0, len(lines) - LINES_AT_ONCE), len(lines)):
                await _write_line(response, number, await going[number])
        finally:
            for task in going:
                task.cancel()
        await response.write_eof()
        return response

    async def _take_behind(
        self, before: asyncio.Task[Answer] | None, value: bytes, identity: Identity, accepts: dict[str, bool]
    ) -> Answer:
        """Once the statement `before` it, of the same station, is through. Where that is to be sent again, so is this one: a
        correction that overtook what it replaces would be refused."""
        if before is not None:
            status, content = await asyncio.shield(before)
            if "retry_after_seconds" in content:
                why = content["type"].removeprefix(PROBLEM_TYPE)
                self.refused[why] += 1
                sentence = "the statement before it, of the same station, was not taken: send both again, in this order"
                return status, content_of(why, sentence, (), content["retry_after_seconds"])
        return await self._take(value, identity, accepts)

    async def _take(self, value: bytes, identity: Identity, accepts: dict[str, bool]) -> Answer:
        wait = self.rates.take(identity)
        if wait:
            self.refused["too-many"] += 1
            return 429, content_of("too-many", "more statements a minute than are taken of one caller", (), wait)
        answer = await self.taking.take(value, identity, **accepts)
        self._note(answer)
        if isinstance(answer, RefusedStatement):
            return problem_of(answer)
        return (200 if answer.is_repeated else 201), self._taken(answer)

    async def _take_of_clerk(
        self, value: bytes, identity: Identity, *, accepts_warnings: bool, accepts_errors: bool
    ) -> Taken | RefusedStatement:
        """Of the clerk's page: as any other, at the same rate."""
        wait = self.rates.take(identity)
        if wait:
            self.refused["too-many"] += 1
            return RefusedStatement("busy", "more statements a minute than are taken of one caller", retry_seconds=wait)
        answer = await self.taking.take(value, identity, accepts_warnings=accepts_warnings, accepts_errors=accepts_errors)
        self._note(answer)
        return answer

    def _note(self, answer: Taken | RefusedStatement) -> None:
        if isinstance(answer, RefusedStatement):
            self.refused[answer.why] += 1
        else:
            self.taken_count += not answer.is_repeated
            self.repeated_count += answer.is_repeated

    def _taken(self, taken: Taken) -> dict[str, Any]:
        return {
            "station": taken.station, "sequence": taken.sequence, "revision": taken.revision, "kind": taken.kind,
            "topic": self.topic, "partition": taken.partition, "offset": taken.offset, "is_repeated": taken.is_repeated,
            "receipt": f"{RECEIPTS}/{taken.partition}/{taken.offset}", "rules": rules_said(taken.remarks),
        }  # fmt: skip

    @asynccontextmanager
    async def _body(self, request: web.Request, most_bytes: int) -> AsyncIterator[bytes]:
        """All of it, in memory until the request is through. Raises Problem."""
        too_large = Problem("too-large", f"at most {most_bytes:,} bytes are read")
        if (request.content_length or 0) > most_bytes:
            raise too_large
        body = bytearray()
        try:
            try:
                async with asyncio.timeout(BODY_SECONDS):
                    async for chunk in request.content.iter_chunked(CHUNK_BYTES):
                        if not self.room.take(len(chunk)):
                            raise Problem("busy", "the intake has its hands full: come again", RETRY_SECONDS)
                        body += chunk
                        if len(body) > most_bytes:
                            raise too_large
            except TimeoutError as error:
                raise Problem("too-slow", f"the body did not come within {BODY_SECONDS:.0f} s") from error
            yield bytes(body)
        finally:
            self.room.give_back(len(body))

    # -- receipts --------------------------------------------------------------------------------------------------

    async def _receipt(self, request: web.Request) -> web.Response:
        identity = self.identity(request)
        place = [_number(request.match_info[name]) for name in ("partition", "offset")]
        try:
            taken = await self.receipts.statement_at(*place)
            if taken is None:
                raise Problem("not-found", "no statement stands there")
            if not identity.may_speak_for(taken.station):
                raise Problem("not-yours", "the statement there is another station's")
            receipt = await self.receipts.receipt(taken)
        except NotKnownNow as error:
            raise Problem("brokers", "the brokers did not say in time what stands there: ask again", RETRY_SECONDS) from error
        content = {
            "station": taken.station, "sequence": taken.sequence, "revision": taken.revision, "kind": taken.kind,
            "topic": self.topic, "partition": taken.partition, "offset": taken.offset, "state": receipt.state,
            "codes": list(receipt.codes), "sentences": list(receipt.sentences), "definition": receipt.definition,
            "version": receipt.version, "is_of_a_copy": receipt.is_of_a_copy, "is_final": receipt.is_final,
        }  # fmt: skip
        return _answered(200, content)

    async def _known_at(self, partition: int, offset: int) -> tuple[RecentStatement | None, StationReceipt]:
        """For the clerk's page. Raises LookupError where nothing stands there."""
        try:
            taken = await self.receipts.statement_at(partition, offset)
        except NotKnownNow:
            return None, WAITING
        if taken is None:
            raise LookupError
        try:
            return taken, await self.receipts.receipt(taken)
        except NotKnownNow:
            return taken, WAITING

    # -- for everybody ---------------------------------------------------------------------------------------------

    async def _openapi(self, _: web.Request) -> web.Response:
        return web.Response(body=self._description, content_type=ONE, headers={"Cache-Control": "no-cache"})

    async def _livez(self, _: web.Request) -> web.Response:
        return web.json_response({"alive": True})

    async def _readyz(self, _: web.Request) -> web.Response:
        """Without the reasons, which name brokers and files: those are told on stderr and by the metrics' port."""
        is_ready = not self.why_not_ready()
        return web.json_response({"ready": is_ready}, status=200 if is_ready else 503)

    @web.middleware
    async def _guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Errors become problem details; no traceback leaves the process."""
        try:
            return await handler(request)
        except Problem as problem:
            return self._refused(request, problem)
        except web.HTTPException as error:
            if error.status < 400:
                raise
            why = {404: "not-found", 405: "wrong-method", 413: "too-large"}.get(error.status, "wrong-request")
            response = self._refused(request, Problem(why, error.reason.lower()))
            if "Allow" in error.headers:
                response.headers["Allow"] = error.headers["Allow"]
            return response
        except (asyncio.CancelledError, ConnectionError):
            raise
        except Exception as error:
            self._say(f"{request.method} {request.path!r}: {type(error).__name__}: {error}")
            return self._refused(request, Problem("failed", "the intake failed at this: send it again, it counts once"))

    def _refused(self, request: web.Request, problem: Problem) -> web.Response:
        self.refused[problem.why] += 1
        response = _answered(problem.status, problem.content)
        if problem.status == 401:
            response.headers["WWW-Authenticate"] = 'Bearer realm="tally-stream intake"'
        if not request.content.at_eof():
            response.force_close()  # what is left of its body is nobody's
        return response

    async def _head(self, request: web.Request, response: web.StreamResponse) -> None:
        for name, value in HEADERS.items():
            response.headers[name] = value
        response.headers.setdefault("Content-Security-Policy", NO_PAGE)
        if self._tls is not None:
            response.headers["Strict-Transport-Security"] = "max-age=31536000"


def tls_of(settings: Settings) -> ssl.SSLContext | None:
    """None: the intake is served without TLS. Files that can't be used are mistakes of the settings, told before."""
    if settings.intake_certfile is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(settings.intake_certfile, settings.intake_keyfile)
    if settings.intake_cafile is not None:
        context.load_verify_locations(settings.intake_cafile)
        context.verify_mode = ssl.CERT_OPTIONAL
    return context


def _certified(request: web.Request) -> str | None:
    """The common name of the client's certificate, which TLS has verified; None where there is none."""
    certificate: Any = request.get_extra_info("peercert")
    for part in (certificate or {}).get("subject", ()):
        for name, value in part:
            if name == "commonName":
                return str(value)
    return None


def _flag(request: web.Request, name: str) -> bool:
    said = request.query.getall(name, ["false"])
    if said not in (["true"], ["false"]):
        raise Problem("wrong-request", f"{name} is true or false, once")
    return said == ["true"]


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= NUMBER_MAX_DIGITS):
        raise Problem("wrong-request", "partition and offset are whole numbers")
    return int(text)


def _answered(status: int, content: dict[str, Any]) -> web.Response:
    headers = {"Cache-Control": "no-store"}
    if "retry_after_seconds" in content:
        headers["Retry-After"] = str(content["retry_after_seconds"])
    if status == 201:
        headers["Location"] = content["receipt"]
    return web.json_response(
        content, status=status, headers=headers, content_type=ONE if status < 400 else PROBLEM_CONTENT
    )  # fmt: skip


async def _write_line(response: web.StreamResponse, number: int, answer: Answer) -> None:
    """`line` counts from 1, without empty lines."""
    status, content = answer
    await response.write(json.dumps({"line": number + 1, "status": status} | content, ensure_ascii=False).encode() + b"\n")
