"""Speech of made-up sentences by espeak-ng, whose library comes in a wheel of pip."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from otoscope.data.synthesis.score import SYLLABLES
from otoscope.errors import ParameterError, require_extra
from otoscope.signal.audio.files import resampled

__all__ = ["VOICES", "speak", "versions"]

VOICES = tuple(
    f"{language}+{speaker}"
    for language in ("en-us", "en-gb-x-rp", "de", "fr", "it", "es", "pt", "nl", "sv", "pl")
    for speaker in ("m1", "m3", "m7", "f1", "f2", "f4")
)
"""Languages and speakers by espeak-ng's names."""

_PIP_LINE = "pip install espeakng-loader==0.2.4"
_SHORTEST = 0.5  # seconds of a sentence and its pause


def speak(
    rng: np.random.Generator, *, seconds: float, sr: int, voices: tuple[str, ...] = VOICES
) -> NDArray[np.float32]:
    """Speak random sentences with pauses, float32 [sample] of ``seconds``, with peak 1.

    Voice, pitch and rate are drawn once; words are made of random syllables, read by the rules of
    the voice's language.
    """
    voice = voices[rng.integers(len(voices))]
    rate, pitch = int(rng.integers(120, 210)), int(rng.integers(25, 75))
    n_samples = round(seconds * sr)
    sentences = [_sentence(rng) for _ in range(int(seconds / _SHORTEST) + 1)]
    pauses = [round(sr * pause) for pause in rng.uniform(0.2, 1.5, len(sentences))]
    y = np.zeros(n_samples, np.float32)
    position = int(rng.integers(sr))
    for sentence, pause in zip(_spoken(sentences, voice, rate, pitch, sr), pauses, strict=True):
        part = sentence[: max(0, n_samples - position)]
        y[position : position + len(part)] = part
        position += len(sentence) + pause
    return np.asarray(y / (np.abs(y).max() or 1.0), np.float32)


def versions() -> dict[str, str]:
    """Return the version of the wheel of espeak-ng, or raise MissingExtra."""
    require_extra("espeakng_loader", "singing", command=_PIP_LINE)
    return {"espeakng-loader": version("espeakng-loader")}


def _sentence(rng: np.random.Generator) -> str:
    words = ["".join(rng.choice(SYLLABLES, rng.integers(1, 4))) for _ in range(rng.integers(4, 10))]
    return " ".join(words) + "."


def _spoken(
    sentences: list[str], voice: str, rate: int, pitch: int, sr: int
) -> list[NDArray[np.float32]]:
    loader = require_extra("espeakng_loader", "singing", command=_PIP_LINE)
    settings = {
        "library": loader.get_library_path(),
        "data": loader.get_data_path(),
        "voice": voice,
        "rate": rate,
        "pitch": pitch,
        "sentences": sentences,
    }
    program = Path(__file__).with_name("espeak_process.py")
    finished = subprocess.run(
        [sys.executable, "-I", str(program)],
        input=json.dumps(settings).encode(),
        capture_output=True,
    )
    if finished.returncode:
        *_, last = finished.stderr.decode("utf-8", "replace").split("\n")[:-1] or [
            "it says nothing"
        ]
        raise ParameterError(f"espeak-ng failed with status {finished.returncode}: {last}")
    espeak_sr, content = int.from_bytes(finished.stdout[:4], "little"), finished.stdout[4:]
    spoken = []
    while content:
        end = 4 + int.from_bytes(content[:4], "little")
        y = np.frombuffer(content[4:end], "<i2") / np.float32(32768)
        spoken.append(resampled(torch.from_numpy(y), espeak_sr, sr).numpy())
        content = content[end:]
    return spoken
