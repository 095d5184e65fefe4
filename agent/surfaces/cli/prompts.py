"""The commands that show the prompts: those that are shipped, and those of one's own beside them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from agent.surfaces.cli.options import JsonOption, print_json
from agent.text.render import clean, one_line

if TYPE_CHECKING:
    from prompts import Prompt

commands = typer.Typer()
prompts = typer.Typer(
    no_args_is_help=True, help="Show what chat models are told, and what you changed of it."
)
commands.add_typer(prompts, name="prompts")

NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="Name of a prompt, as `answer`.")]


@prompts.command("list")
def list_prompts(context: typer.Context, as_json: JsonOption = False) -> None:
    """List the prompts: name, hash, variables, purpose, and the file of those that are your own."""
    from prompts import load_all

    found = load_all(context.obj.prompts)
    if as_json:
        print_json([_row(prompt) for prompt in found])
        return
    for prompt in found:
        typer.echo(f"{prompt.name:<9} {prompt.hash}  {', '.join(prompt.variables) or 'no variables'}")
        typer.echo(f"{'':<9} {one_line(prompt.purpose)}")
        if not prompt.shipped:
            typer.echo(f"{'':<9} your own: {clean(str(prompt.path))}")


@prompts.command("show")
def show_prompt(context: typer.Context, name: NameArgument, as_json: JsonOption = False) -> None:
    """Show a prompt as it is used: its variables, and its wording."""
    from prompts import load

    prompt = load(name, context.obj.prompts)
    if as_json:
        print_json(_row(prompt) | {"wording": prompt.wording})
        return
    typer.echo(f"{prompt.name} {prompt.hash}: {one_line(prompt.purpose)}")
    for variable, description in prompt.variables.items():
        typer.echo(f"  ${variable}: {one_line(description)}")
    typer.echo(f"\n{clean(prompt.wording)}")


@prompts.command("diff")
def diff_prompt(context: typer.Context, name: NameArgument) -> None:
    """Show what your own wording of a prompt changes of the shipped one."""
    from prompts import difference, load

    prompt = load(name, context.obj.prompts)
    if prompt.shipped:
        where = context.obj.prompts or "a folder that the setting `prompts` names"
        typer.echo(f"{name} is the shipped one; a file {name}.md in {where} would replace it.")
        return
    for line in difference(prompt):
        typer.echo(clean(line.rstrip("\n")))


def _row(prompt: Prompt) -> dict[str, object]:
    return {
        "name": prompt.name,
        "hash": prompt.hash,
        "purpose": prompt.purpose,
        "variables": dict(prompt.variables),
        "file": None if prompt.shipped else str(prompt.path),
    }
