"""The words of a clause that are no conditions, and the columns that they name."""

from __future__ import annotations

from typing import Any as Anything

from agent.onchain.columns import SubjectName
from agent.onchain.lexer import Blocks, Known, Token
from agent.onchain.query import Compare, Condition, both, parts
from agent.onchain.terms import column_for

ACTS = {
    "send": "sender",
    "pay": "sender",
    "receive": "receiver",
    "emit": "contract",
    "call": "sender",
    "mine": "miner",
    "approve": "owner",
    "move": "token",
    "use": "sender",
    "create": "created",
    "set": "sender",
    "carry": "sender",
}
"""Who does what a verb says."""


PLAIN_VERBS = ("happen", "contain", "set", "carry", "mine")


FITTING: dict[str, tuple[SubjectName, ...]] = {
    "send": ("transactions", "transfers"), "move": ("transfers", "transactions"), "emit": ("logs",),
    "call": ("transactions",), "use": ("transactions", "blocks"), "pay": ("transactions", "blocks"),
    "approve": ("logs",), "create": ("transactions",), "receive": ("transfers",),
}  # fmt: skip
"""Subjects of which a verb says nothing new."""


_ONE = ("transaction", "tx", "txn", "transfer", "log", "event")


_CONCEPT_OF = {"full": "fullness", "big": "size", "when": "time"}


class Leftover:
    """Takes the words one by one, until none is left.

    fields: of the query, as far as it is known; before, after, where: the conditions by their place about the
    noun, and all of them.
    """

    def __init__(
        self,
        left: list[Token],
        subject: SubjectName,
        before: Condition,
        after: Condition,
        blocks: Blocks,
        word: str,
        known: Known,
    ) -> None:
        self.left, self.subject, self.word, self.known = left, subject, word, known
        self.before, self.after = before, after
        self.where = both(before, after)
        self.superlative = ""
        self.singular = any(
            o.kinds.get("subject") == subject and o.text.lower().split()[-1] in _ONE for o in left
        )
        self.fields: dict[str, Anything] = {"subject": subject, "blocks": blocks}

    def take(self, kind: str, *values: str) -> str | None:
        """The value of the first token of a kind, which is used up."""
        for at, one in enumerate(self.left):
            if kind in one.kinds and (not values or one.kinds[kind] in values):
                del self.left[at]
                return one.kinds[kind]
        return None

    def has(self, kind: str, *values: str) -> bool:
        """Whether there is a token of a kind."""
        return any(kind in one.kinds and (not values or one.kinds[kind] in values) for one in self.left)

    def concept(self, *, roles: bool = True, numbers: bool = True) -> str | None:
        """The first column that is named and that the subject has; it is used up."""
        for at, one in enumerate(self.left):
            name = self._concept_of(one)
            column = column_for(self.subject, name) if name else None
            if column is None or not (numbers if column.numeric else roles):
                continue
            if one.kinds.get("column") == "contract" and "subject" in one.kinds:
                continue
            del self.left[at]
            self.left = [o for o in self.left if self._concept_of(o) != name or "subject" in o.kinds]
            self._unit(column.name)
            return column.name
        return None

    def _concept_of(self, one: Token) -> str | None:
        if "argument" in one.kinds and "column" not in one.kinds:
            return f"args.{one.kinds['argument']}"
        name = one.kinds.get("column") or _CONCEPT_OF.get(one.kinds.get("which", ""))
        if name == "tip" and any(o.kinds.get("unit") == "gwei" for o in self.left):
            return "tip_per_gas"
        if name == "block" and "subject" in one.kinds and self.subject == "blocks":
            return None
        return name

    def _unit(self, _: str) -> None:
        self.take("unit", "ether", "gwei", "wei", "percent")

    def role(self) -> str | None:
        """The column of the addresses or things that are asked for: by its name, else by its verb."""
        if name := self._address():
            return name
        for at, one in enumerate(self.left):
            name = self._concept_of(one)
            if one.kinds.get("subject") == "blocks":
                name = "block"
            column = column_for(self.subject, name) if name else None
            if column is not None and not column.numeric:
                del self.left[at]
                return column.name
        return None

    def _address(self) -> str | None:
        at = next(
            (
                at
                for at, o in enumerate(self.left)
                if o.kinds.get("column") == "address" or o.kinds.get("which") == "who"
            ),
            None,
        )
        if at is None:
            return None
        verbs = [o for o in self.left[at:] if "verb" in o.kinds]
        if self.left[at - 1 if at else 0].value("to") is not None and at:
            concept: str | None = "receiver"
        elif verbs:
            concept = ACTS.get(verbs[0].kinds["verb"])
            if self._passive(at, verbs[0]):
                concept = {"call": "receiver", "send": "sender"}.get(verbs[0].kinds["verb"], concept)
        else:
            concept = {"logs": "contract", "blocks": "miner"}.get(self.subject)
        column = column_for(self.subject, concept) if concept else None
        if column is None or column.kind != "address":
            return None
        if at and self.left[at - 1].value("to") is not None:
            del self.left[at - 1]
            at -= 1
        del self.left[at]
        if verbs:
            self.left.remove(verbs[0])
        return column.name

    def _passive(self, at: int, verb: Token) -> bool:
        return verb.text.lower() == "called" and not any(
            "subject" in one.kinds or "column" in one.kinds for one in self.left[at + 1 :] if one is not verb
        )

    def _counted_role(self) -> str | None:
        nouns = [o for o in self.left if "subject" in o.kinds and o.kinds["subject"] == self.subject]
        first = next(
            (o for o in self.left if "column" in o.kinds or o.kinds.get("subject") == self.subject), None
        )
        if nouns and first in nouns:
            return None
        return self.role()

    def _measures_amount(self) -> bool:
        return any(
            (column := column_for(self.subject, o.kinds.get("column", ""))) is not None and column.numeric
            for o in self.left
        )


def comparisons(where: Condition) -> list[Compare]:
    """The comparisons that a condition is made of."""
    return [where] if isinstance(where, Compare) else [o for one in parts(where) for o in comparisons(one)]
