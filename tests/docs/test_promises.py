"""docs/promises.md names tests that are there, for every promise."""

from __future__ import annotations

import ast
import re

import pytest

from .pages import DOCS, ROOT

PAGE = (DOCS / "promises.md").read_text(encoding="utf-8")
ROWS = dict(re.findall(r"^\| (P\d\d) \| .+? \| (.+?) \|$", PAGE, re.M))
MAY_BE_OPEN = {"P03", "P16", "P18"}


def names_in(path: str) -> set[str]:
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    return {n.name for n in tree.body if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)}


def test_every_promise_has_its_row() -> None:
    assert list(ROWS) == [f"P{n:02}" for n in range(1, 19)]


@pytest.mark.parametrize("promise", ROWS)
def test_what_holds_a_promise_is_there(promise: str) -> None:
    held_by = ROWS[promise]
    named = re.findall(r"`((?:tests|bench)/[\w/]+\.py)(?:::(\w+))?`", held_by)
    assert named or (promise in MAY_BE_OPEN and held_by.startswith("open: "))
    assert not held_by.startswith("open") or promise in MAY_BE_OPEN
    for path, name in named:
        assert (ROOT / path).is_file(), path
        assert not name or name in names_in(path), f"{path} has no {name}"


def test_what_the_faults_cost_was_measured_and_says_where_and_when() -> None:
    measured = PAGE.split("<!-- chaos -->")[1]
    assert re.search(r"\d{4}-\d\d-\d\d", measured)
    assert "cores" in measured
    for fault in ("kill -9 a worker", "freeze a worker", "kill a broker", "wipe a broker", "freeze all brokers"):
        assert re.search(rf"{fault}.*\|\s*\d+\.\d", measured), fault
