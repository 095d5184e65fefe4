"""The terms of texts: words, and the identifiers of crypto, findable whole and by part."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from functools import lru_cache

from index.normalize import WIDE, folded, unified

_SERIES = r"(?:EIP|ERC|BIP|CAIP|SLIP|RIP)"
_MARKS = "".join(chr(code) for code in range(0x300, 0x1200) if unicodedata.category(chr(code))[0] == "M")
_LETTER = rf"(?:[^\W_][{_MARKS}]*)"
_TERM = re.compile(
    r"0[xX][0-9a-fA-F]{2,}(?:\.{2,3}|…|\*{2,4})[0-9a-fA-F]{2,}"
    r"|0[xX][0-9a-fA-F]+"
    rf"|\b{_SERIES}S?[-_ .]?#?[0-9]+\b"
    r"|[0-9]{1,3}(?:[,_][0-9]{3})+(?![0-9])"
    r"|[0-9]+(?:\.[0-9]+)+"
    rf"|{_LETTER}+(?:_+{_LETTER}+)*",
    re.IGNORECASE,
)
_DESIGNATION = re.compile(
    r"\b(EIP|ERC|BIP|CAIP|SLIP|RIP)S?[-_ .]?#?0*([1-9][0-9]*+|0)(?![0-9A-Za-z_])", re.IGNORECASE
)
_LISTED = re.compile(
    rf"\b({_SERIES})(?:S[-_ ]?#?[0-9]+"
    r"(?:(?:\s*,\s*(?:and\s+|or\s+)?|\s+(?:and|or|to|&)\s+|/)#?[0-9]+\b(?!\.[0-9]))+"
    r"|[-_ ]?#?[0-9]+(?:/#?[0-9]+\b)+)",
    re.IGNORECASE,
)
"""Several proposals named as one: "EIPs 1559 and 4844", "EIP-1559/4844"."""

_ENDS = re.compile(r"(0x[0-9a-f]+)(?:\.{2,3}|…|\*{2,4})([0-9a-f]+)")
_BARE = re.compile(r"(?=[0-9a-f]*[a-f])(?=[0-9a-f]*[0-9])(?:[0-9a-f]{40}|[0-9a-f]{64}|[0-9a-f]{8})")
"""An address, a hash or a selector without its `0x`."""

_EXACT = re.compile(r"\b0[xX](?:[0-9a-fA-F]{64}|[0-9a-fA-F]{8})\b|(?<![\w$])[\w$]+\([\w,()\[\]]{0,500}\)")
"""A selector or a topic, or a signature without spaces."""
_CODE_NAME = re.compile(r"(?<![\w.])(?:(_\w+|\w+_\w+|[a-z]+[A-Z]\w*)|([A-Za-z]\w*)(?=\())")
_WIDE = re.compile(f"[{WIDE}]")
_RUNS = re.compile(f"[{WIDE}]+|[^{WIDE}]+")
_PART = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+|[^\W_A-Za-z0-9]+")

STOPWORDS = frozenset(
    """
    a about all also am an and any are as at be because been before being but by can could did do does
    doing done for from get had has have having he her here him his how i if in into is it its itself
    just like me much my no nor not of on one or other our out over own she should so some such than
    that the their them then there these they this those to too under until up us very was we were what
    when where which while who whom whose why will with would you your s t d m ll re ve
    """.split()  # noqa: SIM905
)
"""Words of a question that say nothing of its subject; left out of queries, never of the index."""


def terms(text: str) -> list[str]:
    """The index terms of a text, lower case: words, and identifiers both whole and in parts.

    Texts are read as `index.normalize` has them. Proposal designations become one term whatever their
    spelling, and EIP and ERC share their numbers, as they do in the world. A number loses its grouping. A
    long hexadecimal string, with `0x` or without, also counts as its first four bytes (a selector), as its
    two ends and, where it is a padded address, as that address. A word with accents also counts without
    them; scripts that put no space between words become pairs of characters.

    >>> terms("EIP-1559, erc 20, BIP-0039, EIPs 2 and 3")
    ['eip1559', 'eip20', 'bip39', 'eip2', 'eip3']
    >>> terms("MAX_BLOB_GAS safeTransferFrom 16,777,216")
    ['max_blob_gas', 'max', 'blob', 'gas', 'safetransferfrom', 'safe', 'transfer', 'from', '16777216']
    >>> terms("0x1626ba7e00000000"), terms("0xdac1…1ec7")
    (['0x1626ba7e00000000', '0x1626ba7e'], ['0xdac1~1ec7'])
    >>> terms("Möbius 退出排队")
    ['möbius', 'mobius', '退出', '出排', '排队']
    """
    return [term for match in _TERM.finditer(_listed(unified(text))) for term in _forms(match.group())]


def _listed(text: str) -> str:
    """The text with each proposal of a list named in full."""
    return _LISTED.sub(
        lambda match: " ".join(f"{match[1]}-{number}" for number in re.findall("[0-9]+", match[0])), text
    )


@lru_cache(maxsize=65_536)
def _forms(token: str) -> tuple[str, ...]:
    lower = token.lower()
    if lower.startswith("0x") and len(lower) > 2:
        return tuple(dict.fromkeys(_hexadecimal(lower)))
    if designation := _DESIGNATION.fullmatch(token):
        series, number = designation.group(1).lower(), designation.group(2)
        return (("eip" if series == "erc" else series) + number,)
    if token[0].isdigit() and not token.isalnum():
        return (lower.replace(",", "").replace("_", ""),)
    if _BARE.fullmatch(lower):
        return (lower, *dict.fromkeys(_hexadecimal("0x" + lower)))
    if _WIDE.search(lower):
        return tuple(form for run in _RUNS.findall(lower) for form in _pairs(run))
    parts = [part.lower() for part in _PART.findall(token)] if token.isascii() else lower.split("_")
    forms = (lower, *(part for part in parts if len(part) > 1)) if len(parts) > 1 else (lower,)
    return forms if lower.isascii() else tuple(dict.fromkeys((*forms, *map(folded, forms))))


def _pairs(run: str) -> tuple[str, ...]:
    """The terms of a run of one kind of script: pairs of its characters where it has no spaces."""
    return tuple(run[at : at + 2] for at in range(max(len(run) - 1, 1))) if _WIDE.match(run) else _forms(run)


def _hexadecimal(digits: str) -> Iterator[str]:
    if ends := _ENDS.fullmatch(digits):
        digits, end = ends[1], ends[2]
        size = 4 if min(len(digits) - 2, len(end)) >= 4 else 3
        yield f"{digits[: 2 + size]}~{end[-size:]}"
        return
    yield digits
    if len(digits) > 10:
        yield digits[:10]
    if len(digits) == 66 and digits[2:26] == "0" * 24:
        digits = "0x" + digits[26:]
        yield digits
    if len(digits) in (42, 66):
        yield from (f"{digits[: 2 + size]}~{digits[-size:]}" for size in (4, 3))


def designations(text: str) -> list[str]:
    """The proposals that a text names, in order, each once.

    >>> designations("erc20 and EIP 1559, or BIP-0039"), designations("EIPs 1559 and 4844")
    (['ERC-20', 'EIP-1559', 'BIP-39'], ['EIP-1559', 'EIP-4844'])

    Another name that begins with one is none:

    >>> designations("Is ERC-721A an ERC?")
    []
    """
    found = (f"{m.group(1).upper()}-{m.group(2)}" for m in _DESIGNATION.finditer(_listed(unified(text))))
    return list(dict.fromkeys(found))


def code_names(question: str) -> frozenset[str]:
    """The names in a question that only code has: with underscores, capitals within, or parentheses.

    >>> sorted(code_names("How do _update, transferFrom and mint() use MAX_SUPPLY in EIP-20?"))
    ['MAX_SUPPLY', '_update', 'mint', 'transferFrom']
    """
    return frozenset(name for match in _CODE_NAME.finditer(question) if (name := match[1] or match[2]))


def file_names(question: str) -> list[str]:
    """The files that a question names, in lower case, without their folders.

    >>> file_names("What does token/ERC20.sol do on v5.1?")
    ['erc20.sol']
    """
    return [
        name.lower()
        for name in re.findall(r"(?<![\w-])(?<![\w-]\.)[\w-]+(?:\.[\w-]+)*\.[A-Za-z]\w{0,4}\b", question)
    ]


def query_terms(question: str) -> list[str]:
    """The distinct terms of a question that can tell passages apart; all of them where none can."""
    found = list(dict.fromkeys(terms(question)))
    return [term for term in found if term not in STOPWORDS] or found


def identifiers(question: str) -> frozenset[str]:
    """The selectors, topics and signatures that stand in a question, as passages have them.

    >>> sorted(identifiers("Who emits 0xDDF252AD, and what calls transfer(address,uint256)?"))
    ['0xddf252ad', 'transfer(address,uint256)']
    """
    return frozenset(
        match[0].lower() if match[0][:2].lower() == "0x" else match[0] for match in _EXACT.finditer(question)
    )
