"""Scenes that the tests of this folder share, and the browser."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.board_scene import Scene, rehearsal_folder, scene
from tests.support.chromium import chromium


@pytest.fixture(scope="session")
def rehearsal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """A small election in test phase with a hostile candidate name; each test has stations of its own."""
    directory = tmp_path_factory.mktemp("rehearsal")
    with scene(str(rehearsal_folder(directory / "election")), directory) as played:
        yield played


@pytest.fixture
def doomed(tmp_path: Path) -> Iterator[Scene]:
    """The same election with a worker of its own, for a test that breaks it."""
    with scene(str(rehearsal_folder(tmp_path / "election")), tmp_path) as played:
        yield played


@pytest.fixture
def night(tmp_path: Path) -> Iterator[Scene]:
    """Azerbaijan's, nothing sent yet."""
    with scene("az-2024", tmp_path) as played:
        yield played


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """For one module: while it is open its loop runs, and no other test can have one."""
    with chromium() as running:
        yield running


@pytest.fixture
def page(browser: Any) -> Iterator[Any]:
    """A page in English on a desktop. Whatever it complains about fails the test."""
    context = browser.new_context(viewport={"width": 1280, "height": 900}, locale="en-GB", timezone_id="Asia/Baku")
    opened = context.new_page()
    complaints: list[str] = []
    opened.on("pageerror", lambda error: complaints.append(str(error)))
    opened.on("console", lambda m: complaints.append(m.text) if "Content Security Policy" in m.text else None)
    yield opened
    context.close()
    assert complaints == []
