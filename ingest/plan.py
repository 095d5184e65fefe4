"""The file that names every source of a library: what may stand in it, and how a mistake is reported."""

from __future__ import annotations

import difflib
import tomllib
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError, create_model

from index.errors import SettingsError
from ingest.options import Options
from ingest.registry import KINDS

_TABLES = {kind.kind_of_source: kind for kind in KINDS}


def _list(value: object) -> object:
    """A table of its own as a list of one."""
    return [value] if isinstance(value, dict) else value


_LISTS: dict[str, Any] = {
    name: (Annotated[tuple.__class_getitem__((kind, ...)), BeforeValidator(_list)], ())
    for name, kind in _TABLES.items()
}
_Plan: type[BaseModel] = create_model("_Plan", __config__=ConfigDict(extra="forbid", frozen=True), **_LISTS)
"""What a file says: a list of tables for each kind of source."""


def read_plan(file: Path) -> list[Options]:
    """The sources that a TOML file names, kind after kind, so that code is there before what it declares.

    Raises SettingsError with one line for a file that cannot be read, an unknown key, or a wrong value.
    """
    try:
        plan = _Plan.model_validate(tomllib.loads(file.read_text(encoding="utf-8")))
    except OSError as error:
        raise SettingsError(f"cannot read {file} ({error.strerror}); check the path") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{file} is not TOML: {error}; mend it") from None
    except ValidationError as error:
        faults = [_told(fault) for fault in error.errors(include_url=False)]
        raise SettingsError(f"{file}: {'; '.join(faults)}") from None
    sources: list[Options] = [source for name in _TABLES for source in getattr(plan, name)]
    _refuse_modes(file, sources)
    labels = [source.label for source in sources]
    if not labels:
        headings = ", ".join(f"[[{name}]]" for name in _TABLES)
        raise SettingsError(f"{file} names no source; write tables {headings}")
    if twice := sorted({label for label in labels if labels.count(label) > 1}):
        raise SettingsError(f"{file}: {', '.join(twice)} stands twice; give each a `name` of its own")
    return sources


def _refuse_modes(file: Path, sources: list[Options]) -> None:
    """Raises SettingsError for a key that only the command line has, since a file is always read whole."""
    for source in sources:
        for name in source.model_fields_set:
            if type(source).model_fields[name].exclude:
                raise SettingsError(f"{file}: {source.label}: `{name}` is for the command line; leave it out")


def _told(fault: Any) -> str:
    """A mistake: where it is, and what is allowed there. Values are not shown, as they may be secret."""
    where = [part for part in fault["loc"] if part not in ("int", "literal['latest','safe','finalized']")]
    known = _TABLES.get(str(where[0]))
    place = f"[[{where[0]}]]" + (f" number {int(where[1]) + 1}" if len(where) > 1 else "")
    if fault["type"] == "extra_forbidden" and len(where) == 1:
        return f"unknown table {place}; {_nearest(str(where[0]), list(_TABLES))}"
    if fault["type"] == "extra_forbidden" and known is not None:
        key = str(where[-1])
        keys = [name.replace("_", "-") for name, field in known.model_fields.items() if not field.exclude]
        return f"{place}: unknown key `{key}`; {_nearest(key, keys)}"
    said = fault["msg"].removeprefix("Value error, ").removeprefix("Input ")
    key = f" `{where[2]}`" if len(where) > 2 else ""
    return f"{place}:{key} {'is missing' if fault['type'] == 'missing' else said}"


def _nearest(name: str, known: list[str]) -> str:
    close = difflib.get_close_matches(name, known, n=1)
    return f"did you mean `{close[0]}`?" if close else f"known are {', '.join(known)}"
