"""The library as a LangChain retriever; made by `Library.as_retriever`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from langchain_core.callbacks import AsyncCallbackManagerForRetrieverRun, CallbackManagerForRetrieverRun
from langchain_core.documents import Document
from langchain_core.retrievers import BaseRetriever
from pydantic import TypeAdapter

from index.search import Options
from index.values import Filters, Hit, SourceRef

Search = Callable[[str, int, Filters, Options], list[Hit]]

_REFERENCE = TypeAdapter(SourceRef)


class LibraryRetriever(BaseRetriever):
    """Finds passages as `Library.search` does; `k` and `filters` may be given to one call instead.

    search: what finds; k: documents that come back; filters, options: as for `Library.search`.
    """

    search: Search
    k: int = 10
    filters: Filters = Filters()
    options: Options = Options()

    def _get_relevant_documents(
        self,
        query: str,
        *,
        run_manager: CallbackManagerForRetrieverRun | None = None,  # noqa: ARG002 - part of the protocol
        k: int | None = None,
        filters: Filters | None = None,
    ) -> list[Document]:
        hits = self.search(query, self.k if k is None else k, filters or self.filters, self.options)
        return [as_document(hit) for hit in hits]

    async def _aget_relevant_documents(
        self,
        query: str,
        *,
        run_manager: AsyncCallbackManagerForRetrieverRun | None = None,  # noqa: ARG002 - part of the protocol
        k: int | None = None,
        filters: Filters | None = None,
    ) -> list[Document]:
        return await asyncio.to_thread(self._get_relevant_documents, query, k=k, filters=filters)


def as_document(hit: Hit) -> Document:
    """A passage as LangChain's Document: its exact text, and in the metadata all that a citation needs.

    The metadata is JSON: the fields of `SourceRef`, the passage's span [start, end) in the document's text,
    the document's authors, and the score with its parts.
    """
    passage = hit.passage
    reference: dict[str, Any] = _REFERENCE.dump_python(SourceRef.of(hit.document, passage), mode="json")
    metadata = {
        **reference,
        "authors": list(hit.document.authors),
        "start": passage.start,
        "end": passage.end,
        "score": hit.score,
        "parts": dict(hit.parts),
    }
    return Document(id=passage.id, page_content=passage.text, metadata=metadata)
