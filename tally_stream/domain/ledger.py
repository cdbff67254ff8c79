"""One station's standing in one contest: what is in force, held, remembered; judge first, then evolve.

`judge` decides the verdict and never mutates; `evolve` is the one place that changes an entry. Nothing is ever added
across deliveries: the last revision in force wins, so duplicates and replays change nothing. Read `tally.py` next.
"""

from __future__ import annotations

from typing import Final

from mypy_extensions import mypyc_attr

from tally_stream.domain.contest import Contest
from tally_stream.domain.election import Station
from tally_stream.domain.report import COUNT_KINDS, Report
from tally_stream.domain.rules import (
    ERROR_RULES,
    REVISION_STEP_MAX,
    WARNING_RULES,
    Finding,
    Limits,
    VerdictName,
    is_ordinary,
    p10_changes_much,
    q6_lowers,
    q7_clock,
    some_lower,
)


@mypyc_attr(acyclic=True)
class Entry:
    """(station, contest). `counts` are in force unless `annulled`, then they are remembered.

    `top` is the highest revision counted or held; `in_force_revision` that of the last statement that took effect, 0
    where none ever did. `replaced_by` says whether the counts replaced earlier counts by `correct` or `recount`.
    `is_plain`: nothing but ordinary reports (`rules.is_plain`) ever took effect here.
    Acyclic: an entry points at reports and a station, never back.
    """

    __slots__ = (
        "counts", "held", "held_is_warned", "in_force_kind", "in_force_revision", "is_annulled", "is_disputed",
        "is_plain", "is_warned", "replaced_by", "station", "top", "top_statement",
    )  # fmt: skip

    def __init__(self, station: Station) -> None:
        self.station = station
        self.is_plain = True
        self.top = 0
        self.top_statement: Report | None = None
        self.in_force_revision = 0
        self.in_force_kind = ""
        self.counts: Report | None = None
        self.replaced_by = ""
        self.is_warned = False
        self.is_annulled = False
        self.is_disputed = False
        self.held: Report | None = None
        self.held_is_warned = False

    @property
    def counts_in_force(self) -> Report | None:
        return None if self.is_annulled else self.counts


Ballots = tuple[int | None, int | None, int | None, int | None, int | None, int | None]
"""cast, valid, blank, invalid, undervotes, overvotes."""


@mypyc_attr(acyclic=True)
class Change:
    """A public line for counts that were replaced, removed or put back, or for any figure that fell.

    Deltas are new − old, `votes_delta` in candidate order; one of `ballots_delta` is None where one side is unknown.
    `station` is the election's own: to find it again by its id waits for memory. Equal are changes that say the same, of
    whatever election object.
    """

    __slots__ = (
        "authority", "ballots_delta", "contest", "from_revision", "kind", "reason", "station", "to_revision", "votes_delta",
    )  # fmt: skip

    def __init__(
        self,
        contest: int,
        station: Station,
        kind: str,
        from_revision: int,
        to_revision: int,
        reason: str | None,
        authority: str | None,
        votes_delta: tuple[int, ...],
        ballots_delta: Ballots,
    ) -> None:
        self.contest: Final = contest
        self.station: Final = station
        self.kind: Final = kind
        self.from_revision: Final = from_revision
        self.to_revision: Final = to_revision
        self.reason: Final = reason
        self.authority: Final = authority
        self.votes_delta: Final = votes_delta
        self.ballots_delta: Final = ballots_delta

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Change)
            and self.contest == other.contest
            and self.station.id == other.station.id
            and self.kind == other.kind
            and self.from_revision == other.from_revision
            and self.to_revision == other.to_revision
            and self.reason == other.reason
            and self.authority == other.authority
            and self.votes_delta == other.votes_delta
            and self.ballots_delta == other.ballots_delta
        )

    def __hash__(self) -> int:
        return hash((self.contest, self.station.id, self.kind, self.to_revision))


@mypyc_attr(acyclic=True)
class Verdict:
    """What became of a record: one of six names, and every rule that fired, in the order of the rules. `change` is the
    public line that it owes, if any."""

    __slots__ = ("change", "findings", "name")

    def __init__(self, name: VerdictName, findings: tuple[Finding, ...] = (), change: Change | None = None) -> None:
        self.name: Final = name
        self.findings: Final = findings
        self.change: Final = change

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Verdict)
            and self.name == other.name
            and self.findings == other.findings
            and self.change == other.change
        )

    def __hash__(self) -> int:
        return hash((self.name, self.findings, self.change))

    def __repr__(self) -> str:
        return f"Verdict({self.name}, {self.findings}, {self.change})"

    @property
    def is_refusal(self) -> bool:
        """Whether a rejection is owed: everything but counted and repeated."""
        return self.name not in ("counted", "repeated")


OWES_NOTHING = Verdict("counted")
"""Counted, no rule fired, no change is owed: the one object for nearly every record."""
REPEATED = Verdict("repeated", (Finding("Q1", "the same statement again"),))


def judge_sequence(top: int, is_same: bool, revision: int) -> Verdict | None:
    """Rules Q1, Q2, Q3, Q8 on any rising sequence; None where the revision is a new one.

    `is_same` says whether the content equals that of revision `top`.
    """
    if revision > top:
        if revision - top <= REVISION_STEP_MAX:
            return None
        message = f"revision {{left}} is more than {REVISION_STEP_MAX:,} above {{right}}"
        return Verdict("rejected", (Finding("Q8", message, revision, top),))
    if revision < top:
        return Verdict("stale", (Finding("Q2", "revision {left} after revision {right}", revision, top),))
    if is_same:
        return REPEATED
    return Verdict("conflicting", (Finding("Q3", "revision {left} again with other content", revision, top),))


def q5_fits(r: Report, entry: Entry) -> Finding | None:
    """A statement other than `report` names what it replaces, why, by whom, and fits the station's state."""
    if r.replaces is None:
        return Finding("Q5", r.kind + " without replaces")
    if not r.reason:
        return Finding("Q5", r.kind + " without reason")
    if not r.authority:
        return Finding("Q5", r.kind + " without authority")
    held_revision = entry.held.revision if entry.held is not None else None
    if r.replaces != held_revision and (r.replaces != entry.in_force_revision or (r.replaces == 0 and entry.held is not None)):
        return Finding(
            "Q5", "replaces {left}, in force is revision {right}" + (f", held {held_revision}" if held_revision else ""),
            r.replaces, entry.in_force_revision,
        )  # fmt: skip
    if r.kind == "restore":
        if not entry.is_annulled:
            return Finding("Q5", "restore of a station that is not annulled")
        if r.replaces != entry.in_force_revision:
            return Finding("Q5", "restore of revision {left}, the annulment is {right}", r.replaces, entry.in_force_revision)
    elif r.kind not in COUNT_KINDS:
        if entry.is_annulled:
            return Finding("Q5", f"{r.kind} of an annulled station")
        if r.kind == "withdraw" and entry.counts is None and entry.held is None:
            return Finding("Q5", "withdraw where nothing is in force or held")
        if r.kind == "accept" and r.replaces != held_revision:
            return Finding("Q5", "accept of revision {left}, held is {right}", r.replaces, held_revision or "none")
    return None


def judge(entry: Entry, r: Report, contest: Contest, limits: Limits, is_certified: bool, log_ms: int) -> Verdict:
    """The verdict's name and codes of a report or decision against what is known of its station. Mutates nothing."""
    if not 0 < r.revision - entry.top <= REVISION_STEP_MAX:
        sequence = judge_sequence(entry.top, r == entry.top_statement, r.revision)
        assert sequence is not None
        return sequence
    if r.kind != "report":
        misfit = q5_fits(r, entry)
        if misfit is not None:
            return Verdict("rejected", (misfit,))
        if r.kind not in COUNT_KINDS:
            return OWES_NOTHING
    station = entry.station
    findings = []
    if entry.is_annulled:
        findings.append(Finding("Q4", "counts for an annulled station"))
    elif is_certified:
        findings.append(Finding("Q4", "counts after the contest was certified"))
    rules_may_fire = not is_ordinary(r, station, limits, log_ms)
    if rules_may_fire:
        for rule in ERROR_RULES:
            finding = rule(r, station, limits, contest.votes_per_ballot)
            if finding is not None:
                findings.append(finding)
    is_held = bool(findings)
    if rules_may_fire:
        for rule in WARNING_RULES:
            finding = rule(r, station, limits, contest.votes_per_ballot)
            if finding is not None:
                findings.append(finding)
    before = entry.counts
    if before is not None and not entry.is_annulled:
        lower = q6_lowers(r, before, contest.candidate_ids)
        if lower is not None:
            findings.append(lower)
        other = p10_changes_much(r, before, limits)
        if other is not None:
            findings.append(other)
    if rules_may_fire:
        late = q7_clock(r, log_ms, limits)
        if late is not None:
            findings.append(late)
    if not findings:
        return OWES_NOTHING
    return Verdict("held" if is_held else "counted", tuple(findings))


def evolve(entry: Entry, r: Report, verdict: Verdict) -> None:
    """Apply a statement judged `counted`, `held` or `conflicting`; the others change nothing and never come here."""
    entry.is_plain = False
    if verdict.name == "conflicting":
        entry.is_disputed = True
        return
    if verdict.name == "held":
        entry.top, entry.top_statement = r.revision, r
        entry.held, entry.held_is_warned = r, has_warning(verdict)
        return
    assert verdict.name == "counted", "nothing else is applied"
    if r.kind in COUNT_KINDS:
        _put_in_force(entry, r, bool(verdict.findings))
    elif r.kind == "accept":
        assert entry.held is not None, "accept was judged to fit, yet nothing is held"
        _put_in_force(entry, entry.held, entry.held_is_warned)
    elif r.kind == "annul":
        entry.is_annulled = True
    elif r.kind == "restore":
        entry.is_annulled = False
    else:
        entry.counts, entry.held, entry.replaced_by, entry.is_warned = None, None, "", False
    entry.is_disputed = False
    entry.top, entry.top_statement = r.revision, r
    entry.in_force_revision, entry.in_force_kind = r.revision, r.kind


def put_plain(entry: Entry, r: Report) -> None:
    """`evolve` for an ordinary report (`rules.is_plain`) at a station that has had no others."""
    entry.top = entry.in_force_revision = r.revision
    entry.top_statement = entry.counts = r
    entry.in_force_kind = "report"


def _put_in_force(entry: Entry, counts: Report, is_warned: bool) -> None:
    entry.replaced_by = counts.kind if entry.counts is not None and counts.kind != "report" else ""
    entry.counts, entry.is_warned, entry.held = counts, is_warned, None


def has_warning(verdict: Verdict) -> bool:
    """Whether a held report's codes include a warning: Q4 and the A codes are errors, all others it can have warn."""
    return any(f.code != "Q4" and f.code[0] != "A" for f in verdict.findings)


def change_of(r: Report, before: Report | None, after: Report | None, from_revision: int) -> Change | None:
    """The public line that a statement owes when it took the counts in force from `before` to `after`."""
    if before is after:
        return None
    if before is None:
        owed = r.kind == "restore" and after is not None and after.complete
    else:
        owed = before.complete or _some_figure_falls(before, after)
    if not owed:
        return None
    return Change(
        r.contest, r.station, r.kind, from_revision, r.revision, r.reason, r.authority,
        _votes_delta(before, after), _ballots_delta(before, after),
    )  # fmt: skip


def _votes_delta(before: Report | None, after: Report | None) -> tuple[int, ...]:
    """New − old; a side without counts is zeros."""
    if after is None:
        assert before is not None, "one side has counts"
        return tuple([-old for old in before.votes])
    if before is None:
        return after.votes
    old_votes, new_votes = before.votes, after.votes
    return tuple([new_votes[i] - old_votes[i] for i in range(len(new_votes))])


def _ballots_delta(before: Report | None, after: Report | None) -> Ballots:
    old_cast, old_valid, old_blank, old_invalid, old_undervotes, old_overvotes = _ballots(before)
    cast, valid, blank, invalid, undervotes, overvotes = _ballots(after)
    return (
        _delta(cast, old_cast), _delta(valid, old_valid), _delta(blank, old_blank), _delta(invalid, old_invalid),
        _delta(undervotes, old_undervotes), _delta(overvotes, old_overvotes),
    )  # fmt: skip


def _delta(new: int | None, old: int | None) -> int | None:
    return None if new is None or old is None else new - old


def _ballots(counts: Report | None) -> Ballots:
    if counts is None:
        return 0, 0, 0, 0, 0, 0
    return counts.cast, counts.valid, counts.blank, counts.invalid, counts.undervotes, counts.overvotes


def _some_figure_falls(before: Report, after: Report | None) -> bool:
    """Whether any vote or ballot figure falls; a known figure that becomes unknown counts as one that falls."""
    if after is None:
        ballots = (before.cast, before.valid, before.blank, before.invalid, before.undervotes, before.overvotes)
        return bool(any(before.votes) or any(ballots))
    if after.valid < before.valid or some_lower(after.votes, before.votes):
        return True
    return (
        _falls(before.cast, after.cast)
        or _falls(before.blank, after.blank)
        or _falls(before.invalid, after.invalid)
        or _falls(before.undervotes, after.undervotes)
        or _falls(before.overvotes, after.overvotes)
    )


def _falls(before: int | None, after: int | None) -> bool:
    return before is not None and (after is None or after < before)
