"""What Prometheus and Alertmanager are given: they read their files, watch what compose starts, and ask only for what exists."""

from __future__ import annotations

import re
from typing import Any

import yaml

from tally_stream.metrics import ALL_NAMES
from tests.deploy.files import PROMETHEUS, program, recorded, run, services

CONFIG = yaml.safe_load((PROMETHEUS / "prometheus.yml").read_text(encoding="utf-8"))


TOLD_BEFORE = {"TallyWorkerStaysDown": "2m", "TallyDumpGone": "1m"}
"""By TallyWorkerDown and TallyDumpDown."""


def targets(job: dict[str, Any]) -> list[str]:
    """Of the files that a job, or what is told of alerts, names."""
    files = [file for one in job["file_sd_configs"] for file in one["files"]]
    groups = [group for file in files for group in yaml.safe_load((PROMETHEUS / file).read_text(encoding="utf-8"))]
    return [target for group in groups for target in group["targets"]]


def test_prometheus_scrapes_every_worker_the_board_and_the_copy() -> None:
    workers = [name for name, one in services().items() if name.startswith("worker") and one]
    assert {job["job_name"]: targets(job) for job in CONFIG["scrape_configs"]} == {
        "tally-worker": [f"{name}:9180" for name in workers],
        "tally-board": ["board:8080"],
        "tally-dump": ["dump:9190"],
        "tally-intake": [],  # an election without one must not be told that none answers
        "tally-station": [],
    }
    assert {"board", "dump"} <= services().keys()


def test_alerts_go_to_the_alertmanager() -> None:
    (manager,) = CONFIG["alerting"]["alertmanagers"]
    assert targets(manager) == ["alertmanager:9093"]
    assert "alertmanager" in services()


def asked(file: str) -> set[str]:
    """Every metric that a file's expressions name, histograms by their own name."""
    groups = yaml.safe_load((PROMETHEUS / file).read_text(encoding="utf-8"))["groups"]
    names = {
        name
        for group in groups
        for rule in group["rules"]
        for name in re.findall(r"\b(?:tally|process)_\w+|\btally:[\w:]+", rule["expr"])
    }
    return {re.sub(r"_(bucket|count|sum)$", "", name) if name.startswith("tally_ack") else name for name in names}


def test_rules_ask_only_for_metrics_that_exist() -> None:
    """A renamed metric makes an alarm silent for ever, and nobody notices."""
    for file in ("recording.yml", "alerts.yml"):
        assert asked(file)
        assert asked(file) - ALL_NAMES - recorded() == set()


def test_promtool_accepts_the_files() -> None:
    promtool = program("promtool")
    run(promtool, "check", "config", PROMETHEUS / "prometheus.yml")
    for file in ("recording.yml", "alerts.yml"):
        run(promtool, "check", "rules", PROMETHEUS / file)


def test_alertmanager_accepts_its_file_and_routes_by_severity() -> None:
    path = str(PROMETHEUS / "alertmanager.yml")
    run(program("amtool"), "check-config", path)
    for severity, receiver in (("critical", "pager"), ("warning", "screen"), ("info", "log")):
        run(program("amtool"), "config", "routes", "test", f"--config.file={path}", f"--verify.receivers={receiver}",
            f"severity={severity}")  # fmt: skip


def test_alertmanager_s_example_has_no_real_address_and_names_alerts_that_exist() -> None:
    text = (PROMETHEUS / "alertmanager.yml").read_text(encoding="utf-8")
    assert all(host.endswith(".example") for host in re.findall(r"https?://([^/\s]+)", text))
    groups = yaml.safe_load((PROMETHEUS / "alerts.yml").read_text(encoding="utf-8"))["groups"]
    alerts = {rule["alert"] for group in groups for rule in group["rules"]}
    named = set(re.findall(r"\bTally\w+", text))
    assert named
    assert named <= alerts


def test_a_person_may_know_within_45_seconds() -> None:
    """A scrape and a look are 5 s each; what is critical may wait 20 s more to be sure, or 30 s in its own condition. Two become
    critical later, when a warning of the same has stood for a while."""
    assert CONFIG["global"]["scrape_interval"] == CONFIG["global"]["evaluation_interval"] == "5s"
    groups = yaml.safe_load((PROMETHEUS / "alerts.yml").read_text(encoding="utf-8"))["groups"]
    for rule in (rule for group in groups for rule in group["rules"] if rule["labels"]["severity"] == "critical"):
        assert rule.get("for", "0s") == TOLD_BEFORE.get(rule["alert"]) or int(rule.get("for", "0s")[:-1]) <= 20, rule["alert"]
