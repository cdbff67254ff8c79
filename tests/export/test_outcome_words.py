"""What an outcome says in words: what is certain, of how much, and that it is no declaration."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import Any

import pytest

from tally_stream.domain.contest import Majority
from tally_stream.domain.outcome import outcome
from tally_stream.export.outcome_words import NOT_A_DECLARATION, outcome_sentences
from tests.support.every_ballot import BRIDGE
from tests.support.small_elections import contest, counted, election

NAMES = {"ANNA": "Anna Ahl", "BELA": "Béla Bodó", "CLEO": "Cleo"}


def said(votes: tuple[int, ...], bound: int | None, **of: Any) -> list[str]:
    candidates = tuple(NAMES)[: len(votes)]
    of_contest = contest(candidates=candidates, **of)
    return outcome_sentences(
        outcome(of_contest, counted(votes, sum(votes), bound)), NAMES, election(contests=[of_contest]), of_contest
    )


STILL_OUT = "still out at most: all that the rules let in from stations not counted yet, usually 150 % of their register"


@pytest.mark.parametrize(
    ("votes", "bound", "of", "sentences"),
    [
        ((5100, 49), 7, {}, ["the lead can't be overtaken by the ballots still out: Anna Ahl leads by 5,051; at most 7 still out",
                            STILL_OUT]),
        ((51, 49), 9, {}, ["open: Anna Ahl leads by 2; at most 9 ballots still out", STILL_OUT]),
        ((51, 49), None, {}, ["open: Anna Ahl leads by 2; how many ballots are still out is not known"]),
        ((0, 9), 90, {"ineligible": ["BELA"]}, ["open: nobody who can win has votes; at most 90 ballots still out",
                                                STILL_OUT]),
        ((40, 30, 30), 1, {}, ["no candidate can win any more in this round, not with all the ballots still out: at most 1",
                               STILL_OUT]),
        ((5, 9), 3, {"rule": "none"}, ["Béla Bodó leads by 4; no rule of this contest says who wins"]),
        ((9, 8, 1), 2, {"rule": "plurality", "seats": 2},
         ["no seat can be taken by the ballots still out: Anna Ahl, Béla Bodó; at most 2 still out", STILL_OUT]),
        ((0, 9), 2, {"rule": "plurality", "ineligible": ["BELA"]},
         ["no seat can be taken by the ballots still out: Anna Ahl; at most 2 still out", STILL_OUT]),
        ((9, 5, 5), 0, {"rule": "plurality", "seats": 2},
         ["tie, with no ballots still out: Béla Bodó, Cleo; seats between them: 1", "certain of a seat: Anna Ahl"]),
        ((9, 5, 5), 1, {"rule": "plurality", "seats": 2},
         ["open: Anna Ahl leads by 4; at most 1 ballots still out", STILL_OUT, "certain of a seat: Anna Ahl"]),
    ],
)  # fmt: skip
def test_each_state(votes: tuple[int, ...], bound: int | None, of: dict[str, Any], sentences: list[str]) -> None:
    assert said(votes, bound, **of) == [*sentences, NOT_A_DECLARATION]


@pytest.mark.parametrize(
    ("votes", "of", "said_first"),
    [
        ((51, 49), {}, "all ballots are in: Anna Ahl leads by 2"),
        ((9, 8, 1), {"rule": "plurality", "seats": 2}, "all ballots are in; certain of a seat: Anna Ahl, Béla Bodó"),
        ((40, 30, 30), {}, "all ballots are in, and nobody has won in this round: it takes more than 50 % of the valid ballots"),
        ((40, 30, 30), {"base": "cast"},
         "all ballots are in, and nobody has won in this round: it takes more than 50 % of the ballots cast"),
        ((40, 30, 30), {"majority": Majority(Fraction("66.5"), at_least=True)},
         "all ballots are in, and nobody has won in this round: it takes at least 66.5 % of the valid ballots"),
        ((40, 31, 29), {"majority": Majority(Fraction(50), False, Fraction(40), Fraction(10))},
         "all ballots are in, and nobody has won in this round: it takes more than 50 % of the valid ballots, or at least 40 % with a "
         "lead of 10 points"),
        ((40, 40, 20), {"majority": Majority(Fraction(35))},
         "all ballots are in, and nobody has won in this round: it takes the most votes, and more than 35 % of the valid ballots"),
        ((50, 50), {"majority": Majority(Fraction(50), at_least=True)},
         "all ballots are in, and nobody has won in this round: it takes the most votes, and at least 50 % of the valid ballots"),
    ],
)  # fmt: skip
def test_nothing_is_still_out_once_all_ballots_are_in(votes: tuple[int, ...], of: dict[str, Any], said_first: str) -> None:
    assert said(votes, 0, **of) == [said_first, NOT_A_DECLARATION]


def test_all_ballots_are_in_and_their_figures_leave_it_open() -> None:
    """Where the ballots cast are not known, which the limit is of."""
    of_contest = contest(base="cast")
    found = outcome(of_contest, counted((51, 49), None, 0))
    assert outcome_sentences(found, NAMES, None, None) == [
        "open: Anna Ahl leads by 2; all ballots are in, but their figures leave it open", NOT_A_DECLARATION
    ]  # fmt: skip


def test_without_the_definition_its_limits_have_no_figures() -> None:
    assert outcome_sentences(outcome(contest(), counted((51, 49), 100, 9)), NAMES, None, None)[1] == (
        "still out at most: all that the rules let in from stations not counted yet, a percentage of their register"
    )
    assert outcome_sentences(outcome(contest(), counted((50, 50), 100, 0)), NAMES, None, None)[0] == (
        "all ballots are in, and nobody has won in this round"
    )


def test_an_answer_says_what_it_takes_where_the_limit_is_known() -> None:
    two_thirds = replace(BRIDGE, majority=Majority(Fraction("66.5"), at_least=True), majority_base="cast", quorum=None)
    of_contest = replace(two_thirds, double_majority=None)
    found, names = outcome(of_contest, counted((60, 40), 100, 0)), {"YES": "Yes", "NO": "No"}
    assert outcome_sentences(found, names, None, of_contest)[0] == (
        "all ballots are in: rejected; Yes leads by 20; it takes at least 66.5 % of the ballots cast"
    )
    assert outcome_sentences(found, names, None, None)[0] == "all ballots are in: rejected; Yes leads by 20"


def test_nothing_while_no_votes_are_counted() -> None:
    assert said((0, 0), 9) == []


def test_a_candidate_without_a_name_is_named_by_its_id() -> None:
    found = outcome(contest(candidates=("ZOE",)), counted((9,), 9, 0))
    assert "ZOE leads by 9" in outcome_sentences(found, NAMES, None, None)[0]
