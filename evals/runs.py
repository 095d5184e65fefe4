"""Runs on disk: one folder each, whole, so that it can be read, compared and made again without the library.

- `run.json`: the plan, and what it met: dataset, library, models, versions, machine;
- `results.jsonl`: a line for each question, with the ranked passages, the packed evidence, the answer;
- `measures.json`: means by kind, and the measures of each question;
- `times.json`: when, and how long each search and answer took: all that differs when a run is made again.

DuckDB reads all four with `read_json`.
"""

from __future__ import annotations

import difflib
import json
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from evals.measures import Scores, Summary, headline
from evals.results import Ranked, Result
from index.errors import LibraryError, SettingsError

if TYPE_CHECKING:
    from pydantic import TypeAdapter

Valid = TypeVar("Valid")

USUAL_BUDGET = 2000
"""Tokens of the budget that tables show, where a run has it."""

RECORD, RESULTS, MEASURES, TIMES = "run.json", "results.jsonl", "measures.json", "times.json"


@dataclass(frozen=True, slots=True)
class Plan:
    """What a person asks for. The same plan over the same files gives the same run.

    dataset, library, judgments: absolute paths; split: of a BEIR folder; without: kinds left out; options:
    the fields of `index.search.Options`; ks: cutoffs, rising; budgets: tokens, rising; depth: passages
    retrieved, None for as many as are useful; answers: whether questions are answered too, each within
    `budget` tokens; model: the chat model that answers, None where the library is quoted; prompts: a folder
    of prompts in place of the shipped ones; allow_missing: whether relevant documents may be missing in the
    library.
    """

    dataset: Path
    library: Path
    embedder: str
    options: Mapping[str, int | float]
    ks: tuple[int, ...]
    budgets: tuple[int, ...]
    budget: int
    split: str | None = None
    without: tuple[str, ...] = ()
    judgments: Path | None = None
    depth: int | None = None
    answers: bool = False
    allow_missing: bool = False
    model: str | None = None
    prompts: Path | None = None


@dataclass(frozen=True, slots=True)
class Record:
    """A plan and what it met. judgments: sha256 of added ones; prompts: sha256 by name."""

    plan: Plan
    dataset: str
    dataset_sha256: str
    judgments: str | None
    questions: int
    generation: int
    documents: int
    passages: int
    model: str
    chunker: str
    prompts: Mapping[str, str]
    versions: Mapping[str, str]
    machine: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Times:
    """When a run was made, and the seconds that each search and answer took, by question."""

    started_at: datetime
    seconds: float
    search: Mapping[str, float]
    answer: Mapping[str, float]


@dataclass(frozen=True)
class Run:
    """A saved run."""

    folder: Path
    record: Record

    @property
    def name(self) -> str:
        """What the run is called: the name of its folder."""
        return self.folder.name

    @cached_property
    def results(self) -> dict[str, Result]:
        """What came of each question, by its id."""
        lines = self._read(RESULTS).splitlines()
        return {result.id: result for result in map(self._result, lines)}

    def measures(self, names: Sequence[str] = ()) -> list[str]:
        """These names of measures, or the few that a table shows.

        Raises SettingsError for a measure that the run has not, or when it has none.
        """
        known = list(dict.fromkeys(name for scores in self.scores.values() for name in scores))
        plan = self.record.plan
        budget = USUAL_BUDGET if USUAL_BUDGET in plan.budgets else plan.budgets[-1]
        chosen = list(names) or headline(known, plan.ks[-1], budget)
        for name in chosen:
            if name not in known:
                levels = [one for one in known if one.endswith(f"/{name}")]
                near = levels or difflib.get_close_matches(name, known, n=1, cutoff=0.5)
                hint = f"did you mean {near[0]!r}?" if near else "`chaincite eval show RUN --json` lists all"
                raise SettingsError(f"{self.name} has no measure {name!r}; {hint}")
        if not chosen:
            raise SettingsError(f"{self.name} has no measures, since {self.record.dataset} judges nothing")
        return chosen

    def documents(self, question: str) -> list[str]:
        """The paths of a question's documents, best first, each once."""
        found = self.results.get(question, Result(question))
        return list(dict.fromkeys(hit.path for hit in found.hits))

    @cached_property
    def scores(self) -> dict[str, Scores]:
        """The measures of each question, by its id."""
        return {row["id"]: row["measures"] for row in self._measures["questions"]}

    @cached_property
    def kinds(self) -> dict[str, str]:
        """The kind of each question, by its id."""
        return {row["id"]: row["kind"] for row in self._measures["questions"]}

    @cached_property
    def summaries(self) -> list[Summary]:
        """The means over all questions, then by kind."""
        return [Summary(**row) for row in self._measures["summary"]]

    @cached_property
    def times(self) -> Times:
        """When it was made and how long it took."""
        return _validated(_times_adapter(), self._read(TIMES), self.folder / TIMES)

    @cached_property
    def _measures(self) -> dict[str, Any]:
        try:
            found: dict[str, Any] = json.loads(self._read(MEASURES))
        except ValueError as error:
            raise _damaged(self.folder / MEASURES, error) from None
        return found

    def _read(self, name: str) -> str:
        try:
            return (self.folder / name).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise _damaged(self.folder / name, error) from None

    def _result(self, line: str) -> Result:
        try:
            row = json.loads(line)
            row["hits"] = tuple(Ranked(**hit) for hit in row.pop("results"))
        except (ValueError, TypeError, KeyError) as error:
            raise _damaged(self.folder / RESULTS, error) from None
        return _result_adapter().validate_python(row)


class Runs:
    """The runs in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def names(self) -> list[str]:
        """The names of all runs, in order."""
        return sorted(file.parent.name for file in self.folder.glob(f"[!.]*/{RECORD}"))

    def open(self, name: str) -> Run:
        """The run of this name, or in the folder of this path. Raises LibraryError where there is none."""
        folder = next((f for f in (self.folder / name, Path(name)) if (f / RECORD).is_file()), None)
        if folder is None or not name:
            known = ", ".join(self.names()[-8:]) or "none yet; make one with `chaincite eval run DATASET`"
            raise LibraryError(f"there is no run {name!r} in {self.folder}; known are {known}")
        text = (folder / RECORD).read_text(encoding="utf-8")
        return Run(folder.resolve(), _validated(_record_adapter(), text, folder / RECORD))

    def free_name(self, dataset: str) -> str:
        """A name that no run has: the dataset's with a number."""
        taken = set(self.names())
        return next(
            name for number in range(1, len(taken) + 2) if (name := f"{dataset}-{number}") not in taken
        )

    def check_name(self, name: str) -> None:
        """Raises SettingsError for a name that is taken or cannot be a folder's."""
        if not re.fullmatch(r"\w[\w.+=,-]*", name):
            raise SettingsError(f"--name {name!r} is no name; use letters, digits and . _ - + = ,")
        if (self.folder / name).exists():
            raise SettingsError(
                f"a run {name!r} is in {self.folder} already; choose another --name, or remove it"
            )

    def save(
        self,
        name: str,
        record: Record,
        results: Sequence[Result],
        kinds: Mapping[str, str],
        scores: Mapping[str, Scores],
        summaries: Sequence[Summary],
        times: Times,
    ) -> Run:
        """Writes a run so that it is there whole or not at all. Raises LibraryError where that fails."""
        self.check_name(name)
        draft = self.folder / f".{name}.draft"
        questions = [{"id": one, "kind": kinds[one], "measures": scores[one]} for one in scores]
        measures = {"summary": [asdict(summary) for summary in summaries], "questions": questions}
        try:
            shutil.rmtree(draft, ignore_errors=True)
            draft.mkdir(parents=True)
            (draft / RECORD).write_bytes(_record_adapter().dump_json(record, indent=1))
            with (draft / RESULTS).open("w", encoding="utf-8", errors="backslashreplace") as out:
                out.writelines(json.dumps(_row(result), ensure_ascii=False) + "\n" for result in results)
            (draft / MEASURES).write_text(json.dumps(measures, indent=1), encoding="utf-8")
            (draft / TIMES).write_bytes(_times_adapter().dump_json(times, indent=1))
            draft.rename(self.folder / name)
        except OSError as error:
            raise LibraryError(
                f"the run cannot be saved in {self.folder} ({error.strerror}); choose another with --runs"
            ) from error
        return self.open(name)


def _row(result: Result) -> dict[str, Any]:
    row = asdict(result)
    hits = row.pop("hits")
    return {"id": row.pop("id"), "results": hits, **row}


def _validated(adapter: TypeAdapter[Valid], text: str, file: Path) -> Valid:
    from pydantic import ValidationError

    try:
        return adapter.validate_json(text)
    except ValidationError as error:
        raise _damaged(file, error.errors()[0]["msg"]) from None


def _damaged(file: Path, why: object) -> LibraryError:
    what = str(why).splitlines()[0]
    return LibraryError(f"{file} cannot be read ({what}); make the run again with `chaincite eval run`")


@cache
def _record_adapter() -> TypeAdapter[Record]:
    from pydantic import TypeAdapter

    return TypeAdapter(Record)


@cache
def _times_adapter() -> TypeAdapter[Times]:
    from pydantic import TypeAdapter

    return TypeAdapter(Times)


@cache
def _result_adapter() -> TypeAdapter[Result]:
    from pydantic import TypeAdapter

    return TypeAdapter(Result)
