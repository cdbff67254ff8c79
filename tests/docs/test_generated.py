"""The generated pages are what the code says, and the check that says so can fail."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from tally_stream.domain.rules import RULES
from tally_stream.metrics import ALL_NAMES
from tests.docs import generate


@pytest.mark.parametrize("name", generate.PAGES)
def test_a_page_is_what_the_code_says(name: str) -> None:
    assert (generate.DOCS / name).read_text(encoding="utf-8") == generate.PAGES[name]()


def test_rules_are_those_of_the_command() -> None:
    said = subprocess.run([sys.executable, "-m", "tally_stream", "rules", "--markdown"], capture_output=True, check=True)
    assert said.stdout == (generate.DOCS / "rules.md").read_bytes()


def test_every_rule_and_metric_has_its_row() -> None:
    assert all(f"| {rule.code} |" in generate.PAGES["rules.md"]() for rule in RULES)
    assert all(f"| `{name}` |" in generate.metrics_markdown() for name in ALL_NAMES)


def test_a_page_that_differs_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(generate, "DOCS", tmp_path)
    (tmp_path / "rules.md").write_text(generate.PAGES["rules.md"]() + "one line more\n", encoding="utf-8")
    assert generate.stale_pages() == list(generate.PAGES)


def test_writing_makes_them_current_and_takes_away_a_schema_of_no_message(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(generate, "DOCS", tmp_path)
    monkeypatch.setattr(sys, "argv", ["generate.py"])
    assert generate.main() == 0
    assert generate.stale_pages() == []
    (tmp_path / "schemas/old.json").write_text("{}", encoding="utf-8")
    assert generate.stale_pages() == ["schemas/old.json"]
    assert generate.main() == 0
    assert generate.stale_pages() == []


def test_the_command_checks_and_refuses_other_words() -> None:
    script = str(Path(generate.__file__))
    assert subprocess.run([sys.executable, script, "--check"], check=False).returncode == 0
    assert subprocess.run([sys.executable, script, "--chek"], capture_output=True, check=False).returncode == 2


def test_the_three_places_are_found_by_the_line_of_their_function(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file, function, _ = generate.PLACES["Where is a root sent?"][0]
    line = (generate.PACKAGE / file).read_text(encoding="utf-8").splitlines()[generate.line_of(file, function) - 1]
    assert line.strip().startswith(f"async def {function.split('.')[1]}(")
    with pytest.raises(KeyError, match="publish_nothing"):
        generate.line_of(file, "Publishing.publish_nothing")
    (tmp_path / "stream").mkdir()
    (tmp_path / file).write_text("\n\nclass Publishing:\n    async def _render(self): ...\n", encoding="utf-8")
    monkeypatch.setattr(generate, "PACKAGE", tmp_path)
    monkeypatch.setattr(generate, "PLACES", {"Where?": ((file, function, "sends"),)})
    assert f"| Where? | `{file}:4` | `{function}` | sends |" in generate.architecture_markdown()


def without_purpose(modules: dict[str, str]) -> list[str]:
    """Those of `modules` (name → text) that do not open with a paragraph that is one sentence or more."""
    opening = {name: (ast.get_docstring(ast.parse(text)) or "").split("\n\n")[0].strip() for name, text in modules.items()}
    return [name for name, paragraph in opening.items() if not paragraph.endswith((".", ":"))]


def test_every_module_opens_with_a_paragraph_that_says_what_it_is_for() -> None:
    """As docs/architecture.md claims. A paragraph may end in a colon, before a list."""
    paths = sorted(generate.PACKAGE.rglob("*.py"))
    assert len(paths) > 100
    assert without_purpose({str(path): path.read_text(encoding="utf-8") for path in paths}) == []
    modules = {"none": "x = 1", "empty": '""""""', "no sentence": '"""Rules\n\nThey judge."""', "good": '"""Rules judge."""'}
    assert without_purpose(modules) == ["none", "empty", "no sentence"]


def test_every_file_of_the_count_stands_in_the_order_of_reading() -> None:
    page = generate.ARCHITECTURE.read_text(encoding="utf-8")
    order = page[page.index("## Where to start reading") :]
    files = [path.name for path in (generate.PACKAGE / "domain").glob("*.py") if path.name != "__init__.py"]
    assert [name for name in sorted(files) if f"`domain/{name}`" not in order] == []
