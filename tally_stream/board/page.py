"""The page as it leaves the board: the figures of a contest, or of one of its areas, stand in it before any script runs.

Decides which place an address names, and what of the newest message is written into the template; how it is asked for is
in `view.py`. Text from messages and definitions is escaped here and nowhere trusted. The script in static/ draws the same
places anew. Lists (areas below, stations, changes, contests) are in `page_lists.py`, addresses in `addresses.py`.
"""

from __future__ import annotations

import html
import re
from typing import Any

import msgspec
from aiohttp import web

from tally_stream.board.addresses import CONTESTS, area_path, group_path, page_path, with_query
from tally_stream.board.answers import Answer, Answers
from tally_stream.board.area_rows import AreaRows, Asked
from tally_stream.board.feed import Feed
from tally_stream.board.groups import Groups
from tally_stream.board.page_group import group_link, group_links, group_places
from tally_stream.board.page_lists import PageLists
from tally_stream.board.page_outcome import outcome_of
from tally_stream.board.page_referendum import referendum_of
from tally_stream.board.page_seats import seats_of
from tally_stream.board.page_ways import bar_width, voted_measure, ways_of
from tally_stream.board.places import Places
from tally_stream.board.shown import Published
from tally_stream.board.stations import Stations
from tally_stream.board.view import View, view_of
from tally_stream.board.wording import LANGUAGES, STATIC, Words
from tally_stream.domain.contest import Contest
from tally_stream.domain.scalars import format_time
from tally_stream.export.ballot_figures import has_missing_votes
from tally_stream.export.outcome_words import decimal_text

PAGES_KEPT = 128
STATES = ("counted", "partial", "held", "annulled", "outstanding")
FLAGS = ("corrected", "recounted", "disputed", "warned")
MEASURES = ("stations", "registered", "ballots")
_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
}
_PLACE = re.compile(r"\{\{([a-z_.:-]+)\}\}")
_escape = html.escape

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors "
)


class Pages:
    """Renders the page of each contest and area, and holds the static files in memory: a path from outside never reaches
    the disk."""

    def __init__(self, places: Places, rows: AreaRows, feed: Feed, stations: Stations) -> None:
        self._places, self._election, self._feed = places, places.election, feed
        self._groups = Groups(places, feed)
        self._lists = PageLists(places, rows, feed, stations)
        head = _template("head")
        self._templates = {name: _template(name).replace("{{head}}\n", head) for name in ("index", "contests", "none", "group")}
        self._words = {language: Words(language) for language in LANGUAGES}
        self._pages = Answers(PAGES_KEPT)
        self._files = {
            path.relative_to(STATIC).as_posix(): Answer(path.read_bytes(), _TYPES[path.suffix])
            for path in STATIC.rglob("*")
            if path.suffix in _TYPES
        }

    def add_to(self, app: web.Application) -> None:
        app.router.add_get("/", self.page)
        app.router.add_get("/contest/{contest}", self.page)
        app.router.add_get(CONTESTS, self.contests)
        app.router.add_get("/group/{group}", self.group)
        for path in (
            CONTESTS + "{_:/+}",
            "/contest/{contest}{_:/+}",
            "/contest/{contest}/area{_:/*}",
            "/contest/{contest}/area/{area:.+}{_:/}",
        ):
            app.router.add_get(path, self.moved)
        app.router.add_get("/contest/{contest}/area/{area:.+}", self.page)
        app.router.add_get("/static/{name:.+}", self.file)

    async def file(self, request: web.Request) -> web.Response:
        answer = self._files.get(request.match_info["name"])
        if answer is None:
            raise web.HTTPNotFound
        return answer.to(request)

    async def moved(self, request: web.Request) -> web.Response:
        """A slash too many, or no area where one should stand: the address that is meant, with all that was asked."""
        contest, area = request.match_info.get("contest"), request.match_info.get("area", "").rstrip("/")
        path, query = CONTESTS if contest is None else page_path(contest, area or None), request.rel_url.raw_query_string
        return web.Response(status=301, headers={"Location": f"{path}?{query}" if query else path, "Cache-Control": "no-cache"})

    async def page(self, request: web.Request) -> web.Response:
        view = view_of(request)
        contest = self._contest(request)
        area = request.match_info.get("area", self._election.root)
        if contest is None or not self._places.is_area(area):
            return self._none(request, view, contest)
        shown = self._feed.shown[contest.id]
        published = shown.of(None if area == self._election.root else area) if self._feed.is_caught_up else None
        if published is None and self._feed.is_caught_up and shown.root is not None:
            return self._none(request, view, contest)  # no station there votes in this contest
        asked = ("page", contest.id, area, view)
        token = (
            self._feed.is_caught_up, published, shown.version,
            shown.areas_taken if view.words else shown.taken_below(area), self._feed.ledger.taken(contest.id, area),
            self._lists.state_of_stations(contest.id, area, view.words), self._feed.partial_hold(contest.id),
        )  # fmt: skip
        answer = self._pages.get(asked, token) or self._pages.put(asked, token, self._render(contest, area, published, view))
        return self._sent(request, answer, view)

    async def contests(self, request: web.Request) -> web.Response:
        """Where a contest is looked for: without scripts, and for all who want to see what there is."""
        view = view_of(request)
        t = self._words[view.language]
        places = {
            **self._head(view, t, CONTESTS, view.whole_query),
            "title": _escape(f"{t('contests')} · {self._election.name}"),
            "groups": group_links(self._groups, t, view.query),
            **self._lists.contests(t, view.query, view.words, view.begin),
        }
        return self._sent(request, self._filled("contests", places, t), view)

    async def group(self, request: web.Request) -> web.Response:
        """The seats of contests that are looked at together."""
        view, group = view_of(request), request.match_info["group"]
        if group not in self._groups.all:
            return self._none(request, view, None)
        asked, token = ("group", group, view), (self._feed.is_caught_up, self._groups.token(group))
        answer = self._pages.get(asked, token)
        if answer is None:
            t = self._words[view.language]
            shown = group_places(self._groups, group, view.begin, t, view.query) if self._feed.is_caught_up else {
                **dict.fromkeys(("seats", "rows", "next"), ""), "group": _escape(group), "line": _escape(t("empty")),
                "group_api": _escape("/api/v1/groups"),
            }  # fmt: skip
            head = self._head(view, t, group_path(group), view.whole_query)
            places = {**head, "title": _escape(f"{group} · {self._election.name}"), **shown}
            answer = self._pages.put(asked, token, self._filled("group", places, t))
        return self._sent(request, answer, view)

    def _none(self, request: web.Request, view: View, contest: Contest | None) -> web.Response:
        """There is no such place: said to people in words, beside the way to what there is, of the contest where it is one."""
        t = self._words[view.language]
        results = "/" if contest is None else page_path(contest.id)
        here = page_path(request.match_info.get("contest", ""), request.match_info.get("area"))
        places = {
            **self._head(view, t, here),
            "title": _escape(self._election.name),
            "results": _escape(with_query(results, view.query)),
        }
        response = self._sent(request, self._filled("none", places, t), view)
        response.set_status(404)
        return response

    def _sent(self, request: web.Request, answer: Answer, view: View) -> web.Response:
        policy = POLICY + ("*" if view.mode == "embed" else "'none'")
        return answer.to(request, {"Content-Security-Policy": policy, "Vary": "Accept-Encoding, Accept-Language"})

    # -- what is asked for -----------------------------------------------------------------------------------------

    def _contest(self, request: web.Request) -> Contest | None:
        """By the address; without one the first, or that of `/?contest=`."""
        if "contest" in request.match_info:
            return self._places.contests.get(request.match_info["contest"])
        return self._places.contests.get(request.query.get("contest", "")) or self._election.contests[0]

    # -- the template's places -------------------------------------------------------------------------------------

    def _render(self, contest: Contest, area: str, published: Published | None, view: View) -> Answer:
        shown, t = self._feed.shown[contest.id], self._words[view.language]
        is_root = area == self._election.root
        message: dict[str, Any] = {}
        if published is not None:
            # An area's own `as_of` is when it changed: what did not change since is as new as the root.
            message = {**msgspec.json.decode(published.value), "as_of": shown.root_message["as_of"]}
        path = page_path(contest.id, None if is_root else area)
        name = self._places.path(area)
        asked = Asked(area, view.words, view.sort, view.is_descending, view.begin)
        places = {
            **self._head(view, t, path, view.whole_query),
            "title": _escape(" · ".join([*([] if is_root else [name]), contest.name, self._election.name])),
            "contest": _escape(contest.id),
            "contest_name": _escape(contest.name),
            "area": _escape(area),
            "root": _escape(self._election.root),
            "leaders_title": _escape(t("leaders") if is_root else t("leaders.in", area=self._places.name(area))),
            "contests": self._lists.contest_links(contest, area, t, view.query),
            "trail": self._lists.trail(contest.id, area, t, view.query),
            "group": group_link(contest.group, t, view.query),
            "standings": _escape(f"/api/v1/standings/{contest.id}" + ("" if is_root else f"/{area_path(area)}")),
            "stream": _escape(
                with_query("/api/v1/stream", {"contest": contest.id, **({} if is_root else {"area": area})})
            ),
            "full": _escape(with_query(path, {"lang": t.language})),
            **self._lists.areas_and_stations(
                contest, asked, view.stations_begin, path, t, view.query, view.whole_query, is_shown=published is not None
            ),
            **self._lists.ledger(contest, area, t, is_shown=published is not None),
            **self._figures(contest, message, t),
        }  # fmt: skip
        if not is_root and published is not None:
            places["outcome"] = self._outcome_of_whole(contest, t, view.query)
        outcome = f'<div id="outcome">{places["outcome"]}</div>'
        # An area's stands under its leader, who could be taken for a winner; in a hall there is no room for it there.
        is_aside = is_root or view.mode == "screen"
        places |= {"outcome": outcome if is_aside else "", "outcome_of_whole": "" if is_aside else outcome}
        return self._filled("index", places, t)

    def _head(self, view: View, t: Words, path: str, query: dict[str, str] | None = None) -> dict[str, str]:
        """What every page has. `path` and `query` are where its language links lead: to this very place."""
        kept = view.query if query is None else query
        return {
            "lang": t.language,
            "mode": view.mode,
            "theme": f' data-theme="{view.theme}"' if view.theme else "",
            "test": f'<p class="test" role="note">{_escape(t("test"))}</p>' if self._election.phase == "test" else "",
            "election": _escape(self._election.name),
            "description": _escape(t("description", election=self._election.name)),
            "home": _escape(with_query("/", view.query)),
            "languages": "".join(self._language_link(x, t, path, kept) for x in LANGUAGES),
        }

    def _filled(self, template: str, places: dict[str, str], t: Words) -> Answer:
        def place(found: re.Match[str]) -> str:
            name = found[1]
            return _escape(t(name[2:])) if name.startswith("t:") else places[name]

        return Answer(_PLACE.sub(place, self._templates[template]).encode(), "text/html; charset=utf-8")

    def _language_link(self, language: str, t: Words, path: str, kept: dict[str, str]) -> str:
        name = _escape(self._words[language]("_name"))
        current = ' aria-current="true"' if language == t.language else ""
        href = _escape(with_query(path, {**kept, "lang": language}))
        return f'<li><a href="{href}" lang="{language}" hreflang="{language}"{current}>{name}</a></li>'

    def _figures(self, contest: Contest, root: dict[str, Any], t: Words) -> dict[str, str]:
        if not root:
            names = ("hold", "leaders", "base", "seats", "referendum", "measures", "ways", "ways_head", "ways_votes", "states",
                     "outcome", "polls_head", "polls", "source")  # fmt: skip
            return {
                **dict.fromkeys(names, ""),
                "polls_hidden": " hidden",
                "ways_hidden": " hidden",
                "line": f"<span>{_escape(t('empty'))}</span>",
            }
        parties = {one.id: one.party for one in contest.candidates}
        return {
            "line": self._line(root, t),
            "hold": self._hold(contest, root, t),
            "leaders": "".join(self._leader(contest, c, parties.get(c["id"]), t) for c in root["candidates"]),
            "base": _escape(_base(contest, root, t)),
            "seats": seats_of(contest, root, t),
            "referendum": referendum_of(contest, root, _limit_of_shares(contest), t),
            "measures": "".join(_measure(name, root["progress"][name], t) for name in MEASURES) + voted_measure(root, t),
            **ways_of(root, t),
            "states": "".join(
                f"<div><dt>{_escape(name)}</dt><dd>{_escape(value)}</dd></div>" for name, value in _states(contest, root, t)
            ),
            "outcome": outcome_of(contest, root, self._election.checks.bound_register_percent, t),
            **_polls(root, t),
            "source": _escape(
                t("source", version=t.number(root["version"]), topic=root["provenance"]["topic"],
                  offsets=", ".join(f"{p}: {o}" for p, o in root["provenance"]["next_offsets"].items()),
                  definition=root["definition"])
            ),
        }  # fmt: skip

    def _hold(self, contest: Contest, root: dict[str, Any], t: Words) -> str:
        if not root["on_hold"]:
            return ""
        partial = self._feed.partial_hold(contest.id)
        more = "" if partial is None else t("hold.incomplete", n=t.number(partial[0]), of=t.number(partial[1]))
        return "".join(f'<p class="hold">{_escape(said)}</p>' for said in (t("hold"), more) if said)

    def _outcome_of_whole(self, contest: Contest, t: Words, query: dict[str, str]) -> str:
        """On the page of an area, whose leader could be taken for a winner: nothing is won there, and how the whole stands."""
        before, _, after = t("outcome.part", contest="\0").partition("\0")
        link = f'<a href="{_escape(with_query(page_path(contest.id), query))}"><bdi>{_escape(contest.name)}</bdi></a>'
        part = f'<p class="outcome">{_escape(before)}{link}{_escape(after)}</p>'
        whole = self._feed.shown[contest.id].root_message
        return part + outcome_of(contest, whole, self._election.checks.bound_register_percent, t)

    def _line(self, root: dict[str, Any], t: Words) -> str:
        badge = f'<strong class="status">{_escape(t("status." + root["status"]))}</strong>'
        if root["status"] == "pre-election" and root["phase"] == "official":
            text, time = "before", format_time(self._election.polls_close_ms)
        elif root["as_of"] is None:
            return badge
        else:
            text, time = "as_of", root["as_of"]
        before, _, after = t(text, time="\0").partition("\0")
        shown = f"{time[:10]} {time[11:16]} UTC"
        return f'{badge} <span>{_escape(before)}<time datetime="{_escape(time)}">{_escape(shown)}</time>{_escape(after)}</span>'

    def _leader(self, contest: Contest, c: dict[str, Any], party: str | None, t: Words) -> str:
        under = f' <span class="party"><bdi>{_escape(party)}</bdi></span>' if party else ""
        width = bar_width(c["share"])
        limit = _limit_of_shares(contest)
        line = "" if limit is None else f'<line x1="{limit}%" x2="{limit}%" y1="0" y2="100%"/>'
        bar = f'<svg class="bar" aria-hidden="true"><rect width="{width}%" height="100%"/>{line}</svg>'
        rank = "" if c["rank"] is None else c["rank"]
        lead = ' class="first"' if c["rank"] == 1 and c["votes"] else ""
        return (
            f'<tr{lead} data-key="{_escape(c["id"])}"><td class="rank">{rank}</td>'
            f'<th scope="row"><bdi>{_escape(c["name"])}</bdi>{under}{bar}</th>'
            f'<td class="n">{t.number(c["votes"])}</td><td class="n share">{_escape(t.percent(c["share"]))}</td></tr>'
        )


def _template(name: str) -> str:
    return (STATIC / f"{name}.html").read_text(encoding="utf-8")


def _base(contest: Contest, root: dict[str, Any], t: Words) -> str:
    valid = root["ballots"]["valid"]
    base = t("base.unknown")
    if valid is not None:
        base = t("base", valid=t.number(valid), method=t("method." + root["rounding"]["method"]))
    limit = _limit_of_shares(contest)
    base = base if limit is None else f"{base} {t('limit', percent=t.percent(limit))}"
    return f"{base} {t('several', n=t.number(contest.votes_per_ballot))}" if contest.votes_per_ballot > 1 else base


def _limit_of_shares(contest: Contest) -> str | None:
    """The share that wins, where there is one. Shares are of valid ballots: a limit of those cast lies elsewhere in each area
    and version; and where less wins with a lead, neither limit is the one."""
    majority = contest.majority
    if majority is None or contest.majority_base != "valid" or majority.or_percent is not None:
        return None
    return decimal_text(majority.percent)


def _states(contest: Contest, root: dict[str, Any], t: Words) -> list[tuple[str, str]]:
    """Every station in its one state; then what else is to be known of some of them; then turnout and invalid ballots."""
    rows = [(t(f"state.{name}"), t.number(root["stations"][name])) for name in STATES]
    flags = root["flags"]
    besides = {name: flags[name] for name in FLAGS} | {"waiting": flags["held"] - root["stations"]["held"]}
    rows += [(t(f"state.{name}"), t.number(count)) for name, count in besides.items() if count > 0]
    if root["turnout"]:
        rows.append((t("state.turnout"), f"{t.percent(root['turnout']['percent'])} %"))
    if root["ballots"]["invalid"] is not None:
        rows.append((t("state.invalid"), t.number(root["ballots"]["invalid"])))
    if has_missing_votes(contest, root):
        rows += [(t(f"state.{name}"), t.number(root["ballots"][name])) for name in ("undervotes", "overvotes")]
    return rows


def _polls(root: dict[str, Any], t: Words) -> dict[str, str]:
    """Exit polls beside the count, where there are any."""
    polls = root["exit_polls"] or []
    if not polls:
        return {"polls_hidden": " hidden", "polls_head": "", "polls": ""}
    heads = "".join(f'<th scope="col" class="n"><bdi>{_escape(poll["pollster"])}</bdi></th>' for poll in polls)
    head = f'<th scope="col">{_escape(t("candidate"))}</th><th scope="col" class="n">{_escape(t("polls.count"))}</th>'
    rows = "".join(
        f'<tr data-key="{_escape(c["id"])}"><th scope="row"><bdi>{_escape(c["name"])}</bdi></th>'
        f'<td class="n">{_escape(t.percent(c["share"]))}</td>{"".join(_poll_cell(poll, c["id"], t) for poll in polls)}</tr>'
        for c in root["candidates"]
    )
    return {"polls_hidden": "", "polls_head": f"<tr>{head}{heads}</tr>", "polls": rows}


def _poll_cell(poll: dict[str, Any], candidate: str, t: Words) -> str:
    if candidate not in poll["share"]:
        return f'<td class="n"><span class="unseen">{_escape(t("polls.none"))}</span><span aria-hidden="true">–</span></td>'
    difference = _escape(t.difference(poll["difference"][candidate]))
    return f'<td class="n">{_escape(t.percent(poll["share"][candidate]))} <span class="difference">{difference}</span></td>'


def _measure(name: str, measure: dict[str, Any] | None, t: Words) -> str:
    title = f"<dt>{_escape(t('measure.' + name))}</dt>"
    if measure is None:
        return f'<div class="unknown">{title}<dd>{_escape(t("unknown"))}</dd></div>'
    of = t("of", done=t.number(measure["done"]), of=t.number(measure["of"]))
    bar = f'<svg class="bar" aria-hidden="true"><rect width="{bar_width(measure["percent"])}%" height="100%"/></svg>'
    percent = f"<strong>{_escape(t.percent(measure['percent']))} %</strong>"
    return f"<div>{title}<dd>{percent} <span>{_escape(of)}</span>{bar}</dd></div>"
