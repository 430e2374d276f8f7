"""Printed collections of folk tunes: ABC files that come in music21's wheel, in the public domain.

music21 itself is not imported, and nothing of it is copied.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Final

from otoscope.errors import MissingExtra, ParameterError

__all__ = ["COLLECTIONS", "collection_files", "not_there"]

COLLECTIONS: Final = {
    "aird": "Aird's Airs (1782-1801)",
    "oneill": "O'Neill's Music of Ireland, 1850 tunes (1903)",
    "ryan": "Ryan's Mammoth Collection (1883)",
    "misc": "American fife music and Northumbrian Minstrelsy",
}
"""Titles of the printed collections, by name."""

_FOLDERS: Final = {  # in music21's corpus
    "aird": "airdsAirs",
    "oneill": "oneills1850",
    "ryan": "ryansMammoth",
    "misc": "miscFolk",
}


def collection_files(name: str) -> list[Path]:
    """Find the ABC files of a printed collection.

    Parameters
    ----------
    name : str
        A key of `COLLECTIONS`: "ryan".

    Returns
    -------
    list of Path
        Files in alphabetical order.

    Raises
    ------
    ParameterError
        If there is no such collection.
    MissingExtra
        If music21 is not installed, or comes without the collection.

    Examples
    --------
    >>> [path.name for path in collection_files("misc")]  # doctest: +SKIP
    ['americanfifeopus.abc', 'northumbrianminstrelsyopus.abc']
    """
    if name not in COLLECTIONS:
        raise ParameterError(f"there is no collection {name!r}; there are {', '.join(COLLECTIONS)}")
    spec = find_spec("music21")  # finds a top-level package without importing it
    if spec is None or not spec.submodule_search_locations:
        raise MissingExtra(
            f"{COLLECTIONS[name]} comes with music21, which is not installed: "
            "pip install --no-deps music21"
        )
    folder = Path(spec.submodule_search_locations[0]) / "corpus" / _FOLDERS[name]
    paths = sorted(folder.glob("*.abc"))
    if not paths:
        raise MissingExtra(
            f"music21 is installed without {COLLECTIONS[name]} ({folder}); reinstall it: "
            "pip install --no-deps --force-reinstall music21"
        )
    return paths


def not_there(source: str, others: str) -> ParameterError:
    """Make the error of a source that is neither there nor a collection, nor one of ``others``."""
    return ParameterError(
        f"{source or repr(source)} is not there; need {others}, or a printed collection: "
        f"{', '.join(COLLECTIONS)} (pip install --no-deps music21 brings them)"
    )
