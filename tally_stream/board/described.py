"""The published messages described for programs: JSON Schemas and an AsyncAPI 3 document, served beside the endpoints.

Decides their addresses: the document refers to `./schemas/…`, so they lie below it. Both are made from the models when
the board starts, so they are of the code that runs. docs/asyncapi.json and docs/schemas/ hold the same; a test compares.
"""

from __future__ import annotations

from aiohttp import web

from tally_stream.board.answers import Answer, json_answer
from tally_stream.kafka.topics import Topics, wanted_configs
from tally_stream.wire.schema.asyncapi import document
from tally_stream.wire.schema.documents import schemas

ASYNCAPI = "/api/v1/asyncapi.json"
SCHEMAS = "/api/v1/schemas/"


class MessageDocuments:
    """`add_to` puts them on an application."""

    def __init__(self) -> None:
        topics = Topics("tally")
        settings = wanted_configs(topics, is_log_append=True, min_insync=2)
        content = document({topic.removeprefix("tally."): of_topic for topic, of_topic in settings.items()})
        self._answers: dict[str, Answer] = {
            ASYNCAPI: json_answer(content),
            **{f"{SCHEMAS}{name}.json": json_answer(schema) for name, schema in schemas().items()},
        }

    def add_to(self, app: web.Application) -> None:
        for path in self._answers:
            app.router.add_get(path, self._answer)

    async def _answer(self, request: web.Request) -> web.Response:
        return self._answers[request.path].to(request)
