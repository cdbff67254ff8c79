"""A statement before it is sent, judged by the rules that judge it when it is counted: what each would say, in a sentence.

Decides what is certain here and what is not. What the paper says (structure, identity, arithmetic, plausibility) is judged
as it will be; of the station's earlier statements only those are known that were given to `take`. So a rule that could
speak otherwise if more were known (Q8, and Q5 about what is in force) is a warning here, and the rules behind it are asked
all the same. Pure: the time is an argument, `check` changes nothing. Refuses to know where a statement comes from
(`entry.py`), and where it is kept and sent (`spool.py`, `client.py`).
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass

from tally_stream.domain.election import Election
from tally_stream.domain.ledger import REPEATED, Entry, Verdict, evolve, judge, judge_sequence
from tally_stream.domain.report import COUNT_KINDS, Control, Report, Turnout, UnsignedStatement
from tally_stream.domain.rules import RULES, Figure, Finding, Limits, Severity, VerdictName, closing_ms, message_of
from tally_stream.domain.scalars import format_time
from tally_stream.station.known_keys import KnownKeys
from tally_stream.wire.exact import FIELDS_OF_KIND
from tally_stream.wire.reading import ReportReader
from tally_stream.wire.signed import statement_in

TURNOUT = "turnout"
"""The sequence of revisions that a station's turnout statements have; of its other statements a contest's id, in capitals."""

_SEVERITY = {rule.code: rule.severity for rule in RULES}
MISSING_SHOWN_MAX = 12
TIME_EXAMPLE = "2024-02-07T21:42:10+04:00"
_UNKNOWN = {"kind": "kind", "contest": "contest", "polling": "station", "candidate": None}
FIELD_OF_RULE = {
    "A2": "invalid", "A3": "cast", "A8": "cast", "A9": "registered", "P1": "invalid", "P2": "blank", "P4": "valid",
    "P5": "cast", "P7": "registered", "P10": "cast", "Q5": "replaces", "Q7": "counted_at",
}  # fmt: skip
"""Rule → the field that its word is said of, where that is a single one; for S2, S3 and S4 it stands in the word."""
_NOT_FOR_SURE = " (as far as this place knows; who knows better may confirm it)"


@dataclass(frozen=True, slots=True)
class Remark:
    """One rule's word about a statement. `sentence` has the two figures in it; `field` is the one to look at, or a candidate's
    id; None where it is several, or another."""

    code: str
    severity: Severity
    sentence: str
    left: Figure = None
    right: Figure = None
    field: str | None = None

    def __str__(self) -> str:
        return f"{self.code}: {self.sentence}"


@dataclass(frozen=True, slots=True)
class Checked:
    """What would become of a statement. `statement` is None where its bytes are none."""

    verdict: VerdictName
    statement: UnsignedStatement | None
    remarks: tuple[Remark, ...]

    def of(self, severity: Severity) -> tuple[Remark, ...]:
        """The remarks of that severity: `reject` (never counted), `error` (held), `warning` (counted, flagged)."""
        return tuple(remark for remark in self.remarks if remark.severity == severity)


class KnownStatements:
    """What stations have stated so far, as far as it is known here. `keys`: who may sign; None: nobody asks here.
    `remembers_all`: each statement, so that an earlier revision that comes again is known for repeated; the count remembers the
    newest alone, and calls it stale."""

    def __init__(self, election: Election, keys: KnownKeys | None = None, *, remembers_all: bool = False) -> None:
        self.election = election
        self._all: dict[tuple[str, str, int], UnsignedStatement] | None = {} if remembers_all else None
        self._keys = keys
        self._reader = ReportReader(election)
        self._limits = Limits(election.checks, election.polls_close_ms)
        self._entries: dict[tuple[int, str], Entry] = {}
        self._turnouts: dict[str, Turnout] = {}
        self._highest: dict[tuple[str, str], int] = {}

    def next_revision(self, station: str, sequence: str, replaces: object = None) -> int:
        """One above the highest that is known; `sequence` is a contest's id, or TURNOUT. `replaces`, as a statement has it, is
        known too: whoever corrects revision 2 has seen it, as of an authority's order that this place has not."""
        seen = replaces if isinstance(replaces, int) else 0
        return max(self._highest.get((station, sequence), 0), seen) + 1

    def last_stated(self, station: str, sequence: str) -> int:
        """The highest revision that is known, without the orders above it that leave what the station stated as it is: whoever
        states the same again has nothing new to say. 0 where there is none."""
        revision = self._highest.get((station, sequence), 0)
        while self._all is not None:
            said = self._all.get((station, sequence, revision))
            if not isinstance(said, Report) or said.kind not in ("accept", "annul", "restore"):
                break
            revision = min(said.replaces or 0, revision - 1)
        return revision

    def check(self, value: bytes | None, key: bytes | None, log_ms: int) -> Checked:
        """What would become of the record, arriving at `log_ms` (milliseconds since 1970 UTC). Changes nothing."""
        checked = self._judged(value, key, log_ms)[0]
        if checked.verdict == "stale" and self._has_stated(checked.statement):
            checked = _checked("repeated", checked.statement, REPEATED.findings)
        if self._keys is None or value is None:
            return checked
        why = self._keys.why_refused(value, log_ms, *_said(checked.statement))
        return checked if why is None else Checked("rejected", checked.statement, (Remark("S6", "reject", why),))

    def _has_stated(self, statement: UnsignedStatement | None) -> bool:
        if statement is None or self._all is None:
            return False
        return self._all.get(name_of(self.election, statement)) == statement

    def take(self, value: bytes | None, key: bytes | None, log_ms: int) -> Checked:
        """As `check`, but for its signature, and from now on it is known: what was signed stays said when a key is revoked."""
        checked, entry, verdict = self._judged(value, key, log_ms)
        statement = checked.statement
        self._note(statement)
        if checked.verdict not in ("counted", "held", "conflicting") or statement is None:
            return checked
        if isinstance(statement, Turnout):
            if checked.verdict == "counted":
                self._turnouts[statement.station.id] = statement
        elif entry is not None and verdict is not None:
            assert isinstance(statement, Report), "what has an entry is a report"
            if verdict.name != "rejected":
                evolve(entry, statement, verdict)
            else:  # a decision about what is not known here: only its place in the sequence is
                entry.top, entry.top_statement = statement.revision, statement
                entry.in_force_revision, entry.in_force_kind = statement.revision, statement.kind
            self._entries[statement.contest, statement.station.id] = entry
        return checked

    def know(self, station: str, entries: Iterable[tuple[int, Entry]], turnout: Turnout | None) -> None:
        """From now on that is known of a station, contest by contest, and nothing else: as the count has it."""
        highest = {TURNOUT: 0 if turnout is None else turnout.revision}
        for contest, entry in entries:
            self._entries[contest, station] = _copied(entry)
            highest[self.election.contests[contest].id] = entry.top
        self._highest.update({(station, sequence): revision for sequence, revision in highest.items()})
        if turnout is None:
            self._turnouts.pop(station, None)
        else:
            self._turnouts[station] = turnout

    def take_refused(self, value: bytes | None, key: bytes | None) -> None:
        """Of a record that was refused when it was counted: its revision is used up, and nothing else came of it."""
        read = self._reader.read(statement_in(value), key)
        self._note(None if isinstance(read, Finding) else read)

    def _note(self, statement: UnsignedStatement | None) -> None:
        if statement is None or isinstance(statement, Control):
            return
        station, sequence, revision = name_of(self.election, statement)
        self._highest[station, sequence] = max(self._highest.get((station, sequence), 0), revision)
        if self._all is not None:
            self._all.setdefault((station, sequence, revision), statement)

    def _judged(self, value: bytes | None, key: bytes | None, log_ms: int) -> tuple[Checked, Entry | None, Verdict | None]:
        """Beside what is said: the entry that the statement would move, which may be one that was assumed, and its verdict
        there."""
        read = self._reader.read(statement_in(value), key)
        if isinstance(read, Finding):
            return _checked("rejected", None, [_with_all_missing(read, self.election, statement_in(value))]), None, None
        assert not isinstance(read, Control), "a control statement is read under its contest's key, and named so by `entry`"
        if isinstance(read, Turnout):
            return self._turnout(read), None, None
        known = self._entries.get((read.contest, read.station.id)) or Entry(read.station)
        verdict = self._judge(known, read, log_ms)
        remarks = [self._remark(f, read, log_ms) for f in verdict.findings]
        if verdict.name != "rejected" or not _may_be_otherwise(verdict.findings[0], read):
            return Checked(verdict.name, read, tuple(remarks)), known, verdict
        unsure = tuple(Remark(r.code, "warning", r.sentence + _NOT_FOR_SURE, r.left, r.right, r.field) for r in remarks)
        if read.kind not in COUNT_KINDS:
            return Checked("counted", read, unsure), known, verdict
        assumed = _assumed(known, read)
        verdict = self._judge(assumed, read, log_ms)
        return (
            Checked(verdict.name, read, (*unsure, *(self._remark(f, read, log_ms) for f in verdict.findings))),
            assumed,
            verdict,
        )

    def _judge(self, entry: Entry, r: Report, log_ms: int) -> Verdict:
        return judge(entry, r, self.election.contests[r.contest], self._limits, False, log_ms)

    def _turnout(self, t: Turnout) -> Checked:
        known = self._turnouts.get(t.station.id)
        verdict = judge_sequence(known.revision if known else 0, t == known, t.revision)
        if verdict is None:
            return Checked("counted", t, ())
        if verdict.findings[0].code == "Q8":
            (wild,) = _checked("rejected", t, verdict.findings).remarks
            return Checked("counted", t, (Remark("Q8", "warning", wild.sentence + _NOT_FOR_SURE, wild.left, wild.right),))
        return _checked(verdict.name, t, verdict.findings)

    def _remark(self, found: Finding, r: Report, log_ms: int) -> Remark:
        """Rule Q7 compares with times: here in words that a clock on a wall can be compared with."""
        sentence = message_of(found)
        if found.code == "Q7" and found.right is not None:
            sentence = f"counted at {found.left}, later than this machine's clock, {format_time(log_ms)}: one of them is wrong"
        elif found.code == "Q7":
            closed = format_time(closing_ms(r.station, self._limits))
            sentence = f"counted at {found.left}, before the polls closed ({closed}): look at the date and the clock"
        return Remark(found.code, _SEVERITY[found.code], sentence, found.left, found.right, _field_of(found))


_ENTRY_FIELDS = (
    "counts", "held", "held_is_warned", "in_force_kind", "in_force_revision", "is_annulled", "is_disputed", "is_plain",
    "is_warned", "replaced_by", "top", "top_statement",
)  # fmt: skip


def _copied(entry: Entry) -> Entry:
    copy = Entry(entry.station)
    for name in _ENTRY_FIELDS:
        setattr(copy, name, getattr(entry, name))
    return copy


def _said(statement: UnsignedStatement | None) -> tuple[str | None, str | None]:
    """Its kind and station."""
    if statement is None or isinstance(statement, Control):
        return None, None
    return TURNOUT if isinstance(statement, Turnout) else statement.kind, statement.station.id


def name_of(election: Election, statement: UnsignedStatement) -> tuple[str, str, int]:
    """Station, sequence, revision."""
    assert not isinstance(statement, Control), "it is read under a station's key"
    sequence = TURNOUT if isinstance(statement, Turnout) else election.contests[statement.contest].id
    return statement.station.id, sequence, statement.revision


def why_not(checked: Checked, *, accepts_warnings: bool, accepts_errors: bool) -> str | None:
    """What keeps a statement from being sent, None where nothing does."""
    if checked.of("reject"):
        return "it would be refused: put it right"
    if checked.of("error") and not accepts_errors:
        return "the paper contradicts itself: put it right, or send it to be held until somebody decides, with --accept-errors"
    if checked.of("warning") and not accepts_warnings:
        return "look at the warnings; if the paper says so, give --accept-warnings"
    return None


def _checked(verdict: VerdictName, statement: UnsignedStatement | None, findings: Iterable[Finding]) -> Checked:
    remarks = [Remark(f.code, _SEVERITY[f.code], _sentence(f), f.left, f.right, _field_of(f)) for f in findings]
    return Checked(verdict, statement, tuple(remarks))


def _sentence(f: Finding) -> str:
    """Rule S4 names a time's standard: here with one that a clerk can copy."""
    if f.code == "S4" and "RFC 3339" in f.message:
        return f"{_field_of(f)} is {f.left}, not date, T, time and offset from UTC, as {TIME_EXAMPLE}"
    return message_of(f)


def _field_of(f: Finding) -> str | None:
    """By the words of `wire/exact.py`, which begin with the field, or name what is unknown."""
    words = f.message.split()
    if f.code == "S4":  # "votes of ANNA is …"
        return words[2] if words[:2] == ["votes", "of"] else words[0]
    if f.code == "S2" and words[0] == "contest":
        return "contest"
    if f.code in ("S1", "S2") and words[0] == "unknown" and words[1] in _UNKNOWN:
        return _UNKNOWN[words[1]] or str(f.left)
    if f.code == "S1" and words[0] == "the" and words[1] in ("field", "fields"):
        return message_of(f).split()[2].rstrip(",")
    if f.code == "S3":
        return str(f.left).partition(",")[0]  # of several that are missing the first
    return FIELD_OF_RULE.get(f.code)


def _some(names: list[str]) -> str:
    more = len(names) - MISSING_SHOWN_MAX
    return ", ".join(names[:MISSING_SHOWN_MAX]) + (f" and {more:,} more" if more > 0 else "")


def _with_all_missing(found: Finding, election: Election, value: bytes | None) -> Finding:
    """S1 and S3 end at the first field, or candidate, that is missing; who wrote it wants to know all at once."""
    is_field = found.code == "S1" and found.message.startswith("the field ") and found.message.endswith(" is missing")
    if not is_field and not (found.code == "S3" and found.message.startswith("no votes given for")):
        return found
    try:
        fields = json.loads(value or b"")
    except ValueError:  # as a number of 5,000 digits
        return found
    if not is_field:
        (contest,) = (contest for contest in election.contests if contest.id == fields["contest"])
        return Finding(
            "S3", found.message, _some([name for name in contest.candidate_ids if fields["votes"].get(name) is None])
        )
    kind = fields.get("kind")
    required = FIELDS_OF_KIND.get(kind if isinstance(kind, str) else "report", ((), ()))[0]
    missing = [name for name in dict.fromkeys(("schema", "kind", *required)) if fields.get(name) is None]
    return Finding("S1", "the fields {left} are missing", ", ".join(missing)) if len(missing) > 1 else found


def _may_be_otherwise(found: Finding, r: Report) -> bool:
    """Whether a refusal rests on what is not known here: the newest revision, what is in force or held."""
    return found.code == "Q8" or (found.code == "Q5" and r.replaces is not None and bool(r.reason) and bool(r.authority))


def _assumed(known: Entry, r: Report) -> Entry:
    """The entry to which counts would fit: what they replace is in force, and their revision is the next."""
    assumed = Entry(known.station)
    assumed.is_plain = False
    assumed.top = r.revision - 1
    assumed.in_force_revision = known.in_force_revision if r.replaces is None else r.replaces
    assumed.in_force_kind = known.in_force_kind
    assumed.counts, assumed.is_annulled = known.counts, known.is_annulled
    return assumed
