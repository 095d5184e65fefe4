"""The command that checks the sources of an answer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from agent.surfaces.cli.options import FOUND_WRONG, JsonOption, print_json
from agent.surfaces.terminal import console, show_checks
from index.settings import Settings

if TYPE_CHECKING:
    from agent.answers.values import Answer
    from agent.answers.verify import Reread

commands = typer.Typer()


def add_verify(rereading: Callable[[Settings], Reread]) -> None:
    """Adds the command `verify`. rereading: what reads a source again, made from the settings."""

    @commands.command("verify")
    def verify_command(
        context: typer.Context,
        answer: Annotated[
            str, typer.Argument(help="Id of a stored answer, its beginning, `last`, or a JSON file.")
        ],
        as_json: JsonOption = False,
    ) -> None:
        """Check the sources of an answer: OK, CHANGED, GONE, REORGED, UNREACHABLE. Exit status 0: all OK."""
        from agent.answers.verify import verify

        found = _stored_or_exported(context.obj, answer)
        checks = verify(found, rereading(context.obj))
        if as_json:
            print_json(
                {"id": found.id, "intact": found.intact, "checks": [asdict(check) for check in checks]}
            )
        else:
            show_checks(found, checks, console())
        if not found.intact or any(check.verdict != "OK" for check in checks):
            raise typer.Exit(FOUND_WRONG)


def _stored_or_exported(settings: Settings, name: str) -> Answer:
    from agent.answers.values import Answers, read

    file = Path(name)
    if file.suffix == ".json" or file.is_file():
        return read(file)
    return Answers(settings.library).load(name)
