"""What the product publishes, as bytes: standings and rejections. Changes stand in `changes.py`, pages and marks in `pages.py`.

Decides keys and canonical JSON (RFC 8785: sorted keys, shortest escapes; our messages hold no numbers but integers).
Every function is pure: the same values give the same bytes, which is what lets a stranger compare.
"""

from __future__ import annotations

import base64
import hashlib
from typing import Any

import msgspec

from tally_stream.domain.election import Election
from tally_stream.domain.ledger import Verdict
from tally_stream.domain.rules import message_of
from tally_stream.wire.limits import REJECTION_KEY_MAX_BYTES, REJECTION_VALUE_MAX_BYTES

_encoder = msgspec.json.Encoder(order="sorted")


def canonical_json(message: dict[str, Any]) -> bytes:
    """RFC 8785 for values made of objects, arrays, text, integers, booleans and null."""
    return _encoder.encode(message)


def standings_key(contest_id: str, area_id: str) -> bytes:
    return f"{contest_id}|{area_id}".encode()


def record_key(partition: int, offset: int) -> bytes:
    """Key of a rejection or change: the report's own place."""
    return b"%d/%d" % (partition, offset)


def _source(topic: str, partition: int, offset: int, log_ms: int) -> dict[str, Any]:
    return {"topic": topic, "partition": partition, "offset": offset, "timestamp": log_ms}


def encode_rejection(
    election: Election,
    topic: str,
    partition: int,
    offset: int,
    log_ms: int,
    key: bytes | None,
    value: bytes | None,
    verdict: Verdict,
) -> bytes:
    """A refused or held record with its raw bytes: the key and value are cut at 64 KiB, length and SHA-256 are whole."""
    return canonical_json(
        {
            "schema": 1,
            "verdict": verdict.name,
            "codes": [f.code for f in verdict.findings],
            "details": [{"code": f.code, "message": message_of(f), "left": f.left, "right": f.right} for f in verdict.findings],
            "source": _source(topic, partition, offset, log_ms),
            "definition": election.digest,
            "key_base64": None if key is None else base64.b64encode(key[:REJECTION_KEY_MAX_BYTES]).decode(),
            "value_base64": None if value is None else base64.b64encode(value[:REJECTION_VALUE_MAX_BYTES]).decode(),
            "value_bytes": None if value is None else len(value),
            "value_sha256": None if value is None else hashlib.sha256(value).hexdigest(),
        }
    )


class PublishedStandings(msgspec.Struct, frozen=True):
    """The fields of a standings message that a worker needs of one it finds on the topic."""

    definition: str
    contest: str
    area: str
    version: int
    provenance: dict[str, Any]
    phase: str = ""

    @property
    def next_offsets(self) -> dict[str, int]:
        offsets: dict[str, int] = self.provenance["next_offsets"]
        return offsets


_standings_decoder = msgspec.json.Decoder(PublishedStandings)


def read_published(value: bytes) -> PublishedStandings:
    """Raises ValueError on anything that is no standings message."""
    try:
        published = _standings_decoder.decode(value)
        if not all(isinstance(o, int) for o in published.next_offsets.values()):
            raise ValueError("next_offsets are not integers")
    except (msgspec.MsgspecError, UnicodeDecodeError, KeyError, AttributeError) as error:
        raise ValueError(f"not a standings message: {error}") from error
    return published
