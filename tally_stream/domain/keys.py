"""A key that signs statements: whose it is, what it may sign, and which public keys are none (rule S6).

Refuses to know signatures: whether one is right is asked of `wire/envelope.py`. Read `key_ring.py` next.
"""

from __future__ import annotations

from dataclasses import dataclass

SIGNED_KINDS = frozenset(
    ("report", "correct", "recount", "annul", "restore", "withdraw", "accept", "turnout", "hold", "release", "certify", "key")
)
"""What a key can be allowed to sign, by the statement's `kind`: all kinds there are."""

PUBLIC_KEY_BYTES = 32

_P = 2**255 - 19
_Y_BITS = 2**255 - 1
_ORDER_8_Y = 2707385501144840649318225287225658788936804267575313519463743609750303402022
_SMALL_ORDER_YS = frozenset({0, 1, _P - 1, _ORDER_8_Y, _P - _ORDER_8_Y})
"""Of the eight points of edwards25519 whose order divides 8, two with each but 1 and -1."""


@dataclass(frozen=True)
class SigningKey:
    """`station` is the one for which it signs, "" for every station and contest (an authority). `kinds` are words of
    SIGNED_KINDS. In force from `valid_from_ms` to `valid_to_ms`, both included, of a record's log timestamp; None: no limit."""

    id: str
    holder: str
    station: str
    kinds: frozenset[str]
    public_key: bytes
    valid_from_ms: int | None = None
    valid_to_ms: int | None = None

    def is_in_force(self, log_ms: int) -> bool:
        return (self.valid_from_ms is None or self.valid_from_ms <= log_ms) and (
            self.valid_to_ms is None or log_ms <= self.valid_to_ms
        )


def kinds_of(words: str) -> frozenset[str] | None:
    """Words separated by spaces → the kinds; None where one is none of SIGNED_KINDS, or there is no word."""
    kinds = frozenset(word for word in words.split(" ") if word)
    return kinds if kinds and kinds <= SIGNED_KINDS else None


def public_key_error(public_key: bytes) -> str | None:
    """What is wrong with an Ed25519 public key, behind its name; None where nothing is.

    RFC 8032 encodes a point in one way only; points whose order divides 8 are nobody's key: signatures can be made for them
    that hold for many messages.
    """
    if len(public_key) != PUBLIC_KEY_BYTES:
        return f"has {len(public_key)} bytes, not {PUBLIC_KEY_BYTES}"
    y = int.from_bytes(public_key, "little") & _Y_BITS
    if y >= _P:
        return "is no canonical point (RFC 8032)"
    if y in _SMALL_ORDER_YS:
        return "is a point of small order, for which anybody can sign"
    return None
