"""Single values of files of rows, in the many spellings of those who write them."""

from __future__ import annotations

import ast
import math
import re
from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

_NOTHING = frozenset({"", "null", "none", "nan", "nat", "<na>", "<nil>"})
_HEX = re.compile(r"(?:0[xX]|\\+x)?([0-9a-fA-F]*)")
_HEX_IN = re.compile(r"(?:0[xX]|(?<!\\)\\++x)[0-9a-fA-F]*|\b[0-9a-fA-F]{64}\b")
_BYTES_IN = re.compile(r"\bb'(?:[^'\\]|\\.)*'|\bb\"(?:[^\"\\]|\\.)*\"")
_AROUND = re.compile(r"HexBytes|array|dtype=\w+|[\[\](){}'\",;\s]")
"""What may stand between the topics of a list that was written as text."""

_WHOLE = re.compile(r"([+-]?\d+)(?:\.0*)?n?")
_EXACT = 1 << 53
"""Floats below hold every whole number exactly."""

_LATEST = 100_000_000_000
"""Seconds since 1970 that no block has; more are thousandths, millionths or billionths."""

_DIGITS = {"hash": 64, "address": 40}


def is_true(value: Any) -> bool:
    """Whether a flag is set, as a boolean, a number or a word.

    >>> [is_true(value) for value in (True, 1, "true", "1", "0x1", False, "False", "", None)]
    [True, True, True, True, True, False, False, False, False]
    """
    return str(value).strip().lower() in ("true", "1", "1.0", "0x1", "t", "yes")


def is_nothing(value: Any) -> bool:
    """Whether there is no value, or a word of some program for none."""
    if isinstance(value, str):
        return value.strip().strip("'\"").lower() in _NOTHING
    return value is None or (isinstance(value, float) and math.isnan(value))


def as_text(value: Any, shape: str) -> str | None:
    r"""A value as the rules of its shape have it; None for nothing, what cannot be read as it is.

    >>> as_text("0x", "int64"), as_text(17.0, "int64"), as_text("\\xAB", "data")
    ('0', '17', '0xAB')
    """
    if isinstance(value, Mapping):  # a number of ethers, a buffer of Node
        value = next((value[name] for name in ("hex", "_hex", "data", "value") if name in value), value)
    if is_nothing(value):
        return None
    if isinstance(value, bytes | bytearray):
        value = "0x" + value.hex()
    if shape in ("int64", "uint256"):
        return _number(value)
    if isinstance(value, list) and all(isinstance(part, int) and 0 <= part < 256 for part in value):
        value = "0x" + bytes(value).hex()
    return _hexadecimal(str(value), shape)


def _number(value: Any) -> str | None:
    if isinstance(value, bool):
        return str(int(value))
    if isinstance(value, float) and value.is_integer() and abs(value) < _EXACT:
        return str(int(value))
    text = f"{value:f}" if isinstance(value, Decimal) else str(value).strip().strip("'\"")
    low = text.lower()
    if low.startswith("0x"):
        try:
            return str(int(low[2:] or "0", 16))
        except ValueError:
            return text
    if whole := _WHOLE.fullmatch(text):
        return str(int(whole[1]))
    return {"true": "1", "false": "0"}.get(low, text)


def _hexadecimal(text: str, shape: str) -> str | None:
    bare = text.strip().strip("'\"")
    if _BYTES_IN.fullmatch(text.strip()):
        bare = _of_python(text.strip())
    elif (inside := re.fullmatch(r"HexBytes\(['\"]?(\w*)['\"]?\)", bare)) is not None:
        bare = inside[1]
    found = _HEX.fullmatch(bare)
    if found is None:
        return text
    digits, size = found[1], _DIGITS.get(shape)
    if not digits and shape != "data":
        return None
    if size == 40 and len(digits) == 64 and not int(digits[:24], 16):
        digits = digits[24:]
    return "0x" + digits


def _of_python(text: str) -> str:
    """Hex of what Python writes bytes as."""
    try:
        return "0x" + bytes(ast.literal_eval(text)).hex()
    except (ValueError, SyntaxError):
        return text


def as_topics(value: Any) -> list[Any] | None:
    """The topics of a log, from a list or a list as text; None where there is something else in it.

    >>> as_topics("['0xab' '0xcd']"), as_topics('["0xab", null]'), as_topics("0xab;zz")
    (['0xab', '0xcd'], ['0xab'], None)
    """
    if isinstance(value, list | tuple):
        return [topic for topic in value if topic is not None and topic != ""]
    text = "" if value is None else str(value)
    text = _BYTES_IN.sub(lambda found: _of_python(found[0]), text)
    left = re.sub(r"\b(?:null|None|nan)\b", "", _AROUND.sub("", _HEX_IN.sub("", text)))
    return None if left else _HEX_IN.findall(text)


def as_time(value: Any) -> datetime | None:
    """A time with its zone: from seconds or parts of them since 1970, a date and time, or neither: None.

    >>> as_time("0x6553f100") == as_time("2023-11-14 22:13:20.000 UTC") == as_time(1700000000000)
    True
    """
    if isinstance(value, datetime):
        return value if value.tzinfo else value.replace(tzinfo=UTC)
    if isinstance(value, date):
        return datetime(value.year, value.month, value.day, tzinfo=UTC)
    try:
        if isinstance(value, int | float | Decimal):
            return _since_1970(float(value))
        return _written(str(value).strip()) if value else None
    except (ValueError, OverflowError, OSError):
        return None


def _written(text: str) -> datetime | None:
    if text.lower().startswith("0x"):
        return _since_1970(int(text[2:] or "0", 16))
    if re.fullmatch(r"\d+(?:\.\d*)?(?:[eE]\+?\d+)?", text):
        return _since_1970(int(text) if text.isdecimal() else float(text))
    bare = re.sub(r"(?:UTC|GMT|Z)$", "", text).rstrip()
    found = datetime.fromisoformat(bare if bare == text else f"{bare}+00:00")
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _since_1970(count: float) -> datetime:
    """A time by seconds since 1970, or by thousandths, millionths or billionths, as the size tells."""
    scale = 1
    while count / scale >= _LATEST:
        scale *= 1_000
    return datetime.fromtimestamp(count / scale, UTC)
