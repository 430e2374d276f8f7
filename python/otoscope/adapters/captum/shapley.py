"""ShapleyValues, exact, and ShapleyValueSampling: each feature's fair share of the output."""

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
    Inputs,
    Mask,
    Target,
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
from otoscope.explain.shapley import shapley_values

__all__ = ["ShapleyValueSampling", "ShapleyValues"]

_MANY = 10  # features: captum warns from here on


class ShapleyValueSampling(Attribution):
    """Shapley values from random orders in which the features join the baseline.

    Parameters
    ----------
    forward_func : callable
        Returns a row for each example, or, with ``perturbations_per_eval`` 1, anything of a fixed
        shape for the batch.

    Notes
    -----
    Where all coalitions together are no more passes than the orders, they are asked instead, and
    the values are exact. Orders are drawn from torch's global generator: ``torch.manual_seed``
    gives those that it gives captum.

    References
    ----------
    Castro, Gomez and Tejada, "Polynomial calculation of the Shapley value based on sampling", 2009.

    Examples
    --------
    >>> sampling = ShapleyValueSampling(lambda x: x[:, 0] * x[:, 1])
    >>> sampling.attribute(torch.tensor([[2.0, 3.0]]))
    tensor([[3., 3.]])
    """

    def attribute(  # noqa: PLR0913 - captum's signature
        self,
        inputs: Inputs,
        baselines: Baseline = None,
        target: Target = None,
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
            Dimension 0 counts the examples.
        baselines : number, Tensor, or tuple of these, optional
            Where the features begin; broadcasts to the input. Zero if not given.
        target : int, tuple, Tensor, or list, optional
            Which output: for all examples, or one each.
        additional_forward_args : any, optional
            Further arguments of the forward function; tensors are repeated with the inputs.
        feature_mask : Tensor or tuple of Tensor, optional
            The feature of each cell, from 0; the same number in two inputs is one feature. Each
            cell by itself if not given.
        n_samples : int
            Orders.
        perturbations_per_eval : int
            Coalitions a forward pass.
        show_progress : bool
            Whether to show a bar on stderr.

        Returns
        -------
        Tensor or tuple of Tensor
            float32, of the output's shape followed by the cells of an example.

        Raises
        ------
        ArgumentError
            If arguments do not fit together.

        Examples
        --------
        >>> x, mask = torch.tensor([[2.0, 3.0, 4.0]]), torch.tensor([[0, 0, 1]])
        >>> ShapleyValueSampling(lambda x: x.prod(1)).attribute(x, baselines=1, feature_mask=mask)
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
            What `attribute` takes.

        Returns
        -------
        Future
            Done: the forward function's futures are waited for.

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
        asked: tuple[Target, tuple[Any, ...], int],
        *,
        n_samples: int | None,
        show_progress: bool,
    ) -> Any:
        given = as_tuple(inputs)
        starts = like_inputs(as_baselines(baselines, given), given)
        ids = as_masks(feature_mask, given)
        n_features = _count(ids)
        game = Game(self.forward_func, given, starts, ids, *asked)
        require_count("perturbations_per_eval", game.per_eval)
        is_exact = n_samples is None or 2**n_features <= n_samples * n_features
        n_coalitions = 2**n_features if is_exact else (n_samples or 0) * n_features
        with torch.no_grad(), self._progress(show_progress, 1 + n_coalitions) as progress:
            nothing = number(game.ask(starts))
            progress(1)
            if n_samples is None or is_exact:
                values = _exactly(game, nothing, n_features, progress)
            else:
                values = _by_orders(game, nothing, n_features, n_samples, progress)
        values = values.reshape(*(nothing.shape or [1]), n_features).float()
        return in_the_form_of(
            inputs, tuple(spread(values, one, x.shape) for one, x in zip(ids, given, strict=True))
        )


class ShapleyValues(ShapleyValueSampling):
    """Exact Shapley values, from all coalitions: 2^features passes, where captum takes n * n!.

    Parameters
    ----------
    forward_func : callable
        As for `ShapleyValueSampling`.

    References
    ----------
    Shapley, "A value for n-person games", 1953.

    Examples
    --------
    >>> ShapleyValues(lambda x: x.prod(1)).attribute(torch.tensor([[2.0, 3.0]]), baselines=1)
    tensor([[2., 3.]])
    """

    def attribute(  # type: ignore[override]
        self,
        inputs: Inputs,
        baselines: Baseline = None,
        target: Target = None,
        additional_forward_args: object = None,
        feature_mask: Mask = None,
        perturbations_per_eval: int = 1,
        show_progress: bool = False,
    ) -> Any:
        """Ask for all coalitions of the features.

        Parameters
        ----------
        inputs : Tensor or tuple of Tensor
            Dimension 0 counts the examples.
        baselines : number, Tensor, or tuple of these, optional
            Where the features begin; broadcasts to the input. Zero if not given.
        target : int, tuple, Tensor, or list, optional
            Which output: for all examples, or one each.
        additional_forward_args : any, optional
            Further arguments of the forward function; tensors are repeated with the inputs.
        feature_mask : Tensor or tuple of Tensor, optional
            The feature of each cell, from 0; the same number in two inputs is one feature. Each
            cell by itself if not given.
        perturbations_per_eval : int
            Coalitions a forward pass.
        show_progress : bool
            Whether to show a bar on stderr.

        Returns
        -------
        Tensor or tuple of Tensor
            float32, of the output's shape followed by the cells of an example.

        Raises
        ------
        ArgumentError
            If arguments do not fit together.

        Examples
        --------
        >>> ShapleyValues(lambda x: x.amax(1)).attribute(torch.tensor([[2.0, 3.0]]))
        tensor([[1., 2.]])
        """
        given = as_tuple(inputs)
        n_features = _count(as_masks(feature_mask, given), warn=False)
        if n_features >= _MANY:
            warnings.warn(
                f"ShapleyValues asks for all 2^{n_features} = {2**n_features:,} coalitions of "
                f"{n_features} features; ShapleyValueSampling asks for fewer",
                stacklevel=2,
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
    """How many features there are, those without a cell included."""
    values = torch.cat([one.flatten().cpu() for one in ids]).unique()
    if not len(values):
        raise ArgumentError("the inputs have no cells")
    least, most = int(values[0]), int(values[-1])
    if least < 0:
        raise ArgumentError(f"feature_mask holds {least}, must be >= 0")
    if warn and len(values) <= most:
        warnings.warn(
            f"feature_mask lacks {most + 1 - len(values)} of the integers 0 to {most}; each costs "
            "passes as a feature does: number the features 0, 1, 2 ...",
            stacklevel=4,
        )
    return most + 1


def _exactly(game: Game, like: Tensor, n_features: int, progress: Callable[[int], None]) -> Tensor:
    """Shapley values [output, feature] from all coalitions."""
    rows = ops.coalitions(n_features, "exact")
    parts = (rows[a:b].unpack() for a, b in in_parts(len(rows), n_features))
    outputs = evaluate_coalitions(game, parts, like, progress)
    return shapley_values(rows.unpack(), outputs.reshape(len(rows), -1).cpu())


def _by_orders(
    game: Game, nothing: Tensor, n_features: int, n_samples: int, progress: Callable[[int], None]
) -> Tensor:
    """Mean gains [output, feature] over drawn orders of joining."""
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
