"""What befalls a polling station's count on its way: nothing, a correction, an annulment, or one named mistake.

Decides the records of a station and contest, one after the other, and what the rules say of each: a story is written so that
its verdicts and codes are known without asking a judge, and nothing that befalls one contest of one station touches another.
Refuses to know when a record arrives and where it lies; read `simulate.py` next.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from tally_stream.domain.report import CountKind, ReportKind
from tally_stream.domain.rules import VerdictName
from tally_stream.domain.scalars import format_time
from tally_stream.station.simulate_draws import Draws
from tally_stream.station.simulate_keys import COMMISSION_KEY, STATION_KINDS, NightKeys, key_id_of
from tally_stream.station.simulate_places import CLOSE_MS, Country
from tally_stream.station.simulate_sheets import RACES, Race, Sheet, Sheets

ELECTION_ID = "SIMULATED"
COMMISSION = "Electoral commission"
_STORY = 6
_HOUR = 3600

Fields = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Said:
    """One record: what it says, how long after the count was ready (seconds; before it where negative), and its verdict."""

    after_seconds: int
    key: bytes | None
    value: bytes | None
    verdict: VerdictName = "counted"
    codes: tuple[str, ...] = ()
    is_astray: bool = False
    """It lies in another partition than its key's."""
    is_for_all: bool = False
    """Every partition has a copy."""
    signer: str | None = None
    """The id of the key that signs it on a night of signatures; None: it stands as it is."""


@dataclass(frozen=True, slots=True)
class Told:
    """A whole story: its records in order, and the counts that are in force after the last of them."""

    said: tuple[Said, ...]
    in_force: Sheet | None


def encoded(fields: Fields) -> bytes:
    return json.dumps(fields, ensure_ascii=False, separators=(",", ":")).encode()


class Case:
    """A station and contest to tell a story of, and the words for it."""

    def __init__(
        self, country: Country, sheets: Sheets, keys: NightKeys, phase: str, seed: int, station: int, contest: int
    ) -> None:  # fmt: skip
        self.country, self.station, self.contest = country, station, contest
        self.race: Race = RACES[contest]
        self.id = country.id_of(station)
        self.registered = country.registered(station)
        self.draws = Draws(seed, _STORY, station, contest)
        self._sheets, self.night_keys, self._phase = sheets, keys, phase
        self._region = country.region_of(station)
        self._counted_ms = country.counted_ms(station, contest)

    def sheet(self) -> Sheet:
        return self._sheets.ordinary(self.contest, self.station, self._region, self.registered)

    def sheet_of(self, cast: int) -> Sheet:
        return self._sheets.of_ballots(self.contest, self.station, self._region, cast)

    def time(self, after_seconds: int) -> str:
        return format_time(self._counted_ms + after_seconds * 1000)[: -len(".000Z")] + "Z"

    def counts(self, sheet: Sheet, revision: int = 1, *, after: int = 0, kind: CountKind = "report", **more: object) -> Fields:
        ballots = {
            "cast": sheet.cast, "valid": sheet.valid, "blank": sheet.blank, "invalid": sheet.invalid,
            "undervotes": sheet.undervotes, "overvotes": sheet.overvotes,
        }  # fmt: skip
        return {
            **self._head(kind, revision),
            "counted_at": self.time(after),
            "ballots": {name: count for name, count in ballots.items() if count is not None},
            "votes": dict(zip((id for id, _, _ in self.race.candidates), sheet.votes, strict=True)),
            **more,
        }

    def order(self, kind: ReportKind, revision: int, replaces: int, reason: str) -> Fields:
        return {**self._head(kind, revision), **because(replaces, reason)}

    def turnout(self, voted: int, after: int) -> Fields:
        head = self._head("turnout", 1)
        del head["contest"]
        return {**head, "as_of": self.time(after), "voted": voted}

    def _head(self, kind: str, revision: int) -> Fields:
        more = {"contest": self.race.id, "station": self.id, "revision": revision, "kind": kind}
        return {**head(self._phase), **more}

    def said(
        self, fields: Fields | bytes | None, *codes: str, after: int = 0, key: str | None = "", signer: str | None = ""
    ) -> Said:  # fmt: skip
        """Under the station's own key, and signed by whose it is to say it, unless others are given; its verdict is that of its
        codes."""
        value = encoded(fields) if isinstance(fields, dict) else fields
        name = self.id if key == "" else key
        signer = self._signer(fields) if signer == "" else signer
        return Said(after, None if name is None else name.encode(), value, verdict_of(codes), codes, signer=signer)

    def _signer(self, fields: Fields | bytes | None) -> str:
        is_own = not isinstance(fields, dict) or (fields.get("station") == self.id and fields["kind"] in STATION_KINDS)
        return key_id_of(self.id) if is_own else COMMISSION_KEY


def head(phase: str) -> Fields:
    """What every statement begins with."""
    return {"schema": 1, "election": ELECTION_ID, **({"phase": phase} if phase != "official" else {})}


def because(replaces: int, reason: str) -> Fields:
    return {"replaces": replaces, "reason": reason, "authority": COMMISSION}


def verdict_of(codes: tuple[str, ...]) -> VerdictName:
    """What a record with these codes becomes, as docs/rules.md has it."""
    first = codes[0] if codes else ""
    special: dict[str, VerdictName] = {"": "counted", "Q1": "repeated", "Q2": "stale", "Q3": "conflicting"}
    if first in special:
        return special[first]
    if first[0] in "SX" or first in ("Q5", "Q8"):
        return "rejected"
    return "held" if any(code[0] == "A" or code == "Q4" for code in codes) else "counted"


# -- what happens on every night -----------------------------------------------------------------------------------


def plain(case: Case) -> Told:
    sheet = case.sheet()
    return Told((case.said(case.counts(sheet)),), sheet)


def partial(case: Case) -> Told:
    whole = case.sheet()
    later = case.draws.between(900, _HOUR)
    first = case.counts(whole.half(case.race), complete=False)
    return Told((case.said(first), case.said(case.counts(whole, 2, after=later), after=later)), whole)


def corrected(case: Case) -> Told:
    first = case.sheet()
    later, then = case.draws.between(_HOUR, 14 * _HOUR), first.with_one_more(case.race)
    fields = case.counts(then, 2, after=later, kind="correct", **because(1, "a ballot was found in the box"))
    return Told((case.said(case.counts(first)), case.said(fields, after=later)), then)


def recounted(case: Case) -> Told:
    sheet, later = case.sheet(), case.draws.between(10 * _HOUR, 20 * _HOUR)
    fields = case.counts(sheet, 2, after=later, kind="recount", **because(1, "ordered after a complaint"))
    return Told((case.said(case.counts(sheet)), case.said(fields, after=later)), sheet)


def annulled(case: Case) -> Told:
    later = case.draws.between(8 * _HOUR, 16 * _HOUR)
    order = case.order("annul", 2, 1, "the box was opened before the count")
    return Told((case.said(case.counts(case.sheet())), case.said(order, after=later)), None)


def restored(case: Case) -> Told:
    sheet, later = case.sheet(), case.draws.between(2 * _HOUR, 6 * _HOUR)
    orders = case.order("annul", 2, 1, "a seal was reported broken"), case.order("restore", 3, 2, "the seal was whole")
    first, second = (case.said(order, after=later * n) for n, order in enumerate(orders, 1))
    return Told((case.said(case.counts(sheet)), first, second), sheet)


def withdrawn(case: Case) -> Told:
    sheet, later = case.sheet(), case.draws.between(1200, 2 * _HOUR)
    order = case.said(case.order("withdraw", 2, 1, "sent for the wrong contest"), after=later)
    again = case.said(case.counts(sheet, 3, after=2 * later), after=2 * later)
    return Told((case.said(case.counts(sheet)), order, again), sheet)


def bulletin(case: Case) -> Told:
    """Who has voted, four hours before the close; then the count."""
    sheet, before = case.sheet(), bulletin_seconds(case.country, case.station)
    assert sheet.cast is not None, "an ordinary sheet has it"
    return Told((case.said(case.turnout(sheet.cast * 3 // 4, before), after=before), case.said(case.counts(sheet))), sheet)


def bulletin_seconds(country: Country, station: int) -> int:
    """How long before the count is ready, as a negative number."""
    return (CLOSE_MS - country.counted_ms(station, 0)) // 1000 - 4 * _HOUR + station % 600


# -- mistakes, by the code that they earn --------------------------------------------------------------------------


def then_right(case: Case, *wrong: Said, revision: int = 1, signer: str = "") -> Told:
    """The mistake, and some minutes after it the sheet as it should have been."""
    sheet, later = case.sheet(), case.draws.between(300, 2400)
    return Told((*wrong, case.said(case.counts(sheet, revision, after=later), after=later, signer=signer)), sheet)


def _after_right(case: Case, fields: Fields, *codes: str, revision: int = 1) -> Told:
    """The right sheet, and behind it what does no harm."""
    sheet = case.sheet()
    first = case.said(case.counts(sheet, revision))
    return Told((first, case.said(fields, *codes, after=case.draws.between(60, _HOUR))), sheet)


def _counted(case: Case, sheet: Sheet, code: str, **more: object) -> Told:
    """A sheet at which a warning is due, and which counts."""
    return Told((case.said({**case.counts(sheet), **more}, code),), sheet)


def s1(case: Case) -> Told:
    fields = case.counts(case.sheet())
    broken = encoded(fields)
    values: tuple[Fields | bytes | None, ...] = (
        broken[: len(broken) // 2], None, {**fields, "remarks": "none"}, {**fields, "schema": 2},
        broken[:-1] + b"\xff}", broken[:-1] + b',"schema":1}',
    )  # fmt: skip
    return then_right(case, case.said(values[case.draws.below(len(values))], "S1"))


def s2(case: Case) -> Told:
    sheet, unknown = case.sheet(), f"X{case.id[1:]}"
    which = case.draws.below(3)
    if which == 0:
        return then_right(case, case.said({**case.counts(sheet), "station": unknown}, "S2", key=unknown))
    if which == 1:
        return then_right(case, case.said({**case.counts(sheet), "contest": "SHERIFF"}, "S2"))
    fields = case.counts(sheet)
    return then_right(case, case.said({**fields, "votes": {**fields["votes"], "NOBODY": 0}}, "S2"))


def s3(case: Case) -> Told:
    fields = case.counts(case.sheet())
    del fields["votes"][case.race.candidates[-1][0]]
    return then_right(case, case.said(fields, "S3"))


def s4(case: Case) -> Told:
    fields = case.counts(case.sheet())
    fields["ballots"]["blank"] = (-1, 1.5, "2", True, 1_000_000_000)[case.draws.below(5)]
    return then_right(case, case.said(fields, "S4"))


def s5(case: Case) -> Told:
    fields, which = case.counts(case.sheet()), case.draws.below(3)
    if which == 0:
        fields["phase"] = "official" if fields.get("phase") == "test" else "test"
        return then_right(case, case.said(fields, "S5"))
    other = case.country.id_of((case.station + 1) % case.country.stations)
    return then_right(case, case.said(fields, "S5", key=None if which == 1 or other == case.id else other))


def s6(case: Case) -> Told:
    """An envelope with a signature that nobody can verify: the definition names no keys."""
    statement = base64.b64encode(encoded(case.counts(case.sheet()))).decode()
    envelope = {
        "payload": statement, "payload_type": "application/vnd.tally-stream.statement+json", "key_id": "LAPTOP-1",
        "signature": base64.b64encode(bytes(64)).decode(),
    }  # fmt: skip
    return then_right(case, case.said(envelope, "S6"))


def s7(case: Case) -> Told:
    astray = replace(case.said(case.counts(case.sheet()), "S7"), is_astray=True)
    return then_right(case, astray)


def q1(case: Case) -> Told:
    return _after_right(case, case.counts(case.sheet()), "Q1")


def q2(case: Case) -> Told:
    return _after_right(case, case.counts(case.sheet(), 4), "Q2", revision=5)


def q3(case: Case) -> Told:
    return _after_right(case, case.counts(case.sheet().with_one_more(case.race)), "Q3")


def q4(case: Case) -> Told:
    sheet, later = case.sheet(), case.draws.between(300, 2 * _HOUR)
    order = case.said(case.order("annul", 2, 1, "the box was opened before the count"), after=later)
    still = case.said(case.counts(sheet, 3, after=2 * later), "Q4", after=2 * later)
    return Told((case.said(case.counts(sheet)), order, still), None)


def q5(case: Case) -> Told:
    sheet = case.sheet()
    wrong: tuple[Fields, ...] = (
        case.counts(sheet, 2, kind="correct", **because(7, "a typing error")),
        case.counts(sheet, 2, kind="correct"),
        case.order("restore", 2, 1, "never annulled"),
        case.order("accept", 2, 1, "nothing is held"),
    )
    return _after_right(case, wrong[case.draws.below(len(wrong))], "Q5")


def q6(case: Case) -> Told:
    """A vote was given to the wrong candidate."""
    first, later = case.sheet(), case.draws.between(1200, 8 * _HOUR)
    then = replace(first, votes=(first.votes[0] - 1, first.votes[1] + 1, *first.votes[2:]))
    fields = case.counts(then, 2, after=later, kind="correct", **because(1, "a vote stood in the wrong line"))
    return Told((case.said(case.counts(first)), case.said(fields, "Q6", after=later)), then)


def q7(case: Case) -> Told:
    """A clock that is a day behind."""
    return _counted(case, case.sheet(), "Q7", counted_at=case.time(-24 * _HOUR))


def q8(case: Case) -> Told:
    return _after_right(case, case.counts(case.sheet(), 20_250_601), "Q8")


def a1(case: Case) -> Told:
    """A digit too many."""
    sheet = case.sheet()
    votes = (RACES[case.contest].votes_per_ballot * sheet.valid + sheet.votes[0], *sheet.votes[1:])
    return then_right(case, case.said(case.counts(replace(sheet, votes=votes)), "A1"), revision=2)


def a2(case: Case) -> Told:
    sheet = case.sheet()
    assert sheet.cast is not None, "an ordinary sheet has it"
    return then_right(case, case.said(case.counts(replace(sheet, cast=sheet.cast + 2)), "A2"), revision=2)


def a3(case: Case) -> Told:
    """More ballots than voters; it stays held, or an authority lets it count. Without cast, of which P5 would speak too."""
    sheet = replace(case.sheet_of(case.registered * 11 // 10 + 1), cast=None)
    first = case.said(case.counts(sheet), "A3")
    if case.draws.below(2):
        return Told((first,), None)
    order = case.order("accept", 2, 1, "the supplementary list was forgotten")
    return Told((first, case.said(order, after=case.draws.between(_HOUR, 9 * _HOUR))), sheet)


def a8(case: Case) -> Told:
    """Nobody registered, and ballots: more than the voters (A3), and no register that anybody knows (P7)."""
    return then_right(case, case.said(case.counts(case.sheet(), registered=0), "A8", "A3", "P7"), revision=2)


def a9(case: Case) -> Told:
    fields = case.counts(case.sheet(), registered=case.registered * 10)
    return then_right(case, case.said(fields, "A9", "P7"), revision=2)


def p1(case: Case) -> Told:
    return _with_few_valid(case, "P1")


def p2(case: Case) -> Told:
    return _with_few_valid(case, "P2")


def _with_few_valid(case: Case, code: str) -> Told:
    """Ballots that are invalid (P1) or blank (P2) beside those of an ordinary sheet."""
    sheet = case.sheet()
    assert sheet.cast is not None, "an ordinary sheet has it"
    more = sheet.cast // 25 + 1
    invalid, blank = (more, 0) if code == "P1" else (0, more)
    return _counted(case, replace(sheet, invalid=invalid, blank=blank, cast=sheet.valid + more), code)


def p4(case: Case) -> Told:
    nothing = None if case.race.votes_per_ballot == 1 else 0
    return _counted(case, Sheet((0,) * len(case.race.candidates), 0, 0, 0, 0, nothing, nothing), "P4")


def p5(case: Case) -> Told:
    return _counted(case, case.sheet_of(case.registered), "P5")


def p6(case: Case) -> Told:
    sheet = case.sheet()
    under = None if sheet.undervotes is None else (case.race.votes_per_ballot - 1) * sheet.valid
    over = None if under is None else 0
    votes = (sheet.valid, *[0] * (len(sheet.votes) - 1))
    return _counted(case, replace(sheet, votes=votes, undervotes=under, overvotes=over), "P6")


P6_REGISTERED_MIN = 350
"""Of whom at least 35 in a hundred vote, and 96 in a hundred of those validly: 100 votes and more for one candidate."""


def p7(case: Case) -> Told:
    return _counted(case, case.sheet(), "P7", registered=case.registered * 6 // 5)


def p8(case: Case) -> Told:
    """A vote that nobody wrote down, where all kinds are told apart."""
    sheet = case.sheet()
    votes = (sheet.votes[0] - 1, *sheet.votes[1:])
    under, over = sheet.undervotes or 0, sheet.overvotes or 0
    return _counted(case, replace(sheet, votes=votes, undervotes=under, overvotes=over), "P8")


def p10(case: Case) -> Told:
    """The second box was forgotten."""
    whole, later = case.sheet(), case.draws.between(600, 3 * _HOUR)
    fields = case.counts(whole, 2, after=later, kind="correct", **because(1, "the second box was forgotten"))
    return Told((case.said(case.counts(whole.half(case.race))), case.said(fields, "P10", after=later)), whole)


@dataclass(frozen=True, slots=True)
class Story:
    """How often it is told, in a thousand counts of a station and contest."""

    tell: Callable[[Case], Told]
    permille: int = 1
    in_first_contest_only: bool = False
    registered_min: int = 0
    needs_partitions: bool = False


ORDINARY = {
    "partial": Story(partial, 100),
    "corrected": Story(corrected, 10),
    "recounted": Story(recounted, 2),
    "annulled": Story(annulled),
    "restored": Story(restored),
    "withdrawn": Story(withdrawn),
    "bulletin": Story(bulletin, 50, in_first_contest_only=True),
}
"""What no rule has anything to say about."""
MISTAKES = {
    "S1": Story(s1), "S2": Story(s2), "S3": Story(s3), "S4": Story(s4), "S5": Story(s5), "S6": Story(s6),
    "S7": Story(s7, needs_partitions=True),
    "Q1": Story(q1, 10), "Q2": Story(q2), "Q3": Story(q3), "Q4": Story(q4), "Q5": Story(q5), "Q6": Story(q6), "Q7": Story(q7),
    "Q8": Story(q8), "A1": Story(a1), "A2": Story(a2), "A3": Story(a3), "A8": Story(a8), "A9": Story(a9), "P1": Story(p1),
    "P2": Story(p2), "P4": Story(p4), "P5": Story(p5), "P6": Story(p6, registered_min=P6_REGISTERED_MIN), "P7": Story(p7),
    "P8": Story(p8), "P10": Story(p10),
}  # fmt: skip
"""Code → its story. X1 has none: it is a record, the first of all, that the definition skips (`simulate.py`)."""
