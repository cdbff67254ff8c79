"""`.venv`, step by step, each with a line while it works: `python3 requirements/install.py runtime|dev|compile`.

Decides how the packages that the other files of this folder pin by hash come into `.venv`: by uv, which is pinned too, or
by pip where uv cannot be had or fails. Nothing is ever taken out: `make demo` and `make setup` share `.venv`, each adds
what it lacks. What the tools say goes to `build/install.log` and `build/compile.log`; where a step fails, the last lines
are shown. It runs before anything is installed, on the standard library alone.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
REQUIREMENTS = ROOT / "requirements"
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
UV = VENV / "bin" / "uv"
INSTALL_LOG = ROOT / "build" / "install.log"
COMPILE_LOG = ROOT / "build" / "compile.log"
LINES_SHOWN_MAX = 15
PACKAGES_FOR = {"runtime": "the product and the embedded broker", "dev": "these, the tests and the checks"}


def say(line: str) -> None:
    print(line, flush=True)


def run(log: Path, *words: Path | str, **environment: str) -> bool:
    """Whether the command did what it should; what it said is in the log."""
    with log.open("ab") as file:
        file.write((" ".join(map(str, words)) + "\n").encode())
        file.flush()
        try:
            done = subprocess.run(words, cwd=ROOT, stdout=file, stderr=file, env={**os.environ, **environment}, check=False)
        except OSError as error:
            file.write(f"{error}\n".encode())
            return False
    return done.returncode == 0


def fail(what: str, log: Path, advice: str = "") -> None:
    last = log.read_text(encoding="utf-8", errors="replace").splitlines()[-LINES_SHOWN_MAX:]
    sys.exit("\n".join([*last, "", f"{what} failed; {log.relative_to(ROOT)} has all of it", *([advice] if advice else [])]))


def make_venv() -> None:
    version = ".".join(map(str, sys.version_info[:3]))
    say(f"making .venv with Python {version}")
    # From nothing: what an interrupted or failed try left has a python, and no pip.
    if not run(INSTALL_LOG, sys.executable, "-m", "venv", "--clear", VENV):
        fail("making .venv", INSTALL_LOG, f"on Debian and Ubuntu: apt install python{version.rpartition('.')[0]}-venv")


def pip(*words: Path | str, **environment: str) -> bool:
    # Not byte-compiled: pip does that on one core, for files of which most are never imported.
    words = ("install", "--no-compile", "--disable-pip-version-check", *words)
    return run(INSTALL_LOG, PYTHON, "-m", "pip", *words, **environment)


def uv(*words: Path | str, **environment: str) -> bool:
    return UV.exists() and run(INSTALL_LOG, UV, "pip", "install", "--python", PYTHON, *words, **environment)


def install_packages(name: str) -> None:
    if not UV.exists():
        say("getting uv, which installs the packages")
        pip("--require-hashes", "-r", REQUIREMENTS / "installer.txt")
    pins = REQUIREMENTS / f"{name}.txt"
    names = re.findall(r"^[\w.\[\]-]+==\S+ (?!; sys_platform == 'win32')", pins.read_text(encoding="utf-8"), re.MULTILINE)
    say(f"installing {len(names)} packages: {PACKAGES_FOR[name]}")
    words = ("--require-hashes", "-r", pins)
    # uv byte-compiles on all cores in 2 s; without, each of the demo's processes would start 1 to 2 s later the first time.
    if uv(*words, *(["--compile-bytecode"] if name == "runtime" else [])):
        return
    say("uv could not; pip installs them, which takes longer")
    if not pip(*words):
        fail("installing", INSTALL_LOG)


def install_command() -> None:
    """`.venv/bin/tally-stream`, which runs the files of this clone."""
    say("making .venv/bin/tally-stream")
    words = ("--no-deps", "--no-build-isolation", "-e", ROOT)
    if not (uv(*words, TALLY_PURE="1") or pip(*words, TALLY_PURE="1")):
        # Without isolation setuptools must be in .venv, and where uv's file could not be installed it is not.
        say("setuptools is missing; pip gets it for this step")
        if not pip("--no-deps", "-e", ROOT, TALLY_PURE="1"):
            fail("making .venv/bin/tally-stream", INSTALL_LOG)


def install(name: str) -> None:
    begin = time.monotonic()
    INSTALL_LOG.parent.mkdir(exist_ok=True)
    INSTALL_LOG.write_bytes(b"")
    if not (VENV / "bin" / "pip").exists():
        make_venv()
    install_packages(name)
    if name == "runtime":
        install_command()
    say(f"installed in {time.monotonic() - begin:.0f} s")


def compile_what_counts() -> None:
    COMPILE_LOG.parent.mkdir(exist_ok=True)
    COMPILE_LOG.write_bytes(b"")
    say("compiling what counts, on all cores; it takes a quarter of a minute on two")
    if not run(COMPILE_LOG, PYTHON, "setup.py", "--quiet", "build_ext", "--inplace"):
        fail("compiling", COMPILE_LOG)
    for line in COMPILE_LOG.read_text(encoding="utf-8", errors="replace").splitlines():
        if line.startswith("tally-stream: "):
            say(line.removeprefix("tally-stream: "))


if __name__ == "__main__":
    if sys.version_info < (3, 11):
        sys.exit("Python 3.11 or newer is needed; make PYTHON=/path/to/python3.11")
    if sys.argv[1:] == ["compile"]:
        compile_what_counts()
    elif sys.argv[1:] in (["runtime"], ["dev"]):
        install(sys.argv[1])
    else:
        sys.exit("usage: python3 requirements/install.py runtime|dev|compile")
