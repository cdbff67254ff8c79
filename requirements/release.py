"""`make release`: what is published with a version, in `dist/`: two wheels, the list of what is in them, the sums of all.
`make sbom`: that list alone.

Decides what a release consists of and what must be so before one is made: the version is in the changelog with a date, the
image in docker-compose.yml has it, and the commit carries its tag. Refuses to sign and to upload: docs/releasing.md says how
a person does that. Runs on the standard library, pip and setuptools.
"""

from __future__ import annotations

import ast
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DIST = ROOT / "dist"
PIN = re.compile(r"^([A-Za-z0-9._-]+)==([^ ;\\]+)((?: ;[^\\\n]*)?)", re.MULTILINE)


def version() -> str:
    """The one place where it stands: `tally_stream/__init__.py`; the wheel takes it from there too."""
    tree = ast.parse((ROOT / "tally_stream" / "__init__.py").read_text(encoding="utf-8"))
    (value,) = [n.value for n in tree.body if isinstance(n, ast.Assign) and ast.unparse(n.targets[0]) == "__version__"]
    return str(ast.literal_eval(value))


def not_ready(released: str, changelog: str, compose: str, tags: list[str], changed: str) -> list[str]:
    """Why no release can be made now, one sentence each."""
    reasons = []
    if not re.search(rf"^## \[{re.escape(released)}\] - \d{{4}}-\d\d-\d\d$", changelog, re.MULTILINE):
        reasons.append(f"CHANGELOG.md has no heading `## [{released}] - YYYY-MM-DD`")
    if f"image: tally-stream:{released}\n" not in compose:
        reasons.append(f"docker-compose.yml does not name the image tally-stream:{released}")
    if f"v{released}" not in tags:
        reasons.append(f"this commit has no tag v{released}")
    if changed:
        reasons.append("files differ from the commit")
    return reasons


def bill_of_materials(released: str, pins: str) -> dict[str, object]:
    """CycloneDX 1.5: what requirements/runtime.txt installs beside the product, with the sums that pip checks."""
    components = []
    starts = [*PIN.finditer(pins)]
    ends = [*(found.start() for found in starts[1:]), len(pins)]
    for found, end in zip(starts, ends, strict=True):
        name, pinned, marker = found[1], found[2], found[3].removeprefix(" ;").strip()
        hashes = re.findall(r"--hash=sha256:([0-9a-f]{64})", pins[found.start() : end])
        component: dict[str, object] = {
            "type": "library", "name": name, "version": pinned, "purl": f"pkg:pypi/{name.lower()}@{pinned}",
            # One sum a file that pip may take: wheels of each platform, and the source.
            "properties": [{"name": "pip:sha256", "value": one} for one in hashes]
            + ([{"name": "pip:marker", "value": marker}] if marker else []),
        }  # fmt: skip
        components.append(component)
    product = {"type": "application", "name": "tally-stream", "version": released, "purl": f"pkg:pypi/tally-stream@{released}"}
    return {"bomFormat": "CycloneDX", "specVersion": "1.5", "version": 1, "metadata": {"component": product},
            "components": components}  # fmt: skip


def sums(folder: Path) -> str:
    """As `sha256sum --check` reads them."""
    files = sorted(path for path in folder.iterdir() if path.name != "SHA256SUMS")
    return "".join(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n" for path in files)


def build_wheel(source: Path, folder: Path, *, is_pure: bool, time_s: int) -> None:
    """Into `folder`, with the build tools that are installed. The same files give the same bytes wherever they lie, whoever
    builds: each has the time `time_s` (seconds since 1970 UTC) and the rights that a new file has for most."""
    words = (
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--quiet",
        "--no-deps",
        "--no-build-isolation",
        "--wheel-dir",
        folder,
        source,
    )
    told = {"SOURCE_DATE_EPOCH": str(time_s)} | ({"TALLY_PURE": "1"} if is_pure else {})
    subprocess.run(words, check=True, env={**os.environ, **told}, umask=0o022)


def _copied(target: Path) -> Path:
    """What git has of this tree, and nothing that lies around."""
    for name in _git("ls-files", "-z").split("\0"):
        if name and (ROOT / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, target / name)
    return target


def _git(*words: str) -> str:
    return subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=True).stdout


def _write_bill_of_materials(released: str) -> None:
    pins = (ROOT / "requirements" / "runtime.txt").read_text(encoding="utf-8")
    (DIST / "sbom.cdx.json").write_text(json.dumps(bill_of_materials(released, pins), indent=2) + "\n", encoding="utf-8")


def main() -> int:
    released = version()
    if sys.argv[1:] == ["--sbom"]:
        DIST.mkdir(exist_ok=True)
        _write_bill_of_materials(released)
        return 0
    changelog, compose = ((ROOT / name).read_text(encoding="utf-8") for name in ("CHANGELOG.md", "docker-compose.yml"))
    changed = _git("status", "--porcelain", "--untracked-files=no")
    reasons = not_ready(released, changelog, compose, _git("tag", "--points-at", "HEAD").split(), changed)
    for reason in reasons:
        print(reason, file=sys.stderr)
    if reasons and sys.argv[1:] != ["--try"]:
        return 1
    shutil.rmtree(DIST, ignore_errors=True)
    DIST.mkdir()
    committed_at = int(_git("log", "-1", "--format=%ct"))
    for is_pure in (True, False):
        with tempfile.TemporaryDirectory() as scratch:
            build_wheel(_copied(Path(scratch) / "source"), DIST, is_pure=is_pure, time_s=committed_at)
    _write_bill_of_materials(released)
    (DIST / "SHA256SUMS").write_text(sums(DIST), encoding="utf-8")
    print(sums(DIST), end="")
    return 0


if __name__ == "__main__":
    sys.exit(main())
