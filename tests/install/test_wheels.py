"""Wheels, compiled and pure, in environments of their own: every command that needs no Kafka, from an unrelated folder."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import re
import signal
import subprocess
import urllib.request
import zipfile
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tally_stream import __version__
from tally_stream.domain.election import RULE_SET_NUMBER
from tests.install.environments import BIN, OWN, ROOT, Installed, copied, install, plain_environment, pythons, run
from tests.support.processes import LIFELINE, command
from tests.support.waiting import wait_for

GOLDEN = json.loads((ROOT / "tests" / "audit" / "golden.json").read_text())[str(RULE_SET_NUMBER)]
COMPILED = [f"compiled, {OWN}"]
PURE = [f"pure, {version}" for version in pythons() if version != OWN] or [f"pure, {OWN}"]
"""Where there are other Pythons, the pure wheel is on our own one in the tests of the board and of the extra."""


NIGHT = "wisconsin-2024"
"""The shortest that was real: here the larger ones would be counted by three Pythons, interpreted."""


REPORT = {
    "station": "11", "contest": "MAYOR", "counted_at": "2025-05-18T21:30:00+02:00",
    "ballots": {"cast": 640, "valid": 620, "blank": 9, "invalid": 11},
    "votes": {"AALTO": 250, "BRANDIS": 200, "CASTELLAN": 100, "DUNMORE": 60, "NOTA": 10},
}  # fmt: skip
"""The one of docs/stations.md."""


COMMANDS: dict[str, tuple[tuple[str, ...], dict[str, Any]]] = {
    "version": (("--version",), {}),
    "replay": (("replay", NIGHT, "--json"), {}),
    "demo": (("demo", "--election", NIGHT, "--fast", "--exit", "--json"), {}),
    "submit": (("submit", "report.json", "--election", "council", "--spool", "spool", "--check"), {}),
    "script": ((), {"_TALLY_STREAM_COMPLETE": "bash_source"}),
    "completion": ((), {"_TALLY_STREAM_COMPLETE": "bash_complete", "COMP_WORDS": "tally-stream replay ", "COMP_CWORD": "2"}),
}


@pytest.fixture(scope="session", params=[*COMPILED, *PURE])
def said(request: pytest.FixtureRequest, wheels: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What each command printed, called side by side: a demo alone waits more than it computes."""
    kind, version = request.param.split(", ")
    made = install(wheels[kind], version, tmp_path_factory.mktemp("installed") / "env")
    fold = made.python("-c", "from tally_stream.domain import fold; print(fold.__file__)")
    assert fold.startswith(str(made.folder))
    assert fold.endswith(".py" if kind == "pure" else ".so")
    (made.elsewhere() / "report.json").write_text(json.dumps(REPORT))
    with ThreadPoolExecutor() as pool:
        done = {name: pool.submit(made.tally, *words, **more) for name, (words, more) in COMMANDS.items()}
    return {name: one.result().stdout for name, one in done.items()}


@cache
def replay_of_this_tree() -> str:
    return subprocess.run(command("replay", NIGHT, "--json"), cwd=ROOT, capture_output=True, text=True, check=True).stdout


def test_the_names_say_for_whom_they_are(wheels: dict[str, Path]) -> None:
    assert wheels["pure"].name == f"tally_stream-{__version__}-py3-none-any.whl"
    assert f"-cp{OWN.replace('.', '')}-" in wheels["compiled"].name
    names = zipfile.ZipFile(wheels["compiled"]).namelist()
    shims = {name.split(".")[0] for name in names if name.endswith(".so")}
    sources = re.findall(r'"(tally_stream/[a-z_/]*)\.py"', (ROOT / "setup.py").read_text())
    assert shims == {*sources, "tally_stream/compiled__mypyc"}
    assert {name for name in names if not name.startswith("tally_stream")} == set(), "no tests, no requirements"
    pages = {name.partition(".data/data/share/doc/tally-stream/")[2] for name in names if ".data/" in name}
    docs = ROOT / "docs"
    assert pages == {str(page.relative_to(docs)) for page in (*docs.glob("*.md"), *docs.glob("adr/*.md"))}, "no pictures"


def test_whoever_builds_it_wherever_makes_the_same_bytes(tmp_path: Path) -> None:
    """The pure one here, by a release's own code; `make release ARGS=--try` in two clones compares the compiled one."""
    spec = importlib.util.spec_from_file_location("release", ROOT / "requirements" / "release.py")
    assert spec is not None
    assert spec.loader is not None
    release = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(release)
    made = []
    for number, mask in enumerate((0o022, 0o077)):
        before = os.umask(mask)
        try:
            source = copied(tmp_path / ("a" * (10 * number + 1)))
            for file in source.rglob("*.py"):
                os.utime(file, (1e9 * number, 1e9 * number))
            release.build_wheel(source, tmp_path / str(number), is_pure=True, time_s=1_707_318_000)
        finally:
            os.umask(before)
        made.append(
            [(wheel.name, hashlib.sha256(wheel.read_bytes()).hexdigest()) for wheel in (tmp_path / str(number)).iterdir()]
        )
    assert len(made[0]) == 1
    assert made[0] == made[1]


def test_it_replays_to_the_same_bytes(said: dict[str, str]) -> None:
    assert said["version"] == f"tally-stream, version {__version__}\n"
    assert said["replay"] == replay_of_this_tree()
    root = json.loads(said["replay"].splitlines()[-1])
    assert root["definition"] == GOLDEN[NIGHT]["definition"]
    assert root["version"] == GOLDEN[NIGHT]["records"]


def test_it_plays_a_night_on_the_embedded_broker(said: dict[str, str]) -> None:
    root = json.loads(said["demo"].splitlines()[-1])
    expected = json.loads(replay_of_this_tree().splitlines()[-1])
    del root["provenance"], expected["provenance"]  # four partitions there, one file here
    assert root == expected


def test_it_looks_at_a_report(said: dict[str, str]) -> None:
    assert said["submit"] == "report.json:1: 11 MAYOR revision 1: nothing is wrong with it\n"


def test_a_shell_completes(said: dict[str, str]) -> None:
    assert "complete -o nosort -F _tally_stream_completion tally-stream" in said["script"]
    offered = [line for line in said["completion"].splitlines() if line.startswith("plain,")]
    assert offered == ["plain,az-2024", "plain,bolivia-2019", "plain,council", "plain,wisconsin-2024"]


def test_the_board_has_its_page(wheels: dict[str, Path], tmp_path: Path) -> None:
    """Beside the embedded broker, which `demo` starts; every file that the page names is there."""
    made = install(wheels["pure"], OWN, tmp_path / "env")
    assert "--board-port" in made.tally("board", "--help").stdout
    log = tmp_path / "log"
    with log.open("wb") as file:
        process = subprocess.Popen(
            [made.folder / "bin" / "tally-stream", "demo", "--fast"], cwd=tmp_path, stdout=file, stderr=file,
            stdin=subprocess.DEVNULL, **LIFELINE.arguments(plain_environment(TALLY_BOARD_PORT="0")),
        )  # fmt: skip
    try:
        found = wait_for(lambda: re.search(r"the board is at (http://127\.0\.0\.1:\d+)/", log.read_text()), "the address")
        with urllib.request.urlopen(found[1] + "/", timeout=20) as answer:
            page = answer.read().decode()
        named = re.findall(r'(?:src|href)="(/?static/[^"]+|/?[\w./-]+\.(?:js|css|svg))"', page)
        assert named
        for path in named:
            with urllib.request.urlopen(f"{found[1]}/{path.lstrip('/')}", timeout=20) as answer:
                assert answer.status == 200
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(30)
        finally:
            process.kill()
            process.wait()


@pytest.fixture(scope="module")
def without_extra(wheels: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Installed:
    return install(wheels["pure"], OWN, tmp_path_factory.mktemp("without_extra") / "env", extra="")


def test_without_the_extra_the_demo_says_what_to_install(without_extra: Installed) -> None:
    said = without_extra.tally("demo", "--election", "az-2024", "--fast", "--exit", "--json", expect=1)
    assert said.stderr.splitlines() == [
        "tally-stream: the embedded broker needs the package confluent-kafka, 2.6 or newer: pip install 'tally-stream[embedded]'"
    ]


def test_help_and_messages_name_a_page_where_it_lies(without_extra: Installed, tmp_path: Path) -> None:
    (tmp_path / "empty.csv").touch()
    said = without_extra.tally("submit", str(tmp_path / "empty.csv"), "--election", "council", "--check", expect=1).stderr
    page = without_extra.folder.resolve() / "share/doc/tally-stream/stations.md"
    assert said.endswith(f"it should hold a report in JSON, or a table ({page})\n")
    assert page.read_bytes() == (ROOT / "docs/stations.md").read_bytes()
    help_text = re.sub(r"\s", "", without_extra.tally("submit", "--help").stdout)
    assert f"{page}hasitscolumns" in help_text
    named = re.findall(r"^Documentation=file:/opt/tally-stream/(.*)", _units(), re.MULTILINE)
    assert named
    assert all((without_extra.folder / name).is_file() for name in named)


def _units() -> str:
    return "".join(unit.read_text() for unit in (ROOT / "deploy/systemd").glob("*.service"))


def test_bash_itself_offers_the_nights(without_extra: Installed, tmp_path: Path) -> None:
    """The lines of docs/install.md, in a bash that is as it comes."""
    path = f"{without_extra.folder / 'bin'}:/usr/bin:/bin"
    script = ('eval "$(_TALLY_STREAM_COMPLETE=bash_source tally-stream)"; COMP_WORDS=(tally-stream replay w); COMP_CWORD=2; '
              "_tally_stream_completion tally-stream 2>/dev/null; echo ${COMPREPLY[@]}")  # fmt: skip
    assert script.split(";", maxsplit=1)[0] in (ROOT / "docs" / "install.md").read_text(encoding="utf-8")
    assert run("bash", "--norc", "-c", script, cwd=tmp_path, PATH=path).stdout == "wisconsin-2024\n"


def test_one_wheel_over_another_and_back(wheels: dict[str, Path], without_extra: Installed, tmp_path: Path) -> None:
    """As docs/install.md has it for an upgrade and the way back."""
    made = without_extra
    older = tmp_path / wheels["pure"].name.replace(__version__, "0.0.9")
    _renumbered(wheels["pure"], older)
    for wheel, version in ((older, "0.0.9"), (wheels["pure"], __version__)):
        run(
            BIN / "uv",
            "pip",
            "install",
            "--quiet",
            "--no-deps",
            "--python",
            made.folder / "bin" / "python",
            wheel,
            cwd=tmp_path,
        )
        assert made.tally("--version").stdout == f"tally-stream, version {version}\n"


def _renumbered(wheel: Path, target: Path) -> None:
    """The same wheel under another version's name, without its list of digests."""
    old, new = f"tally_stream-{__version__}", "tally_stream-0.0.9"
    with zipfile.ZipFile(wheel) as source, zipfile.ZipFile(target, "w") as made:
        for name in source.namelist():
            content = source.read(name)
            if name.endswith(("METADATA", "tally_stream/__init__.py")):
                content = content.replace(__version__.encode(), b"0.0.9", 1) if name.endswith("__init__.py") else \
                    content.replace(f"Version: {__version__}".encode(), b"Version: 0.0.9", 1)  # fmt: skip
            if name.endswith("RECORD"):
                content = re.sub(rb",sha256=[^\n]*", b",,", content).replace(old.encode(), new.encode())
            made.writestr(name.replace(old, new), content)
