"""`submit --station`: one report, asked for field by field as it stands on the paper, with the sums as they run.

Decides the questions and their order, and that whoever is asked can go back (`<`). An empty answer is unknown, never 0. At
the end each rule that has something to say says it, and only a yes sends what is odd. What is wrong with a report stands in
`station/checking.py`.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import click
from rich.text import Text

from tally_stream.cli.common import EXIT_USAGE, out, refuse
from tally_stream.cli.submit_said import lines_of
from tally_stream.domain.contest import Contest
from tally_stream.domain.election import Election, Station
from tally_stream.domain.scalars import parse_time
from tally_stream.station.authority import Seal
from tally_stream.station.checking import KnownStatements
from tally_stream.station.preparing import Prepared, prepare

BACK = "<"
_COUNT = re.compile(r"[0-9]{1,9}\Z", re.ASCII)
_CLOCK = re.compile(r"([01]?[0-9]|2[0-3]):([0-5][0-9])\Z", re.ASCII)
_MOST_AHEAD = timedelta(minutes=5)

Answers = dict[str, str]
"""A question's name → what was answered; "" is unknown."""


@dataclass(frozen=True, slots=True)
class Question:
    """`is_needed`: an empty answer is asked for again."""

    name: str
    text: str
    is_needed: bool = False
    is_time: bool = False


def ask(
    known: KnownStatements,
    station_id: str,
    contest_id: str | None,
    added: Mapping[str, Any],
    revision: int | None,
    seal: Seal | None,
) -> Prepared:
    """A report that was looked at and confirmed. Exits 2 for a station or contest that is none; raises click.Abort at the end
    of the input."""
    election = known.election
    station = election.stations.get(station_id)
    if station is None:
        refuse([f"{station_id}: no polling station of {election.id}"], EXIT_USAGE)
    contest = _contest(election, station, contest_id)
    answers: Answers = {}
    register = "unknown" if station.registered is None else f"{station.registered:,}"
    out.print(Text(f"{station.id} {station.name}, register {register}: {contest.name} ({contest.id})"), soft_wrap=True)
    out.print(Text(f"Type what the paper says. Empty: not on the paper, which is not 0. {BACK} goes back."), soft_wrap=True)
    while True:
        _ask_all(questions_of(contest), contest, answers)
        fields = {**added, **fields_of(answers, contest), "station": station.id, "contest": contest.id}
        prepared = prepare(fields, known, int(time.time() * 1000), revision=revision, seal=seal)
        for line in lines_of(prepared, ""):
            out.print(Text(line), soft_wrap=True)
        if _is_confirmed(prepared):
            return prepared
        out.print(Text("Once more: what was typed stands in brackets."))


def _contest(election: Election, station: Station, contest_id: str | None) -> Contest:
    own = [election.contests[index] for index in station.contests]
    names = [contest.id for contest in own]
    if contest_id is None:
        contest_id = names[0] if len(names) == 1 else click.prompt("contest", type=click.Choice(names))
    if contest_id not in names:
        refuse([f"{contest_id}: no contest of station {station.id}, which has {', '.join(names[:20])}"], EXIT_USAGE)
    return own[names.index(contest_id)]


def questions_of(contest: Contest) -> list[Question]:
    found = [
        Question("registered", "registered voters on the paper"), Question("cast", "ballots cast"),
        Question("valid", "valid ballots", is_needed=True), Question("blank", "blank ballots"),
        Question("invalid", "invalid ballots"),
    ]  # fmt: skip
    found += [Question(f"votes {c.id}", f"votes for {c.name} ({c.id})", is_needed=True) for c in contest.candidates]
    if contest.votes_per_ballot > 1:
        found += [Question("undervotes", "votes not given"), Question("overvotes", "votes lost by too many")]
    return [*found, Question("counted_at", "counted at (21:42, or with date and offset)", is_needed=True, is_time=True)]


def _ask_all(questions: list[Question], contest: Contest, answers: Answers) -> None:
    at = 0
    while at < len(questions):
        question = questions[at]
        typed = _ask(question, answers.get(question.name, ""))
        if typed == BACK:
            at = max(0, at - 1)
            continue
        answers[question.name] = typed
        told = running_sum(question.name, answers, contest)
        if told:
            out.print(Text(f"    {told}"))
        at += 1


def _ask(question: Question, before: str) -> str:
    if question.is_time and not before:
        before = datetime.now().astimezone().isoformat(timespec="seconds")
    while True:
        typed: str = click.prompt(question.text, default=before, show_default=bool(before)).strip()
        if typed == BACK:
            return typed
        if not typed and question.is_needed:
            out.print(Text("    this has to stand there; where the paper says nothing or a dash is counted, type 0"))
        elif question.is_time:
            moment = time_of(typed, datetime.now().astimezone())
            if moment is not None:
                return moment
            out.print(Text("    a time as 21:42, or 2024-02-07T21:42:10+04:00"))
        elif not typed or _COUNT.match(typed):
            return typed
        else:
            out.print(Text("    a whole number in digits alone, at most nine of them"))


def time_of(typed: str, now: datetime) -> str | None:
    """RFC 3339; of a clock's time the last moment at which it showed that."""
    clock = _CLOCK.match(typed)
    if clock is None:
        return typed if parse_time(typed) is not None else None
    moment = now.replace(hour=int(clock[1]), minute=int(clock[2]), second=0, microsecond=0)
    if moment > now + _MOST_AHEAD:
        moment -= timedelta(days=1)
    return moment.isoformat(timespec="seconds")


def running_sum(name: str, answers: Answers, contest: Contest) -> str | None:
    """What the answers so far come to, behind the question of that name."""
    if name == "invalid":
        parts = [answers[part] for part in ("valid", "blank", "invalid") if answers.get(part)]
        total, cast = sum(map(int, parts)), answers.get("cast")
        if not cast:
            return f"together {total:,}"
        return f"together {total:,} of {int(cast):,} cast" + _difference(total, int(cast), is_whole=len(parts) == 3)
    if name.startswith("votes "):
        votes = sum(int(answers[f"votes {c.id}"]) for c in contest.candidates if answers.get(f"votes {c.id}"))
        most = int(answers["valid"]) * contest.votes_per_ballot
        is_last = name == f"votes {contest.candidates[-1].id}" and contest.votes_per_ballot == 1
        of = "valid" if contest.votes_per_ballot == 1 else "that the valid ballots can give"
        return f"so far {votes:,} of {most:,} {of}" + _difference(votes, most, is_whole=is_last)
    return None


def _difference(total: int, of: int, *, is_whole: bool) -> str:
    if total > of:
        return f": {total - of:,} too many"
    if total < of:
        return f": {of - total:,} {'are missing' if is_whole else 'left'}"
    return ": right" if is_whole else ""


def fields_of(answers: Answers, contest: Contest) -> dict[str, Any]:
    """A report's fields; what is unknown is not among them."""
    ballots = {
        name: int(answers[name])
        for name in ("cast", "valid", "blank", "invalid", "undervotes", "overvotes")
        if answers.get(name)
    }
    fields: dict[str, Any] = {"counted_at": answers["counted_at"], "ballots": ballots}
    if answers.get("registered"):
        fields["registered"] = int(answers["registered"])
    return fields | {"votes": {c.id: int(answers[f"votes {c.id}"]) for c in contest.candidates}}


def _is_confirmed(prepared: Prepared) -> bool:
    checked = prepared.checked
    if checked.of("reject"):
        out.print(Text("It would be refused as it is."))
        return False
    if checked.of("error"):
        return click.confirm("The paper itself contradicts itself, and this is what it says: send it, to be held?")
    if checked.of("warning"):
        return click.confirm("This is what the paper says: send it?")
    return click.confirm("Send it?", default=True)
