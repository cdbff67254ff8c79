"""A real browser for tests: Debian's Chromium, skipped by name where there is none, never in CI."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

CHROMIUM_FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
)  # fmt: skip


def chromium_path() -> str | None:
    """Debian's Chromium, or the one that TALLY_CHROMIUM names."""
    for path in (os.environ.get("TALLY_CHROMIUM"), "/usr/bin/chromium"):
        if path and Path(path).exists():
            return path
    return None


@contextmanager
def chromium() -> Iterator[Any]:
    """For one module: while it is open its loop runs, and no other test can have one."""
    path = chromium_path()
    if path is None:
        if os.environ.get("TALLY_CI") == "1":
            pytest.fail("CI must have chromium")
        pytest.skip("chromium is not installed")
    from playwright.sync_api import sync_playwright  # noqa: PLC0415  (after the skip: for those who have a browser)

    with sync_playwright() as play:
        running = play.chromium.launch(executable_path=path, args=list(CHROMIUM_FLAGS))
        yield running
        running.close()
