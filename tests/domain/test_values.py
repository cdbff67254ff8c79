"""Findings, verdicts, changes and reports are values: the same content is the same thing, and says what it holds."""

from typing import Any

import pytest

from tally_stream.domain.ledger import Change, Verdict
from tally_stream.domain.rules import Finding
from tests.support.small_elections import decision, election, placed, report

OF = election()
STATION = OF.stations["A-1"]


def finding(*, code: str = "A3", message: str = "{left} ballots, {right} registered", left: int = 7, right: int = 5) -> Finding:
    return Finding(code, message, left, right)


def change(**other: Any) -> Change:
    fields = {
        "contest": 0, "station": STATION, "kind": "correct", "from_revision": 1, "to_revision": 2, "reason": "misread",
        "authority": "district", "votes_delta": (1, -1), "ballots_delta": (0, 0, None, 0, None, None),
    }  # fmt: skip
    return Change(**{**fields, **other})


def verdict(**other: Any) -> Verdict:
    return Verdict(**{"name": "held", "findings": (finding(),), "change": change(), **other})


MADE: dict[str, Any] = {"finding": finding, "change": change, "verdict": verdict, "report": lambda: placed(report(), OF)}
OTHERS: dict[str, list[Any]] = {
    "finding": [finding(code="A8"), finding(message="{left}"), finding(left=8), finding(right=6)],
    "change": [
        change(contest=1), change(kind="recount"), change(from_revision=0), change(to_revision=3), change(reason=None),
        change(authority="court"), change(votes_delta=(1, 0)), change(ballots_delta=(0, 0, 0, 0, None, None)),
        change(station=election(stations=[("A-2", "", None, None, ())]).stations["A-2"]),
    ],
    "verdict": [verdict(name="counted"), verdict(findings=()), verdict(change=None)],
    "report": [placed(r, OF) for r in (report(revision=2), report(votes=(51, 46)), report(reason="r"), report(undervotes=0), report(overvotes=0),
                                          decision("annul"))],
}  # fmt: skip


@pytest.mark.parametrize("kind", MADE)
def test_the_same_content_is_the_same_thing(kind: str) -> None:
    one, same = MADE[kind](), MADE[kind]()
    assert one is not same
    assert one == same
    assert len({one, same}) == 1
    for other in OTHERS[kind]:
        assert one != other
        assert len({one, other}) == 2
    assert one != "text"


def test_a_change_of_the_same_station_in_another_election_object_is_the_same() -> None:
    assert change() == change(station=election().stations["A-1"])


def test_what_a_failed_test_prints_of_them() -> None:
    assert repr(finding()) == "Finding(A3: 7 ballots, 5 registered)"
    assert repr(Verdict("held", (finding(),))) == "Verdict(held, (Finding(A3: 7 ballots, 5 registered),), None)"
