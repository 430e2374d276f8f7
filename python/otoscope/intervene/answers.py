"""Right answers under a change: they stay, move as it says, or follow a function.

A pitch tracker that hears a pitch shift answers with other pitches, and is right. An intervention
therefore declares how a right answer moves (``moves``), and `moved_answer` moves it. Answers are

* texts: the same, or a key ("C# minor", "Eb:maj") that is transposed by semitones;
* numbers: a tempo in bpm, or a pitch in Hz;
* arrays [event]: times in seconds, such as beats;
* pairs of arrays (times [frame], values [frame]): a contour, such as pitch in Hz;
* mappings of names to numbers, and arrays of two axes or more: ratings, an embedding; they stay.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np
from torch import Tensor

from otoscope.errors import ParameterError

if TYPE_CHECKING:
    from otoscope.intervene.base import Intervention

__all__ = [
    "ANSWERS",
    "MOVES",
    "AnswerKind",
    "Moves",
    "answer_from_text",
    "answer_to_text",
    "as_answer",
    "checked_answer",
    "common_duration",
    "cut_answer",
    "described_answer",
    "key_name",
    "moved_answer",
    "moves_of",
]

Moves: TypeAlias = (
    "Literal['same', 'transposed', 'scaled', 'shifted'] | Callable[[Any, Intervention], Any]"
)
"""How a right answer moves; a function maps the answer and the intervention to the moved answer."""

MOVES = ("same", "transposed", "scaled", "shifted")

AnswerKind: TypeAlias = Literal["pitch", "beats", "tempo", "key"]
"""Kind of answers whose moves are known: see `moves_of`."""

ANSWERS: Mapping[AnswerKind, tuple[str, ...]] = {
    "pitch": ("transposed", "scaled", "shifted"),
    "beats": ("scaled", "shifted"),
    "tempo": ("scaled",),
    "key": ("transposed",),
}
"""Moves that each kind of answers follows."""

_FORMS: Mapping[AnswerKind, str] = {
    "pitch": "a pair of finite arrays of one length: times in s, pitches in Hz (0: none)",
    "beats": "an array of finite times in s",
    "tempo": "a finite number >= 0, in bpm",
    "key": "a text that begins with a note, in major or minor, as 'C# minor' or 'Eb:maj'",
}

_KEY = re.compile(r"([A-Ga-g])([#b♯♭]*)(m|[ :].*)?")
_MODES = ("", "m", "min", "minor", "maj", "major")
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
    amount = _amount(moves, intervention)
    if amount is None:
        changed = {"transposed": "pitch", "scaled": "tempo", "shifted": "beginning"}[moves]
        raise ParameterError(f"{intervention} changes no {changed}; an answer is not {moves} by it")
    if isinstance(answer, str):
        if moves != "transposed":
            raise ParameterError(f"answer {answer!r} is a text, which cannot be {moves}")
        return _transposed_key(answer, 12 * np.log2(amount))
    if isinstance(answer, tuple):
        times, values = (np.asarray(part, dtype=float) for part in answer)
        if moves == "transposed":
            return times, values * amount
        moved = _moved_times(times, moves, amount)
        return moved[moved >= 0], values[moved >= 0]
    if isinstance(answer, Mapping) or np.ndim(answer) > 1:
        raise ParameterError(f"ratings and embeddings cannot be {moves}; moves must be a function")
    values = np.asarray(answer, dtype=float)
    if moves == "transposed":
        return values * amount if values.ndim else float(values) * amount
    if values.ndim == 0:
        return float(values) * (amount if moves == "scaled" else 1)
    moved = _moved_times(values, moves, amount)
    return moved[moved >= 0]


def moves_of(kind: AnswerKind, intervention: Intervention) -> Moves:
    """Say how right answers of a kind move under an intervention.

    Parameters
    ----------
    kind : {"pitch", "beats", "tempo", "key"}
        Kind of the answers.
    intervention : Intervention
        Change. A function that it declares as ``moves`` is kept.

    Returns
    -------
    {"same", "transposed", "scaled", "shifted"} or callable
        Pitches and keys follow a change of pitch, tempi and times one of tempo, and times one of
        the beginning; all else stays.

    Raises
    ------
    ParameterError
        If the kind is unknown, or the intervention is a chain by which answers move in several
        ways.

    Examples
    --------
    >>> from otoscope.intervene import Pitch, Tempo
    >>> moves_of("key", Pitch(100)), moves_of("key", Tempo(6)), moves_of("beats", Tempo(6))
    ('transposed', 'same', 'scaled')
    """
    if kind not in ANSWERS:
        raise ParameterError(f"answers is {kind!r}, must be one of {', '.join(ANSWERS)}")
    if callable(intervention.moves):
        return intervention.moves
    followed: list[Any] = [m for m in ANSWERS[kind] if _amount(m, intervention) is not None]
    if len(followed) > 1:
        raise ParameterError(
            f"{intervention}: a {kind} answer is {' and '.join(followed)} by it; moves must be a "
            "function"
        )
    return followed[0] if followed else "same"


def checked_answer(kind: AnswerKind, answer: Any) -> Any:
    """Return an answer of a kind in the form that it must have.

    Parameters
    ----------
    kind : {"pitch", "beats", "tempo", "key"}
        Kind of the answer.
    answer : object
        Answer of a system; Tensors become arrays.

    Returns
    -------
    str, float, array [event], or pair of arrays [frame]
        The answer; times in ascending order.

    Raises
    ------
    ParameterError
        If the answer has another form, or is NaN, infinite or negative.

    Examples
    --------
    >>> checked_answer("beats", [1.0, 0.5]).tolist()
    [0.5, 1.0]
    """
    try:
        if kind == "key":
            match = _KEY.fullmatch(answer) if isinstance(answer, str) else None
            is_right = match is not None and _mode(match) in _MODES
            made: Any = answer
        elif kind == "pitch":
            made = tuple(np.asarray(part, dtype=float) for part in answer)
            is_right = len(made) == 2 and made[0].ndim == 1 and made[0].shape == made[1].shape
            is_right = is_right and all(_is_number(part) for part in made)
            if is_right:
                order = np.argsort(made[0], kind="stable")
                made = made[0][order], made[1][order]
        else:
            values = np.asarray(answer, dtype=float)
            is_right = values.ndim == (kind == "beats") and _is_number(values)
            made = np.sort(values) if values.ndim else float(values)
    except (TypeError, ValueError):
        is_right = False
    if not is_right:
        raise ParameterError(f"the answer is {_shortened(answer)}, must be {_FORMS[kind]}")
    return made


def as_answer(answer: Any) -> Any:
    """Return an answer with arrays in place of Tensors."""
    if isinstance(answer, tuple):
        return tuple(map(as_answer, answer))
    return answer.detach().cpu().numpy() if isinstance(answer, Tensor) else answer


def key_name(key: str) -> str:
    """Write a key as mir_eval has it: "Eb minor"."""
    match = _KEY.fullmatch(_transposed_key(key, 0))
    note, signs = match.groups()[:2] if match else (key, "")
    is_minor = match is not None and _mode(match) in ("m", "min", "minor")
    return f"{note.upper()}{signs} {'minor' if is_minor else 'major'}"


def described_answer(answer: Any) -> str:
    """Describe an answer in a few characters."""
    if isinstance(answer, tuple):
        return f"{len(answer[0])} frames"
    if isinstance(answer, Mapping):
        return ", ".join(f"{name} {value:.3g}" for name, value in answer.items())
    if isinstance(answer, str) or np.ndim(answer) == 0:
        return str(answer)
    return f"{len(answer)} events" if np.ndim(answer) == 1 else f"array {np.shape(answer)}"


def answer_to_text(answer: Any) -> str:
    """Write an answer as JSON, for records; ParameterError if it is of no known form."""
    if isinstance(answer, tuple):
        content: Any = {"contour": [np.asarray(part).tolist() for part in answer]}
    elif isinstance(answer, Mapping):
        content = {"numbers": {str(name): float(value) for name, value in answer.items()}}
    elif isinstance(answer, str):
        content = answer
    else:
        content = np.asarray(answer).tolist()
    try:
        return json.dumps(content)
    except TypeError as err:
        raise ParameterError(
            f"the answer is {_shortened(answer)}, which no records hold; they hold texts, numbers, "
            "arrays, pairs of arrays, and mappings of names to numbers"
        ) from err


def answer_from_text(text: str) -> Any:
    """Read an answer that `answer_to_text` wrote."""
    content = json.loads(text)
    if isinstance(content, dict) and "contour" in content:
        return tuple(np.asarray(part) for part in content["contour"])
    if isinstance(content, dict):
        return content["numbers"]
    return np.asarray(content) if isinstance(content, list) else content


def common_duration(intervention: Intervention, duration: float) -> float:
    """Return how much of a rendering shows what the unchanged item shows, in seconds.

    A faster rendering of the same duration has more of the sound, a slower one less; one that
    begins later has sound at its end that the unchanged item has not.
    """
    ratio, shift = intervention.time_ratio, intervention.time_shift
    if not intervention.dose:
        return duration
    return duration * min(1.0, 1 / (ratio or 1.0)) + min(0.0, shift or 0.0)


def cut_answer(answer: Any, end: float) -> Any:
    """Leave out events and frames from ``end`` (in seconds) on; all else stays."""
    if isinstance(answer, tuple):
        times, values = (np.asarray(part) for part in answer)
        return times[times < end], values[times < end]
    if isinstance(answer, str | Mapping) or np.ndim(answer) != 1:
        return answer
    times = np.asarray(answer)
    return times[times < end]


def _amount(moves: str, intervention: Intervention) -> float | None:
    """Return the factor of pitches or tempi, or the shift in s, by which answers move."""
    if moves == "shifted":
        return intervention.time_shift
    return intervention.pitch_ratio if moves == "transposed" else intervention.time_ratio


def _moved_times(times: Any, moves: str, amount: float) -> Any:
    return times + amount if moves == "shifted" else times / amount


def _mode(key: re.Match[str]) -> str:
    """Return what follows the note: "minor" of "C#:minor"."""
    mode = (key.group(3) or "").strip(" :")
    return "major" if mode == "M" else mode.lower()


def _is_number(values: Any) -> bool:
    return bool(np.isfinite(values).all() and (values >= 0).all())


def _shortened(answer: Any) -> str:
    if isinstance(answer, tuple):
        text = f"({', '.join(map(_shortened, answer))})"
    elif getattr(answer, "ndim", 0) > 0:
        text = f"an array of shape {tuple(answer.shape)}"
        if answer.dtype.kind == "f" and not np.isfinite(answer).all():
            text += " with NaN or infinite values"
    else:
        text = repr(answer)
    return text if len(text) <= 160 else f"{text[:160]}..."


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
    return (name.lower() if note.islower() else name) + (rest or "")
