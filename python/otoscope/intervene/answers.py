"""Right answers under a change: they stay, are transposed, are scaled, or follow a function.

A pitch tracker that hears a pitch shift answers with other pitches, and is right. An intervention
therefore declares how a right answer moves (``moves``), and `moved_answer` moves it. Answers are

* texts: the same, or a key ("C# minor", "Eb:maj") that is transposed by semitones;
* numbers: a tempo in bpm, or a pitch in Hz;
* arrays [event]: times in seconds, such as beats;
* pairs of arrays (times [frame], values [frame]): a contour, such as pitch in Hz.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np

from otoscope.errors import ParameterError

if TYPE_CHECKING:
    from otoscope.intervene.base import Intervention

__all__ = ["MOVES", "Moves", "common_duration", "cut_answer", "moved_answer"]

Moves: TypeAlias = "Literal['same', 'transposed', 'scaled'] | Callable[[Any, Intervention], Any]"
"""How a right answer moves; a function maps the answer and the intervention to the moved answer."""

MOVES = ("same", "transposed", "scaled")

_KEY = re.compile(r"([A-Ga-g])([#b♯♭]*)(.*)", re.DOTALL)
_STEPS = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
_NAMES = ("C", "C#", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")


def moved_answer(answer: Any, intervention: Intervention) -> Any:
    """Move a right answer as the intervention declares.

    Parameters
    ----------
    answer : str, number, array [event], or pair of arrays [frame]
        Right answer to the unchanged item.
    intervention : Intervention
        Change, with ``moves``.

    Returns
    -------
    str, number or arrays
        Right answer to the changed item, of the same kind. Texts name keys with sharps and flats as
        they are common: C# and Eb.

    Raises
    ------
    ParameterError
        If the intervention changes no pitch (or time) that the answer could follow, or a key is
        transposed by a fraction of a semitone or cannot be read.

    Examples
    --------
    >>> from otoscope.intervene import Pitch, Tempo
    >>> moved_answer("C major", Pitch(-300, moves="transposed"))
    'A major'
    >>> round(moved_answer(120.0, Tempo(10, moves="scaled")), 6)
    132.0
    >>> moved_answer(np.array([0.5, 1.0]), Tempo(100, moves="scaled")).tolist()
    [0.25, 0.5]
    """
    moves = intervention.moves
    if moves == "same" or not intervention.dose:
        return answer
    if callable(moves):
        return moves(answer, intervention)
    ratio = intervention.pitch_ratio if moves == "transposed" else intervention.time_ratio
    if ratio is None:
        changed = "pitch" if moves == "transposed" else "tempo"
        raise ParameterError(f"{intervention} changes no {changed}; an answer is not {moves} by it")
    if isinstance(answer, str):
        if moves == "scaled":
            raise ParameterError(f"answer {answer!r} is a text, which cannot be scaled")
        return _transposed_key(answer, 12 * np.log2(ratio))
    if isinstance(answer, tuple):
        times, values = (np.asarray(part, dtype=float) for part in answer)
        return (times, values * ratio) if moves == "transposed" else (times / ratio, values)
    values = np.asarray(answer, dtype=float)
    if values.ndim == 0:
        return float(values) * ratio
    return values * ratio if moves == "transposed" else values / ratio


def common_duration(intervention: Intervention, duration: float) -> float:
    """Return how much of a rendering shows what the unchanged item shows, in seconds.

    A faster rendering of the same duration has more of the sound, a slower one less.
    """
    ratio = intervention.time_ratio
    return duration if ratio is None else duration * min(1.0, 1 / ratio)


def cut_answer(answer: Any, end: float) -> Any:
    """Leave out events and frames from ``end`` (in seconds) on; texts and numbers stay."""
    if isinstance(answer, tuple):
        times, values = (np.asarray(part) for part in answer)
        return times[times < end], values[times < end]
    if isinstance(answer, str) or np.ndim(answer) == 0:
        return answer
    times = np.asarray(answer)
    return times[times < end]


def _transposed_key(key: str, semitones: float) -> str:
    if abs(semitones - round(semitones)) > 1e-6:
        raise ParameterError(
            f"key {key!r} is transposed by {semitones:.3g} semitones; choose doses of 100 cents"
        )
    match = _KEY.fullmatch(key)
    if match is None:
        raise ParameterError(f"answer {key!r} is no key: it must begin with a note, as 'C# minor'")
    note, signs, rest = match.groups()
    step = _STEPS[note.upper()] + sum({"#": 1, "♯": 1, "b": -1, "♭": -1}[sign] for sign in signs)
    name = _NAMES[(step + round(semitones)) % 12]
    return (name.lower() if note.islower() else name) + rest
