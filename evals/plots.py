"""The plots of a report, as SVG that stands in the page."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from evals.compare import interval
from evals.datasets import Question
from evals.runs import Run

if TYPE_CHECKING:
    from collections.abc import Iterator

    from matplotlib.axes import Axes

COLOURS = ("#0b6fa4", "#d1701b", "#3f8f4f", "#a5406b", "#6b5fb5", "#7a6a3a")
"""Told apart by people who see few colours, and in order of lightness on paper."""

RECALLS = tuple(step / 20 for step in range(21))


@dataclass(frozen=True, slots=True)
class Plot:
    """A picture with its heading and what it shows."""

    title: str
    svg: str
    note: str


def draw(runs: Sequence[Run], questions: Mapping[str, Sequence[Question]], measure: str) -> list[Plot]:
    """The plots of runs: a measure by kind, precision and recall, coverage against budget, latency."""
    return [
        _by_kind(runs, measure),
        _precision_recall(runs, questions),
        *_coverage(runs),
        _latency(runs),
    ]


def _by_kind(runs: Sequence[Run], measure: str) -> Plot:
    kinds = [
        s.kind for s in sorted(runs[0].summaries, key=lambda s: s.kind == "all") if measure in s.measures
    ]
    with _axes(0.55 * len(kinds) * max(1.0, 0.5 * len(runs)) + 0.9) as (axes, out):
        for at, run in enumerate(runs):
            found = [interval(_values(run, measure, kind)) for kind in kinds]
            places = [place + 0.7 * (at + 0.5) / len(runs) - 0.35 for place in range(len(kinds))]
            means = [one.mean for one in found]
            errors = [[one.mean - one.low for one in found], [one.high - one.mean for one in found]]
            axes.errorbar(
                means,
                places,
                xerr=errors,
                fmt="o",
                capsize=3,
                color=COLOURS[at % len(COLOURS)],
                label=run.name,
            )
        axes.set_yticks(range(len(kinds)), [f"{kind} ({_count(runs[0], kind, measure)})" for kind in kinds])
        axes.invert_yaxis()
        axes.set_xlim(-0.02, 1.02)
        axes.set_xlabel(measure)
        axes.grid(axis="x", color="#e3e7eb")
        _legend(axes, runs)
    return Plot(
        f"{measure} by kind",
        out.getvalue(),
        "Means with 95% bootstrap intervals; in brackets the number of questions. With few questions an"
        " interval is wide, and a kind's mean says little.",
    )


def _precision_recall(runs: Sequence[Run], questions: Mapping[str, Sequence[Question]]) -> Plot:
    with _axes(4.0) as (axes, out):
        for at, run in enumerate(runs):
            curve = interpolated(run, questions[run.name])
            axes.plot(RECALLS, curve, marker=".", color=COLOURS[at % len(COLOURS)], label=run.name)
        axes.set_xlim(0, 1.01)
        axes.set_ylim(0, 1.02)
        axes.set_xlabel("recall of relevant documents")
        axes.set_ylabel("precision")
        axes.grid(color="#e3e7eb")
        _legend(axes, runs)
    return Plot(
        "Precision and recall",
        out.getvalue(),
        "Documents of any positive grade count as relevant. At each level of recall, the highest precision at"
        " that recall or a higher one (interpolated precision), averaged over the questions.",
    )


def interpolated(run: Run, questions: Sequence[Question]) -> list[float]:
    """The mean interpolated precision of documents at each of `RECALLS`."""
    import ir_measures
    from ir_measures import IPrec

    grades = {q.id: dict(q.relevant or {}) for q in questions if q.answerable}
    ranked = {
        one: {path: -float(rank) for rank, path in enumerate(run.documents(one))}
        for one in grades
        if run.documents(one)
    }
    measures = [IPrec @ recall for recall in RECALLS]
    found = ir_measures.calc_aggregate(measures, grades, ranked) if ranked else {}
    return [float(found.get(measure, 0.0)) for measure in measures]


def _coverage(runs: Sequence[Run]) -> list[Plot]:
    budgets = [b for b in runs[0].record.plan.budgets if f"budget@{b}" in runs[0].summaries[0].measures]
    if not budgets:
        return []
    with _axes(3.6) as (axes, out):
        for at, run in enumerate(runs):
            colour = COLOURS[at % len(COLOURS)]
            for family, style, what in (("budget", "-", "in order of rank"), ("packed", "--", "as packed")):
                there = [b for b in budgets if f"{family}@{b}" in run.summaries[0].measures]
                found = [interval(_values(run, f"{family}@{b}", "all")) for b in there]
                means = [one.mean for one in found]
                axes.plot(there, means, style, marker="o", color=colour, label=f"{run.name}, {what}")
                axes.fill_between(
                    there, [one.low for one in found], [one.high for one in found], color=colour, alpha=0.08
                )
        axes.set_xticks(budgets)
        axes.set_ylim(0, 1.02)
        axes.set_xlabel("budget in tokens")
        axes.set_ylabel("gold quotations covered")
        axes.grid(color="#e3e7eb")
        axes.legend(frameon=False, loc="lower right")
    note = (
        "The share of gold quotations that stand in the evidence, with 95% bootstrap intervals. Packed"
        " evidence leaves room for the question, headers and the answer; so it holds less of the same budget."
    )
    return [Plot("Coverage against token budget", out.getvalue(), note)]


def _latency(runs: Sequence[Run]) -> Plot:
    import numpy as np

    with _axes(3.2) as (axes, out):
        for at, run in enumerate(runs):
            seconds = np.sort(list(run.times.search.values())) * 1000
            share = np.arange(1, len(seconds) + 1) / max(len(seconds), 1)
            axes.step(seconds, share, where="post", color=COLOURS[at % len(COLOURS)], label=run.name)
        axes.set_xlim(left=0)
        axes.set_ylim(0, 1.02)
        axes.set_xlabel("milliseconds for a search")
        axes.set_ylabel("share of questions")
        axes.grid(color="#e3e7eb")
        _legend(axes, runs)
    return Plot(
        "Time to search",
        out.getvalue(),
        "The share of questions whose search took at most so long, with the model loaded. Each search gives"
        f" {runs[0].record.plan.depth} passages.",
    )


@contextmanager
def _axes(height: float) -> Iterator[tuple[Axes, io.StringIO]]:
    """Axes to draw on, and where their SVG is once they are left. height: in inches."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    out = io.StringIO()
    with mpl.rc_context(
        {"svg.hashsalt": "chaincite", "axes.spines.top": False, "axes.spines.right": False, "font.size": 10}
    ):
        figure = Figure(figsize=(8.0, max(height, 2.0)), layout="constrained")
        yield figure.add_subplot(), out
        body = io.StringIO()
        figure.savefig(body, format="svg", metadata={"Date": None, "Creator": None}, transparent=True)
    text = body.getvalue()
    out.write(text[text.index("<svg") :])


def _values(run: Run, measure: str, kind: str) -> list[float]:
    return [
        scores[measure]
        for question, scores in run.scores.items()
        if measure in scores and kind in ("all", run.kinds[question])
    ]


def _count(run: Run, kind: str, measure: str) -> int:
    return len(_values(run, measure, kind))


def _legend(axes: Axes, runs: Sequence[Run]) -> None:
    if len(runs) > 1:
        axes.legend(frameon=False)
