from hypothesis import given, settings
from hypothesis import strategies as st

from agent.requests.budget import Budget, count_tokens
from agent.requests.pack import pack

WORDS = st.text(alphabet=st.sampled_from("ab1é中 \n\t`|0x🧪"), min_size=1, max_size=400)


@settings(max_examples=60)
@given(texts=st.lists(WORDS, max_size=12), total=st.integers(20, 600), cut=st.integers(1, 399))
def test_never_over_budget(texts, total, cut, hit_of, hits_of):
    question = "what is it?"
    hits = [hit_of(text, f"EIP-{at}") for at, text in enumerate(texts)]
    if texts and len(texts[0]) > cut:
        hits += hits_of(texts[0], [cut], "BIP-1")
    packing = pack(hits, Budget.plan(question, total))
    report = packing.report
    assert count_tokens(packing.render()) == report.evidence
    assert count_tokens(question) + report.reserve + report.evidence <= total
    assert len(report.items) == len(hits)
    kept = {item.passage_id for item in report.items if item.verdict == "kept"}
    assert kept == {passage.id for section in packing.sections for passage in section.passages}
    assert all(
        passage.text in packing.render() for section in packing.sections for passage in section.passages
    )


def test_the_best_come_first_and_what_does_not_fit_is_passed_over(hit_of):
    large, small = "gas fee " * 300, "The fee is burned."
    packing = pack(
        [hit_of("First of all.", "EIP-1"), hit_of(large, "EIP-2"), hit_of(small, "EIP-3")],
        Budget.plan("fee?", 200),
    )
    assert [item.verdict for item in packing.report.items] == ["kept", "no room", "kept"]
    assert [section.document.number for section in packing.sections] == ["EIP-1", "EIP-3"]


def test_touching_passages_become_one_text_under_one_header(hits_of):
    text = "First line.\nSecond line.\nThird line."
    first, second, third = hits_of(text, [12, 25])
    packing = pack([third, first, second], Budget.plan("line?", 500))
    (section,) = packing.sections
    assert section.text == text
    assert section.header == "[EIP-1, 2024-03-13, lines 1–3]"


def test_passages_that_do_not_touch_stay_apart_in_order_of_rank(hits_of):
    first, _, third = hits_of("First line.\nSecond line.\nThird line.", [12, 25])
    packing = pack([third, first], Budget.plan("line?", 500))
    assert [section.text for section in packing.sections] == ["Third line.", "First line.\n"]


def test_a_near_duplicate_is_kept_once(hit_of):
    text = " ".join(f"word{at}" for at in range(60))
    packing = pack([hit_of(text, "EIP-1"), hit_of(text + " more", "EIP-2")], Budget.plan("word?", 2000))
    assert [item.verdict for item in packing.report.items] == ["kept", "near-duplicate"]
