"""Waits for a text on the page, or for what a script finds there."""

from __future__ import annotations

import re
from typing import Any

from tests.support.waiting import wait_for

SOON = 15_000


def wait_text(page: Any, selector: str, text: str | re.Pattern[str], timeout: int = SOON) -> None:
    page.locator(selector).filter(has_text=text).first.wait_for(timeout=timeout)


def wait_true(page: Any, question: str) -> None:
    wait_for(lambda: page.evaluate(question), question, SOON / 1000)
