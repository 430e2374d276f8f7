"""Score tunes by a network of tunes: nats a token, and which tokens surprise it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from otoscope import records
from otoscope.errors import ParameterError
from otoscope.folk.data import Form, Origin, RejectedTune, read_tunes
from otoscope.folk.model import FolkModel, surprise
from otoscope.folk.report.surprise import TuneSurprise, save_surprise, sentence
from otoscope.folk.workflows._model import SHIPPED, folk_model, model_title
from otoscope.progress import Progress

__all__ = ["ScoreFolk", "ScoredFolk", "save_scored", "score_folk"]

_BATCH = 64


@dataclass(frozen=True)
class ScoreFolk:
    """What to score, and by which model.

    Parameters
    ----------
    source : str
        An ABC file, a folder of these, a file of tokens, or the name of a collection ("ryan").
    model : str
        "folkrnn-small", a model's file, or the folder of a training.

    Examples
    --------
    >>> ScoreFolk("mine.abc").model
    'folkrnn-small'
    """

    source: str
    model: str = SHIPPED


@dataclass(frozen=True, eq=False)
class ScoredFolk:
    """Scored tunes, and those that could not be.

    Parameters
    ----------
    settings : ScoreFolk
        What was asked for.
    tunes : tuple of TuneSurprise
        In the order of the file.
    rejected : tuple of RejectedTune
        With the reason, and where it is.

    Examples
    --------
    >>> score_folk(ScoreFolk("mine.abc")).sentence  # doctest: +SKIP
    '3 tunes cost folkrnn-small 1.512 nats a token: as if it chose among 4.5.'
    """

    settings: ScoreFolk
    tunes: tuple[TuneSurprise, ...]
    rejected: tuple[RejectedTune, ...]

    @property
    def sentence(self) -> str:
        """How well the model expects them."""
        return sentence(self.tunes, model_title(self.settings.model))

    @property
    def notes(self) -> tuple[str, ...]:
        """What must be known."""
        if not self.rejected:
            return ()
        first = self.rejected[0]
        count = f"{len(self.rejected):,} tune{'s' * (len(self.rejected) > 1)}"
        return (f"{count} could not be scored; the first: {first.origin.name}: {first.message}",)

    def to_dict(self) -> dict[str, Any]:
        """Give everything in JSON's types."""
        plain: dict[str, Any] = json.loads(
            records.to_json(
                {
                    "settings": self.settings,
                    "tunes": [tune.to_dict() for tune in self.tunes],
                    "rejected": [one.to_dict() for one in self.rejected],
                    "notes": self.notes,
                    "versions": records.versions(),
                }
            )
        )
        return plain


def score_folk(settings: ScoreFolk, *, progress: Progress | None = None) -> ScoredFolk:
    """Measure how surprising each token of each tune is.

    Parameters
    ----------
    settings : ScoreFolk
        What to score, and by which model.
    progress : callable, optional
        Goes over the "files", then over the "batches".

    Returns
    -------
    ScoredFolk
        Tunes are converted to the model's tokens first (v2 and v3: to root C).

    Raises
    ------
    ParameterError
        If there is no such model or source, or none of its tunes can be scored: the first reason.

    Examples
    --------
    >>> score_folk(ScoreFolk("mine.abc")).tunes[0].nats_per_token  # doctest: +SKIP
    1.512
    """
    progress = progress or (lambda items, _: items)
    model = folk_model(settings.model)
    read: list[tuple[Origin, tuple[str, ...]]] = []
    rejected: list[RejectedTune] = []
    form = cast(Form, model.tokens)
    for found in read_tunes(settings.source, tokens=form, progress=progress):
        if isinstance(found, RejectedTune):
            rejected.append(found)
        elif (unknown := _unknown(found.copies[0], model)) is not None:
            rejected.append(RejectedTune(found.origin, found.origin.line, None, *unknown))
        else:
            read.append((found.origin, found.copies[0]))
    if not read:
        first = rejected[0]
        raise ParameterError(
            f"none of {len(rejected)} tunes can be scored; the first: "
            f"{first.origin.name}: {first.message}"
        )
    tunes = tuple(_scored(read, model, progress))
    return ScoredFolk(settings, tunes, tuple(rejected))


def save_scored(found: ScoredFolk, page: Path) -> None:
    """Write the page.

    Parameters
    ----------
    found : ScoredFolk
        Of `score_folk`.
    page : Path
        Written whole or not at all.

    Examples
    --------
    >>> save_scored(score_folk(ScoreFolk("mine.abc")), Path("why.html"))  # doctest: +SKIP
    """
    model = model_title(found.settings.model)
    save_surprise(found.tunes, page, model=model, notes=found.notes)


def _unknown(tokens: tuple[str, ...], model: FolkModel) -> tuple[str, str] | None:
    """Reason and message if the model has never seen a token."""
    for number, token in enumerate(tokens, start=1):
        if token not in model.vocabulary:
            message = f"token {number}, {token!r}, is none of the model's {len(model.vocabulary)}"
            return "unknown token", message
    return None


def _scored(
    read: list[tuple[Origin, tuple[str, ...]]], model: FolkModel, progress: Progress
) -> Iterator[TuneSurprise]:
    for first in progress(range(0, len(read), _BATCH), "batches"):
        some = read[first : first + _BATCH]
        nats = surprise(model, [tokens for _, tokens in some], batch=_BATCH)
        for (origin, tokens), row in zip(some, nats, strict=True):
            yield TuneSurprise(origin.name, origin.title, tokens, row)
