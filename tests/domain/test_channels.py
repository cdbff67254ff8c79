"""Ways of voting: each has its own stations and counts, in every area, and they add up to the message's own."""

from typing import Any

from tests.support.small_elections import CLOSE_MS, Night, contest, decision, election, report, station

CHANNELS = {"A-1": "election day", "A-2": "postal", "B-1": "election day", "B-2": "early"}


def night(*statements: Any, **fields: Any) -> Night:
    given: dict[str, Any] = {
        "stations": [station(id, 200, None, ("NORTH" if id[0] == "A" else "SOUTH",)) for id in CHANNELS],
        "contests": [contest(), contest("SEAT", ("DORA", "EMIL"), rule="plurality")],
        "levels": ("region",),
        "depth": 1,
        "named": {"SEAT": ["A-1", "A-2"]},
        "channels": CHANNELS,
    }
    return Night(election(**{**given, **fields}), *statements)


def of_channel(message: dict[str, Any], name: str) -> dict[str, Any]:
    (found,) = [channel for channel in message["channels"] if channel["channel"] == name]
    return found


def test_without_the_column_there_is_nothing() -> None:
    assert Night().root()["channels"] is None


def test_every_area_has_each_channel_of_the_contest_by_code_point() -> None:
    heard = night()
    for message in heard.messages():
        assert [channel["channel"] for channel in message["channels"]] == ["early", "election day", "postal"]
    for message in heard.messages(1):
        assert [channel["channel"] for channel in message["channels"]] == ["election day", "postal"]
    assert [of_channel(heard.area("X/NORTH"), name)["stations"]["expected"] for name in ("early", "election day")] == [0, 1]


def test_a_station_stands_in_its_own_channel_in_one_state() -> None:
    heard = night(
        report("A-1"), report("A-2", complete=False), report("B-1", cast=150), report("B-2"), decision("annul", "B-2")
    )  # fmt: skip
    root = heard.root()
    states = {channel["channel"]: channel["stations"] for channel in root["channels"]}
    none = dict.fromkeys(("counted", "partial", "held", "annulled", "outstanding"), 0)
    assert states == {
        "early": {**none, "expected": 1, "received": 1, "annulled": 1},
        "election day": {**none, "expected": 2, "received": 2, "counted": 1, "held": 1},
        "postal": {**none, "expected": 1, "received": 1, "partial": 1},
    }
    heard.take(decision("restore", "B-2", 3, 2))
    assert of_channel(heard.root(), "early")["stations"]["counted"] == 1
    heard.take(decision("withdraw", "A-2", 2))
    assert of_channel(heard.root(), "postal")["stations"] == {**none, "expected": 1, "received": 0, "outstanding": 1}
    assert of_channel(heard.root(), "postal")["votes"] == {"ANNA": 0, "BELA": 0}


def test_the_counts_of_all_channels_add_up_to_the_messages_own() -> None:
    heard = night(report("A-1"), report("B-1", votes=(30, 20)), report("A-2", votes=(1, 2), complete=False))
    heard.take(report("A-2", 2, votes=(5, 9)))  # in one step on a plain partial count
    for message in heard.messages():
        for name in ("cast", "valid"):
            assert message["ballots"][name] == sum(channel["ballots"][name] for channel in message["channels"])
        for row in message["candidates"]:
            assert row["votes"] == sum(channel["votes"][row["id"]] for channel in message["channels"])
        for name, count in message["stations"].items():
            assert count == sum(channel["stations"][name] for channel in message["channels"])
    assert of_channel(heard.root(), "postal") == {
        "channel": "postal",
        "stations": {
            "expected": 1, "received": 1, "counted": 1, "partial": 0, "held": 0, "annulled": 0, "outstanding": 0,
        },
        "ballots": {"cast": 18, "valid": 14},
        "votes": {"ANNA": 5, "BELA": 9},
    }  # fmt: skip


def test_cast_is_unknown_in_every_channel_where_it_is_in_the_message() -> None:
    heard = night(report("A-1"), report("A-2", cast=None))
    assert heard.root()["ballots"]["cast"] is None
    assert {channel["ballots"]["cast"] for channel in heard.root()["channels"]} == {None}
    assert {channel["ballots"]["cast"] for channel in heard.area("X/SOUTH")["channels"]} == {0}
    assert of_channel(heard.root(), "postal")["ballots"]["valid"] == 96


def test_before_the_close_the_counts_are_hidden_and_the_states_are_not() -> None:
    heard = night()
    heard.take(report("A-1"), at_ms=CLOSE_MS - 1)
    channel = of_channel(heard.root(), "election day")
    assert channel["ballots"] == {"cast": None, "valid": None}
    assert channel["votes"] == {"ANNA": None, "BELA": None}
    assert channel["stations"]["counted"] == 1
