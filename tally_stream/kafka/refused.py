"""Why a broker does not let us in, in one sentence that names the broker and the setting; and whether waiting can cure it.

Decides, on what a try saw (`probe.py` tries), which of the ways to be refused it was. A login, a certificate or a protocol that
is wrong stays wrong however long one waits; nobody there, no such host, an address that nobody can reach may pass: brokers come
up one after the other. Refuses to know sockets. What an access rule forbids stands in `rights.py`.
"""

from __future__ import annotations

import os
import socket
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from aiokafka.errors import IllegalSaslStateError, SaslAuthenticationFailed, UnsupportedSaslMechanismError

from tally_stream.settings import Settings

Step = Literal["connect", "hello", "login", "metadata", "done"]
"""How far a try came: the network, then TLS and the first answer, the login, the list of brokers."""

Speech = Literal["", "plain text", "TLS", "a login"]

EXPIRED, _NOT_YET = 10, 9
_OTHER_HOST = (62, 64)
_UNKNOWN_SIGNER = (2, 18, 19, 20, 21)
"""OpenSSL's numbers of what is wrong with a certificate (X509_V_ERR_…)."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What a try at one address came to. `error`: what ended it, the innermost one; `speaks`: what a second look found to be
    spoken there instead; `mechanisms`: the logins that are offered; `named_by`: where it is an advertised address, who named
    it, as the address of broker `broker_id`."""

    address: str
    step: Step
    error: BaseException | None = None
    speaks: Speech = ""
    mechanisms: tuple[str, ...] = ()
    named_by: str = ""
    broker_id: int = -1


@dataclass(frozen=True, slots=True)
class Refusal:
    """`is_final`: waiting cannot cure it. `is_everywhere`: it is ours, so that each broker would refuse it: our login, its
    mechanism, our protocol, our certificate; not the broker's own certificate."""

    sentence: str
    is_final: bool
    is_everywhere: bool = False
    is_absent: bool = False


def judge_all(tries: Sequence[Seen], settings: Settings) -> Refusal | None:
    """Of all addresses the refusal that says most; None where one let us in. A broker's own certificate may be wrong there
    alone, so it is final only where no other may still come up."""
    refusals = [judge(seen, settings) for seen in tries]
    found = [refusal for refusal in refusals if refusal is not None]
    if len(found) < len(refusals) or not found:
        return None
    final = [refusal for refusal in found if refusal.is_final]
    if final and (len(final) == len(found) or any(refusal.is_everywhere for refusal in final)):
        return next((refusal for refusal in final if refusal.is_everywhere), final[0])
    said = final or [refusal for refusal in found if not refusal.is_absent] or found
    return Refusal(said[0].sentence, False, is_absent=said[0].is_absent)


def judge(seen: Seen, settings: Settings) -> Refusal | None:
    """Of one address; None where nothing was wrong."""
    if seen.step == "done":
        return None
    if seen.step == "connect":
        return _nobody(seen)
    named = f", as the broker at {seen.named_by} names it (advertised.listeners)" if seen.named_by else ""
    broker = f"the broker at {seen.address}{named}"
    if seen.speaks:
        return _ours(_other_speech(broker, seen.speaks, settings))
    match seen.error:
        case UnsupportedSaslMechanismError():
            offered = f", but {', '.join(seen.mechanisms)}" if seen.mechanisms else ""
            mechanism = settings.security_sasl_mechanism
            return _ours(f"{broker} does not offer {mechanism}{offered}: TALLY_SECURITY_SASL_MECHANISM")
        case IllegalSaslStateError():
            return _ours(_other_speech(broker, "plain text" if not settings.uses_tls else "TLS", settings))
        case SaslAuthenticationFailed():
            file = "_FILE" if settings.security_password_file else ""
            return _ours(
                f"{broker} answered and refused the login of {settings.security_username!r}: "
                f"TALLY_SECURITY_USERNAME, TALLY_SECURITY_PASSWORD{file}"
            )
        case ssl.SSLCertVerificationError() as error:
            return _certificate(seen, f"the certificate of the broker at {seen.address}{named}", error, settings)
        case ssl.SSLError(reason=str(reason)) if "ALERT" in reason:
            return _alert(broker, reason, settings)
    if isinstance(seen.error, TimeoutError) and not str(seen.error):
        if named:
            by = seen.named_by
            return Refusal(
                f"{seen.address}, as the broker at {by} names it (advertised.listeners), takes connections but does not answer",
                False,
            )
        what = "takes connections but does not answer: frozen, overloaded, or TALLY_BOOTSTRAP names no broker"
        return Refusal(f"{seen.address} {what}", False)
    setting = "" if named else ": TALLY_BOOTSTRAP"
    return Refusal(
        f"something answers at {seen.address}{named}, but not as a Kafka broker ({_why(seen.error)}){setting}", False
    )


def _ours(sentence: str) -> Refusal:
    return Refusal(sentence, True, is_everywhere=True)


def _nobody(seen: Seen) -> Refusal:
    host = seen.address.rpartition(":")[0]
    if seen.named_by:
        return Refusal(
            f"the broker at {seen.named_by} answered and names {seen.address} as the address of broker {seen.broker_id}, where "
            f"nobody answers ({_why(seen.error)}): advertised.listeners of that broker, or the way to it", False,
        )  # fmt: skip
    if isinstance(seen.error, socket.gaierror):
        return Refusal(f"there is no host {host!r} ({_why(seen.error)}): TALLY_BOOTSTRAP", False)
    return absent(seen.address, _why(seen.error))


def absent(address: str, why: str) -> Refusal:
    """Nobody is there, which may pass."""
    return Refusal(
        f"no Kafka broker answers at {address} ({why}): not up yet, or TALLY_BOOTSTRAP is wrong", False, is_absent=True
    )


def _other_speech(broker: str, speaks: Speech, settings: Settings) -> str:
    ours = settings.security_protocol
    if speaks == "a login":
        wanted = "SASL_SSL" if settings.uses_tls else "SASL_PLAINTEXT"
        return f"{broker} wants a login there: TALLY_SECURITY_PROTOCOL is {ours}, it should be {wanted}"
    if speaks == "TLS" and settings.uses_tls:
        return f"{broker} takes no login there: TALLY_SECURITY_PROTOCOL is {ours}, it should be SSL"
    if speaks == "TLS":
        wanted = "SASL_SSL" if settings.uses_login else "SSL or SASL_SSL"
        return f"{broker} speaks TLS there: TALLY_SECURITY_PROTOCOL is {ours}, it should be {wanted}"
    if settings.uses_tls:
        return f"{broker} speaks plain text there, not TLS: TALLY_SECURITY_PROTOCOL is {ours}, or the port is another one's"
    return f"{broker} takes no login there: TALLY_SECURITY_PROTOCOL is {ours}, it should be PLAINTEXT"


def _certificate(seen: Seen, whose: str, error: ssl.SSLCertVerificationError, settings: Settings) -> Refusal:
    if error.verify_code == EXPIRED:
        return Refusal(f"{whose} has expired: that broker needs a new one (or this machine's clock is wrong)", True)
    if error.verify_code == _NOT_YET:
        return Refusal(f"{whose} is not valid yet: this machine's clock, or the certificate", False)
    if error.verify_code in _OTHER_HOST:
        host = seen.address.rpartition(":")[0]
        setting = "advertised.listeners" if seen.named_by else "TALLY_BOOTSTRAP"
        return Refusal(f"{whose} is not for {host!r}: {setting} has to name a host that stands in the certificate", True)
    file = settings.security_cafile
    if error.verify_code in _UNKNOWN_SIGNER:
        if file:
            return Refusal(f"{whose} is signed by nobody that TALLY_SECURITY_CAFILE ({file}) knows", True)
        return Refusal(f"{whose} is signed by nobody that this system knows: TALLY_SECURITY_CAFILE names a file", True)
    return Refusal(f"{whose} was not accepted ({error.verify_message}): TALLY_SECURITY_CAFILE", True)


def _alert(broker: str, reason: str, settings: Settings) -> Refusal:
    said = reason.partition("ALERT_")[2].replace("_", " ").lower()
    if not any(word in reason for word in ("CERTIFICATE", "UNKNOWN_CA", "HANDSHAKE_FAILURE")):
        return _ours(f"{broker} ended the TLS handshake ({said}): TALLY_SECURITY_PROTOCOL is {settings.security_protocol}")
    if settings.security_certfile is None:
        return _ours(f"{broker} asks for a certificate of ours ({said}): TALLY_SECURITY_CERTFILE, TALLY_SECURITY_KEYFILE")
    return _ours(
        f"{broker} did not accept our certificate ({said}): TALLY_SECURITY_CERTFILE ({settings.security_certfile}) has "
        "expired, or is signed by nobody it knows"
    )


def _why(error: BaseException | None) -> str:
    if error is None:
        return "no reason given"
    if isinstance(error, TimeoutError) and not str(error):
        return "no answer"
    if isinstance(error, EOFError):
        return "it closed the connection"
    said = str(getattr(error, "strerror", None) or error)
    if isinstance(error, OSError) and error.errno is not None and said.startswith("Connect call failed"):
        said = os.strerror(error.errno)  # asyncio has it instead of the system's own words
    text = said.splitlines()
    return text[0][:200] if text and text[0] else type(error).__name__
