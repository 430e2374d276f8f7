"""Old printed collections in ABC, read from the files that come in music21's wheel.

music21 itself is not imported, and nothing of it is copied: `pip install --no-deps music21` puts
the files where they are found. The prints are in the public domain.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Final

from otoscope.errors import MissingExtra, ParameterError

__all__ = ["COLLECTIONS", "collection_files"]

COLLECTIONS: Final = {
    "aird": "Aird's Airs (1782-1801)",
    "oneill": "O'Neill's Music of Ireland, 1850 tunes (1903)",
    "ryan": "Ryan's Mammoth Collection (1883)",
    "misc": "American fife music and Northumbrian Minstrelsy",
}

_FOLDERS: Final = {  # in music21's corpus
    "aird": "airdsAirs",
    "oneill": "oneills1850",
    "ryan": "ryansMammoth",
    "misc": "miscFolk",
}


def collection_files(name: str) -> list[Path]:
    """Find the ABC files of a collection.

    Parameters
    ----------
    name : str
        A key of `COLLECTIONS`: "ryan".

    Returns
    -------
    list of Path
        In alphabetical order.

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
    found = find_spec("music21")  # of a package that has no parent: nothing is imported
    if found is None or not found.submodule_search_locations:
        raise MissingExtra(
            f"{COLLECTIONS[name]} comes with music21, which is not installed: "
            "pip install --no-deps music21"
        )
    folder = Path(found.submodule_search_locations[0]) / "corpus" / _FOLDERS[name]
    paths = sorted(folder.glob("*.abc"))
    if not paths:
        raise MissingExtra(
            f"music21 is installed without {COLLECTIONS[name]} ({folder}); get it anew: "
            "pip install --no-deps --force-reinstall music21"
        )
    return paths
