"""docs/api.md names what is there, with its arguments, and its example prints what the page shows."""

from __future__ import annotations

import inspect
import re
from typing import Any

import pytest

from tests.docs.names import found
from tests.support.doc_pages import marked
from tests.support.paths import DOCS

PAGE = DOCS / "api.md"
PROMISED = re.findall(r"^\| `(tally_stream\.[\w.]+)(\(.*?\))?` \|", PAGE.read_text(encoding="utf-8"), re.MULTILINE)


def arguments(function: Any, *, is_method: bool) -> str:
    """As the page writes them: no types, and no `self`."""
    parameters = list(inspect.signature(function).parameters.values())[1 if is_method else 0 :]
    bare = [p.replace(annotation=inspect.Parameter.empty) for p in parameters]
    return str(inspect.Signature(bare)).replace(" = ", "=")


@pytest.mark.parametrize(("name", "written"), PROMISED, ids=[name for name, _ in PROMISED])
def test_what_is_promised_is_there_with_its_arguments(name: str, written: str) -> None:
    is_method = inspect.isclass(found(name.rpartition(".")[0]))
    assert not written or arguments(found(name), is_method=is_method) == written


def test_the_page_promises_something() -> None:
    assert len(PROMISED) == 24
    with pytest.raises(AttributeError):
        found("tally_stream.audit.replay.replays")


def test_the_example_prints_what_stands_there(capsys: pytest.CaptureFixture[str]) -> None:
    by_name = marked(PAGE, "example")
    exec(by_name[""].text, {})
    assert capsys.readouterr().out == by_name["prints"].text
