"""Runs and comparisons as people read them on a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from agent.surfaces.terminal import console
from agent.text.render import one_line
from evals.compare import Change, Comparison, moved
from evals.datasets import Question
from evals.expectations import EXPECTATIONS
from evals.measures import LESS_IS_BETTER
from evals.runs import Run

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.table import Table

ANSWERS = ("expect", "citation", "must_contain", "refusal", "tokens", "cost")
"""How the names of measures of answers begin."""

PIPED = 120
"""Columns where there is no terminal to ask."""

LISTED = 5
"""Documents of a ranked list that are shown."""


def wide_console() -> Console:
    """Where tables are printed: as wide as the terminal, or wide enough for all columns."""
    out = console()
    if not out.is_terminal:
        out.width = PIPED
    return out


def run_row(run: Run) -> dict[str, Any]:
    """A run in a line of a list."""
    record = run.record
    return {
        "name": run.name,
        "dataset": record.dataset,
        "questions": record.questions,
        "generation": record.generation,
        "started_at": f"{run.times.started_at:%Y-%m-%d %H:%M}",
        "measures": run.summaries[0].measures,
    }


def run_list(runs: Sequence[Run]) -> Table:
    """The runs, one a line."""
    table = _table("run", "dataset", "questions", "generation", "made (UTC)")
    for run in runs:
        row = run_row(run)
        table.add_row(
            *(str(row[key]) for key in ("name", "dataset", "questions", "generation", "started_at"))
        )
    return table


def summary_tables(run: Run, measures: Sequence[str]) -> Iterator[Table]:
    """The means by kind: first those of retrieval, then those of answers."""
    of_answers = [measure for measure in measures if measure.startswith(ANSWERS)]
    for some in ([measure for measure in measures if measure not in of_answers], of_answers):
        table = _table("kind", "n", *map(_heading, some))
        for summary in sorted(run.summaries, key=lambda one: one.kind == "all"):
            values = [summary.measures.get(measure) for measure in some]
            cells = ("" if value is None else f"{value:.3f}" for value in values)
            if any(value is not None for value in values):
                table.add_row(summary.kind, str(summary.questions), *cells)
        if table.row_count:
            yield table


def figures(run: Run) -> Iterator[str]:
    """Lines under a run's table: refusals, tokens, times, failures, where it is saved."""
    import numpy as np

    every, plan = run.summaries[0], run.record.plan
    if plan.answers:
        m = every.measures
        if expected := [_counted(run, name) for name in EXPECTATIONS if name in m]:
            yield f"expected: {', '.join(expected)}"
        yield (
            f"refused: {m.get('refusal/refused unanswerable', 0):.0f} of"
            f" {m.get('refusal/unanswerable', 0):.0f} unanswerable, "
            f"{m.get('refusal/refused answerable', 0):.0f} of {m.get('refusal/answerable', 0):.0f} others"
            f" (precision {_shown(m.get('refusal/P'))}, recall {_shown(m.get('refusal/R'))})"
        )
        yield f"answers: {m.get('tokens', 0):.0f} tokens and {m.get('cost', 0):.4f} US dollars each"
    for what, seconds in (("search", run.times.search), ("answer", run.times.answer)):
        if seconds:
            p50, p95 = (1000 * np.percentile(list(seconds.values()), p) for p in (50, 95))
            yield f"{what}: p50 {p50:.0f} ms, p95 {p95:.0f} ms"
    failed = {result.id: result.error for result in run.results.values() if result.error}
    for question, error in list(failed.items())[:LISTED]:
        yield f"failed: {question}: {error}"
    yield (
        f"{run.name}: {every.questions} questions, {len(failed)} failed; {plan.depth} passages each from"
        f" generation {run.record.generation}; {run.folder}"
    )


def _counted(run: Run, measure: str) -> str:
    """How many questions a measure of 1 or 0 holds for, such as `passed 54 of 120`."""
    values = [scores[measure] for scores in run.scores.values() if measure in scores]
    return f"{measure.partition('/')[2]} {sum(values):.0f} of {len(values)}"


def worst_questions(run: Run, questions: Sequence[Question], measure: str, most: int) -> Iterator[str]:
    """The questions with the worst value of a measure, with what they look for and what they found."""
    having = [question for question in questions if measure in run.scores[question.id]]
    sign = -1 if measure in LESS_IS_BETTER else 1
    for question in sorted(having, key=lambda q: (sign * run.scores[q.id][measure], q.id))[:most]:
        yield f"\n{question.id} ({question.kind})  {measure} {run.scores[question.id][measure]:.3f}"
        yield f"  {one_line(question.question)}"
        ranks = {path: rank for rank, path in enumerate(run.documents(question.id), 1)}
        for path, grade in sorted((question.relevant or {}).items(), key=lambda pair: (-pair[1], pair[0])):
            place = f"rank {ranks[path]}" if path in ranks else "not found"
            yield f"  wanted {grade}  {place:>10}  {path}"
        for rank, path in enumerate(run.documents(question.id)[:LISTED], 1):
            yield f"  found  {_grade(question, path)}  {f'rank {rank}':>10}  {path}"


def comparison_table(base: str, found: Sequence[Comparison]) -> Table:
    """Each comparison in a line."""
    table = _table(
        "run", "measure", "n", base, "run", "difference [95% interval]", "p", "p (Holm)", "won/lost/tied"
    )
    for one in found:
        d = one.difference
        table.add_row(
            one.run,
            one.measure,
            str(one.questions),
            f"{one.base_mean:.3f}",
            f"{one.run_mean:.3f}",
            f"{d.mean:+.3f} [{d.low:+.3f}, {d.high:+.3f}]",
            f"{one.p:.4f}",
            f"{one.corrected:.4f}" + (" *" if one.corrected < 0.05 else ""),
            f"{one.wins}/{one.losses}/{one.ties}",
        )
    return table


def moved_questions(
    base: Run, other: Run, questions: Sequence[Question], measure: str, most: int
) -> Iterator[RenderableType]:
    """The questions that moved most, with both lists side by side; grades stand before the paths."""
    by_id = {question.id: question for question in questions}
    for name, change in moved(base.scores, other.scores, measure, most):
        question = by_id[name]
        yield f"\n{name} ({question.kind})  {measure} {change:+.3f}\n{one_line(question.question)}"
        table = _table("rank", base.name, other.name)
        lists = [run.documents(name)[:LISTED] for run in (base, other)]
        for rank in range(max(map(len, lists))):
            cells = (f"{_grade(question, of[rank])}  {of[rank]}" if rank < len(of) else "" for of in lists)
            table.add_row(str(rank + 1), *cells)
        yield table


def drift_lines(
    one: Run, other: Run, changes: Sequence[Change], k: int, most: int
) -> Iterator[RenderableType]:
    """Means of the agreement of two runs, and the questions that changed most."""
    count = len(changes)
    same = sum(change.overlap for change in changes) / count
    agreement = sum(change.rank_biased_overlap for change in changes) / count
    first, second = (f"{run.name} (generation {run.record.generation})" for run in (one, other))
    yield f"{first} and {second}"
    yield f"overlap@{k} {same:.3f}, rank-biased overlap {agreement:.3f} over {count} questions"
    changed = [change for change in changes if change.rank_biased_overlap < 1 - 1e-12]
    yield f"{len(changed)} questions changed"
    table = _table("question", f"overlap@{k}", "RBO", "gone", "new")
    for change in changed[:most]:
        table.add_row(
            change.question,
            f"{change.overlap:.3f}",
            f"{change.rank_biased_overlap:.3f}",
            "\n".join(change.gone),
            "\n".join(change.new),
        )
    if table.row_count:
        yield table


def grid_table(runs: Sequence[Run], measures: Sequence[str], found: Sequence[Comparison]) -> Table:
    """Each run in a line, with its means; a star where Holm's test tells it from the first one."""
    table = _table("run", *map(_heading, measures))
    better: Mapping[tuple[str, str], bool] = {(c.run, c.measure): c.corrected < 0.05 for c in found}
    for run in runs:
        means = run.summaries[0].measures
        cells = (f"{means[m]:.3f}" + (" *" if better.get((run.name, m)) else "") for m in measures)
        table.add_row(run.name, *cells)
    return table


def _table(*headings: str) -> Table:
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    for heading in headings:
        table.add_column(heading, overflow="fold", min_width=max(map(len, heading.split("\n"))))
    return table


def _heading(measure: str) -> str:
    """A measure's name in short lines."""
    return measure.replace("/", "\n").replace("(", "\n(").replace("@", "\n@")


def _grade(question: Question, path: str) -> str:
    """A document's grade, `?` where nobody judged it."""
    return str((question.relevant or {}).get(path, "?"))


def _shown(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
