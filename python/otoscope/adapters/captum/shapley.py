"""ShapleyValues and ShapleyValueSampling: exact and estimated Shapley values of features."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor
from torch.futures import Future

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
    like_inputs,
    spread,
)
from otoscope.adapters.captum._attribution import (
    Attribution,
    in_the_form_of,
    require_count,
    with_additional,
)
from otoscope.adapters.captum._game import Game, evaluate_coalitions, in_parts, number
from otoscope.explain.fit.shapley import shapley_values

__all__ = ["ShapleyValueSampling", "ShapleyValues"]

_MANY = 10  # features: captum warns from here on


class ShapleyValueSampling(Attribution):
    """Estimate Shapley values from random orders in which the features join the baseline.

    Parameters
    ----------
    forward_func : callable
        Model; returns one row per example or, with ``perturbations_per_eval=1``, an output of any
        fixed shape for the batch.
    layout : str, optional
        Axes of the model's input, such as "b mel frame"; inputs, masks and baselines then are
        [batch, 1, frame, mel] for every model.

    Notes
    -----
    If all coalitions need no more passes than the orders, they are evaluated instead, and the
    values are exact. Orders are drawn from torch's global generator: under one
    ``torch.manual_seed``, captum draws the same.

    References
    ----------
    Castro et al. (2009) :cite:`castro2009`.

    Examples
    --------
    >>> class Product(torch.nn.Module):
    ...     def forward(self, x):
    ...         return x.prod(1)
    >>> sampling = ShapleyValueSampling(Product())
    >>> sampling.attribute(torch.tensor([[2.0, 3.0]]))
    tensor([[3., 3.]])
    """

    def attribute(  # noqa: PLR0913 - captum's signature
        self,
        inputs: Inputs,
        baselines: Baseline = None,
        target: CaptumTarget = None,
        additional_forward_args: object = None,
        feature_mask: Mask = None,
        n_samples: int = 25,
        perturbations_per_eval: int = 1,
        show_progress: bool = False,
    ) -> Any:
        """Let the features join in random orders.

        Parameters
        ----------
        inputs : Tensor or tuple of Tensor
            Inputs; dimension 0 counts the examples.
        baselines : number, Tensor, or tuple of these, optional
            Values before a feature joins; broadcast to the input. Default zero.
        target : int, tuple, Tensor, or list, optional
            Index of the output, for all examples or one per example.
        additional_forward_args : any, optional
            Further arguments of ``forward_func``; tensors are repeated with the inputs.
        feature_mask : Tensor or tuple of Tensor, optional
            Feature of each cell, from 0; the same number in two inputs is one feature. By default
            each cell is a feature.
        n_samples : int
            Number of orders.
        perturbations_per_eval : int
            Number of coalitions per forward pass.
        show_progress : bool
            Show a progress bar on stderr.

        Returns
        -------
        Tensor or tuple of Tensor
            Values, float32, of the output's shape followed by the cells of an example.

        Raises
        ------
        ArgumentError
            If shapes or lengths of the arguments do not match.

        Examples
        --------
        >>> x, mask = torch.tensor([[2.0, 3.0, 4.0]]), torch.tensor([[0, 0, 1]])
        >>> class Product(torch.nn.Module):
        ...     def forward(self, x):
        ...         return x.prod(1)
        >>> ShapleyValueSampling(Product()).attribute(x, baselines=1, feature_mask=mask)
        tensor([[12.5000, 12.5000, 10.5000]])
        """
        require_count("n_samples", n_samples)
        return self._attribute(
            inputs,
            baselines,
            feature_mask,
            (target, with_additional(additional_forward_args), perturbations_per_eval),
            n_samples=n_samples,
            show_progress=show_progress,
        )

    def attribute_future(self, *args: Any, **kwargs: Any) -> Future[Any]:
        """Attribute a forward function that returns futures.

        Parameters
        ----------
        *args, **kwargs : any
            Arguments of `attribute`.

        Returns
        -------
        Future
            Completed future: the futures of ``forward_func`` are waited for.

        Examples
        --------
        >>> def later(x):
        ...     future = Future()
        ...     future.set_result(x.sum(1))
        ...     return future
        >>> ShapleyValueSampling(later).attribute_future(torch.tensor([[2.0, 3.0]])).wait()
        tensor([[2., 3.]])
        """
        return self._in_future(*args, **kwargs)

    def _attribute(
        self,
        inputs: Inputs,
        baselines: Baseline,
        feature_mask: Mask,
        call: tuple[CaptumTarget, tuple[Any, ...], int],  # target, additional arguments, per_eval
        *,
        n_samples: int | None,
        show_progress: bool,
    ) -> Any:
        tensors = as_tuple(inputs)
        starts = like_inputs(as_baselines(baselines, tensors), tensors)
        ids = as_masks(feature_mask, tensors)
        n_features = _count(ids)
        game = Game(self.forward_func, tensors, starts, ids, *call)
        require_count("perturbations_per_eval", game.per_eval)
        is_exact = n_samples is None or 2**n_features <= n_samples * n_features
        n_coalitions = 2**n_features if is_exact else (n_samples or 0) * n_features
        with torch.no_grad(), self._progress(show_progress, 1 + n_coalitions) as progress:
            nothing = number(game.evaluate(starts))
            progress(1)
            if n_samples is None or is_exact:
                values = _exactly(game, nothing, n_features, progress)
            else:
                values = _by_orders(game, nothing, n_features, n_samples, progress)
        values = values.reshape(*(nothing.shape or [1]), n_features).float()
        return in_the_form_of(
            inputs, tuple(spread(values, i, x.shape) for i, x in zip(ids, tensors, strict=True))
        )


class ShapleyValues(ShapleyValueSampling):
    """Compute exact Shapley values from all coalitions: 2^n passes, where captum takes n * n!.

    Parameters
    ----------
    forward_func : callable
        Model, as for `ShapleyValueSampling`.
    layout : str, optional
        Axes of the model's input, such as "b mel frame"; inputs, masks and baselines then are
        [batch, 1, frame, mel] for every model.

    References
    ----------
    Shapley (1953) :cite:`shapley1953`.

    Examples
    --------
    >>> class Product(torch.nn.Module):
    ...     def forward(self, x):
    ...         return x.prod(1)
    >>> ShapleyValues(Product()).attribute(torch.tensor([[2.0, 3.0]]), baselines=1)
    tensor([[2., 3.]])
    """

    def attribute(  # type: ignore[override]
        self,
        inputs: Inputs,
        baselines: Baseline = None,
        target: CaptumTarget = None,
        additional_forward_args: object = None,
        feature_mask: Mask = None,
        perturbations_per_eval: int = 1,
        show_progress: bool = False,
    ) -> Any:
        """Evaluate all coalitions of the features.

        Parameters
        ----------
        inputs, baselines, target, additional_forward_args, feature_mask
            As for `ShapleyValueSampling.attribute`.
        perturbations_per_eval, show_progress
            As for `ShapleyValueSampling.attribute`.

        Returns
        -------
        Tensor or tuple of Tensor
            Values, float32, of the output's shape followed by the cells of an example.

        Raises
        ------
        ArgumentError
            If shapes or lengths of the arguments do not match.

        Examples
        --------
        >>> class Largest(torch.nn.Module):
        ...     def forward(self, x):
        ...         return x.amax(1)
        >>> ShapleyValues(Largest()).attribute(torch.tensor([[2.0, 3.0]]))
        tensor([[1., 2.]])
        """
        n_features = _count(as_masks(feature_mask, as_tuple(inputs)), warn=False)
        if n_features >= _MANY:
            warnings.warn(
                f"ShapleyValues evaluates all 2^{n_features} = {2**n_features:,} coalitions of "
                f"{n_features} features; ShapleyValueSampling evaluates fewer",
                stacklevel=3,
            )
        return self._attribute(
            inputs,
            baselines,
            feature_mask,
            (target, with_additional(additional_forward_args), perturbations_per_eval),
            n_samples=None,
            show_progress=show_progress,
        )


def _count(ids: tuple[Tensor, ...], *, warn: bool = True) -> int:
    """Count the features, including those without a cell."""
    values = torch.cat([i.flatten().cpu() for i in ids]).unique()
    if not len(values):
        raise ArgumentError("the inputs have no cells")
    least, most = int(values[0]), int(values[-1])
    if least < 0:
        raise ArgumentError(f"feature_mask holds {least}, must be >= 0")
    if warn and len(values) <= most:
        warnings.warn(
            f"feature_mask lacks {most + 1 - len(values)} of the integers 0 to {most}; each costs "
            "passes as a feature does: number the features 0, 1, 2 ...",
            stacklevel=5,
        )
    return most + 1


def _exactly(game: Game, like: Tensor, n_features: int, progress: Callable[[int], None]) -> Tensor:
    """Compute Shapley values [output, feature] from all coalitions."""
    rows = ops.coalitions(n_features, "exact")
    parts = (rows[a:b].unpack() for a, b in in_parts(len(rows), n_features))
    outputs = evaluate_coalitions(game, parts, like, progress)
    return shapley_values(rows.unpack(), outputs.reshape(len(rows), -1).cpu())


def _by_orders(
    game: Game, nothing: Tensor, n_features: int, n_samples: int, progress: Callable[[int], None]
) -> Tensor:
    """Compute mean gains [output, feature] over drawn orders of joining."""
    orders = torch.stack([torch.randperm(n_features) for _ in range(n_samples)])
    joins_at = orders.argsort(1)  # [order, feature]: 0 joins first

    def parts() -> Iterator[Tensor]:
        for first, last in in_parts(n_samples * n_features, n_features):
            row = torch.arange(first, last)
            yield joins_at[row // n_features] <= (row % n_features)[:, None]

    outputs = evaluate_coalitions(game, parts(), nothing, progress).double().cpu()
    path = outputs.reshape(n_samples, n_features, -1)  # [order, step, output]
    start = nothing.flatten().double().cpu().expand(n_samples, 1, -1)
    gains = torch.cat([start, path], 1).diff(dim=1)
    return gains.gather(1, joins_at[:, :, None].expand_as(gains)).mean(0).T
