"""The words of a unit of a source, and which of its clauses may stand alone.

A clause may where nothing that is left out of its sentence limits it: no condition or exception before it,
and behind it only a reason, a result, a contrast or another sentence (`_LIMITS` has what limits).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise, takewhile

from agent.grounding.words import Word, words

_LIMITS = frozenset(
    """
    if unless except excepting excluding only otherwise when whenever where wherever until before after
    once provided providing assuming without not no never none nor neither some may might could most few
    during within case depending however but though although apart besides unlike given unlikely false
    incorrect wrong believe suppose assume propose claim argue think expect either while whether or as
    least atleast atmost
    """.split()  # noqa: SIM905
)
"""Words with which one part of a sentence may limit another."""

CONDITIONS = frozenset(
    """
    if unless except only when whenever where until before after once provided without while during
    otherwise whether
    """.split()  # noqa: SIM905
)
_PREPOSITIONS = frozenset(
    """
    for in with during on at upon under by from within among to as
    """.split()  # noqa: SIM905
)
AUXILIARIES = frozenset(
    """
    is are was were be must may should can will would could has have had does do did shall
    """.split()  # noqa: SIM905
)
_JOINS = frozenset(["and", "but", "so", "while", "whereas"])
_REASONS = frozenset(["because", "since"])
_RESULTS = frozenset(
    """
    allowing avoiding causing enabling ensuring giving guaranteeing improving including increasing keeping
    leading leaving letting limiting making meaning preventing reducing removing resulting simplifying
    """.split()  # noqa: SIM905
)
_PURPOSES = frozenset(
    """
    facilitate avoid prevent ensure reduce minimise minimize simplify improve maximize maximise mitigate
    guarantee keep
    """.split()  # noqa: SIM905
)
_CONCESSIONS = frozenset(["although", "though", "because", "since"])
_LEADS = frozenset([("even", "if"), ("even", "though"), ("given", "that")])
_OPERATORS = frozenset("+ - * / ^ ** = == << >> % < > atleast atmost".split())  # noqa: SIM905


_STRICT = frozenset(["if", "unless", "only"])


@dataclass(frozen=True)
class Wording:
    """The words of a unit of a source. topic: the name with which the unit before it begins, if it does."""

    words: tuple[Word, ...]
    topic: tuple[str, ...] = ()

    @cached_property
    def vocabulary(self) -> frozenset[str]:
        """Its words in all the forms in which they are compared."""
        return frozenset(form for word in self.words for form in (word.key, word.stem, word.root) if form)

    @cached_property
    def begins(self) -> tuple[int, ...]:
        """Where a claim may begin: each sentence, and each clause that nothing before it limits."""
        return tuple(dict.fromkeys(self._begins()))

    def _begins(self) -> Iterator[int]:
        for first, last in self._sentences:
            head = self._labelled(first, last)
            yield from (head, first)
            yield from self._openings(head, last)
            for at in range(head + 1, last):
                if self._is_join(at) and not self._is_limited(head, at):
                    joined = at + (self.words[at].mark and self.words[at + 1].key in _JOINS | _REASONS)
                    yield joined + 1

    def _is_join(self, at: int) -> bool:
        word = self.words[at]
        if at + 1 >= len(self.words) or not word.mark:
            return False
        after = self.words[at + 1].key
        return word.key in (";", ":", "—") or (word.key == "," and after in _JOINS | _REASONS)

    def _is_limited(self, first: int, at: int) -> bool:
        """Whether the words before a clause may limit it."""
        before = [word.key for word in self.words[first:at] if not word.mark]
        return not before or before[0] in _PREPOSITIONS or not _LIMITS.isdisjoint(before)

    @cached_property
    def _sentences(self) -> tuple[tuple[int, int], ...]:
        ends = [at + 1 for at, word in enumerate(self.words) if word.key in (".", "!", "?") and word.mark]
        borders = [0, *ends, *([] if ends and ends[-1] == len(self.words) else [len(self.words)])]
        return tuple(pairwise(borders))

    def _labelled(self, first: int, last: int) -> int:
        """Where a sentence begins behind its label, such as `**Gas bound**:` or `[AUTH-010]`."""
        while first < last - 1 and self.words[first].key == "|":
            first += 1
        for at in range(first, min(first + 7, last)):
            if self.words[at].key == ":" and all(
                word.strong for word in self.words[first:at] if not word.mark
            ):
                return at + 1
        return first

    def _openings(self, first: int, last: int) -> Iterator[int]:
        """Behind what leads into a statement without limiting it."""
        keys = [word.key for word in self.words[first:last]]
        if keys[:1] == ["eg"]:
            yield first + 1
        one, two = (*keys[:2], "", "")[:2]
        if one in ("this", "it", "which") and two in ("ensures", "means", "implies", "guarantees"):
            yield first + 2
        comma = keys.index(",") if "," in keys else 0
        purpose = one == "to" and two in _PURPOSES and (_LIMITS - {"without"}).isdisjoint(keys[:comma])
        aside = one in _CONCESSIONS or (one, two) in _LEADS
        if comma and (purpose or (aside and not AUXILIARIES.isdisjoint(keys[:comma]))):
            yield first + comma + 1

    def ends(self, first: int, at: int) -> bool:
        """Whether a claim that began at `first` may end before `at`: what follows limits nothing of it."""
        while at < len(self.words) and (step := self.brackets.get(at)):
            at = step
        if at >= len(self.words) or self.words[at].key in (".", "!", "?", "|"):
            return True
        rest = self.words[at : next(end for start, end in self._sentences if start <= at < end)]
        keys = [word.key for word in rest if not word.mark]
        marked = rest[0].mark
        if not keys:
            return True
        kept = [word.key for word in self.words[first:at]]
        return _leaves(keys, kept, rest[0].key if marked else "")

    @cached_property
    def brackets(self) -> dict[int, int]:
        """Brackets that may be left out, by where they open: those that limit nothing, no arithmetic."""
        found: dict[int, int] = {}
        opened: list[int] = []
        for at, word in enumerate(self.words):
            if word.key == "(" and word.mark:
                opened.append(at)
            elif word.key == ")" and word.mark and opened:
                start = opened.pop()
                if self._is_aside(start, at):
                    found[start] = at + 1
        return found

    def _is_aside(self, start: int, end: int) -> bool:
        around = [self.words[at].key for at in (start - 1, end + 1) if 0 <= at < len(self.words)]
        inner = self.words[start + 1 : end]
        if self.words[start].code and not self.words[start].near:
            return False
        return _OPERATORS.isdisjoint(around) and _LIMITS.isdisjoint(
            word.key for word in inner if not word.code
        )

    @cached_property
    def sums(self) -> dict[int, int]:
        """Arithmetic of numbers that ends in `=`, by where it begins: what it comes to may stand for it."""
        found: dict[int, int] = {}
        for at, word in enumerate(self.words):
            if word.key != "=" or at + 1 >= len(self.words) or not self.words[at + 1].number:
                continue
            start = at
            while start and (
                self.words[start - 1].number or self.words[start - 1].key in _OPERATORS | {"(", ")"}
            ):
                start -= 1
            if start < at - 1:
                found[start] = at + 1
        return found

    @cached_property
    def others(self) -> dict[int, tuple[int, ...]]:
        """Alternatives that may be left out of a condition that suffices, by where their `or` stands."""
        found: dict[int, tuple[int, ...]] = {}
        for at, word in enumerate(self.words):
            if word.key == "or" and self._suffices(at):
                after = [one.key for one in self.words[at + 1 : at + 7]]
                ends = (n for n, key in enumerate(after) if key in _LIMITS | AUXILIARIES or key in ",;:().|")
                size = next(ends, len(after))
                found[at] = tuple(at + 1 + n for n in range(1, size + 1))
        return found

    def _suffices(self, at: int) -> bool:
        """Whether a word stands in a condition that suffices, after `if` or `when`."""
        for word in reversed(self.words[:at]):
            if word.key in ("if", "when"):
                break
            if word.mark or word.key in _NEGATIONS | {"must", "should", "may", "can", "only", "unless"}:
                return False
        else:
            return False
        sentence = next(start for start, end in self._sentences if start <= at < end)
        return {"only", "unless"}.isdisjoint(word.key for word in self.words[sentence:at])


def _leaves(keys: Sequence[str], kept: Sequence[str], mark: str) -> bool:
    """Whether words that follow a claim in its sentence, behind this mark, leave its truth as it is."""
    head, rest = keys[0], keys[1:]
    if mark == ";":
        return head not in ("except", "unless", "only", "but", "however", "provided", "though", "although")
    plain = _LIMITS.isdisjoint(keys)
    if mark in (",", "—") and head in _JOINS:
        independent = bool(rest) and rest[0] not in CONDITIONS | {"not", "no", "then", "long", "far", "as"}
        if AUXILIARIES.isdisjoint(rest) or not independent:
            return False
        limited = head != "so" and not (CONDITIONS - {"only"}).isdisjoint(kept[1:])
        return not limited and (head not in ("while", "whereas") or plain)
    if head in _REASONS:
        return bool(mark) or _NEGATIONS.isdisjoint(kept)
    if head == "so" and rest[:1] == ["that"]:
        return "only" not in rest and "not" not in kept
    if mark not in (",", "—", ":"):
        return False
    if head == "rather" and rest[:1] == ["than"]:
        return True
    return plain and (mark == ":" or head in _RESULTS.union(["which", "eg", "namely", "to"]))


_NEGATIONS = frozenset(["not", "no", "never", "nor", "neither", "none"])


def readings(text: str, lead: str, topic: tuple[str, ...], name: tuple[str, ...]) -> tuple[Wording, ...]:
    """The ways in which a unit of a source may be read: alone, and behind the line that leads to it.

    lead: that line where it ends in a colon; where it limits what follows, the unit is not read alone.
    topic: the name with which the unit before it begins; name: those of the document.
    """
    alone = Wording(words(text, name), topic)
    if not lead.endswith(":"):
        return (alone,)
    before = words(lead[:-1], name)
    led = Wording((*before, *alone.words), topic)
    keys = [word.key for word in before if not word.code]
    limited = bool(keys) and (keys[0] in CONDITIONS or not _STRICT.isdisjoint(keys))
    return (led,) if limited else (alone, led)


def topic_of(wording: Wording) -> tuple[str, ...]:
    """The name in code with which a unit begins."""
    body = [word for word in wording.words if not word.free]
    return tuple(word.key for word in takewhile(lambda word: word.code, body))
