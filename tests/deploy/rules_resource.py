"""The rules as the Prometheus operator takes them, written from deploy/prometheus: `python -m tests.deploy.rules_resource`.

Decides only the resource around them. Refuses to know any rule: a test compares the file with what it would be now, and promtool
judges the rules where they come from.
"""

from __future__ import annotations

from typing import Any

import yaml

from tests.deploy.files import PROMETHEUS, parsed
from tests.support.paths import ROOT

PATH = ROOT / "deploy" / "kubernetes" / "overlays" / "monitored" / "rules.yaml"
HEAD = (
    "# What is recorded and who is called: deploy/prometheus/recording.yml and alerts.yml, where each says why. Generated: python -m\n"
    "# tests.deploy.rules_resource. The Prometheus resource needs `externalLabels: {runbook: …}` with the address below which docs/ is\n"
    "# served, `evaluationInterval: 5s`, and Prometheus 2.42 or later.\n"
)


def resource() -> dict[str, Any]:
    groups = [group for name in ("recording.yml", "alerts.yml") for group in parsed(PROMETHEUS / name)["groups"]]
    return {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PrometheusRule",
        "metadata": {"name": "tally"},
        "spec": {"groups": groups},
    }


def written() -> str:
    return HEAD + yaml.safe_dump(resource(), sort_keys=False, width=130, allow_unicode=True)


def main() -> None:
    PATH.write_text(written(), encoding="utf-8")
    print(PATH.relative_to(ROOT))


if __name__ == "__main__":
    main()
