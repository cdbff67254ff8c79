"""The page as it leaves the board: the root figures stand in it before any script runs.

Decides the language, the mode (`?screen`, `?embed`) and what of the newest root is written into the template. Text from
messages and definitions is escaped here and nowhere trusted. The script in static/ draws the same places anew.
"""

from __future__ import annotations

import html
import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from aiohttp import web

from tally_stream.board.answers import Answer, Answers
from tally_stream.board.feed import Feed
from tally_stream.domain.election import Contest, Election
from tally_stream.domain.scalars import format_time

STATIC = Path(__file__).parent / "static"
LANGUAGES = ("en", "az", "es", "ru")
MODES = ("screen", "embed")
PAGES_KEPT = 128
STATES = ("counted", "partial", "held", "annulled", "outstanding")
FLAGS = ("corrected", "recounted", "disputed", "warned")
BAR_MOST = 99.0
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
    "base-uri 'none'; form-action 'none'; frame-ancestors "
)


class Words:
    """One language's catalogue, with its way of writing numbers."""

    def __init__(self, language: str) -> None:
        self.language = language
        self._words: dict[str, str] = json.loads((STATIC / "lang" / f"{language}.json").read_text(encoding="utf-8"))

    def __call__(self, key: str, **values: str) -> str:
        return re.sub(r"\{(\w+)\}", lambda m: values.get(m[1], ""), self._words[key])

    def number(self, value: int | None) -> str:
        return "–" if value is None else f"{value:,}".replace(",", self._words["_group"])

    def counted(self, noun: str, value: int | None) -> str:
        """`1 vote`, `2 votes`."""
        return self(f"_{noun}.{_plural(self.language, value or 0)}", n=self.number(value))

    def percent(self, text: str | None) -> str:
        return "–" if text is None else text.replace(".", self._words["_decimal"])

    def difference(self, text: str | None) -> str:
        """With its sign, as the script writes it."""
        if text is None:
            return ""
        sign = "\u2212" if text.startswith("-") else "+" if text.strip("0.") else ""
        return f"({sign}{self.percent(text.removeprefix('-'))})"


def _plural(language: str, n: int) -> str:
    """The plural form of a whole number, as Intl.PluralRules has it for the page's languages."""
    if language == "ru":
        if n % 10 == 1 and n % 100 != 11:
            return "one"
        return "few" if n % 10 in (2, 3, 4) and n % 100 not in (12, 13, 14) else "many"
    if language == "es" and n and n % 1_000_000 == 0:
        return "many"
    return "one" if n == 1 else "other"


class Pages:
    """Renders `/`, and holds the static files in memory: a path from outside never reaches the disk."""

    def __init__(self, election: Election, feed: Feed) -> None:
        self._election, self._feed = election, feed
        self._template = (STATIC / "index.html").read_text(encoding="utf-8")
        self._words = {language: Words(language) for language in LANGUAGES}
        self._pages = Answers(PAGES_KEPT)
        self._files = {
            path.relative_to(STATIC).as_posix(): Answer(path.read_bytes(), _TYPES[path.suffix])
            for path in STATIC.rglob("*")
            if path.suffix in _TYPES
        }

    def add_to(self, app: web.Application) -> None:
        app.router.add_get("/", self.page)
        app.router.add_get("/static/{name:.+}", self.file)

    async def file(self, request: web.Request) -> web.Response:
        answer = self._files.get(request.match_info["name"])
        if answer is None:
            raise web.HTTPNotFound
        return answer.to(request)

    async def page(self, request: web.Request) -> web.Response:
        query = request.query
        contest = next((c for c in self._election.contests if c.id == query.get("contest")), self._election.contests[0])
        language = self._language(request)
        mode = next((m for m in MODES if m in query), "")
        theme = query.get("theme") if query.get("theme") in ("dark", "light") else ""
        asked = ("page", contest.id, language, mode, theme)
        token = (self._feed.is_caught_up, self._feed.shown[contest.id].version)
        answer = self._pages.get(asked, token) or self._pages.put(
            asked, token, self._render(contest, self._words[language], mode, theme or "")
        )
        policy = POLICY + ("*" if mode == "embed" else "'none'")
        return answer.to(request, {"Content-Security-Policy": policy, "Vary": "Accept-Encoding, Accept-Language"})

    def _language(self, request: web.Request) -> str:
        """`?lang=`, else the first of the browser's that we have, else English."""
        asked = [request.query.get("lang", "")]
        asked += [item.split(";")[0].strip() for item in request.headers.get("Accept-Language", "").split(",")[:20]]
        for tag in asked:
            language = tag.lower().split("-")[0]
            if language in LANGUAGES:
                return language
        return LANGUAGES[0]

    # -- the template's places -------------------------------------------------------------------------------------

    def _render(self, contest: Contest, t: Words, mode: str, theme: str) -> Answer:
        shown = self._feed.shown[contest.id]
        root = shown.root_message if self._feed.is_caught_up else {}
        kept = {"contest": contest.id, **({mode: ""} if mode else {}), **({"theme": theme} if theme else {})}
        places = {
            "lang": t.language,
            "mode": mode,
            "theme": f' data-theme="{theme}"' if theme else "",
            "title": _escape(f"{contest.name} · {self._election.name}"),
            "description": _escape(t("description", election=self._election.name)),
            "contest": _escape(contest.id),
            "contest_name": _escape(contest.name),
            "root": _escape(self._election.root),
            "election": _escape(self._election.name),
            "test": f'<p class="test" role="note">{_escape(t("test"))}</p>' if self._election.phase == "test" else "",
            "languages": "".join(self._language_link(x, t, kept) for x in LANGUAGES),
            "contests": self._contest_links(contest, t.language, mode),
            **self._figures(contest, root, t),
        }

        def place(found: re.Match[str]) -> str:
            name = found[1]
            return _escape(t(name[2:])) if name.startswith("t:") else places[name]

        return Answer(_PLACE.sub(place, self._template).encode(), "text/html; charset=utf-8")

    def _language_link(self, language: str, t: Words, kept: dict[str, str]) -> str:
        name = _escape(self._words[language]("_name"))
        current = ' aria-current="true"' if language == t.language else ""
        query = _escape(urlencode({**kept, "lang": language}))
        return f'<li><a href="/?{query}" lang="{language}" hreflang="{language}"{current}>{name}</a></li>'

    def _contest_links(self, contest: Contest, language: str, mode: str) -> str:
        if len(self._election.contests) == 1:
            return ""
        items = []
        for one in self._election.contests:
            current = ' aria-current="page"' if one.id == contest.id else ""
            query = _escape(urlencode({"contest": one.id, "lang": language, **({mode: ""} if mode else {})}))
            items.append(f'<li><a href="/?{query}"{current}>{_escape(one.name)}</a></li>')
        return f'<ul class="contests">{"".join(items)}</ul>'

    def _figures(self, contest: Contest, root: dict[str, Any], t: Words) -> dict[str, str]:
        if not root:
            names = ("hold", "leaders", "base", "measures", "states", "outcome", "polls_head", "polls", "source")
            return {**dict.fromkeys(names, ""), "polls_hidden": " hidden", "line": f"<span>{_escape(t('empty'))}</span>"}
        return {
            "line": self._line(root, t),
            "hold": f'<p class="hold">{_escape(t("hold"))}</p>' if root["on_hold"] else "",
            "leaders": "".join(self._leader(contest, c, t) for c in root["candidates"]),
            "base": _escape(_base(contest, root, t)),
            "measures": "".join(_measure(name, root["progress"][name], t) for name in MEASURES),
            "states": "".join(
                f"<div><dt>{_escape(name)}</dt><dd>{_escape(value)}</dd></div>" for name, value in _states(root, t)
            ),
            "outcome": _outcome(contest, root, t),
            **_polls(root, t),
            "source": _escape(
                t("source", version=t.number(root["version"]), topic=root["provenance"]["topic"],
                  offsets=", ".join(f"{p}: {o}" for p, o in root["provenance"]["next_offsets"].items()),
                  definition=root["definition"])
            ),
        }  # fmt: skip

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

    def _leader(self, contest: Contest, c: dict[str, Any], t: Words) -> str:
        party = next((x.party for x in contest.candidates if x.id == c["id"]), None)
        under = f' <span class="party"><bdi>{_escape(party)}</bdi></span>' if party else ""
        width = _bar_width(c["share"])
        half = '<line x1="50%" x2="50%" y1="0" y2="100%"/>' if contest.rule == "majority" else ""
        bar = f'<svg class="bar" aria-hidden="true"><rect width="{width}%" height="100%"/>{half}</svg>'
        rank = "" if c["rank"] is None else c["rank"]
        lead = ' class="first"' if c["rank"] == 1 else ""
        return (
            f'<tr{lead} data-key="{_escape(c["id"])}"><td class="rank">{rank}</td>'
            f'<th scope="row"><bdi>{_escape(c["name"])}</bdi>{under}{bar}</th>'
            f'<td class="n">{t.number(c["votes"])}</td><td class="n share">{_escape(t.percent(c["share"]))}</td></tr>'
        )


def _bar_width(percent: str | None) -> str:
    """What is not whole never looks full, however little is missing. A picture, not a figure."""
    width = float(percent or 0)
    return f"{width if width >= 100 else min(width, BAR_MOST):g}"


def _base(contest: Contest, root: dict[str, Any], t: Words) -> str:
    valid = root["ballots"]["valid"]
    base = (
        t("base.unknown")
        if valid is None
        else t("base", valid=t.number(valid), method=t("method." + root["rounding"]["method"]))
    )
    return f"{base} {t('half')}" if contest.rule == "majority" else base


def _states(root: dict[str, Any], t: Words) -> list[tuple[str, str]]:
    """Every station in its one state; then what else is to be known of some of them; then turnout and invalid ballots."""
    rows = [(t(f"state.{name}"), t.number(root["stations"][name])) for name in STATES]
    flags = root["flags"]
    besides = {name: flags[name] for name in FLAGS} | {"waiting": flags["held"] - root["stations"]["held"]}
    rows += [(t(f"state.{name}"), t.number(count)) for name, count in besides.items() if count > 0]
    if root["turnout"]:
        rows.append((t("state.turnout"), f"{t.percent(root['turnout']['percent'])} %"))
    if root["ballots"]["invalid"] is not None:
        rows.append((t("state.invalid"), t.number(root["ballots"]["invalid"])))
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
    bar = f'<svg class="bar" aria-hidden="true"><rect width="{_bar_width(measure["percent"])}%" height="100%"/></svg>'
    percent = f"<strong>{_escape(t.percent(measure['percent']))} %</strong>"
    return f"<div>{title}<dd>{percent} <span>{_escape(of)}</span>{bar}</dd></div>"


def _outcome(contest: Contest, root: dict[str, Any], t: Words) -> str:
    outcome = root["outcome"]
    if outcome is None:
        return ""
    bound = outcome["outstanding_bound"]
    key = f"outcome.{outcome['state']}"
    if outcome["state"] == "undecided" and bound is None:
        key += ".unknown"
    name = next((c.name for c in contest.candidates if c.id == outcome["leader"]), "")
    text = t(key, leader=name, lead=t.counted("votes", outcome["lead"]), bound=t.counted("ballots", bound))
    return f'<p class="outcome">{_escape(text)}</p><p class="note">{_escape(t("outcome.note"))}</p>'
