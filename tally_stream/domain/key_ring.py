"""The keys as they are in force in one partition: those of the definition, and what key statements made of them.

Decides what a key statement changes, and its place in the key's own sequence (rules Q1, Q2, Q3, Q8). Each partition has a
ring: a function of the definition and of that partition's records alone. Read `fold.py` next.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tally_stream.domain.keys import SigningKey
from tally_stream.domain.ledger import OWES_NOTHING, Verdict, judge_sequence
from tally_stream.domain.report import KeyStatement


@dataclass(frozen=True)
class _Known:
    """The newest statement about a key; `key` None: revoked."""

    statement: KeyStatement
    key: SigningKey | None


class KeyRing:
    """The keys as they are in force in one partition, at the place where its records were read."""

    def __init__(self, keys: Mapping[str, SigningKey]) -> None:
        """`keys` are the definition's, by id."""
        self._keys = keys
        self._stated: dict[str, _Known] = {}

    def get(self, key_id: str) -> SigningKey | None:
        """None where it is unknown or revoked."""
        known = self._stated.get(key_id)
        return self._keys.get(key_id) if known is None else known.key

    def is_revoked(self, key_id: str) -> bool:
        return key_id in self._stated and self._stated[key_id].key is None

    def newest(self, key_id: str) -> KeyStatement | None:
        """The newest statement about a key; None where there is none."""
        known = self._stated.get(key_id)
        return None if known is None else known.statement

    def all(self) -> list[SigningKey]:
        """Those that are in force but for their times, by id."""
        ids = sorted({*self._keys, *self._stated})
        return [key for key in map(self.get, ids) if key is not None]

    def take(self, s: KeyStatement) -> Verdict:
        """Judge a statement about a key, whose signature was found right; it is in force from the next record on."""
        known = self._stated.get(s.key_id)
        top = 0 if known is None else known.statement.revision
        refused = judge_sequence(top, known is not None and s == known.statement, s.revision)
        if refused is not None:
            return refused
        key = None if s.action == "revoke" else SigningKey(s.key_id, s.holder, s.station, s.kinds, s.public_key)
        self._stated[s.key_id] = _Known(s, key)
        return OWES_NOTHING
