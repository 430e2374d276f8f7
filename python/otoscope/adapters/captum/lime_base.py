"""LimeBase: LIME with the user's functions for samples, weights and transforms."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from otoscope.adapters.captum._arguments import ArgumentError, CaptumTarget, Inputs, as_tuple
from otoscope.adapters.captum._attribution import Attribution, require_count, with_additional
from otoscope.adapters.captum._game import Game, number
from otoscope.explain.fit.surrogate import regress

__all__ = ["LimeBase", "draw_as_captum", "fit"]


class LimeBase(Attribution):
    """Fit a surrogate to samples that are drawn and weighted by the user's functions.

    Parameters
    ----------
    forward_func : callable
        Model; returns one number per sample, or one for the batch.
    interpretable_model : estimator
        Regressor of scikit-learn with ``coef_`` or ``feature_importances_``, or model of captum
        with ``fit(DataLoader)`` and ``representation()``.
    similarity_func : callable
        Function (inputs, perturbed inputs, interpretable row [1, feature], keywords) -> weight.
    perturb_func : callable
        Function (inputs, keywords) -> sample, or a generator function of samples.
    perturb_interpretable_space : bool
        True if samples are interpretable rows, False if they are inputs.
    from_interp_rep_transform, to_interp_rep_transform : callable or None
        Functions (sample, inputs, keywords) -> inputs, or -> interpretable row. The direction that
        the samples need must be given.
    layout : str, optional
        Axes of the model's input, such as "b mel frame"; inputs, masks and baselines then are
        [batch, 1, frame, mel] for every model.

    Raises
    ------
    ArgumentError
        If the transform that the samples need is None.

    References
    ----------
    Ribeiro et al. (2016) :cite:`ribeiro2016`.

    Examples
    --------
    >>> from sklearn.linear_model import LinearRegression
    >>> class Total(torch.nn.Module):
    ...     def forward(self, x):
    ...         return x.sum(1)
    >>> lime = LimeBase(Total(), LinearRegression(), lambda *_, **__: 1.0,
    ...                 lambda x: torch.randn_like(x), False, None, lambda row, x: row)
    >>> lime.attribute(torch.zeros(1, 2)).round(decimals=2)
    tensor([[1., 1.]])
    """

    multiplies_by_inputs = False  # as in captum

    def __init__(  # noqa: PLR0913 - captum's signature
        self,
        forward_func: Callable[..., Any],
        interpretable_model: Any,
        similarity_func: Callable[..., Any],
        perturb_func: Callable[..., Any],
        perturb_interpretable_space: bool,
        from_interp_rep_transform: Callable[..., Any] | None,
        to_interp_rep_transform: Callable[..., Any] | None,
        *,
        layout: str | None = None,
    ) -> None:
        super().__init__(forward_func, layout=layout)
        self.interpretable_model = interpretable_model
        self.similarity_func = similarity_func
        self.perturb_func = perturb_func
        self.perturb_interpretable_space = perturb_interpretable_space
        self.from_interp_rep_transform = from_interp_rep_transform
        self.to_interp_rep_transform = to_interp_rep_transform
        if perturb_interpretable_space and from_interp_rep_transform is None:
            raise ArgumentError("from_interp_rep_transform is None, samples are interpretable rows")
        if not perturb_interpretable_space and to_interp_rep_transform is None:
            raise ArgumentError("to_interp_rep_transform is None, samples are inputs")

    @torch.no_grad()
    def attribute(
        self,
        inputs: Inputs,
        target: CaptumTarget = None,
        additional_forward_args: object = None,
        n_samples: int = 50,
        perturbations_per_eval: int = 1,
        show_progress: bool = False,
        **kwargs: Any,
    ) -> Tensor:
        """Draw samples, compute weights and outputs, and fit the surrogate.

        Parameters
        ----------
        inputs : Tensor or tuple of Tensor
            Inputs; dimension 0 counts the examples, several only if the output is one number.
        target : int, tuple, Tensor, or list, optional
            Index of the output.
        additional_forward_args : any, optional
            Further arguments of ``forward_func``; tensors are repeated with the inputs.
        n_samples : int
            Number of samples; fewer, with a warning, if a generator ends before.
        perturbations_per_eval : int
            Number of samples per forward pass.
        show_progress : bool
            Show a progress bar on stderr.
        **kwargs : any
            Keywords for the user's functions.

        Returns
        -------
        Tensor
            Coefficients of the surrogate, [1, feature].

        Raises
        ------
        ArgumentError
            If the output is not one number per sample.

        Examples
        --------
        >>> from sklearn.linear_model import LinearRegression
        >>> class Total(torch.nn.Module):
        ...     def forward(self, x):
        ...         return x.sum(1)
        >>> lime = LimeBase(Total(), LinearRegression(), lambda *_, **__: 1.0,
        ...                 lambda x: torch.randn_like(x), False, None, lambda row, x: row)
        >>> lime.attribute(torch.zeros(1, 2)).round(decimals=2)
        tensor([[1., 1.]])
        """
        require_count("n_samples", n_samples)
        require_count("perturbations_per_eval", perturbations_per_eval)
        more = with_additional(additional_forward_args)
        game = Game(
            self.forward_func, as_tuple(inputs), (), (), target, more, perturbations_per_eval
        )
        rows: list[Tensor] = []
        weights: list[float] = []
        pending: list[tuple[Tensor, ...]] = []
        outputs: list[Tensor] = []
        with self._progress(show_progress, n_samples) as progress:
            for row, perturbed in self._draw(inputs, n_samples, kwargs):
                rows.append(row)
                weights.append(float(self.similarity_func(inputs, perturbed, row, **kwargs)))
                pending.append(as_tuple(perturbed))
                if len(pending) == perturbations_per_eval:
                    outputs.append(_numbers(game, pending))
                    pending = []
                    progress(perturbations_per_eval)
            if pending:
                outputs.append(_numbers(game, pending))
        return fit(
            self.interpretable_model, torch.cat(rows), torch.cat(outputs), torch.tensor(weights)
        )

    def _draw(
        self, inputs: Inputs, n_samples: int, arguments: dict[str, Any]
    ) -> Iterator[tuple[Tensor, Any]]:
        """Yield interpretable rows and their inputs."""
        for sample in self._samples(inputs, n_samples, arguments):
            if self.from_interp_rep_transform is not None and self.perturb_interpretable_space:
                yield sample, self.from_interp_rep_transform(sample, inputs, **arguments)
            elif self.to_interp_rep_transform is not None:
                yield self.to_interp_rep_transform(sample, inputs, **arguments), sample

    def _samples(self, inputs: Any, n_samples: int, arguments: dict[str, Any]) -> Iterator[Any]:
        if not inspect.isgeneratorfunction(self.perturb_func):
            yield from (self.perturb_func(inputs, **arguments) for _ in range(n_samples))
            return
        n_drawn = 0
        for sample in islice(self.perturb_func(inputs, **arguments), n_samples):
            n_drawn += 1
            yield sample
        if n_drawn < n_samples:
            warnings.warn(
                f"perturb_func ended after {n_drawn} of {n_samples} samples", stacklevel=4
            )


def draw_as_captum(n_features: int) -> None:
    """Draw what captum draws from torch's generator after the samples of an example.

    A DataLoader takes its seed, and a linear layer its first weights, which are then replaced: so
    later examples, and the caller, see captum's numbers.
    """
    torch.empty((), dtype=torch.int64).random_()
    nn.Linear(n_features, 1)


def fit(
    model: Any, rows: Tensor, outputs: Tensor, weights: Tensor, *, draws: bool = True
) -> Tensor:
    """Fit a surrogate of scikit-learn or captum; return its coefficients [1, feature], float32.

    ``draws``: leave torch's generator where captum leaves it.
    """
    if hasattr(model, "representation"):
        samples = TensorDataset(rows.float(), outputs.float(), weights.float())
        model.fit(DataLoader(samples, batch_size=len(samples)))
        representation: Tensor = model.representation()
        return representation
    if draws:
        draw_as_captum(rows.shape[1])
    X, y, w = (t.double().cpu().numpy() for t in (rows, outputs, weights))
    return torch.from_numpy(regress(model, X, y[:, None], w).coefficients).float()


def _numbers(game: Game, pending: list[tuple[Tensor, ...]]) -> Tensor:
    """Evaluate some samples: one number per sample."""
    batch = tuple(torch.cat(parts) for parts in zip(*pending, strict=True))
    output = number(game.evaluate(batch, len(pending)))
    if output.numel() != len(pending):
        raise ArgumentError(
            f"the output has shape {tuple(output.shape)} for {len(pending)} samples; it must "
            "be one number per sample"
        )
    return output.flatten()
