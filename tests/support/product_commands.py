"""The product's own command lines, given to their parser and not run: what a page tells its reader to type is understood."""

from __future__ import annotations

import click

from tally_stream.cli.main import cli


def parse(words: list[str]) -> list[str]:
    """The command's names; raises click.UsageError for a command or an option that does not exist, or a bad value."""
    command: click.Command = cli
    names: list[str] = []
    while isinstance(command, click.Group):
        context = click.Context(command)
        if command.invoke_without_command and (not words or words[0].startswith("-")):
            break
        if not words:
            raise click.UsageError("a command is missing")
        name, *words = words
        found = command.get_command(context, name)
        if found is None:
            raise click.UsageError(f"no command {name}")
        command = found
        names.append(name)
    command.make_context(" ".join(names), list(words))
    return names
