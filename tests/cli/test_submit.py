"""`submit`: what a station's technician sees, without a broker, with one, and while he waits for one."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner

from tally_stream.audit.replay import Replay
from tally_stream.cli.silence import asked_at
from tally_stream.cli.submit import submit
from tally_stream.settings import load_settings
from tally_stream.station.checking import KnownStatements
from tally_stream.station.preparing import prepare
from tally_stream.station.signing_key import make_key_file, public_of
from tally_stream.station.spool import Spool, SpoolError, spooled_in
from tally_stream.wire.folder.assembling import load_election
from tests.cli.calling import call
from tests.support.brokers import Embedded
from tests.support.doc_pages import marked
from tests.support.paths import DOCS
from tests.support.processes import command, environment, run, settings_for, tied
from tests.support.report_messages import LOG_MS, as_bytes, counts, decision
from tests.support.reporting_stations import write_election
from tests.support.topics import produce, read_topic, save_log
from tests.support.waiting import wait_for


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An election of two candidates and two stations."""
    return write_election(tmp_path / "election")


def table(path: Path, *rows: str) -> str:
    path.write_text("\n".join(["station;counted_at;cast;valid;blank;invalid;ANNA;BELA", *rows]) + "\n")
    return str(path)


GOOD = "A-1;2024-02-07T20:00:00+04:00;100;96;2;2;50;46"
WARNED = "B-1;2024-02-07T20:00:00+04:00;100;90;0;10;50;40"
WRONG = "B-1;2024-02-07T20:00:00+04:00;100;96;2;3;50;46"


def test_a_good_report_needs_no_broker(folder: Path, tmp_path: Path) -> None:
    done = call("submit", table(tmp_path / "r.csv", GOOD), "--election", str(folder), "--check")
    assert done.stdout == f"{tmp_path}/r.csv:2: A-1 PRES revision 1: nothing is wrong with it\n"
    assert done.stderr == ""


def test_what_is_wrong_is_said_with_both_figures_and_how_to_go_on(folder: Path, tmp_path: Path) -> None:
    file = table(tmp_path / "r.csv", GOOD, WARNED, WRONG, GOOD)
    done = call("submit", file, "--election", str(folder), "--check", expect=1)
    assert done.stdout.splitlines() == [
        f"{file}:2: A-1 PRES revision 1: nothing is wrong with it",
        f"{file}:3:6: B-1 PRES revision 1: warning: P1: 10 invalid of 100 cast",
        f"{file}:4:6: B-1 PRES revision 1: it would be held, not counted: A2: valid, blank and invalid add up to 101, cast are 100",
        f"{file}:4:6: B-1 PRES revision 1: warning: P1: 3 invalid of 100 cast",
        f"{file}:5: A-1 PRES revision 1: note: Q1: the same statement again",
    ]
    assert "r.csv:3: B-1 PRES revision 1: look at the warnings; if the paper says so, give --accept-warnings" in done.stderr
    assert "r.csv:4: B-1 PRES revision 1: the paper contradicts itself" in done.stderr
    both = ("--accept-warnings", "--accept-errors")
    assert call("submit", file, "--election", str(folder), "--check", *both).stderr == ""


def test_what_is_refused_in_a_table_is_said_with_the_cell_and_what_may_stand_there(folder: Path, tmp_path: Path) -> None:
    file = tmp_path / "r.csv"
    file.write_text(
        "station;contest;kind;counted_at;valid;ANNA;BELA;undervotes;overvotes\n"
        "A-1;PRES;;18.05.2025 21:30;96;50;46;;\n"
        "A-1;NONE;;2024-02-07T20:00:00+04:00;96;50;46;;\n"
        "Z-9;PRES;;2024-02-07T20:00:00+04:00;96;50;46;;\n"
        "A-1;PRES;;2024-02-07T20:00:00+04:00;96;;46;;\n"
        "A-1;PRES;;2024-02-07T20:00:00+04:00;96;50;46;0;\n"
        "A-1;PRES;rapport;2024-02-07T20:00:00+04:00;96;50;46;;\n"
        "A-1;PRES;;2024-02-07T20:00:00+04:00;;50;46;;\n"
    )
    done = call("submit", str(file), "--election", str(folder), "--check", expect=1)
    assert [line.removeprefix(str(file)) for line in done.stdout.splitlines()] == [
        ":2:4: A-1 PRES revision 1: refused: S4: counted_at is 18.05.2025 21:30, not date, T, time and offset from UTC, as "
        "2024-02-07T21:42:10+04:00",
        ":3:2: A-1 NONE revision 1: refused: S2: unknown contest NONE",
        ":4:1: Z-9 PRES revision 1: refused: S2: unknown polling station Z-9",
        ":5:6: A-1 PRES revision 1: refused: S3: no votes given for ANNA",
        ":6:9: A-1 PRES revision 1: refused: S1: the field overvotes is missing in ballots, where undervotes stands",
        ":7:3: A-1 PRES revision 1: refused: S1: unknown kind rapport",
        ":8:5: A-1 PRES revision 1: refused: S1: the field valid is missing in ballots",
    ]


def test_the_example_of_the_docs_says_what_stands_there(tmp_path: Path) -> None:
    example = marked(DOCS / "stations.md", "example")
    (tmp_path / "reports.csv").write_text(example["table"].text)
    done = subprocess.run(
        command("submit", "reports.csv", "--election", "council", "--check"), cwd=tmp_path, capture_output=True, text=True, check=False,
        env={**os.environ, "XDG_STATE_HOME": str(tmp_path)},
    )  # fmt: skip
    assert (done.returncode, done.stdout + done.stderr) == (1, example["said"].text)


def test_a_station_that_nobody_knows_is_told_which_there_are(folder: Path, tmp_path: Path) -> None:
    file = table(tmp_path / "r.csv", GOOD.replace("A-1", "A-2"), GOOD.replace("A-1", "Q999"))
    said = call("submit", file, "--election", str(folder), "--check", expect=1).stderr
    assert "put it right; near it are A-1; `tally-stream check ELECTION --stations` lists all\n" in said
    assert "put it right; `tally-stream check ELECTION --stations` lists all\n" in said


def test_a_program_reads_json(folder: Path, tmp_path: Path) -> None:
    file = table(tmp_path / "r.csv", WRONG)
    done = call("submit", file, "--election", str(folder), "--check", "--json", expect=1)
    report, mistake = map(json.loads, done.stdout.splitlines())
    assert (report["station"], report["sequence"], report["revision"], report["verdict"]) == ("B-1", "PRES", 1, "held")
    assert report["remarks"][0] == {
        "code": "A2", "severity": "error", "sentence": "valid, blank and invalid add up to 101, cast are 100", "left": 101, "right": 100,
        "place": f"{file}:2:6",
    }  # fmt: skip
    assert "contradicts itself" in mistake["mistake"]


def test_a_correction_names_what_it_replaces_on_the_command_line(folder: Path, tmp_path: Path) -> None:
    file = tmp_path / "r.jsonl"
    file.write_text(
        json.dumps({
            "station": "A-1", "counted_at": "2024-02-07T20:00:00+04:00", "ballots": {"valid": 96}, "votes": {"ANNA": 50, "BELA": 46},
        })
    )  # fmt: skip
    words = ("submit", "-", "--election", str(folder), "--check", "--kind", "correct", "--revision", "2")
    assert "Q5: correct without replaces" in call(*words, expect=1, stdin=file.read_text()).stdout
    more = ("--replaces", "1", "--reason", "misread", "--authority", "the board")
    assert "Q5: replaces 1, in force is revision 0 (as far as" in call(*words, *more, expect=1, stdin=file.read_text()).stdout
    call(*words, *more, "--accept-warnings", stdin=file.read_text())


def test_wrong_usage(folder: Path, tmp_path: Path) -> None:
    assert "no election: give --election" in call("submit", "x", "--check", expect=2).stderr
    assert "x: cannot be read: No such file" in call("submit", "x", "--election", str(folder), "--check", expect=1).stderr
    empty = table(tmp_path / "empty.csv")
    assert "empty.csv: there is no report in it" in call("submit", empty, "--election", str(folder), "--check", expect=1).stderr
    broken = table(tmp_path / "broken.csv", GOOD.replace("100", "1OO"))
    assert "broken.csv:2:3: cast is '1OO'" in call("submit", broken, "--election", str(folder), "--check", expect=1).stderr


def test_a_key_that_may_not_sign_is_refused_before_anything_is_kept(folder: Path, tmp_path: Path) -> None:
    definition = folder / "election.toml"
    definition.write_text(definition.read_text() + '[security]\nsignatures = "required"\n')
    public = public_of(make_key_file(tmp_path / "a.key", None))
    (folder / "keys.csv").write_text(
        f"key_id,holder,station,kinds,public_key,valid_from,valid_to\nK-A1,School,A-1,report,{public},,\n"
    )
    spool = tmp_path / "spool"
    words = ("submit", "--election", str(folder), "--spool", str(spool), "--signing-key", str(tmp_path / "a.key"))
    file, nowhere = table(tmp_path / "r.csv", WARNED), environment(settings_for("127.0.0.1:9", "submit-key"))
    done = call(*words, file, "--accept-warnings", expect=1, **nowhere)
    s6 = f"S6: key K-A1 signs for A-1 alone ({tmp_path}/a.key, by keys.csv alone): TALLY_SIGNING_KEY names the key of B-1"
    assert done.stdout == f"{file}:2: B-1 PRES revision 1: refused: {s6}\n"
    assert "what the record says of stations and keys is not known (no Kafka broker answers at 127.0.0.1:9 (Conn" in done.stderr
    assert not spool.exists()
    typed = call(*words, "--station", "B-1", "--check", expect=1, stdin="")
    assert (typed.stdout, typed.stderr) == ("", f"tally-stream: {s6}\n")


class TestSending:
    def test_a_file_is_sent_once_however_often_it_is_given(
        self, folder: Path, tmp_path: Path, embedded_broker: Embedded
    ) -> None:
        settings = settings_for(embedded_broker.bootstrap, "submit-cli")
        file, spool = table(tmp_path / "r.csv", GOOD, WARNED), tmp_path / "spool"
        words = ("submit", file, "--election", str(folder), "--spool", str(spool), "--accept-warnings")
        done = run(*words, settings=settings)
        assert [line.partition(": sent, partition ")[0] for line in done.stdout.splitlines()[-2:]] == [
            "A-1 PRES revision 1", "B-1 PRES revision 1",
        ]  # fmt: skip
        again = run(*words, settings=settings)
        assert "A-1 PRES revision 1: note: Q1: the same statement again" in again.stdout
        assert "A-1 PRES revision 1: was sent before, partition " in again.stdout
        assert ": sent, " not in again.stdout
        _, found = read_topic(settings, "reports")
        kept = spooled_in(spool)
        assert {(r.partition, r.offset, r.key, r.value) for r in found} == {
            (s.partition, s.offset, s.key, s.value) for s in kept
        }
        assert len(kept) == 2
        nothing = run("submit", "--election", str(folder), "--spool", str(spool), settings=settings)
        assert nothing.stdout == f"nothing waits in {spool}\n"

    def test_a_correction_after_an_order_and_from_a_new_machine_takes_the_next_revision(
        self, folder: Path, tmp_path: Path, embedded_broker: Embedded
    ) -> None:
        settings = settings_for(embedded_broker.bootstrap, "submit-next")
        words = ("submit", "--election", str(folder), "--accept-warnings")
        first, new = (*words, "--spool", str(tmp_path / "first")), (*words, "--spool", str(tmp_path / "new"))
        held, right = table(tmp_path / "held.csv", WRONG.replace("B-1", "A-1")), table(tmp_path / "right.csv", GOOD)
        call(*first, held, "--accept-errors", expect=0, **environment(settings))
        partition = spooled_in(tmp_path / "first")[0].partition
        assert partition is not None, "it was sent"
        produce(settings, "reports", partition, (b"A-1", as_bytes(decision(kind="accept"))))
        corrects = ("--kind", "correct", "--reason", "misread", "--authority", "the board", "--replaces")
        done = call(*first, right, *corrects, "2", expect=0, **environment(settings))
        assert "A-1 PRES revision 3: sent" in done.stdout
        assert "not known" not in done.stdout + done.stderr
        assert "as far as this place knows" not in done.stdout, "it is known what is in force"
        other = table(tmp_path / "other.csv", GOOD.replace("50;46", "51;45"))
        assert "A-1 PRES revision 4: sent" in call(*new, other, expect=0, **environment(settings)).stdout
        log = save_log(settings, tmp_path / "log")
        replay = Replay(load_election(folder), log.topic, log.partition_count)
        assert [replay.take(record).name for record in log] == ["held", "counted", "counted", "counted"]

    def test_without_a_broker_it_waits_and_what_was_kept_stays(
        self, folder: Path, tmp_path: Path, embedded_broker: Embedded
    ) -> None:
        nowhere = settings_for("127.0.0.1:9", "submit-later")
        spool = tmp_path / "spool"
        log, figures = tmp_path / "log", tmp_path / "spool.prom"
        kept = ("--election", str(folder), "--spool", str(spool), "--metrics-file", str(figures))
        words = ("submit", table(tmp_path / "r.csv", GOOD), *kept)
        with log.open("wb") as said:
            waiting = subprocess.Popen(command(*words), stdout=said, stderr=said, **tied(nowhere))
        try:
            wait_for(lambda: "1 wait here, next try in" in log.read_text(), "a line that it waits")
            assert log.read_text().count("what the record says of stations is not known (no Kafka broker answers at 127") == 1
            refused = call(*words, expect=1, **environment(nowhere))
            assert f"{spool}: another process ({waiting.pid}) has this spool: wait for it, or end it" in refused.stderr
            waiting.send_signal(signal.SIGTERM)
            assert waiting.wait(20) == 1
        finally:
            waiting.kill()
            waiting.wait()
        assert 'tally_spool_unsent_statements{election="X-2024",topic="submit-later.reports"} 1.0' in figures.read_text()
        assert f"tally-stream: what was kept stays in {spool}; the next `tally-stream submit` sends it" in log.read_text()
        assert "Traceback" not in log.read_text()
        there = settings_for(embedded_broker.bootstrap, "submit-later")
        done = run("submit", *kept, "--json", settings=there)
        assert json.loads(done.stdout)["tries"] >= 2
        assert 'tally_spool_unsent_statements{election="X-2024",topic="submit-later.reports"} 0.0' in figures.read_text()

    def test_where_it_goes_is_said_at_once_and_soon_that_nobody_answers(
        self, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("tally_stream.cli.silence.SILENCE_SECONDS", 0.01)
        monkeypatch.setattr("tally_stream.kafka.client.REQUEST_TIMEOUT_MS", 200)
        monkeypatch.setattr("tally_stream.kafka.probe.ANSWER_SECONDS", 0.2)
        spool = tmp_path / "spool"
        with Spool(spool, "tally.reports", "X-2024") as kept:
            kept.keep([prepare(counts(), KnownStatements(load_election(folder)), LOG_MS)], LOG_MS)
        with socket.create_server(("127.0.0.1", 0)) as frozen:
            at = f"127.0.0.1:{frozen.getsockname()[1]}"
            words = ["--election", str(folder), "--spool", str(spool), "--bootstrap", at]
            asked = CliRunner().invoke(submit, [*words, "--status"])
            monkeypatch.setattr("tally_stream.station.client.back_off_seconds", _ended)
            sent = CliRunner().invoke(submit, words)
            monkeypatch.setattr("tally_stream.station.record_read.RECORD_SECONDS", 0.1)
            looked = CliRunner().invoke(submit, [table(tmp_path / "r.csv", WRONG), *words])
        assert looked.stderr.splitlines()[0] == f"tally-stream: {at} does not answer yet"
        assert asked.stderr.splitlines() == [
            f"tally-stream: {at} does not answer yet",
            f"tally-stream: {at} takes connections but does not answer: frozen, overloaded, or TALLY_BOOTSTRAP names no broker; what is shown was known before",
        ]
        assert sent.stderr.splitlines()[:2] == [
            f"tally-stream: kept in {spool}; sending to {at}",
            f"tally-stream: {at} does not answer yet",
        ]


def _ended(failures: int, chance: float) -> float:
    raise SpoolError("the first try is over")


def test_a_broker_that_nobody_named_is_said_to_be_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TALLY_BOOTSTRAP", raising=False)
    assert asked_at(load_settings()) == "127.0.0.1:9092 (TALLY_BOOTSTRAP is not set)"
    assert asked_at(load_settings(bootstrap="b:1")) == "b:1"
    assert asked_at(load_settings(intake_url="http://i:1")) == "http://i:1"
    assert asked_at(load_settings(intake_url="http://i:1", bootstrap="b:1")) == "b:1"


class TestStatus:
    def test_without_a_broker_it_shows_what_was_known_and_says_so(self, folder: Path, tmp_path: Path) -> None:
        nowhere = environment(settings_for("127.0.0.1:9", "submit-status"))
        spool = tmp_path / "spool"
        words = ("submit", "--status", "--election", str(folder), "--spool", str(spool))
        assert call(*words, expect=0, **nowhere).stdout == f"there is nothing in {spool}\n"
        with Spool(spool, "submit-status.reports", "X-2024") as kept:
            kept.keep([prepare(counts(), KnownStatements(load_election(folder)), LOG_MS)], LOG_MS)
            done = call(*words, "--save", str(tmp_path / "r.json"), expect=1, **nowhere)
        assert (
            done.stdout
            == "A-1 PRES revision 1: waiting: no broker has acknowledged it yet; it is kept here and sent again and again\n"
        )
        assert (
            "no Kafka broker answers at 127.0.0.1:9 (Connection refused): not up yet, or TALLY_BOOTSTRAP is wrong; what is shown was known before"
            in done.stderr
        )
        (saved,) = json.loads((tmp_path / "r.json").read_text())
        assert (saved["state"], saved["is_sent"]) == ("waiting", False)
        assert "Polling station:    A-1, School" in (tmp_path / "r.txt").read_text()
        nowhere_to = call(*words, "--save", str(tmp_path / "no" / "r.json"), expect=1, **nowhere)
        assert "r.json: the receipts could not be saved: No such file or directory" in nowhere_to.stderr

    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
    def test_stopped_before_a_frozen_broker_answers_it_shows_what_was_known(
        self, folder: Path, tmp_path: Path, number: signal.Signals
    ) -> None:
        spool, log = tmp_path / "spool", tmp_path / "log"
        with Spool(spool, "submit-stopped.reports", "X-2024") as kept:
            kept.keep([prepare(counts(), KnownStatements(load_election(folder)), LOG_MS)], LOG_MS)
        with socket.create_server(("127.0.0.1", 0)) as frozen, log.open("wb") as said:  # the kernel accepts, nobody answers
            nowhere = settings_for(f"127.0.0.1:{frozen.getsockname()[1]}", "submit-stopped")
            words = command("submit", "--status", "--election", str(folder), "--spool", str(spool))
            asking = subprocess.Popen(words, stdout=said, stderr=said, **tied(nowhere))
            try:
                frozen.settimeout(30)
                frozen.accept()
                asking.send_signal(number)
                assert asking.wait(20) == 1
            finally:
                asking.kill()
                asking.wait()
        assert "A-1 PRES revision 1: waiting: no broker has acknowledged it yet" in log.read_text()
        assert "tally-stream: stopped; what is shown was known before" in log.read_text()
        assert "Traceback" not in log.read_text()

    @pytest.mark.parametrize(
        ("words", "sentence"),
        [
            (("--check",), "--check looks at a FILE, and at nothing else"),
            (("x", "--check", "--wait"), "--check looks at a FILE, and at nothing else"),
            (("x", "--status"), "--status is about what was sent before: it goes without FILE"),
            (("--status", "--save", "r.txt"), "--save names a file that ends with .json"),
        ],
    )
    def test_options_that_do_not_fit(self, folder: Path, words: tuple[str, ...], sentence: str) -> None:
        said = " ".join(call("submit", "--election", str(folder), *words, expect=2).stderr.replace("│", " ").split())
        assert sentence in said
