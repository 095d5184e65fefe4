import json
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.answers.markdown import to_markdown
from agent.answers.packing import PackedItem, PackingReport
from agent.answers.place import citation_line, link, place
from agent.answers.values import Answer, Answers, Citation, Sentence, Usage, from_json, identify, to_json
from agent.session import ask
from agent.text.render import clean
from index.errors import BudgetError, LibraryError, SettingsError, SourceError
from index.values import Filters, Kind, SourceRef

TEXT = st.text(max_size=20)
WHEN = st.datetimes(timezones=st.just(UTC))
COUNT = st.integers(0, 10_000)
SOURCES = st.builds(
    SourceRef,
    uri=TEXT,
    path=TEXT,
    location=TEXT,
    title=TEXT,
    kind=st.sampled_from(Kind),
    sha256=TEXT,
    passage_id=TEXT,
    passage_sha256=TEXT,
    retrieved_at=WHEN,
    heading=st.lists(TEXT, max_size=2).map(tuple),
    page=st.none() | COUNT,
    commit=st.none() | TEXT,
    designation=st.none() | TEXT,
) | st.builds(
    SourceRef,
    uri=TEXT,
    path=TEXT,
    location=TEXT,
    title=TEXT,
    kind=st.sampled_from(Kind),
    sha256=TEXT,
    passage_id=TEXT,
    passage_sha256=TEXT,
    retrieved_at=WHEN,
    line_start=COUNT,
    line_end=COUNT,
)
ANSWERS = st.builds(
    Answer,
    id=TEXT, question=TEXT, asked_at=WHEN, text=TEXT,
    sentences=st.lists(st.builds(Sentence, TEXT, st.just((1,))), max_size=2).map(tuple),
    refused=st.booleans(), removed=st.lists(TEXT, max_size=2).map(tuple),
    citations=st.lists(st.builds(Citation, COUNT, SOURCES, TEXT, COUNT, COUNT), max_size=2).map(tuple),
    nearest=st.lists(SOURCES, max_size=2).map(tuple),
    filters=st.builds(Filters, kinds=st.just((Kind.PAPER,)), published_from=st.none() | st.dates()),
    generation=COUNT,
    packing=st.builds(
        PackingReport, COUNT, COUNT, COUNT, COUNT,
        st.lists(st.builds(PackedItem, TEXT, TEXT, COUNT, st.just("no room")), max_size=2).map(tuple),
    ),
    usage=st.builds(Usage, COUNT, COUNT, st.floats(0, 100)), answered_by=TEXT,
)  # fmt: skip


@settings(max_examples=50)
@given(ANSWERS)
def test_json_and_back_is_the_same_answer(answer):
    assert from_json(json.loads(json.dumps(to_json(answer)))) == answer


@pytest.mark.parametrize(
    "data", [None, 3, [], {}, {"answer": "x"}, {"answer": 1, "citations": [3], "nearest": []}]
)
def test_what_is_no_answer_is_said_to_be_none(data):
    with pytest.raises(SourceError, match="not an answer of chaincite"):
        from_json(data)


def test_an_answer_quotes_its_source_exactly(library, notes):
    answer = ask(library, "How much gas may a block hold?", 400)
    assert not answer.refused
    assert "30,000,000" in answer.text
    for citation in answer.citations:
        text = notes[citation.source.path]
        assert text[citation.start : citation.end] == citation.quote
        lines = text.splitlines()[citation.source.line_start - 1 : citation.source.line_end]
        assert citation.quote in "\n".join(lines)
    assert [number for s in answer.sentences for number in s.citations] == [
        c.number for c in answer.citations
    ]
    assert answer.packing.question + answer.packing.reserve + answer.packing.evidence <= 400
    assert answer.usage.tokens_out <= answer.packing.reserve


def test_what_the_library_does_not_hold_is_refused_with_the_nearest_sources(library):
    answer = ask(library, "Which zodiac sign rules Kyrgyz penguin auctions?", 400)
    assert answer.refused
    assert answer.text == "Not in the library."
    assert answer.citations == ()
    assert 1 <= len(answer.nearest) <= 3


def test_a_filter_that_nothing_passes_refuses(library):
    answer = ask(library, "How much gas may a block hold?", 400, Filters(kinds=(Kind.PAPER,)))
    assert answer.refused
    assert answer.nearest == ()


def test_no_question_and_too_long_a_question_are_said_to_be_so(library):
    with pytest.raises(SettingsError, match="empty"):
        ask(library, " \n", 400)
    with pytest.raises(BudgetError, match="budget of 400"):
        ask(library, "gas " * 1000, 400)


@pytest.fixture
def stored(tmp_path, library):
    store = Answers(tmp_path)
    first = ask(library, "How much gas may a block hold?", 400)
    found = []
    for at in range(3):
        asked_at = datetime(2026, 5, 1, 12, 0, at, tzinfo=UTC)
        name = identify(asked_at, first.question, first.text, first.citations)
        found.append(replace(first, id=name, asked_at=asked_at))
        store.save(found[-1])
    return store, found


def test_what_was_stored_is_found_by_id_by_prefix_and_as_the_last(stored):
    store, (first, _, last) = stored
    assert store.load(first.id) == first
    assert store.load(first.id[:16]) == first
    assert store.load("last") == last
    assert store.recent(2) == [last, stored[1][1]]


def test_the_last_of_one_second_is_the_last(stored):
    store, (first, *_) = stored
    for digest in ("ffffffff", "00000000", "77777777"):
        last = replace(first, id=f"20270101T000000Z-{digest}")
        store.save(last)
        assert store.load("last") == last


@pytest.mark.parametrize("name", ["", "2025", "../secret", "*"])
def test_an_unknown_id_is_an_error(stored, name):
    with pytest.raises(LibraryError, match="no answer"):
        stored[0].load(name)


def test_a_prefix_of_several_ids_is_an_error(stored):
    with pytest.raises(LibraryError, match="begins 3 ids"):
        stored[0].load("2026")


def test_a_damaged_file_is_named(stored, tmp_path):
    (tmp_path / "answers" / f"{stored[1][0].id}.json").write_text('{"id": ')
    with pytest.raises(LibraryError, match="damaged"):
        stored[0].load(stored[1][0].id)


def test_an_answer_that_cannot_be_stored_leaves_nothing_behind(tmp_path, stored):
    (tmp_path / "file").write_text("")
    with pytest.raises(LibraryError, match="cannot be stored"):
        Answers(tmp_path / "file").save(stored[1][0])
    assert len(list((tmp_path / "answers").iterdir())) == 3


def test_an_altered_answer_is_not_intact(stored):
    answer = stored[1][0]
    assert answer.intact
    assert not replace(answer, text=answer.text + " Trust me.").intact
    assert not replace(answer, citations=()).intact


SOURCE = SourceRef(
    uri="https://github.com/ethereum/EIPs/blob/f767a1e8078e/EIPS/eip-1559.md",
    path="eip-1559.md", location="/e",
    title="Fee market", kind=Kind.PROPOSAL, sha256="2a9f" * 16, passage_id="p", passage_sha256="q",
    retrieved_at=datetime(2026, 5, 1, tzinfo=UTC), heading=("Specification",), line_start=120, line_end=141,
    commit="f767a1e8078e", designation="EIP-1559",
)  # fmt: skip


def test_a_citation_says_where_it_stands():
    assert citation_line([1, 3], SOURCE) == (
        "[1] [3] EIP-1559 § Specification, lines 120–141, "
        "commit f767a1e, retrieved 2026-05-01, sha256 2a9f2a9f…"
    )
    assert (
        place(replace(SOURCE, designation=None, page=3, line_start=None))
        == "Fee market § Specification, page 3"
    )


def test_status_and_date_stand_where_a_citation_is_read():
    standing = replace(SOURCE, status="Withdrawn", published_at=date(2019, 4, 13))
    said = "EIP-1559 § Specification, Withdrawn, 2019-04-13, lines 120–141"
    assert place(standing) == said
    assert said in citation_line([1], standing)


def test_an_answer_that_was_stored_before_sources_had_a_status_still_opens(stored):
    answer = stored[1][0]
    data = to_json(answer)
    for citation in data["citations"]:
        assert citation.pop("status") is None
    assert from_json(data) == answer


@pytest.mark.parametrize(
    ("changes", "address"),
    [
        ({}, SOURCE.uri + "?plain=1#L120-L141"),
        (
            {"uri": "https://github.com/a/b/blob/HEAD/d.tex"},
            f"https://github.com/a/b/blob/{SOURCE.commit}/d.tex#L120-L141",
        ),
        ({"uri": "https://x.org/p.pdf", "page": 3, "line_start": None}, "https://x.org/p.pdf#page=3"),
        ({"line_end": 120}, SOURCE.uri + "?plain=1#L120"),
        ({"uri": "https://x.org/a"}, "https://x.org/a"),
    ],
)
def test_a_link_opens_at_the_place(changes, address):
    assert link(replace(SOURCE, **changes)) == address


@given(st.text())
def test_clean_text_has_no_escapes_and_no_controls(text):
    hostile = f"\x1b[31m{text}\x1b]8;;http://x\x07\x9b2J\u202e\r\x00\x1b"
    assert not any(
        (ord(c) < 32 and c not in "\n\t") or 0x7F <= ord(c) < 0xA0 or c == "\u202e" for c in clean(hostile)
    )


def test_markdown_of_an_answer_cannot_be_led_astray_by_its_source(library):
    answer = ask(library, "How much gas may a block hold?", 400)
    evil = replace(answer, sentences=(Sentence("a [x](http://e) <b> `c`\n# d", (1,)),))
    text = to_markdown(evil)
    assert "[x](http" not in text
    assert "<b>" not in text
    assert (
        f"](https://github.com/someone/notes/blob/0123456789abcdef/{answer.citations[0].source.path}" in text
    )


def test_ids_sort_by_time():
    start = datetime(2026, 1, 1, tzinfo=UTC)
    ids = [identify(start + timedelta(seconds=at * 7919), "q", "t", ()) for at in range(50)]
    assert ids == sorted(ids)
