"""What the board writes into the page before any script runs, without a broker."""

from __future__ import annotations

import html
import re
from fractions import Fraction
from typing import Any

import pytest

from tally_stream.board.page_outcome import outcome_of
from tally_stream.board.page_ways import bar_width
from tally_stream.board.wording import Words
from tally_stream.domain.contest import Majority
from tally_stream.domain.outcome import outcome
from tests.support.small_elections import contest, counted


def test_what_is_not_whole_never_looks_full() -> None:
    assert [bar_width(x) for x in (None, "0.00", "52.08", "99.75", "100.00")] == ["0", "0", "52.08", "99", "100"]


@pytest.mark.parametrize(
    ("language", "said"),
    [("en", ["0 votes", "1 vote", "2 votes"]), ("es", ["0 votos", "1 voto", "2 votos"]),
     ("az", ["0 səs", "1 səs", "2 səs"]), ("ru", ["0 голосов", "1 голос", "2 голоса"])],
)  # fmt: skip
def test_plural_forms(language: str, said: list[str]) -> None:
    words = Words(language)
    assert [words.counted("votes", n) for n in range(3)] == said
    assert Words("ru").counted("votes", 12).endswith("голосов")
    assert Words("ru").counted("ballots", 21).endswith("бюллетеня")


BOUND = "Still out at most: all that the rules let in from stations not counted yet, usually 162.5 % of their register."


@pytest.mark.parametrize(
    ("votes", "bound", "of", "said"),
    [
        ((0, 0), 9, {}, ["No votes yet."]),
        ((51, 49), 1, {}, ["The lead can't be overtaken by the ballots still out: Anna leads by 2 votes; at most 1 ballot still out.", BOUND]),
        ((51, 49), 9, {}, ["Open: Anna leads by 2 votes; at most 9 ballots still out.", BOUND]),
        ((51, 49), None, {}, ["Open: how many ballots are still out is not known."]),
        ((0, 9), 90, {"ineligible": ["BELA"]}, ["None of those with votes can win."]),
        ((0, 9), 0, {"rule": "none", "ineligible": ["BELA"]}, ["None of those with votes can win."]),
        ((5, 9), 3, {"rule": "none"}, ["Bela leads by 4 votes. No rule says who wins."]),
        ((40, 30, 30), 1, {}, ["No candidate can win any more in this round, not with all the ballots still out: at most 1 ballot.",
                               BOUND]),
        ((51, 49), 0, {}, ["All ballots are in. Anna leads by 2 votes."]),
        ((50, 50), 0, {}, ["All ballots are in. Nobody has won in this round: it takes more than 50 % of the valid ballots."]),
        ((50, 50), 0, {"base": "cast", "majority": Majority(Fraction("66.5"), at_least=True)},
         ["All ballots are in. Nobody has won in this round: it takes at least 66.5 % of the ballots cast."]),
        ((40, 31, 29), 0, {"majority": Majority(Fraction(50), False, Fraction(40), Fraction(10))},
         ["All ballots are in. Nobody has won in this round: it takes more than 50 % of the valid ballots, or at least 40 % with a "
          "lead of 10 points."]),
        ((40, 40, 20), 0, {"majority": Majority(Fraction(35))},
         ["All ballots are in. Nobody has won in this round: it takes the most votes, and more than 35 % of the valid ballots."]),
        ((9, 8, 1), 0, {"rule": "plurality", "seats": 2}, ["All ballots are in. Certain of a seat: Anna, Bela."]),
        ((9, 8, 1), 2, {"rule": "plurality", "seats": 2},
         ["No seat can be taken by the ballots still out: Anna, Bela; at most 2 ballots still out.", BOUND]),
        ((0, 9), 2, {"rule": "plurality", "ineligible": ["BELA"]},
         ["No seat can be taken by the ballots still out: Anna; at most 2 ballots still out.", BOUND]),
        ((9, 5, 5), 0, {"rule": "plurality", "seats": 2},
         ["Tie, with no ballots still out: Bela, Cleo. Seats between them: 1.", "Certain of a seat: Anna."]),
    ],
)  # fmt: skip
def test_what_is_certain_is_said_in_words_and_that_it_is_no_declaration(
    votes: tuple[int, ...], bound: int | None, of: dict[str, Any], said: list[str]
) -> None:
    race = contest(candidates=("ANNA", "BELA", "CLEO")[: len(votes)], **of)
    root = {"outcome": outcome(race, counted(votes, sum(votes), bound)), "ballots": {"valid": sum(votes)}}
    page = html.unescape(outcome_of(race, root, Fraction("162.5"), Words("en")))
    *first, note = re.findall(r"<p[^>]*>(.*?)</p>", page)
    still_out, _, assumed = note.partition("Not an official declaration.")
    assert [*first, *([still_out.strip()] if still_out else [])] == said
    assert assumed


def test_all_ballots_are_in_and_their_figures_leave_it_open() -> None:
    """Where the ballots cast are not known, which the limit is of."""
    race = contest(base="cast")
    root = {"outcome": outcome(race, counted((51, 49), None, 0)), "ballots": {"valid": 100}}
    first, *_ = re.findall(r"<p[^>]*>(.*?)</p>", outcome_of(race, root, Fraction(150), Words("en")))
    assert first == "All ballots are in. Open: Anna leads by 2 votes, the figures leave it open."
