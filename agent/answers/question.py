"""A question as it was understood: what is asked, of what, and who is to answer it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Literal

from index.values import Filters

Route = Literal["catalogue", "chain", "quoted", "written", "none"]
"""Who answers; `none`: a library cannot, as with advice, a greeting, or a question about the tool."""

Want = Literal[
    "definition",
    "value",
    "metadata",
    "list",
    "comparison",
    "procedure",
    "explanation",
    "figures",
    "advice",
    "greeting",
    "tool",
]
"""What is wanted."""


@dataclass(frozen=True, slots=True)
class Entities:
    """What a question names.

    documents: designations, such as `EIP-1559`; addresses, hashes: in lower case with 0x; chains: CAIP-2 ids.
    """

    documents: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()
    hashes: tuple[str, ...] = ()
    chains: tuple[str, ...] = ()
    dates: tuple[date, ...] = ()


@dataclass(frozen=True, slots=True)
class Question:
    """A question in its conversation.

    text: as it was asked; read_as: as it reads without the conversation, the same where it is complete.
    entities: what it names itself; context: what the question before it named, where it is a follow-up.
    before: the question that it follows, as that was read; it helps a search, and is never quoted.
    subject: what it is about, without the words that only ask to be told.
    route, why: who is to answer, and the features that decided it, in words.
    budget: tokens that a request may take, its answer included.
    """

    text: str
    read_as: str
    filters: Filters = Filters()
    budget: int = 6000
    asked_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    entities: Entities = Entities()
    context: Entities = Entities()
    before: str = ""
    wants: Want = "explanation"
    route: Route = "quoted"
    why: str = ""
    subject: str = ""
