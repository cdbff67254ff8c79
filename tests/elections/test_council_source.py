"""The invented town against what its SOURCE.md says of it: by plain arithmetic here, and by the product below."""

import re
from collections import Counter

import pytest

from tally_stream.audit.replay import Replay, replay
from tally_stream.wire.folder.assembling import load_election
from tests.elections.published import ELECTIONS, fold, records, stations

TOWN = ELECTIONS / "council"
SOURCE = (TOWN / "SOURCE.md").read_text(encoding="utf-8")
WARDS = ("HARBOUR", "HILL", "MEADOW", "MILL", "STATION")


@pytest.fixture(scope="module")
def counted() -> Replay:
    return replay(load_election(TOWN), TOWN / "reports.jsonl.gz")


def root(counted: Replay, contest: str) -> dict[str, object]:
    index = counted.election.contest_index(contest)
    assert index is not None
    found: dict[str, object] = counted.messages(index)[-1]
    return found


def test_how_much_there_is_of_it() -> None:
    registered = sum(int(row["registered"]) for row in stations("council").values())
    ballots = fold(r for r in records("council") if r.value.get("contest") == "MAYOR").ballots("cast")
    assert f"{registered:,} registered voters" in SOURCE
    assert f"{ballots:,} ballots, {len(records('council'))} statements" in SOURCE
    channels = Counter(row["channel"] for row in stations("council").values())
    assert channels == {"election day": 15, "postal": 5, "early": 5}
    assert {row["registered"] for row in stations("council").values() if row["channel"] != "election day"} == {"0"}


def test_the_mayor_goes_into_a_second_round(counted: Replay) -> None:
    mayor = root(counted, "MAYOR")
    assert mayor["outcome"]["state"] == "runoff"  # type: ignore[index]
    assert [(row["id"], row["share"], row["rank"]) for row in mayor["candidates"]][::4] == [  # type: ignore[attr-defined]
        ("AALTO", "46.75", 1), ("NOTA", "2.48", None)
    ]  # fmt: skip
    assert "46.75 %" in SOURCE


def test_the_last_seat_of_the_council_is_tied(counted: Replay) -> None:
    council = root(counted, "COUNCIL")
    seats = {row["id"]: row["seats"] for row in council["candidates"]}  # type: ignore[attr-defined]
    due = {"ALLIANCE": 7, "WORKERS": 5, "GREENS": 3, "FORUM": 3, "COMMONS": 1, "ISLANDERS": 1, "LANTERN": 0}
    assert seats == {id: {"now": n, "certain": n} for id, n in due.items()}
    assert council["outcome"]["tied"] == {"seats": 1, "between": ["ALLIANCE", "WORKERS"]}  # type: ignore[index]
    assert "20 seats certain: 7, 5, 3, 3, 1, 1, 0" in SOURCE
    shares = {row["id"]: row["share"] for row in council["candidates"]}  # type: ignore[attr-defined]
    assert (shares["ISLANDERS"], shares["LANTERN"]) == ("4.66", "2.80")
    assert {"4.66", "2.80"} <= set(re.findall(r"\d\.\d\d", SOURCE))


def test_the_bridge_is_accepted_by_the_town_and_by_its_wards(counted: Replay) -> None:
    bridge = root(counted, "BRIDGE")
    outcome = bridge["outcome"]
    assert outcome["state"] == "accepted"  # type: ignore[index]
    assert outcome["double_majority"] == {"approved": "3", "rejected": "1.5", "undecided": "0", "of": "4.5"}  # type: ignore[index]
    assert outcome["quorum"]["done"] >= outcome["quorum"]["needed"] == 7_696  # type: ignore[index]
    assert "accepted: 6,020 to 5,480, wards 3 to 1.5" in SOURCE
    assert bridge["status"] == "correction"


def test_each_ward_elects_three_with_three_votes(counted: Replay) -> None:
    for ward in WARDS:
        message = root(counted, f"WARD-{ward}")
        assert len(message["outcome"]["elected"]) == 3  # type: ignore[index]
        ballots = message["ballots"]
        votes = sum(row["votes"] for row in message["candidates"])  # type: ignore[attr-defined]
        assert votes + ballots["undervotes"] + ballots["overvotes"] == 3 * ballots["valid"]  # type: ignore[index]


def test_what_is_held_and_what_warns(counted: Replay) -> None:
    said = counted.verdict_counts()
    assert (said["held"], said["rejected"], said["conflicting"]) == (1, 0, 0)
    assert said["codes"]["A1"] == 1
