"""A CSV file of an election folder while it is read: its header, its rows, and every mistake with its line.

Decides what holds of every table: UTF-8 with or without a byte order mark, the columns that there must and may be, as many
cells in a row as in the header, no white space at the edges of a cell, names in other languages. Refuses to know what a
cell means: the module of each file does. Read next: `stations.py`.
"""

from __future__ import annotations

import csv
import io
import os
import re
import unicodedata
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from operator import methodcaller
from pathlib import Path
from typing import IO, TYPE_CHECKING, NamedTuple

from tally_stream.domain.scalars import COUNT_MAX, ID_MAX_CHARS, TEXT_MAX_CODE_POINTS, text_error
from tally_stream.wire.limits import CELL_MAX_CHARS
from tally_stream.wire.report_log import open_maybe_gzip

if TYPE_CHECKING:
    from _csv import Reader

_LANGUAGE_COLUMN = re.compile(r"name\.[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*\Z", re.ASCII)


_MARK = "\ufeff"
_NOT_SEEN = "".join(filter(str.isspace, map(chr, range(0x3001)))) + _MARK
without_edges: Callable[[str], str] = methodcaller("strip", _NOT_SEEN)
"""A cell without what nobody sees at its edges: white space, and the byte order mark of a table that was put behind another."""


class Mistake(NamedTuple):
    """One mistake in a folder; `what` is a sentence without its place."""

    path: Path
    line: int
    """0 where the file is not there."""
    what: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.what}" if self.line else f"{self.path}: {self.what}"


def one_of(folder: Path, name: str, mistakes: list[Mistake]) -> Path | None:
    """The file of that name, which may be gzipped; None where it is not there, or there twice, which is a mistake."""
    plain, packed = folder / name, folder / (name + ".gz")
    is_plain, is_packed = os.path.lexists(plain), os.path.lexists(packed)  # a link to nothing is no file that is left out
    if is_plain and is_packed:
        mistakes.append(Mistake(plain, 1, f"stands beside {packed.name}; one of them must go"))
        return None
    return plain if is_plain else packed if is_packed else None


@contextmanager
def wide_cells() -> Iterator[None]:
    """Cells of up to CELL_MAX_CHARS while a folder is read. Python has one limit for all of a process, and no other way."""
    before = csv.field_size_limit(CELL_MAX_CHARS)
    try:
        yield
    finally:
        csv.field_size_limit(before)


def csv_reader(raw: IO[bytes]) -> Reader:
    """The rows; a byte order mark before them is no part of the first cell."""
    return csv.reader(io.TextIOWrapper(raw, encoding="utf-8-sig", newline=""), strict=True)


SHOWN_MAX_CHARS = 80
"""So much of a wrong value is shown, escaped."""


def not_an_id(text: str) -> str:
    """The sentence for what is none, behind the name of its field."""
    return f"{text[:SHOWN_MAX_CHARS]!r} is not an id ([A-Z0-9][A-Z0-9._-]*, at most {ID_MAX_CHARS} characters)"


def text_mistake(text: str, most: int = TEXT_MAX_CODE_POINTS) -> str | None:
    """Why `text` breaks the text rule, and the text itself where that tells more, or None."""
    mistake = text_error(text, most)
    if mistake is None or len(text) > most:
        return mistake
    shown = text[:SHOWN_MAX_CHARS]
    return f"{mistake}: {repr(shown) if unicodedata.is_normalized('NFC', shown) else ascii(shown)}"


def is_count(text: str) -> bool:
    """An integer from 0 to COUNT_MAX in ASCII digits, or nothing: unknown."""
    return text == "" or (text.isascii() and text.isdigit() and len(text) <= 9)


def folded(text: str) -> str:
    """Equal for texts that are equal under NFKC and case folding."""
    if text.isascii():
        return text.lower()
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())


def is_language_column(name: str) -> bool:
    """A name in another language: checked as a text, and no part of the definition."""
    return _LANGUAGE_COLUMN.match(name) is not None


_SEPARATORS = {";": "a semicolon", "\t": "a tab"}


def _separator_of(line: str) -> str | None:
    """What a line of one cell seems to be separated by instead of commas."""
    return next((name for separator, name in _SEPARATORS.items() if separator in line), None)


def _wrong_length(row: list[str], most: int) -> str:
    if len(row) > most:
        hint = ": a text with a comma in it stands in quotation marks, a number has no comma"
    else:
        found = _separator_of(row[0]) if len(row) == 1 else None
        hint = "" if found is None else f": cells are separated by a comma, not by {found}"
    return f"{len(row)} field{'' if len(row) == 1 else 's'}, the header has {most}{hint}"


def _wrong_edges(cell: str) -> str:
    what = "white space" if cell.strip() != cell else "a byte order mark (U+FEFF, nobody sees it)"
    if without_edges(cell[0]):
        at, shown = f"ends with U+{ord(cell[-1]):04X}", cell[-SHOWN_MAX_CHARS:]
    else:
        at, shown = f"begins with U+{ord(cell[0]):04X}", cell[:SHOWN_MAX_CHARS]
    return f"begins or ends with {what}: {shown!r} {at}"


UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")
"""With which such a file begins."""


def not_utf8(begin: bytes, byte: bytes) -> str:
    """What a file that is not UTF-8 seems to be, by its first bytes and the first one that is wrong, and what to do: whoever
    guesses writes a wrong name on the record."""
    if begin.startswith(UTF16_MARKS):
        return "the file is UTF-16 (as Excel's 'Unicode text' is): save it as 'CSV UTF-8'"
    seems = byte.decode("cp1252", "replace")
    return f"not UTF-8: the byte 0x{byte.hex().upper()} would be {seems!r} in Latin-1 (Windows-1252): save it as 'CSV UTF-8'"


class Table:
    """`rows` gives what can be read; `wrong` notes a mistake in the row that it gave last."""

    def __init__(self, path: Path, mistakes: list[Mistake]) -> None:
        self.path = path
        self.mistakes = mistakes
        self.line = 1
        self.is_whole = False
        """Whether all rows were given: what is not among them is not in the file."""
        self.columns: frozenset[str] = frozenset()
        """Those that are there, once `rows` gave the first row."""

    def wrong(self, what: str) -> None:
        self.mistakes.append(Mistake(self.path, self.line, what))

    def rows(
        self,
        columns: Sequence[str],
        optional: Sequence[str] = (),
        *,
        has_languages: bool = False,
    ) -> Iterator[list[str]]:
        """The rows as lists in the order of `columns` and then `optional`, whatever order the header has; "" for a column
        that is not there. A cell with white space at its edges is a mistake, and given without it."""
        try:
            with open_maybe_gzip(self.path) as raw:
                reader = csv_reader(raw)
                header = next(reader, None)
                if not header:
                    which = "file is empty: its first line" if header is None else "first line is empty: it"
                    self.wrong(f"the {which} should be {','.join(columns)!r}")
                    return
                languages = [name for name in header if has_languages and is_language_column(name)]
                given = [name for name in header if name not in languages]
                if not self._is_right(header, given, columns, optional):
                    return
                self.columns = frozenset(given)
                places = [header.index(name) if name in given else -1 for name in (*columns, *optional)]
                spoken = [header.index(name) for name in languages]
                is_whole = True
                for row in reader:
                    self.line = reader.line_num
                    if not row:
                        continue  # an empty line says nothing
                    if len(row) != len(header):
                        self.wrong(_wrong_length(row, len(header)))
                        is_whole = False
                        continue
                    for place, cell in enumerate(row):
                        bare = without_edges(cell)
                        if bare != cell:
                            self.wrong(f"{header[place]} {_wrong_edges(cell)}")
                            row[place] = bare
                    for place in spoken:
                        self.text(header[place], row[place])
                    yield [row[place] if place >= 0 else "" for place in places]
                self.is_whole = is_whole
        except UnicodeDecodeError as error:
            self.line = self._line_not_utf8()
            begin, byte = error.object[:2] if self.line == 1 else b"", error.object[error.start : error.start + 1]
            self.wrong(not_utf8(begin, byte))
        except csv.Error as error:
            self.line += 1  # the row that could not be read begins behind the last one that could
            is_too_wide = str(error).startswith("field larger than field limit")
            self.wrong(f"a cell has more than {CELL_MAX_CHARS} characters" if is_too_wide else f"not CSV: {error}")
        except (OSError, EOFError, zlib.error) as error:
            self.wrong(f"cannot be read: {getattr(error, 'strerror', None) or error}")

    def _is_right(self, header: list[str], given: list[str], columns: Sequence[str], optional: Sequence[str]) -> bool:
        is_right = len(set(header)) == len(header) and set(columns) <= set(given) and set(given) <= {*columns, *optional}
        if not is_right and len(header) == 1 and (found := _separator_of(header[0])):
            self.wrong(f"the header is {header[0][:200]!r}: cells are separated by a comma, not by {found}")
        elif not is_right:
            may = f"; it may have {', '.join(optional)} too" if optional else ""
            self.wrong(f"the header is {','.join(header)[:200]!r}, it should be {','.join(columns)!r}{may}")
        return is_right

    def _line_not_utf8(self) -> int:
        """Text is decoded ahead of the rows, so the line has to be looked for."""
        number = 0
        with suppress(OSError, EOFError, zlib.error), open_maybe_gzip(self.path) as raw:
            for number, line in enumerate(raw, 1):
                try:
                    line.decode("utf-8")
                except UnicodeDecodeError:
                    return number
        return number + 1  # of a packed file that was cut in this very line

    # -- single cells ----------------------------------------------------------------------------------------------

    def text(self, column: str, text: str) -> None:
        """Note what is wrong with it, if anything."""
        mistake = text_mistake(text)
        if mistake is not None:
            self.wrong(f"{column} {mistake}")

    def count(self, column: str, text: str) -> int | None:
        if not is_count(text):
            self.wrong(f"{column} is {text[:80]!r}, not an integer from 0 to {COUNT_MAX} (empty: unknown)")
            return None
        return int(text) if text else None
