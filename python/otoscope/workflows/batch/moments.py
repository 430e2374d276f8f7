"""Moments of the parts of a batch, merged in a tree into the statistics of all files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

from otoscope.errors import ParameterError
from otoscope.foreign import read_arrays
from otoscope.metrics import FeatureSet, Statistics, statistics
from otoscope.ops import Moments, moments_merge
from otoscope.records.parts import PREFIX
from otoscope.records.places import Place

__all__ = ["STATISTICS", "merge_parts", "merge_tree"]

STATISTICS = "_statistics.npz"
"""File in OUT with the statistics of all files, for `otoscope distance`."""

_ARRAYS = ("files", "count", "mean", "scatter")


def merge_parts(place: Place, about: Mapping[str, Any]) -> int:
    """Merge the moments of all parts, and write the statistics.

    Parameters
    ----------
    place : Place
        OUT of the batch.
    about : Mapping
        What the features depend on, see `work.describe`.

    Returns
    -------
    int
        Number of excerpts; nothing is written for fewer than two.

    Raises
    ------
    ParameterError
        If two parts have moments of one file, which would count twice.
    """
    total = merge_tree(_moments(place))
    if total is None or int(total.count) < 2:
        return 0 if total is None else int(total.count)
    rows = torch.zeros(0, len(total.mean), dtype=torch.float64)
    features = {**about["settings"], "weights": about["model"]["weights"]}
    settings = {
        "features": features,
        "code": about["model"]["code"],
        "versions": about["versions"],
    }
    measured = Statistics.of(FeatureSet(rows, *total), settings=settings)
    with TemporaryDirectory() as folder:
        path = Path(folder) / STATISTICS
        statistics.save(path, measured)
        place.write(STATISTICS, path.read_bytes())
    return int(total.count)


def merge_tree(moments: Iterable[Moments]) -> Moments | None:
    """Merge moments in a binary tree, of which only one state per level is kept.

    Parameters
    ----------
    moments : iterable of Moments
        States, taken one at a time; their order decides the last bits only.

    Returns
    -------
    Moments or None
        State of all; None if there are none.

    Examples
    --------
    >>> from otoscope.ops import moments
    >>> x = torch.arange(6.0).reshape(3, 2)
    >>> float(merge_tree([moments(row) for row in x.split(1)]).count)
    3.0
    """
    levels = list[Moments | None]()
    for state in moments:
        carried: Moments | None = state
        for level, held in enumerate(levels):
            if carried is None or held is None:
                levels[level], carried = carried, None
                break
            levels[level], carried = None, moments_merge(held, carried)
        if carried is not None:
            levels.append(carried)
    total: Moments | None = None
    for held in levels:
        if held is not None:
            total = held if total is None else moments_merge(held, total)
    return total


def _moments(place: Place) -> Iterator[Moments]:
    """Read the moments of the parts; of parts of the same files only one counts."""
    owners: dict[str, str] = {}
    named = [n for n in place.names() if n.startswith(f"_{PREFIX}") and n.endswith(".npz")]
    for name in sorted(named):
        arrays = _arrays(place, name)
        files = arrays["files"].tobytes().decode().split("\n")
        taken = [file for file in files if file in owners]
        if len(taken) == len(files):
            continue
        if taken:
            raise ParameterError(
                f"{place.uri}: {name} and {owners[taken[0]]} both hold moments of {taken[0]}; "
                f"remove {name} with its part, and the same command measures its files again"
            )
        owners |= dict.fromkeys(files, name)
        yield Moments(*(torch.from_numpy(arrays[part]) for part in ("count", "mean", "scatter")))


def _arrays(place: Place, name: str) -> Mapping[str, Any]:
    content = place.read(name) or b""
    with TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.write_bytes(content)
        arrays, _ = read_arrays(path, _ARRAYS)
    if missing := [part for part in _ARRAYS if part not in arrays]:
        raise ParameterError(f"{place.uri}/{name} lacks {missing[0]}")
    return arrays
