"""`make screenshots`: the pictures of the board in the docs, taken from a real night at 03:13, in Chromium.

Decides which view each picture shows. The night is Azerbaijan's up to the second announcement, then, for the ledger,
whole. Pictures are of the size of the window, without the scroll bar, and small enough for a README.
"""

from __future__ import annotations

import asyncio
import re
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from playwright.sync_api import sync_playwright

from tally_stream.domain.scalars import murmur2_partition
from tally_stream.kafka.client import sender
from tally_stream.kafka.embedded import AUTO_PARTITIONS
from tally_stream.wire.report_log import ReportLog
from tests.support.board_scene import PREFIX, Scene, scene
from tests.support.chromium import CHROMIUM_FLAGS, chromium_path
from tests.support.paths import NIGHTS

PICTURES = Path(__file__).parents[2] / "docs" / "pictures"
SECOND_ANNOUNCEMENT_MS = 1_707_347_580_000
"""2024-02-08T03:13:00+04:00"""

AT_0313 = (
    ("board", 1280, 900, "light", "/", None),
    ("board-area", 1280, 900, "light", "/contest/PRES/area/AZ/041", None),
    ("board-phone", 390, 780, "light", "/?lang=az", None),
    ("board-screen", 1600, 900, "dark", "/?screen", None),
    ("board-history", 1280, 760, "light", "/", "#polls-section"),
)
AT_THE_END = (("board-ledger", 1280, 760, "dark", "/", "#ledger-section"),)
SIZE_MAX_BYTES = 200_000


def play(played: Scene, until_ms: int | None, done: int) -> int:
    """Send the night's records behind `done` up to a time; how many are sent then."""

    async def main() -> int:
        count = 0
        async with sender(played.settings) as producer:
            for record in ReportLog(NIGHTS / "az-2024" / "reports.jsonl.gz"):
                if until_ms is not None and record.timestamp_ms > until_ms:
                    break
                count += 1
                if count <= done:
                    continue
                partition = murmur2_partition(record.key or b"", AUTO_PARTITIONS)
                await producer.send(
                    f"{PREFIX}.reports", record.value, key=record.key, partition=partition, timestamp_ms=record.timestamp_ms
                )
        return count

    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, main()).result()


def shoot(browser: Any, address: str, name: str, width: int, height: int, scheme: str, query: str, part: str | None) -> None:
    context = browser.new_context(
        viewport={"width": width, "height": height}, color_scheme=scheme, locale="en-GB", timezone_id="Asia/Baku"
    )
    page = context.new_page()
    page.goto(address + query)
    page.locator(".fresh.live").wait_for()
    if "area" in query:
        page.locator("#stations tr").nth(30).wait_for(state="attached")
    elif "?" not in query:
        page.locator("#chart path.line0").wait_for(state="attached")
        page.locator("#areas-head button").first.wait_for(state="attached")
    if part is not None:
        page.locator(part).evaluate("e => window.scrollTo(0, e.getBoundingClientRect().top + scrollY - 20)")
    path = PICTURES / f"{name}.png"
    page.screenshot(path=path)
    context.close()
    size = path.stat().st_size
    print(f"{path.name}: {size:,} bytes")
    assert size < SIZE_MAX_BYTES, f"{path.name} is too large for a page"


def main() -> int:
    path = chromium_path()
    if path is None:
        print("screenshots need chromium: apt-get install chromium")
        return 1
    PICTURES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch, sync_playwright() as playwright, scene("az-2024", Path(scratch)) as played:
        browser = playwright.chromium.launch(executable_path=path, args=list(CHROMIUM_FLAGS))
        early = play(played, 1_707_336_000_000, 0)
        played.wait_shown(version=early)
        sent = early
        for until_ms in (1_707_340_000_000, 1_707_344_000_000, SECOND_ANNOUNCEMENT_MS):  # a line has more than two points
            sent = play(played, until_ms, sent)
            played.wait_shown(version=sent)
        root = played.root("PRES")
        assert re.match(r"92\.05", root["candidates"][0]["share"]), root["candidates"][0]
        for picture in AT_0313:
            shoot(browser, played.board.address, *picture)
        played.wait_shown(version=play(played, None, sent))
        for picture in AT_THE_END:
            shoot(browser, played.board.address, *picture)
        browser.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
