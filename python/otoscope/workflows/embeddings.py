"""Embeddings that other tools computed: an array [frame, column] per sound, in an .npy file.

The toolkits fadtk and kadtk keep them in ``SONGS/embeddings/NAME/*.npy``, NAME such as
clap-laion-music, so that figures in CLAP, MERT or VGGish can be computed here.
"""

from __future__ import annotations

from difflib import get_close_matches
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from otoscope import records
from otoscope.errors import ParameterError
from otoscope.foreign import files_below, read_array
from otoscope.metrics import FeatureSet, Statistics
from otoscope.progress import Progress, silent, tracked
from otoscope.workflows.recording import SUFFIXES, FolderNotes
from otoscope.workflows.stats import StatsResult, load_statistics

__all__ = ["has_embeddings", "load_embedded", "read_embeddings"]

_FOLDER, _SUFFIX = "embeddings", ".npy"


def has_embeddings(folder: Path) -> bool:
    """Return whether a folder holds arrays and no sounds."""
    if not folder.is_dir():
        return False
    return bool(files_below(folder, {_SUFFIX})) and not files_below(folder, SUFFIXES)


def load_embedded(
    path: Path, embedding: str, *, keep_rows: bool, name: str, progress: Progress = silent
) -> StatsResult:
    """Load an embedding of a folder of sounds, or of a file of statistics of several embeddings.

    Parameters
    ----------
    path : Path
        Folder that has ``embeddings/NAME``, such a folder itself, or statistics (.npz) of fadtk.
    embedding : str
        Name of the embedding.
    keep_rows : bool
        Keep all rows, for measures beyond mean and covariance.
    name : str
        Name of the files on the progress bar.
    progress : bool or callable
        True shows a bar over the files.

    Returns
    -------
    StatsResult
        Statistics of the embedding.

    Raises
    ------
    ParameterError
        If there is no such embedding; the message lists those that are there.
    """
    if path.suffix == ".npz":
        statistics = load_statistics(path, embedding=embedding)
        return StatsResult(path, Statistics(**{**vars(statistics), "settings": _about(embedding)}))
    inside = path / _FOLDER
    folder = inside / embedding
    if path.parent.name == _FOLDER and path.name == embedding:
        folder = path
    if not folder.is_dir():
        present = (
            sorted(it.name for it in inside.iterdir() if it.is_dir()) if inside.is_dir() else []
        )
        near = get_close_matches(embedding, present, n=3) or present[:20]
        here = f"those there are {', '.join(near)}" if near else "there are none"
        raise ParameterError(f"there is no {folder} with embedding {embedding!r}; {here}")
    return read_embeddings(folder, keep_rows=keep_rows, name=name, progress=progress)


def read_embeddings(
    folder: Path, *, keep_rows: bool, name: str = "files", progress: Progress = silent
) -> StatsResult:
    """Read the arrays below a folder; those that cannot be used are skipped and listed.

    Parameters
    ----------
    folder : Path
        Folder of .npy files, [frame, column] or [column], of floating numbers; nothing in them is
        executed.
    keep_rows : bool
        Keep all rows.
    name : str
        Name of the files on the progress bar.
    progress : bool or callable
        True shows a bar over the files.

    Returns
    -------
    StatsResult
        Statistics; the embedding's name is that of the folder, if it is below one that is called
        embeddings.

    Raises
    ------
    ParameterError
        If widths differ, or there are fewer than two rows.
    """
    noted, rows = FolderNotes(folder), FeatureSet.none()
    files, excerpts = dict[str, object](), dict[str, int]()
    for file in tracked(progress, files_below(folder, {_SUFFIX}), name):
        array = None
        with noted.reading(file):
            stamp, array = records.stamp(file), _rows(file)
        if array is None:
            continue
        if rows.columns and rows.columns != array.shape[1]:
            raise ParameterError(
                f"{folder}: {next(iter(files))} has {rows.columns} columns, {noted.name(file)} has "
                f"{array.shape[1]}: a folder holds arrays of one embedding"
            )
        rows = rows.added(array, keep_rows=keep_rows)
        files[noted.name(file)], excerpts[noted.name(file)] = stamp, len(array)
    if rows.n_rows < 2:
        message = f"{folder} gives {rows.n_rows} rows; a covariance takes 2 or more"
        raise noted.none_usable(message)
    embedding = folder.name if folder.parent.name == _FOLDER else ""
    settings = {**_about(embedding), "files": files, "excerpts": excerpts}
    return StatsResult(folder, Statistics.of(rows, settings=settings), noted.skipped)


def _about(embedding: str) -> dict[str, object]:
    return {"embedding": embedding}


def _rows(path: Path) -> Tensor:
    """Read the rows [frame, column] of a file."""
    array = read_array(path)
    if array.dtype.kind != "f":
        raise ParameterError(f"holds {array.dtype}, must hold floating numbers")
    if array.ndim == 1:
        array = array[None]
    if array.ndim != 2 or 0 in array.shape:
        raise ParameterError(f"has shape {array.shape}, must be [frame, column]")
    if not np.isfinite(array).all():
        raise ParameterError("holds NaN or infinity")
    return torch.from_numpy(array.astype(np.float64))
