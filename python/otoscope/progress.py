"""Progress of long work: a callback, or True for bars that vanish when they are done."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeAlias

from otoscope.errors import ParameterError

__all__ = ["Display", "Progress", "silent", "tracked"]

Display: TypeAlias = Callable[[Sequence[Any], str], Iterable[Any]]
"""Called with items and a description; yields the items while showing how many are done."""

Progress: TypeAlias = Display | bool
"""True shows tqdm's bars, in a notebook or on stderr; False shows nothing."""


def silent(items: Sequence[Any], description: str) -> Iterable[Any]:
    """Return the items without showing anything."""
    return items


def tracked(progress: Progress, items: Sequence[Any], description: str) -> Iterable[Any]:
    """Yield items while ``progress`` shows how many are done; a single one has no bar of tqdm."""
    if callable(progress):
        return progress(items, description)
    if not isinstance(progress, bool):
        raise ParameterError(
            f"progress is {progress!r}, must be True, False or a function of items and description"
        )
    return _bar(items, description) if progress and len(items) > 1 else items


def _bar(items: Sequence[Any], description: str) -> Iterable[Any]:
    with warnings.catch_warnings():  # without ipywidgets a notebook gets the bar as text
        warnings.simplefilter("ignore")
        from tqdm.auto import tqdm
    bar: Iterable[Any] = tqdm(items, desc=description, leave=False)
    return bar
