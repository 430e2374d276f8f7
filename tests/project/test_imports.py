"""No package imports itself in a circle, lazily hidden or not; the stub names what is there."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import otoscope
from tests.support.paths import ROOT

SOURCE = ROOT / "python" / "otoscope"


def module_name(path: Path) -> str:
    """Name the module of a file: python/otoscope/a/__init__.py is otoscope.a."""
    parts = path.relative_to(SOURCE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_name(path): path for path in sorted(SOURCE.rglob("*.py"))}


def imported(node: ast.AST) -> Iterator[str]:
    """Name the modules that a statement imports; a name from a package is the package's."""
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    if isinstance(node, ast.ImportFrom):
        assert node.level == 0, "imports are absolute"
        for alias in node.names:
            submodule = f"{node.module}.{alias.name}"
            yield submodule if submodule in MODULES else str(node.module)


def type_checking(tree: ast.Module) -> set[ast.AST]:
    """Collect the statements under ``if TYPE_CHECKING``: they run in no interpreter."""
    blocks = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.If)
        and isinstance(node.test, ast.Name)
        and node.test.id == "TYPE_CHECKING"
    ]
    return {inner for block in blocks for inner in ast.walk(block)}


def graph() -> dict[str, set[str]]:
    """Map each module to the modules that it imports, in functions too."""
    edges = {}
    for name, path in MODULES.items():
        tree = ast.parse(path.read_text(encoding="utf-8"))
        skipped = type_checking(tree)
        edges[name] = {
            target
            for node in ast.walk(tree)
            if node not in skipped
            for target in imported(node)
            if target in MODULES and target != name and target != "otoscope"
        }
    return edges


def cycles(edges: dict[str, set[str]]) -> list[frozenset[str]]:
    """List the strongly connected components of more than one module (Tarjan)."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    result = []

    def visit(name: str) -> None:
        index[name] = low[name] = len(index)
        stack.append(name)
        for target in edges[name]:
            if target not in index:
                visit(target)
                low[name] = min(low[name], low[target])
            elif target in stack:
                low[name] = min(low[name], index[target])
        if low[name] == index[name]:
            place = stack.index(name)
            component = frozenset(stack[place:])
            del stack[place:]
            if len(component) > 1:
                result.append(component)

    for name in edges:
        if name not in index:
            visit(name)
    return result


KNOWN: set[frozenset[str]] = set()


def test_no_modules_import_each_other_in_a_circle() -> None:
    assert {tuple(sorted(c)) for c in cycles(graph())} == {tuple(sorted(c)) for c in KNOWN}


def test_a_cycle_is_found() -> None:
    edges = {"a": {"b"}, "b": {"c"}, "c": {"b"}, "d": {"a"}}
    assert cycles(edges) == [frozenset({"b", "c"})]


@pytest.mark.parametrize("name", sorted(otoscope.__all__))
def test_the_stub_names_what_is_there(name: str) -> None:
    assert getattr(otoscope, name) is not None


def test_nothing_is_compiled_by_numba() -> None:
    """It takes 20 s on a new machine, and processes that do so at the same time can crash."""
    for name, path in MODULES.items():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            roots = {target.split(".")[0] for target in imported(node)}
            assert not roots & {"librosa", "numba"}, name


def test_drawing_and_tables_are_imported_at_their_first_use() -> None:
    """Of all reports, results and workflows: pandas may be missing, and matplotlib is slow."""
    late = ("pandas", "matplotlib", "tqdm.auto", "IPython", "ipywidgets")
    script = f"""
import sys
from importlib import import_module
for name in ("", ".report", ".report.figures", ".report.notebook.plots", ".report.notebook.tops",
             ".workflows", ".explain", ".attack", ".intervene", ".metrics", ".progress"):
    module = import_module("otoscope" + name)
    if name in (".report", ".workflows"):
        for public in module.__all__:
            getattr(module, public)
print([name for name in {late} if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stdout == "[]\n", done.stderr
