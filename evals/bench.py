"""Speed and memory beside LangChain's own path, on the same files in the same run.

    python -m evals.bench [FOLDER] [--share 0.1] [--seed 0] [--rounds 3] [--out FILE.json]

Every figure comes from a process of its own, started as a person starts it. Before the first, both systems
ingest one file, so that neither pays alone for a cold disk or for converting the model. Files stay in the
system's page cache: "cold" means a new process. A figure past its target is marked; the exit status is 0 all
the same.
"""

from __future__ import annotations

import importlib.util
import json
import os
import random
import re
import shutil
import statistics
import sys
import tempfile
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np
import typer

from evals.cost import Cost, Machine, machine, measure
from index.errors import ChainciteError, SettingsError, SourceError
from ingest.sources import Source
from ingest.targets import find

if TYPE_CHECKING:
    from rich.table import Table

ROOT = Path(__file__).parents[1]
CHAINCITE, LANGCHAIN = "chaincite", "langchain"
QUIET = 0.3
"""Cores that others may keep busy before a run says that its figures are in doubt."""
EDIT = "\n\nThis paragraph was added to see what an edit costs.\n"
EDITABLE = (".md", ".mediawiki", ".txt")
SUMMARY = re.compile(
    r"(?<!\d)(?P<changed>\d+) changed, \d+ unchanged, (?P<skipped>\d+) skipped;"
    r" (?P<passages>\d+) passages, (?P<embedded>\d+) embedded"
)
PACKAGES = ("langchain-community", "langchain-huggingface", "langchain-text-splitters", "psutil")
VERSIONS = (*PACKAGES, "faiss-cpu", "openvino", "sentence-transformers", "torch")


@dataclass(frozen=True, slots=True)
class Row:
    """A figure of chaincite beside LangChain's, in the same unit; less is better.

    most: what our figure may be at most; most_ratio: what it may be at most in relation to LangChain's.
    """

    measure: str
    unit: str
    ours: float
    reference: float | None = None
    most: float | None = None
    most_ratio: float | None = None

    @property
    def ratio(self) -> float | None:
        """Ours over LangChain's, None where that has no such figure."""
        return self.ours / self.reference if self.reference else None

    @property
    def met(self) -> bool | None:
        """Whether every target holds, None where there is none.

        >>> Row("ingest", "s", ours=3.0, reference=10.0, most_ratio=0.4).met
        True
        """
        pairs = ((self.ours, self.most), (self.ratio, self.most_ratio))
        held = [seen <= most for seen, most in pairs if seen is not None and most is not None]
        return all(held) if held else None


@dataclass(frozen=True, slots=True)
class Result:
    """All that a run gives. size: bytes in the files; passages: how many each system made of them."""

    machine: Machine
    versions: Mapping[str, str]
    share: float
    seed: int
    files: int
    size: int
    passages: Mapping[str, int]
    rows: Sequence[Row]
    costs: Sequence[Cost]

    def as_dict(self) -> dict[str, object]:
        """The result as JSON takes it: rows with ratio and target met or not, costs without output."""
        rows = [{**asdict(row), "ratio": row.ratio, "met": row.met} for row in self.rows]
        costs = [{name: value for name, value in asdict(c).items() if name != "output"} for c in self.costs]
        return {**asdict(self), "rows": rows, "costs": costs}


def chosen(files: Sequence[Path], share: float, seed: int) -> list[Path]:
    """A random share of the files, at least one, of each suffix in proportion; the same for the same seed.

    >>> files = [Path("a.md"), Path("b.pdf"), Path("c.md"), Path("d.pdf")]
    >>> [file.suffix for file in chosen(files, 0.5, seed=0)]
    ['.md', '.pdf']
    """
    mixed = random.Random(seed).sample(files, len(files))  # noqa: S311
    mixed.sort(key=lambda file: file.suffix)
    count = max(1, round(share * len(files)))
    return sorted(mixed[at * len(files) // count] for at in range(count))


def _sources(folder: Path) -> dict[Path, Source]:
    """What can be read in a folder, by path in it: what its manifest names, else what is there."""
    manifest = folder / "MANIFEST.json"
    found = find([], manifest=manifest) if manifest.is_file() else find([str(folder)])
    local = {Path(s.location).relative_to(folder.resolve()): s for s in found.sources if not s.remote}
    if not local:
        why = f" ({found.problems[0]})" if found.problems else ""
        raise SourceError(f"{folder} holds nothing to read{why}; give a folder of papers or proposals")
    return local


def _copy(folder: Path, share: float, seed: int, work: Path) -> list[Path]:
    """Copies a share of a folder to `work/files`, with a manifest beside it; returns the copies."""
    sources = _sources(folder)
    entries, copies = [], []
    for path in chosen(list(sources), share, seed):
        source, copy = sources[path], work / "files" / path
        copy.parent.mkdir(parents=True, exist_ok=True)
        copies.append(Path(shutil.copyfile(source.location, copy)))
        kind = {"kind": source.stated.kind} if source.stated.kind else {}
        entries.append({"path": f"files/{path.as_posix()}", "source": source.uri, **kind})
    (work / "MANIFEST.json").write_text(json.dumps(entries), encoding="utf-8")
    return copies


def _questions(folder: Path, files: Sequence[Path], work: Path) -> Path:
    """JSON lines with `question`: the judged ones beside the folder, else one a file, from its name."""
    judged = folder.resolve().parent / "evals" / "dev.jsonl"
    if judged.is_file():
        return judged
    made = work / "questions.jsonl"
    lines = [json.dumps({"question": f"What is {file.stem.replace('-', ' ')}?"}) for file in files]
    made.write_text("\n".join(lines), encoding="utf-8")
    return made


class Bench:
    """One run over a share of a folder.

    work: an empty folder that the run may fill; rounds: how often each search is measured;
    tell: called with what each process took, as soon as it ended.
    """

    def __init__(
        self, folder: Path, share: float, seed: int, rounds: int, work: Path, tell: Callable[[Cost], None]
    ) -> None:
        self.files = _copy(folder, share, seed, work)
        self.questions = _questions(folder, self.files, work)
        self.costs: list[Cost] = []
        self.passages = {CHAINCITE: 0, LANGCHAIN: 0}
        self._rounds = rounds
        self._work = work
        self._tell = tell
        self._stores = {CHAINCITE: work / "library", LANGCHAIN: work / "store"}
        (work / "settings.toml").touch()
        own = {name: value for name, value in os.environ.items() if not name.startswith("CHAINCITE_")}
        self._environment = own | {"CHAINCITE_SETTINGS": str(work / "settings.toml"), "HF_HUB_OFFLINE": "1"}

    def rows(self) -> list[Row]:
        """Measures everything, in order. Raises ChainciteError when a process fails."""
        self._rehearse()
        return [*self._ingest(), *self._ingest_again(), *self._cold_search(), *self._warm_search()]

    def _run(self, system: str, step: str, *command: str | Path, accepted: Collection[int] = (0,)) -> Cost:
        words = [sys.executable, "-m", *map(str, command)]
        cost = measure(system, step, words, self._environment, accepted)
        self.costs.append(cost)
        self._tell(cost)
        return cost

    def _rehearse(self) -> None:
        """Both systems once over one file, for nothing but warm disks and a converted model."""
        folder, stores = self._work / "rehearsal", self._work / "rehearsed"
        folder.mkdir()
        file = shutil.copy(self._edited(), folder)
        words = ("--library", stores / CHAINCITE, "ingest", "papers", file)
        self._run(CHAINCITE, "rehearsal", "chaincite", *words)
        self._run(LANGCHAIN, "rehearsal", "evals.langchain_reference", "ingest", folder, stores / LANGCHAIN)

    def _chaincite_ingest(self, step: str) -> tuple[Cost, dict[str, int]]:
        """An ingest, and the counts of its summary; status 2 says that files were skipped."""
        manifest = self._work / "MANIFEST.json"
        words = ("--library", self._stores[CHAINCITE], "ingest", "papers", "--manifest", manifest)
        cost = self._run(CHAINCITE, step, "chaincite", *words, accepted=(0, 2))
        summary = SUMMARY.search(cost.output)
        if summary is None:
            raise ChainciteError(f"chaincite {step} printed no summary but {cost.output.strip()!r}")
        return cost, {name: int(count) for name, count in summary.groupdict().items()}

    def _ingest(self) -> Iterator[Row]:
        ours, counts = self._chaincite_ingest("ingest")
        words = ("ingest", self._work / "files", self._stores[LANGCHAIN])
        theirs = self._run(LANGCHAIN, "ingest", "evals.langchain_reference", *words)
        self.passages = {CHAINCITE: counts["passages"], LANGCHAIN: int(theirs.output)}
        sizes = {system: _size(store) / 1e6 for system, store in self._stores.items()}
        yield Row("ingest", "s", ours.wall, theirs.wall, most_ratio=0.4)
        yield Row("ingest, processor time", "s", ours.cpu, theirs.cpu)
        yield Row("ingest, peak memory", "MB", ours.peak / 1e6, theirs.peak / 1e6, most=1500)
        yield Row("size on disk", "MB", sizes[CHAINCITE], sizes[LANGCHAIN])
        yield Row("files skipped", "", counts["skipped"])

    def _ingest_again(self) -> Iterator[Row]:
        first = next(cost for cost in self.costs if cost.step == "ingest")
        again, counts = self._chaincite_ingest("second ingest")
        yield Row("second ingest", "s", again.wall)
        yield Row("second ingest, share of the first", "", again.wall / first.wall, most=0.05)
        yield Row("second ingest, texts embedded", "", counts["embedded"], most=0)
        with self._edited().open("a", encoding="utf-8") as file:
            file.write(EDIT)
        edited, counts = self._chaincite_ingest("one file edited")
        yield Row("one file edited", "s", edited.wall)
        yield Row("one file edited, files read again", "", counts["changed"], most=1)
        yield Row("one file edited, texts embedded", "", counts["embedded"], most=counts["passages"])

    def _cold_search(self) -> Iterator[Row]:
        question = json.loads(self.questions.read_text(encoding="utf-8").splitlines()[0])["question"]
        commands = {
            CHAINCITE: ("chaincite", "--library", self._stores[CHAINCITE], "search", question),
            LANGCHAIN: ("evals.langchain_reference", "search", self._stores[LANGCHAIN], question),
        }
        ours, theirs = self._alternated("cold search", commands)
        wall, cpu = (
            [statistics.median(getattr(cost, name) for cost in costs) for costs in (ours, theirs)]
            for name in ("wall", "cpu")
        )
        yield Row("cold search, a new process", "s", wall[0], wall[1], most=2.5)
        yield Row("cold search, processor time", "s", cpu[0], cpu[1])

    def _warm_search(self) -> Iterator[Row]:
        commands = {
            system: ("evals.latency", system, store, self.questions) for system, store in self._stores.items()
        }
        ours, theirs = self._alternated("warm search", commands)
        seconds = [[s for cost in costs for s in json.loads(cost.output)] for costs in (ours, theirs)]
        p50, p95 = ([1000 * float(np.percentile(some, at)) for some in seconds] for at in (50, 95))
        peaks = [max(cost.peak for cost in costs) / 1e6 for costs in (ours, theirs)]
        yield Row("warm search, p50 (LangChain: dense alone)", "ms", p50[0], p50[1], most_ratio=1.0)
        yield Row("warm search, p95", "ms", p95[0], p95[1])
        yield Row("warm search, peak memory", "MB", peaks[0], peaks[1])

    def _alternated(self, step: str, commands: Mapping[str, tuple[str | Path, ...]]) -> list[list[Cost]]:
        """Each system's command once a round, the other one first in each next round; costs by system."""
        costs: dict[str, list[Cost]] = {system: [] for system in commands}
        for turn in range(self._rounds):
            for system in sorted(commands, reverse=turn % 2 == 0):
                costs[system].append(self._run(system, step, *commands[system]))
        return list(costs.values())

    def _edited(self) -> Path:
        """The file that is edited between two ingests."""
        found = next((file for file in self.files if file.suffix in EDITABLE), None)
        if found is None:
            kinds = ", ".join(EDITABLE)
            raise SourceError(f"nothing to edit: the share needs a file of {kinds}; raise --share")
        return found


def _size(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def table(rows: Sequence[Row]) -> Table:
    """The figures for people."""
    from rich import box
    from rich.table import Table

    shown = Table("measure", box=box.SIMPLE_HEAD)
    for name in ("chaincite", "LangChain", "ratio", "target", ""):
        shown.add_column(name, justify="right", no_wrap=True)
    for row in rows:
        targets = [_figure(row.most, row.unit)] if row.most is not None else []
        targets += [_figure(row.most_ratio, "×")] if row.most_ratio is not None else []
        shown.add_row(
            row.measure,
            _figure(row.ours, row.unit),
            _figure(row.reference, row.unit),
            _figure(row.ratio, "×"),
            ", ".join(f"≤ {target}" for target in targets),
            {True: "met", False: "MISSED", None: ""}[row.met],
        )
    return shown


def _figure(value: float | None, unit: str) -> str:
    if value is None:
        return ""
    places = 0 if value == int(value) and not unit else 2 if value < 10 else 1 if value < 100 else 0
    return f"{value:,.{places}f} {unit}".strip()


def _default_folder() -> Path:
    corpus = ROOT.parent / "shared" / "corpus"
    return corpus if corpus.is_dir() else ROOT / "evals" / "data" / "sample"


def _require_packages() -> None:
    missing = [name for name in PACKAGES if importlib.util.find_spec(name.replace("-", "_")) is None]
    if missing:
        raise SettingsError(f"{', '.join(missing)} is not installed; `make bench` installs it and runs this")


def run(
    folder: Annotated[
        Path | None,
        typer.Argument(help="Papers and proposals; default ../shared/corpus, else the sample notes."),
    ] = None,
    share: Annotated[float, typer.Option(min=0.001, max=1.0, help="Which part of the files to take.")] = 1.0,
    seed: Annotated[int, typer.Option(help="Chooses the files.")] = 0,
    rounds: Annotated[int, typer.Option(min=1, help="How often each search is measured.")] = 3,
    out: Annotated[Path | None, typer.Option(metavar="FILE.json", help="Where all figures go.")] = None,
) -> None:
    """Measure chaincite beside LangChain's own path, on the same files in the same run."""
    _require_packages()
    if out is not None and not out.absolute().parent.is_dir():
        raise SettingsError(f"--out names {out}, but {out.absolute().parent} is no folder; make it first")
    with tempfile.TemporaryDirectory(prefix="chaincite-bench-") as work:
        bench = Bench(folder or _default_folder(), share, seed, rounds, Path(work), _tell)
        rows = bench.rows()
        result = Result(
            machine=machine(),
            versions={name: version(name) for name in VERSIONS},
            share=share,
            seed=seed,
            files=len(bench.files),
            size=sum(file.stat().st_size for file in bench.files),
            passages=bench.passages,
            rows=rows,
            costs=bench.costs,
        )
    _print(result)
    if out is not None:
        out.write_text(json.dumps(result.as_dict(), indent=2), encoding="utf-8")


def _tell(cost: Cost) -> None:
    typer.echo(
        f"{cost.system:<9}  {cost.step:<23}  {cost.wall:7.1f} s  {cost.peak / 1e6:6.0f} MB"
        f"  load {cost.load:.1f}, others {cost.others:.1f} cores",
        err=True,
    )


def _print(result: Result) -> None:
    from rich.console import Console

    console = Console(highlight=False, width=None if sys.stdout.isatty() else 110)
    on, passages = result.machine, result.passages
    console.print(
        f"{result.files} files, {result.size / 1e6:.1f} MB (share {result.share:g}, seed {result.seed}):"
        f" {passages[CHAINCITE]:,} passages, LangChain {passages[LANGCHAIN]:,} chunks"
    )
    console.print(
        f"{on.processor}, {on.cores} cores, {'with' if on.bf16 else 'no'} bf16, {on.memory / 1e9:.0f} GB;"
        f" Python {on.python}"
    )
    console.print(table(result.rows))
    others = max(cost.others for cost in result.costs)
    if others > QUIET:
        console.print(
            f"Other processes kept up to {others:.1f} cores busy meanwhile: repeat this when it is quiet."
        )


def main() -> int:
    """Runs the benchmark; exit status 0 done, 2 input at fault."""
    try:
        typer.run(run)
    except ChainciteError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
