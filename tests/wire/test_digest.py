"""The digest: over every field of the definition, and over nothing else."""

import gzip
import hashlib
import json
from dataclasses import fields
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tally_stream.domain import election
from tally_stream.domain.contest import Candidate, Contest, Rounding
from tests.support.examples import examples
from tests.support.folders import STATIONS, Folder
from tests.support.small_elections import contest, station
from tests.support.small_elections import election as small_election

CHANGES = [
    ('id = "X-2024"', 'id = "X-2025"'),
    ('name = "An election"', 'name = "Another"'),
    ('phase = "official"', 'phase = "test"'),
    ("polls_close = 2024-02-07T19:00:00+04:00", "polls_close = 2024-02-07T19:00:00.001+04:00"),
    ('root_name = "Everywhere"', 'root_name = "All"'),
    ("publish_depth = 1", "publish_depth = 2"),
    ('name = "President"', 'name = "Premier"'),
    ("seats = 2", "seats = 3"),
    ('rule = "majority"\nmajority_base = "valid"', 'rule = "plurality"'),
    ('rule = "majority"\nmajority_base = "valid"', 'rule = "none"'),
    ('rule = "plurality"', 'rule = "none"'),
    ('majority_base = "valid"', 'majority_base = "cast"'),
    ('"half-up"', '"truncate"'),
    ("places = 2", "places = 1"),
    ('name = "Anna Ahl"', 'name = "Anna"'),
    ('party = "Greens"', 'party = "Reds"'),
    ('party = "Greens"\n', ""),
    ('party = "Greens"', "eligible = false"),
    ('party = "Greens"', 'party = "Greens"\neligible = false'),
    ('majority_base = "valid"', "majority = { percent = 50.5 }"),
    ('majority_base = "valid"', "majority = { at_least = true }"),
    ('majority_base = "valid"', "majority = { or_percent = 40, or_lead_percent = 10 }"),
    ("Q7_skew_seconds = 60", "bound_register_percent = 149"),
    ('id = "CLEO"', 'id = "KLEO"'),
    ('pollster = "Street Poll"', 'pollster = "Home Poll"'),
    ("20:00:00+04:00", "20:00:01+04:00"),
    ("20:00:00+04:00", "20:00:00.001+04:00"),
    ("ANNA = 52.10", "ANNA = 52.1"),
    ("BELA = 48", "BELA = 47"),
    (", BELA = 48", ""),
    ("P5_turnout_percent = 97.5", "P5_turnout_percent = 97.4"),
    ("P5_turnout_percent = 97.5", "P5_turnout_percent = 97.5\nP6_votes_min = 0"),
    ("Q7_skew_seconds = 60", "P6_votes_min = 60"),
    ("offset = 123", "offset = 124"),
    ("partition = 0", "partition = 1"),
    ('reason = "crashes the code"', 'reason = "crashes"'),
    ('authority = "commission"', 'authority = "court"'),
    ('id = "BELA"\nname = "Béla Bodó"', 'id = "BELA"\nname = "Bela Bodo"'),
]


@pytest.mark.parametrize(("old", "new"), CHANGES)
def test_every_field_of_the_definition_changes_it(folder: Folder, old: str, new: str) -> None:
    before = folder.load().digest
    assert folder.replace((old, new)).load().digest != before


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("A-1,", "A-3,"),
        ("School 1", "School 2"),
        (",200,", ",201,"),
        (",200,", ",,"),
        (",90,", ",0,"),
        (",90,", ",,"),
        ("North,Birch", "North,Beech"),
        ("North,Birch", "South,Birch"),
        ("A-2,,100", "A-2,A-2,100"),
    ],
)
def test_every_field_of_a_station_changes_it(folder: Folder, old: str, new: str) -> None:
    before = folder.load().digest
    assert folder.replace((old, new), name="stations.csv").load().digest != before


def test_a_root_a_level_a_station_or_an_area_more_changes_it(folder: Folder) -> None:
    seen = {folder.load().digest}
    folder.replace(("The South", "South"), name="areas.csv")
    seen.add(folder.load().digest)
    (folder.path / "areas.csv").unlink()
    seen.add(folder.load().digest)
    folder.write("stations.csv", STATIONS + "C-1,,,,North,Alder\n")
    seen.add(folder.load().digest)
    folder.replace(('root = "X"', 'root = "Y"'))
    seen.add(folder.load().digest)
    folder.replace(('"town"', '"city"'))
    folder.write("stations.csv", (STATIONS + "C-1,,,,North,Alder\n").replace("region,town", "region,city"))
    seen.add(folder.load().digest)
    assert len(seen) == 6


def test_the_number_of_the_rule_set_changes_it(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    before = folder.load().digest
    monkeypatch.setattr(election, "RULE_SET_NUMBER", election.RULE_SET_NUMBER + 1)
    assert folder.load().digest != before


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('party = "Greens"', 'party = "Greens" # a note'),
        ("polls_close = 2024-02-07T19:00:00+04:00", "polls_close = 2024-02-07T15:00:00Z"),
        ("polls_close = 2024-02-07T19:00:00+04:00", "polls_close = 2024-02-07T19:00:00.0009+04:00"),
        ("P5_turnout_percent = 97.5", "P5_turnout_percent = 97.50\nA3_register_percent = 102.0\nP6_votes_min = 100"),
        ('id = "PRES"\nname = "President"', 'name = "President"\nid = "PRES"'),
        ('majority_base = "valid"\n', ""),
        ("seats = 1\n", ""),
        ('majority_base = "valid"', "majority = {}"),
        ('majority_base = "valid"', "majority = { percent = 50.0, at_least = false }\nvotes_per_ballot = 1"),
        ('party = "Greens"', 'party = "Greens"\neligible = true\ncolor = "#1F77b4"'),
        ("P5_turnout_percent = 97.5", "P5_turnout_percent = 97.5\nbound_register_percent = 150.0"),
        ('"An election"', "'An election'"),
    ],
)
def test_another_spelling_of_the_same_definition_does_not(folder: Folder, old: str, new: str) -> None:
    before = folder.load().digest
    assert folder.replace((old, new)).load().digest == before


def test_row_order_column_order_quotes_and_compression_do_not(folder: Folder) -> None:
    before = folder.load().digest
    header, *rows = STATIONS.splitlines()
    folder.write("stations.csv", "\r\n".join([header, *reversed(rows)]))
    folder.write("areas.csv", "area,name\nX/South,The South\nX/North,The North\n")
    assert folder.load().digest == before
    folder.write("stations.csv", STATIONS.replace("School 1,200", '"School 1","0200"'))
    assert folder.load().digest == before
    folder.write("stations.csv", gzip.compress(STATIONS.encode()))
    assert folder.load().digest == before


def test_skips_in_any_order_are_the_same(folder: Folder) -> None:
    first = '[[skip]]\npartition = 0\noffset = 5\nreason = "r"\nauthority = "a"\n'
    toml = (folder.path / "election.toml").read_text(encoding="utf-8")
    head, own = toml[: toml.index("[[skip]]")], toml[toml.index("[[skip]]") :]
    digests = set()
    for order in (first + own, own + first):
        folder.write("election.toml", head + order)
        digests.add(folder.load().digest)
    assert len(digests) == 1


def test_it_is_the_hash_of_the_definitions_line_and_one_line_a_station(folder: Folder) -> None:
    folder.replace(("P5_turnout_percent = 97.5", "P5_turnout_percent = 97.50"))
    others: dict[str, Any] = {
        "votes_per_ballot": 1, "group": None, "allocation": None, "combinations": [], "approval": None, "quorum": None,
        "double_majority": None,
    }  # fmt: skip
    definition = {
        "rules": 4,
        "id": "X-2024",
        "name": "An election",
        "phase": "official",
        "polls_close": "2024-02-07T15:00:00.000Z",
        "areas": {
            "root": "X",
            "root_name": "Everywhere",
            "levels": ["region", "town"],
            "publish_depth": 1,
            "names": [["X/North", "The North"], ["X/South", "The South"]],
        },
        "contests": [
            {
                "id": "PRES", "name": "President", "seats": 1, "rule": "majority", "majority_base": "valid",
                "majority": {"percent": "50", "at_least": False, "or_percent": None, "or_lead_percent": None},
                "rounding": {"method": "half-up", "places": 2}, "scope": [], **others,
                "candidates": [
                    {"id": "ANNA", "name": "Anna Ahl", "party": "Greens", "eligible": True},
                    {"id": "BELA", "name": "Béla Bodó", "party": None, "eligible": True},
                ],
            },
            {
                "id": "SEAT", "name": "Council", "seats": 2, "rule": "plurality", "majority_base": None, "majority": None,
                "rounding": {"method": "largest-remainder", "places": 0}, "scope": [], **others,
                "candidates": [{"id": "CLEO", "name": "Cleo", "party": None, "eligible": True}],
            },
        ],
        "exit_polls": [
            {
                "contest": "PRES", "pollster": "Street Poll", "publish_after": "2024-02-07T16:00:00.000Z",
                "shares": [["ANNA", "52.10"], ["BELA", "48"]],
            }
        ],
        "checks": {
            "A3_register_percent": "102", "P1_invalid_percent": "3", "P2_blank_percent": "3", "P5_turnout_percent": "195/2",
            "P6_votes_min": "100", "P7_register_percent": "10", "P10_change_percent": "20", "Q7_skew_seconds": "60",
            "bound_register_percent": "150",
        },
        "skips": [[0, 123, "crashes the code", "commission"]],
    }  # fmt: skip
    stations = [
        ["A-1", "School 1", 200, None, ["North", "Alder"]],
        ["A-2", "", 100, 90, ["North", "Birch"]],
        ["B-1", "Hall, town", None, 250, ["South", "Alder"]],
    ]
    lines = [json.dumps(line, ensure_ascii=False, sort_keys=True, separators=(",", ":")) for line in [definition, *stations]]
    expected = hashlib.sha256("".join(line + "\n" for line in lines).encode()).hexdigest()
    assert folder.load().digest == f"sha256:{expected}"


_texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=6) | st.sampled_from(
    ["\x00\x1f\b\f\n\r\t", "\x7f\x80", "\u2028\u2029", '/"\\', "é", "e\u0301", "\ufeff", "😀", "</script>"]
)
_counts = st.none() | st.integers(0, 999_999_999)


def _with_stations(rows: list[election.StationRow]) -> election.Election:
    contest = Contest("C", "C", 1, "plurality", "valid", None, Rounding("half-up", 0), (Candidate("A", "A"),))
    return election.build_election(
        id="X", name="X", phase="test", polls_close_ms=0, root="X", root_name="X", levels=("region",), publish_depth=1,
        contests=[contest], stations=rows,
    )  # fmt: skip


def _expected(of: election.Election) -> str:
    """As docs/wire-format.md says it, with the standard library alone."""
    parts = {name: getattr(of, name) for name in (f.name for f in fields(of))}
    lines = [election.canonical_definition(parts)] + [
        [s.id, s.name, s.registered, s.ballots_expected, list(s.path)] for _, s in sorted(of.stations.items())
    ]
    text = "".join(json.dumps(x, ensure_ascii=False, sort_keys=True, separators=(",", ":")) + "\n" for x in lines)
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


@examples(300)
@given(
    st.lists(st.tuples(_texts, _texts, _counts, _counts, st.tuples(_texts)), min_size=1, max_size=5, unique_by=lambda r: r[0])
)
def test_its_bytes_are_those_of_the_standard_library_whatever_the_texts(rows: list[election.StationRow]) -> None:
    of = _with_stations(rows)
    assert of.digest == _expected(of)


@pytest.mark.parametrize("count", [2_047, 2_048, 2_049, 5_000])
def test_of_more_stations_than_are_hashed_together(count: int) -> None:
    rows: list[election.StationRow] = [(f"S-{n * 7919 % count:05d}", "", n, None, ("N",)) for n in range(count)]
    of = _with_stations(rows)
    assert list(of.stations) == sorted(row[0] for row in rows)
    assert [(s.id, s.registered) for s in of.stations.values()] == sorted((row[0], row[2]) for row in rows)
    assert of.digest == _expected(of)


def test_stations_that_contests_name_are_sorted_whatever_order_they_come_in() -> None:
    """A folder gives them as a set has them, and that order hangs on the process."""
    stations = [station("A-1"), station("A-2"), station("A-3")]
    found = {
        small_election(stations, [contest("C"), contest("D")], named={c: ids[c] for c in order}).digest
        for order in ("CD", "DC")
        for ids in ({"C": ["A-1", "A-2"], "D": ["A-3", "A-2"]}, {"C": ["A-2", "A-1"], "D": ["A-2", "A-3"]})
    }
    assert len(found) == 1


class TestChannels:
    STATIONS = (station("A-1"), station("A-2"), station("A-3"))
    HOW = {"A-1": "postal", "A-2": "early", "A-3": "postal"}  # noqa: RUF012  (read alone)

    def test_they_are_part_of_it(self) -> None:
        ways = [None, self.HOW, {**self.HOW, "A-2": "postal"}, {**self.HOW, "A-2": "Early"}]
        assert len({small_election(self.STATIONS, channels=way).digest for way in ways}) == len(ways)

    def test_the_order_in_which_they_are_given_is_not(self) -> None:
        backwards = dict(reversed(list(self.HOW.items())))
        assert (
            small_election(self.STATIONS, channels=self.HOW).digest == small_election(self.STATIONS, channels=backwards).digest
        )

    def test_a_line_has_its_closing_or_null_and_its_channel_behind_the_others_fields(self) -> None:
        of = small_election(self.STATIONS, channels=self.HOW, closings={"A-2": 1})
        parts = {name: getattr(of, name) for name in (f.name for f in fields(of))}
        lines: list[object] = [election.canonical_definition(parts)]
        for s in of.stations.values():
            closing = None if s.polls_close_ms is None else "1970-01-01T00:00:00.001Z"
            lines.append([s.id, s.name, s.registered, s.ballots_expected, list(s.path), closing, self.HOW[s.id]])
        text = "".join(json.dumps(x, ensure_ascii=False, sort_keys=True, separators=(",", ":")) + "\n" for x in lines)
        assert of.digest == f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"

    def test_a_channel_called_like_a_closing_is_none(self) -> None:
        closing = "1970-01-01T00:00:00.001Z"
        by_channel = small_election(self.STATIONS[:1], channels={"A-1": closing})
        assert by_channel.digest != small_election(self.STATIONS[:1], closings={"A-1": 1}).digest
