"""Work of one process of a batch: its model, made once, then one part per chunk."""

from __future__ import annotations

import os
import pickle
import time
import traceback
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timezone
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, NamedTuple

from otoscope.errors import Advice, ParameterError
from otoscope.pool import check_same
from otoscope.records import to_json, versions
from otoscope.records.files import file_digest
from otoscope.records.parts import SUFFIX
from otoscope.records.places import Place, PlaceFull
from otoscope.workflows.batch.manifest import Chunk, key_of
from otoscope.workflows.batch.schema import VERSION, encoded

if TYPE_CHECKING:
    from otoscope.workflows.batch.tasks import Task

__all__ = ["Counts", "Job", "describe", "time_files", "work", "write_failure"]

_PACKAGE = str(Path(__file__).parents[2])


class Job(NamedTuple):
    """Settings that all chunks of a batch share; sent to each process.

    ``config`` is the pickle of the workflow's configuration, ``out`` where parts are written, or ""
    to write nothing, ``base`` the folder of relative files,
    ``folder`` the working folder, ``threads`` those of torch, by default its own number; ``about``
    is what `describe` returned.
    """

    workflow: str
    config: bytes
    out: str
    base: str
    folder: str
    threads: int | None = None
    about: Mapping[str, Any] | None = None


class Counts(NamedTuple):
    """Numbers of files, of rows and of files with an error; the first error and its advice."""

    files: int
    rows: int
    errors: int
    error: str = ""
    advice: Advice | None = None

    def added(self, other: Counts) -> Counts:
        """Add other counts; the first error stays."""
        first = self if self.error else other
        return Counts(
            self.files + other.files,
            self.rows + other.rows,
            self.errors + other.errors,
            first.error,
            first.advice,
        )

    def reason(self, context: str = "") -> ParameterError:
        """Return the first error as one that a front end can spell in its own way."""
        error = ParameterError(f"{context}{self.error}")
        error.advice = self.advice
        return error


def describe(job: Job) -> dict[str, Any]:
    """Make the workflow, and return all that its rows depend on, in JSON's types."""
    task = _task(*job[:3], job.folder, job.threads)
    return {
        "workflow": job.workflow,
        "settings": dict(task.settings),
        "model": dict(task.identity),
        "schema": VERSION,
        "versions": dict(versions()),
    }


def work(job: Job, chunk: Chunk) -> Counts:
    """Work on the files of a chunk, and write them as one part."""
    task, place = _task(*job[:3], job.folder, job.threads), _place(job.out)
    if job.about is not None:
        check_same(job.about["model"], dict(task.identity))
    task.beside(chunk.name)  # forget what a chunk left that was broken off
    rows, counts = list[dict[str, Any]](), Counts(0, 0, 0)
    for file, others in zip(chunk.files, chunk.others, strict=True):
        of_file = list(_rows(task, file, job.base))
        counts = counts.added(_counts_of(file, of_file))
        rows += [{**row, "others": others} for row in of_file]
    for name, content in task.beside(chunk.name).items():
        place.write(name, content)
    about = _about({"model": task.identity, "settings": task.settings, "versions": versions()})
    place.write(f"{chunk.name}{SUFFIX}", encoded(job.workflow, [{**r, **about} for r in rows]))
    return counts


def write_failure(job: Job, chunk: Chunk, error: str) -> Counts:
    """Write the part of a file that no process survives."""
    (file,), (others,) = chunk.files, chunk.others
    row = {"file": key_of(file), "error": error, "others": others, **_about(job.about or {})}
    _place(job.out).write(f"{chunk.name}{SUFFIX}", encoded(job.workflow, [row]))
    return _counts_of(file, [row])


def time_files(job: Job, files: list[str]) -> list[tuple[float, str]]:
    """Return the CPU seconds and the error of each file; nothing is written."""
    task, measured = _task(*job[:3], job.folder, job.threads), list[tuple[float, str]]()
    for file in files:
        began = time.process_time()
        errors = [row["error"] for row in _rows(task, file, job.base)]
        measured.append((time.process_time() - began, next(filter(None, errors), "")))
    return measured


@cache
def _task(workflow: str, config: bytes, out: str, folder: str, threads: int | None) -> Task:
    """Make the workflow, once in each process."""
    if threads is not None:
        import torch

        torch.set_num_threads(threads)
    if folder != str(Path.cwd()) and Path(folder).is_dir():
        os.chdir(folder)  # names of models are relative to it
    made, place = pickle.loads(config), _place(out) if out else None
    if own := getattr(made, "as_task", None):  # a workflow of somebody else
        task: Task = own(place)
        return task
    from otoscope.workflows.batch.tasks import TASKS  # torch takes seconds to load

    return TASKS[workflow](made, place)


def _counts_of(file: str, rows: Sequence[Mapping[str, Any]]) -> Counts:
    failed = next((row for row in rows if row["error"]), None)
    if failed is None:
        return Counts(1, len(rows), 0)
    advice = failed.get("advice")
    error = f"{key_of(file)}: {failed['error']}"
    return Counts(1, len(rows), 1, error, Advice.from_list(advice) if advice else None)


@cache
def _place(uri: str) -> Place:
    return Place(uri)


def _about(about: Mapping[str, Any]) -> dict[str, Any]:
    """Return the cells that are the same in all rows of a part."""
    return {
        "model": " ".join(filter(None, about.get("model", {}).values())),
        "settings": to_json(about.get("settings", {})),
        "versions": to_json(about.get("versions", {})),
        "written": datetime.now(timezone.utc),
    }


def _rows(task: Task, file: str, base: str) -> Iterator[dict[str, Any]]:
    """Make the rows of a file; whatever fails is a row with the reason."""
    key, began, sound = key_of(file), time.perf_counter(), None
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        try:
            with _on_disk(file, base) as path:
                sound = file_digest(path)
                made = [_named(row, str(path), key) for row in task.rows(path, key)]
        except PlaceFull:
            raise
        except (Exception, SystemExit) as err:  # of a user's model
            advice = err.advice if isinstance(err, ParameterError) else None
            failed = {"error": _reason(err), "advice": advice and advice.to_list()}
            made = [_named(failed, str(_path_of(file, base)), key)]
    seconds, said = time.perf_counter() - began, [str(w.message) for w in caught if _is_told(w)]
    for row in made:
        notes = list(dict.fromkeys([*(row.get("warnings") or ()), *said]))
        about = {"file": key, "seconds": seconds, "sound": sound, "warnings": notes}
        yield {**row, **about, "error": row.get("error") or ""}


def _named(row: dict[str, Any], path: str, key: str) -> dict[str, Any]:
    """Name the file in an error as the manifest does, and not at its beginning, beside the key."""
    error: str = row.get("error") or ""
    while error.startswith(path):
        error = error.removeprefix(path).lstrip(": ")
    return row | {"error": error.replace(path, key)}


def _path_of(file: str, base: str) -> Path:
    """Return where a file is: relative ones are in ``base``."""
    return Path(base) / file


@contextmanager
def _on_disk(file: str, base: str) -> Iterator[Path]:
    """Yield the path of a file; that of a URI is fetched to a temporary one."""
    if "://" not in file:
        yield _path_of(file, base)
        return
    head, question, query = file.partition("?")
    folder, _, name = head.rpartition("/")
    content = _place(f"{folder}{question}{query}").read(name)
    if content is None:
        raise ParameterError(f"{file} is not there")
    with TemporaryDirectory() as temporary:
        path = Path(temporary) / name
        path.write_bytes(content)
        yield path


def _is_told(warning: warnings.WarningMessage) -> bool:
    return issubclass(warning.category, UserWarning)


def _is_installed(file: str) -> bool:
    return file.startswith(_PACKAGE) or "site-packages" in file


def _reason(err: BaseException) -> str:
    """Say in one line why there is no result."""
    if isinstance(err, ParameterError):
        return str(err)
    if isinstance(err, OSError) and err.errno is not None:
        return f"cannot be read: {err.strerror}"
    frames = traceback.extract_tb(err.__traceback__)
    own = [frame for frame in frames if not _is_installed(frame.filename)]
    frame = (own or frames)[-1]
    text = f"raised {type(err).__name__}: {err}".removesuffix(": ")
    return f"{' '.join(text.split())[:500]} ({Path(frame.filename).name}, line {frame.lineno})"
