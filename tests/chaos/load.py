"""Stations that keep sending while things break, and a newsroom that keeps reading: both know what they were promised.

`Stations` sends each report until a broker acknowledged it, with the same bytes, and remembers where it was said to be.
`Newsroom` reads the standings topic raw and keeps what a reader by the rule would see, with the times.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
import time
from collections import deque
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

from bench.load import Load, reports
from tally_stream.audit.verify import Found
from tally_stream.domain.scalars import murmur2_partition
from tally_stream.kafka.client import KafkaError, TopicReader, sender
from tally_stream.settings import Settings

PARTITIONS = 4
HEAL_LIMIT_SECONDS = 10.0


def _endless(load: Load) -> Iterator[tuple[bytes, bytes]]:
    """The generated night, then the same stations again with revisions above: a correction that names the one before."""
    last: dict[bytes, bytes] = {}
    for key, value, _ in reports(load):
        last[key] = value
        yield key, value
    while True:
        for key in list(last):
            statement = json.loads(last[key])
            if key.decode().endswith("X"):
                continue
            replaced = statement["revision"]
            statement |= {"revision": replaced + 1, "kind": "correct", "replaces": replaced, "complete": True,
                          "reason": "counted again", "authority": "Commission"}  # fmt: skip
            last[key] = json.dumps(statement).encode()
            yield key, last[key]


class Stations:
    """A thread that sends at a rate from `start` to `stop`. Errors of a broker are tried again: nothing is dropped."""

    def __init__(self, settings: Settings, load: Load, per_second: int) -> None:
        self._settings, self._per_second = settings, per_second
        self._reports = _endless(load)
        self._stopping = threading.Event()
        self.acknowledged: dict[tuple[int, int], bytes] = {}
        """(partition, offset) → value that a broker said it has."""
        self.waits: deque[tuple[int, float, float]] = deque(maxlen=20_000)
        """(partition, when its sending began, seconds until it was acknowledged) of the newest."""
        self.tried_again = 0
        self.error: BaseException | None = None
        self._thread: threading.Thread | None = None

    def fill(self, count: int) -> None:
        """The first `count` reports, as fast as they go."""
        asyncio.run(self._send_all(count))

    def start(self) -> None:
        self._stopping.clear()
        self._thread = threading.Thread(target=self._run, name="stations", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop sending and wait for every acknowledgement."""
        assert self._thread is not None
        self._stopping.set()
        self._thread.join(180)
        assert not self._thread.is_alive(), "a report was not acknowledged 180 s after the last fault"
        if self.error is not None:
            raise self.error

    def _run(self) -> None:
        try:
            asyncio.run(self._send_all(None))
        except BaseException as error:
            self.error = error

    async def _send_all(self, count: int | None) -> None:
        room = asyncio.Semaphore(20_000)
        waiting: set[asyncio.Task[None]] = set()
        async with sender(self._settings) as producer:
            begin, sent = time.monotonic(), 0
            while count is not None or not self._stopping.is_set():
                due = count if count is not None else int((time.monotonic() - begin) * self._per_second)
                while sent < due:
                    key, value = next(self._reports)
                    await room.acquire()
                    begun = time.monotonic()
                    future = await self._handed_over(producer, key, value)
                    task = asyncio.create_task(self._until_acknowledged(producer, key, value, future, room, begun))
                    waiting.add(task)
                    task.add_done_callback(waiting.discard)
                    sent += 1
                if count is not None:
                    break
                await asyncio.sleep(0.005)
            while waiting:
                await asyncio.wait(set(waiting))

    async def _handed_over(self, producer: Any, key: bytes, value: bytes) -> asyncio.Future[Any]:
        topic, partition = f"{self._settings.prefix}.reports", murmur2_partition(key, PARTITIONS)
        while True:
            try:
                future: asyncio.Future[Any] = await producer.send(topic, value, key=key, partition=partition)
                return future
            except KafkaError:
                self.tried_again += 1
                await asyncio.sleep(0.1)

    async def _until_acknowledged(
        self,
        producer: Any,
        key: bytes,
        value: bytes,
        future: asyncio.Future[Any],
        room: asyncio.Semaphore,
        begun: float,
    ) -> None:
        while True:
            try:
                told = await future
            except KafkaError:
                self.tried_again += 1
                await asyncio.sleep(0.1)
                future = await self._handed_over(producer, key, value)
                continue
            self.acknowledged[told.partition, told.offset] = value
            self.waits.append((told.partition, begun, time.monotonic() - begun))
            room.release()
            return


class Newsroom:
    """A thread that reads standings raw. `advances`: times at which a root of a higher version came."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._stopping = threading.Event()
        self._is_there = threading.Event()
        self._begins_again = threading.Event()
        self.advances: list[tuple[float, int]] = []
        self.shown: dict[bytes, tuple[int, bytes]] = {}
        self.raw_version: dict[bytes, int] = {}
        self.stale: dict[bytes, float] = {}
        """Key → since when the raw topic's last record is older than one before it."""
        self.stale_count, self.longest_stale_seconds, self.records = 0, 0.0, 0
        self._next_offset = 0
        self.other_bytes: list[str] = []
        self.heard: deque[Found] = deque()
        """Every message in the order it came, those that compaction will remove too, until `check` takes it."""
        self._thread = threading.Thread(target=lambda: asyncio.run(self._read()), name="newsroom", daemon=True)

    def start(self) -> None:
        self._thread.start()
        assert self._is_there.wait(60), "the newsroom does not reach the brokers"

    def begin_again(self) -> None:
        """The topic lost records: others will have the offsets that were read, so all of it is read again."""
        self._begins_again.set()

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join(30)
        for since in self.stale.values():
            self.longest_stale_seconds = max(self.longest_stale_seconds, time.monotonic() - since)

    async def _read(self) -> None:
        while not self._stopping.is_set():
            # A reader that loses its broker begins again: the rule makes that harmless.
            with contextlib.suppress(KafkaError, OSError):
                async with TopicReader(self._settings, f"{self._settings.prefix}.standings") as reader:
                    if self.records:
                        await reader.seek({0: self._next_offset})
                    self._is_there.set()
                    while not self._stopping.is_set() and not self._begins_again.is_set():
                        for record in await reader.poll():
                            if record.key is not None and record.value is not None:
                                self.heard.append(Found(f"standings, offset {record.offset}", record.key, record.value))
                                self._take(record.key, record.value)
                            self._next_offset = record.offset + 1
            if self._begins_again.is_set():
                self._next_offset = 0
                self._begins_again.clear()

    def _take(self, key: bytes, value: bytes) -> None:
        now = time.monotonic()
        version = json.loads(value)["version"]
        self.records += 1
        shown = self.shown.get(key)
        if shown is not None and version < shown[0]:
            self.stale_count += 1
            self.stale.setdefault(key, now)
            return
        if key in self.stale:
            self.longest_stale_seconds = max(self.longest_stale_seconds, now - self.stale.pop(key))
        if shown is not None and version == shown[0] and value != shown[1]:
            self.other_bytes.append(f"{key.decode()} at {version}")
        if b"/" not in key and (shown is None or version > shown[0]):
            self.advances.append((now, version))
        self.shown[key] = (version, value)

    def longest_silence(self, begin: float, end: float) -> float:
        """Seconds between two advances, the longest that began in [begin, end] or was under way at `begin`."""
        times = [t for t, _ in self.advances]
        before = [t for t in times if t <= begin]
        points = [before[-1] if before else begin, *(t for t in times if begin < t)]
        gaps = [b - max(a, begin) for a, b in pairwise(points) if a <= end]
        return max(gaps, default=time.monotonic() - begin)
