"""All settings of a grid, and which of them to believe."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from otoscope.errors import ParameterError
from otoscope.explain.evaluator import batch_size
from otoscope.explain.maximise.maximised import Maximised
from otoscope.explain.maximise.ranking import Distance, Ranked, Ranking, scalar_frechet
from otoscope.metrics import frechet_of
from otoscope.protocols import evaluating
from otoscope.taps import Tap

__all__ = ["Grid"]


@dataclass(frozen=True, eq=False)
class Grid:
    """All settings of a grid, in the order asked for: rates, in each penalties, then iterations.

    Parameters
    ----------
    settings : tuple of Maximised
        One a setting.

    Examples
    --------
    >>> maximiser.grid(seeds=8).rank(real).best.setting  # doctest: +SKIP
    Setting(rate=0.01, penalty=0.001, iterations=100)
    """

    settings: tuple[Maximised, ...]

    def rank(
        self,
        real: Tensor,
        *,
        feature: Callable[[Tensor], Tensor] | None = None,
        distance: Distance | None = None,
        max_batch: int | None = None,
    ) -> Ranking:
        """Sort the settings by how near what they made lies to real excerpts.

        Parameters
        ----------
        real : Tensor [sample] or [sample, d]
            The unit's activations of the real excerpts that drive it furthest
            (`Extremes.activations`), or their features.
        feature : callable, optional
            The model's inputs [row, ...] to features [row, d], ``net.tap("fc8")`` for example; by
            default the unit's activations are compared. A module, or a tap's, is in eval mode for
            the while.
        distance : callable, optional
            (real, made) -> float, of what is compared; by default the Frechet distance, of one
            column or of all, `otoscope.metrics.frechet_of`.
        max_batch : int, optional
            Rows a pass of ``feature``; 8 on the CPU and 256 elsewhere if not given.

        Returns
        -------
        Ranking
            The nearest first; after them the settings of which some seed has no finite activation,
            and last those without a distance.

        Raises
        ------
        ParameterError
            If there are fewer than two real excerpts, or one is not finite, or ``max_batch`` is
            below 1.

        References
        ----------
        Mishra et al., "GAN-based generation and automatic selection of explanations for neural
        networks", 2019, section 3.

        Examples
        --------
        >>> grid.rank(torch.tensor([4.0, 4.5, 5.0])).worst.distance  # doctest: +SKIP
        26752.0
        """
        if real.ndim == 0 or len(real) < 2 or not bool(real.isfinite().all()):
            raise ParameterError(
                f"real has shape {tuple(real.shape)}; must be two samples or more, all finite: "
                "their spread is compared"
            )

        distance = distance or (scalar_frechet if real.ndim == 1 else frechet_of)
        rows = []
        for found in self.settings:
            seen, apart = found.activation.isfinite(), math.nan
            if int(seen.sum()) > 1:
                made = found.activation[seen]
                if feature is not None:
                    made = _features(feature, found.input[seen], max_batch)
                apart = float(distance(real, made))
            rows.append(Ranked(found, apart))
        return Ranking(
            tuple(
                sorted(
                    rows,
                    key=lambda row: (math.isnan(row.distance), not row.is_complete, row.distance),
                )
            )
        )


def _features(feature: Callable[[Tensor], Tensor], inputs: Tensor, max_batch: int | None) -> Tensor:
    model = feature.module if isinstance(feature, Tap) else feature
    with torch.no_grad(), evaluating(model):
        batches = inputs.split(batch_size(inputs.device, max_batch))
        return torch.cat([feature(batch) for batch in batches])
