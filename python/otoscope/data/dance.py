"""Dance corpora with controlled confounding of style and tempo, and known ground truth.

A corpus is planned first, as a list of clips without sound; then each clip is rendered by drum
synthesis or by mma's bands. A clip depends on its plan alone. Waveforms are float32 [sample], all
of the same level.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from otoscope.data import corpus
from otoscope.data.synthesis import mma
from otoscope.data.synthesis.drums import TIMBRES, draw_kit, drum
from otoscope.data.synthesis.mixing import levelled, mixed
from otoscope.data.synthesis.score import CHORDS, Score
from otoscope.data.synthesis.styles import STYLES
from otoscope.errors import ParameterError
from otoscope.progress import Progress, silent
from otoscope.seeds import numpy_generator

__all__ = ["DanceClip", "DanceRecipe", "plan_dance", "render_dance", "write_dance"]


@dataclass(frozen=True)
class DanceRecipe:
    """Settings of a dance corpus.

    Parameters
    ----------
    styles : tuple of str
        Styles, names in `otoscope.data.synthesis.styles.STYLES`; clips take turns.
    confounding : float
        Probability, in [0, 1], that a clip's tempo is drawn from the range of its style instead of
        the common range. 1: tempo reveals the style; 0: tempo and style are independent.
    tempo_bpm : (float, float), optional
        Common range of tempo in beats per minute, upper end excluded. Default: the range of all
        styles.
    n_groups : int
        Number of artists per style; each has its own sound and manner of playing.
    shared_groups : bool
        If True, the same artists play every style; if False, the artist reveals the style.
    band : {"drums", "mma"}
        Instruments: synthesised drums, or bands of mma and fluidsynth.
    timbres : tuple of str, optional
        Names of drum kits, or SoundFont files for mma; artists take turns. Default: two timbres.
    seconds : float
        Length of a clip, in seconds, >= 2.
    sr : int
        Sample rate in Hz, >= 8000.

    Raises
    ------
    ParameterError
        If a setting is out of range.

    Examples
    --------
    >>> DanceRecipe(styles=("Waltz", "Rumba")).tempo_range
    (80, 102)
    """

    styles: tuple[str, ...] = tuple(STYLES)
    confounding: float = 0.0
    tempo_bpm: tuple[float, float] | None = None
    n_groups: int = 4
    shared_groups: bool = False
    band: str = "drums"
    timbres: tuple[str, ...] | None = None
    seconds: float = 10.0
    sr: int = 22050

    def __post_init__(self) -> None:
        unknown = [style for style in self.styles if style not in STYLES]
        if unknown or not self.styles or len(set(self.styles)) < len(self.styles):
            raise ParameterError(
                f"styles are {self.styles}: need one or more of {', '.join(STYLES)}, each once"
            )
        if not 0 <= self.confounding <= 1:
            raise ParameterError(f"confounding is {self.confounding}, must be in [0, 1]")
        low, high = self.tempo_range
        if not 30 <= low < high <= 400:
            raise ParameterError(f"tempo_bpm is ({low}, {high}): need 30 <= low < high <= 400")
        if self.n_groups < 1 or not self.seconds >= 2 or self.sr < 8000:
            raise ParameterError(
                f"n_groups is {self.n_groups}, seconds {self.seconds}, sr {self.sr}: "
                "need n_groups >= 1, seconds >= 2, sr >= 8000"
            )
        if self.band not in ("drums", "mma"):
            raise ParameterError(f"band is {self.band!r}, must be 'drums' or 'mma'")
        if self.timbres == () or (self.band == "drums" and set(self.sounds) - set(TIMBRES)):
            raise ParameterError(f"timbres are {self.timbres}: drums have {', '.join(TIMBRES)}")

    @property
    def tempo_range(self) -> tuple[float, float]:
        """Common range of tempo, in beats per minute."""
        own = [STYLES[style].tempo_bpm for style in self.styles]
        return self.tempo_bpm or (min(low for low, _ in own), max(high for _, high in own))

    @property
    def sounds(self) -> tuple[str, ...]:
        """Timbres, or the default ones."""
        default = (mma.SOUNDFONT, mma.SECOND_SOUNDFONT) if self.band == "mma" else tuple(TIMBRES)
        return self.timbres or default


@dataclass(frozen=True)
class DanceClip:
    """Ground truth of a clip; with the recipe, it determines the waveform.

    Parameters
    ----------
    name : str
        Name, ``style/style-0000``.
    style : str
        Style, one of `otoscope.data.synthesis.styles.STYLES`.
    tempo_bpm : float
        Tempo in beats per minute. `dataclasses.replace` changes the tempo of the same performance.
    meter : int
        Beats per bar.
    group : str
        Artist.
    timbre : str
        Drum kit or SoundFont file of the artist.
    seed, group_seed : tuple of int
        Seeds of the performance and of the artist.

    Examples
    --------
    >>> plan_dance(1)[0].name
    'Waltz/Waltz-0000'
    """

    name: str
    style: str
    tempo_bpm: float
    meter: int
    group: str
    timbre: str
    seed: tuple[int, ...]
    group_seed: tuple[int, ...]


def plan_dance(
    n: int, seed: int = 0, *, recipe: DanceRecipe | None = None
) -> tuple[DanceClip, ...]:
    """Plan the clips of a corpus.

    Parameters
    ----------
    n : int
        Number of clips, >= 1; a multiple of styles times groups is balanced. Clip i depends on
        ``seed``, the recipe and i only.
    seed : int, default 0
        Random seed, >= 0.
    recipe : DanceRecipe, optional
        Settings of the corpus. A different ``confounding`` changes the tempi only.

    Returns
    -------
    tuple of DanceClip
        Clips; tempi are whole numbers, uniform in log-tempo.

    Raises
    ------
    ParameterError
        If ``n`` or ``seed`` is out of range.

    Examples
    --------
    >>> clips = plan_dance(16, recipe=DanceRecipe(confounding=1.0))
    >>> {clip.tempo_bpm < 90 for clip in clips if clip.style == "Waltz"}
    {True}
    """
    recipe = recipe or DanceRecipe()
    if n < 1 or seed < 0:
        raise ParameterError(f"n is {n} and seed {seed}: need n >= 1 and seed >= 0")
    return tuple(_plan_clip(index, seed, recipe) for index in range(n))


def render_dance(clip: DanceClip, recipe: DanceRecipe | None = None) -> NDArray[np.float32]:
    """Render a clip.

    Parameters
    ----------
    clip : DanceClip
        Clip of `plan_dance`, or a copy changed by `dataclasses.replace`.
    recipe : DanceRecipe, optional
        Length, sample rate and band.

    Returns
    -------
    ndarray [sample], float32
        Waveform with a root mean square of 0.05.

    Raises
    ------
    MissingExtra
        If mma is selected, and mma, fluidsynth or the SoundFont is not installed.
    ParameterError
        If the timbre is unknown, or mma is selected and the tempo is not a whole number.

    Examples
    --------
    >>> y = render_dance(plan_dance(1)[0])
    >>> y.shape, round(float(np.sqrt(np.mean(y**2))), 3)
    ((220500,), 0.05)
    """
    recipe = recipe or DanceRecipe()
    artist_rng, mix_rng = numpy_generator(*clip.group_seed).spawn(2)
    play = _play_mma if recipe.band == "mma" else _play_drums
    return levelled(mixed(play(clip, recipe, artist_rng), recipe.sr, mix_rng))


def write_dance(
    out_dir: str | Path,
    n: int,
    seed: int = 0,
    *,
    recipe: DanceRecipe | None = None,
    progress: Progress = silent,
) -> Path:
    """Write a corpus: one folder of clips per style, and a manifest with the ground truth.

    Parameters
    ----------
    out_dir : str or Path
        Output folder. An interrupted or smaller corpus of the same settings is continued.
    n : int
        Number of clips, >= 1.
    seed : int, default 0
        Random seed, >= 0.
    recipe : DanceRecipe, optional
        Settings of the corpus.
    progress : bool or callable
        True shows a bar.

    Returns
    -------
    Path
        Manifest in JSON Lines, one record per clip: file, its SHA-256, fields of `DanceClip`,
        recipe, and the versions of mma's tools if used. A clip whose file is gone or has changed is
        rendered again.

    Raises
    ------
    MissingExtra
        If mma is selected and a tool is not installed; nothing is written.
    ParameterError
        If ``n`` or ``seed`` is out of range, the folder holds a corpus of other settings or tools,
        or another process writes to it.

    Examples
    --------
    >>> import tempfile
    >>> write_dance(tempfile.mkdtemp(), n=2).name
    'manifest.jsonl'
    """
    recipe = recipe or DanceRecipe()
    tools = [mma.versions(soundfont) for soundfont in recipe.sounds if recipe.band == "mma"]
    return corpus.write_clips(
        Path(out_dir),
        plan_dance(n, seed, recipe=recipe),
        lambda clip: render_dance(clip, recipe),
        sr=recipe.sr,
        seed=seed,
        made={"recipe": recipe, "tools": tools},
        progress=progress,
    )


def _plan_clip(index: int, seed: int, recipe: DanceRecipe) -> DanceClip:
    style_index = index % len(recipe.styles)
    style = recipe.styles[style_index]
    artist = index // len(recipe.styles) % recipe.n_groups
    chance, height = numpy_generator(seed, index).random(2)
    low, high = STYLES[style].tempo_bpm if chance < recipe.confounding else recipe.tempo_range
    owner = "artist" if recipe.shared_groups else style
    return DanceClip(
        name=f"{style}/{style}-{index // len(recipe.styles):04d}",
        style=style,
        tempo_bpm=float(int(low * (high / low) ** height)),
        meter=STYLES[style].meter,
        group=f"{owner}-{artist}",
        timbre=recipe.sounds[artist % len(recipe.sounds)],
        seed=(seed, index, 1),
        group_seed=(seed, artist, 0 if recipe.shared_groups else 1 + list(STYLES).index(style)),
    )


def _play_drums(
    clip: DanceClip, recipe: DanceRecipe, artist_rng: np.random.Generator
) -> NDArray[np.float64]:
    return drum(
        STYLES[clip.style],
        draw_kit(clip.timbre, artist_rng),
        tempo_bpm=clip.tempo_bpm,
        sr=recipe.sr,
        n_samples=round(recipe.seconds * recipe.sr),
        rng=numpy_generator(*clip.seed),
    )


def _play_mma(
    clip: DanceClip, recipe: DanceRecipe, artist_rng: np.random.Generator
) -> NDArray[np.float64]:
    """Play the groove of the style on four chords, from a random point of the first bar."""
    if clip.tempo_bpm != int(clip.tempo_bpm):
        raise ParameterError(f"tempo_bpm is {clip.tempo_bpm}; mma plays whole beats per minute")
    rng = numpy_generator(*clip.seed)
    bar_seconds = 60 * clip.meter / clip.tempo_bpm
    loop = [str(chord) for chord in rng.choice(list(CHORDS), 4)]
    chords = tuple(loop[bar % 4] for bar in range(int(recipe.seconds / bar_seconds) + 2))
    y = mma.accompany(
        Score(int(clip.tempo_bpm), int(artist_rng.integers(-5, 6)), chords, ()),
        STYLES[clip.style].groove,
        seed=int(rng.integers(1, 2**31)),
        sr=recipe.sr,
        soundfont=clip.timbre,
    )
    first = int(rng.random() * bar_seconds * recipe.sr)
    return y[first : first + round(recipe.seconds * recipe.sr)].astype(np.float64)
