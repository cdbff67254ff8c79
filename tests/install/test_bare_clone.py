"""`make demo` and `make setup` from a bare clone: what they say, and that one adds to `.venv` what the other left out."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from bench import first_minute
from tests.install.environments import copied, run
from tests.support.waiting import wait_for

STEPS = ["making .venv with Python", "getting uv", "installing ", "making .venv/bin/tally-stream", "installed in"]


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return copied(tmp_path_factory.mktemp("bare"))


def install(clone: Path, what: str) -> list[str]:
    done = run(sys.executable, "requirements/install.py", what, cwd=clone)
    assert done.stderr == ""
    return done.stdout.splitlines()


def test_make_demo_says_what_it_does_and_needs_no_compiler(clone: Path) -> None:
    done = run(
        "make",
        f"PYTHON={sys.executable}",
        "demo",
        "ARGS=--election wisconsin-2024 --fast --exit --json",
        cwd=clone,
        CC="/nowhere/cc",
    )
    *steps, root = [line for line in done.stdout.splitlines() if not line.startswith("uv could not")]  # a network has its moods
    assert [line.startswith(begin) for line, begin in zip(steps, STEPS, strict=True)] == [True] * len(STEPS)
    assert json.loads(root)["version"] == 7_879
    assert "arning" not in done.stderr
    assert "Editable" not in done.stdout + done.stderr, "setuptools' advice is for the log"
    assert list(clone.glob("tally_stream/**/*.so")) == []
    assert run(clone / ".venv/bin/tally-stream", "--version", cwd=clone.parent).stdout.startswith("tally-stream, version ")
    again = run("make", "--dry-run", "demo", cwd=clone).stdout.split()
    assert again == [".venv/bin/tally-stream", "demo"], "nothing is installed twice"


def test_a_demo_runs_no_compiled_code_that_is_older_than_its_source(clone: Path) -> None:
    venv = clone / ".venv"
    for name in (".runtime", ".ready", ".compiled"):
        (venv / name).touch()
    assert "compile" not in run("make", "--dry-run", "demo", cwd=clone).stdout
    (clone / "tally_stream/domain/fold.py").touch()
    assert "requirements/install.py compile" in run("make", "--dry-run", "demo", cwd=clone).stdout
    for name in (".ready", ".compiled"):
        (venv / name).unlink()
    assert "compile" not in run("make", "--dry-run", "demo", cwd=clone).stdout, "what was never compiled is not"


def test_an_environment_that_was_left_half_made_is_made_again(clone: Path) -> None:
    """As Debian leaves it without python3-venv, or Ctrl-C: a python, and no pip."""
    for path in (clone / ".venv/bin").glob("pip*"):
        path.unlink()
    assert install(clone, "runtime")[0].startswith("making .venv with Python")
    run(clone / ".venv/bin/tally-stream", "--version", cwd=clone.parent)


def test_setup_adds_to_it_and_a_demo_takes_nothing_out(clone: Path) -> None:
    assert [line.split(" ")[0] for line in install(clone, "dev")] == ["installing", "installed"]
    assert [line.split(" ")[0] for line in install(clone, "runtime")] == ["installing", "making", "installed"]
    run(clone / ".venv/bin/python", "-c", "import pytest, mypyc, aiokafka, confluent_kafka", cwd=clone.parent)


def test_pip_installs_where_uv_cannot(clone: Path) -> None:
    uv = clone / ".venv/bin/uv"
    uv.write_text("#!/bin/sh\necho no platform of mine >&2\nexit 1\n")
    said = install(clone, "runtime")
    assert "uv could not; pip installs them, which takes longer" in said
    run(clone / ".venv/bin/tally-stream", "--version", cwd=clone.parent)


def test_what_failed_is_shown_with_the_log(clone: Path) -> None:
    pins = clone / "requirements" / "runtime.txt"
    whole = pins.read_text()
    pins.write_text("rich==15.0.0 --hash=sha256:" + "0" * 64 + "\n")
    run(clone / ".venv/bin/python", "-m", "pip", "uninstall", "--quiet", "--yes", "rich", cwd=clone)
    done = run(sys.executable, "requirements/install.py", "runtime", cwd=clone, expect=1)
    pins.write_text(whole)
    assert "installing failed; build/install.log has all of it" in done.stderr
    assert "hash" in done.stderr.lower()


def test_the_first_minute_is_measured_step_by_step_and_ends_what_it_started(tmp_path: Path) -> None:
    (tmp_path / "Makefile").write_text(
        "demo:\n\t@echo making .venv with Python 3; echo getting uv; sleep 0.2; echo making .venv/bin/tally-stream; "
        "echo $$$$ >child; echo 'first 0.00 % of polling stations (0 of 9)'; exec sleep 300\n"
    )
    (tmp_path / "scratch").mkdir()
    steps, seconds, lines = first_minute.first_standings(tmp_path, tmp_path / "scratch", "python3")
    assert [step for step, _ in steps] == ["make", "venv", "installer", "command"]
    assert seconds is not None
    assert sum(took for _, took in steps) == pytest.approx(seconds)
    assert lines[-1].endswith("(0 of 9)")
    child = Path("/proc", (tmp_path / "child").read_text().strip())
    wait_for(lambda: not child.exists() or None, "the child's end", 10)


def test_every_step_that_is_measured_is_a_line_that_is_printed() -> None:
    root = Path(first_minute.__file__).parents[1]
    said = (root / "requirements/install.py").read_text() + (root / "tally_stream/cli/demo.py").read_text()
    assert all(begin in said for begin, _ in first_minute.STEPS)
    assert first_minute.FIRST_STANDINGS in (root / "tally_stream/cli/view.py").read_text()
