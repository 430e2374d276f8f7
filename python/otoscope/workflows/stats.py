"""Statistics of a folder of sounds: the features of its files, gathered one by one.

What is measured is kept in an .npz from time to time: the same command goes on where it stopped,
and adds what is new in the folder. Files that cannot be read are left out and listed.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from otoscope import records
from otoscope.errors import ParameterError
from otoscope.metrics import FeatureSet, Statistics, statistics
from otoscope.metrics.feature_set import few_rows
from otoscope.progress import Progress
from otoscope.workflows._features import FeatureSettings, SoundFeatures, differences
from otoscope.workflows.explain import sound_files

__all__ = ["Measured", "measure", "measure_statistics"]

_EVERY = 20.0  # seconds between copies of what is measured so far


@dataclass(frozen=True, eq=False)
class Measured:
    """One side of a distance.

    Parameters
    ----------
    path : Path
        A folder, a file of sound, or statistics.
    statistics : Statistics
        Its settings hold ``features``, ``files``, ``rates`` and ``versions``.
    skipped : dict of str to ParameterError
        Files that could not be used, and why.
    n_done : int
        Files that were measured before.

    Examples
    --------
    >>> Measured(Path("real.npz"), statistics.load("real.npz")).n_files  # doctest: +SKIP
    120
    """

    path: Path
    statistics: Statistics
    skipped: Mapping[str, ParameterError] = field(default_factory=dict)
    n_done: int = 0

    @property
    def features(self) -> dict[str, Any]:
        """What the features depend on; empty for files of other tools."""
        found: dict[str, Any] = self.statistics.settings.get("features", {})
        return found

    @property
    def n_files(self) -> int | None:
        """Number of files measured; None for statistics of other tools."""
        files = self.statistics.settings.get("files")
        return None if files is None else len(files)

    @property
    def notes(self) -> tuple[str, ...]:
        """What must be known before trusting a distance from this side."""
        told = []
        rate = self.features.get("sample_rate", 0)
        rates = self.statistics.settings.get("rates", {})
        other = {int(sr): n for sr, n in rates.items() if int(sr) != rate}
        if other:
            counted = ", ".join(f"{n} at {sr:,} Hz" for sr, n in sorted(other.items()))
            told.append(f"{self.path}: resampled to {rate:,} Hz: {counted}")
        if low := sum(n for sr, n in other.items() if sr < rate):
            told.append(
                f"{self.path}: of lower rate than the model's: {low}; what these lack above half "
                "their rate counts as a difference"
            )
        if self.statistics.count is not None:
            few = few_rows(str(self.path), self.statistics.count, len(self.statistics.mean))
            told += [few] if few else []
        return tuple(told)


def measure_statistics(
    path: Path, settings: FeatureSettings, out: Path, *, progress: Progress | None = None
) -> Measured:
    """Measure a folder of sounds into a file of statistics.

    Parameters
    ----------
    path : Path
        A folder, or a file of sound.
    settings : FeatureSettings
        Which features.
    out : Path
        Ends in .npz. If it is there with the same settings, only what is new is added.
    progress : callable, optional
        Goes over "files".

    Returns
    -------
    Measured
        What is in the file now, and what was skipped.

    Raises
    ------
    ParameterError
        If nothing can be measured, or the file holds other settings or files that are gone.

    Examples
    --------
    >>> settings = FeatureSettings("musicnn-mtt")
    >>> measure_statistics(Path("songs"), settings, Path("songs.npz"))  # doctest: +SKIP
    """
    if out.suffix != ".npz":
        raise ParameterError(f"{out} ends in {out.suffix!r}, must end in .npz")
    return measure(path, SoundFeatures(settings), out, progress=progress)


def measure(
    path: Path,
    features: SoundFeatures,
    out: Path | None = None,
    *,
    name: str = "files",
    progress: Progress | None = None,
) -> Measured:
    """Measure a folder of sounds.

    Parameters
    ----------
    path : Path
        A folder, or a file of sound.
    features : SoundFeatures
        Which features.
    out : Path, optional
        As in `measure_statistics`; by default nothing is written.
    name : str
        What the progress goes over.
    progress : callable, optional
        Goes over the files.

    Returns
    -------
    Measured
        All that could be measured.

    Raises
    ------
    ParameterError
        As `measure_statistics` does.

    Examples
    --------
    >>> measure(Path("songs"), SoundFeatures(settings)).n_files  # doctest: +SKIP
    12
    """
    files = {_name(file, path): file for file in sound_files((path,))}
    begun = out and out.with_suffix(".partial.npz")
    held, told = _taken_up((begun, out), features.about, files)
    if not files.keys() <= told["files"].keys():
        features.check()
    n_done, skipped, saved = len(told["files"]), dict[str, ParameterError](), time.monotonic()
    try:
        for file_name in (progress or (lambda items, _: items))(list(files), name):
            if file_name in told["files"]:
                continue
            file = files[file_name]
            try:
                found, rate = features.of(file)
            except ParameterError as err:
                reason = err.message.removeprefix(str(file)).lstrip(": ")
                skipped[file_name] = ParameterError(reason, advice=err.advice)
                continue
            held = held.joined(found)
            told["files"][file_name] = _stamp(file)
            told["rates"][str(rate)] = told["rates"].get(str(rate), 0) + 1
            if begun and time.monotonic() - saved > _EVERY:
                _save(begun, held, told)
                saved = time.monotonic()
    except BaseException:
        if begun and len(told["files"]) > n_done:
            _save(begun, held, told)
        raise
    if held.n_rows < 2:
        raise _too_few(path, held.n_rows, skipped)
    measured = Statistics.of(held, settings=told)
    if out and begun:
        statistics.save(out, measured)
        begun.unlink(missing_ok=True)
    return Measured(path, measured, skipped, n_done)


def _taken_up(
    places: Iterable[Path | None], about: Mapping[str, Any], files: Mapping[str, Path]
) -> tuple[FeatureSet, dict[str, Any]]:
    """What an earlier run has measured of these files, or nothing."""
    for place in places:
        if place is None or not place.exists():
            continue
        before = statistics.load(place)
        told = json.loads(json.dumps(before.settings))
        if "features" not in told or "files" not in told:
            raise ParameterError(f"{place} is there and of another tool; name another file")
        if found := differences(told["features"], about):
            raise ParameterError(
                f"{place} holds other settings ({found}); name another file, or delete it"
            )
        stamps = {name: _stamp(file) for name, file in files.items()}
        if gone := [name for name, stamp in told["files"].items() if stamps.get(name) != stamp]:
            raise ParameterError(
                f"{place} holds {gone[0]}, which is not in the folder or has changed; "
                "delete it to measure all files again"
            )
        return before.features(), {**told, "versions": dict(records.versions())}
    told = {"features": dict(about), "files": {}, "rates": {}}
    return FeatureSet.none(), {**told, "versions": dict(records.versions())}


def _save(path: Path, held: FeatureSet, told: Mapping[str, Any]) -> None:
    if held.n_rows >= 2:  # one row has no covariance to write
        statistics.save(path, Statistics.of(held, settings=told))


def _too_few(path: Path, n_rows: int, skipped: Mapping[str, ParameterError]) -> ParameterError:
    message = f"{path} gives {n_rows} excerpts; a covariance takes 2 or more"
    if not skipped:
        return ParameterError(message)
    name, first = next(iter(skipped.items()))
    return first.within(f"{message}; {len(skipped)} skipped, the first: {name}")


def _stamp(file: Path) -> list[int]:
    """Size, and nanoseconds at which it was written."""
    found = file.stat()
    return [found.st_size, found.st_mtime_ns]


def _name(file: Path, root: Path) -> str:
    return str(file.relative_to(root)) if file != root else file.name
