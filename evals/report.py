"""The report: one HTML page about runs that explains itself, with plots, without scripts or network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from evals import plots
from evals.compare import Comparison, compare, interval, shared
from evals.datasets import Question
from evals.measures import Scores
from evals.runs import Run
from evals.tables import ANSWERS, figures
from index.errors import SettingsError

WORST = 10
"""Questions listed where a run did worst."""


@dataclass(frozen=True, slots=True)
class Table:
    """A table of the page. text: columns of running text; total: whether the last row is one."""

    headings: Sequence[str]
    rows: Sequence[Sequence[str]]
    text: Sequence[int] = ()
    total: bool = False


def write(runs: Sequence[Run], questions: Mapping[str, Sequence[Question]], file: Path) -> None:
    """Writes the page about runs over the same questions; the first one is what others are compared with.

    questions: those of each run, by its name. Raises SettingsError when runs do not belong together, have no
    measures, or the file cannot be written.
    """
    body = render(runs, questions)
    try:
        file.write_text(body, encoding="utf-8")
    except OSError as error:
        raise SettingsError(
            f"--html {file} cannot be written ({error.strerror}); name another file"
        ) from None


def render(runs: Sequence[Run], questions: Mapping[str, Sequence[Question]]) -> str:
    """The page as text."""
    from jinja2 import Environment, PackageLoader, select_autoescape

    first = runs[0]
    measures = first.measures()
    retrieval = [measure for measure in measures if not measure.startswith(ANSWERS)]
    if not retrieval:
        raise SettingsError(
            f"{first.name} measures no retrieval, since its dataset names no relevant document"
        )
    answers = [measure for measure in measures if measure not in retrieval]
    comparison = compare(first, runs[1:], shared(runs))
    every = first.summaries[0]
    template = Environment(
        loader=PackageLoader("evals"), autoescape=select_autoescape(), trim_blocks=True, lstrip_blocks=True
    ).get_template("report.html")
    return template.render(
        runs=runs,
        dataset=first.record.dataset,
        questions=every.questions,
        answerable=sum(question.answerable for question in questions[first.name]),
        failed=max(run.summaries[0].failed for run in runs),
        means=_means(runs, measures),
        comparison=_comparison(comparison),
        plots=plots.draw(runs, questions, retrieval[0]),
        by_kind={run.name: [_by_kind(run, some) for some in (retrieval, answers) if some] for run in runs},
        figures={run.name: list(figures(run))[:-1] for run in runs},
        worst={run.name: _worst(run, questions[run.name], measures[0]) for run in runs},
        made_with={run.name: _made_with(run) for run in runs},
    )


def _means(runs: Sequence[Run], measures: Sequence[str]) -> Table:
    rows = []
    for measure in measures:
        cells = [measure]
        for run in runs:
            values = [scores[measure] for scores in run.scores.values() if measure in scores]
            found = interval(values) if values else None
            cells.append(f"{found.mean:.3f} [{found.low:.3f}, {found.high:.3f}]" if found else "")
        rows.append(cells)
    return Table(["measure", *(run.name for run in runs)], rows)


def _comparison(found: Sequence[Comparison]) -> Table:
    rows = [
        [
            one.run,
            one.measure,
            f"{one.difference.mean:+.3f} [{one.difference.low:+.3f}, {one.difference.high:+.3f}]",
            f"{one.p:.4f}",
            f"{one.corrected:.4f}",
            f"{one.wins} / {one.losses} / {one.ties}",
        ]
        for one in found
    ]
    return Table(["run", "measure", "difference", "p", "p (Holm)", "won / lost / tied"], rows, text=(1,))


def _by_kind(run: Run, measures: Sequence[str]) -> Table:
    rows = []
    for summary in sorted(run.summaries, key=lambda one: one.kind == "all"):
        values = [summary.measures.get(measure) for measure in measures]
        cells = ("" if value is None else f"{value:.3f}" for value in values)
        if any(value is not None for value in values):
            rows.append([summary.kind, str(summary.questions), *cells])
    return Table(["kind", "n", *measures], rows, total=True)


def _worst(run: Run, questions: Sequence[Question], measure: str) -> Table:
    having = [question for question in questions if measure in run.scores[question.id]]
    having.sort(key=lambda question: (run.scores[question.id][measure], question.id))
    rows = []
    for question in having[:WORST]:
        ranks = {path: rank for rank, path in enumerate(run.documents(question.id), 1)}
        wanted = [
            f"{path} ({f'rank {ranks[path]}' if path in ranks else 'not found'})"
            for path, grade in (question.relevant or {}).items()
            if grade > 0
        ]
        value = f"{run.scores[question.id][measure]:.3f}"
        rows.append([question.id, value, question.question, ", ".join(wanted)])
    return Table(["question", measure, "asked", "relevant documents"], rows, text=(2, 3))


def _made_with(run: Run) -> list[tuple[str, str]]:
    record = run.record
    options: Scores = dict(record.plan.options)
    return [
        ("dataset", f"{record.dataset}, sha256 {record.dataset_sha256}"),
        ("left out", ", ".join(record.plan.without) or "nothing"),
        (
            "library",
            f"{record.documents} documents, {record.passages} passages, generation {record.generation}",
        ),
        ("search options", ", ".join(f"{name} {value}" for name, value in options.items())),
        ("passages retrieved", str(record.plan.depth)),
        ("embedding model", record.model),
        ("chunker", record.chunker),
        ("prompts", ", ".join(f"{name} {sha[:12]}" for name, sha in record.prompts.items()) or "none"),
        ("versions", ", ".join(f"{name} {version}" for name, version in record.versions.items())),
        ("machine", ", ".join(f"{name} {value}" for name, value in record.machine.items())),
        ("made", f"{run.times.started_at:%Y-%m-%d %H:%M} UTC in {run.times.seconds:.0f} s"),
    ]
