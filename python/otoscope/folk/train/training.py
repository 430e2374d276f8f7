"""Train folk-rnn on a prepared folder, and compare it with n-gram models.

The model has seen neither the tunes that it was chosen by (valid) nor those that it is judged by
(test), nor near duplicates of either.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch

from otoscope.documents import document
from otoscope.errors import CudaUnavailable, ParameterError
from otoscope.folk.data import SPLITS, PreparedTunes, load_prepared
from otoscope.folk.model import (
    FolkModel,
    FolkRNN,
    KneserNey,
    load_folkrnn,
    nats_per_token,
    save_folkrnn,
)
from otoscope.folk.train.recipe import Learner, TrainFolkConfig
from otoscope.progress import Progress, silent
from otoscope.records import to_json, versions, write_text
from otoscope.train import LoopConfig, StepResult, run_training, training_folder

__all__ = ["TrainFolkResult", "held_out_nats", "train_folk"]

_ORDERS = {"unigram": 1, "bigram": 2, "trigram": 3}


@dataclass(frozen=True)
class TrainFolkResult:
    """A trained model and its likelihood of held-out tunes.

    Parameters
    ----------
    settings : TrainFolkConfig
        Settings of the training.
    model : FolkModel
        Model that was best on the validation tunes.
    path : Path
        Path of the model's bundle, without ending.
    steps : int
        Number of batches trained on, those before an interruption included.
    nats : dict of str to dict of str to float
        Nats per token on "valid" and "test" tunes: of "model", "unigram", "bigram", "trigram".
    history : list of (step, nats)
        Nats per token on the validation tunes.

    Examples
    --------
    >>> train_folk("tunes", "reels").history[-1]  # doctest: +SKIP
    (1474, 1.52)
    """

    settings: TrainFolkConfig
    model: FolkModel
    path: Path
    steps: int
    nats: dict[str, dict[str, float]]
    history: list[tuple[int, float]]

    def to_dict(self) -> dict[str, Any]:
        """Return settings, steps and nats in JSON's types."""
        return document(
            "otoscope.TrainFolk",
            2,
            {
                "settings": self.settings,
                "steps": self.steps,
                "nats": self.nats,
                "history": self.history,
                "model": self.path,
                "versions": versions(),
            },
        )


def train_folk(
    prepared: str | Path,
    out: str | Path,
    *,
    settings: TrainFolkConfig | None = None,
    hours: float | None = None,
    resume: bool = False,
    progress: Progress = silent,
    on_step: Callable[[StepResult], None] | None = None,
) -> TrainFolkResult:
    """Train a model on a prepared folder.

    Parameters
    ----------
    prepared : str or Path
        Folder written by ``otoscope folk prepare``.
    out : str or Path
        Folder for the best model (``model.json``, ``model.safetensors``), the checkpoint and
        ``result.json``; made if it does not exist.
    settings : TrainFolkConfig, optional
        Settings; those of the quick mode by default.
    hours : float, optional
        Time limit of the training; the best model until then is kept.
    resume : bool, default False
        Whether to continue from the checkpoint in ``out``, if there is one: with the same batches,
        dropout and learning rates as if training had not been interrupted.
    progress : bool or callable
        True shows a bar over the "steps".
    on_step : callable, optional
        Called with a `otoscope.train.StepResult` after each step.

    Returns
    -------
    TrainFolkResult
        Best model, and its nats per token beside those of n-gram models.

    Raises
    ------
    ParameterError
        If ``prepared`` is not a prepared folder or has no tunes to train on or to validate with,
        ``out`` holds a training or a model already, the checkpoint was written with other tunes or
        settings, another process trains into ``out``, or training diverges.
    CudaUnavailable
        If there is no GPU to train on.

    References
    ----------
    Sturm et al. (2016) :cite:`sturm2016folkrnn`, section III.

    Examples
    --------
    >>> train_folk("tunes", "reels").nats["test"]["model"]  # doctest: +SKIP
    1.45
    """
    settings = settings or TrainFolkConfig()
    if settings.device == "cuda" and not torch.cuda.is_available():
        raise CudaUnavailable("device is cuda, but torch sees no CUDA device; name cpu")
    if hours is not None and not hours > 0:
        raise ParameterError(f"hours is {hours}, must be above 0")
    tunes = load_prepared(prepared)
    for split in ("train", "valid"):
        if not getattr(tunes, split):
            raise ParameterError(f"{prepared} has no {split} tunes; prepare more")
    model = _initial_model(tunes, settings)
    folder = Path(out)
    with training_folder(folder, resume=resume) as checkpoint:
        learner = Learner(model, tunes, settings, folder / "model")
        config = LoopConfig(
            learner.steps,
            validate_every=settings.valid_every or learner.batches.per_epoch,
            checkpoint_every=settings.checkpoint_every or learner.batches.per_epoch,
            patience=settings.patience,
            clip=settings.clip,
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
        best = load_folkrnn(folder / "model")
        nats = held_out_nats(best, tunes)
        best = replace(best, card={**best.card, "nats": nats, "steps": history.step})
        save_folkrnn(folder / "model", best)
        result = TrainFolkResult(
            settings, best, folder / "model", history.step, nats, history.scores
        )
        write_text(folder / "result.json", to_json(result.to_dict(), indent=2) + "\n")
        return result


def _initial_model(tunes: PreparedTunes, settings: TrainFolkConfig) -> FolkModel:
    network = FolkRNN(
        len(tunes.vocabulary),
        embedding=settings.embedding,
        hidden=settings.hidden,
        layers=settings.layers,
        dropout=settings.dropout,
        forget_bias=settings.forget_bias,
        inputs=settings.inputs,
        seed=settings.seed,
    )
    card = {
        "what": "folk-rnn: writes tunes token by token",
        "training": asdict(settings),
        "tunes": {split: len(getattr(tunes, split)) for split in SPLITS},
        "sources": sorted({str(row["source"]) for row in tunes.tunes}),
    }
    return FolkModel(network, tunes.vocabulary, tunes.tokens, card)


def held_out_nats(model: FolkModel, tunes: PreparedTunes) -> dict[str, dict[str, float]]:
    """Compute nats per token on held-out tunes, of a model and of n-grams of its training tunes.

    Parameters
    ----------
    model : FolkModel
        Model that was trained on the training tunes, or on none.
    tunes : PreparedTunes
        Tunes in the model's tokens.

    Returns
    -------
    dict of str to dict of str to float
        By split, "valid" and "test": nats of "model", "unigram", "bigram", "trigram".

    Examples
    --------
    >>> held_out_nats(load_folkrnn(), load_prepared("tunes"))  # doctest: +SKIP
    """
    encoded = {split: [model.encode(tune) for tune in getattr(tunes, split)] for split in SPLITS}
    n_tokens = len(model.vocabulary)
    n_grams = {
        name: KneserNey(encoded["train"], n_tokens=n_tokens, order=order)
        for name, order in _ORDERS.items()
    }
    return {
        split: {"model": nats_per_token(model, getattr(tunes, split))}
        | {name: n_gram.nats_per_token(encoded[split]) for name, n_gram in n_grams.items()}
        for split in ("valid", "test")
        if encoded[split]
    }
