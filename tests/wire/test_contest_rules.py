"""Contests of every rule, from election.toml and from contests.csv: what each may say, and every sentence that refuses it."""

from collections.abc import Sequence
from fractions import Fraction

import pytest

from tally_stream.domain.contest import Allocation, Candidate, Contest, DoubleMajority, Majority, Quorum, Rounding
from tests.support.folders import AREAS, STATIONS, TOML, Folder

HEAD = (
    TOML[: TOML.index("[[contests]]")]
    + """\
[contest_defaults]
rounding = { method = "half-up", places = 2 }
"""
)
FIRST_LINE = HEAD.count("\n") + 3
"""Of the contest's own fields."""
LISTS = (Candidate("A", "Ash"), Candidate("B", "Birch"), Candidate("C", "Cedar"), Candidate("D", "Date"))
YES_AND_NO = (Candidate("YES", "Yes"), Candidate("NO", "No"))
SEATS = """rule = "proportional"
seats = 5
allocation = { method = "dhondt" }
"""
QUESTION = """rule = "referendum"
approval = "YES"
"""


class Written(Folder):
    """A folder of one contest, LIST, that says what a test writes."""

    def says(self, text: str, candidates: Sequence[Candidate], defaults: str = "") -> "Written":
        rows = "".join(f"LIST,{c.id},{c.name},{str(c.eligible).lower()}\n" for c in candidates)
        self.write("candidates.csv", "contest,id,name,eligible\n" + rows)
        contest = f'\n[[contests]]\n{text}id = "LIST"\nname = "List"\n'
        self.write("election.toml", HEAD + defaults + contest)
        return self

    def contest(self) -> Contest:
        (found,) = self.load().contests
        return found


@pytest.fixture
def written(folder: Folder) -> Written:
    return Written(folder.path)


def mistakes(written: Written) -> list[str]:
    """Those of the contest's own lines, `0: what` for the first."""
    found = written.mistakes()
    assert all(m.startswith("election.toml:") for m in found), found
    numbered = [m.removeprefix("election.toml:").split(": ", 1) for m in found]
    return [f"{int(line) - FIRST_LINE}: {what.removeprefix('contest LIST: ')}" for line, what in numbered]


class TestProportional:
    def test_every_field(self, written: Written) -> None:
        text = """\
rule = "proportional"
seats = 21
votes_per_ballot = 2
group = "PARLIAMENT"
allocation = { method = "sainte-lague-1.4", threshold_percent = 3.25, threshold_base = "valid-and-blank", exempt = ["D", "A"], tie = "more-votes" }
combinations = [["A", "B"], ["D", "C"]]
"""
        assert written.says(text, LISTS).contest() == Contest(
            "LIST", "List", 21, "proportional", "valid", None, Rounding("half-up", 2), LISTS, (), 2, "PARLIAMENT",
            Allocation("sainte-lague-1.4", Fraction(13, 4), "valid-and-blank", ("D", "A"), "more-votes"), (("A", "B"), ("D", "C")),
        )  # fmt: skip

    def test_what_is_left_out(self, written: Written) -> None:
        found = written.says(SEATS, LISTS).contest()
        assert found.allocation == Allocation("dhondt", Fraction(0), "valid", (), "nobody")
        assert (found.combinations, found.votes_per_ballot, found.group) == ((), 1, None)

    def test_as_a_table(self, written: Written) -> None:
        text = 'group = "P"\nallocation = { method = "hare", threshold_percent = 5, exempt = ["D"] }\ncombinations = [["A", "B"]]\n'
        digest = written.says('rule = "proportional"\nseats = 7\nvotes_per_ballot = 4\n' + text, LISTS).load().digest
        written.write("election.toml", HEAD)
        written.write("contests.csv", (
            "id,name,rule,seats,votes_per_ballot,group,allocation.method,allocation.threshold_percent,allocation.exempt,combinations\n"
            'LIST,List,proportional,7,4,P,hare,5.0,"[""D""]","[[""A"", ""B""]]"\n'
        ))  # fmt: skip
        assert written.load().digest == digest

    @pytest.mark.parametrize(
        ("old", "new", "expected"),
        [
            ('allocation = { method = "dhondt" }\n', "", ["-1: allocation is missing: rule proportional needs it"]),
            ('method = "dhondt"', "", ["2: allocation.method is missing"]),
            ("dhondt", "imperiali", ["2: allocation.method should be 'dhondt', 'sainte-lague', 'sainte-lague-1.4' or 'hare'"]),
            ('"dhondt"', '"hare", threshold_percent = 100.5', ["2: allocation.threshold_percent is above 100 per cent"]),
            ('"dhondt"', '"hare", threshold_base = "all"',
             ["2: allocation.threshold_base should be 'valid', 'valid-and-blank' or 'cast'"]),
            ('"dhondt"', '"hare", tie = "lot"', ["2: allocation.tie should be 'nobody' or 'more-votes'"]),
            ('"dhondt"', '"hare", exempt = "A"', ['2: allocation.exempt should be a list in square brackets, as ["SSW"]']),
            ('"dhondt"', '"hare", exempt = [1]', ['2: allocation.exempt[1] should be a text in quotation marks, as "North"']),
            ('"dhondt"', '"hare", exempt = ["A", "Z"]', ["2: allocation.exempt names 'Z', no candidate of it"]),
            ('"dhondt"', '"hare", exempt = ["Z", "B", "Z"]', ["2: allocation.exempt names 'Z', no candidate of it"]),
            ('"dhondt"', '"hare", quota = 1', ["2: allocation.quota is not known here"]),
            ("seats = 5\n", 'combinations = "A"\n', ['1: combinations should be a list in square brackets, as [["LIKUD", "RZP"]]']),
            ("seats = 5\n", 'combinations = ["A", "B"]\n',
             ['1: combinations[1] should be a list in square brackets, as [["LIKUD", "RZP"]]',
              '1: combinations[2] should be a list in square brackets, as [["LIKUD", "RZP"]]']),
            ("seats = 5\n", "combinations = [[7, \"A\"]]\n",
             ['1: combinations[1][1] should be a text in quotation marks, as "North"']),
            ("seats = 5\n", 'combinations = [["A", "B"], ["C"], []]\n',
             ["1: combinations[3] has no list"]),
            ("seats = 5\n", 'combinations = [["A", "Z"]]\n', ["1: combinations[1] names 'Z', no candidate of it"]),
            ("seats = 5\n", 'combinations = [["A", "B"], ["C", "A"]]\n',
             ["1: combinations[2] names 'A' again: a list is in one of them at most"]),
            ("seats = 5\n", 'combinations = [["A"], ["A"]]\n',
             ["1: combinations[2] names 'A' again: a list is in one of them at most"]),
            ("seats = 5\n", "votes_per_ballot = 5\n",
             ["1: votes_per_ballot is 5: a ballot has one vote a candidate at most, and there are 4"]),
            ("seats = 5\n", "votes_per_ballot = 0\n", ["1: votes_per_ballot should be greater than or equal to 1"]),
            ("seats = 5\n", "group = 7\n", ['1: group should be a text in quotation marks, as "North"']),
            ("seats = 5\n", 'group = ""\n', ["1: group is empty"]),
            ("seats = 5\n", 'group = "."\n', ["1: group is . or .."]),
            ("seats = 5\n", 'group = ".."\n', ["1: group is . or .."]),
            ("seats = 5\n", f'group = "{"g" * 201}"\n', ["1: group longer than 200 code points"]),
            ("seats = 5\n", "majority = {}\n", ["1: majority is not known to rule proportional"]),
            ("seats = 5\n", 'approval = "A"\n', ["1: approval is not known to rule proportional"]),
        ],
    )  # fmt: skip
    def test_each_mistake_is_named_with_its_line(self, written: Written, old: str, new: str, expected: list[str]) -> None:
        assert SEATS.count(old) == 1
        assert mistakes(written.says(SEATS.replace(old, new), LISTS)) == expected

    def test_as_many_votes_a_ballot_as_candidates(self, written: Written) -> None:
        assert written.says(SEATS + "votes_per_ballot = 4\n", LISTS).contest().votes_per_ballot == 4
        assert mistakes(written.says(SEATS + "votes_per_ballot = 2\n", LISTS[:1])) == [
            "3: votes_per_ballot is 2: a ballot has one vote a candidate at most, and there is 1"
        ]

    def test_a_group_of_200_code_points_and_one_of_dots(self, written: Written) -> None:
        assert written.says(SEATS + f'group = "{"é" * 200}"\n', LISTS).contest().group == "é" * 200
        assert written.says(SEATS + 'group = "..."\n', LISTS).contest().group == "..."

    def test_more_seats_than_lists_are_no_doubt(self, written: Written) -> None:
        assert written.says(SEATS, LISTS).warnings() == []

    @pytest.mark.parametrize(
        ("one", "other"),
        [
            ('combinations = [["A", "B"], ["C", "D"]]', 'combinations = [["D", "C"], ["B", "A"]]'),
            ("combinations = []", "votes_per_ballot = 1"),
            ('combinations = [["A"], ["C", "C"]]', ""),
            ('combinations = [["A", "B", "A"], ["C"]]', 'combinations = [["A", "B"]]'),
        ],
    )
    def test_another_spelling_is_the_same_definition(self, written: Written, one: str, other: str) -> None:
        assert written.says(SEATS + one + "\n", LISTS).load().digest == written.says(SEATS + other + "\n", LISTS).load().digest

    def test_every_field_is_part_of_the_digest(self, written: Written) -> None:
        texts = [
            SEATS, SEATS + "votes_per_ballot = 2\n", SEATS + 'group = "P"\n', SEATS + 'combinations = [["A", "B"]]\n',
            SEATS + 'combinations = [["A", "C"]]\n', SEATS.replace("dhondt", "hare"),
            *(SEATS.replace('"dhondt"', f'"dhondt", {field}') for field in (
                "threshold_percent = 0.1", 'threshold_base = "cast"', 'exempt = ["A"]', 'tie = "more-votes"')),
        ]  # fmt: skip
        assert len({written.says(text, LISTS).load().digest for text in texts}) == len(texts)
        order = [SEATS.replace('"dhondt"', f'"dhondt", exempt = {ids}') for ids in ('["A", "B"]', '["B", "A"]')]
        assert len({written.says(text, LISTS).load().digest for text in order}) == 1

    def test_what_is_named_twice_is_named_once(self, written: Written) -> None:
        text = SEATS.replace('"dhondt"', '"dhondt", exempt = ["C", "A", "C"]') + 'combinations = [["D"], ["B", "A", "B"]]\n'
        twice = written.says(text, LISTS).load()
        (found,) = twice.contests
        assert found.allocation == Allocation("dhondt", exempt=("C", "A"))
        assert found.combinations == (("B", "A"),)
        once = SEATS.replace('"dhondt"', '"dhondt", exempt = ["C", "A"]') + 'combinations = [["B", "A"]]\n'
        assert written.says(once, LISTS).load().digest == twice.digest


class TestReferendum:
    def test_every_field(self, written: Written) -> None:
        text = (
            QUESTION
            + """\
seats = 1
majority_base = "cast"
majority = { percent = 60, at_least = true }
quorum = { percent = 33.3, of = "approval", more_than = true }
double_majority = { level = "region", half = ["X/South"] }
"""
        )
        assert written.says(text, YES_AND_NO).contest() == Contest(
            "LIST", "List", 1, "referendum", "cast", Majority(Fraction(60), at_least=True), Rounding("half-up", 2), YES_AND_NO,
            approval="YES", quorum=Quorum(Fraction(333, 10), "approval", more_than=True),
            double_majority=DoubleMajority("region", ("X/South",)),
        )  # fmt: skip

    def test_what_is_left_out(self, written: Written) -> None:
        found = written.says(QUESTION, YES_AND_NO).contest()
        assert (found.majority_base, found.majority) == ("valid", Majority())
        assert (found.quorum, found.double_majority) == (None, None)
        text = QUESTION + 'quorum = { percent = 50, of = "cast" }\ndouble_majority = { level = "region" }\n'
        found = written.says(text, YES_AND_NO).contest()
        assert (found.quorum, found.double_majority) == (Quorum(Fraction(50), "cast"), DoubleMajority("region"))

    def test_an_area_named_twice_counts_one_half(self, written: Written) -> None:
        halves = [
            f'{QUESTION}double_majority = {{ level = "region", half = [{named}] }}\n'
            for named in ('"X/South", "X/South"', '"X/South"')
        ]
        twice, once = (written.says(text, YES_AND_NO).load() for text in halves)
        assert twice.contests[0].double_majority == DoubleMajority("region", ("X/South",))
        assert twice.digest == once.digest

    def test_as_a_table(self, written: Written) -> None:
        text = 'quorum = { percent = 50, of = "valid", more_than = true }\ndouble_majority = { level = "region", half = ["X/North"] }\n'
        digest = written.says(QUESTION + "majority = { percent = 55 }\n" + text, YES_AND_NO).load().digest
        written.write("election.toml", HEAD)
        written.write("contests.csv", (
            "id,name,rule,approval,majority.percent,quorum.percent,quorum.of,quorum.more_than,double_majority.level,double_majority.half\n"
            'LIST,List,referendum,YES,55,50,valid,true,region,"[""X/North""]"\n'
        ))  # fmt: skip
        assert written.load().digest == digest

    @pytest.mark.parametrize(
        ("old", "new", "expected"),
        [
            ('approval = "YES"\n', "", ["-1: approval is missing: rule referendum needs it"]),
            ('"YES"', '"Yes"', ["1: approval names 'Yes', no candidate of it"]),
            ('"YES"', "7", ['1: approval should be a text in quotation marks, as "North"']),
            ("approval", "seats = 2\napproval", ["1: seats is 2: a referendum is of one seat"]),
            ("approval", "majority = { or_percent = 40, or_lead_percent = 10 }\napproval",
             ["1: majority.or_percent is not known to rule referendum", "1: majority.or_lead_percent is not known to rule referendum"]),
            ("approval", "quorum = {}\napproval", ["1: quorum.percent is missing", "1: quorum.of is missing"]),
            ("approval", 'quorum = { percent = 101, of = "cast" }\napproval', ["1: quorum.percent is above 100 per cent"]),
            ("approval", 'quorum = { percent = 50, of = "yes" }\napproval',
             ["1: quorum.of should be 'cast', 'valid' or 'approval'"]),
            ("approval", 'quorum = { percent = 50, of = "cast", more_than = 1 }\napproval',
             ["1: quorum.more_than should be true or false"]),
            ("approval", "double_majority = {}\napproval", ["1: double_majority.level is missing"]),
            ("approval", 'double_majority = { level = "canton" }\napproval',
             ["1: double_majority.level is 'canton', no published level (those are region)"]),
            ("approval", 'double_majority = { level = "town", half = ["X/North/Alder"] }\napproval',
             ["1: double_majority.level is 'town', no published level (those are region)"]),
            ("approval", 'double_majority = { level = "region", half = "X" }\napproval',
             ['1: double_majority.half should be a list in square brackets, as ["CH/OW"]']),
            ("approval", 'double_majority = { level = "region", half = ["X", "Y/North", "X/West", "X/North/Alder", "X/South", "X/West"] }\napproval',
             [f"1: double_majority.half names {area!r}, no area of level region with a polling station"
              for area in ("X", "Y/North", "X/West", "X/North/Alder")]),
            ("approval", "allocation = {}\napproval",
             ["1: allocation is not known to rule referendum", "1: allocation.method is missing"]),
            ("approval", "combinations = []\napproval", ["1: combinations is not known to rule referendum"]),
        ],
    )  # fmt: skip
    def test_each_mistake_is_named_with_its_line(self, written: Written, old: str, new: str, expected: list[str]) -> None:
        assert QUESTION.count(old) == 1
        assert mistakes(written.says(QUESTION.replace(old, new), YES_AND_NO)) == expected

    @pytest.mark.parametrize(("count", "there"), [(1, "there is 1"), (3, "there are 3"), (4, "there are 4")])
    def test_has_two_candidates(self, written: Written, count: int, there: str) -> None:
        some = [Candidate(id, id) for id in ("YES", "NO", "PERHAPS", "NEVER")][:count]
        assert mistakes(written.says(QUESTION, some)) == [f"-1: candidates should be two in a referendum, {there}"]

    def test_of_no_published_level_at_all(self, written: Written) -> None:
        written.says(QUESTION + 'double_majority = { level = "region" }\n', YES_AND_NO)
        written.replace(("publish_depth = 1", "publish_depth = 0"))
        assert mistakes(written) == ["2: double_majority.level is 'region', no published level (there is none)"]

    def test_levels_that_are_not_known_are_not_held_against_it(self, written: Written) -> None:
        written.says(QUESTION + 'double_majority = { level = "canton", half = ["X/West"] }\n', YES_AND_NO)
        written.replace(("publish_depth = 1", 'publish_depth = "x"'))
        assert written.mistakes() == ["election.toml:10: areas.publish_depth should be a whole number, as 2"]

    def test_stations_that_are_not_known_are_not_held_against_it(self, written: Written) -> None:
        written.says(QUESTION + 'double_majority = { level = "region", half = ["X/South"] }\n', YES_AND_NO)
        written.write("stations.csv", STATIONS.replace("South,Alder", "South"))
        assert written.mistakes() == ["stations.csv:4: 5 fields, the header has 6"]

    def test_every_field_is_part_of_the_digest(self, written: Written) -> None:
        texts = [
            "", 'majority_base = "cast"', "majority = { percent = 51 }", "majority = { at_least = true }",
            *(f"quorum = {{ {fields} }}" for fields in (
                'percent = 50, of = "cast"', 'percent = 51, of = "cast"', 'percent = 50, of = "valid"',
                'percent = 50, of = "cast", more_than = true')),
            *(f"double_majority = {{ {fields} }}" for fields in (
                'level = "region"', 'level = "region", half = ["X/South"]', 'level = "region", half = ["X/North"]')),
        ]  # fmt: skip
        digests = {written.says(f"{QUESTION}{text}\n", YES_AND_NO).load().digest for text in texts}
        digests.add(written.says(QUESTION.replace("YES", "NO"), YES_AND_NO).load().digest)
        assert len(digests) == len(texts) + 1


class TestDefaults:
    SEAT = 'allocation = { method = "hare", exempt = ["Z"] }\nquorum = { percent = 50, of = "cast" }\n'

    def test_are_passed_over_where_the_rule_does_not_have_them(self, written: Written) -> None:
        defaults = 'approval = "A"\ncombinations = [["A", "Z"]]\ndouble_majority = { level = "region" }\n' + self.SEAT
        found = written.says('rule = "plurality"\n', LISTS, defaults).contest()
        assert (found.allocation, found.combinations, found.approval, found.quorum, found.double_majority) == (
            None,
            (),
            None,
            None,
            None,
        )

    def test_give_what_a_rule_needs(self, written: Written) -> None:
        assert written.says('rule = "referendum"\n', YES_AND_NO, 'approval = "YES"\n').contest().approval == "YES"
        assert (
            written.says('rule = "proportional"\n', LISTS, 'allocation = { method = "hare" }\n').contest().allocation
            is not None
        )

    def test_a_majority_s_other_way_is_passed_over_in_a_referendum(self, written: Written) -> None:
        defaults = "majority = { percent = 60, or_percent = 40, or_lead_percent = 10 }\n"
        assert written.says(QUESTION, YES_AND_NO, defaults).contest().majority == Majority(Fraction(60))
        assert written.says('rule = "majority"\n', YES_AND_NO, defaults).contest().majority == Majority(
            Fraction(60), or_percent=Fraction(40), or_lead_percent=Fraction(10)
        )
        assert len(written.says(QUESTION, YES_AND_NO, "majority = 7\n").mistakes()) == 1

    def test_what_is_wrong_with_one_is_said_at_its_own_line(self, written: Written) -> None:
        defaults = 'double_majority = { level = "town", half = ["X/North"] }\ncombinations = [[]]\n'
        assert written.says(QUESTION, YES_AND_NO, defaults).mistakes() == [
            "election.toml:14: contest_defaults.double_majority.level is 'town', no published level (those are region)",
            "election.toml:15: contest_defaults.combinations[1] has no list",
        ]
        defaults = 'double_majority = { level = "region", half = ["X/West"] }\n'
        assert written.says(QUESTION, YES_AND_NO, defaults).mistakes() == [
            "election.toml:14: contest_defaults.double_majority.half names 'X/West', no area of level region with a polling station"
        ]

    def test_candidates_that_they_name_are_looked_for_in_each_contest(self, written: Written) -> None:
        written.says('rule = "proportional"\n', LISTS, self.SEAT)
        assert written.mistakes() == ["election.toml:17: contest LIST: allocation.exempt names 'Z', no candidate of it"]


def test_all_mistakes_of_tables_come_at_once(written: Written) -> None:
    written.write("election.toml", HEAD)
    written.write("candidates.csv", "contest,id,name\nLIST,A,Ash\nASK,YES,Yes\nASK,NO,No\nASK,WHY,Why\n")
    written.write("areas.csv", AREAS)
    written.write("contests.csv", (
        "id,name,rule,seats,votes_per_ballot,allocation.method,allocation.exempt,combinations,approval,quorum.percent,double_majority.level\n"
        'LIST,List,proportional,2,2,,A,"[[]]",A,,\n'
        "ASK,Ask,referendum,2,,hare,,,MAYBE,fifty,town\n"
    ))  # fmt: skip
    assert written.mistakes() == [
        "contests.csv:2: approval is not known to rule proportional",
        "contests.csv:2: combinations[1] has no list",
        "contests.csv:2: votes_per_ballot is 2: a ballot has one vote a candidate at most, and there is 1",
        "contests.csv:2: allocation.method is missing",
        'contests.csv:2: allocation.exempt should be a JSON array, as ["SSW"]',
        "contests.csv:3: allocation is not known to rule referendum",
        "contests.csv:3: seats is 2: a referendum is of one seat",
        "contests.csv:3: approval names 'MAYBE', no candidate of it",
        "contests.csv:3: candidates should be two in a referendum, there are 3",
        "contests.csv:3: double_majority.level is 'town', no published level (those are region)",
        "contests.csv:3: quorum.percent is not a number",
        "contests.csv:3: quorum.of is missing",
    ]
