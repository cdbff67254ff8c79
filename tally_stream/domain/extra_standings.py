"""What a message says of stations, of an area as of each way of voting in it, and of turnout statements.

Decides these fields. Refuses to know when they are published; see `standings.py`.
"""

from __future__ import annotations

from typing import Any

from tally_stream.domain.contest import Rounding
from tally_stream.domain.extra_sums import ChannelSums, ExtraSums
from tally_stream.domain.rounding import ratio_units, units_text


def stations_of(expected: int, counted: int, partial: int, held: int, annulled: int) -> dict[str, int]:
    """Each station is in one state; outstanding is the rest."""
    received = counted + partial + held + annulled
    return {
        "expected": expected,
        "received": received,
        "counted": counted,
        "partial": partial,
        "held": held,
        "annulled": annulled,
        "outstanding": expected - received,
    }


def voted_of(extra: ExtraSums, rounding: Rounding) -> dict[str, Any] | None:
    """Voters who have taken part, by the newest turnout statements, of the registered voters of the stations that made them;
    None where none has. Rounded as turnout is."""
    if not extra.voted_stations:
        return None
    of = None if extra.voted_registered_unknown else extra.voted_registered
    percent = units_text(ratio_units(extra.voted, of, rounding), rounding.places) if of else None
    return {"done": extra.voted, "of": of, "percent": percent, "stations": extra.voted_stations}


def channel_of(
    name: str, expected: int, sums: ChannelSums, candidate_ids: tuple[str, ...], is_hidden: bool, is_cast_unknown: bool
) -> dict[str, Any]:
    """A channel's entry. Before the polls close its counts are hidden; the ballots cast of all channels are unknown where
    those of one are."""
    votes = sums.to_tuple(len(candidate_ids))
    return {
        "channel": name,
        "stations": stations_of(expected, sums.counted, sums.partial, sums.held_only, sums.annulled),
        "ballots": {"cast": None if is_cast_unknown else sums.cast, "valid": None if is_hidden else sums.valid},
        "votes": {id: None if is_hidden else count for id, count in zip(candidate_ids, votes, strict=True)},
    }
