"""What an outcome says, in English sentences: for the terminal and for the notes of the NIST report.

Decides the words, so that nobody takes arithmetic for a declaration: a lead that can't be overtaken is called so, and the
last sentence names what it assumes. The page says the same in its four languages (`board/static/lang/`). Refuses to know
whether it is right: `domain/outcome.py` says so.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from fractions import Fraction
from typing import Any

from tally_stream.domain.contest import Contest, Majority
from tally_stream.domain.election import Election
from tally_stream.export.ballot_figures import is_quorum_reached

NOT_A_DECLARATION = (
    "not an official declaration: arithmetic alone, it assumes no later correction, annulment or acceptance, no later report "
    "of a station already counted, none that lowers a partial count, and registers as they stand"
)


HALF = Fraction(50)


Seats = Mapping[str, Any]
"""Candidate → `{"now": n, "certain": m}`, as a message has them; empty where nobody has any."""


def outcome_sentences(
    outcome: Mapping[str, Any],
    names: Mapping[str, str],
    election: Election | None,
    contest: Contest | None,
    seats: Seats | None = None,
) -> list[str]:
    """`outcome` as a standings message has it, `names` of its candidates and their `seats`; [] while no votes are counted.
    Where the definition is not there (`election` and `contest` None), its limits are named without their figures."""
    said = _state(outcome, names, contest, seats or {})
    if said is None:
        return []
    state, bound = outcome["state"], outcome["outstanding_bound"]
    still_out = [_still_out(election)] if bound and state in BOUND_SAID else []
    return [said, *still_out, *_certain_of_seats(outcome, names, seats), *_referendum(outcome, contest), NOT_A_DECLARATION]


BOUND_SAID = frozenset({"undecided", "decided", "runoff", "accepted", "rejected", "void"})
"""States in which it matters how many ballots may still come."""


def _certain_of_seats(outcome: Mapping[str, Any], names: Mapping[str, str], seats: Seats | None) -> list[str]:
    """What of seats is not said by the state itself."""
    elected = outcome["elected"]
    if not elected or outcome["state"] == "decided":
        return []
    of_lists = [f"{names.get(id, id)} {seats[id]['certain']:,}" for id in elected] if seats else None
    return [f"certain of {'seats' if of_lists else 'a seat'}: {', '.join(of_lists or [_listed(elected, names)])}"]


def _referendum(outcome: Mapping[str, Any], contest: Contest | None) -> list[str]:
    """How it stands with a quorum and with the areas that must approve too."""
    quorum, areas, said = outcome["quorum"], outcome["double_majority"], []
    if quorum is not None:
        reached = is_quorum_reached(outcome)
        state = "reached" if reached else "can't be reached any more" if outcome["state"] == "void" else "not reached so far"
        share = "; nobody is registered"
        if quorum["percent"] is not None:
            share = f", which is {quorum['percent']} % of {quorum['of']:,} registered voters"
        said.append(f"quorum {state}: {quorum['done']:,} of {quorum['needed']:,} needed{share}")
    if areas is not None:
        level = "" if contest is None or contest.double_majority is None else f" ({contest.double_majority.level})"
        said.append(f"areas{level}: {areas['approved']} approve, {areas['rejected']} reject, {areas['undecided']} undecided, "
                    f"of {areas['of']}; more than half must approve")  # fmt: skip
    return said


def _state(outcome: Mapping[str, Any], names: Mapping[str, str], contest: Contest | None, seats: Seats) -> str | None:
    state, bound, elected = outcome["state"], outcome["outstanding_bound"], outcome["elected"]
    if bound == 0 and state in BOUND_SAID:
        return _when_all_are_in(outcome, names, contest, seats)
    leads = _leads(outcome, names)
    if seats and state in ("decided", "undecided"):
        return _of_lists(outcome, names, seats)
    if state in REFERENDUM:
        return f"{state}, and the ballots still out can't change it: {leads}; at most {bound:,} still out"
    if state == "void":
        return f"void: its quorum can't be reached any more, not with all the ballots still out: at most {bound:,}"
    if state == "decided" and _is_of_seats(outcome):
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
    return None if outcome["leader"] is None else f"{leads}; no rule of this contest says who wins"


REFERENDUM = frozenset({"accepted", "rejected"})


def _of_lists(outcome: Mapping[str, Any], names: Mapping[str, str], seats: Seats) -> str:
    """How far the seats of lists are certain, while ballots are still out."""
    bound = outcome["outstanding_bound"]
    if outcome["state"] == "decided":
        return f"no seat can be taken by the ballots still out: {_lists(seats, names)}; at most {bound:,} still out"
    out = "how many ballots are still out is not known" if bound is None else f"at most {bound:,} ballots still out"
    return f"open: {sum(each['certain'] for each in seats.values()):,} seats are certain; {out}"


def _lists(seats: Seats, names: Mapping[str, str]) -> str:
    """Lists with their seats, the most first."""
    order = sorted((id for id in seats if seats[id]["now"]), key=lambda id: -int(seats[id]["now"]))
    return ", ".join(f"{names.get(id, id)} {seats[id]['now']:,}" for id in order)


def _when_all_are_in(outcome: Mapping[str, Any], names: Mapping[str, str], contest: Contest | None, seats: Seats) -> str:
    if outcome["state"] in REFERENDUM:
        it_takes = "" if contest is None else f"; it takes {_what_wins(contest)}"
        return f"all ballots are in: {outcome['state']}; {_leads(outcome, names)}{it_takes}"
    if outcome["state"] == "void":
        return "all ballots are in: void, its quorum is not reached"
    if seats and outcome["state"] == "decided":
        return f"all ballots are in; seats: {_lists(seats, names)}"
    if outcome["state"] == "undecided":
        return f"open: {_leads(outcome, names)}; all ballots are in, but their figures leave it open"
    if outcome["state"] == "runoff":
        it_takes = "" if contest is None else f": it takes {_what_wins(contest)}"
        return f"all ballots are in, and nobody has won in this round{it_takes}"
    if _is_of_seats(outcome):
        return f"all ballots are in; certain of a seat: {_listed(outcome['elected'], names)}"
    return f"all ballots are in: {_leads(outcome, names)}"


def _is_of_seats(outcome: Mapping[str, Any]) -> bool:
    """Whether seats are certain without a lead that says so."""
    return len(outcome["elected"]) > 1 or outcome["leader"] is None


def _leads(outcome: Mapping[str, Any], names: Mapping[str, str]) -> str:
    leader = outcome["leader"]
    return "nobody who can win has votes" if leader is None else f"{names.get(leader, leader)} leads by {outcome['lead']:,}"


def _still_out(election: Election | None) -> str:
    """Why the bound may be more than all who are registered there."""
    figure = "a percentage" if election is None else f"usually {decimal_text(election.checks.bound_register_percent)} %"
    return f"still out at most: all that the rules let in from stations not counted yet, {figure} of their register"


def _what_wins(contest: Contest) -> str:
    """The limit of a majority, in words."""
    m = contest.majority
    assert m is not None, "only a majority and a referendum have a runoff or an answer, and both have a limit"
    base = "ballots cast" if contest.majority_base == "cast" else "valid ballots"
    limit = f"{'at least' if m.at_least else 'more than'} {decimal_text(m.percent)} % of the {base}"
    if m.or_percent is not None and m.or_lead_percent is not None:
        limit = f"{limit}, or at least {decimal_text(m.or_percent)} % with a lead of {decimal_text(m.or_lead_percent)} points"
    return limit if is_for_one_alone(m) else f"the most votes, and {limit}"


def is_for_one_alone(m: Majority) -> bool:
    """Whether nobody but the one with the most votes can be beyond the limit."""
    return m.percent > HALF or (m.percent == HALF and not m.at_least)


def decimal_text(limit: Fraction) -> str:
    """A limit as the definition has it, which is a decimal of few places: `66.5`."""
    return format(Decimal(limit.numerator) / Decimal(limit.denominator), "f")


def _listed(candidates: list[str], names: Mapping[str, str]) -> str:
    return ", ".join(names.get(candidate, candidate) for candidate in candidates)
