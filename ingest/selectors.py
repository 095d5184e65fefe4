"""The names by which contracts are called on a chain: signatures, selectors, topics.

A signature is a name with the canonical types of its parameters. The first four bytes of its keccak-256 are
the selector of a function or an error; all 32 are the topic of an event (Solidity's contract ABI
specification, "Function Selector" and "Events"). A signature that needs an unknown type is left out.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import reduce
from itertools import count
from operator import xor
from typing import TYPE_CHECKING

from ingest.grammar import SOLIDITY
from ingest.solidity_types import (
    LONGEST,
    NO_TYPES,
    Resolver,
    Types,
    declared,
    name_of,
    nested,
    text_of,
    type_of,
)

if TYPE_CHECKING:
    from tree_sitter import Node

__all__ = ["NO_TYPES", "DeclaredEvent", "Imports", "Parameter", "Types", "events", "identifiers", "imports"]

_SIGNED = ("function_definition", "event_definition", "error_declaration")


@dataclass(frozen=True, slots=True)
class Imports:
    """What a Solidity file declares and imports. types: see `Types`; paths: of imports, as written."""

    types: Types = field(default_factory=dict)
    paths: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of an event. type: canonical; None where another declaration decides it."""

    name: str
    type: str | None
    indexed: bool


@dataclass(frozen=True, slots=True)
class DeclaredEvent:
    """An event as Solidity declares it."""

    name: str
    parameters: tuple[Parameter, ...]
    anonymous: bool


def keccak(signature: str) -> bytes:
    """The keccak-256 of a signature.

    >>> keccak("transfer(address,uint256)")[:4].hex()
    'a9059cbb'
    """
    from eth_utils.crypto import keccak

    return bytes(keccak(text=signature))


def imports(body: bytes) -> Imports:
    """What a Solidity file declares for others, and which files it imports."""
    root = SOLIDITY.parse(body)
    sources = [child for child in root.children if child.type == "import_directive"]
    quoted = [text_of(node.child_by_field_name("source")) for node in sources]
    return Imports(dict(declared(root)), tuple(text[1:-1] for text in quoted if text))


def identifiers(root: Node, imported: Types) -> list[tuple[int, str]]:
    """The signatures, selectors and topics that a Solidity file declares, with their offsets in bytes.

    imported: the types of the files that it imports. Functions that no transaction can call give their
    signature alone; an interface also gives its ERC-165 identifier.
    """
    types = Resolver({**imported, **dict(declared(root))})
    found = []
    for scope, node in _members(root):
        found += [(node.start_byte, name) for name in _names(scope, node, types)]
    for child in root.children:
        if child.type == "interface_declaration":
            found += _interface(child, types)
    return found


def _names(scope: Node | None, node: Node, types: Resolver) -> Iterator[str]:
    signature = _signature(scope, node, types)
    if signature is None:
        return
    yield signature
    if node.type == "event_definition":
        if not any(child.type == "anonymous" for child in node.children):
            yield "0x" + keccak(signature).hex()
    elif node.type != "function_definition" or _callable(scope, node):
        yield "0x" + keccak(signature)[:4].hex()


def events(body: bytes) -> Iterator[DeclaredEvent]:
    """The events that a piece of Solidity declares, wherever it was cut. Arguments have names, if need be."""
    waiting = [SOLIDITY.parse(body)]
    while waiting:
        node = waiting.pop()
        if node.type == "event_definition":
            parameters = [child for child in node.children if child.type == "event_parameter"]
            anonymous = any(child.type == "anonymous" for child in node.children)
            yield DeclaredEvent(name_of(node), tuple(map(_parameter, count(), parameters)), anonymous)
        elif node.type != "function_body":
            waiting += reversed(node.children)


def _parameter(at: int, node: Node) -> Parameter:
    kind = type_of(node.child_by_field_name("type"), "")
    is_own = kind is None or "{" in kind or "=" in kind
    indexed = any(child.type == "indexed" for child in node.children)
    return Parameter(name_of(node) or f"arg{at}", None if is_own else kind, indexed)


def _signature(scope: Node | None, node: Node, types: Resolver) -> str | None:
    """The signature of a function, event, error or of the getter of a public variable."""
    name, where = name_of(node), name_of(scope)
    if node.type == "state_variable_declaration":
        given = _getter(node, where)
    elif name == where:  # a constructor, before Solidity 0.5
        return None
    else:
        library = scope is not None and scope.type == "library_declaration"
        given = _given(node, where, library and node.type == "function_definition")
    resolved = [types.resolved(text) for text in given]
    signature = f"{name}({','.join(text or '' for text in resolved)})"
    return signature if all(resolved) and len(signature) <= LONGEST else None


def _given(node: Node, where: str, library: bool) -> list[str | None]:
    """The types of parameters; a library's functions have those of their own by name, and say `storage`.

    Solidity's documentation, "Function Signatures and Selectors in Libraries".
    """
    given = []
    for child in node.children:
        if child.type.endswith("parameter") and child.type != "return_parameter":
            kind = type_of(child.child_by_field_name("type"), where, library)
            stored = library and any(text_of(part) == "storage" for part in child.children)
            given.append(f"{kind} storage" if kind and stored else kind)
    return given


def _callable(scope: Node | None, node: Node) -> bool:
    """Whether a function can be called from outside; before Solidity 0.5 it was, where nothing is said."""
    said = {text_of(child) for child in node.children if child.type == "visibility"}
    return scope is not None and not said & {"internal", "private"}


def _getter(variable: Node, where: str) -> list[str | None]:
    """What the getter of a public variable takes: the keys of its mappings and arrays."""
    given: list[str | None] = []
    node = variable.child_by_field_name("type")
    while node is not None:
        key, inner = node.child_by_field_name("key_type"), node.child_by_field_name("value_type")
        if key is not None:
            given.append(type_of(key, where))
        elif any(child.type == "[" for child in node.children):
            given, inner = [*given, "uint256"], node.named_children[0]
        node = inner
    return given


def _interface(node: Node, types: Resolver) -> Iterator[tuple[int, str]]:
    """The ERC-165 identifier: the exclusive or of the selectors of an interface's own functions."""
    functions = [member for scope, member in _members(node) if member.type == "function_definition"]
    signatures = [_signature(node, function, types) for function in functions]
    if signatures and all(signatures):
        selectors = (int.from_bytes(keccak(text)[:4]) for text in signatures if text)
        yield node.start_byte, f"0x{reduce(xor, selectors):08x}"


def _members(root: Node) -> Iterator[tuple[Node | None, Node]]:
    """Functions, events, errors and public variables, each with the contract that it is a member of."""
    for scope, node in nested(root):
        public = any(text_of(child) == "public" for child in node.children if child.type == "visibility")
        if node.type in _SIGNED or (node.type == "state_variable_declaration" and public):
            yield scope, node
