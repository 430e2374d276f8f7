"""Lime with captum's defaults: fair coins, a kernel over input values, a Lasso."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from sklearn.linear_model import Lasso
from torch import Tensor

from otoscope import ops
from otoscope.adapters.captum._arguments import (
    ArgumentError,
    Baseline,
    CaptumTarget,
    Inputs,
    Mask,
    as_baselines,
    as_masks,
    as_tuple,
    of_example,
    spread,
)
from otoscope.adapters.captum._attribution import in_the_form_of, require_count, with_additional
from otoscope.adapters.captum._game import Game, evaluate_coalitions, in_parts, number
from otoscope.adapters.captum.lime_base import LimeBase, fit

__all__ = ["Lime", "get_exp_kernel_similarity_function"]

_MANY = 10_000  # features: captum warns above


class Lime(LimeBase):
    """Fit LIME with captum's defaults: fair coins, cosine kernel of width 1, ``Lasso(0.01)``.

    Parameters
    ----------
    forward_func : callable
        Model; returns one number per example, or one for the batch.
    interpretable_model : estimator, optional
        Regressor of scikit-learn or model of captum, default ``Lasso(0.01)``.
    similarity_func : callable, optional
        Weight of a sample, as for `LimeBase`; default ``get_exp_kernel_similarity_function()``.
    perturb_func : callable, optional
        Function (inputs, keywords) -> binary row [1, feature], or a generator function of such
        rows; default fair coins from torch's global generator.
    layout : str, optional
        Axes of the model's input, such as "b mel frame"; inputs, masks and baselines then are
        [batch, 1, frame, mel] for every model.

    Notes
    -----
    The user's functions receive ``feature_mask``, ``baselines`` and ``num_interp_features``. Each
    distinct coalition is evaluated once, even if it is drawn several times. `SoundLIME` has
    otoscope's defaults.

    References
    ----------
    Ribeiro et al. (2016) :cite:`ribeiro2016`.

    Examples
    --------
    >>> x = torch.tensor([[20.0, 50.0, 30.0]])
    >>> class Total(torch.nn.Module):
    ...     def forward(self, x):
    ...         return x.sum(1)
    >>> Lime(Total()).attribute(x, n_samples=200).round(decimals=0)
    tensor([[20., 50., 30.]])
    """

    def __init__(
        self,
        forward_func: Callable[..., Any],
        interpretable_model: Any = None,
        similarity_func: Callable[..., Any] | None = None,
        perturb_func: Callable[..., Any] | None = None,
        *,
        layout: str | None = None,
    ) -> None:
        super().__init__(
            forward_func,
            Lasso(0.01) if interpretable_model is None else interpretable_model,
            similarity_func or get_exp_kernel_similarity_function(),
            perturb_func or _fair_coins,
            True,
            _from_row,
            None,
            layout=layout,
        )

    @torch.no_grad()
    def attribute(  # type: ignore[override]  # noqa: PLR0913 - captum's signature
        self,
        inputs: Inputs,
        baselines: Baseline = None,
        target: CaptumTarget = None,
        additional_forward_args: object = None,
        feature_mask: Mask = None,
        n_samples: int = 25,
        perturbations_per_eval: int = 1,
        return_input_shape: bool = True,
        show_progress: bool = False,
    ) -> Any:
        """Fit a surrogate for each example, or one for a batch whose output is one number.

        Parameters
        ----------
        inputs : Tensor or tuple of Tensor
            Inputs; dimension 0 counts the examples.
        baselines : number, Tensor, or tuple of these, optional
            Value of a removed feature; broadcasts to the input. Default zero.
        target : int, tuple, Tensor, or list, optional
            Index of the output, for all examples or one per example.
        additional_forward_args : any, optional
            Further arguments of ``forward_func``; tensors are repeated with the inputs.
        feature_mask : Tensor or tuple of Tensor, optional
            Feature of each cell, counted from the smallest; the same number in two inputs is one
            feature. By default each cell is a feature.
        n_samples : int
            Number of coalitions to draw.
        perturbations_per_eval : int
            Number of coalitions per forward pass.
        return_input_shape : bool
            Return the coefficients per cell of the inputs; otherwise per feature,
            [example, feature].
        show_progress : bool
            Show a progress bar on stderr.

        Returns
        -------
        Tensor or tuple of Tensor
            Coefficients, float32, of the inputs' shape; of one example if the output is one for
            the batch.

        Raises
        ------
        ArgumentError
            If the output is neither one number per example nor one for the batch.

        Examples
        --------
        >>> x, mask = torch.tensor([[20.0, 50.0, 30.0]]), torch.tensor([[0, 0, 1]])
        >>> class Total(torch.nn.Module):
        ...     def forward(self, x):
        ...         return x.sum(1)
        >>> Lime(Total()).attribute(x, feature_mask=mask).round(decimals=0)
        tensor([[70., 70., 30.]])
        """
        tensors = as_tuple(inputs)
        ids, n_features = _from_zero(as_masks(feature_mask, tensors))
        require_count("n_samples", n_samples)
        require_count("perturbations_per_eval", perturbations_per_eval)
        game = Game(
            self.forward_func,
            tensors,
            as_baselines(baselines, tensors),
            ids,
            target,
            with_additional(additional_forward_args),
            perturbations_per_eval,
        )
        is_tuple = isinstance(inputs, tuple)
        games = _each_example(game) if len(tensors[0]) > 1 else [game]
        rows, parts = [], []
        for example in games:
            row = self._explain(example, n_features, n_samples, is_tuple, show_progress)
            rows.append(row)
            pairs = zip(example.ids, example.inputs, strict=True)
            parts.append([spread(row, mask[:1], x.shape) for mask, x in pairs])
        if not return_input_shape:
            return torch.cat(rows)
        return in_the_form_of(inputs, tuple(torch.cat(p) for p in zip(*parts, strict=True)))

    def _explain(
        self, game: Game, n_features: int, n_samples: int, is_tuple: bool, show_progress: bool
    ) -> Tensor:
        """Return the coefficients [1, feature] of one example."""
        whole, contents, masks = (
            part if is_tuple else part[0] for part in (game.inputs, game.baselines, game.ids)
        )
        arguments = {
            "baselines": contents,
            "feature_mask": masks,
            "num_interp_features": n_features,
        }
        rows, weights = [], []
        for row in self._samples(whole, n_samples, arguments):
            perturbed = game.perturbed(row.bool().cpu())
            weight = self.similarity_func(
                whole, perturbed if is_tuple else perturbed[0], row, **arguments
            )
            rows.append(row.cpu())
            weights.append(float(weight))
        drawn = torch.cat(rows)
        outputs = self._evaluate(game, drawn.bool(), show_progress)
        return fit(self.interpretable_model, drawn, outputs, torch.tensor(weights).double()).to(
            game.inputs[0].device
        )

    def _evaluate(self, game: Game, keep: Tensor, show_progress: bool) -> Tensor:
        """Return the output of each coalition, [coalition]; distinct ones are evaluated once."""
        distinct, which = ops.pack(keep).bits.unique(dim=0, return_inverse=True)
        rows = ops.Coalitions(distinct, keep.shape[1]).unpack()
        whole = number(game.evaluate(game.inputs))
        if whole.numel() != 1:
            raise ArgumentError(
                f"the output has shape {tuple(whole.shape)} for {len(game.inputs[0])} examples; it "
                "must be one number per example, or one for the batch: choose with target="
            )
        parts = (rows[first:last] for first, last in in_parts(*rows.shape))
        with self._progress(show_progress, len(rows)) as progress:
            outputs = evaluate_coalitions(game, parts, whole, progress)
        return outputs.flatten().cpu()[which]


def get_exp_kernel_similarity_function(
    distance_mode: str = "cosine", kernel_width: float = 1.0
) -> Callable[..., float]:
    """Make a kernel over input values: ``exp(-distance**2 / (2 * kernel_width**2))``.

    Parameters
    ----------
    distance_mode : {"cosine", "euclidean"}
        Distance between the values of all inputs, concatenated.
    kernel_width : float
        Width of the kernel in units of the distance.

    Returns
    -------
    callable
        Function (inputs, perturbed inputs, row, keywords) -> weight in [0, 1].

    Raises
    ------
    ValueError
        If the mode is unknown, when the function is called.

    Examples
    --------
    >>> kernel = get_exp_kernel_similarity_function("euclidean", kernel_width=5.0)
    >>> round(kernel(torch.zeros(1, 2), torch.tensor([[3.0, 4.0]]), None), 4)
    0.6065
    """

    return partial(_similarity, distance_mode, kernel_width)


def _similarity(
    distance_mode: str,
    kernel_width: float,
    inputs: Inputs,
    perturbed: Inputs,
    row: object,
    **kwargs: object,
) -> float:
    first, other = (
        torch.cat([x.flatten() for x in as_tuple(i)]).float() for i in (inputs, perturbed)
    )
    if distance_mode == "cosine":
        distance = 1 - float(torch.cosine_similarity(first, other, dim=0))
    elif distance_mode == "euclidean":
        distance = float((first - other).norm())
    else:
        raise ArgumentError(f"distance_mode is {distance_mode!r}, not 'cosine' or 'euclidean'")
    return math.exp(-(distance**2) / (2 * kernel_width**2))


def _each_example(game: Game) -> list[Game]:
    """Split a batch into its examples, unless its output is one number."""
    n_examples = len(game.inputs[0])
    whole = game.evaluate(game.inputs)
    if not isinstance(whole, Tensor) or whole.numel() == 1:
        if game.per_eval != 1:
            raise ArgumentError(
                f"perturbations_per_eval is {game.per_eval}, must be 1: the output is one number "
                "for the batch"
            )
        return [game]
    if whole.numel() != n_examples:
        raise ArgumentError(
            f"the output has shape {tuple(whole.shape)} for {n_examples} examples; it must be one "
            "number per example, or one for the batch"
        )
    warnings.warn(
        f"a surrogate is fitted for each of {n_examples} examples, one after the other",
        stacklevel=5,
    )
    return [
        replace(
            game,
            **{
                name: of_example(getattr(game, name), example, n_examples)
                for name in ("inputs", "baselines", "ids", "target", "additional")
            },
        )
        for example in range(n_examples)
    ]


def _from_zero(masks: tuple[Tensor, ...]) -> tuple[tuple[Tensor, ...], int]:
    """Shift masks so that the smallest feature is 0; return the number of features too."""
    values = torch.cat([mask.flatten().cpu() for mask in masks])
    if not values.numel():
        raise ArgumentError("the inputs have no cells")
    least, most = int(values.min()), int(values.max())
    if least != 0:
        warnings.warn(
            f"feature_mask begins at {least}; its features are counted from there", stacklevel=5
        )
    if most - least >= _MANY:
        warnings.warn(
            f"{most - least + 1:,} features are slow to fit; group them by a feature_mask",
            stacklevel=5,
        )
    return tuple((mask - least).long() for mask in masks), most - least + 1


def _fair_coins(inputs: Inputs, **kwargs: Any) -> Tensor:
    """Draw a row of fair coins [1, feature]."""
    odds = torch.full((1, kwargs["num_interp_features"]), 0.5)
    return torch.bernoulli(odds).to(as_tuple(inputs)[0].device).long()


def _from_row(row: Tensor, inputs: Inputs, **kwargs: Any) -> Any:
    """Make the inputs of an interpretable row."""
    masks, baselines = (
        part if isinstance(part, tuple) else (part,)
        for part in (kwargs["feature_mask"], kwargs["baselines"])
    )
    return in_the_form_of(
        inputs,
        tuple(
            torch.where(row[0].bool()[mask], x, baseline)
            for x, mask, baseline in zip(as_tuple(inputs), masks, baselines, strict=True)
        ),
    )
