"""Other ways for a tune to go on: its first bars given, the rest drawn, in the tune's own key."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import accumulate
from pathlib import Path

from otoscope.errors import ParameterError
from otoscope.folk.abc import NotationError, Tune, read_book
from otoscope.folk.model import FolkModel
from otoscope.folk.tokens import tokeniser
from otoscope.folk.workflows._model import folk_model, model_title
from otoscope.folk.workflows._written_tune import write_drawn
from otoscope.folk.workflows.sample import SampledFolk, SampleFolk, draw_tunes
from otoscope.progress import Progress

__all__ = ["ContinueFolk", "continue_folk"]


@dataclass(frozen=True)
class ContinueFolk:
    """Which tune goes on, after which bar, and how.

    Parameters
    ----------
    file : Path
        In ABC notation.
    tune : int
        Which of its tunes, from 1.
    bars : int
        How many of its bars are given, at least 1; a pickup is no bar.
    drawing : SampleFolk
        How many continuations, of which model, by which seed. The tune gives meter, mode, prime.

    Raises
    ------
    ParameterError
        If a number is below 1, or the drawing has a meter, a mode or a prime.

    Examples
    --------
    >>> ContinueFolk(Path("reel.abc"), bars=2).tune
    1
    """

    file: Path
    tune: int = 1
    bars: int = 4
    drawing: SampleFolk = field(default_factory=lambda: SampleFolk(n=5))

    def __post_init__(self) -> None:
        """Check at the door."""
        for name, value in (("tune", self.tune), ("bars", self.bars)):
            if value < 1:
                raise ParameterError(f"{name} is {value}, must be at least 1")
        given = (self.drawing.sampling.meter, self.drawing.sampling.mode, self.drawing.prime)
        if given != ("*", "*", ""):
            raise ParameterError("meter, mode and prime are the tune's: give none of them")


def continue_folk(settings: ContinueFolk, *, progress: Progress | None = None) -> SampledFolk:
    """Draw continuations of a tune and write each, with its beginning, as ABC.

    Parameters
    ----------
    settings : ContinueFolk
        Which tune, and how.
    progress : callable, optional
        Goes over the "tunes".

    Returns
    -------
    SampledFolk
        In the key of the tune; what is no tune stays on the model's root.

    Raises
    ------
    ParameterError
        If the tune cannot be read (line and column) or has fewer bars, has no form in the model's
        tokens, or has a token that the model does not know.

    Examples
    --------
    >>> continue_folk(ContinueFolk(Path("reel.abc"))).prime[:3]  # doctest: +SKIP
    ('|:', 'G', '2')
    """
    model = folk_model(settings.drawing.model)
    tune = _tune(settings)
    try:
        tokens = tokeniser(model.tokens).tokens(tune)
    except NotationError as err:
        raise ParameterError(f"{settings.file}, tune {settings.tune}: {err}") from err
    as_model = tokeniser(model.tokens).tune(tokens)
    end = _end(as_model, tokens, settings, model)
    n_header = 0 if model.tokens == "v1" else 2
    header = [token[2:].removeprefix("C") for token in tokens[:n_header]]
    meter, mode = header or ("*", "*")
    prime = tuple(tokens[n_header:end])
    sampling = replace(settings.drawing.sampling, meter=meter, mode=mode, prime=prime)
    drawn = draw_tunes(settings.drawing, model, sampling, progress)
    shift = tune.notes[0].pitch - as_model.notes[0].pitch
    name = f"{model_title(settings.drawing.model)}, seed {settings.drawing.seed}"
    written = [
        write_drawn(
            one,
            model.tokens,
            title=f"{tune.title or settings.file.stem}, continuation {one.index + 1}",
            notes=[f"given: {settings.bars} bar{'s' * (settings.bars > 1)}; the rest is by {name}"],
            semitones=shift,
        )
        for one in drawn
    ]
    return SampledFolk(settings.drawing, prime, tuple(written))


def _tune(settings: ContinueFolk) -> Tune:
    tunes = read_book(settings.file)
    if settings.tune > len(tunes):
        raise ParameterError(f"tune is {settings.tune}; {settings.file} has {len(tunes)}")
    tune = tunes[settings.tune - 1]
    if isinstance(tune, NotationError):
        raise ParameterError(f"{settings.file}: {tune}") from tune
    return tune


def _end(tune: Tune, tokens: Sequence[str], settings: ContinueFolk, model: FolkModel) -> int:
    """How many tokens the given bars are, the bar line after them included."""
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
    if model.tokens == "v1":
        lines = "".join(tokens).splitlines(keepends=True)
        return sum(map(len, lines[: bar.line - 1])) + bar.column - 1 + len(bar.text + bar.ending)
    starts = list(accumulate((len(token) + 1 for token in tokens[2:]), initial=1))
    return 2 + bisect_right(starts, bar.column)
