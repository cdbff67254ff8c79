"""`tally-stream`: every command, loaded only when it is called, so that `--help` is quick."""

from __future__ import annotations

import importlib
import sys
from typing import NoReturn

import click
from click.shell_completion import CompletionItem

from tally_stream import __version__
from tally_stream.cli.doc_pages import with_pages
from tally_stream.cli.lifeline import end_with_parent
from tally_stream.settings import log_format

_COMMANDS = {
    "demo": ("tally_stream.cli.demo", "A whole night on Kafka in one command."),
    "worker": ("tally_stream.cli.worker", "Count: reports in, standings out."),
    "topics": ("tally_stream.cli.topics", "Create the topics, or list what is wrong with them."),
    "send": ("tally_stream.cli.send", "Play a report log into Kafka."),
    "authority": ("tally_stream.cli.authority", "Orders about stations and contests: annul, accept, hold, certify and others."),
    "held": ("tally_stream.cli.desk", "Held and disputed stations, and what each needs."),
    "submit": ("tally_stream.cli.submit", "A station's reports: check them, send them, and what became of each."),
    "intake": ("tally_stream.cli.intake", "Reports over HTTP, for places that cannot reach Kafka."),
    "keys": ("tally_stream.cli.keys", "Keys that sign statements: make, list, check, add, revoke."),
    "status": ("tally_stream.cli.status", "What is wrong with the count, and how it stands."),
    "standings": ("tally_stream.cli.standings", "The newest standings."),
    "export": ("tally_stream.cli.export", "The newest standings as NIST SP 1500-100 or CSV."),
    "board": ("tally_stream.cli.board", "The public page, JSON and a stream of events."),
    "dump": ("tally_stream.cli.dump", "Save the report log to a file."),
    "restore": ("tally_stream.cli.restore", "Rebuild a lost reports topic from a saved log."),
    "simulate": ("tally_stream.cli.simulate", "Write an invented night of any size from a seed."),
    "check": ("tally_stream.cli.check", "Check an election folder: every mistake, or what it defines."),
    "replay": ("tally_stream.cli.replay", "Fold a report log without Kafka."),
    "verify": ("tally_stream.cli.verify", "Recompute published standings from the log and compare."),
    "rules": ("tally_stream.cli.rules", "The rules a report is judged by."),
    "settings": ("tally_stream.cli.settings", "Every setting (environment variables TALLY_*)."),
}


class _LateGroup(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        command: click.Command = getattr(importlib.import_module(_COMMANDS[cmd_name][0]), cmd_name)
        importlib.import_module("tally_stream.cli.settings").name_settings(cmd_name, command)
        command.help = with_pages(command.help or "")
        return command

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Click's own would load every command's engine to ask for its help, at each press of the key."""
        commands = [CompletionItem(name, help=text) for name, (_, text) in _COMMANDS.items() if name.startswith(incomplete)]
        return commands + click.Command.shell_complete(self, ctx, incomplete)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in _COMMANDS.items()])


@click.command(cls=_LateGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="tally-stream")
@click.pass_context
def cli(context: click.Context) -> None:
    """Election night as a stream: polling stations' reports in, standings anyone can recompute out.

    Example: tally-stream demo

    Settings are environment variables, such as TALLY_BOOTSTRAP and TALLY_SECURITY_*: tally-stream settings

    Exit codes: 0 done, 1 refused or failed, 2 wrong usage, a wrong setting or a broken election folder.
    """
    if context.invoked_subcommand != "worker":  # a supervisor has no threads, and looks at its lifeline itself
        end_with_parent()


def _with_mistakes_as_lines() -> NoReturn:
    """A program that reads stderr line by line is told of wrong usage in such a line too."""
    from tally_stream.cli.common import refuse

    try:
        code = cli(prog_name="tally-stream", standalone_mode=False)
    except click.Abort:
        code = 1
    except click.ClickException as wrong:
        refuse([wrong.format_message()], wrong.exit_code)
    sys.exit(code if isinstance(code, int) else 0)


def main() -> None:
    """Run a command. No traceback reaches a user, unless TALLY_DEBUG is set."""
    try:
        if log_format() == "text":
            cli(prog_name="tally-stream")
        _with_mistakes_as_lines()
    except Exception as error:
        from tally_stream.cli.common import tell_unexpected

        tell_unexpected(error)
        sys.exit(1)
