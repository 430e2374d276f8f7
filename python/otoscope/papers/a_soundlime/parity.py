"""Compare a detector's output for every frame of songs with predictions that others made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from otoscope.errors import ParameterError
from otoscope.foreign import read_arrays
from otoscope.models import timeline
from otoscope.progress import Progress, silent, tracked
from otoscope.signal import read_audio
from otoscope.workflows.recording import load_listening_model, sound_files

__all__ = ["ParityConfig", "ParityResult", "SongParity", "check_parity"]

_LAGS = 40  # frames by which decoders may begin earlier or later


@dataclass(frozen=True)
class ParityConfig:
    """Model, songs and the predictions to compare it with.

    Parameters
    ----------
    model : str
        Name of a model or a bundle; its last output is compared.
    songs : Path
        Folder of the songs, searched for sound files.
    predictions : Path
        File ``.npz`` with one array per song, by the name of its file: a probability per frame.
    tolerance : float
        Largest mean difference of a song's probabilities, > 0.
    device : str
        Device that the model runs on: cpu or cuda.

    Examples
    --------
    >>> ParityConfig("svdnet-jamendo", Path("audio"), Path("predictions.npz")).tolerance
    0.01
    """

    model: str
    songs: Path
    predictions: Path
    tolerance: float = 0.01
    device: str = "cpu"


@dataclass(frozen=True)
class SongParity:
    """Differences between a song's outputs and its predictions.

    Parameters
    ----------
    name : str
        Name of the song in the file of predictions.
    frames : int
        Number of frames compared.
    lag : int
        Frames by which our outputs begin later: decoders cut songs differently.
    mean_difference, max_difference : float
        Mean and largest absolute difference of the probabilities.
    flips : float
        Fraction of frames on the other side of 0.5.

    Examples
    --------
    >>> SongParity("a.mp3", 700, 0, 1e-5, 1e-4, 0.0).lag
    0
    """

    name: str
    frames: int
    lag: int
    mean_difference: float
    max_difference: float
    flips: float


@dataclass(frozen=True)
class ParityResult:
    """Differences of all songs.

    Parameters
    ----------
    songs : tuple of SongParity
        Songs of the file of predictions.
    tolerance : float
        Largest mean difference allowed.

    Examples
    --------
    >>> ParityResult((), 0.01).is_equal
    True
    """

    songs: tuple[SongParity, ...]
    tolerance: float

    @property
    def is_equal(self) -> bool:
        """Whether each song's mean difference is within the tolerance."""
        return all(song.mean_difference <= self.tolerance for song in self.songs)


def check_parity(config: ParityConfig, *, progress: Progress = silent) -> ParityResult:
    """Compare a model's outputs with stored predictions, song by song.

    Parameters
    ----------
    config : ParityConfig
        Model, songs and predictions.
    progress : bool or callable
        True shows a bar over "songs".

    Returns
    -------
    ParityResult
        Differences of each song, after the shift in time at which they are least.

    Raises
    ------
    ParameterError
        If a prediction has no song or another length, or a file cannot be read.

    Examples
    --------
    >>> config = ParityConfig("svdnet-jamendo", Path("audio"), Path("predictions.npz"))
    >>> check_parity(config).is_equal  # doctest: +SKIP
    True
    """
    if not config.tolerance > 0:
        raise ParameterError(f"tolerance is {config.tolerance}, must be > 0")
    names = read_arrays(config.predictions, ())[1]
    predicted = read_arrays(config.predictions, names)[0]
    if not predicted:
        raise ParameterError(f"{config.predictions} holds no arrays")
    files = _files(config.songs, names)
    model = load_listening_model(config.model, device=config.device)
    songs = [
        _compared(name, _outputs(model, files[name]), np.asarray(predicted[name]))
        for name in tracked(progress, names, "songs")
    ]
    return ParityResult(tuple(songs), config.tolerance)


def _files(folder: Path, names: list[str]) -> Mapping[str, Path]:
    """Find the sound file of each prediction, by its name with or without suffix."""
    by_stem = {path.stem: path for path in sound_files((folder,))}
    by_name = {path.name: path for path in by_stem.values()}
    files = {}
    for name in names:
        base = name.replace("\\", "/").rpartition("/")[2]
        path = by_name.get(base) or by_stem.get(base) or by_stem.get(base.rpartition(".")[0])
        if path is None:
            raise ParameterError(f"{folder} has no song {base}, which predictions are there for")
        files[name] = path
    return files


def _outputs(model: Any, path: Path) -> NDArray[np.float64]:
    y, _ = read_audio(path, sr=model.sample_rate)
    outputs: NDArray[np.float64] = timeline(model, y, padded=True).outputs[:, -1].double().numpy()
    return outputs


def _compared(name: str, ours: NDArray[np.float64], given: NDArray[np.generic]) -> SongParity:
    """Compare two series at the shift at which they differ least."""
    if given.dtype.kind != "f" or given.size != max(given.shape, default=0):
        raise ParameterError(
            f"the predictions of {name} are {given.dtype} {given.shape}, must be one probability "
            "per frame"
        )
    theirs = given.reshape(-1).astype(np.float64)
    if abs(len(ours) - len(theirs)) > 2 * _LAGS or min(len(ours), len(theirs)) <= 2 * _LAGS:
        raise ParameterError(
            f"the song of {name} has {len(ours):,} frames, its predictions {len(theirs):,}: it is "
            "another recording, or of another frame rate"
        )

    def differences(lag: int) -> NDArray[np.float64]:
        a, b = ours[max(lag, 0) :], theirs[max(-lag, 0) :]
        n = min(len(a), len(b))
        return np.abs(a[:n] - b[:n])

    lag = min(range(-_LAGS, _LAGS + 1), key=lambda lag: (float(differences(lag).mean()), abs(lag)))
    best = differences(lag)
    n = len(best)
    sides = (ours[max(lag, 0) :][:n] >= 0.5) != (theirs[max(-lag, 0) :][:n] >= 0.5)
    return SongParity(name, n, lag, float(best.mean()), float(best.max()), float(sides.mean()))
