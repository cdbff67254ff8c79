"""The shape of a change as it stands in JSON, for `changes.py` alone.

Apart from it because a compiled module does not keep what a class is made with (`gc=False`). The fields of each class stand
in canonical order (RFC 8785), so that nothing is sorted for each change. Read `changes.py` next.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from operator import itemgetter
from typing import Any

import msgspec


class ChangeSource(msgspec.Struct, gc=False):
    offset: int
    partition: int
    timestamp: int
    topic: str


class BallotsDeltaLine(msgspec.Struct, gc=False):
    blank: int | None
    cast: int | None
    invalid: int | None
    overvotes: int | None
    undervotes: int | None
    valid: int | None


class ChangeLine(msgspec.Struct, gc=False):
    area: str
    authority: str | None
    ballots_delta: BallotsDeltaLine
    contest: str
    definition: str
    from_revision: int
    kind: str
    reason: str | None
    schema: int
    source: ChangeSource
    station: str
    to_revision: int
    votes_delta: Any


@lru_cache(maxsize=1024)
def votes_line(ids: tuple[str, ...]) -> Callable[[tuple[int, ...]], Any]:
    """Votes in candidate order → an object that is written with its keys in canonical order."""
    order = sorted(range(len(ids)), key=ids.__getitem__)
    names = {f"v{place}": ids[place] for place in order}
    shape = msgspec.defstruct("VotesDelta", [(name, int) for name in names], rename=names, gc=False)
    if order == list(range(len(ids))):  # one candidate too, of whom an itemgetter would make no tuple
        return lambda votes: shape(*votes)
    in_line_order = itemgetter(*order)
    return lambda votes: shape(*in_line_order(votes))
