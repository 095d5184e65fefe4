"""The command `chaincite eval grounding`."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from agent.surfaces.terminal import console

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.table import Table

    from evals.grounding import Share


def grounding_command(
    context: typer.Context,
    file: Annotated[
        Path, typer.Argument(metavar="PAIRS.jsonl", help="Lines of id, passage, claim, label; path, type.")
    ],
    verifier: Annotated[
        str | None,
        typer.Option("--verifier", help="chat, none, or a local model by name (default: as it is set)."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="DECISIONS.jsonl", help="Where each decision goes.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Verify judged claims against their passages, and show how many are verified, unverified and removed.

    Without a chat endpoint, and with the verifier left at chat, only a source's own words are verified.
    """
    from rich.progress import Progress

    from evals.grounding import decide, read_pairs, shares
    from evals.tables import wide_console

    settings = context.obj if verifier is None else context.obj.model_copy(update={"verifier": verifier})
    pairs = read_pairs(file)
    screen = console(stderr=True)
    with Progress(console=screen, transient=True, disable=not screen.is_terminal) as bar:
        task = bar.add_task(file.stem, total=len(pairs))
        decisions = decide(pairs, settings, lambda done: bar.update(task, completed=done))
    if out is not None:
        lines = [json.dumps(asdict(decision), ensure_ascii=False) for decision in decisions]
        _write(out, "".join(f"{line}\n" for line in lines))
    found = shares(pairs, decisions)
    if as_json:
        typer.echo(json.dumps([asdict(share) for share in found], ensure_ascii=False, indent=2))
    else:
        wide_console().print(_table(found))


def _write(file: Path, text: str) -> None:
    from index.errors import SettingsError

    try:
        file.write_text(text, "utf-8")
    except OSError as error:
        raise SettingsError(f"{file} cannot be written: {error.strerror}; name another with --out") from error


def _table(shares: Sequence[Share]) -> Table:
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for name in ("label", "type", "claims", "verified", "unverified", "removed"):
        table.add_column(name, justify="left" if name in ("label", "type") else "right")
    for at in range(0, len(shares), 3):
        row = shares[at : at + 3]
        figures = (f"{one.share:.3f} [{one.low:.2f}, {one.high:.2f}]" for one in row)
        table.add_row(row[0].label, row[0].type or "all", str(row[0].of), *figures)
    return table
