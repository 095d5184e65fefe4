"""Finds in a question the names that documents of a library have: authors, classes, licences, titles."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import replace

from agent.answerers.catalogue_lexicon import Item
from agent.answerers.catalogue_records import Records, words_of

_NEAR = 0.84
"""How like a name a misspelling of it is, by difflib's ratio."""

_ASKS = frozenset({"did", "has", "have", "does", "do"})
_LONGEST = 6
Names = Mapping[tuple[str, ...], set[str]]


def named(items: Sequence[Item], records: Records) -> list[Item]:
    """The items with `author`, `unknown`, `class`, `license` and `name` in the place of words.

    value of an author, class or licence: the names as the library writes them, joined by `|`.
    """
    found = _bare_numbers(_numbers(items), records)
    found = _titles(found, records)
    found = _whole(found, records.authors, "author", least=2)
    found = _authors(found, records)
    found = _whole(found, records.classes, "class", kinds=frozenset({"word", "mark", "fn"}))
    found = _licenses(found, records)
    return _subject(found, records)


def near(name: str, names: Sequence[str], count: int = 3) -> list[str]:
    """The names most like one, by their words."""
    return difflib.get_close_matches(name, names, count, 0.6)


def _numbers(items: Sequence[Item]) -> list[Item]:
    """Reads `EIPs 150, 152 and 155` as three names."""
    found: list[Item] = []
    for item in items:
        if item.kind == "count_of" and len(found) > 1 and found[-1].kind in ("and", "or", "comma"):
            last = next((one for one in reversed(found) if one.kind not in ("and", "or", "comma")), None)
            if last is not None and last.kind == "name":
                series = last.value.partition("-")[0]
                found.append(replace(item, kind="name", value=f"{series}-{int(item.text)}"))
                continue
        found.append(item)
    return found


def _bare_numbers(items: Sequence[Item], records: Records) -> list[Item]:
    """Reads a number of three digits or more as a designation, where documents of just one series have it."""
    said = {item.value for item in items if item.kind in ("series", "plural")} & {"EIP", "ERC", "BIP"}
    found: list[Item] = []
    for at, item in enumerate(items):
        then = items[at + 1].kind if at + 1 < len(items) else ""
        if item.kind == "count_of" and len(item.text) > 2 and then not in ("series", "plural", "word"):
            series = {
                str(record.document.number).partition("-")[0]
                for name in said or ("EIP", "BIP")
                for record in records.numbered(f"{name}-{int(item.text)}")
            }
            if len(series) == 1:
                item = replace(item, kind="name", value=f"{series.pop()}-{int(item.text)}")  # noqa: PLW2901
        found.append(item)
    return found


def _whole(
    items: Sequence[Item],
    names: Names,
    kind: str,
    least: int = 1,
    kinds: frozenset[str] | None = None,
) -> list[Item]:
    """The items with the longest runs of words that are whole names in their place."""
    found: list[Item] = []
    at = 0
    while at < len(items):
        for length in range(min(_LONGEST, len(items) - at), 0, -1):
            run = items[at : at + length]
            if run[0].kind in ("name", "date", "comma", "quoted") or "word" not in {i.kind for i in run}:
                continue
            if kinds is not None and not {i.kind for i in run} <= kinds:
                continue
            text = " ".join(item.text for item in run)
            words = words_of(text)
            if len(words) >= least and words in names:
                found.append(Item(kind, "|".join(sorted(names[words])), text))
                break
        else:
            length = 1
            found.append(items[at])
        at += length
    return found


def _authors(items: Sequence[Item], records: Records) -> list[Item]:
    """Reads the words that stand where an author does as one: by a part of the name, or misspelt."""
    found: list[Item] = []
    at = 0
    while at < len(items):
        length = _run(items, at)
        if length and _is_author(items, at, length):
            text = " ".join(item.text for item in items[at : at + length])
            found.append(_author(text, records))
            at += length
            continue
        found.append(items[at])
        at += 1
    return found


def _run(items: Sequence[Item], at: int) -> int:
    """How many words follow each other from here."""
    length = 0
    while at + length < len(items) and items[at + length].kind == "word":
        length += 1
    return length


def _is_author(items: Sequence[Item], at: int, length: int) -> bool:
    """Whether these words stand where an author does, as after `by`, or before `'s latest EIP`."""
    before = items[at - 1] if at else Item("", "", "")
    after = items[at + length] if at + length < len(items) else Item("", "", "")
    then = items[at + length + 1] if at + length + 1 < len(items) else Item("", "", "")
    if (
        before.kind in ("and", "or", "both", "comma")
        and at > 1
        and items[at - 2].kind in ("author", "unknown", "by")
    ):
        return after.kind in ("make", "") or items[at - 2].kind != "by"
    if before.kind == "by":
        return True
    wrote = after.kind == "make" or (after.kind == "field" and after.value == "author")
    joined = after.kind in ("and", "or") and then.kind in ("author", "word")
    if before.text.lower() in _ASKS:
        return wrote or joined or (after.kind == "not" and then.kind == "make")
    named = all(item.text[:1].isupper() or item.text[:1].isdigit() for item in items[at : at + length])
    if after.text == "s" and then.kind in ("first", "series", "plural", "status", "class"):
        return named
    if before.kind == "both" or before.kind == "from" or before.text.lower() == "of":
        return named and at > 1
    return (
        wrote
        and named
        and after.text.lower() in ("wrote", "authored", "coauthored", "has", "proposed", "created")
    )


def _author(text: str, records: Records) -> Item:
    words = words_of(text)
    parts = [records.author_words.get(word, set()) for word in words]
    whole = set.intersection(*parts) if parts else set()
    if whole:
        return Item("author", "|".join(sorted(whole)), text)
    spellings = {
        " ".join(name): names
        for name, names in records.authors.items()
        if name[0][:1] == words[0][:1] or not set(name).isdisjoint(words)
    }
    close = difflib.get_close_matches(" ".join(words), list(spellings), 2, _NEAR)
    if len(close) == 1 or (len(close) > 1 and spellings[close[0]] != spellings[close[1]]):
        return Item("author", "|".join(sorted(spellings[close[0]])), text)
    return Item("unknown", text, text)


def _licenses(items: Sequence[Item], records: Records) -> list[Item]:
    """After a word for licence the names of licences are known."""
    at = next((n for n, i in enumerate(items) if i.kind == "field" and i.value == "license"), None)
    if at is None:
        return list(items)
    return [*items[: at + 1], *_whole(items[at + 1 :], records.licenses, "license")]


def _titles(items: Sequence[Item], records: Records) -> list[Item]:
    """Reads the whole title of one document, of two words or more or in quotation marks, as its name."""
    one = {words: {found[0].document.uri} for words, found in records.titles.items() if len(found) == 1}
    quoted = [
        replace(item, kind="name", value=next(iter(one[words_of(item.value)])))
        if item.kind == "quoted" and words_of(item.value) in one
        else item
        for item in items
    ]
    return _whole(quoted, one, "name", least=2)


def _subject(items: Sequence[Item], records: Records) -> list[Item]:
    """Reads words beside `the … EIP`, or after `the EIP called`, as the one document so titled."""
    noun = next((n for n, item in enumerate(items) if item.kind == "series"), None)
    if noun is None or any(item.kind == "name" for item in items):
        return list(items)
    series = items[noun].value
    begin = noun
    while begin and items[begin - 1].kind in ("word", "class", "quoted"):
        begin -= 1
    if begin < noun and (name := _titled(items[begin:noun], series, records)):
        return [*items[:begin], name, *items[noun:]]
    end = noun + 1
    while end < len(items) and (
        items[end].kind == "about"
        or (items[end].kind == "field" and items[end].value == "title")
        or items[end].text in ("is", "s", "that", "with", "the")
    ):
        end += 1
    stop = end
    while stop < len(items) and items[stop].kind in ("word", "quoted", "class", "about", "fn", "in"):
        stop += 1
    while stop > end and items[stop - 1].kind != "word":
        stop -= 1
    if end > noun + 1 and stop > end and (name := _titled(items[end:stop], series, records)):
        return [*items[: noun + 1], name, *items[stop:]]
    return list(items)


def _titled(items: Sequence[Item], series: str, records: Records) -> Item | None:
    text = " ".join(item.value or item.text for item in items)
    found = records.titled(text, series)
    return Item("name", found[0].document.uri, text) if found else None
