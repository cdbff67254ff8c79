"""The spool: what is kept is kept whole, whatever kills the process; and one process has it. Disks: `test_spool_on_disks.py`."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from tally_stream.station.checking import KnownStatements
from tally_stream.station.preparing import Prepared, prepare
from tally_stream.station.spool import Spool, SpoolError, SpoolFigures, spool_path, spooled_in
from tests.station.killed_spool import STEPS
from tests.support.preloaded import ran
from tests.support.report_messages import ELECTION, LOG_MS, counts

TOPIC = "t.reports"


def record(revision: int = 1, station: str = "A-1") -> Prepared:
    return prepare(counts(revision=revision, station=station), KnownStatements(ELECTION), LOG_MS)


def opened(path: Path) -> Spool:
    return Spool(path, TOPIC, ELECTION.id)


def opens(path: Path) -> str:
    """Python that opens it, for a process of its own."""
    return f"from pathlib import Path\nfrom tally_stream.station.spool import Spool\nspool = Spool(Path({str(path)!r}), {TOPIC!r}, 'X-2024')"


def refused(path: Path, mode: int) -> None:
    raise PermissionError(1, "Operation not permitted", str(path))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "spool"


class TestKeeping:
    def test_the_exact_bytes_stand_there(self, path: Path) -> None:
        odd = replace(record(), key=b"\xff\x00", value=b"\x00 not JSON \xfe")
        with opened(path) as spool:
            assert spool.keep([record(), replace(odd, revision=2)], 7) == [1, 2]
        found = spooled_in(path)
        assert [(s.key, s.value, s.kept_ms) for s in found] == [(b"A-1", record().value, 7), (odd.key, odd.value, 7)]
        assert str(found[0]) == "A-1 PRES revision 1"

    def test_the_same_again_is_the_same_and_other_content_is_refused(self, path: Path) -> None:
        with opened(path) as spool:
            assert spool.keep([record()], 1) == spool.keep([record()], 2) == [1]
            with pytest.raises(SpoolError, match="A-1 PRES revision 1 was kept before with other content"):
                spool.keep([record(2), replace(record(), value=b"other")], 3)
            assert [s.revision for s in spool.all()] == [1], "all of them or none"
            assert spool.find("A-1", "PRES", 1) == 1
            with pytest.raises(KeyError):
                spool.find("A-1", "PRES", 2)

    def test_a_station_s_next_statement_waits_for_the_one_before_it(self, path: Path) -> None:
        with opened(path) as spool:
            spool.keep([record(1), record(2), record(1, "B-1")], 1)
            assert [s.id for s in spool.due(10)] == [1, 3]
            assert [s.id for s in spool.due(1)] == [1]
            spool.note_failed([1], "nobody is there")
            assert [(s.tries, s.last_error) for s in spool.due(1)] == [(1, "nobody is there")]
            spool.note_sent([(1, 3, 17)], 9)
            assert [s.id for s in spool.due(10)] == [2, 3]
            assert spool.waiting_count() == 2
            (first, _) = spool.of([1, 2])
            assert (first.partition, first.offset, first.sent_ms, first.tries, first.last_error) == (3, 17, 9, 2, None)
            spool.note_receipts([(1, "counted", "{}")])
        assert next((s.receipt_state, s.receipt) for s in spooled_in(path)) == ("counted", "{}")


class TestWhose:
    def test_what_it_comes_to(self, path: Path) -> None:
        with opened(path) as spool:
            assert spool.figures() == SpoolFigures(0, None, {})
            spool.keep([record(), record(station="B-1"), record(2)], 7_000)
            spool.keep([record(3)], 9_000)
            assert spool.figures() == SpoolFigures(4, 7_000, {"unsent": 2})
            spool.note_sent([(1, 0, 5), (2, 0, 6)], 10_000)
            assert spool.figures() == SpoolFigures(2, 7_000, {"unsent": 1, "waiting": 1})
            spool.note_sent([(3, 0, 7)], 10_000)
            spool.note_receipts([(1, "rejected", "…"), (2, "held", "…"), (3, "rejected", "…")])
            assert spool.figures() == SpoolFigures(1, 9_000, {"unsent": 1, "held": 1})
            spool.note_sent([(4, 0, 8)], 10_000)
            spool.note_receipts([(4, "counted", "…")])
            assert spool.figures() == SpoolFigures(0, None, {"counted": 1, "held": 1}), "what was put right is no longer told"
            spool.keep([record(4)], 11_000)
            spool.note_refused([(5, "no", "conflicting", "…")])
            assert spool.figures() == SpoolFigures(0, None, {"conflicting": 1, "held": 1}), (
                "an intake refused it: it waits no more"
            )

    def test_a_second_process_is_refused_by_name(self, path: Path) -> None:
        with opened(path) as spool:
            other = subprocess.run([sys.executable, "-c", opens(path)], capture_output=True, text=True, check=False)
            assert f"{path}: another process ({os.getpid()}) has this spool: wait for it, or end it" in other.stderr
            spool.keep([record()], 1)
            assert [s.id for s in spooled_in(path)] == [1], "to look at it needs no lock"
        opened(path).close()

    def test_no_other_user_of_the_machine_reads_it(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        files = [path, *(path.with_name(path.name + end) for end in ("-wal", "-shm", ".lock"))]
        before = os.umask(0)
        try:
            with monkeypatch.context() as strict:
                strict.setattr(Path, "chmod", refused)  # made so: who opened it in between would read on
                with opened(path) as spool:
                    spool.keep([record()], 1)
                    assert [file.stat().st_mode & 0o777 for file in files] == [0o600] * 4
        finally:
            os.umask(before)
        path.chmod(0o644)
        with opened(path):  # as they were made before
            assert [file.stat().st_mode & 0o777 for file in files] == [0o600] * 4

    def test_another_election_or_topic_is_refused(self, path: Path) -> None:
        opened(path).close()
        with pytest.raises(SpoolError, match=r"the spool of X-2024 on t\.reports, not of X-2024 on u\.reports: TALLY_SPOOL"):
            Spool(path, "u.reports", ELECTION.id)
        with pytest.raises(SpoolError, match=r"not of Y-2024 on t\.reports"):
            Spool(path, TOPIC, "Y-2024")

    def test_what_is_no_spool_is_not_written_to(self, path: Path) -> None:
        with sqlite3.connect(path) as db:
            db.execute("CREATE TABLE others (x)")
        before = path.read_bytes()
        with pytest.raises(SpoolError, match="a database, but no spool"):
            opened(path)
        path.with_name("text").write_bytes(b"no database" * 1_000)
        with pytest.raises(SpoolError, match="damaged, or no spool"):
            opened(path.with_name("text"))
        assert path.read_bytes() == before
        path.unlink()
        opened(path).close()
        with sqlite3.connect(path) as db:
            db.execute("PRAGMA user_version = 2")
        with pytest.raises(SpoolError, match="a spool of format 2, this version reads 1"):
            opened(path)

    def test_a_place_that_cannot_be_written_to_is_named(self, path: Path) -> None:
        path.write_bytes(b"")
        with pytest.raises(SpoolError, match=r"below: cannot be written to \(File exists\): TALLY_SPOOL"):
            opened(path / "below")

    def test_where_it_lies(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
        assert spool_path(None, "tally", "X-2024") == tmp_path / "tally-stream" / "tally-X-2024.spool"
        assert spool_path("mine", "tally", "X-2024") == Path("mine")
        monkeypatch.setenv("XDG_STATE_HOME", "")
        assert spool_path(None, "t", "X") == Path.home() / ".local/state/tally-stream/t-X.spool"


@pytest.mark.parametrize("step", STEPS)
def test_killed_at_each_step_nothing_is_torn_and_nothing_lost(step: str, path: Path, tmp_path: Path) -> None:
    topic = tmp_path / "topic"

    def once(killed_at: str) -> int:
        words = [sys.executable, "-m", "tests.station.killed_spool", killed_at, str(path), str(topic)]
        return ran(words, os.environ, 60).returncode

    assert once(step) == (0 if step == "none" else -signal.SIGKILL)
    at = STEPS.index(step)
    kept = [s.value for s in spooled_in(path)]
    sent = topic.read_bytes().splitlines() if topic.exists() else []
    assert len(kept) == (at >= STEPS.index("kept")), "a row that is whole, or none"
    assert len(sent) == (at >= STEPS.index("taken"))
    assert once("none") == 0, "the lock is free, and it goes on"
    (spooled,) = spooled_in(path)
    sent = topic.read_bytes().splitlines()
    assert set(sent) == {spooled.value}, "the same bytes"
    assert len(sent) == (2 if step in ("taken", "before it is noted", "before that is committed") else 1), (
        "once more only where its answer was not noted"
    )
    assert spooled.offset == len(sent) - 1
