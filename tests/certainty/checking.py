"""One small night: what the standings say is certain, against every completion.

Decides that a certainty which any completion breaks is an error, and that an `undecided` which all completions agree on is
only counted. Read `completions.py` for what is enumerated.
"""

from __future__ import annotations

from collections import Counter

from tests.certainty.completions import End, ends, verdict
from tests.certainty.nights import Case, open_stations

Count = Counter[str]


class Broken(AssertionError):
    """A completion that breaks what was said to be certain."""


def checked(case: Case) -> Count:
    """What was looked at: states, completions, and the `undecided` that could have been certain. Raises Broken."""
    night = case.night()
    root = night.root()
    said = root["outcome"]
    count: Count = Counter({said["state"]: 1})
    base = root["ballots"][case.of.majority_base]
    if said["state"] == "none" or base is None:
        assert said["elected"] == []
        return count
    places = {candidate: i for i, candidate in enumerate(case.of.candidate_ids)}
    by_id = {row["id"]: row["votes"] for row in root["candidates"]}
    votes = tuple(by_id[candidate] for candidate in case.of.candidate_ids)
    found = {end: verdict(case.of, *end) for end in ends(night.election, votes, base, open_stations(night))}
    count["completions"] += len(found)
    elected = frozenset(places[candidate] for candidate in said["elected"])
    for end, has in found.items():
        if not _holds(said["state"], elected, said["tied"], has, case):
            raise Broken(f"{case}\nsaid: {said}\nat the end {end}: {has}")
    if said["state"] == "undecided":
        count["elected beside an open seat"] += bool(elected)
        count["undecided that could have been certain"] += len(set(found.values())) == 1
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
