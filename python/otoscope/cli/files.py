"""Files of a command: outputs are checked and claimed before any work, inputs are never written to.

An option that writes is declared by `output`. From these declarations `guarded` knows the outputs
of every command; all other values that name a file or a folder are inputs. A file that an output
would replace must be one that the same option has written before, or be empty.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any, Literal

from otoscope.errors import ParameterError
from otoscope.records import claimed, remove_dead_drafts

__all__ = [
    "ADVERSARY",
    "BUNDLE",
    "FIGURE",
    "HTML",
    "JSON",
    "JSON_OR_RECORDS",
    "MODEL_FILE",
    "RECORDS",
    "REPORT_FOLDER",
    "STDOUT",
    "TABLE",
    "TUNES",
    "guarded",
    "output",
    "require_ours",
]

STDOUT = Path("-")

_HEAD = 4096  # bytes in which a file of ours says so

HTML = re.compile(rb'<meta name="generator" content="otoscope">')
JSON = re.compile(rb'\A\s*(\{\s*"format": "otoscope\.|\[\s*\{\s*"name": "[^"]*",\s*"description")')
JSON_OR_RECORDS = re.compile(JSON.pattern + rb'|\A\{"key": ')
RECORDS = re.compile(rb'\A\{"key": ')
TABLE = re.compile(rb"^file,start_s,duration_s,target,output,")
TUNES = re.compile(rb"\AX:\d+\nT:[^\n]*, (seed \d+, tune|continuation) \d+\n")
ADVERSARY = re.compile(rb"otoscope attack")
FIGURE = re.compile(rb"Matplotlib v")
BUNDLE = re.compile(rb'\A\{\s*"format": "otoscope bundle ')
MODEL_FILE = re.compile(rb'\A\{\s*"format": "otoscope folk-rnn ')

Kind = Literal["file", "folder", "new folder", "shared folder", "bundle", "file or folder"]


@dataclass(frozen=True)
class _Output:
    """Output of an option.

    ``mark`` is found in the first bytes of a file that the option has written. ``replaces`` are
    files that a folder's command writes, each with its mark. A shared folder may have several
    writers at a time; a bundle is two files, without their suffixes; of a file or folder, the one
    with a suffix is a file.
    """

    kind: Kind
    mark: re.Pattern[bytes] | None
    replaces: dict[str, re.Pattern[bytes]]


def output(
    kind: Kind,
    mark: re.Pattern[bytes] | None = None,
    *,
    replaces: dict[str, re.Pattern[bytes]] | None = None,
) -> Callable[[Path | None], Path | None]:
    """Declare what an option writes, as the callback of ``typer.Option``; see `_Output`."""

    def keep(path: Path | None) -> Path | None:
        return path

    vars(keep)["output"] = _Output(kind, mark, replaces or {})
    return keep


REPORT_FOLDER = output("folder", replaces={"report.html": HTML})


@contextmanager
def guarded(ctx: Any) -> Iterator[None]:
    """Check and claim the outputs of a command while the block runs.

    Raises
    ------
    ParameterError
        If an output cannot be written, is an input or another output, is a file that the command
        has not written, or is being written by another process.
    """
    outputs, inputs = _outputs(ctx), _inputs(ctx)
    written = [place for path, declared in outputs for place in _places(path, declared)]
    for path, declared in outputs:
        _require_writable(path, declared)
    for path in written:
        if any(_is_same(path, place) for place in inputs):
            raise ParameterError(f"{path} is an input of this command: name another output")
    for path, other in combinations(written, 2):
        if _is_same(path, other):
            raise ParameterError(f"{path} and {other} are one output: name two")
    for path, declared in outputs:
        for place, mark in _replaced(path, declared).items():
            require_ours(place, mark)
        if declared.kind == "bundle":
            description, weights = _places(path, declared)
            if weights.exists() and not description.exists():  # weights have no mark of their own
                raise _not_ours(weights)
    owned = [place for path, declared in outputs for place in _places(path, declared, owned=True)]
    with claimed(*owned):
        for folder in {place.resolve().parent for place in owned} | {*filter(Path.is_dir, written)}:
            remove_dead_drafts(folder)
        yield


def _outputs(ctx: Any) -> list[tuple[Path, _Output]]:
    return [
        (Path(value), declared)
        for parameter in ctx.command.params
        if (declared := _declared(parameter)) and (value := ctx.params.get(parameter.name))
        if Path(value) != STDOUT and "://" not in str(value)  # of an object store
    ]


def _declared(parameter: Any) -> _Output | None:
    declared = getattr(parameter.callback, "output", None)
    return declared if isinstance(declared, _Output) else None


def _inputs(ctx: Any) -> list[Path]:
    """List the files and folders that values name, alone, as FILE.py:FUNCTION or as a model."""
    places = []
    for parameter in ctx.command.params:
        value, is_model = ctx.params.get(parameter.name), "model" in str(parameter.name)
        for item in value if isinstance(value, list | tuple) else [value]:
            if _declared(parameter) is None and isinstance(item, str | Path) and str(item):
                places += [str(item), *(_files_of_model(str(item)) if is_model else ())]
    return [Path(place) for place in places if place and _exists(place)]


def _files_of_model(name: str) -> list[str]:
    """List the places of FILE.py:FUNCTION, of a bundle, and of the folder of a training."""
    stem = name.removesuffix(".json").removesuffix(".safetensors")
    suffixes = (".json", ".safetensors")
    bundles = [f"{base}{suffix}" for base in (stem, f"{name}/model") for suffix in suffixes]
    return [name.rpartition(":")[0], *bundles]


def _exists(place: str) -> bool:
    try:
        return Path(place).exists()
    except (OSError, ValueError):  # a text that is no path
        return False


def _places(path: Path, declared: _Output, *, owned: bool = False) -> list[Path]:
    """List the files or the folder of an output; ``owned``: those that have one writer."""
    if declared.kind == "bundle":
        return [path.with_name(f"{path.name}{end}") for end in (".json", ".safetensors")]
    return [] if owned and declared.kind == "shared folder" else [path]


def _replaced(path: Path, declared: _Output) -> dict[Path, re.Pattern[bytes]]:
    """Return the files that an output may replace, with their marks."""
    if declared.kind == "bundle" and declared.mark:
        return {_places(path, declared)[0]: declared.mark}
    if declared.mark:
        return {path: declared.mark}
    return {path / name: mark for name, mark in declared.replaces.items()}


def _require_writable(path: Path, declared: _Output) -> None:
    """Refuse a file or a folder that cannot be made or written."""
    kind = declared.kind
    if kind == "file or folder":
        kind = "file" if path.suffix and not path.is_dir() else "folder"
    if kind in ("file", "bundle"):
        if path.is_dir() and kind == "file":
            raise ParameterError(f"{path} is a folder; give the path of a file")
        if path.exists() and not path.is_file() and kind == "file":
            raise ParameterError(f"{path} is not a regular file; give the path of a file")
        folder = Path(os.path.realpath(path)).parent  # of a link: where it leads
        if not folder.exists():
            named = path.parent if not path.is_symlink() else folder
            raise ParameterError(f"{path} cannot be written: there is no folder {named}")
    else:
        folder = next(p for p in (path, *path.absolute().parents) if p.exists())
        if not folder.is_dir():
            raise ParameterError(f"{path} cannot be written: {folder} is not a folder")
        if declared.kind == "new folder" and path.is_dir() and any(path.iterdir()):
            raise ParameterError(f"{path} is not an empty folder; name a new one")
    if not os.access(folder, os.W_OK):
        raise ParameterError(f"{path} cannot be written: no permission for {folder}")


def require_ours(path: Path, mark: re.Pattern[bytes]) -> None:
    """Refuse to replace a file that is neither empty nor has the mark of the option's files."""
    if not path.is_file():
        return
    with path.open("rb") as file:
        head = file.read(_HEAD)
    if head and not mark.search(head):
        raise _not_ours(path)


def _not_ours(path: Path) -> ParameterError:
    return ParameterError(
        f"{path} exists, and this option has not written it; name another file, or remove it"
    )


def _is_same(path: Path, other: Path) -> bool:
    if path.exists() and other.exists():
        return path.samefile(other)
    return os.path.normcase(path.resolve()) == os.path.normcase(other.resolve())
