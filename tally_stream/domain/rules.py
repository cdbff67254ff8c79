"""The numbered rules: one small function each, with its number, the figures it compares and its source.

Decides what contradicts itself (error), what is plausible but unusual (warning). Structure and identity (S codes) are
found where bytes become statements (`wire/exact.py`), a record in the wrong partition (S7) by the fold that reads it
(`fold.py`), sequence (Q1–Q5, Q8) where the ledger is known (`ledger.py`); their texts stand here too, because `RULES`
is the one list that code, messages, metrics and docs use.
A rule whose figures are unknown does not fire. Read `ledger.py` next.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

from mypy_extensions import mypyc_attr

from tally_stream.domain.election import Checks, Station
from tally_stream.domain.report import Report

Severity = Literal["reject", "error", "warning", "information"]
VerdictName = Literal["counted", "repeated", "stale", "conflicting", "held", "rejected"]
VERDICTS: tuple[VerdictName, ...] = ("counted", "repeated", "stale", "conflicting", "held", "rejected")

Figure = int | str | None


@mypyc_attr(acyclic=True)
class Finding:
    """One rule that fired: its code, a sentence, and the two figures (or texts) it compared.

    Not a dataclass, nor are `Change` and `Verdict`: compiled, one is made in 0.07 us, a frozen dataclass in 0.4.
    """

    __slots__ = ("code", "left", "message", "right")

    def __init__(self, code: str, message: str, left: Figure = None, right: Figure = None) -> None:
        self.code: Final = code
        self.message: Final = message
        self.left: Final = left
        self.right: Final = right

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Finding)
            and self.code == other.code
            and self.message == other.message
            and self.left == other.left
            and self.right == other.right
        )

    def __hash__(self) -> int:
        return hash((self.code, self.message, self.left, self.right))

    def __repr__(self) -> str:
        return f"Finding({self.code}: {message_of(self)})"


@dataclass(frozen=True)
class Rule:
    code: str
    severity: Severity
    text: str
    source: str


RULES: tuple[Rule, ...] = (
    Rule("X1", "reject", "the record's partition and offset stand in a [[skip]] entry of the definition",
         "a record that crashes the code must not stop the night"),
    Rule("S1", "reject", "structure: no value, too large, not UTF-8, not JSON, duplicate keys, nested too deep, not an "
         "object, unknown or missing field, unknown kind or schema, not valid Unicode",
         "every format fails here first"),
    Rule("S6", "reject", "not signed where the definition demands signatures, a wrong signature or payload type, a key that is "
         "unknown, revoked, not in force or may not sign this, or an envelope where the definition has no [security]",
         "who may write to a topic is not who may speak for a station"),
    Rule("S4", "reject", "a value of a wrong type or out of its range, or text that breaks the text rule",
         "the NIST schema lets -5 and 1.5 pass"),
    Rule("S2", "reject", "unknown election, contest, station, a contest that the station does not have, or a candidate that no "
         "contest has",
         "Mexico's sheets outside the catalogue"),
    Rule("S3", "reject", "a candidate is missing, or belongs to another contest", "zero and missing are different things"),
    Rule("S5", "reject", "the record key is not the station (contest, for control), or the phase is not the definition's",
         "test data has reached live outputs before"),
    Rule("S7", "reject", "the record lies in another partition than murmur2(key) mod N",
         "one station in two partitions would be counted twice"),
    Rule("Q1", "information", "the highest revision counted or held, again with the same content",
         "redelivery is normal"),
    Rule("Q2", "reject", "a revision lower than the highest counted or held", "an older statement must not come back"),
    Rule("Q3", "reject", "the highest revision counted or held, with other content",
         "two differing sheets for one station"),
    Rule("Q8", "reject", "a revision more than 1,000 above the highest counted or held",
         "one wild number would lock everybody out"),
    Rule("Q5", "reject", "replaces, reason or authority is missing, replaces is neither the revision in force nor the held "
         "one (0 where there is neither), or the statement does not fit the station's state",
         "a correction names what it replaces"),
    Rule("Q4", "error", "counts for an annulled station, or after the contest was certified",
         "what is closed is opened only by name"),
    Rule("A1", "error", "one candidate has more votes than there are valid ballots, or the votes do not add up to them (where "
         "a ballot has several votes, or undervotes and overvotes are known: all together are more than the ballots can give)",
         "Abacus F.202"),
    Rule("A2", "error", "valid + blank + invalid is not the ballots cast", "Abacus F.203"),
    Rule("A3", "error", "more ballots than registered voters (102 % of the register where the report names none; of a unit "
         "without voters of its own always 102 % of the ballots expected)",
         "Mexico's 'exceeds the list'; supplementary lists exist"),
    Rule("A8", "error", "ballots where nobody is registered, but for a unit without voters of its own",
         "a count needs voters"),
    Rule("A9", "error", "the report's register is more than bound_register_percent of the register (150 % unless set)",
         "a report may not bring more ballots than the published bound allows"),
    Rule("P1", "warning", "invalid ballots are 3 % of the ballots cast or more", "Abacus W.202"),
    Rule("P2", "warning", "blank ballots are 3 % of the ballots cast or more", "Abacus W.201"),
    Rule("P4", "warning", "no ballots in a complete report", "a closed station is rarely empty"),
    Rule("P5", "warning", "turnout is 98 % or more", "nearly everybody is unusual"),
    Rule("P6", "warning", "one candidate has all of 100 votes or more", "unanimity is unusual"),
    Rule("P7", "warning", "the report's register differs from the register by more than 10 %",
         "a digit too many in the register moves every progress figure"),
    Rule("P8", "warning", "votes, undervotes and overvotes are fewer than the valid ballots can give",
         "Kalamazoo: 249 of 3,235 real precinct reports"),
    Rule("Q6", "warning", "counts lower a candidate or the ballots", "must be explained in the changes"),
    Rule("P10", "warning", "counts change the ballots of complete counts by more than 20 %",
         "Marathon county's doubled ward"),
    Rule("Q7", "warning", "counted before the station's polls closed, or later than the log's time by more than the skew",
         "clocks err; totals never depend on them"),
)  # fmt: skip
REVISION_STEP_MAX = 1_000
TIME_SHOWN_CHARS = 64


class Limits:
    """The election's limits as integer pairs: a per cent limit p is compared as `a × 100 × denominator > numerator × b`."""

    __slots__ = (
        "a3", "a9_spares_the_register", "bound_denominator", "bound_numerator", "p1", "p2", "p5", "p6_votes_min", "p7", "p10",
        "polls_close_ms", "skew_ms",
    )  # fmt: skip

    def __init__(self, checks: Checks, polls_close_ms: int) -> None:
        self.a3 = checks.A3_register_percent.as_integer_ratio()
        # The register that a report may name, and the ballots it may bring: register × numerator / denominator.
        numerator, denominator = checks.bound_register_percent.as_integer_ratio()
        self.bound_numerator, self.bound_denominator = numerator, 100 * denominator
        self.a9_spares_the_register = self.bound_numerator >= self.bound_denominator
        self.p1 = checks.P1_invalid_percent.as_integer_ratio()
        self.p2 = checks.P2_blank_percent.as_integer_ratio()
        self.p5 = checks.P5_turnout_percent.as_integer_ratio()
        self.p7 = checks.P7_register_percent.as_integer_ratio()
        self.p10 = checks.P10_change_percent.as_integer_ratio()
        self.p6_votes_min = checks.P6_votes_min
        self.skew_ms = checks.Q7_skew_seconds * 1000
        self.polls_close_ms = polls_close_ms


def closing_ms(station: Station, limits: Limits) -> int:
    """When its polls close: by itself, or with the election."""
    own = station.polls_close_ms
    return limits.polls_close_ms if own is None else own


def a1_votes_add_up(r: Report, station: Station, limits: Limits, votes_per_ballot: int) -> Finding | None:
    missing = r.votes_missing(votes_per_ballot)
    if missing < 0 or (missing and votes_per_ballot == 1 and r.undervotes is None):
        return _too_many_votes(r, votes_per_ballot, missing)
    top = max(r.votes)
    if top > r.valid:
        return Finding("A1", "one candidate has {left} votes, the valid ballots are {right}", top, r.valid)
    return None


def _too_many_votes(r: Report, votes_per_ballot: int, missing: int) -> Finding:
    most = votes_per_ballot * r.valid
    if r.undervotes is not None:
        message = "votes, undervotes and overvotes add up to {left}, the valid ballots can give {right}"
    elif votes_per_ballot > 1:
        message = "the votes add up to {left}, the valid ballots can give {right}"
    else:
        message = "the votes add up to {left}, the valid ballots are {right}"
    return Finding("A1", message, most - missing, most)


def a2_ballots_add_up(r: Report, station: Station, limits: Limits, votes_per_ballot: int) -> Finding | None:
    if r.cast is None:
        return None
    known = r.told_apart
    if r.blank is None or r.invalid is None:
        if known <= r.cast:
            return None
        return Finding("A2", "the known ballots add up to {left}, more than the {right} cast", known, r.cast)
    if known == r.cast:
        return None
    return Finding("A2", "valid, blank and invalid add up to {left}, cast are {right}", known, r.cast)


def a3_within_register(r: Report, station: Station, limits: Limits, votes_per_ballot: int) -> Finding | None:
    ballots = r.ballots
    if r.registered is not None and not station.is_without_voters:
        if ballots <= r.registered:
            return None
        return Finding("A3", "{left} ballots, {right} registered in the report", ballots, r.registered)
    register = station.register
    if register is None:
        return None
    numerator, denominator = limits.a3
    if 100 * denominator * ballots <= numerator * register:
        return None
    over = "the ballots expected, {right}" if station.is_without_voters else "the register's {right}"
    return Finding("A3", "{left} ballots, more than the limit over " + over, ballots, register)


def a8_somebody_registered(r: Report, station: Station, limits: Limits, votes_per_ballot: int) -> Finding | None:
    registered = station.registered if r.registered is None else r.registered
    if registered != 0 or r.ballots == 0 or station.is_without_voters:
        return None
    return Finding("A8", "{left} ballots, {right} registered", r.ballots, 0)


def a9_register_within_bound(r: Report, station: Station, limits: Limits, votes_per_ballot: int) -> Finding | None:
    if r.registered is None or station.registered is None or station.is_without_voters:
        return None
    if r.registered * limits.bound_denominator <= limits.bound_numerator * station.registered:
        return None
    return Finding("A9", "{left} registered in the report, above the limit over the register's {right}", r.registered,
                   station.registered)  # fmt: skip


def _share_of_cast(code: str, part: int | None, r: Report, percent: tuple[int, int], what: str) -> Finding | None:
    if part is None or r.cast is None:
        return None
    numerator, denominator = percent
    if part < 1 or part * 100 * denominator < numerator * r.cast:
        return None
    return Finding(code, f"{{left}} {what} of {{right}} cast", part, r.cast)


def p1_invalid(r: Report, station: Station, limits: Limits, votes_per_ballot: int) -> Finding | None:
    return _share_of_cast("P1", r.invalid, r, limits.p1, "invalid")


def p2_blank(r: Report, station: Station, limits: Limits, votes_per_ballot: int) -> Finding | None:
    return _share_of_cast("P2", r.blank, r, limits.p2, "blank")


def p4_empty(r: Report, station: Station, limits: Limits, votes_per_ballot: int) -> Finding | None:
    if not r.complete or r.ballots:
        return None
    return Finding("P4", "a complete report of {left} ballots", 0, None)


def p5_turnout(r: Report, station: Station, limits: Limits, votes_per_ballot: int) -> Finding | None:
    registered = station.registered if r.registered is None else r.registered
    if r.cast is None or not registered or station.is_without_voters:
        return None
    numerator, denominator = limits.p5
    if r.cast * 100 * denominator < numerator * registered:
        return None
    return Finding("P5", "{left} cast of {right} registered", r.cast, registered)


def p6_unanimous(r: Report, station: Station, limits: Limits, votes_per_ballot: int) -> Finding | None:
    top = max(r.votes)
    if top < limits.p6_votes_min or top != sum(r.votes) or not top:
        return None
    return Finding("P6", "one candidate has {left} of {right} votes", top, top)


def p8_votes_missing(r: Report, station: Station, limits: Limits, votes_per_ballot: int) -> Finding | None:
    missing = r.votes_missing(votes_per_ballot)
    if r.undervotes is None or missing <= 0:
        return None
    most = votes_per_ballot * r.valid
    return Finding("P8", "votes, undervotes and overvotes add up to {left} of {right}", most - missing, most)


def p7_register_differs(r: Report, station: Station, limits: Limits, votes_per_ballot: int) -> Finding | None:
    if r.registered is None or station.registered is None or station.is_without_voters:
        return None
    numerator, denominator = limits.p7
    if abs(r.registered - station.registered) * 100 * denominator <= numerator * station.registered:
        return None
    return Finding("P7", "{left} registered in the report, {right} in the register", r.registered, station.registered)


ReportRule = Callable[[Report, Station, Limits, int], Finding | None]
"""The last is how many votes a ballot of the contest has."""
ERROR_RULES: tuple[ReportRule, ...] = (
    a1_votes_add_up, a2_ballots_add_up, a3_within_register, a8_somebody_registered, a9_register_within_bound,
)  # fmt: skip
WARNING_RULES: tuple[ReportRule, ...] = (
    p1_invalid,
    p2_blank,
    p4_empty,
    p5_turnout,
    p6_unanimous,
    p7_register_differs,
    p8_votes_missing,
)


def q6_lowers(r: Report, before: Report, contest_candidates: tuple[str, ...]) -> Finding | None:
    new, old = r.votes, before.votes
    for i in range(len(old)):
        if new[i] < old[i]:
            return Finding("Q6", contest_candidates[i] + " falls to {left} from {right}", new[i], old[i])
    if r.cast_or_valid < before.cast_or_valid:
        return Finding("Q6", "the ballots fall to {left} from {right}", r.cast_or_valid, before.cast_or_valid)
    return None


def p10_changes_much(r: Report, before: Report, limits: Limits) -> Finding | None:
    if not before.complete:
        return None
    numerator, denominator = limits.p10
    new, old = r.cast_or_valid, before.cast_or_valid
    if abs(new - old) * 100 * denominator <= numerator * old:
        return None
    return Finding("P10", "the ballots change to {left} from {right}", new, old)


def q7_clock(r: Report, log_ms: int, limits: Limits) -> Finding | None:
    assert r.counted_at_ms is not None, "counts carry their time"
    if r.counted_at_ms < closing_ms(r.station, limits):
        return Finding("Q7", "counted at {left}, before the polls closed", _shown_time(r), None)
    if r.counted_at_ms - log_ms > limits.skew_ms:
        return Finding("Q7", "counted at {left}, later than its log time in ms, {right}", _shown_time(r), log_ms)
    return None


def _shown_time(r: Report) -> str:
    """`counted_at` as a finding repeats it: a time may have thousands of decimals."""
    text = r.counted_at or ""
    return text if len(text) <= TIME_SHOWN_CHARS else text[: TIME_SHOWN_CHARS - 1] + "…"


def some_lower(votes: tuple[int, ...], before: tuple[int, ...]) -> bool:
    """Whether any candidate has fewer votes than before."""
    return any(votes[i] < before[i] for i in range(len(votes)))


def is_ordinary(r: Report, station: Station, limits: Limits, log_ms: int) -> bool:
    """Whether counts are ordinary in themselves; False means: ask the rules.

    Ordinary: all ballots known and each gives one vote, the register the station's own and not 0, and no rule fires but
    perhaps those that compare with earlier counts (Q6, P10). Nearly every report of a night is. One look instead of a dozen
    rules, and one step (`tally.add_plain`) for what `is_plain` passes, saved a fifth of the time. Exhaustive tests over small
    figures hold the look to the rules, and the step to `tally`.
    """
    votes, valid, cast, blank, invalid = r.votes, r.valid, r.cast, r.blank, r.invalid
    registered, counted_at_ms = station.registered, r.counted_at_ms
    if cast is None or blank is None or invalid is None or registered is None or counted_at_ms is None:
        return False
    if r.undervotes is not None:
        return False
    if r.registered is not None and (r.registered != registered or not limits.a9_spares_the_register):
        return False
    total = most = 0
    for count in votes:
        total += count
        most = max(most, count)
    if total != valid or valid + blank + invalid != cast or most == total:  # A1, A2, P6; P4 too: nothing is all of nothing
        return False
    if r.registered is None:
        if 100 * limits.a3[1] * cast > limits.a3[0] * registered:
            return False
    elif cast > registered:
        return False
    hundredfold = 100 * cast
    if hundredfold * limits.p5[1] >= limits.p5[0] * registered:
        return False
    if invalid and 100 * limits.p1[1] * invalid >= limits.p1[0] * cast:
        return False
    if blank and 100 * limits.p2[1] * blank >= limits.p2[0] * cast:
        return False
    return counted_at_ms >= closing_ms(station, limits) and counted_at_ms - log_ms <= limits.skew_ms


def is_plain(r: Report, station: Station, before: Report | None, limits: Limits, log_ms: int) -> bool:
    """Whether counts are ordinary in themselves, and no figure is lower than in `before`: plain counts too, or None."""
    if before is None:
        return is_ordinary(r, station, limits, log_ms)
    if before.complete or not is_ordinary(r, station, limits, log_ms):
        return False
    cast, blank, invalid = r.cast, r.blank, r.invalid
    # Ordinary counts know all three figures, and so do the plain ones before.
    assert cast is not None
    assert blank is not None
    assert invalid is not None
    assert before.cast is not None
    assert before.blank is not None
    assert before.invalid is not None
    if cast < before.cast or blank < before.blank or invalid < before.invalid:
        return False
    return not some_lower(r.votes, before.votes)


def message_of(finding: Finding) -> str:
    """The finding's sentence with its two figures."""
    return finding.message.replace("{left}", str(finding.left)).replace("{right}", str(finding.right))
