"""How long a report and a message of a contest can get, in bytes: never too little, and seldom much more than needed.

Decides from the definition alone, before the first report, whether what will be said of a contest fits into a record. Refuses
to know any count: every number is taken at its longest. Read `limits.py` beside it.
"""

from __future__ import annotations

import json

from tally_stream.domain.contest import Contest
from tally_stream.domain.election import Election
from tally_stream.domain.scalars import COUNT_MAX, ID_MAX_CHARS, REVISION_MAX, TEXT_MAX_CODE_POINTS
from tally_stream.wire.messages import canonical_json

_LONGEST_SUM = -(10**16)
"""Of two million stations, a billion each, and a sign."""
_LONGEST_PERCENT = "9" * 18 + "."
"""Of all votes there can be in one valid ballot: an authority may let a report count that says so."""
_LONGEST_ID = "X" * ID_MAX_CHARS
_LONGEST_TEXT = "\U0001f600" * TEXT_MAX_CODE_POINTS
"""Twelve bytes a code point where a program writes escapes (\\ud83d\\ude00), four where it does not."""
_LONGEST_TIME = "9" * 64
"""A time may have any number of decimals, and no program writes forty."""

PARTITIONS_FORESEEN = 1_000
"""A message names the next offset of each. How many there are is no part of a definition."""
_MESSAGE_REST_BYTES = 3_300 + 28 * PARTITIONS_FORESEEN
"""All of a root's message but ids, candidates, polls and what lists candidates: its names and its numbers at their longest.
A test makes such a message."""


def longest_report_bytes(election: Election, contest: Contest) -> int:
    """As a program writes it that puts a space behind each colon and comma, and escapes what is not ASCII."""
    counts = dict.fromkeys(("cast", "valid", "blank", "invalid", "undervotes", "overvotes"), COUNT_MAX)
    rest = {
        "schema": 1, "election": election.id, "contest": contest.id, "station": _LONGEST_ID, "revision": REVISION_MAX,
        "kind": "recount", "complete": False, "phase": election.phase, "counted_at": _LONGEST_TIME,
        "registered": COUNT_MAX, "ballots": counts, "votes": {}, "replaces": REVISION_MAX, "reason": _LONGEST_TEXT,
        "authority": _LONGEST_TEXT,
    }  # fmt: skip
    return len(json.dumps(rest)) + sum(len(id) + len(f'"": {COUNT_MAX}, ') for id in contest.candidate_ids)


def longest_message_bytes(election: Election, contest: Contest, longest_area_id_bytes: int) -> int:
    """Of the root's message, as it is published; those of other areas have less in them."""
    share = _LONGEST_PERCENT + "0" * contest.rounding.places
    seats = {"now": contest.seats, "certain": contest.seats}
    total = _MESSAGE_REST_BYTES + longest_area_id_bytes + 2 * ID_MAX_CHARS
    last = len(contest.candidates)
    for candidate in contest.candidates:
        row = {"id": candidate.id, "name": candidate.name, "votes": _LONGEST_SUM, "share": share, "rank": last, "seats": seats}
        total += len(canonical_json(row)) + 1 + 2 * (len(candidate.id) + 3)  # may be among those elected, and those tied
    for poll in election.exit_polls:
        if poll.contest == contest.id:
            shares = {candidate: format(share, "f") for candidate, share in poll.shares}
            longest = _LONGEST_PERCENT + "0" * 9  # a poll's share has nine places at most, and a printed one six
            differences = dict.fromkeys(shares, longest)
            total += len(canonical_json({"pollster": poll.pollster, "share": shares, "difference": differences})) + 1
    return total + sum(_longest_channel_bytes(election, contest, channel) for channel in _channels_of(election, contest))


def _channels_of(election: Election, contest: Contest) -> list[str]:
    index = election.contest_index(contest.id)
    return [] if index is None else [election.channels[channel] for channel in election.contest_channels[index]]


def _longest_channel_bytes(election: Election, contest: Contest, channel: str) -> int:
    stations = ("expected", "received", "counted", "partial", "held", "annulled", "outstanding")
    return 1 + len(canonical_json({
        "channel": channel, "stations": dict.fromkeys(stations, len(election.stations)),
        "ballots": dict.fromkeys(("cast", "valid"), _LONGEST_SUM), "votes": dict.fromkeys(contest.candidate_ids, _LONGEST_SUM),
    }))  # fmt: skip
