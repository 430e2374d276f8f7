"""Test whether a high-pass filter finds a system that relies on inaudible tones.

Each class of synthetic dances gets a tone of its own below 20 Hz. A decision tree on the lowest
bins of the spectrum scores high because of them; four filters remove them and leave all audible
content.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from otoscope import records
from otoscope.data import DanceRecipe, plan_dance, render_dance
from otoscope.errors import ParameterError
from otoscope.intervene import HighPass, Interrogation, InterrogationResult, InterrogationSettings
from otoscope.papers.output import write_record
from otoscope.progress import Progress, silent, tracked
from otoscope.report import interrogation_record
from otoscope.report.figures import ResultTable, svg_figure
from otoscope.report.numbers import with_bounds
from otoscope.signal.rhythm.scale_transform import ScaleTransform

__all__ = ["FILTERS", "HorseInfrasoundConfig", "horse_infrasound", "low_spectrum"]

FILTERS = {
    "gentle": HighPass(20),
    "gentle, zero phase": HighPass(20, zero_phase=True),
    "steep": HighPass(20, design="steep"),
    "steep, zero phase": HighPass(20, design="steep", zero_phase=True),
}
"""Both designs, forward, and forward and backward."""

_SR = 11025
_HEARING_HZ = 20.0
_FLOOR = 1e-7  # power under which a bin is empty, of a full scale of 1


@dataclass(frozen=True)
class HorseInfrasoundConfig:
    """Tones, size of the corpus and filters of the experiment.

    Parameters
    ----------
    cues_hz : tuple of (str, float)
        Styles, and the tone of each, in [5, 20) Hz.
    cue_db : float
        Level of a tone relative to the music, in dB.
    n_artists : int
        Number of artists per style, >= 4; every other artist is tested.
    n_clips : int
        Number of clips per artist, >= 1.
    seconds : float
        Length of a clip in seconds, >= 5.
    filters : tuple of str
        Names of `FILTERS`.
    seed : int
        Random seed.

    Examples
    --------
    >>> HorseInfrasoundConfig.quick().filters
    ('gentle', 'steep, zero phase')
    """

    cues_hz: tuple[tuple[str, float], ...] = (
        ("Waltz", 12.0),
        ("Samba", 14.0),
        ("Tango", 16.0),
        ("Jive", 18.0),
    )
    cue_db: float = -20.0
    n_artists: int = 32
    n_clips: int = 2
    seconds: float = 10.0
    filters: tuple[str, ...] = tuple(FILTERS)
    seed: int = 0

    def __post_init__(self) -> None:
        if len(self.cues_hz) < 2 or not all(5 <= hz < _HEARING_HZ for _, hz in self.cues_hz):
            raise ParameterError(f"cues_hz are {self.cues_hz}; need two or more, in [5, 20) Hz")
        if self.n_artists < 4 or self.n_clips < 1 or self.seconds < 5:
            raise ParameterError(
                f"n_artists is {self.n_artists}, n_clips {self.n_clips}, seconds {self.seconds}; "
                "need >= 4, 1 and 5"
            )
        if not self.filters or set(self.filters) - set(FILTERS):
            raise ParameterError(f"filters are {self.filters}; need some of {', '.join(FILTERS)}")

    @classmethod
    def quick(cls) -> HorseInfrasoundConfig:
        """Return a small version: three styles, short clips, two filters."""
        return cls(
            cues_hz=cls.cues_hz[:3],
            n_artists=40,
            n_clips=1,
            seconds=5.0,
            filters=("gentle", "steep, zero phase"),
        )


@dataclass(frozen=True, eq=False)
class _Clips:
    sounds: Tensor
    style: NDArray[np.str_]
    artist: NDArray[np.str_]


def horse_infrasound(
    config: HorseInfrasoundConfig, out: Path, *, progress: Progress = silent
) -> list[ResultTable]:
    """Run the experiment: write its record and its figure.

    ``out`` gets ``horse_infrasound.json`` (configuration, table, curves and verdicts) and
    ``horse_infrasound.svg``. Returns the table: each system under each filter.

    References
    ----------
    Sturm (2016) :cite:`sturm2016horse`; Rodríguez-Algarra et al. (2016) :cite:`rodriguez2016`:
    systems that rely on content below 20 Hz.
    """
    began = time.monotonic()
    out.mkdir(parents=True, exist_ok=True)
    bare = _music(config, progress)
    planted = _with_cues(bare, config)
    pattern = ScaleTransform(sample_rate=_SR, n_fft=512, hop_length=128)
    systems: dict[str, tuple[_Clips, Callable[[Tensor], Tensor], str]] = {
        "low spectrum, tree": (planted, low_spectrum, "tree"),
        "low spectrum, LDA": (planted, low_spectrum, "LDA"),
        "low spectrum, tree, no cue": (bare, low_spectrum, "tree"),
        "patterns, LDA": (planted, pattern, "LDA"),
    }
    results = {
        name: _interrogated(*systems[name], config)
        for name in tracked(progress, list(systems), "systems")
    }
    tables = [_table(results)]
    record = {
        "settings": config,
        "seconds": round(time.monotonic() - began),
        "versions": records.versions(),
        "tables": tables,
        "found": {
            name: {design: interrogation_record(one, is_summary=True) for design, one in of.items()}
            for name, of in results.items()
        },
    }
    write_record(out / "horse_infrasound.json", record)
    _draw(results, out / "horse_infrasound.svg")
    return tables


def low_spectrum(sounds: Tensor, *, sr: float = _SR, low: int = 5, high: int = 100) -> Tensor:
    """Compute the levels of the lowest bands of sounds [item, sample], one per hertz.

    Returns Tensor [item, high - low] in dB of full scale, for bands from ``low`` to ``high`` Hz,
    not below -70 dB.

    Examples
    --------
    >>> tone = 0.1 * torch.sin(6.2832 * 15 * torch.arange(32000) / 8000)
    >>> low_spectrum(tone[None], sr=8000)[0, [5, 10]].round()
    tensor([-70., -23.])
    """
    n_samples = sounds.shape[-1]
    window = torch.hann_window(n_samples, dtype=torch.float64)
    amplitude = torch.fft.rfft(sounds.double() * window).abs() * (2 / 3) ** 0.5 * 2 / window.sum()
    band = (torch.arange(amplitude.shape[-1]) * sr / n_samples + 0.5).long()
    power = torch.zeros(len(sounds), int(band[-1]) + 1, dtype=torch.float64)
    power.index_add_(1, band, amplitude**2 / 2)
    return (10 * (power[:, low:high] + _FLOOR).log10()).float()


def _music(config: HorseInfrasoundConfig, progress: Progress) -> _Clips:
    """Perform dances at tempi that have nothing to do with their style."""
    styles = tuple(style for style, _ in config.cues_hz)
    recipe = DanceRecipe(styles=styles, n_groups=config.n_artists, seconds=config.seconds, sr=_SR)
    clips = plan_dance(len(styles) * config.n_artists * config.n_clips, config.seed, recipe=recipe)
    sounds = [
        torch.from_numpy(render_dance(clip, recipe)) for clip in tracked(progress, clips, "clips")
    ]
    return _Clips(
        torch.stack(sounds),
        np.array([clip.style for clip in clips]),
        np.array([clip.group for clip in clips]),
    )


def _with_cues(music: _Clips, config: HorseInfrasoundConfig) -> _Clips:
    """Add to each clip the tone of its style, in any phase."""
    cues = dict(config.cues_hz)
    hz = torch.tensor([cues[style] for style in music.style], dtype=torch.float64)
    phase = torch.rand(
        len(hz), generator=torch.Generator().manual_seed(config.seed), dtype=torch.float64
    )
    turns = hz[:, None] * torch.arange(music.sounds.shape[1]) / _SR + phase[:, None]
    level = music.sounds.double().square().mean(1, keepdim=True).sqrt()
    tones = (2 * 10 ** (config.cue_db / 10)) ** 0.5 * level * (2 * np.pi * turns).sin()
    return replace(music, sounds=(music.sounds + tones).float())


def _interrogated(
    clips: _Clips,
    described: Callable[[Tensor], Tensor],
    classifier: str,
    config: HorseInfrasoundConfig,
) -> dict[str, InterrogationResult]:
    """Train on every other artist, ask about the others under each filter."""
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from sklearn.tree import DecisionTreeClassifier

    model = make_pipeline(
        StandardScaler(),
        DecisionTreeClassifier(random_state=config.seed)
        if classifier == "tree"
        else LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto"),
    )
    number = np.array([int(artist.rsplit("-")[-1]) for artist in clips.artist])
    known, tested = np.flatnonzero(number % 2), np.flatnonzero(number % 2 == 0)
    model.fit(described(clips.sounds[known]).numpy(), clips.style[known])

    def predict(sounds: Tensor) -> list[str]:
        return [str(label) for label in model.predict(described(sounds).numpy())]

    interrogation = Interrogation(
        predict,
        clips.sounds[tested],
        clips.style[tested].tolist(),
        groups=clips.artist[tested].tolist(),
        settings=InterrogationSettings(sr=_SR, seed=config.seed),
    )
    return {design: interrogation.run([FILTERS[design]]) for design in config.filters}


def _table(results: dict[str, dict[str, InterrogationResult]]) -> ResultTable:
    rows = []
    for name, of_design in results.items():
        for design, one in of_design.items():
            (point,) = one.curves[0].points
            dealt = one.chance
            rows.append(
                (
                    name,
                    design,
                    with_bounds(one.baseline),
                    with_bounds(point.score),
                    "–" if dealt is None else f"{dealt.low:.2f} to {dealt.high:.2f}",
                    one.verdict.kind,
                )
            )
    columns = ("system", "high-pass 20 Hz", "unchanged", "filtered", "by chance", "verdict")
    return ResultTable("Systems under a high-pass filter", columns, tuple(rows))


def _draw(results: dict[str, dict[str, InterrogationResult]], path: Path) -> None:
    """Scores unchanged and filtered, with their intervals; dotted is chance."""
    with svg_figure(path, width=2.4 * len(results), height=2.7) as figure:
        panels: Sequence[Any] = figure.subplots(1, len(results), sharey=True)
        for panel, (name, of_design) in zip(panels, results.items(), strict=True):
            runs = list(of_design.values())
            scores = [runs[0].baseline, *(one.curves[0].points[0].score for one in runs)]
            places = range(len(scores))
            low, high = [one.low for one in scores], [one.high for one in scores]
            panel.vlines(places, low, high, "#1f6fb5")
            panel.plot(places, [one.value for one in scores], "o", color="#1f6fb5", ms=5)
            panel.axhline(1 / len(runs[0].classes), color="#8d9199", linestyle=":")
            panel.set_xticks(places, ["unchanged", *of_design], rotation=40, ha="right")
            panel.set(title=name, ylim=(-0.03, 1.03))
            panel.spines[["top", "right"]].set_visible(False)
        panels[0].set_ylabel("mean recall")
