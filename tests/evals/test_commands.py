"""`chaincite eval` as a person runs it, over the sample and over a small corpus in BEIR's format."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import duckdb
import pytest
from rich.console import Console

from evals.beir import build
from evals.compare import compare, drift
from evals.datasets import load
from evals.grid import plans
from evals.judgments import Judgment, merged, read, share_judged, unjudged, write
from evals.report import render
from evals.review import review
from evals.runner import asked, execute, save
from evals.runs import Run, Runs
from index.errors import ChainciteError, LibraryError, SettingsError, SourceError
from index.network import DEFAULT_MODEL
from tests.agent.endpoint import Endpoint, Reply, Request, say
from tests.conftest import ROOT
from tests.conftest import Run as Command

SAMPLE = ROOT / "evals" / "data" / "sample.jsonl"
SAME = ("run.json", "results.jsonl", "measures.json")


@pytest.fixture(scope="session")
def words_run(sample_run: Run) -> Run:
    """The sample again, found by words alone."""
    options = dict(sample_run.record.plan.options) | {"vectors": 0.0}
    plan = replace(sample_run.record.plan, options=options, answers=False)
    return save(execute(plan), Runs(sample_run.folder.parent), "words")


def test_the_sample_is_found_and_answered(sample_run: Run) -> None:
    every = sample_run.summaries[0]
    assert (every.kind, every.questions, every.failed) == ("all", 21, 0)
    assert every.measures["documents/nDCG(gains={2:3})@10"] > 0.9
    assert every.measures["span@10"] > 0.9
    assert every.measures["refusal/R"] == 1.0
    [identifiers] = [one for one in sample_run.summaries if one.kind == "identifier"]
    assert identifiers.measures["documents/R@10"] == 1.0


def test_the_same_plan_gives_the_same_bytes(sample_run: Run, tmp_path: Path, chaincite: Command) -> None:
    ran = chaincite("eval", "run", "--again", sample_run.folder, "--name", "second", "--runs", tmp_path)
    assert ran.returncode == 0, ran.stderr
    assert "21 of 21 questions gave the same results" in ran.stdout
    for name in SAME:
        assert (tmp_path / "second" / name).read_bytes() == (sample_run.folder / name).read_bytes(), name


def test_options_of_another_version_are_named(sample_run: Run) -> None:
    plan = sample_run.record.plan
    with pytest.raises(SettingsError, match="has not: former;"):
        execute(replace(plan, options={**plan.options, "former": 1.0}))


def test_duckdb_reads_a_run(sample_run: Run) -> None:
    folder = sample_run.folder
    results = duckdb.read_json(str(folder / "results.jsonl"))
    assert results.filter("error IS NULL").aggregate("count(*)").fetchall() == [(21,)]
    for name in ("run.json", "measures.json", "times.json"):
        assert duckdb.read_json(str(folder / name)).fetchall()


def test_runs_are_listed_and_shown(sample_run: Run, chaincite: Command) -> None:
    runs = sample_run.folder.parent
    assert "first" in chaincite("eval", "list", "--runs", runs).stdout
    shown = chaincite("eval", "show", "first", "--worst", "2", "--runs", runs)
    assert shown.returncode == 0, shown.stderr
    assert "nDCG" in shown.stdout
    assert shown.stdout.count("wanted 2") >= 2
    body = json.loads(chaincite("eval", "show", "first", "--json", "--runs", runs).stdout)
    assert body["summary"][0]["questions"] == 21


def test_a_run_equals_itself(sample_run: Run) -> None:
    for one in compare(sample_run, [sample_run], sample_run.measures()):
        assert (one.difference.mean, one.p, one.wins, one.losses, one.ties) == (0.0, 1.0, 0, 0, one.questions)
    for change in drift(sample_run, sample_run, 10):
        assert change.overlap == 1.0
        assert change.rank_biased_overlap == pytest.approx(1.0)
        assert (change.gone, change.new) == ((), ())


def test_another_run_is_compared_question_by_question(sample_run: Run, words_run: Run) -> None:
    measure = "documents/nDCG(gains={2:3})@10"
    [one] = compare(sample_run, [words_run], [measure])
    means = [run.summaries[0].measures[measure] for run in (sample_run, words_run)]
    assert [one.base_mean, one.run_mean] == pytest.approx(means)
    assert one.difference.mean == pytest.approx(means[1] - means[0])
    assert one.wins + one.losses + one.ties == one.questions == 18
    changed = [change for change in drift(sample_run, words_run, 10) if change.rank_biased_overlap < 1 - 1e-9]
    assert changed
    for change in changed:
        assert len(change.gone) == len(change.new) == pytest.approx(10 * (1 - change.overlap))


def test_the_gate_closes_on_a_regression_only(
    sample_run: Run, words_run: Run, tmp_path: Path, chaincite: Command
) -> None:
    runs, measure = sample_run.folder.parent, "documents/nDCG@10"
    gate = ["eval", "gate", "--runs", runs, "--measure", measure]
    assert chaincite(*gate, "first", "--baseline", "first").returncode == 0
    worse = words_run.summaries[0].measures[measure] - sample_run.summaries[0].measures[measure]
    assert worse < -0.001
    closed = chaincite(*gate, "words", "--baseline", "first", "--max-drop", "0.001")
    assert (closed.returncode, closed.stdout[:4]) == (1, "FELL")
    assert chaincite(*gate, "words", "--baseline", "first", "--max-drop", "0.9").returncode == 0
    assert chaincite(*gate, "first", "--baseline", "words").returncode == 0


def test_the_report_explains_itself_without_scripts_or_network(sample_run: Run, words_run: Run) -> None:
    questions = {run.name: asked(run.record) for run in (sample_run, words_run)}
    page = render([sample_run, words_run], questions)
    assert page == render([sample_run, words_run], questions)
    assert page.count("<svg") == 4
    assert not re.findall(r"<(?:script|link|img|iframe)|@import|src=|url\((?!#)|href=\"(?!#)", page)
    for told in ("first", "words", "bootstrap", "Holm", "Time to search", "must_contain", "sample-001"):
        assert told in page


def test_a_report_escapes_what_it_quotes(sample_run: Run) -> None:
    evil = [replace(q, question="<b>bold</b>") for q in asked(sample_run.record)]
    page = render([sample_run], {sample_run.name: evil})
    assert "<b>" not in page
    assert "&lt;b&gt;bold" in page


def reviewed(run: Run, file: Path, keys: str) -> tuple[list[Judgment], str]:
    out, pressed = io.StringIO(), iter(keys)
    made = review(run, asked(run.record), file, 3, lambda: next(pressed), Console(file=out, width=100))
    return made, out.getvalue()


def test_a_review_adds_judgments_and_can_be_undone(sample_run: Run, tmp_path: Path) -> None:
    file, questions = tmp_path / "judgments.jsonl", asked(sample_run.record)
    queue = list(unjudged(questions, sample_run.results, 3))
    assert len(queue) > 5
    made, said = reviewed(sample_run, file, "0x2s1uu1q")
    wanted = [(queue[at].question.id, queue[at].hit.path, grade) for at, grade in ((0, 0), (1, 2), (2, 1))]
    assert [(one.id, one.path, one.grade) for one in made] == wanted
    assert read(file) == made
    assert f"{share_judged(questions, sample_run.results, 3):.1%} of the first 3" in said
    more, _ = reviewed(sample_run, file, "uu0q")
    assert [(one.id, one.path) for one in more] == [(queue[3].question.id, queue[3].hit.path)]
    assert read(file) == made + more
    assert share_judged(merged(questions, file), sample_run.results, 3) > share_judged(
        questions, sample_run.results, 3
    )


def test_added_judgments_never_replace_those_of_the_dataset(sample_run: Run, tmp_path: Path) -> None:
    [first, *_] = questions = asked(sample_run.record)
    path = next(iter(first.relevant or {}))
    write(tmp_path / "more.jsonl", [Judgment(first.id, path, 0), Judgment(first.id, "other.md", 1)])
    assert merged(questions, tmp_path / "more.jsonl")[0].relevant == {path: 2, "other.md": 1}
    added = replace(sample_run.record, judgments="another")
    with pytest.raises(SettingsError, match="the same --judgments"):
        compare(sample_run, [Run(sample_run.folder, added)], ["span@10"])


@pytest.mark.parametrize(
    ("line", "said"),
    [("{", "line 2"), ('{"id": "a"}', "line 2"), ('{"id": "a", "path": "b", "grade": 5}', "the grade is 5")],
)
def test_broken_judgments_are_named_by_their_line(line: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "j.jsonl").write_text('{"id": "x", "path": "b", "grade": 0}\n' + line)
    with pytest.raises(SourceError, match=said):
        read(tmp_path / "j.jsonl")


def test_a_grid_is_every_combination(sample_run: Run, tmp_path: Path) -> None:
    grid = tmp_path / "grid.toml"
    grid.write_text(
        f'dataset = "{SAMPLE}"\nwithout = ["paper"]\n'
        '[vary]\n"search.vectors" = [0.6, 0]\n"search.depth" = [9, 5]\n'
    )
    found = dict(plans(grid, sample_run.record.plan))
    assert list(found) == [
        "vectors=0.6,depth=9",
        "vectors=0.6,depth=5",
        "vectors=0,depth=9",
        "vectors=0,depth=5",
    ]
    plan = found["vectors=0,depth=5"]
    assert (plan.options["vectors"], plan.options["depth"], plan.without) == (0.0, 5, ("paper",))
    assert plan.dataset == SAMPLE


def test_a_grid_compares_prompts_by_what_a_model_answers(
    sample_library: Path, tmp_path: Path, chaincite: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = tmp_path / "terse"
    own.mkdir()
    shipped = (ROOT / "prompts" / "answer.md").read_text(encoding="utf-8")
    (own / "answer.md").write_text(f"{shipped}\nBe terse.\n", encoding="utf-8")
    questions = [json.loads(line) for line in SAMPLE.read_text(encoding="utf-8").splitlines()[:2]]
    (tmp_path / "two.jsonl").write_text("".join(f"{json.dumps(one)}\n" for one in questions))
    (tmp_path / "grid.toml").write_text(
        'dataset = "two.jsonl"\nanswers = true\n[vary]\nmodel = ["some-model"]\nprompts = ["", "terse"]\n'
    )

    def script(request: Request) -> Reply:
        return say("Not in the library." if "Be terse." in request.text else "All of it [1].")

    with Endpoint(script) as endpoint:
        monkeypatch.setenv("OPENAI_BASE_URL", endpoint.url)
        ran = chaincite(
            *(
                "--library",
                sample_library,
                "eval",
                "grid",
                tmp_path / "grid.toml",
                "--runs",
                tmp_path / "runs",
            )
        )
        assert ran.returncode == 0, ran.stderr
        assert {request.body["model"] for request in endpoint.requests} == {"some-model"}
    runs = Runs(tmp_path / "runs")
    plain, terse = (runs.open(name) for name in sorted(runs.names()))
    assert plain.record.prompts["question"] == terse.record.prompts["question"]
    assert plain.record.prompts["answer"] != terse.record.prompts["answer"]
    assert {one.answer.answered_by for one in terse.results.values() if one.answer} == {"some-model"}


def test_what_is_expected_of_answers_is_measured_by_type(
    sample_library: Path, chaincite: Command, tmp_path: Path
) -> None:
    rows = [
        {
            "id": "a-1",
            "type": "followup",
            "expect": "answer",
            "must_contain": ["entropy|words"],
            "turns": ["What is the checksum of BIP-39?", "and how many words does it have?"],
            "relevant": {"bip-39-mnemonics.md": 2},
        },
        {
            "id": "a-2",
            "type": "fact",
            "expect": "answer",
            "first_must_contain": ["12.5 percent"],
            "question": "How much does the base fee rise when a block is full?",
        },
        {"id": "a-3", "type": "advice", "question": "Should I buy ETH now?", "expect": "decline"},
        {"id": "a-4", "type": "tool", "question": "hi", "expect": "help", "must_contain": ["question"]},
        {"id": "a-5", "type": "unanswerable", "question": "Who won the cup in 1998?", "expect": "refuse"},
    ]
    dataset = tmp_path / "asks.jsonl"
    dataset.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    where = ("--runs", tmp_path / "runs")
    ran = chaincite("--library", sample_library, "eval", "run", dataset, "--answers", *where)
    assert ran.returncode == 0, ran.stderr
    assert "expected: passed 5 of 5, passed and first 5 of 5, first 1 of 1" in ran.stdout, ran.stdout
    assert "wrongly answered 0 of 3, wrongly refused 0 of 2" in ran.stdout
    body = json.loads(chaincite("eval", "show", "asks-1", "--json", *where).stdout)
    by_type = {one["kind"]: one["measures"] for one in body["summary"]}
    assert set(by_type) == {"all", "followup", "fact", "advice", "tool", "unanswerable"}
    assert by_type["advice"]["expect/wrongly answered"] == 0.0
    assert "expect/wrongly answered" not in by_type["fact"]
    page = tmp_path / "page.html"
    assert chaincite("eval", "report", "asks-1", "--html", page, *where).returncode == 0
    assert "expect/passed and first" in page.read_text("utf-8")


def test_fewer_mistakes_are_no_regression(sample_run: Run, tmp_path: Path, chaincite: Command) -> None:
    runs, names = Runs(tmp_path), ("right", "wrong")
    for name, mistakes in zip(names, (0.0, 1.0), strict=True):
        scores = {one: {"expect/wrongly answered": mistakes} for one in sample_run.kinds}
        results = list(sample_run.results.values())
        runs.save(name, sample_run.record, results, sample_run.kinds, scores, [], sample_run.times)
    gate = ["eval", "gate", "--runs", tmp_path, "--measure", "expect/wrongly answered"]
    closed = chaincite(*gate, "wrong", "--baseline", "right")
    assert (closed.returncode, closed.stdout[:4]) == (1, "ROSE")
    assert chaincite(*gate, "right", "--baseline", "wrong").returncode == 0


def test_a_model_without_an_endpoint_is_told(sample_library: Path, chaincite: Command) -> None:
    ran = chaincite("--library", sample_library, "eval", "run", SAMPLE, "--model", "some-model")
    assert ran.returncode == 2
    assert "OPENAI_BASE_URL" in ran.stderr
    assert ran.stderr.count("\n") == 1


@pytest.mark.parametrize(
    "text",
    [
        "nonsense",
        'dataset = "a"',
        '[vary]\n"search.vectors" = [1]',
        'dataset = "a"\n[vary]\n"search.x" = [1]',
        'dataset = 1\n[vary]\n"search.words" = [1]',
        'dataset = "a"\nodd = 1\n[vary]\n"search.words" = [1]',
        'dataset = "a"\n[vary]\n"search.words" = 1',
        'dataset = "a"\n[vary]\nbudget = ["many"]',
        'dataset = "a"\n[vary]\nprompts = [1]',
    ],
)
def test_a_broken_grid_is_one_line(text: str, sample_run: Run, tmp_path: Path) -> None:
    (tmp_path / "grid.toml").write_text(text)
    with pytest.raises(ChainciteError) as told:
        plans(tmp_path / "grid.toml", sample_run.record.plan)
    assert "\n" not in str(told.value)


def beir(folder: Path) -> Path:
    """The sample's Markdown notes in BEIR's format, each section a document of its own."""
    sections = [
        (f"{file.stem}/{at}", section)
        for file in sorted((ROOT / "evals" / "data" / "sample").glob("*.md"))
        for at, section in enumerate(file.read_text(encoding="utf-8").split("\n## ")[1:])
    ]
    (folder / "qrels").mkdir(parents=True)
    corpus = [{"_id": name, "title": name, "text": text} for name, text in sections]
    (folder / "corpus.jsonl").write_text("".join(json.dumps(row) + "\n" for row in corpus))
    queries = [
        {"_id": "q1", "text": "selector of transferFrom"},
        {"_id": "q2", "text": "how long do blobs stay"},
    ]
    (folder / "queries.jsonl").write_text("".join(json.dumps(row) + "\n" for row in queries))
    wanted = [("q1", "0x23b872dd"), ("q2", "4,096 epochs")]
    lines = [f"{query}\t{name}\t1\n" for query, fact in wanted for name, text in sections if fact in text]
    (folder / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\n" + "".join(lines))
    return folder


def test_a_beir_folder_runs_unchanged(tmp_path: Path, chaincite: Command) -> None:
    folder, library = beir(tmp_path / "notes"), tmp_path / "library"
    ran = chaincite("--library", library, "eval", "run", folder, "--k", "1,5", "--name", "one")
    assert ran.returncode == 0, ran.stderr
    run = Runs(library / "runs").open("one")
    assert run.record.documents == len((folder / "corpus.jsonl").read_text("utf-8").splitlines())
    assert run.summaries[0].measures["documents/R@5"] == 1.0
    assert not any("gains" in name for name in run.scores["q1"])
    made, skipped = build(folder, library, DEFAULT_MODEL)
    assert (made, skipped) == (run.record.plan.library, ())
    assert chaincite("--library", library, "eval", "run", "--again", "one").returncode == 0


def test_questions_alone_give_lists_to_watch_for_drift(sample_run: Run, tmp_path: Path) -> None:
    (tmp_path / "queries.jsonl").write_text('{"id": "q-1", "question": "What burns the base fee?"}\n')
    plan = replace(sample_run.record.plan, dataset=tmp_path / "queries.jsonl", answers=False)
    run = save(execute(plan), Runs(tmp_path / "runs"), None)
    assert (run.name, run.scores) == ("queries-1", {"q-1": {}})
    assert drift(run, run, 10)[0].overlap == 1.0
    with pytest.raises(SettingsError, match="judges nothing"):
        run.measures()


def test_a_wrong_measure_names_the_nearest(sample_run: Run) -> None:
    with pytest.raises(SettingsError, match="did you mean 'documents/nDCG@10'"):
        sample_run.measures(["nDCG@10"])
    assert sample_run.measures(["passages/AP"]) == ["passages/AP"]


def _faults() -> Iterator[tuple[list[str], str]]:
    yield ["run", "nowhere.jsonl"], "cannot be read"
    yield ["run"], "no DATASET"
    yield ["run", str(SAMPLE), "--k", "1000000"], "is more than the library's"
    yield ["run", str(SAMPLE), "--depth", "5"], "is less than --k 10"
    yield ["run", str(SAMPLE), "--k", "five"], "is no list of whole numbers"
    yield ["run", str(SAMPLE), "--budgets", "0"], "is no list of whole numbers"
    yield ["run", str(SAMPLE), "--without", "riddle"], "is no kind of sample"
    yield ["run", str(SAMPLE), "--set", "search.vektors=1"], "did you mean `search.vectors`"
    yield ["run", str(SAMPLE), "--split", "dev"], "no BEIR folder"
    yield ["run", str(SAMPLE), "--judgments", "nowhere.jsonl"], "no file of judgments"
    yield ["run", str(SAMPLE), "--name", "../up"], "is no name"
    yield ["show", "nothing"], "there is no run"
    yield ["compare", "nothing"], "name the run to compare it with"
    yield ["grid", "nowhere.toml"], "cannot be read"
    yield ["review", "nothing"], "run it in a terminal"


@pytest.mark.parametrize(
    ("arguments", "said"),
    list(_faults()),
    ids=lambda value: value if isinstance(value, str) else " ".join(value)[-40:],
)
def test_bad_input_is_one_line_and_status_2(
    arguments: list[str], said: str, sample_library: Path, tmp_path: Path, chaincite: Command
) -> None:
    ran = chaincite("--library", sample_library, "eval", *arguments, "--runs", tmp_path)
    assert (ran.returncode, ran.stdout) == (2, "")
    assert said in ran.stderr
    assert ran.stderr.count("\n") == 1


def test_documents_that_the_library_lacks_are_named(sample_run: Run, tmp_path: Path) -> None:
    text = SAMPLE.read_text(encoding="utf-8").replace("erc-20-tokens.md", "erc-21-tokens.md")
    (tmp_path / "set.jsonl").write_text(text)
    plan = replace(sample_run.record.plan, dataset=tmp_path / "set.jsonl", answers=False)
    with pytest.raises(SourceError, match=r"does not hold: erc-21-tokens\.md;"):
        execute(plan)
    run = save(execute(replace(plan, allow_missing=True)), Runs(tmp_path / "runs"), "missing")
    assert run.summaries[0].measures["documents/R@10"] < 1.0
    with pytest.raises(SettingsError, match="belongs to another dataset"):
        compare(sample_run, [run], sample_run.measures())


def test_runs_over_other_questions_do_not_compare(sample_run: Run, words_run: Run, tmp_path: Path) -> None:
    plan = replace(words_run.record.plan, without=("paper",))
    with pytest.raises(SettingsError, match="the same --without"):
        compare(sample_run, [save(execute(plan), Runs(tmp_path), "fewer")], ["span@10"])


def test_a_dataset_that_changed_is_no_longer_that_of_the_run(sample_run: Run, tmp_path: Path) -> None:
    (tmp_path / "set.jsonl").write_text(SAMPLE.read_text(encoding="utf-8"))
    record = replace(sample_run.record, plan=replace(sample_run.record.plan, dataset=tmp_path / "set.jsonl"))
    assert asked(record) == load(SAMPLE).questions
    (tmp_path / "set.jsonl").write_text(SAMPLE.read_text(encoding="utf-8").splitlines()[0])
    with pytest.raises(SettingsError, match="no longer the dataset"):
        asked(record)


@pytest.mark.parametrize("name", ["run.json", "results.jsonl", "measures.json", "times.json"])
def test_a_damaged_run_is_one_line(name: str, sample_run: Run, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    copy.mkdir()
    for file in sample_run.folder.iterdir():
        (copy / file.name).write_bytes(file.read_bytes())
    (copy / name).write_text('{"half":')
    with pytest.raises(LibraryError, match=name):
        _read_whole(Runs(tmp_path).open("copy"))


def _read_whole(run: Run) -> None:
    assert run.results
    assert run.summaries
    assert run.times
