"""KernelShap and SoundLIME: captum's interface to LIME, otoscope's estimates."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.distributions import Categorical

from otoscope import ops
from otoscope.adapters.captum._arguments import Baseline, CaptumTarget, Inputs, Mask
from otoscope.adapters.captum._game import Game
from otoscope.adapters.captum.lime import Lime
from otoscope.adapters.captum.lime_base import draw_as_captum, fit
from otoscope.explain.design import MOST_EXACT, draw_design
from otoscope.explain.fit.kernel import DEFAULT_KERNEL, DEFAULT_WIDTH, Kernel, kernel_weights
from otoscope.explain.fit.shapley import kernel_shap, shapley_values
from otoscope.explain.fit.surrogate import WeightedRidge

__all__ = ["KernelShap", "SoundLIME"]


class KernelShap(Lime):
    """Estimate Shapley values by a regression over coalitions drawn by the Shapley kernel.

    Parameters
    ----------
    forward_func : callable
        Model; returns one number per example, or one for the batch.
    layout : str, optional
        Axes of the model's input, such as "b mel frame"; inputs, masks and baselines then are
        [batch, 1, frame, mel] for every model.

    Notes
    -----
    If there are at most ``n_samples`` coalitions, all are evaluated, and the values are exact.
    Otherwise they are drawn from torch's global generator: under one ``torch.manual_seed``, captum
    draws the same. captum weights the full and the empty coalition by 1e6; here they are an exact
    constraint.

    References
    ----------
    Lundberg and Lee (2017) :cite:`lundberg2017`, theorem 2.

    Examples
    --------
    >>> class Product(torch.nn.Module):
    ...     def forward(self, x):
    ...         return x.prod(1)
    >>> KernelShap(Product()).attribute(torch.tensor([[2.0, 3.0]]))
    tensor([[3., 3.]])
    """

    def __init__(self, forward_func: Callable[..., Any], *, layout: str | None = None) -> None:
        super().__init__(forward_func, layout=layout)

    def _explain(
        self, game: Game, n_features: int, n_samples: int, is_tuple: bool, show_progress: bool
    ) -> Tensor:
        if 2**n_features <= n_samples:
            keep = ops.coalitions(n_features, "exact").unpack()
            values = shapley_values(keep, self._evaluate(game, keep, show_progress)[:, None])
        else:
            keep = _by_kernel(n_features, n_samples)
            outputs = self._evaluate(game, keep, show_progress)
            draw_as_captum(n_features)
            values = kernel_shap(keep, torch.ones(len(keep)), outputs[:, None])
        return values.float().to(game.inputs[0].device)


class SoundLIME(Lime):
    """Fit LIME with otoscope's defaults: all coalitions if they are few, and no penalty.

    Parameters
    ----------
    forward_func : callable
        Model; returns one number per example, or one for the batch.
    interpretable_model : estimator, optional
        Regressor of scikit-learn or model of captum, default weighted least squares.
    kernel : {"cosine", "l2"}
        Distance of a coalition to the whole.
    kernel_width : float
        Width of the exponential kernel, > 0.
    seed : int
        Random seed of the draws.
    layout : str, optional
        Axes of the model's input, such as "b mel frame"; inputs, masks and baselines then are
        [batch, 1, frame, mel] for every model.

    Raises
    ------
    ParameterError
        If the kernel is unknown or its width not positive.

    References
    ----------
    Mishra et al. (2020) :cite:`mishra2020`, section III.

    Notes
    -----
    `Lime` has captum's defaults: a Lasso, whose penalty depends on the scale of the output, and a
    distance that depends on the scale of the inputs. See `otoscope.SoundLIME` for segments,
    contents and reports.

    Examples
    --------
    >>> x = torch.tensor([[2.0, 3.0]])
    >>> class Total(torch.nn.Module):
    ...     def forward(self, x):
    ...         return 0.01 * x.sum(1)
    >>> SoundLIME(Total()).attribute(x)
    tensor([[0.0200, 0.0300]])
    """

    def __init__(
        self,
        forward_func: Callable[..., Any],
        interpretable_model: Any = None,
        *,
        kernel: Kernel = DEFAULT_KERNEL,
        kernel_width: float = DEFAULT_WIDTH,
        seed: int = 0,
        layout: str | None = None,
    ) -> None:
        model = WeightedRidge() if interpretable_model is None else interpretable_model
        super().__init__(forward_func, model, layout=layout)
        kernel_weights(torch.zeros(1), 1, kernel=kernel, width=kernel_width)  # known and in range
        self.kernel, self.kernel_width, self.seed = kernel, kernel_width, seed

    def attribute(  # type: ignore[override]  # noqa: PLR0913 - captum's signature
        self,
        inputs: Inputs,
        baselines: Baseline = None,
        target: CaptumTarget = None,
        additional_forward_args: object = None,
        feature_mask: Mask = None,
        n_samples: int = 2**MOST_EXACT,
        perturbations_per_eval: int = 1,
        return_input_shape: bool = True,
        show_progress: bool = False,
    ) -> Any:
        """Fit a surrogate for each example, or one for a batch whose output is one number.

        Parameters
        ----------
        inputs, baselines, target, additional_forward_args, feature_mask
            As for `Lime.attribute`.
        n_samples : int
            Number of coalitions to draw; all are evaluated once instead if there are at most
            ``n_samples``.
        perturbations_per_eval, return_input_shape, show_progress
            As for `Lime.attribute`.

        Returns
        -------
        Tensor or tuple of Tensor
            Coefficients, as from `Lime.attribute`.

        Examples
        --------
        >>> x, mask = torch.tensor([[2.0, 3.0, 4.0]]), torch.tensor([[0, 0, 1]])
        >>> class Total(torch.nn.Module):
        ...     def forward(self, x):
        ...         return x.sum(1)
        >>> SoundLIME(Total()).attribute(x, feature_mask=mask)
        tensor([[5., 5., 4.]])
        """
        return super().attribute(
            inputs,
            baselines,
            target,
            additional_forward_args,
            feature_mask,
            n_samples,
            perturbations_per_eval,
            return_input_shape,
            show_progress,
        )

    def _explain(
        self, game: Game, n_features: int, n_samples: int, is_tuple: bool, show_progress: bool
    ) -> Tensor:
        if 2**n_features <= n_samples:
            keep = ops.coalitions(n_features, "exact").unpack()
            counts = torch.ones(len(keep))
        else:
            design = draw_design("bernoulli", n_features, n_samples=n_samples, seed=self.seed)
            keep, counts = design.coalitions.unpack(), design.counts
        near = kernel_weights(keep.sum(1), n_features, kernel=self.kernel, width=self.kernel_width)
        outputs = self._evaluate(game, keep, show_progress)
        values = fit(self.interpretable_model, keep, outputs, counts * near, draws=False)
        return values.to(game.inputs[0].device)


def _by_kernel(n_features: int, n_samples: int) -> Tensor:
    """Draw the full and the empty coalition, then sizes by the kernel: bool [sample, feature]."""
    keep = torch.zeros(max(2, n_samples), n_features, dtype=torch.bool)
    keep[0] = True
    size = torch.arange(n_features)
    sizes = Categorical((1 / (size * (n_features - size))).where(size > 0, 0))
    for row in keep[2:]:
        n_kept = int(sizes.sample())
        row[torch.randn(n_features).topk(n_kept).indices] = True
    return keep
