"""Sounds of single notes, for a player that asks for a folder of samples."""

from __future__ import annotations

from functools import lru_cache

import torch

from otoscope.folk.report.sound import play_note
from otoscope.signal import encode_audio

__all__ = ["note_wav"]

_SR = 22050
_SECONDS = 1.8
_NAMES = {
    f"{name}{octave}": 12 * (octave + 1) + step
    for octave in range(9)
    for step, name in enumerate(("C", "Db", "D", "Eb", "E", "F", "Gb", "G", "Ab", "A", "Bb", "B"))
}


@lru_cache(maxsize=128)
def note_wav(name: str) -> bytes | None:
    """Return the sound of a note as WAV: "A4", "Bb3"; None if there is no such note."""
    pitch = _NAMES.get(name)
    if pitch is None:
        return None
    return encode_audio(torch.from_numpy(play_note(pitch, _SECONDS, sr=_SR)), sr=_SR, format="WAV")
