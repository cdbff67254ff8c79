"""The count equals a second one, written from the rules alone, over random nights of every kind of statement."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tally_stream.domain.ledger import Change
from tests.support.examples import examples
from tests.support.random_nights import ELECTIONS, PARTITIONS, Plan, folded, make_logs, plans, standings_of, steps_ms
from tests.support.second_model import BALLOTS, area_ids, message, walk
from tests.support.small_elections import CLOSE_MS, TOPIC

Steps = list[int]


def as_model(change: Change | None) -> dict[str, Any] | None:
    if change is None:
        return None
    votes = {str(i): v for i, v in enumerate(change.votes_delta)}
    ballots = dict(zip(BALLOTS, change.ballots_delta, strict=True))
    return {"kind": change.kind, "from": change.from_revision, "to": change.to_revision, "delta": {**votes, **ballots}}


@examples(200)
@given(plans, steps_ms, st.integers(0, len(ELECTIONS) - 1), st.sampled_from([0, -60_000]))
def test_every_message_is_what_the_second_model_says(drawn: list[Plan], steps: Steps, which: int, start: int) -> None:
    of = ELECTIONS[which]
    logs = make_logs(of, drawn, steps, CLOSE_MS + start)
    folds = folded(of, logs)
    for contest in range(len(of.contests)):
        messages = standings_of(of, folds, contest).messages()
        assert {m["area"] for m in messages} == area_ids(of, contest)
        for found in messages:
            assert found == message(of, contest, TOPIC, logs, found["area"])


@examples(200)
@given(plans, steps_ms, st.integers(0, len(ELECTIONS) - 1))
def test_every_verdict_code_and_change_is_what_the_second_model_says(drawn: list[Plan], steps: Steps, which: int) -> None:
    of = ELECTIONS[which]
    logs = make_logs(of, drawn, steps)
    for partition, log in enumerate(logs):
        expected = walk(of, log, partition, PARTITIONS)
        fold = folded(of, [[], []])[partition]
        for offset, (log_ms, key, read) in enumerate(log):
            verdict = fold.take(offset, log_ms, key, read)
            codes = sorted(f.code for f in verdict.findings)
            model_name, model_codes = expected.verdicts[offset]
            assert (verdict.name, codes) == (model_name, sorted(model_codes))
            assert as_model(verdict.change) == expected.changes[offset]
        assert sum(fold.verdicts.values()) == len(log) == fold.next_offset
