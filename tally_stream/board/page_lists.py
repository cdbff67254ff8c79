"""The page's lists as they leave the board: where a reader is, the areas below, polling stations, changes, and contests.

Decides how much of a list stands in the page (a page of it, with a link to the next) and what a row says; the scripts in
static/ draw the same rows anew. No change is told before its contest's polls closed. Text is escaped here and nowhere
trusted.
"""

from __future__ import annotations

import html
from dataclasses import replace
from typing import Any, Literal

import msgspec

from tally_stream.board.addresses import CONTESTS, page_path, with_query
from tally_stream.board.area_rows import SORTS, AreaRows, Asked, Row
from tally_stream.board.changes import Line
from tally_stream.board.feed import Feed
from tally_stream.board.places import Places
from tally_stream.board.stations import Stations
from tally_stream.board.wording import Words
from tally_stream.domain.contest import Contest
from tally_stream.domain.scalars import format_time
from tally_stream.wire.search import WORDS_MAX_CHARS

CONTESTS_LINKED_MAX = 8
"""So many contests stand on the page as links; of more, one is looked for."""

CONTESTS_A_PAGE = 100
STATIONS_A_PAGE = 100
CHANGES_SHOWN = 20
TEXT_COLUMNS = ("area", "leader")
LIST_PLACES = (
    "areas_hidden", "areas_head", "areas", "areas_next", "areas_action", "areas_kept", "words", "found", "stations_head",
    "stations", "stations_wait", "stations_next",
)  # fmt: skip
"""The template's places for areas and stations that are empty where there is nothing to list."""

_escape = html.escape

Query = dict[str, str]


class PageLists:
    """Each method gives the markup of places in the template."""

    def __init__(self, places: Places, rows: AreaRows, feed: Feed, stations: Stations) -> None:
        self._places, self._rows, self._feed, self._stations = places, rows, feed, stations
        self._election = places.election

    # -- where a reader is -----------------------------------------------------------------------------------------

    def trail(self, contest: str, area: str, t: Words, query: Query) -> str:
        """From the whole down to the area; nothing on the page of the whole."""
        *above, here = self._places.trail(area)
        if not above:
            return ""
        items = []
        for one in above:
            href = _escape(with_query(page_path(contest, None if one == self._election.root else one), query))
            items.append(f'<li><a href="{href}"><bdi>{_escape(self._places.name(one))}</bdi></a></li>')
        items.append(f'<li><span aria-current="page"><bdi>{_escape(self._places.name(here))}</bdi></span></li>')
        return f'<nav aria-label="{_escape(t("areas.trail"))}"><ol class="trail" id="trail">{"".join(items)}</ol></nav>'

    # -- contests --------------------------------------------------------------------------------------------------

    def contest_links(self, contest: Contest, area: str, t: Words, query: Query) -> str:
        """Links to the other contests, each in this area where it has it; of many contests, a search among them."""
        contests = self._election.contests
        if len(contests) == 1:
            return ""
        if len(contests) > CONTESTS_LINKED_MAX:
            return self._contest_search(t, query, "")
        items = []
        for one in contests:
            has_area = area in self._feed.shown[one.id].areas
            href = _escape(with_query(page_path(one.id, area if has_area else None), query))
            current = ' aria-current="page"' if one.id == contest.id else ""
            items.append(f'<li><a href="{href}"{current}><bdi>{_escape(one.name)}</bdi></a></li>')
        return f'<ul class="contests">{"".join(items)}</ul>'

    def _contest_search(self, t: Words, query: Query, words: str) -> str:
        label = _escape(t("contests.search", n=t.number(len(self._election.contests))))
        return (
            f'<form class="contests" id="contest-form" role="search" action="{CONTESTS}" aria-label="{_escape(t("contests"))}">'
            f'<label for="contest-words">{label}</label> <span>'
            f'<input id="contest-words" type="search" name="q" maxlength="{WORDS_MAX_CHARS}" '
            f'autocomplete="off" value="{_escape(words)}">{_hidden(query)} <button>{_escape(t("find"))}</button></span>'
            '<p id="contest-found" role="status"></p><ul id="contest-list"></ul></form>'
        )

    def contests(self, t: Words, query: Query, words: str, begin: int) -> dict[str, str]:
        """A page of all contests, or of those that a search finds."""
        found = self._places.found_contests(words)
        items = []
        for contest in found[begin : begin + CONTESTS_A_PAGE]:
            href = _escape(with_query(page_path(contest.id), query))
            items.append(
                f'<li><a href="{href}"><bdi>{_escape(contest.name)}</bdi></a> <span class="party">{contest.id}</span></li>'
            )
        return {
            "search": self._contest_search(t, query, words),
            "found": _escape(t("contests.found", n=t.number(len(found)))),
            "items": "".join(items),
            "next": next_link(CONTESTS, {**query, **({"q": words} if words else {})}, begin, CONTESTS_A_PAGE, len(found), t),
        }

    # -- areas -----------------------------------------------------------------------------------------------------

    def areas_and_stations(
        self, contest: Contest, asked: Asked, stations_begin: int, path: str, t: Words, query: Query, whole_query: Query, *,
        is_shown: bool,
    ) -> dict[str, str]:  # fmt: skip
        """The areas directly below, of a deepest area its polling stations; or with words the areas of any level in the whole
        election that a search finds, and the stations in this place. `whole_query` is that of a link to this very list,
        `query` of one to elsewhere."""
        hidden = {**dict.fromkeys(LIST_PLACES, ""), "areas_box_hidden": " hidden", "stations_box_hidden": " hidden"}
        if not is_shown:
            return {**hidden, "areas_hidden": " hidden"}
        question = replace(asked, area=self._election.root) if asked.words else asked
        rows, count = self._rows.page(contest.id, self._feed.shown[contest.id], question)
        of_areas = {
            "areas_box_hidden": "" if rows else " hidden",
            "areas_head": "<tr>" + "".join(self._head_cell(key, t) for key in SORTS) + "</tr>",
            "areas": "".join(self._area_row(contest.id, row, asked, t, query) for row in rows),
            "areas_next": next_link(path, whole_query, asked.begin, asked.limit, count, t),
            "words": _escape(asked.words),
            "areas_action": _escape(path),
            "areas_kept": _hidden({k: v for k, v in whole_query.items() if k not in ("q", "from", "stations_from")}),
        }
        of_stations, found = self._stations_listed(contest, asked, stations_begin, path, t, whole_query)
        said = _escape(found_text(t, count, found)) if asked.words else ""
        return {**hidden, **of_areas, **of_stations, "found": said}

    @staticmethod
    def _head_cell(key: str, t: Words) -> str:
        word = _escape(t("area" if key == "area" else f"area.{key}"))
        return f'<th scope="col"{_class("" if key in TEXT_COLUMNS else "n")}>{word}</th>'

    def _area_row(self, contest: str, row: Row, asked: Asked, t: Words, query: Query) -> str:
        href = _escape(with_query(page_path(contest, row.area), query))
        above = f'<span class="party"><bdi>{_escape(" › ".join(row.above))}</bdi></span>' if asked.words and row.above else ""
        name = f'<th scope="row"><a href="{href}"><bdi>{_escape(row.name)}</bdi></a>{above}</th>'
        cells = []
        for key, text in zip(SORTS[1:], area_texts(row, t), strict=True):
            cells.append(f"<td{_class('' if key in TEXT_COLUMNS else 'n')}><bdi>{_escape(text)}</bdi></td>")
        return f'<tr data-key="{_escape(row.area)}">{name}{"".join(cells)}</tr>'

    # -- polling stations ------------------------------------------------------------------------------------------

    def _has_stations(self, contest: str, area: str, words: str) -> bool:
        """Whether the page of a place lists polling stations: where no areas lie below, and of what is searched for."""
        return bool(words) or not self._rows.below(self._feed.shown[contest], area)

    def state_of_stations(self, contest: str, area: str, words: str) -> tuple[object, ...]:
        """Stays the same as long as what the page of a place lists of polling stations does."""
        if not self._has_stations(contest, area, words):
            return ()
        return self._stations.state_of_rows(self._index(contest))

    def _index(self, contest: str) -> int:
        index = self._election.contest_index(contest)
        assert index is not None, "it is shown"
        return index

    def _stations_listed(
        self, contest: Contest, asked: Asked, begin: int, path: str, t: Words, whole_query: Query
    ) -> tuple[dict[str, str], int | None]:
        """Places of the template, and how many there are in all; None where that can't be told yet."""
        if not self._has_stations(contest.id, asked.area, asked.words):
            return {}, None
        if self._stations.failure is not None:
            return {"stations_wait": _escape(t("stations.failed"))}, None
        if not self._stations.is_caught_up:
            read = {name: t.number(count) for name, count in self._stations.progress.items()}
            return {"stations_wait": _escape(t("stations.wait", **read))}, None
        index = self._index(contest.id)
        found = self._stations.found(index, asked.area, asked.words)
        hides_counts = self._feed.shown[contest.id].is_before_the_close
        rows = self._stations.rows(index, found[begin : begin + STATIONS_A_PAGE], hides_counts=hides_counts)
        words = [(t("station"), ""), (t("station.state"), ""), (t("station.revision"), "n"), (t("station.valid"), "n")]
        words += [(candidate.name, "n") for candidate in contest.candidates]
        head = "".join(f'<th scope="col"{_class(kind)}><bdi>{_escape(word)}</bdi></th>' for word, kind in words)
        return {
            "stations_box_hidden": "" if rows else " hidden",
            "stations_head": f"<tr>{head}</tr>",
            "stations": "".join(_station_row(contest, row, t) for row in rows),
            "stations_next": next_link(path, whole_query, begin, STATIONS_A_PAGE, len(found), t, "stations_from"),
        }, len(found)

    # -- changes ---------------------------------------------------------------------------------------------------

    def ledger(self, contest: Contest, area: str, t: Words, *, is_shown: bool) -> dict[str, str]:
        """The newest changes of the place; none before the polls closed."""
        lines: list[Line] = []
        if is_shown and self._feed.tells_changes(contest.id):
            lines = self._feed.ledger.page(contest=contest.id, area=area, station=None, before=None, limit=CHANGES_SHOWN)
        return {
            "ledger_hidden": "" if is_shown else " hidden",
            "ledger_box_hidden": "" if lines else " hidden",
            "ledger_none_hidden": " hidden" if lines else "",
            "ledger": "".join(self._change(contest, line, t) for line in lines),
        }

    def _change(self, contest: Contest, line: Line, t: Words) -> str:
        try:
            c = _decoder.decode(line.value)
            at = format_time(line.place[0])
        except (msgspec.MsgspecError, ValueError, OverflowError):
            return ""  # whoever may write to the topic may write nonsense
        place = t("ledger.place", partition=str(line.place[1]), offset=str(line.place[2]))
        revision = t("ledger.revision", **{"from": t.number(c.from_revision), "to": t.number(c.to_revision)})
        deltas = [(one.name, c.votes_delta.get(one.id)) for one in contest.candidates]
        details = "".join(f"<li><bdi>{_escape(name)}</bdi> {t.signed(delta)}</li>" for name, delta in deltas if delta)
        by_candidate = f"<details><summary>{_escape(t('ledger.candidates'))}</summary><ul>{details}</ul></details>"
        authority = f'<span class="party"><bdi>{_escape(c.authority)}</bdi></span>' if c.authority else ""
        area = f'<span class="party"><bdi>{_escape(self._places.path(line.area))}</bdi></span>'
        return (
            f'<tr data-key="{",".join(map(str, line.place))}">'
            f'<td><time datetime="{at}">{at[:10]} {at[11:16]} UTC</time><span class="party">{_escape(place)}</span></td>'
            f'<th scope="row">{_escape(line.station)}{area}</th>'
            f'<td>{_escape(t("kind." + c.kind))}<span class="party">{_escape(revision)}</span></td>'
            f'<td class="n">{t.signed(c.ballots_delta.get("valid"))}{by_candidate if details else ""}</td>'
            f"<td><bdi>{_escape(c.reason or '–')}</bdi>{authority}</td></tr>"
        )


class _Change(msgspec.Struct):
    """What a line needs of a change."""

    kind: Literal["report", "correct", "recount", "annul", "restore", "withdraw", "accept"]
    from_revision: int
    to_revision: int
    reason: str | None
    authority: str | None
    votes_delta: dict[str, int]
    ballots_delta: dict[str, int | None]


_decoder = msgspec.json.Decoder(_Change)


def _hidden(query: Query) -> str:
    """What a form keeps of the address."""
    return "".join(f'<input type="hidden" name="{_escape(k)}" value="{_escape(v)}">' for k, v in query.items())


def area_texts(row: Row, t: Words) -> list[str]:
    """The cells of a row behind its name, in the order of the columns."""
    stations = "–" if row.stations is None else f"{t.number(row.stations.done)} / {t.number(row.stations.of)}"
    return [
        stations,
        "–" if row.leader is None else row.leader.name,
        t.percent(None if row.leader is None else row.leader.share),
        t.number(row.lead),
        t.number(row.valid),
        t.number(row.outstanding),
    ]


def found_text(t: Words, areas: int, stations: int | None) -> str:
    """How many of each a search finds, never how many of them are listed; stations where they can be told."""
    found = {"areas": t.counted("areas", areas), "stations": t.counted("stations", stations)}
    return t("found.areas" if stations is None else "found", **found)


def _station_row(contest: Contest, row: dict[str, Any], t: Words) -> str:
    name = "" if row["name"] == row["station"] else f'<span class="party"><bdi>{_escape(row["name"])}</bdi></span>'
    counts = row["in_force"] or {"ballots": {"valid": None}, "votes": {}}
    figures = [row["revision"], counts["ballots"]["valid"], *(counts["votes"].get(one.id) for one in contest.candidates)]
    cells = "".join(f'<td class="n">{t.number(figure)}</td>' for figure in figures)
    return (
        f'<tr data-key="{_escape(row["station"])}"><th scope="row"><bdi>{_escape(row["station"])}</bdi>{name}</th>'
        f"<td>{_escape(t('state.' + row['state']))}</td>{cells}</tr>"
    )


def _class(kind: str) -> str:
    return f' class="{kind}"' if kind else ""


def next_link(path: str, query: Query, begin: int, step: int, count: int, t: Words, name: str = "from") -> str:
    """A link to the next page of a list, where there is one. `name`: what says in the address where that begins."""
    if begin + step >= count:
        return ""
    href = _escape(with_query(path, {**query, name: str(begin + step)}))
    return f'<a href="{href}">{_escape(t("more"))}</a>'
