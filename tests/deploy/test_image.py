"""The Dockerfile, read: hadolint judges it, and what it installs is what runs. `make recipe` runs its lines; no test builds it."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from tests.deploy import recipe
from tests.deploy.files import DOCKERFILE, program, run
from tests.support.paths import ROOT


def test_hadolint_has_nothing_to_say() -> None:
    beside = Path(sys.executable).with_name("hadolint")  # a package of the tests, where there is a wheel of it
    run(beside if beside.exists() else program("hadolint"), "--no-color", DOCKERFILE)


def test_it_runs_as_nobody_special() -> None:
    *_, last = recipe.stages(DOCKERFILE.read_text(encoding="utf-8"))
    users = [rest for name, rest in last if name == "USER"]
    assert len(users) == 1
    assert re.fullmatch(r"\d{5}", users[0])
    assert ("ENTRYPOINT", '["tally-stream"]') in last


def test_it_installs_what_runs_and_builds_with_what_a_wheel_needs() -> None:
    build, last = recipe.stages(DOCKERFILE.read_text(encoding="utf-8"))
    installs = [command for name, rest in build if name == "RUN" for command in rest.split("&&") if " install " in command]
    by_pip = [command for command in installs if "pip" in command]
    assert len(by_pip) == 3
    for command in by_pip:
        assert "--require-hashes" in command or re.search(r"--no-deps /dist/\*\.whl", command), command
    text = DOCKERFILE.read_text(encoding="utf-8")
    assert set(re.findall(r"requirements/(\w+)\.txt", text)) == {"runtime", "build"}
    into_what_runs = [command for command in by_pip if "--python /opt/tally/bin/python" in command]
    assert ["build.txt" in command for command in into_what_runs] == [False, False]
    assert [rest for name, rest in last if name == "COPY"] == ["--from=build /opt/tally /opt/tally"]


def test_what_runs_has_no_package_of_the_tests() -> None:
    runtime = recipe.pinned((ROOT / "requirements" / "runtime.txt").read_text(encoding="utf-8"))
    assert len(runtime) > 30
    assert runtime.keys() & {"pip", "setuptools", "mypy", "ruff", "pytest", "hypothesis", "uv"} == set()


def test_what_is_copied_is_let_into_the_build_and_nothing_else() -> None:
    allowed = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    build, _ = recipe.stages(DOCKERFILE.read_text(encoding="utf-8"))
    copied = {one for name, rest in build if name == "COPY" for one in rest.split()[:-1]}
    assert copied == allowed


@pytest.mark.parametrize(
    ("line", "meant"),
    [
        ("python -m venv /opt/build", "python -m venv /x/opt/build"),
        (
            "pip wheel --wheel-dir /dist . && pip install /dist/*.whl",
            "pip wheel --wheel-dir /x/dist . && pip install /x/dist/*.whl",
        ),
        ("rm -rf ./dist/old", "rm -rf ./dist/old"),
    ],
)
def test_the_recipe_moves_what_stands_at_the_root(line: str, meant: str) -> None:
    assert recipe.moved(line, Path("/x")) == meant
