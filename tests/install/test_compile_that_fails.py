"""A compile that fails anywhere leaves a package that runs interpreted, nothing compiled, and one sentence that says why.

The compiler is a script: it writes empty files, as quickly as a shell can, until the case at hand makes it fail.
"""

from __future__ import annotations

import sys
import sysconfig
import zipfile
from pathlib import Path
from typing import Any

import pytest

from tests.install.environments import run

SUFFIX = sysconfig.get_config_var("EXT_SUFFIX")
ENDING = ": what counts runs interpreted, more than twice as slow"
COMPILER = """#!/bin/sh
echo call >> "$TALLYS"
calls=$(wc -l < "$TALLYS")
{fault}
while [ $# -gt 0 ]; do [ "$1" = -o ] && : > "$2"; shift; done
"""
FAULTS = {  # each ends in another way: a signal, an error that names a warning, and a link after most was linked
    "no memory at the third file": '[ "$calls" -lt 3 ] || kill -9 $$',
    "the first file, a warning turned error": 'echo "x.c:1:1: error: this was a warning [-Werror=stringop-overread]" >&2; exit 1',
    "a shim, when the library is there": 'case "$*" in *-shared*fold*) exit 1;; esac',
}  # fmt: skip


def compiled_files(clone: Path) -> list[Path]:
    return sorted(clone.glob("tally_stream/**/*.so")) + sorted(clone.glob("build/lib*/**/*.so"))


def left_by_an_earlier_build(clone: Path) -> None:
    for name in ("compiled__mypyc", "domain/fold", "wire/reading"):
        (clone / "tally_stream" / f"{name}{SUFFIX}").write_bytes(b"stale")


def compile_in(clone: Path, tmp_path: Path, *command: str, **environment: Any) -> str:
    """What it said in the product's name."""
    done = run(sys.executable, "setup.py", "--quiet", *command, cwd=clone, TALLYS=str(tmp_path / "calls"), **environment)
    assert "Traceback" not in done.stderr
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("tally-stream: ")]
    return line


def runs_interpreted(clone: Path) -> None:
    assert compiled_files(clone) == []
    assert "S1" in run(sys.executable, "-m", "tally_stream", "rules", "--json", cwd=clone).stdout
    where = (
        "from tally_stream.domain import fold; from tally_stream.wire import reading; print(fold.__file__, reading.__file__)"
    )
    assert ".so" not in run(sys.executable, "-c", where, cwd=clone).stdout


def compiler_that_fails(tmp_path: Path, fault: str) -> str:
    path = tmp_path / "cc"
    path.write_text(COMPILER.replace("{fault}", fault))
    path.chmod(0o755)
    return str(path)


@pytest.mark.parametrize("fault", FAULTS)
def test_a_compiler_that_fails_at(fault: str, clone: Path, tmp_path: Path) -> None:
    left_by_an_earlier_build(clone)
    compiler = compiler_that_fails(tmp_path, FAULTS[fault])
    said = compile_in(clone, tmp_path, "build_ext", "--inplace", "--force", CC=compiler)
    assert said.startswith("tally-stream: the compile failed (")
    assert said.endswith(ENDING)
    runs_interpreted(clone)


def test_a_build_that_is_killed_leaves_nothing_of_an_earlier_one(clone: Path, tmp_path: Path) -> None:
    """As by the kernel where memory is short: nobody is left to clear up, so that was done before."""
    left_by_an_earlier_build(clone)
    compiler = compiler_that_fails(tmp_path, '[ "$calls" -lt 3 ] || kill -9 $PPID')
    run(sys.executable, "setup.py", "--quiet", "build_ext", "--inplace", "--force", cwd=clone, expect=-9, CC=compiler,
        TALLYS=str(tmp_path / "calls"))  # fmt: skip
    # A compiler that outlived the build may still write below build/; the next one clears that. The package has nothing.
    assert list(clone.glob("tally_stream/**/*.so")) == []
    assert "S1" in run(sys.executable, "-m", "tally_stream", "rules", "--json", cwd=clone).stdout


def test_no_compiler(clone: Path, tmp_path: Path) -> None:
    left_by_an_earlier_build(clone)
    said = compile_in(clone, tmp_path, "build_ext", "--inplace", CC="/nowhere/cc -pthread")
    assert said == f"tally-stream: there is no C compiler (/nowhere/cc){ENDING}"
    runs_interpreted(clone)


def test_no_headers(clone: Path, tmp_path: Path) -> None:
    left_by_an_earlier_build(clone)
    (tmp_path / "sitecustomize.py").write_text(
        "import sysconfig\nwhole = sysconfig.get_path\n"
        "sysconfig.get_path = lambda name, *more, **named: '/nowhere' if name == 'include' else whole(name, *more, **named)\n"
    )
    said = compile_in(clone, tmp_path, "build_ext", "--inplace", PYTHONPATH=str(tmp_path))
    assert said == f"tally-stream: Python's headers are missing (Debian: python3-dev){ENDING}"
    runs_interpreted(clone)


@pytest.mark.parametrize(
    ("module", "reason"),
    [
        ("raise ImportError('no mypyc here')", "mypyc is missing (no mypyc here)"),
        ("def mypycify(*_, **__): raise SystemExit('fold.py:1: error: a type is wrong')",
         "the compile failed (fold.py:1: error: a type is wrong)"),
        ("def mypycify(*_, **__): raise AssertionError", "the compile failed (AssertionError)"),
    ],
    ids=["missing", "a wrong type", "a fault of its own"],
)  # fmt: skip
def test_mypyc(module: str, reason: str, clone: Path, tmp_path: Path) -> None:
    left_by_an_earlier_build(clone)
    (tmp_path / "mypyc").mkdir()
    (tmp_path / "mypyc" / "__init__.py").touch()
    (tmp_path / "mypyc" / "build.py").write_text(module + "\n")
    said = compile_in(clone, tmp_path, "build_ext", "--inplace", PYTHONPATH=str(tmp_path))
    assert said == f"tally-stream: {reason}{ENDING}"
    runs_interpreted(clone)


def test_a_wheel_then_is_a_pure_one_for_every_platform(clone: Path, tmp_path: Path) -> None:
    compiler = compiler_that_fails(tmp_path, FAULTS["a shim, when the library is there"])
    compile_in(clone, tmp_path, "bdist_wheel", "--dist-dir", str(tmp_path / "dist"), CC=compiler)
    (wheel,) = (tmp_path / "dist").iterdir()
    assert wheel.name.endswith("-py3-none-any.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert "tally_stream/domain/fold.py" in names
    assert [name for name in names if name.endswith(".so") or (".data/" in name and ".data/data/share/doc/" not in name)] == []
