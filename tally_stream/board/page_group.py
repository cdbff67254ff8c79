"""The page of a group of contests as it leaves the board: seats by party, and each contest with its own.

Decides what stands in the template's places; `static/group.js` draws the same anew. Text is escaped here and nowhere trusted.
"""

from __future__ import annotations

import html
from typing import Any

from tally_stream.board.addresses import group_path, page_path, with_query
from tally_stream.board.groups import PARTIES_MAX, ContestOfGroup, Groups, GroupShown
from tally_stream.board.page_lists import next_link
from tally_stream.board.page_seats import Part, seats_drawn
from tally_stream.board.wording import Words

CONTESTS_A_PAGE = 100

_escape = html.escape


def group_places(groups: Groups, group: str, begin: int, t: Words, query: dict[str, str]) -> dict[str, str]:
    """`query`: what a link keeps of this address."""
    shown = groups.shown(group)
    rows = groups.contests(group, begin, CONTESTS_A_PAGE)
    return {
        "group": _escape(group),
        "group_api": _escape(f"/api/v1/groups/{group_path(group).removeprefix('/group/')}"),
        "line": _line(shown, t),
        "seats": seats_of_parties(shown, t),
        "rows": "".join(_row(row, t, query) for row in rows),
        "next": next_link(group_path(group), query, begin, CONTESTS_A_PAGE, len(shown.contests), t),
    }


def _line(shown: GroupShown, t: Words) -> str:
    said = _escape(
        t("group.line", contests=t.number(len(shown.contests)), now=t.number(shown.now), seats=t.number(shown.seats))
    )
    if shown.as_of is None:
        return f"<span>{said}</span>"
    before, _, after = t("as_of", time="\0").partition("\0")
    text = f"{shown.as_of[:10]} {shown.as_of[11:16]} UTC"
    moment = f'<time datetime="{_escape(shown.as_of)}">{_escape(text)}</time>'
    return f"<span>{said}</span> <span>{_escape(before)}{moment}{_escape(after)}</span>"


def seats_of_parties(shown: GroupShown, t: Words) -> str:
    parts = [
        Part(line.party, line.now, line.certain, place, line.color) for place, line in enumerate(shown.parties[:PARTIES_MAX])
    ]
    drawn = seats_drawn(parts, shown.seats, t, t("group.party"))
    return drawn or f"<p>{_escape(t('group.none'))}</p>"


def _row(row: ContestOfGroup, t: Words, query: dict[str, str]) -> str:
    href = _escape(with_query(page_path(row.contest.id), query))
    status = f' <span class="party">{_escape(t("status." + row.root["status"]))}</span>' if row.root else ""
    stations: dict[str, Any] | None = row.root["progress"]["stations"] if row.root else None
    percent = t.percent(None if stations is None else stations["percent"])
    figures = (t.number(row.seats), t.number(row.now), t.number(row.certain), percent)
    cells = "".join(f'<td class="n">{figure}</td>' for figure in figures)
    name = f'<th scope="row"><a href="{href}"><bdi>{_escape(row.contest.name)}</bdi></a>{status}</th>'
    return f'<tr data-key="{_escape(row.contest.id)}">{name}{cells}</tr>'


def group_link(group: str | None, t: Words, query: dict[str, str]) -> str:
    """From a contest to the seats of all that are looked at together with it; \"\" where it is in no group."""
    if group is None:
        return ""
    href = _escape(with_query(group_path(group), query))
    return f'<p class="group"><a href="{href}">{_escape(t("group.link", group=group))}</a></p>'


def group_links(groups: Groups, t: Words, query: dict[str, str]) -> str:
    """All groups, where a contest is looked for; a page of them."""
    names = list(groups.all)[:CONTESTS_A_PAGE]
    return "".join(group_link(name, t, query) for name in names)
