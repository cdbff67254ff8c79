"""Runs the test vectors of docs/wire-format.md through the product: folder, reader, fold, standings, replay.

A vector is a JSON object. What it may say stands on the page itself, "How to read the vectors"; an unknown word in one
is an error here, so that a slip of the pen never passes as a test. Expected objects name the fields that matter: a
field that is not named is not compared. Lists are compared whole.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tally_stream.audit.replay import Replay, replay
from tally_stream.domain.election import Election
from tally_stream.domain.scalars import parse_time
from tally_stream.wire.changes import encode_change
from tally_stream.wire.envelope import sealed, signed_bytes
from tally_stream.wire.folder.assembling import ElectionFolderError, load_election
from tally_stream.wire.messages import canonical_json, encode_rejection
from tally_stream.wire.pages import PageWriter
from tally_stream.wire.report_log import RECORDED_TOPIC, LogError, LogRecord
from tests.support.doc_pages import marked
from tests.support.paths import DOCS

PAGE = DOCS / "wire-format.md"
FIRST_RECORD_AT = "2024-02-07T20:30:00+04:00"

Vector = dict[str, Any]

_STATEMENTS = ("counts", "decision", "turnout", "control", "key_statement")
_OF_RECORD = {*_STATEMENTS, "value", "value_base64", "filler", "without", "literal", "pad_to", "key", "at",
              "partition", "signed"}  # fmt: skip
_OF_SETTING = {"toml", "stations", "areas", "files", "filled"}
_OF_FOLD = {*_OF_SETTING, "partitions", "records", "contest", "verdicts", "root", "areas_say", "changes", "rejections",
            "verdict_counts", "pages", "marks", "root_canonical", "page_bytes", "mark_bytes"}  # fmt: skip
_OF_FOLDER = {*_OF_SETTING, "digest", "than", "mistakes"}
_OF_LOG = {"log", "at", "until", "error", "records_read", "verdict_counts", "root"}


def expect(condition: bool, what: str) -> None:
    if not condition:
        raise AssertionError(what)


def matches(expected: Any, actual: Any, path: str) -> None:
    """Every field that `expected` names is in `actual` with that value; lists and single values are equal."""
    if isinstance(expected, dict):
        expect(isinstance(actual, dict), f"{path}: {actual!r} is no object")
        for name, value in expected.items():
            expect(name in actual, f"{path}: there is no {name}")
            matches(value, actual[name], f"{path}.{name}")
    elif isinstance(expected, list) and isinstance(actual, list):
        expect(len(expected) == len(actual), f"{path}: {len(actual)} where {len(expected)} are stated: {actual!r}")
        for i, (e, a) in enumerate(zip(expected, actual, strict=True)):
            matches(e, a, f"{path}[{i}]")
    else:
        expect(type(expected) is type(actual) and expected == actual, f"{path}: {actual!r}, stated {expected!r}")


def folder_of(vector: Vector, directory: Path) -> Path:
    """The page's election folder, changed as the vector says."""

    def filled(text: str) -> str:
        for word, (letter, times) in vector.get("filled", {}).items():
            text = text.replace(word, letter * times)
        return text

    for name, block in marked(PAGE, "file").items():
        (directory / name).write_text(block.text, encoding="utf-8")
    toml = directory / "election.toml"
    text = toml.read_text(encoding="utf-8")
    for old, new in vector.get("toml", ()):
        if old:
            expect(text.count(old) == 1, f"{old!r} stands {text.count(old)} times in election.toml")
            text = text.replace(old, new)
        else:
            text += new + "\n"
    toml.write_text(filled(text), encoding="utf-8")
    replaced = {f"{name}.csv": vector[name] for name in ("stations", "areas") if name in vector}
    for name, rows in {**replaced, **vector.get("files", {})}.items():
        (directory / name).write_text(filled("".join(row + "\n" for row in rows)), encoding="utf-8")
    return directory


def _json_with_literals(fields: dict[str, Any], literals: dict[str, str]) -> str:
    members = [f"{json.dumps(name)}:{json.dumps(value, ensure_ascii=False)}" for name, value in fields.items()]
    members += [f"{json.dumps(name)}:{text}" for name, text in literals.items()]
    return "{" + ",".join(members) + "}"


def _value(record: Vector, bases: dict[str, Any]) -> tuple[bytes | None, str | None]:
    """A record's value, and the key it has unless the vector gives another."""
    kinds = [name for name in _STATEMENTS if name in record]
    if kinds:
        (kind,) = kinds
        fields = {**bases[kind], **record[kind]}
        for name in (*record.get("without", ()), *record.get("literal", ())):
            fields.pop(name, None)
        text = _json_with_literals(fields, record.get("literal", {}))
        value = text.encode()
        if "pad_to" in record:
            value = value.ljust(record["pad_to"])
        if "signed" in record:
            value = _sealed(value, record["signed"], bases["keys"])
        return value, fields.get({"control": "contest", "key_statement": "key_id"}.get(kind, "station"))
    if "filler" in record:
        letter, times = record["filler"]
        return (letter * times).encode(), "A-1"
    if "value_base64" in record:
        return base64.b64decode(record["value_base64"]), "A-1"
    text = record["value"]
    return (None if text is None else text.encode()), "A-1"


def _sealed(payload: bytes, key_id: str, keys: dict[str, str]) -> bytes:
    private = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(keys[key_id]))
    return sealed(payload, key_id, private.sign(signed_bytes(payload)))


def log_records(records: Iterable[Vector], bases: dict[str, Any]) -> list[LogRecord]:
    """The vector's records as a log would hold them: a second apart, offsets counted in each partition."""
    at_ms = parse_time(FIRST_RECORD_AT)
    assert at_ms is not None
    next_offsets: dict[int, int] = {}
    found = []
    for record in records:
        expect(record.keys() <= _OF_RECORD, f"unknown words in a record: {record.keys() - _OF_RECORD}")
        if "at" in record:
            stated = parse_time(record["at"])
            expect(stated is not None, f"{record['at']!r} is no time")
            assert stated is not None
            at_ms = stated
        value, default_key = _value(record, bases)
        key: bytes | None = None if default_key is None else default_key.encode()
        if "key" in record:
            key = None if record["key"] is None else record["key"].encode()
        partition = record.get("partition", 0)
        offset = next_offsets.get(partition, 0)
        next_offsets[partition] = offset + 1
        found.append(LogRecord(at_ms, key, value, partition, offset))
        at_ms += 1000
    return found


@dataclass
class Folded:
    """What became of a vector's records."""

    replay: Replay
    verdicts: list[str] = field(default_factory=list)
    changes: list[Any] = field(default_factory=list)
    rejections: list[Any] = field(default_factory=list)


def fold(election: Election, vector: Vector, bases: dict[str, Any]) -> Folded:
    folded = Folded(Replay(election, RECORDED_TOPIC, vector.get("partitions")))
    for r in log_records(vector["records"], bases):
        verdict = folded.replay.take(r)
        folded.verdicts.append(" ".join([verdict.name, *(f.code for f in verdict.findings)]))
        place = (election, RECORDED_TOPIC, r.partition, r.offset, r.timestamp_ms)
        if verdict.change is not None:
            folded.changes.append(json.loads(encode_change(*place, verdict.change)))
        if verdict.is_refusal:
            rejection = json.loads(encode_rejection(*place, r.key, r.value, verdict))
            kept = rejection["value_base64"]
            folded.rejections.append({**rejection, "value_bytes_kept": None if kept is None else len(base64.b64decode(kept))})
    return folded


def _run_fold(vector: Vector, directory: Path) -> None:
    expect(vector.keys() <= _OF_FOLD, f"unknown words: {vector.keys() - _OF_FOLD}")
    bases = {name: json.loads(block.text) for name, block in marked(PAGE, "base").items()}
    election = load_election(folder_of(vector, directory))
    contest = election.contest_index(vector.get("contest", "PRES"))
    assert contest is not None
    folded = fold(election, vector, bases)
    if "verdicts" in vector:
        expect(folded.verdicts == vector["verdicts"], f"verdicts: {folded.verdicts}, stated {vector['verdicts']}")
    messages = folded.replay.messages(contest)
    if "root" in vector:
        matches(vector["root"], messages[-1], "root")
    if "root_canonical" in vector:
        text = marked(PAGE, "bytes")[vector["root_canonical"]].text.removesuffix("\n")
        expect(canonical_json(messages[-1]).decode() == text, f"root: {canonical_json(messages[-1]).decode()}")
    for area, stated in vector.get("areas_say", {}).items():
        (message,) = [m for m in messages if m["area"] == area]
        matches(stated, message, area)
    if "changes" in vector:
        matches(vector["changes"], folded.changes, "changes")
    if "rejections" in vector:
        matches(vector["rejections"], folded.rejections, "rejections")
    if "verdict_counts" in vector:
        counts = folded.replay.verdict_counts()
        expect(counts == vector["verdict_counts"], f"verdict counts: {counts}")
    pages, marks = flushes(election, folded, vector)
    for partition, stated in vector.get("pages", {}).items():
        here = [json.loads(value) for value in pages[int(partition)]]
        contest_id = election.contests[contest].id
        matches(stated, [page for page in here if page["contest"] == contest_id], f"pages of {partition}")
    for partition, stated in vector.get("marks", {}).items():
        matches(stated, json.loads(marks[int(partition)]), f"mark of {partition}")
    for name, found in (("page_bytes", pages[0]), ("mark_bytes", marks)):
        if name in vector:
            text = marked(PAGE, "bytes")[vector[name]].text.removesuffix("\n")
            expect(found[0].decode() == text, f"{name}: {found[0].decode()}")


def flushes(election: Election, folded: Folded, vector: Vector) -> tuple[list[list[bytes]], list[bytes]]:
    """Partition → the pages of its first flush, and its mark."""
    writer = PageWriter(election, vector.get("partitions") or 1)
    flushed = [partition.take_flush() for partition in folded.replay.folds]
    return [[writer.page(page)[1] for page in pages] for pages, _ in flushed], [writer.mark(mark)[1] for _, mark in flushed]


def _run_folder(vector: Vector, directory: Path) -> None:
    expect(vector.keys() <= _OF_FOLDER, f"unknown words: {vector.keys() - _OF_FOLDER}")
    plain_directory = directory / "plain"
    plain_directory.mkdir()
    changed_directory = directory / "changed"
    changed_directory.mkdir()
    try:
        changed = load_election(folder_of(vector, changed_directory))
    except ElectionFolderError as broken:
        mistakes = [e.removeprefix(f"{changed_directory}/") for e in broken.errors]
        expect(mistakes == vector.get("mistakes"), f"mistakes: {mistakes}, stated {vector.get('mistakes')}")
        return
    expect("mistakes" not in vector, "the folder was accepted")
    than = vector.get("than", {})
    expect(than.keys() <= _OF_SETTING, f"unknown words: {than.keys() - _OF_SETTING}")
    plain = load_election(folder_of(than, plain_directory))
    answer = "same" if changed.digest == plain.digest else "other"
    expect(answer == vector["digest"], f"digest: {answer}")


def _run_log(vector: Vector, directory: Path) -> None:
    expect(vector.keys() <= _OF_LOG, f"unknown words: {vector.keys() - _OF_LOG}")
    path = directory / "log.jsonl"
    path.write_text(marked(PAGE, "log")[vector["log"]].text, encoding="utf-8")
    folder = directory / "folder"
    folder.mkdir()
    election = load_election(folder_of({}, folder))
    at = {int(p): offset for p, offset in vector["at"].items()} if "at" in vector else None
    until_ms = parse_time(vector["until"]) if "until" in vector else None
    try:
        result = replay(election, path, until_ms=until_ms, at=at)
    except LogError as broken:
        said = str(broken).removeprefix(f"{path}")
        expect(said == vector.get("error"), f"error: {said!r}, stated {vector.get('error')!r}")
        return
    expect("error" not in vector, "the log was accepted")
    expect(result.record_count == vector["records_read"], f"records read: {result.record_count}")
    if "root" in vector:
        matches(vector["root"], result.messages(0)[-1], "root")
    if "verdict_counts" in vector:
        expect(result.verdict_counts() == vector["verdict_counts"], f"verdict counts: {result.verdict_counts()}")


def run(vector: Vector, directory: Path) -> None:
    """Run one vector; raises AssertionError with what differs."""
    if "log" in vector:
        _run_log(vector, directory)
    elif "records" in vector:
        _run_fold(vector, directory)
    else:
        _run_folder(vector, directory)
