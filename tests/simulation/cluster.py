"""A Kafka cluster in memory: logs, requests and connections; the only thing the simulation puts in the product's place.

Decides what a broker answers, and by the seed when, whether, and with which error. It takes the very requests aiokafka
would put on a socket (`aiokafka.conn`'s structs, negotiated at the versions below) and gives the structs that would come
back, so consumer, producer, group member, fetcher and sender run unchanged. Record batches are real ones. What was
appended is shown to `on_append` at once, before anybody can know of it. Refuses to know what records mean.
The group's side is in `group.py`. A little longer than other files: requests of one connection meet the same logs and the
same weather, and the group's side is what could be cut off.
"""

from __future__ import annotations

import asyncio
import struct
from bisect import bisect_right
from collections import Counter, deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from random import Random
from typing import Any, ClassVar, NamedTuple

from aiokafka import errors
from aiokafka.conn import CloseReason
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.memory_records import MemoryRecords
from aiokafka.record.util import calc_crc32c
from aiokafka.util import wait_for

from tests.simulation.clock import RUNNING, Process, VirtualLoop
from tests.simulation.group import Group

VERSIONS = {0: (7, 7), 1: (4, 4), 2: (1, 1), 3: (1, 1), 8: (3, 3), 9: (3, 3), 10: (1, 1), 11: (5, 5), 12: (1, 1), 13: (1, 1),
            14: (3, 3), 22: (0, 0)}  # fmt: skip
"""API key → the versions our brokers speak."""

PORT = 9092
LATENCY_SECONDS = (0.0002, 0.003)
OUT_OF_RANGE, OUT_OF_ORDER = 1, 45
NOT_ENOUGH_REPLICAS, NOT_ENOUGH_REPLICAS_AFTER_APPEND, UNKNOWN_SERVER_ERROR, NOT_AUTHORIZED = 19, 20, -1, 29
COORDINATOR_LOADING = 14
PRODUCER_STATE = struct.Struct(">qhii")
PRODUCER_AT, LAST_DELTA_AT, CRC_AT, ATTRIBUTES_AT = 43, 23, 17, 21
REMEMBERED_SEQUENCES = 5
SLOW_LATE_ACK = 0.7
HELD_LOOK_SECONDS = 0.02

TopicPartition = tuple[str, int]


class Record(NamedTuple):
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None


@dataclass
class Batch:
    base: int
    end: int
    raw: bytes
    records: list[Record]


@dataclass
class Log:
    """One partition. `producers`: id → its last (first sequence, count, first offset)."""

    start: int = 0
    end: int = 0
    batches: list[Batch] = field(default_factory=list)
    producers: dict[int, deque[tuple[int, int, int]]] = field(default_factory=dict)
    waiting: list[Callable[[], None]] = field(default_factory=list)

    def from_offset(self, offset: int) -> list[Batch]:
        """Whole batches, beginning with the one that holds `offset`, as a broker sends them."""
        first = bisect_right(self.batches, offset, key=lambda b: b.end)
        return self.batches[first:]

    @property
    def records(self) -> list[Record]:
        return [r for b in self.batches for r in b.records]


def build_batch(records: Iterable[Record], base: int, end: int) -> bytes:
    """The bytes of a batch that took the offsets base … end − 1 and holds these of them."""
    builder = DefaultRecordBatchBuilder(
        magic=2, compression_type=0, is_transactional=0, producer_id=-1, producer_epoch=-1, base_sequence=-1,
        batch_size=1 << 30,
    )  # fmt: skip
    for r in records:
        builder.append(r.offset - base, r.timestamp, r.key, r.value, [])
    raw = builder.build()
    struct.pack_into(">q", raw, 0, base)
    struct.pack_into(">i", raw, LAST_DELTA_AT, end - 1 - base)
    struct.pack_into(">I", raw, CRC_AT, calc_crc32c(bytes(raw[ATTRIBUTES_AT:])))
    return bytes(raw)


@dataclass
class Weather:
    """How likely each fault is, a request; all zero in the liveness phase."""

    delay: float = 0.0
    lost: float = 0.0
    failed_ack: float = 0.0
    fatal_ack: float = 0.0
    late_ack: float = 0.0
    failed_commit: float = 0.0
    cut: float = 0.0


class Connection:
    """In place of `AIOKafkaConnection`: one of a process's connections to one broker. Answers come in the order of the requests."""

    def __init__(self, cluster: Cluster, process: Process, node: int, on_close: Any, timeout_seconds: float) -> None:
        self.cluster, self.process, self.node = cluster, process, node
        self._on_close = on_close
        self._timeout_seconds = timeout_seconds
        self._unanswered: deque[tuple[Any, Any]] = deque()
        self._is_busy = False
        self.is_open = True

    def connected(self) -> bool:
        return self.is_open

    def send(self, request: Any, expect_response: bool = True) -> Any:
        assert expect_response, "every produce request here asks for an acknowledgement"
        if not self.is_open or not self.process.is_alive:
            raise errors.KafkaConnectionError("no connection")
        prepared = request.prepare(VERSIONS)
        answer = self.cluster.loop.create_future()
        self._unanswered.append((prepared, answer))
        if request.API_KEY == 0:
            self.cluster.ambush(self.process, [topic for topic, _ in prepared.topics])
        if not self._is_busy:
            self._next()
        return wait_for(answer, self._timeout_seconds)

    def close(self, reason: Any = None, exc: Any = None) -> Any:
        closed = self.cluster.loop.create_future()
        closed.set_result(None)
        if self.is_open:
            self.is_open = False
            self.cluster.connections.discard(self)
            unanswered, self._unanswered = self._unanswered, deque()
            for _, answer in unanswered:
                if not answer.done():
                    answer.set_exception(errors.KafkaConnectionError("connection closed"))
            if self._on_close is not None:
                self._on_close(self, reason)
        return closed

    def cut(self) -> None:
        """The network's doing."""
        self.close(CloseReason.CONNECTION_BROKEN)

    def _next(self) -> None:
        if self._unanswered:
            self._is_busy = True
            self.cluster.travel(self, partial(self.cluster.arrive, self, self._unanswered[0][0]))
        else:
            self._is_busy = False

    def answered(self, response: Any) -> None:
        """The answer reached the process."""
        if not self.is_open or not self._unanswered:
            return
        _, answer = self._unanswered.popleft()
        if not answer.done():
            answer.set_result(response)
        self._next()


class Cluster:
    """All brokers. `chance` is drawn from in the order things happen, which the seed decides."""

    def __init__(self, loop: VirtualLoop, chance: Random, node_count: int) -> None:
        self.loop = loop
        self.chance = chance
        self.node_count = node_count
        self.logs: dict[TopicPartition, Log] = {}
        self.connections: set[Connection] = set()
        self.weather = Weather()
        self.faults: Counter[str] = Counter()
        self.silent_until: dict[int, float] = {}
        self.slow_until = 0.0
        """Until then most acknowledgements are late."""
        self.held_until: dict[Process, float] = {}
        """Process → when its requests under way arrive at last (a frozen machine's network)."""
        self.ambushes: dict[Process, tuple[str, Callable[[], None]]] = {}
        """Process → what befalls it when it next sends to that topic."""
        self.group = Group(self)
        self.on_append: Callable[[TopicPartition, list[Record], Process | None], None] = lambda *_: None
        self.on_acknowledged: Callable[[TopicPartition, int, int], None] = lambda *_: None
        self.requests = 0
        self._producer_ids = 0

    # -- wires -----------------------------------------------------------------------------------------------------

    async def connect(
        self, host: str, port: int, *, on_close: Any = None, request_timeout_ms: int = 40_000, **_: Any
    ) -> Connection:
        """In place of `aiokafka.client.create_conn`."""
        process = RUNNING.get()
        assert process is not None, "only workers connect"
        node = int(host.removeprefix("broker"))
        timeout = request_timeout_ms / 1000
        opened = self.loop.create_future()
        self.loop.later(self._latency(node, process), _set_once, opened)
        await wait_for(opened, timeout)
        connection = Connection(self, process, node, on_close, timeout)
        self.connections.add(connection)
        return connection

    def ambush(self, process: Process, topics: list[str]) -> None:
        topic, befall = self.ambushes.get(process, ("", lambda: None))
        if topic in topics:
            del self.ambushes[process]
            befall()

    def _latency(self, node: int, process: Process) -> float:
        now = self.loop.time()
        seconds = self.chance.uniform(*LATENCY_SECONDS)
        if self.chance.random() < self.weather.delay:
            seconds += self.chance.choice((0.05, 0.3, 1.5))
            self.faults["delay"] += 1
        at = now + seconds
        return max(at, self.silent_until.get(node, 0.0), self.held_until.get(process, 0.0)) - now

    def travel(self, connection: Connection, arrive: Callable[[], None]) -> None:
        """One way over the network, or not at all."""
        if self.chance.random() < self.weather.lost:
            self.faults["lost request"] += 1
            self.loop.later(self.chance.uniform(0.001, 0.02), connection.cut)
            return

        def arrived() -> None:
            late = self._still_held(connection)
            if late > 0:
                self.loop.later(min(late, HELD_LOOK_SECONDS), arrived)  # what holds it may end before its time
            else:
                arrive()

        self.loop.later(self._latency(connection.node, connection.process), arrived)

    def _still_held(self, connection: Connection) -> float:
        now = self.loop.time()
        until = max(self.silent_until.get(connection.node, 0.0), self.held_until.get(connection.process, 0.0))
        return until - now

    def arrive(self, connection: Connection, request: Any) -> None:
        """A request is at its broker. It is heeded though its sender may be gone by now."""
        self.requests += 1

        def reply(response: Any) -> None:
            self.travel(connection, lambda: connection.answered(response))

        handler = self._HANDLERS.get(request.API_KEY)
        if handler is not None:
            handler(self, connection, request, reply)
        else:
            self.group.arrive(connection, request, reply)

    # -- logs ------------------------------------------------------------------------------------------------------

    def create_topic(self, name: str, partitions: int) -> None:
        for partition in range(partitions):
            self.logs[name, partition] = Log()

    def partitions(self, topic: str) -> list[int]:
        return sorted(p for t, p in self.logs if t == topic)

    def leader(self, topic: str, partition: int) -> int:
        return (sum(topic.encode()) + partition) % self.node_count

    def append(
        self, key: TopicPartition, records: list[Record], process: Process | None = None, raw: bytes | None = None
    ) -> int:
        """Add a batch: these records with their offsets from the log's end on. Returns the first offset."""
        log = self.logs[key]
        base = log.end
        placed = [r._replace(offset=base + i) for i, r in enumerate(records)]
        end = base + len(placed)
        if raw is None:
            raw = build_batch(placed, base, end)
        else:
            raw = struct.pack(">q", base) + raw[8:]
        log.batches.append(Batch(base, end, raw, placed))
        log.end = end
        self.on_append(key, placed, process)
        waiting, log.waiting = log.waiting, []
        for wake in waiting:
            self.loop.later(0.0, wake)
        return base

    def compact(self, key: TopicPartition, below: int) -> int:
        """Drop every record below that offset which a later one of its key makes superfluous; returns how many."""
        log = self.logs[key]
        newest = {r.key: r.offset for r in log.records if r.offset < below}
        dropped = 0
        batches = []
        for batch in log.batches:
            kept = [r for r in batch.records if r.offset >= below or newest[r.key] == r.offset]
            dropped += len(batch.records) - len(kept)
            if len(kept) == len(batch.records):
                batches.append(batch)
            elif kept:
                batches.append(Batch(batch.base, batch.end, build_batch(kept, batch.base, batch.end), kept))
        log.batches = batches
        return dropped

    def shorten(self, key: TopicPartition, *, head: int | None = None, tail: int | None = None) -> None:
        """Lose the records below `head`, or those from `tail` on: whole batches, so a little more of the head's."""
        log = self.logs[key]
        if head is not None:
            log.batches = [b for b in log.batches if b.base >= head]
            log.start = log.batches[0].base if log.batches else log.end
        if tail is not None:
            log.batches = [b for b in log.batches if b.end <= tail]
            log.end = log.batches[-1].end if log.batches else log.start

    # -- requests --------------------------------------------------------------------------------------------------

    def _produce(self, connection: Connection, request: Any, reply: Callable[[Any], None]) -> None:
        w, draw = self.weather, self.chance.random()
        has_reply = True
        topics, acknowledged = [], []
        for topic, partitions in request.topics:
            answers = []
            for partition, raw in partitions:
                key = (topic, partition)
                code, offset = 0, -1
                if draw < w.fatal_ack:
                    code = self.chance.choice((UNKNOWN_SERVER_ERROR, NOT_AUTHORIZED))
                    self.faults["fatal answer"] += 1
                elif draw < w.fatal_ack + w.failed_ack:
                    code = NOT_ENOUGH_REPLICAS
                else:
                    code, offset = self._append_produced(key, bytes(raw), connection.process)
                    if code == 0 and draw < w.fatal_ack + w.failed_ack * 2:
                        code = NOT_ENOUGH_REPLICAS_AFTER_APPEND
                if code == 0:
                    acknowledged.append((key, offset, self.logs[key].end))
                elif code != OUT_OF_ORDER:
                    self.faults["failed acknowledgement"] += 1
                answers.append((partition, code, offset, -1, self.logs[key].start))
            topics.append((topic, answers))
        response = request.RESPONSE_TYPE(topics, 0)
        late, limit = self.chance.random(), SLOW_LATE_ACK if self.loop.time() < self.slow_until else w.late_ack
        if late < limit and acknowledged:
            self.faults["late acknowledgement"] += 1
            if late < limit / 3:  # never: the producer has to send it again, and is told where it stands
                has_reply = False
                self.loop.later(self.chance.uniform(0.001, 0.5), connection.cut)
            else:
                self.loop.later(self.chance.uniform(0.1, 4.0), lambda: self._acknowledge(reply, response, acknowledged))
                return
        if has_reply:
            self._acknowledge(reply, response, acknowledged)

    def _acknowledge(
        self, reply: Callable[[Any], None], response: Any, acknowledged: list[tuple[TopicPartition, int, int]]
    ) -> None:
        for key, first, end in acknowledged:
            self.on_acknowledged(key, first, end)
        reply(response)

    def _append_produced(self, key: TopicPartition, raw: bytes, process: Process) -> tuple[int, int]:
        log = self.logs[key]
        producer, _, sequence, count = PRODUCER_STATE.unpack_from(raw, PRODUCER_AT)
        known = log.producers.setdefault(producer, deque(maxlen=REMEMBERED_SEQUENCES))
        for first, how_many, offset in known:
            if (first, how_many) == (sequence, count):
                self.faults["repeated produce request"] += 1
                return 0, offset
        if known and sequence != known[-1][0] + known[-1][1]:
            return OUT_OF_ORDER, -1
        records = [Record(r.offset, r.timestamp, r.key, r.value) for r in MemoryRecords(raw).next_batch()]
        offset = self.append(key, records, process, raw)
        known.append((sequence, count, offset))
        return 0, offset

    def _fetch(self, connection: Connection, request: Any, reply: Callable[[Any], None]) -> None:
        is_cut = self.chance.random() < self.weather.cut
        deadline = self.loop.time() + request.max_wait_time / 1000
        asked = [((t, p), offset) for t, partitions in request.topics for p, offset, _ in partitions]
        is_answered = False

        def look() -> None:
            nonlocal is_answered
            if is_answered:
                return
            found, has_any = [], False
            for key, offset in asked:
                log = self.logs[key]
                code, raw = 0, b""
                if not log.start <= offset <= log.end:
                    code, has_any = OUT_OF_RANGE, True
                else:
                    batches = log.from_offset(offset)
                    if is_cut and len(batches) > 1:
                        batches = batches[: self.chance.randint(1, 2)]
                        self.faults["cut run"] += 1
                    raw = b"".join(b.raw for b in batches)
                    has_any = has_any or bool(raw)
                found.append((key, (key[1], code, log.end, log.end, None, raw)))
            if has_any or self.loop.time() >= deadline:
                is_answered = True
                topics: dict[str, list[Any]] = {}
                for (topic, _), answer in found:
                    topics.setdefault(topic, []).append(answer)
                reply(request.RESPONSE_TYPE(0, list(topics.items())))
            else:
                for key, _ in asked:
                    self.logs[key].waiting.append(look)

        look()
        if not is_answered:
            self.loop.later(deadline - self.loop.time(), look)

    def _list_offsets(self, connection: Connection, request: Any, reply: Callable[[Any], None]) -> None:
        reply(request.RESPONSE_TYPE([
            (topic, [(p, 0, -1, self.logs[topic, p].start if at == -2 else self.logs[topic, p].end) for p, at in partitions])
            for topic, partitions in request.topics
        ]))  # fmt: skip

    def _metadata(self, connection: Connection, request: Any, reply: Callable[[Any], None]) -> None:
        asked = sorted({t for t, _ in self.logs}) if request.topics is None else request.topics
        brokers = [(n, f"broker{n}", PORT, "rack") for n in range(self.node_count)]  # a hash of None differs from run to run
        topics = []
        for topic in asked:
            partitions = [(0, p, self.leader(topic, p), [0], [0]) for p in self.partitions(topic)]
            topics.append((0 if partitions else 3, topic, False, partitions))
        reply(request.RESPONSE_TYPE(brokers, 0, topics))

    def _init_producer(self, connection: Connection, request: Any, reply: Callable[[Any], None]) -> None:
        self._producer_ids += 1
        reply(request.RESPONSE_TYPE(0, 0, self._producer_ids, 0))

    def _find_coordinator(self, connection: Connection, request: Any, reply: Callable[[Any], None]) -> None:
        reply(request.RESPONSE_TYPE(0, 0, None, 0, "broker0", PORT))

    _HANDLERS: ClassVar[dict[int, Callable[..., None]]] = {
        0: _produce, 1: _fetch, 2: _list_offsets, 3: _metadata, 10: _find_coordinator, 22: _init_producer,
    }  # fmt: skip


def _set_once(opened: asyncio.Future[None]) -> None:
    if not opened.done():
        opened.set_result(None)
