import json
import shutil

import pytest

from index import doctor
from index.errors import LibraryError
from index.library import Library
from tests.agent.endpoint import status


@pytest.fixture
def own_library(sample_library, tmp_path):
    """A copy of the sample library that a test may change."""
    return shutil.copytree(sample_library, tmp_path / "library")


def one_line_on_stderr(ran):
    assert ran.returncode == 2, ran.stdout
    assert "Traceback" not in ran.stderr
    assert ran.stderr.count("\n") == 1, ran.stderr
    return ran.stderr


def test_asked_shown_listed_exported_and_verified(chaincite, own_library, tmp_path):
    asked = chaincite(
        "--library", own_library, "ask", "How much does the base fee rise when a block is full?", "--json"
    )
    answer = json.loads(asked.stdout)
    assert {
        "id",
        "question",
        "answer",
        "refused",
        "removed",
        "citations",
        "packing",
        "usage",
        "generation",
    } < set(answer)
    assert answer["answered_by"] == "extractive"
    assert (answer["route"], answer["model_failed"]) == ("quoted", False)
    assert all({"text", "citations", "verified_by"} <= set(sentence) for sentence in answer["sentences"])
    assert "12.5 percent" in answer["answer"]
    for citation in answer["citations"]:
        assert {"uri", "path", "page", "lines", "quote", "sha256", "retrieved_at", "passage_id"} < set(
            citation
        )
        assert {"number", "status", "published_at"} < set(citation)
        assert f"[{citation['number']}]" in answer["answer"]
    shown = chaincite("--library", own_library, "show", answer["id"], "--json")
    assert json.loads(shown.stdout) == answer
    listed = chaincite("--library", own_library, "history", "--json")
    assert [row["id"] for row in json.loads(listed.stdout)] == [answer["id"]]
    exported = tmp_path / "answer.json"
    exported.write_text(shown.stdout)
    for name in (answer["id"], "last", exported):
        verified = chaincite("--library", own_library, "verify", name)
        assert verified.returncode == 0, verified.stdout + verified.stderr
        assert verified.stdout.count(" OK ") == len(answer["citations"])
    answer["citations"][0]["quote"] = "The base fee never changes at all."
    exported.write_text(json.dumps(answer))
    forged = chaincite("--library", own_library, "verify", exported)
    assert forged.returncode == 1
    assert "[1] CHANGED" in forged.stdout
    assert "ALTERED" in forged.stdout


def test_a_failing_model_is_said_first_and_by_the_exit_status(chaincite, own_library, endpoint):
    served = endpoint(status(401, code="invalid_api_key"))
    model = {"OPENAI_BASE_URL": served.url, "OPENAI_API_KEY": "none", "CHAINCITE_RETRIES": "0"}
    ask = ["--library", own_library, "ask", "How much does the base fee rise when a block is full?"]
    plain = chaincite(*ask, **model)
    assert (plain.returncode, plain.stdout.startswith("The chat model failed: ")) == (3, True), plain.stderr
    assert "12.5 percent" in plain.stdout
    told = chaincite(*ask, "--json", **model)
    assert (told.returncode, json.loads(told.stdout)["model_failed"]) == (3, True)


@pytest.mark.parametrize("said", ["hello", "Should I buy ETH now?"])
def test_what_no_library_answers_gets_a_line_without_citations(chaincite, own_library, said):
    answer = json.loads(chaincite("--library", own_library, "ask", said, "--json").stdout)
    assert (answer["answered_by"], answer["route"], answer["citations"]) == ("chaincite", "none", [])
    assert answer["answer"].count("\n") == 0


def test_what_is_not_there_is_refused(chaincite, own_library):
    ran = chaincite("--library", own_library, "ask", "Who won the football world cup in 1998?")
    assert ran.returncode == 0
    assert ran.stdout.startswith("Not in the library.")
    assert "Nearest sources:" in ran.stdout


def test_piped_output_has_no_colour_and_markdown_has_sources(chaincite, own_library):
    question = "How much does the base fee rise when a block is full?"
    plain = chaincite("--library", own_library, "ask", question)
    assert "\x1b" not in plain.stdout
    markdown = chaincite("--library", own_library, "show", "last", "--markdown")
    assert markdown.stdout.startswith("# How much")
    assert "## Sources" in markdown.stdout


def test_an_altered_bit_of_a_source_is_told_and_never_shown(chaincite, own_library):
    question = "How much does the base fee rise when a block is full?"
    answer = json.loads(chaincite("--library", own_library, "ask", question, "--json").stdout)
    assert "12.5 percent" in answer["citations"][0]["quote"]
    for file in (own_library / "shards").glob("*.arrow"):
        file.write_bytes(file.read_bytes().replace(b"12.5 percent", b"13.5 percent"))
    another = "By how much can the base fee rise?"
    for command in (["ask", another], ["show", answer["id"], "1"]):
        ran = chaincite("--library", own_library, *command)
        assert "chaincite doctor --repair" in one_line_on_stderr(ran)
        assert ran.stdout == ""
    with pytest.raises(LibraryError, match="chaincite doctor --repair"):
        Library(own_library).search(question)
    doctor.repair(own_library)
    assert "12.5 percent" in Library(own_library).search(question)[0].passage.text


def test_search_as_json_and_as_a_batch_agree(chaincite, sample_library, tmp_path):
    question = "How many words has a mnemonic?"
    single = json.loads(
        chaincite("--library", sample_library, "search", question, "-k", "3", "--json").stdout
    )
    assert [row["rank"] for row in single["results"]] == [1, 2, 3]
    asked, out = tmp_path / "asked.jsonl", tmp_path / "out.jsonl"
    asked.write_text(json.dumps({"id": "a", "question": question}) + "\n\n")
    ran = chaincite("--library", sample_library, "search", "--batch", asked, "--out", out, "-k", "3")
    assert ran.returncode == 0, ran.stderr
    (line,) = map(json.loads, out.read_text("utf-8").splitlines())
    assert line == {"id": "a", "results": single["results"]}


def test_a_broken_line_of_a_batch_is_named_and_the_rest_is_answered(chaincite, sample_library, tmp_path):
    asked = tmp_path / "asked.jsonl"
    asked.write_text('{"id": 1, "question": "base fee"}\n{"id": 2\n[]\n{"id": 4, "question": " "}\n')
    ran = chaincite("--library", sample_library, "search", "--batch", asked, "-k", "1")
    assert ran.returncode == 2
    assert [json.loads(line)["id"] for line in ran.stdout.splitlines()] == [1]
    assert [number for number in range(1, 5) if f"line {number}:" in ran.stderr] == [2, 3, 4]


def test_filters_hold(chaincite, sample_library):
    found = chaincite("--library", sample_library, "search", "fee", "--source", "*mnemonics*", "--json")
    assert {row["path"] for row in json.loads(found.stdout)["results"]} == {"bip-39-mnemonics.md"}
    early = chaincite("--library", sample_library, "search", "fee", "--as-of", "2008-01-01")
    assert "passes these filters" in early.stdout


@pytest.mark.parametrize("command", ["search", "ask"])
def test_a_filter_that_matches_nothing_names_what_is_near(chaincite, sample_library, command):
    ran = chaincite("--library", sample_library, command, "fee", "--source", "*mnemonic-sentence*")
    assert ran.returncode == 2
    assert "--source '*mnemonic-sentence*' matches no document" in ran.stderr
    assert "Traceback" not in ran.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["search", ""], "empty"),
        (["search"], "empty"),
        (["ask", "  "], "empty"),
        (["search", "fee", "--kind", "poem"], "known are paper, proposal"),
        (["ask", "fee", "--from", "2024-13-01"], "YYYY-MM-DD"),
        (["search", "fee", "--as-of", "yesterday"], "YYYY-MM-DD"),
        (["ask", "fee", "--from", "2025-01-01", "--to", "2024-01-01"], "no day lies between"),
        (["ask", "What is the base fee?", "--budget", "5"], "raise --budget"),
        (["ask", "What is the base fee?", "--budget", "20"], "raise --budget"),
        (["ask", "fee", "--json", "--markdown"], "give one of them"),
        (["search", "fee", "--out", "x"], "without --batch"),
        (["search", "--batch", "no-such-file"], "no-such-file"),
        (["show", "2020"], "history"),
        (["verify", "no-such-file.json"], "no-such-file.json"),
        (["verify", "pyproject.toml"], "not JSON"),
    ],
)
def test_bad_input_gets_one_clear_line(chaincite, sample_library, arguments, said):
    assert said in one_line_on_stderr(chaincite("--library", sample_library, *arguments))


def test_a_missing_library_is_said_to_be_missing(chaincite, tmp_path):
    for arguments in (["ask", "fee"], ["search", "fee"], ["show", "last"]):
        assert str(tmp_path) in one_line_on_stderr(chaincite("--library", tmp_path / "none", *arguments))
