"""Source text where it stands: a quotation among its neighbours, or what an address of a source opens at."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

from index.errors import LibraryError, SettingsError
from index.values import Document, Filters, Passage, SourceRef

if TYPE_CHECKING:
    from agent.answers.values import Answer, Citation

_ADDRESS = re.compile(
    r"(?P<uri>.*?)(?:\?plain=1)?(?:#(?:page=(?P<page>\d{1,9})|L(?P<first>\d{1,9})(?:-L(?P<last>\d{1,9}))?))?"
)
_POST = re.compile(r"(?P<uri>.*/t/[^/]+/\d+)/(?P<number>\d{1,9})")


class Shelf(Protocol):
    """What is asked of a library."""

    def passages(self, uri: str) -> list[Passage]:
        """All passages of a document in order; their texts, joined, are the document's text."""
        ...

    def documents(self, filters: Filters = ...) -> list[Document]:
        """The documents, ordered by uri."""
        ...


@dataclass(frozen=True, slots=True)
class Excerpt:
    """Words of a source, verbatim, with what stands before and after them, up to the ends of passages.

    opens, ends: whether the document begins and ends here; note: why nothing stands around the words.
    """

    source: SourceRef
    before: str
    words: str
    after: str
    opens: bool
    ends: bool
    note: str = ""


def cited(answer: Answer, number: int) -> Citation:
    """The citation of this number. Raises SettingsError where the answer has none."""
    for citation in answer.citations:
        if citation.number == number:
            return citation
    there = f"it has [1] to [{len(answer.citations)}]" if answer.citations else "it has none"
    raise SettingsError(f"the answer {answer.id} has no citation [{number}]; {there}")


def in_context(library: Shelf, citation: Citation) -> Excerpt:
    """The quotation of a citation among the passages that hold it and a neighbour on each side.

    Where the library has not the version that was cited any more, the quotation alone, and a note.
    """
    source, passages = citation.source, library.passages(citation.source.uri)
    if not passages:
        why = "no passage of this source is in the library now"
    elif passages[0].sha256 != source.sha256:
        now = passages[0].sha256
        why = f"the library holds another version now: sha256 {source.sha256[:8]}… then, {now[:8]}… now"
    else:
        found = _around(source, passages, citation.start, citation.end)
        if found.words == citation.quote:
            return found
        why = "the words do not stand at their place in the library"
    note = f"{why}; `chaincite verify` goes back to the source"
    return Excerpt(source, "", citation.quote, "", opens=True, ends=True, note=note)


def at_address(library: Shelf, address: str) -> Excerpt:
    """What an address opens at, as citations give it: a source, its `#page=3`, its `#L10-L20`, or a post.

    Lines come with their neighbours; a page, a post and a whole source stand alone. Raises LibraryError where
    the library holds no such source, page, line or post.
    """
    if post := _POST.fullmatch(address.strip()):
        return _post(library, post["uri"], int(post["number"]))
    asked = _ADDRESS.fullmatch(address.strip())
    uri = asked["uri"] if asked else address
    document = next((one for one in library.documents() if _spelled(one.uri) == _spelled(uri)), None)
    passages = library.passages(document.uri) if document else []
    if document is None or asked is None or not passages:
        raise LibraryError(
            f"the library holds no source {uri!r}; `chaincite search --json` names them by `uri`"
        )
    first = SourceRef.of(document, passages[0])
    whole = replace(first, heading=(), page=None, line_start=None, line_end=None)
    if asked["page"]:
        return _page(whole, passages, int(asked["page"]))
    if asked["first"]:
        return _lines(whole, passages, int(asked["first"]), int(asked["last"] or asked["first"]))
    return Excerpt(whole, "", _joined(passages), "", opens=True, ends=True)


def _post(library: Shelf, uri: str, number: int) -> Excerpt:
    """A post of a topic of a forum, which its passages name at the head of their headings."""
    whole = at_address(library, uri)
    passages = library.passages(whole.source.uri)
    here = [passage for passage in passages if "".join(passage.heading[:1]).endswith(f", #{number}")]
    if not here:
        raise LibraryError(f"{whole.source.title} has no post {number} in the library; show {uri} for all")
    source = replace(whole.source, heading=here[0].heading[:1])
    opens, ends = here[0] is passages[0], here[-1] is passages[-1]
    return Excerpt(source, "", _joined(here), "", opens=opens, ends=ends)


def _spelled(uri: str) -> str:
    return uri.replace(" ", "%20")


def _joined(passages: Sequence[Passage]) -> str:
    return "".join(passage.text for passage in passages)


def _around(source: SourceRef, passages: Sequence[Passage], start: int, end: int) -> Excerpt:
    """The document's text in [start, end), with the passages that it lies in and one more on each side."""
    at = [passage.ordinal for passage in passages if passage.start < end and start < passage.end]
    first, last = max(min(at, default=0) - 1, 0), max(at, default=0) + 2
    shown = passages[first:last]
    text, offset = _joined(shown), shown[0].start
    return Excerpt(
        source=source,
        before=text[: max(start - offset, 0)],
        words=text[max(start - offset, 0) : max(end - offset, 0)],
        after=text[max(end - offset, 0) :],
        opens=first == 0,
        ends=last >= len(passages),
    )


def _page(whole: SourceRef, passages: Sequence[Passage], page: int) -> Excerpt:
    here = [passage for passage in passages if passage.page == page]
    if not here:
        pages = sorted({passage.page for passage in passages if passage.page})
        there = f"there is some on {pages[0]} to {pages[-1]}" if pages else "name lines instead, as #L10"
        raise LibraryError(f"{whole.title} has no text on page {page}; {there}")
    opens, ends = here[0] is passages[0], here[-1] is passages[-1]
    return Excerpt(replace(whole, page=page), "", _joined(here), "", opens=opens, ends=ends)


def _lines(whole: SourceRef, passages: Sequence[Passage], first: int, last: int) -> Excerpt:
    lines = _joined(passages).split("\n")
    if passages[0].line_start is None:
        raise LibraryError(f"{whole.title} is not known by its lines; name a page, as #page=1")
    if not 1 <= first <= last <= len(lines):
        raise LibraryError(f"{whole.title} has no lines {first} to {last}; it has 1 to {len(lines)}")
    start = sum(len(line) + 1 for line in lines[: first - 1])
    end = start + len("\n".join(lines[first - 1 : last]))
    return _around(replace(whole, line_start=first, line_end=last), passages, start, end)
