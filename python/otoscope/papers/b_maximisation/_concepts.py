"""Concepts that excerpts of songs have or lack: from stems, manifests, the sound, and a tagger."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from otoscope import models, records
from otoscope.data import load_stems
from otoscope.papers.a_soundlime._excerpts import SongStems
from otoscope.papers.b_maximisation._naming import SongTable
from otoscope.signal.audio.files import resampled

__all__ = ["read_concepts", "song_facts"]

_VOICE_DB = -40.0  # below the voice's loudest frame: there it is silent
_FRAME = 0.02  # seconds
_TOP = 0.75  # quantile of a tag's probability from which an excerpt has the tag
_LEAST_TAG = 0.2  # a tag that is never as probable is left out

Columns = dict[str, NDArray[np.float64]]


def read_concepts(
    songs: Iterable[SongStems],
    numbers: Sequence[int],
    *,
    model: Any,
    hop: int,
    facts: Sequence[Mapping[str, bool]],
    tagger: Any = None,
) -> SongTable:
    """Read the concepts of all excerpts.

    Parameters
    ----------
    songs : iterable of SongStems
        Stems, at the model's rate.
    numbers : sequence of int
        Number of excerpts of each song; they begin at frame 0, ``hop``, 2 ``hop``, ...
    model : ListeningModel
        Model whose excerpts these are.
    hop : int
        Frames between excerpts.
    facts : sequence of mapping
        What is true of each song as a whole, by concept.
    tagger : ListeningModel, optional
        Tagger whose outputs become concepts.

    Returns
    -------
    SongTable
        Concepts: "voice" in at least half of the excerpt, "loud" and "bright" (above the median of
        all excerpts), those of the facts, and tags that are among the most probable quarter of
        excerpts.
    """
    measured: list[Columns] = []
    for n, stems in zip(numbers, songs, strict=True):
        starts = np.arange(n) * hop * model.hop_length / model.sample_rate
        columns = _measured(stems, starts, model)
        if tagger is not None:
            columns |= _tags(stems, starts, model, tagger, every=hop * model.hop_length)
        measured.append(columns)
    joined = {name: np.concatenate([song[name] for song in measured]) for name in measured[0]}
    truths: dict[str, NDArray[np.bool_]] = {"voice": joined.pop("voice") >= 0.5}
    for name in ("loud", "bright"):
        values = joined.pop(name)
        truths[name] = values > np.median(values)
    for name in dict.fromkeys(name for song in facts for name in song):
        of_song = [bool(song.get(name, False)) for song in facts]
        truths[name] = np.repeat(of_song, numbers)
    for name, values in joined.items():
        if values.max() >= _LEAST_TAG:
            truths[name] = values > np.quantile(values, _TOP)
    return SongTable(
        tuple(truths), np.stack([*truths.values()], 1), np.repeat(np.arange(len(numbers)), numbers)
    )


def song_facts(folder: Path | None, names: Sequence[str]) -> list[dict[str, bool]]:
    """Read what the manifest of ``otoscope corpus singing`` says of songs; nothing without one.

    Styles, SoundFonts, a leading instrument, speech, a tempo above the median, and a melody whose
    mean pitch is below it.
    """
    manifest = None if folder is None else folder / "manifest.jsonl"
    if folder is None or manifest is None or not manifest.is_file():
        return [{} for _ in names]
    by_song = {str(record["key"]): record for record in records.stream(manifest)}
    chosen = [by_song.get(song.name, {}) for song in load_stems(folder)[: len(names)]]
    pitches = [_mean_pitch(record) for record in chosen]
    tempi = [float(record.get("tempo_bpm") or np.nan) for record in chosen]
    facts = []
    for record, pitch, tempo in zip(chosen, pitches, tempi, strict=True):
        others = record.get("others") or ()
        of_song = {"lead instrument": "lead" in others, "speech": "speech" in others}
        for kind, field in (("style", "groove"), ("SoundFont", "soundfont")):
            if record.get(field):
                of_song[f"{kind} {record[field]}"] = True
        if np.isfinite([*tempi, *pitches]).all():
            of_song["fast"] = tempo > float(np.median(tempi))
            of_song["low melody"] = pitch < float(np.median(pitches))
        facts.append(of_song)
    return facts


def _mean_pitch(record: Mapping[str, Any]) -> float:
    notes = record.get("notes") or ()
    return float(np.mean([note[2] for note in notes])) if notes else float("nan")


def _measured(stems: SongStems, starts: NDArray[np.float64], model: Any) -> Columns:
    """Measure the fraction of each excerpt with voice, its level, and its spectral centroid."""
    sr, n = model.sample_rate, model.patch_frames * model.hop_length
    frame = max(1, round(_FRAME * sr))
    level = _frames(stems.voice, frame).square().mean(1).clamp(min=1e-20).log10() * 10
    is_voice = (level > level.max() + _VOICE_DB) & (level > -100)
    mix = (stems.voice + stems.backing).double()
    columns: dict[str, list[float]] = {"voice": [], "loud": [], "bright": []}
    for start in starts:
        first = round(float(start) * sr)
        inside = is_voice[first // frame : max(first // frame + 1, (first + n) // frame)]
        columns["voice"].append(float(inside.double().mean()) if len(inside) else 0.0)
        y = mix[first : first + n]
        columns["loud"].append(float(y.square().mean().clamp(min=1e-20).log10()))
        power = torch.fft.rfft(y).abs().square()
        hz = torch.arange(len(power), dtype=torch.float64)
        columns["bright"].append(float((hz * power).sum() / power.sum().clamp(min=1e-20)))
    return {name: np.array(values) for name, values in columns.items()}


def _frames(y: Tensor, length: int) -> Tensor:
    n = max(1, len(y) // length)
    return (
        torch.nn.functional.pad(y, (0, max(0, n * length - len(y))))[: n * length]
        .double()
        .view(n, length)
    )


def _tags(
    stems: SongStems, starts: NDArray[np.float64], model: Any, tagger: Any, *, every: int
) -> Columns:
    """Return the outputs of a tagger for its excerpt whose centre is nearest to each excerpt's."""
    y = resampled(stems.voice + stems.backing, model.sample_rate, tagger.sample_rate)
    seconds = every / model.sample_rate
    hop = max(1, round(seconds * tagger.sample_rate / tagger.hop_length))
    heard = models.timeline(tagger, y, hop=hop, padded=True)
    centres = starts + model.patch_frames * model.hop_length / model.sample_rate / 2
    nearest = np.abs(heard.centres.numpy()[:, None] - centres).argmin(0)
    outputs = heard.outputs.double().numpy()[nearest]
    return {f"tag {name}": outputs[:, i] for i, name in enumerate(tagger.output_names)}
