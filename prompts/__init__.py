"""The prompts of the product: one Markdown file each, with declared variables, checked before it is used.

    prompt = load("repair")
    text = prompt.render(faults="…")
    prompt.hash                       # names this wording in stored answers

The front matter (YAML between two lines of `---`) holds `name`, `purpose`, and `variables`, each with a
description. Below it stands the wording, in which `$name` or `${name}` is replaced and `$$` is a dollar sign.
A folder of one's own may hold other wordings under the same names and with the same variables.
"""

from __future__ import annotations

import difflib
import hashlib
import re
import string
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from index.errors import SettingsError

SHIPPED = Path(__file__).parent

_FRONT_MATTER = re.compile(r"---\n(.*?)^---\n(.*)", re.DOTALL | re.MULTILINE)
_KEYS = {"name", "purpose", "variables"}


@dataclass(frozen=True)
class Prompt:
    """A checked prompt. variables: the description of each; wording: the text with `$name` in it.

    source: the file as it stands; hash: the first 12 hex digits of its sha256.
    """

    name: str
    purpose: str
    variables: Mapping[str, str]
    wording: str
    path: Path
    source: str

    @property
    def hash(self) -> str:
        """Names this very content."""
        return hashlib.sha256(self.source.encode()).hexdigest()[:12]

    @property
    def shipped(self) -> bool:
        """Whether it came with chaincite."""
        return self.path.parent == SHIPPED

    def render(self, **values: object) -> str:
        """The wording with these values, which are put in as they are: no `$` in them means anything.

        Raises SettingsError unless there is one value for each variable.
        """
        for variable in self.variables.keys() - values.keys():
            raise _fault(self.path, variable, "was given no value")
        for variable in values.keys() - self.variables.keys():
            raise _fault(self.path, variable, "was given a value and is not declared")
        return string.Template(self.wording).substitute(values)


def names() -> tuple[str, ...]:
    """The names of all prompts, in the order of the alphabet."""
    return tuple(sorted(file.stem for file in SHIPPED.glob("*.md")))


def load(name: str, folder: Path | None = None) -> Prompt:
    """The prompt of this name: the one in `folder` where there is one, else the one that is shipped.

    Raises SettingsError for an unknown name, and for a file that is not right, with what is wrong in it.
    """
    if name not in names():
        raise SettingsError(f"there is no prompt {name!r}; {_nearest(name)}")
    shipped = _read(SHIPPED / f"{name}.md")
    if folder is None or not (folder / f"{name}.md").exists():
        return shipped
    own = _read(folder / f"{name}.md")
    for variable in shipped.variables.keys() - own.variables.keys():
        raise _fault(own.path, variable, "is missing; this prompt is given it and must use it")
    for variable in own.variables.keys() - shipped.variables.keys():
        given = ", ".join(shipped.variables) or "none"
        raise _fault(own.path, variable, f"is declared, but this prompt is given only: {given}")
    return own


def load_all(folder: Path | None = None) -> tuple[Prompt, ...]:
    """All prompts as they are used. Raises SettingsError, also for a file of `folder` that names none."""
    if folder is not None:
        if not folder.is_dir():
            raise SettingsError(
                f"the setting `prompts` names {folder}, which is not a folder; make it or unset the setting"
            )
        for file in sorted(folder.glob("*.md")):
            if file.stem not in names():
                raise SettingsError(f"{file} is the name of no prompt; {_nearest(file.stem)}")
    return tuple(load(name, folder) for name in names())


def difference(prompt: Prompt) -> Iterator[str]:
    """The lines of a unified diff from the shipped wording to this one; none where they are the same."""
    shipped = load(prompt.name)
    before, after = shipped.source.splitlines(keepends=True), prompt.source.splitlines(keepends=True)
    return difflib.unified_diff(before, after, f"shipped {shipped.hash}", f"{prompt.path} {prompt.hash}")


def _read(path: Path) -> Prompt:
    try:
        return _parsed(path, path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError(f"{path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise SettingsError(f"{path} is not UTF-8; write it anew in UTF-8") from None


@lru_cache(maxsize=64)
def _parsed(path: Path, source: str) -> Prompt:
    matched = _FRONT_MATTER.fullmatch(source)
    if matched is None:
        raise SettingsError(f"{path} has no front matter; begin it with --- name, purpose, variables ---")
    matter, wording = _fields(path, matched[1]), matched[2].strip()
    variables = matter.get("variables") or {}
    if not isinstance(variables, dict):
        raise SettingsError(f"{path}: `variables` must be a list of lines `name: description`")
    for variable, description in variables.items():
        if not isinstance(description, str) or not description.strip():
            raise _fault(path, variable, "has no description; write `name: what it is`")
    _check_use(path, wording, variables)
    return Prompt(path.stem, str(matter["purpose"]).strip(), variables, wording, path, source)


def _fields(path: Path, text: str) -> dict[str, Any]:
    import yaml

    try:
        matter = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise SettingsError(f"{path}: the front matter is not YAML: {' '.join(str(error).split())}") from None
    if not isinstance(matter, dict) or matter.keys() - _KEYS or not matter.get("purpose"):
        raise SettingsError(f"{path}: the front matter must hold name, purpose, and variables; nothing else")
    if matter.get("name") != path.stem:
        raise SettingsError(
            f"{path}: the front matter names {matter.get('name')!r}; it must name {path.stem!r}, as the file"
        )
    return matter


def _check_use(path: Path, wording: str, variables: Mapping[str, str]) -> None:
    """Raises SettingsError where the wording is empty or uses other variables than are declared."""
    template = string.Template(wording)
    if not wording:
        raise SettingsError(f"{path} has no wording below its front matter")
    if not template.is_valid():
        line = _line_of_stray(wording)
        raise SettingsError(f"{path}: a `$` in {line!r} begins no variable; write a dollar sign as $$")
    used = set(template.get_identifiers())
    for variable in sorted(used - variables.keys()):
        raise _fault(path, variable, "is used and not declared; declare it, or write a dollar sign as $$")
    for variable in sorted(variables.keys() - used):
        raise _fault(path, variable, f"is declared and not used; write ${variable} where it belongs")


def _line_of_stray(wording: str) -> str:
    return next(line for line in wording.splitlines() if not string.Template(line).is_valid())


def _fault(path: Path, variable: object, what: str) -> SettingsError:
    return SettingsError(f"{path}: the variable `{variable}` {what}")


def _nearest(name: str) -> str:
    close = difflib.get_close_matches(name, names(), n=1)
    return f"did you mean `{close[0]}`?" if close else f"known are {', '.join(names())}"
