"""The page of a song: one map of contributions over its whole length, and its sound."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from otoscope.errors import ParameterError
from otoscope.protocols import Patch, Sound, read_sound
from otoscope.records import to_json
from otoscope.report.geometry import loudness_png, mask_png, mel_ticks, polyline, waveform
from otoscope.report.methods.paragraphs import record_methods
from otoscope.report.numbers import Tick, decimals, signed, ticks
from otoscope.report.pages import Fact, in_script, save_page
from otoscope.report.sounds import data_uris
from otoscope.signal import librosa_mel

__all__ = ["SongMap", "save_song", "song_map"]

_MOST_SECONDS = 600.0
_SR = 22050  # of the page's sound, at most
_FRAME_SECONDS = 0.02
_BANDS = 64
_NAMED = 3
_STRONG = 0.5  # of the largest mean contribution

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class SongMap:
    """Hold the mean contributions of a song's places, over the excerpts that hold them.

    Parameters
    ----------
    values : ndarray [frame, band]
        Mean contribution; 0 where no excerpt lies.
    count : ndarray [frame]
        Number of excerpts that hold a frame.
    """

    values: Floats
    count: NDArray[np.int64]


def song_map(
    rows: Sequence[Mapping[str, Any]],
    seconds: Floats,
    hz: Floats,
    *,
    measure: str = "coefficients",
) -> SongMap:
    """Average the contributions of overlapping excerpts at each place of a song.

    Parameters
    ----------
    rows : sequence of dict
        Records of explanations, `Explanation.to_record`, of excerpts of one song.
    seconds : ndarray [frame]
        Time of each frame.
    hz : ndarray [band]
        Frequency of each band.
    measure : {"coefficients", "shapley"}
        Contribution of a segment.

    Returns
    -------
    SongMap
        A frame has the mean, over the excerpts that hold it, of the contribution of its segment.

    Examples
    --------
    >>> extent = {"seconds": [0.0, 1.0], "hz": None}
    >>> row = {"coefficients": [0.5], "extents": [extent]}
    >>> song_map([row], np.array([0.5, 1.5]), np.array([100.0])).values.tolist()
    [[0.5], [0.0]]
    """
    sums = np.zeros((len(seconds), len(hz)))
    count = np.zeros(len(seconds), np.int64)
    for row in rows:
        inside = np.zeros(len(seconds), bool)
        for extent, value in zip(row["extents"], row[measure], strict=True):
            begin, end = np.searchsorted(seconds, extent["seconds"])
            low, high = extent["hz"] or (-np.inf, np.inf)
            bands = (hz >= low) & (hz < high) if np.isfinite(low) else np.ones(len(hz), bool)
            sums[begin:end, bands] += value
            inside[begin:end] = True
        count += inside
    return SongMap(sums / np.maximum(count, 1)[:, None], count)


def save_song(
    rows: Iterable[Mapping[str, Any]],
    sound: Sound,
    path: str | os.PathLike[str],
    *,
    title: str = "Song",
) -> None:
    """Write one map over a whole song, with its sound and a cursor that moves over both.

    Parameters
    ----------
    rows : iterable of dict
        Records of explanations, `Explanation.to_record`, of excerpts that begin at regular
        distances. Those with an ``error`` are counted only.
    sound : file or (y, sr)
        The song.
    path : str or PathLike
        HTML file to write, whole or not at all.
    title : str
        Heading. Any text; it is escaped.

    Raises
    ------
    ParameterError
        If no record has an explanation with its seconds, they explain several outputs, or the song
        lasts more than ten minutes.
    OSError
        If the folder is missing or cannot be written.

    Notes
    -----
    The contribution at a place is the mean over the excerpts that hold it; bands are those of the
    segments, where they have frequencies. Outputs are drawn at the centres of the excerpts.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from otoscope.explain import SoundLIME
    >>> from otoscope.models import load
    >>> model, y = load("synth-singing"), torch.randn(66150)
    >>> lime = SoundLIME(model, segments="temporal:5", content="zero")
    >>> explained = lime.explain(model.patches((y, 22050), [0.0, 1.0]))
    >>> path = Path(tempfile.mkdtemp()) / "song.html"
    >>> save_song([explanation.to_record() for explanation in explained], (y, 22050), path)
    """
    listed = list(rows)
    explained = [row for row in listed if not row.get("error")]
    _check(explained, len(listed))
    patch = _picture(sound)
    frames = np.arange(len(patch.values), dtype=np.float64)
    seconds: Floats = np.asarray(patch.start + (frames + 0.5) * _hop(patch), np.float64)
    assert patch.mel_hz is not None  # noqa: S101 - for mypy
    made = song_map(explained, seconds, patch.mel_hz.double().numpy())
    target = explained[0]["target"]
    duration = patch.duration or 0.0
    save_page(
        _SongPage(
            title=title,
            about=_about(explained, len(listed) - len(explained), duration),
            sentence=_sentence(made, seconds, target),
            target=target,
            size=tuple(patch.values.shape),
            spectrogram=loudness_png(patch),
            maps=_maps(made),
            waveform=waveform(patch),
            outputs=_outputs(explained, duration),
            value_ticks=ticks(*_bounds(explained), most=3),
            mel_ticks=mel_ticks(patch),
            time_ticks=ticks(0.0, duration, most=9),
            seconds=round(duration, 3),
            sound=_sound(patch),
            facts=_facts(explained, made),
            json=in_script(to_json(_numbers(explained, made, seconds, target))),
        ),
        "song.html",
        path,
        methods=record_methods(explained),
    )


@dataclass(frozen=True)
class _SongPage:
    """The page of a song; ``maps`` are masks by side, ``outputs`` a path."""

    title: str
    about: str
    sentence: str
    target: str
    size: tuple[int, ...]
    spectrogram: str
    maps: dict[str, str]
    waveform: str
    outputs: str
    value_ticks: list[Tick]
    mel_ticks: list[Tick]
    time_ticks: list[Tick]
    seconds: float
    sound: str
    facts: list[Fact]
    json: str


def _check(explained: Sequence[Mapping[str, Any]], n: int) -> None:
    if not explained:
        raise ParameterError(f"none of {n} records has an explanation to draw")
    if len(targets := {row["target"] for row in explained}) > 1:
        raise ParameterError(
            f"the records explain {', '.join(sorted(targets))}; a map shows one output: name it "
            "as the target"
        )
    if any(extent.get("seconds") is None for row in explained for extent in row["extents"]):
        raise ParameterError("the records do not know their seconds: explain excerpts of a sound")


def _picture(sound: Sound) -> Patch:
    """Draw a song as a log-mel spectrogram, the same for every model."""
    y, sr = read_sound(sound)
    assert sr is not None  # noqa: S101 - a file or a pair has one
    if (lasts := len(y) / sr) > _MOST_SECONDS:
        raise ParameterError(
            f"the song lasts {lasts:.0f} s; a page holds up to {_MOST_SECONDS:.0f} s: cut the file"
        )
    if sr > _SR:
        y, sr = read_sound(sound, _SR)[0], float(_SR)
    hop = max(1, round(_FRAME_SECONDS * sr))
    n_fft = 1 << (2 * hop - 1).bit_length()
    front_end = librosa_mel(sr=round(sr), n_fft=n_fft, hop_length=hop, n_mels=_BANDS)
    return Patch(front_end.log_mel(y), y=y, sr=sr, hop_length=hop, mel_hz=front_end.mel_hz)


def _hop(patch: Patch) -> float:
    return (patch.hop_length or 1) / (patch.sr or 1.0)


def _maps(made: SongMap) -> dict[str, str]:
    """Draw positive and negative contributions as masks, relative to the largest."""
    values = torch.from_numpy(made.values)
    largest = float(values.abs().max()) or 1.0
    return {
        side: mask_png((sign * values / largest).clamp(0, 1))
        for side, sign in (("for", 1), ("against", -1))
    }


def _centres(rows: Sequence[Mapping[str, Any]]) -> list[float]:
    ends = [[end for extent in row["extents"] for end in extent["seconds"]] for row in rows]
    return [(min(of_row) + max(of_row)) / 2 for of_row in ends]


def _bounds(rows: Sequence[Mapping[str, Any]]) -> tuple[float, float]:
    """Return the ends of the axis of outputs: 0 to 1 where they are probabilities."""
    values = [float(row["output_all"]) for row in rows]
    low, high = min(0.0, *values), max(0.0, *values)
    return (low, 1.0) if low == 0 and high <= 1 else (low, high)


def _outputs(rows: Sequence[Mapping[str, Any]], duration: float) -> str:
    low, high = _bounds(rows)
    points = sorted(zip(_centres(rows), rows, strict=True), key=lambda point: point[0])
    x = [100 * centre / duration for centre, _ in points]
    y = [100 * (row["output_all"] - low) / (high - low) for _, row in points]
    return polyline([0.0, *x, 100.0], [y[0], *y, y[-1]])


def _sound(patch: Patch) -> str:
    assert patch.y is not None  # noqa: S101 - for mypy
    return data_uris([patch.y], sr=round(patch.sr or 0))[0]


def _sentence(made: SongMap, seconds: Floats, target: str) -> str:
    """Name the places at which the contributions are largest."""
    by_frame = made.values.mean(1)
    largest = float(by_frame.max())
    if largest <= 0:
        return f"Nothing in this song speaks for “{target}” on average."
    half = (seconds[1] - seconds[0]) / 2 if len(seconds) > 1 else 0.0
    runs = [
        [i for i, _ in group]
        for is_strong, group in groupby(
            enumerate(by_frame >= _STRONG * largest), key=lambda pair: bool(pair[1])
        )
        if is_strong
    ]
    best = sorted(runs, key=lambda run: -float(by_frame[run].max()))[:_NAMED]
    places = [
        f"{decimals(seconds[run[0]] - half, 1)}–{decimals(seconds[run[-1]] + half, 1)} s "
        f"({signed(float(by_frame[run].max()))})"
        for run in sorted(best)
    ]
    return f"“{target}” rests most on {', '.join(places)}."


def _numbers(
    rows: Sequence[Mapping[str, Any]], made: SongMap, seconds: Floats, target: str
) -> dict[str, Any]:
    """Return what the page draws as numbers: contributions by runs of equal frames, outputs."""
    by_frame = made.values.mean(1)
    first = np.flatnonzero(np.diff(by_frame, prepend=np.nan) != 0)
    half = (seconds[1] - seconds[0]) / 2 if len(seconds) > 1 else 0.0
    ends = [*first[1:], len(seconds)]
    runs = [
        {
            "start": round(float(seconds[a] - half), 3),
            "end": round(float(seconds[b - 1] + half), 3),
            "contribution": float(by_frame[a]),
            "excerpts": int(made.count[a]),
        }
        for a, b in zip(first, ends, strict=True)
    ]
    centres = zip(_centres(rows), rows, strict=True)
    outputs = [{"second": centre, "output": row["output_all"]} for centre, row in centres]
    return {"target": target, "map": runs, "outputs": outputs}


def _about(rows: Sequence[Mapping[str, Any]], n_failed: int, duration: float) -> str:
    failed = f" · {n_failed} could not be explained" if n_failed else ""
    return f"{decimals(duration, 1)} s · {len(rows)} excerpts{failed}"


def _facts(rows: Sequence[Mapping[str, Any]], made: SongMap) -> list[Fact]:
    settings = rows[0].get("settings") or {}
    named = [
        Fact(label, str(settings[name]))
        for label, name in (("Model", "model"), ("Segments", "segments"), ("Content", "content"))
        if settings.get(name)
    ]
    most = int(made.count.max())
    passes = [float(row["passes"]) for row in rows if row.get("passes") is not None]
    work = [Fact("Passes", f"{sum(passes):,.0f}", "work of the model for all excerpts")]
    return [
        *named,
        Fact("Excerpts", str(len(rows)), f"at most {most} hold a place, whose mean is drawn"),
        *(work if passes else []),
    ]
