"""Addresses of the page: one for each contest, and one for each of its areas.

Decides how ids stand in an address: each part percent-encoded, so that a slash, a question mark or a blank in a name
leads nowhere else. `static/words.js` writes the same addresses.
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import quote, urlencode

CONTESTS = "/contests"
"""Where a contest is looked for."""


def group_path(group: str) -> str:
    """Of the seats of all contests of a group, `/group/PARLIAMENT`."""
    return f"/group/{quote(group, safe='')}"


def page_path(contest: str, area: str | None = None) -> str:
    """Of a contest, `/contest/PRES`, or of an area, `/contest/PRES/area/WI/DANE`."""
    path = f"/contest/{quote(contest, safe='')}"
    return path if area is None else f"{path}/area/{area_path(area)}"


def area_path(area: str) -> str:
    return "/".join(quote(part, safe="") for part in area.split("/"))


def with_query(path: str, query: Mapping[str, str]) -> str:
    return f"{path}?{urlencode(query)}" if query else path
