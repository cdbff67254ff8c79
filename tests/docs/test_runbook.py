"""docs/runbook.md and the code say the same sentences.

What stands there is really printed, and whatever can end a worker or keep it from starting stands there.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tally_stream.kafka.lost import lost_records
from tests.support.doc_pages import blocks
from tests.support.paths import DOCS, ROOT

PAGE = DOCS / "runbook.md"
SOURCES = [p for p in sorted((ROOT / "tally_stream").rglob("*.py")) if p.name != "make.py"]
LINES = [line for block in blocks(PAGE) if block.language == "text" for line in block.text.splitlines()]
ENDING = {"BrokenInvariant", "ForeignPartial", "fail", "_fail", "_on_fatal", "WorkerRefused"}
"""Whose first argument ends a worker or keeps it from starting."""


def texts(node: ast.AST) -> Iterator[str]:
    """Every text in the code, docstrings left out."""
    said_to_readers = {part.value for part in ast.walk(node) if isinstance(part, ast.Expr)}
    for part in ast.walk(node):
        if isinstance(part, ast.Constant) and isinstance(part.value, str) and part not in said_to_readers:
            yield part.value


def _all_texts() -> str:
    return "\n".join(text for source in SOURCES for text in texts(ast.parse(source.read_text(encoding="utf-8"))))


ALL_TEXTS = _all_texts()


def fragments(line: str) -> list[str]:
    """What a line says between its placeholders, without the words that stand before every line."""
    said = line.removeprefix("tally-stream: ").removeprefix("fatal: ")
    return [bare(part) for part in said.split("…") if re.search(r"[A-Za-z]{2}", part)]


def bare(part: str) -> str:
    return part.strip(" :;,()")


@pytest.mark.parametrize("line", LINES)
def test_a_line_of_the_runbook_is_in_the_code(line: str) -> None:
    missing = [part for part in fragments(line) if part not in ALL_TEXTS]
    assert missing == []


def _ending_sentences() -> list[tuple[str, str]]:
    found = []
    for source in SOURCES:
        for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call) or not node.args:
                continue
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            said = [t for t in texts(node.args[0]) if re.search(r"[A-Za-z]{3}", t)]
            if name in ENDING and said:
                found.append((f"{source.relative_to(ROOT)}:{node.lineno}", max(said, key=len)))
    return found


@pytest.mark.parametrize(("where", "sentence"), _ending_sentences())
def test_what_ends_a_worker_is_in_the_runbook(where: str, sentence: str) -> None:
    assert bare(sentence) in PAGE.read_text(encoding="utf-8"), where


def test_a_log_that_lost_records_is_in_the_runbook() -> None:
    assert re.sub(r"\d+", "…", lost_records(7, 7, 7)) in PAGE.read_text(encoding="utf-8")


def _refusals_of_topics() -> list[str]:
    tree = ast.parse(Path(ROOT / "tally_stream/kafka/topics.py").read_text(encoding="utf-8"))
    said = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("_refusal", "_risk"):
            said.append(max(texts(node.args[-1]), key=len))
    assert said, "they are written in another way now"
    return said


@pytest.mark.parametrize("sentence", _refusals_of_topics())
def test_every_reason_against_the_topics_is_in_the_runbook(sentence: str) -> None:
    assert sentence.strip(" (),").split(" (a recorded")[0] in PAGE.read_text(encoding="utf-8")
