"""What a station or an authority can state: counts, decisions about counts, turnout, control of a contest or of a key.

Decides the shape of a statement whose bytes, identity and field rules were already found good (nearly always by
`wire/reading.py`, else by `wire/exact.py`).
Two statements are the same when they are equal here: key order, spaces and spellings are gone, times keep their text.
Read `rules.py` next.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from mypy_extensions import mypyc_attr

from tally_stream.domain.election import Station

CountKind = Literal["report", "correct", "recount"]
ReportKind = Literal["report", "correct", "recount", "annul", "restore", "withdraw", "accept"]
ControlKind = Literal["hold", "release", "certify"]

COUNT_KINDS = frozenset({"report", "correct", "recount"})
DECISION_KINDS = frozenset({"annul", "restore", "withdraw", "accept"})
CONTROL_KINDS = frozenset({"hold", "release", "certify"})


@mypyc_attr(acyclic=True)
class Report:
    """A station's whole statement on one contest, or an authority's decision about it.

    `votes` are in the contest's candidate order and empty for a decision, which carries no counts; `cast`, `blank`,
    `invalid`, `registered` are None where unknown. `undervotes` and `overvotes` (both or neither) are votes of valid ballots
    that were not given, or lost because a ballot gave too many. Acyclic (no collector looks at it): it holds only scalars and
    one tuple of integers, and a million tracked ones made decoding 1.8 times slower.
    """

    __slots__ = (
        "authority", "blank", "cast", "complete", "contest", "counted_at", "counted_at_ms", "invalid", "kind", "overvotes",
        "reason", "registered", "replaces", "revision", "station", "undervotes", "valid", "votes",
    )  # fmt: skip

    def __init__(
        self,
        contest: int,
        station: Station,
        revision: int,
        kind: ReportKind,
        complete: bool,
        counted_at: str | None,
        counted_at_ms: int | None,
        registered: int | None,
        cast: int | None,
        valid: int,
        blank: int | None,
        invalid: int | None,
        votes: tuple[int, ...],
        replaces: int | None = None,
        reason: str | None = None,
        authority: str | None = None,
        undervotes: int | None = None,
        overvotes: int | None = None,
    ) -> None:
        self.contest: Final = contest
        self.station: Final = station
        self.revision: Final = revision
        self.kind: Final = kind
        self.complete: Final = complete
        self.counted_at: Final = counted_at
        self.counted_at_ms: Final = counted_at_ms
        self.registered: Final = registered
        self.cast: Final = cast
        self.valid: Final = valid
        self.blank: Final = blank
        self.invalid: Final = invalid
        self.votes: Final = votes
        self.replaces: Final = replaces
        self.reason: Final = reason
        self.authority: Final = authority
        self.undervotes: Final = undervotes
        self.overvotes: Final = overvotes

    def __eq__(self, other: object) -> bool:
        """Whether both say the same, field for field."""
        return (
            isinstance(other, Report)
            and self.contest == other.contest
            and self.station is other.station
            and self.revision == other.revision
            and self.kind == other.kind
            and self.complete == other.complete
            and self.counted_at == other.counted_at
            and self.counted_at_ms == other.counted_at_ms
            and self.registered == other.registered
            and self.cast == other.cast
            and self.valid == other.valid
            and self.blank == other.blank
            and self.invalid == other.invalid
            and self.votes == other.votes
            and self.replaces == other.replaces
            and self.reason == other.reason
            and self.authority == other.authority
            and self.undervotes == other.undervotes
            and self.overvotes == other.overvotes
        )

    def __hash__(self) -> int:
        return hash((self.contest, self.station.id, self.revision, self.kind))

    @property
    def told_apart(self) -> int:
        """Ballots that are said to be valid, blank or invalid, as far as known."""
        return self.valid + (self.blank or 0) + (self.invalid or 0)

    def votes_missing(self, votes_per_ballot: int) -> int:
        """Votes that the valid ballots could have given, and of which nothing is said; below 0 where more are said."""
        return votes_per_ballot * self.valid - sum(self.votes) - (self.undervotes or 0) - (self.overvotes or 0)

    @property
    def ballots(self) -> int:
        """Ballots cast; where that is unknown those told apart (rules A3, A8, P4, the bound)."""
        return self.told_apart if self.cast is None else self.cast

    @property
    def cast_or_valid(self) -> int:
        """Ballots cast, or the valid ones where cast is unknown: what two counts are compared by (rules Q6, P10)."""
        return self.valid if self.cast is None else self.cast


@dataclass(frozen=True)
class Turnout:
    """Voters who have taken part so far, before the count."""

    station: Station
    revision: int
    as_of: str
    voted: int


@dataclass(frozen=True)
class Control:
    """Hold, release or certify one contest; the same bytes go to every partition."""

    contest: int
    kind: ControlKind
    revision: int
    reason: str
    authority: str


@dataclass(frozen=True)
class KeyStatement:
    """A key is added or revoked; the same bytes go to every partition. With `revoke` the four in the middle are empty."""

    key_id: str
    revision: int
    action: Literal["add", "revoke"]
    holder: str
    station: str
    kinds: frozenset[str]
    public_key: bytes
    reason: str
    authority: str


UnsignedStatement = Report | Turnout | Control
"""All that can be said without a signature."""
Statement = UnsignedStatement | KeyStatement
