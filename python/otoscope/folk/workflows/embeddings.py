"""Embeddings of tunes: arrays that a user made with any model, or hidden states of a network."""

from __future__ import annotations

from array import array
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

__all__ = ["book_tokens", "embed_books", "model_ids", "read_embeddings"]


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


def embed_books(
    model: FolkModel, tunes: Sequence[Sequence[int] | None]
) -> tuple[NDArray[np.float64], int]:
    """Return a network's embeddings [tune, unit], and the number of tunes that it cannot read.

    ``tunes`` are ids without boundaries, as `model_ids` returns them.
    """
    rows = [model.vocabulary.decode(tune) for tune in tunes if tune]
    if not rows and tunes:
        raise ParameterError(
            f"none of {len(tunes)} tunes has tokens that the model knows",
            advice=Advice("take another model with ", Argument("embedding")),
        )
    return embed_tunes(model, rows), len(tunes) - len(rows)


def model_ids(model: FolkModel, tune: BookTune) -> array[int] | None:
    """Return the ids of a tune's tokens; None if the model cannot read it."""
    tokens = book_tokens(tune, model.tokeniser)
    if tokens is None or not all(token in model.vocabulary for token in tokens):
        return None
    return array("l", model.vocabulary.encode(tokens))


def book_tokens(tune: BookTune, tokeniser: str) -> list[str] | None:
    """Return a tune's tokens; None if it cannot be read, or has what no token stands for."""
    if isinstance(tune.tune, NotationError):
        return None
    try:
        return get_tokeniser(tokeniser).tokens(tune.tune)
    except NotationError:
        return None
