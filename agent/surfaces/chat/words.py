"""The commands of a chat: lines that begin with a stroke."""

from __future__ import annotations

import asyncio
import difflib
import shlex
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from agent.answers.excerpt import in_context
from agent.answers.markdown import to_markdown
from agent.answers.values import Answer, to_json
from agent.surfaces.cli.options import day, filters_of
from agent.surfaces.terminal import show_checks, show_excerpt, show_sources
from agent.text.render import one_line
from index.errors import SettingsError, SourceError
from index.values import Filters

if TYPE_CHECKING:
    from agent.surfaces.chat.talk import Chat

FILTERS = {
    "kind": "kinds",
    "source": "sources",
    "author": "authors",
    "chain": "chains",
    "contract": "contracts",
    "status": "statuses",
    "from": "published_from",
    "to": "published_to",
}
"""What a filter is called, and its field in `Filters`."""

OFF = "off"


@dataclass(frozen=True, slots=True)
class Word:
    """A command: what may follow it, what it does, in words and in deed."""

    usage: str
    help: str
    run: Callable[[Chat, str], Awaitable[None]]


async def obey(chat: Chat, line: str) -> None:
    """Does what a line that begins with a stroke says. Raises ChainciteError, naming the nearest command."""
    name, _, rest = line.strip()[1:].partition(" ")
    if name not in WORDS:
        near = difflib.get_close_matches(name, WORDS, n=1, cutoff=0.5)
        hint = f"did you mean /{near[0]}?" if near else "/help lists what there is"
        raise SettingsError(f"there is no command /{one_line(name)}; {hint}")
    await WORDS[name].run(chat, rest.strip())


def filter_words(filters: Filters) -> list[str]:
    """The filters as they are written: `kind=proposal author=Buterin`."""
    return [f"{name}={shlex.quote(value)}" for name, values in _chosen(filters).items() for value in values]


def _chosen(filters: Filters) -> dict[str, list[str]]:
    chosen = {}
    for name, field in FILTERS.items():
        value = getattr(filters, field)
        if value:
            chosen[name] = [value.isoformat()] if isinstance(value, date) else [str(one) for one in value]
    return chosen


def changed_filters(filters: Filters, text: str) -> Filters:
    """The filters with what `name=value ...` changes: the values named replace those of the same name.

    Raises SettingsError for an unknown name or a wrong value.
    """
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise SettingsError(f"{text!r}: {error}; write name=value, as in author='Vitalik Buterin'") from None
    given: dict[str, list[str]] = {}
    for word in words:
        name, equals, value = word.partition("=")
        if name not in FILTERS or not equals:
            raise SettingsError(f"{word!r} is no filter; write name=value with one of {', '.join(FILTERS)}")
        given.setdefault(name, []).extend([value] if value else [])
    chosen = {**_chosen(filters), **given}
    days = {name: values[-1] for name in ("from", "to") if (values := chosen.pop(name, []))}
    return filters_of(**chosen, since=days.get("from"), until=days.get("to"), as_of=None)


async def _sources(chat: Chat, _rest: str) -> None:
    show_sources(chat.last(), chat.out)


async def _open(chat: Chat, rest: str) -> None:
    answer = chat.last()
    number = rest.strip("[]")
    found = [citation for citation in answer.citations if str(citation.number) == number]
    if not found:
        there = f"it has [1] to [{len(answer.citations)}]" if answer.citations else "it has none"
        raise SettingsError(f"the last answer has no source {rest!r}; {there}")
    excerpt = await asyncio.to_thread(in_context, chat.library, found[0])
    show_excerpt(excerpt, chat.out, found[0].number)


async def _verify(chat: Chat, _rest: str) -> None:
    from agent.answers.verify import verify

    answer = chat.last()
    checks = await asyncio.to_thread(verify, answer, chat.reread)
    show_checks(answer, checks, chat.out)


async def _filter(chat: Chat, rest: str) -> None:
    if rest:
        chat.session.filters = Filters() if rest == OFF else changed_filters(chat.session.filters, rest)
    words = " ".join(filter_words(chat.session.filters)) or "none"
    passing = len(await asyncio.to_thread(chat.library.documents, chat.session.filters))
    chat.say(f"filters: {words}; {passing:,} {'document passes' if passing == 1 else 'documents pass'}")


async def _budget(chat: Chat, rest: str) -> None:
    if rest:
        try:
            budget = int(rest.replace(",", "").replace("_", ""))
        except ValueError:
            budget = 0
        if budget < 1:
            raise SettingsError(f"{rest!r} is no budget; give a number of tokens, as in /budget 6000")
        chat.session.budget = budget
    chat.say(f"budget: {chat.session.budget:,} tokens for question, evidence and answer")


async def _as_of(chat: Chat, rest: str) -> None:
    if rest:
        chat.session.as_of = None if rest == OFF else day("/as-of", rest)
    as_of = chat.session.as_of
    chat.say(
        f"as of {as_of}: only what was there by then" if as_of else "as of now: all that the library has"
    )


async def _model(chat: Chat, rest: str) -> None:
    if not chat.models:
        raise SettingsError(
            "no chat endpoint is set, so the library is quoted; set OPENAI_API_KEY or CHAINCITE_BASE_URL "
            "and start again"
        )
    if rest:
        chat.session.model = rest
    chat.say(f"model: {chat.session.model or chat.models[0]}; configured are {', '.join(chat.models)}")


async def _save(chat: Chat, rest: str) -> None:
    if not rest:
        raise SettingsError("name a file, as in /save answer.md or /save answer.json")
    file = Path(rest).expanduser()
    if file.suffix == ".json":
        import json

        body = json.dumps(to_json(chat.last()), ensure_ascii=False, indent=2) + "\n"
    else:
        body = "\n".join(to_markdown(answer) for answer in _answers(chat))
    try:
        with file.open("x", encoding="utf-8", errors="backslashreplace") as out:
            out.write(body)
    except FileExistsError:
        raise SourceError(f"{file} is there already; give another name") from None
    except OSError as error:
        raise SourceError(f"{file}: {error.strerror}; give a file that can be written") from None
    chat.say(f"saved in {file}")


def _answers(chat: Chat) -> list[Answer]:
    chat.last()
    return [chat.stored(turn.answer_id) for turn in chat.session.turns]


async def _new(chat: Chat, _rest: str) -> None:
    chat.session.clear()
    chat.answer = None
    chat.say("a new conversation; the answers so far are kept, `chaincite history` lists them")


async def _history(chat: Chat, _rest: str) -> None:
    for number, turn in enumerate(chat.session.turns, 1):
        chat.out.print(f"{number:>3}  {one_line(turn.question)}", soft_wrap=True)
        chat.out.print(f"     answer {turn.answer_id}")
    if not chat.session.turns:
        chat.say("nothing was asked yet in this conversation")


async def _help(chat: Chat, _rest: str) -> None:
    wide = max(len(name) + len(word.usage) for name, word in WORDS.items()) + 2
    for name, word in WORDS.items():
        usage = f"/{name} {word.usage}"
        chat.out.print(f"{usage:<{wide}}  {word.help}")
    chat.say("Any other line is a question. Ctrl-C stops an answer, Ctrl-D leaves.")


async def _quit(chat: Chat, _rest: str) -> None:
    chat.over = True


WORDS = {
    "sources": Word("", "the sources of the last answer", _sources),
    "open": Word("N", "the passage behind [N], and where it opens", _open),
    "verify": Word("", "go back to each source: is it what it was?", _verify),
    "filter": Word("[NAME=VALUE|off]", "only these sources, as kind=proposal", _filter),
    "budget": Word("[TOKENS]", "tokens for question, evidence and answer", _budget),
    "as-of": Word("[DATE|off]", "only what was there by that day", _as_of),
    "model": Word("[NAME]", "the chat model that answers", _model),
    "save": Word("FILE", "the conversation as .md, the answer as .json", _save),
    "new": Word("", "begin a new conversation", _new),
    "history": Word("", "the questions of this conversation", _history),
    "help": Word("", "this list", _help),
    "quit": Word("", "leave, as Ctrl-D does", _quit),
}
