from dataclasses import replace

import pytest

from agent.answers.verify import verify
from agent.session import ask
from index.errors import Gone, Reorged, SourceError, Unreachable
from index.values import Reading


@pytest.fixture
def answer(library):
    return ask(library, "How much gas may a block hold, and what is burned?", 400)


@pytest.fixture
def rereading(hit_of):
    """Reads sources from a dictionary, as they stand there now."""

    def make(texts, asked=None):
        def reread(source):
            if asked is not None:
                asked.append(source.path)
            if source.path not in texts:
                raise Gone(f"{source.location} is not there any more")
            return Reading(hit_of(texts[source.path]).document, texts[source.path], ())

        return reread

    return make


def test_unchanged_sources_are_ok_and_read_once(answer, notes, rereading):
    asked = []
    checks = verify(answer, rereading(notes, asked))
    assert [check.verdict for check in checks] == ["OK"] * len(answer.citations)
    assert len(asked) == len(set(asked)) > 0


def test_what_else_was_seen_is_told_once_for_each_source(answer, notes, rereading):
    again = rereading(notes)
    twice = replace(answer, citations=(*answer.citations, answer.citations[0]))
    checks = verify(twice, lambda source: replace(again(source), findings=(f"seen in {source.path}",)))
    paths = [citation.source.path for citation in answer.citations]
    assert [check.notes for check in checks[: len(paths)]] == [
        () if path in paths[:at] else (f"seen in {path}",) for at, path in enumerate(paths)
    ]
    assert checks[-1].notes == ()


def test_a_changed_quotation_shows_what_stands_there_now(answer, notes, rereading):
    now = {path: text.replace("30,000,000", "60,000,000") for path, text in notes.items()}
    by_quote = dict(zip((c.quote for c in answer.citations), verify(answer, rereading(now)), strict=True))
    changed = next(check for quote, check in by_quote.items() if "30,000,000" in quote)
    assert changed.verdict == "CHANGED"
    assert "60,000,000" in changed.now
    assert "[-30,000,000-] {+60,000,000+}" in changed.change
    assert "does not stand" in changed.message


def test_a_quotation_that_still_stands_in_a_changed_source_is_told_apart(answer, notes, rereading):
    now = {path: text + "\nOne more line.\n" for path, text in notes.items()}
    for check in verify(answer, rereading(now)):
        assert check.verdict == "CHANGED"
        assert "still stands" in check.message
        assert check.now is None


def test_a_forged_quotation_of_an_unchanged_source_is_found(answer, notes, rereading):
    forged = replace(
        answer, citations=(replace(answer.citations[0], quote="A block may hold 99 gas at most."),)
    )
    (check,) = verify(forged, rereading(notes))
    assert check.verdict == "CHANGED"
    assert "the source is the same" in check.message
    assert not forged.intact


def test_a_source_that_is_gone(answer, rereading):
    for check in verify(answer, rereading({})):
        assert check.verdict == "GONE"
        assert "not there any more" in check.message


def test_a_block_that_was_displaced(answer):
    def reread(source):
        raise Reorged("block 7 was displaced by a reorganisation")

    checks = verify(answer, reread)
    assert {(check.verdict, check.message) for check in checks} == {
        ("REORGED", "block 7 was displaced by a reorganisation")
    }


def test_a_source_that_does_not_answer(answer):
    def reread(source):
        raise Unreachable("the server did not answer within 30 s")

    assert {check.verdict for check in verify(answer, reread)} == {"UNREACHABLE"}


def test_a_source_with_nothing_alike_left(answer, rereading):
    for check in verify(answer, rereading({c.source.path: "Zzz." for c in answer.citations})):
        assert check.verdict == "CHANGED"
        assert check.now is None


def test_a_source_that_can_no_longer_be_read(answer):
    def reread(source):
        raise SourceError("is empty")

    checks = verify(answer, reread)
    assert {check.verdict for check in checks} == {"CHANGED"}
    assert all("is empty" in check.message for check in checks)
