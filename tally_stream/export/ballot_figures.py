"""What follows from a message and its contest, for whoever shows it: who passes a threshold, whether a quorum is reached, how
far a way of voting is counted.

Decides figures alone, the same for page, terminal and exports; each has words of its own. Messages are those of
`wire/schema/published.py` as plain JSON values. Refuses to share out seats: `domain/seats.py` does.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tally_stream.domain.contest import Contest, Rounding, RoundingMethod
from tally_stream.domain.rounding import progress_percent
from tally_stream.wire.schema.published import Stations

Message = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Threshold:
    """`base`: ballots that it is of, None while they are not known. `passing` has ids of lists that take part in sharing out
    seats, `below` of those that do not, in the message's order; both are empty while the base is not known or 0."""

    base: int | None
    needed: int | None
    passing: tuple[str, ...]
    below: tuple[str, ...]


def has_seats(message: Message) -> bool:
    """Whether it says who has seats: roots of proportional contests do, from the polls' close on."""
    return any(line["seats"] is not None for line in message["candidates"])


def has_missing_votes(contest: Contest | None, message: Message) -> bool:
    """Whether its undervotes and overvotes say anything: without a statement in force they are 0, and where a ballot has one
    vote, nobody asks for that."""
    under, over = message["ballots"]["undervotes"], message["ballots"]["overvotes"]
    if under is None or over is None:
        return False
    return under + over > 0 or (contest is not None and contest.votes_per_ballot > 1)


def processed_of(message: Message) -> int:
    """Stations of an area's message, or of one of its channels, of which nothing more is due: counted or annulled."""
    stations = message["stations"]
    return int(stations["counted"] + stations["annulled"])


def processed(stations: Stations) -> int:
    """The same of a message that was read into its fields."""
    return stations.counted + stations.annulled


def is_all_in(message: Message) -> bool:
    """Whether no station of the area is outstanding any more, in parts or as a whole."""
    return processed_of(message) == int(message["stations"]["expected"])


def majority_of_seats(seats: int) -> int:
    """So many are more than half."""
    return seats // 2 + 1


def threshold_of(contest: Contest, message: Message) -> Threshold | None:
    """None where no list can fall below one."""
    rule = contest.allocation
    if rule is None or rule.threshold_percent == 0:
        return None
    base = _threshold_base(rule.threshold_base, message["ballots"])
    if not base:
        return Threshold(base, None, (), ())
    numerator, denominator = rule.threshold_percent.as_integer_ratio()
    eligible = {contest.candidate_ids[place] for place in contest.eligible}
    passing: list[str] = []
    below: list[str] = []
    for line in message["candidates"]:
        if line["id"] in eligible:
            is_in = line["id"] in rule.exempt or 100 * denominator * line["votes"] >= numerator * base
            (passing if is_in else below).append(line["id"])
    return Threshold(base, -(-numerator * base // (100 * denominator)), tuple(passing), tuple(below))


def _threshold_base(of: str, ballots: Mapping[str, int | None]) -> int | None:
    valid, blank = ballots["valid"], ballots["blank"]
    if of == "cast":
        return ballots["cast"]
    if of == "valid":
        return valid
    return None if valid is None or blank is None else valid + blank


def is_quorum_reached(outcome: Message) -> bool | None:
    """None: not known, or there is none."""
    quorum = outcome["quorum"]
    return None if quorum is None else bool(quorum["done"] >= quorum["needed"])


def channel_percent(done: int, expected: int, method: RoundingMethod, places: int) -> str | None:
    """How much of its polling stations is processed, rounded as progress is: below 100 while any is missing. None where the
    area has none of them."""
    if not expected:
        return None
    return progress_percent(done, expected, Rounding(method, places), is_finished=done == expected)
