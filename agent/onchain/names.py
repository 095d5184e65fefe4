"""Finds what is named among the tokens of a clause: addresses by their part, hashes, tokens, events."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta

from agent.onchain import terms
from agent.onchain.columns import SubjectName
from agent.onchain.concepts import FUNCTIONS
from agent.onchain.lexer import Known, Token
from agent.onchain.query import Compare, Condition, both
from agent.onchain.terms import Declined, Term

KindOf = Callable[[str], str]
"""Whether 32 bytes name a `transaction`, a `block`, or an event's first `topic`; empty: nothing known."""


Item = Token | Term


def is_a(item: Item | None, *kinds: str) -> bool:
    """Whether an item is a token that may be of one of the kinds."""
    return isinstance(item, Token) and any(kind in item.kinds for kind in kinds)


_GIVERS = ("send", "pay", "use", "call", "set", "move", "carry", "approve", "create")


def _on_day(text: str, day: str) -> Term:
    after = (date.fromisoformat(day) + timedelta(days=1)).isoformat()
    found = both(
        Compare(column="block_timestamp", operator=">=", values=(day,)),
        Compare(column="block_timestamp", operator="<", values=(after,)),
    )
    return Term(text, lambda _subject, _tokens: found, "time")


def _part_of(text: str, part: str, address: str) -> Term:
    """The rows in which an address has a part; a log's contract is its emitter."""
    return terms.equals(text, part, (address,), part)


class Names:
    """Rewrites tokens that name something to terms, in place."""

    def __init__(self, items: list[Token], known: Known, kind_of: KindOf) -> None:
        self._known, self._kind_of = known, kind_of
        self.items: list[Item] = list(items)

    def _at(self, at: int) -> Item | None:
        return self.items[at] if 0 <= at < len(self.items) else None

    def _put(self, first: int, last: int, *items: Item) -> None:
        """Items in place of those from first to last, both included."""
        self.items[first : last + 1] = items

    def _said(self, first: int, last: int) -> str:
        return " ".join(one.text for one in self.items[first : last + 1])

    @staticmethod
    def _is(item: Item | None, concept: str) -> bool:
        return isinstance(item, Token) and item.kinds.get("column") == concept

    @staticmethod
    def _calls(item: Item | None) -> bool:
        return isinstance(item, Token) and (
            item.kinds.get("verb") == "call" or item.text.lower() in ("calls to", "calling")
        )

    @staticmethod
    def _verb(item: Item | None) -> str:
        return (item.value("verb") or "") if isinstance(item, Token) else ""

    def _concept(self, item: Item | None) -> str | None:
        """What a number may be compared with, as far as an item says it."""
        if not isinstance(item, Token):
            return None
        if (name := item.value("argument")) and "column" not in item.kinds:
            return f"args.{name}"
        return item.value("column")

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

    def _names(self) -> None:
        """Addresses by their part, hashes, tokens, events, standards, days."""
        for at in range(len(self.items) - 1, -1, -1):
            item = self._at(at)
            if not isinstance(item, Token):
                continue
            if day := item.value("day"):
                self._put(at, at, _on_day(item.text, day))
            else:
                self._named(at, item)

    def _named(self, at: int, item: Token) -> None:
        if address := item.value("address_value"):
            self._address(at, address)
        elif digest := item.value("hash"):
            self._hash(at, digest)
        elif item.value("token_value") and item.number is None:
            self._token(at, item.value("token_value") or "")
        elif (name := item.value("event_value")) and self._of_event(at, item):
            self._put(at, at, terms.equals(item.text, "event", (name,)))
        elif (name := item.value("standard_value")) and not is_a(item, "adjective"):
            self._put(at, at, terms.equals(item.text, "standard", (name,)))

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
            and concept != "address"
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
            lead, first = self._part(first, at)
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

    def _part(self, first: int, at: int) -> tuple[str, int]:
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

        def resolve(subject: SubjectName, _: tuple[str, ...]) -> Condition | None:
            if subject == "transactions" and not contract:
                return None
            column = terms.column_for(subject, "contract")
            return Compare(column=column.name, values=addresses) if column else None

        self._put(first, last, Term(text, resolve, "token", "token"))

    def _wraps(self) -> None:
        """`wrapped`, `unwrapped`: deposits to and withdrawals from WETH."""
        for at in range(len(self.items) - 1, -1, -1):
            item = self._at(at)
            verb = self._verb(item)
            if verb in ("wrap", "unwrap") and item is not None:
                event = {"wrap": "Deposit", "unwrap": "Withdrawal"}[verb]
                wrapped = (
                    terms.equals(item.text, "token", self._known.symbols.get("WETH", ("",)), "token"),
                    terms.equals(item.text, "event", (event,)),
                )
                first = at - 1 if self._verb(self._at(at - 1)) == "receive" else at
                self._put(first, at, terms.joined(item.text, *wrapped, union=False))
                for other, one in enumerate(self.items):
                    if self._is(one, "ether") and isinstance(one, Token):
                        self.items[other] = Token(one.text, {"column": "amount"})

    def _adjectives(self) -> None:
        """`failed`, `legacy`; and `whose status is not failed`."""
        for at in range(len(self.items) - 1, -1, -1):
            item = self._at(at)
            if isinstance(item, Token) and (name := item.value("adjective")) and not self._noun(at, item):
                self._put(at, at, terms.adjective(item.text, name))
                named = at - 2 if is_a(self._at(at - 1), "negation") else at - 1
                if name in ("failed", "succeeded") and self._is(self._at(named), "status"):
                    del self.items[named]

    def _noun(self, at: int, item: Token) -> bool:
        return "event_value" in item.kinds and is_a(self._at(at + 1), "subject")
