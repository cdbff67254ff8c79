"""One contract for all who read the standings topic: after the same records, each shows the same versions.

The rule is `wire/newest.py`; here it is asked of everybody who uses it, each by the way its records come in.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import permutations
from random import Random
from typing import Any, Protocol

import msgspec
import pytest

from tally_stream.audit.replay import Replay
from tally_stream.board.feed import Feed
from tally_stream.cli.follow import Following
from tally_stream.cli.shown import ShownStandings
from tally_stream.domain.election import Election
from tally_stream.export.snapshot import ElectionSnapshot
from tally_stream.kafka.client import StoredRecord
from tally_stream.settings import load_settings
from tally_stream.wire.folder.assembling import load_election
from tally_stream.wire.messages import canonical_json, standings_key
from tally_stream.wire.schema.published import read_standings
from tests.support.board_scene import rehearsal_folder
from tests.support.topics import ShownValues

OTHER = "sha256:" + 64 * "0"
Shown = dict[str, int]


class Reader(Protocol):
    def take(self, record: StoredRecord) -> None: ...
    def shown(self) -> Shown:
        """Area → version, of the contest PRES."""


def versions(values: dict[bytes, bytes]) -> Shown:
    messages = [msgspec.json.decode(value) for key, value in values.items() if key.startswith(b"PRES|")]
    return {m["area"]: m["version"] for m in messages}


class OnTheBoard:
    def __init__(self, election: Election) -> None:
        self.feed = Feed(load_settings(), election, lambda _: None)

    def take(self, record: StoredRecord) -> None:
        self.feed._take_standings(record)  # noqa: SLF001  (what `run` does with each record of the topic)

    def shown(self) -> Shown:
        shown = self.feed.shown["PRES"]
        root = {} if shown.root is None else {"R": shown.root.version}
        return {area: published.version for area, published in shown.areas.items()} | root


class InStandings:
    def __init__(self, election: Election) -> None:
        self.standings = ShownStandings()

    def take(self, record: StoredRecord) -> None:
        self.standings.take(record.value)

    def shown(self) -> Shown:
        return versions({key: shown.value for key, shown in self.standings.all().items()})


class InFollow:
    def __init__(self, election: Election) -> None:
        self.following = Following(None, None, None)  # type: ignore[arg-type]  # nothing is read here
        self.written: Shown = {}

    def take(self, record: StoredRecord) -> None:
        found = self.following.take([record])
        self.written |= {s.message["area"]: s.message["version"] for s in found if s.message["contest"] == "PRES"}

    def shown(self) -> Shown:
        """What stands there; and what was written line by line comes to the same."""
        shown = versions({key: shown.value for key, shown in self.following.all().items()})
        assert {area: self.written[area] for area in shown} == shown
        return shown


class InExport:
    def __init__(self, election: Election) -> None:
        self.snapshot = ElectionSnapshot(election, election.contests)

    def take(self, record: StoredRecord) -> None:
        self.snapshot.take(read_standings(record.value or b""))

    def shown(self) -> Shown:
        of_contest = self.snapshot.contests[0]
        found = {area.id: of_contest._of(area) for area in of_contest.election.areas}  # noqa: SLF001  (the message that each format is written from)
        return {area: message.version for area, message in found.items() if message is not None}


class InTests:
    def __init__(self, election: Election) -> None:
        self.values = ShownValues()

    def take(self, record: StoredRecord) -> None:
        self.values.take([record])

    def shown(self) -> Shown:
        return versions(self.values.values)


READERS: list[Callable[[Election], Reader]] = [OnTheBoard, InStandings, InFollow, InExport, InTests]


@pytest.fixture(scope="module")
def election(tmp_path_factory: pytest.TempPathFactory) -> Election:
    return load_election(rehearsal_folder(tmp_path_factory.mktemp("election") / "e"))


@pytest.fixture(scope="module")
def record(election: Election) -> Callable[..., StoredRecord]:
    messages = {m["area"]: m for m in Replay(election, "tally.reports", None).messages(0)}

    def record(area: str, version: int, definition: str = election.digest) -> StoredRecord:
        message: dict[str, Any] = {**messages[area], "version": version, "definition": definition}
        return StoredRecord(0, 0, 5, standings_key("PRES", area), canonical_json(message))

    return record


N, S, R = "R/NORTH", "R/SOUTH", "R"
CASES: list[tuple[list[tuple[str, int]], Shown]] = [
    ([(N, 5), (R, 5), (N, 7), (N, 9), (R, 8)], {N: 7, R: 8}),
    ([(N, 5), (R, 5), (N, 9), (N, 7), (R, 8)], {N: 7, R: 8}),
    ([(N, 5), (R, 5), (N, 7), (N, 6), (R, 8)], {N: 7, R: 8}),
    ([(N, 5), (R, 5), (N, 7), (N, 9), (R, 8), (R, 9)], {N: 9, R: 9}),
    ([(R, 5), (N, 4), (N, 3)], {N: 4, R: 5}),
    ([(R, 5), (N, 6), (R, 5)], {R: 5}),
    ([(N, 5), (S, 5)], {}),
    ([(N, 9), (R, 9), (R, 8), (N, 8)], {N: 9, R: 9}),
    ([(R, 9), (N, 12), (R, 3), (N, 11), (S, 9)], {S: 9, R: 9}),
]


@pytest.mark.parametrize("make", READERS)
@pytest.mark.parametrize(("events", "due"), CASES)
def test_all_show_the_same(
    make: Callable[[Election], Reader], events: list[tuple[str, int]], due: Shown, election: Election, record: Any
) -> None:
    reader = make(election)
    for area, version in events:
        reader.take(record(area, version))
    assert reader.shown() == due


@pytest.mark.parametrize("seed", range(20))
def test_all_show_the_same_after_every_record_of_any_topic(seed: int, election: Election, record: Any) -> None:
    random = Random(seed)
    readers = [make(election) for make in READERS]
    for _ in range(60):
        one = record(random.choice([N, S, R]), random.randrange(1, 15))
        for reader in readers:
            reader.take(one)
        first, *others = [reader.shown() for reader in readers]
        assert all(shown == first for shown in others), [type(r).__name__ for r in readers]


@pytest.mark.parametrize("make", READERS)
@pytest.mark.parametrize("order", sorted(permutations([N, S])))
def test_a_definition_that_was_replaced_hides_nothing_of_the_new_one(
    make: Callable[[Election], Reader], order: tuple[str, str], election: Election, record: Any
) -> None:
    """Its versions are lower: the worker begins anew."""
    reader = make(election)
    for area in (N, S, R):
        reader.take(record(area, 90, definition=OTHER))
    for area in order:
        reader.take(record(area, 4))
    reader.take(record(R, 4))
    assert reader.shown() == {N: 4, S: 4, R: 4}


def test_who_has_a_folder_passes_over_what_replaces_it_and_who_has_none_goes_with_it(election: Election, record: Any) -> None:
    readers = {make: make(election) for make in READERS}
    for reader in readers.values():
        for area in (N, S, R):
            reader.take(record(area, 90))
        for area in (N, R):
            reader.take(record(area, 4, definition=OTHER))
    shown = {type(reader).__name__: reader.shown() for reader in readers.values()}
    mine, new = {N: 90, S: 90, R: 90}, {N: 4, R: 4}
    assert shown == {"OnTheBoard": mine, "InExport": mine, "InStandings": new, "InFollow": new, "InTests": new}
    export = readers[InExport]
    assert isinstance(export, InExport)
    (said,) = export.snapshot.contests[0].problems()
    assert OTHER in said
    assert election.digest in said
