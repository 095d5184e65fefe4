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
        ("The moon is made of cheese.", "no source says this; the sources are [1][2][3]"),
        ("The moon is made of cheese [7].", "there is no source [7]; the sources are [1][2][3]"),
        (
            "A block may hold 31,000,000 gas at most [1].",
            "31,000,000 does not occur in [1]; the closest in [1] is",
        ),
        ("A block may hold 30,000,000 wei at most [1].", "the number 30,000,000 does not occur in [1]"),
        ("A block may hold 3[1]1 gas at most [1].", "cuts a number"),
        (
            "The base fee is paid to “the miner” by the protocol [1].",
            "the quotation the miner does not occur",
        ),
        ("`stealAll` burns the base fee of the protocol [1].", "the code stealAll does not occur"),
        ("The moon is made of cheese and honey [1].", "[1] does not say this"),
        ("A seed phrase of 256 words holds 24 bits of entropy [2].", "does not occur in [2]"),
        ("```\nselfdestruct();\n``` [1]", "does not stand in the sources so"),
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


@pytest.mark.parametrize("mark", ["", " [99]", " [3]"])
def test_a_sentence_without_its_citation_is_attributed_before_it_is_doubted(
    grounds: Grounds, mark: str
) -> None:
    found = grounds(f"{FEE}{mark}. {LIMIT} [1].")
    assert texts(found) == [f"{FEE}.", f"{LIMIT}."]
    assert [one.source.path for one in found.citations] == ["notes/eip-1.md"] * 2
    assert [sentence.verified_by for sentence in found.sentences] == ["verbatim"] * 2
    assert not found.faults
    assert bool(found.notes) == bool(mark)


@pytest.mark.parametrize("draft", ["24", "24 words.", "**24**", "`24`", "24 [1]", "- 24"])
def test_a_draft_of_one_value_becomes_the_sentence_that_holds_it(library: MemoryLibrary, draft: str) -> None:
    evidence = {at: Section(hit.document, (hit.passage,), 1.0) for at, hit in enumerate(library.hits, 1)}
    found = Grounder(library, "How many words does a seed phrase have?").ground(draft, evidence)
    assert texts(found) == [f"{SEED}."]
    assert found.sentences[0].verified_by == "verbatim"
    assert found.citations[0].source.path == "notes/eip-2.md"


def test_a_value_that_no_sentence_holds_is_removed(grounds: Grounds) -> None:
    assert not grounds("25").sentences


def test_a_claim_in_other_words_is_marked_beside_the_source_s_own(grounds: Grounds) -> None:
    found = grounds("What users pay as the base fee gets burned [1].")
    [sentence] = found.sentences
    assert (sentence.verified_by, sentence.beside) == (None, f"{FEE}.")
    assert found.text == "What users pay as the base fee gets burned. [1] (unverified)"
    assert not found.faults


def test_unverified_claims_are_removed_where_that_is_set(
    library: MemoryLibrary, evidence: Mapping[int, Section]
) -> None:
    grounder = Grounder(library, QUESTION, keep_unverified=False)
    found = grounder.ground(f"What users pay as the base fee gets burned [1]. {SEED} [2].", evidence)
    assert texts(found) == [f"{SEED}."]
    assert "nobody has judged" in found.faults[0].told


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

    name = "a judge"

    def __init__(self, verdict: bool | None) -> None:
        self.verdict, self.calls = verdict, list[Sequence[tuple[str, str]]]()

    def __call__(self, pairs: Sequence[tuple[str, str]]) -> Sequence[bool | None]:
        self.calls.append(pairs)
        return [self.verdict] * len(pairs)


PARAPHRASES = (
    "What users pay as the base fee gets burned [1]. Seed phrases run to 24 words [2]. " + FEE + " [1]."
)


def test_a_judge_is_asked_once_of_all_that_is_not_verbatim(
    grounds: Grounds, evidence: Mapping[int, Section]
) -> None:
    judge = Asked(True)
    found = grounds(PARAPHRASES, judge)
    assert [sentence.verified_by for sentence in found.sentences] == ["a judge", "a judge", "verbatim"]
    [pairs] = judge.calls
    assert [passage.strip() for _, passage in pairs] == [evidence[n].render().strip() for n in (1, 2)]


def test_a_judge_s_no_removes_and_its_silence_leaves_unverified(grounds: Grounds) -> None:
    denied, silent = grounds(PARAPHRASES, Asked(False)), grounds(PARAPHRASES, Asked(None))
    assert texts(denied) == [f"{FEE}."]
    assert "as a judge judges" in denied.faults[0].told
    assert [sentence.verified_by for sentence in silent.sentences] == [None, None, "verbatim"]


def test_a_judge_cannot_let_a_wrong_fact_pass(grounds: Grounds) -> None:
    judge = Asked(True)
    found = grounds("A block may hold 31,000,000 gas at most [1].", judge)
    assert (found.sentences, judge.calls) == ((), [])


def test_another_language_needs_its_facts_and_is_verified_by_a_judge(grounds: Grounds) -> None:
    true, false = "Un bloque contiene 30,000,000 gas [1].", "Un bloque contiene 31,000,000 gas [1]."
    assert not grounds(true, Asked(False)).sentences
    assert grounds(true, Asked(True)).sentences[0].verified_by == "a judge"
    assert grounds(true).sentences[0].verified_by is None
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


LIMITS = [
    ("A call is free, so long as the slot is warm.", "A call is free"),
    ("Clients **should** accept blocks.", "Clients accept blocks"),
    ("Clients **should** accept blocks.", "It accepts blocks"),
    ("Clients must revert the call, except for view functions.", "Clients must revert the call"),
    ("Otherwise the maximum number of keys is 20.", "The maximum number of keys is 20"),
    ("If the proof is empty, the block is valid.", "The block is valid"),
    ("The block is valid unless the proof is empty.", "The block is valid"),
    ("Only the owner may call this function.", "The owner may call this function"),
    ("Most clients accept such a block.", "Clients accept such a block"),
    ("The owner pays the fee to the builder.", "The builder pays the fee to the owner"),
    ("A key has 24 words and a seed has 12 words.", "A key has 12 words and a seed has 24 words"),
    ("The fee is paid before the call is made.", "The fee is paid after the call is made"),
    ("The cost is 5 gas for storage that is cold.", "The cost is 5 gas for storage"),
    ("It is unlikely that the limit is reached.", "The limit is reached"),
    ("In tests, blocks are empty, and nodes are fast.", "Nodes are fast"),
    ("Clients must return A or B.", "Clients must return A"),
    ("The call reverts only if A or B is set.", "The call reverts only if A is set"),
]


@pytest.mark.parametrize(("source", "said"), [*POLARITY, *LIMITS])
def test_a_sentence_that_says_other_than_its_source_is_never_verified(
    hit_of: Callable[..., Hit], source: str, said: str
) -> None:
    assert not any(sentence.verified_by for sentence in alone(hit_of, source, said).sentences)
    [same] = alone(hit_of, source, source.rstrip(".")).sentences
    assert same.verified_by == "verbatim"


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("Clients MUST NOT accept blocks.", "Clients must not accept a block"),
        ("The proof isn't needed by a client.", "The proof is not needed by a client"),
        ("Note that the fee is burned (see below).", "The fee is burned"),
        ("If the proof is empty, the block is valid.", "The block is valid if the proof is empty"),
        ("MUST revert when the call fails.", "It must revert when the call fails"),
        ("The version is `>= 70017`.", "The version is at least 70,017"),
        ("The wallet's first address is shown.", "The first address of the wallet is shown"),
        ("Furthermore, this EIP raises the fee.", "EIP-1 raises the fee"),
        ("The fee is burned, so miners do not receive it.", "The fee is burned"),
        ("**Bound**: A block MUST hold at most five blobs.", "A block must hold at most 5 blobs"),
        ("It reverts if the call or the transfer fails.", "It reverts if the call fails"),
        ("The call costs `20000 + 5 * 200 = 21000` gas.", "The call costs 21000 gas"),
        ("Nodes burn the fee. Clients show it.", "Nodes burn the fee, and clients show it"),
        ("| `MAX_KEYS` | 24 | the most keys |", "`MAX_KEYS` is 24"),
    ],
)
def test_edits_that_change_no_truth_leave_a_sentence_verbatim(
    hit_of: Callable[..., Hit], source: str, said: str
) -> None:
    [sentence] = alone(hit_of, source, said).sentences
    assert sentence.verified_by == "verbatim"


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("The total must not exceed 100 transactions.", "The total is at most 100 transactions"),
        ("New contracts that start with 0xEF are rejected.", "No new contracts may start with 0xEF"),
    ],
)
def test_the_same_said_in_other_words_is_not_removed(
    hit_of: Callable[..., Hit], source: str, said: str
) -> None:
    found = alone(hit_of, source, said)
    assert found.sentences, found.faults
