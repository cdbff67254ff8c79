"""Real elections, replayed: every set, every contest, every area, held against a plain recount of its protocols.

What each set shows of its own (seats, second rounds, a double majority) stands in `test_real_outcomes.py`.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import pytest

from tests.ballots.conversions import CONVERSIONS
from tests.ballots.counted import Counted, CountedSet, votes


@dataclass(frozen=True)
class Size:
    contests: int
    stations: int
    leaf_areas: int
    """Of the deepest level."""
    records: int
    held: int = 0
    annulled: int = 0


SIZES = {
    "ge-local-2017": Size(1_222, 3_634, 73, 11_218 + 2 * 3_634),
    "de-btw-2025": Size(300, 299, 299, 598),
    "es-cabildos-2019": Size(7, 2_825, 88, 3 * 2_825 + 3, held=2, annulled=2),
    "es-congreso-2019-11": Size(52, 8_183, 8_183, 8_183 + 2 * 8_131),
    "ch-2014-02-09": Size(1, 2_353, 2_353, 2_353),
    "il-knesset-24": Size(1, 12_926, 1_215, 12_926),
    "us-mi-kalamazoo-2024": Size(149, 105, 19, 3_235 + 38, held=38),
}


@pytest.fixture(params=sorted(CONVERSIONS))
def each(request: pytest.FixtureRequest, counted_set: CountedSet) -> Counted:
    return counted_set(request.param)


def test_every_protocol_is_counted(each: Counted) -> None:
    election, due = each.election, SIZES[each.ballots.folder.name]
    assert (len(election.contests), len(election.stations), len(election.leaf_areas)) == (
        due.contests, due.stations, due.leaf_areas
    )  # fmt: skip
    verdicts = each.replay.verdict_counts()
    assert {word: n for word, n in verdicts.items() if word != "codes"} == {
        "counted": due.records - due.held, "repeated": 0, "stale": 0, "conflicting": 0, "held": due.held, "rejected": 0
    }  # fmt: skip
    stations = Counter(contest for contest, _ in each.ballots.protocols)
    for contest, root in each.roots.items():
        assert root["stations"]["expected"] == root["stations"]["counted"] + root["stations"]["annulled"] == stations[contest]
        assert root["status"] in ("unofficial-complete", "correction")
    assert sum(root["stations"]["annulled"] for root in each.roots.values()) == due.annulled


def test_every_candidate_of_every_contest_has_the_votes_announced(each: Counted) -> None:
    assert {contest: votes(root) for contest, root in each.roots.items()} == each.ballots.official_votes


def test_every_area_of_every_contest_is_what_its_protocols_add_up_to(each: Counted) -> None:
    recounted = each.recounted
    knows = {name for sums in recounted.values() for name in sums}
    seen = set()
    for contest, messages in each.messages.items():
        for message in messages:
            key = contest, message["area"]
            seen.add(key)
            due = recounted[key]
            assert votes(message) == {name: due.get(name, 0) for name in each.ballots.candidates_of[contest]}, key
            assert message["stations"]["counted"] == due.get("@stations", 0), key
            for name, figure in message["ballots"].items():
                assert figure == (due.get(f"@{name}", 0) if f"@{name}" in knows else None), (key, name)
            turnout = {name: due.get(f"@{name}", 0) for name in ("cast", "registered")}
            found = message["turnout"] and {name: message["turnout"][name] for name in turnout}
            assert found == (turnout if turnout["registered"] else None), key
    assert seen == recounted.keys(), "an area without a station of the contest has standings, or one with them has none"


def test_every_area_has_those_who_had_voted_when_last_asked(each: Counted) -> None:
    due = each.voted()
    for contest, messages in each.messages.items():
        for message in messages:
            key, voted = (contest, message["area"]), message["voted"]
            found = voted and {name: voted[name] for name in ("done", "of", "stations")}
            assert found == due.get(key), key


def test_every_channel_of_every_area_is_what_its_protocols_add_up_to(counted_set: CountedSet) -> None:
    of = counted_set("il-knesset-24")
    seen = set()
    for contest, messages in of.messages.items():
        for message in messages:
            for one in message["channels"]:
                key = contest, message["area"], one["channel"]
                due = of.recounted_by_channel.get(key, {})
                assert one["votes"] == {name: due.get(name, 0) for name in of.ballots.candidates_of[contest]}, key
                assert one["ballots"] == {name: due.get(f"@{name}", 0) for name in ("cast", "valid")}, key
                assert one["stations"]["counted"] == due.get("@stations", 0), key
                seen.add(key)
    assert of.recounted_by_channel.keys() <= seen
    assert len(seen) == 2 * len(of.messages["KNESSET-24"])
