"""Whether a claim is a source's own sentence, or a whole clause of it, in its own order: verbatim.

Claim and sentence are read as words without markup and walked through side by side. Every word must be met
in order; the only edits are those listed here, none of which can change whether a statement is true: articles
and demonstratives, connectives at the start, plural and third person, bounds and numbers in signs or words,
`this EIP` or `it` at the start for the document's own name, a pronoun for a subject that the source leaves
out, a generic noun beside a name in code, what stands in brackets, and a condition before or after what it
limits. A claim may be a whole clause where what is left out limits nothing of it (`clauses`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import pairwise

from agent.grounding.clauses import AUXILIARIES, Wording
from agent.grounding.words import Word

_DETERMINERS = frozenset(["its", "their", "your", "our", "the", "a", "an", "this", "that", "these", "those"])
_PRONOUNS = frozenset(["it", "they", "he", "she", "this", "you"])
_RELATIVES = frozenset(["that", "which", "who"])
_STRANGE = 6
"""Words of a claim that a unit may lack in every form; a pronoun, a generic noun and the like are some."""

_GENERIC = frozenset(
    """
    opcode function method instruction event field parameter constant variable precompile modifier
    message
    """.split()  # noqa: SIM905
)


def holds(wording: Wording, claim: tuple[Word, ...]) -> bool:
    """Whether a claim says what a unit says, in its own order, and no more or less limited.

    >>> from agent.grounding.words import words
    >>> unit = Wording(words("Clients MUST NOT accept blocks, unless they are final."))
    >>> holds(unit, words("Clients must not accept a block, unless it is final."))
    True
    >>> holds(unit, words("Clients must not accept blocks."))
    False
    """
    known = wording.vocabulary
    strange = (
        w for w in claim if not (w.mark or w.free or w.stem in known or w.key in known or w.root in known)
    )
    if sum(1 for _ in strange) > _STRANGE:
        return False
    return any(_Walk(said, wording).succeeds() for said in _orders(claim))


@lru_cache(maxsize=256)
def _orders(claim: tuple[Word, ...]) -> tuple[tuple[Word, ...], ...]:
    """The claim as it stands, and with its condition before or behind what it limits."""
    found = [claim]
    body = claim[:-1] if claim and claim[-1].key == "." else claim
    if body and body[0].key in _MOVABLE:
        for at, word in enumerate(body):
            if word.key == "," and word.mark and at + 1 < len(body):
                found.append((*body[at + 1 :], *body[:at]))
    for at, word in enumerate(body):
        if at and word.key in _MOVABLE:
            found.append((*body[at:], *body[:at]))
        if at and word.key == "currently":
            found.append((word, *body[:at], *body[at + 1 :]))
        if word.key == "of":
            found += _possessive(body, at)
        if word.key in ("must", "should", "may", "can"):
            found += _active(body, at)
    return tuple(found)


def _active(body: tuple[Word, ...], at: int) -> Iterator[tuple[Word, ...]]:
    """The claim `X must be raised` as `must raise X`, for rules whose subject is left out."""
    denied = at + 1 < len(body) and body[at + 1].key == "not"
    verb = at + 2 + denied
    if verb < len(body) and body[verb - 1].key == "is" and body[verb].key.endswith("ed"):
        base = body[verb].key[:-2]
        yield (*body[at : verb - 1], Word(base, stem=base), *body[:at], *body[verb + 1 :])


def _possessive(body: tuple[Word, ...], at: int) -> Iterator[tuple[Word, ...]]:
    """The claim with `the N of M`, whose `of` stands there, as `M's N`."""
    mark = Word("'s", stem="'s")
    for before in range(1, 4):
        for after in range(1, 4):
            things, owner = body[max(at - before, 0) : at], body[at + 1 : at + 1 + after]
            if len(things) == before and len(owner) == after and not any(w.mark for w in things + owner):
                yield (*body[: at - before], *owner, mark, *things, *body[at + 1 + after :])


_MOVABLE = frozenset(["if", "when", "because"])


class _Walk:
    """One try to walk through a claim and a unit side by side."""

    def __init__(self, claim: tuple[Word, ...], wording: Wording) -> None:
        self._claim, self._wording, self._source = claim, wording, wording.words

    def succeeds(self) -> bool:
        return any(self._from(first) for first in self._wording.begins if first < len(self._source))

    def _from(self, first: int) -> bool:
        seen: set[tuple[int, int]] = set()
        waiting = [(0, first), *((at, first) for at in self._subjects(first))]
        while waiting:
            place = waiting.pop()
            if place in seen:
                continue
            seen.add(place)
            here, there = place
            if here == len(self._claim):
                if self._wording.ends(first, there):
                    return True
                continue
            waiting += self._steps(here, there, first)
        return False

    def _subjects(self, first: int) -> Iterator[int]:
        """How much of the claim is a pronoun or `the function` where the source leaves its subject out."""
        said = [word.key for word in self._claim[:2]]
        if said[:1] and said[0] in _PRONOUNS:
            yield 1
        if said in (["the", "function"], ["the", "method"]) and self._source[first].key in AUXILIARIES:
            yield 2

    def _steps(self, here: int, there: int, first: int) -> Iterator[tuple[int, int]]:
        said = self._claim[here]
        if said.mark or said.free or self._is_generic(self._claim, here) or self._is_added(here, there):
            yield here + 1, there
        if step := _relative(self._claim, here):
            yield step, there
        if there == len(self._source):
            return
        held = self._source[there]
        if (
            (held.mark and held.key not in (".", "!", "?"))
            or held.free
            or self._is_generic(self._source, there)
        ):
            yield here, there + 1
        for leap in (
            self._wording.brackets.get(there),
            self._wording.sums.get(there),
            _relative(self._source, there),
        ):
            if leap:
                yield here, leap
        yield from ((here, leap) for leap in self._wording.others.get(there, ()))
        topic = self._wording.topic
        if (
            topic
            and held.key in ("it", "this")
            and tuple(w.key for w in self._claim[here : here + len(topic)]) == topic
        ):
            yield here + len(topic), there + 1
        if self._same(said, held):
            yield here + 1, there + 1
        if said.key == "own name" and held.key in ("it", "its", "this") and self._opens(there, first):
            yield here + 1 + (held.key == "its"), there + 1
        yield from self._reworded(here, there)

    def _is_added(self, here: int, there: int) -> bool:
        """Whether a word of the claim is a pronoun or `or` that the source leaves out behind a comma."""
        if here == 0 or there == 0:
            return False
        key, before = self._claim[here].key, self._source[there - 1].key
        if key in _PRONOUNS:
            return before in (",", "then") and self._claim[0].key in _MOVABLE
        return key in ("and", "or") and before == "," and any(word.key == "eg" for word in self._claim[:here])

    def _reworded(self, here: int, there: int) -> Iterator[tuple[int, int]]:
        """`proposes to raise` and `proposes raising`, `that represent` and `representing`, and the like."""
        claim, source = self._claim[here : here + 2], self._source[there : there + 2]
        for size, held in enumerate(_verbal(source), 1):
            for length, said in enumerate(_verbal(claim), 1):
                if held and held == said:
                    yield here + length, there + size
        pair = {word.key for word in claim[:1]}, [word.key for word in source]
        if pair[0] == {"with"} and source[:1] and pair[1][0] in _RELATIVES and pair[1][1:] == ["has"]:
            yield here + 1, there + 2
        if (
            source[:1]
            and source[0].key == "with"
            and claim[0].key in _RELATIVES
            and [w.key for w in claim[1:]] == ["has"]
        ):
            yield here + 2, there + 1

    @staticmethod
    def _same(said: Word, held: Word) -> bool:
        if said.key == held.key or (said.stem == held.stem and not (said.code and held.code)):
            return True
        if said.key == held.root:
            return True
        return any(said.key in alike and held.key in alike for alike in (_DETERMINERS, _PRONOUNS))

    def _opens(self, there: int, first: int) -> bool:
        return all(word.mark or word.free for word in self._source[first:there])

    @staticmethod
    def _is_generic(some: Sequence[Word], at: int) -> bool:
        """Whether a word only says what sort of thing the name in code beside it is."""
        if some[at].stem not in _GENERIC or some[at].code:
            return False
        return any(0 <= near < len(some) and some[near].code for near in (at - 1, at + 1))


def _verbal(some: Sequence[Word]) -> tuple[str, str]:
    """The root of a verb that stands here as `raising`, and of one as `to raise` or `that raise`."""
    first = some[0].root if some and some[0].key.endswith("ing") else ""
    before = some[0].key if len(some) > 1 else ""
    second = some[1].root if before in {"to", "of", "for"} | _RELATIVES else ""
    return first, second


def _relative(some: Sequence[Word], at: int) -> int | None:
    """Behind `that is` or `which are` before a participle, without which it says the same."""
    keys = [word.key for word in some[at : at + 3]]
    if len(keys) == 3 and keys[0] in _RELATIVES and keys[1] == "is" and re.search("(?:ed|en|ing)$", keys[2]):
        return at + 2
    return None


Units = Sequence[Sequence[Wording]]
"""The units of a source in order, each in the ways in which it may be read."""


def verbatim_units(said: tuple[Word, ...], units: Units) -> tuple[int, ...]:
    """The units, by position, of which a claim is the own words; several where it joins their sentences.

    Empty where it is not verbatim.
    """
    for at, wordings in enumerate(units):
        if any(holds(wording, said) for wording in wordings):
            return (at,)
    cuts = [at for at in range(len(said)) if _divides(said, at)]
    ways = {(at,) for at in cuts} | {tuple(at for at in cuts if said[at].key == ";"), tuple(cuts)}
    found = (_together(_parts(said, way), units) for way in sorted(ways) if way)
    return next(filter(None, found), ())


def _together(parts: Sequence[Sequence[tuple[Word, ...]]], units: Units) -> tuple[int, ...]:
    """The units that hold all parts of a claim; empty where one is not held."""
    found: list[int] = []
    for part in parts:
        near = _nearest(part, units, found)
        if near is None:
            return ()
        found.append(near)
    return tuple(dict.fromkeys(found))


def _nearest(part: Sequence[tuple[Word, ...]], units: Units, before: Sequence[int]) -> int | None:
    """The first unit that holds a part; beside that of the part before where a pronoun is its subject."""
    held = [at for at, some in enumerate(units) if any(holds(one, way) for one in some for way in part)]
    if before and part[0][0].key in _PRONOUNS | AUXILIARIES:
        held = [at for at in held if abs(at - before[-1]) <= 1]
    return held[0] if held else None


def _parts(claim: tuple[Word, ...], cuts: Sequence[int]) -> list[list[tuple[Word, ...]]]:
    """The sentences that a claim joins where it is cut, each as it may read alone.

    What a part leaves out, its subject or its verb, is that of the first one. None where it is but one, or
    where one depends on another.
    """
    borders = [0, *cuts, len(claim)]
    bare = [_undivided(claim[start:end]) for start, end in pairwise(borders)]
    dependent = frozenset(["otherwise", "then", "else", "only", "not", "no", "if", ""])
    if len(bare) < 2 or any(not part or (at and part[0].key in dependent) for at, part in enumerate(bare)):
        return []
    verb = next((at for at, word in enumerate(bare[0]) if word.key in AUXILIARIES), None)
    if verb is None:
        return [[part] for part in bare]
    size = 1 + next((n for n, word in enumerate(bare[0][verb + 1 :]) if word.key not in ("is", "not")), 0)
    subject, modal = bare[0][:verb], bare[0][verb : verb + size]
    return [[bare[0]], *([part, *_restored(part, subject, modal)] for part in bare[1:])]


def _restored(
    part: tuple[Word, ...], subject: tuple[Word, ...], modal: tuple[Word, ...]
) -> Iterator[tuple[Word, ...]]:
    if part[0].key in AUXILIARIES:
        yield (*subject, *part)
    elif all(word.key not in AUXILIARIES for word in part):
        yield from ((*part[:at], *modal, *part[at:]) for at in range(1, min(len(part), 5)))


def _divides(claim: tuple[Word, ...], at: int) -> bool:
    if not claim[at].mark or at + 1 >= len(claim):
        return False
    return claim[at].key == ";" or (
        claim[at].key == "," and claim[at + 1].key in ("and", "but", "while", "whereas")
    )


def _undivided(part: tuple[Word, ...]) -> tuple[Word, ...]:
    """A part without what joins it to the one before."""
    if part and part[0].mark:
        part = part[1:]
        if part and part[0].key in ("and", "but", "while", "whereas"):
            part = part[1:]
    return part
