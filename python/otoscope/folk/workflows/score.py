"""Score tunes by a network: nats per token, and the tokens that surprise the network most."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from otoscope import records
from otoscope.documents import document
from otoscope.errors import ParameterError
from otoscope.folk.abc.elements import MeasureRest
from otoscope.folk.data import RejectedTune, TokenisedTune, TokenVersion, read_tunes
from otoscope.folk.model import FolkModel, note_nats, surprise
from otoscope.folk.report.counts import notes_on_voices
from otoscope.folk.report.sheet import EVENTS
from otoscope.folk.report.surprise import TuneSurprise, save_surprise, sentence
from otoscope.folk.workflows.book_tunes import is_picked, note_of_picked
from otoscope.folk.workflows.sample import SHIPPED, load_model, model_title
from otoscope.progress import Progress, silent, tracked

__all__ = ["ScoreFolkConfig", "ScoreFolkResult", "save_scores", "score_folk"]

_BATCH = 64


@dataclass(frozen=True)
class ScoreFolkConfig:
    """Tunes to score, and the network that scores them.

    Parameters
    ----------
    source : str
        ABC file, folder of ABC files, file of tokens, or name of a collection ("ryan").
    model : str
        "folkrnn-small", the file of a network, or the folder of a training.
    strict : bool
        Refuse tunes that are not read whole: second voices, overlays, directives on pitches.
    """

    source: str
    model: str = SHIPPED
    strict: bool = False


@dataclass(frozen=True, eq=False)
class ScoreFolkResult:
    """Scored tunes, and tunes that could not be scored.

    Parameters
    ----------
    settings : ScoreFolkConfig
        Tunes and network.
    tunes : tuple of TuneSurprise
        Scored tunes in the order of the file.
    rejected : tuple of RejectedTune
        Other tunes, with place and reason.
    left_out : tuple of str
        Note on tunes of which voices were left out.
    """

    settings: ScoreFolkConfig
    tunes: tuple[TuneSurprise, ...]
    rejected: tuple[RejectedTune, ...]
    left_out: tuple[str, ...] = ()

    @property
    def sentence(self) -> str:
        """Mean surprise over all tokens; without tunes picked by a judge, unless all were."""
        return sentence(self.tunes, model_title(self.settings.model))

    @property
    def notes(self) -> tuple[str, ...]:
        """Tunes picked by a judge, tunes that could not be scored, voices that were left out."""
        n_picked = sum(tune.is_picked for tune in self.tunes)
        picked = note_of_picked(n_picked, are_counted=n_picked == len(self.tunes))
        if not self.rejected:
            return *picked, *self.left_out
        first = self.rejected[0]
        count = f"{len(self.rejected):,} tune{'s' * (len(self.rejected) > 1)}"
        rejected = f"{count} could not be scored; the first: {first.origin.name}: {first.message}"
        return *picked, rejected, *self.left_out

    def to_dict(self) -> dict[str, Any]:
        """Return the result in JSON's types."""
        return document(
            "otoscope.ScoreFolk",
            2,
            {
                "settings": self.settings,
                "tunes": [tune.to_dict() for tune in self.tunes],
                "rejected": [tune.to_dict() for tune in self.rejected],
                "notes": self.notes,
                "versions": records.versions(),
            },
        )


def score_folk(settings: ScoreFolkConfig, *, progress: Progress = silent) -> ScoreFolkResult:
    """Measure the surprise of each token of each tune."""
    model = load_model(settings.model)
    known: list[TokenisedTune] = []
    rejected: list[RejectedTune] = []
    version = cast(TokenVersion, model.tokeniser)
    left_out: list[tuple[str, tuple[str, ...]]] = []
    tunes = read_tunes(settings.source, tokens=version, strict=settings.strict, progress=progress)
    for tune in tunes:
        if isinstance(tune, RejectedTune):
            rejected.append(tune)
        elif (message := _unknown_token(tune.copies[0], model)) is not None:
            origin = tune.origin
            rejected.append(RejectedTune(origin, origin.line, None, "unknown token", message))
        else:
            known.append(tune)
            left_out.append((tune.origin.name, tune.notices))
    if not known:
        first = rejected[0]
        raise ParameterError(
            f"none of {len(rejected)} tunes can be scored; the first: "
            f"{first.origin.name}: {first.message}"
        )
    surprises = tuple(_surprises(known, model, progress))
    return ScoreFolkResult(settings, surprises, tuple(rejected), notes_on_voices(left_out))


def save_scores(result: ScoreFolkResult, page: Path) -> None:
    """Write the page of scored tunes."""
    model = model_title(result.settings.model)
    save_surprise(result.tunes, page, model=model, notes=result.notes)


def _unknown_token(tokens: tuple[str, ...], model: FolkModel) -> str | None:
    """Return a message if the network does not know a token."""
    for number, token in enumerate(tokens, start=1):
        if token not in model.vocabulary:
            return f"token {number}, {token!r}, is none of the model's {len(model.vocabulary)}"
    return None


def _surprises(
    tunes: list[TokenisedTune], model: FolkModel, progress: Progress
) -> Iterator[TuneSurprise]:
    for first in tracked(progress, range(0, len(tunes), _BATCH), "batches"):
        batch = tunes[first : first + _BATCH]
        rows = surprise(model, [tune.copies[0] for tune in batch], batch=_BATCH)
        for tune, nats in zip(batch, rows, strict=True):
            yield TuneSurprise(
                tune.origin.name,
                tune.origin.title,
                tune.copies[0],
                nats,
                tune=tune.tune,
                by_note=_by_note(tune, nats) if model.tokeniser != "v1" else (),
                is_picked=is_picked(tune.tune),
            )


def _by_note(tune: TokenisedTune, nats: NDArray[np.float64]) -> tuple[float, ...]:
    """Return the surprise of each note, rest and chord; none where tokens and tune differ in them.

    Tokens are those of the tune on root C, which has the same notes in the same order.
    """
    sums = note_nats(tune.copies[0], nats[:-1])
    events = [element for element in tune.tune.elements if isinstance(element, EVENTS)]
    count = sum(event.count if isinstance(event, MeasureRest) else 1 for event in events)
    return tuple(sums) if len(sums) == count else ()
