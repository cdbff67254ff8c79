"""`held` as it is typed: a block a case, JSON, and what it refuses; which cases there are is in tests/export/test_desk.py."""

from __future__ import annotations

import json
import uuid
from pathlib import Path

import pytest
from rich.console import Console

from tally_stream.cli import desk
from tally_stream.domain.scalars import murmur2_partition
from tally_stream.kafka.embedded import AUTO_PARTITIONS
from tests.support.brokers import Embedded
from tests.support.folders import Folder
from tests.support.processes import run, settings_for
from tests.support.report_messages import counts
from tests.support.topics import produce

WRONG = {"cast": 99, "valid": 96, "blank": 2, "invalid": 2}


def test_what_is_open_is_listed_with_what_it_needs(embedded_broker: Embedded, tmp_path: Path) -> None:
    Folder(tmp_path)
    settings = settings_for(embedded_broker.bootstrap, f"t{uuid.uuid4().hex[:8]}")
    words = ("held", "--election", str(tmp_path))
    for statement in (counts(), counts(station="B-1", ballots=WRONG), counts(votes={"ANNA": 46, "BELA": 50})):
        partition = murmur2_partition(statement["station"].encode(), AUTO_PARTITIONS)
        produce(settings, "reports", partition, (statement["station"].encode(), json.dumps(statement).encode()))
    said = " ".join(run(*words, settings=settings).stdout.split())
    for line in (
        "B-1 Hall, town, X/South, PRES: held since",
        "A2: valid, blank and invalid add up to 100, cast are 99",
        "┃ figure ┃ nothing in force ┃ held (revision 1) ┃ difference ┃",
        "· the paper says the same, and it is to count as it is: tally-stream authority accept --contest PRES --station B-1",
        "A-1 School 1, X/North, PRES: disputed since",
        "Q3: two different statements under revision 1; the first in the log stands",
        "│ ANNA │ 50 │ 46 │ -4 │",
        "2 cases",
    ):
        assert line in said
    assert said.index("B-1 Hall") < said.index("A-1 School"), "the oldest first"
    lines = run(*words, "--station", "A-1", "--json", settings=settings).stdout.splitlines()
    assert [json.loads(line)["station"] for line in lines] == ["A-1"]
    assert "no report is held" in run(*words, "--contest", "SEAT", settings=settings).stdout
    assert "no contest of X-2024" in run(*words, "--contest", "MAYOR", settings=settings, expect=2).stderr
    assert "no station of X-2024" in run(*words, "--station", "Z", settings=settings, expect=2).stderr
    assert "give --election" in run("held", settings=settings, expect=2).stderr


def test_of_many_cases_some_are_shown_and_the_others_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    console = Console(width=160, force_terminal=False, highlight=False)
    monkeypatch.setattr(desk, "out", console)
    monkeypatch.setattr(desk, "CASES_SHOWN_MAX", 2)
    figures = {"revision": 1, "ballots": {"cast": 1}, "votes": {f"C{n}": n for n in range(60)}}
    case = {
        "since": "2024-02-07T17:00:01.000Z", "contest": "PRES", "station": "A-1", "name": "[red]School", "area": "X", "is_annulled": True,
        "in_force_revision": 0, "in_force": None, "held": figures, "codes": [{"code": "A2", "message": "[bold]x"}], "is_disputed": False, "other": None,
        "needs": [{"what": "this", "command": None}],
    }  # fmt: skip
    with console.capture() as capture:
        desk.show([case] * 5)
    said = capture.get()
    assert "A-1 [red]School, X, PRES: annulled, held since" in said, "names are never markup"
    assert "and 21 more" in said
    assert "5 cases, 3 not shown: --json has all" in said
