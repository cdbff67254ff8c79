"""Reports of NIST SP 1500-100 v2: valid by its schema, right by our checks, and the figures are the night's."""

from __future__ import annotations

import copy
import hashlib
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tally_stream.export.nist import nist_report
from tally_stream.export.nist_checks import nist_problems
from tally_stream.wire.messages import canonical_json
from tests.export.nights import (
    ALL,
    AZ_03_13,
    COUNCIL,
    DAY,
    GENERATED_MS,
    PRESIDENT,
    SMALL,
    control,
    counted,
    definition,
    messages,
    nist,
    report,
    small,
    snapshot_of,
)
from tests.support.nist_schema import NIST, SCHEMA, WITHOUT_FORMATS, errors

Report = dict[str, Any]


def unit(report: Report, area: str) -> Report:
    (found,) = [u for u in report["GpUnit"] if u["ExternalIdentifier"][0]["Value"] == area]
    return dict(found)


def votes(report: Report, area: str) -> dict[str, int]:
    (contest,) = report["Election"][0]["Contest"]
    name = unit(report, area)["@id"]
    return {
        selection["CandidateIds"][0].rpartition("__")[2]: count["Count"]
        for selection in contest["ContestSelection"]
        for count in selection.get("VoteCounts", [])
        if count["GpUnitId"] == name
    }


def ballots(report: Report, area: str) -> dict[str, dict[str, int]]:
    name = unit(report, area)["@id"]
    return {
        count.get("OtherType", count["Type"]): {k: v for k, v in count.items() if k.startswith("Ballots")}
        for count in report["Election"][0]["BallotCounts"]
        if count["GpUnitId"] == name
    }


def identifiers(o: Report) -> dict[str, str]:
    return {i["OtherType"]: i["Value"] for i in o["ExternalIdentifier"]}


def small_report(directory: Path, *records: tuple[str, bytes], toml: str = SMALL + PRESIDENT, **more: Any) -> Report:
    election = small(directory, toml=toml)
    folded = counted(election, *records, **more)
    snapshots = [snapshot_of(election, folded.messages(i), i) for i in range(len(election.contests))]
    assert [p for s in snapshots for p in s.problems()] == []
    return nist_report(snapshots, DAY, GENERATED_MS)


class TestSchema:
    def test_it_is_the_file_named_in_its_provenance(self) -> None:
        said = (NIST / "PROVENANCE.md").read_text(encoding="utf-8")
        assert f"sha256 {hashlib.sha256(SCHEMA.read_bytes()).hexdigest()}" in said
        assert "keep intact this entire notice" in said

    @pytest.mark.parametrize("night", ALL)
    @pytest.mark.parametrize("part", [0, 4])
    def test_nights_are_valid_and_right(self, night: str, part: int) -> None:
        records = len(definition(night).stations) * part // 10
        assert errors(nist(night, records=records)) == []

    @pytest.mark.parametrize("night", ALL)
    def test_the_end_of_a_night_is_valid_and_right_with_all_its_areas(self, night: str) -> None:
        report = nist(night)
        assert errors(report) == []
        assert len(report["GpUnit"]) == len(definition(night).areas)
        for message in messages(night):
            assert votes(report, message["area"]) == {c["id"]: c["votes"] for c in message["candidates"]}


class TestAzerbaijan:
    def test_at_03_13_to_the_digit(self) -> None:
        report = nist("az-2024", AZ_03_13)
        assert votes(report, "AZ") == {
            "I-ALIYEV": 4_281_625, "Z-ORUJ": 101_851, "F-MUSTAFA": 92_980, "G-HASANGULIYEV": 81_799,
            "R-NURULLAYEV": 37_386, "E-MUSAYEV": 31_033, "F-ALIYEV": 24_799,
        }  # fmt: skip
        assert ballots(report, "AZ") == {"valid": {"BallotsCast": 4_651_473}}
        root = unit(report, "AZ")
        assert (root["SubUnitsReported"], root["TotalSubUnits"], root["VotersRegistered"]) == (6_102, 6_537, 6_478_623)
        assert root["CountStatus"][0]["Status"] == "in-process"
        assert report["Status"] == "unofficial-partial"
        assert report["IsTest"] is False
        (contest,) = report["Election"][0]["Contest"]
        assert (contest["SubUnitsReported"], contest["TotalSubUnits"]) == (6_102, 6_537)
        assert identifiers(contest) == {
            "contest": "PRES", "version": "38649", "as-of": "2024-02-07T23:13:00.000Z",
            "provenance": '{"next_offsets":{"0":38649},"topic":"tally.reports"}',
        }  # fmt: skip
        assert identifiers(report) == {"definition": definition("az-2024").digest}
        assert report["GeneratedDate"] == "2024-02-07T23:33:09Z"

    def test_at_the_end_to_the_digit(self) -> None:
        report = nist("az-2024")
        assert list(votes(report, "AZ").values()) == [4_567_458, 107_632, 98_421, 85_411, 39_643, 32_885, 26_517]
        assert report["Status"] == "correction"
        assert unit(report, "AZ")["CountStatus"][0]["Status"] == "completed"
        assert "11 polling stations are annulled" in report["Notes"]
        assert "PRES: all ballots are in: Ilham Aliyev leads by 4,459,826." in report["Notes"]
        assert "PRES: not an official declaration" in report["Notes"]

    def test_before_the_polls_close_there_are_no_figures(self) -> None:
        report = nist("az-2024", "2024-02-07T18:00:00+04:00")
        assert report["Status"] == "pre-election"
        text = json.dumps(report)
        assert not re.search(r"VoteCounts|BallotsCast|VotersParticipated", text)
        assert report["Election"][0]["BallotCounts"] == []
        assert {u["CountStatus"][0]["Status"] for u in report["GpUnit"]} == {"not-processed"}
        order = [c["BallotName"]["Text"][0]["Content"] for c in report["Election"][0]["Candidate"]]
        assert order[:2] == ["Ilham Aliyev", "Zahid Oruj"]
        assert errors(report) == []


class TestPlaces:
    def test_ballots_cast_blank_and_invalid(self, tmp_path: Path) -> None:
        found = small_report(tmp_path, report("A-1", 60, 30), report("B-1", 10, 90))
        assert ballots(found, "X") == {
            "total": {"BallotsCast": 196, "BallotsRejected": 4}, "valid": {"BallotsCast": 190}, "blank": {"BallotsCast": 2},
        }  # fmt: skip
        assert errors(found) == []

    def test_what_is_not_known_is_not_there(self, tmp_path: Path) -> None:
        found = small_report(tmp_path, report("A-1", 60, 30, ballots={"valid": 90, "invalid": 1}))
        assert ballots(found, "X") == {"total": {"BallotsRejected": 1}, "valid": {"BallotsCast": 90}}

    def test_voters_who_participated_only_where_all_stations_are_in(self, tmp_path: Path) -> None:
        found = small_report(tmp_path, report("A-1", 60, 30), report("A-2", 10, 20))
        assert unit(found, "X/North")["VotersParticipated"] == 126
        assert unit(found, "X/North")["VotersRegistered"] == 300
        assert "VotersParticipated" not in unit(found, "X")
        assert unit(found, "X/North")["CountStatus"][0]["Status"] == "completed"
        assert unit(found, 'X/South "É", old')["CountStatus"][0]["Status"] == "not-processed"

    def test_a_test_election_is_marked(self, tmp_path: Path) -> None:
        toml = (SMALL + PRESIDENT).replace('"official"', '"test"')
        found = small_report(tmp_path, report("A-1", 60, 30, phase="test"), toml=toml)
        assert (found["IsTest"], found["TestType"]) == (True, "rehearsal")
        assert found["Notes"].startswith("TEST")
        assert errors(found) == []

    def test_a_hold_is_in_the_notes_and_figures_stand(self, tmp_path: Path) -> None:
        found = small_report(tmp_path, report("A-1", 60, 30), control("hold"), report("B-1", 10, 90))
        assert "PRES is ON HOLD" in found["Notes"]
        assert votes(found, "X") == {"ANNA": 60, "BELA": 30}
        assert errors(found) == []

    def test_every_status_has_its_name(self, tmp_path: Path) -> None:
        def status(*records: tuple[str, bytes], **more: Any) -> str:
            directory = tmp_path / str(len(list(tmp_path.iterdir())))
            found = small_report(directory, *records, **more)
            assert errors(found) == []
            return str(found["Status"])

        three = (report("A-1", 6, 3), report("A-2", 6, 3), report("B-1", 6, 3))
        why: dict[str, Any] = {"revision": 2, "replaces": 1, "reason": "r", "authority": "a"}
        assert status() == "pre-election"
        assert status(report("A-1", 6, 3), at="2024-02-07T18:30:00+04:00") == "pre-election"
        assert status(three[0]) == "unofficial-partial"
        assert status(*three) == "unofficial-complete"
        assert status(*three, report("A-1", 5, 3, kind="correct", **why)) == "correction"
        assert status(*three, report("A-1", 5, 3, kind="recount", **why)) == "recount"
        assert status(*three, control("certify")) == "certified"

    def test_the_levels_that_the_format_has_words_for(self) -> None:
        report = nist("wisconsin-2024")
        assert unit(report, "WI/WOOD")["Type"] == "county"
        assert "OtherType" not in unit(report, "WI/WOOD")
        report = nist("bolivia-2019")
        types = {u.get("OtherType", u["Type"]) for u in report["GpUnit"]}
        assert types == {"root", "pais", "departamento", "provincia", "municipio"}
        assert len({u["@id"] for u in report["GpUnit"]}) == len(definition("bolivia-2019").areas)

    def test_the_day_is_that_of_the_place(self) -> None:
        assert nist("wisconsin-2024")["Election"][0]["StartDate"] == "2024-11-05"

    def test_several_contests_in_one_report(self, tmp_path: Path) -> None:
        found = small_report(tmp_path, report("A-1", 60, 30), report("B-1", 10, 90, contest="SEAT"),
                             toml=SMALL + PRESIDENT + COUNCIL)  # fmt: skip
        assert errors(found) == []
        assert [c["Name"] for c in found["Election"][0]["Contest"]] == ["President", "Council"]
        assert unit(found, "X/North")["SubUnitsReported"] == 0
        assert "BallotCounts" not in found["Election"][0]
        assert "Ballots are left out" in found["Notes"]

    def test_an_area_is_as_far_as_its_least_far_contest_however_small_that_is(self, tmp_path: Path) -> None:
        """A board of one station that was counted, beside a president's open contest, was published as `1 1 completed`."""
        board = COUNCIL.replace("rounding", 'scope = ["X/North/Alder"]\nrounding')

        def far(*records: tuple[str, bytes]) -> list[tuple[int, int, str]]:
            directory = tmp_path / str(len(list(tmp_path.iterdir())))
            found = small_report(directory, *records, toml=SMALL + PRESIDENT + board)
            assert errors(found) == []
            return [
                (area["SubUnitsReported"], area["TotalSubUnits"], area["CountStatus"][0]["Status"])
                for area in (unit(found, "X"), unit(found, "X/North"))
            ]

        of_board = report("A-1", 60, 30, contest="SEAT")
        first, second, third = report("A-1", 60, 30), report("B-1", 10, 90), report("A-2", 6, 3)
        assert far(of_board, first) == [(1, 3, "in-process"), (1, 2, "in-process")]
        assert far(of_board, first, second) == [(2, 3, "in-process"), (1, 2, "in-process")]
        assert far(of_board, first, second, third) == [(3, 3, "completed"), (2, 2, "completed")]
        assert far(of_board) == [(0, 3, "not-processed"), (0, 2, "not-processed")]
        assert far(first, second, third) == [(0, 1, "not-processed"), (0, 1, "not-processed")]

    @pytest.mark.parametrize(("scope", "district"), [
        (None, "X"), (["X"], "X"), (["X/North"], "X/North"), (["X/North/Alder"], "X"), (["X/North", 'X/South "É", old'], "X"),
    ])  # fmt: skip
    def test_a_contest_of_one_area_has_it_as_its_district(self, tmp_path: Path, scope: list[str] | None, district: str) -> None:
        """An area below the published ones has no unit, and several have none of their own: the whole stands for them."""
        board = COUNCIL if scope is None else COUNCIL.replace("rounding", f"scope = {json.dumps(scope)}\nrounding")
        found = small_report(tmp_path, report("A-1", 60, 30), toml=SMALL + PRESIDENT + board)
        assert errors(found) == []
        everywhere, council = found["Election"][0]["Contest"]
        assert everywhere["ElectionDistrictId"] == unit(found, "X")["@id"]
        assert council["ElectionDistrictId"] == unit(found, district)["@id"]

    def test_a_hostile_name_stays_text_and_ids_stay_names(self, tmp_path: Path) -> None:
        toml = (SMALL + PRESIDENT).replace("Béla Bodó", '=HYPERLINK(\\"x\\") </script>').replace("Greens", "<b>& _x_ Ü")
        found = small_report(tmp_path, report("A-1", 60, 30), toml=toml)
        assert errors(found) == []
        again = json.loads(canonical_json(found))
        assert again["Election"][0]["Candidate"][1]["BallotName"]["Text"][0]["Content"] == '=HYPERLINK("x") </script>'
        assert found["Party"][0]["@id"] == "party___3C_b_3E__26__20__5F_x_5F__20__DC_"

    def test_empty_names(self, tmp_path: Path) -> None:
        toml = (SMALL + PRESIDENT).replace('"An example election"', '""').replace('"Greens"', '""')
        assert errors(small_report(tmp_path, report("A-1", 60, 30), toml=toml)) == []


def _set(path: str, value: Any) -> Callable[[Report], None]:
    *place, last = [int(step) if step.isdigit() else step for step in path.split(".")]

    def change(report: Any) -> None:
        for step in place:
            report = report[step]
        report[last] = value

    return change


def _append(path: str, source: str) -> Callable[[Report], None]:
    def at(report: Any, path: str) -> Any:
        for step in path.split("."):
            report = report[int(step) if step.isdigit() else step]
        return report

    return lambda report: at(report, path).append(copy.deepcopy(at(report, source)))


SELECTION = "Election.0.Contest.0.ContestSelection.0"
SPOILT: list[tuple[Callable[[Report], None], str]] = [
    (_set(f"{SELECTION}.VoteCounts.0.Count", -5), "VoteCounts of area__X: Count is -5, not a count"),
    (_set(f"{SELECTION}.VoteCounts.0.Count", 1.5), "VoteCounts of area__X: Count is 1.5, not a count"),
    (_set(f"{SELECTION}.VoteCounts.0.Count", 61), "selection__PRES__ANNA: 61 votes in area__X, its parts add up to 70"),
    (_set(f"{SELECTION}.VoteCounts.0.GpUnitId", "area__Y"), "GpUnitId area__Y is no ReportingUnit of this report"),
    (_append(f"{SELECTION}.VoteCounts", f"{SELECTION}.VoteCounts.0"), "area__X has 2 counts of one type"),
    (_set(f"{SELECTION}.VoteCounts", []), "contest__PRES: its selections have votes of different units"),
    (_set(f"{SELECTION}.CandidateIds", ["candidate__PRES__BELA"]), "candidate__PRES__ANNA: stands in 0 selections"),
    (_set(f"{SELECTION}.CandidateIds", ["area__X"]), "CandidateIds area__X is no Candidate of this report"),
    (_set("Election.0.ElectionScopeId", "area__X_2F_North"), "scope area__X_2F_North is not the root unit"),
    (_set("Election.0.StartDate", "yesterday"), "StartDate 'yesterday'"),
    (_set("Election.0.StartDate", "2024-02-30"), "StartDate '2024-02-30'"),
    (_set("Election.0.EndDate", "2024-02-06"), "are no days in order"),
    (_set("Election.0.BallotCounts.0.BallotsCast", True), "BallotsCast is True, not a count"),
    (_append("Election.0.BallotCounts", "Election.0.BallotCounts.0"), "area__X has 2 counts of one type"),
    (_set("GpUnit.1.@id", "1st"), "the id '1st' is no XML name"),
    (_set("GpUnit.1.@id", "area__X"), "the id area__X stands 2 times"),
    (_set("GpUnit.0.ComposingGpUnitIds", ["area__X_2F_North"]), "there are 2 root units, not one"),
    (_set("GpUnit.1.ComposingGpUnitIds", ["area__X"]), "there are 0 root units, not one"),
    (_set("GpUnit.1.ComposingGpUnitIds", ["area__X_2F_North"]), "area__X_2F_North is part of 2 units"),
    (_set("GpUnit.0.SubUnitsReported", 4), "ReportingUnit area__X: 4 sub units reported of 3"),
    (_set("GpUnit.0.CountStatus.0.Status", "completed"), "ReportingUnit area__X: completed with 2 sub units of 3"),
    (lambda r: r["GpUnit"][0].pop("TotalSubUnits"), "SubUnitsReported and TotalSubUnits go together"),
    (_set("GpUnit.0.Type", "country"), "ReportingUnit area__X: Type is country, OtherType 'root'"),
    (lambda r: r["GpUnit"][0].pop("OtherType"), "ReportingUnit area__X: Type is other, OtherType None"),
    (_set("GeneratedDate", "2024-02-07T23:13:09.123Z"), "GeneratedDate is '2024-02-07T23:13:09.123Z'"),
    (_set("GeneratedDate", "2024-02-07T23:13:09"), "no time in whole seconds with an offset"),
    (_set("GeneratedDate", "junk 2024-02-07T23:13:09Z junk"), "no time in whole seconds with an offset"),
    (_set("GeneratedDate", "2024-02-30T23:13:09Z"), "no time in whole seconds with an offset"),
    (_set("SequenceStart", 0), "SequenceStart 0 and SequenceEnd 1 are no part of a whole"),
    (_set("SequenceEnd", 0), "SequenceStart 1 and SequenceEnd 0 are no part of a whole"),
    (_set("IsTest", True), "IsTest is True, TestType None"),
    (_set("Status", "pre-election"), "there are figures before the polls close"),
]  # fmt: skip


@pytest.mark.parametrize(("spoil", "said"), SPOILT, ids=[said for _, said in SPOILT])
def test_what_is_wrong_is_named(spoil: Callable[[Report], None], said: str, tmp_path: Path) -> None:
    found = small_report(tmp_path, report("A-1", 60, 30), report("B-1", 10, 90))
    assert nist_problems(found) == []
    spoil(found)
    problems = nist_problems(found)
    assert any(said in problem for problem in problems), problems


def test_a_unit_that_is_part_of_itself_far_around(tmp_path: Path) -> None:
    found = small_report(tmp_path, report("A-1", 60, 30))
    for name, part in (("one", "two"), ("two", "one")):
        found["GpUnit"].append(
            {"@type": "ElectionResults.ReportingUnit", "@id": name, "Type": "town", "ComposingGpUnitIds": [part]}
        )
    assert [p for p in nist_problems(found) if "part of itself" in p] == [
        "ReportingUnit one is part of itself", "ReportingUnit two is part of itself"
    ]  # fmt: skip


def test_the_schema_alone_lets_these_pass(tmp_path: Path) -> None:
    """Why there are checks beside it."""
    found = small_report(tmp_path, report("A-1", 60, 30))
    for spoil in (_set(f"{SELECTION}.VoteCounts.0.Count", -5), _set(f"{SELECTION}.VoteCounts.0.GpUnitId", "nowhere"),
                  _set("SequenceStart", 0), _set("Election.0.StartDate", "yesterday")):  # fmt: skip
        spoil(found)
    assert list(WITHOUT_FORMATS.iter_errors(found)) == []
