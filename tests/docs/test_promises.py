"""docs/promises.md names tests that are there, for every promise."""

from __future__ import annotations

import ast
import re

import pytest

from tests.chaos.run import SCENES
from tests.support.paths import DOCS, ROOT

PAGE = (DOCS / "promises.md").read_text(encoding="utf-8")
ROWS = dict(re.findall(r"^\| (P\d\d) \| .+? \| (.+?) \|$", PAGE, re.M))
NO_TESTS = {
    "P12": "`bench/run.py::main`, a benchmark, not a test: `make bench`",
    "P23": "`tests/chaos/soak.py::main`, hours, not a test: `make soak`; two hours at 2,000/s, and what they left of memory, stand "
    "[below](#what-hours-of-faults-cost)",
}
PLAYED: dict[str, set[str]] = {}
"""File → its scenes. No tests by themselves: `make chaos` plays them, and in every `make test` a short round of those of
processes."""
for scene in SCENES.values():
    PLAYED.setdefault(f"{scene.__module__.replace('.', '/')}.py", set()).add(scene.__name__)


def names_in(path: str) -> set[str]:
    """What pytest runs of a file, or what a round of chaos plays."""
    if path in PLAYED:
        return PLAYED[path]
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    functions = {n.name for n in tree.body if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)}
    classes = {n.name for n in tree.body if isinstance(n, ast.ClassDef)}
    return {n for n in functions if n.startswith("test_")} | {n for n in classes if n.startswith("Test")}


def test_every_promise_has_its_row() -> None:
    assert list(ROWS) == [f"P{n:02}" for n in (*range(1, 21), 22, 23)]


@pytest.mark.parametrize("promise", ROWS)
def test_what_holds_a_promise_is_there(promise: str) -> None:
    held_by = ROWS[promise]
    if promise in NO_TESTS:
        assert held_by == NO_TESTS[promise]
        return
    named = re.findall(r"`((?:tests|bench)/[\w/]+\.py)(?:::(\w+))?`", held_by)
    assert named
    assert len(named) == held_by.count("`") // 2, "something is named that is no test"
    for path, name in named:
        assert names_in(path), f"{path} has no tests"
        assert not name or name in names_in(path), f"{path} has no test {name}"


def test_what_holds_a_promise_must_be_a_test() -> None:
    assert "one_a_key" not in names_in("tests/support/topics.py")
    assert "under_load" not in names_in("tests/chaos/scenes.py")
    assert "kill_a_worker" in names_in("tests/chaos/scenes.py")
    assert "cut_the_power" in names_in("tests/chaos/disks.py")
    assert "TestTheStream" in names_in("tests/board/test_shown.py")


def test_what_was_soaked_says_where_and_when_and_how_it_ended() -> None:
    """P23 is open: what stands there may be no success, and has to say so."""
    (soaked,) = re.findall(r"^## What hours of faults cost\n(.+?)(?=^## |\Z)", PAGE, re.M | re.S)
    assert re.search(r"\d{4}-\d\d-\d\d", soaked)
    assert "cores" in soaked
    assert len(re.findall(r"^\| \d ", soaked, re.M)) >= 4, "a row for each quarter"
    assert re.search(r"exit code \d", soaked)


def test_what_the_faults_cost_was_measured_and_says_where_and_when() -> None:
    measured = PAGE.split("<!-- chaos -->")[1]
    assert re.search(r"\d{4}-\d\d-\d\d", measured)
    assert "cores" in measured
    assert len(SCENES) == 12
    for fault in (re.split(r", | \(", name)[0] for name in SCENES):
        assert re.search(rf"^\| {fault}.*\|[\sa-z\d]*\d+\.\d", measured, re.M), fault
