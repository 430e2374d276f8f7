"""Train a genre classifier on a partition of labelled sounds, resumably."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from otoscope.data.partition import DividedFolder, Partition
from otoscope.documents import document
from otoscope.errors import ParameterError
from otoscope.models.bundle import load_bundle
from otoscope.models.listener import Listener
from otoscope.progress import Progress, silent
from otoscope.records import to_json, versions, write_text
from otoscope.signal import FrontEnd, magnitude_spectrum
from otoscope.train.folder import training_folder
from otoscope.train.genre.learner import Adversary, GenreLearner, TrainGenreConfig
from otoscope.train.genre.spectra import Spectra, read_spectra, standardisation
from otoscope.train.loop import LoopConfig, StepResult, run_training

__all__ = ["TrainGenreResult", "train_genre", "train_on_spectra"]


@dataclass(frozen=True)
class TrainGenreResult:
    """A trained classifier and its history.

    Parameters
    ----------
    settings : TrainGenreConfig
        Settings of the training.
    model : Listener
        Model with the least error on the validation sounds.
    path : Path
        Path of the model's bundle, without ending.
    epochs : float
        Number of passes over the sounds, those before an interruption included.
    history : list of (step, error)
        Fraction of the validation frames, or windows, with a wrong label.
    skipped : mapping of str to ParameterError
        Sounds that are left out, by name: silent, too short, or not readable.
    truncated : mapping of str to str
        What lacks in sounds that were cut off, by name.

    Examples
    --------
    >>> train_genre(partition(load_genres("corpus")), "out").history[-1]  # doctest: +SKIP
    (1200, 0.41)
    """

    settings: TrainGenreConfig
    model: Listener
    path: Path
    epochs: float
    history: list[tuple[int, float]]
    skipped: Mapping[str, ParameterError] = field(default_factory=dict)
    truncated: Mapping[str, str] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return settings, epochs, errors and what was skipped in JSON's types."""
        return document(
            "otoscope.TrainGenre",
            1,
            {
                "settings": asdict(self.settings),
                "epochs": self.epochs,
                "history": self.history,
                "model": self.path,
                "skipped": {name: str(reason) for name, reason in self.skipped.items()},
                "truncated": dict(self.truncated),
                "versions": versions(),
            },
        )


def train_genre(  # noqa: PLR0913 - what is trained, and arguments of run_training
    sounds: Partition | DividedFolder,
    out: str | Path,
    *,
    settings: TrainGenreConfig | None = None,
    front_end: FrontEnd | None = None,
    adversary: Adversary | None = None,
    hours: float | None = None,
    resume: bool = False,
    progress: Progress = silent,
    on_step: Callable[[StepResult], None] | None = None,
) -> TrainGenreResult:
    """Train a genre classifier.

    Parameters
    ----------
    sounds : Partition or DividedFolder
        Sounds to train on and to validate with; those of the test are not read.
    out : str or Path
        Folder for the best model (``model.json``, ``model.safetensors``), the checkpoint and
        ``result.json``; made if it does not exist.
    settings : TrainGenreConfig, optional
        Settings; by default those of the paper's network of frames.
    front_end : FrontEnd, optional
        Magnitudes of the bins. Default: `otoscope.signal.magnitude_spectrum`.
    adversary : callable, optional
        Function (network, standardised batch, labels) -> batch, for adversarial training; a
        checkpoint is resumed with one of the same name only.
    hours : float, optional
        Time limit of the training; the best model until then is kept.
    resume : bool, default False
        Whether to continue from the checkpoint in ``out``, if there is one.
    progress : bool or callable
        True shows bars.
    on_step : callable, optional
        Called with a `otoscope.train.StepResult` after each step.

    Returns
    -------
    TrainGenreResult
        Best model and history.

    Raises
    ------
    ParameterError
        If no sound of a label or less than half of the sounds can be used, ``out`` holds a training
        already or another process trains into it, or training diverges.

    References
    ----------
    Kereliuk et al. (2015) :cite:`kereliuk2015`, section III.

    Examples
    --------
    >>> train_genre(partition(load_genres("corpus")), "out", resume=True)  # doctest: +SKIP
    """
    settings, front_end = settings or TrainGenreConfig(), front_end or magnitude_spectrum()
    if hours is not None and not hours > 0:
        raise ParameterError(f"hours is {hours}, must be above 0")
    with training_folder(out, resume=resume):
        parts = sounds.parts() if isinstance(sounds, DividedFolder) else sounds
        train, valid = (
            read_spectra(part, front_end, parts.labels, progress=progress)
            for part in (parts.train, parts.valid)
        )
        return train_on_spectra(
            train,
            valid,
            out,
            labels=parts.labels,
            settings=settings,
            front_end=front_end,
            card=_card(settings, parts),
            adversary=adversary,
            hours=hours,
            resume=resume,
            progress=progress,
            on_step=on_step,
        )


def train_on_spectra(  # noqa: PLR0913 - what is trained, and arguments of run_training
    train: Spectra,
    valid: Spectra,
    out: str | Path,
    *,
    labels: tuple[str, ...],
    settings: TrainGenreConfig | None = None,
    front_end: FrontEnd | None = None,
    card: Mapping[str, str] | None = None,
    adversary: Adversary | None = None,
    hours: float | None = None,
    resume: bool = False,
    progress: Progress = silent,
    on_step: Callable[[StepResult], None] | None = None,
) -> TrainGenreResult:
    """Train a genre classifier on spectra in memory, for several trainings on the same sounds.

    Parameters
    ----------
    train, valid : Spectra
        Spectra to train on and to validate with.
    out : str or Path
        Folder; see `train_genre`.
    labels : tuple of str
        Names of the labels, by number.
    settings : TrainGenreConfig, optional
        Settings; see `train_genre`.
    front_end : FrontEnd, optional
        Front end that made the spectra. Default: `otoscope.signal.magnitude_spectrum`.
    card : mapping of str to str, optional
        Model card of the bundle.
    adversary, hours, resume, progress, on_step
        See `train_genre`.

    Returns
    -------
    TrainGenreResult
        Best model and history.

    Raises
    ------
    ParameterError
        See `train_genre`.

    Examples
    --------
    >>> train_on_spectra(train, valid, "out", labels=("jazz", "rock"))  # doctest: +SKIP
    """
    settings, front_end = settings or TrainGenreConfig(), front_end or magnitude_spectrum()
    folder = Path(out)
    with training_folder(folder, resume=resume) as checkpoint:
        learner = GenreLearner(
            train,
            valid,
            standardisation(train),
            settings,
            folder / "model",
            front_end=front_end,
            labels=labels,
            card=card or {},
            adversary=adversary,
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
        result = TrainGenreResult(
            settings,
            load_bundle(folder / "model"),
            folder / "model",
            round(history.step / per_epoch, 3),
            history.scores,
            {**train.skipped, **valid.skipped},
            {**train.truncated, **valid.truncated},
        )
        write_text(folder / "result.json", to_json(result.to_dict(), indent=2) + "\n")
    return result


def _card(settings: TrainGenreConfig, sounds: Partition) -> dict[str, str]:
    name = "FrameDNN, a frame at a time" if settings.system == "frames" else "ConvDNN"
    return {
        "what": f"Genre of 2.3 s of sound, one of {len(sounds.labels)}",
        "network": f"{name} (Kereliuk, Sturm and Larsen, 2015)",
        "trained on": f"{len(sounds.train)} sounds of "
        f"{len({sound.group for sound in sounds.train})} artists",
        "partition": sounds.digest,
    }
