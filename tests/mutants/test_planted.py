"""The planted faults can be planted: what a change moves away from under one is seen with that change.

Refuses to know whether a fault is caught: `make mutants` plays them, which takes too long for each change.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.mutants.planted import Mutant
from tests.mutants.run import MUTANTS

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("mutant", MUTANTS, ids=[mutant.name for mutant in MUTANTS])
def test_the_text_of_a_planted_fault_stands_once(mutant: Mutant) -> None:
    assert (ROOT / mutant.file).read_text(encoding="utf-8").count(mutant.old) == 1
    assert mutant.new != mutant.old
    assert bool(mutant.test) != bool(mutant.seeds)


@pytest.mark.parametrize("test", sorted({test for mutant in MUTANTS for test in mutant.test.split()}))
def test_what_is_to_catch_it_is_there(test: str) -> None:
    assert (ROOT / test.partition("::")[0]).exists()
