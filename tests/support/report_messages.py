"""One small election, good messages as dictionaries, and a reader to read them."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from tally_stream.domain.contest import Candidate, Contest, Rounding
from tally_stream.domain.election import Election, Phase, Signatures, Skip, build_election
from tally_stream.domain.keys import SigningKey
from tally_stream.domain.report import UnsignedStatement
from tally_stream.domain.rules import Finding
from tally_stream.wire.reading import ReportReader

CLOSE_MS = 1_707_318_000_000
LOG_MS = CLOSE_MS + 3_600_000
Json = dict[str, Any]


def election(
    phase: Phase = "official",
    skips: tuple[Skip, ...] = (),
    contest_count: int = 2,
    named: Mapping[str, Iterable[str]] | None = None,
    signatures: Signatures | None = None,
    keys: Iterable[SigningKey] = (),
) -> Election:
    """Two contests: PRES with ANNA and BELA, SEAT with CLEO alone (or the first of them); two polling stations."""

    def contest(id: str, *candidates: str) -> Contest:
        listed = tuple(Candidate(c, c.title()) for c in candidates)
        return Contest(id, id.title(), 1, "plurality", "valid", None, Rounding("half-up", 2), listed)

    return build_election(
        id="X-2024",
        name="An election",
        phase=phase,
        polls_close_ms=CLOSE_MS,
        root="X",
        root_name="Everywhere",
        levels=("region",),
        publish_depth=1,
        contests=[contest("PRES", "ANNA", "BELA"), contest("SEAT", "CLEO")][:contest_count],
        skips=skips,
        signatures=signatures,
        keys=keys,
        stations=[("A-1", "School", 200, 90, ("North",)), ("B-1", "Town hall", 300, None, ("South",))],
        named_stations=named,
    )


ELECTION = election()
READER = ReportReader(ELECTION)


def counts(**changes: Any) -> Json:
    """A report of 100 ballots at A-1; a change of None takes the field away, `null` stays where it is asked for."""
    return changed(
        {
            "schema": 1,
            "election": "X-2024",
            "contest": "PRES",
            "station": "A-1",
            "revision": 1,
            "kind": "report",
            "counted_at": "2024-02-07T20:00:00+04:00",
            "ballots": {"cast": 100, "valid": 96, "blank": 2, "invalid": 2},
            "votes": {"ANNA": 50, "BELA": 46},
        },
        changes,
    )


def decision(**changes: Any) -> Json:
    base = {"schema": 1, "election": "X-2024", "contest": "PRES", "station": "A-1", "revision": 2, "kind": "annul"}
    return changed(base | {"replaces": 1, "reason": "a ruling", "authority": "the court"}, changes)


def turnout(**changes: Any) -> Json:
    base = {"schema": 1, "election": "X-2024", "station": "A-1", "revision": 1, "kind": "turnout"}
    return changed(base | {"as_of": "2024-02-07T17:00:00+04:00", "voted": 80}, changes)


def control(**changes: Any) -> Json:
    base = {"schema": 1, "election": "X-2024", "contest": "PRES", "revision": 1, "kind": "hold"}
    return changed(base | {"reason": "a ruling", "authority": "the court"}, changes)


class _Absent:
    pass


ABSENT = _Absent()


def changed(message: Json, changes: Json) -> Json:
    return {name: value for name, value in (message | changes).items() if value is not ABSENT}


def as_bytes(message: Json) -> bytes:
    return json.dumps(message, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass")


def key_of(message: Json) -> bytes:
    return str(message.get("station") or message.get("contest")).encode()


OWN_KEY = b"\x00the message's own"


def read(message: Json | bytes, key: bytes | None = OWN_KEY, reader: ReportReader = READER) -> UnsignedStatement | Finding:
    """What the reader reads; the key is the message's own unless given."""
    value = message if isinstance(message, bytes) else as_bytes(message)
    if key == OWN_KEY:
        key = key_of(message) if isinstance(message, dict) else b"A-1"
    found = reader.read(value, key)
    exact = reader.exact.read(value, key)
    assert found == exact, "the fast reader and the exact one disagree"
    return found


def code(message: Json | bytes, key: bytes | None = OWN_KEY, reader: ReportReader = READER) -> str | None:
    """The code that refuses a message, None where it is a statement."""
    found = read(message, key, reader)
    return found.code if isinstance(found, Finding) else None


def literal(name: str, text: str, message: Json | None = None) -> bytes:
    """A message in which the top-level field `name` has the JSON text `text`."""
    marked = (message or counts()) | {name: "@@"}
    return as_bytes(marked).replace(b'"@@"', text.encode("utf-8", "surrogatepass"))
