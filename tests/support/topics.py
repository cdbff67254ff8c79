"""What stands on the topics of a cluster: read whole, followed until something is there, written to, administered."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar

from aiokafka.admin import AIOKafkaAdminClient

from tally_stream.kafka.client import KafkaError, StoredRecord, TopicReader, admin_client, sender
from tally_stream.settings import Settings
from tally_stream.wire.messages import read_published, standings_key
from tally_stream.wire.newest import Newest
from tally_stream.wire.report_log import LogRecord, ReportLog, encode_header, encode_line

ANSWER_SECONDS = 60.0
"""For brokers of which some are dead or start again."""
T = TypeVar("T")


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


class ShownValues:
    """What a reader who keeps to the reader's rule shows, over the records of the raw topic so far."""

    def __init__(self) -> None:
        self._newest: Newest[bytes] = Newest()

    def take(self, records: list[StoredRecord]) -> None:
        for record in records:
            assert record.value is not None
            read = read_published(record.value)
            assert record.key == standings_key(read.contest, read.area)
            self._newest.take(read.definition, read.contest, read.area, read.version, record.value)

    def are_at(self, contests: Iterable[str], version: int) -> bool:
        """Whether the root of each of these contests has reached the version."""
        known = self._newest.contests
        return all(contest in known and known[contest].root_version >= version for contest in contests)

    @property
    def values(self) -> dict[bytes, bytes]:
        """Key → value."""
        found: dict[bytes, bytes] = {}
        for id, contest in self._newest.contests.items():
            found |= {standings_key(id, area): value for area, value in contest.areas.items()}
            if contest.root is not None:
                found[standings_key(id, read_published(contest.root).area)] = contest.root
        return found


def newest_standings(settings: Settings) -> dict[bytes, bytes]:
    newest = ShownValues()
    newest.take(read_topic(settings, "standings")[1])
    return newest.values


def wait_standings(
    settings: Settings, look: Callable[[dict[bytes, bytes]], bool], what: str, limit_seconds: float = 120
) -> dict[bytes, bytes]:
    """Read the standings, from their start and on, until `look` is content with the newest; those."""
    return _follow(settings, lambda shown: look(shown.values), what, limit_seconds).values


def wait_every_contest(
    settings: Settings, contests: Iterable[str], version: int, limit_seconds: float = 120
) -> dict[bytes, bytes]:
    """The newest standings when the root of each contest has reached the version: of a thousand contests those that did not
    change are sent again in turn."""
    contests = list(contests)
    what = f"{len(contests)} contests at version {version}"
    return _follow(settings, lambda shown: shown.are_at(contests, version), what, limit_seconds).values


def _follow(settings: Settings, look: Callable[[ShownValues], bool], what: str, limit_seconds: float) -> ShownValues:
    """One reader for all looks: a reader made for each took more of the machine than what was waited for."""
    newest = ShownValues()

    async def follow() -> ShownValues:
        end = time.monotonic() + limit_seconds
        async with TopicReader(settings, f"{settings.prefix}.standings") as reader:
            async for records in reader.read_to_end():
                newest.take(records)
            while not look(newest):
                assert time.monotonic() < end, f"not within {limit_seconds:.0f} s: {what}"
                newest.take(await reader.poll())
        return newest

    return asyncio.run(follow())


def wait_published(settings: Settings, version: int, limit_seconds: float = 120) -> dict[bytes, bytes]:
    """Wait until every contest's root has reached `version`; the newest standings then."""

    def look(newest: dict[bytes, bytes]) -> bool:
        roots = [json.loads(v) for k, v in newest.items() if b"/" not in k]
        return bool(roots) and all(root["version"] >= version for root in roots)

    return wait_standings(settings, look, f"standings at version {version}", limit_seconds)


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


def asked(settings: Settings, question: Callable[[AIOKafkaAdminClient], Awaitable[T]]) -> T:
    """The brokers' answer; the question is put again while the one that was asked is dead or does not know."""

    async def ask() -> T:
        async with admin_client(settings) as admin:
            return await question(admin)

    end = time.monotonic() + ANSWER_SECONDS
    while True:
        try:
            return asyncio.run(ask())
        except (KafkaError, OSError, TimeoutError):
            if time.monotonic() > end:
                raise
        time.sleep(0.1)


def committed(settings: Settings) -> dict[int, int]:
    """Partition of the reports topic → offset that the group has committed."""
    found: dict[Any, Any] = asked(settings, lambda admin: admin.list_consumer_group_offsets(settings.group_id))
    return {tp.partition: at.offset for tp, at in found.items() if tp.topic == f"{settings.prefix}.reports"}


def produce(settings: Settings, topic: str, partition: int, *records: tuple[bytes | None, bytes | None]) -> None:
    async def main() -> None:
        async with sender(settings) as producer:
            for key, value in records:
                await producer.send(f"{settings.prefix}.{topic}", value, key=key, partition=partition)

    asyncio.run(main())
