"""The fast tests, interpreted, on each Python from 3.11 that is there: `make pythons`, or `python -m tests.pythons 3.13`.

Each gets an environment of its own in `build/pythons/`, with the packages that requirements/dev.txt pins (by uv where it is
there, else by pip), and runs domain, wire, audit and simulated nights (the same bytes everywhere) in a copy in which nothing is compiled. Fails where one of them fails,
or where a version that is named is not there. Refuses to know which Pythons there should be: the workflow names them.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests.support.interpreted import without_compiled
from tests.support.paths import ROOT

BUILD = ROOT / "build" / "pythons"
FIRST, LAST = 11, 15
FOLDERS = ["tests/domain", "tests/wire", "tests/audit", "tests/station/test_simulate.py"]


def pythons() -> dict[str, str]:
    """Version → program, one of each version: on the path, of pyenv, of uv; the running one too."""
    found: dict[str, str] = {}
    names = [sys.executable, *(f"python3.{minor}" for minor in range(FIRST, LAST + 1))]
    candidates = [program for name in names if (program := shutil.which(name))]
    candidates += sorted(str(p) for p in Path.home().glob(".pyenv/versions/3.*/bin/python3"))
    candidates += sorted(str(p) for p in Path.home().glob(".local/share/uv/python/cpython-3.*/bin/python3"))
    for program in candidates:
        ask = "import sys, venv, ensurepip; print('{}.{}'.format(*sys.version_info[:2]))"
        said = subprocess.run([program, "-c", ask], capture_output=True, text=True, check=False)
        version = said.stdout.strip()  # a shim of a version manager can be there without its version
        if said.returncode == 0 and FIRST <= int(version.partition(".")[2]) <= LAST:
            found.setdefault(version, program)
    return dict(sorted(found.items(), key=lambda item: int(item[0].partition(".")[2])))


def environment(version: str, program: str) -> Path:
    """Its Python, with all packages; made once, and again when the pins change."""
    place, pins = BUILD / version, (ROOT / "requirements" / "dev.txt").read_text(encoding="utf-8")
    mark, python = place / "pins.txt", place / "bin" / "python"
    if mark.exists() and mark.read_text(encoding="utf-8") == pins:
        return python
    subprocess.run([program, "-m", "venv", "--clear", place], check=True)
    uv = shutil.which("uv") or next((str(p) for p in [ROOT / ".venv/bin/uv"] if p.exists()), None)
    install: list[str | Path] = [uv, "pip", "install", "--python", python] if uv else [python, "-m", "pip", "install"]
    subprocess.run([*install, "--quiet", "--require-hashes", "--requirement", ROOT / "requirements" / "dev.txt"], check=True)
    mark.write_text(pins, encoding="utf-8")
    return python


def tested(python: Path, scratch: Path) -> int:
    """The exit code of the fast tests in a copy without compiled code."""
    shutil.rmtree(scratch, ignore_errors=True)
    without_compiled(scratch)
    try:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "TALLY_"))}
        words: list[str | Path] = [python, "-m", "pytest", "-q", "-p", "no:cacheprovider", *FOLDERS]
        return subprocess.run(words, cwd=scratch, env={**kept, "PYTHONPATH": str(scratch), "TALLY_TEST_INTERPRETED": "1"},
                              check=False).returncode  # fmt: skip
    finally:
        shutil.rmtree(scratch)


def main() -> int:
    there = pythons()
    wanted = sys.argv[1:] or list(there)
    if missing := [version for version in wanted if version not in there]:
        print(f"there is no Python {', '.join(missing)}; there are: {', '.join(there)}", file=sys.stderr)
        return 2
    failed = []
    for version in wanted:
        print(f"== Python {version} ({there[version]})", flush=True)
        if tested(environment(version, there[version]), BUILD / f"{version}-copy"):
            failed.append(version)
    print(f"{len(wanted) - len(failed)} passed, {len(failed)} failed" + "".join(f": Python {version}" for version in failed))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
