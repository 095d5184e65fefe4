"""Questions about metadata and for lists: what is read whole is answered, the rest is left."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.answerers import catalogue, listing
from agent.answerers.enumerations import enumerations
from agent.answerers.preamble import header_lines
from agent.answers.question import Entities, Question
from agent.answers.values import Draft
from index.library import Library
from index.values import Document, Filters, Kind, Passage

AT = datetime(2026, 1, 2, tzinfo=UTC)

ANN, BEN, CLEO, DAN = "Ann Lee (@ann)", "Ben Moor <ben@example.org>", "Cleo Ito", "Dan Roe"

PROPOSALS = {
    "EIP-1": ("Rent of storage", ANN, "Final", "Core", "2019-05-03", ""),
    "EIP-2": ("Refunds of gas", f"{ANN}, {BEN}", "Draft", "Core", "2020-02-01", "1"),
    "EIP-3": ("Gas of storage", BEN, "Final", "Networking", "2020-07-09", "1, 2"),
    "ERC-4": ("Vault of tokens", CLEO, "Final", "ERC", "2021-03-04", "2"),
    "ERC-5": ("Auction of vaults", CLEO, "Stagnant", "ERC", "2022-03-04", "4"),
    "BIP-7": ("Address of keys", DAN, "Closed", "Applications", "2015-01-02", ""),
    "BIP-8": ("Checked address of keys", DAN, "Complete", "Applications", "2016-01-02", ""),
    "EIP-9": ("Hardfork Meta: Atlantis", ANN, "Final", "Meta", "2023-01-02", "1, 3"),
}
"""Title, author, status, category, date and what is required."""

BODIES = {
    "ERC-4": (
        "# Specification\n\n```solidity\ninterface Vault {\n    event Paid(address who);\n"
        "    function deposit(uint256 sum) external;\n    function withdraw(uint256 sum) external;\n}\n```\n"
    ),
    "EIP-9": (
        "# Specification\n\n- Codename: Atlantis\n- Included EIPs:\n"
        "  - [EIP-1](./eip-1.md): Rent of storage\n"
        "  - [EIP-3](./eip-3.md): Gas of storage\n\n# References\n\n- one\n- two\n"
    ),
    "BIP-8": "== States ==\n\nA key has these states:\n\n* '''NEW''' is first\n* '''SPENT''' is last\n",
}


def proposal(name: str) -> tuple[str, str]:
    """The path and text of a proposal."""
    title, author, status, category, created, requires = PROPOSALS[name]
    series, _, number = name.partition("-")
    body = BODIES.get(name, f"# Abstract\n\nThis is about the {title.lower()}.\n")
    if series == "BIP":
        other = {"7": "  Proposed-Replacement: 8\n", "8": "  Replaces: 7\n  License: MIT\n"}[number]
        lines = f"  BIP: {number}\n  Layer: {category}\n  Title: {title}\n  Authors: {author}\n"
        lines += f"  Status: {status}\n"
        return f"bip-{number}.mediawiki", f"<pre>\n{lines}  Assigned: {created}\n{other}</pre>\n\n{body}"
    sort = "Meta" if category == "Meta" else f"Standards Track\ncategory: {category}"
    more = f"requires: {requires}\n" if requires else ""
    lines = f"eip: {number}\ntitle: {title}\nauthor: {author}\nstatus: {status}\ntype: {sort}\n"
    return f"{name.lower()}.md", f"---\n{lines}created: {created}\n{more}---\n\n{body}"


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Library:
    """The proposals above, read as the command line reads them, and a paper."""
    folder = tmp_path_factory.mktemp("catalogue")
    with Library.writer(folder / "library") as writer:
        for name in PROPOSALS:
            writer.add(*_made(name))
        writer.add(*_paper())
    return Library(folder / "library")


def _made(name: str) -> tuple[Document, tuple[Passage, ...]]:
    from ingest.readers.preamble import facts_of, header_fields, yaml_fields

    path, text = proposal(name)
    head = text.partition("</pre>\n\n" if "BIP" in name else "\n---\n\n")
    read = header_fields(head[0]) if "BIP" in name else yaml_fields(head[0].removeprefix("---\n"))
    facts = facts_of(read, path)
    return _document(
        path, [head[0] + head[1], head[2]], str(facts.title), Kind.PROPOSAL,
        authors=facts.authors, number=facts.number, status=facts.status, category=facts.category,
        requires=facts.requires, published_at=facts.published_at,
    )  # fmt: skip


def _paper() -> tuple[Document, tuple[Passage, ...]]:
    text = "Lightning for Ledgers\n\nEve Fox\n\nLedgers are slow.\n"
    known = {"authors": ("Eve Fox",), "published_at": date(2014, 1, 1)}
    return _document("lightning.pdf", [text], "Lightning for Ledgers", Kind.PAPER, **known)


def _document(
    path: str, texts: list[str], title: str, kind: Kind, **known: object
) -> tuple[Document, tuple[Passage, ...]]:
    uri = f"https://example.org/blob/main/{path}"
    document = Document(
        uri=uri, kind=kind, title=title, sha256="0" * 64, size=1, media_type="text/plain", path=path,
        location=path, retrieved_at=AT, **known,  # type: ignore[arg-type]
    )  # fmt: skip
    starts = [sum(map(len, texts[:at])) for at in range(len(texts))]
    return document, tuple(
        Passage(uri, "0" * 64, at, start, start + len(text), text, title, line_start=1)
        for at, (start, text) in enumerate(zip(starts, texts, strict=True))
    )


def asked(library: Library, text: str, **more: object) -> Draft | None:
    return catalogue.answer(library, Question(text, text, asked_at=AT, **more))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("question", "said", "quoted"),
    [
        ("Who wrote EIP-2?", "Ann Lee and Ben Moor", "author: Ann Lee"),
        ("what is the status of erc 5", "Stagnant", "status: Stagnant"),
        ("When was BIP 7 created?", "2015-01-02", "Assigned: 2015-01-02"),
        ("Which EIPs does EIP-3 depend on?", "EIP-1 (Rent of storage) and EIP-2", "requires: 1, 2"),
        ("Which proposals require EIP-2?", "EIP-3 and ERC-4", "requires: 1, 2"),
        ("Which BIP is meant to replace BIP 7?", "BIP-8", "Proposed-Replacement: 8"),
        ("Under which license is BIP 8 and who wrote it?", "MIT", "License: MIT"),
        ("What type is EIP-1?", "Standards Track", "type: Standards Track"),
        ("Is EIP-2 Final?", "No: EIP-2 has the status Draft", "status: Draft"),
        ("Is EIP-1 not Final?", "EIP-1 has the status Final", "status: Final"),
        ("Does ERC-5 require ERC-4?", "Yes: ERC-5 requires ERC-4", "requires: 4"),
        ("What number is the Vault of tokens ERC?", "ERC-4", "eip: 4"),
        ("What is the title of EIP-3?", "Gas of storage", "title: Gas of storage"),
        ("Who wrote the Lightning for Ledgers paper?", "Eve Fox", "Eve Fox"),
    ],
)
def test_a_field_is_told_with_the_line_that_says_it(
    library: Library, question: str, said: str, quoted: str
) -> None:
    draft = asked(library, question)
    assert draft is not None
    assert not draft.refused
    assert said in draft.text
    assert any(quoted in citation.quote for citation in draft.citations)
    assert all(sentence.verified_by == "computed" for sentence in draft.sentences)


Holds = Callable[[str, tuple[str, str, str, str, str, str]], bool]

SELECTIONS: list[tuple[str, Holds]] = [
    ("Which EIPs did Ann Lee write?", lambda n, p: "EIP" in n and "Ann" in p[1]),
    ("Which EIPs by Ann are not Final?", lambda n, p: "EIP" in n and "Ann" in p[1] and p[2] != "Final"),
    ("Which EIPs did both Ann Lee and Ben Moor write?", lambda n, p: "Ann" in p[1] and "Ben" in p[1]),
    ("EIPs by Ann Lee or Ben Moor", lambda n, p: "EIP" in n and ("Ann" in p[1] or "Ben" in p[1])),
    ("List all Final ERCs that require EIP-2", lambda n, p: "ERC" in n and p[2] == "Final" and p[5] == "2"),
    ("proposals created in 2020", lambda n, p: p[4][:4] == "2020"),
    ("Which proposals created before 2017 are Closed or Complete?", lambda n, p: p[4] < "2017"),
    ("Which proposals are neither Final nor Draft?", lambda n, p: p[2] not in ("Final", "Draft")),
    ("Core EIPs that are Final or require EIP-1", lambda n, p: p[3] == "Core"),
    ("Which EIPs were created between 2019 and 2020 and don't require EIP-1?", lambda n, p: n == "EIP-1"),
    ("Which EIPs did Ben Moore write about storage?", lambda n, p: n == "EIP-3"),
    ("BIPs licensed under MIT", lambda n, p: n == "BIP-8"),
    ("Which BIPs have been superseded?", lambda n, p: n == "BIP-7"),
    ("the newest Core EIP", lambda n, p: n == "EIP-2"),
]  # fmt: skip


@pytest.mark.parametrize(("question", "holds"), SELECTIONS, ids=[question for question, _ in SELECTIONS])
def test_a_selection_lists_all_that_meets_it_and_nothing_else(
    library: Library, question: str, holds: Holds
) -> None:
    wanted = {name for name, known in PROPOSALS.items() if holds(name, known)}
    draft = asked(library, question)
    assert draft is not None
    assert {sentence.text.partition(":")[0] for sentence in draft.sentences[1:]} == wanted
    assert all(sentence.citations for sentence in draft.sentences)


@given(st.sets(st.sampled_from(["Final", "Draft", "Stagnant", "Closed", "Complete"]), min_size=1))
def test_those_of_some_statuses_and_those_of_none_of_them_are_all(
    library: Library, statuses: set[str]
) -> None:
    words = " or ".join(sorted(statuses))
    counts = []
    for verb in ("are", "are not"):
        draft = asked(library, f"How many proposals {verb} {words}?")
        assert draft is not None
        counts.append(0 if draft.refused else int(draft.text.partition(" ")[0]))
    assert sum(counts) == len(PROPOSALS)


@pytest.mark.parametrize(
    "question",
    [
        "What is the status code 0?",
        "Who can call the mint function of ERC-4?",
        "When does the base fee fall?",
        "Which opcode does EIP-3 add?",
        "When was EIP-1 activated on mainnet?",
        "When did EIP-1 become Final?",
        "What type of transactions does EIP-2 introduce?",
        "Which EIPs are in Atlantis?",
        "Which EIPs by Ann Lee are good?",
        "Which EIPs by Ann Lee are not yet quite Final?",
        "Which Core EIPs require nothing or EIP-1?",
        "What is EIP-1?",
        "!?",
    ],
)
def test_a_question_with_a_word_that_is_not_understood_is_left_to_others(
    library: Library, question: str
) -> None:
    assert asked(library, question) is None


def test_what_surely_is_not_there_is_said(library: Library) -> None:
    nobody = asked(library, "Which EIPs did Ann Lees Cousin write?")
    assert nobody is not None
    assert nobody.refused
    assert "no document by Ann Lees Cousin" in nobody.text
    number = asked(library, "Who wrote EIP-404?")
    assert number is not None
    assert number.text == "The library holds no EIP-404."
    none = asked(library, "Which BIPs did Ann Lee write?")
    assert none is not None
    assert none.refused
    assert none.citations == ()


def test_a_follow_up_asks_of_what_was_named_before(library: Library) -> None:
    before = Entities(documents=("EIP-3",))
    it = asked(library, "and who wrote it?", context=before, before="What is EIP-3?")
    assert it is not None
    assert "EIP-3 (Gas of storage) was written by Ben Moor" in it.text
    same = asked(library, "and ERC-5?", context=before, before="What is the status of EIP-3?")
    assert same is not None
    assert "ERC-5 (Auction of vaults) has the status Stagnant" in same.text


def test_a_status_is_not_told_as_of_another_day(library: Library) -> None:
    draft = asked(library, "status of EIP-1?", filters=Filters(as_of=date(2020, 1, 1)))
    assert draft is not None
    assert "as retrieved on 2026-01-02; which it had on 2020-01-01 is not known" in draft.text


def test_the_library_tells_what_it_holds_and_what_is_new(library: Library) -> None:
    held = asked(library, "Which documents do you have?")
    assert held is not None
    assert held.citations == ()
    assert "9 documents: 2 BIPs, 4 EIPs, 2 ERCs and 1 paper" in held.text
    news = asked(library, "What changed since 2022-01-01?")
    assert news is not None
    assert news.text.startswith("Since 2022-01-01, 2 documents were published, and 9 were retrieved")


@pytest.mark.parametrize(
    ("question", "items"),
    [
        ("Which EIPs are in the Atlantis upgrade?", ["EIP-1", "EIP-3"]),
        ("what went into the Atlantis hard fork?", ["EIP-1", "EIP-3"]),
        ("Which functions does ERC-4 define?", ["deposit", "withdraw"]),
        ("Name the events ERC-4 defines", ["Paid"]),
        ("Which states does BIP 8 define?", ["NEW is first", "SPENT is last"]),
        ("Which opcodes does ERC-4 define?", None),
        ("What are blobs?", None),
    ],
)
def test_a_list_is_given_whole_where_its_heading_says_what_is_asked(
    library: Library, question: str, items: list[str] | None
) -> None:
    draft = listing.answer(library, Question(question, question))
    if items is None:
        assert draft is None
        return
    assert draft is not None
    assert f": {', '.join(items)}." in draft.sentences[0].text
    for citation in draft.citations:
        text = "".join(passage.text for passage in library.passages(citation.source.uri))
        assert text[citation.start : citation.end] == citation.quote


@given(st.lists(st.from_regex(r"[a-z]{1,8}( [a-z]{1,8}){0,2}", fullmatch=True), min_size=2, max_size=6))
def test_a_list_of_any_items_is_found_at_its_place(items: list[str]) -> None:
    text = "# Names\n\nThese are the names:\n\n" + "".join(f"- {item}\n" for item in items) + "\nNo more.\n"
    (found,) = enumerations(text, wiki=False)
    assert [text[slice(*span)] for span in found.items] == items
    assert found.lead is not None
    assert text[slice(*found.lead)] == "These are the names:"


@given(
    st.dictionaries(
        st.from_regex(r"[a-z]{2,8}", fullmatch=True), st.from_regex(r"[A-Z][a-z ]{0,20}[a-z]", fullmatch=True)
    )
)
def test_a_header_line_is_the_span_of_the_text_that_says_it(fields: dict[str, str]) -> None:
    text = "---\n" + "".join(f"{key}: {value}\n" for key, value in fields.items()) + "---\n\nnot: this\n"
    found = header_lines(text)
    assert {key: line.value for key, line in found.items()} == fields
    assert all(text[line.start : line.end] == f"{key}: {line.value}" for key, line in found.items())
