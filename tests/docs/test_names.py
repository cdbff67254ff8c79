"""What looks like code in the docs exists, and each kind of name that does not is found."""

from __future__ import annotations

import pytest

from tests.docs import names
from tests.docs.names import PAGES, Known, known, main, shown, spans, unknown, words_of_python
from tests.support.paths import DOCS, ROOT


def test_every_name_on_every_page_exists(capsys: pytest.CaptureFixture[str]) -> None:
    assert main() == 0, capsys.readouterr().out
    assert {page.name for page in PAGES} >= {"README.md", "CONTRIBUTING.md", "SECURITY.md", "runbook.md"}


def test_stale_compiled_code_is_refused_in_a_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(names, "out_of_date", lambda root: "compiled before it was changed: fold.py")
    assert names.main() == 1
    assert capsys.readouterr().out == "compiled before it was changed: fold.py; run make setup\n"


@pytest.mark.parametrize(
    ("text", "missing"),
    [
        ("wire/limit.py", "wire/limit.py"),
        ("tally_stream/wire/limit.py", "tally_stream/wire/limit.py"),
        ("domains/", "domains/"),
        ("tests/docs/names.py::nothing_there", "tests/docs/names.py::nothing_there"),
        ("nothing_fires", "nothing_fires"),
        ("Settings.bootstraps", "Settings.bootstraps"),
        ("tally_stream.metrics.METRIC", "tally_stream.metrics.METRIC"),
        ("event.acknowledge_it()", "event.acknowledge_it()"),
        ("StandingsOwnerView", "StandingsOwnerView"),
        ("VALUES_MAX_BYTES", "VALUES_MAX_BYTES"),
        ("TALLY_BOOTSTRAPS", "TALLY_BOOTSTRAPS"),
        ("TALLY_INSECURITY_*", "TALLY_INSECURITY_"),
        ("tally_lag_messages", "tally_lag_messages"),
        ("--prefixed", "--prefixed"),
        ("verify --rate 5", "verify --rate"),
        ("tally-stream verify --rate 5", "verify --rate"),
        ("tally-stream recount", "tally-stream recount"),
        ("replay az-2024 | tally-stream export --rate 5", "export --rate"),
        ("make fuss", "make fuss"),
        ("/api/v1/contest", "/api/v1/contest"),
        ("/api/v1/stations?contest=&nonsuch=", "/api/v1/stations?contest=&nonsuch="),
        ("the loop calls read_backwards for each", "read_backwards"),
    ],
)
def test_a_name_that_does_not_exist_is_found(text: str, missing: str) -> None:
    assert unknown(text, known()) == [missing]


@pytest.mark.parametrize(
    "text",
    ["wire/limits.py", "limits.py", "domain/", "Settings.bootstrap", "tally_stream.metrics.METRICS", "VALUE_MAX_BYTES", "TALLY_BOOTSTRAP", "TALLY_SECURITY_*",
     "tally_lag_records", "--prefix", "verify --replace-definition X", "make fuzz", "make test ARGS=docs", "as_of",
     "/api/v1/standings/PRES/AZ/041", "/api/v1/stations?contest=&area=", "http://127.0.0.1:9180/readyz", "kill -9"],
)  # fmt: skip
def test_what_exists_passes(text: str) -> None:
    assert unknown(text, known()) == []


def test_a_word_of_comments_and_docstrings_is_no_name() -> None:
    words: set[str] = set()
    words_of_python(
        '"""docstring"""\ndef f(argument):  # comment\n    """below"""\n    return {"text": g.attribute}\n', Known(), words
    )
    assert words == {"f", "argument", "text", "g", "attribute"}


def test_a_page_may_use_the_words_of_its_own_examples() -> None:
    page = DOCS / "wire-format.md"
    assert "areas_say" in shown(page)
    assert unknown("areas_say", known(), shown(page)) == []


def test_spans_are_found_with_their_lines(tmp_path) -> None:  # type: ignore[no-untyped-def]
    page = tmp_path / "page.md"
    page.write_text("# A\n`one` and ``two ` ticks``\n\n```sh\n`not this`\n```\n`a\\|b`\n`over\ntwo`\n", encoding="utf-8")
    assert spans(page) == [(2, "one"), (2, "two ` ticks"), (7, "a|b"), (8, "over\ntwo")]
    assert all(page.is_relative_to(ROOT) for page in PAGES)
