"""Train the singing-voice detector on corpora of stems, resumably."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from otoscope.documents import document
from otoscope.errors import ParameterError
from otoscope.models.bundle import load_bundle
from otoscope.models.listener import Listener
from otoscope.progress import Progress, silent
from otoscope.records import to_json, versions, write_text
from otoscope.signal import svd2015
from otoscope.train.folder import training_folder
from otoscope.train.loop import LoopConfig, StepResult, run_training
from otoscope.train.singing.learner import Learner, TrainSingingConfig
from otoscope.train.singing.stems import (
    ExcerptSource,
    read_corpus,
    read_music,
    synthetic_songs,
)

__all__ = ["TrainSingingConfig", "TrainSingingResult", "train_singing"]

_SYNTHETIC_SECONDS = 12.0


@dataclass(frozen=True)
class TrainSingingResult:
    """A trained detector and its history.

    Parameters
    ----------
    settings : TrainSingingConfig
        Settings of the training.
    model : Listener
        Model with the least error on the validation songs.
    path : Path
        Path of the model's bundle, without ending.
    steps : int
        Number of batches trained on, those before an interruption included.
    history : list of (step, error)
        Frame errors on the validation songs.
    skipped : mapping of str to ParameterError
        Recordings of ``music`` that are left out, by path: they cannot be read.
    truncated : mapping of str to str
        What lacks in recordings that were cut off, by path.

    Examples
    --------
    >>> train_singing(["corpus"], "out", validation="valid").history[-1]  # doctest: +SKIP
    (500, 0.21)
    """

    settings: TrainSingingConfig
    model: Listener
    path: Path
    steps: int
    history: list[tuple[int, float]]
    skipped: Mapping[str, ParameterError] = field(default_factory=dict)
    truncated: Mapping[str, str] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return settings, steps and errors in JSON's types."""
        return document(
            "otoscope.TrainSinging",
            1,
            {
                "settings": asdict(self.settings),
                "steps": self.steps,
                "history": self.history,
                "model": self.path,
                "skipped": {name: str(reason) for name, reason in self.skipped.items()},
                "truncated": dict(self.truncated),
                "versions": versions(),
            },
        )


def train_singing(  # noqa: PLR0913 - the folders of a training, and those of run_training
    corpora: Sequence[str | Path],
    out: str | Path,
    *,
    validation: str | Path,
    music: Sequence[str | Path] = (),
    settings: TrainSingingConfig | None = None,
    hours: float | None = None,
    resume: bool = False,
    progress: Progress = silent,
    on_step: Callable[[StepResult], None] | None = None,
) -> TrainSingingResult:
    """Train a singing-voice detector.

    Parameters
    ----------
    corpora : sequence of str or Path
        Folders of ``otoscope corpus singing``.
    out : str or Path
        Folder for the best model (``model.json``, ``model.safetensors``), the checkpoint and
        ``result.json``; made if it does not exist.
    validation : str or Path
        Folder of other songs, on which the best model is chosen.
    music : sequence of str or Path
        Folders of recordings without voice.
    settings : TrainSingingConfig, optional
        Settings; the paper's by default.
    hours : float, optional
        Time limit of the training; the best model until then is kept.
    resume : bool, default False
        Whether to continue from the checkpoint in ``out``, if there is one.
    progress : bool or callable
        True shows a bar over the "steps".
    on_step : callable, optional
        Called with a `otoscope.train.StepResult` after each step.

    Returns
    -------
    TrainSingingResult
        Best model and history.

    Raises
    ------
    ParameterError
        If a folder is no corpus or holds no sound, ``out`` holds a training already, the checkpoint
        was written with other songs or settings, another process trains into ``out``, or training
        diverges.

    References
    ----------
    Schlüter and Grill (2015) :cite:`schlueter2015`, sections 3 and 4.

    Examples
    --------
    >>> train_singing(["corpus"], "out", validation="valid", resume=True)  # doctest: +SKIP
    """
    settings = settings or TrainSingingConfig()
    if hours is not None and not hours > 0:
        raise ParameterError(f"hours is {hours}, must be above 0")
    front_end, folder = svd2015(), Path(out)
    with training_folder(folder, resume=resume) as checkpoint:
        songs = [song for corpus in corpora for song in read_corpus(Path(corpus))]
        sr = front_end.sample_rate
        synthetic = synthetic_songs(range(settings.synthetic), seconds=_SYNTHETIC_SECONDS, sr=sr)
        songs += synthetic
        recordings = read_music([*map(Path, music)], sr=sr, seconds=settings.music_seconds)
        source = ExcerptSource(songs, recordings.stems, front_end, settings.mixing)
        held_out = [*read_corpus(Path(validation))]
        if not held_out:
            raise ParameterError(f"{validation} has no songs to validate with")
        card = {
            "what": "Probability that the middle of 1.64 s of sound is sung",
            "network": "SVDNet (Schlueter and Grill, 2015)",
            "trained on": f"{len(songs)} songs and {len(recordings.stems)} recordings "
            "without voice",
        }
        learner = Learner(source, held_out, settings, folder / "model", card)
        config = LoopConfig(
            settings.steps,
            validate_every=settings.validate_every,
            checkpoint_every=settings.checkpoint_every,
            patience=settings.steps,
            seed=settings.seed,
        )
        history = run_training(
            learner,
            config,
            checkpoint,
            hours=hours,
            resume=resume,
            progress=progress,
            on_step=on_step,
        )
        model = load_bundle(folder / "model")
        result = TrainSingingResult(
            settings,
            model,
            folder / "model",
            history.step,
            history.scores,
            recordings.skipped,
            recordings.truncated,
        )
        write_text(folder / "result.json", to_json(result.to_dict(), indent=2) + "\n")
    return result
