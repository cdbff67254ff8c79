"""What stands in backticks in the docs and looks like code exists: files, functions, settings, options, metrics, targets.

    python -m tests.docs.names        exit 1 and name what does not exist, page by page

Decides what looks like what: `wire/limits.py` a file of the package, `--resend` an option, `tally-stream verify` a command,
`make fuzz` a target, `/api/v1/contests` an address of the board, any other word a name in the product's code, its
configuration or its formats. A word is looked for where code has it (names, arguments, literals), not in comments
and docstrings. `FOREIGN` lists the words of other programs, each with its owner. Refuses to know what a page says about a
name. Read next: `tests/support/doc_pages.py`; a test (`test_names.py`) shows each kind failing.
"""

from __future__ import annotations

import ast
import importlib
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import click

from tally_stream.cli.main import cli
from tally_stream.metrics import ALL_NAMES
from tally_stream.settings import ENV_PREFIX, Settings
from tests.support.compiled import out_of_date
from tests.support.doc_pages import blocks
from tests.support.paths import DOCS, ROOT

PAGES = [*(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md")), *sorted(DOCS.rglob("*.md"))]
PRODUCT = ("tally_stream", "deploy", "setup.py", "docker-compose.yml", "pyproject.toml", "Makefile", "requirements")
BESIDE = ("tests", "bench", ".ci", ".github")
"""Not the product, but they have options and files of their own."""


FOREIGN = {
    "group_by": "Faust",
    "gc.freeze": "Python",
    "ps": "the system",
    "nohup": "the system",
    "py3-none-any": "wheels",
    "compinit": "zsh",
    "reduce": "Kafka Streams",
    "groupBy": "Kafka Streams",
    "aggregate": "Kafka Streams",
    "stateful_map": "Bytewax",
    "stateful_batch": "Bytewax",
    "py-spy record --native -f flamegraph -p PID": "py-spy",
    "read_ahead_kb": "Linux",
    "segment.index.bytes": "Kafka",
    "message.timestamp.before.max.ms": "Kafka",
    "message.timestamp.after.max.ms": "Kafka",
    "build/install.log": "a run of make setup",
    "build/compile.log": "a run of make setup",
    "bench/results/": "a run of make bench",
    "dist/": "a run of make release",
    "git tag --sign": "git",
    "contact_links": "GitHub",
    "pathlib.Path": "Python",
    "tests/fuzz/corpus/": "a folder of inputs without an ending",
    "systemctl": "systemd",
    "journalctl": "systemd",
    "--since": "systemd",
    "--grep": "systemd",
    "kcat": "kcat",
    "consistent_random": "librdkafka",
    "kafka-clients": "Kafka",
    "kafkajs": "kafkajs",
    "statement.json": "an authority",
    "--members": "Kafka",
    "--under-replicated-partitions": "Kafka",
    "__consumer_offsets": "Kafka",
    "tally-worker-1": "a worker's name, with its number",
    "tally-worker-2": "a worker's name, with its number",
}
"""word → whose it is."""

SUFFIXES = "py|md|toml|json|jsonl|gz|csv|yml|yaml|js|css|html|txt|log|service|xml|properties|cfg|mjs|env"
_SPAN = re.compile(r"(?<!`)(`+)(?!`)(.+?)(?<!`)\1(?!`)", re.DOTALL)
_OPTION = re.compile(r"(?<![\w-])--[a-z][a-z-]+")
_PATH = re.compile(rf"(?<![\w/.:~<@-])\.?[\w@.-]+(?:/[\w@.-]+)*(?:/|\.(?:{SUFFIXES}))(?:::\w+)?(?![\w/<])")
_ADDRESS = re.compile(r"(?:http://127\.0\.0\.1:\d+)?(/[\w./<>\[\]-]*)(?:[?#](\S*))?\Z")
_CODE = re.compile(r"\b(?:[A-Za-z]+_\w+|_\w+|[A-Z][a-z]+(?:[A-Z][a-z]*)+)\b")
_WORD = re.compile(r"[A-Za-z_][\w.-]*(?:\(\))?\Z")
_WORDS = re.compile(r"[A-Za-z_]\w*")
_IN_TEXT = re.compile(r"[A-Za-z_][\w.-]*[\w]|[A-Za-z_]")


@dataclass
class Known:
    """What there is. `words`: of the product; `beside`: of tests and tools; `members`: a class → what it has."""

    words: set[str] = field(default_factory=set)
    beside: set[str] = field(default_factory=set)
    members: dict[str, set[str]] = field(default_factory=dict)
    addresses: set[str] = field(default_factory=set)
    options: dict[str, set[str]] = field(default_factory=dict)
    targets: set[str] = field(default_factory=set)
    files: set[str] = field(default_factory=set)
    metrics: set[str] = field(default_factory=set)

    @cached_property
    def every_option(self) -> set[str]:
        """Where an option may stand; asked once all is known."""
        return self.beside.union(self.words, *self.options.values())


def _split(text: str) -> set[str]:
    return {*_IN_TEXT.findall(text), *_WORDS.findall(text), *_OPTION.findall(text)}


def _made_in(owner: ast.ClassDef) -> Iterator[str]:
    """The functions of a class, and the names and attributes that are given a value anywhere in it."""
    for node in ast.walk(owner):
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                yield name
            case ast.Name(id=name, ctx=ast.Store()) | ast.Attribute(attr=name, ctx=ast.Store()):
                yield name


def words_of_python(text: str, known: Known, words: set[str]) -> None:
    """Adds what a file's code has: names, arguments and texts, not comments and docstrings."""
    nodes = list(ast.walk(ast.parse(text)))
    # Texts that stand alone as a statement: docstrings, also those below a name.
    skipped = {id(n.value) for n in nodes if isinstance(n, ast.Expr) and isinstance(n.value, ast.Constant)}
    for node in nodes:
        match node:
            case ast.ClassDef(name=name):
                words.add(name)
                known.members.setdefault(name, set()).update(_made_in(node))
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.Name(id=name) | ast.Attribute(attr=name):
                words.add(name)
            case ast.arg(arg=name) | ast.keyword(arg=str(name)):
                words.add(name)
            case ast.Constant(value=str(value)) if id(node) not in skipped:
                words.update(_split(value))
            case _:
                pass


def _options(command: click.Command) -> set[str]:
    return {o for p in command.params for o in (*p.opts, *p.secondary_opts) if o.startswith("--")} | {"--help"}


def _commands(command: click.Command, name: str = "") -> dict[str, set[str]]:
    """Every command by its words, `topics check`, with its options; "" are those of all."""
    found = {name: _options(command)}
    if isinstance(command, click.Group):
        context = click.Context(command)
        for word in command.list_commands(context):
            below = command.get_command(context, word)
            assert below is not None
            found.update(_commands(below, f"{name} {word}".strip()))
    return found


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.suffix != ".gz" and path.stat().st_size < 400_000 else ""


def _files(tops: tuple[str, ...]) -> list[Path]:
    out = {
        "__pycache__",
        ".venv",
        "node_modules",
        ".jars",
        "results",
        "target",
        "source",
        "corpus",
        "vendor",
        "planted",
        "nist-err-v2",
    }
    out.add("test_names.py")  # it plants names that do not exist
    found = []
    for top in tops:
        path = ROOT / top
        inside = [path] if path.is_file() else sorted(path.rglob("*"))
        found += [p for p in inside if p.is_file() and not out & set(p.parts) and p.suffix not in (".so", ".png", ".lock")]
    return found


@cache
def known() -> Known:
    it = Known()
    for tops, words in ((PRODUCT, it.words), (BESIDE, it.beside)):
        for path in _files(tops):
            it.files.add(path.relative_to(ROOT).as_posix())
            if path.suffix == ".py":
                words_of_python(_read(path), it, words)
            elif path.suffix != ".csv":
                words.update(_split(re.sub(r"(?m)(?:^|\s)#.*$", "", _read(path))))
    it.addresses = {
        word
        for path in (
            *(ROOT / "tally_stream/board").glob("*.py"),
            *(ROOT / "tally_stream/station/intake").glob("*.py"),
            *(ROOT / "tally_stream/stream").rglob("*.py"),
        )
        for word in re.findall(r"\"(/[\w./{}:+-]*)\"", _read(path))
    }
    it.words |= {folder.name for folder in (ROOT / "tally_stream/elections").iterdir()}
    it.words |= {ENV_PREFIX + field.upper() for field in Settings.model_fields}
    it.options = _commands(cli)
    it.targets = set(re.findall(r"^([a-z-]+):", _read(ROOT / "Makefile"), re.MULTILINE))
    it.metrics = set(ALL_NAMES)
    return it


def _is_file(name: str, it: Known) -> bool:
    """As it stands, in the package, or, without a folder, anywhere; or a name that the code gives to a file."""
    if "/" not in name and (name in it.words or name in it.beside):
        return True
    name, _, inside = name.partition("::")
    name = name.removeprefix("./")
    if not inside and name.endswith("/"):
        return any(f.startswith((name, f"tally_stream/{name}")) or f"/{name}" in f for f in it.files)
    places = [f for f in it.files if f in (name, f"tally_stream/{name}") or ("/" not in name and f.endswith(f"/{name}"))]
    return any(not inside or re.search(rf"\b{inside}\b", _read(ROOT / f)) for f in places) or (ROOT / "docs" / name).exists()


def _route(address: str) -> str:
    """A pattern: `{area:.+}` is any path, `{contest}` one step of it; an address that ends in a slash goes on somehow."""
    steps = re.split(r"(\{.*?\})", address)
    made = "".join(re.escape(step) if i % 2 == 0 else ".+" if ":" in step else "[^/]+" for i, step in enumerate(steps))
    return made + ".+" if address.endswith("/") and address.count("/") > 2 else made


def _is_address(path: str, query: str, it: Known) -> bool:
    path = re.sub(r"\[.*?\]", "", path)
    asked = re.sub(r"<\w+>", "x", path)
    routes = {_route(address) for address in it.addresses}
    keys = [part.partition("=")[0] for part in query.split("&") if part]
    return any(re.fullmatch(route, asked) for route in routes) and all(key in it.words for key in keys)


def found(name: str) -> Any:
    """What a dotted name stands for: the longest module of it, then attributes."""
    parts = name.split(".")
    for length in range(len(parts), 0, -1):
        try:
            here = importlib.import_module(".".join(parts[:length]))
        except ModuleNotFoundError:
            continue
        for part in parts[length:]:
            here = getattr(here, part)
        return here
    raise ModuleNotFoundError(name)


def _is_word(word: str, it: Known) -> bool:
    word = word.removesuffix("()")
    if word.startswith("tally_stream."):
        try:
            found(word)
        except (AttributeError, ModuleNotFoundError):
            return False
        return True
    if word.startswith("TALLY_"):
        return any(w == word or (word.endswith("_") and w.startswith(word)) for w in it.words | it.beside)
    if word.startswith("_") and any(other.endswith(word) for other in it.words):
        return True
    if word.startswith("tally_") and not word.startswith("tally_stream"):
        return word in it.metrics or word in it.words
    owner, _, name = word.partition(".")
    if name and owner in it.members:
        return name in it.members[owner]
    if word in it.words or word in FOREIGN:
        return True
    if name and owner.islower() and {owner, *name.split(".")} <= it.words:
        return True  # a method of a variable: `event.ack()`
    if name and f"{word.replace('.', '/')}.py" in {f.removeprefix("tally_stream/") for f in it.files}:
        return True
    return word in it.targets or any(word in names.split() for names in it.options)


def _command(text: str, it: Known) -> list[str]:
    """What a command of the product, or of make, names that is not there."""
    words = text.split()
    if words[0] == "make":
        named = [w for w in words[1:] if re.fullmatch(r"[a-z-]+", w)][:1]
        return [f"make {w}" for w in named if w not in it.targets]
    words = words[1:] if words[0].endswith("tally-stream") else words
    name = next((" ".join(words[:n]) for n in (2, 1) if words[:n] and " ".join(words[:n]) in it.options), "")
    if not name:
        return [text]
    allowed = it.options[name] | it.options[""]
    return [f"{name} {o}" for o in _OPTION.findall(text) if o not in allowed]


def unknown(text: str, it: Known, shown: frozenset[str] = frozenset()) -> list[str]:
    """What a text in backticks names that does not exist; empty where all does, or where it is no code.

    `shown`: words of the page's own examples, which other tests run.
    """
    text = " ".join(text.split())
    if text in FOREIGN or text in shown:
        return []
    address = _ADDRESS.match(text)
    if address and not (text.startswith("/") and text.split("/")[1] in {"etc", "opt", "srv", "usr"}):
        return [] if _is_address(address[1], address[2] or "", it) else [text]
    if " | " in text:
        return [name for part in text.split(" | ") for name in unknown(part, it, shown)]
    first = text.split()[0]
    if first in ("make", "tally-stream") and len(text.split()) > 1:
        return _command(text, it)
    if len(text.split()) > 1 and any(first == name.split()[0] for name in it.options if name) and "--" in text:
        return _command(text, it)
    if _WORD.match(text) and not _PATH.fullmatch(text):
        return [] if _is_word(text, it) else [text]
    found = [p for p in _PATH.findall(text) if not _is_file(p, it) and p not in FOREIGN]
    rest = _PATH.sub(" ", text)
    found += [o for o in _OPTION.findall(rest) if o not in it.every_option and o not in FOREIGN]
    found += [w for w in _CODE.findall(rest) if not _is_word(w, it) and w not in it.beside]
    return found


@cache
def shown(page: Path) -> frozenset[str]:
    """Words of the page's fenced JSON: the examples are run, so their words exist."""
    return frozenset(word for block in blocks(page) if block.language == "json" for word in _split(block.text))


def spans(page: Path) -> list[tuple[int, str]]:
    """Line and text of all that stands in backticks, fenced blocks left out."""
    text = re.sub(r"(?ms)^```.*?^```$", lambda m: "\n" * m[0].count("\n"), page.read_text(encoding="utf-8"))
    return [(text.count("\n", 0, m.start()) + 1, m[2].replace("\\|", "|")) for m in _SPAN.finditer(text)]


def main() -> int:
    if refused := out_of_date(ROOT):  # else what is stale ends this in an ImportError, wherever it is met first
        print(f"{refused}; run make setup")
        return 1
    lost = [
        f"{page.relative_to(ROOT)}:{line}: `{text}`: there is no {name}"
        for page in PAGES
        for line, text in spans(page)
        for name in unknown(text, known(), shown(page))
    ]
    unused = FOREIGN.keys() - {word for page in PAGES for _, text in spans(page) for word in (text, *text.split())}
    lost += [f"{word} is listed as {FOREIGN[word]}'s and stands on no page" for word in sorted(unused)]
    print("\n".join(lost), end="\n" if lost else "")
    return 1 if lost else 0


if __name__ == "__main__":
    sys.exit(main())
