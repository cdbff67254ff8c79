"""Whether the key that signed a statement may sign it, asked before the statement is sent: rule S6, by the keys known here.

Decides what is certain. With what the record says of keys (`record_read.py`) all of S6 is. Without it there is keys.csv: what
that denies to a key is refused; of a key that it does not have, or has with another public key, nothing can be known, as the
record may have it: that is told once and refuses nothing. The time is this machine's; the count judges by the record's.
Refuses to know files and brokers. Read `checking.py` next.
"""

from __future__ import annotations

from collections.abc import Callable

from tally_stream.domain.election import Election
from tally_stream.domain.key_ring import KeyRing
from tally_stream.domain.keys import SigningKey
from tally_stream.domain.rules import message_of
from tally_stream.domain.scalars import format_time
from tally_stream.wire.envelope import Envelope, open_plainly
from tally_stream.wire.signing import Signing, not_allowed


def missing_signature(election: Election, value: bytes) -> str | None:
    """What rule S6 says of a record's value where no key is needed to say it."""
    is_signed = open_plainly(value) is not None
    if is_signed and election.signatures is None:
        return "a signed envelope, and the definition demands no signatures"
    if not is_signed and election.signatures == "required":
        return "not signed, and the definition demands signatures"
    return None


class KnownKeys:
    """The keys of an election as they are known here. `ring` is what the record makes of them; None: it was not read. `file`
    is the one that the signing key is in, for sentences; `say` is told what cannot be known."""

    def __init__(
        self, election: Election, ring: KeyRing | None = None, file: str | None = None,
        say: Callable[[str], object] = lambda line: None,
    ) -> None:  # fmt: skip
        self._election, self._say = election, say
        self._is_record_read = ring is not None
        self._ring = KeyRing(election.keys) if ring is None else ring
        by = [*([] if file is None else [file]), *(["by keys.csv alone"] if ring is None else [])]
        self._by = f" ({', '.join(by)})" if by else ""
        self._told: set[str] = set()

    def why_refused(self, value: bytes, now_ms: int, kind: str | None, station: str | None) -> str | None:
        """Why S6 would refuse a record with this value if it came now, and what to do; None where it would not, or where it
        cannot be known. `kind` and `station` are what the statement in it says; None: it cannot be read."""
        missing = missing_signature(self._election, value)
        envelope = open_plainly(value)
        if missing is not None or envelope is None:
            return missing
        signer = Signing(self._ring, now_ms).signer(envelope, value)
        if isinstance(signer, SigningKey):
            return None if kind is None else self._why_not_allowed(signer, kind, station)
        key = self._ring.get(envelope.key_id)
        is_known = key is not None and not key.is_in_force(now_ms)  # else its signature is wrong, or there is none
        if not is_known and not self._is_record_read:
            self._tell_unknown(envelope.key_id, key)
            return None
        return f"{message_of(signer)}{self._by}: {self._what_to_do(envelope, key, now_ms)}"

    def _why_not_allowed(self, signer: SigningKey, kind: str, station: str | None) -> str | None:
        finding = not_allowed(signer, kind, station)
        if finding is None:
            return None
        if signer.station and signer.station != station:
            advice = f"TALLY_SIGNING_KEY names the key of {station}"
        else:
            advice = f"it may sign {' '.join(sorted(signer.kinds))}; another key may do more, or an authority sends this"
        return f"{message_of(finding)}{self._by}: {advice}"

    def _what_to_do(self, envelope: Envelope, key: SigningKey | None, now_ms: int) -> str:
        if self._ring.is_revoked(envelope.key_id):
            return "make a new key (`tally-stream keys make`), and ask the authority to add it"
        if key is None:
            return "the authority adds it (`tally-stream keys add`), or TALLY_SIGNING_KEY_ID says another id"
        if not key.is_in_force(now_ms):
            return f"it is {_times(key)}; look at this machine's clock, or ask the authority for a key of now"
        return "TALLY_SIGNING_KEY names another file, or TALLY_SIGNING_KEY_ID another id"

    def _tell_unknown(self, key_id: str, key: SigningKey | None) -> None:
        if key_id in self._told:
            return
        self._told.add(key_id)
        what = "does not have it" if key is None else "has it with another public key"
        self._say(
            f"S6: whether key {key_id}{self._by} may sign is not known: keys.csv of {self._election.id} {what}; unless it was "
            "added on the record, what it signs is refused at the count"
        )


def _times(key: SigningKey) -> str:
    begin, end = key.valid_from_ms, key.valid_to_ms
    words = ["" if begin is None else f"from {format_time(begin)}", "" if end is None else f"to {format_time(end)}"]
    return f"in force {' '.join(word for word in words if word)}"
