"""The auditor can say no: each promise is broken once, by hand, and named."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest

from tally_stream.domain.report import Control, UnsignedStatement
from tests.simulation.auditor import Auditor, Wrong, canonical
from tests.simulation.cluster import Record
from tests.simulation.night import encoded
from tests.support.small_elections import CLOSE_MS, contest, correct, decision, election, key_of, placed, report, station

ELECTION = election(
    [station("A-1", path=("NORTH",)), station("B-1", path=("SOUTH",)), station("C-1", path=("SOUTH",))],
    [contest()], levels=("region",), depth=1,
)  # fmt: skip
LOG_MS = CLOSE_MS + 7_200_000


class Audit(Auditor):
    """One partition, filled by statements."""

    def __init__(self) -> None:
        super().__init__(ELECTION, "tally", 1)

    def state(self, *statements: UnsignedStatement) -> None:
        for s in statements:
            placed_one = placed(s, ELECTION)
            at = len(self.raw[0])
            self.take_reports(0, [Record(at, LOG_MS + at, key_of(s, ELECTION), encoded(placed_one, ELECTION))])  # type: ignore[arg-type]

    def publish(self, area: str, end: int, **changes: Any) -> None:
        message = {**json.loads(self.expected("PRES", area, (end,))), **changes}
        self.take_standings(Record(0, 0, f"PRES|{area}".encode(), canonical(message)))

    def put_change(self, offset: int, *, is_acknowledged: bool = True) -> None:
        record = Record(0, 0, f"0/{offset}".encode(), canonical(self.change(0, offset)))
        self.take_change(record)
        if is_acknowledged:
            self.acknowledge([record], self.changes)

    def page(self, changed_at: int, **changes: Any) -> Record:
        value = {"contest": "PRES", "partition": 0, "page": 0, "changed_at": changed_at, "areas": [], **changes}
        return Record(0, 0, b"PRES|0|0", canonical(value))

    def mark(self, end: int, **changes: Any) -> Record:
        """What the model says of this prefix, unless told otherwise."""
        hold = self.walk(0, end).hold_ends.get(0)
        value = {
            "partition": 0, "next_offset": end, "newest_ms": LOG_MS + end - 1, "certified": [],
            "holds": [] if hold is None else [[0, hold, LOG_MS + hold - 1]],
            "changed_sum": sum(self._changed_at(0, end).values()), **changes,
        }  # fmt: skip
        return Record(0, 0, b"|0", canonical(value))

    def put_flush(self, end: int, *, is_acknowledged: bool = True) -> None:
        for record in (*(self.page(at) for at in self._changed_at(0, end).values()), self.mark(end)):
            self.take_partial(record)
            if is_acknowledged:
                self.acknowledge_partial(record)


@pytest.fixture
def audit() -> Audit:
    audit = Audit()
    audit.state(report("A-1"), report("B-1", votes=(60, 10)), correct("A-1", votes=(40, 46)), report("C-1", votes=(9, 9)))
    return audit


def test_what_the_model_says_is_let_through(audit: Audit) -> None:
    for end in range(3):
        for area in ("X/NORTH", "X/SOUTH", "X"):
            audit.publish(area, end)
    audit.put_change(2)
    audit.put_flush(4)
    audit.publish("X", 4)
    audit.take_commit(0, 4)
    assert audit.counts["standings checked"] == 10
    assert audit.counts["falls explained"] == 1  # BELA's votes stay, ANNA's fall


@pytest.mark.parametrize("change", [{"turnout": None}, {"version": 3}, {"flags": {}}])
def test_other_bytes(audit: Audit, change: dict[str, Any]) -> None:
    with pytest.raises(Wrong, match="P01"):
        audit.publish("X", 2, **change)


def test_standings_beyond_the_log(audit: Audit) -> None:
    with pytest.raises(Wrong, match="the log ends at"):
        audit.publish("X", 2, provenance={"topic": "tally.reports", "next_offsets": {"0": 5}})


def test_a_fall_before_its_change(audit: Audit) -> None:
    audit.publish("X", 2)
    with pytest.raises(Wrong, match="P06"):
        audit.publish("X", 3)


def test_a_fall_that_another_stations_count_would_hide(audit: Audit) -> None:
    audit.publish("X", 2)
    with pytest.raises(Wrong, match=r"P06.*without the change 0/2"):
        audit.publish("X", 4)
    audit.publish("X/SOUTH", 4)  # not this area's


def test_a_change_that_says_something_else(audit: Audit) -> None:
    wrong = {**(audit.change(0, 2) or {}), "reason": "no reason"}
    with pytest.raises(Wrong, match="change 0/2"):
        audit.take_change(Record(0, 0, b"0/2", canonical(wrong)))
    with pytest.raises(Wrong, match="change 0/1"):
        audit.take_change(Record(0, 0, b"0/1", canonical(wrong)))


def test_a_flush_before_its_change_was_acknowledged(audit: Audit) -> None:
    audit.put_flush(2)
    audit.put_change(2, is_acknowledged=False)
    with pytest.raises(Wrong, match=r"P06.*change \(0, 2\)"):
        audit.put_flush(3)


def test_a_flush_before_a_rejection_was_acknowledged(audit: Audit) -> None:
    audit.put_change(2)
    audit.state(report("A-1", revision=1))
    audit.put_flush(4)
    with pytest.raises(Wrong, match=r"the rejection \(0, 4\)"):
        audit.put_flush(5)


def test_a_commit_before_the_acknowledgement_of_its_mark_or_a_page(audit: Audit) -> None:
    audit.put_flush(1)
    audit.put_flush(2, is_acknowledged=False)
    audit.take_commit(0, 1)
    with pytest.raises(Wrong, match="committed to 2"):
        audit.take_commit(0, 2)
    audit.acknowledge_partial(audit.mark(2))
    with pytest.raises(Wrong, match="committed to 2"):
        audit.take_commit(0, 2)
    audit.acknowledge_partial(audit.page(2))
    audit.take_commit(0, 2)


def test_a_page_that_says_it_changed_where_it_did_not_or_two_things_of_one_offset(audit: Audit) -> None:
    audit.state(report("A-1", revision=1))
    audit.take_partial(audit.page(2))
    with pytest.raises(Wrong, match="P02: page 0 of PRES at 0/2 has other bytes"):
        audit.take_partial(audit.page(2, areas=[[1]]))
    with pytest.raises(Wrong, match="did not change there"):
        audit.take_partial(audit.page(5))
    with pytest.raises(Wrong, match="did not change there"):
        audit.take_partial(audit.page(9))


@pytest.mark.parametrize(
    "changes",
    [{"newest_ms": LOG_MS}, {"holds": [[0, 1, LOG_MS]]}, {"certified": [[0, 0]]}, {"changed_sum": 1}, {"changed_sum": 3}],
)
def test_a_mark_that_says_something_else(audit: Audit, changes: dict[str, Any]) -> None:
    audit.take_partial(audit.mark(2))
    with pytest.raises(Wrong, match="the mark of 0/2 says"):
        audit.take_partial(audit.mark(2, **changes))


@pytest.mark.parametrize("key", [b"|1", b"PRES|0", b"SEAT|0|0"])
def test_what_stands_under_another_key(audit: Audit, key: bytes) -> None:
    record = audit.mark(2) if key == b"|1" else audit.page(2)
    with pytest.raises(Wrong, match="under the key"):
        audit.take_partial(record._replace(key=key))


def test_a_commit_behind_a_hold_asks_for_the_frozen_pages_and_no_change(audit: Audit) -> None:
    audit.put_change(2)
    audit.state(Control(0, "hold", 1, "a ruling", "the court"), decision("annul", "B-1", 2, 1))
    with pytest.raises(Wrong, match="committed to 6"):
        audit.take_commit(0, 6)
    audit.put_flush(6)
    audit.take_commit(0, 6)
    audit.state(Control(0, "release", 2, "a ruling", "the court"))
    with pytest.raises(Wrong, match=r"change \(0, 5\)"):
        audit.put_flush(7)


@pytest.mark.parametrize(
    ("verdicts", "codes"),
    [
        ({"counted": 3}, {"Q6": 1}),
        ({"counted": 4, "stale": 1}, {"Q6": 1}),
        ({"counted": 3, "held": 1}, {"Q6": 1}),
        ({"counted": 4}, {}),
    ],
)
def test_verdicts_that_do_not_add_up(audit: Audit, verdicts: dict[str, int], codes: dict[str, int]) -> None:
    walk = audit.walk(0, 4)
    right = Counter(code for _, listed in walk.verdicts for code in listed)
    audit.take_fold(0, 4, {"counted": 4}, right)
    with pytest.raises(Wrong, match="P08"):
        audit.take_fold(0, 4, verdicts, codes)


@pytest.mark.parametrize(
    "measure",
    [
        {"done": 2, "of": 3, "percent": "100.00"},
        {"done": 4, "of": 3, "percent": "133.33"},
        {"done": 3, "of": 3, "percent": "100.00"},
    ],
)
def test_progress_that_says_too_much(measure: dict[str, Any]) -> None:
    stations = {"expected": 3, "counted": 1, "annulled": 1}
    with pytest.raises(Wrong, match="P07"):
        Audit()._progress({"area": "X", "stations": stations, "progress": {"stations": measure}})  # noqa: SLF001  (one check of the auditor, alone)


def test_one_version_at_two_vectors() -> None:
    audit = Auditor(ELECTION, "tally", 2)
    for partition in (0, 1):
        audit.take_reports(partition, [Record(0, LOG_MS, b"A-1", b"")])
    for vector in ((1, 0), (0, 1)):
        value = audit.expected("PRES", "X", vector)
        if vector == (1, 0):
            audit.take_standings(Record(0, 0, b"PRES|X", value))
        else:
            with pytest.raises(Wrong, match=r"P02.*version 1"):
                audit.take_standings(Record(1, 0, b"PRES|X", value))


@pytest.mark.parametrize("order", [((0, 1), (2, 0)), ((2, 0), (0, 1)), ((0, 1), (3, 1), (0, 2))])
def test_a_partition_that_falls_behind_from_a_version_to_a_higher_one(order: tuple[tuple[int, int], ...]) -> None:
    audit = Auditor(ELECTION, "tally", 2)
    for partition in (0, 1):
        audit.take_reports(partition, [Record(at, LOG_MS, b"A-1", b"") for at in range(3)])
    *before, last = order
    for vector in before:
        audit.take_standings(Record(0, 0, b"PRES|X", audit.expected("PRES", "X", vector)))
    with pytest.raises(Wrong, match=r"P02: PRES has version \d at .* and version \d at"):
        audit.take_standings(Record(0, 0, b"PRES|X", audit.expected("PRES", "X", last)))


def test_what_is_missing_at_the_end(audit: Audit) -> None:
    assert audit.missing({}) == "PRES, X was never published"
    newest = {}
    for area in ("X", "X/NORTH", "X/SOUTH"):
        audit.publish(area, 2)
        newest[f"PRES|{area}".encode()] = audit.expected("PRES", area, (2,))
    assert audit.missing(newest) == "PRES, X is at {'0': 2}, not at (4,)"
    audit.put_change(2)
    for area in ("X", "X/NORTH", "X/SOUTH"):
        audit.publish(area, 4)
    assert str(audit.missing(newest)).startswith("the newest record of PRES, X is version 2")
    newest = {f"PRES|{a}".encode(): audit.expected("PRES", a, (4,)) for a in ("X", "X/NORTH", "X/SOUTH")}
    assert audit.missing(newest) is None
    audit.state(report("A-1", revision=1))
    for area in ("X", "X/NORTH", "X/SOUTH"):
        audit.publish(area, 5)
        newest[f"PRES|{area}".encode()] = audit.expected("PRES", area, (5,))
    assert audit.missing(newest) == "the rejection 0/4 is missing"
