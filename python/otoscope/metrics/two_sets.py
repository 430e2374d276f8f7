"""Base of metrics between a real and a generated set of features.

A feature is a function that turns a batch into [sample, column]: the tap of a layer, a module or
any callable; None where batches are features already. States stay float64 whatever the metric is
cast to.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from typing import TYPE_CHECKING, Any

import torch
import torchmetrics
from torch import Tensor, nn
from torchmetrics.utilities.distributed import gather_all_tensors

from otoscope.errors import ParameterError
from otoscope.metrics.feature_set import FeatureSet, check_features
from otoscope.metrics.statistics import Statistics
from otoscope.protocols import as_outputs, evaluating

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["TwoSets"]

_SIDES = ("real", "generated")


class TwoSets(torchmetrics.Metric):
    """Collect a real and a generated set of features, also over several processes.

    ``keep_rows`` keeps all features; otherwise moments replace them once there are more rows than
    columns. The other arguments are those of `FrechetDistance`.
    """

    higher_is_better = False
    is_differentiable = False
    axis_label = "Distance"
    full_state_update = True  # forward resets and updates again; single states cannot be merged

    def __init__(
        self,
        feature: Callable[[Any], Tensor] | None = None,
        *,
        reset_real_features: bool = True,
        sets: int | None = None,
        keep_rows: bool = False,
        output: str | int | None = None,
        **metric: Any,
    ) -> None:
        super().__init__(**metric)
        if feature is not None and not callable(feature):
            raise ParameterError(
                f"feature is {feature!r}; it must be a tap, a module, a callable or None"
            )
        if sets is not None and sets < 1:
            raise ParameterError(f"sets is {sets}, must be >= 1")
        self.feature = feature
        self.reset_real_features = reset_real_features
        self.sets = sets
        self.output = output
        self._keep_rows = keep_rows
        for side in _SIDES:
            empty = FeatureSet.none(sets=self._sets(side))
            for name, part in zip(self._names(side), empty, strict=True):
                self.add_state(name, part, dist_reduce_fx=None)

    def update(self, batch: Any, real: bool) -> None:
        """Add a batch to the real or the generated set.

        Parameters
        ----------
        batch : Tensor
            Input of ``feature``, or features [sample, column]; generated candidates are
            [set, sample, column]. On the metric's device.
        real : bool
            Whether the batch belongs to the real set.

        Raises
        ------
        ParameterError
            If features differ in shape or width from the earlier ones, or a row is not finite.
        """
        side = "real" if real else "generated"
        present = self._side(side)
        features = self._features(batch)
        columns = present.columns or self._side(_SIDES[real]).columns
        check_features(features, sets=self._sets(side), columns=columns)
        self._set_side(side, present.added(features, keep_rows=self._keep_rows))

    def plot(self, val: Any = None, ax: Axes | None = None) -> tuple[Any, Axes]:
        """Draw the distance, in torchmetrics' convention.

        Parameters
        ----------
        val : Tensor or sequence of Tensor, optional
            Values of `compute` to draw, such as one per epoch; by default that of the sets now, one
            per candidate.
        ax : Axes, optional
            Axes of matplotlib; new ones by default.

        Returns
        -------
        figure, axes : Figure, Axes
            Figure, and its axes with the distances.

        Raises
        ------
        ParameterError
            As `compute` does, if no values are given.
        """
        values = torch.as_tensor(self.compute() if val is None else val).detach().reshape(-1).cpu()
        if ax is None:
            from matplotlib import pyplot

            ax = pyplot.subplots(figsize=(5.5, 3.5), layout="constrained")[1]
        ax.plot(range(len(values)), values.tolist(), "o" if val is None else "o-")
        ax.axhline(0, color="black", linewidth=0.8)
        ax.set_xticks(range(0, len(values), 1 + len(values) // 12))
        ax.set_xlabel("Candidate" if val is None else "Step")
        ax.set_ylabel(self.axis_label)
        return ax.figure, ax

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Add a batch and compute the distance of this batch alone to the real set.

        Raises
        ------
        ParameterError
            If ``reset_real_features`` is True, so that a batch has no other set, or as `update` and
            `compute` do; then nothing is changed.
        """
        if self.reset_real_features:
            raise ParameterError(
                f"{type(self).__name__}(batch, real=...) has no value: a distance needs both sets. "
                "Call update(batch, real=...) for every batch, then compute(); or keep the real "
                "set with reset_real_features=False"
            )
        before, states = dict(vars(self)), self._copy_state_dict()
        try:
            return super().forward(*args, **kwargs)
        except Exception:
            vars(self).update(before)
            for name, state in states.items():
                setattr(self, name, state)
            raise

    def reset(self) -> None:
        """Clear the generated set, and the real set unless ``reset_real_features`` is False."""
        real = self._side("real")
        super().reset()
        if not self.reset_real_features:
            self._set_side("real", real)

    def merge_state(self, incoming_state: dict[str, Any] | torchmetrics.Metric) -> None:
        """Add the sets of another metric.

        Parameters
        ----------
        incoming_state : TwoSets or dict
            Metric of the same kind, or its ``metric_state``.

        Raises
        ------
        ParameterError
            If widths, kinds or numbers of candidates differ, or states are missing.
        """
        if isinstance(incoming_state, torchmetrics.Metric):
            if not isinstance(incoming_state, type(self)):
                raise ParameterError(
                    f"cannot merge {type(incoming_state).__name__} into {type(self).__name__}"
                )
            incoming_state = dict(incoming_state.metric_state)
        state: dict[str, Any] = incoming_state
        joined = [self._join(self._side(side), self._incoming(state, side)) for side in _SIDES]
        for side, features in zip(_SIDES, joined, strict=True):
            self._set_side(side, features)
        self._update_count = max(1, self._update_count)
        self._computed = None

    def statistics(self, *, real: bool, ddof: int = 1) -> Statistics:
        """Summarise a set, for `otoscope.metrics.statistics.save`.

        Parameters
        ----------
        real : bool
            Whether to summarise the real set.
        ddof : {0, 1}
            Covariance = scatter / (count - ddof).

        Returns
        -------
        Statistics
            Statistics of this process's set.

        Raises
        ------
        ParameterError
            If there are too few rows, or many candidates.
        """
        return Statistics.of(self._side("real" if real else "generated"), ddof=ddof)

    def _features(self, batch: Any) -> Tensor:
        if self.feature is None:
            features = batch
        else:
            own = batch.clone() if isinstance(batch, Tensor) else batch  # it may be written into
            with torch.no_grad(), evaluating(self.feature):
                features = as_outputs(self.feature(own), self.output)
        if not isinstance(features, Tensor):
            raise ParameterError(
                f"features are {type(features).__name__}, must be a Tensor, or an array, tuple, "
                "dictionary or object that holds one"
            )
        return features

    def _sets(self, side: str) -> int | None:
        return self.sets if side == "generated" else None

    def _names(self, side: str) -> list[str]:
        """Return the state names of a set; a MetricCollection shares states of equal names."""
        kind = "all" if self._keep_rows else "set"
        return [f"{side}_{kind}_{name}" for name in FeatureSet._fields]

    def _side(self, side: str) -> FeatureSet:
        return FeatureSet(*(getattr(self, name) for name in self._names(side)))

    def _set_side(self, side: str, features: FeatureSet) -> None:
        for name, part in zip(self._names(side), features, strict=True):
            setattr(self, name, part)

    def _incoming(self, state: dict[str, Any], side: str) -> FeatureSet:
        """Read a set from the states of another metric."""
        if missing := [name for name in self._names(side) if name not in state]:
            raise ParameterError(
                f"the state to merge has no {', '.join(missing)}; "
                f"give a {type(self).__name__} or its metric_state"
            )
        other = FeatureSet(*(state[name] for name in self._names(side)))
        own_sets, other_sets = self._side(side).n.shape, other.n.shape
        if own_sets != other_sets:
            raise ParameterError(
                f"cannot merge {side} features of {other_sets.numel()} sets into "
                f"{own_sets.numel()}; both metrics need the same sets="
            )
        return other

    def _join(self, first: FeatureSet, second: FeatureSet) -> FeatureSet:
        if first.columns and second.columns and first.columns != second.columns:
            raise ParameterError(
                f"cannot merge features of {second.columns} columns into {first.columns}"
            )
        return first.joined(second, keep_rows=self._keep_rows)

    def _sync_dist(
        self,
        dist_sync_fn: Callable[..., Any] = gather_all_tensors,
        process_group: Any | None = None,
    ) -> None:
        """Gather both sets from all processes; the tensors of a set belong together."""
        group = process_group or self.process_group
        for side in _SIDES:
            gathered = [dist_sync_fn(part, group=group) for part in self._side(side)]
            sets = [FeatureSet(*parts) for parts in zip(*gathered, strict=True)]
            self._set_side(side, reduce(self._join, sets))

    def _apply(self, fn: Callable[[Tensor], Tensor], exclude_state: Any = ()) -> nn.Module:
        """Move the states to the metric's device, without casting them."""
        states = (*exclude_state, *self._defaults)
        moved: nn.Module = super()._apply(fn, exclude_state=states)
        for side in _SIDES:
            features = self._side(side)
            device = fn(torch.zeros(1, device=features.n.device)).device
            self._set_side(side, FeatureSet(*(part.to(device) for part in features)))
        return moved
