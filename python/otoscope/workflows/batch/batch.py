"""Run a workflow over a manifest of many files, on one machine or on a cluster.

Nothing is kept by the driver: what is done is what the parts hold, so that any process may be
killed, and the same command goes on.
"""

from __future__ import annotations

import json
import pickle
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from otoscope import records
from otoscope.documents import document
from otoscope.errors import ParameterError, require_integer
from otoscope.progress import Progress, silent, tracked
from otoscope.records.parts import CLAIM, SUFFIX, done_files, part_names
from otoscope.records.places import Claim, Place, PlaceFull
from otoscope.workflows.batch.engines import Engine, call, make_engine, run
from otoscope.workflows.batch.manifest import Chunk, Manifest, Shard, read_manifest
from otoscope.workflows.batch.work import Counts, Job, describe, time_files, work, write_failure

__all__ = ["BatchConfig", "BatchResult", "Estimate", "Todo", "estimate_batch", "run_batch"]

_SETTINGS, _KIND, _VERSION = "_settings.json", "otoscope.BatchSettings", 1
_KILLED = "killed the worker: no process survives this file, as when memory is short"
_COUNTED = ("files", "rows", "errors", "error")
_TIMED = 3  # files of a dry run


@dataclass(frozen=True)
class BatchConfig:
    """A workflow over many files, and where and how it runs.

    Parameters
    ----------
    workflow : {"explain", "attack", "interrogate", "stats"}
        Workflow.
    task : ExplainConfig, AttackFileConfig, InterrogateConfig or FeatureConfig
        Configuration of the workflow; its sounds do not matter.
    manifest : str
        Files: a .parquet or .csv table with the column path, a folder, or - for stdin.
    out : str
        Folder or URI for the parts, such as s3://bucket/run1.
    workers : int, optional
        Number of processes, each on one core. By default one per core; with 1 the work is done in
        this process.
    ray : str, optional
        Cluster of Ray: local, auto, or HOST:PORT.
    shard : str, optional
        Part I of N of the manifest, as I/N, for arrays of jobs that share OUT.
    chunk : int
        Number of files per part.
    retry_errors : bool
        Work again on the files whose rows are errors.

    Examples
    --------
    >>> from otoscope.workflows import ExplainConfig
    >>> BatchConfig("explain", ExplainConfig((), "synth-singing"), "songs.csv", "parts").chunk
    16
    """

    workflow: str
    task: Any
    manifest: str
    out: str
    workers: int | None = None
    ray: str | None = None
    shard: str | None = None
    chunk: int = 16
    retry_errors: bool = False


@dataclass(frozen=True)
class BatchResult:
    """Numbers of a batch.

    Parameters
    ----------
    out : str
        Folder or URI of the parts.
    engine : str
        Engine: serial, joblib or ray.
    n_files : int
        Number of files of the manifest, or of its shard.
    n_before : int
        Number of files that were done before.
    counts : Counts
        Files, rows and files with an error of this run, and the first error.
    seconds : float
        Wall time of this run.
    about : Mapping
        Workflow, settings, model and versions.

    Examples
    --------
    >>> run_batch(config).counts.errors  # doctest: +SKIP
    0
    """

    out: str
    engine: str
    n_files: int
    n_before: int
    counts: Counts
    seconds: float
    about: Mapping[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Convert to the JSON document of ``--json``."""
        content = {**vars(self), "counts": dict(zip(_COUNTED, self.counts, strict=False))}
        return document("otoscope.Batch", 1, content)


@dataclass(frozen=True)
class Estimate:
    """Cost of a batch, from a few files of it.

    Parameters
    ----------
    n_files : int
        Number of files that are not done.
    n_timed : int
        Number of files that were timed.
    seconds : float
        Mean CPU time per file, in seconds, without loading the model.
    core_hours : float
        CPU time of all files, in hours.
    errors : tuple of str
        Errors of the files that were timed.

    Examples
    --------
    >>> Estimate(1000, 3, 3.6, 1.0).core_hours
    1.0
    """

    n_files: int
    n_timed: int
    seconds: float
    core_hours: float
    errors: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Convert to the JSON document of ``--json``."""
        return document("otoscope.BatchEstimate", 1, vars(self))


def run_batch(config: BatchConfig, *, progress: Progress = silent) -> BatchResult:
    """Run a workflow over all files of a manifest that have no rows yet.

    Parameters
    ----------
    config : BatchConfig
        Workflow, manifest, place and engine.
    progress : bool or callable
        True shows a bar over the "files".

    Returns
    -------
    BatchResult
        Numbers of files, rows and errors.

    Raises
    ------
    ParameterError
        If the manifest or a setting is wrong, the place holds rows of other settings, is being
        written by another process or takes no more files, no cluster answers, or no file at all can
        be used.
    MissingExtra
        If pyarrow, or Ray, is not installed.

    Examples
    --------
    >>> from otoscope.workflows import ExplainConfig
    >>> task = ExplainConfig((), "synth-singing")
    >>> run_batch(BatchConfig("explain", task, "songs.csv", "parts")).n_files  # doctest: +SKIP
    1200
    """
    began = time.monotonic()
    require_integer("chunk", config.chunk, least=1)
    shard = Shard.read(config.shard) if config.shard else None
    place, manifest = Place(config.out), read_manifest(config.manifest)
    name = CLAIM if shard is None else f"{CLAIM}-{shard.number}-of-{shard.of}"
    engine = make_engine(config.workers, config.ray, device=getattr(config.task, "device", "cpu"))
    try:
        with place.claimed(f"{name}.json", CLAIM) as claim:
            job = _described(config, manifest, place, engine)
            todo = Todo(manifest, config, place)
            counts = _counted(job, todo, engine, claim, progress)
            n_before = todo.n_all - todo.n_files
            if job.about and config.workflow == "stats":
                from otoscope.workflows.batch.moments import merge_parts

                merge_parts(place, job.about)
    finally:
        engine.close()
    if counts.files and counts.errors == counts.files and not n_before:
        raise counts.reason(f"none of {counts.files} files can be used, {config.out} says why; ")
    seconds = time.monotonic() - began
    return BatchResult(
        config.out, engine.name, todo.n_all, n_before, counts, seconds, job.about or {}
    )


def estimate_batch(config: BatchConfig) -> Estimate:
    """Time a few files of a batch in this process, and write nothing.

    Parameters
    ----------
    config : BatchConfig
        Workflow, manifest and place; the place need not exist.

    Returns
    -------
    Estimate
        Cost of the files that are not done.

    Raises
    ------
    ParameterError
        If the manifest or a setting is wrong, or the place holds rows of other settings.

    Examples
    --------
    >>> estimate_batch(config).core_hours  # doctest: +SKIP
    3.2
    """
    require_integer("chunk", config.chunk, least=1)
    place, manifest = Place(config.out), read_manifest(config.manifest)
    todo = Todo(manifest, config, place)
    files = [file for chunk in todo.chunks() for file in chunk.files]
    step = max(1, len(files) // _TIMED)
    timed = files[step // 2 :: step][:_TIMED]
    job = _job(config, manifest, None, 1)
    if place.read(_SETTINGS) is not None:
        _check_settings(place, records.to_plain(describe(job)))
    measured = time_files(job, timed)
    costs = [cost for cost, error in measured if not error] or [cost for cost, _ in measured]
    mean = sum(costs) / len(costs) if costs else 0.0
    errors = [f"{file}: {error}" for file, (_, error) in zip(timed, measured, strict=True) if error]
    return Estimate(len(files), len(timed), mean, mean * len(files) / 3600, tuple(errors))


class Todo:
    """Chunks of the manifest that are not done.

    A part that has the name of a chunk holds its files; only other parts are opened, those of
    halves, of another size of chunks, or, to find errors, all.
    """

    def __init__(self, manifest: Manifest, config: BatchConfig, place: Place) -> None:
        shard = Shard.read(config.shard) if config.shard else None
        self._manifest, self._size, self._shard = manifest, config.chunk, shard
        names = part_names(place)
        chunks = manifest.chunks(config.chunk) if names else ()
        own = {f"{chunk.name}{SUFFIX}" for chunk in chunks}
        self._whole = own.intersection(() if config.retry_errors else names)
        opened = [name for name in names if name not in self._whole]
        self._done = done_files(place, opened, without_errors=config.retry_errors)
        self.n_all = sum(len(chunk.files) for chunk in manifest.chunks(config.chunk, shard))
        self.n_files = sum(len(chunk.files) for chunk in self.chunks())

    def chunks(self) -> Iterator[Chunk]:
        """Yield the chunks, without the files that are done."""
        for chunk in self._manifest.chunks(self._size, self._shard):
            if self._whole and f"{chunk.name}{SUFFIX}" in self._whole:
                continue
            rest = chunk.without(self._done) if self._done else chunk
            if rest.files:
                yield rest


def _counted(job: Job, todo: Todo, engine: Engine, claim: Claim, progress: Progress) -> Counts:
    """Do all chunks, and add their counts."""
    total, shown = Counts(0, 0, 0), iter(tracked(progress, range(todo.n_files), "files"))
    try:
        for outcome in run(engine, lambda chunk: (work, job, chunk), todo.chunks()):
            claim.check()
            counts = write_failure(job, outcome, _KILLED) if isinstance(outcome, Chunk) else outcome
            total = total.added(counts)
            for _ in islice(shown, counts.files):
                pass
    except PlaceFull as err:
        n_safe = todo.n_all - todo.n_files + total.files
        raise PlaceFull(
            f"{err}; {n_safe} of {todo.n_all} files are safe there, and the same command goes on"
        ) from err
    return total


def _job(config: BatchConfig, manifest: Manifest, place: Place | None, threads: int | None) -> Job:
    out, task = place.uri if place else "", pickle.dumps(config.task)
    return Job(config.workflow, task, out, manifest.base, str(Path.cwd()), threads)


def _described(config: BatchConfig, manifest: Manifest, place: Place, engine: Engine) -> Job:
    """Make the workflow in a process of the engine, and compare its settings with the place's."""
    job = _job(config, manifest, place, engine.threads)
    about = records.to_plain(call(engine, describe, job))
    _check_settings(place, about)
    return job._replace(about=about)


def _check_settings(place: Place, about: Mapping[str, Any]) -> None:
    """Write the settings, or refuse a place whose rows have others."""
    content = place.read(_SETTINGS)
    if content is None:
        if part_names(place):
            raise ParameterError(f"{place.uri} holds parts without {_SETTINGS}; name another place")
        text = records.to_json(document(_KIND, _VERSION, about), indent=2)
        place.write(_SETTINGS, text.encode())
        return
    try:
        there = json.loads(content)
    except ValueError:
        there = None
    if not isinstance(there, dict) or there.get("format") != f"{_KIND}/{_VERSION}":
        raise ParameterError(f"{place.uri}/{_SETTINGS} is of no batch; name another place")
    if differing := list(_differences(there, about)):
        raise ParameterError(
            f"{place.uri} holds rows of other settings ({', '.join(differing)}); name another "
            "place, or remove it"
        )


def _differences(there: Mapping[str, Any], here: Mapping[str, Any], prefix: str = "") -> Any:
    """Yield the settings that differ, by name; of another workflow the others are not compared."""
    for name in {**here, **there}:
        a, b = there.get(name), here.get(name)
        if name == "format" or a == b:
            continue
        if isinstance(a, dict) and isinstance(b, dict):
            yield from _differences(a, b, name)
        else:
            yield f"{f'{prefix} ' if prefix in ('model', 'versions') else ''}{name} {a}, not {b}"
            if name == "workflow":
                return
