"""What a question is, before anybody answers it: what it names and wants, and whether it leans on the last.

The features are general and cheap: designations, addresses and names that stand in it, the form in which it
asks, and whether it has a subject of its own. Where nothing speaks for another reading, it is plain.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime

from agent.answers.question import Entities, Question, Want
from agent.memory.conversations import Turn
from agent.memory.followup import names, needs_context
from index.terms import STOPWORDS, designations, terms
from index.values import Filters

_HASH = re.compile(r"\b0x[0-9a-fA-F]{64}\b")
_ADDRESS = re.compile(r"\b0x[0-9a-fA-F]{40}\b")
_CHAIN = re.compile(r"\b[-a-z0-9]{3,8}:[-_a-zA-Z0-9]{1,32}\b(?=\W|$)")
_DATE = re.compile(r"\b(\d{4})-(\d{2})-(\d{2})\b")

_REQUEST = re.compile(
    r"^\W*(?:(?:please|pls|hey|hi|hello|ok|okay)\b[,!.]?\s*)*"
    r"(?:(?:can|could|would|will) you (?:please )?|i (?:want|need|would like|'d like) (?:you )?to "
    r"|(?:help|let) me )?"
    r"(?:explain|describe|define|summari[sz]e|outline|show|give|tell|teach)\b"
    r"(?:\s+(?:me|us|to me))?(?:\s+(?:about|of))?(?:\s+(?:how|what|why)\b)?",
    re.IGNORECASE,
)
"""Words that ask to be told, and say nothing of what."""

_POLITE = re.compile(
    r"(?:,|(?<!\s))\s*\b(?:please|pls|thanks|thank you|in (?:short|brief|simple (?:terms|words)))\W*$",
    re.IGNORECASE,
)

_FILLER = re.compile(r"\b(?:exactly|actually|really|basically|currently|nowadays)\b\s?", re.IGNORECASE)
"""Words that add nothing to what a question is about."""

_DEFINITION = re.compile(
    r"^\W*(?:what(?:'s|’s| is| are| was| were| exactly is| exactly are)|who or what is|"
    r"(?:explain|define|describe|tell me about|tell us about|summari[sz]e|introduce)|meaning of"
    r"|definition of)\b"
    r"|^\W*(?:was (?:ist|sind)|qu['’]est[- ]ce (?:que|qu)|c['’]est quoi"
    r"|qu[ée] (?:es|son)|o que (?:é|são)|cos['’]è|che cos"
    r"|что такое|什么是|什麼是)|(?:是什么|是什麼|とは(?:何ですか)?)\W*$"
    r"|^\W*what (?:does|do) .{1,60}\b(?:do|mean|stand for|propose|define|specify|introduce"
    r"|standardi[sz]e)\W*$",
    re.IGNORECASE,
)
_OF_PART = re.compile(
    r"\b(?:of|for|in|at|by|when|if|after|before|between|from|to|with|under|on|that|which|per|does|do|must)\b",
    re.IGNORECASE,
)
_ASKS = re.compile(r"\b(?:how|why|when|who|which|where)\b", re.IGNORECASE)
_JOINED = re.compile(
    r"\b(?:under|in|of|for|on|by) (?:the )?(?:ethereum|bitcoin|eip|erc|bip)\b[\w -]{0,200}$", re.IGNORECASE
)
_DETAIL = re.compile(
    r"\b(?:gas|cost|costs|price|fee|fees|opcode|selector|address|hash|id|ids|identifier|length|size|limit|threshold|number|"
    r"count|bytes?|bits?|iterations?|value|values|default|max(?:imum)?|min(?:imum)?|path|prefix|interval|period|delay|"
    r"time|date|status|authors?|version|parameters?|constants?|formula|example|fields?|format|order|steps?|list|roles?|"
    r"events?|functions?|errors?|methods?|types?)\b|\d{3}$",
    re.IGNORECASE,
)
"""Nouns of what a thing has, which a few words alone may ask for."""

_COMPARISON = re.compile(
    r"\b(?:differ(?:s|ed|ence|ences|ent)?|compar(?:e|ed|es|ison)|versus|vs\.?|distinguish(?:es)?"
    r"|in contrast|unlike|"
    r"instead of|better than|cheaper than|than)\b",
    re.IGNORECASE,
)
_PROCEDURE = re.compile(
    r"\bhow (?:do|can|should|would|must|to|does one|could)\b|\bsteps?\b|\bprocedure\b|^\W*(?:can|should"
    r"|must) i\b",
    re.IGNORECASE,
)
_LIST = re.compile(
    r"^\W*(?:list|name|enumerate)\b|\b(?:what|which) (?:\w+ ){0,3}?(?:are|were) (?:the|all|there|in"
    r"|included|part)\b"
    r"|\b(?:which|what) (?:[a-z-]+ )?(?:roles|fields|types|kinds|functions|events|errors|opcodes"
    r"|parameters|steps|phases|"
    r"states|methods|constants|changes|options|requirements|messages|eips|ercs|bips)\b|\ball (?:the )?\w+s\b",
    re.IGNORECASE,
)
_VALUE = re.compile(
    r"\bhow (?:many|much|long|big|large|far|often|high|low|old|fast|deep)\b|\b(?:when|who|where|whose)\b"
    r"|\b(?:what|which) (?:is the )?(?:[\w-]+ ){0,3}?(?:number|date|year|share|percentage|rate|ratio"
    r"|amount|price|cost|size|"
    r"length|limit|value|range|version|height|address|selector|hash|opcode|byte|id|identifier|prefix"
    r"|type|name|period|"
    r"threshold|maximum|minimum|default)\b",
    re.IGNORECASE,
)

_ADVICE = re.compile(
    r"\b(?:should|shall) (?:i|we|one)\b.{0,60}\b(?:buy|sell|hodl|invest|short|go long|put (?:my|our)"
    r"|move my)\b"
    r"|\b(?:should|shall|can) (?:i|we)\b.{0,60}\b(?:hold|stake|lend|borrow|swap|trade"
    r"|keep)\b.{0,20}\b(?:my|our|all)\b"
    r"|\bgood (?:idea|time) to (?:buy|sell|invest|hold|stake|lend|borrow|trade)\b"
    r"|\b(?:good|bad|better|best|worthwhile|safe|wise|smart) (?:investment|buy|bet|store of value)\b"
    r"|\b(?:which|what) (?:wallet|exchange|coin|token|crypto\w*|stock|broker|altcoin|stablecoin"
    r"|validator)s?\b.{0,30}"
    r"\b(?:should|would you|do you|is best|are best)\b"
    r"|\b(?:will|would|could)\b.{1,60}\b(?:go up|go down|rise|fall|crash|moon|pump|dump|reach|hit|outperform|"
    r"appreciate|recover)\b"
    r"|\bhow much will\b.{1,60}\bworth\b|\bprice prediction\b|\bworth (?:buying|investing|holding"
    r"|it to buy)\b"
    r"|\b(?:do|would) you (?:think|believe|feel|prefer|recommend)\b|\byour (?:opinion|view|take)\b"
    r"|\b(?:over|under)valued\b"
    r"|\b(?:financial|investment|tax|legal) advice\b|\bget rich\b|\bmake money\b"
    r"|\bmy (?:life )?savings\b|\brecommend\b.{0,40}"
    r"\b(?:wallet|exchange|coin|token|investment|portfolio|stock)s?\b",
    re.IGNORECASE,
)
_MARKET = re.compile(
    r"\b(?:price|worth|value|bitcoin|btc|eth|ether|ethereum|sol|token|coin|crypto|market|altcoin)s?\b",
    re.IGNORECASE,
)
_PREDICTS = re.compile(
    r"\b(?:go up|go down|rise|crash|moon|pump|dump|outperform|appreciate|recover|hit|reach)\b", re.IGNORECASE
)
_GREETING = re.compile(
    r"^\W*(?:hi|hello|hey|hiya|howdy|yo|good (?:morning|afternoon|evening|day)|greetings|gm"
    r"|thanks?(?: you| a lot| so much)?"
    r"|thx|ty|cheers|bye|goodbye|see you|how are you(?: doing)?(?: today)?|what's up|sup|hola|hallo"
    r"|bonjour|salut|ciao|ol[áa]|"
    r"nice to meet you)(?: there| chaincite| bot| all| everyone)?\W*$",
    re.IGNORECASE,
)
_TOOL = re.compile(
    r"^\W*(?:help|usage|/?start|about|commands|menu)(?: me)?\W*$|^[^\w?]*\?\W*(?:(?<=\? )me\W*)?$"
    r"|\bwhat (?:can|do|could) (?:you|this (?:bot|tool|program|thing)|chaincite) (?:do|answer|help|know"
    r"|offer)\b"
    r"|\bwhat can i (?:ask|do|use)\b|\bhow (?:do|can|should) i (?:use|ask|query|talk to"
    r"|work with) (?:you|this|chaincite|it)\b"
    r"|\bwho (?:are|made|built|created|wrote) (?:you|this (?:bot|tool)|chaincite)\b|\bwhat(?:'s| is"
    r"| are) (?:you|chaincite|this "
    r"(?:bot|tool))\b|\bhow do(?:es)? (?:you|chaincite|this (?:bot|tool)) work\b|\bare you (?:a "
    r"|an )?(?:bot|ai|human|chatgpt|gpt)\b"
    r"|\b(?:which|what) (?:documents|sources|files|data|papers|proposals) (?:do you (?:have|know|use"
    r"|hold)|are in (?:the|your) "
    r"library|can you)\b|\bwhat(?:'s| is) in (?:the|your) library\b|\bwhat do you know\b"
    r"|\bwhere do your answers come from\b",
    re.IGNORECASE,
)


def entities(text: str) -> Entities:
    """What a text names.

    >>> entities("Does erc-20 or EIP 1559 know 0xA0b86991c6218b36c1d19D4a2e9Eb0cE3606eB48?").documents
    ('ERC-20', 'EIP-1559')
    """
    return Entities(
        documents=tuple(dict.fromkeys(designations(text))),
        addresses=tuple(dict.fromkeys(m.group().lower() for m in _ADDRESS.finditer(text))),
        hashes=tuple(dict.fromkeys(m.group().lower() for m in _HASH.finditer(text))),
        chains=tuple(dict.fromkeys(m.group() for m in _CHAIN.finditer(text) if m.group()[0].isalpha())),
        dates=tuple(day for m in _DATE.finditer(text) if (day := _day(*map(int, m.groups())))),
    )


def _day(year: int, month: int, day: int) -> date | None:
    try:
        return date(year, month, day)
    except ValueError:
        return None


def subject(text: str) -> str:
    """The question without the words that only ask to be told.

    >>> subject("Please explain to me how EIP-1559 works, thanks"), subject("Tell me about permit")
    ('EIP-1559 works', 'permit')
    """
    bare = _FILLER.sub("", _POLITE.sub("", _REQUEST.sub("", text))).strip(" .,:;!")
    return bare if terms(bare) else text


def wants(text: str) -> Want:
    """What a question wants, by its form.

    >>> [wants(q) for q in ("hi", "Should I buy ETH?", "What is EIP-1559?", "difference between A and B")]
    ['greeting', 'advice', 'definition', 'comparison']
    >>> wants("Do you think that ether is overvalued?")
    'advice'
    """
    if _GREETING.match(text):
        return "greeting"
    if _TOOL.search(text) and not designations(text):
        return "tool"
    if _ADVICE.search(text) and (not _PREDICTS.search(text) or _MARKET.search(text)):
        return "advice"
    if _COMPARISON.search(text):
        return "comparison"
    if _defines(text):
        return "definition"
    for kind, form in (("list", _LIST), ("value", _VALUE), ("procedure", _PROCEDURE)):
        if form.search(text):
            return kind  # type: ignore[return-value]
    return "explanation"


def _defines(text: str) -> bool:
    """Whether a question asks what something is: one thing, with no part or condition of it named."""
    asked = _DEFINITION.match(text)
    rest = subject(text[asked.end() :] if asked else text)
    few = len([term for term in terms(rest) if term not in STOPWORDS]) <= 4
    if asked:
        return few and not _OF_PART.search(_name_free(rest))
    return few and len(rest.split()) <= 3 and not _ASKS.search(text) and not _DETAIL.search(text)


def _name_free(text: str) -> str:
    """The text without its designations, which may be joined to a name by a preposition."""
    return re.sub(
        r"\b(?:under|in|of|for|on|by) (?:the )?(?:ethereum|bitcoin|eip|erc|bip)\b[\w -]{0,200}$",
        "",
        text,
        flags=re.IGNORECASE,
    )


def understand(
    text: str,
    read_as: str,
    turns: Sequence[Turn],
    filters: Filters,
    budget: int,
    asked_at: datetime,
    cited: Sequence[str] = (),
) -> Question:
    """The question with what it names and wants, and what it takes from the conversation.

    read_as: as a chat model put it without the conversation; the same as `text` where none did.
    cited: designations of the documents that the answer before was cited from.
    """
    own = entities(read_as)
    question = Question(
        text, read_as, filters, budget, asked_at, own, wants=wants(read_as), subject=subject(read_as)
    )
    if read_as != text or not turns or question.wants in ("greeting", "tool", "advice"):
        return question
    if not needs_context(text):
        return question
    whole = (turn.resolved for turn in reversed(turns) if not needs_context(turn.resolved))
    before = next(whole, turns[-1].resolved)
    context = entities(" ".join(names(before)))
    if not context.documents:
        context = replace(context, documents=tuple(cited[:1]))
    return replace(question, before=before, context=context)
