"""The paper a station signs, as questions in the order of its lines: for whoever asks a clerk, on a terminal or on a page.

Decides which figures are asked for, what an answer may look like, what the answers so far add up to, and how they become a
report's fields. An empty answer is unknown, never 0. Refuses to know words: a question has a name, and who asks has the
sentence. What is wrong with a report stands in `checking.py`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from tally_stream.domain.contest import Candidate, Contest
from tally_stream.domain.scalars import parse_time

VOTES = "votes "
BALLOTS = ("cast", "valid", "blank", "invalid", "undervotes", "overvotes")
TOLD_APART = ("valid", "blank", "invalid")
_COUNT = re.compile(r"[0-9]{1,9}\Z", re.ASCII)
_CLOCK = re.compile(r"([01]?[0-9]|2[0-3]):([0-5][0-9])\Z", re.ASCII)
_MOST_AHEAD = timedelta(minutes=5)

Answers = dict[str, str]
"""A question's name → what was answered; "" is unknown."""


@dataclass(frozen=True, slots=True)
class Question:
    """`name`: "registered", one of BALLOTS, "counted_at", VOTES and a candidate's id, or one of CORRECTION's or of turnout's;
    `is_needed`: it has to be answered."""

    name: str
    is_needed: bool = False
    is_time: bool = False
    candidate: Candidate | None = None
    is_text: bool = False


CORRECTION = (Question("replaces"), Question("reason", is_text=True), Question("authority", is_text=True))
"""What is asked of a report that replaces the one in force: all three, or none."""

VOTED = (Question("voted", is_needed=True), Question("as_of", is_needed=True, is_time=True))
"""What is asked of a station before its count: how many have taken part, and up to when."""


@dataclass(frozen=True, slots=True)
class RunningSum:
    """What answers add up to so far. `of` is what they should come to, None where that is not answered yet; `is_whole`: all
    of them are there, so that what is missing is missing."""

    total: int
    of: int | None
    is_whole: bool


def questions_of(contest: Contest, kind: str = "report") -> list[Question]:
    """Where the `kind` is another one, what is replaced comes first: who doesn't know it types no figures in vain."""
    found = [replace(question, is_needed=True) for question in CORRECTION] if kind != "report" else []
    found += [
        Question("registered"), Question("cast"), Question("valid", is_needed=True), Question("blank"), Question("invalid"),
    ]  # fmt: skip
    found += [Question(VOTES + c.id, is_needed=True, candidate=c) for c in contest.candidates]
    if contest.votes_per_ballot > 1:
        found += [Question("undervotes"), Question("overvotes")]
    return [*found, Question("counted_at", is_needed=True, is_time=True)]


def is_count(typed: str) -> bool:
    """A whole number in digits alone, at most nine of them."""
    return _COUNT.match(typed) is not None


def time_of(typed: str, now: datetime) -> str | None:
    """RFC 3339; of a clock's time the last moment at which it showed that."""
    clock = _CLOCK.match(typed)
    if clock is None:
        return typed if parse_time(typed) is not None else None
    moment = now.replace(hour=int(clock[1]), minute=int(clock[2]), second=0, microsecond=0)
    if moment > now + _MOST_AHEAD:
        moment -= timedelta(days=1)
    return moment.isoformat(timespec="seconds")


def ballots_sum(answers: Mapping[str, str]) -> RunningSum:
    """Valid, blank and invalid ballots, of those cast."""
    parts = [answers[part] for part in TOLD_APART if answers.get(part)]
    cast = answers.get("cast")
    return RunningSum(sum(map(int, parts)), int(cast) if cast else None, len(parts) == len(TOLD_APART))


def votes_sum(answers: Mapping[str, str], contest: Contest) -> RunningSum:
    """The candidates' votes, of those that the valid ballots can give."""
    votes = [answers[VOTES + c.id] for c in contest.candidates if answers.get(VOTES + c.id)]
    most = int(answers["valid"]) * contest.votes_per_ballot if answers.get("valid") else None
    is_whole = len(votes) == len(contest.candidates) and contest.votes_per_ballot == 1
    return RunningSum(sum(map(int, votes)), most, is_whole)


def fields_of(answers: Mapping[str, str], contest: Contest, replacing_kind: str = "correct") -> dict[str, Any]:
    """A report's fields; what is unknown is not among them. `replacing_kind`: of one that says what it replaces."""
    ballots = {name: int(answers[name]) for name in BALLOTS if answers.get(name)}
    fields: dict[str, Any] = {"counted_at": answers["counted_at"], "ballots": ballots}
    if answers.get("registered"):
        fields["registered"] = int(answers["registered"])
    if answers.get("replaces"):
        fields |= {"kind": replacing_kind, "replaces": int(answers["replaces"])}
        fields |= {name: answers[name] for name in ("reason", "authority")}
    return fields | {"votes": {c.id: int(answers[VOTES + c.id]) for c in contest.candidates}}
