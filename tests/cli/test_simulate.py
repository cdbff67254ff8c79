"""`simulate` as a user calls it: a night that `check` and `replay` take, and refusals in sentences."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.calling import call


def test_check_and_replay_take_what_it_writes(tmp_path: Path) -> None:
    night = str(tmp_path / "night")
    said = call("simulate", night, "--stations", "60", "--seed", "3", "--contests", "1").stdout
    assert "records of 60 polling stations" in said
    expected = json.loads((tmp_path / "night" / "simulate.json").read_bytes())
    for code, count in expected["verdicts"]["codes"].items():
        assert f"{code} {count}" in said
    assert "nothing is wrong with this folder" in call("check", night).stdout
    verdicts = json.loads(call("replay", night, "--json", "--verdicts").stderr)
    assert verdicts == expected["verdicts"]


def test_json_is_what_the_folder_has(tmp_path: Path) -> None:
    night = tmp_path / "night"
    arguments = ("--stations", "9", "--seed", "3", "--errors", "none", "--phase", "test", "--signed", "--json")
    said = json.loads(call("simulate", str(night), *arguments).stdout)
    assert said == json.loads((night / "simulate.json").read_bytes())
    assert said["verdicts"]["codes"] == {}
    assert said["plan"]["signed"]
    assert json.loads(call("check", str(night), "--json").stdout)["phase"] == "test"


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("--errors", "s1, Z9"), "Z9: no code that a record can earn; there are X1 S1"),
        (("--errors", "S7"), "S7: only a log of 2 partitions or more has it; add --partitions"),
        (("--contests", "1"), "there is no room for"),
    ],
)
def test_a_night_that_cannot_be_is_refused(tmp_path: Path, arguments: tuple[str, ...], why: str) -> None:
    assert why in call("simulate", str(tmp_path / "night"), "--stations", "9", "--seed", "1", *arguments, expect=1).stderr
    assert not (tmp_path / "night").exists()


@pytest.mark.parametrize("option", [("--rate", "5"), ("--prefix", "x"), ("--bootstrap", "127.0.0.1:9092")])
def test_a_file_has_no_pace_and_no_broker(tmp_path: Path, option: tuple[str, str]) -> None:
    said = call("simulate", str(tmp_path / "night"), "--stations", "9", "--seed", "1", *option, expect=2).stderr
    assert "--rate, --bootstrap and --prefix are for --to kafka" in said
    assert not (tmp_path / "night").exists()


@pytest.mark.parametrize(
    "arguments", [("--stations", "0", "--seed", "1"), ("--stations", "2000001", "--seed", "1"), ("--seed", "1")]
)
def test_wrong_usage_exits_2(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    call("simulate", str(tmp_path / "night"), *arguments, expect=2)


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine", encoding="utf-8")
    inside = str(tmp_path / "file" / "night")
    assert (
        f"{inside}: Not a directory"
        in call("simulate", inside, "--stations", "9", "--seed", "1", "--errors", "none", expect=1).stderr
    )
