"""A person judges, in the terminal, what a run found and nobody has judged."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from agent.text.render import clean, one_line
from evals.datasets import Question
from evals.judgments import Judgment, Unjudged, merged, read, share_judged, unjudged, write
from evals.runs import Run

if TYPE_CHECKING:
    from rich.console import Console

GRADE_KEYS = {"0": 0, "1": 1, "2": 2}
HELP = "0 not relevant  1 helpful  2 answers it  s skip  u undo  q quit"


def review(
    run: Run, questions: Sequence[Question], file: Path, k: int, key: Callable[[], str], out: Console
) -> list[Judgment]:
    """Walks through the unjudged among the first k documents of each question; returns what was judged now.

    questions: those of the run; file: where judgments go, each as soon as it is made, after those that are
    there already; key: the next key pressed. Raises what reading and writing judgments raise.
    """
    before, now = read(file), list[Judgment]()
    known = merged(questions, file) if before else tuple(questions)
    queue = list(unjudged(known, run.results, k))
    _say_share(known, run, k, out)
    done: list[bool] = []
    shown = -1
    while len(done) < len(queue):
        item = queue[len(done)]
        if shown != len(done):
            _show(item, len(done) + 1, len(queue), out)
            shown = len(done)
        pressed = key()
        if pressed == "q":
            break
        if pressed in GRADE_KEYS:
            now.append(Judgment(item.question.id, item.hit.path, GRADE_KEYS[pressed]))
            write(file, before + now)
            done.append(True)
        elif pressed == "s":
            done.append(False)
        elif pressed == "u" and done:
            if done.pop():
                now.pop()
                write(file, before + now)
        else:
            out.print(HELP)
    out.print(f"{len(now)} judged now, {len(before) + len(now)} in {file}")
    if now:
        _say_share(merged(questions, file), run, k, out)
        again = f"chaincite eval run --judgments {file} {run.record.plan.dataset}"
        out.print(f"measure with them: {again}", soft_wrap=True)
    return now


def _say_share(questions: Sequence[Question], run: Run, k: int, out: Console) -> None:
    share = share_judged(questions, run.results, k)
    out.print(f"{share:.1%} of the first {k} documents of each question are judged")


def _show(item: Unjudged, number: int, total: int, out: Console) -> None:
    out.rule(f"{number} of {total}")
    out.print(f"{item.question.id} ({item.question.kind})  {one_line(item.question.question)}")
    if item.question.answer:
        out.print(f"reference answer: {one_line(item.question.answer)}")
    out.print(f"\nrank {item.rank}: {item.hit.path}  {item.hit.uri}\n")
    out.print(clean(item.hit.text))
    out.print(f"\n{HELP}")
