"""A change as the public line that is sent; compiled, for every correction owes one.

Pure: the same values give the same bytes. Refuses to know when one is owed (`domain/ledger.py`). Read `messages.py` for
everything else that is published.
"""

from __future__ import annotations

import msgspec

from tally_stream.domain.election import Election
from tally_stream.domain.ledger import Change
from tally_stream.wire.change_line import BallotsDeltaLine, ChangeLine, ChangeSource, votes_line

_in_order = msgspec.json.Encoder()
"""Writes the fields of a class in the order in which they stand there."""


def encode_change(election: Election, topic: str, partition: int, offset: int, log_ms: int, change: Change) -> bytes:
    """The public line of a change, canonical. `area` is the station's deepest published area."""
    contest = election.contests[change.contest]
    cast, valid, blank, invalid, undervotes, overvotes = change.ballots_delta
    line = ChangeLine(
        election.areas[change.station.leaf].id,
        change.authority,
        BallotsDeltaLine(blank, cast, invalid, overvotes, undervotes, valid),
        contest.id,
        election.digest,
        change.from_revision,
        change.kind,
        change.reason,
        1,
        ChangeSource(offset, partition, log_ms, topic),
        change.station.id,
        change.to_revision,
        votes_line(contest.candidate_ids)(change.votes_delta),
    )
    return _in_order.encode(line)
