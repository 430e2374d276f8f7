"""Songs by our own synthesiser: a voice-like and a backing stem, no file or package needed.

It sounds like a simple song and no better: its use is sound whose truth is known to the sample.
"""

from __future__ import annotations

from otoscope.data.synthesis.band import accompany
from otoscope.data.synthesis.score import compose
from otoscope.data.synthesis.song import Song, mix_stems
from otoscope.data.synthesis.voice import sing
from otoscope.errors import ParameterError
from otoscope.seeds import numpy_generator

__all__ = ["synthesise"]


def synthesise(seed: int, *, seconds: float = 10.0, sr: int = 22050, snr_db: float = 6.0) -> Song:
    """Make up a song and perform it.

    Parameters
    ----------
    seed : int
        At least 0; the same seed gives the same song, bit for bit on one machine. The score, the
        singer and the band are drawn apart: another ``snr_db`` leaves the stems as they are.
    seconds : float, default 10.0
        Length, at least 4.
    sr : int, default 22050
        Samples a second, at least 8000.
    snr_db : float, default 6.0
        Level of the voice where it sings, in dB over the backing's.

    Returns
    -------
    Song
        The stems as they are in the mix, and the sung intervals: phrases of about two seconds.

    Raises
    ------
    ParameterError
        If ``seed`` is negative, ``seconds`` below 4 or ``sr`` below 8000.

    Examples
    --------
    >>> song = synthesise(0, seconds=4.0, sr=16000)
    >>> song.mix.shape, song.mix.dtype
    ((64000,), dtype('float32'))
    """
    if seed < 0 or sr < 8000:
        raise ParameterError(f"seed is {seed} and sr {sr}: need seed >= 0 and sr >= 8000")
    compose_rng, voice_rng, band_rng = numpy_generator(seed).spawn(3)
    score = compose(compose_rng, seconds=seconds)
    n_samples = round(seconds * sr)
    return mix_stems(
        sing(score, sr=sr, n_samples=n_samples, rng=voice_rng),
        accompany(score, sr=sr, n_samples=n_samples, rng=band_rng),
        sr=sr,
        sung=score.phrases(),
        snr_db=snr_db,
    )
