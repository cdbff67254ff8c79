"""The statement in a record of an election whose statements are signed.

Decides nothing that `signing.py` (who signed) and the readers (what is said) do not: it opens what is plain, and sends the
rest to `exact.py`. Read `run.py` next.
"""

from __future__ import annotations

import msgspec

from tally_stream.domain.report import CONTROL_KINDS, Statement
from tally_stream.domain.rules import Finding
from tally_stream.wire.envelope import open_plainly
from tally_stream.wire.limits import VALUE_MAX_BYTES
from tally_stream.wire.reading import ReportReader
from tally_stream.wire.signing import Signing, not_allowed


def read_signed(reader: ReportReader, signing: Signing, value: bytes | None, key: bytes | None) -> Statement | Finding:
    """As `ReportReader.read`, with rule S6 in its place."""
    envelope = None if value is None or len(value) > VALUE_MAX_BYTES else signing.opened(value)
    if envelope is None:
        fast = reader.read_fast(value, key) if reader.election.signatures == "optional" else None
        return reader.exact.read_signed(value, key, signing) if fast is None else fast
    assert value is not None, "it was opened"
    signer = signing.signer(envelope, value)
    if isinstance(signer, Finding):
        return signer
    fast = reader.read_fast(envelope.payload, key)
    if fast is None:
        return reader.exact.read_signed(value, key, signing)
    if isinstance(fast, Finding):  # S2, before which S6 comes: by the letter
        return reader.exact.read_signed(value, key, signing)
    return not_allowed(signer, fast.kind, fast.station.id) or fast


KINDS_FOR_ALL = CONTROL_KINDS | {"key"}
"""Kinds of statements of which every partition has a copy."""


class _OfAnyKind(msgspec.Struct, frozen=True, gc=False):
    kind: str = ""


_decode_kind = msgspec.json.Decoder(_OfAnyKind).decode


def kind_said(value: bytes | None) -> str:
    """The kind that a statement says it is of, signed or not; "" where none is said. Nothing is verified."""
    said = statement_in(value)
    try:
        return "" if said is None else _decode_kind(said).kind
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return ""


def statement_in(value: bytes | None) -> bytes | None:
    """The bytes of the statement in a record's value, signed or not. Nothing is verified."""
    envelope = None if value is None else open_plainly(value)
    return value if envelope is None else envelope.payload
