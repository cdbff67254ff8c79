"""Where contests are held: scopes and scopes.csv, what they become, their digest, and every mistake in them."""

import gzip

import pytest

from tally_stream.wire import limits
from tally_stream.wire.folder import assembling
from tally_stream.wire.folder import scopes as scopes_module
from tests.support.folders import STATIONS, Folder

PRES = 'id = "PRES"\n'
SEAT = 'id = "SEAT"\n'


def scoped(folder: Folder, *scopes: tuple[str, str]) -> Folder:
    """The folder with `scope = …` behind the id of these contests."""
    return folder.replace(*((f'id = "{contest}"\n', f'id = "{contest}"\nscope = {scope}\n') for contest, scope in scopes))


def held(folder: Folder) -> dict[str, list[str]]:
    """Station → the ids of its contests."""
    of = folder.load()
    return {s.id: [of.contests[index].id for index in s.contests] for s in of.stations.values()}


class TestWhereAContestIsHeld:
    def test_everywhere_unless_it_says_more(self, folder: Folder) -> None:
        assert set(map(tuple, held(folder).values())) == {("PRES", "SEAT")}

    def test_in_areas_published_or_not(self, folder: Folder) -> None:
        scoped(folder, ("SEAT", '["X/South", "X/North/Birch"]'))
        assert held(folder) == {"A-1": ["PRES"], "A-2": ["PRES", "SEAT"], "B-1": ["PRES", "SEAT"]}
        of = folder.load()
        assert of.contests[1].scope == ("X/North/Birch", "X/South")
        assert [[of.areas[i].id for i in areas] for areas in of.contest_areas] == [["X", "X/North", "X/South"]] * 2

    def test_at_stations_that_are_named(self, folder: Folder) -> None:
        folder.write("scopes.csv", "contest,station_id\nSEAT,A-1\n")
        assert held(folder) == {"A-1": ["PRES", "SEAT"], "A-2": ["PRES"], "B-1": ["PRES"]}
        of = folder.load()
        assert [[of.areas[i].id for i in areas] for areas in of.contest_areas] == [
            ["X", "X/North", "X/South"],
            ["X", "X/North"],
        ]

    def test_the_root_is_everywhere(self, folder: Folder) -> None:
        before = folder.load().digest
        scoped(folder, ("SEAT", '["X"]'))
        assert folder.load().digest == before

    def test_rows_take_the_place_of_a_default(self, folder: Folder) -> None:
        folder.replace(("[[exit_polls]]", '[contest_defaults]\nscope = ["X/North"]\n\n[[exit_polls]]'))
        folder.write("scopes.csv", "contest,station_id\nPRES,B-1\n")
        assert held(folder) == {"A-1": ["SEAT"], "A-2": ["SEAT"], "B-1": ["PRES"]}
        assert [c.scope for c in folder.load().contests] == [(), ("X/North",)]


class TestTheDigest:
    def test_does_not_hang_on_the_order_of_areas_or_rows_packing_or_a_byte_order_mark(self, folder: Folder) -> None:
        scoped(folder, ("SEAT", '["X/South", "X/North/Birch"]'))
        before = folder.load().digest
        folder.replace(('["X/South", "X/North/Birch"]', '["X/North/Birch", "X/South"]'))
        assert folder.load().digest == before
        rows = b"contest,station_id\nPRES,A-1\nPRES,B-1\nPRES,A-2\n"
        folder.write("scopes.csv", rows)
        before = folder.load().digest
        for other in (b"station_id,contest\nB-1,PRES\nA-2,PRES\nA-1,PRES\n", b"\xef\xbb\xbf" + rows, gzip.compress(rows)):
            folder.write("scopes.csv", other)
            assert folder.load().digest == before

    def test_hangs_on_which_areas_and_stations_there_are(self, folder: Folder) -> None:
        seen = {folder.load().digest}
        for rows in ("SEAT,A-1\n", "SEAT,A-2\n", "SEAT,A-1\nSEAT,A-2\n", "PRES,A-1\nPRES,A-2\nPRES,B-1\n"):
            folder.write("scopes.csv", "contest,station_id\n" + rows)
            seen.add(folder.load().digest)
        (folder.path / "scopes.csv").unlink()
        scoped(folder, ("SEAT", '["X/South"]'))
        seen.add(folder.load().digest)
        folder.replace(('["X/South"]', '["X/North"]'))
        seen.add(folder.load().digest)
        assert len(seen) == 7


class TestMistakesInScopes:
    @pytest.mark.parametrize(
        ("scope", "mistakes"),
        [
            ('["X/West"]', ["names 'X/West', in which no polling station lies"]),
            ('["X/North/Cedar"]', ["names 'X/North/Cedar', in which no polling station lies"]),
            ('["Y/North"]', ["names 'Y/North', which does not begin with the root X"]),
            ('["North"]', ["names 'North', which does not begin with the root X"]),
            ('["X/North", "X/North"]', ["names 'X/North' twice"]),
            ('["X/North/Alder", "X/North"]', ["names 'X/North/Alder', which lies in 'X/North'"]),
            ('["X", "X/North"]', ["names 'X/North', which lies in 'X'"]),
            ("[]", ["names no area: leave it out where all stations vote"]),
            ('["X/West", "X/East"]', ["names 'X/West', in which no polling station lies", "names 'X/East', in which no polling station lies"]),
        ],
    )  # fmt: skip
    def test_each_is_named_with_its_line(self, folder: Folder, scope: str, mistakes: list[str]) -> None:
        scoped(folder, ("SEAT", scope))
        assert folder.mistakes() == [f"election.toml:31: contest SEAT: scope {mistake}" for mistake in mistakes]

    def test_of_a_contest_in_a_table_too(self, folder: Folder) -> None:
        folder.write("contests.csv", 'id,name,rule,rounding.method,rounding.places,scope\nC,C,none,half-up,0,"[""X/West""]"\n')
        folder.write("candidates.csv", "contest,id,name\nC,A,A\n")
        assert folder.mistakes() == ["contests.csv:2: scope names 'X/West', in which no polling station lies"]

    def test_of_a_wrong_type(self, folder: Folder) -> None:
        scoped(folder, ("SEAT", '"X/North"'))
        assert folder.mistakes() == ['election.toml:31: contest SEAT: scope should be a list in square brackets, as ["AZ/041"]']

    @pytest.mark.parametrize(
        ("row", "mistake"),
        [
            ("NONE,A-1", "3: contest 'NONE' is no contest"),
            ("SEAT,Z-1", "3: station_id 'Z-1' is no polling station"),
            ("SEAT,A-1 ", "3: station_id begins or ends with white space: 'A-1 ' ends with U+0020"),
            ("SEAT,B-1", "3: contest SEAT names station 'B-1' twice"),
            ("SEAT", "3: 1 field, the header has 2"),
        ],
    )
    def test_in_scopes_csv(self, folder: Folder, row: str, mistake: str) -> None:
        folder.write("scopes.csv", f"contest,station_id\nSEAT,B-1\n{row}\n")
        assert folder.mistakes() == [f"scopes.csv:{mistake}"]

    def test_a_scope_and_rows(self, folder: Folder) -> None:
        scoped(folder, ("SEAT", '["X/South"]'))
        folder.write("scopes.csv", "contest,station_id\nSEAT,B-1\nSEAT,A-1\n")
        assert folder.mistakes() == ["scopes.csv:2: contest SEAT has a scope in election.toml too"]

    def test_stations_in_no_contest_are_named_with_their_lines(self, folder: Folder) -> None:
        scoped(folder, ("PRES", '["X/North/Alder"]'), ("SEAT", '["X/North/Alder"]'))
        assert folder.mistakes() == [
            "stations.csv:3: station A-2 is in no contest",
            "stations.csv:4: station B-1 is in no contest",
        ]
        folder.replace(('scope = ["X/North/Alder"]\nname = "Council"', 'name = "Council"'))
        folder.write("scopes.csv", "contest,station_id\nSEAT,B-1\n")
        assert folder.mistakes() == ["stations.csv:3: station A-2 is in no contest"]
        folder.write("scopes.csv", "contest,station_id\nSEAT,B-1\nSEAT,A-2\n")
        assert held(folder) == {"A-1": ["PRES"], "A-2": ["SEAT"], "B-1": ["SEAT"]}

    def test_nothing_is_missed_in_stations_that_could_not_be_read(self, folder: Folder) -> None:
        scoped(folder, ("SEAT", '["X/South"]'))
        folder.write("scopes.csv", "contest,station_id\nPRES,Z-1\n")
        folder.write("stations.csv", STATIONS.encode()[:-20] + b"\xff\n")
        assert [m.split(":")[0] for m in folder.mistakes()] == ["stations.csv"]

    def test_nothing_is_missed_in_contests_that_could_not_be_read(self, folder: Folder) -> None:
        scoped(folder, ("PRES", '["X/North"]'), ("SEAT", '["X/North"]'))
        folder.write("contests.csv", "id,nom\nMAYOR,Mayor\n")
        folder.write("candidates.csv", "contest,id,name\nMAYOR,A,Anna\n")
        folder.write("scopes.csv", "contest,station_id\nMAYOR,B-1\n")
        folder.write("baseline.csv", "contest,area,candidate,votes\nMAYOR,X,A,1\n")
        assert [m.split(" ")[0] for m in folder.mistakes()] == ["contests.csv:1:"]

    def test_stations_with_other_mistakes_are_looked_at_all_the_same(self, folder: Folder) -> None:
        scoped(folder, ("SEAT", '["X/West"]'))
        folder.replace((",200,", ",2oo,"), name="stations.csv")
        assert [m.split(" ")[0] for m in folder.mistakes()] == ["election.toml:31:", "stations.csv:2:"]

    def test_without_a_root_nothing_is_said_of_places(self, folder: Folder) -> None:
        scoped(folder, ("SEAT", '["X/West"]'))
        folder.replace(('root = "X"\n', ""))
        assert folder.mistakes() == ["election.toml:6: areas.root is missing"]


class TestLimits:
    def test_pairs_of_contest_and_published_area(self, folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
        assert limits.AREA_PAIRS_MAX == 1_000_000
        scoped(folder, ("SEAT", '["X/South"]'))
        monkeypatch.setattr(assembling, "AREA_PAIRS_MAX", 5)
        folder.load()
        monkeypatch.setattr(assembling, "AREA_PAIRS_MAX", 4)
        assert folder.mistakes() == [
            "election.toml:10: areas.publish_depth gives 5 pairs of contest and published area, at most 4; lower it"
        ]

    def test_pairs_of_contest_and_station(self, folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
        assert limits.STATION_PAIRS_MAX == 10_000_000
        scoped(folder, ("SEAT", '["X/South"]'))
        monkeypatch.setattr(assembling, "STATION_PAIRS_MAX", 4)
        folder.load()
        monkeypatch.setattr(assembling, "STATION_PAIRS_MAX", 3)
        assert folder.mistakes() == ["election.toml:12: the contests have 4 pairs of contest and polling station, at most 3"]

    def test_pairs_are_named_in_the_table_where_contests_stand(self, folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
        folder.write("contests.csv", "id,name,rule,rounding.method,rounding.places\nC,C,none,half-up,0\nD,D,none,half-up,0\n")
        folder.write("candidates.csv", "contest,id,name\nC,X,X\nD,X,X\n")
        monkeypatch.setattr(assembling, "STATION_PAIRS_MAX", 11)
        assert folder.mistakes() == ["contests.csv:2: the contests have 12 pairs of contest and polling station, at most 11"]

    @pytest.mark.parametrize("end", ["", "\n", "\n\n"])
    def test_no_rows_of_scopes_csv(self, folder: Folder, end: str) -> None:
        """Whatever it was to say, without it every contest is held everywhere."""
        folder.write("scopes.csv", "contest,station_id" + end)
        (mistake,) = folder.mistakes()
        assert mistake == "scopes.csv:1: has no rows: leave it out where no contest is held at single stations"

    def test_rows_of_scopes_csv(self, folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
        folder.write("scopes.csv", "contest,station_id\nSEAT,B-1\nSEAT,A-1\n")
        monkeypatch.setattr(scopes_module, "STATION_PAIRS_MAX", 2)
        folder.load()
        monkeypatch.setattr(scopes_module, "STATION_PAIRS_MAX", 1)
        assert folder.mistakes() == ["scopes.csv:3: more than 1 pairs of contest and station"]


class TestOwnClosing:
    ROWS = STATIONS.replace("region,town", "region,town,polls_close")

    def closing(self, folder: Folder, text: str) -> Folder:
        lines = self.ROWS.splitlines()
        folder.write("stations.csv", "\n".join([lines[0], lines[1] + f",{text}", *(line + "," for line in lines[2:]), ""]))
        return folder

    def test_is_kept_where_it_is_earlier_than_the_elections(self, folder: Folder) -> None:
        of = self.closing(folder, "2024-02-07T18:30:00+04:00").load()
        assert [s.polls_close_ms for s in of.stations.values()] == [of.polls_close_ms - 1_800_000, None, None]

    def test_is_part_of_the_definition_and_the_elections_own_written_out_is_not(self, folder: Folder) -> None:
        before = folder.load().digest
        assert self.closing(folder, "").load().digest == before
        assert self.closing(folder, "2024-02-07T15:00:00Z").load().digest == before
        earlier = self.closing(folder, "2024-02-07T18:30:00+04:00").load().digest
        assert earlier != before
        assert self.closing(folder, "2024-02-07T14:30:00.0009Z").load().digest == earlier
        assert self.closing(folder, "2024-02-07T14:30:00.001Z").load().digest not in (before, earlier)

    @pytest.mark.parametrize(
        ("text", "mistake"),
        [
            ("2024-02-07T19:00:01+04:00", "polls_close is later than the election's"),
            ("2024-02-07", "polls_close is '2024-02-07', not an RFC 3339 time with an offset (empty: with the election)"),
            ("2024-02-07T18:00:00Z ", "polls_close begins or ends with white space: '2024-02-07T18:00:00Z ' ends with U+0020"),
        ],
    )
    def test_that_is_none(self, folder: Folder, text: str, mistake: str) -> None:
        assert f"stations.csv:2: {mistake}" in self.closing(folder, text).mistakes()

    def test_is_not_held_against_a_closing_that_is_none(self, folder: Folder) -> None:
        self.closing(folder, "2025-01-01T00:00:00Z").replace(("polls_close = 2024-02-07T19:00:00+04:00", "polls_close = 7"))
        assert folder.mistakes() == [
            "election.toml:4: polls_close should be a time without quotation marks, as 2024-02-07T19:00:00+04:00"
        ]


class TestLevels:
    @pytest.mark.parametrize("name", ["registered", "channel", "polls_close"])
    def test_no_level_is_called_like_another_column(self, folder: Folder, name: str) -> None:
        folder.replace(('["region", "town"]', f'["region", "{name}"]'))
        assert f"election.toml:9: areas.levels names {name!r}, a column of its own in stations.csv" in folder.mistakes()
