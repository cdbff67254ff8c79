"""The alerts of deploy/prometheus ring when they must and end when it is over: promtool plays nights on the shipped rules.

Each case says of some moments exactly which alerts are firing then, all others not. Every alert rings in a case for its values,
and what happens where series are absent, go stale or begin anew stands beside it.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.deploy.alert_nights import BOARD, DUMP, JOBS, LONG_SECONDS, STEP_SECONDS, Night, healthy
from tests.deploy.files import PROMETHEUS, program
from tests.support.paths import DOCS

ALERTS = yaml.safe_load((PROMETHEUS / "alerts.yml").read_text(encoding="utf-8"))["groups"]
RULES = {rule["alert"]: rule for group in ALERTS for rule in group["rules"]}
SEVERITIES = {"critical", "warning", "info"}
KNOWN_WITHIN_SECONDS = 45
OBJECTIVE = "TallyBurnFast TallyBurnSlow"
"""Of a night that began two minutes before: a share of all there was."""
NOBODY = "TallyNoPublisher TallyPartitionUncounted"


@dataclass(frozen=True)
class Case:
    """`fault` breaks a healthy night; `ringing`: second → the alerts that fire then, behind spaces."""

    what: str
    fault: Callable[[Night], Any]
    ringing: dict[int, str]
    seconds: int = 300


def all_lost(night: Night) -> None:
    night.lose("w1", "w2", since=100, until=200)


def one_lost(night: Night) -> None:
    night.lose("w2", since=100, until=160)
    night.take_over("w2", "w1", since=112)
    for name in ("tally_records_read_total", "tally_log_end_offset", "tally_lag_records"):
        night.change(name, lambda t: None, since=112, instance="w2")


def owner_lost(night: Night) -> None:
    night.lose("w1", since=100)
    night.take_over("w1", "w2", since=125)


def dump_stands(night: Night, *, quiet_until: float = 0.0) -> Night:
    night.change("tally_dump_last_growth_timestamp_seconds", 95, 100)
    if quiet_until:
        night.change("tally_dump_log_end_offset", 950, 95, quiet_until)
        night.change("tally_dump_log_end_offset", lambda t: 950 + t - quiet_until, quiet_until)
    return night


def late(night: Night) -> None:
    """For two minutes reports are published, later than promised."""
    night.change("tally_acknowledged_to_published_seconds_bucket", lambda t: 40 * min(t, 100), 100, 220, le="30.0")
    night.change("tally_acknowledged_to_published_seconds_bucket", lambda t: 40 * (t - 120), 220, le="30.0")


CASES = (
    Case("a healthy night", lambda night: None, dict.fromkeys((0, 5, 60, 300, 600, 900), ""), LONG_SECONDS),
    Case(
        "a quiet one: no report for minutes, the root is sent again every 10 s",
        lambda night: (
            night.change("tally_records_read_total", 500), night.change("tally_log_end_offset", 500),
            night.change("tally_dump_log_end_offset", 500), night.change("tally_dump_last_growth_timestamp_seconds", 0),
            night.change("tally_last_publication_timestamp_seconds", lambda t: t - t % 10),
            night.change("tally_acknowledged_to_published_seconds_count", 9),
            night.change("tally_acknowledged_to_published_seconds_bucket", 9),
        ),
        dict.fromkeys((60, 300, 600, 900), ""), LONG_SECONDS,
    ),
    # -- all gone ------------------------------------------------------------------------------------------------------------
    Case(
        "all workers frozen: their series are stale, and it rings all the same; they thaw",
        all_lost,
        {
            95: "", 110: "TallyWorkersDown TallyWorkerDown",
            120: f"TallyWorkersDown TallyWorkerDown {NOBODY}",
            100 + KNOWN_WITHIN_SECONDS: f"TallyWorkersDown TallyWorkerDown {NOBODY} TallyStandingsSilent {OBJECTIVE}",
            200: OBJECTIVE, 300: "TallyBurnSlow",
        },
    ),
    Case(
        "no worker among the targets, and none was there since the start",
        lambda night: night.drop("w1", "w2"),
        {30: f"TallyWorkersDown TallyNoPublisher TallyStandingsSilent {OBJECTIVE}"},
    ),
    Case(
        "workers that leave the targets while it runs: nothing is even down",
        lambda night: night.drop("w1", "w2", since=100),
        {
            120: f"TallyWorkersDown {NOBODY}",
            100 + KNOWN_WITHIN_SECONDS: f"TallyWorkersDown {NOBODY} TallyStandingsSilent {OBJECTIVE}",
            900: f"TallyWorkersDown {NOBODY} TallyStandingsSilent {OBJECTIVE}",
        },
        LONG_SECONDS,
    ),
    Case(
        "more than an hour after the last worker was seen, silence is still silence",
        lambda night: night.drop("w1", "w2", since=100),
        {3_800: f"TallyWorkersDown {NOBODY} TallyStandingsSilent {OBJECTIVE}"},
        3_800,
    ),
    # -- one of two ----------------------------------------------------------------------------------------------------------
    Case(
        "a worker that does not publish is lost, the other takes over in twelve seconds; it comes back",
        one_lost,
        {105: "", 110: "TallyWorkerDown", 140: "TallyWorkerDown", 160: "", 300: ""},
    ),
    Case(
        "nobody takes over what a lost worker had",
        lambda night: night.lose("w2", since=100),
        {110: "TallyWorkerDown", 115: "TallyWorkerDown TallyPartitionUncounted", 300: "TallyWorkerDown TallyPartitionUncounted"},
    ),
    Case(
        "the owner of stage 2 is lost, the other publishes after 25 s",
        owner_lost,
        {110: "TallyWorkerDown", 115: "TallyWorkerDown TallyNoPublisher TallyPartitionUncounted", 125: "TallyWorkerDown", 300: "TallyWorkerDown"},
    ),
    Case(
        "one that publishes and whose brokers take nothing: it answers, and silence rings",
        lambda night: night.change("tally_last_publication_timestamp_seconds", 100, 100, 180),
        {125: "", 135: "TallyStandingsSilent TallyBurnSlow", 175: "TallyStandingsSilent TallyBurnFast TallyBurnSlow", 180: OBJECTIVE, 300: "TallyBurnSlow"},
    ),
    Case(
        "two publish, for longer than a session",
        lambda night: night.change("tally_publishes_standings", 1, 100, 150),
        {115: "", 120: "TallyTwoPublishers", 150: ""},
    ),
    Case(
        "two publish while one hands over",
        lambda night: night.change("tally_publishes_standings", 1, 100, 115),
        dict.fromkeys((100, 115, 120, 200), ""),
    ),
    Case(
        "neither publishes",
        lambda night: night.change("tally_publishes_standings", 0, 100, 150),
        {110: "", 115: "TallyNoPublisher", 150: ""},
    ),
    # -- partitions ----------------------------------------------------------------------------------------------------------
    Case(
        "a partition that nobody has had since the start",
        lambda night: night.change("tally_partitions", 5),
        {10: "", 15: "TallyPartitionUncounted", 300: "TallyPartitionUncounted"},
    ),
    Case(
        "one partition stands still with reports waiting",
        lambda night: (
            night.change("tally_records_read_total", 1_000, 100, 160, partition="1"),
            night.change("tally_records_read_total", lambda t: 1_000 + 10 * (t - 160), 160, partition="1"),
            night.change("tally_lag_records", 12, 100, 165, partition="1"),
        ),
        {125: "", 130: "TallyStalled", 155: "TallyStalled", 170: ""},
    ),
    Case(
        "a counter that begins anew at a restart is no partition that stands still",
        lambda night: (night.restart("w1", 100), night.change("tally_lag_records", 900, 110, 140, instance="w1")),
        {105: "", 115: "TallyWorkerRestarted", 150: "TallyWorkerRestarted", 300: "TallyWorkerRestarted", 420: ""},
        500,
    ),
    Case(
        "more reports wait than a worker soon reads, while it reads",
        lambda night: night.change("tally_lag_records", 10_001, 100, 150, partition="2"),
        {125: "", 130: "TallyLag", 150: ""},
    ),
    Case("as many as that are none too many", lambda night: night.change("tally_lag_records", 10_000), {300: ""}),
    Case(
        "a replay that takes more than a minute",
        lambda night: (
            night.change("tally_replay_remaining_records", 5_000, 100, 200, partition="0"),
            night.change("tally_ready", 0, 100, 200, instance="w1"),
        ),
        {155: "", 160: "TallyReplayLong TallyNotReady", 200: ""},
    ),
    Case(
        "a worker that cannot commit",
        lambda night: night.change("tally_commit_age_seconds", lambda t: t - 100, 100, 140, partition="3"),
        {125: "", 130: "TallyCommitAge", 140: ""},
    ),
    Case("a commit that waited as long as it may", lambda night: night.change("tally_commit_age_seconds", 20), {300: ""}),
    # -- restarts ------------------------------------------------------------------------------------------------------------
    Case(
        "three starts in five minutes",
        lambda night: night.restart("w2", 100, 140, 180),
        {
            115: "TallyWorkerRestarted", 155: "TallyWorkerRestarted", 190: "TallyCrashLoop TallyWorkerRestarted",
            385: "TallyCrashLoop TallyWorkerRestarted", 450: "TallyWorkerRestarted", 520: "",
        },
        600,
    ),
    Case(
        "a worker that is down between its starts for longer than it is there",
        lambda night: night.restart("w2", 100, 125, 150, 175, seconds=20),
        {195: "TallyCrashLoop TallyWorkerRestarted"},
    ),
    Case(
        "rebalances without end",
        lambda night: night.change("tally_rebalances_total", lambda t: 2 + (t - 100) // 20, 100, 400, instance="w1"),
        {150: "", 290: "TallyRebalances"},
    ),
    Case("one rebalance", lambda night: night.change("tally_rebalances_total", 3, 100), {110: "", 300: ""}),
    # -- what an authority says ------------------------------------------------------------------------------------------------
    Case(
        "a hold that is in half of the partitions, then in all",
        lambda night: night.change("tally_incomplete_statements", 1, 100, 150, kind="hold"),
        {115: "", 120: "TallyHoldIncomplete", 150: ""},
    ),
    Case(
        "a hold on its way",
        lambda night: night.change("tally_incomplete_statements", 1, 100, 110, kind="hold"),
        dict.fromkeys((105, 120, 130), ""),
    ),
    Case(
        "held and disputed stations",
        lambda night: (night.change("tally_held_stations", 2, 100), night.change("tally_disputed_stations", 1, 200)),
        {130: "TallyHeldStations", 230: "TallyHeldStations TallyDisputedStations"},
    ),
    Case(
        "a worker in rehearsal",
        lambda night: night.change("tally_rehearsal", 1, 100, 200, instance="w2"),
        {95: "", 100: "TallyRehearsal", 200: ""},
    ),
    Case(
        "a board with another definition",
        lambda night: (
            night.lose(BOARD, since=100, until=110),
            night.put("tally_build_info", BOARD, lambda t: None if t < 110 else 1, digest="d2", election="E", version="1"),
        ),
        {120: "", 125: "TallyDefinitionsDiffer"},
    ),
    # -- the objective ---------------------------------------------------------------------------------------------------------
    Case(
        "reports are published, later than promised",
        late,
        {95: "", 150: "TallyBurnFast TallyBurnSlow", 220: "TallyBurnFast TallyBurnSlow", 340: "TallyBurnSlow"},
        400,
    ),
    Case(
        "a minute of lateness every twelve: no moment rings for long, the hour does",
        lambda night: night.change("tally_last_publication_timestamp_seconds", lambda t: t - (60 if t % 720 < 60 else 0)),
        {3_600 + 45: "TallyStandingsSilent TallyBurnSlow", 3_600 + 180: "TallyBurnSlow", 3_600 + 500: ""},
        4_200,
    ),
    # -- boards ----------------------------------------------------------------------------------------------------------------
    Case("the board is gone", lambda night: night.lose(BOARD, since=100, until=150), {105: "", 110: "TallyBoardsDown TallyBoardDown", 150: ""}),
    Case("no board among the targets", lambda night: night.drop(BOARD), {5: "", 10: "TallyBoardsDown"}),
    Case(
        "nothing comes to a board, and the count goes on",
        lambda night: (
            night.change("tally_board_contact_age_seconds", lambda t: t - 100, 100, 200),
            night.change("tally_board_ready", 0, 140, 200),
        ),
        {125: "", 130: "TallyBoardNoContact", 200: ""},
    ),
    Case(
        "a board that is not ready, of which a record stopped the fold",
        lambda night: (night.change("tally_board_ready", 0, 100, 200), night.change("tally_board_fold_failed", 1, 100, 200)),
        {100: "TallyBoardFoldFailed", 160: "TallyBoardFoldFailed TallyBoardNotReady", 200: ""},
    ),
    # -- the copy ---------------------------------------------------------------------------------------------------------------
    Case(
        "the copy falls behind, then has all again",
        lambda night: night.change("tally_dump_behind_seconds", lambda t: t - 100, 100, 180),
        {155: "", 160: "TallyDumpLags", 180: ""},
    ),
    Case("reports come and its file does not grow", dump_stands, {165: "", 175: "TallyDumpNotGrowing"}),
    Case("nobody reports, and it does not grow", lambda night: dump_stands(night, quiet_until=1_000), dict.fromkeys((160, 290), "")),
    Case(
        "after a quiet hour the first report is on its way into the file",
        lambda night: (
            dump_stands(night, quiet_until=200),
            night.change("tally_dump_last_growth_timestamp_seconds", lambda t: t, 210),
        ),
        dict.fromkeys((200, 205, 210, 220, 290), ""),
    ),
    Case(
        "the file was moved away",
        lambda night: night.change("tally_dump_file_bytes", 0, 100, 150),
        {110: "", 115: "TallyDumpNotGrowing", 150: ""},
    ),
    Case("the copy is gone", lambda night: night.lose(DUMP, since=100, until=150), {110: "", 115: "TallyDumpGone", 150: ""}),
    Case("no copy among the targets", lambda night: night.drop(DUMP), {15: "TallyDumpGone", 300: "TallyDumpGone"}),
    Case(
        "everything is gone at once, Prometheus' targets included",
        lambda night: night.drop(*JOBS, since=100),
        {145: f"TallyWorkersDown {NOBODY} TallyStandingsSilent {OBJECTIVE} TallyBoardsDown TallyDumpGone"},
    ),
)  # fmt: skip


def play(path: Path, *tests: dict[str, Any]) -> subprocess.CompletedProcess[str]:
    """promtool's verdict over the shipped rules."""
    rules = [str(PROMETHEUS / "recording.yml"), str(PROMETHEUS / "alerts.yml")]
    order = ["tally-objective", *(group["name"] for group in ALERTS)]  # else one that is random, and a look more or less
    night = {"rule_files": rules, "evaluation_interval": f"{STEP_SECONDS}s", "group_eval_order": order, "tests": list(tests)}
    path.write_text(yaml.safe_dump(night))
    return subprocess.run([program("promtool"), "test", "rules", str(path)], capture_output=True, text=True, check=False)


def as_test(case: Case) -> dict[str, Any]:
    night = healthy()
    case.fault(night)
    return {
        "name": case.what,
        "interval": f"{STEP_SECONDS}s",
        "input_series": list(night.lines(case.seconds)),
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


def test_every_alert_says_how_bad_what_and_where_to_read_on() -> None:
    for name, rule in RULES.items():
        assert rule["labels"].keys() == {"severity"}, name
        assert rule["labels"]["severity"] in SEVERITIES, name
        assert rule["annotations"].keys() == {"summary", "description", "runbook_url"}, name
        assert rule["annotations"]["runbook_url"] == f"docs/runbook.md#{name.lower()}"


def test_every_alert_has_its_section_in_the_runbook_and_the_other_way_round() -> None:
    page = (DOCS / "runbook.md").read_text(encoding="utf-8")
    sections = re.findall(r"^### (Tally\w+)$", page, re.MULTILINE)
    assert sorted(sections) == sorted(RULES)
    for name in sections:
        section = re.search(rf"^### {name}\n(.*?)(?=^##)", page + "\n## ", re.MULTILINE | re.DOTALL)
        assert section is not None
        text = section.group(1)
        commands = re.findall(r"^[0-9]\. ", text, re.MULTILINE)
        assert [c.strip() for c in commands] == ["1.", "2.", "3."], f"{name}: the first three things to do"
        assert f"({RULES[name]['labels']['severity']})" in text, f"{name}: its severity"
        assert "**Call**" in text, f"{name}: whom to call"
