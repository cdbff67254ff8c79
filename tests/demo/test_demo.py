"""The main job in one command, on the embedded broker: the very command of the README."""

from __future__ import annotations

import json
import subprocess

from tests.nights.harness import command


def test_the_azerbaijan_night_ends_to_the_digit() -> None:
    done = subprocess.run(
        command("demo", "--election", "az-2024", "--fast", "--exit", "--json"),
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    root = json.loads(done.stdout.splitlines()[-1])
    assert root["stations"] == {"annulled": 11, "counted": 6526, "expected": 6537, "held": 0, "outstanding": 0,
                                "partial": 0, "received": 6537}  # fmt: skip
    assert [c["votes"] for c in root["candidates"]] == [4_567_458, 107_632, 98_421, 85_411, 39_643, 32_885, 26_517]
    assert root["status"] == "correction"
    assert "The embedded broker is a stand-in" in done.stderr
    # What was announced stands beside what the standings say at that very record.
    assert "03:13 second announcement" in done.stderr
    assert "93.35 % of polling stations (6,102 of 6,537)  Ilham Aliyev 92.05 %" in done.stderr
