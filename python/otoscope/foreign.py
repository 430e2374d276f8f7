"""Bounded readers of files from elsewhere: JSON, archives of arrays, and pickles.

A file decides neither what is executed, nor how much memory or time its reading takes. Sizes are
checked before anything is unpacked, nesting has a limit, and whatever a parser raises at a damaged
file becomes one `ParameterError` (`refusing`).
"""

from __future__ import annotations

import codecs
import json
import math
import pickletools
import zipfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from otoscope.errors import CudaUnavailable, MissingExtra, ParameterError

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = [
    "files_below",
    "is_listed",
    "parse_json",
    "read_array",
    "read_arrays",
    "read_json",
    "read_text",
    "refusing",
    "require_small_pickle",
]

_DEPTH = 100  # levels of a JSON text: code that walks through a value is recursive
_TEXT = 1 << 28  # bytes of a JSON text
_ARRAYS = 1 << 26  # bytes that any archive may unpack to
_RATIO = (
    32  # an archive may unpack to this many times its size: noise compresses to 0.9, zeros 0.001
)
_REFERENCES = 16  # values of a pickle, references written out, per byte of it

_MARK = pickletools.markobject
_PUTS = ("PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE")
_GETS = ("GET", "BINGET", "LONG_BINGET")
_IMPORTS = ("GLOBAL", "INST", "STACK_GLOBAL", "EXT1", "EXT2", "EXT4")
_FILLS = ("APPEND", "APPENDS", "SETITEM", "SETITEMS", "ADDITEMS", "BUILD")


@contextmanager
def refusing(name: object, claim: str) -> Iterator[None]:
    """Turn any error of a parser into one ParameterError: "NAME CLAIM (reason)".

    Damaged files make parsers raise nearly anything. Errors that state their remedy pass, and so do
    those of the operating system that name a file.
    """
    try:
        yield
    except ParameterError as err:
        if str(name) in str(err):
            raise
        raise ParameterError(f"{name} {claim}: {err.message}", advice=err.advice) from err
    except (CudaUnavailable, MissingExtra):
        raise
    except Exception as err:
        if isinstance(err, OSError) and err.filename is not None:
            raise
        reason = f"{type(err).__name__}: {err}".removesuffix(": ")
        raise ParameterError(f"{name} {claim} ({reason})") from err


def files_below(folder: Path, suffixes: Collection[str]) -> list[Path]:
    """List the files below a folder that have one of some endings, sorted.

    A link to nothing is listed, so that it fails by its name. Hidden files are left out: those
    below .git, and ._song.wav of a Mac; so are pipes and devices.
    """
    paths = (path for path in sorted(folder.rglob("*")) if path.suffix.lower() in suffixes)
    return [
        path
        for path in paths
        if is_listed(path)
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    ]


def is_listed(path: Path) -> bool:
    """Return whether a path is a file or a link to nothing, which then fails by its name."""
    return path.is_file() or (path.is_symlink() and not path.exists())


def read_text(path: Path) -> str:
    """Read a text in UTF-8, with or without a mark at its beginning, or in UTF-16 with a mark.

    Programs for Windows write marks; spreadsheets and PowerShell write UTF-16. Ends of lines stay.
    """
    if not path.is_file():
        raise ParameterError(f"{path} is {'a folder' if path.is_dir() else 'not there'}")
    if (size := path.stat().st_size) > _TEXT:
        raise ParameterError(f"{path} has {size:,} bytes; at most {_TEXT:,} are read as text")
    content = path.read_bytes()
    is_utf_16 = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        return content.decode("utf-16" if is_utf_16 else "utf-8-sig")
    except UnicodeDecodeError as err:
        raise ParameterError(f"{path} is no text in UTF-8: {err}; save it as UTF-8") from err


def parse_json(text: str | bytes, *, name: object) -> Any:
    """Parse a JSON text of bounded size and nesting; ``name`` is used in messages."""
    if len(text) > _TEXT:
        raise ParameterError(f"{name} has {len(text):,} bytes of JSON; at most {_TEXT:,} are read")
    try:
        value = json.loads(text)
        is_deep = _is_deep(value)
    except RecursionError:
        is_deep = True
    except ValueError as err:  # not JSON, not UTF-8, or an integer of thousands of digits
        raise ParameterError(f"{name} is not JSON: {err}") from err
    if is_deep:
        raise ParameterError(f"{name} is nested more than {_DEPTH} levels deep")
    return value


def read_json(path: Path) -> Any:
    """Read a JSON file of bounded size and nesting."""
    if not path.is_file():
        raise ParameterError(f"{path} is {'a folder' if path.is_dir() else 'not there'}")
    if (size := path.stat().st_size) > _TEXT:
        raise ParameterError(f"{path} has {size:,} bytes; at most {_TEXT:,} are read as JSON")
    return parse_json(path.read_bytes(), name=path)


def read_arrays(path: Path, names: Collection[str]) -> tuple[dict[str, NDArray[Any]], list[str]]:
    """Read the arrays of an .npz file that ``names`` lists; return them and all names in the file.

    Other members are not unpacked. The size of an array must be that of its member in the archive,
    and the archive may not unpack to far more than its own size.
    """
    if not path.is_file():
        raise ParameterError(f"{path} is {'a folder' if path.is_dir() else 'not there'}")
    with (
        refusing(path, "cannot be read as .npz without pickles"),
        zipfile.ZipFile(path) as archive,
    ):
        members = {info.filename.removesuffix(".npy"): info for info in archive.infolist()}
        needed = {name: members[name] for name in names if name in members}
        unpacked = sum(info.file_size for info in needed.values())
        if unpacked > max(_ARRAYS, _RATIO * path.stat().st_size):
            raise ParameterError(
                f"{', '.join(needed)} unpack to {unpacked:,} bytes, {path.stat().st_size:,} are "
                f"in the file: more than {_RATIO} times as many"
            )
        arrays = {}
        for name, info in needed.items():
            with archive.open(info) as member:
                arrays[name] = _array(name, member, info.file_size)
    return arrays, list(members)


def read_array(path: Path) -> NDArray[Any]:
    """Read an .npy file of numbers or texts, whose header agrees with the size of the file."""
    if not path.is_file():
        raise ParameterError(f"{path} is {'a folder' if path.is_dir() else 'not there'}")
    with refusing(path, "cannot be read as .npy without pickles"), path.open("rb") as file:
        return _array("the array", file, path.stat().st_size)


def require_small_pickle(raw: bytes, *, names: Collection[str] | None = None) -> None:
    """Refuse a pickle whose values are far more than its bytes once references are written out.

    A tuple that holds a tuple twice, which holds another one twice, ... takes 2^n steps to hash, to
    compare and to print. The instructions are followed on a graph of values, none of which is made.
    ``names`` lists what the pickle may import ("module name"); by default the reader decides.
    """
    children: list[list[int]] = []  # the values that each value holds, by number
    stack: list[int] = []
    marks: list[int] = []  # heights of the stack
    memo: dict[int, int] = {}
    for opcode, argument, _ in pickletools.genops(raw):
        name, before = opcode.name, opcode.stack_before
        if names is not None and name in _IMPORTS and argument not in names:
            raise ParameterError(f"it asks for {argument or name}; only plain values are read")
        place = len(memo) if name == "MEMOIZE" else argument
        if name in _PUTS:
            if not isinstance(place, int) or place > len(raw):  # the memo has all indices below
                raise ParameterError(f"it remembers {place} things, in {len(raw)} bytes")
            memo[place] = stack[-1]
        elif name in _GETS:
            stack.append(memo[place])  # type: ignore[index]
        elif name == "DUP":
            stack.append(stack[-1])
        elif name == "MARK":
            marks.append(len(stack))
        elif name == "POP" and marks and marks[-1] == len(stack):
            marks.pop()
        else:
            has_mark = _MARK in before
            begin = marks.pop() - before.index(_MARK) if has_mark else len(stack) - len(before)
            if begin < 0:
                raise ValueError(f"{name} on an empty stack")
            taken = stack[begin:]
            del stack[begin:]
            if name in _FILLS:
                children[taken[0]] += taken[1:]
                stack.append(taken[0])
            elif opcode.stack_after:
                children.append(taken)
                stack.append(len(children) - 1)
    _require_small_graph(children, _REFERENCES * len(raw))


def _require_small_graph(children: list[list[int]], limit: int) -> None:
    """Refuse a graph that holds a cycle, or a value of more than ``limit`` values written out."""
    sizes: dict[int, int] = {}
    opened: set[int] = set()
    for root in range(len(children)):
        path = [root]
        while path:
            value = path[-1]
            missing = [held for held in children[value] if held not in sizes]
            if value in sizes or not missing:
                sizes.setdefault(value, 1 + sum(sizes[held] for held in children[value]))
                opened.discard(path.pop())
                if sizes[value] > limit:
                    raise ParameterError(
                        "it refers to its values again and again: written out they are more than "
                        f"{limit:,}"
                    )
            elif value in opened:
                raise ParameterError("it holds a value that holds itself")
            else:
                opened.add(value)
                path += missing


def _is_deep(value: Any) -> bool:
    level = [value]
    for _ in range(_DEPTH):
        level = [
            inner
            for outer in level
            if isinstance(outer, dict | list)
            for inner in (outer.values() if isinstance(outer, dict) else outer)
            if isinstance(inner, dict | list)
        ]
    return bool(level)


def _array(name: str, member: IO[bytes], n_bytes: int) -> NDArray[Any]:
    """Read an array of numbers or texts whose header agrees with the size of its member."""
    import numpy as np

    version = np.lib.format.read_magic(member)
    headers = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }
    if version not in headers:
        raise ValueError(f"{name} has version {version}")
    shape, is_fortran, dtype = headers[version](member)
    if dtype.kind not in "biufUS" or not all(size >= 0 for size in shape):
        raise ValueError(f"{name} holds {dtype} of shape {shape}; only numbers and texts are read")
    rest = n_bytes - member.tell()
    if math.prod(shape) * dtype.itemsize != rest:
        raise ValueError(f"{name} has shape {shape} of {dtype}, in {rest:,} bytes")
    values: NDArray[Any] = np.frombuffer(bytearray(member.read(rest)), dtype)
    return values.reshape(shape, order="F" if is_fortran else "C")
