"""The types that Solidity declares, and what the ABI encodes them as.

Enums, contracts, structs and value types count as what they are encoded as, where their declaration is known;
lengths of arrays are computed from the constants that they name (Solidity's contract ABI specification,
"Function Selector" and "Mapping Solidity to ABI types").
"""

from __future__ import annotations

import ast
import math
import operator
import re
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from fractions import Fraction
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tree_sitter import Node

Types = Mapping[str, str]
"""What user-defined types are encoded as, by qualified name.

Names of other types stand in braces, each with the contract that it is looked up from, and lengths that are
to be computed after `=`: `{"Pool.Order": "({Pool:Side},uint256[=2*{Pool:#SIZE}])", "Pool.Side": "uint8",
"Pool.#SIZE": "int(4)", "Price": "~uint128"}`. What has `#` is a constant, what has `~` a value type; a name
after `@` is looked up for a library, which calls all but value types by their names. `Pool.^` are the
contracts that one is derived from.
"""

NO_TYPES: Types = MappingProxyType({})

SCOPES = ("contract_declaration", "interface_declaration", "library_declaration")
LONGEST = 2000
"""Characters of the longest signature: structs of structs could grow without end."""

_BASE = "inheritance_specifier"
_SHORT = {
    "uint": "uint256",
    "int": "int256",
    "byte": "bytes1",
    "fixed": "fixed128x18",
    "ufixed": "ufixed128x18",
}
_NAMED = re.compile(r"\{([^{}:]*):([^{}:]*)\}")
_LENGTH = re.compile(r"\[=([^\[\]{}]*)\]")
_ALIAS = re.compile(r"(?<![\w$])([\w$]+)\s+as\s+([\w$]+)")
_COMMENT = re.compile(r"//[^\n]*|/\*.*?(?:\*/|\Z)", re.DOTALL)
_UNITS = {
    "": 1,
    "wei": 1,
    "gwei": 10**9,
    "ether": 10**18,
    "seconds": 1,
    "minutes": 60,
    "hours": 3600,
    "days": 86_400,
    "weeks": 604_800,
}
_TOKEN = re.compile(
    r"\s*(?:(?P<number>0[xX][\da-fA-F_]{1,99}|\d[\d_]{0,99}(?:\.\d{1,99})?(?:[eE]\d{1,2}(?!\d))?)"
    rf"(?:\s+(?P<unit>{'|'.join(filter(None, _UNITS))})\b)?"
    r"|(?P<name>[A-Za-z_$][\w$]*)|(?P<sign>\*\*|<<|>>|[-+*/%()&|^~]))\s*"
)
_ON_WHOLE: dict[type[ast.AST], Callable[[int, int], int]] = {
    ast.LShift: operator.lshift,
    ast.RShift: operator.rshift,
    ast.BitAnd: operator.and_,
    ast.BitOr: operator.or_,
    ast.BitXor: operator.xor,
}
_ON_ANY: dict[type[ast.AST], Callable[[Fraction, Fraction], Fraction]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
}
_BITS = 512
"""The widest number on the way to a length."""


def nested(root: Node) -> Iterator[tuple[Node | None, Node]]:
    """What stands at the top, and in contracts, each with its contract. A contract may be the root."""
    for node in [root] if root.type in SCOPES else root.children:
        yield None, node
        body = node.child_by_field_name("body") if node.type in SCOPES else None
        for member in body.children if body is not None else ():
            yield node, member


def declared(root: Node) -> Iterator[tuple[str, str]]:
    """Entries of `Types` for what a file declares."""
    for scope, node in nested(root):
        where, name = name_of(scope), name_of(node)
        prefix = f"{where}." if where else ""
        if node.type == "import_directive":
            for old, alias in _ALIAS.findall(text_of(node)):
                yield from ((f"{mark}{alias}", f"{{:{mark}{old}}}") for mark in ("", "#"))
        elif (constant := _constant(node, where)) is not None:
            yield f"{prefix}#{constant[0]}", constant[1]
        elif (encoded := _encoded(node, where)) is not None:
            yield f"{prefix}{name}", encoded
            if bases := [text_of(child).partition("(")[0] for child in node.children if child.type == _BASE]:
                yield f"{name}.^", " ".join(bases)


def _encoded(node: Node, where: str) -> str | None:
    """What the ABI encodes a declared type as."""
    if node.type in SCOPES:
        return "address"
    if node.type == "enum_declaration":
        return "uint8"
    if node.type == "user_defined_type_definition":
        underlying = next((child for child in node.children if child.type == "primitive_type"), None)
        return f"~{type_of(underlying, where)}"
    return _tuple(node, where) if node.type == "struct_declaration" else None


def _tuple(struct: Node, where: str) -> str | None:
    body = struct.child_by_field_name("body")
    members = [child for child in body.children if child.type == "struct_member"] if body else []
    encoded = [type_of(member.child_by_field_name("type"), where) for member in members]
    return f"({','.join(text or '' for text in encoded)})" if encoded and all(encoded) else None


def _constant(node: Node, where: str) -> tuple[str, str] | None:
    """The name of a constant, and the expression of its value."""
    if node.type not in ("constant_variable_declaration", "state_variable_declaration"):
        return None
    if not any(text_of(child) == "constant" for child in node.children):
        return None
    name = next((child for child in node.children if child.type == "identifier"), None)
    value = next((child for child in reversed(node.children) if child.type == "expression"), None)
    expression = _expression(value, where)
    return (text_of(name), f"int({expression})") if name is not None and expression else None


def type_of(node: Node | None, where: str, library: bool = False) -> str | None:
    """A type as `Types` has it, looked up from the contract `where`; None for what no signature holds.

    library: whether it is of a library's function, which calls types by their names.
    """
    if node is None:
        return None
    if node.type == "primitive_type":
        name = text_of(node).split()[0]
        return _SHORT.get(name, name)
    if node.type == "user_defined_type":
        name = "".join(_COMMENT.sub(" ", text_of(node)).split())
        return f"{{{where}:{'@' if library else ''}{name}}}"
    if (key := node.child_by_field_name("key_type")) is not None:
        return _mapping(key, node.child_by_field_name("value_type"), where) if library else None
    if node.children and node.children[0].type == "function":
        return "function"
    if not any(child.type == "[" for child in node.children):
        return type_of(next(iter(node.named_children), None), where, library)
    element, *size = (child for child in node.named_children if child.type != "comment")
    inner = type_of(element, where, library)
    length = _expression(size[0], where) if size else ""
    if inner is None or length is None:
        return None
    return f"{inner}[{length if length.isdecimal() or not length else f'={length}'}]"


def _mapping(key: Node, value: Node | None, where: str) -> str | None:
    of, to = type_of(key, where, library=True), type_of(value, where, library=True)
    return f"mapping({of} => {to})" if of and to else None


def _expression(node: Node | None, where: str) -> str | None:
    """A constant expression in numbers, operators and names of constants; None for any other."""
    text, at, parts = _COMMENT.sub(" ", text_of(node)), 0, list[str]()
    while at < len(text):
        found = _TOKEN.match(text, at)
        if found is None:
            return None
        at = found.end()
        parts.append(_token(found, where))
    return "".join(parts) or None


def _token(found: re.Match[str], where: str) -> str:
    if found["number"]:
        digits, times = found["number"].replace("_", "").lower(), _UNITS[found["unit"] or ""]
        number = Fraction(int(digits, 16)) if digits.startswith("0x") else Fraction(Decimal(digits)) * times
        return str(number) if number.denominator == 1 else f"({number})"
    return f"{{{where}:#{found['name']}}}" if found["name"] else found["sign"]


def computed(expression: str) -> int | None:
    """The value of an expression as Solidity computes it; None where it has none, or a huge one.

    Numbers are exact, as fractions; what stands in `int()` is a constant's, whose division is cut off.

    >>> computed("7/2*2"), computed("int(7)/2*2"), computed("9**9**9"), computed("7/2")
    (7, 6, None, None)
    """
    try:
        return _whole(_value(ast.parse(expression, mode="eval").body)[0])
    except (ValueError, SyntaxError, ArithmeticError, RecursionError, MemoryError, KeyError):
        return None


def _value(node: ast.AST) -> tuple[Fraction, bool]:
    """The value of a part of an expression, and whether it is one of a constant's type."""
    match node:
        case ast.Constant(value=int(number)):
            return Fraction(number), False
        case ast.Call(func=ast.Name(id="int"), args=[inner]):
            return Fraction(_whole(_value(inner)[0])), True
        case ast.UnaryOp(op=ast.USub(), operand=inner):
            value, typed = _value(inner)
            return -value, typed
        case ast.BinOp(left=left, op=op, right=right):
            (one, is_typed), (other, too) = _value(left), _value(right)
            return _bounded(_applied(op, one, other, is_typed or too)), is_typed or too
    raise ValueError("no expression of numbers")


def _applied(op: ast.operator, left: Fraction, right: Fraction, typed: bool) -> Fraction:
    if isinstance(op, ast.Div):
        return Fraction(math.trunc(left / right)) if typed else left / right
    if isinstance(op, ast.Mod):
        return left - right * math.trunc(left / right)
    if isinstance(op, ast.Pow | ast.LShift) and not 0 <= right <= _BITS:
        raise ValueError("too large")
    if isinstance(op, ast.Pow):
        return left ** _whole(right)
    if type(op) in _ON_ANY:
        return _ON_ANY[type(op)](left, right)
    return Fraction(_ON_WHOLE[type(op)](_whole(left), _whole(right)))


def _bounded(value: Fraction) -> Fraction:
    if max(value.numerator.bit_length(), value.denominator.bit_length()) > _BITS:
        raise ValueError("too large")
    return value


def _whole(value: Fraction) -> int:
    if value.denominator != 1:
        raise ValueError("no whole number")
    return value.numerator


class Resolver:
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
            where, name = match[1], match[2]
            found = self._called(where, name[1:]) if name[0] == "@" else self._looked_up(where, name)
            if found is None:
                return None
            parts += [text[end : match.start()], found]
            end = match.end()
        return _with_lengths("".join([*parts, text[end:]]))

    def _looked_up(self, where: str, name: str) -> str | None:
        """What a name stands for in a contract; None where that has two meanings."""
        found = {self._of(qualified) for qualified in self._meant(where, name)}
        return found.pop() if len(found) == 1 else None

    def _called(self, where: str, name: str) -> str | None:
        """What a library calls a type: by its qualified name, or, of a value type, what it is made of."""
        meant = self._meant(where, name)
        if len(meant) != 1:
            return None
        declared_as = self._types[meant[0]]
        if (alias := _NAMED.fullmatch(declared_as)) is not None:
            return self._called(alias[1], alias[2]) if alias[2] != name else None
        return self._of(meant[0]) if declared_as.startswith("~") else meant[0]

    def _meant(self, where: str, name: str) -> list[str]:
        """The qualified names that a name in a contract may mean: its own, one at the top, else any."""
        own = self._inherited(where, name, set()) or (name if name in self._types else None)
        return [own] if own else self._by_last.get(name.rpartition(".")[2], [])

    def _inherited(self, where: str, name: str, seen: set[str]) -> str | None:
        """The qualified name of what a contract declares, or else the contracts that it is derived from."""
        if f"{where}.{name}" in self._types:
            return f"{where}.{name}"
        seen.add(where)
        bases = self._types.get(f"{where}.^", "").split()
        found = (self._inherited(base, name, seen) for base in reversed(bases) if base not in seen)
        return next(filter(None, found), None)

    def _of(self, qualified: str) -> str | None:
        if qualified not in self._found:
            self._found[qualified] = None  # a struct within itself has no encoding
            self._found[qualified] = self.resolved(self._types[qualified].removeprefix("~"))
        return self._found[qualified]


def _with_lengths(text: str) -> str | None:
    """A type whose lengths are numbers; None where one cannot be computed."""
    if len(text) > LONGEST:
        return None
    lengths = [computed(expression) for expression in _LENGTH.findall(text)]
    if any(length is None or length <= 0 for length in lengths):
        return None
    numbers = iter(lengths)
    return _LENGTH.sub(lambda _: f"[{next(numbers)}]", text)


def name_of(node: Node | None) -> str:
    """The name that a declaration gives."""
    return text_of(node.child_by_field_name("name")) if node is not None else ""


def text_of(node: Node | None) -> str:
    """The source of a node."""
    return node.text.decode(errors="replace") if node is not None and node.text else ""
