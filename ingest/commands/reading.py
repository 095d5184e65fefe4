"""The commands that read sources: one for each kind, with the options that the kind declares."""

from __future__ import annotations

import datetime
import enum
import inspect
import json
import time
import types
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Union, get_args, get_origin

import typer
from pydantic import ValidationError
from pydantic.fields import FieldInfo
from typer.models import ParameterInfo

from index.errors import SourceError, Unreachable
from index.settings import Settings
from ingest.commands.running import NOTHING, AsJson, doors, print_report, progress
from ingest.connector import Connector, NothingToRead
from ingest.names import shown
from ingest.options import Options
from ingest.registry import KINDS

if TYPE_CHECKING:
    from ingest.engine import Engine, Report

commands = typer.Typer(
    no_args_is_help=True, help="Read sources into the library; only what changed costs anything."
)


def _add(kind: type[Options]) -> None:
    """Adds the command of a kind of source."""

    def command(context: typer.Context, as_json: bool, **given: Any) -> None:
        _read(context.obj, _checked(kind, given), as_json=as_json)

    parameters = [
        inspect.Parameter("context", inspect.Parameter.KEYWORD_ONLY, annotation=typer.Context),
        *_parameters(kind),
        inspect.Parameter("as_json", inspect.Parameter.KEYWORD_ONLY, annotation=AsJson, default=False),
    ]
    command.__doc__ = kind.__doc__
    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    command.__annotations__ = {one.name: one.annotation for one in parameters}
    commands.command(kind.kind_of_source)(command)


def _parameters(kind: type[Options]) -> Iterator[inspect.Parameter]:
    """The fields of a kind that are options or arguments of a command."""
    for name, declared in kind.model_fields.items():
        info = next((one for one in declared.metadata if isinstance(one, ParameterInfo)), None)
        if info is None:
            continue
        annotation, many = _on_command_line(declared.annotation)
        for bound, limit in (("min", "ge"), ("max", "le")):
            limits = [getattr(one, limit) for one in declared.metadata if hasattr(one, limit)]
            setattr(info, bound, limits[0] if limits else None)
        default = inspect.Parameter.empty if declared.is_required() else None if many else declared.default
        yield inspect.Parameter(
            name, inspect.Parameter.KEYWORD_ONLY, annotation=Annotated[annotation, info], default=default
        )


def _on_command_line(annotation: Any) -> tuple[Any, bool]:
    """What Typer makes of the type of a field, and whether it may be repeated; the rest is text."""
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _on_command_line(inner[0])
    if origin is tuple:
        return list[_on_command_line(inner[0])[0]] | None, True  # type: ignore[misc]
    if origin in (Union, types.UnionType) and type(None) in inner:
        [one] = [part for part in inner if part is not type(None)]
        return _on_command_line(one)[0] | None, False
    if annotation is datetime.date:
        return datetime.datetime, False
    known = isinstance(annotation, type) and issubclass(annotation, (bool, int, Path, enum.Enum))
    return (annotation if known and origin is not Literal else str), False


def _checked(kind: type[Options], given: dict[str, Any]) -> Options:
    """The options, without those that were not given. Raises SourceError with one line for a wrong one."""
    try:
        return kind(**{name: value for name, value in given.items() if value is not None})
    except ValidationError as error:
        raise SourceError("; ".join(_told(kind, one) for one in error.errors(include_url=False))) from None


def _told(kind: type[Options], wrong: Any) -> str:
    """A mistake, in the names of the command line."""
    said = wrong["msg"].removeprefix("Value error, ")
    where = [
        part for part in wrong["loc"] if isinstance(part, str) and part.replace("-", "_") in kind.model_fields
    ]
    said = f"`{where[0].replace('_', '-')}` {said}" if where else said
    for name, declared in kind.model_fields.items():
        said = said.replace(f"`{name.replace('_', '-')}`", _flag(name, declared))
    return said


def _flag(name: str, declared: FieldInfo) -> str:
    info = next((one for one in declared.metadata if isinstance(one, ParameterInfo)), None)
    if isinstance(info, typer.models.ArgumentInfo):
        return str(info.metavar)
    spelled = (info.default, *(info.param_decls or ())) if info else ()
    flags = [one for one in spelled if isinstance(one, str) and one.startswith("--")]
    return flags[0] if flags else f"--{name.replace('_', '-')}"


def _read(settings: Settings, source: Options, *, as_json: bool) -> None:
    """Brings the library up to date with a source, and prints what came of it.

    Raises typer.Exit with status 2 when something was skipped.
    """
    from index.library import Library
    from ingest.engine import Engine, Report

    try:
        with doors(settings) as open_doors:
            connector = source.open(open_doors)
            with progress() as bar, Library.writer(settings.library, settings.embedder) as writer:
                engine = Engine(writer, bar)
                if getattr(source, "follow", False):
                    report = _followed(engine, connector, settings.poll_seconds)
                else:
                    report = engine.run(connector)
    except NothingToRead as nothing:
        report = Report(skipped=list(nothing.problems), notes=list(nothing.notes), summary=NOTHING)
    except SourceError as error:
        kind = Unreachable if isinstance(error, Unreachable) else SourceError
        raise kind(f"{shown(source.place)}: {error}") from error
    if as_json:
        typer.echo(json.dumps(report.as_json(), indent=2, default=str))
    else:
        print_report(report, shown(source.place))
    if report.skipped:
        raise typer.Exit(2)


def _followed(engine: Engine, connector: Connector, seconds: float) -> Report:
    """Reads again after so many seconds, until interrupted (Ctrl-C); the report is of all readings."""
    from ingest.engine import Report

    whole = Report()
    try:
        while True:
            try:
                report = engine.run(connector)
            except Unreachable as error:
                typer.echo(f"note     {error}; trying again", err=True)
            else:
                notes = list(report.notes)
                report.notes.clear()
                whole.add(report)
                for note in notes:
                    typer.echo(f"note     {note}", err=True)
            time.sleep(seconds)
    except KeyboardInterrupt:
        return whole


for _kind in KINDS:
    _add(_kind)
