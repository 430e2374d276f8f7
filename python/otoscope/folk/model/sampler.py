"""Draw tunes from a model, many at a time, each as if it were alone.

Tune i has its own generator, made of the seed and i, and is the same whatever the batch: how a sum
is rounded does depend on it, by 1e-15 in double precision, too little to decide a draw.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice

import numpy as np
import torch
from numpy.typing import NDArray

from otoscope.errors import ParameterError
from otoscope.folk.model.bundle import FolkModel
from otoscope.folk.model.draw import draw, log_sum
from otoscope.folk.model.measure_grammar import MeasureState
from otoscope.folk.model.opening import Opening
from otoscope.folk.model.settings import Sampling
from otoscope.folk.model.stepper import Stepper

__all__ = ["SampledTune", "sample", "sample_stream"]

_ALONE = 4  # up to so many tunes a step is too short for threads to share


@dataclass(frozen=True)
class SampledTune:
    """A tune that a model made.

    Parameters
    ----------
    index : int
        Which of the tunes of its seed, from 0.
    tokens : tuple of str
        With meter and key, without ``<s>`` and ``</s>``.
    log_probability : float, nats
        The model's own, at temperature 1 and nothing forbidden, of all that was drawn.
    n_drawn : int
        How many that were, ``</s>`` included; others were given.
    is_finished : bool
        Whether ``</s>`` was drawn before the limit.
    masked_nats : float
        Minus the log of the probability that the rules left, summed over the draws: by how much
        they, not the model, wrote the tune. Rules are `Sampling.bars_add_up`, and a meter and a
        key at the beginning.

    Examples
    --------
    >>> SampledTune(0, ("M:4/4", "K:Cmaj", "C"), -3.2, 4, True, 0.1).n_drawn
    4
    """

    index: int
    tokens: tuple[str, ...]
    log_probability: float
    n_drawn: int
    is_finished: bool
    masked_nats: float


def sample(
    model: FolkModel,
    n: int,
    *,
    seed: int = 0,
    batch: int = 64,
    settings: Sampling | None = None,
) -> list[SampledTune]:
    """Draw tunes.

    Parameters
    ----------
    model : FolkModel
        In evaluation mode.
    n : int, >= 0
        How many.
    seed : int, >= 0, default 0
        Tune i of a seed is always the same.
    batch : int, >= 1, default 64
        Tunes at a time: faster, and nothing else.
    settings : Sampling, optional
        Temperature, meter, mode, prime and more.

    Returns
    -------
    list of SampledTune
        In the order of their index.

    Raises
    ------
    ParameterError
        If a number is out of its range, or the model does not know the meter, the mode or a token
        of the prime: says which, where, and what it knows.

    Examples
    --------
    >>> tunes = sample(model, 64, seed=1)  # doctest: +SKIP
    """
    stream = sample_stream(model, n, seed=seed, batch=batch, settings=settings)
    return sorted(stream, key=lambda tune: tune.index)


def sample_stream(
    model: FolkModel,
    n: int,
    *,
    seed: int = 0,
    batch: int = 64,
    settings: Sampling | None = None,
) -> Iterator[SampledTune]:
    """Draw tunes, and give each as soon as it is finished.

    Parameters
    ----------
    model, n, seed, batch, settings
        As `sample` takes them.

    Returns
    -------
    iterator of SampledTune
        The short ones first.

    Raises
    ------
    ParameterError
        As `sample` does, before the first tune.

    Examples
    --------
    >>> for tune in sample_stream(model, 64, seed=1):  # doctest: +SKIP
    ...     print(" ".join(tune.tokens))
    """
    for name, value, least in (("n", n, 0), ("seed", seed, 0), ("batch", batch, 1)):
        if value < least:
            raise ParameterError(f"{name} is {value}, must be at least {least}")
    settings = settings or Sampling()
    return _Sampler(model, settings).run(
        (_Tune(index, seed, settings) for index in range(n)), batch
    )


class _Tune:
    """What is known of a tune while it is made."""

    def __init__(self, index: int, seed: int, settings: Sampling) -> None:
        self.index = index
        self.uniform = np.random.default_rng([seed, index]).random(settings.max_tokens)
        self.ids: list[int] = []
        self.measure: MeasureState | None = None
        self.log_probability = self.masked_nats = 0.0
        self.n_drawn = 0


class _Sampler:
    """One run: the network's steps, and a draw for each tune after each."""

    def __init__(self, model: FolkModel, settings: Sampling) -> None:
        self._model, self._settings = model, settings
        self._opening = Opening(model, settings)
        self._not_start: NDArray[np.bool_] = (
            np.arange(len(model.vocabulary)) != model.vocabulary.start
        )

    def run(self, waiting: Iterator[_Tune], batch: int) -> Iterator[SampledTune]:
        """Keep as many tunes going as the batch holds; where one ends, the next begins."""
        running = list(islice(waiting, batch))
        dtype = getattr(torch, self._settings.precision)
        stepper = Stepper(self._model.network, len(running), dtype=dtype)
        while running:
            with _threads_for(len(running)), torch.inference_mode():
                ended = self._until_some_end(stepper, running)
                done = [running[row] for row in ended]
                for row, tune in zip(list(ended), waiting, strict=False):
                    running[row] = tune
                    stepper.restart(row)
                    ended.remove(row)
                if ended:
                    kept = [row for row in range(len(running)) if row not in ended]
                    running = [running[row] for row in kept]
                    stepper.keep(kept)
            yield from map(self._sampled, done)

    def _until_some_end(self, stepper: Stepper, running: list[_Tune]) -> list[int]:
        """Step until tunes end; their rows."""
        stop = self._model.vocabulary.stop
        while True:
            self._step(stepper, running)
            ended = [
                row
                for row, tune in enumerate(running)
                if tune.ids[-1] == stop or len(tune.ids) == len(tune.uniform)
            ]
            if ended:
                return ended

    def _step(self, stepper: Stepper, running: list[_Tune]) -> None:
        """Read the last token of each tune, and draw one more."""
        start = self._model.vocabulary.start
        last = torch.tensor([tune.ids[-1] if tune.ids else start for tune in running])
        logits = stepper.step(last.to(self._device)).cpu().double().numpy()
        allowed = np.stack([self._allowed(tune) for tune in running])
        uniform = np.array([tune.uniform[len(tune.ids)] for tune in running])
        tokens, removed = draw(logits, allowed, uniform, self._settings)
        gained = logits[np.arange(len(running)), tokens] - log_sum(logits)
        for tune, token, nats, masked in zip(
            running, tokens.tolist(), gained.tolist(), removed.tolist(), strict=True
        ):
            self._take(tune, token, nats, masked)

    def _allowed(self, tune: _Tune) -> NDArray[np.bool_]:
        place = len(tune.ids)
        if place < len(self._opening.masks):
            return self._opening.masks[place]
        if self._opening.grammar and tune.measure:
            return self._opening.grammar.allowed(tune.measure)
        return self._not_start

    def _take(self, tune: _Tune, token: int, nats: float, masked: float) -> None:
        place, given = len(tune.ids), self._opening.is_given
        tune.ids.append(token)
        if not (place < len(given) and given[place]):
            tune.n_drawn += 1
            tune.log_probability += nats
            tune.masked_nats += masked
        if self._opening.grammar:
            tune.measure = (
                self._opening.grammar.after(tune.measure, token)
                if tune.measure
                else self._opening.state(tune.ids)
            )

    @property
    def _device(self) -> torch.device:
        return self._model.network.hidden_init.device

    def _sampled(self, tune: _Tune) -> SampledTune:
        is_finished = tune.ids[-1] == self._model.vocabulary.stop
        return SampledTune(
            index=tune.index,
            tokens=tuple(
                self._model.vocabulary.tokens[one]
                for one in (tune.ids[:-1] if is_finished else tune.ids)
            ),
            log_probability=round(tune.log_probability, 9),  # the sum's last digits are noise
            n_drawn=tune.n_drawn,
            is_finished=is_finished,
            masked_nats=round(tune.masked_nats, 9),
        )


@contextmanager
def _threads_for(n_tunes: int) -> Iterator[None]:
    """Use one thread where the work is too small to share, and give the others back."""
    before = torch.get_num_threads()
    torch.set_num_threads(1 if n_tunes <= _ALONE else before)
    try:
        yield
    finally:
        torch.set_num_threads(before)
