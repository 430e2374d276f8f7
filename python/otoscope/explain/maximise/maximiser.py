"""ActivationMaximiser: find the input that drives a unit furthest."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from itertools import product

import torch
from torch import Tensor, nn

from otoscope.errors import ParameterError
from otoscope.explain.evaluator import batch_size
from otoscope.explain.maximise.ascent import Keep, Problem, Progress, climb
from otoscope.explain.maximise.extremes import Extremes, extremes
from otoscope.explain.maximise.grid import Grid
from otoscope.explain.maximise.maximised import Maximised, Reached, Setting
from otoscope.explain.maximise.priors import Prior
from otoscope.explain.maximise.unit import Index, Pool, Unit
from otoscope.protocols import Patch, device_of, dtype_of, evaluating

__all__ = ["ActivationMaximiser", "check_search"]


class ActivationMaximiser:
    """Finds inputs that drive one unit of a network as far as they can.

    Maximises a(prepare(decode(z))) - penalty * ||z||^2 over latents z of a prior, or minimises
    a(...) + penalty * ||z||^2, by Adam at a constant rate, and keeps the best input of all steps.

    Parameters
    ----------
    model : nn.Module
        The network; in eval mode for the while, its weights untouched.
    prior : Prior
        Makes inputs of latents: `RawPrior`, `FourierPrior`, or a generator.
    layer : str
        The layer of the unit. Take the logit, not the probability: the layer decides.
    unit : int or tuple of int and ``...``
        Index into the layer's output; see `Unit`.
    prepare : callable, optional
        What the prior makes [row, ...] to the model's input: standardise by the model's
        statistics, for example.
    maximise : bool
        False: inputs that drive it down.
    pool : {"mean", "max"}
        How the positions of a map become one number.
    keep : {"activation", "objective"}
        Best is the activation alone, as in the paper, or less its penalty.
    jitter : (int, int)
        The input is rolled by up to so many frames and bands before each look, so that what is
        found does not hang on its place. What is kept is what the model was given.
    max_batch : int, optional
        Rows a forward pass; 8 on the CPU and 256 elsewhere if not given.

    Raises
    ------
    ParameterError
        If there is no such layer (names the nearest), or a setting is out of range.

    References
    ----------
    Mishra et al., "GAN-based generation and automatic selection of explanations for neural
    networks", 2019, section 2.
    Olah et al., "Feature visualization", Distill 2017: jitter.

    Notes
    -----
    A row whose step no longer changes it stops (not under jitter or a blur), and one that meets a
    NaN or an infinity stops and is marked as failed, with the best it had before. Rows do not
    depend on each other: any ``max_batch`` gives the same, up to the rounding of the model's own
    batches.

    Examples
    --------
    >>> from otoscope.explain.maximise import RawPrior
    >>> net = nn.Sequential(nn.Linear(2, 1, bias=False))
    >>> net[0].weight.data = torch.tensor([[4.0, -2.0]])
    >>> maximiser = ActivationMaximiser(net, RawPrior((2,)), layer="0", unit=0, keep="objective")
    >>> found = maximiser.run(rate=0.1, penalty=1.0, iterations=300, seeds=1)
    >>> found.input.round(decimals=3)  # w / (2 penalty)
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
    ) -> None:
        if keep not in ("activation", "objective"):
            raise ParameterError(f"keep is {keep!r}, must be 'activation' or 'objective'")
        if len(jitter) != 2 or not all(isinstance(j, int) and j >= 0 for j in jitter):
            raise ParameterError(f"jitter is {jitter}, must be two counts >= 0: frames, bands")
        self.model, self.prior, self.maximise = model, prior, maximise
        self.unit = Unit(model, layer, unit, pool)
        self._problem = Problem(
            activation=self.unit,
            prior=prior,
            prepare=prepare or (lambda made: made),
            maximise=maximise,
            keep=keep,
            jitter=(jitter[0], jitter[1]),
        )
        self._device, self._dtype = device_of(model), dtype_of(model)
        self._max_batch = batch_size(self._device, max_batch)

    def run(
        self,
        *,
        rate: float = 0.01,
        penalty: float = 0.001,
        iterations: int = 100,
        seeds: int = 50,
        seed: int = 0,
        progress: Progress | None = None,
    ) -> Maximised:
        """Optimise under one setting; the defaults are the one that the paper's distance chose.

        Parameters
        ----------
        rate : float
            Adam's, > 0.
        penalty : float
            lambda, >= 0.
        iterations : int
            Inputs to look at, >= 1.
        seeds : int
            Rows, each from another latent.
        seed : int
            Of the first row.
        progress : callable, optional
            Goes over "rows", batch by batch, and in each over "iterations".

        Returns
        -------
        Maximised
            A row a seed.

        Raises
        ------
        ParameterError
            If a number is out of range, the layer has no such unit, the model cannot take the
            inputs, or gives no gradient.

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
        ).settings[0]

    def grid(
        self,
        *,
        rates: Sequence[float] = (0.1, 0.01, 0.001),
        penalties: Sequence[float] = (0.1, 0.01, 0.001),
        iterations: Sequence[int] = (100, 500, 1000),
        seeds: int = 50,
        seed: int = 0,
        progress: Progress | None = None,
    ) -> Grid:
        """Optimise under all settings; the defaults are the paper's 27.

        Parameters
        ----------
        rates, penalties : sequence of float
            Adam's rates, > 0, and lambdas, >= 0.
        iterations : sequence of int
            Counts >= 1. Only the longest is run: the others are its beginnings.
        seeds : int
            Rows of each setting; all settings start from the same latents.
        seed : int
            Of the first row.
        progress : callable, optional
            Goes over "rows", batch by batch, and in each over "iterations".

        Returns
        -------
        Grid
            A `Maximised` a setting.

        Raises
        ------
        ParameterError
            If a number is out of range, the layer has no such unit, the model cannot take the
            inputs, or gives no gradient.

        Examples
        --------
        >>> maximiser.grid(seeds=8).rank(real).best.setting  # doctest: +SKIP
        Setting(rate=0.01, penalty=0.001, iterations=100)
        """
        check_search(rates, penalties, iterations, seeds=seeds, seed=seed)
        runs = list(product(rates, penalties))
        reached = self._climb(runs, iterations, seeds, seed, progress or (lambda items, _: items))
        found = []
        for i, (rate, penalty) in enumerate(runs):
            for n, all_rows in zip(iterations, reached, strict=True):
                rows = all_rows[i * seeds : (i + 1) * seeds]
                found.append(
                    Maximised(
                        **vars(rows),
                        setting=Setting(rate, penalty, n),
                        seeds=range(seed, seed + seeds),
                        maximise=self.maximise,
                    )
                )
        return Grid(tuple(found))

    def extremes(self, patches: Iterable[Patch | Tensor], k: int = 50) -> Extremes:
        """Find the real excerpts that drive the unit furthest, in the direction of the search.

        Parameters
        ----------
        patches : iterable of Patch or Tensor
            Read one by one; Patches [frame, mel], or Tensors as the model takes them but for the
            batch axis.
        k : int
            How many to keep, >= 1.

        Returns
        -------
        Extremes
            The furthest first; its ``activations`` are what `Grid.rank` compares with.

        Raises
        ------
        ParameterError
            If ``k`` is below 1, there is no patch, or an activation is not finite.

        Examples
        --------
        >>> real = maximiser.extremes(patches).activations  # doctest: +SKIP
        """
        with evaluating(self.model):
            return extremes(
                self._activation, patches, k, largest=self.maximise, max_batch=self._max_batch
            )

    def _climb(
        self,
        runs: Sequence[tuple[float, float]],
        iterations: Sequence[int],
        seeds: int,
        seed: int,
        progress: Progress,
    ) -> list[Reached]:
        """All rows of all runs, run by run; one for each number of iterations."""
        first = self.prior.sample(seeds, seed).to(self._device, self._dtype)
        rate, penalty = (
            torch.tensor(runs, dtype=torch.float64).to(first).repeat_interleave(seeds, 0).unbind(1)
        )
        parts = []
        rows = range(len(rate))
        batches = [rows[i : i + self._max_batch] for i in rows[:: self._max_batch]]
        with evaluating(self.model):
            for batch in progress(batches, "rows"):
                of = [row % seeds for row in batch]
                part = slice(batch.start, batch.stop)
                parts.append(
                    climb(
                        self._problem,
                        first[of],
                        rate[part],
                        penalty[part],
                        [seed + i for i in of],
                        iterations,
                        progress=progress,
                    )
                )
        return [Reached.together(same) for same in zip(*parts, strict=True)]

    def _activation(self, inputs: Tensor) -> Tensor:
        return self.unit(inputs.to(self._device, self._dtype))


def check_search(
    rates: Sequence[float],
    penalties: Sequence[float],
    iterations: Sequence[int],
    *,
    seeds: int,
    seed: int,
) -> None:
    """Refuse what cannot be searched with.

    Parameters
    ----------
    rates, penalties : sequence of float
        At least one each: > 0, and >= 0.
    iterations : sequence of int
        At least one, >= 1.
    seeds : int
        >= 1.
    seed : int
        >= 0.

    Raises
    ------
    ParameterError
        Says what came.

    Examples
    --------
    >>> check_search((0.01,), (0.001,), (100,), seeds=8, seed=0)
    """
    if not rates or not all(0 < rate < math.inf for rate in rates):
        raise ParameterError(f"rates are {tuple(rates)}, must be finite and > 0")
    if not penalties or not all(0 <= penalty < math.inf for penalty in penalties):
        raise ParameterError(f"penalties are {tuple(penalties)}, must be finite and >= 0")
    if not iterations or not all(isinstance(n, int) and n >= 1 for n in iterations):
        raise ParameterError(f"iterations are {tuple(iterations)}, must be whole numbers >= 1")
    for name, count, least in (("seeds", seeds, 1), ("seed", seed, 0)):
        if not isinstance(count, int) or count < least:
            raise ParameterError(f"{name} is {count}, must be a whole number >= {least}")
