"""Each real set made once a session: its folder and log, and its night replayed."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest

from tests.ballots.counted import Counted, CountedSet, counted
from tests.ballots.make import make
from tests.ballots.source import MadeSet, require_ballots


@pytest.fixture(scope="session")
def made_set(tmp_path_factory: pytest.TempPathFactory) -> MadeSet:
    """A set by its name, written when first asked for."""

    @cache
    def found(name: str) -> Path:
        require_ballots(name)
        folder = tmp_path_factory.mktemp(name)
        make(name, folder)
        return folder

    return found


@pytest.fixture(scope="session")
def counted_set(made_set: MadeSet) -> CountedSet:
    """A set by its name, replayed when first asked for."""

    @cache
    def found(name: str) -> Counted:
        return counted(require_ballots(name), made_set(name))

    return found
