"""What belongs together is exported; what does not hold together is refused with the figures that differ."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest

from tally_stream.domain.standings import Message
from tests.export.nights import AZ_03_13, PRESIDENT, SMALL, counted, definition, messages, report, small, snapshot, snapshot_of

AZ = "az-2024"


def shown(snapshot: Any) -> dict[str, int]:
    return {row.area.id: row.message.version for row in snapshot.areas()}


class TestReadersRule:
    def two(self, directory: Path) -> tuple[Any, tuple[Message, ...], tuple[Message, ...]]:
        election = small(directory)
        first = counted(election, report("A-1", 60, 30))
        early = tuple(first.messages(0))
        return election, early, tuple(counted(election, report("A-1", 60, 30), report("B-1", 10, 90)).messages(0))

    def test_an_older_message_never_replaces_a_newer_one(self, tmp_path: Path) -> None:
        election, early, late = self.two(tmp_path)
        assert set(shown(snapshot_of(election, (*late, *early))).values()) == {2}

    def test_areas_ahead_of_their_root_are_not_shown(self, tmp_path: Path) -> None:
        election, early, late = self.two(tmp_path)
        assert set(shown(snapshot_of(election, (*early, *late[:-1]))).values()) == {1}

    def test_a_root_sent_again_does_not_show_areas_that_are_ahead(self, tmp_path: Path) -> None:
        election, early, late = self.two(tmp_path)
        assert set(shown(snapshot_of(election, (*early, *late[:-1], early[-1]))).values()) == {1}

    def test_an_area_that_did_not_change_stays(self, tmp_path: Path) -> None:
        election, early, late = self.two(tmp_path)
        changed = [m for m in late if m["area"] != "X/North"]
        snapshot = snapshot_of(election, (*early, *changed))
        assert shown(snapshot) == {"X": 2, "X/North": 1, 'X/South "É", old': 2}
        assert snapshot.problems() == []

    def test_it_is_whole_when_the_root_of_all_its_areas_came(self, tmp_path: Path) -> None:
        election, early, late = self.two(tmp_path)
        # What compaction leaves while a set is being written: newer areas, and the root before them.
        snapshot = snapshot_of(election, (*late[:-1], early[-1]))
        assert (snapshot.is_begun, snapshot.is_whole) == (True, False)
        assert snapshot.problems() == ["standings of PRES are missing for 2 of 3 areas, first X/North"]
        snapshot = snapshot_of(election, (*late[:-1], early[-1], late[-1]))
        assert snapshot.is_whole


class TestProblems:
    def test_nights_have_none(self) -> None:
        for until in (None, AZ_03_13, "2024-02-07T12:00:00+04:00"):
            assert snapshot(AZ, until).problems() == []

    def test_nothing_published(self) -> None:
        assert snapshot_of(definition(AZ), ()).problems() == ["there are no standings of PRES in AZ"]

    def test_a_missing_area(self) -> None:
        left = [m for m in messages(AZ) if m["area"] not in ("AZ/007", "AZ/041")]
        said = snapshot_of(definition(AZ), left).problems()
        assert said == ["standings of PRES are missing for 2 of 126 areas, first AZ/007"]

    def test_another_definition(self, tmp_path: Path) -> None:
        other = small(tmp_path, toml=SMALL.replace("An example", "Another") + PRESIDENT)
        published = counted(small(tmp_path / "of"), report("A-1", 1, 2)).messages(0)
        (said,) = snapshot_of(other, published).problems()
        assert said == (f"the standings of PRES are of definition {published[0]['definition']}, this election is {other.digest}: "
                        "export the folder that was counted by")  # fmt: skip

    def test_a_definition_that_was_replaced(self, tmp_path: Path) -> None:
        """All of its messages stand there until the topic is compacted; what replaces them may have none of this contest."""
        election = small(tmp_path)
        mine = counted(election, report("A-1", 60, 30)).messages(0)
        digest = "sha256:" + 64 * "0"
        for contest in ("PRES", "SEAT"):
            newer = {**mine[0], "definition": digest, "contest": contest}
            (said,) = snapshot_of(election, (*mine, newer)).problems()
            assert said.startswith(f"the newest standings are of definition {digest}, this election is {election.digest}: ")
            assert snapshot_of(election, (newer, *mine)).problems() == [], "replaced in its turn"

    @pytest.mark.parametrize(
        ("area", "change", "said"),
        [
            ("AZ/041", lambda m: m["candidates"][0].update(votes=m["candidates"][0]["votes"] + 1),
             "PRES|AZ: votes of I-ALIYEV are 4,567,458, its parts add up to 4,567,459"),
            ("AZ", lambda m: m["stations"].update(counted=6_525),
             "PRES|AZ: stations counted are 6,525, its parts add up to 6,526"),
            ("AZ/041", lambda m: m["candidates"].pop(), "PRES|AZ/041: its candidates are not those of the contest"),
            ("AZ/041", lambda m: m.update(phase="test"), "PRES|AZ/041: election AZ-2024, phase test"),
        ],
    )  # fmt: skip
    def test_figures_that_do_not_belong_together(self, area: str, change: Any, said: str) -> None:
        changed = copy.deepcopy(messages(AZ))
        change(next(m for m in changed if m["area"] == area))
        assert snapshot_of(definition(AZ), changed).problems() == [said]

    def test_at_most_twenty_are_shown(self) -> None:
        changed = copy.deepcopy(messages(AZ))
        for m in changed:
            m["candidates"].pop()
        assert len(snapshot_of(definition(AZ), changed).problems()) == 20
