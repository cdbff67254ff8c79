"""What the outcome of a contest rests on, and nothing else: the figures of its root, or of one of its areas.

Decides which figures of an area's sums are known, and that nothing is outstanding once all is certified. Refuses to know what
follows from them. Read `seats.py` and `outcome.py` next.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tally_stream.domain.tally import Totals


@dataclass(frozen=True)
class Counted:
    """`votes` in definition order; figures that are None are unknown. `registered`: voters of all its stations.

    `bound`: the most ballots that can still take effect. `untold` of them are in cast already and not told apart: they become
    votes without adding to a base of cast. `contradicted` is by how much figures of partial counts contradict each other that
    an authority let count: a report that mends them brings so many votes or ballots beyond the bound.
    """

    votes: Sequence[int]
    valid: int
    cast: int | None
    blank: int | None
    registered: int | None
    bound: int | None
    untold: int = 0
    contradicted: int = 0


Verdict = tuple[str, list[int], dict[str, Any] | None]
"""The state, who is elected (places), and what is tied."""


def counted_of(votes: Sequence[int], t: Totals, start: dict[str, int], is_certified: bool) -> Counted:
    """Of an area with these sums, and what it starts from. `is_certified`: in every partition, so that nothing takes effect any
    more but by an authority's act."""
    bound = None if start["bound_unknown"] + t.bound_unknown else start["bound"] + t.bound
    untold, contradicted = t.untold, t.contradicted
    if is_certified:
        bound, untold, contradicted = 0, 0, 0
    registered = None
    if not start["registered_of_unknown"] + t.registered_of_unknown:
        registered = start["registered_of"] + t.registered_of
    return Counted(
        votes, t.valid, None if t.cast_unknown else t.cast, None if t.blank_unknown else t.blank, registered, bound, untold,
        contradicted,
    )  # fmt: skip
