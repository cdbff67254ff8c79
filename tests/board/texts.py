"""Waits for a text on the page."""

from __future__ import annotations

import re
from typing import Any

SOON = 15_000


def wait_text(page: Any, selector: str, text: str | re.Pattern[str], timeout: int = SOON) -> None:
    page.locator(selector).filter(has_text=text).first.wait_for(timeout=timeout)
