"""What Prometheus is given: it reads its files, asks only for metrics that exist, and its alarms ring."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

from tally_stream.metrics import ALL_NAMES
from tests.deploy.files import PROMETHEUS, program, run, services


def test_prometheus_scrapes_every_worker_and_the_board() -> None:
    config = yaml.safe_load((PROMETHEUS / "prometheus.yml").read_text(encoding="utf-8"))
    targets = {
        job["job_name"]: [target for group in job["static_configs"] for target in group["targets"]]
        for job in config["scrape_configs"]
    }
    workers = [name for name, one in services().items() if name.startswith("worker") and one]
    assert targets == {"tally-worker": [f"{name}:9180" for name in workers], "tally-board": ["board:8080"]}
    assert "board" in services()


def test_alerts_ask_only_for_metrics_that_exist() -> None:
    """A renamed metric makes an alarm silent for ever, and nobody notices."""
    groups = yaml.safe_load((PROMETHEUS / "alerts.yml").read_text(encoding="utf-8"))["groups"]
    asked = {name for group in groups for rule in group["rules"] for name in re.findall(r"\btally_\w+", rule["expr"])}
    assert asked
    assert asked - ALL_NAMES == set()


def test_promtool_accepts_the_files() -> None:
    promtool = program("promtool")
    run(promtool, "check", "config", PROMETHEUS / "prometheus.yml")
    run(promtool, "check", "rules", PROMETHEUS / "alerts.yml")


def test_the_alarms_ring_at_their_limits_and_not_on_a_quiet_night() -> None:
    run(program("promtool"), "test", "rules", str(Path(__file__).with_name("alerts_test.yml")))
