"""The loop of a training of folk-rnn, on Lightning: batches, steps, validations, checkpoints."""

from __future__ import annotations

import logging
import math
import pickle
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import lightning
import numpy as np
import torch
from torch import Tensor, nn

from otoscope.errors import ParameterError
from otoscope.folk.data import PreparedTunes
from otoscope.folk.model import FolkModel, nats_per_token, save_folkrnn
from otoscope.folk.model.network import State
from otoscope.folk.train.batches import PADDING, Streams, WholeTunes
from otoscope.folk.train.training import FolkTraining, Progress
from otoscope.records import replacing

_WARM_UP_STEPS = 50  # Adam's first steps are too long for a rate of .01
_DECAY, _DECAY_AFTER = 0.97, 20  # the paper's, an epoch


class Learner(lightning.LightningModule):
    """Network, optimiser and rate; what must survive a kill is in its checkpoint."""

    def __init__(
        self, model: FolkModel, settings: FolkTraining, batches: Streams | WholeTunes
    ) -> None:
        super().__init__()
        self.network, self._settings, self._batches = model.network, settings, batches
        self._start = model.vocabulary.start
        # What a checkpoint must agree with to be gone on from.
        self.identity = {"vocabulary": list(model.vocabulary.tokens), "settings": asdict(settings)}
        self.steps = settings.epochs * batches.per_epoch
        self._carried: State = model.network.initial_state(settings.batch)
        self.history: list[tuple[int, float]] = []
        self.is_done = False

    def on_train_batch_start(self, batch: Tensor, number: int) -> None:
        """Seed dropout by the step: a run that is resumed drops the same."""
        seeds = np.random.SeedSequence([self._settings.seed, self.global_step]).generate_state(1)
        torch.manual_seed(int(seeds[0]))

    def training_step(self, batch: Tensor, number: int) -> Tensor:
        """Nats per token of a batch, over all its tokens."""
        begins = batch[:, 0] == self._start  # or an epoch, in the middle of a tune
        state = self.network.initial_state(len(batch))
        if self.global_step % self._batches.per_epoch and not begins.all():
            hidden, cell = (
                torch.where(begins[:, None], initial, carried.to(batch.device))
                for initial, carried in zip(state, self._carried, strict=True)
            )
            state = hidden, cell
        logits, state = self.network(batch[:, :-1].clamp(min=0), state)
        self._carried = state[0].detach(), state[1].detach()
        return nn.functional.cross_entropy(logits.mT, batch[:, 1:], ignore_index=PADDING)

    def configure_optimizers(self) -> Any:
        """Return the mode's optimiser and its rate's course, a step each."""
        weights = [weight for weight in self.network.parameters() if weight.requires_grad]
        rate = self._settings.learning_rate
        if self._settings.mode == "paper":
            optimiser: torch.optim.Optimizer = torch.optim.RMSprop(
                weights, lr=rate, alpha=0.9, eps=1e-6
            )
        else:
            optimiser = torch.optim.Adam(weights, lr=rate)
        course = torch.optim.lr_scheduler.LambdaLR(optimiser, self._course)
        return {
            "optimizer": optimiser,
            "lr_scheduler": {"scheduler": course, "interval": "step"},
        }

    def _course(self, step: int) -> float:
        if self._settings.mode == "paper":
            epoch = step // self._batches.per_epoch
            return float(_DECAY ** max(0, epoch - _DECAY_AFTER))
        warm = min(1.0, (step + 1) / _WARM_UP_STEPS)
        return warm * 0.5 * (1 + math.cos(math.pi * min(1.0, step / self.steps)))

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep what is not a weight."""
        checkpoint["folk"] = {
            "identity": self.identity,
            "carried": self._carried,
            "history": self.history,
            "is_done": self.is_done,
        }

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Take it up again."""
        kept = checkpoint["folk"]
        self._carried, self.is_done = kept["carried"], kept["is_done"]
        self.history = [(step, nats) for step, nats in kept["history"]]


class Watch(lightning.Callback):
    """After each step: validate, keep the best, stop when it is time, write a checkpoint."""

    def __init__(
        self, run: Run, *, hours: float | None, progress: Callable[[Progress], None] | None
    ) -> None:
        self._run, self._progress = run, progress
        self._deadline = math.inf if hours is None else time.monotonic() + 3600 * hours

    def on_train_batch_end(
        self,
        trainer: lightning.Trainer,
        pl_module: lightning.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Do what is due after a step."""
        run, step = self._run, trainer.global_step
        learner, settings = run.learner, run.settings
        is_last = step == learner.steps or time.monotonic() > self._deadline
        if is_last or step % (settings.valid_every or run.batches.per_epoch) == 0:
            run.validate(step)
        trainer.should_stop = is_last or learner.is_done
        if trainer.should_stop or step % (settings.checkpoint_every or run.batches.per_epoch) == 0:
            with replacing(run.checkpoint) as draft:
                trainer.save_checkpoint(draft)
        if self._progress is not None:
            best = min((nats for _, nats in learner.history), default=None)
            self._progress(Progress(step, learner.steps, float(outputs["loss"]), best))


class Run:
    """One training: a model, the tunes, and the folder that it is written to."""

    def __init__(
        self, model: FolkModel, tunes: PreparedTunes, settings: FolkTraining, folder: Path
    ) -> None:
        self.model, self.settings, self._valid = model, settings, tunes.valid
        self.checkpoint, self._best = folder / "checkpoint.ckpt", folder / "model"
        self._ids = [model.encode(tune) for tune in tunes.train]
        self.batches: Streams | WholeTunes
        if settings.mode == "paper":
            self.batches = WholeTunes(self._ids, batch=settings.batch, seed=settings.seed)
        else:
            self.batches = Streams(
                self._ids, batch=settings.batch, window=settings.window, seed=settings.seed
            )
        self.learner = Learner(model, settings, self.batches)

    def fit(
        self,
        *,
        hours: float | None,
        resume: bool,
        device: str,
        progress: Callable[[Progress], None] | None,
    ) -> tuple[list[tuple[int, float]], int]:
        """Train to the end; the history of validations, and the steps taken in all."""
        kept = self._kept(resume)
        first = kept["global_step"] if kept else 0
        if kept and kept["folk"]["is_done"]:
            return kept["folk"]["history"], first
        with _quiet():
            trainer = self._trainer(Watch(self, hours=hours, progress=progress), device)
            path = self.checkpoint if kept else None
            batches = _Numbered(self.batches, first, self.learner.steps)
            trainer.fit(self.learner, batches, ckpt_path=path, weights_only=True)
        return self.learner.history, trainer.global_step

    def _trainer(self, watch: Watch, device: str) -> lightning.Trainer:
        return lightning.Trainer(
            accelerator="cpu" if device == "cpu" else "gpu",
            devices=1,
            max_epochs=1,  # epochs are counted here: Lightning's loop over batches is never left
            max_steps=self.learner.steps,
            gradient_clip_val=self.settings.clip,
            callbacks=[watch],
            default_root_dir=self.checkpoint.parent,
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
        )

    def validate(self, step: int) -> None:
        """Measure nats on the valid tunes; keep the model if it is the best, stop if none was."""
        network, learner = self.model.network, self.learner
        network.eval()
        nats = nats_per_token(self.model, self._valid)
        network.train()
        if not math.isfinite(nats):
            raise ParameterError(
                f"the training has diverged before step {step}; lower learning_rate, "
                f"which is {self.settings.learning_rate}"
            )
        learner.history.append((step, nats))
        best = min(range(len(learner.history)), key=lambda place: learner.history[place][1])
        if best == len(learner.history) - 1:
            save_folkrnn(self._best, self.model)
        learner.is_done = len(learner.history) - 1 - best >= self.settings.patience

    def _kept(self, resume: bool) -> dict[str, Any] | None:
        """The checkpoint to go on from, if there is one and it is of the same training."""
        if not self.checkpoint.is_file():
            return None
        if not resume:
            raise ParameterError(
                f"{self.checkpoint.parent} holds a training already; resume it or name another"
            )
        try:
            kept: dict[str, Any] = torch.load(
                self.checkpoint, map_location="cpu", weights_only=True
            )
            identity = kept["folk"]["identity"]
        except (KeyError, RuntimeError, pickle.UnpicklingError, EOFError) as err:
            raise ParameterError(f"{self.checkpoint} is no checkpoint of folk-rnn: {err}") from err
        if identity["vocabulary"] != self.learner.identity["vocabulary"]:
            raise ParameterError(f"{self.checkpoint} is of another vocabulary; name a new folder")
        for name, value in asdict(self.settings).items():
            if identity["settings"].get(name) != value:
                raise ParameterError(
                    f"{self.checkpoint} is of {name} {identity['settings'].get(name)}, "
                    f"not {value}; name a new folder"
                )
        return kept


class _Numbered:
    """Batches from a number on."""

    def __init__(self, batches: Streams | WholeTunes, first: int, end: int) -> None:
        self._batches, self._numbers = batches, range(first, end)

    def __iter__(self) -> Iterator[Tensor]:
        return map(self._batches.at, self._numbers)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep dropout's seeds, Lightning's advertisements and its use of old names of torch inside."""
    log = logging.getLogger("lightning.pytorch")
    level = log.level
    log.setLevel(logging.WARNING)
    try:
        with torch.random.fork_rng(), warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*LeafSpec.* is deprecated")
            yield
    finally:
        log.setLevel(level)
