"""Sampled accompaniment of a score: mma arranges the chords in a style, fluidsynth plays them."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import tempfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from otoscope.data.synthesis.score import Score
from otoscope.errors import MissingExtra, ParameterError
from otoscope.signal.audio.files import read_audio

__all__ = [
    "GROOVES",
    "HELD_OUT_GROOVES",
    "MORE_GROOVES",
    "SECOND_SOUNDFONT",
    "SOUNDFONT",
    "SOUNDFONTS",
    "THIRD_SOUNDFONT",
    "accompany",
    "arrange",
    "play",
    "versions",
]

SOUNDFONT = "/usr/share/sounds/sf2/TimGM6mb.sf2"
SECOND_SOUNDFONT = "/usr/share/sounds/sf2/FluidR3_GM.sf2"
"""The same instruments in another timbre."""
THIRD_SOUNDFONT = "/usr/share/sounds/sf2/OPL-3_FM_128M.sf2"
"""The same instruments as a synthesiser of the 1990s imitates them."""
SOUNDFONTS = (SOUNDFONT, SECOND_SOUNDFONT, THIRD_SOUNDFONT)
"""Debian's SoundFonts of General MIDI that were made apart from each other."""

GROOVES = (
    "PopBallad", "Folk", "BasicRock", "CountrySwing", "BossaNova", "Ska", "8Beat", "RockBallad",
    "FolkRock", "Beguine", "Mambo", "PianoBallad",
)  # fmt: skip
"""Styles in 4/4, by mma's names."""

MORE_GROOVES = (
    *GROOVES, "Swing", "EasySwing", "Merengue", "HipHop", "House", "Salsa", "SlowRock", "FastBlues",
    "Foxtrot", "SlowJazz", "Bebop", "March", "Son", "CountryBlues", "JazzCombo",
)  # fmt: skip
HELD_OUT_GROOVES = (
    "Hymn", "JazzGuitar", "Polka", "BoneyM", "Trance", "BVFunk", "BlueGrass", "Rhumba", "Samba",
    "Tango", "MellowJazz", "Dixie", "Soul", "Zydeco",
)  # fmt: skip
"""Styles in 4/4 for songs that no detector of ours was trained on."""

_APT_LINE = "apt-get install -y mma fluidsynth timgm6mb-soundfont"


def accompany(
    score: Score, groove: str, *, seed: int, sr: int, soundfont: str = SOUNDFONT
) -> NDArray[np.float32]:
    """Play the chords of a score in a style (``groove``) of mma; float32, longer than the score.

    The result is the same, bit for bit, for the same seed. The sample rate is 8000 to 96000 Hz.
    """
    _check_installed(soundfont)
    return play(arrange(score, groove, seed=seed), sr=sr, soundfont=soundfont)


def arrange(score: Score, groove: str, *, seed: int) -> bytes:
    """Arrange the chords of a score in a style of mma: a Standard MIDI File, drums on channel 9."""
    _check_programs()
    # Without RndSeed as its first line mma is not reproducible.
    lines = [f"RndSeed {seed}", f"Tempo {score.tempo_bpm}", f"Transpose {score.key}"]
    lines += [f"Groove {groove}", *(f"{bar} {chord}" for bar, chord in enumerate(score.chords, 1))]
    with tempfile.TemporaryDirectory() as folder:
        source, midi = (Path(folder) / f"band.{suffix}" for suffix in ("mma", "mid"))
        source.write_text("\n".join(lines) + "\n", "utf-8", newline="\n")
        _run("mma", "-f", midi, source)
        return midi.read_bytes()


def play(midi: bytes, *, sr: int, soundfont: str = SOUNDFONT) -> NDArray[np.float32]:
    """Play a Standard MIDI File with fluidsynth; float32 [sample], with the last notes' decay."""
    _check_installed(soundfont)
    with tempfile.TemporaryDirectory() as folder:
        source, wav = (Path(folder) / f"band.{suffix}" for suffix in ("mid", "wav"))
        source.write_bytes(midi)
        flags = ("-ni", "-q", "-T", "wav", "-r", sr, "-g", "0.6")
        _run("fluidsynth", *flags, "-F", wav, soundfont, source)
        return read_audio(wav, sr=sr)[0].numpy()


def versions(*soundfonts: str) -> dict[str, str]:
    """Return the versions of mma and fluidsynth, and the SHA-256 of the SoundFonts."""
    soundfonts = soundfonts or (SOUNDFONT,)
    for soundfont in soundfonts:
        _check_installed(soundfont)
    return {
        "mma": _run("mma", "-v").split()[-1],
        "fluidsynth": _run("fluidsynth", "--version").split()[3],
        "soundfont_sha256": " ".join(
            hashlib.sha256(Path(soundfont).read_bytes()).hexdigest() for soundfont in soundfonts
        ),
    }


def _check_installed(soundfont: str) -> None:
    _check_programs()
    if not Path(soundfont).is_file():
        if soundfont == SOUNDFONT:
            raise MissingExtra(f"{soundfont} is not there; it comes with: {_APT_LINE}")
        packages = {SECOND_SOUNDFONT: "fluid-soundfont-gm", THIRD_SOUNDFONT: "opl3-soundfont"}
        if soundfont in packages:
            line = f"apt-get install -y {packages[soundfont]}"
            raise MissingExtra(f"{soundfont} is not there; it comes with: {line}")
        raise ParameterError(f"soundfont {soundfont} is not a file; name a SoundFont 2 (.sf2)")


def _check_programs() -> None:
    for program in ("mma", "fluidsynth"):
        if shutil.which(program) is None:
            raise MissingExtra(f"{program} is not installed; it comes with: {_APT_LINE}")


def _run(*command: object) -> str:
    finished = subprocess.run(
        [str(word) for word in command], capture_output=True, encoding="utf-8", errors="replace"
    )
    if finished.returncode:
        message = " ".join((finished.stdout + finished.stderr).split())
        raise ParameterError(
            f"{command[0]} failed with status {finished.returncode}: {message[-300:]}"
        )
    return finished.stdout
