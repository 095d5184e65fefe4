"""Runs a dataset against a library: search, pack, answer, and what the run was made with."""

from __future__ import annotations

import asyncio
import difflib
import hashlib
import json
import math
import os
import platform
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from datetime import UTC, datetime
from importlib import metadata, resources
from pathlib import Path
from typing import TYPE_CHECKING

from evals.beir import CORPORA, build
from evals.datasets import Dataset, Question, load
from evals.judgments import merged
from evals.measures import score, summaries
from evals.results import Answered, Ranked, Result
from evals.runs import Plan, Record, Run, Runs, Times
from index.errors import ChainciteError, SettingsError, SourceError
from index.library import Library
from index.search import Options
from index.settings import Settings
from index.values import Document, Filters, Hit

if TYPE_CHECKING:
    from agent.answers.values import Answer

DEPTH = 100
"""Passages retrieved for a question, where nothing else is asked for and the library has as many."""

PACKAGES = ("chaincite", "faiss-cpu", "ir-measures", "numpy", "openvino", "tantivy")
OWN = ("agent", "index", "ingest", "evals")
NAMED = 5
"""Missing documents named in a message."""


@dataclass(frozen=True, slots=True)
class Finished:
    """A run that is not saved yet. questions: those that were asked."""

    record: Record
    questions: tuple[Question, ...]
    results: tuple[Result, ...]
    times: Times


class Tuned(Library):
    """A library whose searches rank by options of their own."""

    def __init__(self, plan: Plan) -> None:
        super().__init__(plan.library, plan.embedder)
        self._options = _known(plan.options)

    def search(
        self,
        question: str,
        k: int = 10,
        filters: Filters = Filters(),
        options: Options | None = None,
    ) -> list[Hit]:
        """As `Library.search`, with the plan's options where none are given."""
        return super().search(question, k, filters, options or self._options)


def prepared(plan: Plan) -> tuple[Plan, tuple[str, ...]]:
    """The plan with the library that its dataset brings along, and what of that was left out.

    A BEIR folder's corpus becomes a library inside the plan's, unless that is it already.
    """
    if not plan.dataset.is_dir() or plan.library.parent.parent.name == CORPORA:
        return plan, ()
    load(plan.dataset, plan.split)
    library, skipped = build(plan.dataset, plan.library, plan.embedder)
    return replace(plan, library=library), skipped


def execute(plan: Plan, progress: Callable[[int, int], None] = lambda _done, _of: None) -> Finished:
    """Asks every question of the plan's dataset. One that fails gives a result that says why.

    progress: called with the questions done, and how many there are.
    Raises SourceError for a dataset at fault, SettingsError for settings that do not fit the library, and
    what opening the library raises.
    """
    dataset = load(plan.dataset, plan.split)
    questions = _asked(dataset, plan)
    if plan.model is not None:
        _settings(plan)
    library = Tuned(plan)
    status = library.status()
    plan = _fitting(plan, status.passages)
    documents = {document.path: document for document in library.documents()}
    if not plan.allow_missing:
        _refuse_missing(plan, questions, documents)
    began, started = time.perf_counter(), datetime.now(UTC)
    asking = _Asking(library, plan, documents)
    results = []
    for question in questions:
        results.append(asking.ask(question))
        progress(len(results), len(questions))
    times = Times(started, time.perf_counter() - began, asking.searching, asking.answering)
    record = Record(
        plan=plan,
        dataset=dataset.name,
        dataset_sha256=dataset.sha256,
        judgments=_digest(plan.judgments.read_bytes()) if plan.judgments else None,
        questions=len(questions),
        generation=status.generation,
        documents=status.documents,
        passages=status.passages,
        model=status.embedder,
        chunker=status.chunker,
        prompts=prompts(plan.prompts),
        versions=versions(),
        machine={
            "system": platform.platform(),
            "processor": platform.machine(),
            "cores": str(os.cpu_count()),
        },
    )
    return Finished(record, questions, tuple(results), times)


def save(finished: Finished, runs: Runs, name: str | None) -> Run:
    """Measures what was found, and saves it all under a name, or the dataset's with a number."""
    plan = finished.record.plan
    found = {result.id: result for result in finished.results}
    scores = score(finished.questions, found, plan.ks, plan.budgets, plan.answers)
    return runs.save(
        name or runs.free_name(finished.record.dataset),
        finished.record,
        finished.results,
        {question.id: question.kind for question in finished.questions},
        scores,
        summaries(finished.questions, scores, found),
        finished.times,
    )


def asked(record: Record) -> tuple[Question, ...]:
    """The questions of a run, judged as they were. Raises SettingsError when the dataset has changed."""
    plan = record.plan
    dataset = load(plan.dataset, plan.split)
    if dataset.sha256 != record.dataset_sha256:
        raise SettingsError(
            f"{plan.dataset} is no longer the dataset of this run; make the run again with"
            " `chaincite eval run --again RUN`"
        )
    return _asked(dataset, plan)


def _asked(dataset: Dataset, plan: Plan) -> tuple[Question, ...]:
    questions = chosen(dataset, plan.without)
    return merged(questions, plan.judgments) if plan.judgments is not None else questions


class _Asking:
    """Asks questions of one library, and keeps how long each took, in seconds by question."""

    def __init__(self, library: Tuned, plan: Plan, documents: Mapping[str, Document]) -> None:
        self._library = library
        self._plan = plan
        self._documents = documents
        self.searching: dict[str, float] = {}
        self.answering: dict[str, float] = {}
        library.search("warm up", plan.depth or DEPTH)

    def ask(self, question: Question) -> Result:
        """What comes of a question."""
        depth = self._plan.depth or DEPTH
        held = {
            path: len(self._library.passages(self._documents[path].uri))
            for path in question.relevant or ()
            if path in self._documents
        }
        result = Result(question.id, held=held)
        try:
            began = time.perf_counter()
            sought = "\n".join([*question.before[-1:], question.question])
            hits = self._library.search(sought, depth)
            self.searching[question.id] = time.perf_counter() - began
            result = replace(
                result,
                hits=tuple(map(Ranked.of, hits)),
                packed={budget: _packed(sought, hits, budget) for budget in self._plan.budgets},
            )
            if self._plan.answers:
                began = time.perf_counter()
                answer = self._answered(question)
                self.answering[question.id] = time.perf_counter() - began
                result = replace(result, answer=answer)
        except ChainciteError as error:
            return replace(result, error=str(error))
        return result

    def _answered(self, question: Question) -> Answered:
        answer = asyncio.run(self._answer(question))
        return Answered(
            text=answer.text,
            refused=answer.refused,
            citations=tuple((citation.source.path, citation.quote) for citation in answer.citations),
            tokens=answer.usage.tokens_in + answer.usage.tokens_out,
            answered_by=answer.answered_by,
            cost=answer.usage.cost or 0.0,
            sentences=tuple(sentence.text for sentence in answer.sentences),
        )

    async def _answer(self, question: Question) -> Answer:
        """In a conversation of its own that leaves no trace but in the ledger of chat models."""
        from agent.answers.events import final
        from agent.session import Session

        session = Session(self._library, _settings(self._plan), user="eval", keep=False)
        asked = [*question.before, question.question]
        answers = [await final(session.ask(one, budget=self._plan.budget, fresh=True)) for one in asked]
        return answers[-1]


def _settings(plan: Plan) -> Settings:
    """The settings under which questions are answered: by the plan's chat model, or by none.

    Raises SettingsError where a model is to answer, and there is no endpoint.
    """
    settings = Settings.load(
        library=plan.library, embedder=plan.embedder, model=plan.model, prompts=plan.prompts
    )
    if plan.model is None:
        return settings.model_copy(update={"api_key": None, "base_url": None})
    if settings.api_key is None and settings.base_url is None:
        raise SettingsError(
            f"{plan.model} is to answer, but there is no endpoint; set OPENAI_API_KEY or OPENAI_BASE_URL"
        )
    return settings


def _packed(question: str, hits: Sequence[Hit], budget: int) -> tuple[tuple[str, ...], ...]:
    """The sections of the evidence for an answer within a budget; none where the question alone fills it."""
    from agent.answerers.quoted import CANDIDATES
    from agent.requests.budget import Budget
    from agent.requests.pack import pack
    from index.errors import BudgetError

    try:
        plan = Budget.plan(question, budget)
    except BudgetError:
        return ()
    sections = pack(hits[:CANDIDATES], plan).sections
    return tuple(tuple(passage.id for passage in section.passages) for section in sections)


def chosen(dataset: Dataset, without: Sequence[str]) -> tuple[Question, ...]:
    """The questions apart from those of some kinds. Raises SettingsError where that leaves none."""
    kinds = {question.kind for question in dataset.questions}
    for kind in without:
        if kind not in kinds:
            raise SettingsError(f"--without {kind!r} is no kind of {dataset.name}; it has {_listed(kinds)}")
    left = tuple(question for question in dataset.questions if question.kind not in without)
    if not left:
        raise SettingsError(f"--without leaves no question of {dataset.name}; leave out fewer kinds")
    return left


def options(assignments: Sequence[str]) -> Options:
    """Search options from texts such as `search.vectors=0.5`. Raises SettingsError for what is unknown."""
    values: dict[str, float] = {}
    kinds = {field.name: type(getattr(Options(), field.name)) for field in fields(Options)}
    for assignment in assignments:
        name, _, text = assignment.partition("=")
        option = name.strip().removeprefix("search.")
        if option not in kinds or not name.strip().startswith("search."):
            near = difflib.get_close_matches(option, kinds, n=1)
            hint = f"did you mean `search.{near[0]}`?" if near else f"known are search.{_listed(kinds)}"
            raise SettingsError(f"--set {assignment!r}: no such option; {hint}")
        try:
            value = json.loads(text)
            if isinstance(value, bool) or kinds[option](value) != value or not 0 <= value < math.inf:
                raise ValueError
        except (ValueError, TypeError, OverflowError):
            allowed = "a whole number" if kinds[option] is int else "a number"
            raise SettingsError(
                f"--set {assignment!r}: `search.{option}` must be {allowed} of 0 or more, as"
                f" search.{option}={getattr(Options(), option)}"
            ) from None
        values[option] = kinds[option](value)
    return Options(**values)  # type: ignore[arg-type]


def _known(values: Mapping[str, float]) -> Options:
    """A plan's options. Raises SettingsError for those that only another version of chaincite has."""
    unknown = set(values) - {field.name for field in fields(Options)}
    if unknown:
        raise SettingsError(
            f"the run was made with search options that this chaincite has not: {_listed(unknown)};"
            " make it again with the version that it records, or make a new run"
        )
    return Options(**values)  # type: ignore[arg-type]


def as_mapping(chosen_options: Options) -> dict[str, float]:
    """Every option by name, as a plan holds them."""
    return asdict(chosen_options)


def prompts(folder: Path | None) -> dict[str, str]:
    """The sha256 of each prompt by its name. folder: of prompts in place of the shipped ones."""
    from prompts import load_all

    return {prompt.name: _digest(prompt.source.encode()) for prompt in load_all(folder)}


def versions() -> dict[str, str]:
    """The versions of Python and the packages that rank and measure; `code`: a digest of chaincite's own."""
    digest = hashlib.sha256()
    for package in OWN:
        for file in sorted(Path(str(resources.files(package))).rglob("*.py")):
            digest.update(file.read_bytes())
    found = {name: metadata.version(name) for name in PACKAGES}
    return {"python": platform.python_version(), **found, "code": digest.hexdigest()[:12]}


def _fitting(plan: Plan, passages: int) -> Plan:
    """The plan with a depth that the library has. Raises SettingsError where it asks for more."""
    depth = plan.depth or max(min(DEPTH, passages), *plan.ks)
    for what, asked in (("--k", max(plan.ks)), ("--depth", depth)):
        if asked > passages:
            raise SettingsError(
                f"{what} {asked} is more than the library's {passages} passages; ask for at most {passages}"
            )
    if depth < max(plan.ks):
        raise SettingsError(f"--depth {depth} is less than --k {max(plan.ks)}; raise it, or leave it out")
    return replace(plan, depth=depth)


def _refuse_missing(plan: Plan, questions: Sequence[Question], documents: Mapping[str, Document]) -> None:
    relevant = {
        (path, question.kind)
        for question in questions
        for path in question.relevant or ()
        if question.answerable
    }
    missing = sorted({path for path, _ in relevant if path not in documents})
    if missing:
        named = ", ".join(missing[:NAMED])
        more = f" and {len(missing) - NAMED} more" if len(missing) > NAMED else ""
        kinds = sorted({kind for path, kind in relevant if path in missing})
        raise SourceError(
            f"{plan.dataset} judges documents that the library does not hold: {named}{more};"
            f" ingest them, leave out questions with --without {kinds[0]}, or count them as not found with"
            " --allow-missing"
        )


def _listed(names: object) -> str:
    return ", ".join(sorted(names))  # type: ignore[call-overload]


def _digest(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()
