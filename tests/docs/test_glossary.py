"""docs/glossary.md and the code use the same words: one for one thing."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from functools import cache
from pathlib import Path

import pytest

from tests.support.paths import DOCS, ROOT

PAGE = (DOCS / "glossary.md").read_text(encoding="utf-8")
WORDS, GIVEN_UP = PAGE.split("## Words given up")
TERMS = [term.strip() for row in re.findall(r"^\| (?!word \||---)([^|]+?) \|", WORDS, re.MULTILINE) for term in row.split(",")]
NOT_USED = re.findall(
    r"([\w]+)(?: \(.*?\))?(?:, | \|)", "".join(re.findall(r"^\| (?!not \||---)[^|]+? \|", GIVEN_UP, re.MULTILINE))
)
PACKAGE = ROOT / "tally_stream"

TWICE = {
    "Ballots": "the form of a part of a message (wire/schema/) and what is read of it",
    "Report": "the form of a message (wire/schema/) and what it states",
    "Stations": "the form of a part of a message (wire/schema/), and the polling stations that a board shows",
    "Turnout": "the form of a part of a message (wire/schema/) and what is stated",
}
"""Public classes of one name, and why each is the right word."""

VAGUE = ("Data", "Helper", "Info", "Manager", "Util", "Utils")


@cache
def trees() -> dict[str, ast.Module]:
    files = [path for path in sorted(PACKAGE.rglob("*.py")) if path.name != "make.py"]
    return {path.relative_to(PACKAGE).as_posix(): ast.parse(path.read_text(encoding="utf-8")) for path in files}


def classes(of: dict[str, ast.Module]) -> dict[str, list[str]]:
    """Public class → the modules that define it."""
    found = defaultdict(list)
    for module, tree in of.items():
        for node in tree.body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                found[node.name].append(module)
    return dict(found)


def defined(of: dict[str, ast.Module]) -> set[str]:
    """Names of classes, functions, methods and constants, and of the modules themselves."""
    found = {Path(module).stem for module in of}
    for tree in of.values():
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                found.add(node.name)
            elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store) and not node.id.islower():
                found.add(node.id)
    return found


@cache
def names_of_the_product() -> set[str]:
    return defined(trees())


@cache
def everything_written() -> str:
    """Docs and code as words, in small letters: `publish_depth` is two of them."""
    pages = [path for path in [*DOCS.rglob("*.md"), ROOT / "README.md"] if path.name != "glossary.md"]
    code = [path for path in PACKAGE.rglob("*") if path.suffix in (".py", ".js", ".json")]
    text = " ".join(path.read_text(encoding="utf-8") for path in [*pages, *code])
    return re.sub(r"[\W_]+", " ", re.sub(r"(?<=[a-z])(?=[A-Z])", " ", text)).lower()


def is_used(term: str, text: str) -> bool:
    words = re.sub(r"[\W_]+", " ", term).strip().lower()
    return re.search(rf"\b{words}s?\b", text) is not None


@pytest.mark.parametrize("term", TERMS)
def test_every_word_is_in_use(term: str) -> None:
    assert is_used(term, everything_written())


def test_a_word_stands_once() -> None:
    ambiguous = {"partial", "held", "counted", "correction", "recount"}  # a verdict, a state, a status: the rows say which
    assert sorted(term for term in set(TERMS) - ambiguous if TERMS.count(term) > 1) == []


def test_no_two_public_classes_share_a_name_without_a_reason() -> None:
    assert {name: modules for name, modules in classes(trees()).items() if len(modules) > 1}.keys() == TWICE.keys()


@pytest.mark.parametrize("word", NOT_USED)
def test_a_word_given_up_is_no_name_in_the_code(word: str) -> None:
    """Classes, functions and constants; a variable of a few lines may be called `own`."""
    assert word not in names_of_the_product()


def test_a_class_has_no_vague_name() -> None:
    assert [name for name in classes(trees()) if re.findall(r"[A-Z][a-z]+", name)[-1:] in ([vague] for vague in VAGUE)] == []


def test_what_a_word_that_was_given_up_became_is_there() -> None:
    instead = re.findall(r"`(\w+)`", "".join(re.findall(r"^\| [^|]+ \| ([^|]+) \|", GIVEN_UP, re.MULTILINE)))
    assert set(instead) <= names_of_the_product()


def test_the_test_sees_what_it_is_for() -> None:
    code = {
        "a.py": ast.parse("class Codec: ...\nclass Verdict: ...\nclass _Own: ..."),
        "b.py": ast.parse("class Verdict:\n def own(self): ..."),
    }
    assert classes(code) == {"Codec": ["a.py"], "Verdict": ["a.py", "b.py"]}
    assert {"Codec", "own", "a", "b"} <= defined(code)
    assert not is_used("soothsaying", everything_written())
    assert NOT_USED == ["Outcome", "Codec", "Key", "PartitionCount", "PLAIN", "own", "disown", "held", "batching"]
    assert "counted partition" in TERMS
