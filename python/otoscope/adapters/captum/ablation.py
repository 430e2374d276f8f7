"""FeatureAblation and Occlusion: the loss of the output where features are removed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import ceil, prod
from typing import Any, TypeAlias

import torch
from torch import Tensor
from torch.futures import Future

from otoscope.adapters.captum._arguments import (
    ArgumentError,
    Baseline,
    CaptumTarget,
    Inputs,
    Mask,
    as_baselines,
    as_masks,
    as_tuple,
    number_features,
    spread,
)
from otoscope.adapters.captum._attribution import (
    Attribution,
    in_the_form_of,
    require_count,
    with_additional,
)
from otoscope.adapters.captum._game import Game, evaluate_coalitions, in_parts, number

__all__ = ["FeatureAblation", "Occlusion"]

Window: TypeAlias = "tuple[int, ...]"


class FeatureAblation(Attribution):
    """Measure the loss of the output when one feature is set to its baseline.

    Parameters
    ----------
    forward_func : callable
        Model; returns one row per example or, with ``perturbations_per_eval=1``, an output of any
        fixed shape for the batch.
    layout : str, optional
        Axes of the model's input, such as "b mel frame"; inputs, masks and baselines then are
        [batch, 1, frame, mel] for every model.

    Examples
    --------
    >>> class Product(torch.nn.Module):
    ...     def forward(self, x):
    ...         return x.prod(1)
    >>> ablation = FeatureAblation(Product())
    >>> ablation.attribute(torch.tensor([[2.0, 3.0]]), baselines=1)
    tensor([[3., 4.]])
    """

    def attribute(
        self,
        inputs: Inputs,
        baselines: Baseline = None,
        target: CaptumTarget = None,
        additional_forward_args: object = None,
        feature_mask: Mask = None,
        perturbations_per_eval: int = 1,
        show_progress: bool = False,
        **kwargs: Any,
    ) -> Any:
        """Remove each feature in turn.

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
            Feature of each cell, any integers; the same number in two inputs is one feature. By
            default each cell is a feature.
        perturbations_per_eval : int
            Number of features per forward pass.
        show_progress : bool
            Show a progress bar on stderr.
        **kwargs : any
            Ignored.

        Returns
        -------
        Tensor or tuple of Tensor
            Losses of the inputs' shape, with the number of outputs as the first dimension.

        Raises
        ------
        ArgumentError
            If shapes or lengths of the arguments do not match.

        Examples
        --------
        >>> x, mask = torch.tensor([[2.0, 3.0, 4.0]]), torch.tensor([[0, 0, 7]])
        >>> class Total(torch.nn.Module):
        ...     def forward(self, x):
        ...         return x.sum(1)
        >>> FeatureAblation(Total()).attribute(x, feature_mask=mask)
        tensor([[5., 5., 4.]])
        """
        tensors = as_tuple(inputs)
        masks = as_masks(feature_mask, tensors)
        ids, n_features = number_features(masks)
        game = Game(
            self.forward_func,
            tensors,
            as_baselines(baselines, tensors),
            ids,
            target,
            with_additional(additional_forward_args),
            perturbations_per_eval,
        )
        parts = (_without(*rows, n_features) for rows in in_parts(n_features, n_features))
        losses = self._losses(game, parts, n_features, show_progress)
        return in_the_form_of(
            inputs,
            tuple(spread(losses.T, i, x.shape) for i, x in zip(ids, tensors, strict=True)),
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
        >>> FeatureAblation(later).attribute_future(torch.tensor([[2.0, 3.0]])).wait()
        tensor([[2., 3.]])
        """
        return self._in_future(*args, **kwargs)

    def _losses(
        self, game: Game, parts: Iterator[Tensor], n_coalitions: int, show_progress: bool
    ) -> Tensor:
        """Return the loss of each coalition against the whole: Tensor [coalition, output]."""
        require_count("perturbations_per_eval", game.per_eval)
        with torch.no_grad(), self._progress(show_progress, 1 + n_coalitions) as progress:
            whole = number(game.evaluate(game.inputs))
            progress(1)
            outputs = evaluate_coalitions(game, parts, whole, progress)
        return whole.flatten() - outputs.reshape(len(outputs), whole.numel())


class Occlusion(FeatureAblation):
    """Measure the loss under a sliding window, averaged over the windows that hold a cell.

    Parameters
    ----------
    forward_func : callable
        Model, as for `FeatureAblation`.
    layout : str, optional
        Axes of the model's input, such as "b mel frame"; inputs, masks and baselines then are
        [batch, 1, frame, mel] for every model.

    References
    ----------
    Zeiler and Fergus (2013) :cite:`zeiler2013`, section 4.2.

    Examples
    --------
    >>> class Total(torch.nn.Module):
    ...     def forward(self, x):
    ...         return x.sum(1)
    >>> occlusion = Occlusion(Total())
    >>> occlusion.attribute(torch.tensor([[2.0, 3.0, 4.0]]), (2,))
    tensor([[5., 6., 7.]])
    """

    def attribute(  # type: ignore[override]  # noqa: PLR0913 - captum's signature
        self,
        inputs: Inputs,
        sliding_window_shapes: Window | tuple[Window, ...],
        strides: int | Window | tuple[int | Window, ...] | None = None,
        baselines: Baseline = None,
        target: CaptumTarget = None,
        additional_forward_args: object = None,
        perturbations_per_eval: int = 1,
        show_progress: bool = False,
    ) -> Any:
        """Slide a window over each input.

        Parameters
        ----------
        inputs : Tensor or tuple of Tensor
            Inputs; dimension 0 counts the examples.
        sliding_window_shapes : tuple of int, or tuple of these
            Size of the window along each dimension except the first, per input.
        strides : int, tuple of int, or tuple of these, optional
            Steps of the window, per input, default 1. The last window of a dimension is cut off at
            its end.
        baselines : number, Tensor, or tuple of these, optional
            Value inside the window, default zero.
        target : int, tuple, Tensor, or list, optional
            Index of the output, for all examples or one per example.
        additional_forward_args : any, optional
            Further arguments of ``forward_func``; tensors are repeated with the inputs.
        perturbations_per_eval : int
            Number of windows per forward pass.
        show_progress : bool
            Show a progress bar on stderr.

        Returns
        -------
        Tensor or tuple of Tensor
            Losses, float32, shaped as those of `FeatureAblation`.

        Raises
        ------
        ArgumentError
            If a window is larger than its input, or a stride larger than its window.

        Examples
        --------
        >>> x = torch.tensor([[2.0, 3.0, 4.0]])
        >>> class Total(torch.nn.Module):
        ...     def forward(self, x):
        ...         return x.sum(1)
        >>> Occlusion(Total()).attribute(x, (2,), strides=2)
        tensor([[5., 5., 4.]])
        """
        tensors = as_tuple(inputs)
        slides = [
            _covers(x.shape[1:], shape, stride)
            for x, shape, stride in zip(
                tensors,
                _shapes(sliding_window_shapes, tensors),
                _strides(strides, tensors),
                strict=True,
            )
        ]
        ids, n_segments = _segments(slides, tensors)
        n_windows = sum(prod(len(cover) for cover in slide) for slide in slides)
        game = Game(
            self.forward_func,
            tensors,
            as_baselines(baselines, tensors),
            ids,
            target,
            with_additional(additional_forward_args),
            perturbations_per_eval,
        )
        parts = list(in_parts(n_windows, n_segments))
        kept = (~_inside(slides, *part) for part in parts)
        losses = self._losses(game, kept, n_windows, show_progress).double()
        total, count = losses.new_zeros(losses.shape[1], n_segments), losses.new_zeros(n_segments)
        for first, last in parts:
            inside = _inside(slides, first, last).to(losses)
            total += losses[first:last].T @ inside
            count += inside.sum(0)
        mean = (total / count).float()
        return in_the_form_of(
            inputs, tuple(spread(mean, i, x.shape) for i, x in zip(ids, tensors, strict=True))
        )

    attribute_future = Attribution.attribute_future  # raises, as captum's does


def _without(first: int, last: int, n_features: int) -> Tensor:
    """Return coalitions that lack one feature each: bool [last - first, feature]."""
    return torch.arange(first, last)[:, None] != torch.arange(n_features)


def _shapes(shapes: Any, inputs: Sequence[Tensor]) -> tuple[Window, ...]:
    windows = (shapes,) if isinstance(shapes[0], int) else shapes
    if len(windows) != len(inputs):
        raise ArgumentError(
            f"there are {len(windows)} sliding_window_shapes for {len(inputs)} inputs"
        )
    for shape, x in zip(windows, inputs, strict=True):
        if not isinstance(shape, tuple) or len(shape) != x.ndim - 1:
            raise ArgumentError(
                f"a sliding window has shape {shape!r}, its input {tuple(x.shape)}; it must be a "
                f"tuple of {x.ndim - 1}"
            )
    return tuple(windows)


def _strides(strides: Any, inputs: Sequence[Tensor]) -> tuple[Window, ...]:
    per_input = (1,) * len(inputs) if strides is None else strides
    if len(inputs) == 1 and not (isinstance(per_input, tuple) and len(per_input) == 1):
        per_input = (per_input,)
    if not isinstance(per_input, tuple) or len(per_input) != len(inputs):
        raise ArgumentError(f"strides are {strides!r}, must be one per input, of {len(inputs)}")
    for stride, x in zip(per_input, inputs, strict=True):
        if not isinstance(stride, int) and not (
            isinstance(stride, tuple) and len(stride) == x.ndim - 1
        ):
            raise ArgumentError(
                f"a stride is {stride!r}, its input {tuple(x.shape)}; it must be an int or a "
                f"tuple of {x.ndim - 1}"
            )
    return tuple(
        (stride,) * (x.ndim - 1) if isinstance(stride, int) else stride
        for stride, x in zip(per_input, inputs, strict=True)
    )


def _covers(sizes: Sequence[int], window: Window, stride: Window) -> list[Tensor]:
    """Return, per dimension, the cells that the window covers at each place: bool [place, cell]."""
    covers = []
    for size, width, step in zip(sizes, window, stride, strict=True):
        if not 0 < width <= size:
            raise ArgumentError(f"a sliding window has shape {window}, its input {tuple(sizes)}")
        if step < 1 or (width < size and step > width):
            raise ArgumentError(
                f"a stride is {stride}, its window {window}; it must be >= 1 and leave no gaps"
            )
        start = torch.arange(1 + ceil((size - width) / step))[:, None] * step
        cell = torch.arange(size)
        covers.append((start <= cell) & (cell < start + width))
    return covers


def _segments(
    slides: list[list[Tensor]], inputs: Sequence[Tensor]
) -> tuple[tuple[Tensor, ...], int]:
    """Group cells that the same windows hold into segments; covers become [place, segment]."""
    ids, n_segments = [], 0
    for slide, x in zip(slides, inputs, strict=True):
        number = torch.zeros((1,) * x.ndim, dtype=torch.int64)
        for dim, cover in enumerate(slide):
            slide[dim], place = cover.unique(dim=1, return_inverse=True)
            shape = [1] * x.ndim
            shape[dim + 1] = -1
            number = number * slide[dim].shape[1] + place.reshape(shape)
        ids.append((number + n_segments).to(x.device))
        n_segments += prod(cover.shape[1] for cover in slide)
    return tuple(ids), n_segments


def _inside(slides: list[list[Tensor]], first: int, last: int) -> Tensor:
    """Return the segments in windows first .. last - 1, across inputs: bool [window, segment]."""
    parts, before = [], 0
    for slide in slides:
        n_windows = prod(len(cover) for cover in slide)
        window = torch.arange(first, last) - before
        is_here = (window >= 0) & (window < n_windows)
        rest, places = window.clamp(0, n_windows - 1), []
        for cover in reversed(slide):
            places.append(cover[rest % len(cover)])
            rest = rest // len(cover)
        inside = is_here[:, None]
        for place in reversed(places):
            inside = (inside[:, :, None] & place[:, None, :]).flatten(1)
        parts.append(inside)
        before += n_windows
    return torch.cat(parts, 1)
