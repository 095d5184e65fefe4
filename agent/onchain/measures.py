"""What is measured of the rows: the words of a clause that are no conditions, each of which must be used."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from agent.onchain.columns import SUBJECTS, TOKEN_COLUMN, SubjectName
from agent.onchain.figures import Figures, additive
from agent.onchain.leftover import ACTS, FITTING, PLAIN_VERBS, comparisons
from agent.onchain.lexer import Blocks, Known, Token
from agent.onchain.names import Item, is_a
from agent.onchain.query import ChainQuery, Compare, Condition, both, conjuncts
from agent.onchain.terms import Declined, column_for

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


class _Measure(Figures):
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

    def _events(self) -> None:
        if name := self.take("events_value"):
            if self.subject != "logs":
                raise Declined(f"{name} events are no {self.subject}")
            self.where = both(self.where, Compare(column="event", values=(name,)))
            self.after = both(self.after, Compare(column="event", values=(name,)))

    def _counted_ether(self) -> None:
        """`ETH transfers` are put in order as transactions; how many there are is not settled by that."""
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
        if column is not None and column.numeric and additive(shown):
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
        """Whether it is a column that is told of each row anyhow, or `address` beside its part."""
        column = one.kinds.get("column")
        if column == "address" and self.fields.get("column"):
            return True
        return self.fields.get("measure") == "rows" and (
            column in TOLD[self.subject] or "arguments" in one.kinds or "argument" in one.kinds
        )

    def _says_nothing(self, one: Token) -> bool:
        kinds = one.kinds
        verb = kinds.get("verb")
        acted = column_for(self.subject, ACTS.get(verb or "", ""))
        if acted and acted.name in (self.fields.get("group"), self.fields.get("column")):
            return True
        if verb == "emit" and self.fields.get("order_by") in ("logs", "transfers"):
            return True
        if self._detail(one) or (verb == "receive" and self.fields.get("group") == "spender"):
            return True
        if (
            ("from" in kinds or "to" in kinds)
            and self.fields.get("order_by")
            and self.subject in ("transactions", "transfers")
        ):
            return True
        if verb in PLAIN_VERBS or (verb and self.subject in FITTING.get(verb, ())):
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
        return kinds.get("which") == "which" or (
            kinds.get("aggregate") == "sum" and measured in ("sum", "count", "distinct")
        )


def _single(where: Condition) -> bool:
    """Whether the conditions name one row."""
    return any(
        isinstance(one, Compare)
        and one.column in ("transaction_hash", "block_hash", "transaction_index", "log_index")
        and one.operator == "="
        and len(one.values) == 1
        for one in conjuncts(where)
    )


def _parties(where: Condition) -> list[str]:
    found = [
        o for o in comparisons(where) if o.column in ("from_address", "to_address") and len(o.values) == 1
    ]
    return list(dict.fromkeys(one.values[0] for one in found))
