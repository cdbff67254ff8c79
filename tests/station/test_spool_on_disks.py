"""The spool on disks that are full, that fail, and whose power is cut: at each call, one after the other."""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from deploy.kafka.local.disk import KafkaOnDisks
from tally_stream.station.spool import Spool, spooled_in
from tests.station.killed_spool import STEPS
from tests.support.paths import ROOT
from tests.support.processes import LIFELINE
from tests.support.report_messages import ELECTION

CALLS_MAX = 100
Keeps = Callable[..., str]
KEEPS = """
import json, os, sys, traceback
from pathlib import Path
from types import SimpleNamespace as Record
from tally_stream.station.spool import Spool, SpoolError

def keep(path, first, next):
    try:
        spool = Spool(Path(path), "t.reports", "X-2024")
        numbers = range(first, next)
        spool.keep([Record(station="A-1", sequence="PRES", revision=n, kind="report", key=b"A-1", value=b"x" * 9000) for n in numbers], 1)
        print("kept")
        spool.close()
    except SpoolError as error:
        print("SpoolError", error)

for line in sys.stdin:
    *words, fault = json.loads(line)
    if os.fork() == 0:
        os.environ.update(fault)
        try:
            keep(*words)
        except BaseException:
            traceback.print_exc(file=sys.stdout)
        sys.stdout.flush()
        os._exit(0)
    os.wait()
    print("ended", flush=True)
"""
"""Keeps revisions, all or none, for each line that asks for it: in a process of its own, whose calls are counted from 1."""


@pytest.fixture(scope="module")
def failing(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if shutil.which("gcc") is None:
        pytest.skip("gcc is missing")
    library = tmp_path_factory.mktemp("failing") / "disk.so"
    source = Path(__file__).parent / "failing_disk.c"
    subprocess.run(["gcc", "-shared", "-fPIC", "-O2", "-o", str(library), str(source), "-ldl"], check=True)
    return library


@pytest.fixture(scope="module")
def keeps(failing: Path) -> Iterator[Keeps]:
    """Keeps the revisions from the first to below the next; what it said."""
    with subprocess.Popen(
        [sys.executable, "-c", KEEPS], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        **LIFELINE.arguments({**os.environ, "LD_PRELOAD": str(failing)}),
    ) as process:  # fmt: skip
        asked, said = process.stdin, process.stdout
        assert asked is not None
        assert said is not None

        def keep(path: Path, first: int, next: int, **fault: str) -> str:
            print(json.dumps([str(path), first, next, fault]), file=asked, flush=True)
            lines = []
            while (line := said.readline()) != "ended\n":
                assert line, "the process is gone"
                lines.append(line)
            return "".join(lines)

        yield keep
        asked.close()


@pytest.mark.parametrize("is_new", [True, False], ids=["a new spool", "one with a statement"])
@pytest.mark.parametrize(
    ("calls", "number", "sentence"),
    [
        ("write", errno.ENOSPC, "the disk is full, and nothing was kept: make room, then give it again"),
        ("write", errno.EIO, "the disk could not be read or written (SQLITE_IOERR_"),
        ("sync", errno.EIO, "the disk could not be read or written (SQLITE_IOERR_"),
    ],
)
def test_refused_at_each_call_it_is_named_and_nothing_is_torn(
    keeps: Keeps, tmp_path: Path, calls: str, number: int, sentence: str, is_new: bool
) -> None:
    said: list[str] = []
    for at in range(1, CALLS_MAX):
        path = tmp_path / str(at) / "spool"
        path.parent.mkdir()
        before = [] if is_new else [1]
        if not is_new:
            assert keeps(path, 1, 2) == "kept\n"
        fault = {
            "FAIL_FILE": str(path),
            "FAIL_CALLS": calls,
            "FAIL_FROM": str(at),
            "FAIL_WITH": str(number),
        }
        said.append(keeps(path, 2, 5, **fault))
        with Spool(path, "t.reports", ELECTION.id) as mended:
            found = [spooled.revision for spooled in mended.all()]
        if said[-1].startswith("kept"):
            assert found == [*before, 2, 3, 4], "what was promised is there"
        else:
            assert said[-1].startswith(f"SpoolError {path}: "), "the file is named"
            assert found in (before, [*before, 2, 3, 4]), "all of them or none"
            assert found == before or "nothing was kept" not in said[-1]
        if said[-1] == "kept\n" and (at > 1 and said[-2] == said[-1]):
            break
    else:
        pytest.fail("it never got through")
    assert any(sentence in one for one in said), said
    assert len(said) > 3, "some calls were refused"


@pytest.fixture(scope="module")
def disks(tmp_path_factory: pytest.TempPathFactory) -> KafkaOnDisks:
    """It records what is synced; none of its brokers is started."""
    return KafkaOnDisks(tmp_path_factory.mktemp("recorder"))


@pytest.mark.parametrize("step", STEPS)
def test_what_was_sent_is_on_the_disk_when_the_power_is_cut(step: str, disks: KafkaOnDisks, tmp_path: Path) -> None:
    """Every file of the spool is cut back to what was synced, at each step; what a broker has then, the spool has too."""
    (tmp_path / "recorder").mkdir()
    folder = tmp_path / "disk"
    folder.mkdir()
    words = [sys.executable, "-m", "tests.station.killed_spool", step, str(folder / "spool"), str(tmp_path / "topic")]
    done = subprocess.run(
        words, check=False, timeout=60, cwd=ROOT, env={**os.environ, **disks.preloaded(tmp_path / "recorder")}
    )
    assert done.returncode == (0 if step == "none" else -signal.SIGKILL)
    record = tmp_path / "recorder" / "disk-synced"
    if record.exists():
        disks.cut_back(folder, record)
    else:
        shutil.rmtree(folder)
    with Spool(folder / "spool", "t.reports", ELECTION.id) as after:
        kept = [spooled.value for spooled in after.all()]
    sent = (tmp_path / "topic").read_bytes().splitlines() if (tmp_path / "topic").exists() else []
    assert set(sent) <= set(kept)
    assert len(kept) == (STEPS.index(step) >= STEPS.index("kept"))
    if step in ("noted", "none"):
        assert spooled_in(folder / "spool")[0].offset == 0
