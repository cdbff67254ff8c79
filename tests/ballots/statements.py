"""What stations and authorities say of a real set: a report a protocol, turnout before the close, orders afterwards.

Decides times and revisions: turnout when it was taken, reports an hour after the polls of their own day closed, orders the
day after. Refuses to change a figure, and to know what a set means; see `conversions.py`.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterator

from tests.ballots.folder import Statement
from tests.ballots.source import Ballots, Protocol

HOUR = datetime.timedelta(hours=1)
DAY = datetime.timedelta(days=1)
BallotsOf = Callable[[str, Protocol], dict[str, int]]
"""(contest, its protocol) → the report's `ballots`."""


def reports(
    ballots: Ballots, election: str, ballots_of: BallotsOf, later: Callable[[str], datetime.timedelta] = lambda station: HOUR
) -> Iterator[Statement]:
    """A report a protocol, `later` than the close of its day. A candidate without a cell stood elsewhere in the contest: no
    votes here."""
    closed = datetime.datetime.fromisoformat(ballots.official["polls_close"])
    day_of = {row["contest"]: row.get("date", "") for row in ballots.contests}
    for (contest, station), protocol in ballots.protocols.items():
        day = datetime.date.fromisoformat(day_of[contest]) if day_of[contest] else closed.date()
        registered = {"registered": protocol["@registered"]} if "@registered" in protocol else {}
        yield {
            "schema": 1,
            "election": election,
            "contest": contest,
            "station": station,
            "revision": 1,
            "kind": "report",
            "counted_at": (datetime.datetime.combine(day, closed.timetz()) + later(station)).isoformat(),
            **registered,
            "ballots": ballots_of(contest, protocol),
            "votes": votes_of(protocol, ballots.candidates_of[contest]),
        }


def as_stated(*names: str) -> BallotsOf:
    """These kinds of ballots as the protocol has them."""
    return lambda contest, protocol: {name: protocol[f"@{name}"] for name in sorted(names)}


def votes_of(protocol: Protocol, candidates: list[str]) -> dict[str, int]:
    """The votes of each candidate of the contest; what stands nowhere in the protocol is none."""
    if unknown := {item for item in protocol if not item.startswith("@")} - set(candidates):
        raise ValueError(f"votes for {sorted(unknown)}, who are no candidates")
    return {candidate: protocol.get(candidate, 0) for candidate in candidates}


def turnouts(ballots: Ballots, election: str, hours: tuple[int, int]) -> Iterator[Statement]:
    """Two statements a station, of the first day of voting: how many had voted at these hours."""
    closed = datetime.datetime.fromisoformat(ballots.official["polls_close"])
    for revision, hour in enumerate(hours, 1):
        for station, voted in ballots.turnout_of.items():
            yield {
                "schema": 1,
                "kind": "turnout",
                "election": election,
                "station": station,
                "revision": revision,
                "as_of": closed.replace(hour=hour, minute=0).isoformat(),
                "voted": voted[revision - 1],
            }


def order(
    ballots: Ballots, election: str, kind: str, contest: str, station: str, reason: str, authority: str
) -> Statement:  # fmt: skip
    """An authority's order about the one report of a station, whether it is in force or held."""
    closed = datetime.datetime.fromisoformat(ballots.official["polls_close"])
    return {
        "schema": 1,
        "election": election,
        "contest": contest,
        "station": station,
        "revision": 2,
        "kind": kind,
        "counted_at": (closed + DAY).isoformat(),
        "replaces": 1,
        "reason": reason,
        "authority": authority,
    }
