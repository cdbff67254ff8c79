"""Writes the two dashboards of deploy/grafana/dashboards, or checks that they are what stands here.

    python deploy/grafana/generate.py            write them
    python deploy/grafana/generate.py --check    exit 1 and name those that differ

The night is for whoever answers for the count: what stands still, how far it is, what waits. The pipeline is for whoever looks
why: reading, flushing, publishing, committing, processes, intakes, the copy. Built with Grafana's own library of types, which
knows every field of a panel; never seen in a Grafana by the tests. Refuses to know limits: deploy/prometheus/alerts.yml has
them.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from grafana_foundation_sdk.builders import common, dashboard, prometheus, stat, timeseries
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.common import BigValueColorMode, GraphDrawStyle, LegendDisplayMode, LegendPlacement
from grafana_foundation_sdk.models.dashboard import Dashboard, DataSourceRef, Threshold, ThresholdsMode

FOLDER = Path(__file__).parent / "dashboards"
SOURCE = DataSourceRef(type_val="prometheus", uid="tally-prometheus")
"""That of deploy/grafana/provisioning."""

HEIGHT = 8
STAT_HEIGHT = 4


@dataclass(frozen=True)
class Shown:
    """A panel. `asks`: legend → expression; `unit` is one of Grafana's; `limits`: (from, colour) in rising order, `below`
    them green; a `stat` is one big figure, else it is drawn over time."""

    title: str
    means: str
    unit: str
    asks: dict[str, str]
    limits: tuple[tuple[float, str], ...] = ()
    is_stat: bool = False
    width: int = 12
    below: str = "green"


Rows = dict[str, tuple[Shown, ...]]

NIGHT: Rows = {
    "Now": (
        Shown("Alerts", "How many are firing, the serious ones first.", "none",
              {"critical": 'count(ALERTS{alertname=~"Tally.*",alertstate="firing",severity="critical"}) or vector(0)',
               "warning": 'count(ALERTS{alertname=~"Tally.*",alertstate="firing",severity="warning"}) or vector(0)'},
              ((1, "red"),), is_stat=True, width=6),
        Shown("Standings sent", "How long ago, by whichever worker. Roots are sent again every 10 s.", "s",
              {"ago": "time() - tally:last_publication_timestamp_seconds:max"}, ((15, "orange"), (30, "red")), is_stat=True,
              width=4),
        Shown("Newest report", "How long ago a broker took it. Quiet is not dead.", "s",
              {"ago": "time() - max(tally_last_input_timestamp_seconds)"}, is_stat=True, width=4),
        Shown("Counted", "Stations counted or annulled, of all, over all contests.", "percentunit",
              {"stations": 'sum(tally_stations{state=~"counted|annulled"}) / sum(tally_stations)'}, is_stat=True, width=4),
        Shown("Objective left", "Of the night's bad moments (1 of 100): reports later in the standings than 30 s.",
              "percentunit", {"left": "tally:budget_left:ratio_12h"}, ((0.25, "orange"), (0.5, "green")), is_stat=True, width=6,
              below="red"),
    ),
    "Progress": (
        Shown("Stations by contest", "Counted or annulled, of those expected.", "percentunit",
              {"{{contest}}":
                   'sum by (contest) (tally_stations{state=~"counted|annulled"}) / sum by (contest) (tally_stations)'}),
        Shown("Stations by state", "Over all contests.", "short", {"{{state}}": "sum by (state) (tally_stations)"}),
        Shown("Reports a second", "As they are counted, by verdict.", "reqps",
              {"{{verdict}}": "sum by (verdict) (rate(tally_verdicts_total[1m]))"}),
        Shown("Version", "Of the newest standings: the records they stand on. It only rises.", "short",
              {"{{contest}}": "max by (contest) (tally_standings_version)"}),
    ),
    "What needs somebody": (
        Shown("Held and disputed stations", "Until a higher revision or an authority settles them.", "short",
              {"held {{contest}}": "max by (contest) (tally_held_stations)",
               "disputed {{contest}}": "max by (contest) (tally_disputed_stations)"}),
        Shown("Holds", "Contests on hold, and statements that are not in every partition.", "short",
              {"on hold": "max(tally_contests_on_hold)",
               "incomplete: {{kind}}": "max by (kind) (tally_incomplete_statements)"}),
        Shown("Refusals by rule", "A minute; one report can have several codes.", "short",
              {"{{code}}": "sum by (code) (increase(tally_codes_total[1m])) > 0"}),
        Shown("Readers", "Streams that are open, and those cut off for not reading.", "short",
              {"open": "sum(tally_board_readers)", "cut off a minute": "sum(increase(tally_board_readers_cut_total[1m]))"}),
    ),
}  # fmt: skip

PIPELINE: Rows = {
    "From a broker's acknowledgement to the standings": (
        Shown("Acknowledged to published", "How late reports are in the standings.", "s",
              {"half of them": "tally:acknowledged_to_published_seconds:p50",
               "99 of 100": "tally:acknowledged_to_published_seconds:p99"}),
        Shown("Bad moments", "Share of the last 5 minutes, and of the last hour.", "percentunit",
              {"5 minutes": "tally:bad:ratio_5m", "1 hour": "tally:bad:ratio_1h"}),
    ),
    "Reading": (
        Shown("Lag", "Records that wait, by partition.", "short", {"{{partition}}": "max by (partition) (tally_lag_records)"}),
        Shown("Read", "Records a second, by worker.", "reqps",
              {"{{instance}}": "sum by (instance) (rate(tally_records_read_total[1m]))"}),
        Shown("Replay", "Records that a worker still has to read again.", "short",
              {"{{instance}} {{partition}}": "tally_replay_remaining_records > 0"}),
        Shown("Where partitions stand", "The log's end less what is marked, and less what is committed.", "short",
              {"not marked {{partition}}":
                   "max by (partition) (tally_log_end_offset) - max by (partition) (tally_marked_offset)",
               "not committed {{partition}}":
                   "max by (partition) (tally_log_end_offset) - max by (partition) (tally_committed_offset)"}),
    ),
    "Sending": (
        Shown("Flush", "Pages and mark, 99 of 100, by worker.", "s",
              {"{{instance}}": "histogram_quantile(0.99, sum by (instance, le) (rate(tally_flush_seconds_bucket[1m])))"}),
        Shown("Publication", "Rendering and sending standings, 99 of 100.", "s",
              {"{{instance}}": "histogram_quantile(0.99, sum by (instance, le) (rate(tally_publication_seconds_bucket[1m])))"}),
        Shown("Commit age", "How long acknowledged records wait for a commit.", "s",
              {"{{instance}} {{partition}}": "tally_commit_age_seconds"}),
        Shown("Unacknowledged runs and partials", "What waits for brokers, and what they took a second.", "short",
              {"waiting {{instance}}": "sum by (instance) (tally_unacknowledged_runs)",
               "sent {{instance}}": "rate(tally_partials_sent_total[1m])"}),
    ),
    "Workers": (
        Shown("Who publishes, who is ready", "1 is yes.", "short",
              {"publishes {{instance}}": "tally_publishes_standings", "ready {{instance}}": "tally_ready"}),
        Shown("Heartbeat age", "Since the group last confirmed it; a session is 10 s.", "s",
              {"{{instance}}": "tally_last_heartbeat_age_seconds"}),
        Shown("Rebalances and starts", "In the last five minutes.", "short",
              {"rebalances {{instance}}": "increase(tally_rebalances_total[5m])",
               "starts {{instance}}": 'changes(process_start_time_seconds{job="tally-worker"}[5m])'}),
        Shown("Definitions", "How many processes have which.", "short",
              {"{{digest}} {{version}}": 'count by (digest, version) (tally_build_info{digest!=""})'}),
        Shown("Processor", "Of one core; that of stage 2 beside it.", "percentunit",
              {"{{instance}}": "rate(process_cpu_seconds_total[1m])",
               "stage 2 {{instance}}": "rate(tally_stage_two_seconds_total[1m])"}),
        Shown("Memory", "Resident.", "bytes", {"{{instance}}": "process_resident_memory_bytes"}),
    ),
    "Boards": (
        Shown("Contact", "Since a worker last published, as each board has it.", "s",
              {"{{instance}}": "max by (instance) (tally_board_contact_age_seconds)"}),
        Shown("Updates sent", "A second, to all readers.", "reqps",
              {"{{instance}}": "sum by (instance) (rate(tally_board_updates_sent_total[1m]))",
               "skipped {{instance}}": "sum by (instance) (rate(tally_board_readers_skipped_total[1m]))"}),
    ),
    "Intakes": (
        Shown("Statements taken over HTTP", "A second, acknowledged by the brokers; those taken before are told their place.",
              "reqps",
              {"taken {{instance}}": "rate(tally_intake_taken_total[1m])",
               "again {{instance}}": "rate(tally_intake_repeated_total[1m])"}),
        Shown("Not taken over HTTP", "A minute, by the word of the answer: brokers and busy come again by themselves.", "short",
              {"{{why}}": "sum by (why) (increase(tally_intake_refused_total[1m])) > 0"}),
        Shown("Waiting at intakes", "Statements without an acknowledgement yet; 2,000 at most.", "short",
              {"{{instance}}": "tally_intake_under_way"}),
        Shown("Intakes: ready, tokens, bodies", "1 is ready; tokens that are known; MiB of bodies, 128 at most.", "short",
              {"ready {{instance}}": "tally_intake_ready", "tokens {{instance}}": "tally_intake_tokens",
               "MiB {{instance}}": "tally_intake_body_bytes / 1048576"}),
    ),
    "Stations' machines": (
        Shown("Waiting in spools", "Statements that `submit` has still to send, as its files say.", "short",
              {"{{instance}}": "tally_spool_unsent_statements > 0"}),
        Shown("Oldest in a spool", "How long it has waited.", "s",
              {"{{instance}}": "time() - (tally_spool_oldest_unsent_timestamp_seconds > 0)"}),
    ),
    "The copy of the log": (
        Shown("Behind", "Since the file last had all.", "s", {"{{instance}}": "tally_dump_behind_seconds"}),
        Shown("File", "Its size; it grows while reports come.", "bytes", {"{{instance}}": "tally_dump_file_bytes"}),
        Shown("Records missing in the copy", "By partition.", "short", {"{{partition}}": "tally_dump_lag_records"}),
        Shown("Last write, last growth", "How long ago.", "s",
              {"write": "time() - tally_dump_last_write_timestamp_seconds",
               "growth": "time() - tally_dump_last_growth_timestamp_seconds"}),
    ),
}  # fmt: skip


def _thresholds(shown: Shown) -> dashboard.ThresholdsConfig:
    steps = [Threshold(value=None, color=shown.below), *(Threshold(value=at, color=color) for at, color in shown.limits)]
    return dashboard.ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE).steps(steps)


def _panel(shown: Shown, number: int) -> stat.Panel | timeseries.Panel:
    panel: stat.Panel | timeseries.Panel
    if shown.is_stat:
        newest = common.ReduceDataOptions().calcs(["lastNotNull"])
        panel = stat.Panel().color_mode(BigValueColorMode.BACKGROUND).reduce_options(newest).height(STAT_HEIGHT)
    else:
        legend = common.VizLegendOptions().display_mode(LegendDisplayMode.LIST).placement(LegendPlacement.BOTTOM)
        panel = timeseries.Panel().draw_style(GraphDrawStyle.LINE).fill_opacity(10).legend(legend.show_legend(True))
        panel = panel.min(0).height(HEIGHT)
    panel = panel.id(number).title(shown.title).description(shown.means).datasource(SOURCE).unit(shown.unit)
    panel = panel.span(shown.width).thresholds(_thresholds(shown))
    for at, (legend_format, expr) in enumerate(shown.asks.items()):
        query = prometheus.Dataquery().expr(expr).legend_format(legend_format).ref_id(chr(ord("A") + at)).range()
        panel = panel.with_target(query)
    return panel


def _dashboard(uid: str, title: str, rows: Rows, since: str) -> Dashboard:
    made = dashboard.Dashboard(title).uid(uid).tags(["tally-stream"]).readonly()
    made = made.refresh("5s").time(since, "now").timezone("browser")
    numbers = count(1)
    for row, panels in rows.items():
        made = made.with_row(dashboard.Row(row).id(next(numbers)))
        for shown in panels:
            made = made.with_panel(_panel(shown, next(numbers)))
    return made.build()


DASHBOARDS: dict[str, Callable[[], Dashboard]] = {
    "night": lambda: _dashboard("tally-night", "Tally: the night", NIGHT, "now-1h"),
    "pipeline": lambda: _dashboard("tally-pipeline", "Tally: the pipeline", PIPELINE, "now-30m"),
}


def written(name: str) -> str:
    """A dashboard's file, whole."""
    return json.dumps(DASHBOARDS[name](), cls=JSONEncoder, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def stale() -> list[str]:
    """Files that are missing or differ, and those of no dashboard."""
    there = {path.stem: path.read_text(encoding="utf-8") for path in FOLDER.glob("*.json")}
    return sorted({name for name in DASHBOARDS if there.get(name) != written(name)} | (there.keys() - DASHBOARDS.keys()))


def main() -> int:
    if sys.argv[1:] == ["--check"]:
        for name in stale():
            print(f"deploy/grafana/dashboards/{name}.json is not what generate.py says: run make docs", file=sys.stderr)
        return 1 if stale() else 0
    if sys.argv[1:]:
        print("usage: python deploy/grafana/generate.py [--check]", file=sys.stderr)
        return 2
    FOLDER.mkdir(exist_ok=True)
    for path in FOLDER.glob("*.json"):
        path.unlink()
    for name in DASHBOARDS:
        (FOLDER / f"{name}.json").write_text(written(name), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
