"""The clauses of a question, and those that ask other sources than the tables."""

from __future__ import annotations

import re

_CLAUSES = re.compile(
    r"[?;]\s*|\.\s+|(?:,|(?<!\s))\s+and\s+(?=(?:how|what|which|who|whom|when|did|was|were|to whom|from whom"
    r"|at what|in which|of what|by whom|for how)\b)|,\s*(?=(?:how|what|which|who|when|did)\b)|:\s*(?=\w)",
    re.IGNORECASE,
)


_ASKS = re.compile(
    r"\b(?:how|what|which|who|whom|when|where|list|count|number of|show|give|did|does|was|were|is|are|compare"
    r"|(?:larg|bigg|high|low|small|great)est|max|min|top \d+|difference|share|percentage)\b",
    re.IGNORECASE,
)
"""What a part of a question holds that asks by itself."""


_ORDINAL = re.compile(r"^\s*(?:the )?(?:first|last|second|third)\b", re.IGNORECASE)


ELSEWHERE = re.compile(
    r"\b(?:proposals?|EIPs|ERCs|specifications?|papers?|stands? for|say|says|defin\w+|source code|rules?"
    r"|formulas?|declares?|EIP-(?!1559\b|2930\b|4844\b)\d+|ERC-(?!20\b|721\b|1155\b)\d+|BIP-\d+"
    r"|OpenZeppelin|according to)\b",
    re.IGNORECASE,
)
"""Words that ask for more than rows: what proposals, papers or code say."""


GENERAL = re.compile(
    r"\b(?:an? (?:block|transaction|transfer)\b|(?:each|every|any) block"
    r"|can|may|could|should|must|ever|usually|typically|allowed|when an?)\b",
    re.IGNORECASE,
)
"""How things are in general, where no block, hash or address is named."""


def clauses_of(question: str) -> list[str]:
    """The parts of a question that ask; what only says where to look belongs to the part after it."""
    parts: list[str] = []
    at = 0
    for mark in [*_CLAUSES.finditer(question), None]:
        end = mark.start() if mark else len(question)
        part = question[at:end].strip(" ,")
        asks = _ASKS.search(part) or (mark and mark[0].startswith(":") and _ORDINAL.search(part))
        if mark is not None and not asks:
            continue
        if part.strip(" .!"):
            parts.append(part)
        at = mark.end() if mark else end
    return parts
