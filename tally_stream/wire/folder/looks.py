"""baseline.csv and areas.geojson: what only changes how standings look. They are checked, and no part of the definition.

Decides what a row and a feature may say. Refuses to know any picture. Read next: `assembling.py`.
"""

from __future__ import annotations

import zlib
from collections.abc import Container
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from tally_stream.domain.scopes import Path as AreaPath
from tally_stream.wire.folder.contests import Contests
from tally_stream.wire.folder.table import Mistake, Table
from tally_stream.wire.report_log import open_maybe_gzip


def check_baseline(
    path: Path, contests: Contests, areas: Container[AreaPath] | None, root: str, mistakes: list[Mistake]
) -> None:
    """Votes of an earlier election: of a contest and a candidate of now, in an area of now. `areas` are their paths; None
    where they are not known."""
    table = Table(path, mistakes)
    seen: set[tuple[str, str, str]] = set()
    candidates = contests.candidate_ids()
    for contest, area, candidate, votes in table.rows(("contest", "area", "candidate", "votes")):
        if contest not in candidates and contests.is_whole:
            table.wrong(f"contest {contest[:80]!r} is no contest")
        known = candidates.get(contest)
        if known is not None and candidate and candidate not in known:
            table.wrong(f"candidate {candidate[:80]!r} is none of {contest}")
        first, *values = area.split("/")
        if areas is not None and (first != root or tuple(values) not in areas):
            table.wrong(f"area {area[:200]!r}: no polling station lies in it")
        if not votes:
            table.wrong("votes is empty")
        table.count("votes", votes)
        if (contest, area, candidate) in seen:
            table.wrong(f"contest {contest}, area {area[:200]}, candidate {candidate[:80] or '(valid ballots)'} occur twice")
        seen.add((contest, area, candidate))


# -- shapes --------------------------------------------------------------------------------------------------------

_Position = Annotated[list[float], Meta(min_length=2, max_length=4)]
_Ring = Annotated[list[_Position], Meta(min_length=4)]
_Rings = Annotated[list[_Ring], Meta(min_length=1)]


class _Polygon(msgspec.Struct, tag_field="type", tag="Polygon"):
    coordinates: _Rings


class _MultiPolygon(msgspec.Struct, tag_field="type", tag="MultiPolygon"):
    coordinates: Annotated[list[_Rings], Meta(min_length=1)]


class _Feature(msgspec.Struct):
    """Coordinates are only looked at, never counted with: the one place where a number may have a fraction."""

    type: Literal["Feature"]
    id: str
    geometry: _Polygon | _MultiPolygon


class _Collection(msgspec.Struct):
    type: Literal["FeatureCollection"]
    features: list[msgspec.Raw]


_collection = msgspec.json.Decoder(_Collection)
_feature = msgspec.json.Decoder(_Feature)


def check_shapes(path: Path, root: str, mistakes: list[Mistake]) -> None:
    """Polygons of areas, each area once. What else a feature says is its author's."""

    def wrong(line: int, what: str) -> None:
        mistakes.append(Mistake(path, line, what))

    try:
        with open_maybe_gzip(path) as raw:
            text = raw.read().removeprefix(b"\xef\xbb\xbf")
        features = _collection.decode(text).features
    except (OSError, EOFError, zlib.error) as error:
        wrong(1, f"cannot be read: {getattr(error, 'strerror', None) or error}")
        return
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        wrong(1, f"is no FeatureCollection: {error}")
        return
    seen: set[str] = set()
    at = line = 0
    for feature in features:
        value = bytes(feature)
        begin = text.index(value, at)
        line += text.count(b"\n", at, begin)
        try:
            area = _feature.decode(value).id
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            wrong(line + 1, f"is no feature of an area: {error}")
        else:
            if area != root and not area.startswith(root + "/"):
                wrong(line + 1, f"feature {area[:200]!r} does not begin with the root {root}")
            if area in seen:
                wrong(line + 1, f"feature {area[:200]!r} occurs twice")
            seen.add(area)
        line += value.count(b"\n")
        at = begin + len(value)
