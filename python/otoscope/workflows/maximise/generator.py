"""Train a generator for the front end of a model, with samples to see and to hear."""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from otoscope.data import SINGING_RECIPES, write_singing
from otoscope.errors import ParameterError
from otoscope.progress import Progress, silent
from otoscope.records import replacing
from otoscope.report.geometry import mask_png
from otoscope.signal import FrontEnd, write_audio
from otoscope.train import StepResult, training_folder
from otoscope.train.prior import TrainPriorConfig, TrainPriorResult, train_prior
from otoscope.workflows.recording import load_listening_model

__all__ = ["PriorConfig", "train_generator"]

_N_ITER = 32  # iterations of Griffin and Lim


@dataclass(frozen=True)
class PriorConfig:
    """Sounds of a generator, the model that it is to fit, and the training.

    Parameters
    ----------
    out : Path
        Folder for the generator, its samples and the checkpoint.
    sounds : tuple of Path
        Folders of sounds; of a corpus of stems the mixes are used.
    recipe : str, optional
        Recipe of ``otoscope corpus singing``, whose songs are rendered first and added.
    songs : int
        Number of songs of the recipe.
    validation : tuple of Path
        Folders of other sounds, which samples are compared with. By default a tenth of the sounds
        is held out.
    model : str
        Model whose front end and size of excerpts the generator is to fit.
    training : TrainPriorConfig
        Settings of the training.
    device : str
        Device of the networks: cpu or cuda.
    hours : float, optional
        Time limit, in hours; the best generator until then is kept.
    resume : bool
        Continue from the checkpoint in ``out``, if there is one.

    Raises
    ------
    ParameterError
        If there are neither sounds nor a recipe, or there is no such recipe.

    Examples
    --------
    >>> PriorConfig(Path("prior"), recipe="varied").model
    'svdnet-synth'
    """

    out: Path
    sounds: tuple[Path, ...] = ()
    recipe: str | None = None
    songs: int = 150
    validation: tuple[Path, ...] = ()
    model: str = "svdnet-synth"
    training: TrainPriorConfig = field(default_factory=TrainPriorConfig)
    device: str = "cpu"
    hours: float | None = None
    resume: bool = False

    def __post_init__(self) -> None:
        if self.recipe is not None and self.recipe not in SINGING_RECIPES:
            names = ", ".join(SINGING_RECIPES)
            raise ParameterError(f"recipe is {self.recipe!r}, must be one of {names}")
        if not self.sounds and self.recipe is None:
            raise ParameterError("there are neither sounds nor a recipe to train on")
        if self.songs < 1:
            raise ParameterError(f"songs is {self.songs}, must be >= 1")


def train_generator(
    config: PriorConfig,
    *,
    progress: Progress = silent,
    on_step: Callable[[StepResult], None] | None = None,
) -> TrainPriorResult:
    """Train a generator; write a picture and a sound of samples at each validation.

    Parameters
    ----------
    config : PriorConfig
        Sounds, model and training.
    progress : bool or callable
        True shows bars over the songs that are rendered, the "sounds" and the "steps".
    on_step : callable, optional
        Called with a `otoscope.train.StepResult` after each step.

    Returns
    -------
    TrainPriorResult
        Best generator and history; ``OUT/samples`` has the pictures and the sounds.

    Raises
    ------
    ParameterError
        If the front end of the model is not a plain one, or `otoscope.train.prior.train_prior`
        refuses the sounds.

    Examples
    --------
    >>> train_generator(PriorConfig(Path("prior"), recipe="varied"))  # doctest: +SKIP
    """
    model: Any = load_listening_model(config.model, device="cpu")
    if type(model.front_end) is not FrontEnd:
        raise ParameterError(
            f"model is {config.model}, whose front end is {type(model.front_end).__name__}; a "
            "generator makes log-mel values of a plain FrontEnd"
        )
    with training_folder(config.out, resume=config.resume):
        sounds = list(config.sounds)
        if config.recipe is not None:
            songs = config.out / "songs"
            recipe = SINGING_RECIPES[config.recipe]
            write_singing(
                songs, config.songs, config.training.seed, recipe=recipe, progress=progress
            )
            sounds.append(songs)
        return train_prior(
            sounds,
            config.out,
            validation=config.validation,
            front_end=model.front_end,
            n_frames=model.patch_frames,
            settings=config.training,
            device=config.device,
            hours=config.hours,
            resume=config.resume,
            progress=progress,
            on_step=on_step,
            on_samples=_Samples(config.out / "samples", model.front_end),
        )


@dataclass(frozen=True)
class _Samples:
    """Write samples of a step, side by side, as a picture and a sound."""

    folder: Path
    front_end: FrontEnd

    def __call__(self, step: int, samples: Tensor) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        values = samples[:, 0]
        low, high = torch.quantile(values, torch.tensor([0.15, 0.999])).tolist()
        shown = F.pad(((values - low) / max(high - low, 1e-9)).clamp(0, 1), (0, 0, 0, 1), value=1.0)
        png = mask_png(shown.flatten(0, 1)[:-1])
        with replacing(self.folder / f"step-{step:06}.png") as draft:
            draft.write_bytes(base64.b64decode(png.partition(",")[2]))
        mel = self.front_end.compression.expand(values.double())
        sounds = [self.front_end.invert(part, n_iter=_N_ITER, seed=i) for i, part in enumerate(mel)]
        y = torch.cat([0.99 * y / y.abs().max().clamp(min=1e-9) for y in sounds])
        path = self.folder / f"step-{step:06}.wav"
        write_audio(path, y.float(), sr=self.front_end.sample_rate)
