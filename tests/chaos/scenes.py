"""The faults, one function each: what is broken, for how long, and when the standings should move again.

Every scene runs on one cluster of three brokers and one set of topics, under load, with workers started as an operator
starts them (supervised, static membership; the guests of `join_and_leave` without a name). A scene notes the moments
from which the silence is measured, asserts that its fault happened, and names the sentences that a worker may end of
(`may_end_of`). `run.py` checks after each scene that nothing was lost and that everything published is what the log
gives, and prints the table.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

from tests.chaos.cluster import coordinator, in_sync, is_left_out, move_all_leaders, partitions
from tests.chaos.load import PARTITIONS
from tests.chaos.stage import (
    EVERYTHING,
    NOBODY_ANSWERS,
    SESSION_OVER,
    SESSION_SECONDS,
    Stage,
    is_publisher,
    owned,
    until,
    worker_pid,
)
from tests.support.topics import committed
from tests.support.waiting import wait_for

VISIT_SECONDS = 5
"""How long a guest owns partitions before it leaves."""

LEAVING_SECONDS = 6
"""Until the host, told at its next heartbeat (3 s), owns all again; a guest that did not say that it leaves would be
missed 7 s after its end at the earliest."""


def kill_a_worker(stage: Stage) -> None:
    """kill -9 at random moments, the next one at times before the last one's replay is done."""
    one, kills = stage.workers["one"], 4 if stage.is_short else 20
    noticed = one.log.count("ended by signal 9")
    for _ in range(kills):
        since = time.monotonic()
        os.kill(worker_pid(one), signal.SIGKILL)
        stage.move()
        stage.faults.append((since, time.monotonic()))
        until(time.monotonic() + stage.rng.uniform(0, 3), "a moment of work")
    assert one.log.count("ended by signal 9") - noticed == kills, one.log[-4000:]


def freeze_a_worker(stage: Stage) -> None:
    """Past its session, beside a worker that takes over; then it thaws, believing that no time has passed."""
    stage.may_end_of += SESSION_OVER
    stage.start("two").wait_ready(stage.settle_seconds)
    for _ in range(1 if stage.is_short else 3):
        frozen = wait_for(lambda: next((w for w in stage.workers.values() if is_publisher(w)), None), "a publisher")
        other = next(w for w in stage.workers.values() if w is not frozen)
        told = frozen.log.count("fatal: ")
        pid, since = worker_pid(frozen), time.monotonic()
        os.kill(pid, signal.SIGSTOP)
        try:
            until(since + SESSION_SECONDS + 5, "the session to be over")
            wait_for(lambda w=other: is_publisher(w) and owned(w) == EVERYTHING, "a take-over", stage.settle_seconds / 2)  # type: ignore[misc]
        finally:
            os.kill(pid, signal.SIGCONT)
        stage.measure(since)
        wait_for(lambda w=frozen, n=told: w.log.count("fatal: ") > n, "the thawed one to end itself", stage.settle_seconds)  # type: ignore[misc]
    stage.end("two")
    # Its name is static: the group waits a session for it.
    wait_for(lambda: owned(stage.workers["one"]) == EVERYTHING, "one to own everything again", stage.settle_seconds)


def join_and_leave(stage: Stage) -> None:
    """A guest joins, owns partitions for five seconds and leaves, again and again; the commits must go on."""
    host, before = stage.workers["one"], committed(stage.settings)
    end, rounds = time.monotonic() + 60, 0
    while rounds < (2 if stage.is_short else 20) and time.monotonic() < end:
        rounds += 1
        since = time.monotonic()
        guest = stage.start(f"guest-{rounds}", is_static=False)
        taken = wait_for(lambda w=guest: owned(w), "the guest to own a partition", stage.settle_seconds)  # type: ignore[misc]
        until(time.monotonic() + VISIT_SECONDS, "the visit")
        assert not taken & owned(host), f"{taken} belong to two workers"
        stage.end(f"guest-{rounds}")
        wait_for(lambda: owned(host) == EVERYTHING, "the host to own everything again", LEAVING_SECONDS)
        stage.faults.append((since, time.monotonic()))
    stage.move()
    after = wait_for(lambda: _all_above(before, committed(stage.settings)), f"a commit of each partition above {before}")
    stage.notes.append(
        f"{rounds} guests joined and left; committed {sum(before.values()):,} before, {sum(after.values()):,} after"
    )


def _all_above(before: dict[int, int], now: dict[int, int]) -> dict[int, int] | None:
    return now if len(before) == PARTITIONS and all(now.get(p, 0) > n for p, n in before.items()) else None


def kill_a_broker(stage: Stage) -> None:
    """One that leads the workers' group, then one that does not, then the first kind again; each dead for a while, then
    back with its data."""
    stage.may_end_of += SESSION_OVER
    for leads_group in (True,) if stage.is_short else (True, False, True):
        leader = coordinator(stage.settings)
        number = leader if leads_group else stage.rng.choice([n for n in (1, 2, 3) if n != leader])
        since = time.monotonic()
        stage.kafka.kill(number)
        stage.measure(since)
        assert is_left_out(stage.settings, number), f"broker {number} is dead and not missed"
        assert coordinator(stage.settings) != number
        stage.kafka.restart(number)
        in_sync(stage.settings)
        stage.notes.append(f"broker {number} {'led' if leads_group else 'did not lead'} the group")


def wipe_a_broker(stage: Stage) -> None:
    """Its disk is lost; it comes back empty and copies everything."""
    stage.may_end_of += SESSION_OVER
    number = stage.rng.choice((1, 2, 3))
    reports = stage.kafka.nodes[number - 1].data
    seconds = 1 if stage.is_short else SESSION_SECONDS
    since = time.monotonic()
    stage.kafka.wipe(number)
    assert not _bytes_of_reports(stage, reports)
    wait_for(lambda: is_left_out(stage.settings, number), f"broker {number} to be missed")
    stage.measure(since, seconds)
    since = time.monotonic()
    stage.kafka.restart(number)
    in_sync(stage.settings, 300)
    copied = _bytes_of_reports(stage, reports)
    assert copied, f"broker {number} says it is in sync and has no reports"
    stage.measure(since, seconds)
    stage.notes.append(f"broker {number} copied {copied / 1e6:,.0f} MB of reports")


def _bytes_of_reports(stage: Stage, disk: Path) -> int:
    return sum(segment.stat().st_size for segment in disk.glob(f"{stage.settings.prefix}.reports-*/*.log"))


def freeze_all_brokers(stage: Stage) -> None:
    """Nobody answers. The silence is measured from the thaw: before it there is nothing to write to."""
    stage.may_end_of += [*SESSION_OVER, *NOBODY_ANSWERS]
    for seconds in (15,) if stage.is_short else (25, 120):
        begin = time.monotonic()
        for number in (1, 2, 3):
            stage.kafka.freeze(number)
        until(begin + 2, "what had been answered to arrive")
        told = len(stage.stations.acknowledged), len(stage.newsroom.advances)
        until(begin + seconds, "the frost")
        assert told == (len(stage.stations.acknowledged), len(stage.newsroom.advances)), "a frozen broker answered"
        for number in (1, 2, 3):
            stage.kafka.thaw(number)
        since = time.monotonic()
        # For longer than a session: a worker may publish what it had and then end, its heartbeats being too old.
        stage.measure(since, 1 if stage.is_short else SESSION_SECONDS)
        in_sync(stage.settings)
        stage.move()  # or the next frost would be measured as this one's silence


def move_leaders(stage: Stage) -> None:
    """Every partition's leader becomes another broker, while all is well."""
    for _ in range(1 if stage.is_short else 3):
        since = time.monotonic()
        wanted = move_all_leaders(stage.settings, stage.directory)
        stage.measure(since, 1 if stage.is_short else SESSION_SECONDS)
        now = partitions(stage.settings)
        assert {p: now[p].leader for p in wanted} == wanted


SCENES: dict[str, Callable[[Stage], None]] = {
    "kill -9 a worker": kill_a_worker,
    "freeze a worker, another takes over": freeze_a_worker,
    "workers join and leave": join_and_leave,
    "kill a broker, restart it": kill_a_broker,
    "wipe a broker": wipe_a_broker,
    "move all leaders": move_leaders,
    "freeze all brokers (from the thaw)": freeze_all_brokers,
}
