"""The JSON endpoints: what each answers, and what it refuses.

Decides the public shape of everything but a standings message, which is served as it was published. The page asks the
same endpoints as everybody else. `openapi.py` describes them; docs/board.md is the page for people.
"""

from __future__ import annotations

from typing import Any

import msgspec
from aiohttp import web

from tally_stream.board.answers import Answer, Answers, json_answer
from tally_stream.board.changes import without_figures
from tally_stream.board.feed import Feed
from tally_stream.board.shown import ContestShown, as_of_ms
from tally_stream.board.stations import Stations
from tally_stream.domain.election import Election
from tally_stream.domain.scalars import format_time

ANSWERS_KEPT = 512
HISTORY_TAIL_POINTS = 100
"""What is new to a page that asks again. Whoever lacks more is given all of it, which is made once for all who ask."""

CHANGES_PAGE_MAX = 500
CHANGES_PAGE = 100
STATIONS_PAGE_MAX = 2_000
STATIONS_PAGE = 500
SEARCH_MAX_CHARS = 64
RETRY_SECONDS = 2


class Refused(Exception):
    """A request that has no answer: status and one sentence, sent as `{"error": …}`."""

    def __init__(self, status: int, sentence: str, **more: object) -> None:
        super().__init__(sentence)
        self.status = status
        self.content: dict[str, object] = {"error": sentence, **more}


class Api:
    """Handlers over a feed and the stations; `add_to` puts them on an application."""

    def __init__(self, election: Election, feed: Feed, stations: Stations) -> None:
        self._election, self._feed, self._stations = election, feed, stations
        self._answers = Answers(ANSWERS_KEPT)
        self._names = {election.root: election.root_name, **dict(election.area_names)}
        self._under: dict[str, list[str]] = {}
        for area in election.areas:
            if area.parent is not None:
                self._under.setdefault(election.areas[area.parent].id, []).append(area.id)
        self._areas = {area.id for area in election.areas}

    def add_to(self, app: web.Application) -> None:
        for path, handler in (
            ("/api/v1/contests", self.contests),
            ("/api/v1/standings/{contest}", self.standings),
            ("/api/v1/standings/{contest}/{area:.+}", self.standings),
            ("/api/v1/areas/{contest}", self.areas),
            ("/api/v1/areas/{contest}/{area:.+}", self.areas),
            ("/api/v1/history/{contest}", self.history),
            ("/api/v1/changes", self.changes),
            ("/api/v1/rejections", self.rejections),
            ("/api/v1/stations", self.stations),
            ("/api/v1/stations/{station}", self.station),
        ):
            app.router.add_get(path, handler)

    # -- what is asked for -----------------------------------------------------------------------------------------

    def shown(self, contest: str) -> ContestShown:
        """The contest by its id, once the board may show it."""
        shown = self._feed.shown.get(contest)
        if shown is None:
            raise Refused(404, f"there is no contest {contest!r}")
        self._refuse_while_behind()
        if shown.root is None:
            raise Refused(503, "no standings were published yet")
        return shown

    def _refuse_while_behind(self) -> None:
        if not self._feed.is_caught_up:
            raise Refused(503, "the board is still reading what was published before it started")

    def _area(self, request: web.Request) -> str:
        area = request.match_info.get("area", self._election.root)
        if area not in self._areas:
            raise Refused(404, f"there is no published area {area!r}")
        return area

    def _contest_asked(self, request: web.Request) -> str:
        return request.query.get("contest") or self._election.contests[0].id

    def name(self, area: str) -> str:
        """The area's name, else the last part of its id."""
        return self._names.get(area) or area.rsplit("/", 1)[-1]

    # -- standings -------------------------------------------------------------------------------------------------

    async def contests(self, request: web.Request) -> web.Response:
        self._refuse_while_behind()
        token = tuple(shown.version for shown in self._feed.shown.values())
        asked = ("contests",)
        answer = self._answers.get(asked, token) or self._answers.put(asked, token, json_answer(self.definition()))
        return answer.to(request)

    def definition(self) -> dict[str, Any]:
        """The election as the page needs it; exit polls are not in it, they have times of their own."""
        e = self._election
        return {
            "election": e.id,
            "name": e.name,
            "phase": e.phase,
            "definition": e.digest,
            "polls_close": format_time(e.polls_close_ms),
            "root": e.root,
            "root_name": e.root_name,
            "levels": list(e.levels),
            "publish_depth": e.publish_depth,
            "station_count": len(e.stations),
            "contests": [
                {
                    "id": c.id,
                    "name": c.name,
                    "seats": c.seats,
                    "rule": c.rule,
                    "majority_base": c.majority_base,
                    "rounding": {"method": c.rounding.method, "places": c.rounding.places},
                    "candidates": [{"id": x.id, "name": x.name, "party": x.party} for x in c.candidates],
                    "version": None if (shown := self._feed.shown[c.id]).root is None else shown.version,
                    "status": shown.root_message.get("status"),
                    "as_of": shown.root_message.get("as_of"),
                    "standings": f"/api/v1/standings/{c.id}",
                }
                for c in e.contests
            ],
        }

    async def standings(self, request: web.Request) -> web.Response:
        contest = request.match_info["contest"]
        shown = self.shown(contest)
        area = self._area(request)
        published = shown.root if area == self._election.root else shown.areas.get(area)
        if published is None:
            raise Refused(503, f"no standings of {area} were published yet")
        asked = ("standings", contest, area)
        answer = self._answers.get(asked, published) or self._answers.put(
            asked, published, Answer(published.value, "application/json", as_of_ms(published))
        )
        return answer.to(request)

    async def areas(self, request: web.Request) -> web.Response:
        contest = request.match_info["contest"]
        shown = self.shown(contest)
        area = self._area(request)
        asked, token = ("areas", contest, area), shown.areas_taken
        answer = self._answers.get(asked, token) or self._answers.put(
            asked, token, json_answer(self._areas_under(contest, shown, area))
        )
        return answer.to(request)

    def _areas_under(self, contest: str, shown: ContestShown, area: str) -> dict[str, Any]:
        root, *parts = area.split("/")
        trail = [root] + ["/".join([root, *parts[: n + 1]]) for n in range(len(parts))]
        return {
            "contest": contest,
            "area": area,
            "trail": [{"area": a, "name": self.name(a)} for a in trail],
            "areas": [
                {
                    "area": a,
                    "name": self.name(a),
                    "has_areas": a in self._under,
                    "standings": msgspec.Raw(shown.areas[a].value) if a in shown.areas else None,
                }
                for a in self._under.get(area, [])
            ],
        }

    async def history(self, request: web.Request) -> web.Response:
        contest = request.match_info["contest"]
        shown = self.shown(contest)
        after = _version(request.query.get("after"))
        points = shown.history.since(after)
        if len(points) > HISTORY_TAIL_POINTS:
            points = shown.history.since(-1)
        asked, token = ("history", contest, points[0].version if points else None), shown.version
        answer = self._answers.get(asked, token)
        if answer is None:
            content = {"contest": contest, "points": [msgspec.Raw(point.value) for point in points]}
            answer = self._answers.put(asked, token, json_answer(content))
        return answer.to(request)

    # -- ledger ----------------------------------------------------------------------------------------------------

    async def changes(self, request: web.Request) -> web.Response:
        self._refuse_while_behind()
        query = request.query
        contest, area, station = query.get("contest"), query.get("area"), query.get("station")
        limit = _count(query.get("limit"), CHANGES_PAGE, CHANGES_PAGE_MAX, "limit")
        before = _place(query.get("before"))
        open_contests = [id for id, shown in self._feed.shown.items() if not shown.is_before_the_close]
        asked = ("changes", contest, area, station, limit, before)
        token = (self._feed.ledger.taken_count, len(open_contests))
        answer = self._answers.get(asked, token)
        if answer is None:
            # A trial report's correction would give away trial figures.
            lines = (
                self._feed.ledger.page(contest=contest, area=area, station=station, before=before, limit=limit)
                if (contest in open_contests if contest else len(open_contests) == len(self._feed.shown))
                else []
            )
            content = {"changes": [msgspec.Raw(line) for line in lines], "count": len(lines), "limit": limit}
            answer = self._answers.put(asked, token, json_answer(content))
        return answer.to(request)

    async def rejections(self, request: web.Request) -> web.Response:
        self._refuse_while_behind()
        refusals = self._feed.refusals
        # A rejection names no contest; the figures it compares are those of a report, and so are those in its bytes.
        hides_figures = any(shown.is_before_the_close for shown in self._feed.shown.values())
        asked, token = ("rejections",), (sum(refusals.verdicts.values()), hides_figures)
        answer = self._answers.get(asked, token)
        if answer is None:
            newest = [without_figures(line) if hides_figures else line for line in refusals.newest()]
            content = {"verdicts": dict(refusals.verdicts), "codes": dict(refusals.codes), "newest": newest}
            answer = self._answers.put(asked, token, json_answer(content))
        return answer.to(request)

    # -- stations --------------------------------------------------------------------------------------------------

    def _refuse_while_folding(self) -> None:
        if self._stations.failure is not None:
            raise Refused(503, f"the stations can't be shown: {self._stations.failure}")
        if not self._stations.is_caught_up:
            raise Refused(503, "the board is still reading the report log", **self._stations.progress)

    async def stations(self, request: web.Request) -> web.Response:
        contest = self._contest_asked(request)
        shown = self.shown(contest)
        area = request.query.get("area") or self._election.root
        if area not in self._areas:
            raise Refused(404, f"there is no published area {area!r}")
        limit = _count(request.query.get("limit"), STATIONS_PAGE, STATIONS_PAGE_MAX, "limit")
        words = request.query.get("q", "")
        if len(words) > SEARCH_MAX_CHARS:
            raise Refused(400, f"q has at most {SEARCH_MAX_CHARS} characters")
        self._refuse_while_folding()
        index = self._election.contest_index(contest)
        assert index is not None, "it is shown"
        rows, has_more = self._stations.of_area(
            index, area, request.query.get("after") or "", limit, hides_counts=shown.is_before_the_close, words=words
        )
        content = {"contest": contest, "area": area, "stations": rows, "has_more": has_more}
        return json_answer(content).to(request)

    async def station(self, request: web.Request) -> web.Response:
        station = request.match_info["station"]
        if station not in self._election.stations:
            raise Refused(404, f"there is no polling station {station!r}")
        self._refuse_while_behind()
        self._refuse_while_folding()
        found = self._stations.one(station, lambda contest: self._feed.shown[contest].is_before_the_close)
        return json_answer(found).to(request)


def _version(text: str | None) -> int:
    """The version that the asker has; −1 where it says none."""
    if text is None:
        return -1
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        raise Refused(400, "after is the version of the newest point you have: a whole number")
    return int(text)


def _count(text: str | None, default: int, most: int, name: str) -> int:
    if text is None:
        return default
    if not (text.isascii() and text.isdigit() and len(text) < 10 and 1 <= int(text) <= most):
        raise Refused(400, f"{name} is a whole number from 1 to {most}")
    return int(text)


def _place(text: str | None) -> tuple[int, int, int] | None:
    """`timestamp,partition,offset` of the last change that was received."""
    if text is None:
        return None
    parts = text.split(",")
    if len(parts) != 3 or not all(p.isascii() and p.isdigit() and len(p) < 19 for p in parts):
        raise Refused(400, "before is timestamp,partition,offset of a change: three whole numbers")
    return int(parts[0]), int(parts[1]), int(parts[2])
