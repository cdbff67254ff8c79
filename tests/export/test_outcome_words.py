"""What an outcome says in words: what is certain, of how much, and that it is no declaration."""

from __future__ import annotations

from typing import Any

import pytest

from tally_stream.domain.outcome import outcome
from tally_stream.export.outcome_words import NOT_A_DECLARATION, outcome_sentences
from tests.support.small_elections import contest

NAMES = {"ANNA": "Anna Ahl", "BELA": "Béla Bodó", "CLEO": "Cleo"}


def said(votes: tuple[int, ...], bound: int | None, **of: Any) -> list[str]:
    candidates = tuple(NAMES)[: len(votes)]
    return outcome_sentences(outcome(contest(candidates=candidates, **of), votes, sum(votes), bound), NAMES)


@pytest.mark.parametrize(
    ("votes", "bound", "of", "sentences"),
    [
        ((5100, 49), 7, {}, ["the lead can't be overtaken by the ballots still out: Anna Ahl leads by 5,051; at most 7 still out"]),
        ((51, 49), 9, {}, ["open: Anna Ahl leads by 2; at most 9 ballots still out"]),
        ((51, 49), None, {}, ["open: Anna Ahl leads by 2; how many ballots are still out is not known"]),
        ((0, 9), 90, {"ineligible": ["BELA"]}, ["open: nobody who can win has votes; at most 90 ballots still out"]),
        ((40, 30, 30), 1, {}, ["no candidate can win any more in this round, not with all the ballots still out: at most 1"]),
        ((5, 9), 3, {"rule": "none"}, ["Béla Bodó leads by 4; no rule of this contest says who wins"]),
        ((9, 8, 1), 2, {"rule": "plurality", "seats": 2},
         ["no seat can be taken by the ballots still out: Anna Ahl, Béla Bodó; at most 2 still out"]),
        ((0, 9), 2, {"rule": "plurality", "ineligible": ["BELA"]},
         ["no seat can be taken by the ballots still out: Anna Ahl; at most 2 still out"]),
        ((9, 5, 5), 0, {"rule": "plurality", "seats": 2},
         ["tie, with no ballots still out: Béla Bodó, Cleo; seats between them: 1", "certain of a seat: Anna Ahl"]),
        ((9, 5, 5), 1, {"rule": "plurality", "seats": 2},
         ["open: Anna Ahl leads by 4; at most 1 ballots still out", "certain of a seat: Anna Ahl"]),
    ],
)  # fmt: skip
def test_each_state(votes: tuple[int, ...], bound: int | None, of: dict[str, Any], sentences: list[str]) -> None:
    assert said(votes, bound, **of) == [*sentences, NOT_A_DECLARATION]


def test_nothing_while_no_votes_are_counted() -> None:
    assert said((0, 0), 9) == []


def test_a_candidate_without_a_name_is_named_by_its_id() -> None:
    found = outcome(contest(candidates=("ZOE",)), (9,), 9, 0)
    assert "ZOE leads by 9" in outcome_sentences(found, NAMES)[0]
