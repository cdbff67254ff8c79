"""The shape of what stations and authorities may state, for strangers who write it.

Decides as much of a statement's form as a schema can say: fields, types, ranges, and what each kind requires. Judges
nothing: `exact.py` reads statements by the rules, and is stricter where a schema has no words (a test lists where). A
test holds that both have the same fields. Read `documents.py` next, which makes JSON Schemas of these.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from tally_stream.domain.keys import SIGNED_KINDS
from tally_stream.domain.scalars import TEXT_MAX_CODE_POINTS
from tally_stream.wire.schema.published import NOT_IN_TEXT, Count, Id, Revision, Schema, Text

Time = Annotated[
    str,
    Meta(
        pattern=r"^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\.[0-9]+)?"
        r"(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])$",
        description="RFC 3339 with an offset, capital T and Z, no second 60, any number of decimals; compared in whole "
        "milliseconds.",
    ),
]
NotEmpty = Annotated[
    str, Meta(min_length=1, max_length=TEXT_MAX_CODE_POINTS, extra_json_schema={"not": {"pattern": NOT_IN_TEXT}})
]
Phase = Annotated[Literal["official", "test"], Meta(description="Must be the definition's; absent: official.")]
Replaced = Annotated[
    Count,
    Meta(description="The revision in force, or the held one; 0 for `annul`, `correct`, `recount` where there is neither."),
]
Registered = Annotated[Count, Meta(description="The register on the day, supplementary list included.")]
Why = Annotated[NotEmpty, Meta(description="Why.")]
Who = Annotated[NotEmpty, Meta(description="Who ordered it.")]


class _Model(msgspec.Struct, forbid_unknown_fields=True):
    pass


class BallotsStated(_Model, kw_only=True):
    """Ballots found in the boxes. Absent or null: not known, which is not 0."""

    valid: Count
    cast: Count | None = None
    blank: Count | None = None
    invalid: Count | None = None
    undervotes: Annotated[
        Count | None, Meta(description="Votes of valid ballots that were not given. Stands with overvotes, or neither does.")
    ] = None
    overvotes: Annotated[Count | None, Meta(description="Votes lost because a ballot gave too many.")] = None


class _Counts(_Model, kw_only=True):
    schema: Schema
    election: Id
    contest: Id
    station: Id
    revision: Revision
    counted_at: Time
    ballots: BallotsStated
    votes: Annotated[dict[Id, Count], Meta(min_length=1, description="Every candidate of the contest, each once.")]
    phase: Phase | None = None
    complete: Annotated[bool | None, Meta(description="false: a partial count. Absent: true.")] = None
    registered: Registered | None = None


class Report(_Counts, kw_only=True):
    """A station's whole statement of its counts, never an increment. A higher revision replaces a lower one."""

    kind: Literal["report"]
    replaces: Count | None = None
    reason: Text | None = None
    authority: Text | None = None


class Correction(_Counts, kw_only=True):
    """Counts that name what they replace, why, and by whose order."""

    kind: Literal["correct", "recount"]
    replaces: Replaced
    reason: Why
    authority: Who


class Decision(_Model, kw_only=True):
    """An authority's word about a station's counts, without counts of its own."""

    schema: Schema
    kind: Literal["annul", "restore", "withdraw", "accept"]
    election: Id
    contest: Id
    station: Id
    revision: Revision
    replaces: Replaced
    reason: Why
    authority: Who
    phase: Phase | None = None
    complete: bool | None = None
    registered: Count | None = None
    counted_at: Time | None = None


class TurnoutStatement(_Model, kw_only=True):
    """Voters who have taken part so far, before the count; a rising revision of its own for each station."""

    schema: Schema
    kind: Literal["turnout"]
    election: Id
    station: Id
    revision: Revision
    as_of: Time
    voted: Count
    phase: Phase | None = None


class ControlStatement(_Model, kw_only=True):
    """Hold, release or certify a contest. The same bytes go to every partition, under the contest's id as key; a rising
    revision of its own for each contest."""

    schema: Schema
    kind: Literal["hold", "release", "certify"]
    election: Id
    contest: Id
    revision: Revision
    reason: Why
    authority: Who
    phase: Phase | None = None


Base64 = r"^([A-Za-z0-9+/]{4})*([A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$"
_KIND = f"({'|'.join(sorted(SIGNED_KINDS))})"
KeyId = Annotated[Id, Meta(description="Of keys.csv, or of a key that was added on the record.")]


class KeyAdded(_Model, kw_only=True):
    """A key that may sign from the next record on. The statement itself is always signed; the same bytes go to every partition,
    under the key's id as key; a rising revision of its own for each key."""

    schema: Schema
    kind: Literal["key"]
    action: Literal["add"]
    election: Id
    key_id: KeyId
    revision: Revision
    holder: Annotated[Text, Meta(description="Whose key it is.")]
    station: Annotated[
        str,
        Meta(pattern=r"^([A-Z0-9][A-Z0-9._-]{0,63})?$", description="For which it signs; empty: every station and contest."),
    ]
    kinds: Annotated[
        str, Meta(pattern=f"^ *{_KIND}( +{_KIND})* *$", description="Kinds of statements it may sign, separated by spaces.")
    ]
    public_key: Annotated[str, Meta(pattern=Base64, min_length=44, max_length=44, description="Ed25519, 32 bytes in base64.")]
    reason: Why
    authority: Who
    phase: Phase | None = None


class KeyRevoked(_Model, kw_only=True):
    """A key that signs nothing from the next record on."""

    schema: Schema
    kind: Literal["key"]
    action: Literal["revoke"]
    election: Id
    key_id: KeyId
    revision: Revision
    reason: Why
    authority: Who
    phase: Phase | None = None


class SignedStatement(_Model, kw_only=True):
    """A statement in its signed form: DSSE's envelope with one Ed25519 signature. The record's key is the statement's."""

    payload: Annotated[str, Meta(pattern=Base64, description="The statement's bytes in base64.")]
    payload_type: Literal["application/vnd.tally-stream.statement+json"]
    key_id: Annotated[str, Meta(description="The key that signed it.")]
    signature: Annotated[str, Meta(pattern=Base64, min_length=88, max_length=88, description="64 bytes in base64.")]
