"""Train a generator on folders of sounds, resumably."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from otoscope.documents import document
from otoscope.errors import ParameterError
from otoscope.metrics import frechet_of, kernel_distance
from otoscope.models.generator_bundle import TrainedGenerator, load_generator
from otoscope.progress import Progress, silent
from otoscope.records import to_json, versions, write_text
from otoscope.seeds import numpy_generator
from otoscope.signal import FrontEnd, svd2015
from otoscope.train.folder import training_folder
from otoscope.train.loop import LoopConfig, StepResult, run_training
from otoscope.train.prior.excerpts import MelExcerpts, read_excerpts, sounds_of
from otoscope.train.prior.learner import PriorLearner, TrainPriorConfig, summaries

__all__ = ["TrainPriorResult", "baselines", "train_prior"]

_HELD_OUT = 10  # without validation sounds, every tenth sound on average is held out


@dataclass(frozen=True)
class TrainPriorResult:
    """A trained generator and its history.

    Parameters
    ----------
    settings : TrainPriorConfig
        Settings of the training.
    generator : TrainedGenerator
        Generator with the least distance to the held-out excerpts.
    path : Path
        Path of its two files, without ending.
    steps : int
        Number of steps trained, those before an interruption included.
    history : list of (step, distance)
        Frechet distances of samples to held-out excerpts.
    critic : list of (step, loss, penalty)
        Mean loss of the critic, and mean gradient penalty in it, between validations.
    quality : mapping of str to mapping
        Frechet and kernel distance to held-out excerpts by which nothing was chosen: of samples, of
        other held-out sounds ("real"), of these with their frames shuffled, of noise with each
        band's mean and deviation, and of the training sounds.
    skipped : mapping of str to ParameterError
        Sounds that are left out, by path.
    truncated : mapping of str to str
        What lacks in sounds that were cut off, by path.

    Examples
    --------
    >>> train_prior(["music"], "prior").history[-1]  # doctest: +SKIP
    (20000, 41.2)
    """

    settings: TrainPriorConfig
    generator: TrainedGenerator
    path: Path
    steps: int
    history: list[tuple[int, float]]
    critic: list[tuple[int, float, float]]
    quality: Mapping[str, Mapping[str, float]]
    skipped: Mapping[str, ParameterError] = field(default_factory=dict)
    truncated: Mapping[str, str] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return settings, distances, losses and what was skipped in JSON's types."""
        return document(
            "otoscope.TrainPrior",
            1,
            {
                "settings": asdict(self.settings),
                "steps": self.steps,
                "history": self.history,
                "critic": self.critic,
                "quality": self.quality,
                "model": self.path,
                "skipped": {name: str(reason) for name, reason in self.skipped.items()},
                "truncated": dict(self.truncated),
                "versions": versions(),
            },
        )


def train_prior(  # noqa: PLR0913 - what is trained on, and arguments of run_training
    sounds: Sequence[str | Path],
    out: str | Path,
    *,
    validation: Sequence[str | Path] = (),
    front_end: FrontEnd | None = None,
    n_frames: int = 115,
    settings: TrainPriorConfig | None = None,
    device: str = "cpu",
    hours: float | None = None,
    resume: bool = False,
    progress: Progress = silent,
    on_step: Callable[[StepResult], None] | None = None,
    on_samples: Callable[[int, Tensor], None] | None = None,
) -> TrainPriorResult:
    """Train a generator of log-mel excerpts against a critic (WGAN-GP).

    Parameters
    ----------
    sounds : sequence of str or Path
        Folders of ``otoscope corpus`` (their mixes are used), other folders, or sound files.
    out : str or Path
        Folder for the best generator (``model.json``, ``model.safetensors``), the checkpoint and
        ``result.json``; made if it does not exist.
    validation : sequence of str or Path
        Other sounds, which samples are compared with. By default a tenth of ``sounds`` is held out.
        The generator is chosen by one half of them, and its quality measured on the other half; a
        single sound serves for both.
    front_end : FrontEnd, optional
        Front end of the log-mel values. Default: `otoscope.signal.svd2015`.
    n_frames : int
        Number of frames of an excerpt.
    settings : TrainPriorConfig, optional
        Settings.
    device : str
        Device of the networks; a checkpoint may go on with another one.
    hours : float, optional
        Time limit of the training; the best generator until then is kept.
    resume : bool, default False
        Whether to continue from the checkpoint in ``out``, if there is one.
    progress : bool or callable
        True shows bars over the "sounds" and the "steps".
    on_step : callable, optional
        Called with a `otoscope.train.StepResult` after each step.
    on_samples : callable, optional
        Called at each validation with the step and samples [sample, 1, frame, mel], which are made
        of the same latents each time.

    Returns
    -------
    TrainPriorResult
        Best generator and history.

    Raises
    ------
    ParameterError
        If no sound can be used, there are fewer than four, ``out`` holds a training already, the
        checkpoint was written with other sounds or settings, another process trains into ``out``,
        or training diverges.

    References
    ----------
    Gulrajani et al. (2017) :cite:`gulrajani2017`, algorithm 1. Mishra et al. (2019)
    :cite:`mishra2019`, section 2.

    Examples
    --------
    >>> train_prior(["music"], "prior", hours=2, resume=True)  # doctest: +SKIP
    """
    settings, front_end = settings or TrainPriorConfig(), front_end or svd2015()
    if hours is not None and not hours > 0:
        raise ParameterError(f"hours is {hours}, must be above 0")
    folder = Path(out)
    with training_folder(folder, resume=resume) as checkpoint:
        train, valid = _parts(sounds, validation, front_end, n_frames, settings, progress)
        chosen, test = valid, valid  # a single sound has to serve for both
        if len(valid.log_mels) > 1:
            chosen, test = valid.divided(2, settings.seed)
        card = {
            "what": f"Log-mel excerpts of {n_frames} frames, made of 128 numbers of N(0, 1)",
            "network": f"MelGenerator (Mishra et al., 2019), widths divided by {settings.shrink}",
            "trained on": f"{len(train.log_mels)} sounds",
        }
        learner = PriorLearner(
            train,
            chosen,
            front_end,
            settings,
            folder / "model",
            card=card,
            device=device,
            on_samples=on_samples,
        )
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
        generator = load_generator(folder / "model")
        result = TrainPriorResult(
            settings,
            generator,
            folder / "model",
            history.step,
            history.scores,
            learner.log,
            quality_of(generator, train, chosen, test, settings),
            {**train.skipped, **valid.skipped},
            {**train.truncated, **valid.truncated},
        )
        write_text(folder / "result.json", to_json(result.to_dict(), indent=2) + "\n")
    return result


def _parts(
    sounds: Sequence[str | Path],
    validation: Sequence[str | Path],
    front_end: FrontEnd,
    n_frames: int,
    settings: TrainPriorConfig,
    progress: Progress,
) -> tuple[MelExcerpts, MelExcerpts]:
    """Read the sounds to train on and the held-out ones."""

    def read(places: Sequence[str | Path]) -> MelExcerpts:
        paths = sounds_of([Path(place) for place in places])
        return read_excerpts(
            paths, front_end, n_frames, seconds=settings.seconds, progress=progress
        )

    everything = read(sounds)
    if validation:
        return everything, read(validation)
    if len(everything.log_mels) < 2:
        raise ParameterError("there is one usable sound; one more must be held out")
    return everything.divided(_HELD_OUT, settings.seed)


def baselines(real: Tensor, seed: int) -> dict[str, Tensor]:
    """Make what a generator must beat, from real excerpts [excerpt, 1, frame, mel].

    Parameters
    ----------
    real : Tensor [excerpt, 1, frame, mel]
        Real excerpts.
    seed : int
        Random seed.

    Returns
    -------
    dict of str to Tensor [excerpt, 1, frame, mel]
        ``shuffled``, each excerpt's frames in a random order, and ``noise``, normal cells with the
        mean and the deviation of each band.

    Examples
    --------
    >>> sorted(baselines(torch.zeros(3, 1, 4, 2), 0))
    ['noise', 'shuffled']
    """
    generator = torch.Generator().manual_seed(seed)
    order = torch.rand(len(real), real.shape[2], generator=generator).argsort(1)
    shuffled = real.gather(2, order[:, None, :, None].expand_as(real))
    mean, std = real.mean((0, 1, 2)), real.std((0, 1, 2))
    return {
        "shuffled": shuffled,
        "noise": mean + std * torch.randn(real.shape, generator=generator),
    }


def quality_of(
    generator: TrainedGenerator,
    train: MelExcerpts,
    chosen: MelExcerpts,
    test: MelExcerpts,
    settings: TrainPriorConfig,
    feature: Callable[[Tensor], Tensor] = summaries,
) -> dict[str, dict[str, float]]:
    """Compute distances to excerpts of ``test``, which no step and no choice depends on.

    They are those of samples, of the sounds that the generator was chosen by ("real"), of these
    with their frames shuffled, of noise with the moments of each band, and of the training sounds.
    """

    def draw(excerpts: MelExcerpts, place: int) -> Tensor:
        return excerpts.batch(numpy_generator(settings.seed, 1 << 40, place), n)

    n = settings.n_validation
    expected, real = feature(draw(test, 2)), draw(chosen, 3)
    latents = torch.randn(
        n, generator.network.latent_size, generator=torch.Generator().manual_seed(settings.seed)
    )
    with torch.no_grad():
        made = torch.cat([generator.network(part) for part in latents.split(64)])
    sets = {"samples": made, "real": real, **baselines(real, settings.seed)}
    sets["training"] = draw(train, 4)
    quality = {}
    for name, excerpts in sets.items():
        features = feature(excerpts)
        quality[name] = {
            "frechet": float(frechet_of(expected, features)),
            "kernel": float(kernel_distance(expected, features)),
        }
    return quality
