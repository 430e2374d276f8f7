"""Sampling of tunes from a model, many at a time, each with the result that it would have alone.

Tune i has its own generator, made of the seed and i, and is the same in any batch: on the CPU all
numbers are, bit for bit. On a GPU the rounding of torch's sums depends on the batch, by 1e-15 in
double precision, too little to decide a draw.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray

from otoscope.errors import ParameterError
from otoscope.folk.model.bundle import FolkModel
from otoscope.folk.model.config import SamplingConfig
from otoscope.folk.model.draw import draw
from otoscope.folk.model.fixed_order import FixedOrderStepper
from otoscope.folk.model.opening import Opening, RuleState
from otoscope.folk.model.position import Position
from otoscope.folk.model.stepper import Stepper

__all__ = ["SampledTune", "sample", "sample_stream"]

_Stepper: TypeAlias = Stepper | FixedOrderStepper
_ONE_THREAD_TUNES = 4  # a step of at most this number of tunes is too short for threads to share


@dataclass(frozen=True)
class SampledTune:
    """A tune drawn from a model.

    Parameters
    ----------
    index : int
        Number of the tune among those of its seed, from 0.
    tokens : tuple of str
        Tokens with meter and key, without ``<s>`` and ``</s>``.
    log_probability : float, nats
        Log probability of all drawn tokens by the model at temperature 1, with nothing forbidden.
    n_drawn : int
        Number of drawn tokens, ``</s>`` included; the other tokens were given.
    is_finished : bool
        Whether ``</s>`` was drawn before the limit.
    masked_nats : float
        Log ratio of the probabilities of the drawn tokens under the rules and by the model: how
        much the rules, not the model, determined the tune. Where rules only forbid tokens it is
        minus the log of the probability of the others, summed over the draws. Rules are
        `SamplingConfig.bars_add_up`, `SamplingConfig.form`, and that a tune begins with a meter and
        a key.

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
    settings: SamplingConfig | None = None,
) -> list[SampledTune]:
    """Draw tunes from a model.

    Parameters
    ----------
    model : FolkModel
        Model in evaluation mode.
    n : int, >= 0
        Number of tunes.
    seed : int, >= 0, default 0
        Random seed; tune i of a seed is always the same.
    batch : int, >= 1, default 64
        Number of tunes at a time; it changes the speed, not the tunes.
    settings : SamplingConfig, optional
        Temperature, meter, mode, prime and more.

    Returns
    -------
    list of SampledTune
        Tunes in the order of their index.

    Raises
    ------
    ParameterError
        If a number is out of its range, or the model does not know the meter, the mode or a token
        of the prime; names the token, its place and the known ones.

    Examples
    --------
    >>> [tune.is_finished for tune in sample(load_folkrnn(), 2, seed=1)]  # doctest: +SKIP
    [True, True]
    """
    stream = sample_stream(model, n, seed=seed, batch=batch, settings=settings)
    return sorted(stream, key=lambda tune: tune.index)


def sample_stream(
    model: FolkModel,
    n: int,
    *,
    seed: int = 0,
    batch: int = 64,
    settings: SamplingConfig | None = None,
) -> Iterator[SampledTune]:
    """Draw tunes from a model, and yield each as soon as it is finished.

    Parameters
    ----------
    model, n, seed, batch, settings
        Arguments of `sample`.

    Returns
    -------
    iterator of SampledTune
        Tunes in the order of finishing, short ones first.

    Raises
    ------
    ParameterError
        If an argument is refused, as by `sample`, before the first tune.

    Examples
    --------
    >>> for tune in sample_stream(model, 64, seed=1):  # doctest: +SKIP
    ...     print(" ".join(tune.tokens))
    """
    for name, value, least in (("n", n, 0), ("seed", seed, 0), ("batch", batch, 1)):
        if value < least:
            raise ParameterError(f"{name} is {value}, must be at least {least}")
    settings = settings or SamplingConfig()
    return _Sampler(model, settings).run(
        (_Tune(index, seed, settings) for index in range(n)), batch
    )


class _Tune:
    """State of a tune that is being drawn."""

    def __init__(self, index: int, seed: int, settings: SamplingConfig) -> None:
        self.index = index
        self.uniform = np.random.default_rng([seed, index]).random(settings.max_tokens)
        self.ids: list[int] = []
        self.measure: RuleState | None = None
        self.position: Position | None = None
        self.log_probability = self.masked_nats = 0.0
        self.n_drawn = 0


class _Sampler:
    """One run of sampling: the network's steps, and a draw for each tune after each step."""

    def __init__(self, model: FolkModel, settings: SamplingConfig) -> None:
        self._model, self._settings = model, settings
        self._opening = Opening(model, settings)
        self._not_start: NDArray[np.bool_] = (
            np.arange(len(model.vocabulary)) != model.vocabulary.start
        )
        self._bodies: NDArray[np.bool_] = self._not_start[
            :0, None
        ]  # masks of tunes that no rule binds

    def run(self, waiting: Iterator[_Tune], batch: int) -> Iterator[SampledTune]:
        """Keep as many tunes running as the batch holds; where one ends, the next begins."""
        running = list(islice(waiting, batch))
        stepper = self._stepper(len(running))
        while running:
            with _threads_for(len(running)):
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

    def _stepper(self, n_tunes: int) -> _Stepper:
        is_on_cpu = self._device.type == "cpu"
        precision = self._settings.precision or ("float32" if is_on_cpu else "float64")
        if is_on_cpu and precision == "float32":
            return FixedOrderStepper(self._model.network, n_tunes)
        return Stepper(self._model.network, n_tunes, dtype=getattr(torch, precision))

    def _until_some_end(self, stepper: _Stepper, running: list[_Tune]) -> list[int]:
        """Step until tunes end; return their rows."""
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

    def _step(self, stepper: _Stepper, running: list[_Tune]) -> None:
        """Read the latest token of each tune, and draw the next."""
        start = self._model.vocabulary.start
        last = [tune.ids[-1] if tune.ids else start for tune in running]
        logits = stepper.step(np.array(last), self._positions(running, last))
        places = [len(tune.ids) for tune in running]
        numbers = [tune.uniform[place] for tune, place in zip(running, places, strict=True)]
        allowed, settings = self._allowed(running, places), self._settings
        drawn = draw(logits, allowed, np.array(numbers), settings, self._opening.kind)
        for tune, place, token, *nats in zip(
            running, places, *(column.tolist() for column in drawn), strict=True
        ):
            self._take(tune, place, token, *nats)

    def _positions(self, running: list[_Tune], last: list[int]) -> NDArray[np.int64] | None:
        """Return the positions [tune, column] after the latest tokens; None without inputs."""
        if self._model.positions is None:
            return None
        rows = []
        for tune, token in zip(running, last, strict=True):
            tune.position = tune.position or self._model.positions.begin()
            rows.append(tune.position.after(token))
        return np.array(rows)

    def _allowed(self, running: list[_Tune], places: list[int]) -> NDArray[np.bool_]:
        """Return the masks [tune, token] of the tokens that may come next."""
        opening = self._opening
        if opening.grammar is None and min(places) >= len(opening.masks):
            if len(self._bodies) != len(running):
                self._bodies = np.tile(self._not_start, (len(running), 1))
            return self._bodies
        masks = []
        for tune, place in zip(running, places, strict=True):
            if place < len(opening.masks):
                masks.append(opening.masks[place])
            elif opening.grammar and tune.measure:
                masks.append(opening.grammar.allowed(tune.measure))
            else:
                masks.append(self._not_start)
        return np.array(masks)

    def _take(self, tune: _Tune, place: int, token: int, gained: float, masked: float) -> None:
        opening = self._opening
        tune.ids.append(token)
        if place >= len(opening.is_given) or not opening.is_given[place]:
            tune.n_drawn += 1
            tune.log_probability += gained
            tune.masked_nats += masked
        if opening.grammar:
            tune.measure = (
                opening.grammar.after(tune.measure, token)
                if tune.measure
                else opening.state(tune.ids)
            )

    @property
    def _device(self) -> torch.device:
        return self._model.network.hidden_init.device

    def _sampled(self, tune: _Tune) -> SampledTune:
        is_finished = tune.ids[-1] == self._model.vocabulary.stop
        return SampledTune(
            index=tune.index,
            tokens=tuple(self._model.vocabulary.decode(tune.ids[:-1] if is_finished else tune.ids)),
            log_probability=round(tune.log_probability, 9),  # the sum's last digits are noise
            n_drawn=tune.n_drawn,
            is_finished=is_finished,
            masked_nats=round(tune.masked_nats, 9),
        )


@contextmanager
def _threads_for(n_tunes: int) -> Iterator[None]:
    """Use one thread where the work is too small to share, and restore the number after."""
    before = torch.get_num_threads()
    torch.set_num_threads(1 if n_tunes <= _ONE_THREAD_TUNES else before)
    try:
        yield
    finally:
        torch.set_num_threads(before)
