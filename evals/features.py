"""Fits the weights of what can be told of a sentence without reading it (`agent.answerers.features`).

    python -m evals.features --library DIR [--out FILE] [--check]

The questions are those of the reader, the sentences those that the library's own search brings; a question
none of whose answers is found is left out. The loss is that of the reader's lists (Cao et al. 2007, ListNet),
with a penalty on the squares of the weights, in standard deviations of the features. `--check` fits ten times
without a tenth of the documents, and says how the sentences of that tenth stand.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import numpy.typing as npt
import typer
from scipy.optimize import minimize
from scipy.special import logsumexp

from agent.answerers.candidates import Wish, candidates
from agent.answerers.features import WEIGHTS, features, names
from agent.answerers.question_terms import QuestionTerms
from agent.answerers.quoted import CANDIDATES
from agent.requests.pack import joined
from evals.reader import FOLDS, QUESTIONS, Question, is_right, read_questions
from index.errors import ChainciteError
from index.library import Library

PENALTY = 0.02
"""Of the mean loss of a question, for a squared weight of 1."""

_Rows = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Found:
    """The sentences found for a question: their features, one row each, and which of them answer.

    fold: by its first document in the order of paths, so that no document is in two.
    """

    rows: _Rows
    right: npt.NDArray[np.bool_]
    fold: int


def found(questions: Sequence[Question], library: Library) -> Iterator[Found]:
    """Each question with its sentences, where one of them is right."""
    for question in questions:
        text = question.question
        sections = joined(library.search(text, CANDIDATES))
        asked = QuestionTerms(text, library, library.size)
        there = candidates(sections, asked, library, Wish(text, text))
        right = np.array([is_right(one, question.answers) for one in there], np.bool_)
        if right.any():
            yield Found(features(text, asked, there).astype(np.float64), right, question.fold)


def fitted(some: Sequence[Found]) -> _Rows:
    """The weights that bring the right sentences of some questions forward, shape (len(names()),)."""
    every = np.concatenate([one.rows for one in some])
    spread = every.std(0) + 1e-6
    lists = [(one.rows / spread, one.right) for one in some]

    def loss(weights: _Rows) -> tuple[float, _Rows]:
        total, slope = 0.0, np.zeros_like(weights)
        for rows, right in lists:
            scores = rows @ weights
            whole, drawn = logsumexp(scores), logsumexp(scores[right])
            total += float(whole - 0.5 * (drawn + scores[right].mean()))
            wanted = np.where(right, 0.5 * np.exp(scores - drawn) + 0.5 / right.sum(), 0.0)
            slope += (np.exp(scores - whole) - wanted) @ rows
        return (
            total / len(lists) + PENALTY * float(weights @ weights),
            slope / len(lists) + 2 * PENALTY * weights,
        )

    best = minimize(loss, np.zeros(every.shape[1]), jac=True, method="L-BFGS-B", options={"maxiter": 200})
    return np.asarray(best.x / spread, np.float64)


def places(some: Sequence[Found], weights: _Rows) -> list[int]:
    """Where the first right sentence of each question stands, from 0."""
    return [int(one.right[np.argsort(-(one.rows @ weights), kind="stable")].argmax()) for one in some]


def main(
    library: Annotated[Path, typer.Option(help="A library of the documents that the questions are about.")],
    out: Annotated[Path, typer.Option(help="Where the weights are written.")] = WEIGHTS,
    check: Annotated[bool, typer.Option("--check", help="Only cross-validate.")] = False,
) -> None:
    """Fits the weights and writes them, or says how well they hold on documents that they have not seen."""
    try:
        some = list(found(read_questions(QUESTIONS), Library(library)))
    except ChainciteError as error:
        typer.echo(f"Error: {error}", err=True)
        sys.exit(2)
    if check:
        stood: list[int] = []
        for fold in range(FOLDS):
            weights = fitted([one for one in some if one.fold != fold])
            stood += places([one for one in some if one.fold == fold], weights)
        at = np.array(stood)
        typer.echo(
            f"{len(at)} questions: first {(at < 1).mean():.3f}, among three {(at < 3).mean():.3f},"
            f" mean reciprocal rank {(1 / (at + 1)).mean():.3f}"
        )
        return
    weights = fitted(some)
    told = {name: round(float(weight), 4) for name, weight in zip(names(), weights, strict=True)}
    out.write_text(json.dumps(told, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    typer.echo(f"{len(some)} questions; wrote {out}")


if __name__ == "__main__":
    typer.run(main)
