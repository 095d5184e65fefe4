"""Measures of one question's result, and their means.

Names are those of ir-measures, over `documents/` (each at its best passage) or `passages/` (each with the
grade of its document). What ir-measures lacks:

- `cP@k`: precision over what can be found, hits in the first k over min(k, number of relevant);
- `span@k`: whether a passage among the first k holds a gold quotation;
- `budget@B`: the share of gold quotations in the passages that fit, in order of rank, into B tokens;
- `packed@B`: the same for the evidence that an answer within B tokens is really made from;
- `citation/P`, `citation/R`: the share of an answer's citations that match a gold quotation, and the share of
  gold quotations that its citations cover; `citation/documents`: the share that is from relevant documents;
- `must_contain`: the share of the required strings that the answer holds;
- `refusal/accuracy`: whether the answer was refused exactly where there is none; over a set, `refusal/P`
  and `refusal/R`;
- `expect/...`: whether an answer is what is expected of it, see `evals.expectations`;
- `tokens`, `cost`: tokens read and written for the answer, and what they cost in US dollars.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from agent.requests.budget import count_tokens
from evals.datasets import Question
from evals.expectations import EXPECTATIONS, WRONGLY_ANSWERED, WRONGLY_REFUSED, expectation, holds
from evals.results import Answered, Ranked, Result
from evals.rows import plain

if TYPE_CHECKING:
    from ir_measures.measures import Measure

Scores = dict[str, float]
"""The measures of one question by name; one that is not defined for the question is left out."""

LESS_IS_BETTER = frozenset({WRONGLY_ANSWERED, WRONGLY_REFUSED, "tokens", "cost"})

_SHINGLE = 5
_COVERED = 0.6


@dataclass(frozen=True, slots=True)
class Summary:
    """Means over the questions of a kind, or of `all`; each over the questions that have the measure."""

    kind: str
    questions: int
    failed: int
    measures: Scores


def score(
    questions: Sequence[Question],
    results: Mapping[str, Result],
    ks: Sequence[int],
    budgets: Sequence[int],
    answers: bool = False,
) -> dict[str, Scores]:
    """The measures of each question by its id. A question without a result counts as if nothing was found.

    answers: whether the questions were answered too; one without an answer then has zeros.
    """
    results = {question.id: results.get(question.id, Result(question.id)) for question in questions}
    out: dict[str, Scores] = {question.id: {} for question in questions}
    answerable = [question for question in questions if question.answerable]
    documents = {q.id: list(dict.fromkeys(hit.path for hit in results[q.id].hits)) for q in answerable}
    passages = {q.id: [hit.id for hit in results[q.id].hits] for q in answerable}
    of_documents = {q.id: dict(q.relevant or {}) for q in answerable}
    of_passages = {q.id: _passage_grades(q, results[q.id]) for q in answerable}
    for level, grades, ranked in (
        ("documents", of_documents, documents),
        ("passages", of_passages, passages),
    ):
        for one, name, value in ranking(grades, ranked, ks):
            out[one][f"{level}/{name}"] = value
    for question in questions:
        result = results[question.id]
        out[question.id] |= evidence(question, result, ks, budgets)
        if answers:
            out[question.id] |= answer_scores(question, result.answer)
    return out


def ranking(
    grades: Mapping[str, Mapping[str, int]], ranked: Mapping[str, Sequence[str]], ks: Sequence[int]
) -> Iterator[tuple[str, str, float]]:
    """Question id, name and value of the measures of rankings.

    grades: of each judged item, by question; ranked: items, best first, by question.
    """
    import ir_measures

    top = max((grade for of in grades.values() for grade in of.values()), default=0)
    scored = {
        one: {item: float(len(items) - at) for at, item in enumerate(items)}
        for one, items in ranked.items()
        if items
    }
    for wanted in _ranking_measures(ks, top):
        computed = ir_measures.iter_calc(wanted, grades, scored) if grades else ()
        values = {(metric.query_id, metric.measure): float(metric.value) for metric in computed}
        for one in grades:
            for measure in wanted:
                yield one, str(measure), values.get((one, measure), 0.0)
    for one, of in grades.items():
        relevant = {item for item, grade in of.items() if grade > 0}
        for k in ks:
            found = len(relevant.intersection(ranked[one][:k]))
            yield one, f"cP@{k}", found / min(k, len(relevant)) if relevant else 0.0


def _ranking_measures(ks: Sequence[int], top: int) -> list[list[Measure]]:
    """The measures at each cutoff; with grades above 1 also those that heed them.

    nDCG with gains of its own is asked for apart: in one call with plain nDCG, ir-measures 0.4 may compute
    one with the gains of the other, as the order of a set happens to fall.
    """
    from ir_measures import AP, RR, Judged, P, R, Success, nDCG

    plain = [AP, *(family @ k for k in ks for family in (nDCG, P, R, RR, Success, Judged))]
    if top < 2:
        return [plain]
    steep = nDCG(gains={grade: 2**grade - 1 for grade in range(1, top + 1)})
    return [plain + [family @ k for k in ks for family in (R(rel=top), RR(rel=top))], [steep @ k for k in ks]]


def _passage_grades(question: Question, result: Result) -> dict[str, int]:
    """The grade of each passage of each judged document; those not retrieved are named by number."""
    grades: dict[str, int] = {}
    for path, grade in (question.relevant or {}).items():
        found = [hit.id for hit in result.hits if hit.path == path]
        unseen = [f"{path}#{number}" for number in range(result.held.get(path, 0) - len(found))]
        grades |= dict.fromkeys(found + unseen, grade)
    return grades


def evidence(question: Question, result: Result, ks: Sequence[int], budgets: Sequence[int]) -> Scores:
    """`span@k`, `budget@B` and `packed@B` of a question with gold quotations; nothing for another."""
    if not question.spans:
        return {}
    found = [_held(question, [(hit.path, hit.text)]) for hit in result.hits[: max(ks)]]
    out = {f"span@{k}": float(any(any(of) for of in found[:k])) for k in ks}
    for budget in budgets:
        out[f"budget@{budget}"] = _share(
            _held(question, [(h.path, h.text) for h in within(result.hits, budget)])
        )
        out[f"packed@{budget}"] = _share(_held(question, result.packed_texts(budget)))
    return out


def within(hits: Sequence[Ranked], budget: int) -> Sequence[Ranked]:
    """The hits that fit, in order of rank, into `budget` tokens; the first that does not ends it."""
    used = 0
    for at, hit in enumerate(hits):
        used += count_tokens(hit.text)
        if used > budget:
            return hits[:at]
    return hits


def covers(text: str, quote: str) -> bool:
    """Whether a text holds a quotation: three fifths of its five-word shingles (of its words, if fewer).

    >>> covers("The base fee is burned, always.", "base fee is burned")
    True
    """
    words = _words(quote)
    size = min(_SHINGLE, len(words))
    wanted = _shingles(words, size)
    return bool(words) and len(wanted & _shingles(_words(text), size)) >= _COVERED * len(wanted)


def answer_scores(question: Question, answer: Answered | None) -> Scores:
    """The measures of a question's answer, zeros for none. A refusal cites nothing and holds nothing."""
    if answer is None:
        perfect = Answered(question.answer, not question.answered_when_right, _gold(question), 0, "")
        return dict.fromkeys(answer_scores(question, perfect), 0.0)
    out = {"tokens": float(answer.tokens), "cost": answer.cost}
    if question.answered_when_right is not None:
        out["refusal/accuracy"] = float(answer.refused is not question.answered_when_right)
    if question.expect is not None:
        out |= expectation(question, answer)
    if question.spans:
        cited = [(path, quote) for path, quote in answer.citations if not answer.refused]
        whole = {path: " ".join(quote for other, quote in cited if other == path) for path, _ in cited}
        out["citation/R"] = _share(_held(question, list(whole.items())))
        if cited:
            out["citation/P"] = _share([_matches(question, path, quote) for path, quote in cited])
            relevant = question.relevant or {}
            out["citation/documents"] = _share([relevant.get(path, 0) > 0 for path, _ in cited])
    if question.must_contain:
        text = "" if answer.refused else answer.text
        held = holds if question.expect is not None else _holds
        out["must_contain"] = _share([held(text, fact) for fact in question.must_contain])
    return out


def refusals(questions: Iterable[Question], results: Mapping[str, Result]) -> Scores:
    """`refusal/P` and `refusal/R` over a set, and the counts behind them; nothing without answers."""
    pairs = [
        (question.answered_when_right, answer.refused)
        for question in questions
        if (answer := results.get(question.id, Result(question.id)).answer) is not None
        and question.answered_when_right is not None
    ]
    wrong = sum(refused for answerable, refused in pairs if answerable)
    right = sum(refused for answerable, refused in pairs if not answerable)
    unanswerable = sum(not answerable for answerable, _ in pairs)
    out = {"refusal/refused unanswerable": float(right), "refusal/refused answerable": float(wrong)}
    out |= {
        "refusal/unanswerable": float(unanswerable),
        "refusal/answerable": float(len(pairs) - unanswerable),
    }
    if right + wrong:
        out["refusal/P"] = right / (right + wrong)
    if unanswerable:
        out["refusal/R"] = right / unanswerable
    return out if pairs else {}


def summaries(
    questions: Sequence[Question], scores: Mapping[str, Scores], results: Mapping[str, Result]
) -> list[Summary]:
    """The means over all questions, then over those of each kind, by name."""
    kinds = sorted({question.kind for question in questions})
    groups = {"all": list(questions)} | {
        kind: [question for question in questions if question.kind == kind] for kind in kinds
    }
    return [
        Summary(
            kind=kind,
            questions=len(group),
            failed=sum(results[q.id].error is not None for q in group if q.id in results),
            measures=means([scores[question.id] for question in group]) | refusals(group, results),
        )
        for kind, group in groups.items()
    ]


def means(rows: Sequence[Scores]) -> Scores:
    """The mean of each measure over the rows that have it.

    >>> means([{"AP": 1.0}, {"AP": 0.0, "span@5": 1.0}])
    {'AP': 0.5, 'span@5': 1.0}
    """
    names = dict.fromkeys(name for row in rows for name in row)
    columns = {name: [row[name] for row in rows if name in row] for name in names}
    return {name: sum(values) / len(values) for name, values in columns.items()}


def headline(names: Iterable[str], k: int, budget: int) -> list[str]:
    """The few of these names that a table shows: with grades where the measures heed them."""
    there = list(names)
    steep = [name for name in there if name.startswith("documents/nDCG(gains") and name.endswith(f"@{k}")]
    top = [name for name in there if name.startswith("documents/R(rel") and name.endswith(f"@{k}")]
    wanted = [
        *(steep or [f"documents/nDCG@{k}"]),
        *(top or [f"documents/R@{k}"]),
        f"passages/P@{min(k, 5)}",
        f"passages/P@{k}",
        f"span@{k}",
        f"budget@{budget}",
        f"packed@{budget}",
        *EXPECTATIONS,
        *("citation/P", "citation/R", "must_contain", "refusal/accuracy"),
    ]
    return [name for name in dict.fromkeys(wanted) if name in there]


def _held(question: Question, texts: Sequence[tuple[str, str]]) -> list[bool]:
    """For each gold quotation, whether a text of its document holds it. texts: pairs of path and text."""
    return [
        any(path == span.path and covers(text, span.quote) for path, text in texts) for span in question.spans
    ]


def _holds(text: str, fact: str) -> bool:
    return plain(fact) in plain(text)


def _gold(question: Question) -> tuple[tuple[str, str], ...]:
    return tuple((span.path, span.quote) for span in question.spans)


def _matches(question: Question, path: str, quote: str) -> bool:
    """Whether a citation is, in the main, in a gold quotation, or a gold quotation in it."""
    return any(
        path == span.path and (covers(quote, span.quote) or covers(span.quote, quote))
        for span in question.spans
    )


def _share(held: Sequence[bool]) -> float:
    return sum(held) / len(held) if held else 0.0


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", text.lower())


def _shingles(words: Sequence[str], size: int) -> set[tuple[str, ...]]:
    return {tuple(words[at : at + size]) for at in range(max(1, len(words) - size + 1))}
