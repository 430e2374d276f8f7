"""Values as JSON, and texts as they are shown.

JSON has no NaN and no infinity: both are written as null. Scalars and arrays of NumPy and torch
become numbers and lists, dataclasses become objects.
"""

from __future__ import annotations

import json
import math
import platform
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import fields, is_dataclass
from functools import cache
from importlib import metadata
from os import PathLike
from pathlib import Path, PurePath
from typing import Any

from otoscope.errors import ParameterError

__all__ = ["cell", "distinct_names", "printable", "to_json", "to_plain", "versions"]

_OBEYED = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)
_BREAKS = re.compile(f"[\t\n]|{_OBEYED.pattern}")
_FORMULAS = tuple("=+-@＝＋－＠")
_SPACES = tuple("\t\r\n")


def distinct_names(paths: Iterable[str | PathLike[str]]) -> dict[str, str]:
    """Name files by the shortest ends of their paths that tell them apart.

    Parameters
    ----------
    paths : iterable of str or PathLike
        Paths; one that is given again is one file.

    Returns
    -------
    dict of str to str
        Name of each path.

    Examples
    --------
    >>> distinct_names(["data/a/1.wav", "data/b/1.wav", "data/b/2.wav"])
    {'data/a/1.wav': 'a/1.wav', 'data/b/1.wav': 'b/1.wav', 'data/b/2.wav': '2.wav'}
    """
    parts = {str(path): PurePath(path).parts for path in paths}
    names, left, length = {path: path for path in parts}, dict(parts), 1
    while left:
        ends = {path: of_path[-length:] for path, of_path in left.items()}
        counts = Counter(of_path[-length:] for of_path in parts.values())
        for path, end in ends.items():
            if counts[end] == 1:
                names[path] = str(PurePath(*end))
            if counts[end] == 1 or len(end) < length:
                del left[path]
        length += 1
    return names


def to_json(value: object, *, indent: int | None = None) -> str:
    """Convert a value to ASCII JSON text.

    Parameters
    ----------
    value : object
        None, bool, int, float, str, Path, dict with str keys, list, tuple, dataclass, NumPy or
        torch scalar or array, or nestings of these. NaN and infinities become null.
    indent : int, optional
        Spaces per level; by default the text is a single line.

    Returns
    -------
    str
        JSON text.

    Raises
    ------
    ParameterError
        If a value cannot be written as JSON.

    Examples
    --------
    >>> import numpy as np
    >>> to_json({"snr_db": np.float32(40), "p_value": float("nan"), "lag_frames": np.arange(3)})
    '{"snr_db": 40.0, "p_value": null, "lag_frames": [0, 1, 2]}'
    """
    return json.dumps(to_plain(value), indent=indent, allow_nan=False)


def to_plain(value: object) -> Any:
    """Convert a value to the types of JSON.

    Parameters
    ----------
    value : object
        Value of a type that `to_json` accepts.

    Returns
    -------
    None, bool, int, float, str, list or dict
        Result of parsing the value's JSON: tuples and arrays as lists, dataclasses as dicts, NaN
        and infinities as None.

    Raises
    ------
    ParameterError
        If a value cannot be written as JSON.

    Examples
    --------
    >>> to_plain({"snr_db": (40.0, float("inf"))})
    {'snr_db': [40.0, None]}
    """
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, list | tuple):
        return [to_plain(item) for item in value]
    if isinstance(value, Mapping):
        if odd := [name for name in value if not isinstance(name, str)]:
            raise ParameterError(f"an object in JSON has the name {odd[0]!r}; names are strings")
        return {name: to_plain(item) for name, item in value.items()}
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: to_plain(getattr(value, field.name)) for field in fields(value)}
    if hasattr(value, "tolist"):  # NumPy and torch, scalars and arrays
        return to_plain(value.tolist())
    raise ParameterError(
        f"{value!r} of type {type(value).__name__} has no form in JSON; "
        "give numbers, strings, lists, dicts, dataclasses or arrays"
    )


def printable(text: str, *, is_line: bool = False) -> str:
    r"""Escape what a terminal or an editor would obey: control characters, marks of direction.

    Parameters
    ----------
    text : str
        Text of anybody, such as the name of a file.
    is_line : bool, default False
        Whether the text is one line: tabs and line feeds are escaped as well.

    Returns
    -------
    str
        Text in which those characters, and those that no encoding has, are escaped as in Python;
        tabs and line feeds of a text stay.

    Examples
    --------
    >>> printable("\x1b[31mred.wav")
    '\\x1b[31mred.wav'
    """
    obeyed = _BREAKS if is_line else _OBEYED
    return obeyed.sub(lambda match: match[0].encode("unicode_escape").decode("ascii"), text)


def cell(text: str, *, is_path: bool = False) -> str:
    """Make a text the cell of a table that no spreadsheet takes for a formula.

    Parameters
    ----------
    text : str
        Text of anybody.
    is_path : bool
        Whether the text is a path, which then stays one.

    Returns
    -------
    str
        Printable text; after "./" or, if it is no path, an apostrophe, where a formula would begin.

    Examples
    --------
    >>> cell("=SUM(A1).wav", is_path=True), cell("-singing"), cell("a.wav")
    ('./=SUM(A1).wav', "'-singing", 'a.wav')
    """
    begins = text[:1] in _SPACES or text.lstrip()[:1] in _FORMULAS
    prefix = ("./" if is_path else "'") if text and begins else ""
    return prefix + printable(text).replace("\n", "\\n")


@cache
def versions() -> Mapping[str, str]:
    """Return the versions of otoscope, torch, numpy and python, "not installed" where missing."""
    installed = {name: _version(name) for name in ("otoscope", "torch", "numpy")}
    return {**installed, "python": platform.python_version()}


def _version(distribution: str) -> str:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return "not installed"
