"""Report bytes → statement by the letter of the rules, or the finding that refuses them (S1, S6, S4, S2, S3, S5).

Decides which rule a refused report breaks first, in the order in which the rules are published. Nothing here raises on
any bytes. It is slow (16 µs a report, bench/decode_cost.py): `reading.py` sends only what its fast way can't pass.
Refuses to know partitions (S7), revisions and everything else that depends on what was counted before. Read `run.py` next.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable
from typing import Any, NoReturn

from tally_stream.domain.election import Election
from tally_stream.domain.keys import SIGNED_KINDS, SigningKey, kinds_of, public_key_error
from tally_stream.domain.report import (
    CONTROL_KINDS,
    COUNT_KINDS,
    DECISION_KINDS,
    Control,
    KeyStatement,
    Report,
    Statement,
    Turnout,
    UnsignedStatement,
)
from tally_stream.domain.rules import Finding
from tally_stream.domain.scalars import COUNT_MAX, REVISION_MAX, is_id, parse_time, text_error
from tally_stream.wire.envelope import ENVELOPE_FIELDS, from_base64, open_fields
from tally_stream.wire.limits import INTEGER_MAX_DIGITS, NESTING_MAX_LEVELS, VALUE_MAX_BYTES
from tally_stream.wire.signing import Signing, not_allowed, unsigned

TIMES_CACHED_MAX = 50_000
TIME_CACHED_MAX_CHARS = 64
"""A time of more decimals is read anew each time: nobody fills the cache with texts as long as a report."""


class ExactReader:
    """Reads the reports of one election. `read(value, key)` never raises and never changes anything but a cache."""

    def __init__(self, election: Election) -> None:
        self.election = election
        self._stations = election.stations
        self._contest_indices = {c.id: i for i, c in enumerate(election.contests)}
        self._any_candidate = frozenset(k for c in election.contests for k in c.candidate_ids)
        self.times: dict[str, tuple[str, int]] = {}
        """Texts of times read before: the text itself, so that the many reports of one second share it, and its
        milliseconds. The fast reader looks here too."""

    def time_of(self, text: str) -> tuple[str, int] | None:
        """`parse_time`, remembered, with a text to keep; None where `text` is no time."""
        known = self.times.get(text)
        if known is not None:
            return known
        time_ms = parse_time(text)
        if time_ms is None:
            return None
        if len(text) > TIME_CACHED_MAX_CHARS:
            return text, time_ms
        if len(self.times) >= TIMES_CACHED_MAX:
            self.times.clear()
        self.times[text] = (text, time_ms)
        return self.times[text]

    def read(self, value: bytes | None, key: bytes | None) -> UnsignedStatement | Finding:
        """The statement in `value` (a record's value) under `key` (its key), or why it is refused; where the definition has no
        [security]."""
        found = self.read_signed(value, key, None)
        assert not isinstance(found, KeyStatement), "one that is not signed is refused"
        return found

    def read_signed(self, value: bytes | None, key: bytes | None, signing: Signing | None) -> Statement | Finding:
        """As `read`, where there is. Without `signing` no envelope is opened."""
        try:
            fields = _parse_object(value)
            signer: SigningKey | None = None
            if fields.keys() == ENVELOPE_FIELDS and None not in fields.values():
                signer, payload = _opened(fields, value, signing)
                fields = _parse_object(payload)
            kind = _structure(fields)
            if signing is not None or kind == "key":
                refused = (
                    unsigned(kind, self.election.signatures)
                    if signer is None
                    else not_allowed(signer, kind, fields.get("station"))
                )
                if refused is not None:
                    raise _Refused(refused)
            _values(fields, kind)
            self._identity(fields, kind)
            self._record(fields, key)
        except _Refused as refused_:
            return refused_.finding
        return self._statement(fields)

    # -- S2, S3, S5: who is speaking of what -----------------------------------------------------------------------

    def _identity(self, f: dict[str, Any], kind: str) -> None:
        if f["election"] != self.election.id:
            _refuse("S2", "unknown election {left}", f["election"], self.election.id)
        if "contest" in f and f["contest"] not in self._contest_indices:
            _refuse("S2", "unknown contest {left}", f["contest"])
        if f.get("station") and f["station"] not in self._stations:
            raise _Refused(unknown_station(f["station"]))
        if (
            "station" in f
            and "contest" in f
            and not self._stations[f["station"]].has_contest(self._contest_indices[f["contest"]])
        ):
            raise _Refused(contest_of_others(f["contest"], f["station"]))
        if kind not in COUNT_KINDS:
            return
        votes = f["votes"]
        for candidate in votes:
            if candidate not in self._any_candidate:
                _refuse("S2", "unknown candidate {left}", candidate)
        candidate_ids = self.election.contests[self._contest_indices[f["contest"]]].candidate_ids
        own = set(candidate_ids)  # of 2,000 candidates each looked for among 2,000 would take a second
        for candidate in votes:
            if candidate not in own:
                _refuse("S3", "candidate {left} is not of contest {right}", candidate, f["contest"])
        for candidate in candidate_ids:
            if votes.get(candidate) is None:
                _refuse("S3", "no votes given for {left}", candidate)

    def _record(self, f: dict[str, Any], key: bytes | None) -> None:
        name = f["key_id"] if f["kind"] == "key" else f.get("station") or f["contest"]
        if key is None:
            _refuse("S5", "the record has no key, it should be {right}", None, name)
        if key != name.encode():
            _refuse("S5", "the record key is {left}, it should be {right}", _shown(key), name)
        phase = f.get("phase") or "official"
        if phase != self.election.phase:
            _refuse("S5", "phase {left} in an election of phase {right}", phase, self.election.phase)

    def _statement(self, f: dict[str, Any]) -> Statement:
        kind = f["kind"]
        if kind == "turnout":
            as_of = self.time_of(f["as_of"])
            assert as_of is not None, "S4 refuses what is no time"
            return Turnout(self._stations[f["station"]], f["revision"], as_of[0], f["voted"])
        if kind == "key":
            # With `revoke` there is none of them, and S4 refused all others.
            kinds, public_key = kinds_of(f.get("kinds", "")) or frozenset(), from_base64(f.get("public_key", "")) or b""
            return KeyStatement(
                f["key_id"], f["revision"], f["action"], f.get("holder", ""), f.get("station", ""), kinds, public_key,
                f["reason"], f["authority"],
            )  # fmt: skip
        contest = self._contest_indices[f["contest"]]
        if kind in CONTROL_KINDS:
            return Control(contest, kind, f["revision"], f["reason"], f["authority"])
        ballots = f.get("ballots") or {}
        votes = f.get("votes") or {}
        counted_at = f.get("counted_at")
        return Report(
            contest=contest,
            station=self._stations[f["station"]],
            revision=f["revision"],
            kind=kind,
            complete=f.get("complete") is not False,
            counted_at=counted_at,
            counted_at_ms=None if counted_at is None else parse_time(counted_at),
            registered=f.get("registered"),
            cast=ballots.get("cast"),
            valid=ballots.get("valid", 0),
            blank=ballots.get("blank"),
            invalid=ballots.get("invalid"),
            undervotes=ballots.get("undervotes"),
            overvotes=ballots.get("overvotes"),
            votes=tuple(votes[c] for c in self.election.contests[contest].candidate_ids) if votes else (),
            replaces=f.get("replaces"),
            reason=f.get("reason"),
            authority=f.get("authority"),
        )


def unknown_station(name: str) -> Finding:
    return Finding("S2", "unknown polling station {left}", name)


def contest_of_others(contest: str, station: str) -> Finding:
    return Finding("S2", "contest {left} is not held at polling station {right}", contest, station)


# -- S1: structure -------------------------------------------------------------------------------------------------


class _Refused(Exception):
    def __init__(self, finding: Finding) -> None:
        self.finding = finding


def _refuse(code: str, message: str, left: int | str | None = None, right: int | str | None = None) -> NoReturn:
    raise _Refused(Finding(code, message, left, right))


_SHOWN_MAX_CHARS = 80


def _shown(value: Any) -> str:
    """Hostile material as short printable ASCII, for messages."""
    text = value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else str(value)
    return ascii(text[:_SHOWN_MAX_CHARS])[1:-1][:_SHOWN_MAX_CHARS]


class _NotACount:
    """A JSON number with a fraction, an exponent or too many digits: a value, but never an allowed one (S4)."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __repr__(self) -> str:
        """As it stood, in lists too: a rejection made again must have the same bytes."""
        return self.text[:_SHOWN_MAX_CHARS]


class _Duplicate(Exception):
    pass


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        counts = Counter(name for name, _ in pairs)
        raise _Duplicate(max(counts, key=counts.__getitem__))
    return result


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


_exact_decoder = json.JSONDecoder(
    object_pairs_hook=_unique,
    parse_float=_NotACount,
    parse_int=lambda text: int(text) if len(text) <= INTEGER_MAX_DIGITS else _NotACount(text),
    parse_constant=_no_constant,
)
# An unterminated string runs to the end, a lone backslash there included: else each quote in it would be tried again,
# and 64 KiB of them took 15 seconds.
_STRING_OR_BRACKET = re.compile(r'"(?:[^"\\]|\\.)*+(?:"|\\?\Z)|[\[{]|[\]}]', re.DOTALL)


def _nesting(text: str) -> int:
    """Deepest bracket level outside strings; exact for valid JSON, and never too small where it is not. Where there
    are too few brackets to matter, their number: a refused record then costs 13 µs less."""
    brackets = text.count("{") + text.count("[")
    if brackets <= NESTING_MAX_LEVELS:
        return brackets
    depth = deepest = 0
    for match in _STRING_OR_BRACKET.finditer(text):
        token = match[0]
        if token in "[{":
            depth += 1
            deepest = max(deepest, depth)
        elif token in "]}":
            depth -= 1
    return deepest


def _parse_object(value: bytes | None) -> dict[str, Any]:
    if value is None:
        _refuse("S1", "the record has no value")
    if len(value) > VALUE_MAX_BYTES:
        _refuse("S1", "{left} bytes, at most {right} are read", len(value), VALUE_MAX_BYTES)
    try:
        text = value.decode("utf-8")
    except UnicodeDecodeError as error:
        _refuse("S1", "not UTF-8 at byte {left}", error.start)
    depth = _nesting(text)
    if depth > NESTING_MAX_LEVELS:
        _refuse("S1", "nested {left} levels deep, at most {right} are read", depth, NESTING_MAX_LEVELS)
    try:
        fields = _exact_decoder.decode(text)
    except _Duplicate as duplicate:
        _refuse("S1", "the key {left} occurs twice", _shown(duplicate.args[0]))
    except (ValueError, RecursionError) as error:
        _refuse("S1", "not JSON: {left}", _shown(error))
    if not isinstance(fields, dict):
        _refuse("S1", "not a JSON object")
    if "\\" in text and _has_lone_surrogate(fields):
        _refuse("S1", "a string that is not valid Unicode")
    return fields


def _has_lone_surrogate(value: Any) -> bool:
    if isinstance(value, str):
        return not value.isascii() and any(0xD800 <= ord(c) <= 0xDFFF for c in value)
    if isinstance(value, dict):
        return any(_has_lone_surrogate(k) or _has_lone_surrogate(v) for k, v in value.items())
    if isinstance(value, list):
        return any(_has_lone_surrogate(v) for v in value)
    return False


def _opened(fields: dict[str, Any], value: bytes | None, signing: Signing | None) -> tuple[SigningKey, bytes]:
    """Rule S6 on an envelope: whose it is, and its payload."""
    if signing is None:
        _refuse("S6", "a signed envelope of key {left}, and the definition demands no signatures", _shown(fields["key_id"]))
    opened = open_fields(fields)
    if isinstance(opened, str):
        _refuse("S6", opened)
    assert value is not None, "it has fields"
    found = signing.signer(opened, value)
    if isinstance(found, Finding):
        raise _Refused(found)
    return found, opened.payload


_COMMON = ("schema", "kind", "election", "revision")
_REASONED = ("replaces", "reason", "authority")
_COUNTS_FIELDS = (
    (*_COMMON, "contest", "station", "counted_at", "ballots", "votes"),
    ("phase", "complete", "registered", *_REASONED),
)
_DECISION_FIELDS = (
    (*_COMMON, "contest", "station"),
    ("phase", "complete", "registered", "counted_at", *_REASONED),
)
_TURNOUT_FIELDS = ((*_COMMON, "station", "as_of", "voted"), ("phase",))
_CONTROL_FIELDS = ((*_COMMON, "contest", "reason", "authority"), ("phase",))
_KEY_FIELDS = ((*_COMMON, "key_id", "action", "reason", "authority"), ("phase", "holder", "station", "kinds", "public_key"))
_ADDED_KEY_FIELDS = ("holder", "station", "kinds", "public_key")
FIELDS_OF_KIND: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    **dict.fromkeys(COUNT_KINDS, _COUNTS_FIELDS),
    **dict.fromkeys(DECISION_KINDS, _DECISION_FIELDS),
    **dict.fromkeys(CONTROL_KINDS, _CONTROL_FIELDS),
    "turnout": _TURNOUT_FIELDS,
    "key": _KEY_FIELDS,
}
_BALLOT_FIELDS = frozenset({"valid", "cast", "blank", "invalid", "undervotes", "overvotes"})


def _structure(f: dict[str, Any]) -> str:
    """Rule S1 on the fields. Takes absent optional fields out of `f` (null is the same as absent); returns the kind."""
    schema, kind = f.get("schema"), f.get("kind")
    if schema is None:
        _refuse("S1", "the field schema is missing")
    if type(schema) is not int or schema != 1:
        _refuse("S1", "unknown schema {left}", _shown(schema))
    if kind is None:
        _refuse("S1", "the field kind is missing")
    if not isinstance(kind, str) or kind not in FIELDS_OF_KIND:
        _refuse("S1", "unknown kind {left}", _shown(kind))
    required, optional = FIELDS_OF_KIND[kind]
    for name in f:
        if name not in required and name not in optional:
            _refuse("S1", "unknown field {left}", _shown(name))
    for name in required:
        if f.get(name) is None:
            _refuse("S1", "the field {left} is missing", name)
    for name in [name for name, value in f.items() if value is None]:
        del f[name]
    if kind in CONTROL_KINDS or kind == "key":
        for name in ("reason", "authority"):
            if f[name] == "":
                _refuse("S1", "the field {left} is empty", name)
    if kind == "key":
        _key_structure(f)
    if kind in COUNT_KINDS:
        ballots, votes = f["ballots"], f["votes"]
        if not isinstance(ballots, dict):
            _refuse("S1", "ballots is not an object")
        if not isinstance(votes, dict):
            _refuse("S1", "votes is not an object")
        for name in ballots:
            if name not in _BALLOT_FIELDS:
                _refuse("S1", "unknown field {left} in ballots", _shown(name))
        if ballots.get("valid") is None:
            _refuse("S1", "the field valid is missing in ballots")
        for name, other in (("undervotes", "overvotes"), ("overvotes", "undervotes")):
            if ballots.get(name) is None and ballots.get(other) is not None:
                _refuse("S1", "the field {left} is missing in ballots, where {right} stands", name, other)
    return kind


def _key_structure(f: dict[str, Any]) -> None:
    """Rule S1: what a key that is added must say, and one that is revoked can't."""
    action = f["action"]
    for name in _ADDED_KEY_FIELDS:
        if action == "add" and name not in f:
            _refuse("S1", "the field {left} is missing", name)
        if action == "revoke" and name in f:
            _refuse("S1", "unknown field {left} where a key is revoked", name)


# -- S4: single values ---------------------------------------------------------------------------------------------


def _an_id(name: str, value: Any) -> None:
    if not isinstance(value, str) or not is_id(value):
        _refuse("S4", f"{name} is not an id: {{left}}", _shown(value))


def _an_integer(lowest: int, highest: int) -> Callable[[str, Any], None]:
    def check(name: str, value: Any) -> None:
        if type(value) is not int or not lowest <= value <= highest:
            _refuse("S4", f"{name} is {{left}}, not an integer from {lowest} to {highest}", _shown(value))

    return check


_a_count = _an_integer(0, COUNT_MAX)


def _a_time(name: str, value: Any) -> None:
    if not isinstance(value, str) or parse_time(value) is None:
        _refuse("S4", f"{name} is not an RFC 3339 time with an offset: {{left}}", _shown(value))


def _a_text(name: str, value: Any) -> None:
    if not isinstance(value, str):
        _refuse("S4", f"{name} is not a text: {{left}}", _shown(value))
    wrong = text_error(value)
    if wrong is not None:
        _refuse("S4", f"{name} {{left}}", wrong)


def _a_phase(name: str, value: Any) -> None:
    if not isinstance(value, str) or value not in ("official", "test"):
        _refuse("S4", f"{name} is {{left}}, not official or test", _shown(value))


def _a_boolean(name: str, value: Any) -> None:
    if not isinstance(value, bool):
        _refuse("S4", f"{name} is {{left}}, not true or false", _shown(value))


def _an_action(name: str, value: Any) -> None:
    if not isinstance(value, str) or value not in ("add", "revoke"):
        _refuse("S4", f"{name} is {{left}}, not add or revoke", _shown(value))


def _kinds_of_a_key(name: str, value: Any) -> None:
    if not isinstance(value, str) or kinds_of(value) is None:
        _refuse("S4", f"{name} is {{left}}, not words of {' '.join(sorted(SIGNED_KINDS))}", _shown(value))


def _a_public_key(name: str, value: Any) -> None:
    decoded = from_base64(value) if isinstance(value, str) else None
    wrong = "is not standard base64 with padding" if decoded is None else public_key_error(decoded)
    if wrong is not None:
        _refuse("S4", f"{name} {{left}}", wrong)


_CHECK_OF_FIELD: dict[str, Callable[[str, Any], None]] = {
    "election": _an_id,
    "contest": _an_id,
    "station": _an_id,
    "key_id": _an_id,
    "action": _an_action,
    "holder": _a_text,
    "kinds": _kinds_of_a_key,
    "public_key": _a_public_key,
    "phase": _a_phase,
    "revision": _an_integer(1, REVISION_MAX),
    "complete": _a_boolean,
    "counted_at": _a_time,
    "as_of": _a_time,
    "registered": _a_count,
    "voted": _a_count,
    "replaces": _a_count,
    "reason": _a_text,
    "authority": _a_text,
}


def _values(f: dict[str, Any], kind: str) -> None:
    """Rule S4 on every single value."""
    for name, value in f.items():
        check = _CHECK_OF_FIELD.get(name)
        if check is not None and not (kind == "key" and name == "station" and value == ""):  # of every station
            check(name, value)
    if kind not in COUNT_KINDS:
        return
    for name, value in f["ballots"].items():
        if value is not None:
            _a_count(name, value)
    for candidate, count in f["votes"].items():
        _an_id("a candidate in votes", candidate)
        if count is not None:
            _a_count("votes of " + candidate, count)
