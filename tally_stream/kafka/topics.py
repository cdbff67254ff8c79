"""The five topics: their names, what creating them sets, and every reason not to count on them.

Decides which settings a worker may start on. Counting settings always refuse; durability settings refuse unless the
run is a rehearsal, which is then shown everywhere. All reasons are listed at once. `judge_topics` decides, on what the
brokers described; `check_topics` asks them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from aiokafka.admin import NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import ClusterAuthorizationFailedError, KafkaError, TopicAuthorizationFailedError, for_code

from tally_stream.kafka.client import admin_client, forbidden_topics
from tally_stream.kafka.rights import NotAllowed, missing_right
from tally_stream.settings import Settings

HOUR_MS = 3_600_000
PARTIALS_SEGMENT_MS = 60_000
REPORTS_MAX_MESSAGE_BYTES = 1_048_576
MESSAGE_MIN_BYTES = 1_000_000
"""A standings message is at most so long, a mark may say of 20,000 contests that they are on hold, and a rejection has about
180 KB; a topic that takes less would stop the count."""

KAFKA_NEVER = "9223372036854775807"
"""Kafka's default of `flush.messages`: the operating system decides when a record reaches the disk."""


@dataclass(frozen=True)
class Topics:
    """Topic names under a prefix, each put together once: a worker asks for one with every change."""

    prefix: str

    @cached_property
    def reports(self) -> str:
        return f"{self.prefix}.reports"

    @cached_property
    def partials(self) -> str:
        return f"{self.prefix}.partials"

    @cached_property
    def standings(self) -> str:
        return f"{self.prefix}.standings"

    @cached_property
    def rejections(self) -> str:
        return f"{self.prefix}.rejections"

    @cached_property
    def changes(self) -> str:
        return f"{self.prefix}.changes"

    @property
    def all(self) -> tuple[str, ...]:
        return (self.reports, self.partials, self.standings, self.rejections, self.changes)


_KEPT = {"cleanup.policy": "delete", "retention.ms": "-1", "retention.bytes": "-1"}
_COMPACTED = {"cleanup.policy": "compact", "min.compaction.lag.ms": str(HOUR_MS)}
"""Standings: who was away for an hour still finds every version."""
_COMPACTED_AT_ONCE = {
    "cleanup.policy": "compact", "min.compaction.lag.ms": "0", "segment.ms": str(PARTIALS_SEGMENT_MS),
    "segment.index.bytes": "1048576",  # its files are made anew every minute (docs/performance.md, latency)
}  # fmt: skip
"""Partials: only a segment that is closed is compacted, and who takes them over reads all that is left of them."""

_ON_DISK_FIRST = {"flush.messages": "1"}
"""Reports: Kafka acknowledges what stands in the memory of enough brokers. A power cut takes that memory from all of them at
once; so each batch is on the disk before its acknowledgement. What is published is made again from the reports."""


def wanted_configs(topics: Topics, *, is_log_append: bool, min_insync: int) -> dict[str, dict[str, str]]:
    """Topic → its settings, as `topics create` makes them."""
    durable = {"unclean.leader.election.enable": "false", "min.insync.replicas": str(min_insync)}
    time = "LogAppendTime" if is_log_append else "CreateTime"
    return {
        topics.reports: {
            **_KEPT,
            **durable,
            "message.timestamp.type": time,
            "max.message.bytes": str(REPORTS_MAX_MESSAGE_BYTES),
            **_ON_DISK_FIRST,
        },
        topics.partials: {**_COMPACTED_AT_ONCE, **durable},
        topics.standings: {**_COMPACTED, **durable},
        topics.rejections: {**_KEPT, **durable},
        topics.changes: {**_KEPT, **durable},
    }


NO_SUCH_TOPIC = "there is no such topic; tally-stream topics create makes it"


class TopicsError(Exception):
    """`errors` are sentences, one a topic or setting."""

    def __init__(self, errors: list[str]) -> None:
        super().__init__("\n".join(errors))
        self.errors = errors


async def create_topics(settings: Settings, *, partitions: int, replication: int, is_log_append: bool) -> list[str]:
    """Create what is missing; returns the names created. Raises TopicsError with every refusal."""
    topics = Topics(settings.prefix)
    configs = wanted_configs(topics, is_log_append=is_log_append, min_insync=min(2, replication))
    single = {topics.partials, topics.standings}
    async with admin_client(settings) as admin:
        existing = set(await admin.list_topics())
        missing = [name for name in topics.all if name not in existing]
        if not missing:
            return []
        response = await admin.create_topics(
            [NewTopic(n, 1 if n in single else partitions, replication, topic_configs=configs[n]) for n in missing]
        )
    errors = []
    for name, code, *rest in response.topic_errors:
        if code != 0:
            reason = (rest[0] if rest else None) or for_code(code).__name__
            denied = for_code(code) in (TopicAuthorizationFailedError, ClusterAuthorizationFailedError)
            errors.append(missing_right(settings, "Create", f"topic {name}") if denied else f"{name}: {reason}")
    if errors:
        raise TopicsError(errors)
    return missing


@dataclass(frozen=True, slots=True)
class SettingDifference:
    """What is not as it should be. `of`: a topic, or `broker` and its id; `setting` is None, as are `value` and `wanted`, of a
    topic that is not there or that we may not see. `is_refusal`: in a rehearsal, too."""

    of: str
    setting: str | None
    value: str | None
    wanted: str | None
    is_refusal: bool
    sentence: str


@dataclass(frozen=True, slots=True)
class TopicReport:
    """`refusals` always refuse, `risks` only outside a rehearsal: the sentences of `differences`. `partitions` of the reports
    topic, 0 where missing. `is_complete`: all five topics exist."""

    partitions: int
    is_complete: bool
    refusals: list[str]
    risks: list[str]
    differences: list[SettingDifference] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class DescribedTopic:
    """A topic as the brokers describe it: the replicas of each partition, counted, and its settings."""

    replica_counts: Sequence[int]
    settings: Mapping[str, str]


async def check_topics(settings: Settings, *, is_official: bool) -> TopicReport:
    """Everything that is wrong with the topics as they stand."""
    topics = Topics(settings.prefix)
    async with admin_client(settings) as admin:
        existing = set(await admin.list_topics())
        present = [name for name in topics.all if name in existing]
        partitions = {t["topic"]: t["partitions"] for t in await admin.describe_topics(present)} if present else {}
        forbidden = await forbidden_topics(admin, [name for name in topics.all if name not in existing])
        configs = await _configs(settings, admin, ConfigResourceType.TOPIC, present)
        brokers = await _configs(settings, admin, ConfigResourceType.BROKER, await _broker_ids(admin))
    described = {n: DescribedTopic([len(p["replicas"]) for p in partitions[n]], configs.get(n, {})) for n in present}
    hidden = {name: missing_right(settings, "Describe", f"topic {name}") for name in forbidden}
    return judge_topics(topics, described, brokers, hidden, is_official=is_official)


def judge_topics(
    topics: Topics,
    described: Mapping[str, DescribedTopic],
    brokers: Mapping[str, Mapping[str, str]],
    hidden: Mapping[str, str] | None = None,
    *,
    is_official: bool,
) -> TopicReport:
    """`described`: those of the five that there are; `brokers`: id → settings; `hidden`: a topic that we may not see → what is
    said of it instead."""
    why = {name: f"{name}: {NO_SUCH_TOPIC}" for name in topics.all if name not in described} | dict(hidden or {})
    found = [SettingDifference(name, None, None, None, True, sentence) for name, sentence in why.items()]
    reports_partitions = len(described[topics.reports].replica_counts) if topics.reports in described else 0
    for name in topics.all:
        if name in described:
            found += _check_partitions(topics, name, len(described[name].replica_counts), reports_partitions)
            found += _check_cleanup(topics, name, described[name].settings)
            found += _check_durability(topics, name, described[name], is_official=is_official)
    for broker, config in brokers.items():
        if config.get("auto.create.topics.enable", "false") != "false":
            found.append(_risk(f"broker {broker}", "auto.create.topics.enable", "true", "false",
                               f"broker {broker}: auto.create.topics.enable is true, it should be false"))  # fmt: skip
    refusals = [one.sentence for one in found if one.is_refusal]
    risks = [one.sentence for one in found if not one.is_refusal]
    return TopicReport(reports_partitions, len(described) == len(topics.all), refusals, risks, found)


def _refusal(of: str, setting: str, value: object, wanted: object, sentence: str) -> SettingDifference:
    return SettingDifference(of, setting, str(value), str(wanted), True, sentence)


def _risk(of: str, setting: str, value: object, wanted: object, sentence: str) -> SettingDifference:
    return SettingDifference(of, setting, str(value), str(wanted), False, sentence)


@dataclass(frozen=True, slots=True)
class ReportsTopic:
    """The reports topic as it is set; `refusals` are settings under which records would be lost."""

    partitions: int
    timestamp_type: str
    refusals: list[str]


async def look_at_reports(settings: Settings) -> ReportsTopic | None:
    """The reports topic alone, None where there is none: what stands before the others are made again."""
    topics = Topics(settings.prefix)
    name = topics.reports
    async with admin_client(settings) as admin:
        if name not in await admin.list_topics():
            if await forbidden_topics(admin, [name]):
                raise NotAllowed(missing_right(settings, "Describe", f"topic {name}"))
            return None
        (described,) = await admin.describe_topics([name])
        config = (await _configs(settings, admin, ConfigResourceType.TOPIC, [name]))[name]
    refusals = [one.sentence for one in _check_cleanup(topics, name, config) if one.is_refusal]
    return ReportsTopic(len(described["partitions"]), config["message.timestamp.type"], refusals)


def _check_partitions(topics: Topics, name: str, count: int, reports_count: int) -> Iterator[SettingDifference]:
    if name in (topics.partials, topics.standings):
        if count != 1:
            yield _refusal(name, "partitions", count, 1, f"{name}: {count} partitions, it must have 1")
    elif reports_count and count != reports_count:
        yield _refusal(name, "partitions", count, reports_count,
                       f"{name}: {count} partitions, {topics.reports} has {reports_count}")  # fmt: skip


def _check_cleanup(topics: Topics, name: str, config: Mapping[str, str]) -> Iterator[SettingDifference]:
    policy = config.get("cleanup.policy", "delete")
    size = config.get("max.message.bytes", str(MESSAGE_MIN_BYTES))
    if int(size) < MESSAGE_MIN_BYTES:
        yield _refusal(name, "max.message.bytes", size, f"{MESSAGE_MIN_BYTES} or more",
                       f"{name}: max.message.bytes is {size}, it must be {MESSAGE_MIN_BYTES} or more")  # fmt: skip
    if name in (topics.partials, topics.standings):
        if policy != "compact":
            yield _refusal(name, "cleanup.policy", policy, "compact", f"{name}: cleanup.policy is {policy}, it must be compact")
        lag_ms = int(config.get("min.compaction.lag.ms", "0"))
        if name == topics.standings and lag_ms < HOUR_MS:
            yield _risk(name, "min.compaction.lag.ms", lag_ms, f"{HOUR_MS} or more",
                        f"{name}: min.compaction.lag.ms is {lag_ms}, it should be {HOUR_MS} or more")  # fmt: skip
        if name == topics.partials and lag_ms > 0:
            yield _risk(name, "min.compaction.lag.ms", lag_ms, 0,
                        f"{name}: min.compaction.lag.ms is {lag_ms}, it should be 0: "
                        "a take-over reads all that is left")  # fmt: skip
        if name == topics.partials and int(config.get("segment.ms", "0")) > PARTIALS_SEGMENT_MS:
            yield _risk(name, "segment.ms", config["segment.ms"], f"{PARTIALS_SEGMENT_MS} or less",
                        f"{name}: segment.ms is {config['segment.ms']}, it should be {PARTIALS_SEGMENT_MS} or less: "
                        "a take-over reads all that is left")  # fmt: skip
        return
    if policy != "delete":
        yield _refusal(name, "cleanup.policy", policy, "delete",
                       f"{name}: cleanup.policy is {policy}, it must be delete: every record is kept")  # fmt: skip
    for setting in ("retention.ms", "retention.bytes"):
        if config.get(setting, "-1") != "-1":
            yield _refusal(name, setting, config[setting], "-1",
                           f"{name}: {setting} is {config[setting]}, it must be -1: records are kept for ever")  # fmt: skip


def _check_durability(
    topics: Topics, name: str, described: DescribedTopic, *, is_official: bool
) -> Iterator[SettingDifference]:
    config, replication = described.settings, min(described.replica_counts)
    if replication < 3:
        yield _risk(name, "replication", replication, "3 or more",
                    f"{name}: replication is {replication}, it should be 3 or more")  # fmt: skip
    in_sync = config.get("min.insync.replicas", "1")
    if int(in_sync) < 2:
        yield _risk(name, "min.insync.replicas", in_sync, "2 or more",
                    f"{name}: min.insync.replicas is {in_sync}, it should be 2 or more")  # fmt: skip
    if config.get("unclean.leader.election.enable", "false") != "false":
        yield _risk(name, "unclean.leader.election.enable", "true", "false",
                    f"{name}: unclean.leader.election.enable is true, it should be false")  # fmt: skip
    if name != topics.reports:
        return
    flush = config.get("flush.messages", KAFKA_NEVER)
    if flush != "1":
        yield _risk(name, "flush.messages", flush, 1,
                    f"{name}: flush.messages is {flush}, it should be 1: "
                    "a power cut would take acknowledged reports")  # fmt: skip
    time_type = config.get("message.timestamp.type", "LogAppendTime")
    if is_official and time_type != "LogAppendTime":
        yield _risk(name, "message.timestamp.type", time_type, "LogAppendTime",
                    f"{name}: message.timestamp.type is {time_type}, it should be LogAppendTime "
                    "(a recorded night keeps its own times: --rehearsal)")  # fmt: skip


async def _broker_ids(admin: Any) -> list[str]:
    return [str(node["node_id"]) for node in (await admin.describe_cluster())["brokers"]]


async def _configs(settings: Settings, admin: Any, kind: ConfigResourceType, names: list[str]) -> dict[str, dict[str, str]]:
    """Name → settings, of topics or brokers. Raises NotAllowed with all that may not be read."""
    found: dict[str, dict[str, str]] = {}
    if not names:
        return found
    denied: set[str] = set()
    for response in await admin.describe_configs([ConfigResource(kind, name) for name in names]):
        for resource in response.resources:
            code, message, _, name, entries = resource[:5]
            if for_code(code) in (TopicAuthorizationFailedError, ClusterAuthorizationFailedError):
                denied.add("cluster" if kind == ConfigResourceType.BROKER else f"topic {name}")
            elif code != 0:
                raise KafkaError(f"settings of {name} can't be read: {message}")
            found[name] = {entry[0]: entry[1] for entry in entries}
    if denied:
        raise NotAllowed("; ".join(missing_right(settings, "DescribeConfigs", resource) for resource in sorted(denied)))
    return found
