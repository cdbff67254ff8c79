"""Who signed a record, and whether they may: rule S6 against the keys of its partition.

Decides the order of S6: the key is known, not revoked, in force at the record's log timestamp, and its signature is right, all
before a byte of the payload is read; then the key may sign such a statement. A signature is verified each time its record is
read, in a replay too: below the committed offset an unverified forgery would be counted. `verify_ahead` does so in other
threads before the records are judged. Refuses to know what else a statement says. Read `signed.py` next.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from tally_stream.domain.election import Signatures
from tally_stream.domain.key_ring import KeyRing
from tally_stream.domain.keys import SigningKey
from tally_stream.domain.rules import Finding
from tally_stream.domain.scalars import format_time
from tally_stream.wire.envelope import Envelope, is_right, open_plainly

SHOWN_MAX_CHARS = 64


class Verified(NamedTuple):
    """An envelope, the public key by which it was verified, and whether its signature was that one's."""

    envelope: Envelope
    public_key: bytes
    is_right: bool


Ahead = Mapping[bytes, Verified]
"""A record's value → what was found of it before it was judged."""
NOTHING_AHEAD: Ahead = {}


def verify_ahead(values: Iterable[bytes | None], ring: KeyRing) -> dict[bytes, Verified]:
    """Verify these records' values by the keys as they are now. For other threads, while no record of the ring's partition is
    taken; where a key statement among the records changes a key, its envelopes are verified again when they are judged."""
    found: dict[bytes, Verified] = {}
    for value in values:
        if value is None:
            continue
        envelope = open_plainly(value)
        key = None if envelope is None else ring.get(envelope.key_id)
        if envelope is not None and key is not None:
            found[value] = Verified(envelope, key.public_key, is_right(envelope, key.public_key))
    return found


class Signing:
    """What there is to know of the signature of one record: the keys of its partition, its log timestamp, and what was
    verified ahead."""

    def __init__(self, ring: KeyRing, log_ms: int, ahead: Ahead = NOTHING_AHEAD) -> None:
        self._ring = ring
        self._log_ms = log_ms
        self._ahead = ahead
        self._verified: Verified | None = None

    def opened(self, value: bytes) -> Envelope | None:
        """As `open_plainly`, which is not asked twice."""
        known = self._ahead.get(value)
        return open_plainly(value) if known is None else known.envelope

    def signer(self, envelope: Envelope, value: bytes) -> SigningKey | Finding:
        """The key that signed the envelope, which stands in the record's `value`; or why it is refused."""
        shown = ascii(envelope.key_id[:SHOWN_MAX_CHARS])[1:-1][:SHOWN_MAX_CHARS]
        key = self._ring.get(envelope.key_id)
        if key is None:
            what = "is revoked" if self._ring.is_revoked(envelope.key_id) else "is unknown"
            return Finding("S6", f"key {{left}} {what}", shown)
        if not key.is_in_force(self._log_ms):
            return Finding("S6", "key {left} is not in force at {right}", shown, format_time(self._log_ms))
        verified = self._ahead.get(value, self._verified)
        if verified is None or verified.public_key != key.public_key:
            # Kept: what is not plain is read a second time, by the exact reader.
            verified = self._verified = Verified(envelope, key.public_key, is_right(envelope, key.public_key))
        return key if verified.is_right else Finding("S6", "the signature is not that of key {left}", shown)


def unsigned(kind: str, signatures: Signatures | None) -> Finding | None:
    """Why a statement without signature is refused, if it is: one about a key always."""
    if kind == "key":
        return Finding("S6", "a statement about a key is not signed")
    return Finding("S6", "not signed, and the definition demands signatures") if signatures == "required" else None


def not_allowed(signer: SigningKey, kind: str, station: Any) -> Finding | None:
    """Why a key may not sign such a statement, if it may not. `station` is what stands in its field, None where none does."""
    if kind not in signer.kinds:
        return Finding("S6", "key {left} may not sign a statement of kind {right}", signer.id, kind)
    if signer.station and signer.station != station:
        return Finding("S6", "key {left} signs for {right} alone", signer.id, signer.station)
    return None
