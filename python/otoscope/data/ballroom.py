"""Loader of the BALLROOM dataset (698 excerpts, eight dances) and of its rhythm features.

Nothing is downloaded. Thirteen recordings occur twice, one of them under two dances: both copies
have the same `group`, so that a split by group keeps them together.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from statistics import median
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from otoscope.errors import ParameterError
from otoscope.foreign import read_arrays, read_text

__all__ = [
    "BALLROOM_STYLES",
    "REPLICAS",
    "BallroomRecording",
    "BallroomRhythm",
    "album_of",
    "load_ballroom",
    "load_ballroom_rhythm",
]

BALLROOM_STYLES = (
    "ChaChaCha", "Jive", "Quickstep", "Rumba", "Samba", "Tango", "VienneseWaltz", "Waltz",
)  # fmt: skip
"""The dances; folders such as Rumba-American and Rumba-International are one."""

REPLICAS = (
    ("ChaChaCha/Albums-Fire-08", "Samba/Albums-Fire-09"),
    ("ChaChaCha/Albums-Latin_Jam-04", "ChaChaCha/Albums-Latin_Jam-13"),
    ("ChaChaCha/Albums-Latin_Jam2-05", "ChaChaCha/Albums-Latin_Jam2-13"),
    ("ChaChaCha/Albums-Latin_Jam3-02", "ChaChaCha/Media-103414"),
    ("ChaChaCha/Media-103402", "ChaChaCha/Media-103415"),
    ("Quickstep/Albums-AnaBelen_Veneo-11", "Quickstep/Albums-Chrisanne2-12"),
    ("Rumba/Albums-AnaBelen_Veneo-03", "Rumba/Albums-AnaBelen_Veneo-15"),
    ("Rumba/Albums-Latin_Jam-08", "Rumba/Albums-Latin_Jam-14"),
    ("Rumba/Albums-Latin_Jam2-07", "Rumba/Albums-Latin_Jam2-15"),
    ("Samba/Albums-Latin_Jam-06", "Samba/Albums-Latin_Jam-15"),
    ("Samba/Albums-Latin_Jam2-02", "Samba/Albums-Latin_Jam2-14"),
    ("Waltz/Albums-Ballroom_Magic-03", "Waltz/Albums-Ballroom_Magic-18"),
    ("Waltz/Albums-Secret_Garden-01", "Waltz/Media-104705"),
)
"""Pairs that are one recording: B. L. Sturm, "Faults in the Ballroom dataset", 2014."""

_FIRST_OF = {second: first for first, second in REPLICAS}
_LISTING = "allBallroomFiles"


@dataclass(frozen=True)
class BallroomRecording:
    """A recording of BALLROOM with its annotations.

    Parameters
    ----------
    name : str
        Name, ``style/file`` without suffix.
    path : Path
        Path of the wav file.
    style : str
        Dance style, one of :data:`BALLROOM_STYLES`.
    tempo_bpm : float or None
        Tempo in beats per minute; None without annotations. Annotators chose the metrical level by
        the dance: this tempo depends on the label.
    meter : int
        Beats per bar, by the dance: 3 for both waltzes, else 4.
    group : str
        Name shared by both copies of a recording, else the name.
    album : str
        Album, such as "Albums-Fire"; "" if unknown.

    Examples
    --------
    >>> load_ballroom("data/ballroom")[0].style  # doctest: +SKIP
    'ChaChaCha'
    """

    name: str
    path: Path
    style: str
    tempo_bpm: float | None
    meter: int
    group: str
    album: str


@dataclass(frozen=True)
class BallroomRhythm:
    """Published rhythm features of all recordings, original and time-stretched.

    Parameters
    ----------
    features : Mapping of int to ndarray [recording, 13], float64
        Features by dilation in percent: 0 for the original, above 0 for longer and slower.
    recording : tuple of str
        Names, ``style/file``.
    style, group : tuple of str
        Style and group, as in `BallroomRecording`.

    Examples
    --------
    >>> load_ballroom_rhythm("ballroom_rhythm.npz").features[0].shape  # doctest: +SKIP
    (698, 13)
    """

    features: Mapping[int, NDArray[np.float64]]
    recording: tuple[str, ...]
    style: tuple[str, ...]
    group: tuple[str, ...]


def load_ballroom(folder: str | Path) -> tuple[BallroomRecording, ...]:
    """Load the list of recordings of BALLROOM with their tempo.

    Parameters
    ----------
    folder : str or Path
        Folder that holds, at any depth, folders of wav files named by dance, and optionally
        annotations named like the recordings: ``.bpm`` (a number) or ``.beats`` (lines that start
        with seconds). A file ``allBallroomFiles`` lists the required recordings.

    Returns
    -------
    tuple of BallroomRecording
        Recordings, sorted by name.

    Raises
    ------
    ParameterError
        If there are no recordings, a folder is no dance, listed recordings are missing, only some
        recordings have a tempo, or an annotation is unreadable. The message names up to 20 files.

    Examples
    --------
    >>> recordings = load_ballroom("data/ballroom")  # doctest: +SKIP
    >>> len(recordings), len({recording.group for recording in recordings})  # doctest: +SKIP
    (698, 685)
    """
    folder = Path(folder)
    wavs = {_name(path): path for path in sorted(folder.rglob("*.wav"))}
    if not wavs:
        raise ParameterError(
            f"{folder} holds no recordings: looked for BallroomData/<style>/*.wav at any depth"
        )
    _refuse(
        "lie in folders that are no dance of BALLROOM",
        [str(path) for name, path in wavs.items() if name.split("/")[0] not in BALLROOM_STYLES],
    )
    listed = {
        _name(Path(line.strip()))
        for listing in folder.rglob(_LISTING)
        for line in read_text(listing).splitlines()
        if line.strip().endswith(".wav")
    }
    _refuse(f"are listed in {_LISTING} and not there", sorted(listed - set(wavs)))
    tempi = _read_tempi(folder)
    if tempi:
        _refuse(
            "have neither .bpm nor .beats, others do",
            [str(path) for path in wavs.values() if path.stem not in tempi],
        )
    return tuple(
        BallroomRecording(
            name=name,
            path=path,
            style=name.split("/")[0],
            tempo_bpm=tempi.get(path.stem),
            meter=3 if "Waltz" in name.split("/")[0] else 4,
            group=_FIRST_OF.get(name, name),
            album=album_of(name),
        )
        for name, path in sorted(wavs.items())
    )


def load_ballroom_rhythm(path: str | Path) -> BallroomRhythm:
    """Read the published rhythm features.

    Parameters
    ----------
    path : str or Path
        File ``ballroom_rhythm.npz`` with features [dilation, recording, 13], dilation_percent
        [dilation], recording and label [recording].

    Returns
    -------
    BallroomRhythm
        Features in the order of the file, on which the published splits depend.

    Raises
    ------
    ParameterError
        If the file is missing or no npz, or the shapes of its arrays do not match.

    References
    ----------
    Sturm, mirvaliditytutorial :cite:`mirvaliditytutorial` (CC0) is the source of the features;
    `otoscope.signal.rhythm.periodicity.RhythmFeatures` computes them.

    Examples
    --------
    >>> sorted(load_ballroom_rhythm("ballroom_rhythm.npz").features)[:2]  # doctest: +SKIP
    [-15, -10]
    """
    arrays = _read_arrays(Path(path))
    features, dilation = arrays["features"], arrays["dilation_percent"]
    recording, label = arrays["recording"], arrays["label"]
    expected = (*dilation.shape, *recording.shape, 13)
    if features.shape != expected or len(expected) != 3 or label.shape != recording.shape:
        raise ParameterError(
            f"{path}: features has shape {features.shape}, dilation_percent {dilation.shape}, "
            f"recording {recording.shape}, label {label.shape}; "
            "need [dilation, recording, 13], [dilation], [recording], [recording]"
        )
    if features.dtype.kind != "f" or not np.isfinite(features).all():
        raise ParameterError(f"{path}: features are {features.dtype}, must be finite and floating")
    if dilation.dtype.kind not in "iuf" or not np.isfinite(dilation).all():
        raise ParameterError(f"{path}: dilation_percent is {dilation.dtype}, must be numbers")
    if len(set(dilation.tolist())) < len(dilation):
        raise ParameterError(f"{path}: dilation_percent {dilation.tolist()} holds a value twice")
    names = tuple(str(name).removesuffix(".wav") for name in recording)
    by_dilation = zip(dilation.tolist(), features.astype(np.float64), strict=True)
    return BallroomRhythm(
        features=MappingProxyType({int(percent): rows for percent, rows in by_dilation}),
        recording=names,
        style=tuple(str(style) for style in label),
        group=tuple(_FIRST_OF.get(name, name) for name in names),
    )


def album_of(recording: str) -> str:
    """Extract the album from the name ``style/file`` of a recording; "" if unknown."""
    stem = recording.split("/")[-1]
    return stem.rpartition("-")[0] if stem.startswith("Albums-") else ""


def _name(path: Path) -> str:
    """Name a recording; variants such as Rumba-American are Rumba."""
    return f"{path.parent.name.split('-')[0]}/{path.stem}"


def _refuse(why: str, files: Sequence[str]) -> None:
    if files:
        shown = ", ".join(files[:20]) + (f" and {len(files) - 20} more" if len(files) > 20 else "")
        raise ParameterError(f"{len(files)} recordings {why}: {shown}")


def _read_tempi(folder: Path) -> dict[str, float]:
    """Read the tempo of each annotated recording by the stem of its file; .bpm overrides .beats."""
    tempi, unreadable = dict[str, float](), list[str]()
    for suffix in ("beats", "bpm"):
        for path in sorted(folder.rglob(f"*.{suffix}")):
            numbers = [line.split()[0] for line in read_text(path).splitlines() if line.strip()]
            try:
                tempo = _tempo([float(number) for number in numbers], suffix)
            except (ValueError, IndexError, ZeroDivisionError):
                tempo = np.nan
            if not 0 < tempo < np.inf:
                unreadable.append(str(path))
            tempi[path.stem] = tempo
    if unreadable:
        raise ParameterError(
            f"{len(unreadable)} annotations cannot be read: {', '.join(unreadable[:20])}; "
            "need beats per minute (.bpm), or lines that begin with ascending seconds (.beats)"
        )
    return tempi


def _tempo(numbers: Sequence[float], suffix: str) -> float:
    """Compute beats per minute: the number of a .bpm file, or from the median interval of beats."""
    if suffix == "bpm":
        return numbers[0]
    return 60 / median(later - beat for beat, later in pairwise(numbers))


def _read_arrays(path: Path) -> dict[str, NDArray[np.generic]]:
    needed = ("features", "dilation_percent", "recording", "label")
    arrays, names = read_arrays(path, needed)
    if missing := [key for key in needed if key not in arrays]:
        raise ParameterError(f"{path} has no {', '.join(missing)}; has {', '.join(names[:20])}")
    return arrays
