"""The rows in a JSON value, whatever is around them: an endpoint's answer, a receipt, a table of pandas."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator
from typing import Any

from pydantic_core import from_json

_AROUND = ("result", "data", "rows", "items", "records", "logs", "events", "params")
"""Where answers of JSON-RPC, Etherscan, Dune, Covalent and subscriptions have what was asked for."""

_DEEPEST = 6
"""Levels of an answer that are looked into."""

Record = dict[str, Any]


class Refused(ValueError):
    """A value is an endpoint's error, and no answer."""


def rows_of(value: object, wanted: Collection[str]) -> list[Record]:
    """The rows in a value. wanted: folded names of columns that are of use.

    Raises Refused for what an endpoint says instead of rows.

    >>> rows_of({"jsonrpc": "2.0", "result": [{"logIndex": "0x1"}]}, {"logindex"})
    [{'logIndex': '0x1'}]
    >>> rows_of({"columns": ["log_index"], "data": [[1], [2]]}, {"logindex"})
    [{'log_index': 1}, {'log_index': 2}]
    """
    return list(_rows(value, wanted, _DEEPEST))


def concatenated(text: str, tell: Callable[[str], None]) -> Iterator[object]:
    """The JSON values of a text, one after the other; of one that is cut off, what is whole."""
    rest = text.lstrip("\ufeff \t\r\n,")
    while rest:
        try:
            value, end = json.JSONDecoder(strict=False).raw_decode(rest)
        except (ValueError, RecursionError) as error:
            tell(f"breaks off: it is no whole JSON ({str(error).partition(':')[0]})")
            yield from _beginning(rest)
            return
        yield value
        rest = rest[end:].lstrip(" \t\r\n,")


def _beginning(text: str) -> Iterator[object]:
    """What is whole of a value that is cut off: all but its last row."""
    try:
        value = from_json(text, allow_partial=True)
    except ValueError:
        return
    inner = value
    while isinstance(inner, dict) and inner:
        inner = inner[list(inner)[-1]]
    if isinstance(inner, list):
        del inner[-1 if not text.rstrip(" \t\r\n,").endswith("}") else len(inner) :]
        yield value


def _rows(value: object, wanted: Collection[str], deepest: int) -> Iterator[Record]:
    if not deepest:
        return
    if isinstance(value, list):
        for part in value:
            if isinstance(part, list | dict):
                yield from _rows(part, wanted, deepest - 1)
    elif isinstance(value, dict):
        inner = _inner(value, wanted)
        if inner is None:
            yield value
        else:
            yield from _rows(inner, wanted, deepest - 1)


def _inner(value: Record, wanted: Collection[str]) -> object:
    """What holds the rows of an object; None where it is a row itself."""
    if isinstance(value.get("logs"), list):
        return value["logs"]
    if (table := _table(value, wanted)) is not None:
        return table
    if sum(_folded(name) in wanted for name in value if name not in _AROUND) > 1:
        return None
    found = next((value[name] for name in _AROUND if isinstance(value.get(name), list | dict)), None)
    if found is None and (said := _refusal(value)):
        raise Refused(said)
    if found is None and value and all(isinstance(part, dict) for part in value.values()):
        return list(value.values())
    return found


def _table(value: Record, wanted: Collection[str]) -> list[Record] | None:
    """The rows of an object that has them by column, as pandas writes `split`, `columns` and lists."""
    names = value.get("columns")
    cells = next(
        (value[name] for name in ("data", "rows", "values") if isinstance(value.get(name), list)), None
    )
    if isinstance(names, list) and cells and all(isinstance(row, list) for row in cells):
        return [dict(zip(map(str, names), row, strict=False)) for row in cells]
    if not value or not any(_folded(name) in wanted for name in value):
        return None
    columns = list(value.values())
    if all(isinstance(column, dict) for column in columns):
        return [{name: value[name].get(key) for name in value} for key in columns[0]]
    if all(isinstance(column, list) for column in columns) and len({len(column) for column in columns}) == 1:
        return [dict(zip(value, row, strict=True)) for row in zip(*columns, strict=True)]
    return None


def _refusal(value: Record) -> str:
    """What an endpoint says instead of an answer."""
    error = value.get("error")
    said = error.get("message") if isinstance(error, dict) else error
    said = (
        said
        or (value.get("result") if isinstance(value.get("result"), str) else None)
        or value.get("message")
    )
    return " ".join(said.split())[:200] if isinstance(said, str) else ""


def _folded(name: str) -> str:
    return "".join(sign for sign in name.lower() if sign.isalnum())
