"""The command line: binds the commands of ingest, agent and evals, and turns every fault into one line.

Each `commands` module holds `commands`, a Typer whose commands stand at the top level here. A command
finds the `Settings` in its context's `obj`; `--library` is added to every command by this module.
"""

from __future__ import annotations

import copy
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, cast

import typer
from typer.core import TyperGroup
from typer.main import get_command

from agent.surfaces.cli import add_verify
from agent.surfaces.cli import commands as agent_commands
from evals.commands import commands as eval_commands
from index.errors import ChainciteError
from index.settings import Settings
from ingest.commands import commands as ingest_commands
from ingest.commands import rereading

FAULT = 2
INTERRUPTED = 130
PIPE_CLOSED = 141

app = typer.Typer(
    name="chaincite",
    help="Answers questions about crypto from a library of your own, with a source for each sentence.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"chaincite {version('chaincite')}")
        raise typer.Exit


@app.callback()
def start(
    context: typer.Context,
    library: Annotated[
        Path | None,
        typer.Option("--library", metavar="DIR", help="Folder of the library (default: see `settings`)."),
    ] = None,
    _version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and stop."),
    ] = False,
) -> None:
    """Loads the settings, which every command finds in its context's `obj`."""
    context.obj = Settings.load(library=library)


@app.command("settings")
def show_settings(
    context: typer.Context,
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON list.")] = False,
) -> None:
    """Show each setting, its value, and where the value came from. Secrets are masked."""
    rows = context.obj.origins()
    if as_json:
        import json

        typer.echo(json.dumps([row._asdict() for row in rows], indent=2))
        return
    wide = max(len(row.name) for row in rows)
    for row in rows:
        typer.echo(f"{row.name:<{wide}}  {row.value}  ({row.origin})")


app.add_typer(ingest_commands)
add_verify(rereading)
app.add_typer(agent_commands)
app.add_typer(eval_commands)


def commands_under(group: TyperGroup, path: str = "") -> Iterator[tuple[str, Any]]:
    """Each command below a group with the words that call it, such as `ingest papers`."""
    for name, command in group.commands.items():
        words = f"{path} {name}".strip()
        if isinstance(command, TyperGroup):
            yield from commands_under(command, words)
        else:
            yield words, command


def command_line() -> TyperGroup:
    """The whole command line. `--library` stands before or after a command; the one after it wins."""

    def load(context: Any, _option: Any, library: Path | None) -> None:
        if library is not None:
            context.obj = Settings.load(library=library)

    group = cast(TyperGroup, get_command(app))
    option = copy.copy(next(parameter for parameter in group.params if parameter.name == "library"))
    option.expose_value, option.callback = False, load
    for _, command in commands_under(group):
        command.params.append(option)
    return group


def main() -> int:
    """Runs the command line and returns the exit status: 0 done, 1 a check found something, 2 a fault."""
    try:
        command_line()(prog_name="chaincite")
    except SystemExit as end:
        if isinstance(end.__context__, BrokenPipeError):
            return PIPE_CLOSED
        if end.code == INTERRUPTED:
            _say("interrupted; what was finished is kept")
        return end.code if isinstance(end.code, int) else FAULT
    except ChainciteError as error:
        _say(str(error))
    except Exception as error:
        if os.environ.get("CHAINCITE_DEBUG"):
            raise
        what = f"{type(error).__name__}: {error}".splitlines()[0]
        _say(f"unexpected {what}; run again with CHAINCITE_DEBUG=1 to see where")
    return FAULT


def _say(line: str) -> None:
    print(f"chaincite: {line}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
