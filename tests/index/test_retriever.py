"""The LangChain door: the standard tests of retrievers, and that a document is the passage that was found."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from langchain_core.retrievers import BaseRetriever
from langchain_core.runnables import RunnableLambda
from langchain_tests.integration_tests import RetrieversIntegrationTests
from pydantic import TypeAdapter

from index.library import Library
from index.retriever import LibraryRetriever
from index.search import Options
from index.values import Filters, SourceRef

QUESTION = "How much does the base fee rise when a block is full?"


@pytest.fixture
def library(sample_library: Path) -> Library:
    return Library(sample_library)


@pytest.mark.anyio
class TestStandard(RetrieversIntegrationTests):
    @pytest.fixture(autouse=True)
    def _over_the_sample(self, library: Library) -> None:
        self.library = library

    @pytest.fixture
    def anyio_backend(self) -> str:
        return "asyncio"

    @property
    def retriever_constructor(self) -> type[BaseRetriever]:
        return LibraryRetriever

    @property
    def retriever_constructor_params(self) -> dict[str, Any]:
        return {"search": self.library.search}

    @property
    def retriever_query_example(self) -> str:
        return QUESTION


def test_documents_are_the_passages_that_the_library_finds(library: Library) -> None:
    hits = library.search(QUESTION, 5)
    documents = library.as_retriever(k=5).invoke(QUESTION)
    assert [(d.id, d.page_content) for d in documents] == [(h.passage.id, h.passage.text) for h in hits]
    assert [d.metadata["score"] for d in documents] == [h.score for h in hits]


def test_metadata_is_json_and_holds_the_whole_reference(library: Library) -> None:
    for hit, document in zip(library.search(QUESTION), library.as_retriever().invoke(QUESTION), strict=True):
        metadata = json.loads(json.dumps(document.metadata))
        assert metadata == document.metadata
        assert TypeAdapter(SourceRef).validate_python(metadata) == SourceRef.of(hit.document, hit.passage)
        whole = "".join(passage.text for passage in library.passages(hit.document.uri))
        assert whole[metadata["start"] : metadata["end"]] == document.page_content


def test_filters_and_options_hold_and_a_call_may_have_its_own(library: Library) -> None:
    notes, papers = Filters(sources=("*mnemonics*",)), Filters(sources=("*nowhere*",))
    retriever = library.as_retriever(20, notes, Options(per_document=2))
    found = retriever.invoke(QUESTION)
    assert [d.metadata["path"] for d in found] == ["bip-39-mnemonics.md"] * 2
    assert retriever.invoke(QUESTION, filters=papers) == []
    assert len(retriever.invoke(QUESTION, k=1)) == 1
    assert retriever.invoke(QUESTION, k=0) == retriever.invoke(" ") == []


def test_called_at_once_and_in_a_chain_it_answers_the_same(library: Library) -> None:
    retriever = library.as_retriever(k=3)
    questions = [QUESTION, "How many words has a mnemonic?", "Who may spend a token?"] * 4

    async def at_once() -> list[list[str | None]]:
        found = await asyncio.gather(*(retriever.ainvoke(question, k=2) for question in questions))
        return [[d.id for d in some] for some in found]

    alone = [[d.id for d in retriever.invoke(question)] for question in questions]
    assert asyncio.run(at_once()) == [ids[:2] for ids in alone]
    chain = retriever | RunnableLambda(lambda documents: [d.id for d in documents])
    assert chain.batch(questions) == alone
