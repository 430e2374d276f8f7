"""Evaluate singing-voice detectors on annotated songs, as Schlueter and Grill (2015) do.

One probability per frame, a running median over 0.8 s, a threshold that validation songs choose,
and the frames of all songs counted together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from otoscope.data.annotated import AnnotatedSong, load_annotated
from otoscope.data.synthesis.song import frame_truth
from otoscope.documents import document
from otoscope.errors import ParameterError
from otoscope.metrics.singing import (
    SingingScores,
    choose_threshold,
    count_runs,
    singing_scores,
    smooth,
)
from otoscope.models.timelines import timeline
from otoscope.progress import Progress, silent, tracked
from otoscope.protocols import ListeningModel, choose_targets, model_name
from otoscope.records import distinct_names
from otoscope.signal.audio.files import samples
from otoscope.workflows.recording import load_identified_listener, sound_files

__all__ = [
    "EvaluateConfig",
    "EvaluateResult",
    "SongScores",
    "evaluate_detector",
    "frame_probabilities",
]


@dataclass(frozen=True)
class EvaluateConfig:
    """Settings of an evaluation.

    Parameters
    ----------
    songs : Path, optional
        Annotated songs: a folder of ``otoscope corpus singing``, or Jamendo's dataset.
    model : str
        Name of a model (see: otoscope models), a bundle, or FILE.py:FUNCTION.
    instrumental : Path, optional
        Sound file or folder of recordings without voice: false alarms are counted.
    validation : Path, optional
        Other annotated songs, on which the threshold is chosen. Default: the split "valid" of
        Jamendo's dataset; otherwise ``threshold`` is used.
    threshold : float
        A frame is called sung if its probability exceeds the threshold, where no validation songs
        choose it.
    output : str, optional
        Output that is the probability of singing, by its name. Default: the only output.
    median : float
        Length of the running median, in seconds; 0.8 are the paper's 56 frames.
    hop : int
        Frames from one prediction to the next; 1 is one per frame, as in the paper.
    frame_time : str
        Time of a frame in the annotations: its "centre", or its "start" as in the paper.
    device : str
        Device that the model runs on: cpu or cuda.

    Examples
    --------
    >>> EvaluateConfig(Path("corpus"), "synth-singing").median
    0.8
    """

    songs: Path | None
    model: str
    instrumental: Path | None = None
    validation: Path | None = None
    threshold: float = 0.5
    output: str | None = None
    median: float = 0.8
    hop: int = 1
    frame_time: str = "centre"
    device: str = "cpu"

    def __post_init__(self) -> None:
        if self.songs is None and self.instrumental is None:
            raise ParameterError("neither songs nor instrumental is given: there is nothing to do")
        if self.hop < 1 or not self.median > 0:
            raise ParameterError(
                f"hop is {self.hop} and median {self.median}; must be >= 1 and > 0"
            )
        if self.frame_time not in ("centre", "start"):
            raise ParameterError(f"frame_time is {self.frame_time!r}, must be centre or start")


@dataclass(frozen=True)
class SongScores:
    """Scores of one sound; of a recording without voice, ``alarms`` are runs of false frames.

    Parameters
    ----------
    name : str
        Name of the song or file.
    seconds : float
        Length in seconds.
    scores : SingingScores
        Counts of frames.
    alarms : int
        Number of runs of frames that are called sung.

    Examples
    --------
    >>> SongScores("a", 60.0, SingingScores(0, 7, 93, 0), 2).alarms
    2
    """

    name: str
    seconds: float
    scores: SingingScores
    alarms: int


@dataclass(frozen=True)
class EvaluateResult:
    """Scores of a detector.

    Parameters
    ----------
    config : EvaluateConfig
        What was evaluated.
    threshold : float
        Threshold used.
    scores : SingingScores or None
        Counts of the frames of all annotated songs together; None without any.
    songs : tuple of SongScores
        Scores of each song.
    instrumental : tuple of SongScores
        Scores of each recording without voice.
    identity : dict of str to str
        Digests of the model.
    model : str
        Name of the model.

    Examples
    --------
    >>> config = EvaluateConfig(Path("corpus"), "synth-singing")
    >>> evaluate_detector(config).scores.error  # doctest: +SKIP
    0.19
    """

    config: EvaluateConfig
    threshold: float
    scores: SingingScores | None
    songs: tuple[SongScores, ...]
    instrumental: tuple[SongScores, ...]
    identity: dict[str, str] = field(default_factory=dict)
    model: str = ""

    @property
    def alarms_per_minute(self) -> float:
        """False alarms per minute on the recordings without voice; NaN without any."""
        seconds = sum(song.seconds for song in self.instrumental)
        alarms = sum(song.alarms for song in self.instrumental)
        return 60 * alarms / seconds if seconds else float("nan")

    @property
    def alarm_fraction(self) -> float:
        """Fraction of the frames without voice that are called sung; NaN without any."""
        false = sum(song.scores.false_positives for song in self.instrumental)
        n = sum(song.scores.n_frames for song in self.instrumental)
        return false / n if n else float("nan")

    def to_dict(self) -> dict[str, Any]:
        """Return settings and scores in JSON's types."""
        alarms = {
            "alarms_per_minute": self.alarms_per_minute,
            "alarm_fraction": self.alarm_fraction,
        }
        return document(
            "otoscope.Evaluation",
            1,
            {
                "config": asdict(self.config),
                "model": self.identity,
                "model_name": self.model,
                "threshold": self.threshold,
                "scores": self.scores and _described(self.scores),
                "songs": [_row(song) for song in self.songs],
                **(alarms if self.instrumental else {}),
                "instrumental": [_row(song) for song in self.instrumental],
            },
        )


def evaluate_detector(config: EvaluateConfig, *, progress: Progress = silent) -> EvaluateResult:
    """Evaluate a detector on annotated songs, and on recordings without voice.

    Parameters
    ----------
    config : EvaluateConfig
        Model, folders and settings.
    progress : bool or callable
        True shows a bar over the "songs".

    Returns
    -------
    EvaluateResult
        Scores of all songs together and of each.

    Raises
    ------
    ParameterError
        If a folder is no dataset, a sound cannot be read, the model has several outputs and none is
        named, or it returns NaN.

    References
    ----------
    Schlüter and Grill (2015) :cite:`schlueter2015`, section 5.

    Examples
    --------
    >>> evaluate_detector(EvaluateConfig(Path("corpus"), "svdnet-synth"))  # doctest: +SKIP
    """
    songs = load_annotated(config.songs) if config.songs else ()
    validation = _validation(config)
    files = sound_files((config.instrumental,)) if config.instrumental else []
    names = distinct_names(files)
    recordings = [AnnotatedSong(names[str(path)], path, ()) for path in files]
    model, identity = load_identified_listener(config.model, device=config.device)
    column = _column(model, config.output)
    evaluated: list[tuple[NDArray[np.float64], NDArray[np.bool_], float]] = [
        _evaluated(model, song, column, config)
        for song in tracked(progress, [*validation, *songs, *recordings], "songs")
    ]
    of_validation = evaluated[: len(validation)]
    threshold = config.threshold
    if validation:
        threshold = choose_threshold(*_columns(of_validation))
    rest = evaluated[len(validation) :]
    rows = tuple(
        SongScores(
            song.name, seconds, singing_scores([p], [truth], threshold), count_runs(p, threshold)
        )
        for song, (p, truth, seconds) in zip((*songs, *recordings), rest, strict=True)
    )
    scores = singing_scores(*_columns(rest[: len(songs)]), threshold) if songs else None
    return EvaluateResult(
        config,
        threshold,
        scores,
        rows[: len(songs)],
        rows[len(songs) :],
        identity,
        model_name(model),
    )


def frame_probabilities(
    model: ListeningModel, song: AnnotatedSong, *, column: int = 0, hop: int = 1
) -> tuple[NDArray[np.float64], float]:
    """Predict each frame of a song from the excerpt around it; return the song's seconds, too."""
    y = samples(song.path, sr=model.sample_rate)
    outputs = timeline(model, y, hop=hop, padded=True).outputs[:, column]
    p = outputs.double().numpy()
    if np.isnan(p).any():
        raise ParameterError(f"{song.path}: the model returns NaN for {np.isnan(p).sum()} excerpts")
    return p, len(y) / model.sample_rate


def _evaluated(
    model: ListeningModel, song: AnnotatedSong, column: int, config: EvaluateConfig
) -> tuple[NDArray[np.float64], NDArray[np.bool_], float]:
    p, seconds = frame_probabilities(model, song, column=column, hop=config.hop)
    rate = model.sample_rate / (model.hop_length * config.hop)
    offset = 0.0
    if config.frame_time == "centre":
        offset = getattr(getattr(model, "front_end", None), "frame_offset", 0.0)
    truth = frame_truth(song.sung, len(p), rate, offset=offset)
    return smooth(p, max(1, round(config.median * rate))), truth, seconds


def _validation(config: EvaluateConfig) -> Sequence[AnnotatedSong]:
    if config.validation:
        return load_annotated(config.validation, "valid")
    if config.songs and (config.songs / "filelists" / "valid").is_file():
        return load_annotated(config.songs, "valid")
    return ()


def _column(model: ListeningModel, output: str | None) -> int:
    names = model.output_names
    return next(iter(choose_targets(output, len(names), names, called="output").values()))


def _columns(
    evaluated: Sequence[tuple[NDArray[np.float64], NDArray[np.bool_], float]],
) -> tuple[list[NDArray[np.float64]], list[NDArray[np.bool_]]]:
    return [p for p, _, _ in evaluated], [truth for _, truth, _ in evaluated]


def _described(scores: SingingScores) -> dict[str, float]:
    return {
        **asdict(scores),
        "precision": scores.precision,
        "recall": scores.recall,
        "specificity": scores.specificity,
        "f1": scores.f1,
        "error": scores.error,
    }


def _row(song: SongScores) -> dict[str, Any]:
    row = {"name": song.name, "seconds": song.seconds, "alarms": song.alarms}
    return {**row, **_described(song.scores)}
