"""Which facts of a sentence a source holds, whatever the spelling; asked through `ground`."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from agent.answers.packing import Section
from agent.grounding.pipeline import Grounder
from index.values import Hit
from tests.agent.conftest import MemoryLibrary

Holds = Callable[[str, str], bool]


@pytest.fixture
def holds(hit_of: Callable[..., Hit]) -> Holds:
    """Whether a draft of this sentence survives, cited to a document of this text."""

    def check(sentence: str, source: str) -> bool:
        hit = hit_of(source, "EIP-4000")
        section = Section(hit.document, (hit.passage,), 1.0)
        library = MemoryLibrary([hit, *(hit_of(f"note {at}") for at in range(20))])
        grounding = Grounder(library, "What is it?").ground(f"{sentence} [1]", {1: section})
        return bool(grounding.sentences)

    return check


@pytest.fixture
def verifies(hit_of: Callable[..., Hit]) -> Holds:
    """Whether a draft of this sentence is verified, cited to a document of this text."""

    def check(sentence: str, source: str) -> bool:
        hit = hit_of(source, "EIP-4000")
        section = Section(hit.document, (hit.passage,), 1.0)
        [found] = Grounder(MemoryLibrary([hit]), "?").ground(f"{sentence} [1]", {1: section}).sentences
        return found.verified_by is not None

    return check


ADDRESS = "0x1F98431c8aD98523631AE4a59f267346ea31F984"
HASH = "0x" + "9b1c" * 16

SAME = [
    ("16,777,216", "16777216"),
    ("16_777_216", "16,777,216"),
    ("16 777 216", "16777216"),
    ("16 million", "16,000,000"),
    ("1.5 million", "1,500,000"),
    ("30M", "30 million"),
    ("2**24", "2^24"),
    ("2²⁴", "$2^{24}$"),
    ("2<sup>24</sup>", "2**24"),
    ("10^18", "1000000000000000000"),
    ("2^32 bytes", "2**32 bytes"),
    ("1e18", "10**18"),
    ("12.5%", "12.5 percent"),
    ("12.5%", "0.125"),
    ("1/8", "0.125"),
    ("1/8", "an eighth"),
    ("12.5%", "1/8"),
    ("30 basis points", "0.3%"),
    ("1 gwei", "1000000000 wei"),
    ("0.08 ether", "80,000,000 gwei"),
    ("2 ETH", "2 ethers"),
    ("8 bytes", "64 bits"),
    ("1 KiB", "1024 bytes"),
    ("1 MB", "1000 kB"),
    ("2 minutes", "120 seconds"),
    ("1 week", "7 days"),
    ("twelve seconds", "12 seconds"),
    ("24 hours", "twenty-four hours"),
    ("three quarters", "3/4"),
    ("the 3rd", "the third"),
    ("5 August 2021", "2021-08-05"),
    ("Aug 5th, 2021", "5 August 2021"),
    ("2021-08-05", "August 5, 2021"),
    ("August 2021", "2021-08-05"),
    ("2021", "5 August 2021"),
    ("2021年8月5日", "2021-08-05"),
    ("EIP-20", "ERC-20"),
    ("ERC20", "EIP-20"),
    ("BIP-39", "BIP 39"),
    (ADDRESS.lower(), ADDRESS),
    (ADDRESS, ADDRESS.lower()),
    ("0x9b1c…9b1c", HASH),
    ("0x1F98...F984", ADDRESS),
    ("`safeTransferFrom`", "safeTransferFrom"),
    ("`transfer(address,uint256)`", "transfer(address to, uint256 value)"),
    ("https://example.org/spec", "https://example.org/spec."),
    ("“limit of blocks”", "limit of\nblocks"),
    ("１６", "16"),
    ("٣٠ days", "30 days"),
]

OTHER = [
    ("16,777,216", "16,777,217"),
    ("16,777,216", "2^24"),
    ("2**24", "16777216"),
    ("2**24", "2**25"),
    ("10^18", "10^17"),
    ("2^32 bits", "2^32 bytes"),
    ("0 × 10^24", "0"),
    ("0e24", "0"),
    ("12.5%", "12.5"),
    ("12.5%", "1.25%"),
    ("1 gwei", "1 wei"),
    ("30 days", "30 blocks"),
    ("8 bytes", "8 bits"),
    ("1 KiB", "1000 bytes"),
    ("2 minutes", "2 seconds"),
    ("1 month", "30 days"),
    ("twelve seconds", "11 seconds"),
    ("-5", "5"),
    ("0x10", "16"),
    ("16", "0x10"),
    ("5 August 2021", "6 August 2021"),
    ("5 August 2021", "August 2021"),
    ("31 February 2021", "28 February 2021"),
    ("12:30", "12:31"),
    ("v1.2.3", "v1.2.4"),
    ("EIP-20", "EIP-721"),
    ("BIP-20", "EIP-20"),
    (ADDRESS[:-1] + "5", ADDRESS),
    (HASH[:-1] + "d", HASH),
    ("0x9b1c…9b1d", HASH),
    ("0xa9059cbb", "0xa9059cbc"),
    ("`safeTransferFrom`", "safeTransfer"),
    ("`transferFrom`", "safeTransferFrom"),
    ("`transfer(address)`", "transfer(address to, uint256 value)"),
    ("MAX_GAS", "MAX_GAS_LIMIT"),
    ("МАТТ", "MATT"),
    ("saf\u0435TransferFrom", "safeTransferFrom"),
    ("https://example.org/drain", "https://example.org/spec"),
    ("https://example.org", "https://example.org/spec"),
    ("`https://example.org`", "`https://example.org/spec`"),
    ("“limit of all blocks”", "limit of blocks"),
    ("«cap»", "the bound"),
    ("1\u200b6", "6"),
    ("1<b>6</b>", "6"),
    ("SHA-256**24", "SHA-256 of 24"),
    ("SHA-256<sup>2</sup>", "SHA-256 of 2"),
    ("cosmoshub-1", "1 or cosmoshub-4"),
    ('""limit" of "all" blocks"', '"limit" or "all"'),
]


@pytest.mark.parametrize(("said", "source"), SAME)
def test_one_fact_in_two_spellings_is_held(holds: Holds, said: str, source: str) -> None:
    assert holds(f"The protocol limit is {said} here", f"The protocol limit is {source} here.\n")


@pytest.mark.parametrize(("said", "source"), OTHER)
def test_another_fact_is_not_held(holds: Holds, said: str, source: str) -> None:
    assert not holds(f"The protocol limit is {said} here", f"The protocol limit is {source} here.\n")


@pytest.mark.parametrize(
    ("said", "source"),
    [
        ("1 bytes of version, 1 byte of depth", "4 bytes of version, 1 byte of depth"),
        ("1 PEPE (0x69825081), 1 WETH (0xc02aaa39)", "2 PEPE (0x69825081), 1 WETH (0xc02aaa39)"),
    ],
)
def test_a_figure_belongs_to_what_it_counts(verifies: Holds, said: str, source: str) -> None:
    assert verifies(f"The record of a key holds {source}", f"The record of a key holds {source}.\n")
    assert not verifies(f"The record of a key holds {said}", f"The record of a key holds {source}.\n")


def test_the_designation_of_the_document_belongs_to_its_text(holds: Holds) -> None:
    source = "Wallets read the fee from the header of a block.\n"
    assert holds("In EIP-4000 wallets read the fee from the header of a block", source)
    assert not holds("In EIP-4001 wallets read the fee from the header of a block", source)


def test_the_unit_of_a_cell_stands_in_its_table(holds: Holds) -> None:
    table = "| Name | Size in bytes |\n|---|---|\n| Proof length | 96 |\n"
    assert holds("The proof length is 96 bytes", table)
    assert not holds("The proof length is 96 bits", table)
    assert not holds("The proof length is 97 bytes", table)


def test_code_must_stand_as_it_is_white_space_aside(holds: Holds) -> None:
    source = "Use this:\n\n```\nuint x = 1;\nuint y = 2;\n```\n"
    assert holds("```\nuint x = 1;\n  uint y = 2;\n```\n", source)
    assert not holds("```\nuint x = 1;\nuint y = 3;\n```\n", source)


@pytest.mark.parametrize("form", ["{}", "{}th", "EIP-{}", "SHA-{}", "{}e2", "{}^2"])
def test_a_number_longer_than_numbers_are_read_must_stand_as_it_is(holds: Holds, form: str) -> None:
    written, other = form.format("7" * 6000), form.format("7" * 5999 + "8")
    assert holds(f"The value is {written}.", f"The value is {written}.")
    assert not holds(f"The value is {written}.", f"The value is {other}.")
