"""The tools of a chat model: what they find is evidence, and no argument widens what the question may see."""

from __future__ import annotations

import asyncio
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.answerers.tools import MOST_FOUND, MOST_LISTED, Desk, narrowed, tools
from agent.requests.context import Evidence
from index.errors import SettingsError
from index.library import Library
from index.values import Filters, Kind

_days = st.none() | st.dates(date(2026, 11, 1), date(2026, 11, 30))
_kinds = st.lists(st.sampled_from(Kind), max_size=3, unique=True).map(tuple)


@pytest.fixture(scope="module")
def library(sample_library: Path) -> Library:
    return Library(sample_library)


@pytest.fixture
def desk(library: Library) -> Desk:
    return Desk(library, Filters(), Evidence(), lambda _step: None)


def use(desk: Desk, name: str, **arguments: object) -> str:
    [tool] = [one for one in tools(desk) if one.name == name]
    return str(asyncio.run(tool.ainvoke(arguments)))


def test_what_a_search_finds_is_evidence_under_the_numbers_it_names(desk):
    said = use(desk, "search", query="How many words has a seed phrase?", source="BIP-39*", limit=3)
    numbers = [int(line[1 : line.index("]")]) for line in said.splitlines()]
    assert numbers
    assert {desk.evidence.sections[number].document.path for number in numbers} == {"bip-39-mnemonics.md"}


def test_an_opened_passage_comes_with_its_neighbours(desk, library):
    use(desk, "search", query="base fee burned", limit=1)
    before = desk.evidence.sections[1]
    said = use(desk, "open", number=1, before=3, after=3)
    number = int(said[1 : said.index("]")])
    assert before.text in desk.evidence.sections[number].text


def test_documents_are_listed_within_bounds(desk, library):
    said = use(desk, "list_documents", limit=3)
    assert said.count("\n") == 3
    assert said.endswith(f"and {len(library.documents()) - 3} more")
    assert "No document" in use(desk, "list_documents", source="nothing of the kind")


def test_two_documents_are_compared_side_by_side(desk):
    said = use(desk, "compare", one="eip-1559", other="bip-39", point="what a block or a phrase holds")
    assert said.index("eip-1559:") < said.index("bip-39:")
    paths = {section.document.path for section in desk.evidence.sections.values()}
    assert paths == {"eip-1559-fee-market.md", "bip-39-mnemonics.md"}


def test_the_question_s_filters_hold_in_every_tool(library):
    seen = Filters(sources=("*bip-39*",))
    desk = Desk(library, seen, Evidence(), lambda _step: None)
    use(desk, "search", query="base fee EIP-1559", limit=MOST_FOUND)
    assert {section.document.path for section in desk.evidence.sections.values()} == {"bip-39-mnemonics.md"}
    assert "1559" not in use(desk, "list_documents", limit=MOST_LISTED)
    with pytest.raises(SettingsError, match="no document is named"):
        use(desk, "search", query="fee", source="eip-1559")


def test_every_tool_reads_and_says_what_its_bounds_are(desk):
    offered = {tool.name: tool.args_schema.model_json_schema() for tool in tools(desk)}
    assert set(offered) >= {"search", "open", "list_documents", "compare"}
    for schema in offered.values():
        assert schema["additionalProperties"] is False
        for name, field in schema["properties"].items():
            if field.get("type") == "integer" and name != "number":
                assert {"minimum", "maximum"} <= set(field)


@settings(max_examples=60)
@given(_kinds, _days, _days, _kinds, _days, _days)
def test_narrowing_never_widens(library, kinds, start, end, more_kinds, later, sooner):
    one = Filters(kinds=kinds, published_from=start, published_to=end)
    other = Filters(kinds=more_kinds, published_from=later, published_to=sooner)
    both = {document.uri for document in library.documents(one)} & {
        document.uri for document in library.documents(other)
    }
    try:
        found = {document.uri for document in library.documents(narrowed(one, other))}
    except SettingsError:
        found = set()
    assert found == both
