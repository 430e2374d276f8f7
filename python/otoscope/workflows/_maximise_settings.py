"""What to maximise, and how: told to be wrong before anything is read."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from otoscope.errors import ParameterError
from otoscope.explain.maximise import FourierPrior, Prior, RawPrior
from otoscope.explain.maximise.maximiser import check_search
from otoscope.explain.maximise.unit import Index

__all__ = ["MaximiseUnit"]


@dataclass(frozen=True)
class MaximiseUnit:
    """What to maximise, and how.

    Parameters
    ----------
    model : str
        Name of a model, a bundle, or FILE.py:FUNCTION; see `otoscope.models.load`.
    layer : str
        Layer of the network; the logits, not the probabilities.
    unit : str
        Index of the unit in the layer's output: 3, or 3,10,5, or ...,3 (channel 3 everywhere).
    minimise : bool
        Minimise the activation instead of maximising it.
    prior : {"fourier", "raw"}
        Parameterisation of the inputs: fourier or raw.
    l2 : float
        Weight of the sum of squares in the penalty (raw prior).
    variation : float
        Weight of the total variation in the penalty (raw prior).
    blur : float
        Standard deviation of a Gaussian blur, in cells; 0 is none (raw prior).
    blur_every : int
        Number of steps between blurs (raw prior).
    jitter : (int, int)
        Largest random shift of the input, in frames and in bands.
    pool : {"mean", "max"}
        Pooling of a map's positions into one activation: mean or max.
    rates : tuple of float
        Learning rates of Adam; one setting per value.
    penalties : tuple of float
        Weights of the penalty on the latent; one setting per value.
    iterations : tuple of int
        Numbers of iterations; one setting per value.
    seeds : int
        Number of searches per setting; two or more where a distance is needed.
    rank_layer : str, optional
        Layer whose Frechet distance ranks the settings. By default the unit's activations do.
    real : Path, optional
        Real sounds: a file or a folder. By default the songs that come with the package.
    every : float
        Distance between real excerpts, in seconds.
    seed : int
        Random seed of the first search.
    device : str
        Device that the model runs on: cpu or cuda.

    Raises
    ------
    ParameterError
        If a number is out of range, or the prior does not have what was asked of it.

    Examples
    --------
    >>> MaximiseUnit("synth-singing", "fc9").rates
    (0.01,)
    """

    model: str
    layer: str
    unit: str = "0"
    minimise: bool = False
    prior: str = "fourier"
    l2: float = 1.0
    variation: float = 0.0
    blur: float = 0.0
    blur_every: int = 10
    jitter: tuple[int, int] = (0, 0)
    pool: str = "mean"
    rates: tuple[float, ...] = (0.01,)
    penalties: tuple[float, ...] = (0.001,)
    iterations: tuple[int, ...] = (100,)
    seeds: int = 8
    rank_layer: str | None = None
    real: Path | None = None
    every: float = 0.5
    seed: int = 0
    device: str = "cpu"

    def __post_init__(self) -> None:
        check_search(self.rates, self.penalties, self.iterations, seeds=self.seeds, seed=self.seed)
        self.prior_of((1, 2, 2))
        n_settings = len(self.rates) * len(self.penalties) * len(self.iterations)
        if self.seeds == 1 and (n_settings > 1 or self.rank_layer):
            raise ParameterError("seeds is 1: there is no distance from one search; take 2 or more")

    @property
    def regularisers(self) -> str:
        """The prior in words, with what was asked of it."""
        said = [self.prior]
        said += [
            f"{name} {value:g}"
            for name, value, usual in (("l2", self.l2, 1), ("variation", self.variation, 0))
            if value != usual
        ]
        if self.blur:
            said.append(f"blur {self.blur:g} every {self.blur_every} steps")
        if any(self.jitter):
            said.append("jitter {} frames, {} bands".format(*self.jitter))
        return ", ".join(said)

    def prior_of(self, shape: tuple[int, int, int]) -> Prior:
        """Make the prior.

        Parameters
        ----------
        shape : (int, int, int)
            Of one input, (1, frame, mel).

        Returns
        -------
        Prior
            Raw with its regularisers, or Fourier.

        Raises
        ------
        ParameterError
            If there is no such prior, or it has no such regulariser.

        Examples
        --------
        >>> MaximiseUnit("synth-singing", "fc9", prior="raw", blur=1.0).prior_of((1, 115, 80)).blur
        1.0
        """
        if self.prior == "raw":
            return RawPrior(shape, self.l2, self.variation, self.blur, self.blur_every)
        if self.prior != "fourier":
            raise ParameterError(f"prior is {self.prior!r}, must be raw or fourier")
        if (self.l2, self.variation, self.blur) != (1, 0, 0):
            raise ParameterError(
                f"l2 is {self.l2:g}, variation {self.variation:g}, blur {self.blur:g}; these are "
                "of prior raw, not fourier"
            )
        return FourierPrior(shape)

    @property
    def index(self) -> Index:
        """The unit as an index into the layer's output."""
        parts = self.unit.replace(" ", "").split(",")
        if not all(re.fullmatch(r"\d+|\.\.\.", part) for part in parts):
            raise ParameterError(
                f"unit is {self.unit!r}, must be indices with commas: 3, or 3,10,5, or ...,3"
            )
        return tuple(... if part == "..." else int(part) for part in parts)
