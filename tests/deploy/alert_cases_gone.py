"""Nights in which the one who said what rings is gone: frozen (its series go stale), no target any more, or started anew.

Decides that no alert goes quiet for that reason before another one rings, and that a new start begins with nothing against it.
The values of the alerts are in `alert_cases.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from tests.deploy.alert_cases import OBJECTIVE, OLDEST, Case
from tests.deploy.alert_nights import BOARD, DUMP, INTAKE, INTAKES, STATION, Night

SINCE, GONE, BACK, QUIET = 100, 200, 210, 215
"""The fault begins; whoever said so is gone, and back where it is started anew; what it said last rings no longer."""

FAULTS: dict[str, tuple[str, Callable[[Night, float], object]]] = {
    "TallyStalled": ("w2", lambda night, until: (
        night.change("tally_records_read_total", 1_000, SINCE, until, partition="3"),
        night.change("tally_lag_records", 12, SINCE, until, partition="3"),
    )),
    "TallyLag": ("w2", lambda night, until: night.change("tally_lag_records", 10_001, SINCE, until, partition="3")),
    "TallyCommitAge": ("w2", lambda night, until: night.change("tally_commit_age_seconds", 25, SINCE, until, partition="3")),
    "TallyNotReady": ("w2", lambda night, until: night.change("tally_ready", 0, SINCE, until, instance="w2")),
    "TallyReplayLong": ("w2", lambda night, until: night.change("tally_replay_remaining_records", 9, SINCE, until, partition="3")),
    "TallyTwoPublishers": ("w2", lambda night, until: night.change("tally_publishes_standings", 1, SINCE, until, instance="w2")),
    "TallyHoldIncomplete": ("w1", lambda night, until: night.change("tally_incomplete_statements", 1, SINCE, until, kind="hold")),
}  # fmt: skip
"""Alert → the worker that says it (w1 publishes), and what makes it ring well before `GONE`, until a time."""
MISSED = {"w1": "TallyNoPublisher TallyPartitionUncounted", "w2": "TallyPartitionUncounted"}


def _cases() -> Iterator[Case]:
    for name, (worker, fault) in FAULTS.items():
        missed = MISSED[worker]
        still = dict.fromkeys((GONE - 5, GONE, GONE + 5), name)
        yield Case(
            f"{name} rings, and who said it freezes",
            lambda night, f=fault, w=worker: (f(night, 1e9), night.lose(w, since=GONE)),  # type: ignore[misc]
            still | {GONE + 10: f"{name} TallyWorkerDown", QUIET: f"TallyWorkerDown {missed}"},
        )
        yield Case(
            f"{name} rings, and who said it is no target any more",
            lambda night, f=fault, w=worker: (f(night, 1e9), night.drop(w, since=GONE)),  # type: ignore[misc]
            still | {GONE + 10: name, QUIET: missed},
        )
        yield Case(
            f"{name} rings, and who said it starts anew, well",
            lambda night, f=fault, w=worker: (f(night, GONE), night.restart(w, GONE)),  # type: ignore[misc]
            still | {BACK: f"{name} TallyWorkerRestarted", QUIET: "TallyWorkerRestarted", 300: "TallyWorkerRestarted"},
        )


CASES = (
    *_cases(),
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
        "nothing comes to a board, and it freezes",
        lambda night: (
            night.change("tally_board_contact_age_seconds", lambda t: t - SINCE, SINCE),
            night.lose(BOARD, since=GONE),
        ),
        {
            **dict.fromkeys((GONE - 5, GONE, GONE + 5), "TallyBoardNoContact"),
            GONE + 10: "TallyBoardNoContact TallyBoardDown TallyBoardsDown",
            QUIET: "TallyBoardDown TallyBoardsDown",
        },
    ),
    Case(
        "the copy lags, and freezes",
        lambda night: (
            night.change("tally_dump_behind_seconds", lambda t: t - SINCE, SINCE),
            night.lose(DUMP, since=GONE),
        ),
        {
            **dict.fromkeys((GONE - 5, GONE, GONE + 5), "TallyDumpLags"),
            GONE + 10: "TallyDumpLags TallyDumpDown", QUIET: "TallyDumpDown", GONE + 60: "TallyDumpDown TallyDumpGone",
        },
    ),
    *(
        Case(
            f"{name} rings, and the intake that said it {what}",
            lambda night, f=fault, g=gone: (f(night), g(night)),  # type: ignore[misc]
            {**dict.fromkeys((GONE - 5, GONE, GONE + 5), name), **then},
        )
        for name, fault in {
            "TallyIntakeNotReady": lambda night: night.change("tally_intake_ready", 0, SINCE, GONE, instance=INTAKE),
            "TallyIntakeTakesNothing": lambda night: (
                night.change("tally_intake_taken_total", 600, SINCE, GONE, instance=INTAKE),
                night.change("tally_intake_under_way", 9, SINCE, GONE, instance=INTAKE),
            ),
        }.items()
        for what, gone, then in (
            ("freezes", lambda night: night.lose(INTAKE, since=GONE), {GONE + 10: f"{name} TallyIntakeDown", GONE + 30: "TallyIntakeDown"}),
            ("starts anew, well", lambda night: night.restart(INTAKE, GONE), {GONE + 30: ""}),
        )
    ),
    Case(
        "a statement waits in a spool, and its machine is switched off: what its file said last is not forgotten; it is back, and sends",
        lambda night: (
            night.change(OLDEST, 100, 100, 560),
            night.change("tally_spool_newest_statements", 1, 100, 560, state="stale"),
            night.lose(STATION, since=GONE, until=560),
        ),
        {
            400: "TallySpoolRefused", 405: "TallySpoolRefused TallySpoolWaits",
            GONE + 305: "TallySpoolRefused TallySpoolWaits TallyStationUnseen",
            555: "TallySpoolRefused TallySpoolWaits TallyStationUnseen", 560: "",
        },
        560,
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
