"""What a clerk typed into the page → a statement's bytes, or what is wrong with it, and beside which field that is said.

Decides what is read of a form and how much of it, and that a clerk confirms a rule's word together with the figures it was
said of: whoever changes a figure is asked again. The questions are those of the terminal (`station/paper.py`), the rules
those of the count (`checking.py`). Refuses to know HTTP and HTML. Read `clerk_page.py` next.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any

from tally_stream.domain.contest import Contest
from tally_stream.domain.election import Election, Station
from tally_stream.domain.scalars import TEXT_MAX_CODE_POINTS, text_error
from tally_stream.station.checking import FIELD_OF_RULE, TURNOUT, Checked, Remark
from tally_stream.station.entry import completed, encoded
from tally_stream.station.paper import CORRECTION, VOTED, Answers, Question, fields_of, is_count, questions_of, time_of

TYPED_MAX_CHARS = 64
REVISION_MAX_DIGITS = 9
CONFIRMED_MAX = 40
_ZONE = re.compile(r"([+-])(0[0-9]|1[0-4]):([0-5][0-9])\Z", re.ASCII)

OF_VOTES = ("A1", "P6", "P8", "Q6")
"""Rules whose words stand beside the votes' sum; of the sequence above all."""


@dataclass(frozen=True, slots=True)
class StationPaper:
    """A paper of a station that has a form: its count in a contest, or, without one, how many have voted so far. `sequence` is
    that of its revisions: the contest's id, or TURNOUT."""

    station: Station
    contest: Contest | None

    @property
    def sequence(self) -> str:
        return TURNOUT if self.contest is None else self.contest.id

    @property
    def questions(self) -> tuple[Question, ...]:
        return VOTED if self.contest is None else (*questions_of(self.contest), *CORRECTION)


def papers_of(election: Election, station: Station) -> list[StationPaper]:
    """All that a station may send from a form, turnout last."""
    return [*(StationPaper(station, election.contests[index]) for index in station.contests), StationPaper(station, None)]


@dataclass(frozen=True, slots=True)
class TypedPaper:
    """What a form had in it. `answers` are as they were typed; `confirmed` are rules' words that the clerk looked at."""

    answers: Answers
    revision: int | None
    zone: str
    confirmed: frozenset[str]


def typed_paper(form: Mapping[str, str], confirmed: Collection[str], paper: StationPaper, zone: str) -> TypedPaper:
    """Of a form only what the page asked for. `zone` is taken where the form has none."""
    answers = {}
    for q in paper.questions:
        most = TEXT_MAX_CODE_POINTS if q.is_text else TYPED_MAX_CHARS
        answers[q.name] = unicodedata.normalize("NFC", form.get(q.name, "").strip())[:most]
    revision, asked_zone = form.get("revision", ""), form.get("zone", "")
    is_number = revision.isascii() and revision.isdigit() and len(revision) <= REVISION_MAX_DIGITS
    return TypedPaper(
        answers, int(revision) if is_number else None, asked_zone if _ZONE.match(asked_zone) else zone,
        frozenset(list(confirmed)[:CONFIRMED_MAX]),
    )  # fmt: skip


def zone_of(now: datetime) -> str:
    """As `+04:00`."""
    return now.isoformat()[-6:]


def completed_answers(typed: TypedPaper, paper: StationPaper, now: datetime) -> tuple[Answers, dict[str, str]]:
    """The answers with the time written out, and question → what is wrong with its answer: `needed`, `count`, `time`, `text`,
    or `correction` where it has not all three."""
    answers, mistakes = dict(typed.answers), {}
    is_correction = any(answers.get(question.name) for question in CORRECTION)
    for question in paper.questions:
        answer = answers[question.name]
        if not answer:
            if question.is_needed or (is_correction and question in CORRECTION):
                mistakes[question.name] = "needed" if question.is_needed else "correction"
        elif question.is_time:
            moment = time_of(answer, now.astimezone(_zone(typed.zone)))
            if moment is None:
                mistakes[question.name] = "time"
            else:
                answers[question.name] = moment
        elif question.is_text:
            if text_error(answer) is not None:
                mistakes[question.name] = "text"
        elif not is_count(answer):
            mistakes[question.name] = "count"
    return answers, mistakes


def statement_of(answers: Answers, election: Election, paper: StationPaper, revision: int) -> bytes:
    """A statement's bytes, of answers without a mistake: the same answers, the same bytes."""
    named: dict[str, Any] = {"station": paper.station.id, "revision": revision}
    if paper.contest is None:
        fields = {"kind": TURNOUT, "as_of": answers["as_of"], "voted": int(answers["voted"])}
        return encoded(completed(fields | named, election))
    fields = fields_of(answers, paper.contest) | {"contest": paper.contest.id}
    return encoded(completed(fields | named, election, paper.contest.id))


def question_beside(remark: Remark) -> str | None:
    """The name of the question that a rule's word is said beside; None: beside the votes' sum, or above all."""
    return FIELD_OF_RULE.get(remark.code)


def confirmation_of(remark: Remark) -> str:
    """What the form sends back when the clerk confirms it: the rule, and the figures that it was said of."""
    right = "" if remark.code == "Q7" else remark.right  # the clock goes on while the clerk looks
    return f"{remark.code} {remark.left} {right}"


def unconfirmed(checked: Checked, confirmed: Collection[str]) -> list[Remark]:
    """What still keeps it from being sent: refusals, and each error and warning that was not confirmed as it is now."""
    return [
        remark
        for remark in checked.remarks
        if remark.severity == "reject" or (remark.severity in ("error", "warning") and confirmation_of(remark) not in confirmed)
    ]


def _zone(zone: str) -> timezone:
    found = _ZONE.match(zone)
    assert found is not None, "a zone is looked at when it is read"
    ahead = timedelta(hours=int(found[2]), minutes=int(found[3]))
    return timezone(ahead if found[1] == "+" else -ahead)
