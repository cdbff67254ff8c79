"""The endpoints in OpenAPI 3.1, for programs; docs/board.md says the same for people.

Decides nothing: a test asks every endpoint what stands here. Messages that are served as they were published are
described as far as a reader of the board needs; every field of theirs is in docs/wire-format.md.
"""

from __future__ import annotations

from typing import Any

from tally_stream import __version__
from tally_stream.board.api import (
    AREAS_PAGE,
    AREAS_PAGE_MAX,
    CHANGES_PAGE,
    CHANGES_PAGE_MAX,
    CONTESTS_PAGE,
    CONTESTS_PAGE_MAX,
    FROM_MAX,
    HISTORY_TAIL_POINTS,
    STATIONS_PAGE,
    STATIONS_PAGE_MAX,
)
from tally_stream.board.area_rows import SORTS
from tally_stream.board.described import ASYNCAPI, SCHEMAS
from tally_stream.board.history import HISTORY_MAX_CANDIDATES
from tally_stream.domain.election import Election
from tally_stream.export.group_seats import groups_of
from tally_stream.wire.schema.documents import schemas
from tally_stream.wire.search import WORDS_MAX_CHARS

Schema = dict[str, Any]

TEXT: Schema = {"type": "string"}
COUNT: Schema = {"type": "integer", "minimum": 0}
WHOLE: Schema = {"type": "integer"}
FLAG: Schema = {"type": "boolean"}
MEASURE: Schema = {
    "type": ["object", "null"],
    "description": "null: not known. `percent` is below 100 while anything is outstanding.",
    "properties": {"done": COUNT, "of": COUNT, "percent": TEXT},
    "required": ["done", "of", "percent"],
}
PROGRESS: Schema = {
    "type": "object",
    "properties": {"stations": MEASURE, "registered": MEASURE, "ballots": MEASURE},
    "required": ["stations", "registered", "ballots"],
}


def _or_null(schema: Schema) -> Schema:
    return {"anyOf": [schema, {"type": "null"}]}


def _object(**properties: Schema) -> Schema:
    return {"type": "object", "properties": properties, "required": list(properties)}


def _list(items: Schema) -> Schema:
    return {"type": "array", "items": items}


def _ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def _schemas() -> dict[str, Schema]:
    counts = _object(
        revision=COUNT, kind=TEXT, complete=FLAG, counted_at=_or_null(TEXT), registered=_or_null(COUNT),
        ballots=_object(cast=_or_null(COUNT), valid=COUNT, blank=_or_null(COUNT), invalid=_or_null(COUNT)),
        votes={"type": "object", "additionalProperties": COUNT}, reason=_or_null(TEXT), authority=_or_null(TEXT),
    )  # fmt: skip
    standing = {
        "contest": TEXT, "state": {"enum": ["counted", "partial", "held", "annulled", "outstanding"]},
        "revision": _or_null(COUNT), "in_force": _or_null(_ref("Counts")), "remembered": _or_null(_ref("Counts")),
        "held": _or_null(_ref("Counts")), "is_disputed": FLAG, "is_warned": FLAG, "replaced_by": _or_null(TEXT),
    }  # fmt: skip
    source = _object(topic=TEXT, partition=COUNT, offset=COUNT, timestamp=WHOLE)
    definition = {
        "election": TEXT, "name": TEXT, "phase": TEXT, "definition": TEXT, "polls_close": TEXT, "root": TEXT,
        "root_name": TEXT, "root_seconds": COUNT, "levels": _list(TEXT), "publish_depth": COUNT, "station_count": COUNT,
        "contest_count": COUNT,
        "bound_register_percent": {
            **TEXT, "description": "The most ballots that a station may bring, per cent of its register.",
        },
    }  # fmt: skip
    contest_line = {
        "id": TEXT, "name": TEXT, "seats": COUNT, "rule": TEXT, "version": _or_null(COUNT), "status": _or_null(TEXT),
        "as_of": _or_null(TEXT), "standings": TEXT, "page": TEXT,
    }  # fmt: skip
    group_line = {"group": TEXT, "seats_of_parties": TEXT, "page": TEXT}
    majority = {
        **_object(percent=TEXT, at_least=FLAG, or_percent=_or_null(TEXT), or_lead_percent=_or_null(TEXT)),
        "description": "What wins: more than `percent` of the base (`at_least`: that much is enough), or `or_percent` of it "
        "with a lead of `or_lead_percent`. null: the contest has another rule.",
    }
    allocation = {
        **_object(method=TEXT, threshold_percent=TEXT, threshold_base=TEXT, exempt=_list(TEXT), tie=TEXT),
        "description": "How seats are shared out. null: the contest has another rule.",
    }
    ballot = {
        "votes_per_ballot": COUNT, "group": _or_null(TEXT), "allocation": _or_null(allocation),
        "combinations": _list(_list(TEXT)), "approval": _or_null(TEXT),
        "quorum": _or_null(_object(percent=TEXT, of=TEXT, more_than=FLAG)),
        "double_majority": _or_null(_object(level=TEXT, half=_list(TEXT))),
    }  # fmt: skip
    seats = {
        **_object(now=COUNT, certain=COUNT),
        "description": "On the root of a proportional contest: what its votes give so far, and what can not be lost any more.",
    }
    return {
        "Error": {
            **_object(error=TEXT),
            "description": "One sentence. `read` and `of`: records of the report log, while it is being read.",
        },
        "Standings": _object(
            schema=WHOLE, election=TEXT, phase={"enum": ["official", "test"]}, definition=TEXT, contest=TEXT, area=TEXT,
            version=COUNT, status=TEXT, on_hold=FLAG, as_of=_or_null(TEXT),
            stations={"type": "object", "additionalProperties": COUNT}, flags={"type": "object", "additionalProperties": COUNT},
            progress=PROGRESS, turnout={"type": ["object", "null"]},
            ballots={"type": "object", "additionalProperties": _or_null(COUNT)},
            candidates=_list(
                _object(
                    id=TEXT, name=TEXT, votes=_or_null(COUNT), share=_or_null(TEXT), rank=_or_null(COUNT), seats=_or_null(seats)
                )
            ),
            voted=_or_null(_object(done=COUNT, of=_or_null(COUNT), percent=_or_null(TEXT), stations=COUNT)),
            channels={"type": ["array", "null"]},
            rounding={"type": "object"}, outcome={"type": ["object", "null"]}, exit_polls={"type": ["array", "null"]},
            provenance=_object(topic=TEXT, next_offsets={"type": "object", "additionalProperties": COUNT}),
        ),
        "Contests": _object(**definition, found=COUNT, contests=_list(_ref("ContestLine"))),
        "ContestLine": _object(**contest_line),
        "Contest": _object(
            **definition,
            contest=_object(
                **contest_line, majority_base=_or_null({"enum": ["valid", "cast"]}), majority=_or_null(majority),
                rounding=_object(method=TEXT, places=COUNT), **ballot,
                candidates=_list(_object(id=TEXT, name=TEXT, party=_or_null(TEXT), eligible=FLAG, color=_or_null(TEXT))),
            ),
        ),
        "Groups": _object(found=COUNT, groups=_list(_object(**group_line, contests=COUNT))),
        "Group": {
            **_object(
                **group_line, seats=COUNT, majority=COUNT, now=COUNT, certain=COUNT, as_of=_or_null(TEXT), party_count=COUNT,
                parties=_list(_object(party=TEXT, now=COUNT, certain=COUNT, color=_or_null(TEXT))), found=COUNT,
                contests=_list(
                    _object(
                        **contest_line, seats_to_share=COUNT, now=_or_null(COUNT), certain=_or_null(COUNT), stations=MEASURE
                    )
                ),
            ),
            "description": "Seats of all its contests by the candidates' party, by name where one has none; the most first. "
            "`now` and `certain` of a contest are null before its polls close.",
        },
        "Areas": _object(
            contest=TEXT, area=TEXT, trail=_list(_object(area=TEXT, name=TEXT)), found=COUNT, areas=_list(_ref("AreaRow")),
        ),
        "AreaRow": {
            **_object(
                area=TEXT, name=TEXT, above=_list(TEXT), has_areas=FLAG, version=COUNT, status=TEXT, stations=MEASURE,
                leader=_or_null(_object(id=TEXT, name=TEXT, votes=COUNT, share=_or_null(TEXT))), lead=_or_null(COUNT),
                valid=_or_null(COUNT), outstanding=COUNT, standings=TEXT, page=TEXT,
            ),
            "description": "What tells one area from another; the whole message is at `standings`. `above`: names of the "
            "areas it lies in; `leader` and `lead` (votes before the next one) are null while nobody has votes.",
        },
        "History": {
            **_object(
                contest=TEXT,
                points=_list(
                    _object(
                        version=COUNT, as_of=_or_null(TEXT), sent=WHOLE, status=TEXT, progress=PROGRESS, valid=_or_null(COUNT),
                        candidates={
                            **_list(_object(id=TEXT, votes=_or_null(COUNT), share=_or_null(TEXT))),
                            "maxItems": HISTORY_MAX_CANDIDATES,
                        },
                    )
                ),
            ),
            "description": f"`candidates` of a point: the first {HISTORY_MAX_CANDIDATES} of the standings of that version, in "
            "their order. Who was not among them then has no figures there.",
        },
        "Changes": _object(
            count=COUNT, limit=COUNT, names={"type": "object", "additionalProperties": TEXT},
            changes=_list(
                _object(
                    schema=WHOLE, contest=TEXT, station=TEXT, area=TEXT, kind=TEXT, from_revision=COUNT, to_revision=COUNT,
                    reason=_or_null(TEXT), authority=_or_null(TEXT),
                    votes_delta={"type": "object", "additionalProperties": WHOLE},
                    ballots_delta={"type": "object", "additionalProperties": _or_null(WHOLE)}, definition=TEXT, source=source,
                )
            ),
        ),
        "Rejections": _object(
            verdicts={"type": "object", "additionalProperties": COUNT},
            codes={"type": "object", "additionalProperties": COUNT},
            newest=_list(
                _object(
                    verdict=TEXT, codes=_list(TEXT), details={"type": "array"}, key=_or_null(TEXT), source=source,
                    value_bytes=_or_null(COUNT), value_sha256=_or_null(TEXT),
                )
            ),
        ),
        "Document": {"type": "object"},
        "Counts": counts,
        "Stations": _object(
            contest=TEXT, area=TEXT, found=COUNT, has_more=FLAG,
            stations=_list(_object(station=TEXT, name=TEXT, registered=_or_null(COUNT), **standing)),
        ),
        "Station": _object(
            station=TEXT, name=TEXT, area=TEXT, path=_list(TEXT), registered=_or_null(COUNT), ballots_expected=_or_null(COUNT),
            partition=COUNT, trail=_list(_object(area=TEXT, name=TEXT)), contests=_list(_object(**standing)),
            statements=_list(
                _object(
                    offset=COUNT, timestamp=WHOLE, revision=_or_null(COUNT), kind=_or_null(TEXT), verdict=TEXT,
                    codes=_list(TEXT),
                )
            ),
        ),
    }  # fmt: skip


def _parameter(name: str, where: str, schema: Schema, text: str) -> Schema:
    return {"name": name, "in": where, "required": where == "path", "schema": schema, "description": text}


def _get(summary: str, schema: str, *parameters: Schema, errors: tuple[int, ...] = (503,)) -> Schema:
    answers: dict[str, Any] = {
        "200": {"description": summary, "content": {"application/json": {"schema": _ref(schema)}}},
        "304": {"description": "You have it: If-None-Match names it. (A time never does: two versions can be of one second.)"},
    }
    words = {400: "A parameter is not what it should be.", 404: "There is no such thing.", 503: "Not read yet: Retry-After."}
    for status in errors:
        answers[str(status)] = {
            "description": words[status], "content": {"application/json": {"schema": _ref("Error")}},
        }  # fmt: skip
    return {"get": {"summary": summary, "parameters": list(parameters), "responses": answers}}


AREA_TEXT = (
    "An area's id: a path, for example AZ/041. Its slashes may stand in the address as they are or as %2F; a client made "
    "from this document sends %2F."
)


def document(election: Election) -> dict[str, Any]:
    """The description for the board of one election: its contests are the examples."""
    example = election.contests[0].id
    contest = _parameter("contest", "path", {**TEXT, "example": example}, "A contest's id.")
    contest_asked = _parameter("contest", "query", {**TEXT, "example": example}, "A contest's id.")
    group = _parameter(
        "group", "path", {**TEXT, **({"example": next(iter(groups_of(election)))} if groups_of(election) else {})},
        "A group, as the definition writes it.",
    )  # fmt: skip
    area = _parameter("area", "path", {**TEXT, "example": election.root}, AREA_TEXT)
    station = _parameter("station", "path", {**TEXT, "example": next(iter(election.stations), "S1")}, "A station's id.")
    area_asked = _parameter("area", "query", {**TEXT, "example": election.root}, "An area's id; all below it are in it.")

    area_streamed = _parameter("area", "query", TEXT, "An area's id: its standings are sent, not the root's.")

    def limit(default: int, most: int) -> Schema:
        schema = {"type": "integer", "minimum": 1, "maximum": most, "default": default}
        return _parameter("limit", "query", schema, "At most this many.")

    words = _parameter(
        "q", "query", {**TEXT, "maxLength": WORDS_MAX_CHARS},
        "Only those whose id or name contains this, in whatever case, with and without accents.",
    )  # fmt: skip
    begin = _parameter(
        "from", "query", {"type": "integer", "minimum": 0, "maximum": FROM_MAX, "default": 0}, "How many to pass over."
    )
    sorting = (
        _parameter("sort", "query", {"enum": list(SORTS), "default": SORTS[0]}, "By which of their figures; area: by name."),
        _parameter("order", "query", {"enum": ["asc", "desc"], "default": "asc"}, "Which way."),
    )
    areas_paged = (words, *sorting, begin, limit(AREAS_PAGE, AREAS_PAGE_MAX))
    newest = "The newest standings, byte for byte as published"
    return {
        "openapi": "3.1.0",
        "info": {
            "title": f"tally-stream board: {election.name}", "version": __version__,
            "description": "Standings as published, their history, the ledger of changes, and every polling station. "
            "No key, no quota; ask with If-None-Match, or listen to /api/v1/stream.",
        },
        "paths": {
            "/api/v1/contests": _get(
                "The election and its contests", "Contests", words, begin, limit(CONTESTS_PAGE, CONTESTS_PAGE_MAX),
                errors=(400, 503),
            ),
            "/api/v1/contests/{contest}": _get(
                "The election and one contest with its candidates", "Contest", contest, errors=(404, 503),
            ),
            "/api/v1/groups": _get(
                "Groups of contests whose seats are looked at together", "Groups", begin,
                limit(CONTESTS_PAGE, CONTESTS_PAGE_MAX), errors=(400, 503),
            ),
            "/api/v1/groups/{group}": _get(
                "The seats of a group by party, and its contests", "Group", group, begin,
                limit(CONTESTS_PAGE, CONTESTS_PAGE_MAX), errors=(400, 404, 503),
            ),
            "/api/v1/standings/{contest}": _get(f"{newest}: the whole", "Standings", contest, errors=(404, 503)),
            "/api/v1/standings/{contest}/{area}": _get(f"{newest}: one area", "Standings", contest, area, errors=(404, 503)),
            "/api/v1/areas/{contest}": _get(
                "The areas directly below the root; with q those of any level", "Areas", contest, *areas_paged,
                errors=(400, 404, 503),
            ),
            "/api/v1/areas/{contest}/{area}": _get(
                "The areas directly below an area; with q those of any level in it", "Areas", contest, area, *areas_paged,
                errors=(400, 404, 503),
            ),
            "/api/v1/history/{contest}": _get(
                "Root figures over time, oldest first", "History", contest,
                _parameter("after", "query", COUNT, "The version of the newest point you have: only newer ones come; all, "
                           f"where more than {HISTORY_TAIL_POINTS} are newer or there is no such version yet."),
                errors=(400, 404, 503),
            ),
            "/api/v1/changes": _get(
                "The ledger, newest first", "Changes", contest_asked, area_asked,
                _parameter("station", "query", TEXT, "Only this station's."), limit(CHANGES_PAGE, CHANGES_PAGE_MAX),
                _parameter("before", "query", {**TEXT, "pattern": r"^[0-9]{1,18},[0-9]{1,18},[0-9]{1,18}$"},
                           "timestamp,partition,offset of the last change you have."), errors=(400, 503),
            ),
            "/api/v1/rejections": _get("Reports refused or held, counted; the newest without their bytes", "Rejections"),
            "/api/v1/stations": _get(
                "Polling stations of an area, by id", "Stations", contest_asked, area_asked,
                limit(STATIONS_PAGE, STATIONS_PAGE_MAX), _parameter("after", "query", TEXT, "The last id you have."), words,
                errors=(400, 404, 503),
            ),
            "/api/v1/stations/{station}": _get(
                "One polling station: what is in force, and what became of its statements", "Station", station,
                errors=(404, 503),
            ),
            ASYNCAPI: _get("The topics and their messages, AsyncAPI 3", "Document", errors=()),
            SCHEMAS + "{name}.json": _get(
                "The JSON Schema (2020-12) of one message", "Document",
                _parameter("name", "path", {"enum": sorted(schemas())}, "Name of the message."), errors=(404,),
            ),
            "/api/v1/stream": {
                "get": {
                    "summary": "Server-Sent Events: `standings` with `id` = version, and `beat` every 5 s",
                    "parameters": [
                        contest_asked, area_streamed, _parameter("Last-Event-ID", "header", TEXT, "The version you have."),
                    ],
                    "responses": {
                        "200": {"description": "A stream without an end", "content": {"text/event-stream": {}}},
                        "404": {"description": "There is no such contest.",
                                "content": {"application/json": {"schema": _ref("Error")}}},
                        "503": {"description": "Not read yet, or too many readers.",
                                "content": {"application/json": {"schema": _ref("Error")}}},
                    },
                }
            },
        },
        "components": {"schemas": _schemas()},
    }  # fmt: skip
