"""Nights and what rings in them, for the values of every alert; `alert_cases_gone.py` has those whose series end or begin anew.

Decides of some moments exactly which alerts fire then, all others not. Refuses to know who judges: `test_alerts.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.deploy.alert_nights import (
    BOARD,
    DAY_SECONDS,
    DUMP,
    INTAKE,
    INTAKES,
    JOBS,
    LONG_SECONDS,
    OTHER_INTAKE,
    STATION,
    Night,
)

KNOWN_WITHIN_SECONDS = 45
OBJECTIVE = "TallyBurnFast TallyBurnSlow"
"""Of a night that began two minutes before: a share of all there was."""
OLDEST = "tally_spool_oldest_unsent_timestamp_seconds"
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
    night.give_up("w2", since=112)


def owner_lost(night: Night) -> None:
    night.lose("w1", since=100)
    night.take_over("w1", "w2", since=125)


def dump_stands(night: Night, *, until: float = 1e9, quiet_until: float = 0.0) -> Night:
    night.change("tally_dump_last_growth_timestamp_seconds", 95, 100, until)
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
            *(night.change(f"tally_{name}", 500) for name in ("records_read_total", "log_end_offset", "marked_offset", "committed_offset")),
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
        "more than an hour after the last worker was seen, silence is still silence; that no intake answers is still told",
        lambda night: night.drop("w1", "w2", *INTAKES, since=100),
        {3_800: f"TallyWorkersDown {NOBODY} TallyStandingsSilent {OBJECTIVE} TallyIntakesDown"},
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
        {110: "TallyWorkerDown", 115: "TallyWorkerDown TallyPartitionUncounted", 215: f"TallyWorkerDown TallyPartitionUncounted {OBJECTIVE}", 230: f"TallyWorkerDown TallyWorkerStaysDown TallyPartitionUncounted {OBJECTIVE}"},
    ),
    Case(
        "the owner of stage 2 is lost, the other publishes after 25 s",
        owner_lost,
        {110: "TallyWorkerDown", 115: "TallyWorkerDown TallyNoPublisher TallyPartitionUncounted", 125: "TallyWorkerDown", 300: "TallyWorkerDown TallyWorkerStaysDown"},
    ),
    Case(
        "one that publishes and whose brokers take nothing: it answers, and silence rings",
        lambda night: night.change("tally_last_publication_timestamp_seconds", 100, 100, 180),
        {125: "", 135: "TallyStandingsSilent TallyBurnSlow", 175: "TallyStandingsSilent TallyBurnFast TallyBurnSlow", 180: OBJECTIVE, 300: "TallyBurnSlow"},
    ),
    Case(
        "two publish, for longer than a session",
        lambda night: night.change("tally_publishes_standings", 1, 100, 150),
        {115: "", 120: "TallyTwoPublishers", 150: "TallyTwoPublishers", 165: ""},
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
        {10: "", 15: "TallyPartitionUncounted", 300: f"TallyPartitionUncounted {OBJECTIVE}"},
    ),
    Case(
        "one partition stands still with reports waiting",
        lambda night: (
            night.change("tally_records_read_total", 1_000, 100, 160, partition="1"),
            night.change("tally_records_read_total", lambda t: 1_000 + 10 * (t - 160), 160, partition="1"),
            night.change("tally_lag_records", 12, 100, 165, partition="1"),
        ),
        {125: "", 130: "TallyStalled", 155: "TallyStalled", 180: ""},
    ),
    Case(
        "a partition just given to a worker, with reports waiting: two looks at one figure are no standstill",
        lambda night: (
            night.give_up("w2", since=100),
            night.take_over("w2", "w1", since=110),
            night.change("tally_lag_records", 40, 110, 135, instance="w1", partition="3"),
            night.change("tally_records_read_total", 1_100, 110, 135, instance="w1", partition="3"),
        ),
        dict.fromkeys((110, 115, 120, 135, 150), ""),
    ),
    Case(
        "a quiet night: each minute a report is under way at one look",
        lambda night: (
            night.change("tally_records_read_total", lambda t: 500 + t // 60),
            night.change("tally_lag_records", lambda t: t % 60 == 55),
        ),
        dict.fromkeys((55, 60, 115, 120, 175), ""),
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
        {125: "", 130: "TallyLag", 165: ""},
    ),
    Case(
        "a replay of more than that has its own alert",
        lambda night: (
            night.change("tally_lag_records", 50_000, 100, 150, partition="2"),
            night.change("tally_replay_remaining_records", 40_000, 100, 150, partition="2"),
        ),
        dict.fromkeys((130, 145, 150), ""),
    ),
    Case("as many as that are none too many", lambda night: night.change("tally_lag_records", 10_000), {300: ""}),
    Case(
        "a replay that takes more than a minute",
        lambda night: (
            night.change("tally_replay_remaining_records", 5_000, 100, 200, partition="0"),
            night.change("tally_ready", 0, 100, 200, instance="w1"),
        ),
        {155: "", 160: "TallyReplayLong TallyNotReady", 215: ""},
    ),
    Case(
        "a worker that cannot commit",
        lambda night: night.change("tally_commit_age_seconds", lambda t: t - 100, 100, 140, partition="3"),
        {125: "", 130: "TallyCommitAge", 155: ""},
    ),
    Case("a commit that waited as long as it may", lambda night: night.change("tally_commit_age_seconds", 20), {300: ""}),
    Case(
        "a rehearsal with 12 partitions until ten minutes ago, then a night with 4",
        lambda night: (
            night.change("tally_partitions", 12, 0, 300),
            *(night.put("tally_log_end_offset", "w1", lambda t: 90 if t < 300 else None, partition=str(n)) for n in range(4, 12)),
        ),
        dict.fromkeys((295, 300, 330, 600, 900), ""),
        LONG_SECONDS,
    ),
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
        {115: "", 120: "TallyHoldIncomplete", 165: ""},
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
        {95: "", 100: "TallyRehearsal", 210: "TallyRehearsal", 215: ""},
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
    Case(
        "a partition was away for two minutes: what waited comes as if it were new, and counts as late all the same",
        lambda night: (
            night.lose("w2", since=100, until=230),
            night.give_up("w2", since=230),
            night.take_over("w2", "w1", since=230),
        ),
        {
            110: "TallyWorkerDown", 130: "TallyWorkerDown TallyPartitionUncounted TallyBurnSlow",
            160: f"TallyWorkerDown TallyPartitionUncounted {OBJECTIVE}",
            215: f"TallyWorkerDown TallyPartitionUncounted {OBJECTIVE}", 230: OBJECTIVE, 300: "TallyBurnSlow",
        },
    ),
    Case(
        "one partition is read and not flushed for two minutes, the other owner repeats the root",
        lambda night: (
            night.change("tally_marked_offset", 1_000, 100, 220, partition="3"),
            night.change("tally_committed_offset", 1_000, 100, 220, partition="3"),
        ),
        {125: "", 160: OBJECTIVE, 215: OBJECTIVE, 340: "TallyBurnSlow"},
        400,
    ),
    Case(
        "a long replay with nothing new behind it is not late: its owner before had marked all of it",
        lambda night: (
            *(night.change(f"tally_{name}", 1_000, 100) for name in ("log_end_offset", "committed_offset", "marked_offset")),
            night.change("tally_marked_offset", -1, 100, 155, partition="3"),
        ),
        dict.fromkeys((130, 150, 200, 300), ""),
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
        {125: "", 130: "TallyBoardNoContact", 215: ""},
    ),
    Case(
        "a board that is not ready, of which a record stopped the fold",
        lambda night: (night.change("tally_board_ready", 0, 100, 200), night.change("tally_board_fold_failed", 1, 100, 200)),
        {100: "TallyBoardFoldFailed", 160: "TallyBoardFoldFailed TallyBoardNotReady", 215: ""},
    ),
    # -- the copy ---------------------------------------------------------------------------------------------------------------
    Case(
        "the copy falls behind, then has all again",
        lambda night: night.change("tally_dump_behind_seconds", lambda t: t - 100, 100, 180),
        {155: "", 160: "TallyDumpLags", 195: ""},
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
        {110: "", 115: "TallyDumpNotGrowing", 165: ""},
    ),
    Case("the copy is gone", lambda night: night.lose(DUMP, since=100, until=180), {105: "", 110: "TallyDumpDown", 155: "TallyDumpDown", 160: "TallyDumpDown TallyDumpGone", 180: ""}),
    Case("no copy among the targets", lambda night: night.drop(DUMP), {55: "", 60: "TallyDumpGone", 300: "TallyDumpGone"}),
    # -- spools -------------------------------------------------------------------------------------------------------------------
    Case("no station's machine is watched", lambda night: night.drop(STATION), dict.fromkeys((15, 300), "")),
    Case(
        "a statement waits in a spool for six minutes, then it is sent; it comes to nothing, and is put right",
        lambda night: (
            night.change(OLDEST, 100, 100, 460),
            night.change("tally_spool_newest_statements", 1, 500, 600, state="rejected"),
            night.change("tally_spool_newest_statements", 1, 500, state="held"),
        ),
        {400: "", 405: "TallySpoolWaits", 455: "TallySpoolWaits", 460: "", 500: "TallySpoolRefused", 600: ""},
        600,
    ),
    Case("none of its statements waits for longer than five minutes", lambda night: night.change(OLDEST, lambda t: t - 300 if t > 300 else 0), {300: "", 350: ""}, 350),
    Case(
        "a key ends within a day, the certificate later",
        lambda night: night.change("tally_spool_credential_ends_timestamp_seconds", DAY_SECONDS + 100, what="signing-key"),
        {100: "", 105: "TallySpoolKeyEnds", 300: "TallySpoolKeyEnds"},
    ),
    # -- the intake ----------------------------------------------------------------------------------------------------------------
    Case("an election without an intake", lambda night: night.drop(*INTAKES), dict.fromkeys((15, 60, 300), "")),
    Case(
        "one intake is gone, then both; they come back",
        lambda night: (night.lose(INTAKE, since=100, until=200), night.lose(OTHER_INTAKE, since=150, until=200)),
        {105: "", 110: "TallyIntakeDown", 155: "TallyIntakeDown", 160: "TallyIntakeDown TallyIntakesDown", 200: ""},
    ),
    Case(
        "brokers acknowledge nothing: statements wait for 45 s, their senders come again",
        lambda night: (
            night.change("tally_intake_taken_total", 600, 100, 200, instance=INTAKE),
            night.change("tally_intake_under_way", lambda t: 40 * (t % 50 < 45), 100, 200, instance=INTAKE),
            night.change("tally_intake_ready", 0, 145, 225, instance=INTAKE),
            night.change("tally_intake_refused_total", lambda t: 3 + 40 * ((t - 100) // 45), 100, 200, instance=INTAKE, why="brokers"),
            night.change("tally_intake_refused_total", 83, 200, instance=INTAKE, why="brokers"),
        ),
        {
            130: "", 135: "TallyIntakeTakesNothing", 160: "TallyIntakeTakesNothing TallyIntakeRefuses", 195: "TallyIntakeTakesNothing TallyIntakeRefuses",
            205: "TallyIntakeTakesNothing TallyIntakeRefuses TallyIntakeNotReady", 225: "TallyIntakeRefuses TallyIntakeNotReady",
            240: "TallyIntakeRefuses",
        },
        240,
    ),
    Case(
        "a quiet night: each minute a statement comes, and the look falls between it and its acknowledgement",
        lambda night: (
            night.change("tally_intake_taken_total", lambda t: 500 + t // 60, instance=INTAKE),
            night.change("tally_intake_under_way", lambda t: t % 60 == 55, instance=INTAKE),
        ),
        dict.fromkeys((55, 60, 80, 115, 140, 175), ""),
    ),
    Case(
        "the file of tokens is wrong for two minutes; stations ask with tokens that nobody knows, and some with another's",
        lambda night: (
            night.change("tally_intake_ready", 0, 100, 220, instance=INTAKE),
            night.change("tally_intake_refused_total", lambda t: 3 + (t - 150) // 5, 150, 200, instance=INTAKE, why="no-identity"),
            night.change("tally_intake_refused_total", 13, 200, instance=INTAKE, why="no-identity"),
            night.change("tally_intake_refused_total", 7, 100, instance=INTAKE, why="not-yours"),
            night.change("tally_intake_refused_total", 900, 100, instance=INTAKE, why="rules"),
        ),
        {155: "", 160: "TallyIntakeNotReady", 200: "TallyIntakeNotReady TallyIntakeStrangers", 235: "TallyIntakeStrangers"},
        235,
    ),
    Case(
        "an intake starts three times in five minutes; its counters begin anew, and refuse nobody by that",
        lambda night: night.restart(INTAKE, 100, 140, 180),
        {155: "", 190: "TallyIntakeCrashLoop", 385: "TallyIntakeCrashLoop", 450: ""},
        450,
    ),
    Case(
        "an intake with another definition than workers and boards",
        lambda night: (
            night.lose(INTAKE, since=100, until=105),
            night.put("tally_build_info", INTAKE, lambda t: None if t < 105 else 1, digest="d2", election="E", version="1"),
        ),
        {115: "", 120: "TallyDefinitionsDiffer"},
    ),
    Case(
        "everything is gone at once, Prometheus' targets included",
        lambda night: night.drop(*JOBS, since=100),
        {
            145: f"TallyWorkersDown {NOBODY} TallyStandingsSilent {OBJECTIVE} TallyBoardsDown TallyIntakesDown",
            160: f"TallyWorkersDown {NOBODY} TallyStandingsSilent {OBJECTIVE} TallyBoardsDown TallyIntakesDown TallyDumpGone",
        },
    ),
)  # fmt: skip
