"""The licence of a repository, told from the words of its licence file."""

from __future__ import annotations

import re

FILE = re.compile(
    r"(?:un)?licen[cs]e(?:[-.](?:md|txt|rst|mit|apache))?|copying(?:\.(?:md|txt|lesser))?", re.IGNORECASE
)
"""The name of a file that holds a licence, at the top of a repository."""

_SPDX = re.compile(r"SPDX-License-Identifier:\s*([\w.+-]+)")
_WORDS = tuple(
    (name, re.compile(words, re.IGNORECASE))
    for name, words in (
        ("BUSL-1.1", r"Business Source License 1\.1"),
        ("AGPL-3.0", r"GNU AFFERO GENERAL PUBLIC LICENSE\s+Version 3"),
        ("LGPL-3.0", r"GNU LESSER GENERAL PUBLIC LICENSE\s+Version 3"),
        ("LGPL-2.1", r"GNU LESSER GENERAL PUBLIC LICENSE\s+Version 2\.1"),
        ("GPL-3.0", r"GNU GENERAL PUBLIC LICENSE\s+Version 3"),
        ("GPL-2.0", r"GNU GENERAL PUBLIC LICENSE\s+Version 2"),
        ("Apache-2.0", r"Apache License\s+Version 2\.0"),
        ("MPL-2.0", r"Mozilla Public License,?\s+(?:Version|v\.) ?2\.0"),
        ("CC0-1.0", r"CC0 1\.0 Universal"),
        ("Unlicense", r"This is free and unencumbered software released into the public domain"),
        ("ISC", r"Permission to use, copy, modify, and(?:/or)? distribute this software for any purpose"),
        (
            "BSD-3-Clause",
            r"\A(?>[\s\S]*?Redistribution and use in source and binary forms)[\s\S]*Neither the name",
        ),
        ("BSD-2-Clause", r"Redistribution and use in source and binary forms"),
        ("MIT", r"Permission is hereby granted, free of charge, to any person obtaining a copy"),
    )
)
"""The words that each licence is known by, with its SPDX identifier; the first that is found counts."""


def licence_of(text: str) -> str | None:
    r"""The SPDX identifier of a licence, None for one that is not known.

    >>> licence_of("Apache License\n  Version 2.0, January 2004")
    'Apache-2.0'
    """
    if match := _SPDX.search(text):
        return match[1]
    return next((name for name, words in _WORDS if words.search(text)), None)
