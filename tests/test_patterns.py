"""Every pattern takes linear time, whatever text it reads.

The patterns are found in the modules of the packages and in their source, and timed on texts made from
their own parse trees: each repeat is pumped behind what comes before it, and made to fail behind that.
"""

from __future__ import annotations

import ast
import builtins
import importlib
import itertools
import re
import signal
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from re import _constants as sre  # type: ignore[attr-defined]
from re import _parser  # type: ignore[attr-defined]
from types import ModuleType
from typing import Any

from tests.test_house import MODULES, name_of

Pattern = re.Pattern[Any]

LENGTH = 6144
"""Characters of a text; a quarter of it takes a quarter of a linear time, a sixteenth of a quadratic one."""
GROWTH = 8.0
TRIFLE = 0.001
"""Seconds in which a text may be read without a look at a quarter of it."""
LIMIT = 1.0
"""Seconds of processor time after which a match is stopped; a linear one takes milliseconds."""

CHARACTERS = "a0 .A\n-_(<`*[\"'/\\{$,:;@#|=&%+~!?)>]}\t\r–…“”²\u00a0"
COMMON = (
    *"aA0.,:;-_*#()[]{}<>`'\"“|&=/@$~%\n\t\0 ",
    "\r\n", " \n", "0 ", "1,", "1.1", "0x", "0xa", "aA", "a ", "A a ", "a.", ". ", "a-", "a@",
    "()", "](", "[[", "<ref>", "<ref",
    "</ref>", "<!--", "<pre>", r"\label{a}", r"\begin", "&\\\\", "```", "http://", "/t/",
)  # fmt: skip
REPEATS = {sre.MAX_REPEAT, sre.MIN_REPEAT, sre.POSSESSIVE_REPEAT}
CATEGORIES = {
    sre.CATEGORY_DIGIT: re.compile(r"\d"),
    sre.CATEGORY_NOT_DIGIT: re.compile(r"\D"),
    sre.CATEGORY_SPACE: re.compile(r"\s"),
    sre.CATEGORY_NOT_SPACE: re.compile(r"\S"),
    sre.CATEGORY_WORD: re.compile(r"\w"),
    sre.CATEGORY_NOT_WORD: re.compile(r"\W"),
}
ENDINGS = ("\n", "_", "\0", " a")
SCANS = {"sub": "findall", "subn": "findall", "split": "findall", "finditer": "findall"}
METHODS = {"match", "fullmatch", "search", "findall", *SCANS}


def test_every_pattern_takes_linear_time() -> None:
    slow = {}
    for (pattern, use), where in found().items():
        if bad := next((text for text in texts(pattern) if is_slow(getattr(pattern, use), text)), None):
            slow[f"{where} {use} {pattern.pattern!r}"[:300]] = bad(30)
    assert not slow


# The patterns


def found() -> dict[tuple[Pattern, str], str]:
    """Every pattern with each way in which it is used, and where it stands."""
    out: dict[tuple[Pattern, str], str] = {}
    trees = {importlib.import_module(name_of(file)): ast.parse(file.read_text("utf-8")) for file in MODULES}
    everywhere = uses(*trees.values())
    for module, tree in trees.items():
        here = uses(tree)
        passed = set.union(set(), *(methods for name, methods in here.items() if name.islower()))
        for name, value in named(module):
            used = (here if name.startswith("_") else everywhere).get(name)
            for pattern, use in itertools.product(held(value), used or passed or METHODS):
                out.setdefault((pattern, SCANS.get(use, use)), f"{module.__name__}.{name}")
        for pattern, use, line in written(tree, module):
            out.setdefault((pattern, SCANS.get(use, use)), f"{module.__name__}:{line}")
    return out


def named(module: ModuleType) -> Iterator[tuple[str, object]]:
    """The values of a module and of its classes, by name."""
    for name, value in vars(module).items():
        yield name, value
        if isinstance(value, type) and value.__module__ == module.__name__:
            yield from ((name, one) for name, one in vars(value).items() if not name.startswith("__"))


def held(value: object) -> Iterator[Pattern]:
    """The patterns in a value: itself, or those in collections, however deep."""
    if isinstance(value, re.Pattern):
        yield value
    elif isinstance(value, Mapping | list | tuple | set | frozenset):
        for one in value.values() if isinstance(value, Mapping) else value:
            yield from held(one)


def uses(*trees: ast.AST) -> dict[str, set[str]]:
    """The methods of patterns that are called on each name; texts have `split` too, and lower-case names."""
    out: dict[str, set[str]] = defaultdict(set)
    for node in itertools.chain.from_iterable(map(ast.walk, trees)):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name | ast.Attribute):
            name = node.value.id if isinstance(node.value, ast.Name) else node.value.attr
            if node.attr in METHODS and name != "re" and not (name.islower() and node.attr == "split"):
                out[name].add(node.attr)
    return out


def written(tree: ast.AST, module: ModuleType) -> Iterator[tuple[Pattern, str, int]]:
    """The patterns in functions, and the method; a name that only a run knows stands for the letter a."""
    local = (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))
    for node in itertools.chain.from_iterable(map(ast.walk, local)):
        match node:
            case ast.Call(ast.Attribute(ast.Call(ast.Attribute(ast.Name("re"), "compile")) as made, use)):
                yield compiled(made, module), use, node.lineno
            case ast.Call(ast.Attribute(ast.Name("re"), use)) if use in METHODS:
                yield compiled(node, module), use, node.lineno
            case ast.Assign([ast.Name()], ast.Call(ast.Attribute(ast.Name("re"), "compile")) as made):
                yield compiled(made, module), "search", node.lineno


class Names(dict[str, object]):
    """The names of a module; any other is a builtin or the letter a."""

    def __missing__(self, name: str) -> object:
        return getattr(builtins, name, "a")


def compiled(call: ast.Call, module: ModuleType) -> Pattern:
    names = Names(vars(module))
    assert not isinstance(call.args[0], ast.Name) or call.args[0].id in names, ast.unparse(call)

    def value(node: ast.expr) -> Any:
        if isinstance(node, ast.JoinedStr):
            return "".join(str(value(part)) for part in node.values)
        if isinstance(node, ast.FormattedValue):
            try:
                return value(node.value)
            except (AttributeError, TypeError):
                return "a"
        return eval(compile(ast.Expression(node), "", "eval"), {}, names)  # noqa: S307 the packages' own source

    flags = next((value(one.value) for one in call.keywords if one.arg == "flags"), 0)
    if (
        not flags
        and isinstance(call.args[-1], ast.Attribute)
        and ast.unparse(call.args[-1]).startswith("re.")
    ):
        flags = value(call.args[-1])
    return re.compile(value(call.args[0]), flags)


# The texts


def texts(pattern: Pattern) -> Iterator[Callable[[int], Any]]:
    """Texts of a given length that the pattern may read for long: what it repeats, and common marks."""
    tree = _parser.parse(pattern.pattern, pattern.flags)
    units = {("", unit, "") for unit in (*COMMON, sample(tree), sample(tree)[:-1]) if unit}
    for before, body in pumps(tree, ""):
        units |= {(before, body, end) for end in ENDINGS} | {("", before + body, "\0")}
        units |= {("", before, ""), ("a" + before, body, "a")}
    for before, body, end in sorted(unit for unit in units if unit[1]):

        def text(length: int, before: str = before, body: str = body, end: str = end) -> Any:
            whole = before + body * ((length - len(before)) // len(body)) + end
            return whole if isinstance(pattern.pattern, str) else whole.encode("latin-1", "replace")

        yield text


def pumps(tree: Any, before: str) -> Iterator[tuple[str, str]]:
    """What comes before each repeat of a parse tree, and what it repeats."""
    for op, value in tree:
        for part in parts(op, value):
            yield from pumps(part, before)
        if op in REPEATS and value[1] > 8:
            yield from ((before, body) for body in variants(value[2])[:6])
        before += "\n" if before and value is sre.AT_BEGINNING else sample([(op, value)])


def parts(op: Any, value: Any) -> list[Any]:
    """The trees in a node."""
    if op in REPEATS:
        return [value[2]]
    if op is sre.SUBPATTERN:
        return [value[3]]
    if op is sre.BRANCH:
        return list(value[1])
    if op in (sre.ASSERT, sre.ASSERT_NOT):
        return [value[1]]
    if op is sre.GROUPREF_EXISTS:
        return [part for part in value[1:] if part is not None]
    return [value] if op is sre.ATOMIC_GROUP else []


def sample(tree: Any) -> str:
    """A short text that the tree matches, but for what it only looks at."""
    return next(iter(variants(tree)), "")


def variants(tree: Any) -> list[str]:
    """Texts that the tree matches, which differ in one of its nodes."""
    nodes = [
        ["\n"] if at and value is sre.AT_BEGINNING else choices(op, value)
        for at, (op, value) in enumerate(tree)
    ]
    plain = [node[0] for node in nodes]
    out = ["".join(plain)]
    for at, node in enumerate(nodes):
        out += ["".join([*plain[:at], one, *plain[at + 1 :]]) for one in node[1:]]
    return list(dict.fromkeys(out))[:12]


def choices(op: Any, value: Any) -> list[str]:
    """Short texts that a node matches, never none."""
    if op in REPEATS:
        return [one * value[0] for one in variants(value[2])] if value[0] else ["", *variants(value[2])]
    if op is sre.BRANCH:
        return [one for branch in value[1] for one in variants(branch)[:2]]
    if op in (sre.SUBPATTERN, sre.ATOMIC_GROUP):
        return variants(parts(op, value)[0])
    if op is sre.LITERAL:
        return [chr(value)]
    if op is sre.NOT_LITERAL:
        return [one for one in CHARACTERS if ord(one) != value][:4]
    if op is sre.ANY:
        return ["a", " ", "0"]
    return members(value) if op is sre.IN else [""]


def members(items: Any) -> list[str]:
    """Characters of a class, such as are likely to be in its neighbours too."""
    negated = items[0][0] is sre.NEGATE
    inside = [one for one in CHARACTERS if any(belongs(one, *item) for item in items) != negated]
    if inside or negated:
        return [*inside[:3], *inside[3:][-1:]]
    op, value = items[0]
    return [chr(value if op is sre.LITERAL else value[0])]


def belongs(character: str, op: Any, value: Any) -> bool:
    if op is sre.RANGE:
        return bool(value[0] <= ord(character) <= value[1])
    if op is sre.CATEGORY:
        return bool(CATEGORIES[value].fullmatch(character))
    return op is sre.LITERAL and ord(character) == value


# The time


def is_slow(match: Callable[[Any], object], text: Callable[[int], Any]) -> bool:
    """Whether the time grows faster than the text; in doubt, the best of more and more tries is looked at."""
    long = seconds(match, text(LENGTH))
    for tries in (0, 2, 4):
        long = min([long, *(seconds(match, text(LENGTH)) for _ in range(tries))])
        if long < TRIFLE:
            return False
        short = min(seconds(match, text(LENGTH // 4)) for _ in range(2 + tries))
        if long < min(GROWTH * short, LIMIT):
            return False
    return True


class TooLong(Exception):
    """A match was stopped."""


def stop(*_: object) -> None:
    raise TooLong


def seconds(match: Callable[[Any], object], text: Any) -> float:
    """The processor time of a match, LIMIT at most."""
    before = signal.signal(signal.SIGVTALRM, stop)
    signal.setitimer(signal.ITIMER_VIRTUAL, LIMIT)
    start = time.thread_time()
    try:
        match(text)
    except TooLong:
        return LIMIT
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)
    return time.thread_time() - start
