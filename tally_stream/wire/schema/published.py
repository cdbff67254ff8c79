"""The shape of what the product publishes: standings, rejections, changes; for strangers and for our own readers.

Decides which fields each message has, their types and limits. Every field is always there; null means unknown, hidden
or without object, and never 0. `messages.py`, `changes.py` and `domain/standings.py` make the messages; tests hold that
every message of three nights fits here to the last field. Read `documents.py` next, which makes JSON Schemas of these.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from tally_stream.domain.scalars import COUNT_MAX, ID_MAX_CHARS, REVISION_MAX, TEXT_MAX_CODE_POINTS
from tally_stream.wire.limits import CHANNEL_MAX_CODE_POINTS, ROUNDING_PLACES_MAX

NOT_IN_TEXT = r"[\u0000-\u001F\u007F-\u009F\u061C\u200E\u200F\u2028-\u202E\u2066-\u2069]"
"""Control characters, line and paragraph separators, bidirectional controls."""

Schema = Annotated[Literal[1], Meta(description="Version of this format.")]
Id = Annotated[
    str, Meta(pattern=r"^[A-Z0-9][A-Z0-9._-]*$", max_length=ID_MAX_CHARS, description="An id: `[A-Z0-9][A-Z0-9._-]{0,63}`.")
]
Text = Annotated[
    str,
    Meta(
        max_length=TEXT_MAX_CODE_POINTS,
        extra_json_schema={"not": {"pattern": NOT_IN_TEXT}},
        description="Text in Unicode normal form C, without control, separator and bidirectional characters.",
    ),
]
Count = Annotated[int, Meta(ge=0, le=COUNT_MAX)]
Revision = Annotated[int, Meta(ge=1, le=REVISION_MAX)]
Sum = Annotated[int, Meta(ge=0)]
Digest = Annotated[str, Meta(pattern=r"^sha256:[0-9a-f]{64}$", description="Digest of the definition that was counted by.")]
AreaId = Annotated[str, Meta(min_length=1, description="Path of an area below the root: `AZ/041`.")]
InstantUtc = Annotated[str, Meta(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$", description="UTC, to the millisecond.")]
Percent = Annotated[str, Meta(pattern=r"^[0-9]+(\.[0-9]+)?$", description="Per cent, on a scale to 100, as text.")]
Points = Annotated[str, Meta(pattern=r"^-?[0-9]+(\.[0-9]+)?$", description="Percentage points.")]
Halves = Annotated[str, Meta(pattern=r"^[0-9]+(\.5)?$", description="A number of areas, in halves.")]
Partition = Annotated[str, Meta(pattern=r"^(0|[1-9][0-9]*)$", description="A partition of the reports topic.")]
Status = Literal["pre-election", "unofficial-partial", "unofficial-complete", "correction", "recount", "certified"]


class _Model(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    pass


class Stations(_Model):
    """Polling stations by state: each is in exactly one, so that `expected` is the sum of the last five."""

    expected: Sum
    received: Sum
    counted: Sum
    partial: Sum
    held: Sum
    annulled: Sum
    outstanding: Sum


class Flags(_Model):
    """Stations with a mark; one station may have several."""

    corrected: Sum
    recounted: Sum
    disputed: Sum
    held: Sum
    warned: Sum


class Measure(_Model):
    """A share processed, with what it is a share of. Below 100 while anything is missing."""

    done: Sum
    of: Annotated[int, Meta(ge=1)]
    percent: Percent


class Progress(_Model):
    """Three measures of how far the count is: by stations, by registered voters, by ballots. null: not known."""

    stations: Measure | None
    registered: Measure | None
    ballots: Measure | None


class Turnout(_Model):
    """Over stations whose complete counts are in force, and no others."""

    cast: Sum
    registered: Annotated[int, Meta(ge=1)]
    percent: Percent


class Ballots(_Model):
    """null: not known of some station that counts, or hidden before the polls close. Undervotes and overvotes are votes, not
    ballots."""

    cast: Sum | None
    valid: Sum | None
    blank: Sum | None
    invalid: Sum | None
    undervotes: Sum | None
    overvotes: Sum | None


class Voted(_Model):
    """Voters who have taken part, by the newest turnout statement of each station that has made one; shown before the polls
    close too. `of`: the registered voters of these stations, null where one's are unknown, and the percent with it."""

    done: Sum
    of: Sum | None
    percent: Percent | None
    stations: Annotated[int, Meta(ge=1)]


class ChannelBallots(_Model):
    """null where the message's own are."""

    cast: Sum | None
    valid: Sum | None


class ChannelLine(_Model):
    """One way of voting. The figures of all channels add up to the message's own, and are null where those are."""

    channel: Annotated[str, Meta(min_length=1, max_length=CHANNEL_MAX_CODE_POINTS)]
    stations: Stations
    ballots: ChannelBallots
    votes: dict[Id, Sum | None]


class SeatsOfList(_Model):
    """`now`: what the method gives for the votes counted. `certain`: those the list keeps in every way the ballots still out
    can fall."""

    now: Annotated[int, Meta(ge=0)]
    certain: Annotated[int, Meta(ge=0)]


class CandidateLine(_Model):
    """Candidates come by votes; equal votes share a rank. Ranks are among those who can win; the others have none. `seats`
    are there on the root of a proportional contest; null before the polls close, and while the base of its threshold is
    unknown."""

    id: Id
    name: Text
    votes: Sum | None
    share: Percent | None
    rank: Annotated[int, Meta(ge=1)] | None
    seats: SeatsOfList | None


class RoundingPolicy(_Model):
    """How every per cent in this message was rounded, and of what the shares are."""

    method: Literal["half-up", "truncate", "largest-remainder"]
    places: Annotated[int, Meta(ge=0, le=ROUNDING_PLACES_MAX)]
    base: Literal["valid"]


class Tied(_Model):
    """Seats that lie between candidates with equal votes, or lists with equal quotients, with nothing outstanding; of several
    such ties the sum, and all who are in one of them."""

    seats: Annotated[int, Meta(ge=1)]
    between: Annotated[list[Id], Meta(min_length=2)]


class QuorumReached(_Model):
    """How much of its quorum a referendum has. `needed`: so many ballots (votes for yes, where it is of these).
    `percent`: null where nobody is registered."""

    done: Sum
    of: Sum
    percent: Percent | None
    needed: Sum


class AreasApproved(_Model):
    """The areas of a double majority: those that are certain to approve, certain not to, and the rest. An area that counts
    one half makes halves."""

    approved: Halves
    rejected: Halves
    undecided: Halves
    of: Halves


class OutcomeState(_Model):
    """What is certain in every way the ballots still out can fall. Not an official declaration: arithmetic alone, it assumes
    no later correction, annulment or acceptance, no later report of a station already counted, none that lowers a partial
    count, and registers as they stand."""

    state: Literal["none", "undecided", "decided", "runoff", "tie", "accepted", "rejected", "void"]
    leader: Id | None
    lead: Sum | None
    outstanding_bound: Annotated[
        Sum | None, Meta(description="The most ballots that can still take effect without an authority's act.")
    ]
    elected: Annotated[list[Id], Meta(description="Certain of a seat, by arithmetic alone; in the definition's order.")]
    tied: Tied | None
    quorum: Annotated[QuorumReached | None, Meta(description="Of a referendum with a quorum whose figures are known.")]
    double_majority: Annotated[AreasApproved | None, Meta(description="Of a referendum that areas must approve too.")]

    def as_published(self) -> dict[str, Any]:
        """As it stands in the message."""
        published: dict[str, Any] = msgspec.to_builtins(self)
        return published


class ExitPollLine(_Model):
    """An exit poll beside the count: per cent as published, and printed share less poll."""

    pollster: Text
    share: dict[Id, Percent]
    difference: dict[Id, Points | None]


class Provenance(_Model):
    """The input this message is a function of: the log below these offsets, every partition named."""

    topic: str
    next_offsets: dict[Partition, Sum]


class Standings(_Model):
    """The standings of one contest in one area. Key: `<contest>|<area>`. Bytes are canonical JSON (RFC 8785), a
    function of the definition and `provenance`. Reader's rule: of the records of a key, show the newest that is not
    newer than the newest root of its contest; show another `definition` whole, when its root arrives."""

    schema: Schema
    election: Id
    phase: Literal["official", "test"]
    definition: Digest
    contest: Id
    area: AreaId
    version: Annotated[int, Meta(ge=0, description="Sum of `next_offsets`: it only rises.")]
    status: Status
    on_hold: Annotated[bool, Meta(description="Published figures are frozen by the authority; counting goes on behind.")]
    as_of: Annotated[InstantUtc | None, Meta(description="Newest log time included; null where nothing is included.")]
    stations: Stations
    flags: Flags
    progress: Progress
    turnout: Turnout | None
    ballots: Ballots
    voted: Annotated[Voted | None, Meta(description="null: no station has made a turnout statement.")]
    candidates: Annotated[list[CandidateLine], Meta(min_length=1)]
    channels: Annotated[list[ChannelLine] | None, Meta(description="null: the definition knows no channels.")]
    rounding: RoundingPolicy
    outcome: Annotated[OutcomeState | None, Meta(description="On the root only, and null before the polls close.")]
    exit_polls: Annotated[list[ExitPollLine] | None, Meta(description="On the root only; [] before the first one.")]
    provenance: Provenance


class Source(_Model):
    """The place of the report in its topic; `timestamp` in milliseconds since 1970 UTC."""

    topic: str
    partition: Sum
    offset: Sum
    timestamp: int


class Detail(_Model):
    """One rule that was broken, with the two figures it compared."""

    code: Annotated[str, Meta(pattern=r"^[A-Z]\d+$", description="A rule of docs/rules.md.")]
    message: str
    left: int | str | None
    right: int | str | None


class Rejection(_Model):
    """A record that does not count, with its raw bytes. Key: `<partition>/<offset>` of the record. May repeat with the
    same key and bytes: keep one a key."""

    schema: Schema
    verdict: Literal["rejected", "held", "conflicting", "stale"]
    codes: Annotated[list[Annotated[str, Meta(pattern=r"^[A-Z]\d+$")]], Meta(min_length=1)]
    details: Annotated[list[Detail], Meta(min_length=1)]
    source: Source
    definition: Digest
    key_base64: Annotated[str | None, Meta(description="The key's first 64 KiB.")]
    value_base64: Annotated[str | None, Meta(description="The value's first 64 KiB.")]
    value_bytes: Annotated[int, Meta(ge=0, description="Length of the whole value.")] | None
    value_sha256: Annotated[str, Meta(pattern="^[0-9a-f]{64}$", description="Of the whole value.")] | None


class BallotsDelta(_Model):
    """null: not known before or after."""

    cast: int | None
    valid: int | None
    blank: int | None
    invalid: int | None
    undervotes: int | None
    overvotes: int | None


class ChangeMessage(_Model):
    """Why a total fell, or complete counts were replaced, removed or put back. Key: `<partition>/<offset>` of the
    statement that did it. May repeat with the same key and bytes: keep one a key."""

    schema: Schema
    contest: Id
    station: Id
    area: Annotated[str, Meta(min_length=1, description="The station's deepest published area.")]
    kind: Literal["report", "correct", "recount", "annul", "restore", "withdraw", "accept"]
    from_revision: Count
    to_revision: Revision
    reason: Text | None
    authority: Text | None
    votes_delta: dict[Id, int]
    ballots_delta: BallotsDelta
    definition: Digest
    source: Source


_standings_decoder = msgspec.json.Decoder(Standings)


def read_standings(value: bytes) -> Standings:
    """Bytes → standings. Raises ValueError, with what is wrong, on anything else."""
    try:
        return _standings_decoder.decode(value)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(f"not a standings message: {error}") from error


_canonical_encoder = msgspec.json.Encoder(order="sorted")


def read_canonical_standings(value: bytes) -> Standings:
    """As `read_standings`, and refuses what says the same in other bytes: it was not published by a worker."""
    standings = read_standings(value)
    if _canonical_encoder.encode(standings) != value:
        raise ValueError("not a standings message: its bytes are not canonical JSON")
    return standings
