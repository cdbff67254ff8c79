"""The published schemas are right: they take what the reader takes, refuse what a schema can refuse, and fit what is published."""

from __future__ import annotations

import copy
import gzip
import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft7Validator, Draft202012Validator

from tally_stream.audit.replay import Replay
from tally_stream.domain.report import CONTROL_KINDS, COUNT_KINDS, DECISION_KINDS
from tally_stream.domain.scalars import COUNT_MAX, ID_MAX_CHARS, REVISION_MAX, TEXT_MAX_CODE_POINTS
from tally_stream.kafka.topics import Topics, wanted_configs
from tally_stream.wire.changes import encode_change
from tally_stream.wire.envelope import from_base64
from tally_stream.wire.exact import FIELDS_OF_KIND
from tally_stream.wire.folder.assembling import load_election
from tally_stream.wire.messages import canonical_json
from tally_stream.wire.report_log import ReportLog
from tally_stream.wire.schema.documents import schemas
from tally_stream.wire.schema.published import read_standings
from tests.docs.generate import asyncapi_document
from tests.support import format_vectors as vectors
from tests.support.doc_pages import marked
from tests.support.paths import ROOT

NIGHTS = ROOT / "tally_stream" / "elections"
VALIDATORS = {name: Draft202012Validator(schema) for name, schema in schemas().items()}
OF_KIND = {
    **dict.fromkeys(COUNT_KINDS | DECISION_KINDS, "report"),
    **dict.fromkeys(CONTROL_KINDS, "control"),
    "turnout": "turnout",
    "key": "key",
}

BEYOND_A_SCHEMA = {
    ("counts-are-plain-integers", 0): "1.0 is an integer to a schema",
    ("counts-are-plain-integers", 1): "so is 1e3",
    ("counts-are-plain-integers", 2): "so is -0.0",
    ("structure", 7): "so is the schema 1.0",
    ("structure", 8): "a key that occurs twice is gone when a schema sees it",
    ("structure", 9): "a lone surrogate in a text",
    ("several-votes-a-ballot", 5): "undervotes without overvotes: null is the same as absent",
    ("text", 0): "normal form C",
    ("times", 5): "29 February of 2023",
    ("size", 0): "the length of a value",
}


def fits(name: str, message: Any) -> bool:
    return bool(VALIDATORS[name].is_valid(message))


def statement_fits(value: bytes | None) -> bool:
    """Whether some schema takes the record's value; what is no JSON, or no object with a kind, none does."""
    try:
        message = json.loads(value or b"", parse_constant=_no_json)
    except (ValueError, RecursionError):
        return False
    if isinstance(message, dict) and "payload" in message:
        return fits("envelope", message) and statement_fits(from_base64(message["payload"]))
    kind = message.get("kind") if isinstance(message, dict) else None
    return fits(OF_KIND[kind], message) if isinstance(kind, str) and kind in OF_KIND else False


def _no_json(name: str) -> None:
    raise ValueError(name)


@cache
def judged() -> list[tuple[str, int, bytes | None, str]]:
    """(vector, number of the record, its value, verdict with codes) of every record of the page."""
    bases = {name: json.loads(block.text) for name, block in marked(vectors.PAGE, "base").items()}
    found = []
    for name, block in marked(vectors.PAGE, "vector").items():
        vector = json.loads(block.text)
        records = vectors.log_records(vector.get("records", ()), bases)
        for number, (record, verdict) in enumerate(zip(records, vector.get("verdicts", ()), strict=False)):
            found.append((name, number, record.value, verdict))
    return found


def test_there_are_vectors_of_every_sort() -> None:
    verdicts = [verdict for *_, verdict in judged()]
    for sort in ("counted", "held", "repeated", "stale", "conflicting", "rejected S1", "rejected S4"):
        assert any(v.startswith(sort) for v in verdicts), sort


@pytest.mark.parametrize("name", VALIDATORS)
def test_a_schema_is_one(name: str) -> None:
    Draft202012Validator.check_schema(schemas()[name])


class TestStatements:
    def test_what_the_reader_takes_fits(self) -> None:
        refused = [(n, i, v) for n, i, value, v in judged() if not v.startswith("rejected") and not statement_fits(value)]
        assert refused == []

    def test_what_it_refuses_for_structure_or_a_value_does_not_fit(self) -> None:
        taken = {(n, i) for n, i, value, v in judged() if v in ("rejected S1", "rejected S4") and statement_fits(value)}
        assert taken == set(BEYOND_A_SCHEMA)

    def test_a_decision_without_its_reason_does_not_fit(self) -> None:
        """The reader lets it through to Q5; for who writes one it is required."""
        decision = json.loads(marked(vectors.PAGE, "base")["decision"].text)
        assert fits("report", decision)
        for name in ("replaces", "reason", "authority"):
            assert not fits("report", {k: v for k, v in decision.items() if k != name})
            assert not fits("report", {**decision, name: None})
        assert not fits("report", {**decision, "reason": ""})
        assert not fits("report", {**decision, "kind": "report"})

    @pytest.mark.parametrize("kind", FIELDS_OF_KIND)
    def test_its_fields_are_the_readers(self, kind: str) -> None:
        required, optional = FIELDS_OF_KIND[kind]
        schema = schemas()[OF_KIND[kind]]
        shapes = [schema, *schema.get("$defs", {}).values()]
        fitting = [s for s in shapes if kind in s.get("properties", {}).get("kind", {}).get("enum", ())]
        if kind == "key":
            added, revoked = fitting
            assert set(added["properties"]) == {*required, *optional}
            assert set(added["required"]) == {*required, *optional} - {"phase"}
            assert set(revoked["properties"]) == {*required, "phase"}
            assert set(revoked["required"]) == {*required}
            return
        (shape,) = fitting
        assert set(shape["properties"]) == {*required, *optional}
        reasoned = {"replaces", "reason", "authority"} if kind not in CONTROL_KINDS | {"report", "turnout"} else set()
        assert set(shape["required"]) == {*required} | reasoned
        assert shape["additionalProperties"] is False

    def test_limits_are_the_domains(self) -> None:
        base = json.loads(marked(vectors.PAGE, "base")["counts"].text)
        for at_limit, beyond in (
            ({"revision": REVISION_MAX}, {"revision": REVISION_MAX + 1}),
            ({"revision": 1}, {"revision": 0}),
            ({"registered": COUNT_MAX}, {"registered": COUNT_MAX + 1}),
            ({"registered": 0}, {"registered": -1}),
            ({"station": "A" * ID_MAX_CHARS}, {"station": "A" * (ID_MAX_CHARS + 1)}),
            ({"reason": "é" * TEXT_MAX_CODE_POINTS}, {"reason": "é" * (TEXT_MAX_CODE_POINTS + 1)}),
            ({"votes": {"ANNA": 0}}, {"votes": {"anna": 0}}),
            ({"registered": None}, {"counted_at": None}),
            ({"reason": "a\u200db"}, {"reason": "a\u200eb"}),
        ):
            assert fits("report", {**base, **at_limit}), at_limit
            assert not fits("report", {**base, **beyond}), beyond


def published_by_vectors(directory: Path) -> Iterator[tuple[str, Any]]:
    bases = {name: json.loads(block.text) for name, block in marked(vectors.PAGE, "base").items()}
    for name, block in marked(vectors.PAGE, "vector").items():
        vector = json.loads(block.text)
        if "records" not in vector:
            continue
        folder = directory / name
        folder.mkdir()
        election = load_election(vectors.folder_of(vector, folder))
        folded = vectors.fold(election, vector, bases)
        for contest in range(len(election.contests)):
            for message in folded.replay.messages(contest):
                yield "standings", message
        pages, marks = vectors.flushes(election, folded, vector)
        for value in (value for here in pages for value in here):
            yield "page", json.loads(value)
        for value in marks:
            yield "mark", json.loads(value)
        for change in folded.changes:
            yield "change", change
        for rejection in folded.rejections:
            del rejection["value_bytes_kept"]  # the vectors' own word
            yield "rejection", rejection


def test_everything_the_vectors_publish_fits(tmp_path: Path) -> None:
    seen: dict[str, int] = dict.fromkeys(("standings", "page", "mark", "change", "rejection"), 0)
    for name, message in published_by_vectors(tmp_path):
        seen[name] += 1
        errors = [f"{list(e.path)}: {e.message}" for e in VALIDATORS[name].iter_errors(message)]
        assert errors == [], message
        if name == "standings":
            read_standings(canonical_json(message))
    assert all(count > 20 for count in seen.values()), seen


@pytest.mark.parametrize("night", ["az-2024", "bolivia-2019", "wisconsin-2024"])
def test_what_a_night_publishes_fits(night: str) -> None:
    """Its standings before the first report, at a third, and at the end; each change. (No record of them is refused.)"""
    election = load_election(NIGHTS / night)
    log = ReportLog(NIGHTS / night / "reports.jsonl.gz")
    records = list(log)
    replay, changes, shown = Replay(election, log.topic, None), [], list(Replay(election, log.topic, None).messages(0)[-2:])
    for number, record in enumerate(records, 1):
        verdict = replay.take(record)
        if verdict.change is not None:
            changes.append(
                json.loads(encode_change(election, log.topic, 0, record.offset, record.timestamp_ms, verdict.change))
            )
        if number in (len(records) // 3, len(records)):
            shown += replay.messages(0)
    for message in shown:
        read_standings(canonical_json(message))
    assert all(fits("standings", message) for message in (*shown[:2], *shown[-60:]))
    assert all(fits("change", change) for change in changes[:300])
    assert changes


@pytest.mark.parametrize("name", ["standings", "change", "rejection", "page", "mark"])
def test_a_field_less_or_more_does_not_fit(name: str, tmp_path: Path) -> None:
    message = next(m for n, m in published_by_vectors(tmp_path) if n == name)
    for place in paths_of_objects(message):
        for field in list(at(message, place)):
            without = copy.deepcopy(message)
            del at(without, place)[field]
            assert not fits(name, without), f"{place} without {field}"
        more = copy.deepcopy(message)
        at(more, place)["colour"] = None
        assert not fits(name, more), place


def at(message: Any, place: tuple[Any, ...]) -> Any:
    for step in place:
        message = message[step]
    return message


def paths_of_objects(message: Any, place: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Objects with fixed fields: not the mappings from candidates or partitions to figures."""
    mappings = {"share", "difference", "next_offsets", "votes_delta", "areas"}
    if isinstance(message, dict):
        if not (place and place[-1] in mappings):
            yield place
        for field, value in message.items():
            yield from paths_of_objects(value, (*place, field))
    elif isinstance(message, list):
        for index, value in enumerate(message):
            yield from paths_of_objects(value, (*place, index))


@cache
def a_root_of_a_night() -> bytes:
    """Most of a night is counted."""
    election = load_election(NIGHTS / "az-2024")
    log = ReportLog(NIGHTS / "az-2024" / "reports.jsonl.gz")
    replay = Replay(election, log.topic, None)
    for record in log:
        replay.take(record)
        if record.offset > 36_000:
            break
    return canonical_json(replay.messages(0)[-1])


@pytest.mark.parametrize(
    ("field", "value"),
    [("percent", 93.35), ("share", "+1"), ("votes", -1), ("version", 1.5), ("as_of", "2024-02-07T23:13:00Z"), ("status", "final"),
     ("schema", 2), ("done", None)],
)  # fmt: skip
def test_a_value_of_another_form_does_not_fit(field: str, value: Any) -> None:
    message = json.loads(a_root_of_a_night())
    assert fits("standings", message)
    holder = {"percent": ("progress", "stations"), "done": ("progress", "stations"), "share": ("candidates", 0),
              "votes": ("candidates", 0)}.get(field, ())  # fmt: skip
    assert field in at(message, holder)
    at(message, holder)[field] = value
    assert not fits("standings", message)
    with pytest.raises(ValueError, match="not a standings message"):
        read_standings(json.dumps(message).encode())


@cache
def specification() -> Draft7Validator:
    return Draft7Validator(json.loads(gzip.decompress((Path(__file__).parent / "asyncapi/3.0.0.json.gz").read_bytes())))


class TestAsyncApi:
    def test_the_document_is_one(self) -> None:
        assert [e.message for e in specification().iter_errors(asyncapi_document())] == []

    def test_the_specification_refuses_a_slip(self) -> None:
        document = asyncapi_document()
        document["channels"]["reports"]["adress"] = "reports"
        assert not specification().is_valid(document)

    def test_references_lead_somewhere(self) -> None:
        document = asyncapi_document()
        for reference in references(document):
            if reference.startswith("./"):
                assert (ROOT / "docs" / reference).exists()
            else:
                at(document, tuple(reference.removeprefix("#/").split("/")))

    def test_every_topic_and_every_schema_is_in_it(self) -> None:
        document = asyncapi_document()
        addresses = {channel["address"] for channel in document["channels"].values()}
        assert addresses == set(Topics("{prefix}").all)
        assert {m["payload"]["$ref"] for m in document["components"]["messages"].values()} == {
            f"./schemas/{name}.json" for name in schemas()
        }

    def test_settings_are_those_of_topics_create(self) -> None:
        configs = wanted_configs(Topics("tally"), is_log_append=True, min_insync=2)
        for name, channel in asyncapi_document()["channels"].items():
            said = channel["bindings"]["kafka"]["topicConfiguration"]
            assert ",".join(said.pop("cleanup.policy")) == configs[f"tally.{name}"]["cleanup.policy"]
            for setting, value in said.items():
                assert str(value) == configs[f"tally.{name}"][setting]


def references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for name, inner in value.items():
            if name == "$ref":
                yield inner
            else:
                yield from references(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from references(inner)
