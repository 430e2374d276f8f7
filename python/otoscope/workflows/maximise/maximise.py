"""Maximise a unit of a listening model, and compare the inputs with real excerpts.

Inputs start with the mean and the deviation of the real excerpts and stay above digital silence.
Real excerpts are read from sound files, each file once.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from inspect import signature
from pathlib import Path
from typing import Any, cast

from otoscope import records
from otoscope.errors import Advice, Argument, ParameterError, refuse_ignored
from otoscope.explain.maximise import (
    ActivationMaximiser,
    Ranking,
    RawPrior,
)
from otoscope.explain.maximise.maximiser import check_search
from otoscope.explain.maximise.unit import Index, Pool
from otoscope.progress import Progress, silent
from otoscope.protocols import model_name
from otoscope.report import maximisation
from otoscope.signal import write_audio
from otoscope.signal.audio.truncation import truncated_note
from otoscope.workflows.maximise.priors import (
    PRIORS,
    FittedPrior,
    Reservoir,
    choose_prior,
    ignored_settings,
    refuse_penalties,
    regularisers,
)
from otoscope.workflows.maximise.specimens import (
    N_SPECIMENS,
    RealExcerpts,
    layer_features,
    made_specimens,
    rank_settings,
    real_specimens,
    require_positions,
)
from otoscope.workflows.recording import FolderNotes, load_listening_model

__all__ = [
    "MaximiseConfig",
    "MaximiseResult",
    "maximise_unit",
    "save_maximise_folder",
    "save_maximise_page",
]

PAPER_GRID: Mapping[str, Any] = {
    name: signature(ActivationMaximiser.grid).parameters[name].default
    for name in ("rates", "penalties", "iterations")
}
"""Grid of settings in the paper."""

_UNCHOSEN = ((0.001,), PAPER_GRID["penalties"])  # penalties by default and of the grid

_LISTED = ("label", "activation", "origin", "of_sound")


@dataclass(frozen=True)
class MaximiseConfig:
    """Unit to maximise, method, and real sounds to compare with.

    Parameters
    ----------
    model : str
        Name of a model, a bundle, or FILE.py:FUNCTION; see `otoscope.models.load`.
    layer : str
        Layer of the network; the logits, not the probabilities.
    unit : str
        Unit or channel of the layer, averaged over its positions: 3. Or an index into the layer's
        output, such as 3,10,5 (one position of a map) or ...,3 (entry 3 of the last axis).
    minimise : bool
        Minimise the activation instead of maximising it.
    prior : {"auto", "gan", "maco", "fourier", "raw"}
        Parameterisation of the inputs: gan (a generator), maco (phases, with the magnitudes of the
        real excerpts), fourier or raw; auto is gan if the generator fits the model, else maco.
    generator : Path, optional
        Generator of otoscope train prior (its folder or a file of it), or prior-synth-full, which
        comes with the package (prior gan). By default prior-synth, which does too.
    l2 : float
        Weight of the sum of squares in the penalty (raw prior).
    variation : float
        Weight of the total variation in the penalty (raw prior).
    blur : float
        Standard deviation of a Gaussian blur, in cells; 0 is none (raw prior).
    blur_every : int
        Number of steps between blurs (raw prior).
    jitter : (int, int)
        Largest random shift of the input, in frames and in bands.
    pool : {"mean", "max"}
        Pooling of a map's positions into one activation: mean or max.
    rates : tuple of float
        Learning rates of Adam; one setting per value.
    penalties : tuple of float
        Weights of the penalty on the latent; one setting per value.
    iterations : tuple of int
        Numbers of iterations; one setting per value.
    seeds : int
        Number of searches per setting; two or more where a distance is needed.
    rank_layer : str, optional
        Layer whose Frechet distance ranks the settings. By default the unit's activations do.
    real : Path, optional
        Real sounds: a file or a folder. By default the songs that come with the package.
    every : float
        Distance between real excerpts, in seconds.
    seed : int
        Random seed of the first search.
    device : str
        Device that the model runs on: cpu or cuda.

    Raises
    ------
    ParameterError
        If a number is out of range, or the prior has no such regulariser.

    Examples
    --------
    >>> MaximiseConfig("synth-singing", "fc9").rates
    (0.01,)
    """

    model: str
    layer: str
    unit: str = "0"
    minimise: bool = False
    prior: str = "auto"
    generator: Path | None = None
    l2: float = 1.0
    variation: float = 0.0
    blur: float = 0.0
    blur_every: int = 10
    jitter: tuple[int, int] = (0, 0)
    pool: str = "mean"
    rates: tuple[float, ...] = (0.01,)
    penalties: tuple[float, ...] = (0.001,)
    iterations: tuple[int, ...] = (100,)
    seeds: int = 8
    rank_layer: str | None = None
    real: Path | None = None
    every: float = 0.5
    seed: int = 0
    device: str = "cpu"

    def __post_init__(self) -> None:
        check_search(self.rates, self.penalties, self.iterations, seeds=self.seeds, seed=self.seed)
        if self.prior not in PRIORS:
            raise ParameterError(f"prior is {self.prior!r}, must be one of {', '.join(PRIORS)}")
        RawPrior((1, 2, 2), self.l2, self.variation, self.blur, self.blur_every)  # its checks
        self.refuse_ignored()
        n_settings = len(self.rates) * len(self.penalties) * len(self.iterations)
        if self.seeds == 1 and (n_settings > 1 or self.rank_layer):
            raise ParameterError("seeds is 1: there is no distance from one search; take 2 or more")

    def refuse_ignored(self, given: Collection[str] = ()) -> None:
        """Refuse settings that change nothing; those ``given`` even if they are the defaults."""
        refuse_ignored([self], ignored_settings(self), given)
        refuse_penalties(self.prior, self.penalties, () if "penalty" in given else _UNCHOSEN)

    @property
    def index(self) -> Index:
        """Index of the unit in the layer's output."""
        parts = self.unit.replace(" ", "").split(",")
        if not all(re.fullmatch(r"\d+|\.\.\.", part) for part in parts):
            raise ParameterError(
                f"unit is {self.unit!r}, must be indices with commas: 3, or 3,10,5, or ...,3"
            )
        return tuple(... if part == "..." else int(part) for part in parts)


@dataclass(frozen=True, eq=False)
class MaximiseResult:
    """Inputs that drive a unit furthest: optimised ones, and real excerpts.

    Parameters
    ----------
    config : MaximiseConfig
        Unit, method and real sounds.
    ranking : Ranking
        All settings; the setting nearest to the real excerpts comes first.
    made, real : tuple of Specimen
        Optimised inputs (of a grid: best, median and worst setting) and real excerpts, with sounds.
    n_real : int
        Number of real excerpts.
    notes : tuple of str
        Reasons for caution.
    files : FolderNotes
        Real sound files that were skipped or cut off.
    model : str
        Name of the model.
    prior : str
        Name of the prior, which ``auto`` does not tell.

    Examples
    --------
    >>> maximise_unit(MaximiseConfig("synth-singing", "fc9")).sentence  # doctest: +SKIP
    'A made-up input drives unit 0 of fc9 up to 65.3; the furthest of 34 real excerpts, to 6.83.'
    """

    config: MaximiseConfig
    ranking: Ranking
    made: tuple[maximisation.Specimen, ...]
    real: tuple[maximisation.Specimen, ...]
    n_real: int
    notes: tuple[str, ...]
    files: FolderNotes
    model: str = ""
    prior: str = ""

    @property
    def summary(self) -> maximisation.MaximisationSummary:
        """Unit, model and comparison, for the report."""
        config = self.config
        return maximisation.MaximisationSummary(
            unit=f"unit {config.unit} of {config.layer}",
            model=self.model,
            prior=regularisers(config, self.prior),
            n_real=self.n_real,
            maximise=not config.minimise,
            compared=f"features in {layer}" if (layer := config.rank_layer) else "activations",
        )

    @property
    def sentence(self) -> str:
        """Main result, in one sentence."""
        made, real = self.made[0].activation, self.real[0].activation
        return maximisation.sentence(self.ranking, self.summary, made, real)

    def to_dict(self) -> dict[str, Any]:
        """Convert to JSON's types, without spectrograms and sounds."""
        ranking = [
            {
                "setting": row.setting,
                "distance": row.distance,
                "seen": row.n_finite,
                "activation": row.result.activation,
                "failed": row.result.n_failed,
                "flat": int(row.result.flat.sum()),
            }
            for row in self.ranking.rows
        ]
        specimens = {
            side: [{name: getattr(specimen, name) for name in _LISTED} for specimen in members]
            for side, members in (("made", self.made), ("real", self.real))
        }
        plain: dict[str, Any] = records.to_plain(
            {
                "model": self.model,
                "prior": self.prior,
                "settings": self.config,
                "ranking": ranking,
                **specimens,
                "n_real": self.n_real,
                **self.files.to_dict(),
                "notes": self.notes,
                "versions": records.versions(),
            }
        )
        return plain


def maximise_unit(config: MaximiseConfig, *, progress: Progress = silent) -> MaximiseResult:
    """Find optimised inputs and real excerpts that drive a unit furthest.

    Parameters
    ----------
    config : MaximiseConfig
        Unit, method and real sounds.
    progress : bool or callable
        True shows bars over "files", then over "rows" and, in each row, "iterations".

    Returns
    -------
    MaximiseResult
        Ranking of the settings, and specimens with spectrograms and sounds.

    Raises
    ------
    ParameterError
        If there is no such model, layer or unit, a setting is out of range, fewer than two real
        excerpts can be read, or no input has a finite activation.

    Examples
    --------
    >>> config = MaximiseConfig("synth-singing", "fc9")
    >>> maximise_unit(config).made[0].label  # doctest: +SKIP
    'Furthest'
    """
    model = load_listening_model(config.model, device=config.device)
    feature = layer_features(model, config.rank_layer) if config.rank_layer else None
    excerpts = RealExcerpts(model, config.real, every=config.every, progress=progress)
    chosen = choose_prior(model, config)
    refuse_penalties(chosen.name, config.penalties, _UNCHOSEN)
    first = _maximiser(model, config, None)
    if config.pool != "mean":
        require_positions(model, first.unit)
    kept = Reservoir(excerpts, seed=config.seed)
    extremes = first.extremes(kept, max(config.seeds, N_SPECIMENS))
    if len(extremes.excerpts) < 2:
        raise ParameterError(f"there is {extremes.n_seen} real excerpt: a distance needs two")
    prior = chosen.like(extremes, kept.excerpts)
    maximiser = _maximiser(model, config, prior)
    grid = maximiser.grid(
        rates=config.rates,
        penalties=(0.0,) if chosen.name == "maco" else config.penalties,
        iterations=config.iterations,
        seeds=config.seeds,
        seed=config.seed,
        progress=progress,
    )
    ranking, warned = rank_settings(grid, extremes, feature)
    made = tuple(made_specimens(ranking, model, maximiser.unit))
    if not made:
        smaller = Advice("try a smaller ", Argument("rate"))
        raise ParameterError("no input has a finite activation", advice=smaller)
    real = tuple(real_specimens(extremes, excerpts, model))
    no_sound = made[0].patch.y is None and real[0].patch.y is not None
    squashed = config.layer if maximiser.unit.is_squashed else None
    notes = maximisation.search_cautions(ranking, made[0], real[0].activation, squashed=squashed)
    unheard = ("The made-up inputs have no sound: the front end has no inverse.",) * no_sound
    all_notes = (*notes, *unheard, *truncated_note(excerpts.files.truncated.values()), *warned)
    about = extremes.n_seen, all_notes, excerpts.files, model_name(model), chosen.name
    return MaximiseResult(config, ranking, made, real, *about)


def save_maximise_page(result: MaximiseResult, page: Path) -> None:
    """Write the report.

    Parameters
    ----------
    result : MaximiseResult
        Result of `maximise_unit`.
    page : Path
        HTML file; written whole or not at all.

    Examples
    --------
    >>> save_maximise_page(maximise_unit(config), Path("unit.html"))  # doctest: +SKIP
    """
    maximisation.save_maximisation(
        result.ranking,
        page,
        summary=result.summary,
        made=result.made,
        real=result.real,
        notes=[*result.notes, *maximisation.skipped_note(result.files.skipped)],
    )


def save_maximise_folder(result: MaximiseResult, folder: Path) -> None:
    """Write the report, and each optimised sound as a WAV file of 16 bits.

    Parameters
    ----------
    result : MaximiseResult
        Result of `maximise_unit`.
    folder : Path
        Folder; made if it does not exist.

    Examples
    --------
    >>> save_maximise_folder(maximise_unit(config), Path("unit"))  # doctest: +SKIP
    """
    folder.mkdir(parents=True, exist_ok=True)
    save_maximise_page(result, folder / "report.html")
    for specimen in result.made:
        if specimen.patch.y is not None and specimen.patch.sr is not None:
            name = specimen.label.lower().replace(" ", "-")
            write_audio(folder / f"{name}.wav", specimen.patch.y, sr=round(specimen.patch.sr))


def _maximiser(model: Any, config: MaximiseConfig, prior: FittedPrior | None) -> Any:
    """Compose the search; without a prior, for the real excerpts alone."""
    return ActivationMaximiser(
        model,
        RawPrior((1, model.patch_frames, model.n_mels)) if prior is None else prior.prior,
        layer=config.layer,
        unit=config.index,
        prepare=None if prior is None else prior.prepare,
        maximise=not config.minimise,
        pool=cast(Pool, config.pool),  # checked there
        jitter=config.jitter,
    )
