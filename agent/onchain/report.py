"""What the rows say, in sentences: the figure first, with the reading of the question, then its rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from decimal import Decimal, localcontext

from agent.onchain import sql_compiler as sql
from agent.onchain import verbalize
from agent.onchain.columns import Column, column_of
from agent.onchain.flows import LISTED, SUMMED, Flows, Run, Statement
from agent.onchain.query import ChainQuery, Compare
from agent.onchain.rows import Row, Unit, amount, mean, of_token, token
from agent.onchain.sandbox import Result
from agent.onchain.verbalize import Names


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


class _Report(Flows):
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
        for row in found[:SUMMED]:
            of = f" of {token(row)}" if "token_address" in row else ""
            count = int(row["found"])
            rows = f" of {count} {self._nouns(count)}"
            yield Statement(
                f"{self._figured(row)}: the {what}{of}{rows}, the {self.reading}.",
                tuple(shown if whole else shown[:1]),
                self.subject.documents,
                None if whole else result,
            )
        if len(found) > SUMMED:
            yield Statement(f"{len(found) - SUMMED} more tokens are not listed.", result=result)
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
        column = column_of(self.query.subject, self.query.group or "")
        if column is None:
            return ""
        named = verbalize.value(str(row["named"]), column, self.names)
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
            f"{result.rows[0][0]} different {noun}s with {limit} {self.subject.noun}s each,"
            f" of the {self.reading}.",
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
            lead,
            tuple(best + ties),
            self._documents(column.name if column else None),
            result if ties else None,
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

    def _unit_of(self, column: Column, row: Row) -> Unit | None:
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
        said = "; ".join(self._said(row, column) for row in rows) if column else ""
        return f"{column.noun} {said}" if column and self.column is None else said

    def _said(self, row: Row, column: Column) -> str:
        cell = self._cell(row, column.name)
        if cell is None:
            return "none"
        if column.numeric:
            return self._amount(cell, self._unit_of(column, row))
        if column.kind == "time":
            return f"{str(cell).replace('T', ' ')[:19]} UTC"
        return verbalize.value(str(cell), column, self.names)

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


def cut(statements: Sequence[Statement], fits: Callable[[str], bool]) -> list[Statement]:
    """The first statements whose text together fits; those after the first that does not are left out."""
    kept: list[Statement] = []
    for statement in statements:
        if not fits("\n".join(one.text for one in [*kept, statement])):
            break
        kept.append(statement)
    return kept
