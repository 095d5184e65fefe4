"""What one question may spend: time, requests, tool calls and money. Asked before anything is sent."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from decimal import Decimal

from index.errors import BudgetError
from index.settings import Settings


@dataclass
class Allowance:
    """The allowance of one question, and what it has spent.

    deadline: on the clock of `time.monotonic`, as event loops have it; cost, max_cost: US dollars.
    unpriced: calls whose cost is not known and so not in `cost`.
    """

    deadline: float
    max_requests: int
    max_tool_calls: int
    max_cost: Decimal
    requests: int = 0
    tool_calls: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    cost: Decimal = field(default=Decimal(0))
    unpriced: int = 0

    @classmethod
    def of(cls, settings: Settings) -> Allowance:
        """A fresh allowance, whose time begins now."""
        return cls(
            deadline=time.monotonic() + settings.deadline,
            max_requests=settings.max_requests,
            max_tool_calls=settings.max_tool_calls,
            max_cost=Decimal(str(settings.max_cost)),
        )

    @property
    def seconds(self) -> float:
        """The seconds that are left; 0 when they are over."""
        return max(self.deadline - time.monotonic(), 0.0)

    def request(self) -> None:
        """Counts a request that is about to be sent. Raises BudgetError when none is left."""
        if self.requests >= self.max_requests:
            raise BudgetError(
                f"the question has used its {self.max_requests} requests to chat models; ask for less, or"
                " raise CHAINCITE_MAX_REQUESTS"
            )
        if self.cost >= self.max_cost:
            raise BudgetError(
                f"the question has cost ${self.cost:.4f} of the ${self.max_cost} it may; ask for less, or"
                " raise CHAINCITE_MAX_COST"
            )
        self.requests += 1

    def tool_call(self) -> None:
        """Counts a tool call that is about to be made. Raises BudgetError when none is left."""
        if self.tool_calls >= self.max_tool_calls:
            raise BudgetError(
                f"the question has used its {self.max_tool_calls} tool calls; ask for less, or raise"
                " CHAINCITE_MAX_TOOL_CALLS"
            )
        self.tool_calls += 1

    def spent(self, tokens_in: int, tokens_out: int, cost: Decimal | None) -> None:
        """Adds what a call came to. cost: None where it is not known."""
        self.tokens_in += tokens_in
        self.tokens_out += tokens_out
        self.cost += cost or 0
        self.unpriced += cost is None
