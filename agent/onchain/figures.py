"""One figure, figures for each value of a column, and figures of two blocks."""

from __future__ import annotations

from agent.onchain.columns import SUBJECTS, SubjectName
from agent.onchain.lexer import Blocks, Token
from agent.onchain.query import Compare, both
from agent.onchain.rankings import Rankings
from agent.onchain.terms import Declined, column_for


def additive(column: str) -> bool:
    """Whether a sum of the column over several rows is what its bare name asks for."""
    return column in ("gas_used", "value", "fee", "tip", "burnt", "logs", "transfers", "fees", "tips", "sent")


def each(blocks: Blocks) -> list[tuple[int, int]]:
    """The blocks one by one, where there are few."""
    if sum(last - first + 1 for first, last in blocks) > 2:
        return list(blocks)
    return [(n, n) for first, last in blocks for n in range(first, last + 1)]


class Figures(Rankings):
    """Reads aggregates, groups, comparisons of two blocks, and what both or only one of them have."""

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
        spans = each(self.fields["blocks"])
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
        if role is None or role == "block_number":
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

    def _difference(self) -> bool:
        spans = each(self.fields["blocks"])
        word = next((o.kinds["difference"] for o in self.left if "difference" in o.kinds), None)
        if word is None and self.has("compare", ">", "<") and not any(o.number for o in self.left):
            word = "which"
            self.take("compare")
        if word is None:
            return False
        if not spans and not self.fields["blocks"] and self.known.last - self.known.first == 1:
            spans = [(n, n) for n in (self.known.first, self.known.last)]
        if len(self.fields["blocks"]) == 1 and len(spans) == 1 and spans[0][0] < spans[0][1]:
            spans = [(n, n) for n in spans[0]]
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

    def _frequent(self) -> bool:
        return "having" in self.fields

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
        if aggregate is None and self.subject == "transactions" and not additive(column):
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

    def _amount(self) -> None:
        """How much of a token: the sum of its amounts."""
        if self.subject not in ("transfers", "logs"):
            raise Declined("it does not say how much of what")
        self.fields |= {"measure": "sum", "column": "value"}
