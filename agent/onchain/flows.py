"""What addresses gave and received, and how figures of two blocks compare, in sentences."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal, localcontext

from agent.onchain import sql_compiler as sql
from agent.onchain import verbalize
from agent.onchain.columns import SUBJECTS, column_of
from agent.onchain.query import Any, ChainQuery, Compare, conjuncts
from agent.onchain.rows import Row, Unit, amount, mean, of_token, row_told, token, unit_of
from agent.onchain.sandbox import Result
from agent.onchain.verbalize import Names

Run = Callable[[str], Result]
"""Runs one query of ours."""


LISTED = 12
"""Rows that are told one by one."""


SUMMED = 6


@dataclass(frozen=True, slots=True)
class Statement:
    """A sentence and what it rests on.

    rows: to be cited; kinds: the documents that tell them, best first; result: the query, where the rows are
    not all that was counted; query: what is cited where no document tells the rows, as of logs told together.
    """

    text: str
    rows: tuple[Row, ...] = ()
    kinds: tuple[str, ...] = ()
    result: Result | None = None
    query: Result | None = None


class Report:
    """Runs a query and says what it gave."""

    def __init__(self, query: ChainQuery, names: Names, run: Run) -> None:
        self.query, self.names, self.run = query, names, run
        self.subject = SUBJECTS[query.subject]
        self.column = column_of(query.subject, query.column) if query.column else None
        self.reading = verbalize.rows(query, names)

    def _listed(self, limit: int = LISTED, skip: int = 0) -> list[Row]:
        return self.run(sql.listing(self.query, limit, skip)).records()

    def _each(self, rows: Sequence[Row]) -> Iterator[Statement]:
        for row in rows:
            yield Statement(row_told(self.query.subject, row), (row,), self.subject.documents)

    def _nouns(self, count: int) -> str:
        return self.subject.noun if count == 1 else f"{self.subject.noun}s"

    def _unit(self, row: Row) -> Unit | None:
        if self.column is None:
            return None
        return of_token(row) if self.column.kind == "token" else verbalize.unit_of(self.column)


def _rates(gave: tuple[int, Unit], got: tuple[int, Unit]) -> str:
    if gave[1].decimals is None or got[1].decimals is None:
        return "no rate, for decimals are not known"
    with localcontext(prec=50):
        one, other = (Decimal(raw).scaleb(-(unit.decimals or 0)) for raw, unit in (gave, got))
        forth, back = other / one, one / other
    paid, received = unit_of(gave[1]), unit_of(got[1])
    return f"{forth:.12g} {received} for one {paid}, {back:.12g} {paid} for one {received}"


class Flows(Report):
    """Net flows, swaps, and two blocks against each other."""

    def net(self, party: str) -> Iterator[Statement]:
        """What a party received and gave of each token."""
        result = self.run(sql.flows(self.query, party))
        sides = tuple(Compare(column=name, values=(party,)) for name in ("from_address", "to_address"))
        moves = self.run(sql.listing(sql.narrowed(self.query, Any(any=sides)), LISTED)).records()
        if not result.rows:
            yield Statement(f"0: {party} neither gave nor received any of the {self.reading}.", result=result)
        for row in result.records()[:SUMMED]:
            received, given = int(row["received"]), int(row["given"])
            unit, net = of_token(row), received - given
            word = "gain" if net >= 0 else "loss"
            cited = tuple(move for move in moves if move["token_address"] == row["token_address"])
            yield Statement(
                f"{amount(net, unit)}, a net {word}: {party} received {amount(received, unit)} and gave"
                f" {amount(given, unit)} of {token(row)}, over the {self.reading}.",
                cited,
                ("transfers", "events"),
                None if len(moves) < LISTED else result,
            )

    def swapped(self) -> Iterator[Statement]:
        """What the sender of a transaction gave and received in it, and the rates."""
        found = self._listed(1)
        if not found:
            return
        sent = found[0]
        sender = sent["from_address"]
        hashes = next(
            one
            for one in conjuncts(self.query.where)
            if isinstance(one, Compare) and one.column == "transaction_hash"
        )
        moving = ChainQuery(subject="transfers", measure="rows", where=hashes)
        sides = tuple(Compare(column=name, values=(sender,)) for name in ("from_address", "to_address"))
        moves = self.run(sql.listing(sql.narrowed(moving, Any(any=sides)), LISTED)).records()
        gave, got = self._sides(self.run(sql.flows(moving, sender)).records(), sent)
        unwrapped = self._unwrapped(hashes) if not got else 0
        if unwrapped:
            got = [(unwrapped, Unit(18))]
        texts = [" and ".join(amount(*one) for one in side) or "no token" for side in (gave, got)]
        rates = f": {_rates(gave[0], got[0])}" if len(gave) == len(got) == 1 else ""
        how = ", for the transaction unwrapped so much WETH" if unwrapped else ""
        yield Statement(
            f"In transaction {sent['transaction_hash']} (block {sent['block_number']}) the sender {sender}"
            f" gave {texts[0]} and received {texts[1]}{how}{rates}.",
            tuple(moves),
            ("transfers", "events"),
        )
        partners = dict.fromkeys(
            move[side] for move in moves for side in ("from_address", "to_address") if move[side] != sender
        )
        if partners:
            yield Statement(
                f"The other side of these transfers: {', '.join(partners)}.",
                tuple(moves),
                ("transfers", "events"),
            )
        yield from self._each([sent])

    @staticmethod
    def _sides(flows: list[Row], sent: Row) -> tuple[list[tuple[int, Unit]], list[tuple[int, Unit]]]:
        gave: list[tuple[int, Unit]] = []
        got: list[tuple[int, Unit]] = []
        for row in flows:
            if net := int(row["received"]) - int(row["given"]):
                (got if net > 0 else gave).append((abs(net), of_token(row)))
        if int(sent["value"]):
            gave.append((int(sent["value"]), Unit(18)))
        return gave, got

    def _unwrapped(self, hashes: Compare) -> int:
        events = tuple(
            Compare(column=name, values=(value,))
            for name, value in (("event", "Withdrawal"), ("declared_in", "WETH"))
        )
        query = sql.narrowed(ChainQuery(subject="logs", measure="sum", column="value", where=hashes), *events)
        rows = self.run(sql.figure(query)).rows
        return int(rows[0][0]) if rows else 0

    def _compared(self) -> Iterator[Statement]:
        """A figure of two blocks: which is more, by how much, by what ratio."""
        ones = [
            self.query.model_copy(update={"blocks": (one,), "compare": None}) for one in self.query.blocks
        ]
        results = [self.run(sql.figure(one)) for one in ones]
        rows = [result.records()[0] if result.rows else {"figure": 0, "found": 0} for result in results]
        values = [self._value(row) for row in rows]
        unit = self._unit(rows[0]) if rows[0].get("figure") is not None else self._unit(rows[-1])
        shown = [self._worth(one, unit) for one in values]
        places = [verbalize.blocks(one) for one in ones]
        what = self._what()
        both = f"{shown[0]} in {places[0]} and {shown[1]} in {places[1]}"
        lead = self._lead(values, unit, places)
        yield Statement(
            f"{lead}: {what}, {both}.", tuple(self._first(ones)), self.subject.documents, results[0]
        )
        yield Statement(f"{places[1].capitalize()}: {shown[1]}.", result=results[1])

    def _first(self, ones: Sequence[ChainQuery]) -> list[Row]:
        return [row for one in ones for row in self.run(sql.listing(one, 1)).records()]

    def _value(self, row: Row) -> Decimal:
        raw = Decimal(str(row.get("figure") or 0))
        if self.query.measure == "mean" and row["found"]:
            return raw / int(row["found"])
        return raw / int(row["middle"]) if self.query.measure == "median" and row.get("middle") else raw

    def _worth(self, value: Decimal, unit: Unit | None) -> str:
        if value == value.to_integral_value():
            return amount(int(value), unit)
        return mean(value, 1, unit or Unit(None))

    def _what(self) -> str:
        plain = self.query.model_copy(update={"blocks": ()})
        said = verbalize.condition(plain.where, plain.subject, self.names)
        noun = (
            f"{verbalize.figure(self.query)} of the {self.subject.noun}s"
            if self.query.measure != "count"
            else f"{self.subject.noun}s"
        )
        return f"{noun}{f' {said}' if said else ''}"

    def _lead(self, values: Sequence[Decimal], unit: Unit | None, places: Sequence[str]) -> str:
        first, last = values
        if self.query.compare == "ratio":
            larger, smaller = max(values), min(values)
            asked = self._ratio(first, last)
            del larger, smaller
            return asked
        if first == last:
            return "No difference"
        at = 0 if first > last else 1
        gap = self._worth(abs(first - last), unit)
        percent = f", {abs(last - first) * 100 / abs(first):.6g} per cent of {places[0]}'s" if first else ""
        if self.query.compare == "which":
            return f"{places[at].capitalize()} has more, by {gap}"
        return f"{gap} more in {places[at]}{percent}"

    @staticmethod
    def _ratio(first: Decimal, last: Decimal) -> str:
        if not last:
            return "No ratio can be given, for the second figure is zero"
        inverse = f" (the other way round {last / first:.8g})" if first else ""
        return f"A ratio of {first / last:.8g}{inverse}"

    def _overlapping(self) -> Iterator[Statement]:
        result = self.run(sql.overlap(self.query))
        found = int(result.rows[0][1]) if result.rows else 0
        noun = self.column.noun if self.column else "value"
        one, two = (self.query.model_copy(update={"blocks": (span,)}) for span in self.query.blocks)
        where = (
            f"stand in both {verbalize.blocks(one)} and {verbalize.blocks(two)}"
            if self.query.overlap == "both"
            else f"stand in {verbalize.blocks(one)} and not in {verbalize.blocks(two)}"
        )
        said = verbalize.condition(self.query.where, self.query.subject, self.names)
        yield Statement(
            f"{found} different {noun}s of {self.subject.noun}s{f' {said}' if said else ''} {where}.",
            result=result,
        )
        if 0 < found <= LISTED:
            yield Statement(f"They are: {'; '.join(str(row[0]) for row in result.rows)}.", result=result)
