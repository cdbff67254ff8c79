"""Real elections, replayed: what was announced must come out to the digit, in the whole and in every area."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from tests.ballots.conversions import CONVERSIONS
from tests.ballots.counted import Counted, CountedSet, votes

SIZES = {
    # set: contests, stations, areas of the deepest level, reports
    "ge-local-2017": (1_222, 3_634, 73, 11_218),
    "de-btw-2025": (300, 299, 299, 598),
    "es-congreso-2019-11": (52, 8_183, 8_183, 8_183),
    "ch-2014-02-09": (1, 2_353, 2_353, 2_353),
}


@pytest.fixture(params=sorted(CONVERSIONS))
def each(request: pytest.FixtureRequest, counted_set: CountedSet) -> Counted:
    return counted_set(request.param)


def test_every_protocol_is_counted(each: Counted) -> None:
    election = each.election
    sizes = (len(election.contests), len(election.stations), len(election.leaf_areas), each.replay.record_count)
    assert sizes == SIZES[each.ballots.folder.name]
    verdicts = each.replay.verdict_counts()
    assert {word: n for word, n in verdicts.items() if word != "codes"} == {
        "counted": sizes[3], "repeated": 0, "stale": 0, "conflicting": 0, "held": 0, "rejected": 0
    }  # fmt: skip
    stations = Counter(contest for contest, _ in each.ballots.protocols)
    for contest, root in each.roots.items():
        assert root["stations"]["expected"] == root["stations"]["counted"] == stations[contest]
        assert root["status"] == "unofficial-complete"


def test_every_candidate_of_every_contest_has_the_votes_announced(each: Counted) -> None:
    assert {contest: votes(root) for contest, root in each.roots.items()} == each.ballots.official_votes


def test_every_area_of_every_contest_is_what_its_protocols_add_up_to(each: Counted) -> None:
    recounted = each.recounted()
    seen = set()
    for contest, messages in each.messages.items():
        for message in messages:
            key = contest, message["area"]
            seen.add(key)
            due = recounted[key]
            assert votes(message) == {name: due.get(name, 0) for name in each.ballots.candidates_of[contest]}, key
            for name in ("cast", "valid", "blank", "invalid"):
                assert message["ballots"][name] == due.get(f"@{name}"), (key, name)
    assert seen == recounted.keys(), "an area without a station of the contest has standings, or one with them has none"


class TestGeorgia:
    @pytest.fixture
    def of(self, counted_set: CountedSet) -> Counted:
        return counted_set("ge-local-2017")

    def test_a_second_round_in_six_contests_and_nowhere_else(self, of: Counted) -> None:
        due: dict[str, Any] = of.ballots.official["runoff_needed"]
        runoffs = {contest for contest, state in of.states().items() if state == "runoff"}
        assert runoffs == due.keys() == {"MAYOR-59", *(f"GAMGEBELI-{number}" for number in (29, 35, 36, 60, 65))}
        for contest, (*two, valid) in due.items():
            root = of.roots[contest]
            assert root["ballots"]["valid"] == valid
            first = [(of.ballots.party_of[contest, c["id"]], c["votes"]) for c in root["candidates"][:2]]
            assert first == [tuple(one) for one in two]

    def test_all_others_are_decided_and_party_lists_elect_nobody_yet(self, of: Counted) -> None:
        kinds = Counter((contest.split("-")[0], state) for contest, state in of.states().items())
        assert kinds == {
            ("MAYOR", "decided"): 4, ("MAYOR", "runoff"): 1, ("GAMGEBELI", "decided"): 54, ("GAMGEBELI", "runoff"): 5,
            ("SAKPR", "none"): 64, ("SAKMAJ", "decided"): 1_088, ("R2", "decided"): 6,
        }  # fmt: skip

    def test_who_won_in_the_first_round(self, of: Counted) -> None:
        leaders = Counter(
            of.ballots.party_of[contest, root["outcome"]["leader"]]
            for contest, root in of.roots.items()
            if contest.split("-")[0] in ("MAYOR", "GAMGEBELI") and root["outcome"]["state"] == "decided"
        )
        assert leaders == of.ballots.official["first_round_winners_by_party"] == {"Georgian Dream": 57, "For United Georgia": 1}

    def test_the_mayor_of_tbilisi(self, of: Counted) -> None:
        found = of.by_party("MAYOR-TBILISI")
        assert found == of.ballots.official["tbilisi_mayor"]
        assert sorted(found.values())[-2:] == [69_803, 204_061]

    def test_every_list_in_the_country(self, of: Counted) -> None:
        lists = [contest for contest in of.roots if contest.startswith("SAKPR-")]
        assert of.by_party(*lists) == of.ballots.official["party_list_votes_nationally"]
        assert sum(of.by_party(*lists).values()) == 1_501_845

    def test_the_second_rounds(self, of: Counted) -> None:
        for contest, two in of.ballots.official["second_round"].items():
            assert of.by_party(contest) == dict(two), contest


class TestGermany:
    @pytest.fixture
    def of(self, counted_set: CountedSet) -> Counted:
        return counted_set("de-btw-2025")

    def test_the_second_votes_of_every_party(self, of: Counted) -> None:
        found, official = of.by_party("ZWEIT"), of.ballots.official
        announced = {party: n for party, (n, _) in official["seats"].items()} | official["below_threshold_largest"]
        assert found == {**found, **announced}
        assert (found["BSW"], sum(found.values())) == (2_472_947, official["valid_second"])
        ballots = of.roots["ZWEIT"]["ballots"]
        assert (ballots["cast"], ballots["invalid"]) == (official["cast"], official["invalid_second"])
        assert of.roots["ZWEIT"]["turnout"]["registered"] == official["registered"]

    def test_the_first_place_in_each_of_299_constituencies(self, of: Counted) -> None:
        first = {contest: _first(root) for contest, root in of.roots.items() if contest != "ZWEIT"}
        assert len(first) == 299
        assert all(len(those) == 1 for those in first.values()), "a place shared"
        parties = Counter(of.ballots.party_of[contest, candidate] for contest, (candidate,) in first.items())
        assert parties == of.ballots.official["constituencies_with_most_first_votes"]
        elected = {(r["contest"], r["candidate"]) for r in of.ballots.candidates if r["elected"] == "yes"}
        without_seat = {f"ERST-{row[0]}" for row in of.ballots.official["constituency_leader_without_seat"]}
        assert {(c, those[0]) for c, those in first.items() if c not in without_seat} == {
            pair for pair in elected if pair[0].startswith("ERST-")
        }
        valid = sum(root["ballots"]["valid"] for contest, root in of.roots.items() if contest != "ZWEIT")
        assert valid == of.ballots.official["valid_first"]

    def test_no_outcome_is_given_where_no_rule_is(self, of: Counted) -> None:
        assert set(of.states().values()) == {"none"}


def _first(root: dict[str, Any]) -> list[str]:
    return [candidate["id"] for candidate in root["candidates"] if candidate["rank"] == 1]


class TestSpain:
    @pytest.fixture
    def of(self, counted_set: CountedSet) -> Counted:
        return counted_set("es-congreso-2019-11")

    def test_the_country_is_the_sum_of_its_provinces(self, of: Counted) -> None:
        due = of.ballots.official["national"]
        roots = of.roots.values()
        sums = {name: sum(root["ballots"][name] for root in roots) for name in ("valid", "blank", "invalid")}
        assert sums == {"valid": due["cand"], "blank": due["blank"], "invalid": due["null"]}
        assert sum(root["turnout"]["registered"] for root in roots) == due["censo"]

    def test_parties_that_stood_under_one_name_everywhere(self, of: Counted) -> None:
        """Six have other names in some provinces, and the code that they have in common is not in the set."""
        found, announced = of.by_party(*of.roots), of.ballots.official["votes_by_party_nationally"]
        assert len(announced) == 20
        assert {party for party, n in announced.items() if found[party] != n} == {
            "PSOE", "PP", "PODEMOS-IU", "MÁS PAÍS-EQ", "CCa-PNC-NC", "MÁS PAÍS"
        }  # fmt: skip

    def test_residents_abroad_are_stations_with_a_register(self, of: Counted) -> None:
        abroad = [station for id, station in of.election.stations.items() if id.endswith("CERA")]
        assert len(abroad) == 52
        assert all(station.registered for station in abroad)
        for contest, root in of.roots.items():
            assert root["progress"]["registered"]["percent"] == "100.00", contest


class TestSwitzerland:
    def test_yes_and_no(self, counted_set: CountedSet) -> None:
        of = counted_set("ch-2014-02-09")
        official = of.ballots.official
        (root,) = of.roots.values()
        assert votes(root) == {"YES": 1_463_854, "NO": 1_444_552} == {"YES": official["yes"], "NO": official["no"]}
        assert (root["ballots"]["cast"], root["ballots"]["valid"]) == (official["cast"], official["valid"])
        assert root["turnout"]["registered"] == official["registered"]
        assert (root["outcome"]["state"], root["outcome"]["leader"]) == ("decided", "YES")

    def test_the_share_of_yes_in_each_canton(self, counted_set: CountedSet) -> None:
        of = counted_set("ch-2014-02-09")
        shares = {
            message["area"].removeprefix("CH/"): candidate["share"]
            for message in of.messages["MEI"] if message["area"].count("/") == 1
            for candidate in message["candidates"] if candidate["id"] == "YES"
        }  # fmt: skip
        assert shares == of.ballots.official["yes_percent_by_canton"]
