"""What an order is said to change, on logs in memory: the figures are the fold's, and the words fit them."""

from __future__ import annotations

import json
from typing import Any

from rich.console import Console

from tally_stream.audit.replay import Replay
from tally_stream.cli.order_effect import OrderEffect, as_json, effect_of, lines_of, still_open, table_of
from tally_stream.domain.scalars import murmur2_partition
from tally_stream.station.orders import AuthorityOrder, Docket, OrderKind
from tally_stream.wire.report_log import LogRecord
from tests.support.report_messages import ELECTION, LOG_MS, control, counts, decision

PARTITIONS = 2
WRONG = {"cast": 99, "valid": 96, "blank": 2, "invalid": 2}


class Log:
    """Statements where they belong, folded, and the docket of an order over them."""

    def __init__(self, order: AuthorityOrder, *statements: dict[str, Any]) -> None:
        self.order = order
        self.replay = Replay(ELECTION, "t.reports", PARTITIONS)
        self.docket = Docket(ELECTION, order, PARTITIONS)
        for statement in statements:
            key = str(statement.get("station", statement["contest"]))
            one = (murmur2_partition(key.encode(), PARTITIONS),)
            for partition in one if "station" in statement else range(PARTITIONS):
                offset = self.replay.folds[partition].next_offset
                record = LogRecord(LOG_MS, key.encode(), json.dumps(statement).encode(), partition, offset)
                self.docket.take(record)
                self.replay.take(record)

    def effect(self) -> OrderEffect:
        return effect_of(self.replay, self.order, self.docket.due(), LOG_MS)

    def said(self) -> str:
        """As on a terminal, without the spaces that line it up."""
        effect = self.effect()
        console = Console(width=160, force_terminal=False, highlight=False)
        with console.capture() as capture:
            console.print(table_of(effect, ELECTION, self.order) or "no table")
        lines = [*capture.get().splitlines(), *lines_of(effect, ELECTION, self.order)]
        return "\n".join(" ".join(line.split()) for line in lines)


def order(kind: OrderKind, station: str | None = "A-1") -> AuthorityOrder:
    return AuthorityOrder(kind, "PRES", station, "why", "who")


BOTH = (counts(), counts(station="B-1", votes={"ANNA": 60, "BELA": 36}))


def test_an_annulment_takes_votes_shares_and_progress_with_it() -> None:
    said = Log(order("annul"), *BOTH).said()
    for line in (
        "│ Anna │ 110 │ 60 │ -50 │ 57.29 │ 62.50 │",
        "│ Bela │ 82 │ 36 │ -46 │ 42.71 │ 37.50 │",
        "cast ballots: 200 → 100",
        "valid ballots: 192 → 96",
        "status: unofficial, all stations in → all stations in, with corrections",
        "on hold: no (no change)",
        "processed, polling stations: 100.00 % (2 of 2) (no change)",
        "stations: counted 2 → 1, annulled 0 → 1",
        "X/North: Anna 50 → 0; Bela 46 → 0; stations counted 1 → 0, annulled 0 → 1; status "
        "unofficial, all stations in → all stations in, with corrections",
    ):
        assert line in said
    assert "X/South" not in said, "the station does not lie there"


def test_an_acceptance_brings_them() -> None:
    said = Log(order("accept"), counts(ballots=WRONG)).said()
    assert "│ Anna │ 0 │ 50 │ +50 │ – │ 52.08 │" in said
    assert "outcome: no votes are counted → " in said
    assert "stations: counted 0 → 1, held 1 → 0, held report waiting 1 → 0" in said
    assert "processed, polling stations: 0.00 % (0 of 2) → 50.00 % (1 of 2)" in said


def test_for_a_program_each_figure_stands_twice() -> None:
    found = as_json(Log(order("annul"), *BOTH).effect())
    assert found["areas"]["X"]["candidates"][0] == {
        "id": "ANNA", "votes": [110, 60], "share": ["57.29", "62.50"], "seats": [None, None],
    }  # fmt: skip
    assert found["areas"]["X"]["status"] == ["unofficial-complete", "correction"]
    assert set(found["areas"]) == {"X", "X/North"}
    assert "on_hold" not in found["areas"]["X"], "it does not change"
    assert json.loads(json.dumps(found)) == found


def test_behind_a_hold_the_figures_that_wait_are_compared() -> None:
    """The published ones stand still; what is accepted then shows at the release."""
    held = (counts(), control(), counts(station="B-1", votes={"ANNA": 60, "BELA": 36}))
    effect = Log(order("annul"), *held).effect()
    assert effect.is_behind_hold
    votes = {one["id"]: one["votes"] for one in effect.before["X"]["candidates"]}
    assert votes == {"ANNA": 110, "BELA": 82}
    said = Log(order("annul"), *held).said()
    assert "the contest is on hold: the published figures stay as they are" in said
    twice = (*held, control(revision=7, kind="release"), control(revision=8))
    assert Log(order("annul"), *twice).effect().before["X"]["stations"]["counted"] == 2


def test_a_station_without_counts_changes_no_votes() -> None:
    said = Log(order("annul"), counts(station="B-1")).said()
    assert "no table" in said
    assert "stations: annulled 0 → 1, outstanding 1 → 0" in said
    log = Log(order("restore"), decision(replaces=0))
    assert "stations: annulled 1 → 0, outstanding 1 → 2" in log.said()


def test_what_certifying_leaves_open_is_named() -> None:
    log = Log(order("annul"), counts(complete=False), counts(revision=2, ballots=WRONG), counts(revision=2))
    root = log.replay.messages(0)[-1]
    assert still_open(root) == [
        "these figures become final: counts that come later are held (Q4) until an authority accepts them",
        "stations that are not settled: 1 outstanding, 1 with a partial count, 1 with a held report, 1 disputed",
    ]
    assert len(still_open(Log(order("annul"), *BOTH).replay.messages(0)[-1])) == 1
