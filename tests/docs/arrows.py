"""Import-linter contracts of our own: what docs/architecture.md draws is what may be imported, and nothing goes in circles.

Decides how the two drawings of that page are read. `stream ─► kafka, wire` says what of ours a package may import, and
`click, rich ◄─ cli` says who may import a library. A line can name a module instead of a package (`stream/shares`): then
that line alone speaks for it, also towards its neighbours. What no line allows is refused: an undrawn arrow, a package or a
library that is not drawn, a drawn name that does not exist. So is an arrow that nobody uses: it would let somebody in
unseen. Refuses to know why an arrow is there. pyproject.toml lists the
contracts; read next: `tests/support/doc_pages.py`.
"""

from __future__ import annotations

import graphlib
import re
import sys
from dataclasses import dataclass, field

import grimp
from importlinter import Contract, ContractCheck, output

from tests.support.doc_pages import marked
from tests.support.paths import DOCS

PACKAGE = "tally_stream"
PAGE = DOCS / "architecture.md"
_OURS = re.compile(r"(?P<left>[\w/, ]+?) ─► (?P<right>[\w/, ]+)\Z")
_LIBRARIES = re.compile(r"(?P<left>[\w, ]+?) ◄─ (?P<right>[\w/, ]+)\Z")


@dataclass
class Drawing:
    """`ours`: drawn module → the drawn names it may import, None for everything. `libraries`: library → who may import it."""

    ours: dict[str, frozenset[str] | None] = field(default_factory=dict)
    libraries: dict[str, frozenset[str]] = field(default_factory=dict)


def _names(text: str) -> frozenset[str]:
    return frozenset(name.strip() for name in text.split(","))


def _modules(names: frozenset[str]) -> frozenset[str]:
    return frozenset(f"{PACKAGE}.{name.replace('/', '.')}" for name in names if name != "nothing")


def read(imports: str, libraries: str) -> Drawing:
    """Raises ValueError for a line that is none, and for a name that is drawn twice."""
    drawing = Drawing()
    for line in imports.splitlines():
        found = _OURS.match(line)
        if found is None:
            raise ValueError(f"no arrow: {line}")
        allowed = None if found["right"] == "everything" else _modules(_names(found["right"]))
        for name in _modules(_names(found["left"])):
            if name in drawing.ours:
                raise ValueError(f"drawn twice: {name}")
            drawing.ours[name] = allowed
    for line in libraries.splitlines():
        found = _LIBRARIES.match(line)
        if found is None:
            raise ValueError(f"no arrow: {line}")
        for name in _names(found["left"]):
            if name in drawing.libraries:
                raise ValueError(f"drawn twice: {name}")
            drawing.libraries[name] = _modules(_names(found["right"]))
    return drawing


def _is_under(module: str, names: frozenset[str]) -> bool:
    return any(module == name or module.startswith(name + ".") for name in names)


def drawn_as(module: str, drawing: Drawing) -> str | None:
    """The longest drawn name that the module is, or is in."""
    return max((name for name in drawing.ours if _is_under(module, frozenset([name]))), key=len, default=None)


def undrawn(graph: grimp.ImportGraph, drawing: Drawing) -> list[str]:
    """What the code does that the drawing does not say, one sentence each."""
    ours = sorted(m for m in graph.modules if m.startswith(PACKAGE + "."))
    named = set(drawing.ours).union(
        *(names for names in drawing.ours.values() if names is not None), *drawing.libraries.values()
    )
    found = [f"{name} is drawn and does not exist" for name in sorted(named - set(ours))]
    for module in ours:
        own = drawn_as(module, drawing)
        if own is None:
            found.append(f"{module} is not drawn")
            continue
        allowed = drawing.ours[own]
        for imported in sorted(graph.find_modules_directly_imported_by(module)):
            place = f"{module} -> {imported} ({', '.join(_lines(graph, module, imported))})"
            if imported == PACKAGE or _is_under(imported, frozenset([own])):
                continue
            if imported.startswith(PACKAGE + "."):
                if allowed is not None and not _is_under(imported, allowed):
                    found.append(f"{place}: no arrow from {own} is drawn to it")
            elif imported not in sys.stdlib_module_names:
                if imported not in drawing.libraries:
                    found.append(f"{place}: the library is not drawn")
                elif not _is_under(module, drawing.libraries[imported]):
                    found.append(f"{place}: the library is not drawn for it")
    return found


def unused(graph: grimp.ImportGraph, drawing: Drawing) -> list[str]:
    """Arrows that are drawn and that no import follows, one sentence each."""
    used: set[tuple[str, str]] = set()
    for module in graph.modules:
        imports = graph.find_modules_directly_imported_by(module)
        own = drawn_as(module, drawing)
        allowed = (drawing.ours[own] if own is not None else None) or frozenset[str]()
        used |= {(str(own), name) for name in allowed if any(_is_under(imported, frozenset([name])) for imported in imports)}
        used |= {(library, name) for library, names in drawing.libraries.items() if library in imports
                 for name in names if _is_under(module, frozenset([name]))}  # fmt: skip
    arrows = {(own, name) for own, names in drawing.ours.items() for name in names or ()}
    libraries = {(library, name) for library, names in drawing.libraries.items() for name in names}
    return [
        *(f"{own} ─► {name} is drawn, and nobody imports it" for own, name in sorted(arrows - used)),
        *(f"{library} ◄─ {name} is drawn, and nobody imports it" for library, name in sorted(libraries - used)),
    ]


def _lines(graph: grimp.ImportGraph, importer: str, imported: str) -> list[str]:
    details = graph.get_import_details(importer=importer, imported=imported)
    return [f"line {detail['line_number']}" for detail in details]


def circle(graph: grimp.ImportGraph) -> list[str]:
    """One circle of modules that import each other, the first again at its end; empty where there is none."""
    try:
        graphlib.TopologicalSorter({m: graph.find_modules_directly_imported_by(m) for m in graph.modules}).prepare()
    except graphlib.CycleError as error:
        return list(reversed(error.args[1]))
    return []


class _OfOurs(Contract):
    def render_broken_contract(self, check: ContractCheck) -> None:
        for line in check.metadata["found"]:
            output.print_error(line, bold=False)
        output.new_line()


class DrawnContract(_OfOurs):
    """Nothing is imported that docs/architecture.md does not draw, and nothing is drawn that is not imported."""

    def check(self, graph: grimp.ImportGraph, verbose: bool) -> ContractCheck:
        drawing = read(*(marked(PAGE, "arrows")[name].text for name in ("ours", "libraries")))
        found = undrawn(graph, drawing) + unused(graph, drawing)
        return ContractCheck(kept=not found, metadata={"found": found})


class NoCirclesContract(_OfOurs):
    """No module imports, by whatever way round, one that imports it."""

    def check(self, graph: grimp.ImportGraph, verbose: bool) -> ContractCheck:
        found = circle(graph)
        return ContractCheck(kept=not found, metadata={"found": [" -> ".join(found)] if found else []})
