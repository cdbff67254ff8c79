"""What the tests of this folder share: the files that an operator starts, read, and programs that judge them.

Decides that a program which judges a file is skipped where it is missing, and is a failure in CI. Knows no rule itself.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.paths import ROOT

COMPOSE = ROOT / "docker-compose.yml"
DOCKERFILE = ROOT / "deploy" / "docker" / "Dockerfile"
LOCAL_KAFKA = ROOT / "deploy" / "kafka" / "local"
PROMETHEUS = ROOT / "deploy" / "prometheus"
SYSTEMD = ROOT / "deploy" / "systemd"


def parsed(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def services() -> dict[str, dict[str, Any]]:
    """Compose's services as the file has them, with its variables not filled in."""
    found: dict[str, dict[str, Any]] = parsed(COMPOSE)["services"]
    return found


def brokers() -> list[dict[str, Any]]:
    return [one for one in services().values() if one["image"].startswith("apache/kafka")]


def recorded() -> set[str]:
    """Names that the recording rules make."""
    return {rule["record"] for group in parsed(PROMETHEUS / "recording.yml")["groups"] for rule in group["rules"]}


def program(name: str) -> str:
    """A program's path; without it skipped, in CI (TALLY_CI=1) failed."""
    path = shutil.which(name)
    if path is None:
        if os.environ.get("TALLY_CI") == "1":
            pytest.fail(f"CI must have {name}")
        pytest.skip(f"{name} is not installed")
    return path


def run(*words: str | Path, **environment: str) -> str:
    """What a program says on both channels, where it ends well."""
    done = subprocess.run(words, capture_output=True, text=True, check=False, cwd=ROOT, env={**os.environ, **environment})
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr
