"""`submit --station`: a report typed field by field, with running sums, a way back, and nothing odd sent without a yes."""

from __future__ import annotations

import json
import os
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from tally_stream.station.paper import time_of
from tally_stream.station.spool import Spool, spooled_in
from tests.cli.calling import call
from tests.support.brokers import Embedded
from tests.support.processes import environment, settings_for
from tests.support.reporting_stations import write_election

AT = "2024-02-07T20:00:00+04:00"
GOOD = ["", "100", "96", "2", "2", "50", "46", AT]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_election(tmp_path / "election")


def typed(folder: Path, *answers: str, expect: int = 0, more: tuple[str, ...] = ("--check",), **environment: str) -> str:
    words = ("submit", "--station", "A-1", "--election", str(folder), *more)
    done = call(*words, expect=expect, stdin="\n".join(answers) + "\n", **environment)
    return done.stdout + done.stderr


def test_sums_run_as_the_clerk_types(folder: Path) -> None:
    said = typed(folder, *GOOD)
    assert "A-1 School, register 200: Pres (PRES)" in said
    for line in ("together 100 of 100 cast: right", "so far 50 of 96 valid: 46 left", "so far 96 of 96 valid: right"):
        assert line in said
    assert "A-1 PRES revision 1: nothing is wrong with it" in said


def test_sums_that_are_not_right_are_seen_at_once(folder: Path) -> None:
    said = typed(folder, "", "100", "96", "2", "1", "50", "47", AT, expect=1)
    for line in ("together 99 of 100 cast: 1 are missing", "so far 97 of 96 valid: 1 too many"):
        assert line in said
    assert "it would be held, not counted: A1: the votes add up to 97, the valid ballots are 96" in said


def test_a_slip_is_asked_for_again_and_one_can_go_back(folder: Path) -> None:
    said = typed(folder, "", "1oo", "100", "", "96", "3", "<", "2", "2", "50", "46", "yesterday", AT)
    assert "a whole number in digits alone" in said
    assert "this has to stand there" in said
    assert "a time as 21:42, or" in said
    assert "nothing is wrong with it" in said


def test_what_is_odd_is_sent_only_with_a_yes_and_else_asked_for_once_more(
    folder: Path, tmp_path: Path, embedded_broker: Embedded
) -> None:
    there: Any = environment(settings_for(embedded_broker.bootstrap, "submit-form"))
    spool = tmp_path / "spool"
    odd = ["200", "100", "90", "0", "10", "50", "40", AT]
    again = ["", "", "96", "2", "2", "", "46", ""]
    said = typed(folder, *odd, "n", *again, "y", expect=0, more=("--spool", str(spool)), **there)
    assert "warning: P1: 10 invalid of 100 cast" in said
    assert "A-1 PRES revision 1: sent, partition" in said
    (kept,) = spooled_in(spool)
    assert json.loads(kept.value) == {
        "schema": 1, "election": "X-2024", "contest": "PRES", "kind": "report", "counted_at": AT, "registered": 200,
        "ballots": {"cast": 100, "valid": 96, "blank": 2, "invalid": 2}, "votes": {"ANNA": 50, "BELA": 46}, "station": "A-1",
        "revision": 1,
    }  # fmt: skip


def test_a_figure_that_is_not_on_the_paper_can_be_taken_back(folder: Path) -> None:
    beside = ["300", "100", "96", "2", "2", "50", "46", AT]
    said = typed(folder, *beside, "y", "-", "", "-", "", "", "-", "", "", "-", "", "", "", expect=0)
    assert "warning: P7" in said
    assert "- takes it back" in said
    assert "this has to stand there" in said, "of what has to be answered nothing is taken back"
    assert "a time as 21:42, or" in said
    assert said.rstrip().endswith("A-1 PRES revision 1: nothing is wrong with it\nNothing was sent: --check only looks.")


CORRECTED = ("--check", "--kind", "correct")


def test_a_correction_is_asked_what_it_replaces_why_and_who_decided_it(folder: Path) -> None:
    said = typed(folder, "", "one", "1", "", "a\tb", "two figures swapped", "the board", *GOOD, "y", expect=1, more=CORRECTED)
    assert "a correction says what it replaces" in said
    assert "    this has to stand there\n" in said
    assert "    has the control or separator character U+0009" in said
    assert "warning: Q5: replaces 1, in force is revision 0 (as far as this place knows" in said
    assert "without" not in said


def test_what_the_command_line_says_of_a_correction_stands_in_brackets(folder: Path, tmp_path: Path) -> None:
    named = ("--kind", "recount", "--replaces", "0", "--reason", "lost sheet", "--authority", "the court")
    spool, there = tmp_path / "spool", ("--bootstrap", "127.0.0.1:9")
    said = typed(folder, "", "", "", *GOOD, more=("--check", *named))
    assert (
        "revision that it replaces (its receipt has it) [0]: why [lost sheet]: who decided it [the court]: registered" in said
    )
    assert "A-1 PRES revision 1: nothing is wrong with it" in said
    alone = typed(folder, expect=2, more=("--spool", str(spool), "--reason", "lost sheet", *there))
    assert "--kind correct" in alone


def test_who_only_looks_is_not_asked_whether_it_is_sent(folder: Path) -> None:
    said = typed(folder, *GOOD)
    assert said.rstrip().endswith("A-1 PRES revision 1: nothing is wrong with it\nNothing was sent: --check only looks.")
    odd = typed(folder, "200", "100", "90", "0", "10", "50", "40", AT, "n", expect=1)
    assert odd.rstrip().endswith("Nothing was sent: --check only looks.\nType it once more? [y/N]:")
    assert "end it?" not in said + odd


def test_nobody_types_a_paper_that_could_not_be_kept(folder: Path, tmp_path: Path) -> None:
    with Spool(tmp_path / "spool", "tally.reports", "X-2024"):
        said = typed(folder, *GOOD, "y", expect=1, more=("--spool", str(tmp_path / "spool"), "--bootstrap", "127.0.0.1:9"))
        assert f"another process ({os.getpid()}) has this spool: wait for it, or end it" in said
        assert "Type what the paper says" not in said, "it was asked for all the same"
        assert "nothing is wrong with it" in typed(folder, *GOOD), "who only looks needs no spool"


def test_the_end_of_the_input_sends_nothing(folder: Path) -> None:
    said = typed(folder, "", "100", expect=1)
    assert "tally-stream: the input ended at a question, or was stopped there: nothing was kept" in said
    assert "Aborted" not in said


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        (("--station", "Z-9"), "Z-9: no polling station of X-2024"),
        (("--contest", "NONE"), "NONE: no contest of station A-1, which has PRES"),
        (("x.csv",), "it goes without FILE, --status and --json"),
    ],
)
def test_wrong_usage(folder: Path, more: tuple[str, ...], sentence: str) -> None:
    assert sentence in typed(folder, expect=2, more=("--check", *more))


def test_a_clock_s_time_is_the_last_moment_at_which_it_showed_that() -> None:
    now = datetime(2024, 2, 8, 0, 30, tzinfo=timezone(timedelta(hours=4)))
    assert time_of("0:10", now) == "2024-02-08T00:10:00+04:00"
    assert time_of("23:50", now) == "2024-02-07T23:50:00+04:00"
    assert time_of("00:34", now) == "2024-02-08T00:34:00+04:00", "a clock may be a little ahead"
    assert time_of(AT, now) == AT
    assert time_of("25:00", now) is None
