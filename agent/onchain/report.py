"""What the rows say, in sentences: the figure first, with the reading of the question, then its rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal, localcontext

from agent.onchain import sql_compiler as sql
from agent.onchain import verbalize
from agent.onchain.columns import SUBJECTS, TOKEN_COLUMN, column_of
from agent.onchain.query import Any, ChainQuery, Compare, conjuncts
from agent.onchain.rows import Row, Unit, amount, mean, of_token, row_told, token, unit_of
from agent.onchain.sandbox import Result
from agent.onchain.verbalize import Names

Run = Callable[[str], Result]
"""Runs one query of ours."""

LISTED = 12
"""Rows that are told one by one."""

_SUMMED = 6


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


def told(
    query: ChainQuery, names: Names, run: Run, party: str | None = None, swap: bool = False
) -> list[Statement]:
    """The answer to a query, the sentence that says most first. party, swap: as the parser read them."""
    ran: list[Result] = []

    def noted(text: str) -> Result:
        ran.append(run(text))
        return ran[-1]

    report = _Report(query, names, noted)
    found = list(report.net(party) if party else report.swapped() if swap else report.made())
    return [replace(one, query=ran[0]) for one in found]


class _Report:
    def __init__(self, query: ChainQuery, names: Names, run: Run) -> None:
        self.query, self.names, self.run = query, names, run
        self.subject = SUBJECTS[query.subject]
        self.column = column_of(query.subject, query.column) if query.column else None
        self.reading = verbalize.rows(query, names)

    def made(self) -> Iterator[Statement]:
        if self.query.compare:
            return self._compared()
        if self.query.overlap:
            return self._overlapping()
        if self.query.group:
            return self._grouped()
        makers: dict[str, Callable[[], Iterator[Statement]]] = {
            "count": self._counted,
            "rows": self._ordered if self.query.order or self.column else self._counted,
            "distinct": self._distinct,
            "share": self._share,
        }
        return makers.get(self.query.measure, self._added)()

    def _listed(self, limit: int = LISTED, skip: int = 0) -> list[Row]:
        return self.run(sql.listing(self.query, limit, skip)).records()

    def _each(self, rows: Sequence[Row]) -> Iterator[Statement]:
        for row in rows:
            yield Statement(row_told(self.query.subject, row), (row,), self.subject.documents)

    def _nouns(self, count: int) -> str:
        return self.subject.noun if count == 1 else f"{self.subject.noun}s"

    def _counted(self) -> Iterator[Statement]:
        """How many there are, of how many, in each block; and which, where they are few."""
        result = self.run(sql.counting(self.query))
        found, of_all = (int(one) for one in result.rows[0])
        rows = self._listed() if found else []
        said = verbalize.condition(self.query.where, self.query.subject, self.names)
        parts = self.run(sql.by_block(self.query)).rows if found and not self._one_block() else ()
        each = "; ".join(f"{n} in block {number}" for number, n in parts) if 1 < len(parts) <= 5 else ""
        count = f"{found} of {of_all} {self._nouns(of_all)}" if said else f"{found} {self._nouns(found)}"
        text = f"{count} of {verbalize.blocks(self.query)}{f': those {said}' if said else ''}"
        cited = rows if found <= LISTED else [rows[0], rows[-1]]
        whole = 0 < found <= LISTED
        yield Statement(
            f"{text}{f' ({each})' if each else ''}.",
            tuple(cited),
            self.subject.documents,
            None if whole else result,
        )
        if found <= LISTED or self.query.measure == "rows":
            yield from self._each(rows)
        if found > len(rows) and self.query.measure == "rows":
            yield Statement(f"{found - len(rows)} more are not listed.", result=result)

    def _one_block(self) -> bool:
        return len(self.query.blocks) == 1 and self.query.blocks[0][0] == self.query.blocks[0][1]

    def _distinct(self) -> Iterator[Statement]:
        result = self.run(sql.figure(self.query))
        found, rows = (int(one) for one in result.rows[0])
        yield Statement(
            f"{found}: the {verbalize.figure(self.query)} over {rows} {self._nouns(rows)},"
            f" of the {self.reading}.",
            result=result,
        )
        if 0 < found <= LISTED:
            group = self.query.model_copy(
                update={"measure": "count", "column": None, "group": self.query.column, "order": "most"}
            )
            listed = self.run(sql.grouping(group, LISTED))
            each = "; ".join(f"{r['named']} ({r['found']})" for r in listed.records())
            yield Statement(f"They are, each with the number of rows: {each}.", result=listed)

    def _share(self) -> Iterator[Statement]:
        """A part of the rows, or of a sum over them, in per cent."""
        whole = self.query.model_copy(update={"where": self.query.base, "measure": self._share_of()})
        part = self.query.model_copy(update={"measure": self._share_of()})
        results = [self.run(sql.figure(one)) for one in (part, whole)]
        figures = [int(one.rows[0][0] or 0) if one.rows else 0 for one in results]
        unit = self._unit(results[1].records()[0] if results[1].rows else {})
        of = f"{verbalize.figure(part)} of the " if self.column else ""
        if not figures[1]:
            yield Statement(
                f"No share can be given: the {of}{verbalize.rows(whole, self.names)} come to zero.",
                result=results[1],
            )
            return
        with localcontext(prec=30):
            share = f"{Decimal(figures[0]) * 100 / figures[1]:.8g}"
        shown = [amount(one, unit) if self.column else str(one) for one in figures]
        yield Statement(
            f"{share} per cent, {shown[0]} of {shown[1]}: the {of}{self.reading},"
            f" against the {verbalize.rows(whole, self.names)}.",
            tuple(self._listed(1)),
            self.subject.documents,
            results[0],
        )
        yield Statement(f"All together: {shown[1]}.", result=results[1])

    def _share_of(self) -> str:
        return "sum" if self.column else "count"

    def _unit(self, row: Row) -> Unit | None:
        if self.column is None:
            return None
        return of_token(row) if self.column.kind == "token" else verbalize.unit_of(self.column)

    def _added(self) -> Iterator[Statement]:
        """A sum, an average, a median, of each token apart."""
        result = self.run(sql.figure(self.query))
        found = [row for row in result.records() if row["figure"] is not None]
        shown = self._listed(LISTED + 1)
        whole = 0 < len(shown) <= LISTED
        what = verbalize.figure(self.query)
        if not found:
            sum_ = "0: the total" if self.query.measure == "sum" else "There is no figure: the rows are none,"
            yield Statement(f"{sum_} of the {self.reading}, of which there are none.", result=result)
        for row in found[:_SUMMED]:
            of = f" of {token(row)}" if "token_address" in row else ""
            count = int(row["found"])
            rows = f" of {count} {self._nouns(count)}"
            yield Statement(
                f"{self._figured(row)}: the {what}{of}{rows}, the {self.reading}.",
                tuple(shown if whole else shown[:1]),
                self.subject.documents,
                None if whole else result,
            )
        if len(found) > _SUMMED:
            yield Statement(f"{len(found) - _SUMMED} more tokens are not listed.", result=result)
        if whole and ((self.query.measure == "sum" and len(shown) > 1) or len(shown) == 1):
            yield from self._each(shown)

    def _figured(self, row: Row) -> str:
        unit = self._unit(row) or Unit(None)
        if self.query.measure == "mean":
            total, count = row["figure"], int(row["found"])
            exact = f"{total}/{count} = " if str(total).lstrip("-").isdigit() else ""
            return (
                f"{mean(total, count, unit)} ({exact.removesuffix(' = ')})"
                if exact
                else mean(total, count, unit)
            )
        if self.query.measure == "median":
            return mean(row["figure"], int(row["middle"]), unit)
        return self._amount(row["figure"], unit)

    @staticmethod
    def _amount(figure: object, unit: Unit | None) -> str:
        text = str(figure)
        if not text.lstrip("-").isdigit():
            return f"{float(text):.8g} {unit.name if unit else ''}".strip()
        return amount(int(text), unit)

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

    def _grouped(self) -> Iterator[Statement]:
        """The values of a column, each with its figure, best first."""
        if self.query.having and self.query.order is None:
            yield from self._frequent()
            return
        skip = self.query.rank - 1
        result = self.run(sql.grouping(self.query, self.query.top + 4, skip))
        groups = result.records()
        noun = self._group_noun()
        if not groups:
            yield Statement(f"There are none: {self.reading}.", result=result)
            return
        best = groups[: self.query.top]
        ties = [
            one
            for one in groups[self.query.top :]
            if self.query.order and one["figure"] == best[-1]["figure"]
        ]
        rank = self._rank()
        for at, one in enumerate(best + ties):
            symbol = self._symbol(one)
            lead = f"{noun} {one['named']}{symbol}: {self._group_figure(one)}"
            tie = ", as many as the one before" if ties and at >= self.query.top else ""
            tied = f", shared by {len(ties) + 1}" if ties and at == self.query.top - 1 else ""
            yield Statement(
                f"{lead[:1].upper()}{lead[1:]}{rank}{tie}{tied}, of the {self.reading}.",
                self._example(one["named"]),
                self.subject.documents,
                result,
            )

    def _group_noun(self) -> str:
        column = column_of(self.query.subject, self.query.group or "")
        return column.noun if column else ""

    def _symbol(self, row: Row) -> str:
        named = verbalize.value(
            str(row["named"]), column_of(self.query.subject, self.query.group or ""), None, self.query.subject, self.names,  # type: ignore[arg-type]
        )  # fmt: skip
        return named.removeprefix(str(row["named"]))

    def _rank(self) -> str:
        if self.query.order is None:
            return ""
        word = "most" if self.query.order == "most" else "fewest"
        place = f", rank {self.query.rank} from the" if self.query.rank > 1 else ", the"
        return f"{place} {word}"

    def _group_figure(self, row: Row) -> str:
        count = int(row["found"])
        if self.query.measure in ("count", "rows"):
            return f"{count} {self._nouns(count)}"
        unit = self._unit(row if row.get("tokens", 1) == 1 else {})
        what = verbalize.figure(self.query)
        if self.query.measure == "mean":
            shown = mean(row["figure"], count, unit or Unit(None))
        else:
            shown = self._amount(row["figure"], unit)
        return f"{shown}, {what} of {count} {self._nouns(count)}"

    def _example(self, value: object) -> tuple[Row, ...]:
        group = column_of(self.query.subject, self.query.group or "")
        if group is None or group.numeric:
            return ()
        only = sql.narrowed(self.query, Compare(column=group.name, values=(str(value),)))
        return tuple(
            self.run(sql.listing(only.model_copy(update={"order_by": None, "order": None}), 2)).records()
        )

    def _frequent(self) -> Iterator[Statement]:
        having = self.query.having
        result = self.run(sql.groups(self.query))
        words = {">": "more than", ">=": "at least", "<": "less than", "<=": "at most", "=": "exactly"}
        limit = (
            f"{words[having.operator]} {having.values[0]}" if having and having.operator != "known" else ""
        )
        noun = self._group_noun()
        yield Statement(
            f"{result.rows[0][0]} different {noun}s with {limit} {self.subject.noun}s each, of the {self.reading}.",
            result=result,
        )

    def _ordered(self) -> Iterator[Statement]:
        """The best rows, or those of which a column is asked."""
        if not self.query.order:
            yield from self._shown()
            return
        result = self.run(sql.listing(self.query, self.query.top + 4, self.query.rank - 1))
        rows = result.records()
        if not rows:
            yield Statement(f"There are none: {self.reading}.", result=result)
            return
        yield from self._best(rows, result)

    def _best(self, rows: list[Row], result: Result) -> Iterator[Statement]:
        best = rows[: self.query.top]
        column = column_of(self.query.subject, self.query.order_by) if self.query.order_by else None
        ties: list[Row] = []
        if column is None:
            place = "last" if self.query.order == "most" else "first"
            count = f"{self.query.top} " if self.query.top > 1 else ""
            at = (
                f"number {self.query.rank} from the {place}"
                if self.query.rank > 1
                else f"the {place} {count}"
            )
            lead = f"{self._asked(best)}: {at.strip()}, in the order of the chain, of the {self.reading}."
        else:
            key = self._key(column.name)
            ties = [row for row in rows[self.query.top :] if row.get(key) == best[-1].get(key)]
            unit = self._unit_of(column, best[0])
            figures = "; ".join(self._amount(self._cell(row, column.name), unit) for row in best)
            word = "largest" if self.query.order == "most" else "smallest"
            rank = f"number {self.query.rank} from the {word}" if self.query.rank > 1 else f"the {word}"
            shared = f", shared by {len(ties) + 1}" if ties else ""
            lead = f"{figures}{self._whose(best)}: {rank} {column.noun}{shared} of the {self.reading}."
        yield Statement(
            lead, tuple(best + ties), self._documents(column and column.name), result if ties else None
        )
        yield from self._each(best + ties)
        if column and column.kind == "token" and not verbalize.token_of(self.query):
            yield Statement(
                "Raw units of different tokens were compared, for the question names none.", result=result
            )

    def _documents(self, column: str | None) -> tuple[str, ...]:
        return (
            ("events",)
            if column == "logs" and self.query.subject == "transactions"
            else self.subject.documents
        )

    @staticmethod
    def _key(name: str) -> str:
        return {"gas_limit": "gas"}.get(name, name)

    def _cell(self, row: Row, name: str) -> object:
        if name == "fullness":
            return row["gas_used"] * 100.0 / row["gas_limit"]
        if name == "gas_limit" and self.query.subject == "transactions":
            return row["gas"]
        return row.get(name)

    def _unit_of(self, column: object, row: Row) -> Unit | None:
        from agent.onchain.columns import Column

        assert isinstance(column, Column)
        return of_token(row) if column.kind == "token" else verbalize.unit_of(column)

    def _whose(self, rows: Sequence[Row]) -> str:
        name = {"transactions": "transaction_hash", "blocks": "block_number"}.get(self.query.subject)
        if name is None or len(rows) > 1:
            return ""
        return f", {self.subject.noun} {rows[0][name]}"

    def _asked(self, rows: Sequence[Row]) -> str:
        """The column that was asked of some rows, or what they are."""
        name = {"transactions": "transaction_hash", "blocks": "block_number"}.get(
            self.query.subject, "log_index"
        )
        column = self.column or column_of(self.query.subject, name)
        assert column is not None, "each subject has such a column"
        said = "; ".join(self._said(row, column) for row in rows)
        return f"{column.noun} {said}" if self.column is None else said

    def _said(self, row: Row, column: object) -> str:
        from agent.onchain.columns import Column

        assert isinstance(column, Column)
        cell = self._cell(row, column.name)
        if cell is None:
            return "none"
        if column.numeric:
            return self._amount(cell, self._unit_of(column, row))
        if column.kind == "time":
            return f"{str(cell).replace('T', ' ')[:19]} UTC"
        return verbalize.value(str(cell), column, None, self.query.subject, self.names)

    def _shown(self) -> Iterator[Statement]:
        """A column of the rows that the conditions name."""
        result = self.run(sql.listing(self.query, LISTED + 1))
        rows = result.records()
        if not rows:
            yield Statement(f"There are none: {self.reading}.", result=result)
            return
        noun = self.column.noun if self.column else ""
        values = list(dict.fromkeys(self._asked([row]) for row in rows[:LISTED]))
        text = f"{'; '.join(values)}: the {noun} of the {self.reading}."
        whole = len(rows) <= LISTED
        yield Statement(
            text[:1].upper() + text[1:],
            tuple(rows[:LISTED]),
            self.subject.documents,
            None if whole else result,
        )
        yield from self._each(rows[:LISTED])
        if not whole:
            yield Statement(f"Only the first {LISTED} are listed.", result=result)

    def net(self, party: str) -> Iterator[Statement]:
        """What a party received and gave of each token."""
        result = self.run(sql.flows(self.query, party))
        sides = tuple(Compare(column=name, values=(party,)) for name in ("from_address", "to_address"))
        moves = self.run(sql.listing(sql.narrowed(self.query, Any(any=sides)), LISTED)).records()
        if not result.rows:
            yield Statement(f"0: {party} neither gave nor received any of the {self.reading}.", result=result)
        for row in result.records()[:_SUMMED]:
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
            f"In transaction {sent['transaction_hash']} (block {sent['block_number']}) the sender {sender} gave"
            f" {texts[0]} and received {texts[1]}{how}{rates}.",
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


def _rates(gave: tuple[int, Unit], got: tuple[int, Unit]) -> str:
    if gave[1].decimals is None or got[1].decimals is None:
        return "no rate, for decimals are not known"
    with localcontext(prec=50):
        one, other = (Decimal(raw).scaleb(-(unit.decimals or 0)) for raw, unit in (gave, got))
        forth, back = other / one, one / other
    paid, received = unit_of(gave[1]), unit_of(got[1])
    return f"{forth:.12g} {received} for one {paid}, {back:.12g} {paid} for one {received}"


def cut(statements: Sequence[Statement], fits: Callable[[str], bool]) -> list[Statement]:
    """The first statements whose text together fits; those after the first that does not are left out."""
    kept: list[Statement] = []
    for statement in statements:
        if not fits("\n".join(one.text for one in [*kept, statement])):
            break
        kept.append(statement)
    return kept


__all__ = ["LISTED", "TOKEN_COLUMN", "Run", "Statement", "cut", "told"]
