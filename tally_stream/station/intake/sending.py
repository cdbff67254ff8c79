"""A station's statements to an intake instead of Kafka, and what became of them: for who cannot reach the brokers.

Decides when an intake is used (where brokers are not named, or do not answer), and which of its answers may pass. What a
person has looked at is sent as confirmed. A record that Kafka has not acknowledged may stand there all the same; sent again by
an intake it counts once (Q1). Read `transport.py` of the package above first.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable, Sequence
from typing import Any

import aiohttp

from tally_stream.settings import Settings
from tally_stream.station.intake.problems import PROBLEM_TYPE
from tally_stream.station.receipts import ReceiptState, StationReceipt, noted
from tally_stream.station.spool import Spooled
from tally_stream.station.transport import KafkaTransport, NotSent, NotTaken, NotTakenOfStation, RefusedForGood, Transport

ANSWER_SECONDS = 60.0
"""More than an intake waits for an acknowledgement."""
KAFKA_AGAIN_SECONDS = 60.0
"""After brokers did not answer, for which they are not asked again."""
RETRY_MAX_SECONDS = 300.0
"""Longer than that nobody is waited for without being asked again."""
ANSWER_MAX_BYTES = 1024 * 1024
_CONFIRMED = {"accept_warnings": "true", "accept_errors": "true"}
_OUR_TOKEN = "TALLY_INTAKE_TOKEN_FILE names our token"
_REFUSES_THIS_ONE = frozenset({409, 413, 422})
"""Another statement may be taken."""
_HIDES_THIS_ONE = frozenset({403, 404})
"""Another receipt may be told."""
_MAY_PASS = frozenset({408, 429}) | frozenset(range(500, 600))


class IntakeTransport:
    """To the intake at TALLY_INTAKE_URL."""

    def __init__(self, settings: Settings) -> None:
        self._asking = _Asking(settings)

    async def send(self, key: bytes, value: bytes) -> tuple[int, int]:
        status, answer = await self._asking.ask("POST", "/v1/reports", value)
        if status in (200, 201):
            try:
                return int(answer["partition"]), int(answer["offset"])
            except (KeyError, TypeError, ValueError) as error:
                raise NotSent(f"{self._asking.url}: no answer of an intake: is it the right address?") from error
        said = f"{self._asking.url}: {key.decode('utf-8', 'replace')}: {_said(status, answer)}"
        if status in _MAY_PASS:
            raise NotSent(said, _retry_seconds(answer))
        if status in _REFUSES_THIS_ONE and _word(answer):
            raise RefusedForGood(said, _receipt_of_refusal(status, answer))
        if status == 403:
            raise NotTakenOfStation(f"{said}; {_OUR_TOKEN}")
        raise NotTaken(f"{said}; {_OUR_TOKEN}" if status == 401 else said)

    async def close(self) -> None:
        await self._asking.close()


class KafkaOrIntake:
    """To the brokers, and where they do not answer to the intake. `say` is told when it begins to use the other way."""

    def __init__(self, kafka: Transport, intake: Transport, say: Callable[[str], None]) -> None:
        self._kafka, self._intake, self._say = kafka, intake, say
        self._kafka_again_at = 0.0

    async def send(self, key: bytes, value: bytes) -> tuple[int, int]:
        if time.monotonic() < self._kafka_again_at:
            return await self._intake.send(key, value)
        try:
            return await self._kafka.send(key, value)
        except NotSent as error:
            if time.monotonic() >= self._kafka_again_at:
                self._say(f"{error}; sent by the intake instead")
            self._kafka_again_at = time.monotonic() + KAFKA_AGAIN_SECONDS
        return await self._intake.send(key, value)

    async def close(self) -> None:
        await self._kafka.close()
        await self._intake.close()


class ReceiptsOfIntake:
    """As `ReceiptReader`, by asking an intake. Raises OSError."""

    def __init__(self, settings: Settings) -> None:
        self._asking = _Asking(settings)
        self._receipts: dict[tuple[int, int], StationReceipt] = {}

    async def __aenter__(self) -> ReceiptsOfIntake:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._asking.close()

    async def turn(self, stations: Sequence[Spooled]) -> None:
        """Ask for each that is not known for good. One that this token may not see, or that the intake does not find, stays
        *waiting*, and says so; it keeps nobody from hearing of the others."""
        for spooled in stations:
            if spooled.partition is None or spooled.offset is None or noted(spooled.receipt).is_final:
                continue
            place = spooled.partition, spooled.offset
            try:
                status, answer = await self._asking.ask("GET", f"/v1/receipts/{place[0]}/{place[1]}")
            except (NotSent, NotTaken) as error:
                raise OSError(str(error)) from error
            if status in _HIDES_THIS_ONE and _word(answer):
                said = f"{self._asking.url}: {_said(status, answer)}"
                self._receipts[place] = StationReceipt("waiting", (_word(answer),), (said,))
                continue
            if status != 200:
                raise OSError(f"{self._asking.url}: the receipt of {spooled}: {_said(status, answer)}")
            self._receipts[place] = _receipt_in(answer)

    def receipts(self, statements: Sequence[Spooled]) -> dict[int, StationReceipt]:
        """Id → what is known of it now."""
        return {spooled.id: self._receipt(spooled) for spooled in statements}

    def _receipt(self, spooled: Spooled) -> StationReceipt:
        if spooled.partition is None or spooled.offset is None:
            return noted(spooled.receipt)
        return self._receipts.get((spooled.partition, spooled.offset), noted(spooled.receipt))


class _Asking:
    """Requests to the intake of `settings`, one client for all."""

    def __init__(self, settings: Settings) -> None:
        assert settings.intake_url is not None, "it is asked for where there is one"
        self.url = settings.intake_url.rstrip("/")
        self._settings = settings
        self._session: aiohttp.ClientSession | None = None

    async def ask(self, method: str, path: str, body: bytes | None = None) -> tuple[int, dict[str, Any]]:
        """Status and answer, {} where it is none of an intake. Raises NotSent where nobody answers, NotTaken for a certificate
        that is not trusted."""
        if self._session is None:
            self._session = self._opened()
        params = _CONFIRMED if body is not None else None
        headers = {"Content-Type": "application/json"} if body is not None else None
        try:
            async with self._session.request(
                method, self.url + path, data=body, params=params, headers=headers, allow_redirects=False
            ) as response:
                if (response.content_length or 0) > ANSWER_MAX_BYTES:
                    return response.status, {}
                answer = await response.json(content_type=None)
                answer = answer if isinstance(answer, dict) else {}
                answer.setdefault("retry_after_seconds", response.headers.get("Retry-After"))  # of a proxy in front
                return response.status, answer
        except aiohttp.ClientConnectorCertificateError as error:
            raise NotTaken(f"{self.url}: its certificate is not trusted: TALLY_INTAKE_CAFILE names who signed it") from error
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
            raise NotSent(f"{self.url}: no answer ({str(error) or type(error).__name__})") from error

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    def _opened(self) -> aiohttp.ClientSession:
        token = self._settings.intake_token
        return aiohttp.ClientSession(
            headers={} if token is None else {"Authorization": f"Bearer {token}"},
            timeout=aiohttp.ClientTimeout(total=ANSWER_SECONDS),
            connector=aiohttp.TCPConnector(ssl=self._tls()),
        )

    def _tls(self) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=self._settings.intake_cafile)
        if self._settings.intake_certfile is not None:
            context.load_cert_chain(self._settings.intake_certfile, self._settings.intake_keyfile)
        return context


def uses_intake_alone(settings: Settings) -> bool:
    """Where an intake is named and brokers are not."""
    return settings.intake_url is not None and "bootstrap" not in settings.model_fields_set


def transport_of(settings: Settings, say: Callable[[str], None]) -> Transport:
    """The way to the reports topic that the settings name: brokers, an intake, or brokers first."""
    if uses_intake_alone(settings):
        return IntakeTransport(settings)
    kafka = KafkaTransport(settings, say)
    return kafka if settings.intake_url is None else KafkaOrIntake(kafka, IntakeTransport(settings), say)


def _said(status: int, answer: dict[str, Any]) -> str:
    rules = answer.get("rules") or ()
    said = [
        f"{rule['code']}: {rule['sentence']}"
        for rule in rules
        if isinstance(rule, dict) and {"code", "sentence"} <= rule.keys()
    ]
    return "; ".join([str(answer.get("detail") or f"HTTP status {status}"), *said])


def _retry_seconds(answer: dict[str, Any]) -> float | None:
    """What the intake, or a proxy, asks for: whole seconds, as both write them. None of anything else."""
    said = str(answer.get("retry_after_seconds"))
    return min(float(said), RETRY_MAX_SECONDS) if said.isascii() and said.isdigit() and len(said) <= 9 else None


def _word(answer: dict[str, Any]) -> str:
    """The last of a problem's type; "" where it is none of an intake."""
    said = answer.get("type")
    return said.removeprefix(PROBLEM_TYPE) if isinstance(said, str) and said.startswith(PROBLEM_TYPE) else ""


def _receipt_of_refusal(status: int, answer: dict[str, Any]) -> StationReceipt:
    """By the rules that refuse it, or by the intake's own word where none does."""
    rules = [r for r in answer.get("rules") or () if isinstance(r, dict) and r.get("severity") == "reject"]
    found = [(str(rule.get("code")), str(rule.get("sentence"))) for rule in rules]
    found = found or [(_word(answer), str(answer.get("detail")))]
    state: ReceiptState = "rejected"
    if found[0][0] == "Q2":
        state = "stale"
    elif status == 409:
        state = "conflicting"
    return StationReceipt(state, tuple(code for code, _ in found), tuple(sentence for _, sentence in found))


def _receipt_in(answer: dict[str, Any]) -> StationReceipt:
    try:
        return StationReceipt(
            answer["state"], tuple(answer["codes"]), tuple(answer["sentences"]), answer["definition"], answer["version"],
            answer["is_of_a_copy"],
        )  # fmt: skip
    except (KeyError, TypeError) as error:
        raise OSError("no receipt of an intake: is it the right address?") from error
