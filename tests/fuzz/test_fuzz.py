"""Guided fuzzing for a short while from the committed corpus, and the proof that it would find what it looks for."""

from __future__ import annotations

import importlib.util
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fuzz import corpus
from tests.fuzz.invariants import TARGETS
from tests.fuzz.run import fuzz
from tests.support.interpreted import without_compiled
from tests.support.paths import ROOT

LANE_SECONDS = 30
EXECUTED_MIN = {"report": 1_000, "log": 600, "batch": 1_000, "folder": 1_000}
"""A fiftieth of what a machine of two cores tried in that time with nothing beside it, and more than is committed: fewer, and
the fuzzer did not fuzz."""
PLANTED_SECONDS = 90

PLANTED = [
    # target, file, what stands there, what is planted
    ("report", "tally_stream/wire/reading.py", "return value.count(b'\"') == 2 * strings", "return True"),
    ("report", "tally_stream/wire/schema/published.py", "Meta(ge=0, le=COUNT_MAX)", "Meta(ge=0, le=COUNT_MAX + 1)"),
    (
        "report",
        "tally_stream/wire/exact.py",
        "except (ValueError, RecursionError) as error:",
        "except RecursionError as error:",
    ),
    ("log", "tally_stream/domain/fold.py", "self._verdicts[verdict.name] += 1", "self._verdicts[verdict.name] = 1"),
    ("log", "tally_stream/wire/report_log.py", "        next_offsets[partition] += 1\n", "        pass\n"),
    (
        "batch",
        "tally_stream/kafka/batches.py",
        "CorruptRecordException, UnicodeDecodeError, OverflowError):",
        "CorruptRecordException, UnicodeDecodeError):",
    ),
    (
        "folder",
        "tally_stream/wire/folder/toml.py",
        "(tomllib.TOMLDecodeError, ArithmeticError, ValueError, RecursionError)",
        "ArithmeticError",
    ),
]


@pytest.fixture
def copy() -> Iterator[Path]:
    """An interpreted copy of the project to change and to fuzz."""
    if importlib.util.find_spec("atheris") is None:
        if os.environ.get("TALLY_CI"):
            pytest.fail("CI must be able to fuzz: atheris is not installed")
        pytest.skip("atheris has no wheel for this machine")
    made = Path(without_compiled())
    yield made
    shutil.rmtree(made)


@pytest.mark.parametrize("target", TARGETS)
def test_every_committed_input_holds(target: str) -> None:
    """On the code as it runs: compiled, where there is a compiler."""
    inputs = corpus.read(target)
    assert len(inputs) > 20
    for content in inputs:
        TARGETS[target](content)


@pytest.mark.parametrize("target", TARGETS)
def test_the_vectors_and_the_hostile_cases_are_all_committed(target: str) -> None:
    missing = [content for content in corpus.generated(target) if content not in set(corpus.read(target))]
    assert missing == [], "run: python -m tests.fuzz.corpus"


def test_nothing_is_found_in_half_a_minute(copy: Path, tmp_path: Path) -> None:
    found = fuzz(copy, list(TARGETS), LANE_SECONDS, tmp_path)
    if any(f.executed <= EXECUTED_MIN[f.target] for f in found):  # a machine that others keep busy
        found = fuzz(copy, list(TARGETS), 4 * LANE_SECONDS, tmp_path)
    for f in found:
        print(f"{f.target}: {f.executed:,} inputs")
        assert f.story == "", f"{f.target}:\n{f.story}"
        assert f.executed > EXECUTED_MIN[f.target], f.target
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("target", "file", "old", "new"), PLANTED, ids=[f"{t}: {n.strip()}" for t, _, _, n in PLANTED])
def test_a_planted_fault_is_found_from_the_committed_corpus(
    copy: Path, tmp_path: Path, target: str, file: str, old: str, new: str
) -> None:
    text = (copy / file).read_text()
    assert text.count(old) == 1, f"{old!r} stands {text.count(old)} times in {file}"
    (copy / file).write_text(text.replace(old, new))
    (found,) = fuzz(copy, [target], PLANTED_SECONDS, tmp_path)
    assert found.story, f"not found in {found.executed:,} inputs"
    assert [path.name.startswith(f"{target}-crash-") for path in tmp_path.iterdir()] == [True]
    assert (ROOT / file).read_text() == text
