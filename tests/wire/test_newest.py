"""The reader's rule by itself: what is shown after every message, against a sentence about all messages so far."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tally_stream.wire.newest import (
    DEFINITIONS_MAX,
    NO_VERSION,
    WAITING_MAX_MESSAGES,
    Newest,
    NewestOfContest,
    OtherDefinition,
    root_seconds,
)
from tests.support.examples import examples

Event = tuple[str, int]
"""(area, version): the message is the pair itself."""


def shown(contest: NewestOfContest[Event]) -> dict[str, int]:
    found = {area: message[1] for area, message in contest.areas.items()}
    return found if contest.root is None else {**found, "R": contest.root[1]}


def by_the_sentence(events: list[Event]) -> dict[str, int]:
    """Of the messages of one key the newest that is not newer than the newest root."""
    root = max((version for area, version in events if area == "R"), default=NO_VERSION)
    areas = {area for area, _ in events}
    of = {a: [version for area, version in events if area == a and version <= root] for a in areas}
    return {area: max(versions) for area, versions in of.items() if versions}


@examples(300)
@given(st.lists(st.tuples(st.sampled_from(["R", "R/N", "R/S"]), st.integers(0, 12)), max_size=40))
def test_after_every_message_what_the_sentence_says_is_shown(events: list[Event]) -> None:
    contest: NewestOfContest[Event] = NewestOfContest()
    for count, (area, version) in enumerate(events, 1):
        before = shown(contest)
        changed = contest.take(area, version, (area, version))
        due = by_the_sentence(events[:count])
        assert shown(contest) == due
        assert set(changed) == {a for a in due if due[a] != before.get(a)}
        assert "R" not in changed[:-1], "the root comes last"
        waits = any(version > due.get("R", NO_VERSION) for _, version in events[:count])
        assert contest.is_waiting == waits


def test_a_message_sent_again_is_no_news() -> None:
    contest: NewestOfContest[Event] = NewestOfContest()
    assert contest.take("R/N", 5, ("R/N", 5)) == []
    assert contest.take("R", 5, ("R", 5)) == ["R/N", "R"]
    assert contest.take("R/N", 5, ("R/N", 5)) == []
    assert contest.take("R", 5, ("R", 5)) == []


def test_an_area_that_is_sent_again_under_a_new_version_is_news_only_where_it_differs() -> None:
    contest: NewestOfContest[str] = NewestOfContest()
    contest.take("R/N", 5, "same")
    contest.take("R", 7, "root")
    assert contest.take("R/N", 6, "same") == []
    assert contest.take("R/N", 5, "older") == [], "6 was shown"


def test_a_root_that_never_came_makes_no_queue_and_the_newest_stays() -> None:
    contest: NewestOfContest[Event] = NewestOfContest()
    versions = [100, *range(1, WAITING_MAX_MESSAGES)]
    for version in versions:
        contest.take("R/N", version, ("R/N", version))
    assert {version for version in versions if version in contest._waiting["R/N"]} == set(versions), "at the limit"  # noqa: SLF001  (as its reading of the topics leaves it)
    contest.take("R/N", 50, ("R/N", 50))
    assert 1 not in contest._waiting["R/N"], "one past it: the oldest went"  # noqa: SLF001  (as its reading of the topics leaves it)
    assert len(contest._waiting["R/N"]) == WAITING_MAX_MESSAGES  # noqa: SLF001  (as its reading of the topics leaves it)
    contest.take("R", 100, ("R", 100))
    assert shown(contest) == {"R": 100, "R/N": 100}


class Topic:
    """`Newest` fed by words: definition, area, version."""

    def __init__(self, definition: str | None = None) -> None:
        self.newest: Newest[str] = Newest(definition)

    def take(self, definition: str, area: str, version: int, contest: str = "PRES") -> list[tuple[str, str]]:
        return self.newest.take(definition, contest, area, version, f"{definition} {area} {version}")

    @property
    def shown(self) -> dict[str, list[str]]:
        contests = self.newest.contests.items()
        return {id: sorted([*c.areas.values(), *([] if c.root is None else [c.root])]) for id, c in contests}


class TestDefinitions:
    def test_another_definition_is_shown_with_its_root_and_all_at_once(self) -> None:
        topic = Topic()
        topic.take("old", "R/N", 9)
        topic.take("old", "R", 9)
        topic.take("old", "R", 9, contest="SEAT")
        assert topic.take("new", "R/N", 2) == []
        assert topic.shown == {"PRES": ["old R 9", "old R/N 9"], "SEAT": ["old R 9"]}
        assert topic.newest.replaced == OtherDefinition("old", "new")
        assert not topic.newest.is_whole
        assert topic.take("new", "R", 2) == [("PRES", "R/N"), ("PRES", "R")]
        assert topic.shown == {"PRES": ["new R 2", "new R/N 2"]}, "a lower version, and nothing of the old one beside it"
        assert (topic.newest.replaced, topic.newest.is_whole) == (None, True)

    def test_nothing_is_shown_before_the_first_root(self) -> None:
        topic = Topic()
        assert topic.take("a", "R/N", 1) == []
        assert topic.shown == {}
        assert topic.newest.replaced == OtherDefinition(None, "a")
        assert topic.take("a", "R", 1) == [("PRES", "R/N"), ("PRES", "R")]

    def test_an_area_of_a_later_contest_waits_for_its_own_root(self) -> None:
        topic = Topic()
        topic.take("a", "R", 1)
        topic.take("a", "R/N", 1, contest="SEAT")
        assert not topic.newest.is_whole
        assert topic.take("b", "R/N", 1, contest="SEAT") == []
        assert topic.take("b", "R", 1) == [("PRES", "R")], "the other contest has no root yet"
        assert topic.take("b", "R", 1, contest="SEAT") == [("SEAT", "R/N"), ("SEAT", "R")]

    def test_a_frozen_worker_of_the_old_one_that_thaws_takes_nothing_away(self) -> None:
        """Its areas wait for its root; a root that is older than its own newest one says nothing."""
        topic = Topic()
        for definition in ("old", "new"):
            topic.take(definition, "R/N", 5)
            topic.take(definition, "R", 5)
        assert topic.take("old", "R/N", 6) == []
        assert topic.take("old", "R", 4) == []
        assert topic.shown == {"PRES": ["new R 5", "new R/N 5"]}
        assert topic.newest.replaced == OtherDefinition("new", "old")
        assert topic.take("new", "R", 5) == []
        assert topic.newest.replaced is None

    def test_going_back_shows_the_old_one_again(self) -> None:
        topic = Topic()
        for definition, version in (("old", 9), ("new", 2), ("old", 9)):
            topic.take(definition, "R/N", version)
            topic.take(definition, "R", version)
        assert topic.shown == {"PRES": ["old R 9", "old R/N 9"]}

    def test_a_definition_that_is_given_is_the_only_one(self) -> None:
        topic = Topic("mine")
        assert topic.take("other", "R", 9) == []
        assert topic.newest.replaced == OtherDefinition("mine", "other")
        assert topic.take("mine", "R", 1) == [("PRES", "R")]
        assert (topic.newest.replaced, topic.newest.is_whole, topic.newest.others) == (None, True, {"other"})
        topic.newest.note("other")
        assert topic.newest.replaced == OtherDefinition("mine", "other")
        assert topic.shown == {"PRES": ["mine R 1"]}

    def test_so_many_are_kept_side_by_side_and_the_one_shown_among_them(self) -> None:
        topic = Topic()
        topic.take("0", "R", 1)
        for n in range(1, DEFINITIONS_MAX):
            topic.take(str(n), "R/N", 1)
        assert set(topic.newest._kept) == {str(n) for n in range(DEFINITIONS_MAX)}, "at the limit"  # noqa: SLF001  (how many are kept is what the test is about)
        topic.take("last", "R/N", 1)
        assert set(topic.newest._kept) == {"0", "last", *(str(n) for n in range(2, DEFINITIONS_MAX))}  # noqa: SLF001  (how many are kept is what the test is about)


def test_roots_of_more_than_a_thousand_contests_take_their_turns() -> None:
    assert [root_seconds(count) for count in (1, 1_000, 1_222, 20_000)] == [10, 10, 12.22, 200]
