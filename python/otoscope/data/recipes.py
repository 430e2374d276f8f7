"""Recipes of singing corpora: singers, styles, instruments, levels."""

from __future__ import annotations

from dataclasses import dataclass

from otoscope.data.synthesis import mma
from otoscope.errors import ParameterError

__all__ = ["SINGING_RECIPES", "Singer", "SingingRecipe"]


@dataclass(frozen=True)
class Singer:
    """Ranges of a sampled singer's settings, both ends included.

    Parameters
    ----------
    tract : (float, float)
        All-pass constant: lower for a shorter vocal tract, about 0.49 to 0.61.
    formants : (int, int)
        Shift of the formants, in semitones.
    transpose : (int, int)
        Shift of the melody, in semitones.

    Examples
    --------
    >>> Singer(formants=(-6, -3), transpose=(-12, -7)).tract
    (0.52, 0.58)
    """

    tract: tuple[float, float] = (0.52, 0.58)
    formants: tuple[int, int] = (0, 0)
    transpose: tuple[int, int] = (0, 0)


@dataclass(frozen=True)
class SingingRecipe:
    """Settings of a singing corpus.

    Parameters
    ----------
    seconds : float
        Length of a song, in seconds, >= 4.
    sr : int
        Sample rate in Hz.
    snr_db : float or (float, float)
        Level of the voice over the accompaniment, in dB, measured in the sung intervals; or a range
        from which each song's level is drawn.
    soundfont : str or tuple of str
        SoundFont file of the accompaniment, or several, one of which each song draws.
    grooves : tuple of str
        Styles in 4/4, by mma's names.
    tempi : (int, int)
        Range of tempo in beats per minute.
    singers : tuple of Singer
        Singers, one of whom each song draws.
    lead : float
        Probability that an instrument with a voice's pitches, glides and vibrato plays a melody of
        its own.
    speech : float
        Probability that somebody speaks, which is not sung.

    Examples
    --------
    >>> SingingRecipe(snr_db=0.0).seconds
    12.0
    """

    seconds: float = 12.0
    sr: int = 22050
    snr_db: float | tuple[float, float] = 6.0
    soundfont: str | tuple[str, ...] = mma.SOUNDFONT
    grooves: tuple[str, ...] = mma.GROOVES
    tempi: tuple[int, int] = (84, 132)
    singers: tuple[Singer, ...] = (Singer(),)
    lead: float = 0.0
    speech: float = 0.0

    def __post_init__(self) -> None:
        for name in ("grooves", "singers"):
            if not getattr(self, name):
                raise ParameterError(f"{name} is empty, must name one at least")
        for name in ("lead", "speech"):
            if not 0 <= getattr(self, name) <= 1:
                raise ParameterError(f"{name} is {getattr(self, name)}, must be in [0, 1]")
        low, high = self.tempi
        if not 60 <= low <= high <= 240:
            raise ParameterError(f"tempi is {self.tempi}, must be a range in [60, 240]")

    @property
    def soundfonts(self) -> tuple[str, ...]:
        """SoundFont files."""
        return (self.soundfont,) if isinstance(self.soundfont, str) else self.soundfont


SINGING_RECIPES = {
    "plain": SingingRecipe(),
    "varied": SingingRecipe(
        seconds=20.0,
        snr_db=(-3.0, 12.0),
        soundfont=(mma.SOUNDFONT, mma.THIRD_SOUNDFONT),
        grooves=mma.MORE_GROOVES,
        tempi=(70, 150),
        singers=(
            Singer(formants=(-2, 2), transpose=(-3, 3)),
            Singer(tract=(0.53, 0.59), formants=(-6, -3), transpose=(-12, -7)),
            Singer(tract=(0.52, 0.55), formants=(2, 4), transpose=(2, 6)),
        ),
        lead=0.5,
        speech=0.3,
    ),
    "held-out": SingingRecipe(
        seconds=20.0,
        snr_db=(-3.0, 12.0),
        soundfont=mma.SECOND_SOUNDFONT,
        grooves=mma.HELD_OUT_GROOVES,
        tempi=(75, 145),
        singers=(
            Singer(tract=(0.49, 0.515), formants=(-1, 3), transpose=(-2, 5)),
            Singer(tract=(0.595, 0.61), formants=(-5, -1), transpose=(-11, -4)),
        ),
        lead=0.5,
        speech=0.3,
    ),
}
"""Recipes by name: "varied" to train detectors, "held-out" to test them with singers, styles and
instruments that "varied" does not have."""
