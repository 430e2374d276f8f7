"""Train folk-rnn: as the paper did, or quickly on a stream of tunes.

`train_folk` takes a prepared folder and leaves a model that has seen neither the tunes it was
chosen by (valid) nor those it is judged by (test), nor near duplicates of either.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch

from otoscope.errors import CudaUnavailable, ParameterError, require_extra
from otoscope.folk.data import PreparedTunes, load_prepared
from otoscope.folk.model import FolkModel, FolkRNN, load_folkrnn, nats_per_token, save_folkrnn
from otoscope.folk.model.ngram import KneserNey
from otoscope.records import replacing, to_json, versions

__all__ = ["FolkTraining", "Progress", "TrainedFolk", "train_folk"]

MODES = ("paper", "quick")

_BASELINES = {"unigram": 1, "bigram": 2, "trigram": 3}


@dataclass(frozen=True)
class FolkTraining:
    """Settings of a training; the defaults are the quick mode's.

    Parameters
    ----------
    mode : {"quick", "paper"}
        quick: streams of tunes in windows, the state carried from one to the next (truncated
        backpropagation); Adam, its rate falling to 0 along a cosine. paper: whole tunes, bucketed
        by length; RMSprop, its rate times .97 an epoch after 20.
    embedding : int or None
        Columns of the embedding; None is one-hot.
    hidden, layers : int
        Units a layer, and layers.
    dropout : float, in [0, 1)
        After each layer.
    forget_bias : float
        Initial bias of the forget gates.
    learning_rate : float
        The highest.
    batch : int
        Tunes, or streams, at a time.
    window : int
        Tokens of a stream at a time, in quick mode.
    epochs : int
        At most; the rate is planned for all of them.
    clip : float
        Largest norm of a gradient.
    valid_every, checkpoint_every : int or None
        Steps; None is once an epoch.
    patience : int
        Validations without a better one, after which the training stops.
    seed : int
        Of weights, order and dropout.

    Raises
    ------
    ParameterError
        If a number is out of its range, or there is no such mode.

    Examples
    --------
    >>> FolkTraining.paper().hidden
    512
    """

    mode: str = "quick"
    embedding: int | None = 64
    hidden: int = 128
    layers: int = 1
    dropout: float = 0.0
    forget_bias: float = 1.0
    learning_rate: float = 1e-2
    batch: int = 16
    window: int = 64
    epochs: int = 6
    clip: float = 1.0
    valid_every: int | None = None
    checkpoint_every: int | None = 200
    patience: int = 5
    seed: int = 0

    def __post_init__(self) -> None:
        if self.mode not in MODES:
            raise ParameterError(f"mode is {self.mode!r}, must be one of {', '.join(MODES)}")
        for name in ("learning_rate", "batch", "window", "epochs", "clip", "patience"):
            if not getattr(self, name) > 0:
                raise ParameterError(f"{name} is {getattr(self, name)}, must be above 0")
        for name in ("valid_every", "checkpoint_every"):
            if (steps := getattr(self, name)) is not None and steps < 1:
                raise ParameterError(f"{name} is {steps}, must be at least 1, or None")
        if self.seed < 0:
            raise ParameterError(f"seed is {self.seed}, must be at least 0")

    @classmethod
    def paper(cls) -> FolkTraining:
        """Return the paper's: 3 layers of 512, 100 epochs; 33 h on two cores for its corpus."""
        return cls(
            mode="paper",
            embedding=None,
            hidden=512,
            layers=3,
            dropout=0.5,
            forget_bias=5.0,
            learning_rate=0.003,
            batch=64,
            epochs=100,
            clip=5.0,
            checkpoint_every=100,
            patience=20,
        )


@dataclass(frozen=True)
class Progress:
    """Where a training is: ``step`` of ``steps``, nats of the last batch, best nats held out."""

    step: int
    steps: int
    nats: float
    best: float | None


@dataclass(frozen=True)
class TrainedFolk:
    """A trained model and how good it is.

    Parameters
    ----------
    model : FolkModel
        The one that was best on the valid tunes.
    path : Path
        Its bundle, without ending.
    steps : int
        Batches it was trained for, in all.
    nats : dict of str to dict of str to float
        Nats per token on "valid" and "test" tunes: of "model", "unigram", "bigram", "trigram".
    history : list of (step, nats)
        Nats per token on valid tunes.

    Examples
    --------
    >>> train_folk("tunes", "reels").history[-1]  # doctest: +SKIP
    (1474, 1.52)
    """

    model: FolkModel
    path: Path
    steps: int
    nats: dict[str, dict[str, float]]
    history: list[tuple[int, float]]


def train_folk(
    prepared: str | Path,
    out: str | Path,
    *,
    settings: FolkTraining | None = None,
    hours: float | None = None,
    resume: bool = False,
    device: str = "cpu",
    progress: Callable[[Progress], None] | None = None,
) -> TrainedFolk:
    """Train a model on a prepared folder.

    Parameters
    ----------
    prepared : str or Path
        Folder of ``otoscope folk prepare``.
    out : str or Path
        Folder for the best model (``model.json``, ``model.safetensors``), the checkpoint and
        ``result.json``; made if it is not there.
    settings : FolkTraining, optional
        Quick mode if not given.
    hours : float, optional
        Stop then, with what was best.
    resume : bool, default False
        Go on from the checkpoint in ``out``, if there is one: with the same batches, dropout and
        rates as if nothing had happened.
    device : str, default "cpu"
        Or "cuda".
    progress : callable, optional
        Called with a `Progress` after each step.

    Returns
    -------
    TrainedFolk
        The best model, and nats per token beside those of n-gram models.

    Raises
    ------
    ParameterError
        If the folder is none, has no tunes to train on or to hold out, ``out`` holds a checkpoint
        already, the checkpoint is of another vocabulary or other settings, or the training
        diverges.
    CudaUnavailable
        If there is no GPU to train on.
    MissingExtra
        If Lightning is not installed.

    References
    ----------
    Sturm, Santos, Ben-Tal and Korshunova, "Music transcription modelling and composition using
    deep learning", 2016, section III.

    Examples
    --------
    >>> train_folk("tunes", "reels").nats["test"]["model"]  # doctest: +SKIP
    1.45
    """
    require_extra("lightning", "train")
    if device not in ("cpu", "cuda"):
        raise ParameterError(f"device is {device!r}, must be cpu or cuda")
    if device == "cuda" and not torch.cuda.is_available():
        raise CudaUnavailable("device is cuda, but torch sees no CUDA device; name cpu")
    from otoscope.folk.train import _loop as _folk_loop

    settings = settings or FolkTraining()
    if hours is not None and not hours > 0:
        raise ParameterError(f"hours is {hours}, must be above 0")
    tunes = load_prepared(prepared)
    for split in ("train", "valid"):
        if not getattr(tunes, split):
            raise ParameterError(f"{prepared} has no {split} tunes; prepare more")
    network = FolkRNN(
        len(tunes.vocabulary),
        embedding=settings.embedding,
        hidden=settings.hidden,
        layers=settings.layers,
        dropout=settings.dropout,
        forget_bias=settings.forget_bias,
        seed=settings.seed,
    )
    model = FolkModel(network, tunes.vocabulary, tunes.tokens, _card(tunes, settings))
    folder = Path(out)
    folder.mkdir(parents=True, exist_ok=True)
    run = _folk_loop.Run(model, tunes, settings, folder)
    history, steps = run.fit(hours=hours, resume=resume, device=device, progress=progress)
    best = load_folkrnn(folder / "model")
    nats = _nats(best, tunes)
    best = replace(best, card={**best.card, "nats": nats, "steps": steps})
    save_folkrnn(folder / "model", best)
    result = TrainedFolk(best, folder / "model", steps, nats, history)
    with replacing(folder / "result.json") as draft:
        told = {"settings": asdict(settings), "steps": steps, "nats": result.nats}
        told |= {"history": history, "versions": dict(versions())}
        draft.write_text(to_json(told, indent=2) + "\n")
    return result


def _card(tunes: PreparedTunes, settings: FolkTraining) -> dict[str, Any]:
    """What a model is told to be, before it is known how good it is."""
    counts = {split: len(getattr(tunes, split)) for split in ("train", "valid", "test")}
    return {
        "what": "folk-rnn: writes tunes token by token",
        "training": asdict(settings),
        "tunes": counts,
        "sources": sorted({str(row["source"]) for row in tunes.tunes}),
    }


def _nats(model: FolkModel, tunes: PreparedTunes) -> dict[str, dict[str, float]]:
    """Nats per token on the held-out tunes, of the model and of n-grams of the same training."""
    encoded = {
        split: [model.encode(tune) for tune in getattr(tunes, split)]
        for split in ("train", "valid", "test")
    }
    n_tokens = len(model.vocabulary)
    rivals = {
        name: KneserNey(encoded["train"], n_tokens=n_tokens, order=order)
        for name, order in _BASELINES.items()
    }
    return {
        split: {"model": nats_per_token(model, getattr(tunes, split))}
        | {name: rival.nats_per_token(encoded[split]) for name, rival in rivals.items()}
        for split in ("valid", "test")
        if encoded[split]
    }
