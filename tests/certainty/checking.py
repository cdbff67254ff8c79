"""One small night: what the standings say is certain, against every completion.

Decides that a certainty which any completion breaks is an error, and that an `undecided` which all completions agree on is
only counted. Read `completions.py` for what is enumerated.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from tally_stream.domain.contest import ThresholdBase
from tests.certainty.completions import End, base_kind, ends, verdict
from tests.certainty.nights import Case, open_stations
from tests.support.seats_model import Shared, seats_now

Count = Counter[str]


class Broken(AssertionError):
    """A completion that breaks what was said to be certain."""


def checked(case: Case) -> Count:
    """What was looked at: states, completions, and the `undecided` and the seats that could have been certain. Raises
    Broken."""
    night = case.night()
    root = night.root()
    said = root["outcome"]
    count: Count = Counter({said["state"]: 1})
    base = _base(root["ballots"], base_kind(case.of))
    if said["state"] == "none" or base is None:
        assert said["elected"] == []
        return count
    places = {candidate: i for i, candidate in enumerate(case.of.candidate_ids)}
    by_id = {row["id"]: row for row in root["candidates"]}
    rows = [by_id[candidate] for candidate in case.of.candidate_ids]
    votes = tuple(row["votes"] for row in rows)
    found = ends(night.election, votes, base, open_stations(night))
    count["completions"] += len(found)
    elected = frozenset(places[candidate] for candidate in said["elected"])
    if case.of.rule == "proportional":
        shared = [seats_now(case.of, *end) for end in found]
        return count + _checked_seats(case, rows, elected, said, shared)
    has = {end: verdict(case.of, *end) for end in found}
    for end, its in has.items():
        if not _holds(said["state"], elected, said["tied"], its, case):
            raise Broken(f"{case}\nsaid: {said}\nat the end {end}: {its}")
    if said["state"] == "undecided":
        count["elected beside an open seat"] += bool(elected)
        count["undecided that could have been certain"] += len(set(has.values())) == 1
    return count


def _base(ballots: dict[str, int | None], kind: ThresholdBase) -> int | None:
    if kind != "valid-and-blank":
        return ballots[kind]
    valid, blank = ballots["valid"], ballots["blank"]
    return None if valid is None or blank is None else valid + blank


def _checked_seats(
    case: Case, rows: list[Any], elected: frozenset[int], said: dict[str, Any], shared: list[Shared]
) -> Count:  # fmt: skip
    certain = [row["seats"]["certain"] for row in rows]
    least = [min(seats[i] for seats, _, _ in shared) for i in range(len(rows))]
    ids = case.of.candidate_ids
    for seats, tied_seats, between in shared:
        tied = {"seats": tied_seats, "between": [ids[i] for i in sorted(between)]} if tied_seats else None
        is_kept = all(had <= has for had, has in zip(certain, seats, strict=True))
        # Decided or tied: who has a seat, how many, and who shares one is the same at every end.
        is_final = said["state"] == ("tie" if tied else "decided") and certain == seats and said["tied"] == tied
        is_open = said["state"] == "undecided" and said["tied"] is None
        if not is_kept or not (is_final or is_open) or elected != {i for i, n in enumerate(certain) if n}:
            raise Broken(f"{case}\nsaid: {said}, certain: {certain}\nat an end: {seats}, tied: {tied}")
    count = Counter({
        "seats said to be certain": sum(certain), "seats certain in every completion but not said to be": sum(least) - sum(certain)
    })  # fmt: skip
    if len(shared) > 1:
        count["seats said to be certain with ballots out"] = sum(certain)
    if said["state"] == "undecided":
        count["elected beside an open seat"] = bool(elected)
    return count


def _holds(state: str, elected: frozenset[int], tied: dict[str, object] | None, has: End, case: Case) -> bool:
    if not elected <= has.seated:
        return False
    if state == "decided":
        return elected == has.seated and not has.sharing
    if state == "runoff":
        return not has.seated
    if state == "tie":
        assert tied is not None
        between = frozenset(i for i, candidate in enumerate(case.of.candidate_ids) if candidate in tied["between"])  # type: ignore[operator]
        return has == End(elected, between) and tied["seats"] == case.of.seats - len(elected)
    assert state == "undecided"
    return True
