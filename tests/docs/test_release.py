"""The version stands in one place, a release is refused until everything says it, and lists what it is made of."""

from __future__ import annotations

import hashlib
import importlib.util
import re
import tomllib
from pathlib import Path
from types import ModuleType

import tally_stream
from tests.support.paths import ROOT


def _release() -> ModuleType:
    spec = importlib.util.spec_from_file_location("release", ROOT / "requirements" / "release.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


RELEASE = _release()
READY = ("0.1.0", "## [0.1.0] - 2027-01-31\n", "  image: tally-stream:0.1.0\n", ["v0.1.0"], "")


def test_the_version_stands_in_one_place() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert "version" not in project["project"]
    assert project["tool"]["setuptools"]["dynamic"]["version"] == {"attr": "tally_stream.__version__"}
    assert RELEASE.version() == tally_stream.__version__


def test_a_release_that_is_ready_has_nothing_to_say() -> None:
    assert RELEASE.not_ready(*READY) == []


def test_a_release_is_refused_with_every_reason_at_once() -> None:
    reasons = RELEASE.not_ready(
        "0.1.0", "## [0.1.0] - unreleased\n", "  image: tally-stream:0.1.01\n", ["v0.1"], " M README.md\n"
    )
    assert reasons == [
        "CHANGELOG.md has no heading `## [0.1.0] - YYYY-MM-DD`",
        "docker-compose.yml does not name the image tally-stream:0.1.0",
        "this commit has no tag v0.1.0",
        "files differ from the commit",
    ]


def test_the_image_of_the_compose_file_is_of_this_version() -> None:
    compose = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
    changelog = f"## [{tally_stream.__version__}] - 2027-01-31\n"
    assert RELEASE.not_ready(tally_stream.__version__, changelog, compose, [f"v{tally_stream.__version__}"], "") == []


def test_the_bill_of_materials_has_every_pin_with_its_sums() -> None:
    pins = (ROOT / "requirements" / "runtime.txt").read_text(encoding="utf-8")
    bill = RELEASE.bill_of_materials("0.1.0", pins)
    names = [component["name"] for component in bill["components"]]
    assert names == re.findall(r"^([\w.-]+)==", pins, re.MULTILINE)
    assert {"faust-streaming", "aiokafka", "msgspec"} <= set(names)
    listed = [p["value"] for c in bill["components"] for p in c["properties"] if p["name"] == "pip:sha256"]
    assert listed == re.findall(r"sha256:([0-9a-f]{64})", pins)


def test_sums_are_as_sha256sum_reads_them(tmp_path: Path) -> None:
    (tmp_path / "b.whl").write_bytes(b"two")
    (tmp_path / "a.whl").write_bytes(b"one")
    (tmp_path / "SHA256SUMS").write_text("old", encoding="utf-8")
    one, two = hashlib.sha256(b"one").hexdigest(), hashlib.sha256(b"two").hexdigest()
    assert RELEASE.sums(tmp_path) == f"{one}  a.whl\n{two}  b.whl\n"
