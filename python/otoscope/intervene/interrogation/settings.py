"""How a system is interrogated: one frozen dataclass."""

from __future__ import annotations

from dataclasses import dataclass
from os import PathLike

from otoscope.errors import ParameterError
from otoscope.intervene.statistics.bootstrap import Figure

__all__ = ["InterrogationSettings"]


@dataclass(frozen=True)
class InterrogationSettings:
    """How a system is interrogated.

    Parameters
    ----------
    classes : tuple of str, optional
        Names of the columns if the system gives scores, and all labels it may answer.
    sr : float, optional
        Rate at which sounds are changed and judged; default: the model's, else the first sound's.
    duration : float, optional
        Analysed seconds; default: the longest that all changes can render of the shortest sound.
    figure : {"mean_recall", "accuracy"}
        Figure of merit.
    max_change : float
        Change of the score that is tolerated, in [0, 1).
    n_draws : int
        Of the bootstrap.
    n_neighbours : int
        Of the confound-only baseline.
    seed : int
        Of what is drawn: renderings, tries, bootstrap.
    workers : int
        Processes that render.
    cache : str or Path, optional
        Folder where renderings are kept, up to 2 GB.
    max_batch : int
        Renderings the system is given at once.
    system : str, optional
        What records know the system by; default: its own name.

    Examples
    --------
    >>> InterrogationSettings(figure="accuracy").max_change
    0.05
    """

    classes: tuple[str, ...] | None = None
    sr: float | None = None
    duration: float | None = None
    figure: Figure = "mean_recall"
    max_change: float = 0.05
    n_draws: int = 2000
    n_neighbours: int = 9
    seed: int = 0
    workers: int = 1
    cache: str | PathLike[str] | None = None
    max_batch: int = 64
    system: str | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.max_change < 1:
            raise ParameterError(f"max_change is {self.max_change}, must be in [0, 1)")
        if self.workers < 1 or self.max_batch < 1:
            raise ParameterError(
                f"workers is {self.workers} and max_batch {self.max_batch}; both must be >= 1"
            )
        if not 0 <= self.seed < 2**32:
            raise ParameterError(f"seed is {self.seed}, must be in [0, 2^32)")
        if self.duration is not None and not 0 < self.duration < float("inf"):
            raise ParameterError(f"duration is {self.duration} s, must be > 0")
