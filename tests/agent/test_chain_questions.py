"""Questions about a chain: figures as plain Python has them, rows cited, other questions left alone."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.answerers.routes import Answerers
from agent.answers.question import Question
from agent.answers.values import NOT_IN_LIBRARY, Answer
from agent.answers.verify import verify
from agent.onchain.sandbox import SCHEME, rereading
from agent.session import ask
from index.errors import SourceError
from index.library import Library
from index.values import Filters, Kind, Reading, SourceRef
from tests.agent import chain

NUMBERS = range(100, 104)
BUDGET = 6000
LOGS = {number: [chain.log(number, index) for index in range(8)] for number in NUMBERS}
SENT = {number: [chain.transaction(number, index) for index in range(4)] for number in NUMBERS}


NOTES = {
    "eip-1.md": """---
eip: 1
title: The base fee
status: Final
---
## Abstract

This proposal defines the base fee of a block, the amount per unit of gas that is burned and not paid out.
""",
    "eip-2.md": """---
eip: 2
title: Tokens
status: Final
---
## Specification

The Transfer event MUST be emitted when tokens are moved, a movement of zero tokens included.
""",
}


def value(log: dict) -> int:
    return int(log["data"], 16)


def address(topic: str) -> str:
    return "0x" + topic[-40:]


def moved(number: int, token: str) -> list[tuple[str, str, int, str]]:
    return [
        (address(log["topics"][1]), address(log["topics"][2]), value(log), log["transaction_hash"])
        for log in LOGS[number]
        if log["topics"][0] == chain.TRANSFER and log["address"] == token
    ]


def tip(number: int, sent: dict) -> int:
    return (sent["receipt_effective_gas_price"] - chain.block(number)["base_fee_per_gas"]) * sent[
        "receipt_gas_used"
    ]


def of_blocks(number: int) -> Iterator[tuple[str, list[str]]]:
    """Questions about one block, each with what the answer must hold."""
    sent, header = SENT[number], chain.block(number)
    failed = [one for one in sent if one["receipt_status"] == 0]
    yield (
        f"How many transactions failed in block {number}?",
        [f"{len(failed)} of 4 ", *(one["hash"] for one in failed)],
    )
    yield f"How many event logs were emitted in block {number}?", [f"8 event logs of block {number}."]
    yield f"What was the base fee of block {number} in gwei?", [str(header["base_fee_per_gas"]), "gwei"]
    yield f"Who was the fee recipient of block {number}?", [header["miner"]]
    most = max(sent, key=lambda one: one["receipt_gas_used"])
    yield (
        f"Which transaction in block {number} used the most gas?",
        [most["hash"], str(most["receipt_gas_used"])],
    )
    fees = sum(one["receipt_effective_gas_price"] * one["receipt_gas_used"] for one in sent)
    yield f"What is the total fee paid in block {number}?", [str(fees)]
    prices = [one["receipt_effective_gas_price"] for one in sent]
    yield f"What was the average gas price in block {number}?", [f"{sum(prices)}/4"]
    yield f"What is the highest effective gas price in block {number}?", [str(max(prices))]
    yield f"What is the lowest gas price paid in block {number}?", [str(min(prices))]
    yield (
        f"What were the total tips of transactions in block {number}?",
        [str(sum(tip(number, one) for one in sent))],
    )
    middle = sorted(one["receipt_gas_used"] for one in sent)[1:3]
    yield f"What is the median gas used by transactions in block {number}?", [f"{sum(middle) / 2:g} gas"]
    yield f"How many distinct senders are in block {number}?", ["3: the number of different senders"]
    yield f"What share of the transactions in block {number} failed?", [f"{len(failed) / 4 * 100:g} per cent"]
    yield f"How many legacy transactions are in block {number}?", ["1 of 4 "]
    yield f"How much ETH was sent in block {number}?", [str(sum(one["value"] for one in sent))]
    yield f"Count the unlimited approvals in block {number}", ["1 of 8 "]
    yield f"How many Approval events are in block {number}?", ["2 "]
    for symbol, token in (("USDT", chain.USDT), ("WETH", chain.WETH)):
        rows = moved(number, token)
        largest = max(rows, key=lambda row: row[2])
        yield f"Largest {symbol} transfer in block {number}: amount, from, to?", [
            str(largest[2]), largest[0], largest[1], largest[3],
        ]  # fmt: skip
        yield (
            f"What is the total amount of {symbol} transferred in block {number}?",
            [str(sum(r[2] for r in rows))],
        )
        yield f"How many {symbol} transfers are in block {number}?", [f"{len(rows)} of 6 "]
        yield f"What is the smallest {symbol} transfer in block {number}?", [str(min(r[2] for r in rows))]


def of_people(number: int) -> Iterator[tuple[str, list[str]]]:
    """Questions about what one address did."""
    for person in chain.PEOPLE:
        rows = moved(number, chain.USDT)
        got = [row[2] for row in rows if row[1] == person]
        if got:
            yield f"How much USDT was transferred to {person} in block {number}?", [str(sum(got))]
        yield (
            f"How many USDT transfers from {person} are in block {number}?",
            [f"{sum(row[0] == person for row in rows)} of 6 "],
        )
        net = sum(row[2] * ((row[1] == person) - (row[0] == person)) for row in rows)
        if net:
            word = "gain" if net > 0 else "loss"
            yield (
                f"What is the net gain of {person} in USDT in block {number}?",
                [f"net {word}", f"({net} "],
            )
        yield (
            f"How many transactions did {person} send in block {number}?",
            [f"{sum(one['from_address'] == person for one in SENT[number])} of 4 "],
        )


def of_transactions(number: int) -> Iterator[tuple[str, list[str]]]:
    for sent in SENT[number][:2]:
        yield f"How many event logs did transaction {sent['hash']} emit?", ["2 event logs"]
        yield f"How much gas did {sent['hash']} use, and did it fail?", [
            str(sent["receipt_gas_used"]), "failed" if sent["receipt_status"] == 0 else "succeeded",
        ]  # fmt: skip


def of_all() -> Iterator[tuple[str, list[str]]]:
    """Questions about all blocks, and about none that is there."""
    sent = [one for number in NUMBERS for one in SENT[number]]
    yield "Was any contract deployed in blocks 100 to 103? Give its address and the gas used.", [
        "1 of 16", chain.ODD, str(SENT[101][3]["receipt_gas_used"]),
    ]  # fmt: skip
    counts = {person: sum(one["from_address"] == person for one in sent) for person in chain.PEOPLE}
    yield (
        "Which address sent the most transactions in blocks 100 to 103?",
        [f"{max(counts.values())} transactions"],
    )
    yield "By how much did the base fee change from block 100 to block 103?", ["(3 wei)"]
    yield "Which token was transferred most often in blocks 100-103?", [chain.USDT, "12 token transfers"]
    yield (
        "How many transfers of more than 900 USDT are in blocks 100 to 103?",
        [f"{sum(row[2] > 900_000_000 for number in NUMBERS for row in moved(number, chain.USDT))} of 24"],
    )
    yield f"How many logs did the contract {chain.ODD} emit in blocks 100, 101 and 103?", ["3 of 24"]


QUESTIONS = [
    *(
        pair
        for number in NUMBERS
        for part in (of_blocks, of_people, of_transactions)
        for pair in part(number)
    ),
    *of_all(),
]


@pytest.fixture(scope="module")
def library(chaincite, tmp_path_factory) -> Library:
    folder = tmp_path_factory.mktemp("chain")
    files = chain.write(folder / "files")
    ran = chaincite(
        "--library", folder / "library", "ingest", "chain", "--file", files, "--chain", chain.CHAIN
    )
    assert ran.returncode == 0, ran.stderr
    notes = folder / "notes"
    notes.mkdir()
    for name, text in NOTES.items():
        (notes / name).write_text(text, encoding="utf-8")
    ran = chaincite("--library", folder / "library", "ingest", "papers", notes)
    assert ran.returncode == 0, ran.stderr
    return Library(folder / "library")


def answer_of(library: Library, question: str, filters: Filters = Filters()) -> Answer:
    answer = ask(library, question, BUDGET, filters)
    assert answer.route == "chain", question
    return answer


def test_there_are_many_questions():
    assert len({question for question, _ in QUESTIONS}) == len(QUESTIONS) > 120


@pytest.mark.parametrize("every", [7, pytest.param(1, marks=pytest.mark.slow)])
def test_figures_are_those_of_the_rows(library, every):
    wrong = []
    for question, facts in QUESTIONS[::every]:
        found = ask(library, question, BUDGET)
        if found.route != "chain" or found.refused or not all(fact in found.text for fact in facts):
            wrong.append((question, facts, found.text))
    assert not wrong


def test_every_sentence_is_cited_and_every_citation_stands_in_its_source(library):
    def reread(source: SourceRef) -> Reading:
        document = library.document(source.uri)
        if document is None:
            raise SourceError(source.uri)
        return Reading(document, "".join(passage.text for passage in library.passages(source.uri)), ())

    again = rereading(lambda: library, reread)
    for question, _ in QUESTIONS[::16]:
        answer = answer_of(library, question)
        assert answer.intact
        assert answer.sentences
        assert all(sentence.citations for sentence in answer.sentences)
        assert {check.verdict for check in verify(answer, again)} == {"OK"}


def test_figures_of_logs_that_are_told_together_are_cited_by_their_query(chaincite, tmp_path):
    files, folder = chain.write(tmp_path / "files"), tmp_path / "library"
    ran = chaincite(
        "--library", folder, "ingest", "chain", "--file", files, "--chain", chain.CHAIN, "--passages", 2
    )
    assert ran.returncode == 0, ran.stderr
    for question, facts in QUESTIONS[::16]:
        answer = answer_of(Library(folder), question)
        assert all(fact in answer.text for fact in facts)
        assert all(sentence.citations for sentence in answer.sentences), question


def test_rows_are_cited_by_block_transaction_and_log(library):
    answer = answer_of(library, "Largest WETH transfer in block 102?")
    source = answer.citations[0].source
    assert (source.kind, source.chain, source.block_number) == (Kind.EVENT, chain.CHAIN, 102)
    assert source.log_index == 5
    assert source.transaction_hash == LOGS[102][5]["transaction_hash"]
    assert source.path == "logs.jsonl"


def test_a_count_of_many_rows_cites_the_query(library):
    answer = answer_of(library, "How many event logs are in blocks 100 to 103?")
    assert "32 event logs" in answer.text
    [query] = [one for one in answer.citations if one.source.uri.startswith(SCHEME)]
    assert query.source.location.startswith("SELECT")
    assert query.quote == "found: 32; of_all: 32"


@pytest.mark.parametrize(
    ("question", "told"),
    [
        ("How many transactions failed in block 17173050?", "blocks 100 to 103 of eip155:1, not 17173050"),
        (f"How much gas did transaction 0x{'9' * 64} use?", f"0x{'9' * 64}"),
        ("How many DOGE transfers were in block 101?", "DOGE"),
        ("What is the variance of the gas price in block 101?", "variance"),
        (f"What was the balance of {chain.PEOPLE[0]} in block 101?", "balance"),
        ("How many transactions are pending in the mempool of block 101?", "mempool"),
        ("Why did a transaction fail in block 101?", "reasons of failure"),
        ("How many transactions of block 101 glow?", "glow"),
        ("How many transactions in block 101 used more than 3 ETH of gas limit?", "does not fit"),
        ("How many transactions of block 101 have a value above 5?", "the unit"),
        ("How many transactions of block 101 failed, and how many of them were prime?", "prime"),
    ],
)
def test_what_is_not_there_is_refused_in_so_many_words(library, question, told):
    answer = ask(library, question, BUDGET)
    assert answer.refused
    assert answer.text.startswith(NOT_IN_LIBRARY[:-1])
    assert told in answer.text


@pytest.mark.parametrize(
    "question",
    [
        "How many transactions can a block contain?",
        "What is the maximum gas limit of a block?",
        "Why was the base fee introduced?",
        "How does the base fee change between blocks?",
        "What does EIP-1559 say about the base fee?",
        "How many transfers does an ERC-20 token allow?",
        "Which function has the selector 0x12345678?",
        "What happens when a transaction fails?",
        f"What is kept in storage slot 0x{'9' * 64}?",
        f"What is deployed at {'0x' + 'e9' * 20}?",
        "How many words has a seed phrase?",
    ],
)
def test_other_questions_are_left_to_the_passages(library, question):
    assert ask(library, question, BUDGET).route != "chain"


def test_what_other_sources_say_follows_where_the_question_asks_for_it(library):
    rows = answer_of(library, "What is the base fee of block 101?")
    assert all(one.source.kind is Kind.EVENT for one in rows.citations)
    whole = answer_of(library, "What is the base fee of block 101, and which proposal defines it?")
    assert whole.sentences[: len(rows.sentences)] == rows.sentences
    assert [one.number for one in whole.citations] == list(range(1, len(whole.citations) + 1))
    numbers = [one.number for one in whole.citations if one.source.designation == "EIP-1"]
    defining = [one for one in whole.sentences if set(numbers) & set(one.citations)]
    assert "This proposal defines the base fee" in defining[0].text
    assert whole.intact


def test_each_part_of_a_question_goes_to_what_can_answer_it(library):
    whole = answer_of(
        library,
        "What does EIP-2 say of the Transfer event, what does the colophon of Zanzibar say,"
        " and how many event logs are in block 101?",
    )
    assert whole.sentences[0].text == "8 event logs of block 101."
    assert whole.sentences[-1].text.startswith("The Transfer event MUST be emitted")
    assert whole.notes == ('not in the library: "what does the colophon of Zanzibar say"',)


@pytest.mark.parametrize(
    ("question", "count"),
    [
        ("How many transactions in blocks 100 to 103 did not fail?", lambda t: t["receipt_status"] != 0),
        ("Count the transactions without call data in blocks 100 to 103", lambda t: t["input"] == "0x"),
        ("How many non-legacy txs are in blocks 100 to 103?", lambda t: t["transaction_type"] != 0),
        ("txs with value over 1.5 ETH in blocks 100 to 103", lambda t: t["value"] > 15 * 10**17),
        (
            "How many transactions in blocks 100-103 have a nonce between 1 and 2?",
            lambda t: 1 <= t["nonce"] <= 2,
        ),
        (
            "How many transactions of blocks 100 to 103 neither failed nor were legacy?",
            lambda t: t["receipt_status"] != 0 and t["transaction_type"] != 0,
        ),
        (
            "How many transactions of blocks 100 to 103 failed or used more than 24,000 gas?",
            lambda t: t["receipt_status"] == 0 or t["receipt_gas_used"] > 24_000,
        ),
        (
            "How many transctions in blocks 100 to 103 other than the failed ones are there?",
            lambda t: t["receipt_status"] != 0,
        ),
        ("How many transactions of blocks 100 to 103 have a nonce over 2 and under 1?", lambda _: False),
        (
            f"txs sent by 0x{chain.PEOPLE[1][2:].upper()} in blocks 100 to 103, how many?",
            lambda t: t["from_address"] == chain.PEOPLE[1],
        ),
    ],
)
def test_no_word_that_changes_what_is_true_is_skipped(library, question, count):
    right = sum(count(one) for number in NUMBERS for one in SENT[number])
    assert answer_of(library, question).sentences[0].text.startswith(f"{right} of 16 transactions")


def test_a_part_that_is_not_understood_declines_the_whole(library):
    answer = answer_of(
        library, "How many event logs are in block 101, and what share of their topics is prime?"
    )
    assert answer.refused
    assert "prime" in answer.text


def test_a_misspelt_word_is_noted(library):
    answer = answer_of(library, "How many transactons are in block 101?")
    assert answer.sentences[0].text == "4 transactions of block 101."
    assert answer.notes == ('"transactons" was read as "transactions"',)


def test_nothing_is_noted_where_all_was_read(library):
    for question, _ in QUESTIONS[::16]:
        assert answer_of(library, question).notes == ()


def test_filters_hold(library):
    question = "How many event logs are in block 101?"
    assert ask(library, question, BUDGET, Filters(kinds=(Kind.PROPOSAL,))).route != "chain"
    narrow = answer_of(library, question, Filters(contracts=(chain.ODD,)))
    assert "1 event log of block 101." in narrow.text


@pytest.mark.slow
def test_the_judged_questions(shared, chaincite, tmp_path):
    manifest = shared / "corpus" / "MANIFEST.json"
    ran = chaincite(
        "--library", tmp_path / "library", "ingest", "chain", "--manifest", manifest, "--chain", chain.CHAIN
    )
    assert ran.returncode == 0, ran.stderr
    library = Library(tmp_path / "library")
    lines = Path(shared / "evals" / "dev.jsonl").read_text(encoding="utf-8").splitlines()
    for row in map(json.loads, lines):
        text = row["question"]
        found = Answerers(library).computed(Question(text, text))
        if row["kind"] != "chain":
            other = found is None or found[0].route != "chain" or found[1].refused
            assert other or "block 17173050" in text, text
            continue
        assert found is not None, text
        question, answer = found
        assert question.route == "chain", text
        if answer.refused:
            continue
        missing = [fact for fact in row["must_contain"] if fact not in answer.text]
        assert not missing, row["question"]
        assert {one.source.path for one in answer.citations} <= set(row["relevant"])
