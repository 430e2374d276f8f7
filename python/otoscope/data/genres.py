"""A corpus of ten genres with artists: generated, of one level, with known ground truth.

A corpus is planned first, then each clip is rendered by the package's own band, or by mma's and
fluidsynth's. A clip depends on its plan alone. Waveforms are float32 [sample].
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from otoscope.data import corpus
from otoscope.data.synthesis import band, mma
from otoscope.data.synthesis.genres import GENRES
from otoscope.data.synthesis.mixing import levelled, mixed
from otoscope.data.synthesis.score import compose
from otoscope.errors import ParameterError
from otoscope.progress import Progress, silent
from otoscope.seeds import numpy_generator

__all__ = ["GenreClip", "GenreRecipe", "plan_genres", "render_genre", "write_genres"]

_REPERTOIRE = 2  # grooves that an artist of mma plays


@dataclass(frozen=True)
class GenreRecipe:
    """Settings of a corpus of genres.

    Parameters
    ----------
    genres : tuple of str
        Genres, names in `otoscope.data.synthesis.genres.GENRES`; clips take turns.
    n_groups : int
        Number of artists per genre, >= 1. An artist has a manner of playing, a tone, a room, and
        one of the timbres.
    band : {"synth", "mma"}
        Instruments: the package's own, or mma's grooves played by fluidsynth.
    timbres : tuple of str, optional
        SoundFont files for mma; artists take turns. Default: two.
    seconds : float
        Length of a clip, in seconds, >= 4.
    sr : int
        Sample rate in Hz, >= 8000.

    Raises
    ------
    ParameterError
        If a setting is out of range.

    Examples
    --------
    >>> GenreRecipe(genres=("jazz", "rock")).sounds
    ('own',)
    """

    genres: tuple[str, ...] = tuple(GENRES)
    n_groups: int = 8
    band: str = "synth"
    timbres: tuple[str, ...] | None = None
    seconds: float = 30.0
    sr: int = 22050

    def __post_init__(self) -> None:
        unknown = [genre for genre in self.genres if genre not in GENRES]
        if unknown or not self.genres or len(set(self.genres)) < len(self.genres):
            raise ParameterError(
                f"genres are {self.genres}: need one or more of {', '.join(GENRES)}, each once"
            )
        if self.n_groups < 1 or not self.seconds >= 4 or self.sr < 8000:
            raise ParameterError(
                f"n_groups is {self.n_groups}, seconds {self.seconds}, sr {self.sr}: "
                "need n_groups >= 1, seconds >= 4, sr >= 8000"
            )
        if self.band not in ("synth", "mma"):
            raise ParameterError(f"band is {self.band!r}, must be 'synth' or 'mma'")
        if self.timbres is not None and (self.band != "mma" or not self.timbres):
            raise ParameterError(
                f"timbres are {self.timbres}: SoundFont files, one at least, of band 'mma'"
            )

    @property
    def sounds(self) -> tuple[str, ...]:
        """Timbres, or the default ones."""
        default = (mma.SOUNDFONT, mma.SECOND_SOUNDFONT) if self.band == "mma" else ("own",)
        return self.timbres or default


@dataclass(frozen=True)
class GenreClip:
    """Ground truth of a clip; with the recipe, it determines the waveform.

    Parameters
    ----------
    name : str
        Name, ``genre/genre.00000``, as GTZAN's.
    genre : str
        Genre, one of `otoscope.data.synthesis.genres.GENRES`.
    group : str
        Artist.
    timbre : str
        SoundFont file of the artist, or "own".
    seed, group_seed : tuple of int
        Seeds of the performance and of the artist.

    Examples
    --------
    >>> plan_genres(1)[0].name
    'blues/blues.00000'
    """

    name: str
    genre: str
    group: str
    timbre: str
    seed: tuple[int, ...]
    group_seed: tuple[int, ...]


def plan_genres(
    n: int, seed: int = 0, *, recipe: GenreRecipe | None = None
) -> tuple[GenreClip, ...]:
    """Plan the clips of a corpus.

    Parameters
    ----------
    n : int
        Number of clips, >= 1; a multiple of genres times artists is balanced. Clip i depends on
        ``seed``, the recipe and i only.
    seed : int, default 0
        Random seed, >= 0.
    recipe : GenreRecipe, optional
        Settings of the corpus.

    Returns
    -------
    tuple of GenreClip
        Clips; genres take turns, and within a genre the artists.

    Raises
    ------
    ParameterError
        If ``n`` or ``seed`` is out of range.

    Examples
    --------
    >>> clips = plan_genres(40, recipe=GenreRecipe(("jazz",), n_groups=2))
    >>> sorted({clip.group for clip in clips})
    ['jazz-0', 'jazz-1']
    """
    recipe = recipe or GenreRecipe()
    if n < 1 or seed < 0:
        raise ParameterError(f"n is {n} and seed {seed}: need n >= 1 and seed >= 0")
    clips = []
    for index in range(n):
        number, which = divmod(index, len(recipe.genres))
        genre, artist = recipe.genres[which], number % recipe.n_groups
        clips.append(
            GenreClip(
                name=f"{genre}/{genre}.{number:05d}",
                genre=genre,
                group=f"{genre}-{artist}",
                timbre=recipe.sounds[artist % len(recipe.sounds)],
                seed=(seed, index, 1),
                group_seed=(seed, artist, 1 + [*GENRES].index(genre)),
            )
        )
    return tuple(clips)


def render_genre(clip: GenreClip, recipe: GenreRecipe | None = None) -> NDArray[np.float32]:
    """Render a clip.

    Parameters
    ----------
    clip : GenreClip
        Clip of `plan_genres`.
    recipe : GenreRecipe, optional
        Length, sample rate and band.

    Returns
    -------
    ndarray [sample], float32
        Waveform with a root mean square of 0.05.

    Raises
    ------
    MissingExtra
        If mma is selected, and mma, fluidsynth or the SoundFont is not installed.

    Examples
    --------
    >>> recipe = GenreRecipe(seconds=4)
    >>> y = render_genre(plan_genres(1)[0], recipe)
    >>> y.shape, round(float(np.sqrt(np.mean(y**2))), 3)
    ((88200,), 0.05)
    """
    recipe = recipe or GenreRecipe()
    genre, n_samples = GENRES[clip.genre], round(recipe.seconds * recipe.sr)
    artist_rng, mix_rng = numpy_generator(*clip.group_seed).spawn(2)
    rng = numpy_generator(*clip.seed)
    low, high = genre.tempi
    middle = int(artist_rng.integers(low, high + 1))  # an artist's tempi are alike
    tempi = (max(low, middle - 8), min(high, middle + 8))
    score = compose(rng, seconds=recipe.seconds + 4, tempi=tempi)  # 4 s: a bar at 60 bpm
    if recipe.band == "mma":
        repertoire = artist_rng.permutation(genre.grooves)[:_REPERTOIRE]
        groove = str(rng.choice(repertoire))
        seed = int(rng.integers(1, 2**31))
        played = mma.accompany(score, groove, seed=seed, sr=recipe.sr, soundfont=clip.timbre)
        y = played.astype(np.float64)
    else:
        style = _manner(genre.style, artist_rng)
        y = band.accompany(score, sr=recipe.sr, n_samples=n_samples, rng=rng, style=style)
    y = np.resize(y, n_samples) if len(y) < n_samples else y[:n_samples]
    return levelled(mixed(y, recipe.sr, mix_rng))


def write_genres(
    out_dir: str | Path,
    n: int,
    seed: int = 0,
    *,
    recipe: GenreRecipe | None = None,
    progress: Progress = silent,
) -> Path:
    """Write a corpus: one folder of clips per genre, and a manifest with the ground truth.

    Parameters
    ----------
    out_dir : str or Path
        Output folder. An interrupted or smaller corpus of the same settings is continued.
    n : int
        Number of clips, >= 1.
    seed : int, default 0
        Random seed, >= 0.
    recipe : GenreRecipe, optional
        Settings of the corpus.
    progress : bool or callable
        True shows a bar.

    Returns
    -------
    Path
        Manifest in JSON Lines, one record per clip: file, its SHA-256, fields of `GenreClip`,
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
    >>> recipe = GenreRecipe(("hymn",), seconds=4)
    >>> write_genres(tempfile.mkdtemp(), n=1, recipe=recipe).name
    'manifest.jsonl'
    """
    recipe = recipe or GenreRecipe()
    tools = [mma.versions(soundfont) for soundfont in recipe.sounds if recipe.band == "mma"]
    return corpus.write_clips(
        Path(out_dir),
        plan_genres(n, seed, recipe=recipe),
        lambda clip: render_genre(clip, recipe),
        sr=recipe.sr,
        seed=seed,
        made={"recipe": recipe, "tools": tools},
        progress=progress,
    )


def _manner(style: band.BandStyle, rng: np.random.Generator) -> band.BandStyle:
    """Draw what an artist always plays: pattern and instrument of the accompaniment."""
    drums, bass, accompanying = (
        (choices[rng.integers(len(choices))],)
        for choices in (style.drums, style.bass, style.accompanying)
    )
    return replace(style, drums=drums, bass=bass, accompanying=accompanying)  # type: ignore[arg-type]
