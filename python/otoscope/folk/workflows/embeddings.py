"""Embeddings of tunes: arrays that a user made with any model, or hidden states of a network."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from otoscope.errors import Advice, Argument, ParameterError
from otoscope.folk.abc import NotationError
from otoscope.folk.model import FolkModel, embed_tunes
from otoscope.folk.tokens import get_tokeniser
from otoscope.folk.workflows.book_tunes import BookTune
from otoscope.foreign import read_arrays, refusing

__all__ = ["embed_books", "read_embeddings"]


def read_embeddings(path: Path) -> NDArray[np.float64]:
    """Read embeddings [tune, column] from a .npy file, an .npz file with one array, or statistics.

    Statistics (`otoscope.metrics.statistics`) need their rows: their moments alone give a distance,
    but neither an interval nor a noise floor.
    """
    if not path.is_file():
        raise ParameterError(f"{path} is {'a folder' if path.is_dir() else 'not there'}")
    rows: Any
    if path.suffix == ".npz":
        names = read_arrays(path, ())[1]
        name = "rows" if "rows" in names else names[0] if len(names) == 1 else ""
        if not name:
            raise ParameterError(
                f"{path} has arrays {', '.join(names) or 'of no name'}; need one, or rows"
            )
        rows = read_arrays(path, [name])[0][name]
    else:
        with refusing(path, "is no array of numbers (.npy or .npz)"):
            rows = np.load(path, allow_pickle=False)
    if rows.ndim != 2 or rows.dtype.kind not in "fiu":
        raise ParameterError(
            f"{path} has an array {rows.shape} of {rows.dtype}; need numbers [tune, column]"
        )
    return np.asarray(rows, dtype=np.float64)


def embed_books(model: FolkModel, tunes: Sequence[BookTune]) -> tuple[NDArray[np.float64], int]:
    """Return a network's embeddings [tune, unit], and the number of tunes that it cannot read."""
    rows = [row for tune in tunes if (row := _tokens(model, tune))]
    if not rows and tunes:
        raise ParameterError(
            f"none of {len(tunes)} tunes has tokens that the model knows",
            advice=Advice("take another model with ", Argument("embedding")),
        )
    return embed_tunes(model, rows), len(tunes) - len(rows)


def _tokens(model: FolkModel, tune: BookTune) -> list[str] | None:
    if isinstance(tune.tune, NotationError):
        return None
    try:
        tokens = get_tokeniser(model.tokeniser).tokens(tune.tune)
    except NotationError:
        return None
    return list(tokens) if all(token in model.vocabulary for token in tokens) else None
