"""keys.csv → who may sign what, and every mistake with its line.

Decides what a row may say, and that every station that is named is there. Refuses to know who signed anything. Read next:
`assembling.py`.
"""

from __future__ import annotations

from pathlib import Path

from tally_stream.domain.keys import SIGNED_KINDS, SigningKey, kinds_of, public_key_error
from tally_stream.domain.scalars import is_id, parse_time
from tally_stream.wire.envelope import from_base64
from tally_stream.wire.folder.stations import StationTable
from tally_stream.wire.folder.table import SHOWN_MAX_CHARS, Mistake, Table, not_an_id
from tally_stream.wire.limits import KEYS_MAX

COLUMNS = ("key_id", "holder", "station", "kinds", "public_key", "valid_from", "valid_to")


def read_keys(path: Path, stations: StationTable | None, mistakes: list[Mistake]) -> list[SigningKey]:
    """The keys, in the file's order."""
    table = Table(path, mistakes)
    there = None if stations is None or not stations.is_whole else {row[0] for row in stations.rows}
    found: dict[str, SigningKey] = {}
    for key_id, holder, station, words, public, valid_from, valid_to in table.rows(COLUMNS):
        if not is_id(key_id):
            table.wrong(f"key_id {not_an_id(key_id)}")
        elif key_id in found:
            table.wrong(f"key_id {key_id} occurs twice")
        table.text("holder", holder)
        if station and there is not None and station not in there:
            table.wrong(f"station {station[:SHOWN_MAX_CHARS]!r} is no polling station (empty: every station)")
        kinds = kinds_of(words)
        if kinds is None:
            table.wrong(f"kinds is {words[:SHOWN_MAX_CHARS]!r}, not words of {' '.join(sorted(SIGNED_KINDS))}")
        public_key = from_base64(public)
        wrong = "is not standard base64 with padding" if public_key is None else public_key_error(public_key)
        if wrong is not None:
            table.wrong(f"public_key {wrong}")
        begin, end = _time(table, "valid_from", valid_from), _time(table, "valid_to", valid_to)
        if begin is not None and end is not None and begin > end:
            table.wrong("valid_from is later than valid_to")
        found[key_id] = SigningKey(key_id, holder, station, kinds or frozenset(), public_key or b"", begin, end)
        if len(found) > KEYS_MAX:
            table.wrong(f"more than {KEYS_MAX} keys")
            break
    return list(found.values())


def _time(table: Table, column: str, text: str) -> int | None:
    """Milliseconds since 1970 UTC; None where it is empty: no limit."""
    if not text:
        return None
    time_ms = parse_time(text)
    if time_ms is None:
        table.wrong(f"{column} is {text[:SHOWN_MAX_CHARS]!r}, not an RFC 3339 time with an offset (empty: no limit)")
    return time_ms
