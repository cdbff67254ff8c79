"""What a form says, what is wrong with it and where that is said, and the words for it in each language."""

from __future__ import annotations

import json
import re
from datetime import datetime, timedelta, timezone

import pytest

from tally_stream.domain.scalars import TEXT_MAX_CODE_POINTS
from tally_stream.station.checking import KnownStatements, Remark
from tally_stream.station.intake.clerk_form import (
    TypedPaper,
    completed_answers,
    confirmation_of,
    papers_of,
    question_beside,
    statement_of,
    typed_paper,
    unconfirmed,
)
from tally_stream.station.intake.clerk_sessions import IDLE_MAX_SECONDS, ClerkSessions
from tally_stream.station.intake.clerk_words import CLERK_LANGUAGES, CLERK_STATIC, ClerkWords, language_of
from tally_stream.station.paper import CORRECTION, VOTED, questions_of
from tests.support.clerk_election import clerks_election
from tests.support.small_elections import COUNTED_AT, COUNTED_MS

ELECTION = clerks_election()
MAYOR, BOARD = ELECTION.contests
STATION = ELECTION.stations["A-1"]
PAPER, _, TURNOUT = papers_of(ELECTION, STATION)
GOOD = {
    "cast": "100", "valid": "96", "blank": "2", "invalid": "2", "votes ANNA": "50", "votes EVIL": "46",
    "counted_at": COUNTED_AT,
}  # fmt: skip
NOW = datetime(2024, 2, 7, 22, 0, tzinfo=timezone(timedelta(hours=1)))


def typed(**changed: str) -> TypedPaper:
    return typed_paper({**GOOD, **changed}, (), PAPER, "+00:00")


def test_a_good_form_is_the_report_that_the_terminal_makes_of_the_same_answers() -> None:
    answers, mistakes = completed_answers(typed(), PAPER, NOW)
    assert mistakes == {}
    assert json.loads(statement_of(answers, ELECTION, PAPER, 3)) == {
        "schema": 1, "election": "X-2024", "phase": "test", "contest": "MAYOR", "kind": "report", "counted_at": COUNTED_AT,
        "ballots": {"cast": 100, "valid": 96, "blank": 2, "invalid": 2}, "votes": {"ANNA": 50, "EVIL": 46}, "station": "A-1",
        "revision": 3,
    }  # fmt: skip


def test_what_is_wrong_with_an_answer_is_said_of_its_question() -> None:
    form = typed(**{"valid": "", "cast": "1oo", "votes ANNA": "-1", "blank": "1234567890", "counted_at": "yesterday"})
    _, mistakes = completed_answers(form, PAPER, NOW)
    assert mistakes == {
        "valid": "needed", "cast": "count", "votes ANNA": "count", "blank": "count", "counted_at": "time",
    }  # fmt: skip


def test_a_clock_s_time_is_of_the_zone_of_who_typed_it() -> None:
    answers, _ = completed_answers(typed(counted_at="21:42", zone="+04:00"), PAPER, NOW)
    assert answers["counted_at"] == "2024-02-07T21:42:00+04:00"
    answers, _ = completed_answers(typed(counted_at="21:42", zone="nonsense"), PAPER, NOW)
    assert answers["counted_at"] == "2024-02-06T21:42:00+00:00", "21:42 of today is still to come there"


def test_of_a_form_only_what_was_asked_for_is_read_and_not_without_end() -> None:
    form = typed_paper({"valid": "9" * 100, "other": "x", "revision": "²"}, ["x"] * 100, PAPER, "+00:00")
    assert form.answers["valid"] == "9" * 64
    assert "other" not in form.answers
    assert form.revision is None
    assert set(form.answers) == {question.name for question in [*questions_of(MAYOR), *CORRECTION]}
    long = typed(reason="e\u0301" * 300)
    assert long.answers["reason"] == "é" * TEXT_MAX_CODE_POINTS, "as one character, and no longer than a reason may be"


def test_a_correction_says_what_it_replaces_why_and_by_whose_decision() -> None:
    why = {"replaces": "1", "reason": "two figures swapped", "authority": "district board"}
    answers, mistakes = completed_answers(typed(**why), PAPER, NOW)
    assert mistakes == {}
    said = json.loads(statement_of(answers, ELECTION, PAPER, 2))
    assert {name: said[name] for name in ("kind", *why)} == {"kind": "correct", **why, "replaces": 1}
    for name in why:
        _, mistakes = completed_answers(typed(**{name: why[name]}), PAPER, NOW)
        assert mistakes == dict.fromkeys(why.keys() - {name}, "correction")
    _, mistakes = completed_answers(typed(**why | {"replaces": "first", "reason": "a\u202eb"}), PAPER, NOW)
    assert mistakes == {"replaces": "count", "reason": "text"}


def test_turnout_is_a_statement_of_the_station_and_of_no_contest() -> None:
    assert (TURNOUT.contest, TURNOUT.sequence) == (None, "turnout")
    form = typed_paper({"voted": "412", "as_of": "21:42", "valid": "7", "reason": "x"}, (), TURNOUT, "+04:00")
    answers, mistakes = completed_answers(form, TURNOUT, NOW)
    assert (answers, mistakes) == ({"voted": "412", "as_of": "2024-02-07T21:42:00+04:00"}, {})
    assert json.loads(statement_of(answers, ELECTION, TURNOUT, 3)) == {
        "schema": 1, "election": "X-2024", "phase": "test", "kind": "turnout", "as_of": "2024-02-07T21:42:00+04:00",
        "voted": 412, "station": "A-1", "revision": 3,
    }  # fmt: skip
    assert KnownStatements(ELECTION).check(statement_of(answers, ELECTION, TURNOUT, 1), b"A-1", COUNTED_MS).verdict == "counted"
    _, mistakes = completed_answers(typed_paper({"voted": "4l2"}, (), TURNOUT, "+04:00"), TURNOUT, NOW)
    assert mistakes == {"voted": "count", "as_of": "needed"}


def test_a_word_is_confirmed_with_its_figures_and_not_with_others() -> None:
    known = KnownStatements(ELECTION)

    def checked(**changed: str) -> tuple[list[Remark], frozenset[str]]:
        answers, _ = completed_answers(typed(**changed), PAPER, NOW)
        found = known.check(statement_of(answers, ELECTION, PAPER, 1), b"A-1", COUNTED_MS + 60_000)
        return unconfirmed(found, confirmed), frozenset(map(confirmation_of, found.remarks))

    confirmed: frozenset[str] = frozenset()
    left, offered = checked(invalid="9", cast="107")
    assert [remark.code for remark in left] == ["P1"]
    confirmed = offered
    assert checked(invalid="9", cast="107")[0] == []
    assert [remark.code for remark in checked(invalid="10", cast="108")[0]] == ["P1"], "another figure, another question"


def test_a_clock_that_goes_on_is_confirmed_all_the_same() -> None:
    late = [Remark("Q7", "warning", f"… {at}", COUNTED_AT, at) for at in (1, 2)]
    assert confirmation_of(late[0]) == confirmation_of(late[1])


@pytest.mark.parametrize(
    ("code", "question"),
    [
        ("A2", "invalid"),
        ("P2", "blank"),
        ("A9", "registered"),
        ("Q5", "replaces"),
        ("Q7", "counted_at"),
        ("A1", None),
        ("S3", None),
    ],
)
def test_each_rule_has_its_place(code: str, question: str | None) -> None:
    assert question_beside(Remark(code, "warning", "")) == question


# -- words -----------------------------------------------------------------------------------------------------------


def test_all_languages_say_the_same_things_with_the_same_places() -> None:
    said = {
        language: json.loads((CLERK_STATIC / "lang" / f"{language}.json").read_text("utf-8")) for language in CLERK_LANGUAGES
    }
    for words in said.values():
        assert list(words) == list(said["en"])
        for key, text in words.items():
            assert text.strip() or key == "_group"
            assert sorted(re.findall(r"\{\w+\}", text)) == sorted(re.findall(r"\{\w+\}", said["en"][key])), key


def test_every_question_has_words_and_every_language_its_name() -> None:
    for language in CLERK_LANGUAGES:
        words = ClerkWords(language)
        for question in [*questions_of(MAYOR), *questions_of(BOARD), *CORRECTION, *VOTED]:
            assert question.candidate or words(f"q.{question.name}")


def test_a_rule_is_said_in_the_clerk_s_words_and_else_not() -> None:
    words = ClerkWords("es")
    assert words.of_remark(Remark("P1", "warning", "", 1200, 2400)) == "1.200 nulas de 2.400 papeletas emitidas."
    assert words.of_remark(Remark("A1", "error", "one candidate has 9 votes, …", 9, 8)) == (
        "Un candidato tiene 9 votos y las papeletas válidas son 8."
    )
    assert words.of_remark(Remark("S3", "reject", "a candidate is missing")) is None


@pytest.mark.parametrize(
    ("asked", "accepted", "language"),
    [("az", "ru", "az"), ("", "fr, ru-RU;q=0.8", "ru"), ("xx", "", "en"), ("", "", "en"), ("", "es-419", "es")],
)
def test_the_language_is_the_one_asked_for_or_the_browser_s(asked: str, accepted: str, language: str) -> None:
    assert language_of(asked, accepted) == language


# -- sessions --------------------------------------------------------------------------------------------------------


def test_a_session_ends_by_itself_by_hand_and_where_there_are_too_many() -> None:
    clock = [0.0]
    sessions = ClerkSessions(lambda: clock[0], most=2)
    first, second = sessions.begin("token", ""), sessions.begin("token", "")
    assert sessions.find(first) is not None
    sessions.begin("token", "")
    assert sessions.find(second) is None, "it was not seen for the longest"
    clock[0] = float(IDLE_MAX_SECONDS)
    assert sessions.find(first) is not None, "at the limit"
    clock[0] = 2.0 * IDLE_MAX_SECONDS + 1
    assert sessions.find(first) is None, "one past it"
    third = sessions.begin("token", "")
    sessions.end(third)
    assert sessions.find(third) is None
    found = sessions.find(sessions.begin("token", ""))
    assert found is not None
    assert found.is_own(found.csrf)
    assert not found.is_own("ä")
    assert "token" not in repr(found).replace("token=", "")
