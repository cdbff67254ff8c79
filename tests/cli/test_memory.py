"""What was freed between things that stay goes back to the system; where the C library can't, nothing is done."""

from __future__ import annotations

import asyncio
import ctypes
import resource
from pathlib import Path

import pytest

from tally_stream.cli import memory
from tally_stream.cli.memory import memory_given_back


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


async def test_what_a_burst_took_is_given_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "GIVE_BACK_SECONDS", 0.01)
    burst = [bytes(2_000) for _ in range(40_000)]
    kept = burst[::100]  # so that nothing goes back by itself
    del burst
    before = resident_bytes()
    async with memory_given_back():
        async with asyncio.timeout(30):
            while resident_bytes() > before - 40_000_000:  # noqa: ASYNC110  (the system's figure, which tells nobody)
                await asyncio.sleep(0.01)
    assert len(kept) == 400


async def test_another_c_library_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "GIVE_BACK_SECONDS", 0.0)
    monkeypatch.setattr(ctypes, "CDLL", lambda name: object())
    async with memory_given_back():
        await asyncio.sleep(0)
        assert asyncio.all_tasks() == {asyncio.current_task()}, "it has ended by itself"
