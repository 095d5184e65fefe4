"""The chat models that may speak: any behind an OpenAI-compatible endpoint, guarded, counted and paid for.

models = Models.connect(settings, Ledger(settings.library))  # None where no endpoint is set
asking = models.question("q1")                               # a fresh allowance and deadline
answer = await asking.chat().ainvoke("What is the base fee?")
answer.response_metadata["model_name"]                       # who spoke
"""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING

import agent.models.prices as prices
from agent.models.allowance import Allowance
from agent.records import privacy
from agent.records.ledger import Ledger
from agent.requests.budget import EncodingName
from index.settings import Settings

if TYPE_CHECKING:
    from langchain.agents.middleware import AgentMiddleware

    from agent.models.client import Asker, ChatModel
    from agent.models.failover import Failed

__all__ = ["Allowance", "Models"]


class Models:
    """The models of one endpoint, for one user, and for one question at a time.

    names: the chosen model, then its fallbacks; simple: the model for simple look-ups (the chosen one where
    none is set); judge: the model that judges support, None where none is set.
    allowance: what the question may still spend.
    """

    def __init__(self, asker: Asker) -> None:
        self._asker = asker
        settings = asker.settings
        self.names = tuple(dict.fromkeys((settings.model, *settings.fallback_models)))
        self.simple = settings.simple_model or settings.model
        self.judge = settings.judge_model

    @classmethod
    def connect(cls, settings: Settings, ledger: Ledger, *, user: str = "local") -> Models | None:
        """The models of these settings; None where neither a key nor an endpoint is set.

        Nothing is sent. From now on the logs of this process are masked. Raises SettingsError where the
        endpoint may not be used: outside this machine under `only_loopback`, or by http with a key.
        """
        if settings.api_key is None and settings.base_url is None:
            return None
        from agent.models.client import Asker
        from agent.models.line import check

        privacy.hide(settings)
        check(settings)
        return cls(Asker(settings, ledger, user, "", "", Allowance.of(settings)))

    @property
    def allowance(self) -> Allowance:
        """What the question may still spend, and what it has spent."""
        return self._asker.allowance

    @property
    def told(self) -> tuple[str, ...]:
        """What was learnt of endpoints while this question was answered, a sentence each."""
        return tuple(self._asker.told)

    def question(self, question: str, thread: str = "") -> Models:
        """The same models for a new question, whose time begins now. question, thread: ids for the ledger."""
        allowance = Allowance.of(self._asker.settings)
        return Models(replace(self._asker, question=question, thread=thread, allowance=allowance, told=[]))

    def chat(self, name: str | None = None) -> ChatModel:
        """A chat model of langchain's, asynchronous only. name: any model of the endpoint, else the first.

        It raises ModelError where the endpoint fails, Unavailable where trying again may help, Interrupted
        where that was after some words came; and BudgetError where the question has spent its allowance.
        It retries what fails before the first words by itself.
        """
        from agent.models.client import ChatModel

        return ChatModel.of(name or self.names[0], self._asker)

    def middleware(self, failed: Failed | None = None) -> list[AgentMiddleware]:
        """What makes an agent of `create_agent` go on where a model fails; put it first.

        failed: called with each error and the name of the model asked next, None where none is left. What
        was shown of the answer until then is void.
        """
        from agent.models.failover import Failover

        fallbacks = [self.chat(name) for name in self.names[1:]]
        return [Failover(fallbacks, self._asker.settings.retries, failed)]

    def window(self, name: str | None = None) -> int:
        """The tokens that a model can take: the setting `window`, else what is known of it, else 8,192."""
        return self._asker.settings.window or prices.window(name or self.names[0])

    def encoding(self, name: str | None = None) -> EncodingName:
        """How a model's tokens are counted; `o200k_base` where it is not known."""
        return prices.encoding(name or self.names[0])

    def price(self, name: str, tokens_in: int, tokens_out: int, cached: int = 0) -> Decimal | None:
        """US dollars for so many tokens; None where the price is not known."""
        from agent.models.line import url_of

        settings = self._asker.settings
        return prices.price(name, tokens_in, tokens_out, cached, url=url_of(settings), own=settings.prices)
