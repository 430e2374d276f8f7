"""Continue a tune: its first bars are given, the rest is sampled, in the tune's own key."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import accumulate
from pathlib import Path

from otoscope.errors import ParameterError
from otoscope.folk.abc import NotationError, Tune
from otoscope.folk.model import FolkModel
from otoscope.folk.tokens import get_tokeniser
from otoscope.folk.workflows.book_tunes import read_book_tunes
from otoscope.folk.workflows.sample import (
    SampleFolkConfig,
    SampleFolkResult,
    draw_tunes,
    load_model,
    model_title,
    write_tune,
)
from otoscope.progress import Progress, silent

__all__ = ["ContinueFolkConfig", "continue_folk"]


@dataclass(frozen=True)
class ContinueFolkConfig:
    """Tune to continue, number of given bars, and sampling.

    Parameters
    ----------
    file : Path
        File of ABC or of tokens, folder of ABC files, collection, or prepared folder.
    tune : int
        Number of the tune in the file or folder, from 1.
    bars : int
        Number of given bars, at least 1; a pickup does not count.
    drawing : SampleFolkConfig
        Number of continuations, network and seed. Meter, mode and prime come from the tune.
    strict : bool
        Refuse tunes that are not read whole: second voices, overlays, directives on pitches.
    """

    file: Path
    tune: int = 1
    bars: int = 4
    drawing: SampleFolkConfig = field(default_factory=lambda: SampleFolkConfig(n=5))
    strict: bool = False

    def __post_init__(self) -> None:
        for name, value in (("tune", self.tune), ("bars", self.bars)):
            if value < 1:
                raise ParameterError(f"{name} is {value}, must be at least 1")
        sampling = self.drawing.sampling
        if (sampling.meter, sampling.mode, self.drawing.prime) != ("*", "*", None):
            raise ParameterError("meter, mode and prime are the tune's: give none of them")


def continue_folk(settings: ContinueFolkConfig, *, progress: Progress = silent) -> SampleFolkResult:
    """Draw continuations of a tune and write each, with its beginning, as ABC."""
    drawing = settings.drawing
    model = load_model(drawing.model)
    tune = _read_tune(settings)
    try:
        tokens = get_tokeniser(model.tokeniser).tokens(tune)
    except NotationError as err:
        raise ParameterError(f"{settings.file}, tune {settings.tune}: {err}") from err
    on_root = get_tokeniser(model.tokeniser).tune(tokens)
    end = _n_given_tokens(on_root, tokens, settings, model)
    n_header = 0 if model.tokeniser == "v1" else 2
    header = [token[2:].removeprefix("C") for token in tokens[:n_header]]
    meter, mode = header or ("*", "*")
    prime = tuple(tokens[n_header:end])
    sampling = replace(drawing.sampling, meter=meter, mode=mode, prime=prime)
    semitones = tune.notes[0].pitch - on_root.notes[0].pitch
    source = f"{model_title(drawing.model)}, seed {drawing.seed}"
    note = f"given: {settings.bars} bar{'s' * (settings.bars > 1)}; the rest is by {source}"
    title = tune.title or settings.file.stem
    tunes = [
        write_tune(
            sampled,
            model.tokeniser,
            title=f"{title}, continuation {sampled.index + 1}",
            notes=[note, *(f"the given tune: {notice}" for notice in tune.notices)],
            semitones=semitones,
        )
        for sampled in draw_tunes(drawing, model, sampling, progress)
    ]
    return SampleFolkResult(drawing, prime, tuple(tunes))


def _read_tune(settings: ContinueFolkConfig) -> Tune:
    tunes = read_book_tunes(settings.file, strict=settings.strict)
    if settings.tune > len(tunes):
        raise ParameterError(f"tune is {settings.tune}; {settings.file} has {len(tunes)}")
    tune = tunes[settings.tune - 1].tune
    if isinstance(tune, NotationError):
        raise ParameterError(f"{settings.file}: {tune}") from tune
    return tune


def _n_given_tokens(
    tune: Tune, tokens: Sequence[str], settings: ContinueFolkConfig, model: FolkModel
) -> int:
    """Return the number of tokens of the given bars, the bar line after them included."""
    measures = tune.measures
    full = tune.meter.length
    has_pickup = bool(measures) and full is not None and measures[0].duration < full
    n = settings.bars + has_pickup
    if n > len(measures):
        raise ParameterError(
            f"bars is {settings.bars}; tune {settings.tune} of {settings.file} has "
            f"{len(measures) - has_pickup}"
        )
    bar = measures[n - 1].right
    if bar is None:
        return len(tokens)
    if model.tokeniser == "v1":
        lines = "".join(tokens).split("\n")
        return (
            sum(len(line) + 1 for line in lines[: bar.line - 1])
            + bar.column
            - 1
            + len(bar.text + bar.ending)
        )
    starts = list(accumulate((len(token) + 1 for token in tokens[2:]), initial=1))
    return 2 + bisect_right(starts, bar.column)
