"""ActivationMaximiser: find inputs that drive a unit furthest."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from itertools import product
from numbers import Real

import torch
from torch import Tensor, nn

from otoscope.errors import ParameterError
from otoscope.explain.evaluator import batch_size
from otoscope.explain.maximise.ascent import Keep, SearchProblem, Stopping, ascend
from otoscope.explain.maximise.extremes import Extremes, find_extremes
from otoscope.explain.maximise.inversion import Inversion
from otoscope.explain.maximise.priors import Prior
from otoscope.explain.maximise.ranking import GridResult
from otoscope.explain.maximise.result import BestInputs, MaximisationResult, Setting
from otoscope.explain.maximise.unit import Index, Pool, Unit
from otoscope.progress import Progress, silent, tracked
from otoscope.protocols import (
    FormatTrial,
    MemoryFormat,
    Patch,
    batch_dependence,
    check_memory_format,
    device_of,
    differentiating,
    dtype_of,
    evaluating,
    in_channels_last,
)

__all__ = ["ActivationMaximiser", "check_search"]


class ActivationMaximiser:
    """Find inputs that drive one unit of a network as far as possible.

    Maximises a(prepare(decode(z))) - penalty * ||z||^2 over latents z of a prior, or minimises
    a(...) + penalty * ||z||^2, by Adam at a constant rate, and keeps the best input of all steps.

    Parameters
    ----------
    model : nn.Module
        Network; in eval mode during the search, its weights unchanged.
    prior : Prior
        Maps latents to inputs: `RawPrior`, `FourierPrior`, or a generator.
    layer : str
        Layer of the unit. Name the layer of the logit rather than of the probability.
    unit : int or tuple of int and ``...``
        Index into the layer's output; see `Unit`.
    prepare : callable, optional
        Function from the prior's output [row, ...] to the model's input, such as standardising by
        the model's statistics.
    maximise : bool
        True to maximise the activation, False to minimise it.
    pool : {"mean", "max"}
        Pooling of the positions of a map into one number.
    keep : {"activation", "objective"}
        Criterion of the best input: the activation, as in the paper, or the activation less the
        penalty.
    jitter : (int, int)
        Largest random shift of the input before each evaluation, in frames and bands, so that the
        result does not depend on its place. The kept input is the shifted one.
    max_batch : int, optional
        Largest number of rows per forward pass; default 8 on the CPU, 256 elsewhere.
    memory_format : {"contiguous", "channels_last", "auto"}
        Memory format of the network's 2-d convolutions, for a copy of them. "auto" times both on
        the first iterations of a search of 100 or more and goes on with the faster one: results are
        then equal up to rounding, which depends on the machine and its load. With a fixed format
        the same seed gives the same result.
    stopping : Stopping, optional
        Conditions under which rows stop early; by default none beside those of the notes.

    Raises
    ------
    ParameterError
        If the layer does not exist (the message names the nearest), or a setting is out of range.

    References
    ----------
    Mishra et al. (2019) :cite:`mishra2019`, section 2. Olah et al. (2017) :cite:`olah2017`: jitter.

    Notes
    -----
    A row stops if its step no longer changes it (not under jitter or a blur). A row that meets NaN
    or infinity stops too and is marked as failed; its best input so far is kept. Rows do not depend
    on each other: the result does not depend on ``max_batch``, up to rounding.

    Examples
    --------
    >>> from otoscope.explain.maximise import RawPrior
    >>> net = nn.Sequential(nn.Linear(2, 1, bias=False))
    >>> net[0].weight.data = torch.tensor([[4.0, -2.0]])
    >>> maximiser = ActivationMaximiser(net, RawPrior((2,)), layer="0", unit=0, keep="objective")
    >>> result = maximiser.run(rate=0.1, penalty=1.0, iterations=300, seeds=1)
    >>> result.input.round(decimals=3)  # w / (2 penalty)
    tensor([[ 2., -1.]])
    """

    def __init__(  # noqa: PLR0913  # the public settings of the method, all keyword-only
        self,
        model: nn.Module,
        prior: Prior,
        *,
        layer: str,
        unit: Index,
        prepare: Callable[[Tensor], Tensor] | None = None,
        maximise: bool = True,
        pool: Pool = "mean",
        keep: Keep = "activation",
        jitter: tuple[int, int] = (0, 0),
        max_batch: int | None = None,
        memory_format: MemoryFormat = "contiguous",
        stopping: Stopping | None = None,
    ) -> None:
        if keep not in ("activation", "objective"):
            raise ParameterError(f"keep is {keep!r}, must be 'activation' or 'objective'")
        if len(jitter) != 2 or not all(isinstance(j, int) and j >= 0 for j in jitter):
            raise ParameterError(f"jitter is {jitter}, must be two counts >= 0: frames, bands")
        check_memory_format(memory_format)
        if getattr(model, "hears_sounds", False) is True:
            raise ParameterError(
                "the model hears waveforms, and maximisation draws spectrograms; take a model "
                "whose front end is outside the network (models.Listener)"
            )
        self.model, self.prior, self.maximise = model, prior, maximise
        self.unit = Unit(model, layer, unit, pool)
        self._memory_format, self._prepare = memory_format, prepare or _unchanged
        self._keep, self._jitter, self._stopping = (
            keep,
            (jitter[0], jitter[1]),
            stopping or Stopping(),
        )
        self._device, self._dtype = device_of(model), dtype_of(model)
        self._max_batch = batch_size(self._device, max_batch)
        rate = getattr(model, "sample_rate", None)
        self._sr = float(rate) if isinstance(rate, Real) else None

    def run(
        self,
        *,
        rate: float = 0.01,
        penalty: float = 0.001,
        iterations: int = 100,
        seeds: int = 50,
        seed: int = 0,
        progress: Progress = silent,
    ) -> MaximisationResult:
        """Optimise under one setting, by default the one that the paper's distance chose.

        Parameters
        ----------
        rate : float
            Learning rate of Adam, > 0.
        penalty : float
            Factor lambda of the penalty, >= 0.
        iterations : int
            Number of inputs to evaluate, >= 1.
        seeds : int
            Number of rows, each from another latent.
        seed : int
            Random seed of the first row; row i has ``seed + i``.
        progress : bool or callable
            True shows bars over "rows", batch by batch, and over the "iterations" of each.

        Returns
        -------
        MaximisationResult
            Best inputs, one row per seed.

        Raises
        ------
        ParameterError
            If a number is out of range, the unit does not exist, or the model cannot take the
            inputs or gives no gradient.

        Examples
        --------
        >>> maximiser.run(iterations=500, seeds=8).activation.max()  # doctest: +SKIP
        tensor(21.3)
        """
        return self.grid(
            rates=(rate,),
            penalties=(penalty,),
            iterations=(iterations,),
            seeds=seeds,
            seed=seed,
            progress=progress,
        ).results[0]

    def grid(
        self,
        *,
        rates: Sequence[float] = (0.1, 0.01, 0.001),
        penalties: Sequence[float] = (0.1, 0.01, 0.001),
        iterations: Sequence[int] = (100, 500, 1000),
        seeds: int = 50,
        seed: int = 0,
        progress: Progress = silent,
    ) -> GridResult:
        """Optimise under all settings, by default the paper's 27.

        Parameters
        ----------
        rates, penalties : sequence of float
            Learning rates of Adam, > 0, and factors lambda, >= 0.
        iterations : sequence of int
            Numbers of inputs, >= 1. Only the longest is run: the others are its prefixes.
        seeds : int
            Number of rows per setting; all settings start from the same latents.
        seed : int
            Random seed of the first row; row i has ``seed + i``.
        progress : bool or callable
            True shows bars over "rows", batch by batch, and over the "iterations" of each.

        Returns
        -------
        GridResult
            Best inputs of each setting.

        Raises
        ------
        ParameterError
            If a number is out of range, the unit does not exist, or the model cannot take the
            inputs or gives no gradient.

        Examples
        --------
        >>> maximiser.grid(seeds=8).rank(real).best.setting  # doctest: +SKIP
        Setting(rate=0.01, penalty=0.001, iterations=100)
        """
        check_search(rates, penalties, iterations, seeds=seeds, seed=seed)
        runs = list(product(rates, penalties))
        best = self._ascend(runs, iterations, seeds, seed, progress)
        results = []
        for i, (rate, penalty) in enumerate(runs):
            for n, all_rows in zip(iterations, best, strict=True):
                rows = all_rows[i * seeds : (i + 1) * seeds]
                results.append(
                    MaximisationResult(
                        **vars(rows),
                        setting=Setting(rate, penalty, n),
                        seeds=range(seed, seed + seeds),
                        maximise=self.maximise,
                        unit=f"unit {self.unit.name} of {self.unit.layer}",
                        inversion=Inversion.of(self.model),
                        sr=self._sr,
                    )
                )
        return GridResult(tuple(results))

    def extremes(self, patches: Iterable[Patch | Tensor], k: int = 50) -> Extremes:
        """Find the real excerpts that drive the unit furthest, in the direction of the search.

        Parameters
        ----------
        patches : iterable of Patch or Tensor
            Excerpts, read one by one: Patches [frame, mel], or inputs of the model without the
            batch axis.
        k : int
            Number of excerpts to keep, >= 1.

        Returns
        -------
        Extremes
            Excerpts, the furthest first; pass its ``activations`` to `GridResult.rank`.

        Raises
        ------
        ParameterError
            If ``k`` is below 1, there is no patch, or an activation is not finite.

        Examples
        --------
        >>> real = maximiser.extremes(patches).activations  # doctest: +SKIP
        """
        with evaluating(self.model):
            return find_extremes(
                self._activation, patches, k, largest=self.maximise, max_batch=self._max_batch
            )

    def _ascend(
        self,
        runs: Sequence[tuple[float, float]],
        iterations: Sequence[int],
        seeds: int,
        seed: int,
        progress: Progress,
    ) -> list[BestInputs]:
        """Return the best inputs of all runs, run by run, for each number of iterations."""
        first = self.prior.sample(seeds, seed).to(self._device, self._dtype)
        rate, penalty = (
            torch.tensor(runs, dtype=torch.float64).to(first).repeat_interleave(seeds, 0).unbind(1)
        )
        parts = []
        rows = range(len(rate))
        batches = [rows[i : i + self._max_batch] for i in rows[:: self._max_batch]]
        with differentiating(self.model):
            problem = self._problem(first[:1], max(iterations) * len(batches))
            for batch in tracked(progress, batches, "rows"):
                first_row = [row % seeds for row in batch]
                part = slice(batch.start, batch.stop)
                parts.append(
                    ascend(
                        problem,
                        first[first_row],
                        rate[part],
                        penalty[part],
                        [seed + i for i in first_row],
                        iterations,
                        progress=progress,
                    )
                )
                problem = replace(problem, check=_accept)
        return [BestInputs.concatenate(same) for same in zip(*parts, strict=True)]

    def _problem(self, latent: Tensor, n_passes: int) -> SearchProblem:
        """Pose the problem; both memory formats must agree for the first latent [1, ...]."""
        activation: Callable[[Tensor], Tensor] = self.unit
        other: Callable[[Tensor], Tensor] | None = None
        if self._memory_format != "contiguous":
            copy = in_channels_last(self.model)
            other = None if copy is None else replace(self.unit, model=copy)
        trial = FormatTrial(
            activation,
            other,
            latent if other is None else self._inputs(latent),
            memory_format=self._memory_format,
            n_passes=n_passes,
        )
        return SearchProblem(
            activation=trial,
            prior=self.prior,
            prepare=self._prepare,
            maximise=self.maximise,
            keep=self._keep,
            jitter=self._jitter,
            check=self._warn_if_rows_meet,
            stopping=self._stopping,
        )

    @torch.no_grad()
    def _inputs(self, latents: Tensor) -> Tensor:
        """Make inputs of the model from latents, without jitter."""
        return self._prepare(self.prior.decode(latents))

    @torch.no_grad()
    def _warn_if_rows_meet(self, inputs: Tensor, activations: Tensor) -> None:
        """Evaluate two of the first rows again, apart from the others."""

        def evaluate(first: int, last: int) -> Tensor:
            return self.unit(inputs[first:last])[:, None]

        n = len(inputs)
        if n > 1 and batch_dependence(evaluate, activations[:, None], n):
            warnings.warn(
                "the activation of a row depends on the others of its batch, so the result depends "
                "on max_batch; max_batch=1 searches each row alone",
                stacklevel=8,
            )

    def _activation(self, inputs: Tensor) -> Tensor:
        return self.unit(inputs.to(self._device, self._dtype))


def _unchanged(inputs: Tensor) -> Tensor:
    return inputs


def _accept(inputs: Tensor, activations: Tensor) -> None:
    """Check nothing: the first rows of a search stand for all."""


def check_search(
    rates: Sequence[float],
    penalties: Sequence[float],
    iterations: Sequence[int],
    *,
    seeds: int,
    seed: int,
) -> None:
    """Refuse settings that are empty or out of range."""
    if not rates or not all(0 < rate < math.inf for rate in rates):
        raise ParameterError(f"rates are {tuple(rates)}, must be finite and > 0")
    if not penalties or not all(0 <= penalty < math.inf for penalty in penalties):
        raise ParameterError(f"penalties are {tuple(penalties)}, must be finite and >= 0")
    if not iterations or not all(isinstance(n, int) and n >= 1 for n in iterations):
        raise ParameterError(f"iterations are {tuple(iterations)}, must be whole numbers >= 1")
    for name, count, least in (("seeds", seeds, 1), ("seed", seed, 0)):
        if not isinstance(count, int) or count < least:
            raise ParameterError(f"{name} is {count}, must be a whole number >= {least}")
