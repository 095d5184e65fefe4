"""What an agent does when its model fails: the same model again, then the fallbacks in turn."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from langchain.agents.middleware import AgentMiddleware, ModelRequest, ModelResponse
from langchain_core.language_models import BaseChatModel

from index.errors import Interrupted, ModelError

HOPELESS = {"key", "credit", "deadline"}
"""Reasons that another model at the same endpoint would meet as well."""

REASONING = "reasoning"
"""The reason of a stop at which something was learnt of the model, so that it does not stop there again."""

Failed = Callable[[ModelError, str | None], None]


class Failover(AgentMiddleware[Any, Any, Any]):
    """Asks the fallback models in turn where a model fails, and a model again that stopped in its answer.

    failed: called with each error and the name of the model that is asked next (None: no other); what was
    shown of the answer until then is void.

    langchain's `ModelFallbackMiddleware` would ask the next model after any exception at all, such as a spent
    budget, and its `ModelRetryMiddleware` tells nobody that it begins again.
    """

    def __init__(
        self, fallbacks: Sequence[BaseChatModel], retries: int, failed: Failed | None = None
    ) -> None:
        super().__init__()
        self._fallbacks = tuple(fallbacks)
        self._retries = retries
        self._failed = failed or (lambda _error, _next: None)

    async def awrap_model_call(
        self,
        request: ModelRequest[Any],
        handler: Callable[[ModelRequest[Any]], Awaitable[ModelResponse[Any]]],
    ) -> ModelResponse[Any]:
        """The answer of the first model that gives one. Raises the last model's error where none does."""
        asked = getattr(request.model, "model_name", None)
        left = [model for model in self._fallbacks if getattr(model, "model_name", None) != asked]
        again = self._retries
        while True:
            try:
                return await handler(request)
            except ModelError as error:
                if error.reason == REASONING or (
                    isinstance(error, Interrupted) and again and error.reason not in HOPELESS
                ):
                    again -= error.reason != REASONING
                elif left and error.reason not in HOPELESS:
                    request, again = request.override(model=left.pop(0)), self._retries
                else:
                    self._failed(error, None)
                    raise
                self._failed(error, getattr(request.model, "model_name", None))
