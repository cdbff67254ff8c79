"""No way in which the outstanding ballots can fall breaks what the standings said of a referendum.

Each case is a small night with one question; the product says what is certain of it and of its areas, and every completion is
looked at. Short here; more with `python -m tests.certainty.run --questions 20000`.
"""

from collections import Counter

from tests.certainty.checking import Count
from tests.certainty.questions import POSTAL, QUESTIONS, checked, some_questions

CASES, SEED = 600, 20_140_209


def test_no_completion_breaks_what_was_said_of_a_question() -> None:
    count: Count = Counter()
    for case in some_questions(CASES, SEED):
        count += checked(case)
    print(f"\n{CASES:,} small questions, every end: " + ", ".join(f"{n:,} {what}" for what, n in sorted(count.items())))
    assert all(count[state] > 5 for state in ("accepted", "rejected", "void", "undecided", "none")), count
    assert count["ends"] > 2_000, count


def test_nor_of_one_with_a_quorum_of_nobody() -> None:
    """Of a register of nobody every share is 0, and what must be passed can still be missed."""
    of = [question for question in QUESTIONS if question.quorum is not None]
    count: Count = Counter()
    for case in some_questions(CASES, SEED, of, POSTAL):
        count += checked(case)
    assert all(count[state] for state in ("accepted", "rejected", "undecided", "void")), count
    assert count["quorums of nobody"] > 100, count
    assert count["quorums of nobody not reached"] > 5, count


def test_the_cases_have_every_field() -> None:
    quorums = {(q.of, q.more_than) for q in (of.quorum for of in QUESTIONS) if q is not None}
    assert quorums == {(of, more) for of in ("cast", "valid", "approval") for more in (False, True)}
    assert {of.majority_base for of in QUESTIONS} == {"valid", "cast"}
    assert {of.majority.at_least for of in QUESTIONS if of.majority is not None} == {False, True}
    assert {len(of.double_majority.half) for of in QUESTIONS if of.double_majority is not None} == {0, 1, 2}
