"""The grammars of programming languages, and what of each is worth a heading."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tree_sitter import Language, Node, Parser, Query

_ECMASCRIPT = """
(class_declaration name: (_) @name) @class
(function_declaration name: (_) @name) @function
(generator_function_declaration name: (_) @name) @function
(method_definition name: (_) @name) @method
(variable_declarator name: (identifier) @name value: [(arrow_function) (function_expression)]) @function
"""
_TYPESCRIPT = (
    _ECMASCRIPT
    + """
(abstract_class_declaration name: (_) @name) @class
(interface_declaration name: (_) @name) @type
(enum_declaration name: (_) @name) @enum
(type_alias_declaration name: (_) @name) @type
(internal_module name: (_) @name) @namespace
(module name: (_) @name) @namespace
(public_field_definition name: (_) @name value: (arrow_function)) @method
"""
)


@dataclass(frozen=True)
class Grammar:
    """A language as tree-sitter parses it.

    module, function: where the grammar is; outline: a query whose captures are declarations, each called what
    a heading calls it, with its `@name`.
    """

    module: str
    outline: str
    function: str = "language"

    def parse(self, body: bytes) -> Node:
        """The root of the syntax tree of UTF-8 text; what cannot be parsed stands in it as an error."""
        return _opened(self)[0].parse(body).root_node

    def declarations(self, root: Node) -> list[tuple[str, Node, Node]]:
        """What the text declares, in order: what it is, its node, and the node of its name."""
        from tree_sitter import QueryCursor

        found = []
        for _, captures in QueryCursor(_opened(self)[1]).matches(root):
            [name] = captures.pop("name")
            [(label, [node])] = captures.items()
            found.append((label, node, name))
        return sorted(found, key=lambda declaration: (declaration[1].start_byte, -declaration[1].end_byte))


@cache
def _opened(grammar: Grammar) -> tuple[Parser, Query]:
    from tree_sitter import Language, Parser, Query

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # some grammars give a pointer as a number
        language: Language = Language(getattr(import_module(grammar.module), grammar.function)())
    return Parser(language), Query(language, grammar.outline)


SOLIDITY = Grammar(
    "tree_sitter_solidity",
    """
(contract_declaration name: (_) @name) @contract
(interface_declaration name: (_) @name) @interface
(library_declaration name: (_) @name) @library
(function_definition name: (_) @name) @function
(constructor_definition "constructor" @name) @constructor
(fallback_receive_definition ["fallback" "receive" "function"] @name) @function
(modifier_definition name: (_) @name) @modifier
(event_definition name: (_) @name) @event
(error_declaration name: (_) @name) @error
(struct_declaration name: (_) @name) @struct
(enum_declaration name: (_) @name) @enum
(user_defined_type_definition name: (_) @name) @type
""",
)
_RUST = Grammar(
    "tree_sitter_rust",
    """
(mod_item name: (_) @name body: (_)) @mod
(impl_item type: (_) @name) @impl
(trait_item name: (_) @name) @trait
(function_item name: (_) @name) @function
(function_signature_item name: (_) @name) @function
(struct_item name: (_) @name) @struct
(enum_item name: (_) @name) @enum
(union_item name: (_) @name) @union
(type_item name: (_) @name) @type
(macro_definition name: (_) @name) @macro
""",
)
_GO = Grammar(
    "tree_sitter_go",
    """
(function_declaration name: (_) @name) @function
(method_declaration name: (_) @name) @method
(type_declaration . (type_spec name: (_) @name) .) @type
(type_declaration "(" (type_spec name: (_) @name) @type)
""",
)
_PYTHON = Grammar(
    "tree_sitter_python",
    """
(class_definition name: (_) @name) @class
(function_definition name: (_) @name) @function
""",
)
_JAVASCRIPT = Grammar("tree_sitter_javascript", _ECMASCRIPT)
_TYPED = Grammar("tree_sitter_typescript", _TYPESCRIPT, "language_typescript")
_TSX = Grammar("tree_sitter_typescript", _TYPESCRIPT, "language_tsx")

GRAMMARS = {
    ".sol": SOLIDITY,
    ".rs": _RUST,
    ".go": _GO,
    ".py": _PYTHON,
    ".pyi": _PYTHON,
    ".js": _JAVASCRIPT,
    ".jsx": _JAVASCRIPT,
    ".mjs": _JAVASCRIPT,
    ".cjs": _JAVASCRIPT,
    ".ts": _TYPED,
    ".mts": _TYPED,
    ".cts": _TYPED,
    ".tsx": _TSX,
}
"""The grammar of a file by its extension."""

CONTAINERS = {"contract", "interface", "library", "mod", "impl", "trait", "class", "namespace"}
"""Declarations whose members have headings of their own, below theirs."""

WRAPPERS = {
    "ambient_declaration",
    "decorated_definition",
    "export_statement",
    "expression_statement",
    "lexical_declaration",
    "variable_declaration",
}
"""Nodes that begin earlier than the declaration in them and belong to it."""

PREFIXES = {"attribute_item", "block_comment", "comment", "decorator", "line_comment"}
"""Nodes before a declaration that speak of it."""
