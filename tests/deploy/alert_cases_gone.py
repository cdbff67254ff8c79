"""Nights in which the one who said what rings is gone: frozen (its series go stale), no target any more, or started anew.

Decides that no alert goes quiet for that reason before another one rings, and that a new start begins with nothing against it.
All that one process can say rings at once here: exactly which alerts ring is judged, so one night is as sharp as many. The
values of the alerts are in `alert_cases.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from tests.deploy.alert_cases import OBJECTIVE, OLDEST, Case, dump_stands
from tests.deploy.alert_nights import BOARD, DAY_SECONDS, DUMP, INTAKE, INTAKES, STATION, Night

SINCE, GONE, BACK, QUIET = 100, 200, 210, 215
"""The fault begins; whoever said so is gone, and back where it is started anew; what it said last rings no longer."""

Fault = Callable[[Night, float], object]


def _of_publisher(night: Night, until: float) -> None:
    night.change("tally_incomplete_statements", 1, SINCE, until, kind="hold")
    for name in ("tally_held_stations", "tally_disputed_stations"):
        night.change(name, 2, SINCE, until)


def _of_worker(night: Night, until: float) -> None:
    for name, value in (("tally_records_read_total", 1_000), ("tally_lag_records", 10_001), ("tally_commit_age_seconds", 25)):
        night.change(name, value, SINCE, until, instance="w2", partition="3")
    night.change("tally_replay_remaining_records", 9, SINCE, until, instance="w2", partition="2")
    for name, value in (("tally_ready", 0), ("tally_publishes_standings", 1), ("tally_rehearsal", 1)):
        night.change(name, value, SINCE, until, instance="w2")
    night.change("tally_rebalances_total", lambda t: 2 + (t - SINCE) // 10, SINCE, until, instance="w2")


def _of_board(night: Night, until: float) -> None:
    night.change("tally_board_contact_age_seconds", lambda t: t - SINCE, SINCE, until)
    night.change("tally_board_ready", 0, SINCE, until)
    night.change("tally_board_fold_failed", 1, SINCE, until)
    night.change("tally_build_info", lambda t: None, SINCE, until, instance=BOARD)
    night.put("tally_build_info", BOARD, lambda t: 1 if SINCE <= t < until else None, digest="d2", election="E", version="1")


def _of_copy(night: Night, until: float) -> None:
    night.change("tally_dump_behind_seconds", lambda t: t - SINCE, SINCE, until)
    night.change("tally_dump_last_growth_timestamp_seconds", 95, SINCE, until)


def _of_intake(night: Night, until: float) -> None:
    night.change("tally_intake_ready", 0, SINCE, until, instance=INTAKE)
    night.change("tally_intake_taken_total", 600, SINCE, until, instance=INTAKE)
    night.change("tally_intake_under_way", 9, SINCE, until, instance=INTAKE)
    for why in ("brokers", "no-identity"):
        night.change("tally_intake_refused_total", lambda t: 3 + (t - SINCE) // 5, SINCE, until, instance=INTAKE, why=why)


FAULTS: dict[str, tuple[Fault, str]] = {
    "w1": (_of_publisher, "TallyHoldIncomplete TallyHeldStations TallyDisputedStations"),
    "w2": (
        _of_worker,
        "TallyStalled TallyLag TallyCommitAge TallyReplayLong TallyNotReady TallyTwoPublishers TallyRehearsal TallyRebalances",
    ),
    BOARD: (_of_board, "TallyBoardNoContact TallyBoardNotReady TallyBoardFoldFailed TallyDefinitionsDiffer"),
    DUMP: (_of_copy, "TallyDumpLags TallyDumpNotGrowing"),
    INTAKE: (_of_intake, "TallyIntakeNotReady TallyIntakeTakesNothing TallyIntakeRefuses TallyIntakeStrangers"),
}
"""Who says it → what is wrong with it until a time, and what that rings well before `GONE`."""
COUNTED = ["TallyRebalances", "TallyIntakeRefuses", "TallyIntakeStrangers"]
"""They ask what five minutes have counted: that is not undone by who counted being gone, and a counter anew adds nothing."""
NOTHING = {BACK: "", QUIET: ""}
MISSED = {"w1": "TallyNoPublisher TallyPartitionUncounted", "w2": "TallyPartitionUncounted"}
FROZEN = {
    **{w: {BACK: "TallyWorkerDown", QUIET: f"TallyWorkerDown {missed}"} for w, missed in MISSED.items()},
    BOARD: dict.fromkeys((BACK, QUIET), "TallyBoardDown TallyBoardsDown"),
    DUMP: {BACK: "TallyDumpDown", QUIET: "TallyDumpDown", GONE + 60: "TallyDumpDown TallyDumpGone"},
    INTAKE: dict.fromkeys((BACK, QUIET), "TallyIntakeDown"),
}
DROPPED = {
    **{w: {BACK: "", QUIET: missed} for w, missed in MISSED.items()},
    BOARD: dict.fromkeys((BACK, QUIET), "TallyBoardsDown"),
    DUMP: NOTHING | {GONE + 60: "TallyDumpGone"},  # whoever takes the last copy off the targets hears of it after its minute
    INTAKE: NOTHING,
}
ANEW = dict.fromkeys(FROZEN, NOTHING) | dict.fromkeys(MISSED, dict.fromkeys((BACK, QUIET), "TallyWorkerRestarted"))
"""Who is gone how → second → what rings for that, beside what it had said as long as that rings on."""


def _rings(names: str, then: dict[int, str]) -> dict[int, str]:
    lasting = " ".join(name for name in names.split() if name in COUNTED)
    return dict.fromkeys((GONE - 5, GONE, GONE + 5), names) | {
        second: f"{names if second < QUIET else lasting} {more}" for second, more in then.items()
    }


def _cases() -> Iterator[Case]:
    for who, (fault, names) in FAULTS.items():
        yield Case(
            f"all that {who} can say rings, and it freezes",
            lambda night, f=fault, w=who: (f(night, 1e9), night.lose(w, since=GONE)),  # type: ignore[misc]
            _rings(names, FROZEN[who]),
        )
        yield Case(
            f"all that {who} can say rings, and it is no target any more",
            lambda night, f=fault, w=who: (f(night, 1e9), night.drop(w, since=GONE)),  # type: ignore[misc]
            _rings(names, DROPPED[who]),
        )
        yield Case(
            f"all that {who} can say rings, and it starts anew, well",
            lambda night, f=fault, w=who: (f(night, GONE), night.restart(w, GONE)),  # type: ignore[misc]
            _rings(names, ANEW[who]),
        )


SPOOL = "TallySpoolRefused TallySpoolKeyEnds"


def _spool(night: Night, until: float = 1e9) -> Night:
    night.change(OLDEST, 100, 100, until)
    night.change("tally_spool_newest_statements", 1, 100, until, state="stale")
    return night.change("tally_spool_credential_ends_timestamp_seconds", DAY_SECONDS, 100, until, what="signing-key")


def _in_a_loop(night: Night, instance: str, *, up_seconds: int, down_seconds: int = 10, until: int) -> Night:
    return night.restart(instance, *range(100, until, up_seconds + down_seconds), seconds=down_seconds)


def _all_in_a_loop(night: Night) -> Night:
    for who in ("w2", BOARD, DUMP, INTAKE):
        night.restart(who, 100, 130, 160)
    return night


LOOPS = "TallyCrashLoop TallyWorkerRestarted TallyBoardCrashLoop TallyDumpCrashLoop TallyIntakeCrashLoop"


CASES = (
    *_cases(),
    Case(
        "a worker, the board, the copy and an intake start again and again, then they stay away: that rings on beside it",
        lambda night: _all_in_a_loop(night).lose("w2", BOARD, DUMP, INTAKE, since=GONE),
        {
            **dict.fromkeys((GONE - 5, GONE, GONE + 5), LOOPS),
            GONE + 10: f"{LOOPS} TallyWorkerDown TallyBoardDown TallyBoardsDown TallyDumpDown TallyIntakeDown",
        },
        GONE + 10,
    ),
    Case(
        "they leave the targets instead",
        lambda night: _all_in_a_loop(night).drop("w2", BOARD, DUMP, INTAKE, since=GONE),
        {**dict.fromkeys((GONE - 5, GONE, GONE + 5), LOOPS), GONE + 10: f"{LOOPS} TallyBoardsDown"},
        GONE + 10,
    ),
    Case(
        "the one board is started again and again: it is there for five seconds, then away for ten",
        lambda night: _in_a_loop(night, BOARD, up_seconds=5, until=300),
        {120: "", 135: "", 140: "TallyBoardCrashLoop", 295: "TallyBoardCrashLoop", 400: "TallyBoardCrashLoop", 600: ""},
        600,
    ),
    Case(
        "the copy's disk is full: it ends at its first frame, ten seconds later it is started again, and so on; then there is room",
        lambda night: _in_a_loop(dump_stands(night, until=310), DUMP, up_seconds=5, until=300),
        {120: "", 135: "", 140: "TallyDumpCrashLoop", 295: "TallyDumpCrashLoop", 400: "TallyDumpCrashLoop", 600: ""},
        600,
    ),
    Case(
        "each start of it lives for half a minute: a file that stood still before it stands still",
        lambda night: _in_a_loop(dump_stands(night), DUMP, up_seconds=30, until=220),
        {
            165: "", 170: "TallyDumpNotGrowing", 185: "TallyDumpNotGrowing", 190: "TallyDumpNotGrowing TallyDumpCrashLoop",
            210: "TallyDumpNotGrowing TallyDumpCrashLoop",
        },
        210,
    ),
    Case(
        "it was away for more than a minute and is started: fifteen seconds later its file grows, and nobody is called for that",
        lambda night: (
            dump_stands(night, until=190),
            night.lose(DUMP, since=100, until=175),
        ),
        {170: "TallyDumpDown TallyDumpGone", 175: "", 185: "", 190: "", 240: ""},
        240,
    ),
    Case(
        "the worker that would publish was never there, nor any figure of it",
        lambda night: night.drop("w1"),
        {15: f"{MISSED['w1']} TallyStandingsSilent {OBJECTIVE}", 300: f"{MISSED['w1']} TallyStandingsSilent {OBJECTIVE}"},
    ),
    Case("another worker was never there", lambda night: night.drop("w2"), {5: "", 15: MISSED["w2"]}),
    Case(
        "a worker that stands still is started anew and stands still again: it has 30 s, then it rings",
        lambda night: (
            night.restart("w2", GONE),
            night.change("tally_records_read_total", 7, BACK, partition="3"),
            night.change("tally_lag_records", 12, BACK, partition="3"),
        ),
        {BACK + 25: "TallyWorkerRestarted", BACK + 30: "TallyStalled TallyWorkerRestarted"},
    ),
    Case(
        "a worker that ends each time before it serves metrics: no start is seen, and it is critical after two minutes",
        lambda night: (night.lose("w2", since=100), night.give_up("w2", since=112), night.take_over("w2", "w1", since=112)),
        {105: "", 110: "TallyWorkerDown", 215: "TallyWorkerDown", 220: "TallyWorkerDown TallyWorkerStaysDown"},
    ),
    Case(
        "a statement waits in a spool, and its machine is switched off: what its file said last is not forgotten; it is back, and sends",
        lambda night: _spool(night, 560).lose(STATION, since=GONE, until=560),
        {
            400: f"{SPOOL}", 405: f"{SPOOL} TallySpoolWaits", GONE + 305: f"{SPOOL} TallySpoolWaits TallyStationUnseen",
            555: f"{SPOOL} TallySpoolWaits TallyStationUnseen", 560: "",
        },
        560,
    ),
    Case(
        "its machine is taken off the targets instead: what it said last goes on ringing",
        lambda night: _spool(night).drop(STATION, since=420),
        dict.fromkeys((405, 420, 720), f"{SPOOL} TallySpoolWaits"), 720,
    ),
    Case(
        "its exporter is started anew: the file that `submit` wrote is still there",
        lambda night: _spool(night).restart(STATION, 420),
        dict.fromkeys((405, 420, 430, 500), f"{SPOOL} TallySpoolWaits"), 500,
    ),
    Case(
        "a station with an empty spool is switched off, and leaves the targets",
        lambda night: (night.lose(STATION, since=GONE), night.drop(STATION, since=510)),
        {GONE + 295: "", GONE + 300: "TallyStationUnseen", 510: ""},
        510,
    ),
    Case("all intakes leave the targets", lambda night: night.drop(*INTAKES, since=100), {105: "", 110: "TallyIntakesDown", 300: "TallyIntakesDown"}),
    Case("an intake of two leaves the targets", lambda night: night.drop(INTAKE, since=100), dict.fromkeys((110, 300), "")),
    Case(
        "an intake of which statements wait is started anew and takes nothing again",
        lambda night: (
            night.restart(INTAKE, GONE),
            night.change("tally_intake_taken_total", 0, BACK, instance=INTAKE),
            night.change("tally_intake_under_way", 9, BACK, instance=INTAKE),
        ),
        {BACK + 30: "", BACK + 35: "TallyIntakeTakesNothing"},
    ),
)  # fmt: skip
