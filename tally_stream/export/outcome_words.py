"""What an outcome says, in English sentences: for the terminal and for the notes of the NIST report.

Decides the words, so that nobody takes arithmetic for a declaration: a lead that can't be overtaken is called so, and the
last sentence names what it assumes. The page says the same in its four languages (`board/static/lang/`). Refuses to know
whether it is right: `domain/outcome.py` says so.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

NOT_A_DECLARATION = (
    "not an official declaration: arithmetic alone, it assumes no later correction, annulment or acceptance, no later report "
    "of a station already counted, none that lowers a partial count, and registers as they stand"
)


def outcome_sentences(outcome: Mapping[str, Any], names: Mapping[str, str]) -> list[str]:
    """`outcome` as a standings message has it, `names` of its candidates; [] while no votes are counted."""
    said = _state(outcome, names)
    if said is None:
        return []
    elected = outcome["elected"]
    seats = [f"certain of a seat: {_listed(elected, names)}"] if elected and outcome["state"] != "decided" else []
    return [said, *seats, NOT_A_DECLARATION]


def _state(outcome: Mapping[str, Any], names: Mapping[str, str]) -> str | None:
    state, bound, elected = outcome["state"], outcome["outstanding_bound"], outcome["elected"]
    leader = None if outcome["leader"] is None else names.get(outcome["leader"], outcome["leader"])
    leads = f"{leader} leads by {outcome['lead']:,}" if leader is not None else "nobody who can win has votes"
    if state == "decided" and (len(elected) > 1 or leader is None):
        return f"no seat can be taken by the ballots still out: {_listed(elected, names)}; at most {bound:,} still out"
    if state == "decided":
        return f"the lead can't be overtaken by the ballots still out: {leads}; at most {bound:,} still out"
    if state == "runoff":
        return f"no candidate can win any more in this round, not with all the ballots still out: at most {bound:,}"
    if state == "tie":
        tied = outcome["tied"]
        return f"tie, with no ballots still out: {_listed(tied['between'], names)}; seats between them: {tied['seats']}"
    if state == "undecided":
        out = "how many ballots are still out is not known" if bound is None else f"at most {bound:,} ballots still out"
        return f"open: {leads}; {out}"
    return None if leader is None else f"{leads}; no rule of this contest says who wins"


def _listed(candidates: list[str], names: Mapping[str, str]) -> str:
    return ", ".join(names.get(candidate, candidate) for candidate in candidates)
