"""Update and merge the mean and the scatter of features, for one set or for many.

A state is (count, mean, scatter), all float64: the number of rows, their mean [column], and the sum
of (row - mean)(row - mean)^T [column, column], symmetric. The covariance is
scatter / (count - ddof). A leading axis [set, ...] holds the states of many sets.
"""

from __future__ import annotations

import itertools
from typing import NamedTuple

import torch
from torch import Tensor

from otoscope.errors import ParameterError
from otoscope.native import kernels
from otoscope.ops.library import SCALARS, call_constant, register, require_device, require_tensor

__all__ = ["Moments", "moments", "moments_merge", "moments_update"]


_CHUNK_ROWS, _STRIPS = 4096, 8  # of update_by_products


class Moments(NamedTuple):
    """Count, mean and scatter of the rows of a set.

    Parameters
    ----------
    count : Tensor [] or [set], float64
        Number of rows.
    mean : Tensor [column] or [set, column], float64
        Mean of the rows; 0 if there are none.
    scatter : Tensor [column, column] or [set, column, column], float64
        Sum of (row - mean)(row - mean)^T.

    Examples
    --------
    >>> Moments.none(3).mean
    tensor([0., 0., 0.], dtype=torch.float64)
    """

    count: Tensor  # type: ignore[assignment]  # hides tuple.count
    mean: Tensor
    scatter: Tensor

    @classmethod
    def none(
        cls, columns: int, *, sets: int | None = None, device: torch.device | str = "cpu"
    ) -> Moments:
        """Return the state of an empty set.

        Parameters
        ----------
        columns : int
            Number of columns of the features.
        sets : int, optional
            Number of states; by default one, without a set axis.
        device : torch.device or str
            Device of the state.

        Returns
        -------
        Moments
            State with zeros.

        Examples
        --------
        >>> Moments.none(2, sets=27).scatter.shape
        torch.Size([27, 2, 2])
        """
        lead = () if sets is None else (sets,)
        shapes = (lead, (*lead, columns), (*lead, columns, columns))
        return cls(*(torch.zeros(s, dtype=torch.float64, device=device) for s in shapes))

    def covariance(self, ddof: int = 1) -> Tensor:
        """Return the covariance: the scatter divided by count - ddof.

        Parameters
        ----------
        ddof : int
            Delta degrees of freedom: 1 for the unbiased estimate, 0 for maximum likelihood.

        Returns
        -------
        Tensor [column, column] or [set, column, column]
            Covariance; NaN where count <= ddof.

        Examples
        --------
        >>> moments(torch.tensor([[0.0], [2.0]])).covariance()
        tensor([[2.]], dtype=torch.float64)
        """
        degrees = self.count - ddof
        return self.scatter / torch.where(degrees > 0, degrees, torch.nan)[..., None, None]


def moments(features: Tensor) -> Moments:
    """Compute the moments of features.

    Parameters
    ----------
    features : Tensor [row, column] or [set, row, column]
        Features: float16, bfloat16, float32 or float64.

    Returns
    -------
    Moments
        State on the device of the features.

    Raises
    ------
    ParameterError
        See `moments_update`.

    Examples
    --------
    >>> moments(torch.tensor([[1.0, 2.0], [3.0, 6.0]])).mean
    tensor([2., 4.], dtype=torch.float64)
    """
    _check_features(features)
    sets = len(features) if features.ndim == 3 else None
    state = Moments.none(features.shape[-1], sets=sets, device=features.device)
    return moments_update(*state, features)


def moments_update(count: Tensor, mean: Tensor, scatter: Tensor, features: Tensor) -> Moments:
    """Add a batch of features to a state, in place.

    Parameters
    ----------
    count, mean, scatter : Tensor
        State, as in `Moments`; changed in place.
    features : Tensor [row, column] or [set, row, column]
        Features: float16, bfloat16, float32 or float64, converted to float64. Not differentiable.

    Returns
    -------
    Moments
        The same tensors.

    Raises
    ------
    ParameterError
        If shapes, types or devices do not fit, or, on a CPU, a row holds NaN or infinity; the
        message names the row, and the state is unchanged. On a GPU, NaN and infinity spread to the
        state.

    Notes
    -----
    The batch is centred by its own mean before the products, so that a common offset costs no
    precision; half of the scatter is computed and mirrored. Results are equal bit for bit for any
    number of threads, and to rounding for any split into batches. GPUs without fast double
    arithmetic represent features other than float64 as pairs of floats: differences from the mean
    must be between 1e-15 and 1e19.

    References
    ----------
    Chan et al. (1979) :cite:`chan1979`.

    Examples
    --------
    >>> state = Moments.none(1)
    >>> moments_update(*state, torch.tensor([[1.0], [2.0]])).count
    tensor(2., dtype=torch.float64)
    """
    _check_features(features)
    state = _checked("the state", (count, mean, scatter))
    if state.mean.shape != (*features.shape[:-2], features.shape[-1]):
        raise ParameterError(
            f"features have shape {tuple(features.shape)}, the state's mean has "
            f"{tuple(state.mean.shape)}; the numbers of columns and sets must be the same"
        )
    require_device("features", features, mean.device)
    batch = features if features.ndim == 3 else features[None]
    op = torch.ops.otoscope.moments_update
    call_constant(op, *_with_sets(state), batch.contiguous())
    return state


def moments_merge(a: tuple[Tensor, Tensor, Tensor], b: tuple[Tensor, Tensor, Tensor]) -> Moments:
    """Merge two states into the moments of all rows of both.

    Parameters
    ----------
    a, b : Moments
        States with the same number of columns; unchanged.

    Returns
    -------
    Moments
        New state.

    Raises
    ------
    ParameterError
        If shapes, types or devices differ.

    References
    ----------
    Chan et al. (1979) :cite:`chan1979`, eq. 2.1.

    Examples
    --------
    >>> x = torch.tensor([[1.0], [2.0], [6.0]])
    >>> moments_merge(moments(x[:2]), moments(x[2:])).mean
    tensor([3.], dtype=torch.float64)
    """
    first, second = _checked("a", a), _checked("b", b)
    if first.mean.shape != second.mean.shape:
        raise ParameterError(
            f"a has mean {tuple(first.mean.shape)}, b has {tuple(second.mean.shape)}; "
            "they must be the same"
        )
    require_device("b", second.mean, first.mean.device)
    merged = Moments(*(part.clone() for part in first))
    call_constant(torch.ops.otoscope.moments_merge, *_with_sets(merged), *_with_sets(second))
    return merged


def _check_features(features: Tensor) -> None:
    require_tensor("features", features)
    if features.ndim not in (2, 3) or features.dtype not in SCALARS:
        raise ParameterError(
            f"features are {features.dtype} {tuple(features.shape)}; they must be floating point "
            "[row, column] or [set, row, column]"
        )


def _checked(name: str, state: tuple[Tensor, Tensor, Tensor]) -> Moments:
    count, mean, scatter = state
    shapes = (mean.shape[:-1], mean.shape, (*mean.shape, *mean.shape[-1:]))
    if mean.ndim not in (1, 2) or any(
        part.shape != shape or part.dtype != torch.float64 or not part.is_contiguous()
        for part, shape in zip(state, shapes, strict=True)
    ):
        parts = ", ".join(f"{part.dtype} {tuple(part.shape)}" for part in state)
        raise ParameterError(
            f"{name} is {parts}; it must be contiguous float64 count, mean [..., column] and "
            "scatter [..., column, column]"
        )
    for part in (count, scatter):
        require_device(f"a part of {name}", part, mean.device)
    return Moments(count, mean, scatter)


def _with_sets(state: Moments) -> tuple[Tensor, ...]:
    return tuple(state) if state.mean.ndim == 2 else tuple(part[None] for part in state)


def _update(count: Tensor, mean: Tensor, scatter: Tensor, features: Tensor) -> None:
    module, launch = kernels(features.device)
    sets, rows, columns = features.shape
    if columns == 0:  # no sums, but as many rows
        count += rows
        return
    if _prefers_products(features):
        for state in zip(count, mean, scatter, features, strict=True):
            update_by_products(*state)
        return
    n_doubles = module.moments_workspace(sets, rows, columns)
    workspace = mean.new_empty(n_doubles) if n_doubles else None
    row = module.moments_update(count, mean, scatter, features, workspace, launch)
    if row >= 0:
        of_set = f" of set {row // rows}" if sets > 1 else ""
        raise ParameterError(
            f"row {row % rows}{of_set} of the features holds NaN or infinity, or the sum of rows "
            "is too large"
        )


def _prefers_products(features: Tensor) -> bool:
    """Whether torch's matrix products update a state faster than our kernel.

    The one place of this choice. The benchmark of moments times both on a GPU; none has yet shown
    that the products win.
    """
    return False


def update_by_products(count: Tensor, mean: Tensor, scatter: Tensor, features: Tensor) -> None:
    """Add a batch [row, column] to a state in place, by torch's matrix products in float64.

    Chunks of centred rows are multiplied by strips of their columns, each with the columns up to
    its end: 8 strips take 56 % of the whole product. The lower half is a copy of the upper one.
    """
    rows, columns = features.shape
    chunks = features.split(_CHUNK_ROWS)
    batch_mean = torch.stack([chunk.sum(0, dtype=torch.float64) for chunk in chunks]).sum(0) / rows
    delta = batch_mean - mean
    extra = (delta * (count * rows / (count + rows)).sqrt())[None]
    bounds = [columns * i // _STRIPS for i in range(_STRIPS + 1)]
    strips = [slice(*pair) for pair in itertools.pairwise(bounds) if pair[0] < pair[1]]
    for centred in (*(chunk.double() - batch_mean for chunk in chunks), extra):
        for strip in strips:
            scatter[: strip.stop, strip].addmm_(centred[:, : strip.stop].mT, centred[:, strip])
    for strip in strips:
        corner = scatter[strip, strip]
        corner.copy_(corner.triu() + corner.triu(1).mT)
        scatter[strip, : strip.start].copy_(scatter[: strip.start, strip].mT)
    mean += delta * (rows / (count + rows))
    count += rows


def _merge(*states: Tensor) -> None:
    module, launch = kernels(states[0].device)
    if states[1].shape[-1:] == (0,):
        states[0].add_(states[3])
        return
    module.moments_merge(*states, launch)


register(
    "moments_update(Tensor(a!) count, Tensor(b!) mean, Tensor(c!) scatter, Tensor features) -> ()",
    _update,
    lambda *state: None,
)
register(
    "moments_merge(Tensor(a!) count, Tensor(b!) mean, Tensor(c!) scatter, Tensor more_count, "
    "Tensor more_mean, Tensor more_scatter) -> ()",
    _merge,
    lambda *states: None,
)
