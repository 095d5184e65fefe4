from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.answerers.candidates import MORE_SENTENCES, MOST_SENTENCES, Wish
from agent.answerers.selection import select
from agent.answers.markdown import to_markdown
from agent.requests.budget import Budget, count_tokens
from agent.requests.pack import pack
from agent.session import ask
from agent.understanding import entities, subject, wants
from index.errors import BudgetError

WORDS = st.lists(
    st.sampled_from(
        ["gas", "fee", "30,000,000", "block", "burned.", "A", "The", "words?", "list!\n\n", "-", "|"]
    ),
    max_size=12,
)


class Undecided:
    """A reader to which all sentences are alike."""

    def scores(self, question, texts):
        return np.zeros(len(texts), np.float32)


def quotes(library, question, most=MOST_SENTENCES):
    plan = Budget.plan(question, 600)
    sections = pack(library.search(question, 30), plan).sections
    wish = Wish(
        question,
        subject(question),
        defines=wants(question) == "definition",
        named=frozenset(document.uri for document in library.named(entities(question).documents)),
        most=most,
    )
    return select(wish, sections, library, Undecided(), lambda quotes: len(quotes) <= most)


@settings(max_examples=50)
@given(words=WORDS, texts=st.lists(st.text(max_size=120), max_size=4), total=st.integers(40, 500))
def test_whatever_is_asked_the_answer_is_verbatim_and_in_the_budget(words, texts, total, library, hit_of):
    question = " ".join(["fee", *words])
    known = len(library.hits)
    library.hits += [hit_of(text, f"BIP-{at}") for at, text in enumerate(texts)]
    stored = {hit.passage.uri: hit.passage.text for hit in library.hits}
    try:
        answer = ask(library, question, total)
    except BudgetError:
        return
    finally:
        del library.hits[known:]
    parts = question.rstrip("?").count("?")
    assert len(answer.citations) <= min(MOST_SENTENCES + parts, MORE_SENTENCES)
    assert answer.refused == (not answer.citations)
    assert answer.usage.tokens_in + answer.packing.reserve <= total
    assert answer.refused or count_tokens(answer.text) <= answer.packing.reserve
    for citation in answer.citations:
        assert stored[citation.source.uri][citation.start : citation.end] == citation.quote


def test_a_number_is_preferred_when_a_number_is_asked_for(library, hit_of):
    library.hits = [
        hit_of("The block may hold some gas.\n\nThe block may hold 77 gas.\n\nThe block may hold gas again.")
    ]
    (best,) = quotes(library, "How much gas may the block hold?", most=1).quotes
    assert best.text == "The block may hold 77 gas."
    (best,) = quotes(library, "May the block hold some gas?", most=1).quotes
    assert best.text == "The block may hold some gas."


@pytest.mark.parametrize("name", ["EIP-7001", "EIP-7002", "EIP-7003"])
def test_what_is_asked_of_a_proposal_is_quoted_from_it(library, hit_of, name):
    rules = {"EIP-7001": "each epoch", "EIP-7002": "on request", "EIP-7003": "never at once"}
    library.hits = [
        hit_of(f"Beside {' and '.join(rules)}, withdrawals of validators happen {rule}.", number)
        for number, rule in rules.items()
    ]
    (best,) = quotes(library, f"What does {name} say of withdrawals of validators?", most=1).quotes
    assert best.section.document.number == name


def test_short_rows_are_quoted_with_their_head(library, hit_of):
    table = "| name | cost |\n|---|---|\n| MCOPY | 27 |\n| MLOAD | 3 |"
    library.hits = [hit_of(f"Costs of opcodes:\n\n{table}\n\nNothing else is said of it here.")]
    question = "What is the cost of MCOPY and MLOAD?"
    assert "| MCOPY | 27 |\n| MLOAD | 3 |" in [quote.text for quote in quotes(library, question).quotes]
    shown = [sentence.text for sentence in ask(library, question, 600).sentences]
    assert any("cost" in text.partition("MCOPY")[0] and "MLOAD" in text for text in shown), shown


@pytest.mark.parametrize(
    ("here", "there", "values"),
    [
        ("7 days", "14 days", ("7", "14")),
        ("until 3 May 2024", "until 9 June 2025", ("3 May 2024", "9 June 2025")),
        (f"to 0x{'a1' * 20}", f"to 0x{'b2' * 20}", (f"0x{'a1' * 20}", f"0x{'b2' * 20}")),
        ("1 week", "7 days", None),
    ],
)
def test_a_source_that_says_another_value_is_shown_beside(library, hit_of, here, there, values):
    library.hits = [
        hit_of(f"The withdrawal of the vault is bound {here}.\n", "EIP-1"),
        hit_of(f"The withdrawal of the vault is bound {there}.\n", "EIP-2"),
        hit_of("Nothing of the kind stands in this note about seed phrases.\n", "EIP-3"),
    ]
    tight = ask(library, "How is the withdrawal of the vault bound?", 500)
    assert tight.usage.tokens_out <= tight.packing.reserve
    answer = ask(library, "How is the withdrawal of the vault bound?", 1200)
    assert answer.usage.tokens_out <= answer.packing.reserve
    assert {one.values for one in answer.disagreements} <= {values, values and values[::-1]}
    told_beside = "the sources differ" in to_markdown(answer)
    assert bool(answer.disagreements) == told_beside == (values is not None)
    if values:
        assert len({one.source.designation for one in answer.citations} & {"EIP-1", "EIP-2"}) == 2
    asked_apart = ask(library, "How does EIP-1 differ from EIP-2 in the withdrawal of the vault?", 600)
    assert asked_apart.disagreements == ()


def test_a_definition_begins_where_its_document_says_what_it_is(library, hits_of):
    parts = (
        (
            "Abstract",
            "## Abstract\n\nA vault lock is a promise that assets stay in their vault for a time.\n\n",
        ),
        ("Motivation", "Depositors asked for a promise that others can check.\n\n"),
        ("Specification", "The vault lock opens for the keeper of the vault lock alone.\n"),
    )
    cuts = np.cumsum([len(text) for _, text in parts])[:-1].tolist()
    hits = hits_of("".join(text for _, text in parts), cuts, "EIP-77")
    library.hits += [
        replace(hit, passage=replace(hit.passage, heading=(heading,)))
        for hit, (heading, _) in zip(hits, parts, strict=True)
        if heading != "Motivation"
    ]
    assert (
        quotes(library, "What is EIP-77 vault lock?").quotes[0].text.startswith("A vault lock is a promise")
    )


def test_a_sentence_that_stands_twice_is_quoted_once(library, hit_of):
    rule = "The vault MUST round down towards zero."
    for name, heading, more in (
        ("EIP-1", "Shares of the depositors", "Depositors receive their shares in the same block.\n"),
        ("EIP-2", "Assets of the treasury", "Treasurers withdraw only what the auditors have released.\n"),
    ):
        hit = hit_of(f"{rule}\n\n{more}", name)
        library.hits.append(replace(hit, passage=replace(hit.passage, heading=(heading,))))
    shown = [
        sentence.text for sentence in ask(library, "How must the vault round towards zero?", 900).sentences
    ]
    assert shown.count(rule) == 1


def test_support_grows_with_what_the_evidence_holds(library):
    near = quotes(library, "How many bits of entropy has a seed phrase of 24 words?").support
    far = quotes(library, "Which zodiac sign rules Kyrgyz penguin auctions?").support
    assert near.enough
    assert not far.enough
    assert near.margin > far.margin


@pytest.mark.parametrize("name", ["Zanzibar", "BIP9999", "0xdeadbeef"])
def test_a_name_that_no_source_knows_counts_against_an_answer(library, name):
    known = quotes(library, "How many bits of entropy has a seed phrase?").support
    unknown = quotes(library, f"How many bits of entropy has a {name} seed phrase?").support
    assert known.unnamed == 0
    assert unknown.unnamed > 0
    assert unknown.margin < known.margin


@pytest.mark.parametrize(
    ("question", "beside", "answer"),
    [
        ("What is the hash of the first block?", "The hash of the first block is secret.", f"0x{'ab' * 32}"),
        ("On which date was the first block mined?", "The first block was mined long ago.", "2009-01-03"),
        (
            "At which timestamp is the first block?",
            "The first block has a timestamp of its own.",
            "1231006505",
        ),
    ],
)
def test_an_answer_that_is_known_by_its_form_is_given_in_that_form_or_refused(
    library, hit_of, question, beside, answer
):
    library.hits = [hit_of(f"{beside}\n\nThe first block is older than this block.")]
    assert not quotes(library, question).support.enough
    library.hits = [hit_of(f"{beside}\n\nOf the first block it is {answer}.")]
    found = quotes(library, question)
    assert found.support.formed
    assert any(answer in quote.text for quote in found.quotes)


@pytest.mark.parametrize(
    "question", ["What is a block hash?", "Which hash function is used?", "What is the timestamp opcode?"]
)
def test_a_question_about_such_a_thing_does_not_ask_for_one(library, hit_of, question):
    library.hits = [hit_of("A block hash names a block.\n\nThe timestamp opcode is 0x42.")]
    assert quotes(library, question).support.formed
