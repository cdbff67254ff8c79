"""What `topics check` and a starting worker say of topics, on what brokers could describe: no broker is asked."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from tally_stream.kafka.topics import DescribedTopic, TopicReport, Topics, judge_topics, wanted_configs

TOPICS = Topics("t")
HOUR_MS = 3_600_000
KEPT = ("reports", "rejections", "changes")
COMPACTED = ("partials", "standings")
ALL = ("reports", "partials", "standings", "rejections", "changes")


def described(
    changes: Mapping[str, Mapping[str, str]] | None = None, replicas: Mapping[str, list[int]] | None = None
) -> dict[str, DescribedTopic]:
    """The five topics as `topics create` makes them, with three replicas, but for these settings and replicas."""
    wanted = wanted_configs(TOPICS, is_log_append=True, min_insync=2)
    found = {}
    for short in ALL:
        counts = (replicas or {}).get(short) or ([3] if short in COMPACTED else [3, 3, 3])
        found[f"t.{short}"] = DescribedTopic(counts, wanted[f"t.{short}"] | dict((changes or {}).get(short, {})))
    return found


def judged(found: Mapping[str, DescribedTopic], *, is_official: bool = True) -> TopicReport:
    """Each of its sentences is one of a difference, which has the same figures."""
    report = judge_topics(TOPICS, found, {"1": {"auto.create.topics.enable": "false"}}, is_official=is_official)
    said = [(one.sentence, one.is_refusal) for one in report.differences]
    assert [sentence for sentence, is_refusal in said if is_refusal] == report.refusals
    assert [sentence for sentence, is_refusal in said if not is_refusal] == report.risks
    for one in report.differences:
        assert one.sentence.startswith(one.of)
        assert all(word is None or word in one.sentence for word in (one.setting, one.value, one.wanted))
    return report


@pytest.mark.parametrize("is_official", [True, False])
def test_what_create_makes_is_as_it_should_be(is_official: bool) -> None:
    assert judged(described(), is_official=is_official) == TopicReport(3, True, [], [])


@pytest.mark.parametrize("topic", KEPT)
@pytest.mark.parametrize("policy", ["compact", "compact,delete", "delete,compact"])
def test_a_topic_that_is_kept_may_not_be_compacted(topic: str, policy: str) -> None:
    assert judged(described({topic: {"cleanup.policy": policy}})).refusals == [
        f"t.{topic}: cleanup.policy is {policy}, it must be delete: every record is kept"
    ]


@pytest.mark.parametrize("topic", COMPACTED)
@pytest.mark.parametrize("policy", ["delete", "compact,delete"])
def test_the_newest_of_a_key_may_not_be_deleted(topic: str, policy: str) -> None:
    assert judged(described({topic: {"cleanup.policy": policy}})).refusals == [
        f"t.{topic}: cleanup.policy is {policy}, it must be compact"
    ]


@pytest.mark.parametrize("topic", KEPT)
@pytest.mark.parametrize("setting", ["retention.ms", "retention.bytes"])
@pytest.mark.parametrize("limit", ["604800000", "0"])
def test_what_is_kept_is_kept_for_ever(topic: str, setting: str, limit: str) -> None:
    assert judged(described({topic: {setting: limit}})).refusals == [
        f"t.{topic}: {setting} is {limit}, it must be -1: records are kept for ever"
    ]


@pytest.mark.parametrize("topic", COMPACTED)
def test_a_compacted_topic_may_have_any_retention(topic: str) -> None:
    assert judged(described({topic: {"retention.ms": "604800000", "retention.bytes": "1000"}})).refusals == []


@pytest.mark.parametrize("topic", ALL)
def test_the_largest_message_that_a_topic_takes(topic: str) -> None:
    assert judged(described({topic: {"max.message.bytes": "1000000"}})).refusals == []
    assert judged(described({topic: {"max.message.bytes": "999999"}})).refusals == [
        f"t.{topic}: max.message.bytes is 999999, it must be 1000000 or more"
    ]


@pytest.mark.parametrize("topic", ALL)
@pytest.mark.parametrize("at", [0, 1, 2])
def test_one_partition_with_fewer_replicas_is_a_risk(topic: str, at: int) -> None:
    counts = [3] if topic in COMPACTED else [3, 3, 3]
    counts[min(at, len(counts) - 1)] = 2
    report = judged(described(replicas={topic: counts}))
    assert (report.refusals, report.risks) == ([], [f"t.{topic}: replication is 2, it should be 3 or more"])


@pytest.mark.parametrize("topic", ALL)
def test_one_replica_that_acknowledges_alone_is_a_risk(topic: str) -> None:
    report = judged(described({topic: {"min.insync.replicas": "1"}}))
    assert (report.refusals, report.risks) == ([], [f"t.{topic}: min.insync.replicas is 1, it should be 2 or more"])


@pytest.mark.parametrize("topic", ALL)
def test_an_unclean_election_of_a_leader_is_a_risk(topic: str) -> None:
    report = judged(described({topic: {"unclean.leader.election.enable": "true"}}))
    assert report.risks == [f"t.{topic}: unclean.leader.election.enable is true, it should be false"]


def test_standings_stay_an_hour_before_they_are_compacted() -> None:
    report = judged(described({"standings": {"min.compaction.lag.ms": str(HOUR_MS - 1)}}))
    assert report.risks == [f"t.standings: min.compaction.lag.ms is {HOUR_MS - 1}, it should be {HOUR_MS} or more"]
    assert judged(described({"standings": {"min.compaction.lag.ms": str(HOUR_MS)}})).risks == []


@pytest.mark.parametrize(("setting", "most"), [("min.compaction.lag.ms", 0), ("segment.ms", 60_000)])
def test_partials_are_compacted_soon(setting: str, most: int) -> None:
    """Who takes them over reads all that is left of them before it publishes."""
    assert judged(described({"partials": {setting: str(most)}})).risks == []
    (risk,) = judged(described({"partials": {setting: str(most + 1)}})).risks
    assert risk.startswith(f"t.partials: {setting} is {most + 1}, it should be {most}")
    assert judged(described({"standings": {"segment.ms": str(most + 1)}})).risks == []


def test_stations_may_not_date_their_reports_in_an_official_election() -> None:
    found = described({"reports": {"message.timestamp.type": "CreateTime"}})
    assert judged(found).risks == [
        "t.reports: message.timestamp.type is CreateTime, it should be LogAppendTime "
        "(a recorded night keeps its own times: --rehearsal)"
    ]
    assert judged(found, is_official=False).risks == []
    others = {short: {"message.timestamp.type": "CreateTime"} for short in ALL if short != "reports"}
    assert judged(described(others)).risks == []


@pytest.mark.parametrize("is_official", [True, False])
@pytest.mark.parametrize("count", ["2", "9223372036854775807"])
def test_reports_that_are_acknowledged_before_the_disk_has_them_are_a_risk(count: str, is_official: bool) -> None:
    assert judged(described({"reports": {"flush.messages": count}}), is_official=is_official).risks == [
        f"t.reports: flush.messages is {count}, it should be 1: a power cut would take acknowledged reports"
    ]
    found = described()
    del found["t.reports"].settings["flush.messages"]  # type: ignore[attr-defined]
    assert len(judged(found).risks) == 1, "a broker that does not say so has Kafka's default"
    others = {short: {"flush.messages": count} for short in ALL if short != "reports"}
    assert judged(described(others)).risks == []


@pytest.mark.parametrize("topic", COMPACTED)
def test_one_partition_for_what_stage_2_reads_and_writes(topic: str) -> None:
    assert judged(described(replicas={topic: [3, 3]})).refusals == [f"t.{topic}: 2 partitions, it must have 1"]


@pytest.mark.parametrize("topic", ["rejections", "changes"])
def test_as_many_partitions_as_reports(topic: str) -> None:
    assert judged(described(replicas={topic: [3, 3]})).refusals == [f"t.{topic}: 2 partitions, t.reports has 3"]


@pytest.mark.parametrize("topic", ALL)
def test_a_topic_that_is_not_there(topic: str) -> None:
    found = described()
    del found[f"t.{topic}"]
    report = judged(found)
    assert report.refusals == [f"t.{topic}: there is no such topic; tally-stream topics create makes it"]
    assert (report.is_complete, report.partitions) == (False, 0 if topic == "reports" else 3)


def test_a_broker_that_makes_topics_by_itself_is_a_risk() -> None:
    brokers = {"1": {"auto.create.topics.enable": "false"}, "2": {"auto.create.topics.enable": "true"}}
    assert judge_topics(TOPICS, described(), brokers, is_official=True).risks == [
        "broker 2: auto.create.topics.enable is true, it should be false"
    ]


def test_all_that_is_wrong_is_said_at_once() -> None:
    changes = {
        "reports": {"cleanup.policy": "compact,delete", "retention.bytes": "5", "min.insync.replicas": "1"},
        "changes": {"retention.ms": "5"},
    }
    report = judged(described(changes, {"standings": [1]}))
    assert report.refusals == [
        "t.reports: cleanup.policy is compact,delete, it must be delete: every record is kept",
        "t.reports: retention.bytes is 5, it must be -1: records are kept for ever",
        "t.changes: retention.ms is 5, it must be -1: records are kept for ever",
    ]
    assert report.risks == [
        "t.reports: min.insync.replicas is 1, it should be 2 or more",
        "t.standings: replication is 1, it should be 3 or more",
    ]


def test_what_differs_is_told_as_figures_too() -> None:
    found = described({"reports": {"retention.ms": "1"}, "standings": {"min.insync.replicas": "1"}}, {"changes": [3]})
    del found["t.partials"]
    report = judge_topics(TOPICS, found, {"2": {"auto.create.topics.enable": "true"}}, is_official=True)
    assert [(one.of, one.setting, one.value, one.wanted, one.is_refusal) for one in report.differences] == [
        ("t.partials", None, None, None, True),
        ("t.reports", "retention.ms", "1", "-1", True),
        ("t.standings", "min.insync.replicas", "1", "2 or more", False),
        ("t.changes", "partitions", "1", "3", True),
        ("broker 2", "auto.create.topics.enable", "true", "false", False),
    ]
