"""What is certain about a contest, in every way the outstanding ballots can fall; and nothing else.

Decides the state, who is elected, and who shares the last seat. It is given the most ballots that can still take effect
without an authority's act (`tally.py`), and takes the worst way in which they can fall: to decide, all go to the second; to
send into a runoff, each candidate gets all of them. Each adds one to a base and one to a candidate at most, and to all
candidates together as many votes as one ballot has. What is certain of seats comes from `seats.py`, of a question from
`referendum.py`. It assumes no later correction, annulment or acceptance, no later report of a station already counted, none
that lowers a partial count, and registers as they stand; it declares nobody elected. A test enumerates every completion of
small elections (`tests/certainty`). All in whole numbers. Read `standings.py` next.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tally_stream.domain.contest import Contest, Majority
from tally_stream.domain.counted import Counted, Verdict
from tally_stream.domain.majority import majority_base_of, room_of, wins
from tally_stream.domain.referendum import WeightedArea, answer
from tally_stream.domain.seats import Seats


def outcome(
    contest: Contest, counted: Counted, seats: Seats | None = None, areas: Sequence[WeightedArea] = ()
) -> dict[str, Any]:
    """The message's `outcome`. `seats` are those of a proportional contest (`seats_of`); `areas` those that must approve a
    referendum too."""
    votes = counted.votes
    order = sorted(contest.eligible, key=lambda i: (-votes[i], i))
    has_leader = bool(order) and votes[order[0]] > 0
    next_votes = votes[order[1]] if len(order) > 1 else 0
    asked = answer(contest, counted, areas) if contest.rule == "referendum" else None
    verdict: Verdict = _verdict(contest, counted, order, seats) if asked is None else (asked.state, [], None)
    state, elected, tied = verdict
    return {
        "state": state,
        "leader": contest.candidate_ids[order[0]] if has_leader else None,
        "lead": votes[order[0]] - next_votes if has_leader else None,
        "outstanding_bound": counted.bound,
        "elected": [contest.candidate_ids[i] for i in sorted(elected)],
        "tied": tied,
        "quorum": None if asked is None else asked.quorum,
        "double_majority": None if asked is None else asked.double_majority,
    }


def _verdict(contest: Contest, counted: Counted, order: list[int], seats: Seats | None) -> Verdict:
    rule = contest.rule
    if rule == "none" or not order or not any(counted.votes):
        return "none", [], None
    if counted.bound is None:
        return "undecided", [], None
    if rule == "proportional":
        return _proportional(contest, counted.bound + counted.contradicted, seats)
    if contest.majority is None:
        return _plurality(contest, counted, order, counted.bound)
    return _majority(contest, counted, contest.majority, order, counted.bound)


def _majority(contest: Contest, counted: Counted, majority: Majority, order: list[int], bound: int) -> Verdict:
    base = majority_base_of(contest, counted)
    if base is None:
        return "undecided", [], None
    votes = counted.votes
    more_votes, least_more, most_more = room_of(contest, counted, bound)
    leads, second = votes[order[0]], votes[order[1]] if len(order) > 1 else None
    # Worst for the leader: all go to the second. Each takes as much from the leader's share as at any other, and the most
    # from the lead.
    if wins(majority, leads, None if second is None else second + more_votes, base + most_more):
        return "decided", [order[0]], None
    # Best for the leader: all are its own. A limit is 100 per cent at most, so a vote never costs more than it brings. Who
    # has fewer votes can't win where the leader can't: it gets no further, and has the leader against it.
    if not wins(majority, leads + more_votes, second, base + least_more):
        return "runoff", [], None
    return "undecided", [], None


def _proportional(contest: Contest, still_out: int, seats: Seats | None) -> Verdict:
    """Decided by seats that are certain; or, with nothing out, by those that lists have."""
    if seats is None:
        return "undecided", [], None
    elected = [i for i in contest.eligible if seats.certain[i]]
    if sum(seats.certain) == contest.seats or not (still_out or seats.tied_seats):
        return "decided", elected, None
    if still_out:
        return "undecided", elected, None
    return "tie", elected, {"seats": seats.tied_seats, "between": [contest.candidate_ids[i] for i in seats.tied]}


def _plurality(contest: Contest, counted: Counted, order: list[int], bound: int) -> Verdict:
    """The state, those certain of a seat, and who shares the last one. Who is not certain has nobody certain behind. A ballot
    gives one vote at most to a candidate, and so many as the contest says to all."""
    seats, votes = contest.seats, counted.votes
    each = bound + counted.contradicted
    together = contest.votes_per_ballot * bound + counted.contradicted
    elected: list[int] = []
    while len(elected) < min(seats, len(order)) and _can_reach(votes, order, len(elected), seats, each, together) < seats:
        elected.append(order[len(elected)])
    if len(elected) == min(seats, len(order)):
        return "decided", elected, None
    if each:
        return "undecided", elected, None
    line = votes[order[seats - 1]]
    above = sum(1 for i in order if votes[i] > line)
    between = [contest.candidate_ids[i] for i in contest.eligible if votes[i] == line]
    return "tie", elected, {"seats": seats - above, "between": between}


def _can_reach(votes: Sequence[int], order: list[int], place: int, enough: int, each: int, together: int) -> int:
    """How many others can reach the votes of the one at `place` in the order, with no more than `each` more for one of them and
    `together` for all; counted no further than `enough`. The nearest are the cheapest."""
    found, missing = place, 0
    for other in order[place + 1 :]:
        lacks = votes[order[place]] - votes[other]
        missing += lacks
        if lacks > each or missing > together or found >= enough:
            break
        found += 1
    return found
