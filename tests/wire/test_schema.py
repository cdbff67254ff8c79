"""What programs of others read: each document complete in itself, and standings read back only as they were published.

That the schemas take and refuse what they should is held by tests/docs/test_schemas.py, with a validator.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, ClassVar

import pytest

from tally_stream.domain.fold import PartitionFold
from tally_stream.domain.standings import MergedFigures
from tally_stream.wire.messages import canonical_json
from tally_stream.wire.run import read_record
from tally_stream.wire.schema import asyncapi
from tally_stream.wire.schema.documents import schemas
from tally_stream.wire.schema.published import read_canonical_standings, read_standings
from tests.support.report_messages import LOG_MS, READER, as_bytes, counts, election

MESSAGES = {"report", "turnout", "control", "key", "envelope", "page", "mark", "standings", "rejection", "change"}
TOPICS = {"reports", "partials", "standings", "rejections", "changes"}


def texts(value: Any, name: str) -> Iterator[str]:
    """Every text under this name, at any depth."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if key == name and isinstance(inner, str):
                yield inner
            yield from texts(inner, name)
    elif isinstance(value, list):
        for inner in value:
            yield from texts(inner, name)


class TestSchemas:
    def test_one_for_each_message(self) -> None:
        assert schemas().keys() == MESSAGES
        for name, schema in schemas().items():
            assert (schema["title"], schema["$schema"]) == (name, "https://json-schema.org/draft/2020-12/schema")

    @pytest.mark.parametrize("name", sorted(MESSAGES))
    def test_is_complete_in_itself(self, name: str) -> None:
        schema = schemas()[name]
        named = {f"#/$defs/{d}" for d in schema.get("$defs", {})}
        assert set(texts(schema, "$ref")) == named, "each that is named is there, and none that is not"

    @pytest.mark.parametrize("name", sorted(MESSAGES))
    def test_says_in_one_line_what_it_is(self, name: str) -> None:
        assert schemas()[name]["description"]
        for description in texts(schemas()[name], "description"):
            assert description == " ".join(description.split())

    def test_one_message_has_its_fields_at_the_top_and_several_say_which(self) -> None:
        assert "properties" in schemas()["standings"]
        assert "oneOf" not in schemas()["standings"]
        assert "properties" not in schemas()["report"]
        assert [r["$ref"] for r in schemas()["report"]["oneOf"]] == [
            "#/$defs/Report", "#/$defs/Correction", "#/$defs/Decision"
        ]  # fmt: skip
        assert "$defs" not in schemas()["control"], "it is made of no others"


class TestAsyncApi:
    SETTINGS: ClassVar = {topic: {"cleanup.policy": "delete"} for topic in TOPICS}

    def channel(self, topic: str, **settings: str) -> dict[str, Any]:
        named = {name.replace("_", "."): value for name, value in settings.items()}
        found = asyncapi.document({**self.SETTINGS, topic: {"cleanup.policy": "delete"} | named})
        channel: dict[str, Any] = found["channels"][topic]
        return channel

    def test_a_channel_for_each_topic_and_a_message_for_each_schema(self) -> None:
        document = asyncapi.document(self.SETTINGS)
        assert {c["address"] for c in document["channels"].values()} == {f"{{prefix}}.{topic}" for topic in TOPICS}
        assert {m["payload"]["$ref"] for m in document["components"]["messages"].values()} == {
            f"./schemas/{name}.json" for name in schemas()
        }

    def test_we_receive_reports_and_send_the_rest(self) -> None:
        operations = asyncapi.document(self.SETTINGS)["operations"]
        received = [name for name, operation in operations.items() if operation["action"] == "receive"]
        assert received == ["receiveReports"]
        assert operations["receiveReports"]["summary"] == "Counted by every worker."
        assert {o["summary"] for name, o in operations.items() if name not in received} == {"Written by workers."}
        for operation in operations.values():
            topic = operation["channel"]["$ref"].removeprefix("#/channels/")
            assert [m["$ref"] for m in operation["messages"]] == [
                f"#/channels/{topic}/messages/{message}"
                for message in asyncapi.document(self.SETTINGS)["channels"][topic]["messages"]
            ]

    @pytest.mark.parametrize("topic", sorted(TOPICS))
    def test_settings_are_the_callers_as_lists_and_integers(self, topic: str) -> None:
        kafka = self.channel(
            topic,
            cleanup_policy="compact,delete",
            retention_ms="-1",
            retention_bytes="5",
            max_message_bytes="7",
            min_insync_replicas="2",
        )["bindings"]["kafka"]
        assert kafka["topicConfiguration"] == {
            "cleanup.policy": ["compact", "delete"], "retention.ms": -1, "retention.bytes": 5, "max.message.bytes": 7
        }  # fmt: skip
        assert self.channel(topic)["bindings"]["kafka"]["topicConfiguration"] == {"cleanup.policy": ["delete"]}

    @pytest.mark.parametrize("topic", sorted(TOPICS))
    def test_one_partition_where_stage_2_reads_and_writes(self, topic: str) -> None:
        kafka = self.channel(topic)["bindings"]["kafka"]
        assert kafka.get("partitions") == (1 if topic in ("partials", "standings") else None)


class TestReadingStandings:
    @pytest.fixture
    def published(self) -> list[bytes]:
        of = election()
        fold, merged = PartitionFold(of), MergedFigures(of, 0, "t", 1)
        read_record(READER, fold, 0, LOG_MS, b"A-1", as_bytes(counts()))
        merged.put(fold.figures(0))
        return [canonical_json(message) for message in merged.messages()]

    def test_what_was_published(self, published: list[bytes]) -> None:
        *areas, root = [read_canonical_standings(value) for value in published]
        assert root.stations.counted == 1
        assert root.outcome is not None
        assert root.outcome.as_published() == json.loads(published[-1])["outcome"]
        assert all(area.outcome is None for area in areas)
        assert [read_standings(value) for value in published] == [*areas, root]

    @pytest.mark.parametrize(
        "value",
        [
            b"",
            b"{",
            b"null",
            b"[]",
            b"{}",
            b"\xff",
            b'{"schema":1}',
            b"[" * 100_000,
            '{"election":"\ud800"}'.encode("utf-8", "surrogatepass"),
        ],
    )
    def test_anything_else_is_refused_saying_so(self, value: bytes) -> None:
        for read in (read_standings, read_canonical_standings):
            with pytest.raises(ValueError, match="not a standings message: "):
                read(value)

    def test_the_same_in_other_bytes_was_not_published(self, published: list[bytes]) -> None:
        message = json.loads(published[-1])
        others = [
            json.dumps(message, sort_keys=True).encode(),
            json.dumps(dict(reversed(message.items())), separators=(",", ":")).encode(),
            published[-1] + b"\n",
            published[-1].replace(b'"schema":1', b'"schema":1 '),
        ]
        for value in others:
            assert read_standings(value) == read_standings(published[-1])
            with pytest.raises(ValueError, match="not a standings message: its bytes are not canonical JSON"):
                read_canonical_standings(value)
