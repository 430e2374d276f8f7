"""Train DeSPerF on a partition of labelled sounds, resumably."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch

from otoscope.data.partition import DividedFolder, Partition
from otoscope.documents import document
from otoscope.errors import ParameterError
from otoscope.models.desperf import DeSPerF, load_desperf
from otoscope.progress import Progress, silent
from otoscope.records import to_json, versions, write_text
from otoscope.signal.rhythm.spectral_periodicity import SpectralPeriodicity
from otoscope.train.folder import training_folder
from otoscope.train.loop import LoopConfig, StepResult, run_training
from otoscope.train.rhythm.learner import RhythmLearner, TrainRhythmConfig, voted
from otoscope.train.rhythm.periodicities import Periodicities, read_periodicities

__all__ = ["TrainRhythmResult", "train_on_periodicities", "train_rhythm"]


@dataclass(frozen=True)
class TrainRhythmResult:
    """A trained system and its history.

    Parameters
    ----------
    settings : TrainRhythmConfig
        Settings of the training.
    model : DeSPerF
        System with the least error on the validation sounds.
    path : Path
        Path of the system's bundle, without ending.
    epochs : float
        Number of passes over the segments, those before an interruption included.
    history : list of (step, loss)
        Mean cross-entropy of the validation sounds, in nats.
    error : float
        Fraction of the validation sounds with a wrong label, for the best system.
    skipped : mapping of str to ParameterError
        Sounds that are left out, by name: silent, too short, or not readable.
    truncated : mapping of str to str
        What lacks in sounds that were cut off, by name.

    Examples
    --------
    >>> train_rhythm(partition(load_genres("dances")), "out").history[-1]  # doctest: +SKIP
    (600, 0.41)
    """

    settings: TrainRhythmConfig
    model: DeSPerF
    path: Path
    epochs: float
    history: list[tuple[int, float]]
    error: float
    skipped: Mapping[str, ParameterError] = field(default_factory=dict)
    truncated: Mapping[str, str] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return settings, epochs, errors and what was skipped in JSON's types."""
        return document(
            "otoscope.TrainRhythm",
            1,
            {
                "settings": asdict(self.settings),
                "epochs": self.epochs,
                "history": self.history,
                "error": self.error,
                "model": self.path,
                "skipped": {name: str(reason) for name, reason in self.skipped.items()},
                "truncated": dict(self.truncated),
                "versions": versions(),
            },
        )


def train_rhythm(  # noqa: PLR0913 - what is trained, and arguments of run_training
    sounds: Partition | DividedFolder,
    out: str | Path,
    *,
    settings: TrainRhythmConfig | None = None,
    feature: SpectralPeriodicity | None = None,
    hours: float | None = None,
    resume: bool = False,
    progress: Progress = silent,
    on_step: Callable[[StepResult], None] | None = None,
) -> TrainRhythmResult:
    """Train DeSPerF.

    Parameters
    ----------
    sounds : Partition or DividedFolder
        Sounds to train on and to validate with; those of the test are not read.
    out : str or Path
        Folder for the best system (``model.json``, ``model.safetensors``), the checkpoint and
        ``result.json``; made if it does not exist.
    settings : TrainRhythmConfig, optional
        Settings.
    feature : SpectralPeriodicity, optional
        Feature of a segment.
    hours : float, optional
        Time limit of the training; the best system until then is kept.
    resume : bool, default False
        Whether to continue from the checkpoint in ``out``, if there is one.
    progress : bool or callable
        True shows bars.
    on_step : callable, optional
        Called with a `otoscope.train.StepResult` after each step.

    Returns
    -------
    TrainRhythmResult
        Best system and history.

    Raises
    ------
    ParameterError
        If no sound of a label or less than half of the sounds can be used, ``out`` holds a training
        already or another process trains into it, or training diverges.

    References
    ----------
    Sturm (2016) :cite:`sturm2016horse`.

    Examples
    --------
    >>> train_rhythm(partition(load_genres("dances")), "out", resume=True)  # doctest: +SKIP
    """
    settings = settings or TrainRhythmConfig()
    if hours is not None and not hours > 0:
        raise ParameterError(f"hours is {hours}, must be above 0")
    with training_folder(out, resume=resume):
        parts = sounds.parts() if isinstance(sounds, DividedFolder) else sounds
        system = _system(settings, parts.labels, feature)
        train, valid = (
            read_periodicities(part, system, progress=progress)
            for part in (parts.train, parts.valid)
        )
        return train_on_periodicities(
            train,
            valid,
            out,
            labels=parts.labels,
            settings=settings,
            feature=feature,
            card=_card(parts),
            hours=hours,
            resume=resume,
            progress=progress,
            on_step=on_step,
        )


def train_on_periodicities(  # noqa: PLR0913 - what is trained, and arguments of run_training
    train: Periodicities,
    valid: Periodicities,
    out: str | Path,
    *,
    labels: tuple[str, ...],
    settings: TrainRhythmConfig | None = None,
    feature: SpectralPeriodicity | None = None,
    card: Mapping[str, str] | None = None,
    hours: float | None = None,
    resume: bool = False,
    progress: Progress = silent,
    on_step: Callable[[StepResult], None] | None = None,
) -> TrainRhythmResult:
    """Train DeSPerF on features in memory, for several trainings on the same sounds.

    Parameters
    ----------
    train, valid : Periodicities
        Features to train on and to validate with.
    out : str or Path
        Folder; see `train_rhythm`.
    labels : tuple of str
        Names of the labels, by number.
    settings, feature
        See `train_rhythm`; the feature that was computed.
    card : mapping of str to str, optional
        Model card of the bundle.
    hours, resume, progress, on_step
        See `train_rhythm`.

    Returns
    -------
    TrainRhythmResult
        Best system and history.

    Raises
    ------
    ParameterError
        See `train_rhythm`.

    Examples
    --------
    >>> train_on_periodicities(train, valid, "out", labels=("Rumba", "Waltz"))  # doctest: +SKIP
    """
    settings, folder = settings or TrainRhythmConfig(), Path(out)
    with training_folder(folder, resume=resume) as checkpoint:
        learner = RhythmLearner(
            _system(settings, labels, feature),
            train,
            valid,
            settings,
            folder / "model",
            card=card or {},
        )
        per_epoch = learner.steps_per_epoch
        loop = LoopConfig.by_epochs(
            settings.epochs, per_epoch, patience=settings.patience, seed=settings.seed
        )
        history = run_training(
            learner,
            loop,
            checkpoint,
            hours=hours,
            resume=resume,
            progress=progress,
            on_step=on_step,
        )
        best = load_desperf(folder / "model")
        with torch.no_grad():
            wrong = voted(best, valid).argmax(-1) != valid.labels
        result = TrainRhythmResult(
            settings,
            best,
            folder / "model",
            round(history.step / per_epoch, 3),
            history.scores,
            float(wrong.double().mean()),
            {**train.skipped, **valid.skipped},
            {**train.truncated, **valid.truncated},
        )
        write_text(folder / "result.json", to_json(result.to_dict(), indent=2) + "\n")
    return result


def _system(
    settings: TrainRhythmConfig, labels: tuple[str, ...], feature: SpectralPeriodicity | None
) -> DeSPerF:
    return DeSPerF(
        labels,
        feature=feature,
        segment=settings.segment,
        hop=settings.hop,
        hidden=settings.hidden,
        unit=settings.unit,
        dropout=settings.dropout,
        vote=settings.vote,
        seed=settings.seed,
    )


def _card(sounds: Partition) -> dict[str, str]:
    return {
        "what": f"Rhythm of a recording, one of {len(sounds.labels)}",
        "network": "DeSPerF (Sturm, 2016), sizes our own",
        "trained on": f"{len(sounds.train)} sounds of "
        f"{len({sound.group for sound in sounds.train})} artists",
        "partition": sounds.digest,
    }
