"""Time that jumps, and processes that can be stopped between any two steps, all in one event loop.

Decides when something runs: never before its time, one process's steps in their own order, and which of several
processes goes next by the seed. A process is every step whose context names it, so that killing it is what SIGKILL is
(no step of it runs again, no `finally`), and freezing it what SIGSTOP is (its steps wait, its timers too). Refuses to
know what runs. `install` must come before anything that reads a clock is imported. Read `cluster.py` next.
"""
# ruff: noqa: SLF001  (an event loop of one's own is made of asyncio's private names)

from __future__ import annotations

import asyncio
import heapq
import random
import time
from collections import deque
from collections.abc import Callable, Coroutine
from contextvars import Context, ContextVar, copy_context
from typing import Any

START_SECONDS = 1_707_318_000.0
"""What the wall clock says when a seed begins."""

TICK_SECONDS = 1e-6
"""Time goes on by at least this much, or a wait for less than a float can add would spin for ever."""

real_monotonic = time.monotonic


class _Clock:
    now = 0.0


def _monotonic() -> float:
    return _Clock.now


def _wall() -> float:
    return START_SECONDS + _Clock.now


def install() -> None:
    """Let every clock of this interpreter be the simulation's, for whoever asks for one from now on."""
    time.monotonic = time.perf_counter = _monotonic
    time.time = _wall


class Process:
    """What one worker process runs. `dies_at` is the step before which it is killed."""

    def __init__(self, name: str, on_exit: Callable[[Process, str], None]) -> None:
        self.name = name
        self.steps = 0
        self.dies_at: int | None = None
        self.exit_reason: str | None = None
        self.is_frozen = False
        self.queue: deque[Any] = deque()
        self.remains: list[Any] = []
        """Kept until the seed is over: collecting a dead process's coroutines would run their `finally` blocks."""
        self._on_exit = on_exit

    @property
    def is_alive(self) -> bool:
        return self.exit_reason is None

    def exit(self, reason: str) -> None:
        """End now: nothing of it runs after the step that is under way, and its sockets take nothing more."""
        if self.is_alive:
            self.exit_reason = reason
            self.remains += self.queue
            self.queue.clear()
            self._on_exit(self, reason)


RUNNING: ContextVar[Process | None] = ContextVar("RUNNING", default=None)


class VirtualLoop(asyncio.BaseEventLoop):
    """An event loop without sockets whose time is what its next timer says."""

    # asyncio's own, which its stubs leave out.
    _ready: deque[Any]
    _scheduled: list[Any]
    _stopping: bool

    def __init__(self, chance: random.Random) -> None:
        super().__init__()
        _Clock.now = 0.0
        self._chance = chance
        self._outside = Process("outside", lambda *_: None)
        self._queues: list[Process] = [self._outside]
        self.steps = 0
        self.outside_context = copy_context()
        """For what is no process: the cluster and the director."""

    def time(self) -> float:
        return _Clock.now

    def _process_events(self, event_list: Any) -> None: ...

    def _write_to_self(self) -> None: ...

    def add_signal_handler(self, *_: Any) -> None:  # type: ignore[override]  # a simulated process gets no signal
        pass

    def start_process(self, process: Process, body: Coroutine[Any, Any, None]) -> None:
        context = copy_context()
        context.run(RUNNING.set, process)
        self._queues.append(process)
        process.remains.append(self.create_task(body, context=context))

    def later(self, seconds: float, function: Callable[..., Any], *args: Any) -> asyncio.TimerHandle:
        """As `call_later`, outside of every process, whoever asks."""
        return self.call_later(seconds, function, *args, context=self.outside_context)

    def outside(self, body: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        return self.create_task(body, context=_copy(self.outside_context))

    # What asyncio calls for each round.

    def _run_once(self) -> None:
        self._sort()
        waiting = [p for p in self._queues if p.queue and not p.is_frozen]
        if not waiting:
            self._jump()
            return
        process = waiting[0] if len(waiting) == 1 else self._chance.choice(waiting)
        queue = process.queue
        for _ in range(len(queue)):
            handle = queue.popleft()
            if handle._cancelled:
                continue
            process.steps += 1
            if process.steps == process.dies_at:
                process.exit("killed")
            if not process.is_alive:
                process.remains.append(handle)
                break
            self.steps += 1
            handle._run()
            if process.is_frozen or not queue:
                break
        if not process.is_alive:
            self._queues.remove(process)

    def _sort(self) -> None:
        """Each step to its process."""
        ready = self._ready
        while ready:
            handle = ready.popleft()
            process = handle._context.get(RUNNING) or self._outside
            if process.is_alive:
                process.queue.append(handle)
            else:
                process.remains.append(handle)

    def _jump(self) -> None:
        scheduled = self._scheduled
        while scheduled and scheduled[0]._cancelled:
            heapq.heappop(scheduled)._scheduled = False
        if not scheduled:
            if self._stopping:
                return
            raise RuntimeError("nothing will ever happen again")
        _Clock.now = max(_Clock.now + TICK_SECONDS, scheduled[0]._when)
        while scheduled and scheduled[0]._when <= _Clock.now:
            timer = heapq.heappop(scheduled)
            timer._scheduled = False
            if not timer._cancelled:
                self._ready.append(timer)


def _copy(context: Context) -> Context:
    return context.run(copy_context)
