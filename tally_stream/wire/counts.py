"""The shape of a statement with counts as it stands in JSON, for the fast reader alone.

Decides nothing: what does not fit this shape is read again, by the rules, in `exact.py`. In a file of its own because
msgspec makes decoders from annotations, which a compiled module does not keep. Read `reading.py` next.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal

import msgspec

from tally_stream.wire.schema.published import Count, Revision


class Ballots(msgspec.Struct, frozen=True, gc=False, forbid_unknown_fields=True):
    """None where a figure is absent or null. A null still has its key in the value, whose two quotation marks tell the
    reader (`reading.py`)."""

    valid: Count
    cast: Count | None = None
    blank: Count | None = None
    invalid: Count | None = None
    undervotes: Count | None = None
    overvotes: Count | None = None


class Counts(msgspec.Struct, frozen=True, gc=False, forbid_unknown_fields=True):
    """As `Ballots`. The reader takes the fields by their places; `votes` may be a Struct (`counts_decoder`)."""

    schema: Literal[1]
    kind: Literal["report", "correct", "recount"]
    election: str
    contest: str
    station: str
    revision: Revision
    counted_at: str
    ballots: Ballots
    votes: dict[str, Count]
    complete: bool | None = None
    registered: Count | None = None
    phase: str | None = None
    replaces: Count | None = None
    reason: str | None = None
    authority: str | None = None


def counts_decoder(election: str, contests: Mapping[str, tuple[str, ...]]) -> Callable[[bytes], Any]:
    """Bytes → `Counts` of this election, or an error of msgspec. `contests`: id → candidate ids.

    Ids that can only be one of few are literals: compared where they stand, no text is made of them. With one contest
    its candidates are the fields of `votes`: 0.68 us a report decoded, 0.83 with a mapping. With several, which one it
    is stands beside the votes, and they stay a mapping.
    """
    fields: list[tuple[str, Any]] = [("election", Literal[election]), ("contest", Literal[tuple(contests)])]
    if len(contests) == 1:
        (candidates,) = contests.values()
        names = {f"v{i}": candidate for i, candidate in enumerate(candidates)}
        votes = msgspec.defstruct(
            "Votes", [(name, Count) for name in names], frozen=True, gc=False, forbid_unknown_fields=True, rename=names
        )
        fields.append(("votes", votes))
    counts = msgspec.defstruct("CountsOfElection", fields, bases=(Counts,), frozen=True, gc=False, forbid_unknown_fields=True)
    return msgspec.json.Decoder(counts).decode
