"""What a station types or exports → statements as dictionaries: JSON, JSON Lines, or a table (CSV) of one or many stations.

Decides which of the three a file is, by its content, and which mistakes are the file's: each with line and column. Bytes
that are not UTF-8 are refused with the name of what they seem to be (Latin-1, UTF-16): whoever guesses writes a wrong name
on the record. `completed` fills in what is the same for all (schema, election, kind, the only contest), never a figure.
Refuses to judge a statement: `checking.py` does. Read `entry_table.py` next, which has the columns.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NoReturn

from tally_stream.domain.election import Election
from tally_stream.station.entry_table import read_table
from tally_stream.station.entry_values import Entered, EntryMistake
from tally_stream.wire.folder.table import UTF16_MARKS, not_utf8

FILE_MAX_BYTES = 64 * 1024 * 1024

_UTF8_MARK = b"\xef\xbb\xbf"
_SPACE = " \t\r\n"


def read_entries(name: str, raw: bytes, election: Election) -> tuple[list[Entered], list[EntryMistake]]:
    """The statements in `raw`, a file called `name`, and all that is wrong with it as a file. Raises nothing."""
    if len(raw) > FILE_MAX_BYTES:
        return [], [EntryMistake(name, 0, 0, f"{len(raw):,} bytes, at most {FILE_MAX_BYTES:,} are read: cut it in parts")]
    text, mistake = _decoded(name, raw)
    if mistake is not None:
        return [], [mistake]
    head = text.lstrip(_SPACE)[:1]
    if not head:
        return [], [
            EntryMistake(name, 1, 0, "the file is empty: it should hold a report in JSON, or a table (docs/stations.md)")
        ]
    return _read_json(name, text) if head in "{[" else read_table(name, text, election)


def completed(fields: dict[str, Any], election: Election, contest: str | None = None) -> dict[str, Any]:
    """A statement with what it leaves out and what can only be one thing; the revision is left to who knows the last one.
    `contest`: the one that is meant where a statement names none."""
    kind = fields.get("kind") or "report"
    found: dict[str, Any] = {"schema": 1, "election": election.id}
    if election.phase != "official":
        found["phase"] = election.phase
    if kind != "turnout":
        found["contest"] = contest or _only_contest(election, fields.get("station"))
    found["kind"] = kind
    known = {field: value for field, value in fields.items() if value is not None}
    return {field: value for field, value in (found | known).items() if value is not None}


def _only_contest(election: Election, station: object) -> str | None:
    """Of a station that votes in one."""
    known = election.stations.get(station) if isinstance(station, str) else None
    indices = range(len(election.contests)) if known is None else known.contests
    return election.contests[indices[0]].id if len(indices) == 1 else None


def station_of(fields: dict[str, Any]) -> str:
    """Raises ValueError, with the sentence, where the statement is no station's."""
    kind = fields.get("kind")
    if isinstance(kind, str) and kind in ("hold", "release", "certify", "key"):
        raise ValueError(f"{kind} is no statement of a station: it goes to every partition, by an authority")
    station = fields.get("station")
    if not isinstance(station, str) or not station:
        raise ValueError("it names no station")
    return station


def encoded(fields: Mapping[str, Any]) -> bytes:
    """A statement's bytes as they are kept and sent."""
    return json.dumps(fields, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass")


def _decoded(name: str, raw: bytes) -> tuple[str, EntryMistake | None]:
    if raw.startswith(UTF16_MARKS):
        return "", EntryMistake(name, 1, 1, not_utf8(raw[:2], b""))
    if raw.startswith(_UTF8_MARK):
        raw = raw[len(_UTF8_MARK) :]
    try:
        return raw.decode("utf-8"), None
    except UnicodeDecodeError as error:
        before = raw[: error.start]
        line = before.count(b"\n") + 1
        column = len(before.rpartition(b"\n")[2].decode("utf-8")) + 1
        return "", EntryMistake(name, line, column, not_utf8(b"", raw[error.start : error.start + 1]))


# -- JSON ------------------------------------------------------------------------------------------------------------


class _Twice(Exception):
    pass


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for field, value in pairs:
        if field in found:
            raise _Twice(field)
        found[field] = value
    return found


def _no_constant(word: str) -> NoReturn:
    raise ValueError(f"{word} is not JSON")


_decoder = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_no_constant)


def _read_json(name: str, text: str) -> tuple[list[Entered], list[EntryMistake]]:
    """One object, an array of them, or one behind the other: JSON Lines are no more than that."""
    entries: list[Entered] = []
    mistakes: list[EntryMistake] = []
    at = counted = 0
    line = 1
    while (at := _skipped(text, at)) < len(text):
        line += text.count("\n", counted, at)  # on from the last: 34,555 lines from the first each time took two minutes
        counted = at
        try:
            value, at = _decoder.raw_decode(text, at)
        except json.JSONDecodeError as error:
            mistakes.append(EntryMistake(name, error.lineno, error.colno, f"not JSON: {error.msg}"))
            break
        except (_Twice, ValueError, RecursionError) as error:
            what = f"the field {error.args[0]!r} stands twice" if isinstance(error, _Twice) else f"not JSON: {error}"
            mistakes.append(EntryMistake(name, line, 0, what))
            break
        for one in value if isinstance(value, list) else [value]:
            if isinstance(one, dict):
                entries.append(Entered(one, name, line))
            else:
                mistakes.append(EntryMistake(name, line, 0, f"not a report but {str(one)[:40]!r}: a report is a JSON object"))
    return entries, mistakes


def _skipped(text: str, at: int) -> int:
    while at < len(text) and text[at] in _SPACE:
        at += 1
    return at
