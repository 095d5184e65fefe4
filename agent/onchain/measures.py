"""What is measured of the rows: the words of a clause that are no conditions, each of which must be used."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any as Anything

from agent.onchain.columns import SUBJECTS, TOKEN_COLUMN, SubjectName
from agent.onchain.lexer import Blocks, Known, Token
from agent.onchain.phrases import Item, is_a
from agent.onchain.query import ChainQuery, Compare, Condition, Not, both, conjuncts
from agent.onchain.terms import Declined, column_for

_ACTS = {
    "send": "sender", "pay": "sender", "receive": "receiver", "emit": "contract", "call": "sender", "mine": "miner",
    "approve": "owner", "move": "token", "use": "sender", "create": "created", "set": "sender", "carry": "sender",
}  # fmt: skip
"""Who does what a verb says."""

_PLAIN_VERBS = ("happen", "contain", "set", "carry", "mine")
_FITTING: dict[str, tuple[SubjectName, ...]] = {
    "send": ("transactions", "transfers"), "move": ("transfers", "transactions"), "emit": ("logs",),
    "call": ("transactions",), "use": ("transactions", "blocks"), "pay": ("transactions", "blocks"),
    "approve": ("logs",), "create": ("transactions",), "receive": ("transfers",),
}  # fmt: skip
"""Subjects of which a verb says nothing new."""

_ONE = ("transaction", "tx", "txn", "transfer", "log", "event")

_OF_TRANSACTIONS = frozenset(
    [
        "hash",
        "transaction",
        "block",
        "sender",
        "receiver",
        "index",
        "transaction_index",
        "value",
        "ether",
        "gas_used",
        "gas_limit",
        "gas_price",
        "fee",
        "tip",
        "selector",
        "status",
        "contract",
        "created",
        "address",
        "amount",
        "logs",
    ]
)
_OF_LOGS = frozenset(
    ["hash", "transaction", "block", "index", "log_index", "contract", "event", "standard", "amount", "value"]
)
TOLD: Mapping[SubjectName, frozenset[str]] = {
    "transactions": _OF_TRANSACTIONS,
    "logs": _OF_LOGS | {"owner", "spender", "sender", "receiver", "address", "token"},
    "transfers": _OF_LOGS - {"event", "standard"}
    | {"sender", "receiver", "address", "token", "token_id", "ether"},
    "blocks": frozenset(
        [
            "hash",
            "block_hash",
            "block",
            "time",
            "gas_used",
            "gas_limit",
            "base_fee",
            "burnt",
            "tip",
            "miner",
            "size",
            "parent_hash",
            "fullness",
            "transaction_count",
        ]
    ),
}
"""What is told of every row, so that it need not be asked for apart."""

_SUMMED = ("total", "sum", "combined", "cumulative", "aggregate", "total amount", "total value", "total of")

_IN_ETHER = (
    "amount",
    "fee",
    "tip",
    "burnt",
    "value",
    "gas_price",
    "base_fee",
    "tip_per_gas",
    "max_fee",
    "max_tip",
)

_CONCEPT_OF = {"full": "fullness", "big": "size", "when": "time"}


@dataclass(frozen=True, slots=True)
class Measured:
    """A query, and how it is answered. party: whose gains and losses; swap: what a transaction exchanged."""

    query: ChainQuery
    party: str | None = None
    swap: bool = False


def measure(
    items: list[Item],
    subject: SubjectName,
    before: Condition,
    after: Condition,
    blocks: Blocks,
    word: str,
    known: Known,
) -> Measured:
    """The query of a clause. before, after: the conditions by their place about the noun.

    Raises Declined where a word is left over, or the words measure nothing.
    """
    return _Measure(
        [one for one in items if isinstance(one, Token)], subject, before, after, blocks, word, known
    ).made()


class _Measure:
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

    def made(self) -> Measured:
        self._events()
        self._units()
        self._agents()
        self._counted_ether()
        self._having()
        self._status()
        special = self._net() or self._swap()
        if special is None:
            for step in (
                self._frequent,
                self._share,
                self._difference,
                self._ranked,
                self._grouped,
                self._overlap,
                self._figure,
            ):
                if step():
                    break
            else:
                self._rows()
            special = Measured(self._query())
        self._all_used()
        return special

    def _query(self) -> ChainQuery:
        return ChainQuery(where=self.where, **self.fields)

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

    def _events(self) -> None:
        if name := self.take("events_value"):
            if self.subject != "logs":
                raise Declined(f"{name} events are no {self.subject}")
            self.where = both(self.where, Compare(column="event", values=(name,)))
            self.after = both(self.after, Compare(column="event", values=(name,)))

    def _counted_ether(self) -> None:
        """`ETH transfers` are put in order as transactions; how many there are is not settled by these words."""
        if self.take("eth_transfers") is not None and not self.has("superlative") and self.where == both():
            raise Declined(
                '"ETH transfers" can mean all transactions that send ETH, or those without call data'
            )

    def _units(self) -> None:
        """ETH beside another amount is its unit: `how much ETH was burnt`."""
        money = [o for o in self.left if o.kinds.get("column") in _IN_ETHER]
        for at, one in enumerate(self.left):
            if one.kinds.get("column") == "ether" and money:
                self.left[at] = Token(one.text, {"unit": "ether"})

    def _having(self) -> None:
        """`senders with more than 5 transactions`: how often a value must occur."""
        token = next((o for o in self.left if "having" in o.kinds), None)
        if token is None or token.number is None:
            return
        self.left.remove(token)
        sign, number = token.kinds["having"], int(token.number)
        if (sign, number) in ((">=", 1), (">", 0)):
            return
        self.take("quantity"), self.take("which", "which"), self.take("distinct")
        role = self.role()
        if role is None or sign == "between":
            raise Declined(f'"{token.text}" is not understood here')
        having = Compare(column="figure", operator=sign, values=(str(number),))  # type: ignore[arg-type]
        self.fields |= {"group": role, "having": having}

    def _status(self) -> None:
        """Of one transaction that is named, whether it failed is asked, not required."""
        named = [
            o for o in conjuncts(self.where) if isinstance(o, Compare) and o.column == "transaction_hash"
        ]
        asked = [o for o in conjuncts(self.where) if isinstance(o, Compare) and o.column == "status"]
        if self.subject == "transactions" and named and asked and not self.has("quantity"):
            self.where = both(*(o for o in conjuncts(self.where) if o not in asked))
            self.left.append(Token("status", {"column": "status"}))

    def _agents(self) -> None:
        """`by` before the rows themselves, or before what they are put in order by, says nothing more."""
        ordered = self.has("superlative")
        for at in range(len(self.left) - 2, -1, -1):
            one, after = self.left[at], self.left[at + 1]
            own = after.kinds.get("subject") == self.subject
            if ("by" in one.kinds or "from" in one.kinds) and (
                own
                or (ordered and "by" in one.kinds and ("column" in after.kinds or "quantity" in after.kinds))
            ):
                del self.left[at]

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
        """The column of the addresses or things that are asked for: by its name, else by who does the verb."""
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
            concept = "receiver"
        elif verbs:
            concept = _ACTS.get(verbs[0].kinds["verb"])
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

    def _net(self) -> Measured | None:
        if not self.has("net") or self.subject not in ("transfers", "transactions"):
            return None
        party = next(iter(_parties(self.where)), None)
        if party is None:
            return None
        if self.subject == "transactions":
            return None
        self.take("net")
        while (
            self.take("net")
            or self.take("quantity")
            or self.take("difference", "difference")
            or self.take("which", "which")
            or self.take("verb")
            or self.take("column", "amount", "value", "token", "address")
        ):
            pass
        self.take("and"), self.take("subject", "transfers")
        self._loosen(party)
        return Measured(self._query(), party=party)

    def _loosen(self, party: str) -> None:
        kept = [one for one in conjuncts(self.where) if party not in one.model_dump_json()]
        self.where = both(*kept)
        self.fields["measure"] = "rows"

    def _swap(self) -> Measured | None:
        hashes = [
            o for o in conjuncts(self.where) if isinstance(o, Compare) and o.column == "transaction_hash"
        ]
        if not hashes or (not self.has("swap") and not self.has("events_value", "Swap")):
            return None
        if self.subject != "transactions":
            raise Declined("a swap is read from a transaction")
        self.left = [
            o
            for o in self.left
            if not is_a(o, "swap", "which", "quantity", "verb", "column", "subject", "and", "token_value")
        ]
        self.fields["measure"] = "rows"
        return Measured(self._query(), swap=True)

    def _frequent(self) -> bool:
        return "having" in self.fields

    def _share(self) -> bool:
        if not self.has("share"):
            return False
        self.take("share")
        if self.subject == "blocks" and self.take("column", "gas_limit"):
            self.take("column", "gas_used")
            self.left.append(Token("fullness", {"column": "fullness"}))
            return False
        self.fields["measure"] = "share"
        self.take("quantity", "many"), self.take("which", "which"), self.take("aggregate", "sum")
        self.fields["column"] = self.concept(roles=False) if self._measures_amount() else None
        if self.after != both():
            self.fields["base"] = self.before
        tokens = [
            o
            for o in conjuncts(self.where)
            if isinstance(o, Compare) and o.column == TOKEN_COLUMN.get(self.subject)
        ]
        if self.fields["column"] == "value" and self.subject == "transfers":
            self.fields["base"] = both(self.fields.get("base", both()), *tokens)
        if self.where == self.fields.get("base", both()):
            raise Declined("it does not say what the share is of")
        return True

    def _measures_amount(self) -> bool:
        return any(
            (column := column_for(self.subject, o.kinds.get("column", ""))) is not None and column.numeric
            for o in self.left
        )

    def _difference(self) -> bool:
        spans = _each(self.fields["blocks"])
        word = next((o.kinds["difference"] for o in self.left if "difference" in o.kinds), None)
        if word is None and self.has("compare", ">", "<") and not any(o.number for o in self.left):
            word = "which"
            self.take("compare")
        if word is None:
            return False
        if not spans and not self.fields["blocks"] and self.known.last - self.known.first == 1:
            spans = [(n, n) for n in (self.known.first, self.known.last)]
        if len(spans) != 2:
            if word == "which":
                return False
            raise Declined("a comparison needs two blocks; name them")
        while self.take("difference") or self.take("and") is not None or self.take("to") is not None:
            pass
        self.take("unit"), self.take("number")
        self.fields |= {"blocks": tuple(spans), "compare": word}
        if word == "which":
            self.take("which", "which")
            self._block_noun()
        if self.has("which", "which") and self.has("subject", "blocks"):
            raise Declined("it asks both which block, and by how much; ask one")
        self._scalar()
        return True

    def _block_noun(self) -> None:
        if self.subject != "blocks":
            self.take("subject", "blocks")

    def _scalar(self) -> None:
        """One figure: an aggregate of a column, distinct values, or how many rows."""
        much = self.take("quantity") == "much"
        self.take("which", "which")
        aggregate = self.take("aggregate")
        if self.take("superlative", "most"):
            aggregate = "max"
        elif self.take("superlative", "least"):
            aggregate = "min"
        if self.take("distinct") is not None:
            column = self.role()
            if column is None:
                raise Declined("it does not say of what the distinct values are")
            self.fields |= {"measure": "distinct", "column": column}
            return
        column = self.concept(roles=False)
        if (
            self.subject == "blocks"
            and column is None
            and (noun := self.take("subject", "transactions", "logs", "transfers"))
        ):
            column = {"transactions": "transaction_count"}.get(noun, noun)
        if column is None:
            if aggregate and aggregate != "sum":
                raise Declined(f"it does not say what the {aggregate} is of")
            self._amount() if much else self._counted()
            return
        if aggregate is None and self.subject == "transactions" and not _additive(column):
            raise Declined(
                f"it does not say which figure of {column.replace('_', ' ')} is meant, as the average"
            )
        self.fields |= {"measure": aggregate or "sum", "column": column}

    def _counted(self) -> None:
        """How many rows; or how many senders, tokens or contracts."""
        if (role := self._counted_role()) is not None:
            self.fields |= {"measure": "distinct", "column": role}
        else:
            self.fields["measure"] = "count"

    def _counted_role(self) -> str | None:
        nouns = [o for o in self.left if "subject" in o.kinds and o.kinds["subject"] == self.subject]
        first = next(
            (o for o in self.left if "column" in o.kinds or o.kinds.get("subject") == self.subject), None
        )
        if nouns and first in nouns:
            return None
        return self.role()

    def _ranked(self) -> bool:
        """Superlatives and ordinals: of rows, and of groups."""
        sup, top, rank = self._superlative()
        if sup is None:
            return self._ordinal(rank, top)
        often = sup in ("often", "rarely")
        order = "least" if sup in ("least", "cheap", "rarely") else "most"
        self.fields |= {"order": order, "top": top, "rank": rank}
        listed = self.take("which", "which")
        if often:
            return self._most_often()
        if sup in ("expensive", "cheap"):
            self.fields |= {"measure": "rows", "order_by": "fee"}
            self.take("subject", self.subject)
            return True
        return self._best(listed)

    def _superlative(self) -> tuple[str | None, int, int]:
        top, rank = 1, 1
        at = next((at for at, o in enumerate(self.left) if "superlative" in o.kinds), None)
        if at is None:
            at = next((at for at, o in enumerate(self.left) if "ordinal" in o.kinds), None)
            number = self.left[at + 1] if at is not None and at + 1 < len(self.left) else None
            if (
                number is not None
                and number.number is not None
                and "scope" not in number.kinds
                and "ordinal" not in number.kinds
            ):
                self.left.remove(number)
                return None, int(number.number), 1
            return None, 1, 1
        token = self.left[at]
        for near in (at - 1, at + 1):
            if 0 <= near < len(self.left):
                other = self.left[near]
                if "ordinal" in other.kinds and near < at:
                    rank = int(other.kinds["ordinal"])
                elif other.number is not None and not is_a(other, "scope"):
                    top = int(other.number)
                else:
                    continue
                self.left.remove(other)
                break
        self.left.remove(token)
        self.superlative = token.text.lower().removeprefix("the ")
        if rank < 0 or not 1 <= top <= 20:
            raise Declined(f'"{token.text}" with such a rank is not understood')
        return token.kinds["superlative"], top, rank

    def _ordinal(self, rank: int, top: int) -> bool:
        if not self.has("ordinal"):
            return False
        place = int(self.take("ordinal") or "1")
        if self.has("quantity") or self.has("aggregate"):
            raise Declined("an ordinal and a count together are not understood")
        self.fields |= {
            "measure": "rows",
            "order": "most" if place < 0 else "least",
            "rank": abs(place),
            "top": top,
        }
        if top > 1 and abs(place) > 1:
            raise Declined("an ordinal and a number together are not understood")
        del rank
        if self.take("by") is not None:
            self.take("column", "index", "log_index", "transaction_index")
        self._shown()
        return True

    def _most_often(self) -> bool:
        """`the most active sender`, `the most used selector`: a group with most rows."""
        role = self.role()
        if role is None:
            raise Declined("it does not say what occurs most often")
        self.take("subject", self.subject)
        self.take("quantity", "many")
        self.take("subject", self.subject)
        self.fields["group"] = role
        return True

    def _best(self, listed: str | None) -> bool:
        """Rows by a column, groups by how many rows they have or by the sum of a column."""
        counted = self._counted_after()
        summed = any(o.text.lower() in _SUMMED for o in self.left)
        self.take("aggregate", "sum")
        role = self._focus(listed)
        own = self.take("subject", self.subject)
        column = self.concept(roles=False)
        other = None if column else self.take("subject", "logs", "transfers", "transactions")
        if other and column is None:
            column = self._counted_rows(other)
        single = not summed and not counted and column and self.superlative not in ("most", "least")
        amounts = self.subject == "transfers" and (summed or self.has("verb", "send", "receive", "move"))
        if role and column is None and not own and not counted and amounts:
            column = "value"
        if role and role not in ("transaction_hash",) and not (self.subject == "blocks") and not single:
            if column:
                self.fields |= {"group": role, "measure": "sum", "column": column}
            elif counted or own:
                self.fields["group"] = role
            else:
                raise Declined("it does not say by what the most is meant")
            return True
        if column is None:
            column = self._size()
        self.fields |= {"measure": "rows", "order_by": column}
        self.take("quantity", "much")
        return True

    def _counted_after(self) -> bool:
        number_of = self.take("quantity", "many") is not None
        return number_of

    def _focus(self, listed: str | None) -> str | None:
        """The thing asked for by its part: which address, who, which token; or the first that is named."""
        if self.has("which", "who") or self.has("column", "address"):
            return self._address()
        del listed
        first = next((o for o in self.left if "column" in o.kinds or "subject" in o.kinds), None)
        if first is None:
            return None
        name = self._concept_of(first)
        if first.kinds.get("subject") == "blocks" and self.subject != "blocks":
            name = "block"
        column = column_for(self.subject, name) if name else None
        if column is None or column.numeric or first.kinds.get("subject") == self.subject:
            return None
        self.left.remove(first)
        return column.name

    def _counted_rows(self, noun: str) -> str:
        name = {"transactions": "transaction_count"}.get(noun, noun)
        if name not in SUBJECTS[self.subject].columns:
            raise Declined(f"{self.subject} have no number of {noun}")
        return name

    def _size(self) -> str:
        """What the largest of some rows is measured by, where no column is named."""
        compared = [o for o in _comparisons(self.where) if o.column in SUBJECTS[self.subject].columns]
        numeric = [o.column for o in compared if SUBJECTS[self.subject].columns[o.column].numeric]
        if len(set(numeric)) == 1:
            return numeric[0]
        if self.subject in ("transfers", "logs"):
            return "value"
        raise Declined("it does not say by what the largest is meant")

    def _grouped(self) -> bool:
        """`transactions per sender`, `average gas used by type`, `logs per transaction`."""
        at = next((at for at, o in enumerate(self.left) if "each" in o.kinds), None)
        if at is None:
            at = next(
                (
                    at
                    for at, o in enumerate(self.left[:-1])
                    if "by" in o.kinds and self._groups(self.left[at + 1])
                ),
                None,
            )
        if at is None or at + 1 >= len(self.left):
            return False
        noun = self.left[at + 1]
        if not self._groups(noun):
            raise Declined(f'"{self.left[at].text} {noun.text}" is not understood')
        del self.left[at : at + 2]
        if noun.kinds.get("subject") == self.subject:
            return self._of_each_row()
        name = {"blocks": "block", "transactions": "transaction"}.get(
            noun.kinds.get("subject", ""), self._concept_of(noun)
        )
        column = column_for(self.subject, name or "")
        if column is None:
            raise Declined(f'"{noun.text}" is no column of {self.subject}')
        mean = self.has("aggregate", "mean") and not self._measures_amount()
        if column.name in ("transaction_hash", "block_number") and mean:
            return self._mean_count(column.name)
        self._scalar()
        self.fields |= {"group": column.name, "top": 20}
        return True

    def _mean_count(self, column: str) -> bool:
        """The average number of rows for each block, or for each transaction."""
        self.take("aggregate", "mean"), self.take("quantity", "many"), self.take("which", "which")
        noun: SubjectName = "blocks" if column == "block_number" else "transactions"
        counted = {"transactions": "transaction_count"}.get(self.subject, self.subject)
        if self.where != both() or counted not in SUBJECTS[noun].columns:
            raise Declined("an average number of such rows is not computed")
        self.take("subject", self.subject)
        self.subject = noun
        self.fields |= {"subject": noun, "measure": "mean", "column": counted}
        return True

    def _of_each_row(self) -> bool:
        """`average gas used per transaction`: the aggregate of the rows themselves."""
        self._scalar()
        if self.fields["measure"] == "sum":
            raise Declined("it does not say which figure of each row is meant, as the average")
        return True

    def _groups(self, noun: Token) -> bool:
        if noun.kinds.get("subject") in ("blocks", "transactions"):
            return True
        column = column_for(self.subject, self._concept_of(noun) or "")
        return column is not None and not column.numeric

    def _overlap(self) -> bool:
        spans = _each(self.fields["blocks"])
        if len(spans) != 2:
            if self.has("only") and len(spans) == 1 and self.known.last - self.known.first == 1:
                other = self.known.first if spans[0][0] == self.known.last else self.known.last
                return self._only((spans[0], (other, other)))
            return False
        if self.take("only_in") is not None:
            return self._only((spans[0], spans[1]))
        shared = self.take("only", "both") is not None
        distinct = self.has("distinct")
        if not shared and self.word != "both":
            return False
        role = self._overlapping()
        if role is None:
            return False
        if distinct and not shared:
            raise Declined(
                '"both blocks" can mean each of them, or the two together; say "in common" or "across"'
            )
        self.fields |= {"blocks": tuple(spans), "overlap": "both", "measure": "distinct", "column": role}
        return True

    def _overlapping(self) -> str | None:
        saved = list(self.left)
        self.take("quantity"), self.take("which", "which"), self.take("distinct")
        role = self._counted_role()
        if role is None or role in ("block_number",):
            self.left = saved
            return None
        self.take("subject", self.subject)
        return role

    def _only(self, spans: tuple[tuple[int, int], tuple[int, int]]) -> bool:
        self.take("only"), self.take("only_in")
        self.take("quantity"), self.take("which", "which"), self.take("distinct")
        role = self._counted_role()
        if role is None:
            raise Declined('what "only" is about is not understood')
        self.take("subject", self.subject)
        self.fields |= {"blocks": spans, "overlap": "only", "measure": "distinct", "column": role}
        return True

    def _figure(self) -> bool:
        """How many, how much, an aggregate: one figure."""
        if self.has("aggregate") or self.has("distinct"):
            self._scalar()
            return True
        if self.has("quantity", "much"):
            self._scalar()
            return True
        if self.take("quantity", "many") is not None:
            self._how_many()
            return True
        return False

    def _amount(self) -> None:
        """How much of a token: the sum of its amounts."""
        if self.subject not in ("transfers", "logs"):
            raise Declined("it does not say how much of what")
        self.fields |= {"measure": "sum", "column": "value"}

    def _how_many(self) -> None:
        first = next((o for o in self.left if "column" in o.kinds or "subject" in o.kinds), None)
        column = column_for(self.subject, self._concept_of(first) or "") if first else None
        if (
            self.subject == "blocks"
            and first
            and first.kinds.get("subject") in ("transactions", "logs", "transfers")
        ) or (first and column and column.numeric and first.kinds.get("subject") != self.subject):
            self._scalar()
        else:
            self._counted()

    def _rows(self) -> None:
        """No figure is asked for: the rows, a column of a few of them, or how many there are."""
        listing = self.take("which", "which", "who")
        self._shown(listing)
        self.fields.setdefault("measure", "rows")

    def _shown(self, listing: str | None = None) -> None:
        """The columns that are asked of a row, by name or by verb."""
        shown = self.concept()
        if shown is None and listing and self.subject != "blocks" and self.take("subject", "blocks"):
            shown = "block_number"
        if shown is None and (listing == "who" or self.has("which", "who") or self.has("column", "address")):
            if listing == "who":
                self.left.insert(0, Token("who", {"which": "who"}))
            shown = self._address()
        own = self.take("subject", self.subject)
        while self.concept() is not None or self.take("and") is not None:
            pass
        if (
            shown is None
            and self.subject == "blocks"
            and (noun := self.take("subject", "transactions", "logs", "transfers"))
        ):
            shown = {"transactions": "transaction_count"}.get(noun, noun)
        self.fields |= {"measure": self.fields.get("measure", "rows"), "column": shown}
        if not own and shown is None and (self.where == both() or self.subject == "blocks"):
            raise Declined("what is asked for was not understood")
        if self.where == both() and "order" not in self.fields and self.subject != "blocks" and self.singular:
            raise Declined(f"it does not say which {SUBJECTS[self.subject].noun}")
        if "order" not in self.fields and listing is None and own and shown is None:
            self.fields["measure"] = "count"
        elif shown and self.subject != "blocks" and "order" not in self.fields and not _single(self.where):
            self._several(shown)

    def _several(self, shown: str) -> None:
        column = SUBJECTS[self.subject].columns.get(shown)
        if column is not None and column.numeric and _additive(shown):
            self.fields["measure"] = "sum"
        elif column is not None and not column.numeric:
            self.fields |= {"measure": "rows"}
        else:
            raise Declined(
                f"it does not say which figure of {shown.replace('_', ' ')} is meant, as the average"
            )

    def _all_used(self) -> None:
        left = [one for one in self.left if not self._says_nothing(one)]
        if left:
            raise Declined(f"these words were not understood here: {', '.join(one.text for one in left)}")

    def _detail(self, one: Token) -> bool:
        """Whether it is a column that is told of each row anyhow, or `address` beside the name of its part."""
        column = one.kinds.get("column")
        if column == "address" and self.fields.get("column"):
            return True
        return self.fields.get("measure") == "rows" and (
            column in TOLD[self.subject] or "arguments" in one.kinds or "argument" in one.kinds
        )

    def _says_nothing(self, one: Token) -> bool:
        kinds = one.kinds
        verb = kinds.get("verb")
        acted = column_for(self.subject, _ACTS.get(verb or "", ""))
        if acted and acted.name in (self.fields.get("group"), self.fields.get("column")):
            return True
        if self._detail(one) or (verb == "receive" and self.fields.get("group") == "spender"):
            return True
        if (
            ("from" in kinds or "to" in kinds)
            and self.fields.get("order_by")
            and self.subject in ("transactions", "transfers")
        ):
            return True
        if verb in _PLAIN_VERBS or (verb and self.subject in _FITTING.get(verb, ())):
            return True
        if kinds.get("subject") == self.subject or kinds.get("subject") == "blocks":
            return True
        if "function" in kinds or (
            kinds.get("column") in ("token", "amount") and self.subject == "transfers"
        ):
            return True
        if "unit" in kinds or "pronoun" in kinds or "and" in kinds or "with" in kinds or "created" in kinds:
            return True
        measured = self.fields.get("measure", "count")
        if kinds.get("aggregate") == measured:
            return True
        return kinds.get("which") in ("which",) or (
            kinds.get("aggregate") == "sum" and measured in ("sum", "count", "distinct")
        )


def _additive(column: str) -> bool:
    """Whether a sum of the column over several rows is what its bare name asks for."""
    return column in ("gas_used", "value", "fee", "tip", "burnt", "logs", "transfers", "fees", "tips", "sent")


def _single(where: Condition) -> bool:
    """Whether the conditions name one row."""
    return any(
        isinstance(one, Compare)
        and one.column in ("transaction_hash", "block_hash", "transaction_index", "log_index")
        and one.operator == "="
        and len(one.values) == 1
        for one in conjuncts(where)
    )


def _each(blocks: Blocks) -> list[tuple[int, int]]:
    """The blocks one by one, where there are few."""
    if sum(last - first + 1 for first, last in blocks) > 2:
        return list(blocks)
    return [(n, n) for first, last in blocks for n in range(first, last + 1)]


def _parties(where: Condition) -> list[str]:
    found = [
        o for o in _comparisons(where) if o.column in ("from_address", "to_address") and len(o.values) == 1
    ]
    return list(dict.fromkeys(one.values[0] for one in found))


def _comparisons(where: Condition) -> list[Compare]:
    from agent.onchain.query import parts

    if isinstance(where, Compare):
        return [where]
    if isinstance(where, Not) or not parts(where):
        return [o for one in parts(where) for o in _comparisons(one)]
    return [o for one in parts(where) for o in _comparisons(one)]
