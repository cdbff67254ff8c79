"""`submit --station`: one report, asked for field by field as it stands on the paper, with the sums as they run.

Decides the words, and that whoever is asked can go back (`<`) and take an answer back (`-`). At the end each rule that has
something to say says it, and only a yes sends what is odd. The questions, their order and what may be answered stand in
`station/paper.py`; what is wrong with a report in `station/checking.py`.
"""

from __future__ import annotations

import time
import unicodedata
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import click
from rich.text import Text

from tally_stream.cli.common import EXIT_USAGE, out, refuse
from tally_stream.cli.submit_said import lines_of
from tally_stream.domain.contest import Contest
from tally_stream.domain.election import Election, Station
from tally_stream.domain.scalars import text_error
from tally_stream.station.authority import Seal
from tally_stream.station.checking import KnownStatements
from tally_stream.station.paper import (
    CORRECTION,
    VOTES,
    Answers,
    Question,
    RunningSum,
    ballots_sum,
    fields_of,
    is_count,
    questions_of,
    time_of,
    votes_sum,
)
from tally_stream.station.preparing import Prepared, prepare

BACK = "<"
NOT_THERE = "-"
_TEXTS = {
    "registered": "registered voters on the paper", "cast": "ballots cast", "valid": "valid ballots", "blank": "blank ballots",
    "invalid": "invalid ballots", "undervotes": "votes not given", "overvotes": "votes lost by too many",
    "counted_at": "counted at (21:42, or with date and offset)", "replaces": "revision that it replaces (its receipt has it)",
    "reason": "why", "authority": "who decided it",
}  # fmt: skip


def ask(
    known: KnownStatements,
    station_id: str,
    contest_id: str | None,
    added: Mapping[str, Any],
    revision: int | None,
    seal: Seal | None,
    *,
    only_check: bool,
) -> Prepared:
    """A report that was looked at and confirmed; with `only_check` one that nobody wants to type once more. `added`: what the
    command line says of it; of what a correction says, what stands in brackets the first time. Exits 2 for a station or
    contest that is none; raises click.Abort at the end of the input."""
    election = known.election
    station = election.stations.get(station_id)
    if station is None:
        refuse([f"{station_id}: no polling station of {election.id}"], EXIT_USAGE)
    contest = _contest(election, station, contest_id)
    kind = str(added.get("kind", "report"))
    of_correction = {question.name for question in CORRECTION}
    answers: Answers = {name: str(value) for name, value in added.items() if name in of_correction}
    added = {name: value for name, value in added.items() if name not in of_correction}
    register = "unknown" if station.registered is None else f"{station.registered:,}"
    out.print(Text(f"{station.id} {station.name}, register {register}: {contest.name} ({contest.id})"), soft_wrap=True)
    out.print(
        Text(f"Type what the paper says. Empty, or {NOT_THERE}: not on the paper, which is not 0. {BACK} goes back."),
        soft_wrap=True,
    )
    while True:
        _ask_all(questions_of(contest, kind), contest, answers)
        fields = {**added, **fields_of(answers, contest, kind), "station": station.id, "contest": contest.id}
        prepared = prepare(fields, known, int(time.time() * 1000), revision=revision, seal=seal)
        for line in lines_of(prepared, None):
            out.print(Text(line), soft_wrap=True)
        if _is_enough(prepared) if only_check else _is_confirmed(prepared):
            return prepared
        out.print(Text(f"Once more: what was typed stands in brackets. Enter keeps it, {NOT_THERE} takes it back."))


def _contest(election: Election, station: Station, contest_id: str | None) -> Contest:
    own = [election.contests[index] for index in station.contests]
    names = [contest.id for contest in own]
    if contest_id is None:
        contest_id = names[0] if len(names) == 1 else click.prompt("contest", type=click.Choice(names))
    if contest_id not in names:
        refuse([f"{contest_id}: no contest of station {station.id}, which has {', '.join(names[:20])}"], EXIT_USAGE)
    return own[names.index(contest_id)]


def text_of(question: Question) -> str:
    if question.candidate is not None:
        return f"votes for {question.candidate.name} ({question.candidate.id})"
    return _TEXTS[question.name]


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
        typed: str = click.prompt(text_of(question), default=before, show_default=bool(before)).strip()
        if typed == BACK:
            return typed
        typed = "" if typed == NOT_THERE else typed
        if question.is_text:
            typed = unicodedata.normalize("NFC", typed)
            wrong = text_error(typed) if typed else "this has to stand there"
            if wrong is None:
                return typed
            out.print(Text(f"    {wrong}"))
        elif not typed and question.name == "replaces":
            out.print(Text("    a correction says what it replaces; 0: nothing is in force"))
        elif not typed and question.is_needed and not question.is_time:
            out.print(Text("    this has to stand there; where the paper says nothing or a dash is counted, type 0"))
        elif question.is_time:
            moment = time_of(typed, datetime.now().astimezone())
            if moment is not None:
                return moment
            out.print(Text("    a time as 21:42, or 2024-02-07T21:42:10+04:00"))
        elif not typed or is_count(typed):
            return typed
        else:
            out.print(Text("    a whole number in digits alone, at most nine of them"))


def running_sum(name: str, answers: Answers, contest: Contest) -> str | None:
    """What the answers so far come to, behind the question of that name."""
    if name == "invalid":
        ballots = ballots_sum(answers)
        if ballots.of is None:
            return f"together {ballots.total:,}"
        return f"together {ballots.total:,} of {ballots.of:,} cast" + _difference(ballots)
    if name.startswith(VOTES):
        votes = votes_sum(answers, contest)
        of = "valid" if contest.votes_per_ballot == 1 else "that the valid ballots can give"
        return f"so far {votes.total:,} of {votes.of or 0:,} {of}" + _difference(votes)
    return None


def _difference(found: RunningSum) -> str:
    total, of = found.total, found.of or 0
    if total > of:
        return f": {total - of:,} too many"
    if total < of:
        return f": {of - total:,} {'are missing' if found.is_whole else 'left'}"
    return ": right" if found.is_whole else ""


def _is_enough(prepared: Prepared) -> bool:
    out.print(Text("Nothing was sent: --check only looks."))
    return not is_odd(prepared) or not click.confirm("Type it once more?")


def is_odd(prepared: Prepared) -> bool:
    """Whether a rule refuses it, holds it or warns."""
    return any(prepared.checked.of(severity) for severity in ("reject", "error", "warning"))


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
