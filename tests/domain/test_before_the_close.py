"""Before the polls close no official message shows a result; a test election shows what it has."""

from decimal import Decimal
from typing import Any

import pytest

from tally_stream.domain.election import ExitPoll
from tally_stream.domain.standings import Message
from tests.support.small_elections import CLOSE_MS, Night, decision, election, report, station, turnout

STATIONS = (station("A-1", 200, 100, ("N",)), station("B-1", 200, 100, ("S",)))
POLL = ExitPoll("PRES", "P", CLOSE_MS - 10, (("ANNA", Decimal("50.5")),))


def night(phase: Any = "official") -> Night:
    return Night(election(STATIONS, levels=("region",), depth=1, phase=phase, polls=[POLL]))


def shows_a_result(message: Message) -> bool:
    hidden = [
        *(c[name] for c in message["candidates"] for name in ("votes", "share", "rank")),
        *message["ballots"].values(),
        *(d for poll in message["exit_polls"] or [] for d in poll["difference"].values()),
        message["turnout"],
        message["progress"]["ballots"],
        message["outcome"],
    ]
    return any(figure is not None for figure in hidden)


@pytest.mark.parametrize("before_ms", [CLOSE_MS - 1, CLOSE_MS - 3_600_000])
def test_official_messages_hide_every_result_until_a_record_of_the_close(before_ms: int) -> None:
    official = night()
    official.take(report(votes=(40, 56)), at_ms=before_ms)
    for message in official.messages():
        assert not shows_a_result(message)
        assert message["status"] == "pre-election"
        assert [c["id"] for c in message["candidates"]] == ["ANNA", "BELA"], "definition order, not the votes'"
    official.take(report("B-1"), at_ms=CLOSE_MS)
    root = official.root()
    assert root["status"] == "unofficial-complete"
    assert [c["id"] for c in root["candidates"]] == ["BELA", "ANNA"]
    assert all(shows_a_result(m) for m in official.messages())


def test_the_newest_record_decides_not_the_last() -> None:
    official = night()
    official.take(report(), at_ms=CLOSE_MS)
    official.take(report("B-1"), at_ms=CLOSE_MS - 60_000)
    assert official.root()["as_of"] == "2024-02-07T15:00:00.000Z"
    assert official.root()["status"] == "unofficial-complete"


def test_what_is_shown_before_the_close() -> None:
    official = night()
    official.take(report(), at_ms=CLOSE_MS - 5)
    official.take(decision("annul", "B-1", 1, 0), at_ms=CLOSE_MS - 5)
    root = official.root()
    assert root["stations"]["counted"] == root["stations"]["annulled"] == 1
    assert root["progress"]["stations"] == {"done": 2, "of": 2, "percent": "100.00"}
    assert root["progress"]["registered"] == {"done": 400, "of": 400, "percent": "100.00"}
    assert root["version"] == 2
    assert root["exit_polls"] == [{"pollster": "P", "share": {"ANNA": "50.5"}, "difference": {"ANNA": None}}]
    assert official.area("X/N")["exit_polls"] is None


def test_turnout_statements_of_the_day_do_not_end_it() -> None:
    official = night()
    official.take(turnout(), at_ms=CLOSE_MS - 7_200_000)
    assert official.root()["status"] == "pre-election"


def test_nothing_read() -> None:
    official = night()
    for message in official.messages():
        assert not shows_a_result(message)
        assert (message["status"], message["as_of"], message["version"]) == ("pre-election", None, 0)
    assert official.root()["exit_polls"] == []
    assert official.root()["provenance"]["next_offsets"] == {"0": 0}


class TestPhaseTest:
    def test_pre_election_only_while_nothing_is_read_and_nothing_is_hidden(self) -> None:
        rehearsal = night("test")
        root = rehearsal.root()
        assert (root["status"], root["phase"]) == ("pre-election", "test")
        assert [c["votes"] for c in root["candidates"]] == [0, 0]
        assert root["outcome"]["state"] == "none"
        assert root["ballots"] == {"cast": 0, "valid": 0, "blank": 0, "invalid": 0, "undervotes": 0, "overvotes": 0}

    def test_a_record_of_any_time_ends_it(self) -> None:
        rehearsal = night("test")
        rehearsal.take(report(votes=(40, 56)), at_ms=CLOSE_MS - 86_400_000)
        root = rehearsal.root()
        assert root["status"] == "unofficial-partial"
        assert [c["votes"] for c in root["candidates"]] == [56, 40]
