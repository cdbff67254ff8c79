"""What is not drawn in docs/architecture.md is not imported, and what the check would say where somebody did."""

from __future__ import annotations

from copy import deepcopy
from functools import cache
from itertools import pairwise

import grimp
import pytest

from tests.docs.arrows import PAGE, circle, read, undrawn, unused
from tests.support.doc_pages import marked

DRAWING = read(*(marked(PAGE, "arrows")[name].text for name in ("ours", "libraries")))


@cache
def imports_of_the_product() -> grimp.ImportGraph:
    return grimp.build_graph("tally_stream", include_external_packages=True, cache_dir=None)


@pytest.fixture
def graph() -> grimp.ImportGraph:
    """A copy to plant imports in."""
    return deepcopy(imports_of_the_product())


def test_everything_imported_is_drawn() -> None:
    assert undrawn(imports_of_the_product(), DRAWING) == []


def test_everything_drawn_is_imported() -> None:
    assert unused(imports_of_the_product(), DRAWING) == []


@pytest.mark.parametrize(
    ("ours", "libraries", "said"),
    [
        ("station ─► metrics, kafka", "", "tally_stream.station ─► tally_stream.metrics"),
        ("stream/shares ─► stream/runs, domain", "", "tally_stream.stream.shares ─► tally_stream.domain"),
        ("cli ─► everything", "mypy_extensions ◄─ domain, wire", "mypy_extensions ◄─ tally_stream.wire"),
    ],
)
def test_an_arrow_that_nobody_uses_is_named(ours: str, libraries: str, said: str) -> None:
    assert unused(imports_of_the_product(), read(ours, libraries)) == [f"{said} is drawn, and nobody imports it"]


def test_nothing_imports_in_circles() -> None:
    assert circle(imports_of_the_product()) == []


@pytest.mark.parametrize(
    ("importer", "imported"),
    [
        ("board.api", "audit.replay"),
        ("board.api", "stream.shares"),
        ("station.night", "export.table"),
        ("kafka.client", "domain.election"),
        ("kafka.client", "wire.messages"),
        ("kafka.client", "metrics"),
        ("wire.messages", "settings"),
        ("domain.tally", "wire.messages"),
        ("stream.counting", "board.shown"),
        ("stream.shares", "stream.counting"),
        ("stream.shares", "domain.election"),
        ("export.table", "kafka.client"),
        ("metrics", "domain.election"),
    ],
)
def test_an_arrow_that_nobody_drew_is_named(graph: grimp.ImportGraph, importer: str, imported: str) -> None:
    importer, imported = f"tally_stream.{importer}", f"tally_stream.{imported}"
    assert {importer, imported} <= graph.modules
    graph.add_import(importer=importer, imported=imported, line_number=7, line_contents="")
    (said,) = undrawn(graph, DRAWING)
    assert said.startswith(f"{importer} -> {imported} (line 7): no arrow from ")


@pytest.mark.parametrize(
    ("importer", "library"),
    [("board.api", "rich"), ("kafka.client", "faust"), ("domain.tally", "pydantic"), ("stream.shares", "confluent_kafka")],
)
def test_a_library_in_another_room_is_named(graph: grimp.ImportGraph, importer: str, library: str) -> None:
    graph.add_import(importer=f"tally_stream.{importer}", imported=library, line_number=7, line_contents="")
    assert undrawn(graph, DRAWING) == [f"tally_stream.{importer} -> {library} (line 7): the library is not drawn for it"]


def test_a_new_library_and_a_new_package_are_named(graph: grimp.ImportGraph) -> None:
    graph.add_import(importer="tally_stream.cli.main", imported="pandas", line_number=7, line_contents="")
    graph.add_module("tally_stream.extra")
    assert undrawn(graph, DRAWING) == [
        "tally_stream.cli.main -> pandas (line 7): the library is not drawn",
        "tally_stream.extra is not drawn",
    ]


def test_a_drawn_name_that_is_gone_is_named(graph: grimp.ImportGraph) -> None:
    graph.remove_module("tally_stream.stream.shares")
    assert undrawn(graph, DRAWING) == ["tally_stream.stream.shares is drawn and does not exist"]


def test_a_circle_is_shown_as_it_is_imported() -> None:
    graph = grimp.ImportGraph()
    for importer, imported in [("a", "b"), ("b", "c"), ("c", "a"), ("c", "d")]:
        graph.add_import(importer=importer, imported=imported)
    found = circle(graph)
    assert len(found) == 4
    assert set(pairwise(found)) == {("a", "b"), ("b", "c"), ("c", "a")}
    graph.remove_import(importer="c", imported="a")
    assert circle(graph) == []


@pytest.mark.parametrize(
    ("ours", "said"), [("a ─> b", "no arrow: a ─> b"), ("a ─► b\na, c ─► d", "drawn twice: tally_stream.a")]
)
def test_a_drawing_that_cannot_be_read_is_refused(ours: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        read(ours, "")
