"""The word index: identifiers, BM25 against its formula, filters, deletion, damage."""

from __future__ import annotations

import math
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from index import words
from index.tables import document_key
from index.terms import query_terms, terms
from index.words import Words, WordWriter

ADDRESS = "0x68b3465833fb72A70ecDF485E0e4C7bD8665Fc45"
TOPIC = "0x000000000000000000000000" + ADDRESS[2:].lower()
HASH = "0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef"


@pytest.fixture
def indexed(make: Callable[..., Any], tmp_path: Path) -> Callable[..., Words]:
    """The word index of documents, each of one passage; named by their place."""

    def written(*texts: str) -> Words:
        writer = WordWriter(tmp_path / "words", None)
        for at, text in enumerate(texts):
            writer.add(document_key(f"doc:{at}"), make(f"doc:{at}", [text], title="")[1])
        assert writer.commit() == len(texts)
        return Words(tmp_path / "words")

    return written


@pytest.mark.parametrize(
    ("question", "text"),
    [
        (ADDRESS, f"The router is deployed at {ADDRESS}."),
        (ADDRESS.lower(), f"The router is deployed at {ADDRESS}."),
        (ADDRESS.replace("0x", "0X"), f"deployed at ({ADDRESS})"),
        (ADDRESS, f"topics: [{HASH}, {TOPIC}]"),
        (HASH, f"| Transfer | `{HASH}` |"),
        (HASH[:10], f"| Transfer | `{HASH}` |"),
        ("0x1626ba7e", "returns the magic value 0x1626ba7e when the signature is valid"),
        ("EIP-1559", "As in EIP 1559, the base fee is burned"),
        ("eip1559", "As in [EIP-1559](./eip-1559.md)"),
        ("EIP_1559", "EIPs-1559"),
        ("EIP-20", "the ERC-20 standard"),
        ("erc 20", "EIP-20"),
        ("bip39", "BIP-0039 word lists"),
        ("MAX_BLOB_GAS_PER_BLOCK", "assert gas <= MAX_BLOB_GAS_PER_BLOCK"),
        ("max blob gas", "assert gas <= MAX_BLOB_GAS_PER_BLOCK"),
        ("blob_gas", "BLOB_GAS is a name"),
        ("safeTransferFrom", "function safeTransferFrom(address from)"),
        ("transfer", "function safeTransferFrom(address from)"),
        ("SAFETRANSFERFROM", "function safeTransferFrom(address from)"),
        ("16777216", "a limit of 16,777,216 gas"),
        ("16_777_216", "a limit of 16777216 gas"),
        ("SELFDESTRUCT", "the `SELFDESTRUCT` opcode"),
        (f"{ADDRESS[:6]}…{ADDRESS[-4:]}", f"The router is deployed at {ADDRESS}."),
        (f"{ADDRESS[:10]}...{ADDRESS[-8:].lower()}", f"deployed at ({ADDRESS})"),
        (ADDRESS, f"The router is {ADDRESS[:6]}...{ADDRESS[-4:]} today"),
        (HASH[2:], f"| Transfer | `{HASH}` |"),
        (HASH, f"the topic {HASH[2:].upper()} of it"),
        ("EIP\u20111559", "As in EIP 1559, the base fee is burned"),
        ("EIPs 7 and 1559", "As in EIP 1559, the base fee is burned"),
        ("EIP-7/1559", "As in EIP 1559, the base fee is burned"),
        ("EIP-1559", "the EIPs 7, 1559 and 4844 of old"),
        ("Mobius", "by Möbius"),
        ("Möbius", "by Mo\u0308bius"),
        ("Mobius", "by M\u00f6bius and \u00e9migr\u00e9s"),
        ("lodz", "in Łódź"),
        ("liquidity", "the liqui\u00addity of it"),
        ("zerowidth", "a zero\u200bwidth space"),
        ("finality", "the ﬁnality of it"),
        ("gas", "the ｇａｓ of it"),
        ("10^6", "at most 10⁶ keys"),
        ("CO2", "emits CO₂ of it"),
        ("排队多久", "验证者退出时需要排队。"),
        ("手数料", "ガス手数料は燃やされます"),
        ("수수료는", "기본 수수료는 소각된다"),
        ("EIP4844的费用", "费用由EIP-4844决定"),
    ],
)
def test_an_identifier_is_found_whole_and_by_part(
    indexed: Callable[..., Words], question: str, text: str
) -> None:
    other = "Another passage about a router, a value, a name and a number such as 42."
    found = indexed(other, text, other)
    best, _ = found.passages(query_terms(question), 1)
    in_its_document, _ = found.passages(query_terms(question), 1, [document_key("doc:1")])
    assert len(best) == 1
    assert best.tolist() == in_its_document.tolist()
    assert found.documents(query_terms(question), 1)[0].tolist() == [document_key("doc:1")]


@pytest.mark.parametrize(
    ("question", "text"),
    [
        ("EIP-155", "As in EIP-1559, the base fee is burned"),
        ("BIP-20", "the ERC-20 standard"),
        (ADDRESS, f"deployed at 0x78{ADDRESS[4:]}"),
        ("0x1626ba7f", "the magic value 0x1626ba7e"),
        ("106", "at most 10⁶ keys"),
        (f"{ADDRESS[:6]}…{HASH[-4:]}", f"deployed at {ADDRESS}"),
    ],
)
def test_an_identifier_is_not_taken_for_another(
    indexed: Callable[..., Words], question: str, text: str
) -> None:
    assert len(indexed(text).passages(query_terms(question), 10)[0]) == 0


@given(st.text())
def test_terms_are_lower_case_words_of_any_text(text: str) -> None:
    found = terms(text)
    assert all(term and not term.isspace() and term == term.lower() for term in found)
    assert set(query_terms(text)) <= set(found)


letters = st.sampled_from(["gas", "fee", "burn", "block", "base", "chain", "miner"])


@settings(max_examples=25)
@given(
    texts=st.lists(st.lists(letters, min_size=1, max_size=12), min_size=1, max_size=8),
    question=st.lists(letters, min_size=1, max_size=3, unique=True),
)
def test_scores_are_bm25(make: Callable[..., Any], texts: list[list[str]], question: list[str]) -> None:
    """Robertson and Zaragoza 2009, section 3, with Lucene's idf, on texts of exactly stored length."""
    with tempfile.TemporaryDirectory() as folder:
        writer = WordWriter(Path(folder) / "words", None)
        keys = {}
        for at, text in enumerate(texts):
            _, passages = make(f"doc:{at}", [" ".join(text)], title="")
            keys[passages[0].key] = at
            writer.add(document_key(f"doc:{at}"), passages)
        writer.commit()
        found, scores = Words(Path(folder) / "words").passages(question, 100, context=0.0)
    mean = sum(map(len, texts)) / len(texts)
    wanted = {}
    for at, text in enumerate(texts):
        counts = Counter(text)
        score = 0.0
        for word in question:
            holding = sum(word in other for other in texts)
            idf = math.log(1 + (len(texts) - holding + 0.5) / (holding + 0.5))
            norm = counts[word] + 1.2 * (1 - 0.75 + 0.75 * len(text) / mean)
            score += idf * counts[word] * 2.2 / norm
        if score:
            wanted[at] = score
    assert {keys[int(key)]: float(score) for key, score in zip(found, scores, strict=True)} == pytest.approx(
        wanted, rel=1e-4
    )
    assert scores.tolist() == sorted(scores.tolist(), reverse=True)


def test_a_filter_holds_inside_the_search(indexed: Callable[..., Words]) -> None:
    found = indexed("fee fee fee", "fee fee", "fee and much more that makes this one the last")
    last = document_key("doc:2")
    assert len(found.passages(["fee"], 1, [last])[0]) == 1
    assert found.documents(["fee"], 1, [last])[0].tolist() == [last]
    assert len(found.passages(["fee"], 3, [])[0]) == 0


def test_what_is_removed_is_not_found_and_the_generation_before_still_finds_it(
    make: Callable[..., Any], tmp_path: Path
) -> None:
    first = WordWriter(tmp_path / "1", None)
    for name in ("a", "b"):
        first.add(document_key(name), make(name, [f"{name} burns the fee. ", "Nothing else."])[1])
    first.commit()
    before = Words(tmp_path / "1")
    second = WordWriter(tmp_path / "2", tmp_path / "1")
    second.remove(document_key("a"))
    assert second.commit() == 2
    after = Words(tmp_path / "2")
    assert len(after.passages(["fee"], 10)[0]) == 1
    assert after.documents(["fee"], 10)[0].tolist() == [document_key("b")]
    assert len(before.passages(["fee"], 10)[0]) == 2
    assert list(words.faults(tmp_path / "1")) == list(words.faults(tmp_path / "2")) == []


def put(file: Path, body: bytes) -> None:
    """Puts other bytes in the place of a file; an index that has the old ones mapped keeps them."""
    scratch = file.with_suffix(".new")
    scratch.write_bytes(body)
    scratch.replace(file)


def test_a_flipped_bit_in_any_file_is_noticed(indexed: Callable[..., Words], tmp_path: Path) -> None:
    indexed("one fee", "two fees")
    for file in sorted((tmp_path / "words").glob("*/*")):
        if file.suffix in (".json", ".lock"):
            continue
        sound = file.read_bytes()
        put(file, bytes([sound[0] ^ 1]) + sound[1:])
        assert [file.name in fault for fault in words.faults(tmp_path / "words")] == [True]
        put(file, sound)
    assert list(words.faults(tmp_path / "words")) == []
