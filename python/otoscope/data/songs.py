"""Songs as files: samples in the package with sung intervals, and installed songs as stems.

``examples/render_sample.py`` renders the samples; the sung voice is CC-BY 3.0, attributed in
``samples/README.md``.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import torch
from torch import Tensor

from otoscope.data.synthesis.song import SungInterval
from otoscope.errors import ParameterError
from otoscope.signal import read_audio

__all__ = ["DEBIAN_SONGS", "Sample", "mixed_songs", "sample", "sample_names"]

DEBIAN_SONGS = Path("/usr/share/games/fretsonfire/data/songs")
"""Folder of Debian's fretsonfire-songs-*: one folder per song, with two stems."""


@dataclass(frozen=True)
class Sample:
    """Audio file of the package with its ground truth.

    Parameters
    ----------
    path : Path
        Path of the mono ogg file.
    seconds : float
        Length in seconds.
    sung : tuple of (start, end)
        Sung intervals, in seconds.

    Examples
    --------
    >>> sample().seconds
    10.0
    """

    path: Path
    seconds: float
    sung: tuple[SungInterval, ...]


def sample(name: str = "piano-ballad") -> Sample:
    """Return a song of the package.

    Parameters
    ----------
    name : str, default "piano-ballad"
        Name, one of :func:`sample_names`.

    Returns
    -------
    Sample
        Path and ground truth of the song.

    Raises
    ------
    ParameterError
        If the name is unknown.

    Examples
    --------
    >>> sample().path.name
    'piano-ballad.ogg'
    """
    if name not in (names := sample_names()):
        raise ParameterError(f"name is {name!r}, must be one of {', '.join(names)}")
    truth = json.loads((_folder() / f"{name}.json").read_text("utf-8"))
    sung = tuple((float(start), float(end)) for start, end in truth["sung"])
    return Sample(_folder() / f"{name}.ogg", float(truth["seconds"]), sung)


def sample_names() -> tuple[str, ...]:
    """List the names of the songs of the package, in alphabetical order."""
    return tuple(sorted(path.stem for path in _folder().glob("*.ogg")))


def mixed_songs(folder: Path, *, sr: float) -> Iterator[tuple[str, Tensor]]:
    """Yield the name and the mix [sample] of each song in a folder, if the folder exists.

    A song is a folder of ``.ogg`` stems; the mix is as long as the shortest stem, with peak 0.9.
    """
    for song in sorted({stem.parent for stem in folder.rglob("*.ogg")}):
        stems = [read_audio(stem, sr=sr)[0] for stem in sorted(song.glob("*.ogg"))]
        length = min(map(len, stems))
        y = torch.stack([stem[:length] for stem in stems]).sum(0)
        peak = float(y.abs().max()) or 1.0  # not to divide silence by 0
        yield song.name, y * (0.9 / peak)


def _folder() -> Path:
    return Path(str(files("otoscope.data"))) / "samples"
