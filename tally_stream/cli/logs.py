"""Lines on stderr that an operator can grep, and a program can read: what each begins with, and how often one is said.

    2024-02-07T18:30:12.345Z CRITICAL worker-2 partition 3 tally-stream: fatal: publishing partition 3 failed: …
    tally-stream: az-2042: no such election folder                        a command that ends by itself
    {"time": …, "level": …, "process": "worker-2", "partition": 3, "message": "fatal: …"}        TALLY_LOG_FORMAT=json

Decides the form: from `tally-stream:` on a line is the same everywhere, and is what docs/runbook.md has. A command that runs
until it is stopped (`begin`) puts time (UTC), level and process before it, and the partition where the sentence names one; in a
command that somebody looks at they would be noise. There no line is said twice within a second: what comes again is counted,
and told with its number once the second is over. Refuses to know what is said.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import re
import sys
import threading
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime

import click

from tally_stream.settings import log_format

PREFIX = "tally-stream: "
QUIET_SECONDS = 1.0
"""For which a line that was said is not said again."""

REMEMBERED_MAX = 256
"""Lines that may come again; of more, the oldest is forgotten."""

LOCK_SECONDS = 0.2
"""For last words: what hangs may hang in here."""

_PARTITION = re.compile(r"\bpartition (\d+)\b")
_HEADER = re.compile(r"^\S+Z [A-Z]+ [\w-]+ (?:partition \d+ )?(?=tally-stream: )", re.MULTILINE)
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


@dataclass(slots=True)
class _Said:
    """A line that may come again: when it was last written, how often it was meant, and how much of that was written."""

    level: int
    at: float
    times: int = 1
    told: int = 1


def without_headers(text: str) -> str:
    """Lines of a log as a command that ends by itself says them."""
    return _HEADER.sub("", text)


def partition_of(message: str) -> int | None:
    """The partition that a sentence is about: the one that it names, where it names one alone."""
    found = {int(number) for number in _PARTITION.findall(message)}
    return found.pop() if len(found) == 1 else None


class Log:
    """The lines of one process. `process` is "" for a command that ends by itself; `write` takes a line, without its end."""

    def __init__(
        self, write: Callable[[str], None], *, process: str = "", is_json: bool = False,
        clock: Callable[[], float] = time.monotonic, now: Callable[[], float] = time.time,
    ) -> None:  # fmt: skip
        self.process = process
        self.is_json = is_json
        self._write, self._clock, self._now = write, clock, now
        self._said: dict[str, _Said] = {}
        self._lock = threading.Lock()

    def say(self, line: str, level: int = logging.INFO) -> None:
        """A line, or a count of it: see above. Callable from any thread."""
        if not self.process and not self.is_json:
            self._write(line)
            return
        message = line.removeprefix(PREFIX)
        with self._lock:
            for whole in [*self._settled(), *self._new(message, level)]:
                self._write(whole)
            is_first = message in self._said and self._said[message].times - self._said[message].told == 1
        if is_first:
            with suppress(RuntimeError):  # without a loop, it is told with the next line, or at the end
                asyncio.get_running_loop().call_later(QUIET_SECONDS, self.settle)

    def settle(self, *, at_once: bool = False) -> None:
        """Tell how often lines came that were not said again, once their second is over, or at once."""
        with self._lock:
            for whole in self._settled(at_once=at_once):
                self._write(whole)

    def last_words(self, line: str, level: int = logging.CRITICAL) -> str:
        """All that is still to be written, with this line as the last: whoever ends the process writes it by itself."""
        lines = []
        if self._lock.acquire(timeout=LOCK_SECONDS):
            try:
                lines = self._settled(at_once=True)
            finally:
                self._lock.release()
        return "\n".join([*lines, self.form(line.removeprefix(PREFIX), level)])

    def form(self, message: str, level: int) -> str:
        """The whole line."""
        partition, name = partition_of(message), logging.getLevelName(level)
        if self.is_json:
            where = {} if partition is None else {"partition": partition}
            return json.dumps({"time": self._time(), "level": name, "process": self.process, **where, "message": message})
        if not self.process:
            return PREFIX + message
        where_text = "" if partition is None else f" partition {partition}"
        return f"{self._time()} {name} {self.process}{where_text} {PREFIX}{_on_one_line(message)}"

    def _time(self) -> str:
        return datetime.fromtimestamp(self._now(), UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")

    def _new(self, message: str, level: int) -> list[str]:
        known = self._said.get(message)
        if known is not None:
            known.times += 1
            return []
        if len(self._said) >= REMEMBERED_MAX:
            oldest = next(iter(self._said))
            counted = self._counted(oldest, self._said.pop(oldest))
        else:
            counted = []
        self._said[message] = _Said(level, self._clock())
        return [*counted, self.form(message, level)]

    def _settled(self, *, at_once: bool = False) -> list[str]:
        """Lines whose second is over are forgotten; one that came again is told, and has another second to come."""
        lines, now = [], self._clock()
        for message, said in list(self._said.items()):
            if not at_once and now - said.at < QUIET_SECONDS:
                continue
            counted = self._counted(message, said)
            lines += counted
            if counted:
                said.at, said.told = now, said.times
            else:
                del self._said[message]
        return lines

    def _counted(self, message: str, said: _Said) -> list[str]:
        return [self.form(f"{message} (said {said.times} times)", said.level)] if said.times > said.told else []


def _on_one_line(message: str) -> str:
    """Control characters as Python writes them: an id from a hostile record begins no line of its own, and colours nothing."""
    return _CONTROL.sub(lambda found: found[0].encode("unicode_escape").decode(), message)


def _command_name() -> str:
    """Of a command that ends by itself: `topics check`."""
    context = click.get_current_context(silent=True)
    return context.command_path.partition(" ")[2] if context is not None else ""


class _Warnings(logging.Handler):
    """What libraries warn of, in one line each, and with TALLY_DEBUG its trace. What this product logs is for TALLY_DEBUG
    alone: its own last line says it already."""

    def __init__(self, log: Log) -> None:
        super().__init__(logging.WARNING)
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        is_debug = bool(os.environ.get("TALLY_DEBUG"))
        if record.name.partition(".")[0] == "tally_stream" and not is_debug:
            return
        with suppress(Exception):  # whatever a library hands over, a line of the log ends nothing
            self._log.say(f"{record.name}: {record.getMessage()}", record.levelno)
            if is_debug and record.exc_info:
                say_trace(self._log, "".join(traceback.format_exception(*record.exc_info)))


def say_trace(log: Log, trace: str) -> None:
    """Only for who set TALLY_DEBUG: as Python writes it, but in one object where a program reads."""
    if log.is_json:
        log.say(trace, logging.DEBUG)
    else:
        write_raw(trace.rstrip())


def warnings_in_lines(log: Log) -> None:
    """From now on, in place of Python's own way, which writes traces."""
    root = logging.getLogger()
    for handler in root.handlers:
        if isinstance(handler, _Warnings):
            root.removeHandler(handler)
    root.addHandler(_Warnings(log))


def make_log(write: Callable[[str], None], process: str = "") -> Log:
    """As the environment wants it. `process`: of one that runs until it is stopped."""
    is_json = log_format() == "json"
    return Log(write, process=process or (_command_name() or "tally-stream" if is_json else ""), is_json=is_json)


def write_raw(line: str) -> None:
    """To stderr as it is, at once; nobody who is left to read it is no reason to end."""
    with suppress(OSError, ValueError):
        sys.stderr.write(line + "\n")
        sys.stderr.flush()
