"""The committed inputs: `python -m tests.fuzz.corpus` adds what the vectors and the hostile cases give to `corpus/`.

One file a target, one input a line: a JSON string, or {"base64": …} where the bytes are no UTF-8. Nothing is ever taken
out: an input that once broke something is added by hand and stays. The packed payloads of `batch` were made once: packers
write other bytes from one version to the next.
"""

from __future__ import annotations

import base64
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from aiokafka.record.default_records import DefaultRecordBatchBuilder

from tally_stream.kafka.inflate import HEADER_BYTES
from tally_stream.wire.report_log import encode_header, encode_line
from tests.support.doc_pages import marked
from tests.support.format_vectors import PAGE, folder_of, log_records

CORPUS = Path(__file__).parent / "corpus"
INPUT_MAX_BYTES = 4_096
"""Of what is generated and of what a fuzzer tries: what is longer is tried at its limits by the tests of `wire/`."""

VALUES = [
    "null", "true", "0", "-0", "-1", "1.0", "1e3", "1E400", "-0e-0", "999999999", "1000000000", "9223372036854775808",
    "12345678901234567890123", '""', '"x"', '"A-1"', '"test"', '"\\u0041-1"', '"\\ud800"', '"\\ud83d\\ude00"', '"\u202e"',
    '"\u200b"', '"e\u0301"', '"a\\u0000"', '"a\\n"', '"../A"', '"A-1\\"} 1"', "NaN", "[]", "{}", '{"a":1,"a":2}', "01",
    "[" * 63 + "]" * 63, "[" * 64 + "]" * 64, '"2024-02-07T20:00:60Z"', '"2024-02-07T16:00:00.9999999Z"', '"\\"',
]  # fmt: skip
FIELDS = ("revision", "registered", "station", "reason", "counted_at", "phase", "complete", "votes")

Json = dict[str, Any]


def write(target: str, inputs: list[bytes]) -> None:
    lines = []
    for content in inputs:
        try:
            lines.append(json.dumps(content.decode("utf-8"), ensure_ascii=True))
        except UnicodeDecodeError:
            lines.append(json.dumps({"base64": base64.b64encode(content).decode()}))
    (CORPUS / f"{target}.jsonl").write_text("".join(line + "\n" for line in lines), encoding="ascii")


def read(target: str) -> list[bytes]:
    path = CORPUS / f"{target}.jsonl"
    found = [json.loads(line) for line in path.read_text(encoding="ascii").splitlines()] if path.exists() else []
    return [line.encode() if isinstance(line, str) else base64.b64decode(line["base64"]) for line in found]


def _vectors() -> list[Json]:
    return [json.loads(block.text) for block in marked(PAGE, "vector").values()]


def _bases() -> dict[str, Json]:
    return {name: json.loads(block.text) for name, block in marked(PAGE, "base").items()}


def _report() -> Iterator[bytes]:
    bases = _bases()
    for vector in _vectors():
        for record in log_records(vector.get("records", ()), bases):
            if record.value is not None:
                yield record.value if record.key is None else record.key + b"\n" + record.value
    counts = json.dumps(bases["counts"])
    for name in FIELDS:
        marked_base = json.dumps({**bases["counts"], name: "@@"}, separators=(",", ":"))
        for text in VALUES:
            yield b"A-1\n" + marked_base.replace('"@@"', text).encode("utf-8", "surrogatepass")
    for name in bases["counts"]:
        yield f'A-1\n{counts[:-1]}, "{name}": {json.dumps(bases["counts"][name])}}}'.encode()
    for name, kind in (("decision", "annul"), ("decision", "accept"), ("turnout", "turnout"), ("control", "certify")):
        message = bases[name] | {"kind": kind}
        yield (message.get("station") or message["contest"]).encode() + b"\n" + json.dumps(message).encode()
    for key in (b"", b"\x00", b"../A-1", b"\xff", "\u202eA-1".encode(), b"A-1 "):
        yield key + b"\n" + counts.encode()


def _log() -> Iterator[bytes]:
    yield from (block.text.encode() for block in marked(PAGE, "log").values())
    bases = _bases()
    for vector in _vectors():
        records = log_records(vector.get("records", ()), bases)
        partitions = vector.get("partitions")
        header = [] if partitions is None else [encode_header("tally.reports", partitions)]
        yield b"".join(header + [encode_line(r, with_position=partitions is not None) for r in records])
    yield b'{"timestamp":99999999999999999999}\n'
    yield b'{"timestamp":-1,"key":"A-1","value":"{}"}\n'
    yield b'{"log":1,"topic":"t","partitions":100000}\n'


def _batch() -> Iterator[bytes]:
    batches: tuple[list[Any], ...] = (
        [(b"A-1", b"{}", [])],
        [(b"A-1", b"x" * 99, []), (None, b"", [("name", b"x"), ("none", None)]), (b"\xff", None, [])],
    )
    for records in batches:
        builder = DefaultRecordBatchBuilder(
            magic=2, compression_type=0, is_transactional=0, producer_id=-1, producer_epoch=-1, base_sequence=-1,
            batch_size=1 << 16,
        )  # fmt: skip
        for offset, (key, value, headers) in enumerate(records):
            builder.append(offset, timestamp=1_707_330_000_000, key=key, value=value, headers=headers)
        payload = bytes(builder.build())[HEADER_BYTES:]
        for how in (0, 1, 2, 3, 4, 5, 0x10, 0x30):
            for count in (len(records) - 1, len(records)):
                yield bytes([how, count]) + payload
        yield b"\x00\x01" + payload.replace(b"name", b"\xff\xfeme")


def _folder() -> Iterator[bytes]:
    for vector in [{}, *_vectors()]:
        if vector and not vector.keys() & {"toml", "stations"}:
            continue
        with tempfile.TemporaryDirectory() as scratch:
            path = folder_of(vector, Path(scratch))
            toml, stations = (path / "election.toml").read_bytes(), (path / "stations.csv").read_bytes()
        yield toml + b"\f" + stations


GENERATED = {"report": _report, "log": _log, "batch": _batch, "folder": _folder}


def generated(target: str) -> list[bytes]:
    """What the vectors and the hostile cases give now; each once, none longer than is tried."""
    return [content for content in dict.fromkeys(GENERATED[target]()) if len(content) <= INPUT_MAX_BYTES]


def words() -> list[str]:
    """Names and values that chance would take long to write."""
    names = {name for base in _bases().values() for name in (*base, *base.get("ballots", ()), *base.get("votes", ()))}
    names |= {"log", "topic", "partitions", "timestamp", "key", "value", "key_base64", "value_base64", "partition", "offset"}
    names |= {"records", "sha256", "phase", "complete", "registered", "replaces", "reason", "authority", "voted", "as_of"}
    return [f'"{name}":' for name in sorted(names)] + [text for text in VALUES if text.isascii() and len(text) < 60]


def main() -> None:
    CORPUS.mkdir(exist_ok=True)
    for target in GENERATED:
        kept = read(target)
        new = [content for content in generated(target) if content not in kept]
        write(target, kept + new)
        print(f"{target}: {len(kept)} kept, {len(new)} added")


if __name__ == "__main__":
    main()
