"""A statement as it was entered → the record that is sent: its key, its exact bytes, and what the rules say of it.

Decides the revision where none is given: one above the highest known of its station and sequence. Read `checking.py` next.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tally_stream.station.checking import TURNOUT, Checked, KnownStatements
from tally_stream.station.entry import completed, encoded, station_of


class NotAStatement(ValueError):
    """`args[0]` says why no record can be made of it."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """A record, ready to be kept and sent. `sequence`: a contest's id, or TURNOUT."""

    station: str
    sequence: str
    revision: int
    kind: str
    key: bytes
    value: bytes
    checked: Checked

    def __str__(self) -> str:
        return f"{self.station} {self.sequence} revision {self.revision}"


def prepare(
    fields: Mapping[str, Any], known: KnownStatements, now_ms: int, contest: str | None = None, revision: int | None = None
) -> Prepared:
    """Raises NotAStatement. `revision` overrides what the statement has; `known` is not changed."""
    stated = completed(dict(fields), known.election, contest)
    try:
        station = station_of(stated)
    except ValueError as error:
        raise NotAStatement(str(error)) from error
    sequence = TURNOUT if stated["kind"] == "turnout" else str(stated.get("contest", ""))
    if not sequence:
        raise NotAStatement("it names no contest, and there are several")
    given = stated.get("revision") if revision is None else revision
    stated["revision"] = known.next_revision(station, sequence) if given is None else given
    key, value = station.encode("utf-8", "surrogatepass"), encoded(stated)
    checked = known.check(value, key, now_ms)
    number = stated["revision"] if isinstance(stated["revision"], int) else 0
    return Prepared(station, sequence, number, str(stated["kind"]), key, value, checked)
