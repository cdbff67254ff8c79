"""The JSON endpoints: what each answers, and what it refuses.

Decides the public shape of everything but a standings message, which is served as it was published; and that no list is
longer than a page of it: an election may have 20,000 contests and 100,000 areas. The page asks the same endpoints as
everybody else. `openapi.py` describes them; docs/board.md is the page for people.
"""

from __future__ import annotations

from typing import Any

import msgspec
from aiohttp import web

from tally_stream.board.addresses import area_path, group_path, page_path
from tally_stream.board.answers import Answer, Answers, json_answer
from tally_stream.board.area_rows import SORTS, AreaRows, Asked
from tally_stream.board.changes import without_figures
from tally_stream.board.feed import Feed
from tally_stream.board.groups import PARTIES_MAX, ContestOfGroup, Groups
from tally_stream.board.places import Places
from tally_stream.board.shown import ContestShown, Published, as_of_ms
from tally_stream.board.stations import Stations
from tally_stream.domain.contest import Contest, Majority
from tally_stream.domain.scalars import format_time
from tally_stream.export.outcome_words import decimal_text
from tally_stream.wire.search import WORDS_MAX_CHARS

ANSWERS_KEPT = 512
HISTORY_TAIL_POINTS = 100
"""What is new to a page that asks again. Whoever lacks more is given all of it, which is made once for all who ask."""

CHANGES_PAGE_MAX = 500
CHANGES_PAGE = 100
STATIONS_PAGE_MAX = 2_000
STATIONS_PAGE = 500
AREAS_PAGE_MAX = 1_000
AREAS_PAGE = 100
CONTESTS_PAGE_MAX = 500
CONTESTS_PAGE = 100
FROM_MAX = 1_000_000
RETRY_SECONDS = 2


class Refused(Exception):
    """A request that has no answer: status and one sentence, sent as `{"error": …}`."""

    def __init__(self, status: int, sentence: str, **more: object) -> None:
        super().__init__(sentence)
        self.status = status
        self.content: dict[str, object] = {"error": sentence, **more}


class Api:
    """Handlers over a feed and the stations; `add_to` puts them on an application."""

    def __init__(self, places: Places, rows: AreaRows, feed: Feed, stations: Stations) -> None:
        self._places, self._rows, self._feed, self._stations = places, rows, feed, stations
        self._election = places.election
        self._groups = Groups(places, feed)
        self._answers = Answers(ANSWERS_KEPT)

    def add_to(self, app: web.Application) -> None:
        for path, handler in (
            ("/api/v1/contests", self.contests),
            ("/api/v1/contests/{contest}", self.contest),
            ("/api/v1/groups", self.groups),
            ("/api/v1/groups/{group}", self.group),
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

    def published(self, contest: str, area: str) -> Published:
        """What is shown of an area of a contest. A contest has only the areas of its own stations."""
        shown = self.shown(contest)
        published = shown.of(None if area == self._election.root else area)
        if published is None:
            self._refuse_no_area(area)
            raise Refused(404, f"{contest} has no standings of {area!r}: no polling station there votes in it")
        return published

    def _refuse_no_area(self, area: str) -> None:
        if not self._places.is_area(area):
            raise Refused(404, f"there is no published area {area!r}")

    def _area(self, request: web.Request) -> str:
        return request.match_info.get("area", self._election.root)

    def _contest_asked(self, request: web.Request) -> str:
        return request.query.get("contest") or self._election.contests[0].id

    # -- standings -------------------------------------------------------------------------------------------------

    async def contests(self, request: web.Request) -> web.Response:
        """A page of them. Never kept: whoever has it is told so by its digest, and it is soon made."""
        self._refuse_while_behind()
        begin, limit = _page_of(request, CONTESTS_PAGE, CONTESTS_PAGE_MAX)
        found = self._places.found_contests(_words(request))
        content = {
            **self._definition(),
            "found": len(found),
            "contests": [self._line_of(contest) for contest in found[begin : begin + limit]],
        }
        return json_answer(content).to(request)

    async def contest(self, request: web.Request) -> web.Response:
        """One, with its candidates: what a page of it needs before the first figures."""
        contest = self._places.contests.get(request.match_info["contest"])
        if contest is None:
            raise Refused(404, f"there is no contest {request.match_info['contest']!r}")
        self._refuse_while_behind()
        asked, token = ("contest", contest.id), self._feed.shown[contest.id].version
        answer = self._answers.get(asked, token)
        if answer is None:
            of_contest = {
                **self._line_of(contest),
                "majority_base": contest.majority_base if contest.majority else None,
                "majority": majority_of(contest.majority),
                "rounding": {"method": contest.rounding.method, "places": contest.rounding.places},
                **ballot_of(contest),
                "candidates": [
                    {"id": x.id, "name": x.name, "party": x.party, "eligible": x.eligible, "color": x.color}
                    for x in contest.candidates
                ],
            }
            answer = self._answers.put(asked, token, json_answer({**self._definition(), "contest": of_contest}))
        return answer.to(request)

    def _definition(self) -> dict[str, Any]:
        """The election as a reader needs it; exit polls are not in it, they have times of their own. `root_seconds`: a
        root that did not change is sent again within that time, so three times that without one means silence."""
        e = self._election
        return {
            "election": e.id,
            "name": e.name,
            "phase": e.phase,
            "definition": e.digest,
            "polls_close": format_time(e.polls_close_ms),
            "root": e.root,
            "root_name": e.root_name,
            "root_seconds": round(self._feed.root_seconds),
            "levels": list(e.levels),
            "publish_depth": e.publish_depth,
            "station_count": len(e.stations),
            "contest_count": len(e.contests),
            "bound_register_percent": decimal_text(e.checks.bound_register_percent),
        }

    def _line_of(self, contest: Contest) -> dict[str, Any]:
        shown = self._feed.shown[contest.id]
        return {
            "id": contest.id,
            "name": contest.name,
            "seats": contest.seats,
            "rule": contest.rule,
            "version": None if shown.root is None else shown.version,
            "status": shown.root_message.get("status"),
            "as_of": shown.root_message.get("as_of"),
            "standings": f"/api/v1/standings/{contest.id}",
            "page": page_path(contest.id),
        }

    async def groups(self, request: web.Request) -> web.Response:
        """A page of the groups whose seats are looked at together."""
        self._refuse_while_behind()
        begin, limit = _page_of(request, CONTESTS_PAGE, CONTESTS_PAGE_MAX)
        names = list(self._groups.all)
        lines = [{**_group_line(name), "contests": len(self._groups.all[name])} for name in names[begin : begin + limit]]
        return json_answer({"found": len(names), "groups": lines}).to(request)

    async def group(self, request: web.Request) -> web.Response:
        """Its seats by party, and a page of its contests."""
        self._refuse_while_behind()
        group = request.match_info["group"]
        if group not in self._groups.all:
            raise Refused(404, f"there is no group {group!r}")
        begin, limit = _page_of(request, CONTESTS_PAGE, CONTESTS_PAGE_MAX)
        asked, token = ("group", group, begin, limit), self._groups.token(group)
        answer = self._answers.get(asked, token)
        if answer is None:
            shown = self._groups.shown(group)
            content = {
                **_group_line(group), "seats": shown.seats, "majority": shown.majority, "now": shown.now,
                "certain": shown.certain, "as_of": shown.as_of, "party_count": len(shown.parties),
                "parties": [
                    {"party": x.party, "now": x.now, "certain": x.certain, "color": x.color}
                    for x in shown.parties[:PARTIES_MAX]
                ],
                "found": len(shown.contests),
                "contests": [self._line_in_group(row) for row in self._groups.contests(group, begin, limit)],
            }  # fmt: skip
            answer = self._answers.put(asked, token, json_answer(content))
        return answer.to(request)

    def _line_in_group(self, row: ContestOfGroup) -> dict[str, Any]:
        stations = row.root["progress"]["stations"] if row.root else None
        figures = {"seats_to_share": row.seats, "now": row.now, "certain": row.certain, "stations": stations}
        return {**self._line_of(row.contest), **figures}

    async def standings(self, request: web.Request) -> web.Response:
        contest, area = request.match_info["contest"], self._area(request)
        published = self.published(contest, area)
        asked = ("standings", contest, area)
        answer = self._answers.get(asked, published) or self._answers.put(
            asked, published, Answer(published.value, "application/json", as_of_ms(published))
        )
        return answer.to(request)

    async def areas(self, request: web.Request) -> web.Response:
        contest, area = request.match_info["contest"], self._area(request)
        self.published(contest, area)
        shown, query = self._feed.shown[contest], request.query
        sort, order = query.get("sort", SORTS[0]), query.get("order", "asc")
        if sort not in SORTS or order not in ("asc", "desc"):
            raise Refused(400, f"sort is one of {', '.join(SORTS)}; order is asc or desc")
        question = Asked(
            area, _words(request), sort, order == "desc",
            _count(query.get("from"), 0, FROM_MAX, "from", least=0),
            _count(query.get("limit"), AREAS_PAGE, AREAS_PAGE_MAX, "limit"),
        )  # fmt: skip
        asked, token = ("areas", contest, question), shown.areas_taken if question.words else shown.taken_below(area)
        answer = self._answers.get(asked, token)
        if answer is None:
            rows, count = self._rows.page(contest, shown, question)
            content = {
                "contest": contest,
                "area": area,
                "trail": self._trail(area),
                "found": count,
                "areas": [
                    {
                        **msgspec.to_builtins(row),
                        "standings": f"/api/v1/standings/{contest}/{area_path(row.area)}",
                        "page": page_path(contest, row.area),
                    }
                    for row in rows
                ],
            }
            answer = self._answers.put(asked, token, json_answer(content))
        return answer.to(request)

    def _trail(self, area: str) -> list[dict[str, str]]:
        return [{"area": one, "name": self._places.name(one)} for one in self._places.trail(area)]

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
        ledger, is_told = self._feed.ledger, self._feed.tells_changes(contest)
        asked = ("changes", contest, area, station, limit, before)
        token = (ledger.taken(contest, area), is_told)
        answer = self._answers.get(asked, token)
        if answer is None:
            found = ledger.page(contest=contest, area=area, station=station, before=before, limit=limit) if is_told else []
            content = {
                "changes": [msgspec.Raw(line.value) for line in found],
                "count": len(found),
                "limit": limit,
                "names": {line.area: self._places.path(line.area) for line in found},
            }
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
        self._refuse_no_area(area)
        limit = _count(request.query.get("limit"), STATIONS_PAGE, STATIONS_PAGE_MAX, "limit")
        words = _words(request)
        self._refuse_while_folding()
        index = self._election.contest_index(contest)
        assert index is not None, "it is shown"
        rows, has_more = self._stations.of_area(
            index, area, request.query.get("after") or "", limit, hides_counts=shown.is_before_the_close, words=words
        )
        found = len(self._stations.found(index, area, words))
        content = {"contest": contest, "area": area, "found": found, "stations": rows, "has_more": has_more}
        return json_answer(content).to(request)

    async def station(self, request: web.Request) -> web.Response:
        station = request.match_info["station"]
        if station not in self._election.stations:
            raise Refused(404, f"there is no polling station {station!r}")
        self._refuse_while_behind()
        self._refuse_while_folding()
        found = self._stations.one(station, lambda contest: self._feed.shown[contest].is_before_the_close)
        assert found is not None, "it is in the election"
        return json_answer({**found, "trail": self._trail(found["area"])}).to(request)


def majority_of(m: Majority | None) -> dict[str, Any] | None:
    if m is None:
        return None
    return {
        "percent": decimal_text(m.percent),
        "at_least": m.at_least,
        "or_percent": None if m.or_percent is None else decimal_text(m.or_percent),
        "or_lead_percent": None if m.or_lead_percent is None else decimal_text(m.or_lead_percent),
    }


def ballot_of(contest: Contest) -> dict[str, Any]:
    """What the rules say of its ballots, seats and referendum; null where the contest has no such thing."""
    a, q, d = contest.allocation, contest.quorum, contest.double_majority
    allocation = None if a is None else {
        "method": a.method, "threshold_percent": decimal_text(a.threshold_percent), "threshold_base": a.threshold_base,
        "exempt": list(a.exempt), "tie": a.tie,
    }  # fmt: skip
    return {
        "votes_per_ballot": contest.votes_per_ballot,
        "group": contest.group,
        "allocation": allocation,
        "combinations": [list(together) for together in contest.combinations],
        "approval": contest.approval,
        "quorum": None if q is None else {"percent": decimal_text(q.percent), "of": q.of, "more_than": q.more_than},
        "double_majority": None if d is None else {"level": d.level, "half": list(d.half)},
    }


def _words(request: web.Request) -> str:
    """What is searched for; \"\" where nothing is."""
    words = request.query.get("q", "")
    if len(words) > WORDS_MAX_CHARS:
        raise Refused(400, f"q has at most {WORDS_MAX_CHARS} characters")
    return words.strip()


def _version(text: str | None) -> int:
    """The version that the asker has; −1 where it says none."""
    if text is None:
        return -1
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        raise Refused(400, "after is the version of the newest point you have: a whole number")
    return int(text)


def _count(text: str | None, default: int, most: int, name: str, least: int = 1) -> int:
    if text is None:
        return default
    if not (text.isascii() and text.isdigit() and len(text) < 10 and least <= int(text) <= most):
        raise Refused(400, f"{name} is a whole number from {least} to {most}")
    return int(text)


def _page_of(request: web.Request, default: int, most: int) -> tuple[int, int]:
    """Where a page of a list begins, and how long it is."""
    query = request.query
    return _count(query.get("from"), 0, FROM_MAX, "from", least=0), _count(query.get("limit"), default, most, "limit")


def _group_line(group: str) -> dict[str, str]:
    path = group_path(group)
    return {"group": group, "seats_of_parties": f"/api/v1{path.replace('/group/', '/groups/', 1)}", "page": path}


def _place(text: str | None) -> tuple[int, int, int] | None:
    """`timestamp,partition,offset` of the last change that was received."""
    if text is None:
        return None
    parts = text.split(",")
    if len(parts) != 3 or not all(p.isascii() and p.isdigit() and len(p) < 19 for p in parts):
        raise Refused(400, "before is timestamp,partition,offset of a change: three whole numbers")
    return int(parts[0]), int(parts[1]), int(parts[2])
