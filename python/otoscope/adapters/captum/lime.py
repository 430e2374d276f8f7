"""LIME as captum has it: rows of coins, a kernel over input values, a Lasso."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from sklearn.linear_model import Lasso
from torch import Tensor

from otoscope import ops
from otoscope.adapters.captum._arguments import (
    ArgumentError,
    Baseline,
    Inputs,
    Mask,
    Target,
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
    """LIME with captum's defaults: rows of fair coins, cosine kernel of width 1, Lasso 0.01.

    Parameters
    ----------
    forward_func : callable
        Returns one number for each example, or one for the batch.
    interpretable_model : estimator, optional
        A regressor of scikit-learn, or a model of captum; ``Lasso(0.01)`` if not given.
    similarity_func : callable, optional
        As for `LimeBase`; ``get_exp_kernel_similarity_function()`` if not given.
    perturb_func : callable, optional
        (inputs, keywords) -> binary row [1, feature], or a generator function of such rows; fair
        coins from torch's global generator if not given.

    Notes
    -----
    The user's functions get ``feature_mask``, ``baselines`` and ``num_interp_features``. Each
    different coalition is asked once, however often it is drawn. `SoundLIME` has otoscope's
    defaults instead.

    References
    ----------
    Ribeiro et al., "Why Should I Trust You?", 2016.

    Examples
    --------
    >>> x = torch.tensor([[20.0, 50.0, 30.0]])
    >>> Lime(lambda x: x.sum(1)).attribute(x, n_samples=200).round(decimals=0)
    tensor([[20., 50., 30.]])
    """

    def __init__(
        self,
        forward_func: Callable[..., Any],
        interpretable_model: Any = None,
        similarity_func: Callable[..., Any] | None = None,
        perturb_func: Callable[..., Any] | None = None,
    ) -> None:
        super().__init__(
            forward_func,
            Lasso(0.01) if interpretable_model is None else interpretable_model,
            similarity_func or get_exp_kernel_similarity_function(),
            perturb_func or _fair_coins,
            True,
            _from_row,
            None,
        )

    @torch.no_grad()
    def attribute(  # type: ignore[override]  # noqa: PLR0913 - captum's signature
        self,
        inputs: Inputs,
        baselines: Baseline = None,
        target: Target = None,
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
            Dimension 0 counts the examples.
        baselines : number, Tensor, or tuple of these, optional
            What stands where a feature is off; broadcasts to the input. Zero if not given.
        target : int, tuple, Tensor, or list, optional
            Which output: for all examples, or one each.
        additional_forward_args : any, optional
            Further arguments of the forward function; tensors are repeated with the inputs.
        feature_mask : Tensor or tuple of Tensor, optional
            The feature of each cell, counted from the least; the same number in two inputs is one
            feature. Each cell by itself if not given.
        n_samples : int
            Coalitions to draw.
        perturbations_per_eval : int
            Coalitions a forward pass.
        return_input_shape : bool
            Whether cells get their feature's coefficient; otherwise [example, feature].
        show_progress : bool
            Whether to show a bar on stderr.

        Returns
        -------
        Tensor or tuple of Tensor
            float32, of the inputs' shape; of one example if the output is one for the batch.

        Raises
        ------
        ArgumentError
            If the output is neither one number an example nor one for the batch.

        Examples
        --------
        >>> x, mask = torch.tensor([[20.0, 50.0, 30.0]]), torch.tensor([[0, 0, 1]])
        >>> Lime(lambda x: x.sum(1)).attribute(x, feature_mask=mask).round(decimals=0)
        tensor([[70., 70., 30.]])
        """
        given = as_tuple(inputs)
        ids, n_features = _from_the_least(as_masks(feature_mask, given))
        require_count("n_samples", n_samples)
        require_count("perturbations_per_eval", perturbations_per_eval)
        game = Game(
            self.forward_func,
            given,
            as_baselines(baselines, given),
            ids,
            target,
            with_additional(additional_forward_args),
            perturbations_per_eval,
        )
        is_tuple = isinstance(inputs, tuple)
        games = _each_example(game) if len(given[0]) > 1 else [game]
        rows, parts = [], []
        for one in games:
            row = self._explain(one, n_features, n_samples, is_tuple, show_progress)
            rows.append(row)
            pairs = zip(one.ids, one.inputs, strict=True)
            parts.append([spread(row, mask[:1], x.shape) for mask, x in pairs])
        if not return_input_shape:
            return torch.cat(rows)
        return in_the_form_of(inputs, tuple(torch.cat(p) for p in zip(*parts, strict=True)))

    def _explain(
        self, game: Game, n_features: int, n_samples: int, is_tuple: bool, show_progress: bool
    ) -> Tensor:
        """Coefficients [1, feature] of one example."""
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
            alike = self.similarity_func(
                whole, perturbed if is_tuple else perturbed[0], row, **arguments
            )
            rows.append(row.cpu())
            weights.append(float(alike))
        drawn = torch.cat(rows)
        outputs = self._ask(game, drawn.bool(), show_progress)
        return fit(self.interpretable_model, drawn, outputs, torch.tensor(weights).double()).to(
            game.inputs[0].device
        )

    def _ask(self, game: Game, keep: Tensor, show_progress: bool) -> Tensor:
        """The output for each coalition [coalition], each different one asked once."""
        distinct, which = ops.pack(keep).bits.unique(dim=0, return_inverse=True)
        rows = ops.Coalitions(distinct, keep.shape[1]).unpack()
        whole = number(game.ask(game.inputs))
        if whole.numel() != 1:
            raise ArgumentError(
                f"the output has shape {tuple(whole.shape)} for {len(game.inputs[0])} examples; it "
                "must be one number an example, or one for the batch: choose with target="
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
        Between the values of all inputs, one after the other.
    kernel_width : float
        In units of the distance.

    Returns
    -------
    callable
        (inputs, perturbed inputs, row, keywords) -> weight in [0, 1].

    Raises
    ------
    ValueError
        When it is called, if the mode is neither.

    Examples
    --------
    >>> kernel = get_exp_kernel_similarity_function("euclidean", kernel_width=5.0)
    >>> round(kernel(torch.zeros(1, 2), torch.tensor([[3.0, 4.0]]), None), 4)
    0.6065
    """

    def kernel(inputs: Inputs, perturbed: Inputs, row: object, **kwargs: object) -> float:
        one, other = (
            torch.cat([x.flatten() for x in as_tuple(i)]).float() for i in (inputs, perturbed)
        )
        if distance_mode == "cosine":
            distance = 1 - float(torch.cosine_similarity(one, other, dim=0))
        elif distance_mode == "euclidean":
            distance = float((one - other).norm())
        else:
            raise ArgumentError(f"distance_mode is {distance_mode!r}, not 'cosine' or 'euclidean'")
        return math.exp(-(distance**2) / (2 * kernel_width**2))

    return kernel


def _each_example(game: Game) -> list[Game]:
    """Split a batch into its examples, or leave it if its output is one number."""
    n_examples = len(game.inputs[0])
    whole = game.ask(game.inputs)
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
            "number an example, or one for the batch"
        )
    warnings.warn(
        f"a surrogate is fitted for each of {n_examples} examples, one after the other",
        stacklevel=4,
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


def _from_the_least(masks: tuple[Tensor, ...]) -> tuple[tuple[Tensor, ...], int]:
    """Shift masks so that the least feature is 0, and count up to the largest."""
    values = torch.cat([mask.flatten().cpu() for mask in masks])
    least, most = int(values.min()), int(values.max())
    if least != 0:
        warnings.warn(
            f"feature_mask begins at {least}; its features are counted from there", stacklevel=4
        )
    if most - least >= _MANY:
        warnings.warn(
            f"{most - least + 1:,} features are slow to fit; group them by a feature_mask",
            stacklevel=4,
        )
    return tuple((mask - least).long() for mask in masks), most - least + 1


def _fair_coins(inputs: Inputs, **kwargs: Any) -> Tensor:
    odds = torch.full((1, kwargs["num_interp_features"]), 0.5)
    return torch.bernoulli(odds).to(as_tuple(inputs)[0].device).long()


def _from_row(row: Tensor, inputs: Inputs, **kwargs: Any) -> Any:
    masks, baselines = (
        given if isinstance(given, tuple) else (given,)
        for given in (kwargs["feature_mask"], kwargs["baselines"])
    )
    return in_the_form_of(
        inputs,
        tuple(
            torch.where(row[0].bool()[mask], x, baseline)
            for x, mask, baseline in zip(as_tuple(inputs), masks, baselines, strict=True)
        ),
    )
