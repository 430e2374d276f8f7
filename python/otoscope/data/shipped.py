"""Short songs that come with the package, and what is sung in them when.

They were rendered by ``examples/render_sample.py``; the sung voice is CC-BY 3.0, its attribution
lies beside the sounds in ``samples/README.md``.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from otoscope.data.synthesis.song import Interval
from otoscope.errors import ParameterError

__all__ = ["Sample", "sample", "sample_names"]


@dataclass(frozen=True)
class Sample:
    """A sound file of the package, and the truth about it.

    Parameters
    ----------
    path : Path
        The ogg file, mono.
    seconds : float
        Its length.
    sung : tuple of (start, end)
        Seconds in which the voice sings.

    Examples
    --------
    >>> sample().seconds
    10.0
    """

    path: Path
    seconds: float
    sung: tuple[Interval, ...]


def sample(name: str = "piano-ballad") -> Sample:
    """Find a song that comes with the package.

    Parameters
    ----------
    name : str, default "piano-ballad"
        One of :func:`sample_names`.

    Returns
    -------
    Sample
        Where it lies, and what is sung.

    Raises
    ------
    ParameterError
        If there is none of this name.

    Examples
    --------
    >>> sample().path.name
    'piano-ballad.ogg'
    """
    if name not in (names := sample_names()):
        raise ParameterError(f"there is no sample {name!r}; there are {', '.join(names)}")
    truth = json.loads((_folder() / f"{name}.json").read_text())
    sung = tuple((float(start), float(end)) for start, end in truth["sung"])
    return Sample(_folder() / f"{name}.ogg", float(truth["seconds"]), sung)


def sample_names() -> tuple[str, ...]:
    """Return the names of the songs that come with the package, in alphabetical order."""
    return tuple(sorted(path.stem for path in _folder().glob("*.ogg")))


def _folder() -> Path:
    return Path(str(files("otoscope.data"))) / "samples"
