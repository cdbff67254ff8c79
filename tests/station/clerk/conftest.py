"""The browser, and a clerk's phone with the page on it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.chromium import chromium
from tests.support.clerk_scene import ClerkScene, served


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as running:
        yield running


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[ClerkScene]:
    with served(ClerkScene(tmp_path)) as playing:
        yield playing


@pytest.fixture
def phone(browser: Any, scene: ClerkScene) -> Iterator[Any]:
    """Signed in, 360 px wide. Whatever it complains about fails the test, but a lost connection and an answer's status."""
    context = browser.new_context(viewport={"width": 360, "height": 740}, locale="en-GB", timezone_id="Asia/Baku")
    page = context.new_page()
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda m: complaints.append(m.text) if "Content Security Policy" in m.text else None)
    page.goto(scene.address)
    page.fill("#token", scene.token)
    page.click("button.send")
    page.wait_for_selector(".reports")
    yield page
    context.close()
    assert complaints == []
