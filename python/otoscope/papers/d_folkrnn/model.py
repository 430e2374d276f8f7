"""Look into a network of tunes: its softmax layer, its units, and beginnings that it never saw.

- Singular values of the softmax layer, beside those of random matrices of its size and norm; nats
  per token if only the first of them are kept; the tokens that the first directions tell apart.
- Units that count bars or mark cadences, found on one half of the held-out tunes and tested on the
  other. Each is ablated (its output is its mean), and so are groups of them: how many more nats
  bar lines, pitches, lengths and meters then take, and how many sampled tunes keep the rules,
  beside the same for random units.
- Primes from outside the tradition, beside those of real tunes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch

from otoscope.errors import ParameterError
from otoscope.folk.data import load_prepared
from otoscope.folk.metrics import Rate, TuneCheck, check_tune, difference
from otoscope.folk.model import FolkModel, freeze_units, sample, surprise
from otoscope.folk.workflows.sample import SHIPPED, load_model
from otoscope.metrics import Interval
from otoscope.papers.d_folkrnn._model_tables import draw_softmax, model_tables
from otoscope.papers.d_folkrnn._tunes import digest, prepared_tunes, tune_of
from otoscope.papers.d_folkrnn.primes import PRIMES, continue_prime, prime_of
from otoscope.papers.d_folkrnn.units import (
    CONCEPTS,
    TOKEN_CLASSES,
    mean_outputs,
    read_tunes,
    score,
    scores,
)
from otoscope.papers.runs import rows_of_songs, write_run
from otoscope.progress import Progress, silent
from otoscope.report.figures import ResultTable
from otoscope.seeds import item_seed, numpy_generator

__all__ = ["FolkModelConfig", "folk_model"]

_RULES: Final[dict[str, Callable[[TuneCheck], bool]]] = {
    "bars add up": lambda check: check.is_valid,
    "AABB": lambda check: bool(check.keeps("parts")),
    "ends on the tonic": lambda check: bool(check.keeps("tonic")),
    "few accidentals": lambda check: bool(check.keeps("accidentals")),
}
_RANKS: Final = (1, 2, 4, 8, 16, 32, 64)


@dataclass(frozen=True)
class FolkModelConfig:
    """Network, tunes that it reads, and sizes of the experiment.

    Parameters
    ----------
    model : str
        Network: "folkrnn-small", a file, or the folder of a training.
    sources : tuple of str
        Sources that the network was trained on. Units are found on its validation tunes and tested
        on its test tunes.
    split_seed : int
        Random seed of the split that the network was trained with.
    units : int
        Number of units per concept that are tested and ablated, at least 1.
    group : int
        Number of units that are ablated together, at least 1.
    random : int
        Number of random units, and of random groups, at least 2.
    n : int
        Number of tunes sampled for each group and each prime, at least 1.
    n_draws : int
        Number of draws of each bootstrap, at least 1.
    seed : int
        Random seed.

    Raises
    ------
    ParameterError
        If a number is out of its range.

    Examples
    --------
    >>> FolkModelConfig().units
    8
    """

    model: str = SHIPPED
    sources: tuple[str, ...] = ("aird", "oneill", "ryan", "misc")
    split_seed: int = 1
    units: int = 8
    group: int = 32
    random: int = 20
    n: int = 200
    n_draws: int = 500
    seed: int = 0

    def __post_init__(self) -> None:
        least = {"units": 1, "group": 1, "random": 2, "n": 1, "n_draws": 1}
        for name, low in least.items():
            if getattr(self, name) < low:
                raise ParameterError(f"{name} is {getattr(self, name)}, must be at least {low}")

    @classmethod
    def quick(cls) -> FolkModelConfig:
        """Return a version for a first look: one small collection, few units and tunes."""
        return cls(sources=("misc",), units=2, group=4, random=2, n=4, n_draws=20)


def folk_model(
    settings: FolkModelConfig, out: Path, *, progress: Progress = silent
) -> list[ResultTable]:
    """Look into the network, and write record and figure.

    Parameters
    ----------
    settings : FolkModelConfig
        Network, tunes and sizes.
    out : Path
        Folder for ``folk_model.json`` and ``folk_model.svg``; made if it does not exist.
    progress : bool or callable
        True shows a bar over the "steps".

    Returns
    -------
    list of ResultTable
        Softmax layer, units, ablated groups, primes.

    Raises
    ------
    ParameterError
        If the network's tokens are not v2, or it has too few units.
    MissingExtra
        If music21's tunes are not installed.

    References
    ----------
    Sturm (2018) :cite:`sturm2018parameters`.

    Examples
    --------
    >>> folk_model(FolkModelConfig.quick(), Path("model"))  # doctest: +SKIP
    """
    model = load_model(settings.model)
    network = model.network
    n_units = network.layers * network.hidden
    needed = max(settings.group, len(CONCEPTS) * settings.units + settings.random)
    if model.tokeniser != "v2" or n_units < needed:
        raise ParameterError(
            f"the network has tokens {model.tokeniser} and {n_units} units; need v2, the tokens of "
            f"the tunes and primes here, and {needed} units for these settings"
        )
    folder = prepared_tunes(settings.sources, settings.split_seed, out, progress)
    tunes = load_prepared(folder)
    study = _Study(settings, model, _known(model, tunes.valid), _known(model, tunes.test))
    steps = study.steps()
    rows = rows_of_songs(
        out,
        "folk_model",
        {"settings": settings, "model": digest(model)},
        list(steps),
        lambda index: list(steps.values())[index](),
        progress=progress,
        shown="steps",
    )
    tables = model_tables(rows)
    draw_softmax(rows[0], out / "folk_model.svg")
    write_run(out, "folk_model", settings, tables, rows, {"layers": network.layers})
    return tables


def _known(model: FolkModel, tunes: Sequence[Sequence[str]]) -> list[Sequence[str]]:
    """Return the tunes whose tokens the network knows."""
    return [tune for tune in tunes if all(token in model.vocabulary for token in tune)]


class _Study:
    """Steps of the experiment: each by its name, and independent of the others."""

    def __init__(
        self,
        settings: FolkModelConfig,
        model: FolkModel,
        first: list[Sequence[str]],
        second: list[Sequence[str]],
    ) -> None:
        if min(len(first), len(second)) < 2:
            raise ParameterError(
                f"{len(first)} validation and {len(second)} test tunes have tokens that the "
                "network knows; need 2 of each"
            )
        self._settings, self._model, self._test = settings, model, second
        found, self._readings = read_tunes(model, first), read_tunes(model, second)
        self._means = mean_outputs(found)
        self._found = {concept: scores(concept, found) for concept in CONCEPTS}
        ranked = {name: np.argsort(-np.abs(row)).tolist() for name, row in self._found.items()}
        self._units = {name: row[: settings.units] for name, row in ranked.items()}
        self._groups = {name: row[: settings.group] for name, row in ranked.items()}
        others = [
            unit
            for unit in range(len(self._means))
            if not any(unit in row for row in self._units.values())
        ]
        rng = numpy_generator(settings.seed)
        self._random = rng.permutation(others)[: settings.random].tolist()
        self._random_groups = [
            rng.permutation(len(self._means))[: settings.group].tolist()
            for _ in range(settings.random)
        ]
        self._intact = self._nats(model)
        self._sampled = self._checks(model)

    def steps(self) -> dict[str, Callable[[], dict[str, Any]]]:
        """Return a function for each step."""
        steps: dict[str, Callable[[], dict[str, Any]]] = {"softmax": self._softmax}

        def add(name: str, function: Callable[..., dict[str, Any]], *arguments: Any) -> None:
            steps[name] = lambda: function(*arguments)

        for concept, units in self._units.items():
            for unit in units:
                add(f"{concept}: unit {self._name(unit)}", self._unit, concept, unit)
        for unit in self._random:
            add(f"random: unit {self._name(unit)}", self._unit, "random", unit)
        for concept, units in self._groups.items():
            add(f"{concept}: group", self._group, concept, units)
        for number, units in enumerate(self._random_groups, start=1):
            add(f"random: group {number}", self._group, "random", units)
        real = [prime for tune in self._test if (prime := prime_of(tune)) and _is_common(tune)]
        add("prime: real tunes", self._prime, "real tunes", real[: self._settings.n])
        for name, text in PRIMES.items():
            add(f"prime: {name}", self._prime, name, [text.split()])
        return steps

    def _name(self, unit: int) -> str:
        layer, place = divmod(unit, self._model.network.hidden)
        return f"{layer + 1}.{place}"

    def _nats(self, model: FolkModel) -> list[np.ndarray[Any, np.dtype[np.float64]]]:
        return surprise(model, self._test)

    def _checks(self, model: FolkModel) -> list[TuneCheck | None]:
        """Check sampled tunes; None is one that was not finished."""
        drawn = sample(model, self._settings.n, seed=self._settings.seed)
        return [
            check_tune(tune_of(model, tune.tokens)) if tune.is_finished else None for tune in drawn
        ]

    def _softmax(self) -> dict[str, Any]:
        """Return singular values, nats by rank, and tokens of the first directions."""
        weight = self._model.network.output.weight.detach().double()
        left, values, right = torch.linalg.svd(weight, full_matrices=False)
        rng = numpy_generator(self._settings.seed)
        scale = float(weight.norm()) / weight.numel() ** 0.5
        random = [
            np.linalg.svd(rng.normal(scale=scale, size=weight.shape), compute_uv=False)
            for _ in range(20)
        ]
        share = (values**2 / (values**2).sum()).numpy()
        ranks = {}
        for rank in (*(r for r in _RANKS if r < len(values)), len(values)):
            cut = deepcopy(self._model.network)
            low = (left[:, :rank] * values[:rank]) @ right[:rank]
            cut.output.weight.data.copy_(low)
            nats = np.concatenate(self._nats(replace(self._model, network=cut)))
            ranks[str(rank)] = float(nats.mean())
        return {
            "kind": "softmax",
            "singular_values": values.tolist(),
            "random": np.mean(random, axis=0).tolist(),
            "above_random": int((values.numpy() > np.max([row[0] for row in random])).sum()),
            "effective_rank": float(np.exp(-(share * np.log(np.maximum(share, 1e-30))).sum())),
            "nats_by_rank": ranks,
            "directions": [self._direction(left[:, place]) for place in range(3)],
        }

    def _direction(self, column: torch.Tensor) -> dict[str, list[str]]:
        order = column.argsort().tolist()
        tokens = self._model.vocabulary.tokens
        return {
            "low": [tokens[i] for i in order[:6]],
            "high": [tokens[i] for i in order[:-7:-1]],
        }

    def _unit(self, concept: str, unit: int) -> dict[str, Any]:
        """Test a unit on the other half, and ablate it."""
        rng = numpy_generator(item_seed(self._settings.seed, concept, unit))
        tested = {
            name: score(name, self._readings, unit, n_draws=self._settings.n_draws, rng=rng)
            for name in (CONCEPTS if concept == "random" else [concept])
        }
        return {
            "kind": "unit",
            "concept": concept,
            "unit": self._name(unit),
            "found": {name: float(self._found[name][unit]) for name in tested},
            "tested": tested,
            "nats": self._harm(self._without([unit]), rng),
        }

    def _group(self, concept: str, units: Sequence[int]) -> dict[str, Any]:
        """Ablate units together; count what sampled tunes lose."""
        rng = numpy_generator(item_seed(self._settings.seed, "group", *units))
        model = self._without(units)
        return {
            "kind": "group",
            "concept": concept,
            "units": [self._name(unit) for unit in units],
            "nats": self._harm(model, rng),
            "rules": self._losses(self._checks(model)),
        }

    def _without(self, units: Sequence[int]) -> FolkModel:
        hidden = self._model.network.hidden
        return freeze_units(
            self._model, {divmod(unit, hidden): float(self._means[unit]) for unit in units}
        )

    def _harm(self, model: FolkModel, rng: np.random.Generator) -> dict[str, Interval]:
        """Return the increase in nats per token of each class, with bounds over tunes."""
        after = self._nats(model)
        harm = {}
        for name, belongs in TOKEN_CLASSES.items():
            masks = [np.array([*map(belongs, tune), belongs("")]) for tune in self._test]
            sums = np.array(
                [
                    (float((b - a)[mask].sum()), int(mask.sum()))
                    for a, b, mask in zip(self._intact, after, masks, strict=True)
                ]
            )
            chosen = rng.integers(len(sums), size=(self._settings.n_draws, len(sums)))
            drawn = sums[chosen].sum(1)
            ratios = drawn[:, 0] / np.maximum(drawn[:, 1], 1)
            low, high = np.quantile(ratios, [0.025, 0.975])
            value = sums[:, 0].sum() / max(sums[:, 1].sum(), 1)
            harm[name] = Interval(float(value), float(low), float(high), 0.95)
        return harm

    def _losses(self, checks: Sequence[TuneCheck | None]) -> dict[str, dict[str, Any]]:
        """Return the rate of each rule, and its difference from the intact network's."""
        n = self._settings.n
        losses = {}
        for name, keeps in _RULES.items():
            rates = [
                Rate.of_counts(sum(check is not None and keeps(check) for check in row), n)
                for row in (checks, self._sampled)
            ]
            losses[name] = {
                "rate": rates[0].interval.value,
                "intact": rates[1].interval.value,
                "change": difference(rates[0], rates[1]),
            }
        return losses

    def _prime(self, name: str, primes: Sequence[Sequence[str]]) -> dict[str, Any]:
        known = _known(self._model, primes)
        if not known:
            return {"kind": "prime", "prime": name, "unknown": True}
        row = continue_prime(self._model, known, n=self._settings.n, seed=self._settings.seed)
        return {"kind": "prime", "prime": name, "unknown": False, **row}


def _is_common(tune: Sequence[str]) -> bool:
    return list(tune[:2]) == ["M:4/4", "K:Cmaj"]
