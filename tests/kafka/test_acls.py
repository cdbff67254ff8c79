"""What a table of principals says, and where it and the brokers' rules differ: no broker is asked."""

from __future__ import annotations

from pathlib import Path

import pytest

from tally_stream.kafka.acls import AccessRule, AccessTable, AclsError, compare, read_table
from tally_stream.settings import Settings
from tests.support.paths import DOCS, ROOT

SHIPPED = ROOT / "deploy" / "kafka" / "acls.toml"
TABLE = """
[worker]
why = "counts"
principals = ["User:w1", "User:CN=w2,O=count"]
topics.reports = ["Read"]
group = ["Read"]
[admin]
why = "makes topics"
principals = ["User:admin"]
cluster = ["DescribeConfigs"]
"""


def _written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "acls.toml"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.fixture
def table(tmp_path: Path) -> AccessTable:
    return read_table(_written(tmp_path, TABLE), Settings(prefix="t"))


def test_every_principal_of_a_role_gets_its_rules_for_the_prefix_and_the_group(table: AccessTable) -> None:
    assert sorted(table.rules) == [
        AccessRule("User:CN=w2,O=count", "group", "t-workers", "Read"),
        AccessRule("User:CN=w2,O=count", "topic", "t.reports", "Read"),
        AccessRule("User:admin", "cluster", "kafka-cluster", "DescribeConfigs"),
        AccessRule("User:w1", "group", "t-workers", "Read"),
        AccessRule("User:w1", "topic", "t.reports", "Read"),
    ]


def test_a_group_of_another_name_is_the_one_that_is_set(tmp_path: Path) -> None:
    table = read_table(_written(tmp_path, TABLE), Settings(prefix="t", group="g"))
    assert {rule.name for rule in table.rules if rule.resource == "group"} == {"g"}


def test_what_the_brokers_have_as_it_should_be_differs_in_nothing(table: AccessTable) -> None:
    assert compare(table, table.rules).sentences == []


def test_a_missing_rule_is_told_with_what_gives_it(table: AccessTable) -> None:
    found = table.rules - {AccessRule("User:w1", "topic", "t.reports", "Read")}
    assert compare(table, found).sentences == [
        f"access: missing: User:w1 Read on the topic t.reports; tally-stream topics create --acls {table.path} gives it"
    ]


SURPLUS = {
    AccessRule("User:w1", "topic", "t.reports", "Write"): "allowed, and not in …: User:w1 Write on the topic t.reports",
    AccessRule("User:mallory", "topic", "t.reports", "Write"): "allowed, and not in …: User:mallory Write on the topic t.reports",
    AccessRule("User:mallory", "topic", "*", "Read"): "allowed, and not in …: User:mallory Read on every topic",
    AccessRule("User:mallory", "topic", "t", "All", is_prefix=True): "allowed, and not in …: User:mallory All on every topic that begins with t",
    AccessRule("User:*", "group", "t-workers", "Read"): "allowed, and not in …: User:* Read on the group t-workers",
    AccessRule("User:*", "topic", "t.reports", "Write"): "allowed, and not in …: User:* Write on the topic t.reports",
    AccessRule("User:*", "transactional id", "*", "Write"): "allowed, and not in …: User:* Write on every transactional id",
    AccessRule("User:*", "cluster", "kafka-cluster", "IdempotentWrite"): "allowed, and not in …: User:* IdempotentWrite on the cluster",
    AccessRule("User:mallory", "cluster", "kafka-cluster", "Alter"): "allowed, and not in …: User:mallory Alter on the cluster",
    AccessRule("User:w1", "cluster", "kafka-cluster", "Describe"): "allowed, and not in …: User:w1 Describe on the cluster",
    AccessRule("User:w1", "transactional id", "x", "Write"): "allowed, and not in …: User:w1 Write on the transactional id x",
    AccessRule("User:w1", "topic", "t.reports", "Read", host="10.0.0.1"): "allowed, and not in …: User:w1 Read on the topic t.reports from 10.0.0.1",
    AccessRule("User:w1", "topic", "t.reports", "Read", is_denied=True): "denied, and not in …: User:w1 Read on the topic t.reports",
}  # fmt: skip


@pytest.mark.parametrize("rule", SURPLUS, ids=str)
def test_a_rule_that_touches_us_and_is_in_no_table_is_told(table: AccessTable, rule: AccessRule) -> None:
    assert compare(table, {*table.rules, rule}).sentences == [f"access: {SURPLUS[rule]}".replace("…", str(table.path))]


@pytest.mark.parametrize(
    "rule",
    [
        AccessRule("User:mallory", "topic", "other.reports", "Write"),
        AccessRule("User:w1", "topic", "rehearsal.reports", "Read"),
        AccessRule("User:w1", "group", "rehearsal-workers", "Read"),
        AccessRule("User:mallory", "topic", "t.reports-of-another", "Write"),
        AccessRule("User:mallory", "topic", "u", "All", is_prefix=True),
        AccessRule("User:mallory", "cluster", "kafka-cluster", "Describe"),
        AccessRule("User:mallory", "transactional id", "x", "Write"),
        AccessRule("User:*", "topic", "other.reports", "Write"),
    ],
    ids=str,
)
def test_a_rule_about_others_is_nobodys_business_here(table: AccessTable, rule: AccessRule) -> None:
    assert compare(table, {*table.rules, rule}).sentences == []


MISTAKES = {
    "": ["no role stands in it"],
    "[worker\n": ["Expected ']'"],
    "[worker]\n": ["worker.why: field required", "worker.principals: field required"],
    '[w]\nwhy = "x"\nprincipals = ["w1"]\n': ["w.principals.0: a principal is written User:NAME"],
    '[w]\nwhy = "x"\nprincipals = ["User:*"]\n': ["w.principals.0: a principal is written User:NAME"],
    '[w]\nwhy = "x"\nprincipals = ["User:w"]\ntopics.results = ["Read"]\n': [
        "w.topics.results.[key]: input should be 'reports'"
    ],
    '[w]\nwhy = "x"\nprincipals = ["User:w"]\ntopics.reports = ["read"]\n': ["w.topics.reports.0: input should be 'Read'"],
    '[w]\nwhy = "x"\nprincipals = ["User:w"]\ngroup = ["Write"]\n': [
        "w.group.0: input should be 'Read', 'Describe' or 'Delete'"
    ],
    '[w]\nwhy = "x"\nprincipals = ["User:w"]\ncluster = ["Write"]\n': ["w.cluster.0: input should be 'Create'"],
    '[w]\nwhy = "x"\nprincipals = ["User:w"]\nrights = []\n': ["w.rights: extra inputs are not permitted"],
}


@pytest.mark.parametrize("text", MISTAKES)
def test_every_mistake_of_a_table_is_told_with_its_place(tmp_path: Path, text: str) -> None:
    path = _written(tmp_path, text)
    with pytest.raises(AclsError) as refused:
        read_table(path, Settings())
    told = refused.value.errors
    assert len(told) == len(MISTAKES[text])
    for line, wanted in zip(told, MISTAKES[text], strict=True):
        assert line.startswith(f"{path}: ")
        assert wanted in line


def test_a_table_that_is_not_there_or_no_text(tmp_path: Path) -> None:
    with pytest.raises(AclsError, match="No such file"):
        read_table(tmp_path / "none.toml", Settings())
    (tmp_path / "bytes.toml").write_bytes(b"\xff")
    with pytest.raises(AclsError, match=r"bytes\.toml: "):
        read_table(tmp_path / "bytes.toml", Settings())


def test_the_table_that_ships_gives_nobody_what_nobody_needs() -> None:
    """It is compared with what programs do on a real broker in tests/access; here what a reviewer looks for first."""
    rules = read_table(SHIPPED, Settings()).rules
    assert not {r.operation for r in rules} & {"All", "Delete", "Alter", "AlterConfigs", "ClusterAction", "IdempotentWrite"}
    assert not [r for r in rules if r.resource == "transactional id"]
    assert {r.principal for r in rules if (r.name, r.operation) == ("tally.reports", "Write")} == {
        "User:station",
        "User:authority",
    }
    writers = {r.principal for r in rules if r.operation == "Write" and r.name != "tally.reports"}
    assert writers == {"User:worker"}
    assert not [r for r in rules if r.operation == "Create" and r.principal != "User:admin"]


def test_the_page_for_stations_names_what_a_station_may() -> None:
    rules = read_table(SHIPPED, Settings(prefix="t")).rules
    reads = [r.name for r in rules if r.principal == "User:station" and r.operation == "Read"]
    said = (
        " ".join((DOCS / "stations.md").read_text(encoding="utf-8").split())
        .split("it writes reports, and reads ")[1]
        .split(".")[0]
    )
    assert sorted(said.replace(" and ", ", ").split(", ")) == sorted(name.removeprefix("t.") for name in reads)
