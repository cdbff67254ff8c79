"""Seats of a group: by party, over all contests that the definition looks at together.

Decides whose a seat is: the party's that the candidate stands for, else the candidate's own name. Of a proportional contest
they are those its message has. Under `plurality` those have a seat now who are ahead of all that could take it from them, under
`majority` only those who are certain of it: nobody has won who does not yet. A referendum and a contest without a rule give
no seats. Refuses to know where messages come from; page, API and terminal show the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tally_stream.domain.contest import Contest
from tally_stream.domain.election import Election

GIVE_SEATS = frozenset({"proportional", "plurality", "majority"})

Message = Mapping[str, Any]


@dataclass(slots=True)
class PartySeats:
    """`color` is the first one that a candidate of the party has; None where none has one."""

    party: str
    now: int = 0
    certain: int = 0
    color: str | None = None


def groups_of(election: Election) -> dict[str, list[Contest]]:
    """Text of the group → its contests, both in the definition's order."""
    found: dict[str, list[Contest]] = {}
    for contest in election.contests:
        if contest.group is not None:
            found.setdefault(contest.group, []).append(contest)
    return found


def seats_to_share(contests: Iterable[Contest]) -> int:
    return sum(contest.seats for contest in contests if contest.rule in GIVE_SEATS)


def party_seats(contests: Sequence[Contest], roots: Mapping[str, Message]) -> list[PartySeats]:
    """Parties with a seat, the most first, then in the definition's order. `roots`: id of a contest → its newest root; who has
    none yet, or is before the polls' close, gives nobody a seat."""
    found: dict[str, PartySeats] = {}
    for contest in contests:
        seats = contest_seats(contest, roots.get(contest.id))
        for candidate in contest.candidates:
            now, certain = seats.get(candidate.id, (0, 0))
            if now or certain:
                party = candidate.party or candidate.name
                line = found.setdefault(party, PartySeats(party))
                line.now += now
                line.certain += certain
                line.color = line.color or candidate.color
    return sorted(found.values(), key=lambda line: (-line.now, -line.certain))


def contest_seats(contest: Contest, root: Message | None) -> dict[str, tuple[int, int]]:
    """Candidate → seats now and certain; those who have none may be missing."""
    if root is None or root["outcome"] is None or contest.rule not in GIVE_SEATS:
        return {}
    if contest.rule == "proportional":
        lines = [line for line in root["candidates"] if line["seats"] is not None]
        return {line["id"]: (line["seats"]["now"], line["seats"]["certain"]) for line in lines}
    elected = set(root["outcome"]["elected"])
    ahead = _ahead(contest, root) if contest.rule == "plurality" else set()
    return {id: (1, int(id in elected)) for id in elected | ahead}


def _ahead(contest: Contest, root: Message) -> set[str]:
    """Those with votes whom nobody else could share the last seat with, as the votes stand."""
    lines = [line for line in root["candidates"] if line["rank"] is not None and line["votes"]]
    lines.sort(key=lambda line: -line["votes"])
    seats = contest.seats
    line_of_last = lines[seats]["votes"] if len(lines) > seats else 0
    return {line["id"] for line in lines[:seats] if line["votes"] > line_of_last}
