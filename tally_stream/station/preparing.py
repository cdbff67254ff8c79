"""A statement as it was entered → the record that is sent: its key, its exact bytes, and what the rules say of it.

Decides the revision where none is given: one above the highest known of its station and sequence, which the one that it
replaces is too; or that of the station's last, where it said the same, so that a file that is given twice states nothing new.
Read `checking.py` next.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
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
    fields: Mapping[str, Any], known: KnownStatements, now_ms: int, contest: str | None = None, revision: int | None = None,
    seal: Callable[[bytes], bytes] | None = None,
) -> Prepared:  # fmt: skip
    """Raises NotAStatement. `revision` overrides what the statement has; `seal` makes the record's value of the statement's
    bytes; `known` is not changed."""
    stated = completed(dict(fields), known.election, contest)
    try:
        station = station_of(stated)
    except ValueError as error:
        raise NotAStatement(str(error)) from error
    sequence = TURNOUT if stated["kind"] == "turnout" else str(stated.get("contest", ""))
    if not sequence:
        raise NotAStatement("it names no contest, and there are several")
    given = stated.get("revision") if revision is None else revision
    last = known.last_stated(station, sequence)
    if given is None and last:
        again = _prepared(stated | {"revision": last}, station, sequence, known, now_ms, seal)
        if again.checked.verdict == "repeated":
            return again
    following = known.next_revision(station, sequence, stated.get("replaces"))
    return _prepared(stated | {"revision": following if given is None else given}, station, sequence, known, now_ms, seal)


def _prepared(
    stated: Mapping[str, Any], station: str, sequence: str, known: KnownStatements, now_ms: int,
    seal: Callable[[bytes], bytes] | None,
) -> Prepared:  # fmt: skip
    key, value = station.encode("utf-8", "surrogatepass"), encoded(dict(stated))
    if seal is not None:
        value = seal(value)
    number = stated["revision"] if isinstance(stated["revision"], int) else 0
    return Prepared(station, sequence, number, str(stated["kind"]), key, value, known.check(value, key, now_ms))
