"""What strangers are told of our messages: a schema for each, the document of the topics, and standings read back."""

import json

import pytest

from tally_stream.domain.fold import PartitionFold
from tally_stream.domain.standings import MergedFigures
from tally_stream.wire.messages import canonical_json
from tally_stream.wire.run import read_record
from tally_stream.wire.schema.asyncapi import document
from tally_stream.wire.schema.documents import DIALECT, schemas
from tally_stream.wire.schema.published import read_canonical_standings, read_standings
from tests.support.report_messages import ELECTION, LOG_MS, READER, as_bytes, counts

SETTINGS = {
    "reports": {"cleanup.policy": "delete", "retention.ms": "-1", "retention.bytes": "-1", "compression.type": "producer"},
    "partials": {"cleanup.policy": "compact,delete", "max.message.bytes": "600000"},
    "standings": {"cleanup.policy": "compact"},
    "rejections": {"cleanup.policy": "delete"},
    "changes": {"cleanup.policy": "delete"},
}


@pytest.fixture(scope="module")
def root() -> bytes:
    fold = PartitionFold(ELECTION)
    read_record(READER, fold, 0, LOG_MS, b"A-1", as_bytes(counts()))
    merged = MergedFigures(ELECTION, 0, "tally.reports", 1)
    merged.put(fold.figures(0))
    return canonical_json(merged.messages()[-1])


class TestSchemas:
    def test_each_message_has_one_that_is_complete_in_itself(self) -> None:
        made = schemas()
        assert list(made) == [
            "report",
            "turnout",
            "control",
            "key",
            "envelope",
            "page",
            "mark",
            "standings",
            "rejection",
            "change",
        ]
        for name, schema in made.items():
            assert (schema["$schema"], schema["title"]) == (DIALECT, name)
            text = json.dumps(schema)
            referred = {part.split('"')[0] for part in text.split('"#/$defs/')[1:]}
            assert referred == set(schema.get("$defs", {})), "every reference leads into the document, and nothing is left over"

    def test_a_report_is_exactly_one_of_three(self) -> None:
        report = schemas()["report"]
        assert [one["$ref"] for one in report["oneOf"]] == [f"#/$defs/{name}" for name in ("Report", "Correction", "Decision")]

    def test_descriptions_are_one_line_and_only_the_whole_has_a_title(self) -> None:
        for schema in schemas().values():
            for definition in schema.get("$defs", {}).values():
                assert "title" not in definition
                assert "\n" not in definition.get("description", "")
        assert "description" in schemas()["standings"]["$defs"]["Measure"]


class TestAsyncApi:
    def test_a_topic_shows_the_settings_that_the_binding_has_names_for(self) -> None:
        channels = document(SETTINGS)["channels"]
        settings = {name: channel["bindings"]["kafka"]["topicConfiguration"] for name, channel in channels.items()}
        assert settings["reports"] == {"cleanup.policy": ["delete"], "retention.ms": -1, "retention.bytes": -1}
        assert settings["partials"] == {"cleanup.policy": ["compact", "delete"], "max.message.bytes": 600_000}

    def test_partials_and_standings_have_one_partition(self) -> None:
        channels = document(SETTINGS)["channels"]
        assert {n for n, c in channels.items() if c["bindings"]["kafka"].get("partitions") == 1} == {"partials", "standings"}

    def test_workers_read_reports_and_write_the_rest(self) -> None:
        operations = document(SETTINGS)["operations"]
        assert {name for name, operation in operations.items() if operation["action"] == "receive"} == {"receiveReports"}
        assert operations["receiveReports"]["summary"] == "Counted by every worker."
        assert operations["sendStandings"]["messages"] == [{"$ref": "#/channels/standings/messages/standings"}]


class TestStandings:
    def test_what_was_published_is_read_back(self, root: bytes) -> None:
        for read in (read_standings, read_canonical_standings):
            found = read(root)
            assert (found.contest, found.area, found.version) == ("PRES", "X", 1)
            assert {c.id: c.votes for c in found.candidates} == {"ANNA": 50, "BELA": 46}

    def test_the_same_in_other_bytes_was_not_published_by_a_worker(self, root: bytes) -> None:
        spaced = json.dumps(json.loads(root)).encode()
        assert read_standings(spaced) == read_standings(root)
        with pytest.raises(ValueError, match="its bytes are not canonical JSON"):
            read_canonical_standings(spaced)

    def test_seats_a_quorum_and_a_double_majority_are_read_as_they_were_published(self, root: bytes) -> None:
        message = json.loads(root)
        for candidate, now, certain in zip(message["candidates"], (12, 9), (11, 0), strict=True):
            candidate["seats"] = {"now": now, "certain": certain}
        message["outcome"] |= {
            "state": "void",
            "tied": {"seats": 1, "between": ["ANNA", "BELA"]},
            "quorum": {"done": 100, "of": 600, "percent": "16.67", "needed": 300},
            "double_majority": {"approved": "14.5", "rejected": "8.5", "undecided": "0", "of": "23"},
        }
        found = read_canonical_standings(canonical_json(message))
        assert found.outcome is not None
        assert found.outcome.as_published() == message["outcome"]
        assert [(c.seats.now, c.seats.certain) for c in found.candidates if c.seats] == [(12, 11), (9, 0)]

    @pytest.mark.parametrize(
        "wrong", [{"seats": {"now": 1}}, {"seats": {"now": 1, "certain": 1, "tied": 0}}, {"seats": {"now": -1, "certain": 0}}]
    )
    def test_seats_of_another_form_are_refused(self, root: bytes, wrong: dict[str, object]) -> None:
        message = json.loads(root)
        message["candidates"][0] |= wrong
        with pytest.raises(ValueError, match="not a standings message: "):
            read_standings(canonical_json(message))

    @pytest.mark.parametrize("value", [b"", b"{}", b"\xff", b"[" * 100_000], ids=["empty", "an object", "no text", "deep"])
    def test_anything_else_is_refused_in_a_sentence(self, value: bytes) -> None:
        with pytest.raises(ValueError, match="not a standings message: "):
            read_standings(value)
