"""What reading a file of statements gives: statements with the line they stand on, and mistakes with line and column.

Decides nothing. Read `entry.py` next.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Entered:
    """A statement as it was entered: fields of a report's JSON, some may be missing. `columns`: of a table, where each field's
    cell stands, counted from 1."""

    fields: dict[str, Any]
    file: str
    line: int
    columns: Mapping[str, int] = field(default_factory=dict)

    @property
    def place(self) -> str:
        return f"{self.file}:{self.line}"

    def place_of(self, name: str | None) -> str:
        """Of a field; of the statement where the field has no cell."""
        column = self.columns.get(name or "")
        return self.place if column is None else f"{self.place}:{column}"


@dataclass(frozen=True, slots=True)
class EntryMistake:
    """`line` and `column` count from 1; 0 where there is none to name. Of a table, the column is that of the cell."""

    file: str
    line: int
    column: int
    what: str

    def __str__(self) -> str:
        place = [self.file, *(str(number) for number in (self.line, self.column) if number)]
        return f"{':'.join(place)}: {self.what}"
