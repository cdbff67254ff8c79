"""Is the race decided? With the most ballots that may still come as the bound. It assumes no later correction."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tally_stream.domain.election import Contest


def outcome(contest: Contest, votes: Sequence[int], base: int | None, bound: int | None) -> dict[str, Any]:
    """`votes` in definition order; `base` is the majority base's total; None where unknown.

    State, first that applies: none, decided, runoff (majority), tie (plurality), undecided. `leader` and `lead` are
    None where nobody has votes; `lead` is the distance to the next candidate.
    """
    order = sorted(range(len(votes)), key=lambda i: (-votes[i], i))
    ranked = [votes[i] for i in order]
    state = _state(contest, ranked, base, bound)
    has_votes = state != "none"
    return {
        "state": state,
        "leader": contest.candidate_ids[order[0]] if has_votes else None,
        "lead": ranked[0] - (ranked[1] if len(ranked) > 1 else 0) if has_votes else None,
        "outstanding_bound": bound,
    }


def _state(contest: Contest, ranked: Sequence[int], base: int | None, bound: int | None) -> str:
    if not any(ranked):
        return "none"
    if bound is None:
        return "undecided"
    if contest.rule == "majority":
        if base is None:
            return "undecided"
        if 2 * ranked[0] > base + bound:
            return "decided"
        return "runoff" if 2 * (ranked[0] + bound) <= base + bound else "undecided"
    last_in = ranked[contest.seats - 1] if contest.seats <= len(ranked) else 0
    first_out = ranked[contest.seats] if contest.seats < len(ranked) else 0
    if last_in - first_out > bound:
        return "decided"
    return "tie" if bound == 0 and last_in == first_out else "undecided"
