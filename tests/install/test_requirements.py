"""The pins: each by hash, from the groups of pyproject.toml, and nothing of the machine that pinned them."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PINNED = [*sorted((ROOT / "requirements").glob("*.txt")), *sorted((ROOT / "bench" / "peers").glob("*/requirements.txt"))]


def pins(path: Path) -> dict[str, str]:
    return dict(re.findall(r"^([\w.-]+)(?:\[[\w,]+\])?==(\S+)", path.read_text(encoding="utf-8"), re.MULTILINE))


@pytest.mark.parametrize("path", PINNED, ids=lambda path: str(path.relative_to(ROOT)))
def test_pins_name_no_index_and_no_folder(path: Path) -> None:
    """`--find-links` of one machine stood here once: elsewhere a warning, or other packages than were reviewed."""
    lines = path.read_text(encoding="utf-8").splitlines()
    foreign = [line for line in lines if line.startswith("-") or "://" in line or re.search(r"(^|\s)/", line)]
    assert foreign == []


@pytest.mark.parametrize("path", PINNED, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_pin_has_a_hash(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    blocks = re.split(r"^(?=[\w.-]+(?:\[[\w,]+\])?==)", text, flags=re.MULTILINE)[1:]
    assert len(blocks) == len(pins(path)) > 0
    assert all("--hash=sha256:" in block for block in blocks)


def test_one_version_of_each_package() -> None:
    dev = pins(ROOT / "requirements" / "dev.txt")
    for name in ("runtime", "installer", "build"):
        assert pins(ROOT / "requirements" / f"{name}.txt").items() <= dev.items()


def test_what_a_clone_needs_stands_in_groups() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    groups = project["dependency-groups"]
    assert {"installer", "tests", "checks", "docs", "dev"} <= groups.keys()
    assert any(str(one).startswith("pytest-asyncio") for one in groups["tests"])
    assert groups["build"] == project["build-system"]["requires"], "the image is built with what any wheel is built with"
    (broker,) = project["project"]["optional-dependencies"]["embedded"]
    assert broker.endswith(",<3")
    assert [path.name for path in (ROOT / "requirements").iterdir() if path.suffix == ".in"] == []


def test_pinning_again_changes_nothing_and_lets_no_folder_in(tmp_path: Path) -> None:
    """`make requirements` itself, in a copy, on a machine that has a folder of wheels and an index of its own."""
    shutil.copytree(ROOT / "requirements", tmp_path / "requirements")
    for name in ("pyproject.toml", "setup.py", "README.md"):
        shutil.copy(ROOT / name, tmp_path)
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    said = subprocess.run(["make", "--dry-run", "requirements"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    commands = [line for line in said.replace("\\\n", " ").splitlines() if "pip compile" in line]
    assert len(commands) == 5
    environment = {**os.environ, "UV_FIND_LINKS": str(wheels), "PIP_FIND_LINKS": str(wheels)}
    for line in commands:
        words = shlex.split(line.replace(".venv/bin/uv", str(Path(sys.executable).parent / "uv")))
        subprocess.run(words, cwd=tmp_path, env=environment, check=True)
    for path in (ROOT / "requirements").glob("*.txt"):
        assert (tmp_path / "requirements" / path.name).read_text() == path.read_text(), f"{path.name}: run make requirements"
