"""A second look at brokers that a client could not use: one step after the other, each with an end of its own.

Decides what is tried and in which order, and how long an answer may take; aiokafka, which tries the same, tells only that no
broker could be used. Refuses to know what that means for an operator: `refused.py` says it. Nothing is sent that changes
anything, and a login is tried once a broker.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from typing import Any

from aiokafka.conn import AIOKafkaConnection
from aiokafka.errors import IllegalSaslStateError, IncompatibleBrokerVersion, KafkaError, UnsupportedSaslMechanismError
from aiokafka.protocol.admin import SaslHandShakeRequest
from aiokafka.protocol.metadata import MetadataRequest

from tally_stream.kafka.refused import Seen, Speech
from tally_stream.settings import Settings

CONNECT_SECONDS = 5.0
ANSWER_SECONDS = 5.0
"""For one answer. A broker that takes longer is as good as none, whatever it would have said."""

ADVERTISED_MAX = 32
"""Brokers of a cluster whose addresses are looked at."""

_UNSUPPORTED_MECHANISM, _ILLEGAL_STATE = UnsupportedSaslMechanismError.errno, IllegalSaslStateError.errno

Credentials = dict[str, Any]
"""As `client.connection` makes it: what an aiokafka client is given."""

Broker = tuple[int, str, int]
"""(id, host, port), as metadata names it."""


async def probe(settings: Settings, given: Credentials) -> list[Seen]:
    """Look at every bootstrap address, and from the first that lets us in at the addresses that it names: those, or, where
    none is in trouble, the bootstrap's."""
    addresses = settings.bootstrap.split(",")
    found = await asyncio.gather(*(_look(address, settings, given) for address in addresses))
    for seen, brokers in found:
        if brokers:
            return await look_at_named(seen.address, brokers, settings, given)
    return [seen for seen, _ in found]


async def unreachable(brokers: Sequence[Broker], named_by: str) -> list[Seen]:
    """Of the brokers that metadata names, those that nobody can connect to."""
    tries = await asyncio.gather(*(_connect(f"{host}:{port}") for _, host, port in brokers))
    return [
        replace(seen, named_by=named_by, broker_id=broker[0])
        for broker, seen in zip(brokers, tries, strict=True)
        if seen.error is not None
    ]


async def look_at_named(by: str, brokers: Sequence[Broker], settings: Settings, given: Credentials) -> list[Seen]:
    """Look at brokers that metadata names, at ADVERTISED_MAX of them; `by`: who named them."""
    some = brokers[:ADVERTISED_MAX]
    looked = await asyncio.gather(*(_look(f"{host}:{port}", settings, given) for _, host, port in some))
    return [replace(seen, named_by=by, broker_id=number) for (number, _, _), (seen, _) in zip(some, looked, strict=True)]


async def _look(address: str, settings: Settings, given: Credentials) -> tuple[Seen, list[Broker]]:
    """What a try came to, and the brokers that were named."""
    seen = await _connect(address)
    if seen.error is not None:
        return seen, []
    mechanisms: tuple[str, ...] = ()
    try:
        async with _connected(address, given, with_login=False) as connection:
            if settings.uses_login:
                answer = await connection.send(SaslHandShakeRequest(settings.security_sasl_mechanism))
                mechanisms = tuple(answer.enabled_mechanisms)
                if answer.error_code == _ILLEGAL_STATE:
                    return Seen(address, "login", IllegalSaslStateError()), []
                if answer.error_code == _UNSUPPORTED_MECHANISM or settings.security_sasl_mechanism not in mechanisms:
                    return Seen(address, "login", UnsupportedSaslMechanismError(), mechanisms=mechanisms), []
    except IncompatibleBrokerVersion:  # a broker without logins at all, such as the embedded one
        return Seen(address, "login", IllegalSaslStateError()), []
    except (KafkaError, OSError, EOFError, TimeoutError) as error:
        reason = _innermost(error)
        return Seen(address, "hello", reason, await _speech(address, reason, given)), []
    try:
        async with _connected(address, given, with_login=True) as connection:
            metadata = await connection.send(MetadataRequest([]))
    except (KafkaError, OSError, EOFError, TimeoutError) as error:
        if not settings.uses_login and await _wants_a_login(address, given):
            return Seen(address, "metadata", _innermost(error), "a login"), []
        return Seen(address, "login" if settings.uses_login else "metadata", _innermost(error), mechanisms=mechanisms), []
    return Seen(address, "done"), [(row[0], row[1], row[2]) for row in metadata.brokers[:ADVERTISED_MAX]]


def split(address: str) -> tuple[str, int]:
    """Host, without the brackets of an IPv6 address, and port."""
    host, _, port = address.rpartition(":")
    return host.strip("[]"), int(port)


async def _connect(address: str) -> Seen:
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            _, writer = await asyncio.open_connection(*split(address))
    except (OSError, TimeoutError) as error:
        return Seen(address, "connect", error)
    writer.close()
    return Seen(address, "done")


@asynccontextmanager
async def _connected(address: str, given: Credentials, *, with_login: bool) -> AsyncIterator[Any]:
    protocol = given["security_protocol"]
    options = {name: value for name, value in given.items() if name != "bootstrap_servers"}
    if not with_login:
        options = {"ssl_context": given["ssl_context"], "security_protocol": "SSL" if "SSL" in protocol else "PLAINTEXT"}
    connection = AIOKafkaConnection(*split(address), request_timeout_ms=int(ANSWER_SECONDS * 1000), **options)
    try:
        await connection.connect()
        yield connection
    finally:
        with suppress(Exception):
            connection.close()


async def _speech(address: str, error: BaseException, given: Credentials) -> Speech:
    """What is spoken at an address where what we speak was not understood."""
    if isinstance(error, TimeoutError):
        return ""  # a broker that is frozen answers nothing else either
    if given["ssl_context"] is None:
        return "TLS" if await _is_tls(address) else ""
    if isinstance(error, ssl.SSLCertVerificationError) or "ALERT" in str(getattr(error, "reason", "")):
        return ""
    try:
        async with _connected(address, {"ssl_context": None, "security_protocol": "PLAINTEXT"}, with_login=False):
            return "plain text"
    except (KafkaError, OSError, EOFError, TimeoutError):
        return ""


async def _is_tls(address: str) -> bool:
    """Whether a TLS server answers, whoever it says it is: nothing is told to it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            _, writer = await asyncio.open_connection(*split(address), ssl=context)
    except ssl.SSLError as error:
        return "ALERT" in str(error.reason)
    except (OSError, EOFError, TimeoutError):
        return False
    writer.close()
    return True


async def _wants_a_login(address: str, given: Credentials) -> bool:
    """A port without logins answers the question for one with an error of its own."""
    try:
        async with _connected(address, given, with_login=False) as connection:
            answer = await connection.send(SaslHandShakeRequest("PLAIN"))
    except (KafkaError, OSError, EOFError, TimeoutError):
        return False
    return int(answer.error_code) in (0, _UNSUPPORTED_MECHANISM)


def _innermost(error: BaseException) -> BaseException:
    while error.__cause__ is not None and not isinstance(error.__cause__, asyncio.CancelledError):  # a limit in time passed
        error = error.__cause__
    return error
