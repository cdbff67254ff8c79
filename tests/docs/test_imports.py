"""What CONTRIBUTING.md says of the tests' own imports: shared things stand in tests/support, private names have a reason."""

from __future__ import annotations

import ast
import re

from tests.support.paths import ROOT

FILES = sorted(str(p.relative_to(ROOT)) for top in ("tests", "bench") for p in (ROOT / top).rglob("*.py")
               if not {".venv", "peers"} & set(p.relative_to(ROOT).parts))  # fmt: skip
FROM_ELSEWHERE = {"tests.lanes", "tests.chaos.run", "tests.chaos.load", "tests.chaos.stage"}
"""The lanes' copy without compiled code; the faults of `make chaos`, which docs/promises.md names one by one; and its load and
workers, which the scenes of alerts play on too."""


def wrong_imports(file: str, source: str) -> list[str]:
    """The modules of tests/ that a file must not import: tests, and what another folder has for itself."""
    room = ".".join(file.split("/")[:2]) if file.startswith("tests/") else "bench"
    found = []
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.ImportFrom):
            continue
        module = node.module or ""
        if node.level:
            found.append("." * node.level + module)
        elif module.startswith("tests."):
            names = [module.split(".")[-1], *(alias.name for alias in node.names)]
            is_test = any(name.startswith(("test_", "conftest")) for name in names)
            is_own = f"{module}.".startswith((f"{room}.", "tests.support."))
            if is_test or not (is_own or module in FROM_ELSEWHERE):
                found.append(module)
    return found


def test_a_file_imports_what_is_shared_from_support() -> None:
    assert len(FILES) > 100
    found = {file: wrong_imports(file, (ROOT / file).read_text(encoding="utf-8")) for file in FILES}
    assert {file: modules for file, modules in found.items() if modules} == {}


def test_the_check_sees_each_kind() -> None:
    for line in ("from .builders import x", "from tests.domain.test_plain import x", "from tests.cli.calling import x"):
        assert wrong_imports("tests/domain/test_x.py", line), line
    for line in ("from tests.support.waiting import wait_for", "from tests.domain.own import x", "from bench.load import Load"):
        assert not wrong_imports("tests/domain/test_x.py", line), line
    assert wrong_imports("bench/run.py", "from tests.nights.on_topics import made")


def test_a_private_name_has_its_reason_beside_it() -> None:
    """ruff holds that each is marked; that the mark says why is held here."""
    lines = [line for file in FILES for line in (ROOT / file).read_text(encoding="utf-8").splitlines()]
    marked = [line for line in lines if re.search(r"# (ruff: )?noqa: [A-Z0-9, ]*(SLF001|PLC2701)", line)]
    assert len(marked) > 20
    assert [line for line in marked if not re.search(r"(SLF001|PLC2701) +\(\w.+\)$", line)] == []
