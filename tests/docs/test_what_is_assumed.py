"""What a certainty assumes is said wherever one is published, and nothing of it is left out: half of it is a promise that
nobody made."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tally_stream.export.outcome_words import NOT_A_DECLARATION
from tests.support.paths import DOCS, ROOT

PACKAGE = ROOT / "tally_stream"
IN_ENGLISH = (
    "no later correction, annulment or acceptance",
    "no later report of a station already counted",
    "none that lowers a partial count",
    "registers as they stand",
)
PLACES = [
    PACKAGE / "domain" / "outcome.py",
    PACKAGE / "wire" / "schema" / "published.py",
    DOCS / "schemas" / "standings.json",
    DOCS / "wire-format.md",
    DOCS / "elections.md",
    ROOT / "README.md",
]
ON_THE_PAGE = {
    "en": IN_ENGLISH,
    "az": (
        "sonradan düzəliş, ləğv və qəbul", "artıq sayılmış məntəqədən yeni hesabat", "qismən sayımı azaldan hesabat",
        "siyahıların dəyişməyəcəyini",
    ),
    "es": (
        "no habrá correcciones, anulaciones ni aceptaciones", "ni otro informe de una mesa ya contada",
        "ni uno que rebaje un recuento parcial", "los censos no cambian",
    ),
    "ru": (
        "не будет исправлений, отмен и принятий", "новых сообщений об уже подсчитанных участках",
        "сообщений, уменьшающих частичный подсчёт", "списки не изменятся",
    ),
}  # fmt: skip
LANGUAGES = sorted((PACKAGE / "board" / "static" / "lang").glob("*.json"))


def missing(said: str, assumptions: tuple[str, ...]) -> list[str]:
    """Assumptions that are not named, however the text is broken into lines."""
    words = " ".join(said.replace("**", "").split())
    return [assumption for assumption in assumptions if assumption not in words]


def test_the_terminal_and_the_notes_of_an_export_name_all_of_it() -> None:
    assert missing(NOT_A_DECLARATION, IN_ENGLISH) == []


@pytest.mark.parametrize("place", PLACES, ids=lambda place: place.name)
def test_a_page_or_schema_that_names_some_of_it_names_all(place: Path) -> None:
    assert missing(place.read_text(encoding="utf-8"), IN_ENGLISH) == []


def test_the_readme_names_all_of_it_where_it_says_what_is_not_promised() -> None:
    _, _, limits = (ROOT / "README.md").read_text(encoding="utf-8").rpartition("**`decided` assumes")
    assert missing(limits, IN_ENGLISH) == []


@pytest.mark.parametrize("language", LANGUAGES, ids=lambda language: language.stem)
def test_the_page_names_all_of_it_in_each_of_its_languages(language: Path) -> None:
    note = json.loads(language.read_text(encoding="utf-8"))["outcome.note"]
    assert missing(note, ON_THE_PAGE[language.stem]) == []
