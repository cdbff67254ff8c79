"""A fresh copy of the repository, and wheels of both kinds made of one; how they are made is in `environments.py`."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.install.environments import compiled_wheel, copied, pure_wheel


@pytest.fixture(scope="session")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Both kinds, built side by side, each from a fresh copy: `pure` and `compiled`."""
    pure, compiled = copied(tmp_path_factory.mktemp("pure")), copied(tmp_path_factory.mktemp("compiled"))
    with ThreadPoolExecutor() as pool:
        built = {"pure": pool.submit(pure_wheel, pure), "compiled": pool.submit(compiled_wheel, compiled)}
    return {kind: wheel.result() for kind, wheel in built.items()}


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return copied(tmp_path_factory.mktemp("clone"))
