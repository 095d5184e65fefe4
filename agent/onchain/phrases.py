"""Finds the conditions among the tokens of a clause; what is left over says what is measured."""

from __future__ import annotations

from decimal import Decimal

from agent.onchain import terms
from agent.onchain.lexer import Known, Token
from agent.onchain.names import Item, KindOf, Names, is_a
from agent.onchain.terms import Declined, Term

_OBJECTS: dict[str, tuple[str, ...]] = {
    "use": ("gas_used", "gas_limit", "gas_price", "input"),
    "send": ("value", "ether", "amount"),
    "move": ("value", "ether", "amount"),
    "carry": ("value", "ether", "input"),
    "pay": ("fee", "tip", "tip_per_gas", "gas_price", "max_fee", "max_tip", "burnt"),
    "emit": ("logs", "transfers"),
    "set": ("gas_limit", "max_fee", "max_tip", "offered_price", "nonce"),
    "contain": ("logs", "transfers", "transaction_count", "value", "input"),
}
"""What verbs may have for an object, so that they say nothing more than it."""

_BY_UNIT = {"ether": "value", "wei": "value", "gwei": "gas_price", "percent": "fullness"}
_PRICES = ("gas_price", "max_fee", "max_tip", "base_fee", "tip_per_gas")
_MEASURED_IN = ("value", "amount", "gas_limit", "input", "fee")
_UNIT_NOUNS: dict[str, tuple[str, ...]] = {
    "gas_used": ("gas_used", "gas_limit"),
    "size": ("size", "input"),
}
"""Columns whose name is the unit of others, as in `a gas limit of 5 gas`."""

_NAMED_ONLY = frozenset(
    ("token", "contract", "block", "address", "sender", "receiver", "event", "hash", "transaction")
)
_COUNTABLE = ("sender", "receiver", "contract", "token", "address", "spender", "owner", "selector")
_COUNTED = {"logs": "logs", "transfers": "transfers", "transactions": "transaction_count"}


class Phrases(Names):
    """Rewrites tokens to terms, phrase by phrase: comparisons, names, adjectives, negations, alternatives."""

    def __init__(self, items: list[Token], known: Known, kind_of: KindOf) -> None:
        super().__init__(items, known, kind_of)
        self._further()
        for step in (
            self._labels,
            self._ether,
            self._creations,
            self._functions,
            self._comparisons,
            self._names,
            self._wraps,
            self._adjectives,
            self._absences,
            self._negations,
            self._alternatives,
        ):
            step()

    def _comparisons(self) -> None:
        at = 0
        before: str | None = None
        while at < len(self.items):
            found = self._range(at) or self._comparison(at, before) or self._of_columns(at)
            if found and self._counts_each(*found):
                at += 1
            elif found:
                first, last, term = found
                if self._concept(self._at(last + 1)) == term.concept != "":
                    last += 1
                self._put(first, last, term)
                before = term.concept
                at = first + 1
            else:
                if not is_a(self.items[at], "and", "or", "negation", "compare"):
                    before = None
                at += 1

    def _further(self) -> None:
        """`and whose`: a condition of its own, never an alternative of the one before."""
        for at in range(len(self.items) - 1, -1, -1):
            if self.items[at].text.lower() == "whose":
                joined = is_a(self._at(at - 1), "and")
                further = [Token("and whose", {"with": ""})] if joined else []
                self._put(at - joined, at, *further)

    def _counts_each(self, first: int, last: int, term: Term) -> bool:
        """Turns `senders with more than 5 transactions` to how often each occurs, where it is that."""
        before = self.items[:first]
        if term.concept not in _COUNTED.values() or not is_a(self._at(last), "subject"):
            return False
        before = [
            one
            for place, one in enumerate(before)
            if not (
                is_a(one, "subject")
                and (
                    is_a(self._at(place - 1), "each") or getattr(one, "kinds", {}).get("subject") == "blocks"
                )
            )
        ]
        roles = [
            one
            for one in before
            if self._concept(one) in _COUNTABLE
            or (is_a(one, "which") and getattr(one, "kinds", {}).get("which") == "who")
        ]
        if not roles or any(is_a(one, "subject") for one in before):
            return False
        some = self.items[first : last + 1]
        number = next(one for one in some if isinstance(one, Token) and one.number is not None)
        having = Token(term.text, {"having": term.operator}, number.number)
        self._put(first, last, having, *(one for one in some if is_a(one, "verb", "subject")))
        return True

    def _range(self, at: int) -> tuple[int, int, Term] | None:
        """`between 1 and 5`."""
        if not is_a(self._at(at), "range", "from"):
            return None
        one, link, two = self._at(at + 1), self._at(at + 2), self._at(at + 3)
        ends = (is_a(self._at(at), "range") and is_a(link, "and", "to")) or is_a(link, "to")
        if not (isinstance(one, Token) and isinstance(two, Token) and ends):
            return None
        if one.number is None or two.number is None:
            return None
        first, last, concept = self._subject_of(at, at + 3, two.unit or one.unit)
        if concept is None:
            return None
        unit = two.unit or one.unit
        numbers = ((one.number, one.unit or unit), (two.number, unit))
        return first, last, terms.compared(self._said(first, last), concept, "between", numbers, self._known)

    def _comparison(self, at: int, before: str | None) -> tuple[int, int, Term] | None:
        """`more than 5 logs`, `nonce of 0`, `value above 1 ETH`, `5 or more logs`."""
        number = self._at(at)
        if not isinstance(number, Token) or number.number is None or is_a(number, "scope"):
            return None
        first, last, sign = self._signed(at)
        if is_a(self._at(first - 1), "superlative", "ordinal") or (
            is_a(self._at(at + 1), "superlative") and sign == "="
        ):
            return None
        negative = is_a(self._at(first - 1), "negation") and self._denied(first, sign, number.number)
        first -= negative
        if is_a(self._at(first - 1), "to") and is_a(self._at(first - 2), "column"):
            del self.items[first - 1]
            first, last, at = first - 1, last - 1, at - 1
        raw = is_a(self._at(last + 1), "raw")
        last = last + 1 if raw else last
        unit = "raw" if raw else number.unit
        per_gas = is_a(self._at(last + 1), "per_gas")
        last = last + 1 if per_gas else last
        bare = first == at == last and unit is None
        first, last, concept = self._subject_of(first, last, unit)
        if concept is None and before and is_a(self._at(first - 1), "or", "and"):
            concept, bare = before, False
        concept = self._for_one_gas(concept, unit, per_gas)
        if concept is None or (bare and first == at == last):
            return None
        first = self._with_verb(first, concept)
        text = self._said(first, last)
        term = terms.compared(text, concept, sign, ((number.number, unit),), self._known)
        return first, last, terms.negated(text, term) if negative else term

    def _signed(self, at: int) -> tuple[int, int, str]:
        """Where a number with its comparison begins and ends, and the comparison."""
        before, after = self._at(at - 1), self._at(at + 1)
        if is_a(before, "compare"):
            return at - 1, at, self._sign(before)
        if isinstance(after, Token) and "compare" in after.kinds and after.text.lower().startswith("or "):
            return at, at + 1, self._sign(after)
        return at, at, "="

    def _denied(self, first: int, sign: str, number: Decimal) -> bool:
        """Whether a negation before a number is one of the comparison: `not more than`, `nonce not 0`."""
        text = getattr(self._at(first - 1), "text", "").lower()
        return sign != "=" or (text.startswith("no") and number == 0) or is_a(self._at(first - 2), "column")

    @staticmethod
    def _for_one_gas(concept: str | None, unit: str | None, per_gas: bool) -> str | None:
        """A tip in gwei, or per gas, is a price; other sums are not told per gas."""
        if concept == "tip" and (per_gas or unit == "gwei"):
            return "tip_per_gas"
        return None if per_gas and concept not in _PRICES else concept

    def _with_verb(self, first: int, concept: str) -> int:
        """Where a comparison begins with the verb that belongs to it, as in `used more than 5 gas`."""
        before = self._at(first - 1)
        verb = self._verb(before)
        if is_a(before, "with") or concept in _OBJECTS.get(verb, ()):
            return first - 1
        return first

    @staticmethod
    def _sign(item: Item | None) -> str:
        return item.value("compare") or "=" if isinstance(item, Token) else "="

    def _subject_of(self, first: int, last: int, unit: str | None) -> tuple[int, int, str | None]:
        """What stands beside a comparison as the thing compared, and how far it reaches."""
        before, after = self._at(first - 1), self._at(last + 1)
        if is_a(after, "subject") and self._concept(before) and is_a(before, "column"):
            return first - 1, last, self._concept(before)
        told_in = _UNIT_NOUNS.get(self._concept(after) or "", ())
        if is_a(before, "column") and self._concept(before) in told_in:
            return first - 1, last + 1, self._concept(before)
        if beside := self._after(last):
            return first, *beside
        if isinstance(before, Token) and before.text.lower() == "log" and unit is None and first == last:
            return first - 1, last, "log_index"
        if isinstance(after, Token) and (counted := after.value("subject")) in _COUNTED and unit is None:
            return first, last + 1, _COUNTED[counted or ""]
        named = self._concept(before)
        if named and named != "address":
            return first - 1, last, named
        return first, last, self._by_unit(first, unit)

    def _after(self, last: int) -> tuple[int, str] | None:
        """The column that follows a number, and where it ends: `5 gas`, `1 ETH of value`."""
        concept, named = self._concept(self._at(last + 1)), self._concept(self._at(last + 2))
        if concept is None or is_a(self._at(last + 1), "address_value"):
            return None
        if concept in ("ether", "gas_used", "size") and named in _MEASURED_IN:
            return last + 2, named
        return None if concept in _NAMED_ONLY else (last + 1, concept)

    def _by_unit(self, first: int, unit: str | None) -> str | None:
        """What a number is compared with where only its unit says it."""
        if unit in _BY_UNIT:
            return self._by_verbs(first, unit or "")
        token = unit == "raw" or unit in self._known.symbols
        return "amount" if token or (unit is None and self._transfers_meant()) else None

    def _by_verbs(self, first: int, unit: str) -> str:
        """What an amount without a name is: a fee where it is paid, else the value sent."""
        paid = any(
            isinstance(one, Token) and (one.kinds.get("verb") == "pay" or one.kinds.get("column") == "fee")
            for one in self.items[max(first - 3, 0) : first]
        )
        return "fee" if paid and unit in ("ether", "wei") else _BY_UNIT[unit]

    def _transfers_meant(self) -> bool:
        return any(is_a(one, "token_value") for one in self.items) and any(
            isinstance(one, Token)
            and (one.kinds.get("subject") == "transfers" or one.kinds.get("verb") == "move")
            for one in self.items
        )

    def _of_columns(self, at: int) -> tuple[int, int, Term] | None:
        """`gas used equal to gas limit`."""
        one, sign, two = self._at(at), self._at(at + 1), self._at(at + 2)
        if not (is_a(sign, "compare") and is_a(one, "column") and is_a(two, "column")):
            return None
        first, second = self._concept(one), self._concept(two)
        if first is None or second is None:
            return None
        text = self._said(at, at + 2)
        return at, at + 2, terms.columns_compared(text, first, self._sign(sign), second)

    def _absences(self) -> None:
        """`no value`, `without call data`, `sent no ETH`, and their contrary, `with call data`."""
        at = 0
        while at < len(self.items) - 1:
            item, after = self.items[at], self.items[at + 1]
            no = isinstance(item, Token) and item.kinds.get("negation") in ("no", "not")
            skip = (
                2
                if no
                and getattr(item, "kinds", {}).get("negation") == "not"
                and is_a(after, "verb")
                and not is_a(after, "adjective")
                else 1
            )
            named = self._at(at + skip)
            concept = self._concept(named)
            if isinstance(named, Token) and named.value("subject") in ("logs", "transfers") and not concept:
                concept = named.value("subject")
            plain = skip == 2 or (no and getattr(item, "kinds", {}).get("negation") == "no")
            if plain and concept:
                first = self._with_verb(at, concept)
                text = self._said(first, at + skip)
                self._put(first, at + skip, terms.absent(text, concept))
            elif self._sends(at) or (is_a(item, "with") and isinstance(after, Token) and self._bare(at + 1)):
                text = self._said(at, at + 1)
                self._put(at, at + 1, terms.present(text, self._concept(after) or ""))
            at += 1

    def _sends(self, at: int) -> bool:
        """`how many transactions sent ETH`: those with a value."""
        before = self.items[:at]
        counted = any(
            is_a(one, "quantity") and one.value("quantity") == "many"
            for one in before
            if isinstance(one, Token)
        )
        noun = any(isinstance(one, Token) and one.kinds.get("subject") == "transactions" for one in before)
        return (
            counted and noun and self._verb(self.items[at]) in ("send", "carry")
            and self._concept(self.items[at + 1]) in ("ether", "value")
        )  # fmt: skip

    def _bare(self, at: int) -> bool:
        """Whether a column stands alone, as in `transactions with call data`."""
        concept = self._concept(self.items[at])
        return (
            concept in ("input", "value", "ether", "tip", "selector")
            and not is_a(self._at(at - 2), "superlative", "which")
            and not isinstance(self._at(at + 1), Term)
        )

    def _negations(self) -> None:
        at = len(self.items) - 1
        while at >= 0:
            item = self.items[at]
            if isinstance(item, Token) and (word := item.value("negation")):
                last = at + 1
                while is_a(self._at(last), "verb", "with", "from", "by", "pronoun") and not isinstance(
                    self._at(last), Term
                ):
                    last += 1
                if (
                    self._is(self._at(at - 1), "amount")
                    and getattr(self._at(last), "concept", "") == "unlimited"
                ):
                    self.items[at - 1] = Token("", {"function": ""})
                if isinstance(self._at(last), Term) and not (
                    word == "no" and is_a(self._after_terms(last), "subject")
                ):
                    self._negate(at, last, word)
            at -= 1

    def _after_terms(self, at: int) -> Item | None:
        while isinstance(self._at(at), Term):
            at += 1
        return self._at(at)

    def _negate(self, at: int, last: int, word: str) -> None:
        some = [self.items[last]]
        while True:
            link, after = self._at(last + 1), self._at(last + 2)
            if word != "neither" and isinstance(after, Term) and is_a(link, "or", "and"):
                alike = bool(after.same) and after.same == getattr(some[0], "same", None)
                if not alike and word != "except":
                    if is_a(link, "or"):
                        raise Declined(f'"{self._said(at, last + 2)}" can be read in two ways')
                    break
                some.append(after)
                last += 2
                continue
            break
        text = self._said(at, last)
        self._put(at, last, terms.negated(text, *(one for one in some if isinstance(one, Term))))
        if word == "neither" and is_a(self._at(at + 1), "or") and isinstance(self._at(at + 2), Term):
            other = self._at(at + 2)
            self._put(
                at + 1, at + 2, *([terms.negated(other.text, other)] if isinstance(other, Term) else [])
            )

    def _alternatives(self) -> None:
        """`A or B`; `A and B` where a row can be but one of them."""
        at = 1
        while at < len(self.items) - 1:
            one, link, two = self.items[at - 1], self.items[at], self.items[at + 1]
            if isinstance(one, Term) and isinstance(two, Term) and is_a(link, "or", "and"):
                alike = bool(one.same) and one.same == two.same and one.concept and two.concept
                if is_a(link, "or") or alike:
                    if (
                        is_a(link, "or")
                        and (isinstance(self._at(at - 2), Term) or is_a(self._at(at - 2), "and"))
                        and not is_a(self._at(at - 2), "either")
                        and self._joint(at - 2)
                    ):
                        raise Declined(f'"{self._said(at - 2, at + 1)}" can be read in two ways')
                    first = at - 2 if is_a(self._at(at - 2), "either") else at - 1
                    self._put(first, at + 1, terms.joined(self._said(first, at + 1), one, two, union=True))
                    at = max(first, 0)
            at += 1
        for at in range(len(self.items) - 1, -1, -1):
            if is_a(self._at(at), "either") and isinstance(self._at(at + 1), Term):
                del self.items[at]

    def _joint(self, at: int) -> bool:
        return is_a(self._at(at), "and") and isinstance(self._at(at - 1), Term)
