import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.requests.budget import Budget, count_tokens
from index.errors import BudgetError


@pytest.mark.parametrize(
    ("encoding", "text", "count"),
    [
        ("cl100k_base", "antidisestablishmentarianism", 6),
        ("cl100k_base", "お誕生日おめでとう", 9),
        ("o200k_base", "お誕生日おめでとう", 8),
        ("o200k_base", "2 + 2 = 4", 7),
    ],
)
def test_counts_are_those_that_openai_publishes(encoding, text, count):
    assert count_tokens(text, encoding) == count


@pytest.mark.parametrize("encoding", ["o200k_base", "cl100k_base"])
def test_counts_equal_tiktoken_where_its_ranks_are_at_hand(encoding):
    tiktoken = pytest.importorskip("tiktoken")
    try:
        reference = tiktoken.get_encoding(encoding)
    except Exception as error:  # noqa: BLE001
        pytest.skip(f"tiktoken has no ranks without the network: {type(error).__name__}")
    for text in ("", "hello world", "0x1626ba7e is `isValidSignature`", "naïve 中文 🧪", "<|endoftext|>"):
        assert count_tokens(text, encoding) == len(reference.encode_ordinary(text))


def test_the_name_of_a_special_token_is_ordinary_text():
    assert count_tokens("<|endoftext|>") > 1


@pytest.mark.parametrize("text", ["", "\ud800", "\x00", "a" * 100_000, "🧪" * 60_000])
def test_every_text_has_a_count(text):
    assert count_tokens(text) >= bool(text)


@given(st.text(max_size=300), st.integers(1, 2000))
def test_a_plan_adds_up_or_says_what_does_not_fit(question, total):
    try:
        plan = Budget.plan(question, total)
    except BudgetError as error:
        assert str(total) in str(error)
        assert str(count_tokens(question)) in str(error)
    else:
        assert plan.question + plan.reserve + plan.room == total
        assert plan.room > 0


def test_the_budget_that_the_message_names_is_enough():
    question = "why " * 500
    with pytest.raises(BudgetError, match=r"raise --budget above (\d+)") as caught:
        Budget.plan(question, 100)
    named = int(str(caught.value).rsplit(" ", 1)[1])
    assert Budget.plan(question, named + 1).room > 0
