"""Measure statistics of a folder of sounds: mean and covariance of the features of its files.

Intermediate statistics are saved from time to time: the same command resumes where it stopped, and
adds files that are new in the folder. Files that cannot be read are skipped and listed.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from otoscope import records
from otoscope.documents import require_types
from otoscope.errors import ParameterError
from otoscope.metrics import FeatureSet, Statistics, statistics
from otoscope.metrics.feature_set import few_rows
from otoscope.pool import check_same, mapped
from otoscope.progress import Progress, silent, tracked
from otoscope.signal.audio.truncation import truncated_note
from otoscope.workflows.features import FeatureConfig, SoundFeatures, differences
from otoscope.workflows.recording import FolderNotes, sound_files

__all__ = ["StatsResult", "load_statistics", "measure", "measure_statistics"]

_EVERY = 20.0  # seconds between saves of intermediate statistics
_FEATURES = {
    "model": str,
    "layer": str,
    "channel_axis": int | None,
    "sample_rate": float,
    "hop_length": int,
    "excerpt_frames": int,
    "hop_frames": int,
    "padded": bool,
}
"""Types of what `SoundFeatures.about` holds and a distance uses."""


@dataclass(frozen=True, eq=False)
class StatsResult:
    """Statistics of the features of a folder, a sound file or a file of statistics.

    Parameters
    ----------
    path : Path
        Folder, sound file, or statistics (.npz).
    statistics : Statistics
        Mean and covariance; the settings hold ``features``, ``files``, ``rates`` and ``versions``.
    skipped : dict of str to ParameterError
        Reason for each file that could not be used.
    n_done : int
        Number of files that an earlier run measured.

    Examples
    --------
    >>> StatsResult(Path("real.npz"), statistics.load("real.npz")).n_files  # doctest: +SKIP
    120
    """

    path: Path
    statistics: Statistics
    skipped: Mapping[str, ParameterError] = field(default_factory=dict)
    n_done: int = 0

    @property
    def features(self) -> dict[str, Any]:
        """Everything that the features depend on; empty for files of other tools."""
        features: dict[str, Any] = self.statistics.settings.get("features", {})
        return features

    @property
    def embedding(self) -> str:
        """Name of the embedding that another tool computed; empty if there is none."""
        return str(self.statistics.settings.get("embedding", ""))

    @property
    def truncated(self) -> dict[str, str]:
        """Say what each file that was cut off lacks, see `signal.truncation`."""
        truncated: dict[str, str] = self.statistics.settings.get("truncated", {})
        return truncated

    @property
    def n_files(self) -> int | None:
        """Number of files measured; None for statistics of other tools."""
        files = self.statistics.settings.get("files")
        return None if files is None else len(files)

    @property
    def notes(self) -> tuple[str, ...]:
        """Reasons for caution with statistics and features of these sounds."""
        notes = []
        rate = self.features.get("sample_rate", 0)
        rates = self.statistics.settings.get("rates", {})
        other = {int(sr): n for sr, n in rates.items() if int(sr) != rate}
        if other:
            counted = ", ".join(f"{n} at {sr:,} Hz" for sr, n in sorted(other.items()))
            notes.append(f"{self.path}: resampled to {rate:,} Hz: {counted}")
        if low := sum(n for sr, n in other.items() if sr < rate):
            notes.append(
                f"{self.path}: of lower rate than the model's: {low}; what these lack above half "
                "their rate counts as a difference"
            )
        notes += [f"{self.path}: {note}" for note in truncated_note(self.truncated.values())]
        return tuple(notes)

    @property
    def few_rows(self) -> str:
        """Caution with a Fréchet distance of too few excerpts; empty if there are enough."""
        count, columns = self.statistics.count, len(self.statistics.mean)
        return "" if count is None else few_rows(str(self.path), count, columns)

    @property
    def excerpts(self) -> dict[str, int]:
        """Number of excerpts of each file, in the order of the rows; empty if it is unknown."""
        excerpts: dict[str, int] = self.statistics.settings.get("excerpts", {})
        return excerpts if sum(excerpts.values()) == self.statistics.count else {}

    def rows(self) -> Tensor:
        """Return the features [excerpt, column] of all excerpts.

        Raises
        ------
        ParameterError
            If these are statistics without features.
        """
        if self.statistics.rows is None:
            raise ParameterError(
                f"{self.path} holds mean and covariance, not the features of its "
                f"{self.statistics.count or ''} excerpts; name the folder of its sounds, or "
                "measure them with otoscope stats --rows"
            )
        return self.statistics.rows

    def song_of_row(self) -> Tensor | None:
        """Number the file of each row [excerpt]; None if it is unknown."""
        if not self.excerpts:
            return None
        counts = torch.tensor(list(self.excerpts.values()))
        return torch.arange(len(counts)).repeat_interleave(counts)


def load_statistics(path: Path, *, embedding: str | None = None) -> Statistics:
    """Read a file of statistics; settings that are not of otoscope's types are refused."""
    loaded = statistics.load(path, embedding=embedding)
    settings = loaded.settings
    present = {
        name: dict
        for name in ("features", "files", "rates", "excerpts", "truncated", "versions")
        if name in settings
    }
    require_types(settings, present, f"{path}: settings")
    if features := settings.get("features"):
        require_types(features, _FEATURES, f"{path}: features")
        lengths = ("sample_rate", "hop_length", "excerpt_frames", "hop_frames")
        if short := [name for name in lengths if features[name] <= 0]:
            raise ParameterError(f"{path}: {short[0]} is {features[short[0]]}, must be > 0")
    if not all(isinstance(text, str) for text in settings.get("truncated", {}).values()):
        raise ParameterError(f"{path}: truncated must be texts by file")
    rates = settings.get("rates", {})
    if not all(sr.isascii() and sr.isdecimal() and type(n) is int for sr, n in rates.items()):
        raise ParameterError(f"{path}: rates must be counts of files by sampling rate")
    if not all(type(n) is int and n >= 0 for n in settings.get("excerpts", {}).values()):
        raise ParameterError(f"{path}: excerpts must be counts by file")
    return loaded


def measure_statistics(
    path: Path,
    config: FeatureConfig,
    out: Path,
    *,
    keep_rows: bool = False,
    workers: int | None = None,
    progress: Progress = silent,
) -> StatsResult:
    """Measure statistics of a folder of sounds and write them to a file.

    Parameters
    ----------
    path : Path
        Folder, or a sound file.
    config : FeatureConfig
        Model, layer and excerpts.
    out : Path
        File that ends in .npz. If it exists with the same settings, only new files are added.
    keep_rows : bool
        Write the features of all excerpts too: a kernel distance and intervals are of these.
    workers : int, optional
        Number of processes that share the files, see `pool.mapped`: the result is the same for
        any number. The file of a process that was killed is skipped, and measured by the next run.
    progress : bool or callable
        True shows a bar over the "files".

    Returns
    -------
    StatsResult
        Statistics in the file, and the skipped files.

    Raises
    ------
    ParameterError
        If nothing can be measured, or the file holds other settings or files that are gone.

    Examples
    --------
    >>> config = FeatureConfig("musicnn-mtt")
    >>> measure_statistics(Path("songs"), config, Path("songs.npz"))  # doctest: +SKIP
    """
    if out.suffix != ".npz":
        raise ParameterError(f"{out} ends in {out.suffix!r}, must end in .npz")
    features = SoundFeatures(config, keep_rows=keep_rows)
    return measure(path, features, out, workers=workers, progress=progress)


def measure(
    path: Path,
    features: SoundFeatures,
    out: Path | None = None,
    *,
    name: str = "files",
    workers: int | None = None,
    progress: Progress = silent,
) -> StatsResult:
    """Measure statistics of a folder; without ``out`` nothing is written."""
    with records.claimed(*filter(None, [out])):
        return _measure(path, features, out, name, workers, progress)


def _measure(
    path: Path,
    features: SoundFeatures,
    out: Path | None,
    name: str,
    workers: int | None,
    progress: Progress,
) -> StatsResult:
    noted = FolderNotes(path)
    files = {noted.name(file): file for file in sound_files((path,))}
    draft = out and out.with_suffix(".partial.npz")
    rows, state = _resumed((draft, out), features, files)
    features.keep_rows |= len(rows.rows) > rows.columns  # of a file that has them all
    if not files.keys() <= state["files"].keys():
        features.check()
    n_done, saved = len(state["files"]), time.monotonic()
    remaining = [file_name for file_name in files if file_name not in state["files"]]
    extracted = mapped(
        partial(_worker, features.config, features.about, keep_rows=features.keep_rows),
        [files[file_name] for file_name in remaining],
        here=partial(_extracted, features),
        workers=workers,
        device=features.config.device,
    )
    shown = tracked(progress, remaining, name)
    try:
        for file_name, extraction in zip(shown, extracted, strict=True):
            with noted.reading(files[file_name]):
                ((stamp, new, rate),) = extraction
                rows = rows.joined(new, keep_rows=features.keep_rows)
                state["files"][file_name] = stamp
                if "excerpts" in state:
                    state["excerpts"][file_name] = new.n_rows
                state["rates"][str(rate)] = state["rates"].get(str(rate), 0) + 1
            if noted.truncated:
                state["truncated"] = state.get("truncated", {}) | noted.truncated
            if draft and time.monotonic() - saved > _EVERY:
                _save(draft, rows, state)
                saved = time.monotonic()
    except BaseException:
        if draft and len(state["files"]) > n_done:
            _save(draft, rows, state)
        raise
    finally:
        extracted.close()
    if rows.n_rows < 2:
        message = f"{path} gives {rows.n_rows} excerpts; a covariance takes 2 or more"
        raise noted.none_usable(message)
    measured = Statistics.of(rows, settings=state)
    if out and draft:
        statistics.save(out, measured)
        draft.unlink(missing_ok=True)
    return StatsResult(path, measured, noted.skipped, n_done)


def _worker(config: FeatureConfig, about: Mapping[str, Any], *, keep_rows: bool) -> Any:
    """Load the model in a worker."""
    features = SoundFeatures(config, keep_rows=keep_rows)
    check_same(features.about, about)
    return partial(_extracted, features)


def _extracted(
    features: SoundFeatures, file: Path
) -> Iterator[tuple[dict[str, Any], FeatureSet, int]]:
    stamp = records.stamp(file)  # first: a change while it is read shows next time
    yield stamp, *features.extract(file)


def _resumed(
    places: Iterable[Path | None], features: SoundFeatures, files: Mapping[str, Path]
) -> tuple[FeatureSet, dict[str, Any]]:
    """Return the features and the state of an earlier run of these files, or empty ones."""
    for place in places:
        if place is None or not place.exists():
            continue
        before = load_statistics(place)
        state = json.loads(json.dumps(before.settings))
        if "features" not in state or "files" not in state:
            raise ParameterError(f"{place} is there and of another tool; name another file")
        here = {**features.about, "code": features.code}
        if changes := differences({**state["features"], "code": state.get("code", "")}, here):
            raise ParameterError(
                f"{place} holds other settings ({changes}); name another file, or delete it"
            )
        if gone := [name for name in state["files"] if not _is_there(name, state, files)]:
            raise ParameterError(
                f"{place} holds {gone[0]}, which is not in the folder or has changed; "
                "delete it to measure all files again"
            )
        if features.keep_rows and (before.rows is None or "excerpts" not in state):
            raise ParameterError(
                f"{place} holds mean and covariance without the features of each file; name "
                "another file, or delete it"
            )
        return before.features(), {**state, "versions": dict(records.versions())}
    state = {"features": dict(features.about), "code": features.code, "files": {}, "rates": {}}
    return FeatureSet.none(), {**state, "excerpts": {}, "versions": dict(records.versions())}


def _save(path: Path, rows: FeatureSet, state: Mapping[str, Any]) -> None:
    if rows.n_rows >= 2:  # one row has no covariance to write
        statistics.save(path, Statistics.of(rows, settings=state))


def _is_there(name: str, state: Mapping[str, Any], files: Mapping[str, Path]) -> bool:
    """Return whether a file that was measured is there, with the content that it had."""
    stamp = state["files"][name]
    return name in files and isinstance(stamp, dict) and records.is_unchanged(files[name], stamp)
