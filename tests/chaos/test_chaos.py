"""A short round of `make chaos`: one of each fault on a real cluster of three brokers; and its checks can say no.

Under a fifth of its load: what is checked is that nothing is lost and all that is published is right, not how much goes
through, and each scene checks the whole log anew.
"""

import json
import os
import random
import subprocess
import sys
from collections import Counter, deque
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from bench.load import Load, reports, write_definition
from tally_stream.audit.replay import Replay
from tally_stream.audit.verify import Found
from tally_stream.settings import load_settings
from tally_stream.wire.folder.assembling import load_election
from tally_stream.wire.messages import canonical_json
from tally_stream.wire.report_log import LogRecord, ReportLog, encode_header, encode_line
from tests.chaos import run as chaos
from tests.chaos.load import Newsroom, Stations
from tests.chaos.run import Due, compare_verdicts, not_lost, percentile
from tests.chaos.scenes import SCENES
from tests.chaos.stage import SESSION_OVER, Stage
from tests.support.brokers import require_local_kafka

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.kafka


def test_one_of_each_fault_loses_nothing() -> None:
    require_local_kafka()
    done = subprocess.run(
        [sys.executable, "-m", "tests.chaos.run", "--short", "--reports", "5000", "--per-second", "100"],
        cwd=ROOT, text=True, check=False,
        capture_output=True, timeout=900, env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    print(done.stdout)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "none lost" in done.stdout
    assert "standings messages equal what" in done.stdout
    for name in SCENES:
        assert f"{name:36}" in done.stdout, f"{name} was not played"


@pytest.mark.parametrize("words", [[], ["--only", "one way"], ["--short", "--only", "one way"]], ids=" ".join)
def test_in_ci_a_scene_that_cannot_be_played_is_a_failure(
    words: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(chaos, "missing", lambda: "needs ip")
    monkeypatch.setattr(chaos, "enter", lambda: None)
    monkeypatch.setattr(chaos, "KafkaThreeOnDisks", lambda **_: pytest.fail("a cluster was started"))
    monkeypatch.setattr(sys, "argv", ["chaos", *words])
    monkeypatch.setenv("TALLY_CI", "1")
    assert chaos.main() == 1
    assert capsys.readouterr().out == "cut a worker off, one way: cannot be played: needs ip\n"


def test_percentiles_never_understate() -> None:
    assert [percentile([3.0, 1.0, 2.0], p) for p in (1, 50, 99)] == [1.0, 2.0, 3.0]
    assert percentile([float(n) for n in range(1, 201)], 99) == 198.0


def a_newsroom(*arrivals: float) -> Newsroom:
    room = Newsroom.__new__(Newsroom)
    room.advances = [(time, version) for version, time in enumerate(arrivals)]
    return room


def test_the_silence_is_the_longest_that_the_fault_can_have_made() -> None:
    room = a_newsroom(0, 1, 2, 9, 10, 30)
    assert room.longest_silence(1.5, 5) == 7  # it began at 2, after the fault, and ended at 9
    assert room.longest_silence(3, 5) == 6  # under way when the fault came: from the fault on
    assert room.longest_silence(3, 10) == 20


# -- the checks after a scene, without a broker ------------------------------------------------------------------------


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ReportLog]:
    """A definition, and a log of one partition with rejections and corrections in it."""
    folder, load = tmp_path_factory.mktemp("night"), Load(150)
    write_definition(load, folder)
    path = folder / "saved.jsonl"
    with path.open("wb") as file:
        file.write(encode_header("t.reports", 1))
        for offset, (key, value, time_ms) in enumerate(reports(load)):
            file.write(encode_line(LogRecord(time_ms, key, value, 0, offset), with_position=True))
    return folder, ReportLog(path)


def a_stage(directory: Path, **known: Any) -> Stage:
    stations, newsroom = Stations.__new__(Stations), Newsroom.__new__(Newsroom)
    stations.acknowledged, newsroom.heard = known.pop("acknowledged", {}), deque(known.pop("heard", ()))
    return Stage(None, load_settings(), directory, directory, stations, newsroom, True, random.Random(1), **known)


def messages_at(night: tuple[Path, ReportLog], end: int) -> list[Found]:
    replay = Replay(load_election(night[0]), "t.reports", 1)
    for record in list(night[1])[:end]:
        replay.take(record)
    return [Found("here", f"PRES|{m['area']}".encode(), canonical_json(m)) for m in replay.messages(0)]


def test_a_wrong_message_that_a_right_one_replaced_is_found(night: tuple[Path, ReportLog]) -> None:
    election, end = load_election(night[0]), len(list(night[1]))
    heard = messages_at(night, 200) + messages_at(night, end)
    due = Due(election, night[1], a_stage(night[0], heard=heard).newsroom)
    assert due.compared == len(heard)
    assert not due.differences
    due.compare_newest({found.key: found.value for found in heard if found.key})
    with pytest.raises(AssertionError, match="out of date"):
        due.compare_newest({found.key: found.value for found in messages_at(night, 200) if found.key})
    wrong = json.loads(heard[0].value)
    wrong["ballots"]["cast"] += 1
    heard[0] = Found("here", heard[0].key, canonical_json(wrong))
    due = Due(election, night[1], a_stage(night[0], heard=heard).newsroom)
    assert [d.field for d in due.differences] == ["ballots.cast"]


def test_a_lost_report_and_one_with_other_bytes_are_found(night: tuple[Path, ReportLog]) -> None:
    records = list(night[1])
    acknowledged = {(0, r.offset): r.value for r in records}
    assert not_lost(a_stage(night[0], acknowledged=acknowledged), night[1]) == len(records)
    with pytest.raises(AssertionError, match="not on the log"):
        not_lost(a_stage(night[0], acknowledged={**acknowledged, (0, len(records)): b""}), night[1])
    with pytest.raises(AssertionError, match="other bytes"):
        not_lost(a_stage(night[0], acknowledged={**acknowledged, (0, 3): b"{}"}), night[1])


def test_verdicts_of_the_living_workers_are_replays(night: tuple[Path, ReportLog]) -> None:
    due = Due(load_election(night[0]), night[1], a_stage(night[0]).newsroom)
    total, right = len(list(night[1])), Counter(due.replay.verdict_counts())
    del right["codes"]
    right["read"] = total

    def told(counts: Counter[str]) -> Any:
        return SimpleNamespace(verdicts=lambda: Counter(counts))

    other = right + Counter(rejected=1)
    other["counted"] -= 1  # it still adds up
    compare_verdicts(a_stage(night[0], workers={"one": told(right)}), due.replay, total)
    with pytest.raises(AssertionError):
        compare_verdicts(a_stage(night[0], workers={"one": told(other)}), due.replay, total)


def test_an_ending_that_the_fault_does_not_explain_is_a_surprise(tmp_path: Path) -> None:
    stage = a_stage(tmp_path)
    log = tmp_path / "one-1.log"
    over = "tally-stream: fatal: no answered heartbeat for 10.4 s: the session is over\n"
    log.write_text("tally-stream: caught up: 3 records\n" + over)
    assert stage.surprises() == [f"one-1.log: {over.strip()}"]
    stage.may_end_of += SESSION_OVER
    log.write_text(log.read_text() + over)
    assert stage.surprises() == []  # what was told before is not told again
    log.write_text(log.read_text() + "Traceback (most recent call last):\ntally-stream: fatal: other bytes than ours\n")
    assert len(stage.surprises()) == 2
