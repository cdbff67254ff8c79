"""The polling stations of a definition: all of them, one a line, and those whose ids are near one that nobody knows."""

from __future__ import annotations

from collections.abc import Iterator
from difflib import get_close_matches

from tally_stream.domain.election import Election
from tally_stream.station.checking import Remark

NEAR_MAX = 3
_ALIKE = 0.5
"""Of the characters, as difflib counts them: 14 is near 11, 041-038 near 041-039."""


def listed(election: Election) -> Iterator[str]:
    """Id and name, separated by a tab."""
    for station in election.stations.values():
        yield f"{station.id}\t{station.name}"


def hint(election: Election, remark: Remark) -> str | None:
    """Which there are, where a station is unknown."""
    if remark.code != "S2" or not remark.sentence.startswith("unknown polling station"):
        return None
    near = get_close_matches(str(remark.left), election.stations, NEAR_MAX, _ALIKE)
    named = f"near it are {', '.join(near)}; " if near else ""
    return f"{named}`tally-stream check ELECTION --stations` lists all"
