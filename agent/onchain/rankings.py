"""Superlatives and ordinals: of rows by a column, of groups by how many rows or how much they have."""

from __future__ import annotations

from agent.onchain.columns import SUBJECTS
from agent.onchain.leftover import Leftover, comparisons
from agent.onchain.names import is_a
from agent.onchain.terms import Declined, column_for

_SUMMED = ("total", "sum", "combined", "cumulative", "aggregate", "total amount", "total value", "total of")


class Rankings(Leftover):
    """Reads what is the most, the least, the first, the last, and of what."""

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
        if role and role != "transaction_hash" and self.subject != "blocks" and not single:
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
        return self.take("quantity", "many") is not None

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
        compared = [o for o in comparisons(self.where) if o.column in SUBJECTS[self.subject].columns]
        numeric = [o.column for o in compared if SUBJECTS[self.subject].columns[o.column].numeric]
        if len(set(numeric)) == 1:
            return numeric[0]
        if self.subject in ("transfers", "logs"):
            return "value"
        raise Declined("it does not say by what the largest is meant")

    def _shown(self, listing: str | None = None) -> None:
        raise NotImplementedError
