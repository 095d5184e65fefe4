"""Code along its structure, and the names by which contracts are called."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest
from eth_utils.abi import (
    event_abi_to_log_topic,
    function_abi_to_4byte_selector,
    function_signature_to_4byte_selector,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from index.values import Block
from ingest.grammar import GRAMMARS
from ingest.readers.code import read_code
from ingest.repo.solidity import Declarations
from ingest.selectors import imports
from tests.conftest import HANG, ROOT

PACKAGES = ("@openzeppelin/contracts", "@uniswap/v2-core", "@uniswap/v3-core", "@aave/core-v3")

SOURCES = {
    "Vault.sol": """// SPDX-License-Identifier: GPL-3.0-or-later
pragma solidity ^0.8.20;

type Price is uint128;
/// Raised when é is short.
error Short(uint256 have, Price wanted);

/** A vault. */
contract Vault {
    enum Side { Buy, Sell }
    struct Leg { Side side; uint amount; }
    struct Order { Leg[2] legs; address payable owner; }

    /// @notice An order was filled.
    event Filled(address indexed by, Order order, bytes32[] proofs);

    mapping(address => mapping(uint => Order)) public orders; // by owner

    modifier guarded() { _; }

    constructor(uint8 fee) {}

    /// Fills an order.
    function fill(Order calldata order, IToken[] memory tokens) external guarded returns (bool) {
        return true;
    }

    function _settle(Order memory order) internal {}
}

interface IToken {
    function transfer(address to, uint value) external returns (bool);
}
""",
    "lib.rs": """use std::fmt;

/// A block.
#[derive(Debug)]
pub struct Block { height: u64 }

impl Block {
    /// Its height.
    pub fn height(&self) -> u64 { self.height }
}

pub trait Chain { fn tip(&self) -> Block; }
""",
    "main.go": """package main

// Block is a block.
type Block struct{ Height int }

// Tip returns the tip.
func (b *Block) Tip() int { return b.Height }

func main() {}
""",
    "tool.py": '''"""A tool."""
import os

LIMIT = 3

@cached
def load(path):
    def inner(): ...
    return inner

class Store:
    """Keeps things."""

    @property
    def size(self): return 1
''',
    "app.ts": """import x from "x";

/** A client. */
export class Client<T> {
    private url = "";
    async send(m: string): Promise<void> {}
}

export const start = async () => { return 1; };
export interface Options { retries: number }
""",
    "view.tsx": "export const View = () => { return <p>hi</p>; };\n",
    "plain.js": "function* ids() { yield 1; }\nclass A { run() {} }\n",
}


def titles(blocks: tuple[Block, ...]) -> list[tuple[int, str]]:
    return [(block.level, block.title) for block in blocks if block.kind == "heading" and block.title]


def test_solidity_is_cut_at_what_it_declares() -> None:
    assert titles(read_code(SOURCES["Vault.sol"], "Vault.sol").blocks) == [
        (1, "type Price"),
        (1, "error Short"),
        (1, "contract Vault"),
        (2, "enum Side"),
        (2, "struct Leg"),
        (2, "struct Order"),
        (2, "event Filled"),
        (1, "contract Vault"),
        (2, "modifier guarded"),
        (2, "constructor"),
        (2, "function fill"),
        (2, "function _settle"),
        (1, "interface IToken"),
        (2, "function transfer"),
    ]


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("lib.rs", [(1, "struct Block"), (1, "impl Block"), (2, "function height"), (1, "trait Chain"),
                    (2, "function tip")]),
        ("main.go", [(1, "type Block"), (1, "method Tip"), (1, "function main")]),
        ("tool.py", [(1, "function load"), (1, "class Store"), (2, "function size")]),
        ("app.ts", [(1, "class Client"), (2, "method send"), (1, "function start"), (1, "type Options")]),
        ("view.tsx", [(1, "function View")]),
        ("plain.js", [(1, "function ids"), (1, "class A"), (2, "method run")]),
    ],
)  # fmt: skip
def test_other_languages_are_cut_at_what_they_declare(path: str, expected: list[tuple[int, str]]) -> None:
    assert titles(read_code(SOURCES[path], path).blocks) == expected


@pytest.mark.parametrize(
    ("path", "title", "begins"),
    [
        ("Vault.sol", "error Short", "/// Raised"),
        ("Vault.sol", "contract Vault", "/** A vault. */"),
        ("Vault.sol", "function fill", "    /// Fills"),
        ("lib.rs", "struct Block", "/// A block."),
        ("tool.py", "function load", "@cached"),
        ("tool.py", "function size", "    @property"),
        ("app.ts", "class Client", "/** A client. */"),
        ("main.go", "method Tip", "// Tip"),
    ],
)
def test_a_declaration_begins_with_the_comment_that_speaks_of_it(path: str, title: str, begins: str) -> None:
    found = next(block for block in read_code(SOURCES[path], path).blocks if block.title == title)
    assert SOURCES[path][found.start :].startswith(begins)


def test_a_comment_behind_code_belongs_to_that_code() -> None:
    text = "contract A {\n  uint x; // counts\n  function f() external {}\n}\n"
    found = next(block for block in read_code(text, "a.sol").blocks if block.title == "function f")
    assert text[found.start :].startswith("  function f")


def test_the_licence_that_a_file_states_is_taken() -> None:
    assert read_code(SOURCES["Vault.sol"], "Vault.sol").facts.licence == "GPL-3.0-or-later"
    assert read_code(SOURCES["tool.py"], "tool.py").facts.licence is None


@settings(max_examples=150)
@given(data=st.data())
def test_broken_code_is_read_and_its_blocks_are_in_order(data: st.DataObject) -> None:
    path = data.draw(st.sampled_from(sorted(SOURCES)))
    text = SOURCES[path]
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, len(text)))
    junk = data.draw(st.text(alphabet="{}()[];\"'/*é\n\t\0 contract function", max_size=30))
    broken = text[:start] + junk + text[end:]
    read = read_code(broken, path)
    assert read.text == broken
    position = 0
    for block in read.blocks:
        assert position <= block.start < block.end <= len(broken)
        position = block.end
    assert all(0 <= at < len(broken) for at, _ in read.identifiers)


@pytest.mark.parametrize("suffix", sorted(GRAMMARS))
def test_every_grammar_opens(suffix: str) -> None:
    assert read_code("", f"a{suffix}").blocks == ()


def found_in(text: str) -> dict[str, int]:
    return {name: at for at, name in read_code(text, "a.sol").identifiers}


def test_signatures_have_their_types_resolved() -> None:
    text = SOURCES["Vault.sol"]
    order = "((uint8,uint256)[2],address)"
    signatures = {
        "Short(uint256,uint128)",
        f"Filled(address,{order},bytes32[])",
        "orders(address,uint256)",
        f"fill({order},address[])",
        f"_settle({order})",
        "transfer(address,uint256)",
    }
    found = found_in(text)
    assert {name for name in found if not name.startswith("0x")} == signatures
    assert text[found["Short(uint256,uint128)"] :].startswith("error Short")
    assert text[found["orders(address,uint256)"] :].startswith("mapping")
    called = signatures - {f"_settle({order})", f"Filled(address,{order},bytes32[])"}
    selectors = {"0x" + function_signature_to_4byte_selector(name).hex() for name in called}
    assert selectors <= found.keys()
    assert "0x" + function_signature_to_4byte_selector(f"_settle({order})").hex() not in found


@pytest.mark.parametrize(
    ("text", "identifier"),
    [
        (
            "contract A { event Transfer(address indexed a, address indexed b, uint c); }",
            "0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef",
        ),
        ("contract A { function transfer(address a, uint b) public {} }", "0xa9059cbb"),
        ("contract A { function f(function (uint) external c) external {} }", "f(function)"),
        ("interface I { function supportsInterface(bytes4 i) external view returns (bool); }", "0x01ffc9a7"),
        ("contract Old { function f(byte b) {} }", "f(bytes1)"),
        ("contract A { uint[3][] public grid; }", "grid(uint256,uint256)"),
        (
            "library L { struct S { uint a; } function f(mapping(address => S) storage s) external {} }",
            "f(mapping(address => L.S) storage)",
        ),
        ("contract X { struct S { int8 a; } } contract Y { struct S { bool a; } }"
         "contract Z is X { function f(S memory s) external {} }", "f((int8))"),
        ("uint constant K = 6; contract A { function f(uint[K / 4 + 1] a) external {} }", "f(uint256[2])"),
    ],
)  # fmt: skip
def test_well_known_names_come_out(text: str, identifier: str) -> None:
    assert identifier in found_in(text)


@pytest.mark.parametrize(
    "text",
    [
        "contract A { event Made(uint a) anonymous; }",
        "contract A { function f(Unknown u) external {} }",
        "contract A { constructor(uint a) {} receive() external payable {} fallback() external {} }",
        "contract Old { function Old(uint a) public {} }",
        "struct S { S[] inner; } contract A { function f(S memory s) external {} }",
        "contract A { uint internal hidden; }",
        "contract A { function f(uint[9 ** 9 ** 9] memory a, uint[N] memory b) external {} }",
        "contract A { uint constant M = M + 1; function f(uint[M] memory a) external {} }",
    ],
)
def test_what_has_no_selector_gets_none(text: str) -> None:
    assert not [name for name in found_in(text) if name.startswith("0x")]


def test_structs_of_structs_do_not_grow_without_end() -> None:
    layers = "".join(f"struct S{n + 1} {{ S{n} a; S{n} b; }}\n" for n in range(60))
    text = f"struct S0 {{ uint a; }}\n{layers}contract A {{ function f(S60 memory s) external {{}} }}"
    assert not found_in(text)


def test_imported_types_are_followed() -> None:
    files = {
        "src/A.sol": b'import {Kind as K} from "./types/T.sol";'
        b"contract A { function f(K k, T.S memory s) external {} }",
        "src/types/T.sol": b'import "@dep/contracts/Money.sol";'
        b"enum Kind { X } library T { struct S { Money m; } }",
        "lib/dep/contracts/Money.sol": b"type Money is int128;",
    }
    declarations = Declarations({path: path for path in files}, files.get)
    types = declarations.types("src/A.sol", files["src/A.sol"])
    read = read_code(files["src/A.sol"].decode(), "A.sol", types)
    assert "f(uint8,(int128))" in {name for _, name in read.identifiers}


def test_the_nearest_of_files_alike_and_types_of_the_commit_count() -> None:
    files = {
        "src/A.sol": b'import "@kit/token/Kind.sol"; import "absent/B.sol";'
        b"contract A { function f(Kind k, Elsewhere e) external {} }",
        "lib/kit/src/token/Kind.sol": b"type Kind is bytes4;",
        "lib/other/Kind.sol": b"enum Kind { X }",
        "vendor/E.sol": b"struct Elsewhere { address a; }",
    }
    types = Declarations({path: path for path in files}, files.get).types("src/A.sol", files["src/A.sol"])
    read = read_code(files["src/A.sol"].decode(), "A.sol", types)
    assert "f(bytes4,(address))" in {name for _, name in read.identifiers}


def test_files_that_import_each_other_come_to_an_end() -> None:
    files = {"A.sol": b'import "./B.sol"; enum A { X }', "B.sol": b'import "./A.sol"; enum B { X }'}
    types = Declarations({path: path for path in files}, files.get).types("A.sol", files["A.sol"])
    assert types == {"B": "uint8"}
    assert imports(files["A.sol"]).paths == ("./B.sol",)


KINDS = """pragma solidity ^0.8.30;
uint256 constant N = 4;
uint constant HOURS = 36 hours / 1 hours;
type Price is uint128;
type Who is address;
enum Top { A, B }
struct Deep { Top top; Price[N] prices; uint8[2 ** 2 * (1 + 1)][] grid; Who who; }
library L {
    struct S { uint256 a; }
    enum E { A }
    type P is uint64;
    event Told(E e, S s);
    function f(S storage s, mapping(address => S[]) storage m, E e, P p, Deep memory d) external {}
    function g(mapping(address who => mapping(Top => uint256) b) storage m, uint[] storage a, Who w) public {}
    function h(uint[N] memory x, C[] memory t, function(uint) external cb) external pure {}
}
abstract contract Base { uint8 internal constant K = 255; uint constant Z = 2 << 3; }
contract C is Base {
    uint constant W = K % 16 + 7 / 2 * 2 ** 3 - (6 & 3);
    mapping(Top => mapping(Price p => Deep[])) public deep;
    function(uint) external returns (bool) public cb;
    bool transient public flag;
    function b(uint[K / 5] memory, uint[Z - 1][] memory, int[N ** N >> 3 | 1] memory, int[W] memory) public {}
    function d(L.E k, Deep calldata x, address payable y, Who[HOURS] memory w, bytes1[1e1] memory) public {}
    event Moved(address indexed, Deep, L.E[] indexed e, function(uint) external f);
    event Quiet(uint a) anonymous;
    error Oops(Deep d, Price);
}
"""
"""Types of every kind, in the places where they count."""


def selectors_of(abi: list[dict[str, Any]]) -> Iterator[str]:
    """What the compiler's interface says, hashed by eth-utils."""
    for item in abi:
        if item["type"] == "event" and not item.get("anonymous"):
            yield "0x" + event_abi_to_log_topic(item).hex()  # type: ignore[arg-type]
        elif item["type"] in ("function", "error"):
            yield "0x" + function_abi_to_4byte_selector({**item, "type": "function"}).hex()  # type: ignore[typeddict-item]


@pytest.mark.parametrize("text", [SOURCES["Vault.sol"], KINDS], ids=["a contract", "all kinds of types"])
def test_the_compiler_finds_the_same(text: str) -> None:
    solc = ROOT / ".npm-tools" / "node_modules" / "solc" / "solc.js"
    if not solc.is_file():
        pytest.skip("no solc: npm install solc@0.8.37 in .npm-tools")
    asked = {
        "language": "Solidity",
        "sources": {"Vault.sol": {"content": text}},
        "settings": {"outputSelection": {"*": {"*": ["abi", "evm.methodIdentifiers"]}}},
    }
    done = subprocess.run(
        ["node", solc, "--standard-json"],
        input=json.dumps(asked),
        capture_output=True,
        encoding="utf-8",
        timeout=HANG,
    )
    contracts = json.loads(done.stdout[done.stdout.index("{") :])["contracts"]["Vault.sol"]
    expected = {
        f"0x{selector}" for one in contracts.values() for selector in one["evm"]["methodIdentifiers"].values()
    }
    kinds = [item for one in contracts.values() for item in one["abi"] if item["type"] != "function"]
    found = {name for name in found_in(text) if name.startswith("0x")}
    short = "0x" + function_signature_to_4byte_selector("Short(uint256,uint128)").hex()  # used by no contract
    assert found - {short} == expected | set(selectors_of(kinds))


@pytest.mark.parametrize("package", PACKAGES)
def test_published_contracts_have_all_selectors_of_their_interfaces(package: str) -> None:
    folder = ROOT / ".npm-tools" / "node_modules" / package
    if not folder.is_dir():
        pytest.skip(f"no {package} in .npm-tools")
    files = {str(f.relative_to(folder)): f.read_bytes() for f in folder.rglob("*.sol") if f.is_file()}
    declarations = Declarations({path: path for path in files}, files.get)
    found: set[str] = set()
    for path, body in files.items():
        read = read_code(body.decode(), path, declarations.types(path, body))
        found |= {name for _, name in read.identifiers}
    compiled = [json.loads(file.read_text("utf-8")) for file in folder.rglob("*.json")]
    interfaces = [body["abi"] for body in compiled if isinstance(body, dict) and "abi" in body]
    expected = {selector for abi in interfaces for selector in selectors_of(abi)}
    assert len(expected) > 40
    assert expected <= found
