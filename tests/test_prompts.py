"""Prompts as files: what is declared is what is used, and a folder of one's own wins."""

from __future__ import annotations

import hashlib
import json
import string
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from index.errors import SettingsError
from prompts import SHIPPED, load, load_all, names


def written(folder: Path, name: str, text: str) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / f"{name}.md").write_text(text, encoding="utf-8")
    return folder


def test_the_shipped_prompts_are_checked_and_named_by_their_content():
    found = load_all()
    assert [prompt.name for prompt in found] == list(names())
    for prompt in found:
        assert prompt.hash == hashlib.sha256((SHIPPED / f"{prompt.name}.md").read_bytes()).hexdigest()[:12]
        assert set(string.Template(prompt.wording).get_identifiers()) == set(prompt.variables)


@given(st.text(), st.text(), st.text())
def test_values_are_put_in_as_they_are(boundary, passages, question):
    rendered = load("question").render(boundary=boundary, passages=passages, question=question)
    assert rendered.endswith(f"Question: {question}")
    assert passages in rendered


@pytest.mark.parametrize(
    "values",
    [{}, {"today": "2024-03-13", "model": "x"}, {"day": "2024-03-13"}],
    ids=["none", "more", "another"],
)
def test_a_value_too_few_or_too_many_is_named(values):
    with pytest.raises(SettingsError, match=r"answer\.md: the variable `(today|model)`"):
        load("answer").render(**values)


OWN = "---\nname: answer\npurpose: mine\nvariables:\n  today: the day\n---\n"


def test_a_folder_of_one_s_own_wins_by_name(tmp_path):
    folder = written(tmp_path / "own", "answer", f"{OWN}Be brief on $today, for $$5.\n")
    assert load("answer", folder).render(today="Monday") == "Be brief on Monday, for $5."
    assert not load("answer", folder).shipped
    assert load("plan", folder).shipped
    assert load("answer", folder).hash != load("answer").hash


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Be brief.", "no front matter"),
        ("---\nname: plan\npurpose: x\n---\nHello $today", "must name 'answer'"),
        ("---\nname: answer\n---\nHello", "must hold name, purpose, and variables"),
        ("---\nname: answer\npurpose: x\nodd: 1\n---\nHello", "nothing else"),
        ("---\nname: [\n---\nHello", "not YAML"),
        (f"{OWN}Hello", "`today` is declared and not used"),
        (f"{OWN}Hello $today and $name", "`name` is used and not declared"),
        (f"{OWN}$today costs $5", "begins no variable"),
        (OWN, "no wording"),
        ("---\nname: answer\npurpose: x\nvariables:\n  today:\n---\n$today", "no description"),
        ("---\nname: answer\npurpose: x\n---\nHello", "`today` is missing"),
        (
            "---\nname: answer\npurpose: x\nvariables:\n  today: a\n  user: b\n---\n$today $user",
            "`user` is declared, but this prompt is given only: today",
        ),
    ],
)
def test_what_is_wrong_in_a_prompt_is_one_line_with_its_file(tmp_path, text, said):
    folder = written(tmp_path / "own", "answer", text)
    with pytest.raises(SettingsError, match=r"answer\.md") as told:
        load("answer", folder)
    assert said in str(told.value)
    assert "\n" not in str(told.value)


def test_unknown_names_get_the_nearest(tmp_path):
    with pytest.raises(SettingsError, match="did you mean `answer`"):
        load("anwser")
    with pytest.raises(SettingsError, match="did you mean `repair`"):
        load_all(written(tmp_path / "own", "repiar", OWN))
    with pytest.raises(SettingsError, match="not a folder"):
        load_all(tmp_path / "nowhere")


def test_prompts_are_listed_shown_and_compared(chaincite, tmp_path, monkeypatch):
    listed = json.loads(chaincite("prompts", "list", "--json").stdout)
    assert [row["name"] for row in listed] == list(names())
    assert load("judge").hash in chaincite("prompts", "list").stdout
    assert load("plan").wording in chaincite("prompts", "show", "plan").stdout
    assert "shipped" in chaincite("prompts", "diff", "plan").stdout
    monkeypatch.setenv(
        "CHAINCITE_PROMPTS", str(written(tmp_path / "own", "answer", f"{OWN}On $today: brief.\n"))
    )
    assert "+On $today: brief." in chaincite("prompts", "diff", "answer").stdout
    assert str(tmp_path / "own" / "answer.md") in chaincite("prompts", "list").stdout
    wrong = chaincite("prompts", "show", "anwser")
    assert (wrong.returncode, wrong.stderr.count("\n")) == (2, 1)
