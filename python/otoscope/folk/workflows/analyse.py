"""Compare generated tunes with real ones as populations: the paper's first view of them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from otoscope import records
from otoscope.errors import ParameterError
from otoscope.folk.metrics import Distance, check_tune, compare_tunes
from otoscope.folk.workflows._tune_books import Entry, read_entries
from otoscope.progress import Progress

__all__ = ["AnalyseFolk", "AnalysedFolk", "analyse_folk"]

_SIGNIFICANT = 0.05


@dataclass(frozen=True)
class AnalyseFolk:
    """What to compare.

    Parameters
    ----------
    real : str
        A prepared folder: held-out tunes are compared, training tunes give the floor. Else a file
        of ABC or of tokens, a folder of ABC files, or a collection: halves are drawn for both.
    generated : str
        Tunes of a model: likewise.
    n_draws : int
        Of the bootstrap, of the shuffling and of the floor.
    seed : int
        Of these and of the halves.

    Examples
    --------
    >>> AnalyseFolk("tunes", "a.abc").n_draws
    2000
    """

    real: str
    generated: str
    n_draws: int = 2000
    seed: int = 0


@dataclass(frozen=True, eq=False)
class AnalysedFolk:
    """What was found.

    Parameters
    ----------
    settings : AnalyseFolk
        What was asked for.
    n_generated, n_held_out, n_train : int
        Tunes, with those that cannot be read.
    distances : tuple of Distance
        By what is looked at.
    halves : bool
        Whether the held-out tunes are a drawn half, which the model may have learnt from.

    Examples
    --------
    >>> analyse_folk(AnalyseFolk("tunes", "a.abc")).n_held_out  # doctest: +SKIP
    428
    """

    settings: AnalyseFolk
    n_generated: int
    n_held_out: int
    n_train: int
    distances: tuple[Distance, ...]
    halves: bool

    @property
    def apart(self) -> tuple[Distance, ...]:
        """The distances that chance does not explain, at 5 % after Holm's correction."""
        return tuple(one for one in self.distances if one.p_holm < _SIGNIFICANT)

    @property
    def sentence(self) -> str:
        """In what the tunes differ from real ones."""
        names = list(dict.fromkeys(one.what for one in self.apart))
        differ = f"differ from {self.n_held_out:,} real ones in {', '.join(names)}"
        same = f"cannot be told from {self.n_held_out:,} real ones by these distances"
        return f"{self.n_generated:,} generated tunes {differ if names else same}."

    @property
    def notes(self) -> tuple[str, ...]:
        """What must be known."""
        return tuple(self._notes())

    def to_dict(self) -> dict[str, Any]:
        """Give it in JSON's types."""
        plain: dict[str, Any] = json.loads(
            records.to_json(
                {
                    "settings": self.settings,
                    "generated": self.n_generated,
                    "held_out": self.n_held_out,
                    "train": self.n_train,
                    "distances": self.distances,
                    "notes": self.notes,
                    "versions": records.versions(),
                }
            )
        )
        return plain

    def _notes(self) -> Iterator[str]:
        if self.halves:
            yield (
                f"{self.settings.real} is no prepared folder: held-out tunes and those of the "
                "floor are two halves of it, drawn at random. A model that learnt from them has "
                "an unfair advantage."
            )


def analyse_folk(settings: AnalyseFolk, *, progress: Progress | None = None) -> AnalysedFolk:
    """Compare two populations of tunes.

    Parameters
    ----------
    settings : AnalyseFolk
        What to compare.
    progress : callable, optional
        Goes over "generated tunes", "held-out tunes" and "training tunes".

    Returns
    -------
    AnalysedFolk
        Distances, each beside that of real tunes from real tunes.

    Raises
    ------
    ParameterError
        If a file is missing, empty or not text, or there are too few tunes.
    MissingExtra
        If statsmodels is not installed.

    Examples
    --------
    >>> analyse_folk(AnalyseFolk("tunes", "a.abc")).sentence  # doctest: +SKIP
    '64 generated tunes differ from 428 real ones in mode, measures.'
    """
    progress = progress or (lambda items, _: items)
    halves = not (Path(settings.real) / "vocabulary.json").is_file()
    if halves:
        held_out, train = _halves(read_entries(settings.real), settings.seed)
    else:
        held_out = read_entries(settings.real, splits=("valid", "test"))
        train = read_entries(settings.real, splits=("train",))
    books = {
        "generated tunes": read_entries(settings.generated),
        "held-out tunes": held_out,
        "training tunes": train,
    }
    checks = [
        [check_tune(entry.tune) for entry in progress(entries, name)] if entries else []
        for name, entries in books.items()
    ]
    distances = compare_tunes(*checks, n_draws=settings.n_draws, seed=settings.seed)
    n, m, n_train = map(len, checks)
    return AnalysedFolk(settings, n, m, n_train, distances, halves)


def _halves(entries: list[Entry], seed: int) -> tuple[list[Entry], list[Entry]]:
    if len(entries) < 4:
        raise ParameterError(f"{len(entries)} real tunes are too few to compare with; need 4")
    order = np.random.default_rng(seed).permutation(len(entries)).tolist()
    middle = len(entries) // 2
    return [entries[i] for i in order[:middle]], [entries[i] for i in order[middle:]]
