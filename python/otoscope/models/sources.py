"""Files that a user's model depends on: sources that it imports, and data that it reads.

What is installed (the standard library, packages, otoscope) is left out.
"""

from __future__ import annotations

import ast
import os
import site
import sys
import sysconfig
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from torch import nn

__all__ = ["files_read", "own_sources"]

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
    """Return a user's file, the user's files that it imports, and those of the model's classes."""
    parts = list(model.modules()) if isinstance(model, nn.Module) else [model]
    names = {str(getattr(part, "__module__", type(part).__module__)) for part in parts}
    modules = [sys.modules[name] for name in names if name in sys.modules]
    waiting = [main.resolve(), *(Path(it.__file__).resolve() for it in modules if it.__file__)]
    sources: set[Path] = set()
    while waiting:
        file = waiting.pop()
        if file not in sources and file.suffix == ".py" and file.is_file() and _is_own(file):
            sources.add(file)
            waiting += _imported(file, main.resolve().parent)
    return sources


def _imported(file: Path, folder: Path) -> Iterator[Path]:
    """List the places where the modules may be that a file imports, in any of its lines."""
    roots = [folder, *(Path(entry).resolve() for entry in sys.path)]
    for node in ast.walk(ast.parse(file.read_bytes())):
        if isinstance(node, ast.Import):
            places = [(root, alias.name) for alias in node.names for root in roots]
        elif isinstance(node, ast.ImportFrom):
            within = [file.parents[node.level - 1]] if node.level else roots
            parent = node.module or ""
            names = [parent, *(f"{parent}.{alias.name}".strip(".") for alias in node.names)]
            places = [(root, name) for name in names for root in within]
        else:
            continue
        for root, name in places:
            steps = name.split(".") if name else []
            for depth in range(len(steps) + 1):  # importing a.b runs a too
                place = root.joinpath(*steps[:depth])
                yield place / "__init__.py"
                if depth:
                    yield place.with_name(f"{place.name}.py")


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
