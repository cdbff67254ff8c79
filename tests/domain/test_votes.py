"""Sums of votes in blocks are the sums that a list would have."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tally_stream.domain.votes import BLOCK, VoteSums, add_votes, move_votes, take_votes
from tests.support.examples import examples

COUNTS = st.integers(0, 999_999_999)


@pytest.mark.parametrize("candidates", [1, 7, BLOCK, BLOCK + 1, 2 * BLOCK, 2 * BLOCK + 3, 2_000])
def test_each_candidate_has_a_sum_of_its_own(candidates: int) -> None:
    votes = tuple(range(1, candidates + 1))
    sums = VoteSums([0] * candidates)
    add_votes(sums, votes)
    add_votes(sums, votes)
    assert sums.to_tuple(candidates) == tuple(2 * count for count in votes)
    take_votes(sums, votes)
    assert sums.to_tuple(candidates) == votes
    assert VoteSums(list(votes)).to_tuple(candidates) == votes
    move_votes(sums, (0,) * candidates, votes)
    assert sums.to_tuple(candidates) == (0,) * candidates


@examples(200)
@given(st.integers(1, 20).flatmap(lambda n: st.lists(st.tuples(*[COUNTS] * n), min_size=1, max_size=6)))
def test_whatever_is_added_and_taken_adds_up(reports: list[tuple[int, ...]]) -> None:
    candidates = len(reports[0])
    sums, due = VoteSums([0] * candidates), [0] * candidates
    for number, votes in enumerate(reports):
        add_votes(sums, votes)
        due = [a + b for a, b in zip(due, votes, strict=True)]
        if number % 3 == 1:
            take_votes(sums, reports[number - 1])
            due = [a - b for a, b in zip(due, reports[number - 1], strict=True)]
    assert sums.to_tuple(candidates) == tuple(due)
    move_votes(sums, reports[0], reports[-1])
    due = [d + new - old for d, new, old in zip(due, reports[0], reports[-1], strict=True)]
    assert sums.to_tuple(candidates) == tuple(due)
