"""What must hold of any bytes, one function for each reader of them; an input that breaks one is a failing test.

`report`: a key and a value on two lines, as a worker reads them. `log`: a file for `replay` and `verify`. `batch`: what a
broker may hand over of the reports topic. `folder`: an election folder's two files. Refuses to know how inputs are made;
`target.py` has them made by atheris, `test_fuzz.py` gives the committed ones.
"""

from __future__ import annotations

import json
import os
import struct
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from aiokafka.codec import gzip_encode, lz4_encode, snappy_encode, zstd_encode
from aiokafka.record.util import calc_crc32c

from tally_stream.audit.replay import Replay
from tally_stream.domain.election import Election
from tally_stream.domain.fold import PartitionFold
from tally_stream.domain.ledger import OWES_NOTHING, Verdict
from tally_stream.domain.report import Control, Report, Turnout, UnsignedStatement
from tally_stream.domain.rules import VERDICTS, Finding
from tally_stream.domain.tally import AreaSums
from tally_stream.kafka.batches import RawBatches, records_of
from tally_stream.kafka.inflate import HEADER_BYTES, Inflater
from tally_stream.wire.changes import encode_change
from tally_stream.wire.folder.assembling import ElectionFolderError, load_election
from tally_stream.wire.messages import canonical_json, encode_rejection
from tally_stream.wire.reading import ReportReader
from tally_stream.wire.report_log import LogError, LogRecord, ReportLog, encode_header, encode_line
from tally_stream.wire.run import read_record, read_run
from tally_stream.wire.signing import verify_ahead
from tests.support.doc_pages import marked
from tests.support.format_vectors import PAGE
from tests.support.signing import signed, signing_key

LOG_MS = 1_707_330_000_000
REJECTION_MAX_BYTES = 200_000
FOLDED_PARTITIONS_MAX = 8
"""A header line may claim 100,000; folds of all of them would only cost time."""

Json = dict[str, Any]
_scratch = Path(tempfile.mkdtemp(prefix="tally-fuzz-", dir="/dev/shm" if os.path.isdir("/dev/shm") else None))


def _elections() -> list[Election]:
    """The one of docs/wire-format.md, its rehearsal, and its first contest alone (another fast reader)."""
    found = []
    files = {name: block.text for name, block in marked(PAGE, "file").items()}
    toml = files["election.toml"]
    first, rest = toml.split('[[contests]]\nid = "SEAT"')
    for text in (toml, toml.replace('"official"', '"test"'), first + rest[rest.index("[[exit_polls]]") :]):
        with tempfile.TemporaryDirectory() as folder:
            for name, content in (files | {"election.toml": text}).items():
                (Path(folder) / name).write_text(content, encoding="utf-8")
            found.append(load_election(Path(folder)))
    return found


ELECTIONS = _elections()
READERS = [ReportReader(election) for election in ELECTIONS]
SIGNED = ReportReader(replace(ELECTIONS[0], signatures="optional", keys={"COURT": signing_key("COURT")}))
"""The first election, where statements may be signed."""


# -- one record ----------------------------------------------------------------------------------------------------


def report(data: bytes) -> None:
    """Nothing raises; both readers agree; a statement is what its JSON says and is read back; a repetition moves nothing."""
    key, found, value = data.partition(b"\n")
    pair = (key, value) if found else (None, data)
    for reader in READERS:
        read = _both_read(reader, *pair)
        fold = PartitionFold(reader.election)
        first = _taken(reader, fold, 0, *pair)
        if isinstance(read, Finding):
            assert first.findings == (read,)
        else:
            _says_what_it_said(reader, read, *pair)
        if first.name == "counted":
            figures = [sums_of(fold, contest) for contest in range(len(reader.election.contests))]
            again = _taken(reader, fold, 1, *pair)
            assert again.name == "repeated", again
            assert figures == [sums_of(fold, contest) for contest in range(len(reader.election.contests))]
            _as_a_run(reader, fold, [first, again], *pair)
        else:
            _as_a_run(reader, fold, [first], *pair)
    _signed_says_the_same(*pair)


def _signed_says_the_same(key: bytes | None, value: bytes) -> None:
    """Signed by who may sign all, a value comes to what it comes to unsigned; verified ahead or not, as any value does."""
    verdicts = []
    for given in (value, signed(value, "COURT")):
        fold, ahead = PartitionFold(SIGNED.election), verify_ahead([given], PartitionFold(SIGNED.election).keys)
        verdicts.append(read_record(SIGNED, fold, 0, LOG_MS, key, given))
        assert read_record(SIGNED, PartitionFold(SIGNED.election), 0, LOG_MS, key, given, ahead) == verdicts[-1]
    plain, sealed = verdicts
    if plain.findings[:1] and plain.findings[0].code == "S6":
        # An envelope, which in another one is no statement; or a statement about a key, which only a signed one can be.
        assert sealed.findings[:1] == () or sealed.findings[0].code != "S6"
    else:
        assert sealed == plain


def sums_of(fold: PartitionFold, contest: int) -> list[list[AreaSums | None]]:
    return [page.areas for page in fold.figures(contest).pages]


def _both_read(reader: ReportReader, key: bytes | None, value: bytes) -> UnsignedStatement | Finding:
    exact, read = reader.exact.read(value, key), reader.read(value, key)
    assert type(read) is type(exact)
    assert read == exact
    if isinstance(read, Report) and isinstance(exact, Report):
        assert [type(v) for v in _fields(read)] == [type(v) for v in _fields(exact)]
    return read


def _as_a_run(reader: ReportReader, alone: PartitionFold, verdicts: list[Verdict], key: bytes | None, value: bytes) -> None:
    """The same records read at once, as a worker does."""
    records = [SimpleNamespace(offset=offset, timestamp=LOG_MS, key=key, value=value) for offset in range(len(verdicts))]
    fold = PartitionFold(reader.election)
    owed = read_run(reader, fold, records)
    assert [(record.offset, verdict) for record, verdict in owed] == [
        (offset, verdict) for offset, verdict in enumerate(verdicts) if verdict is not OWES_NOTHING
    ]
    assert fold.verdict_counts() == alone.verdict_counts()
    assert fold.next_offset == len(records)


BALLOTS = ("cast", "valid", "blank", "invalid", "undervotes", "overvotes")
_REPORT_FIELDS = (
    "contest", "station", "revision", "kind", "complete", "counted_at", "counted_at_ms", "registered", "cast", "valid",
    "blank", "invalid", "votes", "replaces", "reason", "authority", "undervotes",
    "overvotes",
)  # fmt: skip


def _fields(statement: Report) -> list[Any]:
    return [getattr(statement, name) for name in _REPORT_FIELDS]


def _taken(reader: ReportReader, fold: PartitionFold, offset: int, key: bytes | None, value: bytes | None) -> Verdict:
    verdict = read_record(reader, fold, offset, LOG_MS, key, value)
    assert verdict.name in VERDICTS
    assert fold.next_offset == offset + 1
    assert sum(fold.verdicts.values()) == offset + 1
    if verdict.is_refusal:
        rejection = encode_rejection(reader.election, "t", 0, offset, LOG_MS, key, value, verdict)
        assert len(rejection) < REJECTION_MAX_BYTES
        assert canonical_json(json.loads(rejection)) == rejection
    if verdict.change is not None:
        encode_change(reader.election, "t", 0, offset, LOG_MS, verdict.change)
    return verdict


def _says_what_it_said(reader: ReportReader, statement: UnsignedStatement, key: bytes | None, value: bytes) -> None:
    """The standard library's own reading of the value; and the statement written and read again."""

    def no_double(pairs: list[tuple[str, Any]]) -> Json:
        assert len(dict(pairs)) == len(pairs), pairs
        return dict(pairs)

    said = json.loads(value, object_pairs_hook=no_double)
    message = as_message(reader.election, statement)
    for name, told in said.items():
        if name == "ballots":
            assert told == {figure: message[name][figure] for figure in told}
        elif told is not None:
            assert told == message[name], name
    assert key == str(said.get("station") or said["contest"]).encode()
    assert reader.read(json.dumps(message).encode(), key) == statement


def as_message(election: Election, statement: UnsignedStatement) -> Json:
    """A statement as the JSON that says the same."""
    common: Json = {"schema": 1, "election": election.id, "phase": election.phase, "revision": statement.revision}
    if isinstance(statement, Turnout):
        return common | {"kind": "turnout", "station": statement.station.id, "as_of": statement.as_of, "voted": statement.voted}
    contest = election.contests[statement.contest]
    common |= {"kind": statement.kind, "contest": contest.id, "reason": statement.reason, "authority": statement.authority}
    if isinstance(statement, Control):
        return common
    s = statement
    common |= {
        "station": s.station.id,
        "complete": s.complete,
        "counted_at": s.counted_at,
        "registered": s.registered,
        "replaces": s.replaces,
    }
    if s.votes:
        common["ballots"] = {name: getattr(s, name) for name in BALLOTS}
        common["votes"] = dict(zip(contest.candidate_ids, s.votes, strict=True))
    return {name: v for name, v in common.items() if v is not None}


# -- a report log --------------------------------------------------------------------------------------------------


def log(data: bytes) -> None:
    """A LogError, or a log: every record has one verdict, standings can be made of it, and it can be saved again."""
    path = _scratch / "log"
    path.write_bytes(data)
    try:
        found = ReportLog(path)
        records = list(found)
    except LogError:
        return
    _saved_again(records, found)
    if (found.partition_count or 1) > FOLDED_PARTITIONS_MAX:
        return
    for election in ELECTIONS:
        replay = Replay(election, found.topic, found.partition_count)
        for record in records:
            replay.take(record)
        counts = replay.verdict_counts()
        counts.pop("codes")
        assert sum(counts.values()) == len(records)
        for contest in range(len(election.contests)):
            for message in replay.messages(contest):
                assert json.loads(canonical_json(message)) == message


def _saved_again(records: list[LogRecord], found: ReportLog) -> None:
    path = _scratch / "again"
    lines = [encode_line(record, with_position=found.partition_count is not None) for record in records]
    header = [] if found.partition_count is None else [encode_header(found.topic, found.partition_count)]
    path.write_bytes(b"".join(header + lines))
    again = ReportLog(path)
    assert list(again) == records
    assert (again.topic, again.partition_count) == (found.topic, found.partition_count)


# -- a batch as a broker hands it over ------------------------------------------------------------------------------

_HEAD = struct.Struct(">qiibIhiqqqhii")
"""Base offset, length, epoch, magic, checksum, attributes, last offset delta, first and max timestamp, producer, count."""
_ENCODE: dict[int, Callable[[bytes], bytes]] = {1: gzip_encode, 2: snappy_encode, 3: lz4_encode, 4: zstd_encode}
RECORDS_MAX = 64
_inflater = Inflater()


def batch(data: bytes) -> None:
    """Every offset once, in order, whatever the payload; and the run is folded. First byte: how the rest is packed (its
    low bits the codec, bit 3: it is a packed payload already, bits 4 and 5: in a transaction, a marker); second: count."""
    if len(data) < 2:
        return
    how, count, payload = data[0], data[1] % RECORDS_MAX + 1, data[2:]
    codec = how & 0x07
    if codec in _ENCODE and not how & 0x08:
        payload = bytes(_ENCODE[codec](payload))
    raw = a_batch(codec | how & 0x30, count, payload)
    batches = RawBatches(raw)
    assert batches.has_next()
    opened, content = batches.next_batch_and_bytes()
    assert opened.validate_crc()
    records = list(records_of(opened, content, _inflater))
    assert [r.offset for r in records] == list(range(count))
    assert all(isinstance(x, bytes | None) for r in records for x in (r.key, r.value))
    fold = PartitionFold(ELECTIONS[0])
    read_run(READERS[0], fold, records)
    assert fold.next_offset == count


def a_batch(attributes: int, count: int, payload: bytes) -> bytes:
    head = (0, HEADER_BYTES - 12 + len(payload), 0, 2, 0, attributes, count - 1, LOG_MS, LOG_MS, -1, -1, -1, count)
    made = bytearray(_HEAD.pack(*head) + payload)
    struct.pack_into(">I", made, 17, calc_crc32c(bytes(made[21:])))
    return bytes(made)


# -- an election folder --------------------------------------------------------------------------------------------


def folder(data: bytes) -> None:
    """Mistakes, each in a sentence, or a definition that is the same when read again and can be counted with. The two
    files stand in one input, a form feed between them."""
    toml, _, stations = data.partition(b"\f")
    path = _scratch / "folder"
    path.mkdir(exist_ok=True)
    (path / "election.toml").write_bytes(toml)
    (path / "stations.csv").write_bytes(stations)
    election: Election | ElectionFolderError
    try:
        election = load_election(path)
    except ElectionFolderError as refused:
        election = refused
    if isinstance(election, ElectionFolderError):
        assert election.errors
        assert all(isinstance(sentence, str) and sentence for sentence in election.errors)
        return
    assert load_election(path).digest == election.digest
    replay = Replay(election, "t", 1)
    for contest in range(len(election.contests)):
        assert len(replay.messages(contest)) == len(election.contest_areas[contest])


TARGETS: dict[str, Callable[[bytes], None]] = {"report": report, "log": log, "batch": batch, "folder": folder}
