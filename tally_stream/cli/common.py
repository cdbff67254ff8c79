"""What every command shares: the console, lines on stderr, refusals with their exit code, loading, options."""

from __future__ import annotations

import asyncio
import atexit
import logging
import os
import signal
import sys
import traceback
from collections.abc import Callable, Collection, Coroutine, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import click
from click.shell_completion import CompletionItem
from rich.console import Console
from rich.text import Text

from tally_stream.cli.doc_pages import with_pages
from tally_stream.cli.lifeline import stop_signals
from tally_stream.cli.logs import Log, make_log, say_trace, warnings_in_lines, write_raw
from tally_stream.domain.election import Election
from tally_stream.settings import Settings, SettingsError, load_settings, log_format
from tally_stream.wire.folder.assembling import ElectionFolderError, ReadFolder, read_folder

EXIT_FAILED = 1
EXIT_USAGE = 2
LIKENED_MAX = 20_000
"""Among more names none is looked for that is like a wrong one: it would take seconds."""
SHIPPED = Path(__file__).parent.parent / "elections"

PIPE_COLUMNS = 160
"""Width where there is no terminal to ask: no figure is ever cut."""


def _console(*, stderr: bool) -> Console:
    console = Console(stderr=stderr, highlight=False, soft_wrap=False)
    return console if console.is_terminal else Console(stderr=stderr, highlight=False, width=PIPE_COLUMNS)


out = _console(stderr=False)
err = _console(stderr=True)

_T = TypeVar("_T")


def _print(line: str) -> None:
    """Past a progress bar that is drawn there; never markup. Where nobody is left to read it (a closed terminal, a pipe without
    a reader) nothing is said, and nothing ends."""
    with suppress(OSError):
        err.print(Text(line), soft_wrap=True)


class _Lines:
    """The log of this process, made when it is first asked for: its form stands in the environment."""

    log: Log | None = None


def the_log() -> Log:
    if _Lines.log is None:
        _Lines.log = _made("")
    return _Lines.log


def _made(process: str) -> Log:
    return make_log(_print if log_format() == "text" else write_raw, process)


def begin_log(process: str) -> Log:
    """For a command that runs until it is stopped: from now on each line says when, how grave and of which process."""
    _Lines.log = log = _made(process)
    atexit.register(log.settle, at_once=True)
    warnings_in_lines(log)
    return log


def say(line: str, level: int = logging.INFO) -> None:
    """A line for the operator, on stderr (`logs.py`)."""
    the_log().say(with_pages(line), level)


def note(message: str) -> None:
    """As `say`, with our name before it."""
    say(f"tally-stream: {message}")


def warn(message: str) -> None:
    """As `note`, of what may need somebody."""
    say(f"tally-stream: {message}", logging.WARNING)


def write_out(content: bytes) -> None:
    """All of it on stdout, for a program. Where Python does not buffer (PYTHONUNBUFFERED, as in the image) a single write may
    take a part alone, and an export ended after 64 KiB with exit 0."""
    left = memoryview(content)
    while left:
        left = left[sys.stdout.buffer.write(left) :]


def no_contest(contest: str, election: Election) -> str:
    """The sentence for a contest that the election does not have."""
    return no_such(contest, "contest", election.id, [one.id for one in election.contests])


def no_such(name: str, what: str, of: str, known: Collection[str]) -> str:
    """The sentence for a name that is none of those `known`, with up to three that are like it."""
    import difflib

    close = difflib.get_close_matches(name, known, 3) if len(known) <= LIKENED_MAX else []
    return f"{name}: no {what} of {of}" + (f"; there is {', '.join(close)}" if close else "")


def refuse(errors: Iterable[str], exit_code: int = EXIT_FAILED) -> NoReturn:
    """Print every reason on a line of its own and exit."""
    for line in errors:
        say(f"tally-stream: {line}", logging.ERROR)
    sys.exit(exit_code)


def tell_unexpected(error: BaseException) -> None:
    """What nobody foresaw, in one line; with TALLY_DEBUG its traceback."""
    if os.environ.get("TALLY_DEBUG"):
        say_trace(the_log(), "".join(traceback.format_exception(error)))
        return
    text = " ".join(str(error).split()) or "no more is known"
    say(f"tally-stream: {type(error).__name__}: {text} (TALLY_DEBUG=1 shows where)", logging.ERROR)


def election_folder(name: str) -> Path:
    """A folder, or the name of a night that ships with the product."""
    path = Path(name)
    if not path.is_dir() and "/" not in name and (SHIPPED / name).is_dir():
        return SHIPPED / name
    return path


def _nights() -> list[str]:
    """Names of the nights that ship."""
    return sorted(path.parent.name for path in SHIPPED.glob("*/election.toml"))


def _shipped(incomplete: str, kind: str) -> list[CompletionItem]:
    """The nights that ship, beside what the shell completes itself: `dir` or `file`."""
    return [CompletionItem(incomplete, type=kind), *(CompletionItem(name) for name in _nights() if name.startswith(incomplete))]


class _ElectionName(click.ParamType):
    """An election folder, or the name of a night that ships."""

    name = "election"

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        return _shipped(incomplete, "dir")


class _LogPath(click.ParamType):
    """A report log's file. An election folder, or the name of a night that ships, stands for the log in it."""

    name = "log"

    def convert(self, value: str | Path, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        path, folder = Path(value), election_folder(str(value))
        if not folder.is_dir() or (path.exists() and not path.is_dir()):
            return path
        return _log_in(folder) or self.fail(f"{folder}: {_NO_LOG}", param, ctx)

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        return _shipped(incomplete, "file")


ELECTION = _ElectionName()
LOG = _LogPath()


def open_election(name: str) -> tuple[Election, Path]:
    """The definition and its folder; every mistake is printed and exits 2."""
    read, folder = open_folder(name)
    return read.election, folder


def open_folder(name: str) -> tuple[ReadFolder, Path]:
    """As `open_election`, with what the definition was read from."""
    folder = election_folder(name)
    if not folder.is_dir():
        refuse([f"{name}: no such election folder, and no night of that name ships ({', '.join(_nights())})"], EXIT_USAGE)
    try:
        return read_folder(folder), folder
    except ElectionFolderError as broken:
        refuse(broken.shown, EXIT_USAGE)


def chosen_election(settings: Settings) -> Election:
    """That of the settings; exits 2 where they name none, or one with mistakes."""
    if settings.election is None:
        refuse(["no election: give --election or set TALLY_ELECTION"], EXIT_USAGE)
    return open_election(settings.election)[0]


_warned: set[str] = set()


def settings_of(**flags: Any) -> Settings:
    """Environment and flags; every mistake is printed and exits 2. A warning is printed once."""
    try:
        settings = load_settings(**flags)
    except SettingsError as broken:
        refuse(broken.errors, EXIT_USAGE)
    for line in settings.warnings:
        if line not in _warned:
            _warned.add(line)
            warn(line)
    return settings


_NO_LOG = "has no reports.jsonl or reports.jsonl.gz"


def _log_in(folder: Path) -> Path | None:
    return next((folder / name for name in ("reports.jsonl.gz", "reports.jsonl") if (folder / name).exists()), None)


def has_log(folder: Path) -> bool:
    return _log_in(folder) is not None


def recorded_night(folder: Path) -> Path:
    """The folder's report log; exits 2 where it has none."""
    return _log_in(folder) or refuse([f"{folder}: {_NO_LOG}"], EXIT_USAGE)


def run_async(main: Coroutine[Any, Any, _T]) -> _T:
    """Run on uvloop, where it is there."""
    try:
        import uvloop

        factory: Callable[[], asyncio.AbstractEventLoop] | None = uvloop.new_event_loop
    except ImportError:  # Windows
        factory = None
    with asyncio.Runner(loop_factory=factory) as runner:
        return runner.run(main)


def cancel_when_told() -> None:
    """SIGTERM and a closed terminal cancel the task that calls this, as Ctrl-C does the main one."""
    this = asyncio.current_task()
    assert this is not None
    for number in stop_signals():
        if number is not signal.SIGINT:
            asyncio.get_running_loop().add_signal_handler(number, this.cancel)


def stop_when_told() -> asyncio.Event:
    """What is set by whatever asks this process to stop."""
    stop = asyncio.Event()
    for number in stop_signals():
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    return stop


def with_broker(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options of every command that talks to Kafka."""
    for option in (
        click.option("--prefix", help="Topic prefix [TALLY_PREFIX, default tally]."),
        click.option("--bootstrap", metavar="HOST:PORT", help="Kafka brokers [TALLY_BOOTSTRAP, default 127.0.0.1:9092]."),
    ):
        command = option(command)
    return command
