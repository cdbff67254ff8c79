"""The alerts of deploy/prometheus ring when they must and end when it is over: promtool plays nights on the shipped rules.

Each case says of some moments exactly which alerts are firing then, all others not. Every alert rings in a case for its values,
and in one where who says it is absent, goes stale or begins anew; `alert_table.py` finds them, and says where that can't be.
"""

from __future__ import annotations

import re
import shlex
import subprocess
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from deploy.kafka.local.tools import TOOLS
from tests.deploy.alert_cases import Case, all_lost
from tests.deploy.alert_nights import STEP_SECONDS, WAYS
from tests.deploy.alert_table import CASES, NOT_RUNG, RULES, asked, broken, played, shown
from tests.deploy.files import PROMETHEUS, program
from tests.support.paths import DOCS
from tests.support.product_commands import parse

ALERTS = yaml.safe_load((PROMETHEUS / "alerts.yml").read_text(encoding="utf-8"))["groups"]
SEVERITIES = {"critical", "warning", "info"}


def play(path: Path, *tests: dict[str, Any]) -> subprocess.CompletedProcess[str]:
    """promtool's verdict over the shipped rules."""
    rules = [str(PROMETHEUS / "recording.yml"), str(PROMETHEUS / "alerts.yml")]
    order = ["tally-objective", *(group["name"] for group in ALERTS)]  # else one that is random, and a look more or less
    night = {"rule_files": rules, "evaluation_interval": f"{STEP_SECONDS}s", "group_eval_order": order, "tests": list(tests)}
    path.write_text(yaml.safe_dump(night))
    return subprocess.run([program("promtool"), "test", "rules", str(path)], capture_output=True, text=True, check=False)


def as_test(case: Case) -> dict[str, Any]:
    return {
        "name": case.what,
        "interval": f"{STEP_SECONDS}s",
        "input_series": list(broken(case).lines(case.seconds)),
        "promql_expr_test": [
            {
                "expr": 'group by (alertname) (ALERTS{alertstate="firing"})',
                "eval_time": f"{second}s",
                "exp_samples": [{"labels": f'{{alertname="{name}"}}', "value": 1} for name in sorted(names.split())],
            }
            for second, names in case.ringing.items()
        ],
    }


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.what)
def test_exactly_these_ring(case: Case, tmp_path: Path) -> None:
    judged = play(tmp_path / "night.yml", as_test(case))
    assert judged.returncode == 0, judged.stdout + judged.stderr


def test_a_night_that_is_expected_otherwise_fails(tmp_path: Path) -> None:
    """The judge can say no: an alert that is missing, and one that is too much."""
    for second, names in ((300, "TallyLag"), (145, "TallyStandingsSilent")):
        judged = play(tmp_path / "night.yml", as_test(Case("frozen", all_lost, {second: names})))
        assert judged.returncode != 0


def test_every_alert_rings_in_a_night_and_is_silent_in_another() -> None:
    rung = {name for case in CASES for names in case.ringing.values() for name in names.split()}
    assert rung == RULES.keys()
    assert all(not names for names in CASES[0].ringing.values())


@pytest.mark.parametrize("way", WAYS)
def test_every_alert_is_played_where_who_says_it_is_gone(way: str) -> None:
    """In each way: it rings in a case, or it stands in the table why not, and a case shows that."""
    assert {rule for rule in RULES if not played(rule, way)} == {rule for gone, rule in NOT_RUNG if gone == way}
    for rule, other in ((rule, other) for (gone, rule), other in NOT_RUNG.items() if gone == way):
        assert shown(rule, way), f"{rule}: no case has it silent in this way"
        assert not other or asked(other) == asked(rule), f"{other} is about others than {rule}"


def test_every_alert_says_how_bad_what_and_where_to_read_on() -> None:
    for name, rule in RULES.items():
        assert rule["labels"].keys() == {"severity"}, name
        assert rule["labels"]["severity"] in SEVERITIES, name
        assert rule["annotations"].keys() == {"summary", "description", "runbook_url"}, name
        assert rule["annotations"]["runbook_url"] == f"{{{{ $externalLabels.runbook }}}}docs/runbook.md#{name.lower()}"


def test_whoever_is_called_can_follow_the_link(tmp_path: Path) -> None:
    """One place says where the runbook is; promtool fills it in as Prometheus does."""
    base = yaml.safe_load((PROMETHEUS / "prometheus.yml").read_text(encoding="utf-8"))["global"]["external_labels"]["runbook"]
    assert re.fullmatch(r"https://[a-z.]+\.example/", base)
    night = as_test(Case("frozen", all_lost, {}))
    filled = {"runbook_url": f"{base}docs/runbook.md#tallyworkersdown"}
    for title, words in RULES["TallyWorkersDown"]["annotations"].items():
        filled.setdefault(title, words)
    expected = {"eval_time": "120s", "alertname": "TallyWorkersDown",
                "exp_alerts": [{"exp_labels": {"severity": "critical"}, "exp_annotations": filled}]}  # fmt: skip
    night |= {"external_labels": {"runbook": base}, "alert_rule_test": [expected], "promql_expr_test": []}
    judged = play(tmp_path / "night.yml", night)
    assert judged.returncode == 0, judged.stdout + judged.stderr


def is_command(span: str) -> bool:
    """Whether it begins with a program that there is; one of ours must be as click reads it."""
    words = shlex.split(span)
    if words[0] == "tally-stream":
        assert parse(words[1:])
        return True
    return (len(words) > 1 and words[0] in {"curl", "df", "journalctl", "kcat", "ls", "systemctl", *TOOLS}) or words == ["top"]


def test_a_step_without_a_command_is_seen() -> None:
    assert not is_command("/readyz")
    assert not is_command("kafka-readyz.sh --now")
    with pytest.raises(click.UsageError):
        is_command("tally-stream status --nothing")


def test_every_alert_has_its_section_in_the_runbook_and_the_other_way_round() -> None:
    page = (DOCS / "runbook.md").read_text(encoding="utf-8")
    sections = re.findall(r"^### (Tally\w+)$", page, re.MULTILINE)
    assert sorted(sections) == sorted(RULES)
    for name in sections:
        section = re.search(rf"^### {name}\n(.*?)(?=^##)", page + "\n## ", re.MULTILINE | re.DOTALL)
        assert section is not None
        text = section.group(1)
        steps = re.findall(r"^([0-9])\. (.*(?:\n   .*)*)", text, re.MULTILINE)
        assert [number for number, _ in steps] == ["1", "2", "3"], f"{name}: the first three things to do"
        for _, step in steps:
            assert any(is_command(span) for span in re.findall(r"`([^`]+)`", step)), f"{name}: no command in: {step}"
        assert f"({RULES[name]['labels']['severity']})" in text, f"{name}: its severity"
        assert "**Call**" in text, f"{name}: whom to call"
