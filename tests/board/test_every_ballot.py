"""Seats, referendums, several votes a ballot and ways of voting on the page, as the board writes them before any script runs."""

from __future__ import annotations

import re
from dataclasses import replace
from fractions import Fraction

import pytest

from tally_stream.board.page_outcome import outcome_of
from tally_stream.board.page_referendum import referendum_of
from tally_stream.board.page_seats import seats_of
from tally_stream.board.page_ways import ways_of
from tally_stream.board.wording import LANGUAGES, Words
from tally_stream.domain.contest import Allocation, Candidate, Contest
from tests.board.many import ManyBoard
from tests.board.town import pages, read, show, told_town
from tests.support.every_ballot import AREAS, BRIDGE, COUNCIL, QUORUM, SEATS, night, roots, town, with_outcome, with_seats
from tests.support.small_elections import Night, contest, decision, election, report

EN = Words("en")


@pytest.fixture(scope="module")
def played() -> Night:
    return night()


@pytest.fixture(scope="module")
def told(played: Night) -> ManyBoard:
    return told_town(played)


class TestSeats:
    def test_the_bar_has_a_table_for_those_who_do_not_see_it(self, played: Night) -> None:
        drawn = seats_of(COUNCIL, roots(played)["COUNCIL"], EN)
        rows = [
            [read(cell) for cell in re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row)] for row in re.findall("<tr>.*?</tr>", drawn)
        ]
        assert rows == [["List", "Seats now", "Certain"], ["Red List", "9", "9"], ["Blue List", "7", "6"], ["Green List", "3", "2"],
                        ["Old Town", "1", "1"]]  # fmt: skip
        assert drawn.count("<svg") == drawn.count('aria-hidden="true"') == 5

    def test_what_is_not_certain_is_hatched_and_the_line_is_where_more_than_half_begins(self, played: Night) -> None:
        drawn = seats_of(COUNCIL, roots(played)["COUNCIL"], EN)
        unsure = re.findall(r'class="unsure" x="([\d.]+)%" y="1.4em" width="([\d.]+)%"', drawn)
        assert unsure == [("71.43", "4.762"), ("85.71", "4.762")], "the last one of seven, and of three"
        assert re.findall(r'<line x1="([\d.]+)%"', drawn) == ["52.38"], "11 of 21"
        assert read(drawn).count("11 of 21 seats") == 1
        even = seats_of(replace(COUNCIL, seats=20), roots(played)["COUNCIL"], EN)
        assert re.findall(r'<line x1="([\d.]+)%"', even) == ["55"], "10 of 20 are no majority"

    def test_a_list_has_the_colour_of_the_definition_or_one_of_the_page(self, played: Night) -> None:
        drawn = seats_of(COUNCIL, roots(played)["COUNCIL"], EN)
        assert re.findall(r'<rect ((?:fill|class)="[^"]+") width="100%"', drawn) == [
            'fill="#a01414"', 'fill="#0b4f8a"', 'class="part2"', 'class="part3"',
        ]  # fmt: skip

    def test_threshold_exempt_lists_combinations_and_ties_are_said(self, played: Night) -> None:
        root = roots(played)["COUNCIL"]
        said = read(seats_of(COUNCIL, root, EN))
        for sentence in (
            "Nobody has 1 of them.", "Threshold: 5 % of the valid ballots, now 180. Lists that take part: 4.",
            "Below the threshold: Tiny <List>.", "Exempt from the threshold: Old Town.",
            "Counted together: Red List + Green List. Seats now: 12.",
        ):  # fmt: skip
            assert sentence in said, sentence
        ends = read(outcome_of(COUNCIL, root, Fraction(150), EN))
        assert "Open: 18 of 21 seats are certain; at most 3,000 ballots still out." in ends
        assert "Certain of a seat" not in ends, "it stands in the table"

    def test_of_a_threshold_of_ballots_that_nobody_knows_it_is_said(self, played: Night) -> None:
        root = roots(played)["COUNCIL"]
        for base, ballots, said in (
            ("cast", {"cast": None}, "Threshold: 5 % of the ballots cast. How many these are is not known."),
            (
                "valid-and-blank",
                {"blank": None},
                "Threshold: 5 % of the valid and blank ballots. How many these are is not known.",
            ),
            ("valid-and-blank", {"valid": 3_600, "blank": 400}, "5 % of the valid and blank ballots, now 200."),
            ("cast", {"cast": 3_616}, "5 % of the ballots cast, now 181."),
        ):
            council = replace(COUNCIL, allocation=Allocation("dhondt", Fraction(5), base))  # type: ignore[arg-type]
            assert said in read(seats_of(council, {**root, "ballots": {**root["ballots"], **ballots}}, EN)), base

    def test_of_many_lists_below_the_threshold_some_are_named(self, played: Night) -> None:
        many = replace(
            COUNCIL, combinations=(), candidates=tuple(Candidate(f"K{n}", f"List {n}") for n in range(12)),
            allocation=Allocation("hare", Fraction(5)),
        )  # fmt: skip
        root = roots(played)["COUNCIL"]
        line = root["candidates"][0]
        root["candidates"] = [{**line, "id": f"K{n}", "name": f"List {n}", "votes": 9_999 if n == 3 else 1} for n in range(12)]
        said = read(seats_of(many, root, EN))
        assert (
            "Lists that take part: 1. Below the threshold: List 0, List 1, List 2, List 4, List 5, List 6, List 7, List 8 and 3 more."
            in said
        )

    def test_nothing_of_it_where_there_are_no_seats_to_share(self, played: Night) -> None:
        assert seats_of(BRIDGE, roots(played)["BRIDGE"], EN) == ""
        assert seats_of(COUNCIL, {**roots(played)["COUNCIL"], "outcome": None}, EN) == "", "before the close, and in an area"

    @pytest.mark.parametrize(
        ("state", "bound", "said"),
        [
            ("decided", 9, "No seat can be taken by the ballots still out: Red List 9, Blue List 7, Green List 4, Old Town 1; at most 9 ballots"),
            ("decided", 0, "All ballots are in. Seats: Red List 9, Blue List 7, Green List 4, Old Town 1."),
            ("tie", 0, "Tie, with no ballots still out: Blue List, Green List. Seats between them: 1."),
            ("undecided", None, "Open: how many ballots are still out is not known."),
        ],
    )  # fmt: skip
    def test_each_end_has_its_sentence(self, played: Night, state: str, bound: int | None, said: str) -> None:
        tied = {"seats": 1, "between": ["BLUE", "GREEN"]} if state == "tie" else None
        root = with_seats(
            played.root(), {**SEATS, "GREEN": (4, 4), "BLUE": (7, 7)}, state=state, outstanding_bound=bound, tied=tied
        )
        assert said in read(outcome_of(COUNCIL, root, Fraction(150), EN))


class TestReferendum:
    def test_yes_comes_first_with_its_line_quorum_and_areas(self, played: Night) -> None:
        root = roots(played)["BRIDGE"]
        said = read(referendum_of(BRIDGE, root, "50", EN))
        assert said == (
            "Yes and no Yes 53.33 % No 46.67 % Quorum: at least 50 % of the registered voters, by ballots cast 36.16 % "
            "3,616 of 10,000 Not reached so far: 5,000 are needed. Areas must approve too (ward) 1 : 0 approve : reject; "
            "0.5 undecided, of 1.5. More than half must approve."
        )
        behind = {**root, "candidates": root["candidates"][::-1]}
        assert read(referendum_of(BRIDGE, behind, "50", EN)) == said, "who has more votes does not change sides"

    def test_each_side_of_the_bar_is_as_wide_as_its_share(self, played: Night) -> None:
        root = roots(played)["BRIDGE"]
        for yes, no, at in (
            ("53.33", "46.67", "53.33"),
            ("40.00", "35.50", "64.5"),
            ("0.00", "100.00", "0"),
            ("9", "0", "100"),
        ):
            shares = {"YES": yes, "NO": no}
            lines = [{**c, "share": shares[c["id"]]} for c in root["candidates"]]
            drawn = referendum_of(BRIDGE, {**root, "candidates": lines}, None, EN)
            bars = re.findall(r'<rect class="(\w+)"(?: x="([\d.]+)%")? y="15%" width="([\d.]+)%"', drawn)
            assert bars == [("no", at, no), ("yes", "", yes)], (yes, no)

    @pytest.mark.parametrize(
        ("state", "done", "said"),
        [("undecided", 5_000, "Reached: 5,000 are needed."), ("undecided", 4_999, "Not reached so far: 5,000 are needed."),
         ("void", 4_999, "Can't be reached any more: 5,000 are needed."), ("accepted", 5_000, "Reached: 5,000 are needed.")],
    )  # fmt: skip
    def test_a_quorum_is_reached_or_not_or_never(self, played: Night, state: str, done: int, said: str) -> None:
        root = with_outcome(roots(played)["BRIDGE"], state=state, quorum={**QUORUM, "done": done})
        assert said in read(referendum_of(BRIDGE, root, "50", EN))

    def test_a_quorum_of_nobody_has_no_share(self, played: Night) -> None:
        quorum = {"done": 96, "of": 0, "percent": None, "needed": 0}
        drawn = referendum_of(BRIDGE, with_outcome(roots(played)["BRIDGE"], quorum=quorum, double_majority=None), "50", EN)
        assert read(drawn).endswith("by ballots cast 96 of 0 Reached: 0 are needed.")
        assert drawn.count("<svg") == 1, "that of yes and no"

    def test_what_is_not_known_is_not_drawn(self, played: Night) -> None:
        root = with_outcome(roots(played)["BRIDGE"], quorum=None, double_majority=None)
        said = read(referendum_of(BRIDGE, root, None, EN))
        assert "by ballots cast not known" in said
        assert "approve" not in said
        assert referendum_of(BRIDGE, {**root, "outcome": None}, "50", EN) == ""
        none = [{**c, "share": None} for c in root["candidates"]]
        assert "Yes" not in read(referendum_of(BRIDGE, {**root, "candidates": none}, "50", EN))

    @pytest.mark.parametrize(
        ("state", "bound", "said"),
        [
            ("accepted", 9, "Accepted, and the ballots still out can't change it: Yes leads by 240 votes; at most 9 ballots still out."),
            ("accepted", 0, "All ballots are in. Accepted: Yes leads by 240 votes; it takes more than 50 % of the valid ballots."),
            ("rejected", 9, "Rejected, and the ballots still out can't change it: Yes leads by 240 votes; at most 9 ballots still out."),
            ("rejected", 0, "All ballots are in. Rejected: Yes leads by 240 votes; it takes more than 50 % of the valid ballots."),
            ("void", 9, "Void: the quorum can't be reached any more, not with all the ballots still out: at most 9 ballots."),
            ("void", 0, "All ballots are in. Void: the quorum is not reached."),
        ],
    )  # fmt: skip
    def test_each_end_has_its_sentence(self, played: Night, state: str, bound: int, said: str) -> None:
        root = with_outcome(
            roots(played)["BRIDGE"], state=state, outstanding_bound=bound, quorum=QUORUM, double_majority=AREAS, elected=[]
        )
        found = read(outcome_of(BRIDGE, root, Fraction(150), EN))
        assert found.startswith(said)
        assert "Not an official declaration" in found


class TestBallots:
    def test_a_ballot_of_several_votes_says_so(self, told: ManyBoard) -> None:
        schools, bridge = pages(told, "/contest/SCHOOLS", "/contest/BRIDGE")
        assert (
            "Shares of 3,600 valid ballots, rounded: half up. A ballot has up to 3 votes, so shares can add up to more than 100 %."
            in read(schools)
        )
        assert "Votes not given (undervotes) 3,180 Votes lost, too many given (overvotes) 20" in read(schools)
        assert "A ballot has up to" not in bridge
        assert "undervotes" not in bridge

    def test_before_any_report_nobody_is_told_of_votes_that_are_not_missing(self) -> None:
        empty = Night(town())
        for contest_index in range(3):
            empty.take(decision("annul", "A-1", 1, 0, contest=contest_index))
        told = ManyBoard(empty.election)
        show(told, empty, {c.id: empty.root(n) for n, c in enumerate(empty.election.contests)})
        bridge, schools = pages(told, "/contest/BRIDGE", "/contest/SCHOOLS")
        assert "undervotes" not in bridge
        assert "(undervotes) 0" in read(schools)

    def test_ways_of_voting_and_voters_so_far(self, told: ManyBoard) -> None:
        whole, east = map(read, pages(told, "/", "/contest/COUNCIL/area/X/East"))
        assert "Voters so far, as 3 polling stations stated 45.00 % 2,700 of 6,000" in whole
        counted = "Had voted by the last statements before the count, as 2 polling stations stated 45.00 % 1,800 of 4,000"
        assert counted in east, "all its stations are counted"
        assert "so far, as" not in east
        assert (
            "Ways of voting early 100.00 % 1 of 1 polling station election day 100.00 % 2 of 2 polling stations postal 50.00 % 1 of 2"
            in whole
        )
        assert "Red List 400 800 400" in whole
        assert "Ballots cast 904 1,808 904 Valid 900 1,800 900" in whole
        assert "Ways of voting early 100.00 % 1 of 1 polling station election day 100.00 % 1 of 1 polling station State" in east
        assert "postal" not in east, "no station of the area is of it"
        assert "Seats now" not in east

    def test_before_the_close_there_are_voters_and_no_figures(self) -> None:
        before = Night(night().election)
        council = before.root()
        council["voted"] = {"done": 7, "of": None, "percent": None, "stations": 1}
        told = told_town(night(), COUNCIL={**council, "version": 15, "as_of": "2024-02-07T10:00:00.000Z"})
        page = read(pages(told, "/")[0])
        assert "Voters so far, as 1 polling station stated 7 Ways of voting" in page
        assert "Red List – – –" in page
        assert "Seats now" not in page

    def test_an_election_without_any_of_it_has_nothing_new(self) -> None:
        plain = Night(election(contests=[contest()]), report())
        told = ManyBoard(plain.election)
        assert ways_of(plain.root(), EN) == {"ways": "", "ways_hidden": " hidden", "ways_head": "", "ways_votes": ""}
        page = pages(told, "/")[0]
        for id in ("seats", "referendum", "ways"):
            assert f'<div id="{id}"></div>' in page, id
        assert 'id="ways-section" hidden' in page


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_language_says_all_of_it(told: ManyBoard, language: str) -> None:
    contests = pages(told, *(f"/contest/{id}?lang={language}" for id in ("COUNCIL", "BRIDGE", "SCHOOLS")))
    for page in contests:
        assert re.findall(r"\{\w*\}|\b(?:seats|ways|quorum|approving|outcome|voted|several)\.\w+", read(page)) == []
    assert len({read(page) for page in contests}) == 3


def test_the_contest_says_its_rules_to_programs(told: ManyBoard) -> None:
    council, bridge, schools = (
        answer["contest"] for answer in pages(told, *(f"/api/v1/contests/{id}" for id in ("COUNCIL", "BRIDGE", "SCHOOLS")))
    )
    assert council["allocation"] == {
        "method": "dhondt", "threshold_percent": "5", "threshold_base": "valid", "exempt": ["OLD"], "tie": "nobody",
    }  # fmt: skip
    assert (council["combinations"], council["group"], council["approval"]) == ([["RED", "GREEN"]], "TOWN", None)
    assert [c["color"] for c in council["candidates"]][:3] == ["#a01414", "#0b4f8a", None]
    assert (bridge["approval"], bridge["quorum"]) == ("YES", {"percent": "50", "of": "cast", "more_than": False})
    assert bridge["double_majority"] == {"level": "ward", "half": ["X/West"]}
    assert (schools["votes_per_ballot"], schools["allocation"], schools["quorum"]) == (3, None, None)


def test_a_hostile_name_stays_text(played: Night) -> None:
    evil = "<img src=x onerror=alert(1)>"
    council: Contest = replace(COUNCIL, candidates=tuple(replace(c, name=evil) for c in COUNCIL.candidates))
    root = roots(played)["COUNCIL"]
    root["candidates"] = [{**c, "name": evil} for c in root["candidates"]]
    root["channels"] = [{**c, "channel": evil} for c in root["channels"]]
    assert "<img" not in seats_of(council, root, EN) + "".join(ways_of(root, EN).values())
    bridge = {**roots(played)["BRIDGE"]}
    bridge["candidates"] = [{**c, "name": evil} for c in bridge["candidates"]]
    assert "<img" not in referendum_of(BRIDGE, bridge, "50", EN)
