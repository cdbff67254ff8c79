"""A signed envelope: what it holds, and whether its signature is right (rule S6).

Decides what is an envelope and which bytes are signed (DSSE's pre-authentication encoding), and asks `cryptography` whether a
signature is right: Ed25519 of RFC 8032, without cofactor, S below the group order, one signature at a time (a batch may say
otherwise than its members). Refuses to know keys, and what a payload says. Nothing here raises on any bytes. Read
`signing.py` next.
"""

from __future__ import annotations

from binascii import Error as NotBase64
from binascii import a2b_base64, b2a_base64
from functools import lru_cache
from typing import Any, NamedTuple

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

PAYLOAD_TYPE = "application/vnd.tally-stream.statement+json"
SIGNATURE_BYTES = 64
ENVELOPE_FIELDS = frozenset({"payload", "payload_type", "key_id", "signature"})
PUBLIC_KEYS_KEPT_MAX = 100_000
"""Each about 400 bytes: stations that report again are not read as keys again."""

_QUOTES = 2 * (4 + 4)
"""Four names and four texts. One more is a name that stands twice, or a text with a quotation mark in it."""


class Envelope(NamedTuple):
    """`payload` are the statement's bytes."""

    key_id: str
    payload: bytes
    signature: bytes


class _Texts(msgspec.Struct, frozen=True, gc=False, forbid_unknown_fields=True):
    payload: str
    payload_type: str
    key_id: str
    signature: str


_decode = msgspec.json.Decoder(_Texts).decode


def open_plainly(value: bytes) -> Envelope | None:
    """The envelope in a record's value; None where it is none, or not one in its plainest form (`open_fields` decides)."""
    if value.count(b'"') != _QUOTES or b"\\" in value:
        return None
    try:
        texts = _decode(value)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    opened = _opened(texts.payload_type, texts.key_id, texts.payload, texts.signature)
    return opened if isinstance(opened, Envelope) else None


def open_fields(fields: dict[str, Any]) -> Envelope | str:
    """The envelope of an object's fields, which are those of one; or why nothing can be verified, as a sentence."""
    for name in sorted(ENVELOPE_FIELDS):
        if not isinstance(fields[name], str):
            return f"{name} of the envelope is not a text"
    return _opened(fields["payload_type"], fields["key_id"], fields["payload"], fields["signature"])


def _opened(payload_type: str, key_id: str, payload: str, signature: str) -> Envelope | str:
    if payload_type != PAYLOAD_TYPE:
        return f"payload_type is not {PAYLOAD_TYPE}"
    payload_bytes, signature_bytes = from_base64(payload), from_base64(signature)
    if payload_bytes is None:
        return "payload is not standard base64 with padding"
    if signature_bytes is None or len(signature_bytes) != SIGNATURE_BYTES:
        return f"signature is not standard base64 of {SIGNATURE_BYTES} bytes"
    return Envelope(key_id, payload_bytes, signature_bytes)


def from_base64(text: str) -> bytes | None:
    """What it stands for; None where it is not the one way in which standard base64 with padding writes that."""
    try:
        found = a2b_base64(text, strict_mode=True)
    except (NotBase64, ValueError):
        return None
    return found if b2a_base64(found, newline=False) == text.encode() else None


def to_base64(value: bytes) -> str:
    """Standard base64 with padding."""
    return b2a_base64(value, newline=False).decode()


def signed_bytes(payload: bytes) -> bytes:
    """What is signed for a payload: DSSE's pre-authentication encoding, lengths in bytes as decimal text."""
    return b"DSSEv1 %d %b %d %b" % (len(PAYLOAD_TYPE), PAYLOAD_TYPE.encode(), len(payload), payload)


@lru_cache(maxsize=PUBLIC_KEYS_KEPT_MAX)
def _key_of(public_key: bytes) -> Ed25519PublicKey:
    return Ed25519PublicKey.from_public_bytes(public_key)


def is_right(envelope: Envelope, public_key: bytes) -> bool:
    """Whether its signature is that of `public_key` (32 bytes). About 100 us, in which other threads run."""
    try:
        _key_of(public_key).verify(envelope.signature, signed_bytes(envelope.payload))
    except (InvalidSignature, ValueError):
        return False
    return True


def sealed(payload: bytes, key_id: str, signature: bytes) -> bytes:
    """The value of a record with this payload and the signature of `signed_bytes(payload)`."""
    return msgspec.json.encode(_Texts(to_base64(payload), PAYLOAD_TYPE, key_id, to_base64(signature)))
