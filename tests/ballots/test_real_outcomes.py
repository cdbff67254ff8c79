"""Real elections, replayed: what was announced of each must come out to the digit: who won, which seats, what was decided."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tally_stream.audit.replay import Replay, replay
from tally_stream.export.group_seats import groups_of, party_seats, seats_to_share
from tally_stream.wire.folder.assembling import load_election
from tally_stream.wire.report_log import ReportLog
from tests.ballots.counted import Counted, CountedSet, seats, votes
from tests.ballots.folder import LOG_NAME


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
            first = [(of.party_of[contest, c["id"]], c["votes"]) for c in root["candidates"][:2]]
            assert first == [tuple(one) for one in two]

    def test_all_others_are_decided_and_party_lists_elect_nobody_yet(self, of: Counted) -> None:
        kinds = Counter((contest.split("-")[0], state) for contest, state in of.states().items())
        assert kinds == {
            ("MAYOR", "decided"): 4, ("MAYOR", "runoff"): 1, ("GAMGEBELI", "decided"): 54, ("GAMGEBELI", "runoff"): 5,
            ("SAKPR", "none"): 64, ("SAKMAJ", "decided"): 1_088, ("R2", "decided"): 6,
        }  # fmt: skip

    def test_who_won_in_the_first_round(self, of: Counted) -> None:
        leaders = Counter(
            of.party_of[contest, root["outcome"]["leader"]]
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
        parties = Counter(of.party_of[contest, candidate] for contest, (candidate,) in first.items())
        assert parties == of.ballots.official["constituencies_with_most_first_votes"]
        elected = {(r["contest"], r["candidate"]) for r in of.ballots.candidates if r["elected"] == "yes"}
        without_seat = {f"ERST-{row[0]}" for row in of.ballots.official["constituency_leader_without_seat"]}
        assert {(c, those[0]) for c, those in first.items() if c not in without_seat} == {
            pair for pair in elected if pair[0].startswith("ERST-")
        }
        valid = sum(root["ballots"]["valid"] for contest, root in of.roots.items() if contest != "ZWEIT")
        assert valid == of.ballots.official["valid_first"]

    def test_630_seats_by_second_votes(self, of: Counted) -> None:
        root = of.roots["ZWEIT"]
        found = {of.party_of["ZWEIT", list_id]: n for list_id, n in seats(root).items()}
        assert found == {party: n for party, (_, n) in of.ballots.official["seats"].items()} == {
            "CDU": 164, "AfD": 152, "SPD": 120, "GRÜNE": 85, "Die Linke": 64, "CSU": 44, "SSW": 1
        }  # fmt: skip
        assert seats(root, "certain") == seats(root)
        assert (root["outcome"]["state"], sum(found.values())) == ("decided", 630)

    def test_one_list_is_9529_votes_short_of_the_threshold_and_one_needs_none(self, of: Counted) -> None:
        found, valid = of.by_party("ZWEIT"), of.roots["ZWEIT"]["ballots"]["valid"]
        assert 100 * (found["BSW"] + 9_528) < 5 * valid <= 100 * (found["BSW"] + 9_529)
        assert 100 * found["SSW"] < valid

    def test_first_votes_elect_nobody_by_themselves(self, of: Counted) -> None:
        states = of.states()
        assert states.pop("ZWEIT") == "decided"
        assert set(states.values()) == {"none"}
        assert not any(root["outcome"]["elected"] for contest, root in of.roots.items() if contest != "ZWEIT")


def _first(root: dict[str, Any]) -> list[str]:
    return [candidate["id"] for candidate in root["candidates"] if candidate["rank"] == 1]


class TestCanaryIslands:
    @pytest.fixture
    def of(self, counted_set: CountedSet) -> Counted:
        return counted_set("es-cabildos-2019")

    def test_157_seats_in_seven_islands(self, of: Counted) -> None:
        due: dict[str, dict[str, int]] = of.ballots.official["seats"]
        found = {contest: seats(root) for contest, root in of.roots.items()}
        assert found == {contest: {name.split(" ")[0]: n for name, n in those.items()} for contest, those in due.items()}
        assert sum(n for those in found.values() for n in those.values()) == 157
        tenerife = {of.party_of["CABILDO-TENERIFE", list_id]: n for list_id, n in found["CABILDO-TENERIFE"].items()}
        assert tenerife == {"CCa-PNC": 11, "P.S.O.E.": 11, "PP": 4, "PODEMOS-EQU": 3, "Cs": 2}
        assert all(seats(root, "certain") == seats(root) for root in of.roots.values())
        assert set(of.states().values()) == {"decided"}

    def test_ballots_and_registers_of_every_island(self, of: Counted) -> None:
        for contest, due in of.ballots.official["totals"].items():
            root = of.roots[contest]
            ballots = root["ballots"]
            assert (ballots["valid"], ballots["blank"], ballots["invalid"]) == (
                due["list_votes"], due["blank"], due["invalid"]
            )  # fmt: skip
            assert root["progress"]["registered"]["of"] == due["registered"], contest
            assert root["stations"]["expected"] == due["polling_stations"], contest

    def test_two_stations_are_annulled_and_one_is_let_in(self, of: Counted) -> None:
        assert of.replay.verdict_counts()["codes"]["A3"] == 2
        found = of.roots["CABILDO-GRAN-CANARIA"]
        assert (found["status"], found["stations"]["annulled"], found["flags"]["held"]) == ("correction", 2, 1)
        before = of.root_until("CABILDO-GRAN-CANARIA", "2019-05-27T19:59:00+01:00")
        assert (before["stations"]["held"], before["stations"]["annulled"]) == (2, 0)
        assert seats(before) == seats(before, "certain") == seats(found)
        outcome = before["outcome"]
        assert (outcome["state"], outcome["outstanding_bound"]) == ("decided", 2_119), "a list is 3,250 votes short of a seat"

    def test_a_seat_that_is_certain_during_the_night_stays_certain(self, of: Counted) -> None:
        """Looked at nine times between the first report and the last."""
        final = {contest: seats(root) for contest, root in of.roots.items()}
        before: dict[str, Counter[str]] = {contest: Counter() for contest in final}
        certain_of_all = []
        then = Replay(of.election, of.replay.topic, None)
        looks = {2 * 2_825 + 2_825 * tenth // 10 for tenth in range(1, 10)}
        for number, record in enumerate(ReportLog(of.folder / LOG_NAME), 1):
            then.take(record)
            if number not in looks:
                continue
            for index, contest in enumerate(final):
                certain = Counter(seats(then.messages(index)[-1], "certain"))
                assert before[contest] <= certain <= Counter(final[contest]), (contest, number)
                before[contest] = certain
            certain_of_all.append(sum(those.total() for those in before.values()))
        assert 0 < certain_of_all[4] < certain_of_all[8] < 157


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

    def test_every_party_in_the_country(self, of: Counted) -> None:
        found, announced = of.by_party(*of.roots), of.ballots.official["votes_by_party_nationally"]
        assert len(announced) == 20
        assert found == {**found, **announced}

    def test_the_seats_of_every_province(self, of: Counted) -> None:
        due: dict[str, dict[str, int]] = of.ballots.official["seats_by_contest"]
        assert {contest: _won(root) for contest, root in of.roots.items()} == {
            contest: {name.split(" ")[0]: n for name, n in those.items()} for contest, those in due.items()
        }
        assert set(of.states().values()) == {"decided"}

    def test_350_seats_by_party(self, of: Counted) -> None:
        (group,) = groups_of(of.election).values()
        assert (len(group), seats_to_share(group)) == (52, 350)
        lines = party_seats(group, of.roots)
        assert {line.party: line.now for line in lines} == of.ballots.official["seats_by_party_nationally"]
        assert [(line.party, line.now, line.certain) for line in lines[:4]] == [
            ("PSOE", 120, 120), ("PP", 89, 89), ("VOX", 52, 52), ("PODEMOS-IU", 26, 26)
        ]  # fmt: skip
        assert sum(line.certain for line in lines) == 350

    def test_residents_abroad_are_stations_with_a_register(self, of: Counted) -> None:
        abroad = [station for id, station in of.election.stations.items() if id.endswith("CERA")]
        assert len(abroad) == 52
        assert all(station.registered for station in abroad)
        for contest, root in of.roots.items():
            assert root["progress"]["registered"]["percent"] == "100.00", contest

    def test_residents_abroad_move_one_seat_in_bizkaia_which_was_never_certain(self, of: Counted) -> None:
        before = of.root_until("CONGRESO-48", "2019-11-13T20:59:00+01:00")
        assert before["stations"]["outstanding"] == 1
        moved = of.ballots.official["seats_changed_by_abroad_votes"]["CONGRESO-48"]
        for root, due in ((before, moved["before_CERA"]), (of.roots["CONGRESO-48"], moved["final"])):
            names = {r["candidate"]: r["party"] for r in of.ballots.candidates if r["contest"] == "CONGRESO-48"}
            assert {names[list_id]: n for list_id, n in seats(root).items()} == due
        assert before["outcome"]["state"] == "undecided"
        certain, final = seats(before, "certain"), seats(of.roots["CONGRESO-48"])
        assert certain == {**certain, **{name: min(n, final.get(name, 0)) for name, n in certain.items()}}
        assert sum(certain.values()) < 8


def _won(root: dict[str, Any]) -> dict[str, int]:
    """Candidate → seats; the one seat of Ceuta and of Melilla goes to whoever has most."""
    is_shared_out = root["candidates"][0]["seats"] is not None
    return seats(root) if is_shared_out else dict.fromkeys(root["outcome"]["elected"], 1)


class TestSwitzerland:
    def test_yes_and_no(self, counted_set: CountedSet) -> None:
        of = counted_set("ch-2014-02-09")
        official = of.ballots.official
        (root,) = of.roots.values()
        assert votes(root) == {"YES": 1_463_854, "NO": 1_444_552} == {"YES": official["yes"], "NO": official["no"]}
        assert (root["ballots"]["cast"], root["ballots"]["valid"]) == (official["cast"], official["valid"])
        assert root["turnout"]["registered"] == official["registered"]
        outcome = root["outcome"]
        assert (outcome["state"], outcome["lead"], outcome["elected"]) == ("accepted", 1_463_854 - 1_444_552, [])

    def test_fourteen_cantons_and_a_half_approve(self, counted_set: CountedSet) -> None:
        of = counted_set("ch-2014-02-09")
        (root,) = of.roots.values()
        due = of.ballots.official
        assert root["outcome"]["double_majority"] == {
            "approved": "14.5", "rejected": "8.5", "undecided": "0", "of": "23"
        } == {"approved": str(due["cantons_yes"]), "rejected": str(due["cantons_no"]), "undecided": "0", "of": "23"}  # fmt: skip

    def test_the_share_of_yes_in_each_canton(self, counted_set: CountedSet) -> None:
        of = counted_set("ch-2014-02-09")
        shares = {
            message["area"].removeprefix("CH/"): candidate["share"]
            for message in of.messages["MEI"] if message["area"].count("/") == 1
            for candidate in message["candidates"] if candidate["id"] == "YES"
        }  # fmt: skip
        assert shares == of.ballots.official["yes_percent_by_canton"]


class TestIsrael:
    @pytest.fixture
    def of(self, counted_set: CountedSet) -> Counted:
        return counted_set("il-knesset-24")

    def test_120_seats_of_lists_that_are_counted_together(self, of: Counted) -> None:
        (root,) = of.roots.values()
        due = of.ballots.official["seats"]
        assert seats(root) == {name.split(" ")[0]: n for name, (_, n) in due.items()}
        assert list(seats(root).values()) == [30, 17, 9, 8, 7, 7, 7, 7, 6, 6, 6, 6, 4]
        assert seats(root, "certain") == seats(root)
        assert root["outcome"]["state"] == "decided"

    def test_without_their_agreements_one_seat_would_be_another_s(self, of: Counted, tmp_path: Path) -> None:
        for path in of.folder.iterdir():
            (tmp_path / path.name).symlink_to(path)
        toml = (of.folder / "election.toml").read_text(encoding="utf-8")
        (tmp_path / "election.toml").unlink()
        (tmp_path / "election.toml").write_text(
            "".join(line for line in toml.splitlines(keepends=True) if not line.startswith("combinations")), encoding="utf-8"
        )
        alone = seats(replay(load_election(tmp_path), of.folder / LOG_NAME).messages(0)[-1])
        assert alone == of.ballots.official["seats_without_list_combinations"]
        together = seats(of.roots["KNESSET-24"])
        assert {name: (alone[name], n) for name, n in together.items() if alone[name] != n} == {
            "M-CH-L": (31, 30), "M-R-TS": (5, 6)
        }  # fmt: skip

    def test_boxes_of_double_envelopes_add_ballots_and_no_voters(self, of: Counted) -> None:
        (root,) = of.roots.values()
        official = of.ballots.official
        boxes = [station for station in of.election.stations.values() if station.is_without_voters]
        assert len(boxes) == 799
        assert {name: root["ballots"][name] for name in ("cast", "valid", "invalid")} == {
            name: official[name] for name in ("cast", "valid", "invalid")
        }
        assert root["turnout"]["registered"] == official["registered"]
        envelopes = root["channels"][1]
        assert (envelopes["channel"], envelopes["stations"]["counted"]) == ("double envelopes", 799)
        assert envelopes["ballots"]["cast"] == sum(station.ballots_expected or 0 for station in boxes)


class TestKalamazoo:
    @pytest.fixture
    def of(self, counted_set: CountedSet) -> Counted:
        return counted_set("us-mi-kalamazoo-2024")

    def test_president(self, of: Counted) -> None:
        root = of.roots["PRESIDENT"]
        assert votes(root) == of.ballots.official["president"]
        assert (votes(root)["KAMALA-D.-HARRIS"], votes(root)["DONALD-J.-TRUMP"]) == (84_501, 58_671)
        assert root["ballots"]["cast"] == of.ballots.official["ballots_cast"] == 146_736

    def test_reports_that_do_not_add_up(self, of: Counted) -> None:
        anomalies = of.ballots.official["anomalies"]
        assert of.replay.verdict_counts()["codes"] == {
            "A2": anomalies["more_than_N_x_ballots"]["count"], "P8": anomalies["not_a_multiple_of_N"]["count"]
        } == {"A2": 38, "P8": 249}  # fmt: skip
        accepted = {contest for contest, root in of.roots.items() if root["status"] == "correction"}
        assert len(accepted) == 29
        assert not any(root["flags"]["held"] for root in of.roots.values())

    def test_shares_are_of_ballots_and_add_up_to_more_than_100_where_a_ballot_has_several_votes(self, of: Counted) -> None:
        root = of.roots["TRUSTEE-BRADY-CHARTER-TOWNSHIP"]
        valid = root["ballots"]["valid"]
        shares = {c["id"]: c["share"] for c in root["candidates"]}
        assert shares == {name: f"{Decimal(100 * n) / valid:.2f}" for name, n in votes(root).items()}
        assert sum(map(Decimal, shares.values())) > 100
        given = sum(votes(root).values()) + root["ballots"]["undervotes"] + root["ballots"]["overvotes"]
        assert given == 4 * valid == 4 * root["ballots"]["cast"]

    def test_who_has_most_votes_is_elected_write_ins_too(self, of: Counted) -> None:
        """The set names the most of those who stood on the ballot; where a write-in has more, it takes one of the places."""
        due: dict[str, set[str]] = {}
        for row in of.ballots.candidates:
            if row["elected"] == "yes":
                due.setdefault(row["contest"], set()).add(row["candidate"])
        without = set(of.ballots.official["contests_without_votes"])
        written_in = 0
        for contest, root in of.roots.items():
            outcome, rule = root["outcome"], of.rule_of(contest)
            if contest in without:
                assert (outcome["state"], outcome["elected"]) == ("none", []), contest
            elif rule == "plurality":
                assert outcome["state"] == "decided", contest
                elected = set(outcome["elected"])
                assert elected - {"WRITE-IN"} <= due.get(contest, set()), contest
                assert ("WRITE-IN" in elected) == (elected != due.get(contest)), contest
                written_in += "WRITE-IN" in elected
        assert (len(without), written_in) == (11, 7)

    def test_four_questions_of_which_one_has_a_majority_of_those_who_answered_it_only(self, of: Counted) -> None:
        climax = of.roots["CLIMAX-TOWNSHIP-ROAD-MAINTENANCE-AND-IMPROVEMENT-RENEWAL-M"]
        assert (votes(climax), climax["ballots"]["valid"]) == ({"YES": 668, "NO": 617}, 1_415)
        states = {contest: state for contest, state in of.states().items() if of.rule_of(contest) == "referendum"}
        assert states == {
            "PLAINWELL-SCHOOL-BOND-PROPOSAL": "rejected",
            "CLIMAX-TOWNSHIP-ROAD-MAINTENANCE-AND-IMPROVEMENT-RENEWAL-M": "accepted",
            "GALESBURG-CITY-ROAD-MILLAGE": "rejected",
            "ATHENS-SCHOOLS-SINKING-FUND-RENEWAL": "none",
        }
