"""`tally-stream check`: a folder's mistakes, or what it defines and what its contests will never tell."""

import json
from pathlib import Path

import pytest

from tests.cli.calling import call
from tests.support.folders import STATIONS, Folder


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


def test_of_a_good_folder_it_prints_the_digest_and_every_contest(folder: Folder) -> None:
    folder.replace(("seats = 2", "seats = 1"))
    said = call("check", str(folder.path)).stdout
    assert folder.load().digest in said
    assert "3 polling stations, 3 published areas, 2 contests; polls close 2024-02-07T15:00:00.000Z" in said
    assert said.splitlines()[-1] == "nothing is wrong with this folder"


def test_what_is_allowed_and_hardly_meant_is_a_warning(folder: Folder) -> None:
    folder.write("stations.csv", STATIONS.replace("South", "South\u200b") + "B-2,,760,,South,Alder\n")
    said = call("check", str(folder.path)).stdout.splitlines()
    warnings = [
        f"{folder.path}/election.toml:32: contest SEAT has 2 seats, and only 1 who can take one",
        rf"{folder.path}/stations.csv:4: area 'X/South\u200b' has what nobody sees: U+200B",
        rf"{folder.path}/stations.csv:5: area 'X/South' looks like 'X/South\u200b' (line 4), and is another: they differ in U+200B",
    ]
    assert said[-4:] == [*(f"warning: {warning}" for warning in warnings), "a worker takes this folder, but see the warnings"]
    found = json.loads(call("check", str(folder.path), "--json").stdout)
    assert (found["mistakes"], found["warnings"]) == ([], warnings)


def test_it_lists_the_polling_stations(folder: Folder) -> None:
    said = call("check", str(folder.path), "--stations").stdout
    assert [line.split("\t")[0] for line in said.splitlines()] == list(folder.load().stations)
    assert "it goes without --json" in call("check", str(folder.path), "--stations", "--json", expect=2).stderr


def test_as_json_for_a_program(folder: Folder) -> None:
    folder.replace(('id = "SEAT"\n', 'id = "SEAT"\nscope = ["X/North"]\n'))
    found = json.loads(call("check", str(folder.path), "--json").stdout)
    assert (found["mistakes"], found["definition"], found["stations"]) == ([], folder.load().digest, 3)
    president, council = found["contests"]
    assert (president["id"], president["stations"], president["areas"], president["registered"]) == ("PRES", 3, 3, None)
    assert (council["id"], council["stations"], council["areas"], council["registered"]) == ("SEAT", 2, 2, 300)
    assert [sentence.split(",")[0] for sentence in president["never_tells"]] == [
        "that it is decided", "progress by registered voters and turnout", "progress by ballots"
    ]  # fmt: skip
    assert [sentence.split(",")[0] for sentence in council["never_tells"]] == ["progress by ballots"]


def test_what_contests_leave_open_is_said_once(folder: Folder) -> None:
    folder.write("stations.csv", STATIONS.replace(",250,", ",,"))
    said = call("check", str(folder.path)).stdout
    assert said.count("PRES, SEAT can not tell that it is decided, before 1 of 3 stations are counted") == 1
    folder.replace(('rule = "plurality"', 'rule = "none"'))
    assert "SEAT can not tell who is elected: its rule is none" in call("check", str(folder.path)).stdout


def test_where_nobody_is_eligible(folder: Folder) -> None:
    folder.replace(('name = "Cleo"', 'name = "Cleo"\neligible = false'))
    assert "SEAT can not tell who is elected: nobody is eligible" in call("check", str(folder.path)).stdout


def test_a_quorum_of_a_register_that_is_unknown(folder: Folder) -> None:
    question = 'rule = "referendum"\napproval = "ANNA"\n'
    folder.replace(('rule = "majority"\n', question))
    sentence = "PRES can not tell whether its quorum is reached, before 1 of 3 stations report a register"
    assert sentence not in call("check", str(folder.path)).stdout
    folder.replace((question, f'{question}quorum = {{ percent = 50, of = "cast" }}\n'))
    assert sentence in call("check", str(folder.path)).stdout


def test_every_mistake_and_exit_2(folder: Folder) -> None:
    folder.replace(('"official"', '"live"')).replace((",200,", ",2oo,"), name="stations.csv")
    done = call("check", str(folder.path), expect=2)
    assert done.stdout == ""
    lines = done.stderr.splitlines()
    assert [line.removeprefix(f"tally-stream: {folder.path}/").split(" ")[0] for line in lines] == [
        "election.toml:3:", "stations.csv:2:"
    ]  # fmt: skip
    found = json.loads(call("check", str(folder.path), "--json", expect=2).stdout)
    assert [mistake.removeprefix(f"{folder.path}/").split(" ")[0] for mistake in found["mistakes"]] == [
        "election.toml:3:", "stations.csv:2:"
    ]  # fmt: skip


def test_of_no_folder(tmp_path: Path) -> None:
    assert "no such election folder" in call("check", str(tmp_path / "none"), expect=2).stderr
    found = json.loads(call("check", str(tmp_path / "none"), "--json", expect=2).stdout)
    assert found == {"mistakes": [f"{tmp_path / 'none'}: no such folder"]}


def test_many_contests_are_not_all_in_the_table(folder: Folder) -> None:
    rows = "".join(f"C{n},Contest {n},none,half-up,0\n" for n in range(60))
    folder.write("contests.csv", "id,name,rule,rounding.method,rounding.places\n" + rows)
    folder.write("candidates.csv", "contest,id,name\n" + "".join(f"C{n},A,Anna\n" for n in range(60)))
    said = call("check", str(folder.path)).stdout
    assert "… and 12 contests more: --json has all" in said
    assert "C0, C1, C2 and 57 more can not tell who is elected: its rule is none" in said
    assert len(json.loads(call("check", str(folder.path), "--json").stdout)["contests"]) == 62


def test_of_a_night_that_ships() -> None:
    assert "6,537 polling stations" in call("check", "az-2024").stdout
