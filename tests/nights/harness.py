"""Real processes for tests: workers with their logs, and a stranger's check of everything on the topics."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import msgspec
from aiokafka.admin import AIOKafkaAdminClient

from tally_stream.audit.replay import Replay
from tally_stream.cli.lifeline import Lifeline
from tally_stream.domain.election import Election
from tally_stream.domain.standings import body_of
from tally_stream.kafka.client import StoredRecord, TopicReader, sender
from tally_stream.settings import Settings, load_settings
from tally_stream.wire.messages import canonical_json
from tally_stream.wire.report_log import LogRecord, ReportLog, encode_header, encode_line

NIGHTS = Path(__file__).parents[2] / "tally_stream" / "elections"
PLANTED = Path(__file__).parent / "planted"
LIFELINE = Lifeline()
"""Whatever a test starts ends with the process that runs the tests, however that ends."""
T = TypeVar("T")


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "tally_stream", *arguments]


def run(*arguments: str, settings: Settings, expect: int = 0, timeout: float = 120) -> subprocess.CompletedProcess[str]:
    """A command of the product in a process of its own."""
    done = subprocess.run(command(*arguments), **tied(settings), capture_output=True, text=True, timeout=timeout, check=False)
    assert done.returncode == expect, f"{arguments}: exit {done.returncode}\n{done.stdout}\n{done.stderr}"
    assert "Traceback" not in done.stderr
    return done


def environment(settings: Settings) -> dict[str, str]:
    return {**os.environ, "TALLY_BOOTSTRAP": settings.bootstrap, "TALLY_PREFIX": settings.prefix}


def tied(settings: Settings, **more: str) -> dict[str, Any]:
    """For `subprocess`: the settings' environment and `more` of it, and an end with these tests."""
    return LIFELINE.arguments({**environment(settings), **more})


def settings_for(bootstrap: str, prefix: str) -> Settings:
    return load_settings(bootstrap=bootstrap, prefix=prefix, rehearsal=True)


def wait_for(look: Callable[[], T | None], what: str, limit_seconds: float = 60) -> T:
    """Poll until `look` returns something true; the deadline is a failure that says what was waited for."""
    end = time.monotonic() + limit_seconds
    while time.monotonic() < end:
        found = look()
        if found:
            return found
        time.sleep(0.05)
    raise AssertionError(f"not within {limit_seconds:.0f} s: {what}")


def children_of(pid: int) -> list[int]:
    """The processes that a process has started, in whatever thread."""
    return [int(child) for task in Path(f"/proc/{pid}/task").iterdir() for child in (task / "children").read_text().split()]


def is_alive(pid: int) -> bool:
    """Whether the process runs; one that nobody has waited for yet does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def said_in(log: Path) -> str:
    """What a process that still writes has said; its last letter may be there in part."""
    return log.read_text(encoding="utf-8", errors="replace")


class WorkerProcess:
    """One `tally-stream worker` in a process of its own."""

    def __init__(
        self, settings: Settings, election: str, log_path: Path, *flags: str, is_supervised: bool = False, planted: str = ""
    ) -> None:
        """`planted`: a fault of tests/nights/planted/sitecustomize.py."""
        self.log_path = log_path
        self._log = log_path.open("wb")
        self.process = subprocess.Popen(
            command("worker", "--election", election, "--metrics-port", "0", "--rehearsal",
                    *([] if is_supervised else ["--once"]), *flags),
            **tied(settings, **({"PYTHONPATH": str(PLANTED), "TALLY_TEST_PLANTED": planted} if planted else {})),
            stdin=subprocess.DEVNULL, stdout=self._log, stderr=self._log,
        )  # fmt: skip

    @property
    def log(self) -> str:
        return self.log_path.read_text(errors="replace")

    def address(self) -> str:
        """Where metrics and health are served now: a worker that was started again has another port."""

        def look() -> str | None:
            assert self.process.poll() is None, f"the worker ended with {self.process.returncode}:\n{self.log}"
            told = re.findall(r"metrics at (\S+)/metrics\n", self.log)
            return told[-1] if told else None

        return wait_for(look, "the worker's address")

    def get(self, path: str) -> tuple[int, str]:
        try:
            with urllib.request.urlopen(self.address() + path, timeout=5) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        except OSError:
            return 0, ""

    def wait_ready(self, limit_seconds: float = 60) -> WorkerProcess:
        def look() -> bool:
            assert self.process.poll() is None, f"the worker ended with {self.process.returncode}:\n{self.log}"
            return self.get("/readyz")[0] == 200

        wait_for(look, f"the worker to be ready:\n{self.log}", limit_seconds)
        return self

    def next_offsets(self) -> dict[int, int]:
        _, text = self.get("/readyz")
        partitions = json.loads(text)["partitions"] if text else {}
        return {int(p): state["next_offset"] for p, state in partitions.items()}

    def verdicts(self) -> Counter[str]:
        """Verdict → records, over the partitions this worker owns, and `read` beside them."""
        counts: Counter[str] = Counter()
        for line in self.get("/metrics")[1].splitlines():
            if line.startswith("tally_verdicts_total{"):
                counts[line.split('verdict="')[1].split('"')[0]] += int(float(line.rsplit(" ", 1)[1]))
            elif line.startswith("tally_records_read_total{"):
                counts["read"] += int(float(line.rsplit(" ", 1)[1]))
        return counts

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(10)

    def stop(self) -> int:
        """SIGTERM; the exit code. A clean end takes less than 10 s."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(12)
        self._log.close()
        return code

    def close(self) -> None:
        if self.process.poll() is None:
            self.kill()
        self._log.close()


async def _read(settings: Settings, topic: str) -> tuple[int, list[StoredRecord]]:
    found: list[StoredRecord] = []
    async with TopicReader(settings, topic, is_log=topic.endswith(".reports")) as reader:
        async for records in reader.read_to_end():
            found += records
        return len(reader.partitions), found


def read_topic(settings: Settings, name: str) -> tuple[int, list[StoredRecord]]:
    """(partition count, all records) of `<prefix>.<name>`."""
    return asyncio.run(_read(settings, f"{settings.prefix}.{name}"))


def save_log(settings: Settings, path: Path) -> ReportLog:
    """The reports topic as a saved log."""

    async def copy() -> None:
        topic = f"{settings.prefix}.reports"
        async with TopicReader(settings, topic, is_log=True) as reader:
            with path.open("wb") as file:
                file.write(encode_header(topic, len(reader.partitions)))
                async for records in reader.read_to_end():
                    for r in records:
                        record = LogRecord(r.timestamp_ms, r.key, r.value, r.partition, r.offset)
                        file.write(encode_line(record, with_position=True))

    asyncio.run(copy())
    return ReportLog(path)


class Newest:
    """Key → newest value by the reader's rule, over the records of the raw topic so far."""

    def __init__(self) -> None:
        self.values: dict[bytes, bytes] = {}
        self._versions: dict[bytes, int] = {}

    def take(self, records: list[StoredRecord]) -> None:
        for record in records:
            assert record.key is not None
            assert record.value is not None
            version = msgspec.json.decode(record.value)["version"]
            if version >= self._versions.get(record.key, version):
                self._versions[record.key], self.values[record.key] = version, record.value


def newest_standings(settings: Settings) -> dict[bytes, bytes]:
    newest = Newest()
    newest.take(read_topic(settings, "standings")[1])
    return newest.values


def wait_standings(
    settings: Settings, look: Callable[[dict[bytes, bytes]], bool], what: str, limit_seconds: float = 60
) -> dict[bytes, bytes]:
    """Read the standings, from their start and on, until `look` is content with the newest; those. One reader for all
    looks: a reader made for each took more of the machine than what was waited for."""
    newest = Newest()

    async def follow() -> dict[bytes, bytes]:
        end = time.monotonic() + limit_seconds
        async with TopicReader(settings, f"{settings.prefix}.standings") as reader:
            async for records in reader.read_to_end():
                newest.take(records)
            while not look(newest.values):
                assert time.monotonic() < end, f"not within {limit_seconds:.0f} s: {what}"
                newest.take(await reader.poll())
        return newest.values

    return asyncio.run(follow())


def wait_published(settings: Settings, version: int, limit_seconds: float = 60) -> dict[bytes, bytes]:
    """Wait until every contest's root has reached `version`; the newest standings then."""

    def look(newest: dict[bytes, bytes]) -> bool:
        roots = [json.loads(v) for k, v in newest.items() if b"/" not in k]
        return bool(roots) and all(root["version"] >= version for root in roots)

    return wait_standings(settings, look, f"standings at version {version}", limit_seconds)


def check_against_replay(election: Election, log: ReportLog, newest: dict[bytes, bytes]) -> Replay:
    """Every newest standings message equals, byte for byte, what the log gives at the vector it names; and, but for
    its stamp, at the highest vector: an area that was not sent again has not changed since. Returns the replay there."""
    records: dict[int, list[LogRecord]] = {}
    for record in log:
        records.setdefault(record.partition, []).append(record)
    replay = Replay(election, log.topic, log.partition_count)
    by_vector: dict[tuple[int, ...], list[tuple[bytes, bytes]]] = {}
    for key, value in newest.items():
        offsets = json.loads(value)["provenance"]["next_offsets"]
        by_vector.setdefault(tuple(offsets[str(p)] for p in range(len(replay.folds))), []).append((key, value))
    checked = 0
    for vector in sorted(by_vector, key=sum):
        for fold, offset in zip(replay.folds, vector, strict=True):
            for record in records.get(fold.partition, [])[fold.next_offset : offset]:
                replay.take(record)
            assert fold.next_offset == offset, f"vectors are not ordered: {vector}"
        for index, contest in enumerate(election.contests):
            due = {f"{contest.id}|{m['area']}".encode(): canonical_json(m) for m in replay.messages(index)}
            for key, value in by_vector[vector]:
                if key in due:
                    assert value == due[key], f"{key.decode()} at {vector}"
                    checked += 1
    assert checked == len(newest)
    for index, contest in enumerate(election.contests):
        for message in replay.messages(index):
            key = f"{contest.id}|{message['area']}".encode()
            assert body_of(json.loads(newest[key])) == body_of(message), f"{key.decode()} is out of date"
    assert len(newest) == len(election.areas) * len(election.contests), "an area has no standings"
    return replay


def one_a_key(records: list[StoredRecord]) -> list[dict[str, Any]]:
    """Rejections or changes: one a key; repeats must have the same bytes."""
    found: dict[bytes, bytes] = {}
    for record in records:
        assert record.key is not None
        assert record.value is not None
        assert found.setdefault(record.key, record.value) == record.value, record.key
    return [json.loads(value) for value in found.values()]


def administer(settings: Settings, work: Callable[[AIOKafkaAdminClient], Awaitable[Any]]) -> None:
    """The work, with an admin client of its own."""

    async def main() -> None:
        admin = AIOKafkaAdminClient(bootstrap_servers=settings.bootstrap)
        await admin.start()
        try:
            await work(admin)
        finally:
            await admin.close()

    asyncio.run(main())


def produce(settings: Settings, topic: str, partition: int, *records: tuple[bytes | None, bytes | None]) -> None:
    async def main() -> None:
        async with sender(settings) as producer:
            for key, value in records:
                await producer.send(f"{settings.prefix}.{topic}", value, key=key, partition=partition)

    asyncio.run(main())
