"""The commands of a bot: messages that begin with a stroke."""

from __future__ import annotations

import asyncio
import difflib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from agent.answers.markdown import to_markdown
from agent.records.privacy import mask
from agent.surfaces.bots import render
from agent.surfaces.bots.access import Quota, Spent
from agent.surfaces.bots.channel import File, Reply
from agent.surfaces.bots.messages import Block, Span, plain
from agent.surfaces.chat.words import OFF, changed_filters, filter_words
from agent.surfaces.cli.options import day
from agent.text.render import one_line
from index.errors import SettingsError
from index.values import Filters

if TYPE_CHECKING:
    from agent.surfaces.bots.surface import Talk

MOST = 32_000
"""Tokens of the largest budget that may be set in a chat."""


@dataclass(frozen=True, slots=True)
class Word:
    """A command: what may follow it, what it does, in words and in deed. admin: for admins alone."""

    usage: str
    help: str
    run: Callable[[Talk, str], Awaitable[Reply]]
    admin: bool = False


def parted(text: str) -> tuple[str, str]:
    """The name of a command and what follows it; no name where the text is none.

    >>> parted("/open 2"), parted("what is /open?")
    (('open', '2'), ('', 'what is /open?'))
    """
    if not text.startswith("/"):
        return "", text
    first, *rest = text[1:].split(maxsplit=1) if text[1:].strip() else [""]
    return first.lower(), rest[0] if rest else ""


def unknown(name: str) -> str:
    """What is said of a command that is not there."""
    near = difflib.get_close_matches(name, [*WORDS, "ask"], n=1, cutoff=0.5)
    hint = f"did you mean /{near[0]}?" if near else "/help lists what there is."
    return f"There is no command /{one_line(name)[:40]}; {hint}"


async def _sources(talk: Talk, rest: str) -> Reply:
    return Reply(render.sources_text(talk.answer(rest)))


async def _open(talk: Talk, rest: str) -> Reply:
    number, _, answer_id = rest.partition(" ")
    answer = talk.answer(answer_id)
    found = [one for one in answer.citations if str(one.number) == number.strip("[]")]
    if not found:
        there = f"it has [1] to [{len(answer.citations)}]" if answer.citations else "it has none"
        raise SettingsError(f"the answer has no source {number!r}; {there}")
    return Reply(render.citation_text(found[0]))


async def _verify(talk: Talk, rest: str) -> Reply:
    from agent.answers.verify import verify

    answer = talk.answer(rest)
    checks = await asyncio.to_thread(verify, answer, talk.surface.reread)
    return Reply(render.checks_text(answer, checks))


async def _file(talk: Talk, rest: str) -> Reply:
    answer = talk.answer(rest)
    return Reply(
        plain("The answer with all its sources."),
        file=File(f"{answer.id}.md", mask(to_markdown(answer))),
    )


async def _filter(talk: Talk, rest: str) -> Reply:
    chosen = talk.chosen
    if rest:
        filters = Filters() if rest == OFF else changed_filters(chosen.filters, rest)
        chosen = talk.choose(replace(chosen, filters=filters))
    words = " ".join(filter_words(chosen.filters)) or "none"
    passing = len(await asyncio.to_thread(talk.surface.library.documents, chosen.filters))
    return Reply(
        plain(f"Filters: {words}; {passing:,} {'document passes' if passing == 1 else 'documents pass'}.")
    )


async def _as_of(talk: Talk, rest: str) -> Reply:
    chosen = talk.chosen
    if rest:
        chosen = talk.choose(replace(chosen, as_of=None if rest == OFF else day("/asof", rest)))
    said = f"As of {chosen.as_of}: only what was there by then." if chosen.as_of else "As of now."
    return Reply(plain(said))


async def _budget(talk: Talk, rest: str) -> Reply:
    chosen = talk.chosen
    if rest:
        digits = rest.replace(",", "").replace("_", "")
        budget = int(digits) if digits.isdecimal() and len(digits) < 9 else 0
        if not 1 <= budget <= MOST:
            raise SettingsError(f"{rest[:40]!r} is no budget; give a number of tokens from 1 to {MOST:,}")
        chosen = talk.choose(replace(chosen, budget=budget))
    budget = chosen.budget or talk.surface.settings.budget
    return Reply(plain(f"Budget: {budget:,} tokens for question, evidence and answer."))


async def _new(talk: Talk, _rest: str) -> Reply:
    talk.surface.begin_anew(talk.incoming.conversation)
    return Reply(plain("A new conversation: the next question stands for itself."))


async def _usage(talk: Talk, _rest: str) -> Reply:
    quotas, incoming = talk.surface.quotas, talk.incoming
    return Reply(
        plain(
            "Today (UTC):",
            _used("you", quotas.spent(incoming.person), talk.quota or quotas.of_user),
            _used("this chat", quotas.spent(incoming.place), quotas.of_chat),
        )
    )


def _used(whose: str, spent: Spent, quota: Quota) -> str:
    def of(used: str, most: float, shown: str) -> str:
        return f"{used} of {shown}" if most else used

    return (
        f"{whose}: questions {of(f'{spent.questions:,}', quota.questions, f'{quota.questions:,}')}, "
        f"tokens {of(f'{spent.tokens:,}', quota.tokens, f'{quota.tokens:,}')}, "
        f"US dollars {of(f'{spent.cost:.2f}', quota.cost, f'{quota.cost:.2f}')}"
    )


async def _forget(talk: Talk, _rest: str) -> Reply:
    talk.surface.forget(talk.incoming.conversation)
    return Reply(plain("Erased: the questions and answers of this conversation, and its settings."))


async def _wallet(talk: Talk, rest: str) -> Reply:
    if talk.surface.gate is None:
        raise SettingsError("this bot has no token gate; it needs no wallet")
    if not talk.incoming.private:
        raise SettingsError("a wallet is proved in a private chat; write /wallet to the bot there")
    return Reply(await talk.surface.gate.talk(talk.incoming.person, rest), aside=True)


async def _allow(talk: Talk, rest: str) -> Reply:
    talk.surface.access.change(rest, allowed=True)
    return Reply(plain(f"Allowed: {rest}"))


async def _deny(talk: Talk, rest: str) -> Reply:
    talk.surface.access.change(rest, allowed=False)
    return Reply(plain(f"Denied: {rest}"))


async def _stats(talk: Talk, _rest: str) -> Reply:
    lines = [f"{name}: {value}" for name, value in talk.surface.stats().items()]
    said = [f"{'allowed' if on else 'denied'}: {one}" for one, on in talk.surface.access.changed().items()]
    return Reply(plain(*lines, *said), aside=True)


async def _help(talk: Talk, _rest: str) -> Reply:
    admin = talk.surface.access.is_admin(talk.incoming)
    spans = [Span("Ask in words, or reply to an answer to go on from there.\n\n")]
    spans += [Span("/ask QUESTION", "code"), Span("  ask, also in a group\n")]
    for name, word in WORDS.items():
        if (admin or not word.admin) and name != "start" and (name != "wallet" or talk.surface.gate):
            spans += [Span(f"/{name} {word.usage}".strip(), "code"), Span(f"  {word.help}\n")]
    return Reply((Block(tuple(spans)),))


WORDS = {
    "sources": Word("", "the sources of the last answer, or of the one replied to", _sources),
    "open": Word("N", "the passage behind [N], and where it opens", _open),
    "verify": Word("", "go back to each source: is it what it was?", _verify),
    "file": Word("", "the answer as a file", _file),
    "filter": Word("[NAME=VALUE|off]", "only these sources, as kind=proposal", _filter),
    "asof": Word("[DATE|off]", "only what was there by that day", _as_of),
    "budget": Word("[TOKENS]", "tokens for question, evidence and answer", _budget),
    "new": Word("", "begin a new conversation", _new),
    "usage": Word("", "what you and this chat spent today", _usage),
    "forget": Word("", "erase this conversation", _forget),
    "wallet": Word("[ADDRESS|SIGNATURE]", "prove a wallet to the token gate", _wallet),
    "allow": Word("SUBJECT", "allow a user, chat, guild or role", _allow, admin=True),
    "deny": Word("SUBJECT", "deny one", _deny, admin=True),
    "stats": Word("", "what the bot is doing", _stats, admin=True),
    "help": Word("", "this list", _help),
    "start": Word("", "this list", _help),
}
