"""Trains the reader, which tells how well a sentence answers a question, and scores it on what was held back.

    python -m evals.reader --library DIR [--out FILE] [--seeds N ...] [--epochs N] [--limit N] [--check]

The sentences are those that the library's own search and selection bring for each question; a sentence is
right that shares half of itself, or of the answer, with a judged answer. Runs with different seeds fine-tune
all-MiniLM-L6-v2; their weights are averaged (Wortsman et al. 2022, Model soups), and the difference from the
start is reduced to a low rank by singular values. `evals/data/reader.md` describes data and figures.
"""

from __future__ import annotations

import hashlib
import os
import random
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import numpy as np
import numpy.typing as npt
import typer
from pydantic import BaseModel, Field, ValidationError
from scipy.stats import zscore

from agent.answerers.candidates import Candidate, Wish
from agent.answerers.question_terms import QuestionTerms
from agent.answerers.quoted import CANDIDATES
from agent.answerers.selection import ranked
from agent.requests.pack import joined
from index.convert import reader
from index.errors import ChainciteError, SettingsError, SourceError
from index.library import Library
from index.network import packaged_weights, padded
from index.reader import ADAPTER, Encoder, Encoding, InContext, Reader
from index.values import Document, Hit

if TYPE_CHECKING:
    from torch import Tensor

QUESTIONS = Path(__file__).parent / "data" / "reader.jsonl"

KEPT = 72
"""Sentences kept for a question, the best by their words; the right ones are kept wherever they stand."""

LIST, MOST_RIGHT = 28, 6
"""Sentences that a question is trained on at a time, and how many of these may be right."""

BATCH = 12
"""Questions of a step."""

RANK = 32
"""Rank of the difference that is shipped."""

FOLDS = 10
"""Parts that the documents are divided into, with their questions; the first is held back."""

QUIET = {"TRANSFORMERS_VERBOSITY": "error", "HF_HUB_DISABLE_PROGRESS_BARS": "1", "HF_HUB_OFFLINE": "1"}
"""Variables that keep the loading of the base model silent and off the network."""


class Run(NamedTuple):
    """A fine-tuning: its seed, highest learning rate, and passes over the questions."""

    seed: int
    rate: float
    epochs: int


RUNS = (Run(1, 2e-4, 7), Run(2, 2e-4, 7), Run(3, 1e-4, 9), Run(4, 1e-4, 9))
SEEDS = [one.seed for one in RUNS]


class Answer(BaseModel, frozen=True):
    """An answering sentence: characters `start` to `end` of the text of the document at `path`."""

    path: str
    start: int = Field(ge=0)
    end: int = Field(ge=1)


class Question(BaseModel, frozen=True):
    """A question with all the sentences that answer it, the best first."""

    question: str = Field(min_length=1)
    kind: str
    answers: tuple[Answer, ...] = Field(min_length=1)

    @property
    def fold(self) -> int:
        """The part it is in, below `FOLDS`, by its first document in the order of paths."""
        first = min(answer.path for answer in self.answers)
        return int(hashlib.sha256(first.encode()).hexdigest(), 16) % FOLDS

    @property
    def held(self) -> bool:
        """Whether it is held back."""
        return self.fold == 0


@dataclass(frozen=True, slots=True)
class Example:
    """A question with the sentences found for it, the best by their words first.

    words: their scores by words, shape (len(texts),); right: which of them answer, of the same shape.
    """

    question: str
    texts: tuple[InContext, ...]
    words: npt.NDArray[np.float32]
    right: npt.NDArray[np.bool_]


class Score(NamedTuple):
    """How one order of the sentences does: shares of questions, and the mean reciprocal rank."""

    order: str
    first: float
    among_three: float
    reciprocal: float


def read_questions(file: Path) -> list[Question]:
    """The questions in a file of JSON lines. Raises SourceError that names the line at fault."""
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise SourceError(f"{file} cannot be read ({error}); give a file of JSON lines") from None
    found = []
    for number, line in enumerate(lines, 1):
        try:
            found.append(Question.model_validate_json(line))
        except ValidationError as error:
            fault = error.errors(include_url=False)[0]
            where = ".".join(map(str, fault["loc"])) or "the line"
            raise SourceError(
                f"{file}, line {number}: {where}: {fault['msg']}; a line is an object with question, kind and"
                " answers, each with path, start and end"
            ) from None
    return found


def examples(questions: Sequence[Question], library: Library) -> Iterator[Example]:
    """Each question with its sentences; one whose answers the library lacks is left out."""
    documents = {document.path: document for document in library.documents()}
    for question in questions:
        answers = [hit for answer in question.answers for hit in _answering(answer, documents, library)]
        there = {hit.document.path for hit in answers}
        if there >= {answer.path for answer in question.answers}:
            example = _example(question, answers, library)
            if example.right.any():
                yield example


def _answering(answer: Answer, documents: Mapping[str, Document], library: Library) -> list[Hit]:
    """The passages that an answer stands in."""
    document = documents.get(answer.path)
    passages = library.passages(document.uri) if document else []
    return [
        Hit(document, passage, 0.0)
        for passage in passages
        if document and passage.start < answer.end and answer.start < passage.end
    ]


def _example(question: Question, answering: Sequence[Hit], library: Library) -> Example:
    text = question.question
    hits = {hit.passage.id: hit for hit in [*answering, *library.search(text, CANDIDATES)]}
    sections = joined(sorted(hits.values(), key=lambda hit: -hit.score))
    pairs = ranked(Wish(text, text), sections, library, QuestionTerms(text, library, library.size))
    right = [is_right(candidate, question.answers) for candidate, _ in pairs]
    kept = [at for at, yes in enumerate(right) if yes or at < KEPT]
    return Example(
        text,
        tuple(pairs[at][0].as_read for at in kept),
        np.array([pairs[at][1] for at in kept], np.float32),
        np.array([right[at] for at in kept], np.bool_),
    )


def is_right(candidate: Candidate, answers: Sequence[Answer]) -> bool:
    """Whether a sentence shares with an answer half of the shorter of the two."""
    section, sentence = candidate.section, candidate.sentence
    offset = section.passages[0].start
    start, end = sentence.start + offset, sentence.end + offset
    return any(
        2 * (min(end, answer.end) - max(start, answer.start)) >= min(end - start, answer.end - answer.start)
        for answer in answers
        if answer.path == section.document.path
    )


def fit(some: Sequence[Example], run: Run, weights: Path) -> dict[str, Tensor]:
    """Fine-tunes the weights in a folder on some examples, and returns all parameters by name.

    The embeddings stay as they are. A processor and a GPU give slightly different sums for the same seed.
    """
    import torch

    torch.manual_seed(run.seed)
    mixed = random.Random(run.seed)  # noqa: S311
    device = "cuda" if torch.cuda.is_available() else "cpu"
    module = reader(str(weights), "").to(device).train()
    torch.nn.init.normal_(module.head.weight, std=0.02)
    torch.nn.init.zeros_(module.head.bias)
    module.bert.embeddings.requires_grad_(requires_grad=False)
    encoder = Encoder.of(weights)
    steps = run.epochs * -(-len(some) // BATCH)
    optimizer, schedule = _optimizer(module, run.rate, steps)
    for step, batch in enumerate(_batches(some, run.epochs, mixed)):
        rows, right, there = _lists(batch, encoder, mixed)
        inputs = [torch.from_numpy(column).to(device) for column in padded(*zip(*rows, strict=True))]
        with torch.autocast(device, torch.bfloat16):
            scores = module(*inputs)[:, 0]
        lost: Any = loss(
            scores.float(), torch.from_numpy(right).to(device), torch.from_numpy(there).to(device)
        )
        optimizer.zero_grad()
        lost.backward()
        torch.nn.utils.clip_grad_norm_(module.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        if step % 20 == 0 or step == steps - 1:
            typer.echo(f"seed {run.seed}: step {step + 1} of {steps}, loss {lost.item():.3f}", err=True)
    return {name: value.detach().float().cpu() for name, value in module.state_dict().items()}


def _optimizer(module: Any, rate: float, steps: int) -> tuple[Any, Any]:
    """AdamW, and a rate that rises over the first tenth of the steps and falls to nothing at the last."""
    import torch

    trained = [value for value in module.parameters() if value.requires_grad]
    groups = [
        {"params": [value for value in trained if value.ndim > 1], "weight_decay": 0.01},
        {"params": [value for value in trained if value.ndim < 2], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=rate)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min(1.0, (step + 1) / (0.1 * steps)) * (steps - step) / steps
    )
    return optimizer, schedule


def _batches(some: Sequence[Example], epochs: int, mixed: random.Random) -> Iterator[list[Example]]:
    for _ in range(epochs):
        order = mixed.sample(some, len(some))
        yield from (order[at : at + BATCH] for at in range(0, len(order), BATCH))


def _lists(
    batch: Sequence[Example], encoder: Encoder, mixed: random.Random
) -> tuple[list[Encoding], npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """The sentences of a step, list after list; which are right, and which places of the lists are taken.

    The two have shape (len(batch), LIST). The wrong ones are drawn from twice as many of the best by words.
    """
    rows: list[Encoding] = []
    right, there = np.zeros((2, len(batch), LIST), np.bool_)
    for at, example in enumerate(batch):
        yes, no = (np.flatnonzero(example.right == which).tolist() for which in (True, False))
        yes = mixed.sample(yes, min(len(yes), MOST_RIGHT))
        room = LIST - len(yes)
        near = no[: 2 * room]
        chosen = [*yes, *mixed.sample(near, min(len(near), room))]
        rows += encoder.encode(example.question, [example.texts[i] for i in chosen])
        right[at, : len(yes)] = True
        there[at, : len(chosen)] = True
    return rows, right, there


def loss(scores: Tensor, right: Tensor, there: Tensor) -> Tensor:
    """What is minimised: the lists' softmax loss, and 0.3 times each sentence's binary cross-entropy.

    scores: shape (sentences,), list after list; right, there: shape (lists, places). Of the softmax, half is
    the log probability that a right sentence is drawn, half the mean of theirs (Cao et al. 2007, ListNet).
    """
    import torch
    from torch.nn.functional import binary_cross_entropy_with_logits

    table = torch.full(there.shape, -1e4, device=scores.device).masked_scatter(there, scores)
    logs = table.log_softmax(1)
    drawn = logs.masked_fill(~right, -1e4).logsumexp(1)
    each = (logs * right).sum(1) / right.sum(1)
    alone = binary_cross_entropy_with_logits(
        scores, right[there].float(), pos_weight=torch.tensor(3.0, device=scores.device)
    )
    return 0.3 * alone - (0.5 * drawn + 0.5 * each).mean()


def reduced(states: Sequence[Mapping[str, Tensor]], weights: Path, rank: int = RANK) -> dict[str, Tensor]:
    """The mean of some states as an adapter to the weights in a folder, in half precision.

    The difference of each linear layer becomes the product of two factors `B` and `A` of this rank, the best
    there is in the sense of least squares (Eckart and Young 1936).
    """
    import torch

    start = reader(str(weights), "").state_dict()
    out: dict[str, Tensor] = {}
    for name in start:
        value = torch.stack([state[name] for state in states]).mean(0)
        short = name.removeprefix("bert.")
        if short.startswith("embeddings"):
            continue
        if value.ndim < 2 or name.startswith("head"):
            out[short] = value
            continue
        left, sizes, above = torch.linalg.svd(value - start[name], full_matrices=False)
        root = sizes[:rank].sqrt()
        layer = short.removesuffix(".weight")
        out[f"{layer}.B"], out[f"{layer}.A"] = left[:, :rank] * root, root[:, None] * above[:rank]
    return {name: value.half().contiguous() for name, value in out.items()}


def scores(held: Sequence[Example], trained: Reader) -> list[Score]:
    """How the sentences stand in the order of their words, of the reader, and of both."""
    places: dict[str, list[int]] = {"words": [], "reader": [], "both": []}
    for example in held:
        read = trained.scores(example.question, example.texts)
        both = np.nan_to_num(zscore(read)) + np.nan_to_num(zscore(example.words))
        for order, values in zip(places, (example.words, read, both), strict=True):
            best = np.argsort(-values, kind="stable")
            places[order].append(int(example.right[best].argmax()))
    return [_score(order, np.array(found)) for order, found in places.items()]


def _score(order: str, places: npt.NDArray[np.int64]) -> Score:
    return Score(
        order,
        float((places < 1).mean()),
        float((places < 3).mean()),
        float((1 / (places + 1)).mean()),
    )


def run(
    library: Annotated[Path, typer.Option(help="Library that holds the documents of the questions.")],
    questions: Annotated[Path, typer.Option(metavar="FILE.jsonl", help="What to train on.")] = QUESTIONS,
    out: Annotated[Path, typer.Option(metavar="FILE.safetensors", help="Where the reader goes.")] = ADAPTER,
    seeds: Annotated[
        list[int], typer.Option(min=1, max=len(RUNS), help="Runs to make; again for more.")
    ] = SEEDS,
    epochs: Annotated[int | None, typer.Option(min=1, help="Passes of each run; else its own.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Questions to take, from the first.")] = None,
    check: Annotated[bool, typer.Option("--check", help="Train nothing; score the reader in --out.")] = False,
) -> None:
    """Train the reader on a library, and score it on the questions that are held back."""
    if not out.absolute().parent.is_dir():
        raise SettingsError(f"--out names {out}, but {out.absolute().parent} is no folder; make it first")
    asked = read_questions(questions)[:limit]
    opened = Library(library)
    held = _found("held back", [question for question in asked if question.held], opened)
    if not check:
        rest = _found("to train on", [question for question in asked if not question.held], opened)
        if not rest:
            raise SourceError(
                f"{library} holds the answers of none of the questions in {questions}; read their documents"
                " first with `chaincite ingest papers`"
            )
        _train(rest, [one for one in RUNS if one.seed in seeds], epochs, out)
    if held:
        for score in scores(held, Reader(out)):
            typer.echo(
                f"{score.order:<8} first {score.first:.3f}  among three {score.among_three:.3f}"
                f"  mean reciprocal rank {score.reciprocal:.3f}"
            )


def _found(what: str, questions: Sequence[Question], library: Library) -> list[Example]:
    found = list(examples(questions, library))
    typer.echo(f"{what}: {len(found)} of {len(questions)} questions, whose answers the library has", err=True)
    return found


def _train(some: Sequence[Example], runs: Sequence[Run], epochs: int | None, out: Path) -> None:
    from safetensors.torch import save_file

    weights = packaged_weights()
    states = [fit(some, one._replace(epochs=epochs or one.epochs), weights) for one in runs]
    save_file(reduced(states, weights), out)


def main() -> int:
    """Runs the training; exit status 0 done, 2 input at fault."""
    os.environ.update(QUIET)
    try:
        typer.run(run)
    except ChainciteError as error:
        print(f"reader: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
