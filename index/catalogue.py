"""The documents of one generation, and which of them pass a filter."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator
from fnmatch import fnmatchcase
from functools import cached_property

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from index.errors import SettingsError
from index.tables import document_from, document_key
from index.terms import terms
from index.values import Document, Filters

STANDING = {
    "final": 1.0,
    "living": 1.0,
    "last call": 1.0,
    "deployed": 1.0,
    "": 0.5,
    "active": 0.5,
    "complete": 0.5,
    "review": 0.5,
}
"""How settled a status is, for the statuses of EIPs, ERCs and BIPs; those not named here count 0."""

Keys = npt.NDArray[np.int64]

_NEAR = 3
"""Values that are named where a filter matches none."""


class Catalogue:
    """rows: the documents table, columns of `index.tables.DOCUMENTS`, ordered by uri."""

    def __init__(self, rows: pa.Table) -> None:
        self._rows = rows.combine_chunks()
        self._documents: dict[str, Document] = {}

    @cached_property
    def uris(self) -> list[str]:
        """All uris, in order."""
        uris: list[str] = self._rows["uri"].to_pylist()
        return uris

    @cached_property
    def keys(self) -> Keys:
        """The documents' 63-bit keys, in the order of the uris."""
        return np.array([document_key(uri) for uri in self.uris], np.int64)

    def document(self, uri: str) -> Document:
        """The document of this uri. Raises KeyError when there is none."""
        if uri not in self._documents:
            self._documents[uri] = document_from(self._rows.slice(self._place[uri], 1).to_pylist()[0])
        return self._documents[uri]

    def places(self, keys: Keys) -> Keys:
        """Where the documents with these keys stand in the order of the uris."""
        return self._order[np.searchsorted(self._sorted, keys)]

    @cached_property
    def standing(self) -> npt.NDArray[np.float32]:
        """How settled each document is: 1 for final, 0.5 where nothing is known, 0 for a draft or less."""
        statuses = self._rows["status"].to_pylist()
        return np.array([STANDING.get((status or "").lower(), 0.0) for status in statuses], np.float32)

    @cached_property
    def names(self) -> npt.NDArray[np.str_]:
        """What a question may name each document by: its number as a term, such as `eip20`, or its file."""
        rows = zip(self._rows["number"].to_pylist(), self._rows["path"].to_pylist(), strict=True)
        return np.array(
            [
                "".join(terms(number)[:1]) if number else path.rpartition("/")[2].lower()
                for number, path in rows
            ],
            np.str_,
        )

    def named(self, designations: Iterable[str]) -> list[Document]:
        """The documents of these designations, such as `EIP-20`; EIP and ERC share their numbers."""
        wanted = ["".join(terms(one)[:1]) for one in designations]
        found = (int(at) for one in wanted for at in np.flatnonzero(self.names == one))
        return [self.document(self.uris[at]) for at in dict.fromkeys(found)]

    def recipes(self) -> Iterator[tuple[str, str]]:
        """Each uri with the recipe that its document was made by."""
        return zip(self.uris, self._rows["recipe"].to_pylist(), strict=True)

    def documents(self, filters: Filters = Filters()) -> list[Document]:
        """The documents that pass a filter."""
        rows = self._rows.filter(pa.array(self._passing(filters)))
        return [document_from(row) for row in rows.to_pylist()]

    def matching(self, filters: Filters) -> Keys | None:
        """The keys of the documents that pass a filter, or None when the filter lets all pass."""
        return None if filters == Filters() else self.keys[self._passing(filters)]

    def check(self, filters: Filters) -> None:
        """Raises SettingsError for a value of a filter that no document has, with those that are near it."""
        alone = [
            *(("author", one, Filters(authors=(one,))) for one in filters.authors),
            *(("status", one, Filters(statuses=(one,))) for one in filters.statuses),
            *(("chain", one, Filters(chains=(one,))) for one in filters.chains),
            *(("contract", one, Filters(contracts=(one,))) for one in filters.contracts),
            *(("source", one, Filters(sources=(one,))) for one in filters.sources),
        ]
        for option, value, only in alone if self._rows.num_rows else ():
            if not self._passing(only).any():
                raise SettingsError(_unmatched(option, value, self._known(option)))

    def _known(self, option: str) -> set[str]:
        """The values that documents have of what an option filters by."""
        columns = {"author": "authors", "contract": "contracts", "source": "path"}
        held = self._rows[columns.get(option, option)].to_pylist()
        return {one for value in held for one in ([value] if isinstance(value, str) else value or ())}

    @cached_property
    def _order(self) -> Keys:
        return np.argsort(self.keys)

    @cached_property
    def _sorted(self) -> Keys:
        return self.keys[self._order]

    @cached_property
    def _place(self) -> dict[str, int]:
        return {uri: at for at, uri in enumerate(self.uris)}

    def _passing(self, filters: Filters) -> npt.NDArray[np.bool_]:
        passing = np.ones(self._rows.num_rows, np.bool_)
        for column, wanted in (
            ("kind", filters.kinds),
            ("status", filters.statuses),
            ("chain", filters.chains),
        ):
            if wanted:
                lower = {value.lower() for value in wanted}
                passing &= [(value or "").lower() in lower for value in self._rows[column].to_pylist()]
        if filters.sources:
            passing &= [self._named(uri, path, filters.sources) for uri, path in self._names()]
        if filters.authors:
            passing &= [_any_part(filters.authors, names) for names in self._rows["authors"].to_pylist()]
        if filters.contracts:
            wanted_contracts = {contract.lower() for contract in filters.contracts}
            passing &= [
                any(contract.lower() in wanted_contracts for contract in contracts)
                for contracts in self._rows["contracts"].to_pylist()
            ]
        published = self._rows["published_at"]
        if filters.published_from:
            passing &= _true(pc.greater_equal(published, pa.scalar(filters.published_from)))
        if filters.published_to:
            passing &= _true(pc.less_equal(published, pa.scalar(filters.published_to)))
        if filters.as_of:
            known = pc.coalesce(published, pc.cast(self._rows["retrieved_at"], pa.date32()))
            passing &= _true(pc.less_equal(known, pa.scalar(filters.as_of)))
        return passing

    def _names(self) -> Iterator[tuple[str, str]]:
        return zip(self.uris, self._rows["path"].to_pylist(), strict=True)

    @staticmethod
    def _named(uri: str, path: str, patterns: tuple[str, ...]) -> bool:
        return any(fnmatchcase(name, pattern) for name in (uri, path) for pattern in patterns)


def _unmatched(option: str, value: str, known: set[str]) -> str:
    """What a person reads of a value that no document has."""
    if near := _near(value.strip("*?").lower(), known):
        said = f"near it: {', '.join(near)}"
    elif known:
        said = f"there are, of {len(known)}, {', '.join(sorted(known)[:_NEAR])}"
    else:
        said = f"no document has a {option}"
    return f"--{option} {value!r} matches no document of the library; {said}"


def _near(value: str, known: set[str]) -> list[str]:
    """The known values that hold one, else those most like it, as a whole or by a word."""
    if held := sorted((one for one in known if value and value in one.lower()), key=len):
        return held[:_NEAR]
    forms: dict[str, list[str]] = {}
    for one in sorted(known, key=len):
        for form in {one.lower(), *re.findall(r"[^\s/]+", one.lower())}:
            forms.setdefault(form, []).append(one)
    close = difflib.get_close_matches(value, forms, _NEAR, 0.7)
    return list(dict.fromkeys(one for form in close for one in forms[form]))[:_NEAR]


def _any_part(parts: tuple[str, ...], names: list[str]) -> bool:
    return any(part.lower() in name.lower() for part in parts for name in names)


def _true(column: pa.ChunkedArray) -> npt.NDArray[np.bool_]:
    return np.asarray(pc.fill_null(column, False), np.bool_)
