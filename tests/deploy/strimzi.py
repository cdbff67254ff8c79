"""Strimzi's topics and users, written from what the product itself has: `python -m tests.deploy.strimzi`.

Decides how a topic's settings (`wanted_configs`, as `topics create` makes them) and an access table (deploy/kafka/acls.toml) are
said to Strimzi's operators. Refuses to know either: a test compares the files with what they would be now.
"""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import Any

import yaml

from tally_stream.kafka.acls import read_table
from tally_stream.kafka.topics import Topics, wanted_configs
from tally_stream.settings import load_settings
from tests.support.paths import ROOT

FOLDER = ROOT / "deploy" / "kubernetes" / "strimzi"
ACLS = ROOT / "deploy" / "kafka" / "acls.toml"
API = "kafka.strimzi.io/v1"
CLUSTER = "tally"
PREFIX = "tally"
PARTITIONS = 12
REPLICAS = 3
HEADS = {
    "topics.yaml": "# The five topics as `tally-stream topics create --partitions 12 --replication 3` makes them. Generated: python -m\n"
    "# tests.deploy.strimzi. The number of partitions of reports, rejections and changes is chosen once and for ever; change it here\n"
    "# before the first report, in all three.\n",
    "users.yaml": "# A user a role of deploy/kafka/acls.toml, with its rights. Generated: python -m tests.deploy.strimzi. Strimzi puts each one's\n"
    "# password into a Secret of the user's name.\n",
}


def topics() -> list[dict[str, Any]]:
    names = Topics(PREFIX)
    configs = wanted_configs(names, is_log_append=True, min_insync=2)
    return [
        {
            "apiVersion": API,
            "kind": "KafkaTopic",
            "metadata": {"name": name, "labels": {"strimzi.io/cluster": CLUSTER}},
            "spec": {
                "partitions": 1 if name in {names.partials, names.standings} else PARTITIONS,
                "replicas": REPLICAS,
                "config": configs[name],
            },
        }
        for name in names.all
    ]


def users() -> list[dict[str, Any]]:
    rules: dict[str, dict[tuple[str, str], list[str]]] = defaultdict(lambda: defaultdict(list))
    for rule in sorted(read_table(ACLS, load_settings(prefix=PREFIX)).rules):
        assert (rule.is_prefix, rule.is_denied, rule.host) == (False, False, "*"), rule
        rules[rule.principal.removeprefix("User:")][rule.resource, rule.name].append(rule.operation)
    return [
        {
            "apiVersion": API,
            "kind": "KafkaUser",
            "metadata": {"name": name, "labels": {"strimzi.io/cluster": CLUSTER}},
            "spec": {
                "authentication": {"type": "scram-sha-512"},
                "authorization": {"type": "simple", "acls": [_acl(*about, said) for about, said in sorted(on.items())]},
            },
        }
        for name, on in sorted(rules.items())
    ]


def _acl(kind: str, name: str, operations: list[str]) -> dict[str, Any]:
    # A cluster has no name; what is not said of the host is every host.
    resource = {"type": kind} if kind == "cluster" else {"type": kind, "name": name, "patternType": "literal"}
    return {"resource": resource, "operations": operations}


def written(name: str) -> str:
    found = topics() if name == "topics.yaml" else users()
    return HEADS[name] + yaml.safe_dump_all(found, sort_keys=False, width=130)


def main() -> None:
    for name in HEADS:
        path = Path(FOLDER, name)
        path.write_text(written(name), encoding="utf-8")
        print(path.relative_to(ROOT))


if __name__ == "__main__":
    main()
