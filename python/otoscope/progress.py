"""Progress of long work: a callback, or True for bars that vanish when they are done."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Sized
from typing import Any, TypeAlias

from otoscope.errors import ParameterError

__all__ = ["Display", "Progress", "silent", "tracked"]

Display: TypeAlias = Callable[[Any, str], Iterable[Any]]
"""Called with items, some without length, and a description; yields them while it shows how many
are done."""

Progress: TypeAlias = Display | bool
"""True shows tqdm's bars, in a notebook or on stderr; False shows nothing."""


def silent(items: Iterable[Any], description: str) -> Iterable[Any]:
    """Return the items without showing anything."""
    return items


def tracked(progress: Progress, items: Iterable[Any], description: str) -> Iterable[Any]:
    """Yield items while ``progress`` shows how many are done; a single one has no bar of tqdm."""
    if callable(progress):
        return progress(items, description)
    if not isinstance(progress, bool):
        raise ParameterError(
            f"progress is {progress!r}, must be True, False or a function of items and description"
        )
    is_long = not isinstance(items, Sized) or len(items) > 1
    return _bar(items, description) if progress and is_long else items


def _bar(items: Iterable[Any], description: str) -> Iterable[Any]:
    with warnings.catch_warnings():  # without ipywidgets a notebook gets the bar as text
        warnings.simplefilter("ignore")
        from tqdm.auto import tqdm
    bar: Iterable[Any] = tqdm(items, desc=description, leave=False)
    return bar
