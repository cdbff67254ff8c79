from pathlib import Path

import pytest

from tests.support.folders import Folder


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    path = tmp_path / "x-2024"
    path.mkdir()
    return Folder(path)
