"""Real elections as others read them: the folder by `tally-stream check`, the standings as a NIST report."""

from __future__ import annotations

from typing import Any

import pytest

from tally_stream.export.nist import nist_report
from tally_stream.export.snapshot import ElectionSnapshot
from tally_stream.wire.folder.assembling import election_day
from tally_stream.wire.folder.doubts import doubts_of
from tally_stream.wire.messages import canonical_json
from tally_stream.wire.schema.published import read_standings
from tests.ballots.conversions import CONVERSIONS
from tests.ballots.counted import Counted, CountedSet
from tests.support.nist_schema import errors

WRITTEN_MS = 1_764_500_000_000
SETS = pytest.mark.parametrize("name", sorted(CONVERSIONS))


@SETS
def test_nothing_is_wrong_with_its_folder(name: str, counted_set: CountedSet) -> None:
    assert doubts_of(counted_set(name).read) == []


@SETS
def test_its_nist_report_is_valid_and_has_every_vote(name: str, counted_set: CountedSet) -> None:
    of = counted_set(name)
    report = nist_of(of)
    assert errors(report) == []
    contests = report["Election"][0]["Contest"]
    assert len(contests) == len(of.roots)
    named = sum(count["Count"] for contest in contests for selection in contest["ContestSelection"]
                for count in selection.get("VoteCounts", []) if count["Type"] == "total")  # fmt: skip
    due = sum(c["votes"] for messages in of.messages.values() for message in messages for c in message["candidates"])
    assert named == due


def nist_of(of: Counted) -> dict[str, Any]:
    snapshot = ElectionSnapshot(of.election, of.election.contests)
    for messages in of.messages.values():
        for message in messages:
            snapshot.take(read_standings(canonical_json(message)))
    return nist_report(snapshot.contests, election_day(of.folder), WRITTEN_MS)
