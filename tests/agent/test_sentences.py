import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.text.sentences import split


def texts(passage):
    return [passage[s.start : s.end] for s in split(passage)]


@given(
    st.text(alphabet=st.sampled_from(list("aB1.!?|#*-`=\\& \n\t{}<>/:%")), max_size=200)
    | st.text(max_size=200)
)
def test_units_are_verbatim_ordered_and_apart(passage):
    end = 0
    for sentence in split(passage):
        assert end <= sentence.start < sentence.end <= len(passage)
        assert passage[sentence.start : sentence.end].strip() == passage[sentence.start : sentence.end]
        end = sentence.end


@given(
    st.lists(st.from_regex(r"[A-Z][a-z]{2,8}( [a-z]{3,8}){1,6}[.!?]", fullmatch=True), min_size=1, max_size=6)
)
def test_plain_sentences_come_back_as_they_were(sentences):
    assert texts(" ".join(sentences)) == sentences


@pytest.mark.parametrize(
    ("passage", "units"),
    [
        ("It costs 1.5 gas. It is 2.0.1 now.", ["It costs 1.5 gas.", "It is 2.0.1 now."]),
        (
            "Use it, e.g. For tests. Done (i.e. Finished).",
            ["Use it, e.g. For tests.", "Done (i.e. Finished)."],
        ),
        ("Call `a.b. C` now. Then stop.", ["Call `a.b. C` now.", "Then stop."]),
        ("See Fig. 3 by S. Nakamoto. It holds.", ["See Fig. 3 by S. Nakamoto.", "It holds."]),
        ('He said "stop." Then he left.', ['He said "stop."', "Then he left."]),
        ("One sentence\nover two lines. Another.", ["One sentence\nover two lines.", "Another."]),
        ("No more.\n\nNew paragraph", ["No more.", "New paragraph"]),
        ("# Title\n\n## 2. Part\n\nWords here.\n", ["Words here."]),
        ("== Title ==\nWords here.\n", ["Words here."]),
        ("\\section{Title} \\label{a}\nWords here.\n", ["Words here."]),
        ("3.2 Some Heading\nWords here.", ["Words here."]),
        ("- one. Two.\n- three\n  more\n\nAfter.", ["one. Two.", "three\n  more", "After."]),
        (
            "# First of two items, that ends.\n# Second, too.",
            ["First of two items, that ends.", "Second, too."],
        ),
        ("\\begin{itemize}\n\\item One\n\\item Two\n\\end{itemize}", ["One", "Two"]),
        ("| a | b |\n|---|---|\n| 1 | 2 |", ["| a | b |", "| 1 | 2 |"]),
        ("```python\nx = 1\n\ny = f(x). Z\n```\nWords.", ["x = 1", "y = f(x). Z", "Words."]),
        ("x = 1\n```\nWords here.", ["x = 1", "Words here."]),
        ("<pre>\nx = 1\n</pre>\nWords.", ["x = 1", "Words."]),
        ("% a comment\nWords.", ["Words."]),
        ("<table>\n<tr>\n</table>\n***\n\n", []),
    ],
)
def test_units_of_each_markup(passage, units):
    assert texts(passage) == units


def test_items_and_rows_know_what_leads_to_them():
    passage = "The limits are:\n\n- ten\n- twenty\n\n| name | cost |\n|--|--|\n| x | 1 |"
    leads = {passage[s.start : s.end]: s.lead for s in split(passage)}
    assert leads["ten"] == leads["twenty"] == "The limits are:"
    assert leads["| x | 1 |"] == "| name | cost |"


def test_a_long_run_without_a_full_stop_is_read_line_by_line():
    passage = "\n".join(f"name{at} value{at} and some more words" for at in range(40))
    assert texts(passage) == passage.split("\n")
