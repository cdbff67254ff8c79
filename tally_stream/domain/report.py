"""What a station or an authority can state: counts, decisions about counts, turnout, control of a contest.

Decides the shape of a statement whose bytes, identity and field rules were already found good (`wire/codec.py`).
Two statements are the same when they are equal here: key order, spaces and spellings are gone, times keep their text.
Read `rules.py` next.
"""

from __future__ import annotations

from typing import Literal

import msgspec

CountKind = Literal["report", "correct", "recount"]
DecisionKind = Literal["annul", "restore", "withdraw", "accept"]
ReportKind = Literal["report", "correct", "recount", "annul", "restore", "withdraw", "accept"]
ControlKind = Literal["hold", "release", "certify"]

COUNT_KINDS = frozenset({"report", "correct", "recount"})
DECISION_KINDS = frozenset({"annul", "restore", "withdraw", "accept"})
CONTROL_KINDS = frozenset({"hold", "release", "certify"})


class Report(msgspec.Struct, frozen=True, gc=False):
    """A station's whole statement on one contest, or an authority's decision about it.

    `votes` are in the contest's candidate order and empty for a decision, which carries no counts; `cast`, `blank`,
    `invalid`, `registered` are None where unknown. `gc=False`: it holds only scalars and one tuple of integers, and a
    million of them tracked by the collector made decoding 1.8 times slower.
    """

    contest: int
    station: str
    revision: int
    kind: ReportKind
    complete: bool
    counted_at: str | None
    counted_at_ms: int | None
    registered: int | None
    cast: int | None
    valid: int
    blank: int | None
    invalid: int | None
    votes: tuple[int, ...]
    replaces: int | None = None
    reason: str | None = None
    authority: str | None = None

    @property
    def ballots(self) -> int:
        """Ballots cast, or the valid ones where cast is unknown (rules Q6, P10, A3, A8, P4)."""
        return self.valid if self.cast is None else self.cast


class Turnout(msgspec.Struct, frozen=True, gc=False):
    """Voters who have taken part so far, before the count."""

    station: str
    revision: int
    as_of: str
    voted: int


class Control(msgspec.Struct, frozen=True, gc=False):
    """Hold, release or certify one contest; the same bytes go to every partition."""

    contest: int
    kind: ControlKind
    revision: int
    reason: str
    authority: str


Statement = Report | Turnout | Control
