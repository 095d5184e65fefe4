"""Tables and records: CSV, JSON, JSON lines and notebooks, as rows with their headers."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from index.errors import SourceError
from index.values import Block
from ingest.readers.markdown import read_markdown
from ingest.readers.parsed import Parsed, whole

_SAMPLE = 64 * 1024
_LONGEST_FIELD = 1 << 20
_DEEPEST = 60


def read_csv(text: str, path: str) -> Parsed:
    """A table of delimited values: each record on a line, as a row between bars, under the first."""
    csv.field_size_limit(_LONGEST_FIELD)
    try:
        records = [record for record in csv.reader(io.StringIO(text), _dialect(text, path)) if any(record)]
    except csv.Error as error:
        raise SourceError(f"is no table of delimited values ({error}); save it again") from None
    rows = [_row(record) for record in records]
    whole_text = "\n".join(rows) + "\n" if rows else ""
    widths = {len(record) for record in records}
    uneven = (f"its rows have {min(widths)} to {max(widths)} fields",) if len(widths) > 1 else ()
    blocks = (Block("table", 0, len(whole_text) - 1, title=rows[0]),) if rows else ()
    return Parsed(whole_text, blocks, warnings=uneven)


def _dialect(text: str, path: str) -> type[csv.Dialect]:
    if path.lower().endswith(".tsv"):
        return csv.excel_tab
    try:
        return csv.Sniffer().sniff(text[:_SAMPLE], delimiters=",;\t|")
    except csv.Error:
        return csv.excel


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(' '.join(cell.split()).replace('|', '/') for cell in cells)} |"


def read_json(text: str) -> Parsed:
    """A JSON value: each of its scalars on a line with its path, lists of records as tables.

    Raises SourceError for what is not JSON.
    """
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise SourceError(f"is not JSON ({error}); mend it, or name it .txt") from None
    return _written(list(_parts(value, "")))


def read_jsonl(text: str) -> Parsed:
    """Lines of JSON: a table where they are records of scalars, else a part for each.

    Lines at fault are named. Raises SourceError where all are.
    """
    values, faulty = [], []
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            try:
                values.append((number, json.loads(line)))
            except (ValueError, RecursionError):
                faulty.append(number)
    if not values:
        raise SourceError("holds no line of JSON; mend it, or name it .txt")
    parts = list(_parts([value for _, value in values], ""))
    if not _is_table([value for _, value in values]):
        parts = [(f"line {number}", "\n".join(_lines(value, "", 0))) for number, value in values]
    warnings = (
        (f"lines that are not JSON, left out: {len(faulty)}, the first is line {faulty[0]}",)
        if faulty
        else ()
    )
    parsed = _written(parts)
    lost = (("lines that are not JSON", len(faulty)),) if faulty else ()
    return Parsed(parsed.text, parsed.blocks, warnings=warnings, lost=lost)


def _written(parts: Sequence[tuple[str, str]]) -> Parsed:
    """Parts, each a name and a text, as one text."""
    text, blocks = "", list[Block]()
    for name, body in parts:
        if name:
            blocks.append(Block("heading", len(text), len(text) + len(name), 1, name))
            text += f"{name}\n\n"
        header = body.partition("\n")[0] if body.startswith("| ") else ""
        blocks.append(Block("table" if header else "list", len(text), len(text) + len(body), title=header))
        text += f"{body}\n\n"
    return Parsed(text, whole(text, blocks))


def _parts(value: Any, name: str) -> Iterator[tuple[str, str]]:
    """A value as named texts: tables apart from the lines of the rest."""
    if _is_table(value):
        yield name, _table(value)
        return
    tables = {key: held for key, held in value.items() if _is_table(held)} if isinstance(value, dict) else {}
    rest = {key: held for key, held in value.items() if key not in tables} if tables else value
    if lines := "\n".join(_lines(rest, "", 0)):
        yield name, lines
    for key, held in tables.items():
        yield str(key), _table(held)


def _is_table(value: Any) -> bool:
    """Whether a value is a list of records of scalars, most of which have the same names."""
    if (
        not isinstance(value, list)
        or len(value) < 2
        or not all(isinstance(row, dict) and row for row in value)
    ):
        return False
    if any(isinstance(cell, dict | list) for row in value for cell in row.values()):
        return False
    return len({key for row in value for key in row}) <= 2 * max(map(len, value))


def _table(rows: Sequence[Mapping[str, Any]]) -> str:
    names = list(dict.fromkeys(key for row in rows for key in row))
    return "\n".join([_row(names), *(_row([_scalar(row.get(name, "")) for name in names]) for row in rows)])


def _lines(value: Any, path: str, depth: int) -> Iterator[str]:
    """Each scalar with the path to it: `fees[0].tier: Gold`."""
    if depth > _DEEPEST:
        yield f"{path}: …"
    elif isinstance(value, dict):
        for key, held in value.items():
            yield from _lines(held, f"{path}.{key}" if path else str(key), depth + 1)
    elif isinstance(value, list) and any(isinstance(held, dict | list) for held in value):
        for at, held in enumerate(value):
            yield from _lines(held, f"{path}[{at}]", depth + 1)
    else:
        said = ", ".join(map(_scalar, value)) if isinstance(value, list) else _scalar(value)
        yield f"- {path}: {said}" if path else said


def _scalar(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def read_notebook(text: str) -> Parsed:
    """A Jupyter notebook: its text, its code, and what the code printed, cell by cell.

    Raises SourceError for what is no notebook.
    """
    try:
        book = json.loads(text)
        cells = book.get("cells") or [cell for sheet in book["worksheets"] for cell in sheet["cells"]]
        language = book.get("metadata", {}).get("kernelspec", {}).get("language", "python")
        parts = [part for cell in cells for part in _cell(cell, str(language))]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise SourceError("is no notebook; save it again, or name it .json") from None
    return read_markdown("\n\n".join(parts) + "\n", "")


def _cell(cell: Mapping[str, Any], language: str) -> Iterator[str]:
    source = _joined(cell.get("source") or cell.get("input") or "").strip("\n")
    if cell.get("cell_type") != "code":
        yield source
        return
    if source.strip():
        yield _fenced(source, language)
    for output in cell.get("outputs") or ():
        shown = output.get("text") or (output.get("data") or {}).get("text/plain") or ""
        if printed := _joined(shown).strip("\n"):
            yield _fenced(printed, "")


def _fenced(text: str, language: str) -> str:
    fence = "`" * max(3, *(len(run) + 1 for run in re.findall("`+", text)), 3)
    return f"{fence}{language}\n{text}\n{fence}"


def _joined(source: str | Sequence[str]) -> str:
    return source if isinstance(source, str) else "".join(source)
