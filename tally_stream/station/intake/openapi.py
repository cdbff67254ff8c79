"""What the intake answers, as OpenAPI 3.1: served at `/v1/openapi.json`, and held to by tests that make requests from it.

Decides the description; what is described stands in `server.py` and `problems.py`.
"""

from __future__ import annotations

from typing import Any

from tally_stream import __version__
from tally_stream.domain.election import Election
from tally_stream.domain.scalars import REVISION_MAX
from tally_stream.station.intake.problems import PROBLEM_CONTENT, PROBLEM_TYPE, PROBLEMS
from tally_stream.station.receipts import REFUSALS

Schema = dict[str, Any]
TEXT: Schema = {"type": "string"}
COUNT: Schema = {"type": "integer", "minimum": 0}
FLAG: Schema = {"type": "string", "enum": ["true", "false"], "default": "false"}
NUMBER: Schema = {"type": "string", "pattern": "^[0-9]{1,18}$"}
TITLES = {
    400: "The request is not as it should be.", 401: "Nobody is known by this token or certificate.",
    403: "The caller may not speak for that station.", 404: "Nothing is there.",
    405: "Not by this method.", 408: "The body did not come in time.",
    409: "The revision was taken with other content.", 413: "The body is too large.", 415: "Neither one statement nor many.",
    422: "A rule refuses it, it has to be confirmed, or it is no station's statement.", 429: "More than one caller may send.",
    500: "The intake failed.", 503: "The brokers do not acknowledge, or the intake has its hands full.",
}  # fmt: skip


def _object(**properties: Schema) -> Schema:
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}


def _ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def _list_of(schema: Schema) -> Schema:
    return {"type": "array", "items": schema}


def _content(schema: Schema, kind: str = "application/json") -> Schema:
    return {kind: {"schema": schema}}


def _problems(*statuses: int) -> Schema:
    return {str(s): {"description": TITLES[s], "content": _content(_ref("Problem"), PROBLEM_CONTENT)} for s in statuses}


def _parameter(name: str, place: str, schema: Schema, text: str) -> Schema:
    return {"name": name, "in": place, "required": place == "path", "schema": schema, "description": text}


def _schemas() -> dict[str, Schema]:
    figure: Schema = {"type": ["integer", "string", "null"]}
    rule = _object(
        code=TEXT, severity={"enum": ["reject", "error", "warning", "information"]}, sentence=TEXT, left=figure, right=figure
    )
    problem = _object(
        type={"enum": [PROBLEM_TYPE + why for why in PROBLEMS]}, title=TEXT,
        status={"enum": sorted({status for status, _ in PROBLEMS.values()})}, detail=TEXT, rules=_list_of(_ref("Rule")),
    )  # fmt: skip
    problem["properties"]["retry_after_seconds"] = {"type": "integer", "minimum": 1}
    stated: dict[str, Schema] = {
        "station": TEXT, "sequence": TEXT, "revision": {"type": "integer", "minimum": 0, "maximum": REVISION_MAX},
        "kind": TEXT, "topic": TEXT, "partition": COUNT, "offset": COUNT,
    }  # fmt: skip
    taken = _object(**stated, is_repeated={"type": "boolean"}, receipt=TEXT, rules=_list_of(_ref("Rule")))
    receipt = _object(
        **stated, state={"enum": ["waiting", "counted", *sorted(set(REFUSALS.values()))]}, codes=_list_of(TEXT),
        sentences=_list_of(TEXT), definition={"type": ["string", "null"]}, version={"type": ["integer", "null"]},
        is_of_a_copy={"type": "boolean"}, is_final={"type": "boolean"},
    )  # fmt: skip
    return {"Rule": rule, "Problem": problem, "Taken": taken, "Receipt": receipt}


def document(election: Election) -> Schema:
    statement: Schema = {"type": "object", "description": "A statement as docs/wire-format.md has it, or a signed envelope."}
    confirm = [
        _parameter("accept_warnings", "query", FLAG, "The paper says so: take it with its warnings."),
        _parameter("accept_errors", "query", FLAG, "The paper contradicts itself: take it, to be held until somebody decides."),
    ]
    place = [
        _parameter("partition", "path", NUMBER, "As the answer to the report has it."),
        _parameter("offset", "path", NUMBER, "As the answer to the report has it."),
    ]
    ready = _content({"type": "object", "properties": {"ready": {"type": "boolean"}}, "required": ["ready"]})
    location = {"Location": {"schema": TEXT, "description": "Where its receipt is."}}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": f"tally-stream intake: {election.name}", "version": __version__,
            "description": "A station's statements into the reports topic, and what became of them.",
        },
        "security": [{"token": []}],
        "paths": {
            "/v1/reports": {
                "post": {
                    "summary": "One statement, or one a line (NDJSON): answered once the brokers have it",
                    "parameters": confirm,
                    "requestBody": {
                        "required": True,
                        "content": {"application/json": {"schema": statement}, "application/x-ndjson": {"schema": TEXT}},
                    },
                    "responses": {
                        "200": {
                            "description": "It was taken before: its place. Of many: a line for each, in their order, with "
                            "`line` and `status` beside what a single one is answered.",
                            "content": _content(_ref("Taken")) | {"application/x-ndjson": {}},
                        },
                        "201": {"description": "Taken: the brokers have it.", "content": _content(_ref("Taken")),
                                "headers": location},
                        **_problems(400, 401, 403, 408, 409, 413, 415, 422, 429, 500, 503),
                    },
                }
            },
            "/v1/receipts/{partition}/{offset}": {
                "get": {
                    "summary": "What became of a statement",
                    "parameters": place,
                    "responses": {
                        "200": {"description": "What is known now.", "content": _content(_ref("Receipt"))},
                        **_problems(400, 401, 403, 404, 500, 503),
                    },
                }
            },
            "/v1/openapi.json": {
                "get": {"summary": "This", "security": [],
                        "responses": {"200": {"description": "OpenAPI 3.1", "content": _content({"type": "object"})}}},
            },
            "/livez": {
                "get": {"summary": "It runs", "security": [],
                        "responses": {"200": {"description": "It does.", "content": _content({"type": "object"})}}},
            },
            "/readyz": {
                "get": {"summary": "It can take statements", "security": [],
                        "responses": {"200": {"description": "It can.", "content": ready},
                                      "503": {"description": "It cannot, for now.", "content": ready}}},
            },
        },
        "components": {
            "schemas": _schemas(),
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer", "description": "A station's token; or a "
                                          "client's certificate whose common name is the station's id."}},
        },
    }  # fmt: skip
