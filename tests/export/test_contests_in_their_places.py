"""Contests that are not held everywhere: each is exported with the areas of its own stations, and is whole with those."""

from __future__ import annotations

import csv
import io
from datetime import date
from typing import Any

import pytest

from tally_stream.audit.replay import Replay
from tally_stream.domain.election import Election
from tally_stream.export.nist import nist_report
from tally_stream.export.nist_checks import nist_problems
from tally_stream.export.snapshot import ElectionSnapshot
from tally_stream.export.table import csv_table
from tally_stream.wire.messages import canonical_json
from tally_stream.wire.newest import Newest
from tally_stream.wire.schema.published import Standings, read_standings
from tests.support.wide_elections import election_of

EVERYWHERE = ["X", "X/R00", "X/R01", "X/R00/T000", "X/R00/T001", "X/R01/T000", "X/R01/T001"]
HERE = ["X", "X/R00", "X/R00/T001"]


@pytest.fixture(scope="module")
def election() -> Election:
    return election_of(regions=2, towns=2, contests=2, candidates=2, named_stations={"C0001": ["S00001"]})


@pytest.fixture(scope="module")
def published(election: Election) -> list[Standings]:
    folded = Replay(election, "tally.reports", None)
    return [read_standings(canonical_json(m)) for contest in range(2) for m in folded.messages(contest)]


def snapshot_of(election: Election, published: list[Standings]) -> ElectionSnapshot:
    snapshot = ElectionSnapshot(election, election.contests)
    for message in published:
        snapshot.take(message)
    return snapshot


def test_each_contest_is_exported_with_its_own_areas(election: Election, published: list[Standings]) -> None:
    snapshot = snapshot_of(election, published)
    assert snapshot.is_whole
    assert [c.problems() for c in snapshot.contests] == [[], []]
    rows = list(csv.DictReader(io.StringIO(csv_table(snapshot.contests), newline="")))
    for contest, areas in (("C0000", EVERYWHERE), ("C0001", HERE)):
        assert list(dict.fromkeys(row["area"] for row in rows if row["contest"] == contest)) == areas
    report = nist_report(snapshot.contests, date(2026, 1, 1), 1_767_294_000_000)
    assert nist_problems(report) == []
    assert len(report["GpUnit"]) == len(EVERYWHERE)
    alone = nist_report(snapshot.contests[1:], date(2026, 1, 1), 1_767_294_000_000)
    assert nist_problems(alone) == []
    assert [unit["ExternalIdentifier"][0]["Value"] for unit in alone["GpUnit"]] == HERE
    assert [len(unit.get("ComposingGpUnitIds", [])) for unit in alone["GpUnit"]] == [1, 1, 0]


def test_a_contest_that_lacks_one_of_its_areas_is_not_whole(election: Election, published: list[Standings]) -> None:
    lacking = snapshot_of(election, [m for m in published if (m.contest, m.area) != ("C0001", "X/R00")])
    assert not lacking.is_whole
    assert lacking.contests[0].problems() == []
    (said,) = lacking.contests[1].problems()
    assert "missing for 1 of 3 areas, first X/R00" in said


def test_a_message_is_read_once_for_all_contests(
    election: Election, published: list[Standings], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a look at each of 1,200 contests for each message, an export took minutes."""
    taken: list[str] = []
    real: Any = Newest.take

    def take(newest: Newest[Standings], definition: str, contest: str, *more: object) -> object:
        taken.append(contest)
        return real(newest, definition, contest, *more)

    monkeypatch.setattr(Newest, "take", take)
    monkeypatch.setattr(Newest, "note", lambda *_: None)
    snapshot_of(election, published)
    assert taken == [message.contest for message in published]
