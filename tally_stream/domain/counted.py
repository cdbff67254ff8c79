"""What the outcome of a contest rests on, and nothing else: the figures of its root, or of one of its areas.

Refuses to know where they come from and what follows from them. Read `seats.py` and `outcome.py` next.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


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
