"""A fresh copy of the repository, the Pythons of this machine, and an environment to put a wheel into."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]


BIN = Path(sys.executable).parent


OWN = "{}.{}".format(*sys.version_info[:2])


NEWEST_TRIED = 15
"""3.15 and older are looked for; a Python that a package has no wheel for would show here."""


@cache
def pythons() -> dict[str, str]:
    """Version → program, of every Python from 3.11 on that this machine has; one of each version."""
    names = [f"python3.{minor}" for minor in range(11, NEWEST_TRIED + 1)]
    candidates = [program for name in names if (program := shutil.which(name))]
    candidates += sorted(map(str, Path.home().glob(".pyenv/versions/3.*/bin/python3")))
    found = {OWN: sys.executable}
    for program in candidates:
        ask = "import sys, venv, ensurepip; print('{}.{}'.format(*sys.version_info[:2]))"
        said = subprocess.run([program, "-c", ask], capture_output=True, text=True, check=False)
        version = said.stdout.strip()  # a shim of a version manager can be there without the version
        if said.returncode == 0 and int(version.split(".")[1]) in range(11, NEWEST_TRIED + 1):
            found.setdefault(version, program)
    return found


def copied(target: Path) -> Path:
    """The files of a clone, as they stand here: nothing that was built or installed (.gitignore's names)."""
    lines = (ROOT / ".gitignore").read_text(encoding="utf-8").splitlines()
    ignored = [line.rstrip("/").rpartition("/")[2] for line in lines if line and not line.startswith("#")]
    shutil.copytree(ROOT, target, ignore=shutil.ignore_patterns(".git", *ignored), dirs_exist_ok=True)
    return target


def plain_environment(**more: str) -> dict[str, str]:
    """Ours without what would let a program find this repository."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "TALLY_", "VIRTUAL_ENV"))}
    return {**kept, **more}


def run(*words: str | Path, cwd: Path, expect: int = 0, **environment: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        words, cwd=cwd, env=plain_environment(**environment), capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == expect, done.stdout + done.stderr
    return done


@dataclass(frozen=True)
class Installed:
    """A wheel in an environment of its own, called from a folder that has nothing to do with either."""

    folder: Path

    def python(self, *words: str) -> str:
        return run(self.folder / "bin" / "python", *words, cwd=self.elsewhere()).stdout.strip()

    def tally(self, *words: str, expect: int = 0, **environment: str) -> subprocess.CompletedProcess[str]:
        done = run(self.folder / "bin" / "tally-stream", *words, cwd=self.elsewhere(), expect=expect, **environment)
        assert "Traceback" not in done.stderr
        return done

    def elsewhere(self) -> Path:
        folder = self.folder.parent / "elsewhere"
        folder.mkdir(exist_ok=True)
        return folder


def install(wheel: Path, version: str, folder: Path, extra: str = "[embedded]") -> Installed:
    """With the versions that are pinned, so that a package's newer version is no surprise on a night."""
    run(BIN / "uv", "venv", "--quiet", "--python", pythons()[version], folder, cwd=folder.parent)
    run(BIN / "uv", "pip", "install", "--quiet", "--python", folder / "bin" / "python", "--constraint",
        ROOT / "requirements" / "runtime.txt", f"tally-stream{extra} @ {wheel.as_uri()}", cwd=folder.parent)  # fmt: skip
    return Installed(folder)


def pure_wheel(clone: Path) -> Path:
    """By pip, as anybody would, with the packages that pyproject.toml asks for a build."""
    run(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", clone / "dist", clone, cwd=clone.parent,
        TALLY_PURE="1")  # fmt: skip
    (wheel,) = (clone / "dist").iterdir()
    return wheel


def compiled_wheel(clone: Path) -> Path:
    """Not optimized, in a quarter of the time: `make setup` compiles the same files as they are shipped."""
    compiler = clone.parent / "cc"
    compiler.write_text('#!/bin/sh\nexec cc "$@" -O0\n')  # the last of these flags is the one that is obeyed
    compiler.chmod(0o755)
    run(BIN / "uv", "build", "--quiet", "--wheel", "--python", sys.executable, "--out-dir", clone / "dist", clone,
        cwd=clone.parent, CC=str(compiler))  # fmt: skip
    (wheel,) = (clone / "dist").glob("*.whl")
    return wheel
