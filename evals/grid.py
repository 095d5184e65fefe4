"""Grids of settings in TOML: one plan for each combination of values.

dataset = "questions.jsonl"        # relative to the file's folder
without = ["chain"]                # as the options of `eval run`; may be left out
[vary]
"search.vectors" = [0.6, 0.3]      # the first value of each makes the run that others are compared with
"search.words" = [0.4, 0.2]
budget = [2000, 6000]              # tokens for an answer
model = ["", "gpt-4.1-mini"]       # chat models that answer; "": the library is quoted
prompts = ["", "shorter"]          # folders of prompts, relative too; "": those that are shipped
"""

from __future__ import annotations

import itertools
import json
import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Any

from evals.runner import as_mapping, options
from evals.runs import Plan
from index.errors import SettingsError, SourceError

_TYPES: dict[str, type] = {
    "dataset": str,
    "split": str,
    "judgments": str,
    "without": list,
    "depth": int,
    "answers": bool,
    "allow_missing": bool,
    "vary": dict,
}
_VARIED: dict[str, type] = {"budget": int, "model": str, "prompts": str}
"""What can be varied besides search options."""


def plans(file: Path, base: Plan) -> list[tuple[str, Plan]]:
    """A label and a plan for each combination, the first values first.

    base: the plan whose dataset and options the grid replaces. Raises SourceError for a file that cannot be
    read, SettingsError for what is unknown in it.
    """
    grid = _read(file)
    folder = file.absolute().parent
    vary: dict[str, list[Any]] = grid.pop("vary")
    asked: dict[str, Any] = {
        name: folder / value if name in ("dataset", "judgments") else value for name, value in grid.items()
    }
    base = replace(base, **asked | {"without": tuple(grid.get("without", ()))})
    found = []
    for values in itertools.product(*vary.values()):
        chosen = dict(zip(vary, values, strict=True))
        label = ",".join(f"{name.removeprefix('search.')}={value}" for name, value in chosen.items())
        label = label.replace("/", "_")
        own: dict[str, Any] = {name: chosen.pop(name) for name in _VARIED if name in chosen}
        if own.get("prompts"):
            own["prompts"] = folder / own["prompts"]
        assignments = [f"{name}={json.dumps(value)}" for name, value in chosen.items()]
        plan = replace(base, options=as_mapping(options(assignments)))
        changes: dict[str, Any] = {name: value or None for name, value in own.items()}
        found.append((label, replace(plan, **changes)))
    return found


def _read(file: Path) -> dict[str, Any]:
    try:
        grid = tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise SourceError(f"{file} cannot be read ({error.strerror}); check the path") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SourceError(f"{file} is not TOML: {error}") from None
    for name, value in grid.items():
        if name not in _TYPES:
            raise SettingsError(f"{file}: unknown key `{name}`; known are {', '.join(_TYPES)}")
        if type(value) is not _TYPES[name]:
            raise SettingsError(f"{file}: `{name}` must be of type {_TYPES[name].__name__}; it is {value!r}")
    if "dataset" not in grid or not grid.get("vary"):
        raise SettingsError(f'{file} needs `dataset` and a table [vary], as "search.vectors" = [0.6, 0.3]')
    for name, values in grid["vary"].items():
        if not isinstance(values, list) or not values:
            raise SettingsError(f"{file}: `{name}` must be a list of values; it is {values!r}")
        if name in _VARIED and not all(type(value) is _VARIED[name] for value in values):
            raise SettingsError(f"{file}: `{name}` must list values of type {_VARIED[name].__name__}")
    return grid
