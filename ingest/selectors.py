"""The names by which contracts are called on a chain: signatures, selectors, topics.

A signature is a name with the canonical types of its parameters. The first four bytes of its keccak-256 are
the selector of a function or an error; all 32 are the topic of an event (Solidity's contract ABI
specification, "Function Selector" and "Events"). Enums, contracts, structs and value types count as what they
are encoded as, where their declaration is known; a signature that needs an unknown one is left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import reduce
from operator import xor
from types import MappingProxyType
from typing import TYPE_CHECKING

from ingest.grammar import SOLIDITY

if TYPE_CHECKING:
    from tree_sitter import Node

Types = Mapping[str, str]
"""What user-defined types are encoded as, by qualified name.

Names of other types stand in braces, each with the contract that it is looked up from:
`{"Pool.Order": "({Pool:Side},uint256)", "Pool.Side": "uint8"}`.
"""

NO_TYPES: Types = MappingProxyType({})

_SHORT = {
    "uint": "uint256",
    "int": "int256",
    "byte": "bytes1",
    "fixed": "fixed128x18",
    "ufixed": "ufixed128x18",
}
_NAMED = re.compile(r"\{([^{}:]*):([^{}:]*)\}")
_ALIAS = re.compile(r"(?<![\w$])([\w$]+)\s+as\s+([\w$]+)")
_SIGNED = ("function_definition", "event_definition", "error_declaration")
_SCOPES = ("contract_declaration", "interface_declaration", "library_declaration")
_LONGEST = 2000
"""Characters of the longest signature: structs of structs could grow without end."""


@dataclass(frozen=True, slots=True)
class Imports:
    """What a Solidity file declares and imports. types: see `Types`; paths: of imports, as written."""

    types: Types = field(default_factory=dict)
    paths: tuple[str, ...] = ()


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
    quoted = [_text(node.child_by_field_name("source")) for node in sources]
    return Imports(dict(_declared(root)), tuple(text[1:-1] for text in quoted if text))


def identifiers(root: Node, imported: Types) -> list[tuple[int, str]]:
    """The signatures, selectors and topics that a Solidity file declares, with their offsets in bytes.

    imported: the types of the files that it imports. Functions that no transaction can call give their
    signature alone; an interface also gives its ERC-165 identifier.
    """
    types = _Resolver({**imported, **dict(_declared(root))})
    found = []
    for scope, node in _members(root):
        found += [(node.start_byte, name) for name in _names(scope, node, types)]
    for child in root.children:
        if child.type == "interface_declaration":
            found += _interface(child, types)
    return found


def _names(scope: Node | None, node: Node, types: _Resolver) -> Iterator[str]:
    signature = _signature(scope, node, types)
    if signature is None:
        return
    yield signature
    if node.type == "event_definition":
        if not any(child.type == "anonymous" for child in node.children):
            yield "0x" + keccak(signature).hex()
    elif node.type != "function_definition" or _callable(scope, node):
        yield "0x" + keccak(signature)[:4].hex()


def _signature(scope: Node | None, node: Node, types: _Resolver) -> str | None:
    """The signature of a function, event, error or of the getter of a public variable."""
    name, where = _text(node.child_by_field_name("name")), _name(scope)
    if node.type == "state_variable_declaration":
        given = _getter(node, where)
    else:
        if name == where:  # a constructor, before Solidity 0.5
            return None
        parameters = [child for child in node.children if child.type.endswith("parameter")]
        given = [_type(child.child_by_field_name("type"), where) for child in parameters]
        if scope is not None and scope.type == "library_declaration" and _by_reference(node, given):
            return None
    resolved = [types.resolved(text) for text in given]
    signature = f"{name}({','.join(text or '' for text in resolved)})"
    return signature if all(resolved) and len(signature) <= _LONGEST else None


def _by_reference(node: Node, given: Iterable[str | None]) -> bool:
    """Whether a library's function takes what only libraries take: their signatures have other rules."""
    own = any(text and "{" in text for text in given)
    return node.type == "function_definition" and (own or " storage " in _text(node).partition("{")[0])


def _callable(scope: Node | None, node: Node) -> bool:
    """Whether a function can be called from outside; before Solidity 0.5 it was, where nothing is said."""
    said = {_text(child) for child in node.children if child.type == "visibility"}
    return scope is not None and not said & {"internal", "private"}


def _getter(variable: Node, where: str) -> list[str | None]:
    """What the getter of a public variable takes: the keys of its mappings and arrays."""
    given: list[str | None] = []
    node = variable.child_by_field_name("type")
    while node is not None:
        key, inner = node.child_by_field_name("key_type"), node.child_by_field_name("value_type")
        if key is not None:
            given.append(_type(key, where))
        elif any(child.type == "[" for child in node.children):
            given, inner = [*given, "uint256"], node.named_children[0]
        node = inner
    return given


def _interface(node: Node, types: _Resolver) -> Iterator[tuple[int, str]]:
    """The ERC-165 identifier: the exclusive or of the selectors of an interface's own functions."""
    functions = [member for scope, member in _members(node) if member.type == "function_definition"]
    signatures = [_signature(node, function, types) for function in functions]
    if signatures and all(signatures):
        selectors = (int.from_bytes(keccak(text)[:4]) for text in signatures if text)
        yield node.start_byte, f"0x{reduce(xor, selectors):08x}"


def _members(root: Node) -> Iterator[tuple[Node | None, Node]]:
    """Functions, events, errors and public variables, each with the contract that it is a member of."""
    for scope, node in _nested(root):
        public = any(_text(child) == "public" for child in node.children if child.type == "visibility")
        if node.type in _SIGNED or (node.type == "state_variable_declaration" and public):
            yield scope, node


def _nested(root: Node) -> Iterator[tuple[Node | None, Node]]:
    """What stands at the top, and in contracts, each with its contract. A contract may be the root."""
    for node in [root] if root.type in _SCOPES else root.children:
        yield None, node
        body = node.child_by_field_name("body") if node.type in _SCOPES else None
        for member in body.children if body is not None else ():
            yield node, member


def _declared(root: Node) -> Iterator[tuple[str, str]]:
    """Entries of `Types` for what a file declares."""
    for scope, node in _nested(root):
        where, name = _name(scope), _name(node)
        encoded: str | None = None
        if node.type in _SCOPES:
            encoded = "address"
        elif node.type == "enum_declaration":
            encoded = "uint8"
        elif node.type == "user_defined_type_definition":
            encoded = _type(next((c for c in node.children if c.type == "primitive_type"), None), where)
        elif node.type == "struct_declaration":
            encoded = _tuple(node, where)
        elif node.type == "import_directive":
            yield from ((alias, f"{{:{old}}}") for old, alias in _ALIAS.findall(_text(node)))
        if encoded is not None:
            yield f"{where}.{name}" if where else name, encoded


def _tuple(struct: Node, where: str) -> str | None:
    body = struct.child_by_field_name("body")
    members = [child for child in body.children if child.type == "struct_member"] if body else []
    encoded = [_type(member.child_by_field_name("type"), where) for member in members]
    return f"({','.join(text or '' for text in encoded)})" if encoded and all(encoded) else None


def _type(node: Node | None, where: str) -> str | None:
    """A type as `Types` has it, looked up from the contract `where`; None for what no signature holds."""
    if node is None:
        return None
    if node.type == "primitive_type":
        name = _text(node).split()[0]
        return _SHORT.get(name, name)
    if node.type == "user_defined_type":
        return f"{{{where}:{''.join(_text(node).split())}}}"
    if node.child_by_field_name("key_type") is not None:
        return None
    if node.children and node.children[0].type == "function":
        return "function"
    if not any(child.type == "[" for child in node.children):
        return _type(next(iter(node.named_children), None), where)
    element, *size = node.named_children
    inner, length = _type(element, where), _text(size[0]).replace("_", "") if size else ""
    return f"{inner}[{length}]" if inner and (not size or length.isdecimal()) else None


class _Resolver:
    """Replaces the names of types by what they are encoded as."""

    def __init__(self, types: Types) -> None:
        self._types = types
        self._by_last: dict[str, list[str]] = {}
        for name in types:
            self._by_last.setdefault(name.rpartition(".")[2], []).append(name)
        self._found: dict[str, str | None] = {}

    def resolved(self, text: str | None) -> str | None:
        """A text of `Types` without braces; None where a name in it is not known or has two meanings."""
        if text is None:
            return None
        parts, end = [], 0
        for match in _NAMED.finditer(text):
            found = self._looked_up(match[1], match[2])
            if found is None:
                return None
            parts += [text[end : match.start()], found]
            end = match.end()
        whole = "".join([*parts, text[end:]])
        return whole if len(whole) <= _LONGEST else None

    def _looked_up(self, where: str, name: str) -> str | None:
        """What a name stands for in a contract: one of its own, one at the top, or else the only one."""
        for qualified in (f"{where}.{name}", name):
            if qualified in self._types:
                return self._of(qualified)
        found = {self._of(other) for other in self._by_last.get(name.rpartition(".")[2], ())}
        return found.pop() if len(found) == 1 else None

    def _of(self, qualified: str) -> str | None:
        if qualified not in self._found:
            self._found[qualified] = None  # a struct within itself has no encoding
            self._found[qualified] = self.resolved(self._types[qualified])
        return self._found[qualified]


def _name(node: Node | None) -> str:
    return _text(node.child_by_field_name("name")) if node is not None else ""


def _text(node: Node | None) -> str:
    return node.text.decode(errors="replace") if node is not None and node.text else ""
