"""The headers that proposals and notes carry: YAML front matter and BIP preambles."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from datetime import date

from index.values import Kind
from ingest.sources import Facts

_HEADER = re.compile(r"[ \t]*([A-Za-z][\w-]*):(.*)")
_BRACKETS = re.compile(r"<[^>]{0,200}>|\([^)]{0,200}\)|\[[^\]]{0,200}\]|\S{1,200}@\S+")
_SEGMENT = re.compile(r"[^<(>)]+([>)])?")
_COMMA = re.compile(r"[,;\n]")
_HANDLE = re.compile(r"@([\w-]+)")
_DATE = re.compile(r"(?<!\d)(\d{4})([-/.]?)(\d{1,2})\2(\d{1,2})(?!\d)")
_YEAR = re.compile(r"(?<!\d)\d{4}(?!\d)")
_LONGEST_DATE = 60
_SERIES = ("eip", "erc", "bip", "caip")
_FIELDS = frozenset(
    """
    title author authors date created published updated assigned status number eip erc bip caip type category
    layer layout tags description summary abstract requires license licence slug draft lang language id
    """.split()  # noqa: SIM905
)


def header_fields(text: str) -> dict[str, str]:
    r"""`Key: value` lines by lower-case key; a line indented deeper than its key continues the value.

    >>> header_fields("BIP: 8\nAuthors: Ann\n         Ben\n")
    {'bip': '8', 'authors': 'Ann\nBen'}
    """
    fields: dict[str, str] = {}
    key, depth = "", 0
    for line in text.splitlines():
        indent = len(line) - len(line.lstrip())
        match = _HEADER.fullmatch(line)
        if match and (not key or indent <= depth):
            key, depth = match[1].lower(), indent
            fields[key] = match[2].strip()
        elif key and line.strip():
            fields[key] = f"{fields[key]}\n{line.strip()}".strip()
    return fields


def is_front_matter(text: str) -> bool:
    r"""Whether what stands between the rules at a note's beginning is its fields, and no text of its own.

    >>> is_front_matter("title: A"), is_front_matter("\n# A memo\n\nThe rebate is 37 basis points.")
    (True, False)
    """
    fields = yaml_fields(text) or header_fields(text)
    if not fields:
        return not _is_prose(text)
    named = any(key in _FIELDS for key in fields)
    return named or not re.search(r"\n[ \t]*\r?\n[ \t]*\S", text.strip()) or not _is_prose(text)


def _is_prose(text: str) -> bool:
    """Whether a line has a word, before any colon, that three others follow."""
    for line in text.split("\n"):
        words = line.split()
        for word in words[:-3]:
            if ":" in word:
                break
            if word[-1].isalnum() or word[-1] == "_":
                return True
    return False


def toml_fields(text: str) -> dict[str, str]:
    r"""The same from TOML; of what is not TOML, nothing.

    >>> toml_fields("title = 'A'\nauthors = ['Ann', 'Ben']\ndate = 2021-08-05\n")
    {'title': 'A', 'authors': 'Ann\nBen', 'date': '2021-08-05'}
    """
    try:
        loaded = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError):
        return {}
    flat = {**loaded.get("params", {}), **loaded} if isinstance(loaded.get("params"), dict) else loaded
    return {str(key).lower(): _flat(value) for key, value in flat.items()}


def yaml_fields(text: str) -> dict[str, str]:
    r"""The same from YAML: scalars as they are written, lists as lines, nested names as `name`.

    What is not YAML is read as header lines.

    >>> yaml_fields("title: 'A: B'\nauthors:\n- name: Ann\n- Ben\n")
    {'title': 'A: B', 'authors': 'Ann\nBen'}
    """
    import yaml

    try:
        loaded = yaml.load(text, Loader=yaml.BaseLoader)  # noqa: S506 makes texts, lists and mappings only
    except (yaml.YAMLError, RecursionError):
        return header_fields(text)
    if not isinstance(loaded, dict):
        return {}
    return {str(key).lower(): _flat(value) for key, value in loaded.items()}


def _flat(value: object) -> str:
    items = value if isinstance(value, list) else [value]
    texts = (item.get("name") if isinstance(item, dict) else item for item in items)
    flat = "\n".join(str(text) for text in texts if isinstance(text, str | int | float | date))
    return flat.encode(errors="replace").decode()


def facts_of(fields: Mapping[str, str], path: str) -> Facts:
    """What a header states. path: the file's name, which tells an ERC without a category."""
    series = next((key for key in _SERIES if re.search(r"\d", fields.get(key, ""))), None)
    prefix = (series or "").upper()
    if series == "eip" and (fields.get("category") == "ERC" or path.rpartition("/")[2].startswith("erc-")):
        number = designations(fields["eip"], "ERC")
    else:
        number = designations(fields[series], prefix) if series else ()
    return Facts(
        kind=Kind.PROPOSAL if number else None,
        title=" ".join(fields.get("title", "").split()) or None,
        authors=names(fields.get("authors") or fields.get("author", "")),
        published_at=_date(fields, "created", "assigned", "date", "published"),
        number=number[0] if number else None,
        status=fields.get("status") or None,
        category=fields.get("category") or fields.get("layer") or fields.get("type") or None,
        requires=designations(fields.get("requires", ""), prefix) if series else (),
    )


def names(text: str) -> tuple[str, ...]:
    """The people in an author line, without addresses and handles, each once.

    >>> names("Vitalik Buterin (@vbuterin), Ann Lee <ann@example.org>, (@ben), et al.")
    ('Vitalik Buterin', 'Ann Lee', 'ben')
    """
    # A comma inside brackets, which has a closing one next, parts no names.
    parted = _SEGMENT.sub(lambda match: match[0] if match[1] else _COMMA.sub("\0", match[0]), text)
    found = []
    for part in parted.split("\0"):
        name = " ".join(_BRACKETS.sub(" ", part).split()).strip(" @")
        handle = _HANDLE.search(part)
        found.append(name or (handle[1] if handle and part.strip().startswith(("@", "(@")) else ""))
    return tuple(dict.fromkeys(name for name in found if name and name.lower() not in ("et al.", "et al")))


def designations(text: str, prefix: str) -> tuple[str, ...]:
    """The numbers in a text as designations; a run of digits too long for a proposal is none.

    >>> designations("155, EIP-0020", "EIP")
    ('EIP-155', 'EIP-20')
    """
    return tuple(
        dict.fromkeys(f"{prefix}-{int(number)}" for number in re.findall(r"(?<!\d)\d{1,9}(?!\d)", text))
    )


def _date(fields: Mapping[str, str], *keys: str) -> date | None:
    return next((day for key in keys if (day := day_of(fields.get(key, "")))), None)


def day_of(text: str) -> date | None:
    """The day that a text states in one of the common spellings, in many languages; None without a year.

    >>> {str(day_of(text)) for text in ("2021-8-5", "20210805", "5 Aug 2021", "August 5th, 2021")}
    {'2021-08-05'}
    >>> day_of("last week"), day_of("2021-13-45")
    (None, None)
    """
    if match := _DATE.search(text):
        try:
            return date(int(match[1]), int(match[3]), int(match[4]))
        except ValueError:
            return None
    if len(text) > _LONGEST_DATE or not _YEAR.search(text):
        return None
    import dateparser

    first = "DMY" if re.match(r"\s*\d{1,2}\.", text) else "MDY"
    found = dateparser.parse(
        re.sub(r"(?<=\d)(?:st|nd|rd|th)\b", "", text),
        settings={"REQUIRE_PARTS": ["year", "month"], "PREFER_DAY_OF_MONTH": "first", "DATE_ORDER": first},
    )
    return found.date() if found else None
