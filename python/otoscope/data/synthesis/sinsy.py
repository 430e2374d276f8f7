"""Sampled singing of a score with the singing synthesiser sinsy, through pysinsy.

The voice is NIT SONG070 F001 (Nagoya Institute of Technology, CC-BY 3.0: redistributed renderings
must name it). Sung intervals come from the synthesiser itself, not from listening.
"""

from __future__ import annotations

import tempfile
import warnings
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

import numpy as np
import scipy  # imports its modules lazily
from numpy.typing import NDArray

from otoscope.data.synthesis.score import SYLLABLES, Score
from otoscope.data.synthesis.song import SungInterval, frame_truth
from otoscope.errors import require_extra
from otoscope.signal.audio.files import mono

__all__ = ["sing", "versions"]

_PIP_LINE = "pip install cython 'setuptools<81' && pip install --no-build-isolation pysinsy==0.0.5"
_KANA = dict(
    zip(
        SYLLABLES,
        "あいうえおかきくけこさしすせそたちつてとなにぬねのはひふへほまみむめもらりるれろ",
        strict=True,
    )
)
_STEPS = ("C", "C", "D", "D", "E", "F", "F", "G", "G", "A", "A", "B")
_SHARPS = (1, 3, 6, 8, 10)
_PAUSES = ("pau", "sil", "br", "xx")


def sing(
    score: Score, *, sr: int, tract: float = 0.55, formants: int = 0
) -> tuple[NDArray[np.float32], list[SungInterval]]:
    """Sing a score; return the waveform, float32, and the sung intervals in seconds.

    ``tract`` is the all-pass constant that warps the frequency axis: lower for a shorter vocal
    tract; 0.52 to 0.58 sound like different singers. ``formants`` is the shift of the
    formants in semitones: the score is sung lower and slower by as much, and played faster.
    """
    speed = 2 ** (formants / 12)
    lower = tuple(replace(note, pitch=note.pitch - formants) for note in score.notes)
    score = replace(score, tempo_bpm=score.tempo_bpm / speed, notes=lower)
    pysinsy = _pysinsy()
    singer = pysinsy.Sinsy()
    singer.setLanguages("j", pysinsy.get_default_dic_dir())
    singer.loadVoices(pysinsy.get_default_htsvoice())
    singer.setAlpha(tract)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "score.xml"
        path.write_text(_musicxml(score), encoding="utf-8")
        singer.loadScoreFromMusicXML(str(path))
    y, sinsy_sr = singer.synthesize()  # float64 on the scale of 16-bit integers
    voice, _ = mono(np.asarray(y) / 32768, sinsy_sr * speed, sr=sr)
    labels = _sung(singer.createLabelData(True, 1, 1).getData())
    sung = [(start / speed, end / speed) for start, end in labels]
    return _compress(voice.numpy(), sung, sr), sung


def versions() -> dict[str, str]:
    """Return the version of pysinsy, or raise MissingExtra."""
    return {"pysinsy": str(_pysinsy().__version__)}


def _compress(y: NDArray[np.float32], sung: list[SungInterval], sr: int) -> NDArray[np.float32]:
    """Compress the dynamics: notes of this voice differ by up to 30 dB. Pauses keep their level.

    Raised, the faint noise of the pauses would be audible.
    """
    level = np.sqrt(scipy.ndimage.gaussian_filter1d(np.square(y, dtype=np.float64), 0.06 * sr))
    level = np.maximum(level / np.quantile(level, 0.9), 0.01)
    strength = scipy.ndimage.gaussian_filter1d(
        frame_truth(sung, len(y), sr).astype(float), 0.02 * sr
    )
    return np.asarray(y * level ** (-0.8 * strength), np.float32)


def _sung(labels: list[str]) -> list[SungInterval]:
    """Join adjacent phones of lines "start end phone", in units of 1e-7 s."""
    sung: list[SungInterval] = []
    for label in labels:
        first, last, phone = label.split()
        start, end = int(first) / 1e7, int(last) / 1e7
        if phone in _PAUSES:
            continue
        if sung and start <= sung[-1][1]:
            sung[-1] = (sung[-1][0], max(end, sung[-1][1]))
        else:
            sung.append((start, end))
    return sung


def _musicxml(score: Score) -> str:
    """Write the melody as MusicXML with one kana per note."""
    bars: list[list[str]] = [[] for _ in score.chords]
    position = 0
    for note in score.notes:
        _rest(bars, position, note.start)
        alter = "<alter>1</alter>" if note.pitch % 12 in _SHARPS else ""
        bars[note.start // 16].append(
            f"<note><pitch><step>{_STEPS[note.pitch % 12]}</step>{alter}"
            f"<octave>{note.pitch // 12 - 1}</octave></pitch><duration>{note.length}</duration>"
            f"<lyric><syllabic>single</syllabic><text>{_KANA[note.syllable]}</text></lyric></note>"
        )
        position = note.end
    _rest(bars, position, 16 * len(bars))
    bars[0].insert(
        0,
        "<attributes><divisions>4</divisions><key><fifths>0</fifths><mode>major</mode></key>"
        "<time><beats>4</beats><beat-type>4</beat-type></time>"
        "<clef><sign>G</sign><line>2</line></clef></attributes>"
        f'<direction><sound tempo="{score.tempo_bpm:g}"/></direction>',
    )
    measures = "".join(
        f'<measure number="{number}">{"".join(bar)}</measure>' for number, bar in enumerate(bars, 1)
    )
    return (
        '<?xml version="1.0" encoding="UTF-8"?><score-partwise version="2.0"><part-list>'
        '<score-part id="P1"><part-name>voice</part-name></score-part></part-list>'
        f'<part id="P1">{measures}</part></score-partwise>'
    )


def _rest(bars: list[list[str]], start: int, end: int) -> None:
    """Add rests from ``start`` to ``end``, split at bar lines."""
    while start < end:
        length = min(end, 16 * (start // 16 + 1)) - start
        bars[start // 16].append(f"<note><rest/><duration>{length}</duration></note>")
        start += length


def _pysinsy() -> ModuleType:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pysinsy imports pkg_resources, which is deprecated
        if find_spec("pysinsy"):  # and which setuptools 81 does not have any more
            require_extra("pkg_resources", "singing", command=_PIP_LINE)
        return require_extra("pysinsy", "singing", command=_PIP_LINE)
