"""What a person expects of an answer, and whether the answer is that.

Texts are compared without case, typographic quotation marks, runs of white space and digit grouping. Of
`a|b` one will do. An alternative of digits alone stands for the whole number.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from evals.datasets import Question
from evals.results import Answered

_MARKS = str.maketrans({"‘": "'", "’": "'", "“": '"', "”": '"'})
_GROUPING = re.compile(r"(?<=\d)(?:_(?=\d)|[, \u00a0\u2009\u202f](?=\d{3}(?!\d)))")
_NUMBER = re.compile(r"\d+")

PASSED, PASSED_FIRST, FIRST = "expect/passed", "expect/passed and first", "expect/first"
WRONGLY_ANSWERED, WRONGLY_REFUSED = "expect/wrongly answered", "expect/wrongly refused"
EXPECTATIONS = (PASSED, PASSED_FIRST, FIRST, WRONGLY_ANSWERED, WRONGLY_REFUSED)


def comparable(text: str) -> str:
    """The form in which an answer and what is expected of it are compared.

    >>> comparable("Up to  16_777,216 “Gas”")
    'up to 16777216 "gas"'
    """
    return " ".join(_GROUPING.sub("", text.casefold().translate(_MARKS)).split())


def holds(text: str, wanted: str) -> bool:
    """Whether a text holds one of the alternatives.

    >>> holds("It is 1,024 bytes.", "2048|1024"), holds("It is 1,024 bytes.", "24")
    (True, False)
    """
    text = comparable(text)
    return any(_holds(text, comparable(one)) for one in wanted.split("|"))


def _holds(text: str, one: str) -> bool:
    if one.isdecimal():
        return re.search(rf"(?<![\d.])0*{one}(?!\d)", text) is not None
    return bool(one) and one in text


def expectation(question: Question, answer: Answered) -> dict[str, float]:
    """The measures of an answer to a question of which something is expected, each 1 or 0.

    `expect/passed`: an answer that is wanted cites a document of grade 2, where there is one, and holds
    every `must_contain` and no `must_not_contain`; help cites nothing and holds the same; a refusal that is
    wanted is one, or an answer that cites nothing and states no number, or says one of `accept_contain`
    first. `expect/first`: the first sentence holds every `first_must_contain`; `expect/passed and first`:
    both, where a first sentence is asked for. `expect/wrongly answered`: over questions that no document
    answers; `expect/wrongly refused`: over the others.
    """
    silent = answer.refused or not (answer.citations or _states(answer.text, question))
    begins = answer.sentences[0] if answer.sentences else answer.text.partition("\n")[0]
    clean = not any(holds(answer.text, one) for one in question.must_not_contain)
    whole = clean and all(holds(answer.text, one) for one in question.must_contain)
    first = not answer.refused and all(holds(begins, one) for one in question.first_must_contain)
    if question.expect == "answer":
        passed = whole and not answer.refused and _on_document(question, answer)
        measures = {WRONGLY_REFUSED: answer.refused}
    elif question.expect == "help":
        passed = whole and not answer.citations
        measures = {WRONGLY_ANSWERED: bool(answer.citations)}
    else:
        allowed = silent or any(holds(begins, one) for one in question.accept_contain)
        passed = clean and allowed
        measures = {WRONGLY_ANSWERED: not allowed}
    measures |= {PASSED: passed, PASSED_FIRST: passed and (first or not question.first_must_contain)}
    measures |= {FIRST: first} if question.first_must_contain else {}
    return {name: float(value) for name, value in measures.items()}


def _on_document(question: Question, answer: Answered) -> bool:
    best = {path for path, grade in (question.relevant or {}).items() if grade == 2}
    return not best or any(path in best for path, _ in answer.citations)


def _states(text: str, question: Question) -> bool:
    """Whether a text states a number that nobody gave it."""
    return bool(_numbers([text]) - _numbers([*question.before, question.question]))


def _numbers(texts: Sequence[str]) -> set[str]:
    return {number for text in texts for number in _NUMBER.findall(comparable(text))}
