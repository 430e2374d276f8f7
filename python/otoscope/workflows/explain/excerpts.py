"""Excerpts of one file: what is explained, and the result."""

from __future__ import annotations

import time
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import Tensor

from otoscope import models
from otoscope.errors import Advice
from otoscope.explain import (
    Explanation,
    ExplanationReport,
    FewEffectiveSamples,
    explanation_report,
)
from otoscope.progress import Progress
from otoscope.protocols import ListeningModel, Patch, choose_targets
from otoscope.protocols.listening import CONTEXT
from otoscope.signal import truncation
from otoscope.workflows.explain.stems import StemFiles
from otoscope.workflows.recording import Recording

if TYPE_CHECKING:
    from otoscope.workflows.explain.explain import Explainer

__all__ = ["Excerpts", "ExplainResult"]


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


class Excerpts:
    """Excerpts of one file, which are explained one at a time."""

    def __init__(self, explainer: Explainer, path: Path) -> None:
        config = explainer.config
        self._explainer, self.path = explainer, path
        self._recording = recording = Recording(path, explainer.model, padded=config.padded)
        self._truncated = truncation(path)
        self._stems = StemFiles(config, path, recording) if config.stems else None
        self._timeline = cache(lambda around: recording.timeline(around=around))
        self._ahead: dict[float, Patch] = {}

    @property
    def starts(self) -> list[float | None]:
        """Requested starts, in seconds; None is where the output is highest."""
        config = self._explainer.config
        if config.every is None:
            return [config.start]
        return [*self._recording.starts(config.every)]

    def _patch(self, second: float) -> Patch:
        """Cut an excerpt; those that follow within some seconds are cut with it, and kept."""
        every = self._explainer.config.every
        if every is None:
            return self._recording.patch(second)
        if second not in self._ahead:
            later = [s for s in self._recording.starts(every) if s >= second]
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
        config, model = self._explainer.config, self._explainer.model
        is_given = second is not None
        around = second if is_given and config.every is None else config.start
        timeline, recording = self._timeline(around), self._recording
        near = second if is_given else config.start
        column = _column(model, target or config.target, timeline, near)
        name, outputs = model.output_names[column], timeline.outputs[:, column]
        lime = self._explainer.lime(name)
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
