"""Same records, same bytes: whatever the interleaving, the duplicates, the runs, the partials and their order."""

import json
import random
from collections import defaultdict
from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from tally_stream.domain.baselines import baselines
from tally_stream.domain.election import Election
from tally_stream.domain.fold import PartitionFold
from tally_stream.domain.pages import Figures
from tally_stream.domain.report import Control, Report, Turnout
from tally_stream.domain.standings import MergedFigures, Message, body_of
from tests.support.examples import examples
from tests.support.random_nights import (
    ELECTIONS,
    PARTITIONS,
    Plan,
    folded,
    make_logs,
    plans,
    quiet_plans,
    standings_of,
    steps_ms,
)
from tests.support.second_model import Record, walk
from tests.support.small_elections import TOPIC

seeds = st.integers(0, 2**32)
which = st.integers(0, len(ELECTIONS) - 1)


def rendered(of: Election, folds: Sequence[PartitionFold]) -> list[list[Message]]:
    return [standings_of(of, folds, contest).messages() for contest in range(len(of.contests))]


def encoded(messages: object) -> str:
    return json.dumps(messages, sort_keys=True)


@examples(100)
@given(quiet_plans, steps_ms, which, seeds)
def test_any_interleaving_of_the_stations(drawn: list[Plan], steps: list[int], index: int, seed: int) -> None:
    of = ELECTIONS[index]
    logs = make_logs(of, drawn, steps)
    shuffled = [interleaved(log, random.Random(seed)) for log in logs]
    assert encoded(rendered(of, folded(of, shuffled))) == encoded(rendered(of, folded(of, logs)))
    for one, other in zip(folded(of, logs), folded(of, shuffled), strict=True):
        assert one.verdict_counts() == other.verdict_counts()


def interleaved(log: Sequence[Record], order: random.Random) -> list[Record]:
    """The records in another order that keeps each station's own."""
    queues: dict[bytes, list[Record]] = defaultdict(list)
    for record in log:
        queues[record[1]].append(record)
    result = []
    while queues:
        key = order.choice(sorted(queues))
        result.append(queues[key].pop(0))
        if not queues[key]:
            del queues[key]
    return result


@examples(100)
@given(plans, steps_ms, which, seeds)
def test_any_duplicates_of_records_that_were_not_refused(drawn: list[Plan], steps: list[int], index: int, seed: int) -> None:
    of, order = ELECTIONS[index], random.Random(seed)
    logs = make_logs(of, [p for p in drawn if p["what"] not in ("hold", "release")], steps)
    doubled = []
    for partition, log in enumerate(logs):
        verdicts = walk(of, log, partition, PARTITIONS).verdicts
        longer = list(log)
        for offset in range(len(log) - 1, -1, -1):
            if verdicts[offset][0] != "rejected" and order.random() < 0.4:
                longer.insert(order.randint(offset + 1, len(longer)), log[offset])
        doubled.append(longer)
    for plain, twice in zip(rendered(of, folded(of, logs)), rendered(of, folded(of, doubled)), strict=True):
        assert [body_of(m) for m in plain] == [body_of(m) for m in twice]


@examples(100)
@given(plans, steps_ms, which, seeds)
def test_any_cutting_into_runs_with_partials_between_them_in_any_order(
    drawn: list[Plan], steps: list[int], index: int, seed: int
) -> None:
    of, order = ELECTIONS[index], random.Random(seed)
    logs = make_logs(of, drawn, steps)
    partials: list[list[Figures]] = [[] for _ in of.contests]
    folds = [PartitionFold(of, partition, PARTITIONS) for partition in range(PARTITIONS)]
    for fold, log in zip(folds, logs, strict=True):
        for offset, (log_ms, key, read) in enumerate(log):
            fold.take(offset, log_ms, key, read)
            for contest in range(len(of.contests)):
                if order.random() < 0.3:
                    partials[contest].append(fold.figures(contest))
    for contest, found in enumerate(partials):
        found += [fold.figures(contest) for fold in folds]
        expected = encoded(standings_of(of, folds, contest).messages())
        for _ in range(3):
            order.shuffle(found)
            standings = MergedFigures(of, contest, TOPIC, PARTITIONS, baselines(of, folds[0].limits))
            for figures in found:
                is_newer = figures.stand.next_offset > standings.next_offsets[figures.partition]
                was_nothing = standings.stands[figures.partition] is None
                assert standings.put(figures) == (is_newer or was_nothing)
                if order.random() < 0.3:
                    standings.messages()
            assert encoded(standings.messages()) == expected


@examples(60)
@given(plans, steps_ms, which)
def test_partitions_folded_apart_and_merged_are_the_whole(drawn: list[Plan], steps: list[int], index: int) -> None:
    """Every station at home in one of two partitions, and all in one: the same totals."""
    of = ELECTIONS[index]
    quiet = [p for p in drawn if p["what"] not in ("hold", "release", "certify", "again")]
    logs = make_logs(of, quiet, steps)
    together = [record for log in logs for record in log]
    apart, alone = rendered(of, folded(of, logs)), rendered(of, folded(of, [together]))
    for one, other in zip(apart, alone, strict=True):
        assert [body_of(m) for m in one] == [body_of(m) for m in other]
        assert [(m["version"], m["as_of"]) for m in one] == [(m["version"], m["as_of"]) for m in other]


@examples(100)
@given(plans, steps_ms, which)
def test_every_record_has_one_verdict(drawn: list[Plan], steps: list[int], index: int) -> None:
    of = ELECTIONS[index]
    logs = make_logs(of, drawn, steps)
    for fold, log in zip(folded(of, logs), logs, strict=True):
        counts = fold.verdict_counts()
        codes = counts.pop("codes")
        assert list(counts) == ["counted", "repeated", "stale", "conflicting", "held", "rejected"]
        assert sum(counts.values()) == len(log)  # type: ignore[arg-type]
        assert codes.get("Q1", 0) == counts["repeated"]  # type: ignore[attr-defined]
        assert codes.get("Q2", 0) == counts["stale"]  # type: ignore[attr-defined]
        assert codes.get("Q3", 0) == counts["conflicting"]  # type: ignore[attr-defined]


def test_the_random_nights_reach_every_kind_of_record() -> None:
    """What the properties above are worth: every code that a statement can meet, and every state of a station."""
    codes: set[str] = set()
    states: set[str] = set()
    kinds: set[str] = set()

    @examples(500)
    @given(plans, steps_ms)
    def look(drawn: list[Plan], steps: list[int]) -> None:
        of = ELECTIONS[0]
        logs = make_logs(of, drawn, steps)
        for fold in folded(of, logs):
            codes.update(fold.codes)
        for message in standings_of(of, folded(of, logs), 0).messages():
            states.update(name for name, count in message["stations"].items() if count)
            states.update(name for name, count in message["flags"].items() if count)
            states.add(message["status"])
            if message["outcome"]:
                states.add(message["outcome"]["state"])
        for log in logs:
            for _, _, read in log:
                if isinstance(read, Report | Control):
                    kinds.add(read.kind)
                elif isinstance(read, Turnout):
                    kinds.add("turnout")

    look()
    assert codes >= {"S1", "S7", "Q1", "Q2", "Q3", "Q4", "Q5", "Q6", "Q7", "Q8", "P10", "A1", "A2", "A3", "A8", "A9",
                     "P1", "P2", "P4", "P5", "P6", "P7"}  # fmt: skip
    assert states >= {"counted", "partial", "annulled", "outstanding", "corrected", "recounted", "disputed", "warned",
                      "held", "certified", "unofficial-partial", "correction", "none", "undecided"}  # fmt: skip
    assert kinds >= {"report", "correct", "recount", "annul", "restore", "withdraw", "accept", "turnout", "hold",
                     "release", "certify"}  # fmt: skip
