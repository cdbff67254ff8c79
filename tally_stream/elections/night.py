"""How the files of a shipped night are written: statements, the recorded log, tables, and the check.

Decides bytes: field order, compact JSON, log order, gzip without time or file name, so that a script
run again gives the same files. Refuses to know any election: figures, ids and times come from the
`make.py` beside each night, names from its hand-written election.toml. Read a `make.py` next.
"""

import argparse
import csv
import gzip
import io
import json
import tomllib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

VALUE_LIMIT_BYTES = 65_536
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

Statement = dict[str, object]
Files = dict[str, bytes]


@dataclass(frozen=True)
class Order:
    """Who had a statement replace another, and why; `replaces` is a revision, 0 where there is none."""

    replaces: int
    reason: str
    authority: str

    def fields(self) -> Statement:
        return {"replaces": self.replaces, "reason": self.reason, "authority": self.authority}


@dataclass(frozen=True)
class Ballot:
    """The one contest of a night, as its election.toml has it, and the statements made on it."""

    election: str
    contest: str
    candidates: tuple[str, ...]
    polls_close: datetime

    @classmethod
    def of(cls, folder: Path) -> "Ballot":
        definition = tomllib.loads((folder / "election.toml").read_text(encoding="utf-8"))
        (contest,) = definition["contests"]
        return cls(
            election=definition["id"],
            contest=contest["id"],
            candidates=tuple(candidate["id"] for candidate in contest["candidates"]),
            polls_close=definition["polls_close"],
        )

    def counts(
        self,
        station: str,
        revision: int,
        counted_at: datetime,
        votes: Sequence[int],
        *,
        kind: str = "report",
        blank: int | None = None,
        invalid: int | None = None,
        order: Order | None = None,
        reason: str | None = None,
    ) -> Statement:
        """A station's whole count, votes in candidate order. Cast is stated only where blank and
        invalid are both known: then it is their sum with the valid votes; unknown is never 0."""
        ballots: dict[str, int] = {}
        if blank is not None and invalid is not None:
            ballots["cast"] = sum(votes) + blank + invalid
        ballots["valid"] = sum(votes)
        if blank is not None:
            ballots["blank"] = blank
        if invalid is not None:
            ballots["invalid"] = invalid
        statement = self._head(station, revision, kind) | {
            "counted_at": counted_at.isoformat(),
            "ballots": ballots,
            "votes": dict(zip(self.candidates, votes, strict=True)),
        }
        if order is not None:
            statement |= order.fields()
        elif reason is not None:
            statement["reason"] = reason
        return statement

    def annulment(self, station: str, revision: int, order: Order) -> Statement:
        return self._head(station, revision, "annul") | order.fields()

    def turnout(self, station: str, revision: int, as_of: datetime, voted: int) -> Statement:
        return {
            "schema": 1,
            "kind": "turnout",
            "election": self.election,
            "station": station,
            "revision": revision,
            "as_of": as_of.isoformat(),
            "voted": voted,
        }

    def _head(self, station: str, revision: int, kind: str) -> Statement:
        return {
            "schema": 1,
            "election": self.election,
            "contest": self.contest,
            "station": station,
            "revision": revision,
            "kind": kind,
        }


def milliseconds(moment: datetime) -> int:
    return (moment - EPOCH) // timedelta(milliseconds=1)


def report_log(records: Iterable[tuple[int, Statement]]) -> bytes:
    """The recorded night: (log timestamp in ms, statement) in log order, keyed by station."""
    lines: list[str] = []
    newest = 0
    for timestamp, statement in records:
        if timestamp < newest:
            raise ValueError(f"record {len(lines)} is older than the one before it")
        newest = timestamp
        value = _compact(statement)
        if len(value.encode()) > VALUE_LIMIT_BYTES:
            raise ValueError(f"record {len(lines)} is larger than {VALUE_LIMIT_BYTES} bytes")
        record = {"timestamp": timestamp, "key": statement["station"], "value": value}
        lines.append(_compact(record) + "\n")
    return "".join(lines).encode()


def _compact(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return text.getvalue().encode()


def read_table(path: Path) -> list[dict[str, str]]:
    content = path.read_bytes()
    text = (gzip.decompress(content) if path.suffix == ".gz" else content).decode()
    return list(csv.DictReader(io.StringIO(text, newline="")))


def gzipped(content: bytes) -> bytes:
    """Compressed without time and file name: the same content gives the same bytes."""
    packed = io.BytesIO()
    with gzip.GzipFile("", "wb", compresslevel=9, fileobj=packed, mtime=0) as stream:
        stream.write(content)
    return packed.getvalue()


def apportion(total: int, weights: Sequence[int], low: Sequence[int], high: Sequence[int]) -> list[int]:
    """Whole parts of `total` in proportion to `weights`, each within its bounds, adding up exactly.

    Largest remainder; what the bounds keep out goes to the others one by one, in the same order.
    Raises ValueError where the bounds leave no solution.
    """
    if not sum(low) <= total <= sum(high):
        raise ValueError(f"{total} does not fit between {sum(low)} and {sum(high)}")
    whole = sum(weights)
    parts = [
        min(max(total * weight // whole, floor), ceiling) for weight, floor, ceiling in zip(weights, low, high, strict=True)
    ]
    by_remainder = sorted(range(len(parts)), key=lambda at: (-(total * weights[at] % whole), at))
    missing = total - sum(parts)
    step = 1 if missing > 0 else -1
    while missing:
        for at in by_remainder:
            if missing and low[at] <= parts[at] + step <= high[at]:
                parts[at] += step
                missing -= step
    return parts


def run(folder: Path, build: Callable[[], Mapping[str, bytes]]) -> int:
    """Write what `build` makes into `folder`; with --check compare instead. Returns the exit code."""
    parser = argparse.ArgumentParser(description=f"Make the files of {folder.name} from source/.")
    parser.add_argument("--check", action="store_true", help="write nothing; 1 if a byte differs")
    check_only: bool = parser.parse_args().check
    differing = 0
    for name, content in build().items():
        path = folder / name
        if not check_only:
            path.write_bytes(content)
            print(f"{name}: {len(content):,} bytes")
        elif not path.exists() or path.read_bytes() != content:
            differing += 1
            print(f"{folder.name}/{name}: {_difference(path, content)}")
    return 1 if differing else 0


def _difference(path: Path, content: bytes) -> str:
    if not path.exists():
        return "missing"
    if path.suffix == ".gz" and gzip.decompress(path.read_bytes()) == gzip.decompress(content):
        return "the same content, compressed by another zlib"
    return "differs"
