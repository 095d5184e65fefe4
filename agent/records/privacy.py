"""What must not be seen: keys and tokens anywhere, and in a redacted log the traces of people."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from pydantic import SecretStr

from agent.records.daily import Daily
from index.settings import Settings

HIDDEN = "***"

_LEAST = 8
"""Characters of the shortest secret that is looked for; shorter ones would hide ordinary words."""

_NAMES = re.compile(r"(KEY|TOKEN|SECRET|PASSWORD|PASSWD)$")
"""Ends of the names of environment variables that hold secrets."""

_SHAPES = re.compile(
    r"""
    (?<=//)[^/@\s]+:[^/@\s]+(?=@)                            # user and password in a URL
    | (?<![\w-])sk-[\w-]{16,}                                # keys of chat endpoints
    | (?<=[Bb]earer[ ])[\w.~+/=-]{8,}                        # whatever authorises a request
    | (?<!\d)\d{8,10}:[\w-]{35}(?![\w-])                     # Telegram bots
    | (?<![\w-])[MNO][\w-]{23,27}\.[\w-]{6}\.[\w-]{27,40}    # Discord bots
    | (?<!\w)(gh[pousr]_\w{36,}|github_pat_\w{22,}|hf_\w{30,}) # places of code and models
    | (?<!\w)(xox[abprs]-[\w-]{10,}|AKIA[A-Z0-9]{16}|AIza[\w-]{35})
    """,
    re.VERBOSE,
)

_PERSONAL = re.compile(
    r"""
    (?<![\w.+-])[\w.+-]+@[\w-]+(\.[\w-]+)+                   # e-mail
    | (?<!\w)(0x)?[0-9a-fA-F]{64}(?!\w)                      # private keys, which look as hashes do
    | (?<!\w)0x[0-9a-fA-F]{40}(?!\w)                         # accounts
    | (?<!\w)(bc1|tb1)[02-9ac-hj-np-z]{11,71}(?!\w)
    | (?<!\w)[13][1-9A-HJ-NP-Za-km-z]{25,34}(?!\w)
    | (?<!\w)[5KL9c][1-9A-HJ-NP-Za-km-z]{50,51}(?!\w)        # private keys as wallets export them
    | (?<!\w)[xyzt]prv[1-9A-HJ-NP-Za-km-z]{100,112}(?!\w)
    | (?<![\w.])\d{1,3}(\.\d{1,3}){3}(?![\w.])               # addresses of the network
    | (?<!\w)(\b[a-z]{3,8}\b[ ]){11}([a-z]{3,8}[ ]){0,12}[a-z]{3,8}(?!\w)  # what may be a seed phrase
    """,
    re.VERBOSE,
)

_known: set[str] = set()


def hide(settings: Settings) -> None:
    """Makes the secrets of these settings known to `mask`, and masks what this process logs from now on."""
    for name in type(settings).model_fields:
        value = getattr(settings, name)
        if isinstance(value, SecretStr) and len(value.get_secret_value()) >= _LEAST:
            _known.add(value.get_secret_value())
    mask_logs()


def mask(text: str) -> str:
    """The text without secrets: those of settings and environment, and whatever has the shape of one.

    >>> mask("Authorization: Bearer abcdefgh12345678")
    'Authorization: Bearer ***'
    """
    for secret in sorted(_known.union(_in_environment(os.environ)), key=len, reverse=True):
        text = text.replace(secret, HIDDEN)
    return _SHAPES.sub(HIDDEN, text)


def redact(text: str) -> str:
    """The text without secrets and without what points to a person: e-mail, accounts, keys, IP addresses.

    >>> redact("alice@example.org sent it from 0x00000000219ab540356cBB839Cbe05303d7705Fa")
    '*** sent it from ***'
    """
    return _PERSONAL.sub(HIDDEN, mask(text))


def mask_logs() -> None:
    """Masks what any logger of this process says, tracebacks too: some libraries log URLs with tokens."""
    before = logging.getLogRecordFactory()
    if getattr(before, "masks", False):
        return
    formatter = logging.Formatter()

    def masked(*arguments: Any, **keywords: Any) -> logging.LogRecord:
        record = before(*arguments, **keywords)
        record.msg, record.args = mask(record.getMessage()), None
        if record.exc_info:
            record.exc_text = mask(formatter.formatException(record.exc_info))
        return record

    masked.masks = True  # type: ignore[attr-defined]
    logging.setLogRecordFactory(masked)


class Transcript:
    """The log of prompts and answers of one library, in its folder `log`: off, redacted or full.

    Secrets are masked in both. days: how long it is kept.
    """

    def __init__(self, library: Path, mode: Literal["off", "redacted", "full"], days: int) -> None:
        self._daily = Daily(library / "log", days)
        self._clean = redact if mode == "redacted" else mask
        self._off = mode == "off"

    def write(
        self, question: str, model: str, messages: Sequence[Mapping[str, Any]], answer: str, error: str
    ) -> None:
        """Adds one exchange. question: its id; messages: what was sent, with `role` and `content`."""
        if self._off:
            return
        record = {
            "time": datetime.now(UTC).isoformat(),
            "question": question,
            "model": model,
            "messages": list(messages),
            "answer": answer,
            "error": error,
        }
        try:
            self._daily.append(_cleaned(record, self._clean))
        except OSError as failure:
            logging.getLogger(__name__).warning(
                "the log in %s cannot be written (%s)", self._daily.folder, failure.strerror
            )

    def records(self) -> list[dict[str, Any]]:
        """Every exchange that is kept, oldest first."""
        return list(self._daily.records())


def _cleaned(value: Any, clean: Any) -> Any:
    """A JSON value with each of its texts cleaned."""
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, Mapping):
        return {clean(name): _cleaned(part, clean) for name, part in value.items()}
    return [_cleaned(part, clean) for part in value] if isinstance(value, list) else value


def _in_environment(environment: Mapping[str, str]) -> Iterable[str]:
    return (
        value for name, value in environment.items() if _NAMES.search(name.upper()) and len(value) >= _LEAST
    )
