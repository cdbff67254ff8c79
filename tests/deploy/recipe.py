"""`make recipe`: the Dockerfile's RUN lines, run in folders of their own where there is no container engine.

    python -m tests.deploy.recipe        exit 1 and say what is wrong

Decides that the recipe works: the very lines of the build stage, with its absolute folders moved below a scratch one, then
that what it made starts and holds the packages of requirements/runtime.txt and the product, and no other. Refuses to know
the base image and Debian's packages (the apt-get line is left out), users, and the second stage: none of it runs here. It
takes a minute and a network, so it is a command and no test of the gate; `test_image.py` reads the file there.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.support.paths import ROOT

DOCKERFILE = ROOT / "deploy" / "docker" / "Dockerfile"
FOLDERS = ("/opt/", "/dist", "/src")
"""What the build stage names by absolute paths."""

LIST_PACKAGES = "import importlib.metadata as m, json; print(json.dumps({d.metadata['Name'].lower().replace('_', '-'): d.version for d in m.distributions()}))"


def instructions(text: str) -> list[tuple[str, str]]:
    """(instruction, arguments) in order, continued lines joined, comments left out."""
    kept = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))
    joined = re.sub(r"\\\n\s*", " ", kept)
    pairs = (line.strip().partition(" ") for line in joined.splitlines() if line.strip())
    return [(name, rest.strip()) for name, _, rest in pairs]


def stages(text: str) -> list[list[tuple[str, str]]]:
    """The instructions of each stage, its FROM first."""
    found: list[list[tuple[str, str]]] = []
    for name, rest in instructions(text):
        if name == "FROM":
            found.append([])
        found[-1].append((name, rest))
    return found


def moved(line: str, below: Path) -> str:
    return re.sub(rf"(?<![\w.])(?={'|'.join(FOLDERS)})", str(below), line)


def pinned(text: str) -> dict[str, str]:
    """name → version of a pins file, but for what another platform alone needs."""
    found = re.findall(r"^([\w.-]+)(?:\[[\w,]+\])?==(\S+)(?! ; sys_platform == 'win32')(?= |$)", text, re.MULTILINE)
    return {name.lower(): version for name, version in found}


def run_build_stage(scratch: Path) -> None:
    """Every COPY and RUN of the first stage but apt-get's, below `scratch`."""
    source = scratch / "src"
    source.mkdir()
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "TALLY_", "VIRTUAL_ENV"))}
    environment = {**kept, "PATH": f"{Path(sys.base_prefix) / 'bin'}:{kept['PATH']}"}
    left_out = shutil.ignore_patterns("__pycache__", "*.so")  # as .dockerignore
    for name, rest in stages(DOCKERFILE.read_text(encoding="utf-8"))[0]:
        if name == "COPY":
            *what, where = rest.split()
            for one in what:
                if (ROOT / one).is_dir():
                    shutil.copytree(ROOT / one, source / where.strip("/"), ignore=left_out)
                else:
                    shutil.copy(ROOT / one, source / where)
        elif name == "RUN" and "apt-get" not in rest:
            line = moved(rest, scratch)
            print(f"$ {line.replace(str(scratch), '')}", flush=True)
            subprocess.run(["sh", "-ec", line], cwd=source, env=environment, check=True, stdout=subprocess.DEVNULL)


def wrong(scratch: Path) -> Iterator[str]:
    """What is wrong with the environment that the second stage copies, one sentence each."""
    venv = scratch / "opt" / "tally"
    listed = subprocess.run([venv / "bin" / "python", "-c", LIST_PACKAGES], capture_output=True, text=True, check=True).stdout
    there: dict[str, str] = json.loads(listed)
    wanted = pinned((ROOT / "requirements" / "runtime.txt").read_text(encoding="utf-8"))
    print(f"{len(there)} packages: {', '.join(sorted(there))}")
    version = there.pop("tally-stream", None)
    if version is None:
        yield "the product is not in it"
    for name, version in sorted(wanted.items()):
        if there.pop(name, None) != version:
            yield f"{name} {version} is not in it"
    yield from (f"{name} is in it, and nothing that runs needs it" for name in sorted(there))
    for words in (["--version"], ["--help"], ["replay", "az-2024", "--json"]):
        done = subprocess.run([venv / "bin" / "tally-stream", *words], capture_output=True, text=True, check=False, cwd=scratch)
        if done.returncode != 0:
            yield f"tally-stream {' '.join(words)} ends with {done.returncode}: {done.stderr.strip()}"
    size = sum(path.stat().st_size for path in venv.rglob("*") if path.is_file() and not path.is_symlink())
    print(f"the environment has {size / 1_000_000:.0f} MB")


def main() -> int:
    with tempfile.TemporaryDirectory(prefix="tally-recipe-") as folder:
        try:
            run_build_stage(Path(folder))
            found = list(wrong(Path(folder)))
        except subprocess.CalledProcessError as error:
            found = [f"a line ended with {error.returncode}: {error.cmd}"]
    for sentence in found:
        print(f"recipe: {sentence}", file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
