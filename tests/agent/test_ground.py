"""What is left of a draft: sentences that a cited passage carries, renumbered, with verbatim quotations."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import pytest

from agent.answers.packing import Section
from agent.grounding.pipeline import Grounder, Grounding
from index.values import Hit
from tests.agent.conftest import MemoryLibrary

Grounds = Callable[..., Grounding]

QUESTION = "What do the notes say of fees and seeds?"
FEE = "The base fee is burned by the protocol"
LIMIT = "A block may hold 30,000,000 gas at most"
SEED = "A seed phrase of 24 words holds 256 bits of entropy"


@pytest.fixture
def evidence(library: MemoryLibrary) -> Mapping[int, Section]:
    """The three notes: 1 the fee, 2 the seed, 3 the bridge."""
    return {at: Section(hit.document, (hit.passage,), 1.0) for at, hit in enumerate(library.hits, 1)}


@pytest.fixture
def grounds(library: MemoryLibrary, evidence: Mapping[int, Section]) -> Grounds:
    return lambda draft, judge=None: Grounder(library, QUESTION).ground(draft, evidence, judge)


def texts(grounding: Grounding) -> list[str]:
    return [sentence.text for sentence in grounding.sentences]


def test_citations_are_renumbered_and_quote_their_place(
    grounds: Grounds, evidence: Mapping[int, Section], notes: Mapping[str, str]
) -> None:
    found = grounds(f"{SEED} [2]. {FEE} [1]. {SEED} [2].")
    assert found.text == f"{SEED}. [1] {FEE}. [2] {SEED}. [1]"
    assert [citation.number for citation in found.citations] == [1, 2]
    for citation, name in zip(found.citations, ("eip-2", "eip-1"), strict=True):
        assert citation.source.path == f"notes/{name}.md"
        assert notes[citation.source.path][citation.start : citation.end] == citation.quote
    assert found.citations[0].source.line_start == found.citations[0].source.line_end == 3


def test_a_quotation_has_the_offsets_of_the_document_where_passages_touch(
    hits_of: Callable[..., list[Hit]],
) -> None:
    text = "# Note\n\nThe first rule concerns fees.\n\nThe second rule concerns blocks of 12 seconds.\n"
    hits = hits_of(text, [38])
    section = Section(hits[0].document, tuple(hit.passage for hit in hits), 1.0)
    found = Grounder(MemoryLibrary(hits), "?").ground(
        "The second rule concerns blocks of 12 seconds [1].", {1: section}
    )
    [citation] = found.citations
    assert text[citation.start : citation.end] == citation.quote
    assert citation.quote == "The second rule concerns blocks of 12 seconds."
    assert (citation.source.line_start, citation.source.passage_id) == (5, hits[1].passage.id)


@pytest.mark.parametrize(
    "draft",
    [
        f"{FEE}. [1]",
        f"{FEE} [1].",
        f"{FEE} ([1]).",
        f"{FEE} (see [1]).",
        f"{FEE} 【1】.",
        f"{FEE} ［１］.",
        f"{FEE} [^1].",
        f"{FEE}[1]",
        f"{FEE} [1, 99].",
        f"{FEE} [1-3].",
        f"{FEE} [3][1].",
        f"- {FEE} [1]",
        f"> {FEE} [1].",
        f"**{FEE}** [1].",
        f"What the notes say: [1]\n\n- {FEE}",
    ],
)
def test_marks_are_read_in_every_form(grounds: Grounds, draft: str) -> None:
    found = grounds(draft)
    assert [text.strip("*.") for text in texts(found)] == [FEE]
    assert found.sentences[0].citations == (1,)
    assert found.citations[0].source.path == "notes/eip-1.md"
    assert found.citations[0].quote == f"{FEE}."
    assert not found.faults


@pytest.mark.parametrize(
    ("draft", "reason"),
    [
        (f"{FEE}.", "it carries no citation"),
        (f"{FEE} [7].", "there is no source [7]; the sources are [1], [2], [3]"),
        (
            "A block may hold 31,000,000 gas at most [1].",
            "31,000,000 does not occur in [1]; the closest in [1] is",
        ),
        ("A block may hold 30,000,000 wei at most [1].", "the number 30,000,000 does not occur in [1]"),
        ("A block may hold 3[1]1 gas at most [1].", "cuts a number"),
        ("The base fee is not burned by the protocol [1].", 'it negates "burn"'),
        (
            "The base fee is paid to “the miner” by the protocol [1].",
            "the quotation the miner does not occur",
        ),
        ("`stealAll` burns the base fee of the protocol [1].", "the code stealAll does not occur"),
        ("The moon is made of cheese and honey [1].", "[1] does not say this"),
        ("A seed phrase of 256 words holds 24 bits of entropy [2].", "does not occur in [2]"),
        ("```\nselfdestruct();\n``` [1]", "carries no citation"),
    ],
)
def test_a_fault_says_what_to_mend(grounds: Grounds, draft: str, reason: str) -> None:
    found = grounds(draft)
    assert (found.sentences, found.citations, found.text, found.refused) == ((), (), "", False)
    assert reason in found.faults[0].reason


def test_a_fact_that_another_source_has_is_pointed_to(grounds: Grounds) -> None:
    [fault] = grounds("The protocol burns 2048 base fees [1].").faults
    assert "([2] has it)" in fault.reason


def test_one_bad_sentence_does_not_take_the_others_with_it(grounds: Grounds) -> None:
    found = grounds(f"{FEE} [1]. It was 31 gwei [1]. {SEED} [2].")
    assert texts(found) == [f"{FEE}.", f"{SEED}."]
    assert [fault.sentence for fault in found.faults] == ["It was 31 gwei."]


def test_the_mark_of_a_paragraph_does_not_reach_back(grounds: Grounds) -> None:
    found = grounds(f"{FEE}. {LIMIT} [1].")
    assert texts(found) == [f"{LIMIT}."]


def test_two_sources_may_carry_a_sentence_together(grounds: Grounds) -> None:
    found = grounds(f"{FEE}, and a seed phrase of 24 words holds 256 bits of entropy [1][2].")
    assert found.sentences[0].citations == (1, 2)
    assert {citation.source.path for citation in found.citations} == {"notes/eip-1.md", "notes/eip-2.md"}


def test_a_wrong_mark_is_corrected_and_noted(grounds: Grounds) -> None:
    found = grounds(f"{FEE} [2].")
    assert [citation.source.path for citation in found.citations] == ["notes/eip-1.md"]
    assert "which does not carry it; " in found.notes[0]
    assert "[" not in found.notes[0]


def test_headings_and_leads_stay_where_they_claim_nothing(grounds: Grounds) -> None:
    draft = f"## Fees\n\nIn short:\n\n- {FEE} [1]\n- {LIMIT} [1]\n\n## The 51 evil miners\n\n{SEED} [2]."
    assert grounds(draft).text == f"## Fees\n\nIn short:\n\n- {FEE} [1]\n- {LIMIT} [2]\n\n{SEED}. [3]"


@pytest.mark.parametrize(
    "draft",
    [
        "Not in the library.",
        "The passages do not say how many.",
        "I could not find an answer in the sources.",
        "No se encuentra en la biblioteca.",
        "资料中没有提到这个问题。",
    ],
)
def test_a_draft_that_only_says_what_is_lacking_is_a_refusal(grounds: Grounds, draft: str) -> None:
    found = grounds(draft)
    assert found.refused
    assert (found.sentences, found.faults) == ((), ())


def test_what_is_lacking_beside_an_answer_is_noted_and_not_shown(grounds: Grounds) -> None:
    found = grounds(f"{FEE} [1]. The sources do not say who decided this.")
    assert texts(found) == [f"{FEE}."]
    assert not found.refused
    assert "who decided this" in found.notes[0]


@pytest.mark.parametrize(
    "draft", ["", " \n ", "[1]", "...", "```", "| | |", "##", "\0", "[" * 2000, "1" * 5000]
)
def test_a_draft_of_nothing_leaves_nothing(grounds: Grounds, draft: str) -> None:
    assert grounds(draft).sentences == ()


def test_without_evidence_nothing_is_kept(library: MemoryLibrary) -> None:
    found = Grounder(library, QUESTION).ground(f"{FEE} [1].", {})
    assert not found.sentences
    assert "the sources are none" in found.faults[0].reason


class Asked:
    """A judge that always says the same, and remembers what it was asked."""

    def __init__(self, verdict: bool) -> None:
        self.verdict, self.calls = verdict, list[Sequence[tuple[str, str]]]()

    def __call__(self, pairs: Sequence[tuple[str, str]]) -> Sequence[bool]:
        self.calls.append(pairs)
        return [self.verdict] * len(pairs)


def test_a_judge_decides_support_once_and_for_all(grounds: Grounds, evidence: Mapping[int, Section]) -> None:
    judge = Asked(False)
    assert not grounds(f"{FEE} [1]. {SEED} [2].", judge).sentences
    [pairs] = judge.calls
    assert [sentence for sentence, _ in pairs] == [f"{FEE}.", f"{SEED}."]
    assert [passage.strip() for _, passage in pairs] == [evidence[n].render().strip() for n in (1, 2)]


def test_a_judge_cannot_let_a_wrong_fact_pass(grounds: Grounds) -> None:
    judge = Asked(True)
    found = grounds("A block may hold 31,000,000 gas at most [1].", judge)
    assert (found.sentences, judge.calls) == ((), [])


def test_another_language_needs_its_facts_and_a_judge(grounds: Grounds) -> None:
    true, false = "Un bloque contiene 30,000,000 gas [1].", "Un bloque contiene 31,000,000 gas [1]."
    assert not grounds(true, Asked(False)).sentences
    assert len(grounds(true, Asked(True)).sentences) == 1
    assert not grounds(false, Asked(True)).sentences


def test_documents_that_disagree_are_told(hit_of: Callable[..., Hit]) -> None:
    hits = [
        hit_of("The withdrawal delay of the vault is 7 days.\n", "EIP-1"),
        hit_of("The withdrawal delay of the vault is 14 days.\n", "EIP-2"),
    ]
    evidence = {at: Section(hit.document, (hit.passage,), 1.0) for at, hit in enumerate(hits, 1)}
    draft = (
        "The withdrawal delay of the vault is 7 days [1]. The withdrawal delay of the vault is 14 days [2]."
    )
    [found] = Grounder(MemoryLibrary(hits), "What is the delay?").ground(draft, evidence).disagreements
    assert (found.sentences, found.values, found.citations) == ((0, 1), ("7", "14"), ((1,), (2,)))
    same = draft.replace("14 days [2]", "7 days [1]")
    assert Grounder(MemoryLibrary(hits), "What is the delay?").ground(same, evidence).disagreements == ()


def alone(hit_of: Callable[..., Hit], source: str, said: str) -> Grounding:
    """A draft of one sentence that cites a document of one sentence, in a library of other things."""
    hit = hit_of(source + "\n")
    library = MemoryLibrary([hit, *(hit_of(f"note {at}") for at in range(20))])
    return Grounder(library, "?").ground(f"{said} [1].", {1: Section(hit.document, (hit.passage,), 1.0)})


POLARITY = [
    ("Clients MUST NOT accept such a block.", "Clients must accept such a block"),
    ("Clients MUST accept such a block.", "Clients must not accept such a block"),
    ("Clients SHOULD accept such a block.", "Clients must accept such a block"),
    ("The base fee falls with each empty block.", "The base fee rises with each empty block"),
    ("The minimum stake of a node is 32 ETH.", "The maximum stake of a node is 32 ETH"),
    ("The total must not exceed 100 transactions.", "The total must exceed 100 transactions"),
    ("A proof is always valid in this scheme.", "A proof is never valid in this scheme"),
    ("Blocks are rejected by full nodes.", "Blocks are not rejected by full nodes"),
    ("Neither of the two headers is needed.", "Neither of the two headers is not needed"),
]


@pytest.mark.parametrize(("source", "said"), POLARITY)
def test_a_sentence_may_not_turn_its_source_around(
    hit_of: Callable[..., Hit], source: str, said: str
) -> None:
    assert not alone(hit_of, source, said).sentences
    assert alone(hit_of, source, source.rstrip(".")).sentences


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("The total must not exceed 100 transactions.", "The total is at most 100 transactions"),
        ("New contracts that start with 0xEF are rejected.", "No new contracts may start with 0xEF"),
        (
            "There are 0 contracts in state that start with 0xEF.",
            "None of the contracts in state start with 0xEF",
        ),
        ("The proof isn't needed by a client.", "The proof is not needed by a client"),
    ],
)
def test_the_same_said_with_another_negation_stands(
    hit_of: Callable[..., Hit], source: str, said: str
) -> None:
    found = alone(hit_of, source, said)
    assert found.sentences, found.faults
