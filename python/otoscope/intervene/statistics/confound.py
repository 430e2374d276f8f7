"""Confound-only baseline: nearest neighbours on numbers that are confounded with the labels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from otoscope.errors import ParameterError

__all__ = ["confound_only"]


def confound_only(
    confound: ArrayLike,
    labels: Sequence[str],
    groups: Sequence[str] | None = None,
    *,
    n_neighbours: int = 9,
    n_folds: int = 5,
    seed: int = 0,
) -> NDArray[np.bool_]:
    """Classify items by the confound alone, cross-validated, and return which are right: [item].

    The classifier is k-nearest neighbours, weighted by 1 / distance, on standardised columns of
    ``confound`` ([item] or [item, column]); all items of a group are in one fold. There are fewer
    neighbours and folds where the data have no more. A class whose items share one group is always
    wrong.

    An annotated confound may know the label itself: annotators of BALLROOM chose the metrical level
    of the tempo by the dance (Sturm, "The 'Horse' Inside", 2016).
    """
    from sklearn.model_selection import StratifiedGroupKFold
    from sklearn.neighbors import KNeighborsClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    columns = _columns(confound, len(labels))
    truth = np.asarray(labels)
    of_group = np.arange(len(truth)) if groups is None else np.asarray(groups)
    if of_group.shape != truth.shape:
        raise ParameterError(f"{len(of_group)} groups for {len(truth)} labels")
    if n_neighbours < 1 or n_folds < 2:
        raise ParameterError(
            f"n_neighbours is {n_neighbours} and n_folds {n_folds}; must be >= 1 and >= 2"
        )
    least = min((len(np.unique(of_group[truth == label])) for label in np.unique(truth)), default=0)
    n_folds = min(n_folds, max(least, 2), len(np.unique(of_group)))
    if n_folds < 2 or np.unique(truth, return_counts=True)[1].min() < 2:
        raise ParameterError(
            f"{len(truth)} items of {len(np.unique(truth))} classes in "
            f"{len(np.unique(of_group))} groups cannot be split into two folds; "
            "need 2 groups and 2 items per class or more"
        )
    right = np.zeros(len(truth), dtype=bool)
    folds = StratifiedGroupKFold(n_folds, shuffle=True, random_state=seed)
    for train, test in folds.split(columns, truth, of_group):
        neighbours = KNeighborsClassifier(min(n_neighbours, len(train)), weights="distance")
        model = make_pipeline(StandardScaler(), neighbours).fit(columns[train], truth[train])
        right[test] = model.predict(columns[test]) == truth[test]
    return right


def _columns(confound: ArrayLike, n_items: int) -> NDArray[np.float64]:
    """Validate the confound and return it as [item, column]."""
    try:
        columns = np.asarray(confound, dtype=np.float64)
    except (ValueError, TypeError) as err:
        raise ParameterError(f"the confound must be numbers: {err}") from err
    if columns.ndim not in (1, 2) or len(columns) != n_items or not np.isfinite(columns).all():
        raise ParameterError(
            f"the confound has shape {columns.shape}, must be [{n_items}] or [{n_items}, column], "
            "all finite"
        )
    return columns.reshape(n_items, -1)
