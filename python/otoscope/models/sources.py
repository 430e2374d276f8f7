"""Files that a user's model depends on: sources that it imports, and data that it reads.

What is installed (the standard library, packages, otoscope) is left out.
"""

from __future__ import annotations

import ast
import importlib.machinery
import os
import re
import site
import sys
import sysconfig
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, TypeGuard

from torch import nn

__all__ = ["environment_of", "files_read", "own_sources"]

_EXTENSIONS = importlib.machinery.EXTENSION_SUFFIXES
_NAME = re.compile(r"[^\0\n*?<>|]{1,200}")  # a text that may be a file's name
_READS_ENVIRONMENT = re.compile(rb"environ|getenv")
_WRITTEN_BY_PROGRAMS = {"", ".log", ".out", ".tmp", ".jsonl", ".pyc"}  # or not files of data

_recorded: set[Path] | None = None


@contextmanager
def files_read() -> Iterator[set[Path]]:
    """Record the files that Python opens for reading in the block, in any thread.

    Left out are modules (see `own_sources`) and caches: what is below a hidden folder of the
    user's home.
    """
    global _recorded  # an audit hook stays for ever, so there is a single one
    _install_hook()
    opened: set[Path] = set()
    files: set[Path] = set()
    before, _recorded = _recorded, opened
    try:
        yield files
    finally:
        _recorded = before
        files |= {file for path in opened if _is_data(file := path.resolve())}


def own_sources(main: Path, model: Any) -> set[Path]:
    """Return a user's file, and the user's files that it needs.

    These are the sources and extension modules that it imports, those of the model's classes, and
    the files that texts in the code name, such as weights that are read at the first call.
    """
    parts = list(model.modules()) if isinstance(model, nn.Module) else [model]
    names = {str(getattr(part, "__module__", type(part).__module__)) for part in parts}
    files = [getattr(sys.modules[name], "__file__", None) for name in names if name in sys.modules]
    waiting = [main.resolve(), *(Path(file).resolve() for file in files if file)]
    sources: set[Path] = set()
    while waiting:
        file = waiting.pop()
        if file in sources or not file.is_file() or not _is_own(file):
            continue
        sources.add(file)
        if file.suffix == ".py":
            tree = _parsed(file)
            waiting += [*_imported(tree, file, main.resolve().parent), *_named(tree, file)]
    return sources


def environment_of(sources: Iterable[Path]) -> dict[str, str]:
    """Return the variables of the environment that code names, if it reads the environment."""
    values: dict[str, str] = {}
    for file in sources:
        if file.suffix == ".py" and _READS_ENVIRONMENT.search(file.read_bytes()):
            texts = _texts(_parsed(file))
            values |= {text: os.environ[text] for text in texts if text in os.environ}
    return values


def _imported(tree: ast.AST, file: Path, folder: Path) -> Iterator[Path]:
    """List the places where the modules may be that code imports, in any of its lines."""
    roots = [folder, *(Path(entry).resolve() for entry in sys.path)]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            places = [(root, alias.name) for alias in node.names for root in roots]
        elif isinstance(node, ast.ImportFrom):
            within = [file.parents[node.level - 1]] if node.level else roots
            parent = node.module or ""
            names = [parent, *(f"{parent}.{alias.name}".strip(".") for alias in node.names)]
            places = [(root, name) for name in names for root in within]
        elif isinstance(node, ast.Constant) and _is_module_name(node.value):
            places = [(root, node.value) for root in roots]  # for importlib
        else:
            continue
        for root, name in places:
            steps = name.split(".") if name else []
            for depth in range(len(steps) + 1):  # importing a.b runs a too
                place = root.joinpath(*steps[:depth])
                yield place / "__init__.py"
                if depth:
                    yield from (place.with_name(place.name + end) for end in (".py", *_EXTENSIONS))


def _named(tree: ast.AST, file: Path) -> Iterator[Path]:
    """List the places of the data that code may mean by its texts, two of which may make a path."""
    texts = [text for text in _texts(tree) if _NAME.fullmatch(text)]
    roots = [file.parent, Path.cwd()]
    folders = [root / text for root in roots for text in texts if (root / text).is_dir()]
    for folder in (*roots, *folders):
        yield from (
            place for text in texts if (place := folder / text).suffix not in _WRITTEN_BY_PROGRAMS
        )


def _parsed(file: Path) -> ast.Module:
    """Return the code of a file; none if it is a text of another kind, which nothing imports."""
    try:
        return ast.parse(file.read_bytes())
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return ast.Module([], [])


def _texts(tree: ast.AST) -> list[str]:
    nodes = [node for node in ast.walk(tree) if isinstance(node, ast.Constant)]
    return sorted({node.value for node in nodes if isinstance(node.value, str)})


def _is_module_name(value: object) -> TypeGuard[str]:
    return isinstance(value, str) and all(step.isidentifier() for step in value.split("."))


def _is_data(file: Path) -> bool:
    home = Path(os.path.expanduser("~")).resolve()  # noqa: PTH111 - Path.home() may raise
    is_hidden = home in file.parents and file.relative_to(home).parts[0].startswith(".")
    return file.is_file() and file.suffix not in (".py", ".pyc") and not is_hidden and _is_own(file)


def _is_own(file: Path) -> bool:
    return not any(folder in file.parents for folder in _installed())


@cache
def _installed() -> tuple[Path, ...]:
    paths = sysconfig.get_paths()
    folders: list[str] = [paths[name] for name in ("stdlib", "platstdlib", "purelib", "platlib")]
    folders += [*site.getsitepackages(), site.getusersitepackages()]
    system = ("/proc", "/sys", "/dev")
    return (
        *(Path(folder).resolve() for folder in (*folders, *system)),
        Path(__file__).resolve().parents[1],
    )


@cache
def _install_hook() -> None:
    def record(event: str, arguments: tuple[Any, ...]) -> None:
        if event != "open" or _recorded is None:
            return
        path, mode, flags = arguments
        is_read = "r" in mode and "+" not in mode if mode else flags & 3 == os.O_RDONLY
        if is_read and isinstance(path, str | bytes | os.PathLike):
            _recorded.add(Path(os.fsdecode(path)).absolute())

    sys.addaudithook(record)
