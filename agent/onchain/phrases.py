"""Finds the conditions among the tokens of a clause; what is left over says what is measured."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal

from agent.onchain import terms
from agent.onchain.lexer import Known, Token
from agent.onchain.lexicon import FUNCTIONS
from agent.onchain.terms import Declined, Term

KindOf = Callable[[str], str]
"""Whether 32 bytes name a `transaction`, a `block`, or an event's first `topic`; empty: nothing known."""

Item = Token | Term

_LINKS = ("verb", "with", "from", "by", "ordinal_")
_GIVERS = ("send", "pay", "use", "call", "set", "move", "carry", "approve", "create")


@dataclass(frozen=True, slots=True)
class _Unit:
    concept: str
    verbs: tuple[tuple[str, str], ...] = ()


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
_COUNTABLE = ("sender", "receiver", "contract", "token", "address", "spender", "owner", "selector")
_COUNTED = {"logs": "logs", "transfers": "transfers", "transactions": "transaction_count"}


def is_a(item: Item | None, *kinds: str) -> bool:
    """Whether an item is a token that may be of one of the kinds."""
    return isinstance(item, Token) and any(kind in item.kinds for kind in kinds)


class Phrases:
    """Rewrites tokens to terms, phrase by phrase: comparisons, names, adjectives, negations, alternatives."""

    def __init__(self, items: list[Token], known: Known, kind_of: KindOf) -> None:
        self._known, self._kind_of = known, kind_of
        self.items: list[Item] = list(items)
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

    def _at(self, at: int) -> Item | None:
        return self.items[at] if 0 <= at < len(self.items) else None

    def _put(self, first: int, last: int, *items: Item) -> None:
        """Items in place of those from first to last, both included."""
        self.items[first : last + 1] = items

    def _said(self, first: int, last: int) -> str:
        return " ".join(one.text for one in self.items[first : last + 1])

    def _labels(self) -> None:
        """`WETH (0xc02…)`: one name of an address beside another."""
        for at in range(len(self.items) - 1, 0, -1):
            item, before = self.items[at], self.items[at - 1]
            if not (isinstance(item, Token) and isinstance(before, Token)) or before.number is not None:
                continue
            named = self._known.symbols.get(before.value("token_value") or "", ())
            if item.value("address_value") in named:
                del self.items[at]

    def _ether(self) -> None:
        """`ETH transfers`: transactions, for tokens have transfers of their own."""
        for at in range(len(self.items) - 2, -1, -1):
            one, two = self.items[at], self.items[at + 1]
            if self._is(one, "ether") and isinstance(two, Token) and two.kinds.get("subject") == "transfers":
                self._put(
                    at,
                    at + 1,
                    Token(self._said(at, at + 1), {"subject": "transactions"}),
                    Token("", {"eth_transfers": ""}),
                )

    def _creations(self) -> None:
        """`contracts created`, `deployed a contract`: transactions without a receiver."""
        at = 0
        while at < len(self.items) - 1:
            one, two = self.items[at], self.items[at + 1]
            pair = (
                {one.value("verb"), two.value("verb")}
                if isinstance(one, Token) and isinstance(two, Token)
                else set()
            )
            contract = "contract" in (
                getattr(one, "kinds", {}).get("column"),
                getattr(two, "kinds", {}).get("column"),
            )
            if "create" in pair and contract:
                word = Token(self._said(at, at + 1), {"adjective": "creation", "created": ""})
                self._put(at, at + 1, word)
            at += 1

    def _functions(self) -> None:
        """`the approve function`, `calls to transfer`, `0x… calls`: a selector."""
        names = {name: tuple(s for s, n in FUNCTIONS.items() if n == name) for name in FUNCTIONS.values()}
        for at in range(len(self.items) - 1, -1, -1):
            item = self._at(at)
            if not isinstance(item, Token):
                continue
            before, after = self._at(at - 1), self._at(at + 1)
            if selector := item.value("selector_value"):
                first = at
                last = at + 1 if self._is(after, "selector") or self._same_function(after, selector) else at
                while (
                    self._calls(self._at(first - 1))
                    or self._is(self._at(first - 1), "selector")
                    or self._same_function(self._at(first - 1), selector)
                    or (first < at and is_a(self._at(first - 1), "with"))
                ):
                    first -= 1
                self._put(first, last, terms.equals(self._said(first, last), "selector", (selector,)))
                continue
            name = item.value("function_value")
            if name is None:
                continue
            around = self._is(before, "selector") or self._is(after, "selector")
            if not (
                around
                or self._calls(before)
                or (self._calls(after) and not is_a(self._at(at + 2), "address_value"))
            ):
                continue
            first = at - 1 if self._is(before, "selector") or self._calls(before) else at
            if first < at and self._calls(self._at(first - 1)):
                first -= 1
            last = at + 1 if self._is(after, "selector") or (first == at and self._calls(after)) else at
            if first == at and self._calls(self._at(at - 1)):
                first -= 1
            self._put(first, last, terms.equals(self._said(first, last), "selector", names[name]))

    @staticmethod
    def _same_function(item: Item | None, selector: str) -> bool:
        return isinstance(item, Token) and item.kinds.get("function_value") == FUNCTIONS.get(selector, "")

    @staticmethod
    def _is(item: Item | None, concept: str) -> bool:
        return isinstance(item, Token) and item.kinds.get("column") == concept

    @staticmethod
    def _calls(item: Item | None) -> bool:
        return isinstance(item, Token) and (
            item.kinds.get("verb") == "call" or item.text.lower() in ("calls to", "calling")
        )

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

    def _counts_each(self, first: int, last: int, term: Term) -> bool:
        """Turns `senders with more than 5 transactions` to how often each occurs; whether it is such a thing."""
        before = self.items[:first]
        if term.concept not in _COUNTED.values() or not is_a(self._at(last), "subject"):
            return False
        before = [
            one
            for place, one in enumerate(before)
            if not (
                is_a(one, "subject")
                and (is_a(self._at(place - 1), "each") or one.value("subject") == "blocks")
            )  # type: ignore[union-attr]
        ]
        roles = [
            one
            for one in before
            if self._concept(one) in _COUNTABLE or (is_a(one, "which") and one.value("which") == "who")
        ]  # type: ignore[union-attr]
        if not roles or any(is_a(one, "subject") for one in before):
            return False
        some = self.items[first : last + 1]
        number = next(one for one in some if isinstance(one, Token) and one.number is not None)
        having = Token(term.text, {"having": term.operator}, number.number)
        self._put(first, last, having, *(one for one in some if is_a(one, "verb", "subject")))
        return True

    def _concept(self, item: Item | None) -> str | None:
        """What a number may be compared with, as far as an item says it."""
        if not isinstance(item, Token):
            return None
        if name := item.value("argument"):
            if "column" not in item.kinds:
                return f"args.{name}"
        return item.value("column")

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
        first, sign, negative = at, "=", False
        last = at
        if is_a(self._at(first - 1), "compare"):
            sign, first = self._sign(self._at(first - 1)), first - 1
            if is_a(self._at(first - 1), "or") and is_a(self._at(first - 2), "compare"):
                return None
        elif is_a(self._at(at + 1), "compare") and getattr(self._at(at + 1), "text", "").lower().startswith(
            "or "
        ):
            sign, last = self._sign(self._at(at + 1)), at + 1
        if is_a(self._at(first - 1), "superlative", "ordinal") or (
            is_a(self._at(at + 1), "superlative") and sign == "="
        ):
            return None
        if is_a(self._at(first - 1), "negation"):
            text = getattr(self._at(first - 1), "text", "").lower()
            if sign != "=" or (text.startswith("no") and number.number == 0):
                negative, first = True, first - 1
        if is_a(self._at(first - 1), "to") and is_a(self._at(first - 2), "column"):
            del self.items[first - 1]
            first, last, at = first - 1, last - 1, at - 1
        raw = is_a(self._at(last + 1), "raw")
        last = last + 1 if raw else last
        unit = "raw" if raw else number.unit
        per_gas = is_a(self._at(last + 1), "per_gas")
        last = last + 1 if per_gas else last
        compared = first
        first, last, concept = self._subject_of(first, last, unit)
        if concept is None and before and is_a(self._at(first - 1), "or", "and"):
            concept = before
        if concept is None or (compared == first == at and last == at and unit is None and concept != before):
            return None
        if concept == "tip" and (per_gas or unit == "gwei"):
            concept = "tip_per_gas"
        elif per_gas and concept not in ("gas_price", "max_fee", "max_tip", "base_fee", "tip_per_gas"):
            return None
        first = self._with_verb(first, concept)
        text = self._said(first, last)
        term = terms.compared(text, concept, sign, ((number.number, unit),), self._known)
        return first, last, terms.negated(text, term) if negative else term

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
        if (concept := self._concept(after)) and not is_a(after, "address_value"):
            named = self._concept(self._at(last + 2))
            if (
                named
                and concept in ("ether", "gas_used", "size")
                and named in ("value", "amount", "gas_limit", "input", "fee")
            ):
                return first, last + 2, named
            if concept not in (
                "token",
                "contract",
                "block",
                "address",
                "sender",
                "receiver",
                "event",
                "hash",
                "transaction",
            ):
                return first, last + 1, concept
        if isinstance(before, Token) and before.text.lower() == "log" and unit is None and first == last:
            return first - 1, last, "log_index"
        if isinstance(after, Token) and (counted := after.value("subject")) in _COUNTED and unit is None:
            return first, last + 1, _COUNTED[counted or ""]
        named_before = self._concept(before)
        if named_before and named_before not in ("address",):
            start = first - 1
            return start, last, named_before
        if unit in _BY_UNIT:
            return first, last, self._by_verbs(first, unit or "")
        if unit == "raw" or unit in self._known.symbols:
            return first, last, "amount"
        if unit is None and self._transfers_meant():
            return first, last, "amount"
        return first, last, None

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

    def _names(self) -> None:
        """Addresses by their part, hashes, tokens, events, standards, days."""
        for at in range(len(self.items) - 1, -1, -1):
            item = self._at(at)
            if not isinstance(item, Token):
                continue
            if address := item.value("address_value"):
                self._address(at, address)
            elif digest := item.value("hash"):
                self._hash(at, digest)
            elif item.value("token_value") and item.number is None:
                self._token(at, item.value("token_value") or "")
            elif name := item.value("event_value"):
                if self._of_event(at, item):
                    self._put(at, at, terms.equals(item.text, "event", (name,)))
            elif name := item.value("standard_value"):
                if not is_a(item, "adjective"):
                    self._put(at, at, terms.equals(item.text, "standard", (name,)))
            elif day := item.value("day"):
                self._put(at, at, _on_day(item.text, day))

    def _of_event(self, at: int, item: Token) -> bool:
        after = self._at(at + 1)
        logs = isinstance(after, Token) and after.kinds.get("subject") == "logs"
        return logs or item.text[:1].isupper() or not (set(item.kinds) - {"event_value"})

    def _address(self, at: int, address: str) -> None:
        before, after = self._at(at - 1), self._at(at + 1)
        text = self.items[at].text
        first = at
        concept = self._concept(before)
        if (
            concept
            and concept not in ("address",)
            and concept in ("sender", "receiver", "token", "contract", "owner", "spender", "miner", "created")
        ):
            first, (lead, prior) = at - 1, (concept, self._at(at - 2))
            if concept == "contract" and is_a(prior, "to"):
                lead, first = "receiver", at - 2
            elif concept in ("contract", "token") and is_a(prior, "from", "by"):
                lead, first = ("sender", at - 2)
                if self._verb(self._at(at - 3)) == "emit" or any(
                    isinstance(one, Token) and one.kinds.get("subject") == "logs" for one in self.items
                ):
                    lead = "contract"
                    first = at - 3 if self._verb(self._at(at - 3)) == "emit" else first
        elif (role := self._concept(after)) in ("sender", "receiver", "owner", "spender", "miner"):
            self._put(at, at + 1, terms.equals(self._said(at, at + 1), role or "", (address,), role or ""))
            return
        else:
            first = at - 1 if concept == "address" else at
            lead, first = self._part(first, at, address)
        if lead == "any":
            if address in self._known.tokens and any(
                isinstance(o, Token) and o.kinds.get("subject") == "transfers" for o in self.items
            ):
                term = terms.equals(text, "token", (address,))
            else:
                term = terms.involved(text, address)
        else:
            term = _part_of(self._said(first, at), lead, address)
        self._put(first, at, term)

    def _part(self, first: int, at: int, address: str) -> tuple[str, int]:
        """The part that an address has by the words around it, and where they begin."""
        before, verb = self._at(first - 1), self._verb(self._at(at + 1))
        if is_a(before, "from", "by"):
            acted = self._verb(self._at(first - 2))
            roles = {
                "emit": "contract",
                "mine": "miner",
                "approve": "owner",
                "call": "sender",
                "receive": "receiver",
            }
            if acted in roles and is_a(before, "by", "from"):
                return roles[acted], first - 2
            return "sender", first - 1
        if is_a(before, "to") or self._calls(before):
            return "receiver", first - 1
        if verb == "receive":
            return "receiver", first
        if verb == "emit":
            return "contract", first
        if verb in _GIVERS:
            return ("owner" if verb == "approve" else "sender"), first
        return "any", first

    @staticmethod
    def _verb(item: Item | None) -> str:
        return (item.value("verb") or "") if isinstance(item, Token) else ""

    def _hash(self, at: int, digest: str) -> None:
        kind = self._kind_of(digest)
        if not kind:
            raise Declined(f"no transaction, block or event {digest} is in the library")
        before = self._at(at - 1)
        first = at - 1 if isinstance(before, Token) and before.value("subject", "column") in (
            "transactions", "blocks", "hash", "transaction", "block", "topic", "block_hash",
        ) else at  # fmt: skip
        before = self._at(first - 1)
        if first < at and isinstance(before, Token) and before.value("subject") == "transactions":
            first -= 1
        if is_a(self._at(first - 1), "with", "by", "from") and not is_a(self._at(first - 1), "verb"):
            first -= 1
        concept = {"transaction": "transaction", "block": "block_hash", "topic": "topic"}[kind]
        self._put(first, at, terms.equals(self._said(first, at), concept, (digest,), "hash"))

    def _token(self, at: int, symbol: str) -> None:
        addresses = self._known.symbols[symbol]
        last = at
        after = self._at(at + 1)
        contract = isinstance(after, Token) and after.value("column") in ("contract", "token")
        if contract:
            last = at + 1
        before = self._at(at - 1)
        called = is_a(before, "to") or self._calls(before)
        first = at - 1 if called else at
        text = self._said(first, last)
        named = self._at(at - 2) if is_a(before, "negation") else before
        role = self._concept(named)
        plural = isinstance(named, Token) and named.text.lower().endswith("s") and named is before
        if role in ("contract", "token") and not called and not plural:
            start = at - 2 if named is not before else at - 1
            if is_a(self._at(start - 1), "by", "from") and self._verb(self._at(start - 2)) == "emit":
                start -= 2
            if is_a(self._at(start - 1), "to"):
                start, role = start - 1, "receiver"
            place = "receiver" if role == "receiver" else "contract"
            term = terms.equals(self._said(start, last), place, addresses, "token")
            self._put(start, last, terms.negated(term.text, term) if named is not before else term)
            return
        if called:
            self._put(first, last, terms.equals(text, "receiver", addresses))
            return

        def resolve(subject: str, _: tuple[str, ...]) -> terms.Condition | None:
            if subject == "transactions" and not contract:
                return None
            column = terms.column_for(subject, "contract")  # type: ignore[arg-type]
            return terms.Compare(column=column.name, values=addresses) if column else None

        self._put(first, last, Term(text, resolve, "token", "token"))

    def _wraps(self) -> None:
        """`wrapped`, `unwrapped`: deposits to and withdrawals from WETH."""
        for at in range(len(self.items) - 1, -1, -1):
            item = self._at(at)
            verb = self._verb(item)
            if verb in ("wrap", "unwrap") and item is not None:
                event = {"wrap": "Deposit", "unwrap": "Withdrawal"}[verb]
                both = (
                    terms.equals(item.text, "token", self._known.symbols.get("WETH", ("",)), "token"),
                    terms.equals(item.text, "event", (event,)),
                )
                first = at - 1 if self._verb(self._at(at - 1)) == "receive" else at
                self._put(first, at, terms.joined(item.text, *both, union=False))
                for other, one in enumerate(self.items):
                    if self._is(one, "ether") and isinstance(one, Token):
                        self.items[other] = Token(one.text, {"column": "amount"})

    def _adjectives(self) -> None:
        for at, item in enumerate(self.items):
            if isinstance(item, Token) and (name := item.value("adjective")) and not self._noun(at, item):
                self._put(at, at, terms.adjective(item.text, name))

    def _noun(self, at: int, item: Token) -> bool:
        return "event_value" in item.kinds and is_a(self._at(at + 1), "subject")

    def _absences(self) -> None:
        """`no value`, `without call data`, `sent no ETH`, and their contrary, `with call data`."""
        at = 0
        while at < len(self.items) - 1:
            item, after = self.items[at], self.items[at + 1]
            no = isinstance(item, Token) and item.kinds.get("negation") in ("no", "not")
            skip = (
                2
                if no
                and item.value("negation") == "not"
                and is_a(after, "verb")
                and not is_a(after, "adjective")
                else 1
            )
            named = self._at(at + skip)
            concept = self._concept(named)
            if isinstance(named, Token) and named.value("subject") in ("logs", "transfers") and not concept:
                concept = named.value("subject")
            plain = skip == 2 or (no and item.value("negation") == "no")
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
            assert isinstance(other, Term)
            self._put(at + 1, at + 2, terms.negated(other.text, other))

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


def _on_day(text: str, day: str) -> Term:
    from datetime import date, timedelta

    after = (date.fromisoformat(day) + timedelta(days=1)).isoformat()
    found = terms.both(
        terms.Compare(column="block_timestamp", operator=">=", values=(day,)),
        terms.Compare(column="block_timestamp", operator="<", values=(after,)),
    )
    return Term(text, lambda subject, _: found, "time")


def _part_of(text: str, part: str, address: str) -> Term:
    """The rows in which an address has a part; a log's contract is its emitter."""
    return terms.equals(text, part, (address,), part)


def numbers(items: list[Item]) -> Iterator[Decimal]:
    """The numbers that are left over."""
    for one in items:
        if isinstance(one, Token) and one.number is not None:
            yield one.number
