"""The commands of `chaincite eval`: run a dataset, show, compare, gate, report, review, drift, grid."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from agent.surfaces.terminal import console
from evals.grounding_command import grounding_command
from index.errors import SettingsError
from index.settings import Settings

if TYPE_CHECKING:
    from evals.datasets import Question
    from evals.runs import Plan, Run, Runs

KS, BUDGETS = "1,3,5,10", "1000,2000,4000"
REGRESSION = 1
DIFFERS = 1

commands = typer.Typer()
evaluation = typer.Typer(
    no_args_is_help=True, help="Measure retrieval and answers on judged questions, and compare runs."
)
commands.add_typer(evaluation, name="eval")
evaluation.command("grounding")(grounding_command)

RunsOption = Annotated[
    Path | None, typer.Option("--runs", metavar="DIR", help="Folder of the runs (default: in the library).")
]
RunArgument = Annotated[str, typer.Argument(metavar="RUN", help="Name or folder of a run.")]
RunArguments = Annotated[list[str], typer.Argument(metavar="RUN RUN ...", help="Names or folders of runs.")]
MeasureOption = Annotated[
    list[str] | None,
    typer.Option("--measure", help="Measure by name, as documents/nDCG@10; may be repeated."),
]
NameOption = Annotated[str | None, typer.Option("--name", help="What to call the run.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]
DepthOption = Annotated[int, typer.Option("-k", min=1, max=1000, help="Ranks to look at.")]


@evaluation.command("run")
def run_command(
    context: typer.Context,
    dataset: Annotated[
        Path | None, typer.Argument(metavar="DATASET", help="JSON lines, or a folder in BEIR's format.")
    ] = None,
    assignments: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="search.OPTION=VALUE", help="Search option; may be repeated."),
    ] = None,
    k: Annotated[str, typer.Option("--k", help="Cutoffs, rising.")] = KS,
    budgets: Annotated[str, typer.Option("--budgets", help="Token budgets, rising.")] = BUDGETS,
    depth: Annotated[
        int | None, typer.Option("--depth", min=1, help="Passages retrieved (default: 100).")
    ] = None,
    answers: Annotated[bool, typer.Option("--answers", help="Answer the questions too.")] = False,
    model: Annotated[
        str | None,
        typer.Option(
            "--model", help="Chat model that answers, at the endpoint that is set; implies --answers."
        ),
    ] = None,
    without: Annotated[
        list[str] | None, typer.Option("--without", metavar="KIND", help="Leave out questions of this kind.")
    ] = None,
    split: Annotated[
        str | None, typer.Option("--split", help="Which of a BEIR folder's qrels (default: test).")
    ] = None,
    judgments: Annotated[
        Path | None, typer.Option("--judgments", metavar="FILE", help="Add judgments from `eval review`.")
    ] = None,
    allow_missing: Annotated[
        bool,
        typer.Option("--allow-missing", help="Count documents that are not in the library as not found."),
    ] = False,
    again: Annotated[
        str | None, typer.Option("--again", metavar="RUN", help="Make a run again from its own record.")
    ] = None,
    name: NameOption = None,
    runs: RunsOption = None,
) -> None:
    """Ask every question of a dataset, and save all that was found with its measures.

    With --again, exit status 1 when the results are not those of the first time.
    """
    from evals.runner import as_mapping, options

    store = _runs(context.obj, runs)
    if again is not None:
        if dataset is not None:
            raise SettingsError("DATASET and --again were both given; give one of them")
        _run_again(store.open(again), store, name)
        return
    if dataset is None:
        raise SettingsError("no DATASET was given; name a .jsonl file or a BEIR folder, or use --again RUN")
    plan = replace(
        _plan(context.obj, dataset.absolute()),
        options=as_mapping(options(assignments or [])),
        ks=_rising("--k", k),
        budgets=_rising("--budgets", budgets),
        split=split,
        without=tuple(without or ()),
        judgments=judgments.absolute() if judgments else None,
        depth=depth,
        answers=answers or model is not None,
        model=model,
        allow_missing=allow_missing,
    )
    _show_run(_made(plan, store, name))


@evaluation.command("list")
def list_command(context: typer.Context, runs: RunsOption = None, as_json: JsonOption = False) -> None:
    """List the runs."""
    from evals.tables import run_list, run_row, wide_console

    store = _runs(context.obj, runs)
    found = [store.open(name) for name in store.names()]
    if as_json:
        _print_json([run_row(run) for run in found])
    elif found:
        wide_console().print(run_list(found))
    else:
        typer.echo(f"No runs in {store.folder} yet; make one with `chaincite eval run DATASET`.")


@evaluation.command("show")
def show_command(
    context: typer.Context,
    name: RunArgument,
    worst: Annotated[
        int, typer.Option("--worst", min=0, help="Show this many of the questions that did worst.")
    ] = 0,
    measure: MeasureOption = None,
    runs: RunsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show a run's measures by kind, and the questions that did worst."""
    from evals.tables import wide_console, worst_questions

    run = _runs(context.obj, runs).open(name)
    if as_json:
        summary = [asdict(one) for one in run.summaries]
        _print_json(
            {
                "name": run.name,
                "record": json.loads((run.folder / "run.json").read_text("utf-8")),
                "summary": summary,
            }
        )
        return
    _show_run(run, measure)
    if worst:
        chosen = run.measures(measure or ())[0]
        out = wide_console()
        for line in worst_questions(run, _questions(run), chosen, worst):
            out.print(line)


@evaluation.command("compare")
def compare_command(
    context: typer.Context,
    names: RunArguments,
    measure: MeasureOption = None,
    most: Annotated[int, typer.Option("--moved", min=0, help="Questions that moved most to show.")] = 5,
    runs: RunsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Compare runs with the first one, question by question: intervals, tests, and what moved most."""
    from evals.compare import compare, shared
    from evals.tables import comparison_table, moved_questions, wide_console

    base, *others = _several(context.obj, runs, names)
    measures = base.measures(measure) if measure else shared([base, *others])
    found = compare(base, others, measures)
    if as_json:
        _print_json([asdict(one) for one in found])
        return
    out = wide_console()
    out.print(comparison_table(base.name, found))
    for other in others:
        for part in moved_questions(base, other, _questions(base), measures[0], most):
            out.print(part)


@evaluation.command("gate")
def gate_command(
    context: typer.Context,
    name: RunArgument,
    baseline: Annotated[str, typer.Option("--baseline", metavar="RUN", help="The run to hold it against.")],
    max_drop: Annotated[
        float, typer.Option("--max-drop", min=0.0, help="How far a mean may fall below the baseline's.")
    ] = 0.01,
    measure: MeasureOption = None,
    runs: RunsOption = None,
) -> None:
    """Hold a run against a baseline. Exit status 1 when a measure fell by more than --max-drop.

    Of mistakes, such as `expect/wrongly answered`, fewer are better: the gate closes when they rose by more.
    """
    from evals.compare import compare
    from evals.measures import LESS_IS_BETTER

    base, run = _several(context.obj, runs, [baseline, name])
    worsened = False
    for one in compare(base, [run], base.measures(measure or ())):
        less = one.measure in LESS_IS_BETTER
        worse = (one.difference.mean if less else -one.difference.mean) > max_drop + 1e-12
        worsened = worsened or worse
        verdict = ("ROSE" if less else "FELL") if worse else "ok"
        typer.echo(
            f"{verdict:<5}{one.measure:<32} {one.base_mean:.4f} -> {one.run_mean:.4f}"
            f"  {one.difference.mean:+.4f} [{one.difference.low:+.4f}, {one.difference.high:+.4f}]"
        )
    if worsened:
        raise typer.Exit(REGRESSION)


@evaluation.command("drift")
def drift_command(
    context: typer.Context,
    before: RunArgument,
    after: RunArgument,
    k: DepthOption = 10,
    most: Annotated[int, typer.Option("--moved", min=0, help="Questions that changed most to show.")] = 10,
    runs: RunsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show how the ranked lists changed between two runs, as between two generations of the library."""
    from evals.compare import drift
    from evals.tables import drift_lines, wide_console

    one, other = _several(context.obj, runs, [before, after])
    found = drift(one, other, k)
    if as_json:
        _print_json([asdict(change) for change in found])
        return
    for line in drift_lines(one, other, found, k, most):
        wide_console().print(line)


@evaluation.command("report")
def report_command(
    context: typer.Context,
    names: RunArguments,
    html: Annotated[Path, typer.Option("--html", metavar="FILE", help="Where the page goes.")],
    runs: RunsOption = None,
) -> None:
    """Write one HTML page about runs, with plots, that needs neither scripts nor network."""
    from evals.report import write

    found = _several(context.obj, runs, names, least=1)
    write(found, {run.name: _questions(run) for run in found}, html)
    typer.echo(f"wrote {html}")


@evaluation.command("review")
def review_command(
    context: typer.Context,
    name: RunArgument,
    k: DepthOption = 10,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="FILE", help="Where judgments go (default: beside the dataset)."),
    ] = None,
    runs: RunsOption = None,
) -> None:
    """Judge results that nobody has judged: 0, 1 or 2, s to skip, u to undo, q to stop."""
    from evals.review import review

    if not sys.stdin.isatty():
        raise SettingsError("a review asks a person for keys; run it in a terminal")
    run = _runs(context.obj, runs).open(name)
    dataset = run.record.plan.dataset
    file = out or dataset.with_name(f"{dataset.stem}.judgments.jsonl")
    review(run, _questions(run), file, k, typer.getchar, console())


@evaluation.command("grid")
def grid_command(
    context: typer.Context,
    grid: Annotated[Path, typer.Argument(metavar="GRID.toml", help="What to vary; see the README.")],
    runs: RunsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Run a dataset under each combination of settings, and compare all with the first in one table."""
    from evals.compare import compare, shared
    from evals.grid import plans
    from evals.tables import grid_table, wide_console

    store = _runs(context.obj, runs)
    wanted = {f"{grid.stem}-{label}": plan for label, plan in plans(grid, _plan(context.obj, grid))}
    for name in wanted:
        store.check_name(name)
    made = [_made(plan, store, name) for name, plan in wanted.items()]
    measures = shared(made)
    found = compare(made[0], made[1:], measures)
    if as_json:
        _print_json([asdict(one) for one in found])
    else:
        wide_console().print(grid_table(made, measures, found))


def _plan(settings: Settings, dataset: Path) -> Plan:
    """What a run of a dataset is where nothing else is asked for."""
    from evals.runner import as_mapping, options
    from evals.runs import Plan

    return Plan(
        dataset=dataset,
        library=settings.library,
        embedder=settings.embedder,
        options=as_mapping(options([])),
        ks=_rising("--k", KS),
        budgets=_rising("--budgets", BUDGETS),
        budget=settings.budget,
        prompts=settings.prompts,
    )


def _runs(settings: Settings, folder: Path | None) -> Runs:
    from evals.runs import Runs

    return Runs(folder or settings.library / "runs")


def _several(settings: Settings, folder: Path | None, names: list[str], least: int = 2) -> list[Run]:
    if len(names) < least:
        raise SettingsError(f"only {names[0]!r} was given; name the run to compare it with too")
    store = _runs(settings, folder)
    return [store.open(name) for name in names]


def _made(plan: Plan, store: Runs, name: str | None) -> Run:
    """Makes a run, with a bar on a terminal, and saves it."""
    from rich.progress import Progress

    from evals.runner import execute, prepared, save

    if name is not None:
        store.check_name(name)
    plan, notes = prepared(plan)
    for note in notes:
        typer.echo(f"skipped  {note}", err=True)
    with Progress(
        console=console(stderr=True), transient=True, disable=not console(stderr=True).is_terminal
    ) as bar:
        task = bar.add_task(plan.dataset.stem, total=None)
        finished = execute(plan, lambda done, of: bar.update(task, completed=done, total=of))
    return save(finished, store, name)


def _run_again(first: Run, store: Runs, name: str | None) -> None:
    run = _made(first.record.plan, store, name or f"{first.name}-again")
    same = [question for question in first.results if first.results[question] == run.results.get(question)]
    now, then = asdict(run.record), asdict(first.record)
    for field in sorted(key for key in now if now[key] != then[key]):
        typer.echo(f"differs in its record: {field}: {then[field]} -> {now[field]}")
    typer.echo(f"{len(same)} of {len(first.results)} questions gave the same results; saved as {run.name}")
    if len(same) < len(first.results) or run.scores != first.scores:
        raise typer.Exit(DIFFERS)


def _questions(run: Run) -> tuple[Question, ...]:
    """The questions of a run. Raises SettingsError when its dataset is no longer what it was."""
    from evals.runner import asked

    return asked(run.record)


def _show_run(run: Run, measure: list[str] | None = None) -> None:
    from evals.tables import figures, summary_tables, wide_console

    out = wide_console()
    if any(run.scores.values()):
        for table in summary_tables(run, run.measures(measure or ())):
            out.print(table)
    for line in figures(run):
        out.print(line)


def _rising(what: str, text: str) -> tuple[int, ...]:
    try:
        numbers = tuple(sorted({int(part) for part in text.split(",")}))
    except ValueError:
        numbers = ()
    if not numbers or numbers[0] < 1:
        raise SettingsError(f"{what} {text!r} is no list of whole numbers from 1 on; write them as 1,5,10")
    return numbers


def _print_json(value: Any) -> None:
    typer.echo(json.dumps(value, ensure_ascii=False, indent=2, default=str))
