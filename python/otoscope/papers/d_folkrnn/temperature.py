"""Temperatures of the sampler: what becomes regular, what becomes wrong, and where real tunes lie.

At each temperature tunes are sampled with nothing forbidden; rates are of all tunes. Nats are those
of the sampled tokens by the network at temperature 1; of real tunes, those of the test tunes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from otoscope.errors import ParameterError
from otoscope.folk.abc import NgramIndex, NotationError, Tune
from otoscope.folk.data import load_prepared
from otoscope.folk.metrics import check_tune
from otoscope.folk.model import FolkModel, SampledTune, SamplingConfig, sample, surprise
from otoscope.folk.workflows.sample import SHIPPED, load_model
from otoscope.papers.d_folkrnn._rates import nats_of_drawn, rate_cell, rate_of
from otoscope.papers.d_folkrnn._tunes import (
    digest,
    held_out_tunes,
    prepared_tunes,
    training_tunes,
    tune_of,
)
from otoscope.papers.runs import rows_of_songs, write_run
from otoscope.progress import Progress, silent
from otoscope.report.figures import COLOURS, ResultTable, svg_figure

__all__ = ["FolkTemperatureConfig", "folk_temperature"]

_RULES: Final = {
    "valid": "no bad bar",
    "parts": "AABB",
    "tonic": "ends on the tonic",
    "range": "range",
}
_COPIED: Final = 0.5


@dataclass(frozen=True)
class FolkTemperatureConfig:
    """Network, temperatures and number of tunes.

    Parameters
    ----------
    model : str
        Network: "folkrnn-small", a file, or the folder of a training.
    sources : tuple of str
        Sources that the network was trained on; their held-out tunes are the real ones.
    split_seed : int
        Random seed of the split that the network was trained with.
    temperatures : tuple of float
        Temperatures, above 0.
    n : int
        Number of tunes at each temperature, at least 2.
    seed : int
        Random seed of the sampled tunes.

    Raises
    ------
    ParameterError
        If there is no temperature, or ``n`` is below 2.

    Examples
    --------
    >>> FolkTemperatureConfig().n
    400
    """

    model: str = SHIPPED
    sources: tuple[str, ...] = ("aird", "oneill", "ryan", "misc")
    split_seed: int = 1
    temperatures: tuple[float, ...] = (0.2, 0.4, 0.6, 0.7, 0.8, 0.9, 1.0, 1.1, 1.2, 1.4)
    n: int = 400
    seed: int = 0

    def __post_init__(self) -> None:
        if not self.temperatures or self.n < 2:
            raise ParameterError(
                f"there are {len(self.temperatures)} temperatures and n is {self.n}; need one or "
                "more, and at least 2"
            )

    @classmethod
    def quick(cls) -> FolkTemperatureConfig:
        """Return a version for a first look: one small collection, few tunes."""
        return cls(sources=("misc",), temperatures=(0.5, 1.0, 1.5), n=4)


def folk_temperature(
    settings: FolkTemperatureConfig, out: Path, *, progress: Progress = silent
) -> list[ResultTable]:
    """Sample at each temperature, and write record and figure.

    Parameters
    ----------
    settings : FolkTemperatureConfig
        Network, temperatures and number of tunes.
    out : Path
        Folder for ``folk_temperature.json`` and ``folk_temperature.svg``; made if it does not
        exist.
    progress : bool or callable
        True shows a bar over the "temperatures".

    Returns
    -------
    list of ResultTable
        Rates and nats by temperature, beside held-out real tunes.

    Raises
    ------
    MissingExtra
        If music21's tunes are not installed.

    Examples
    --------
    >>> folk_temperature(FolkTemperatureConfig.quick(), Path("temperature"))  # doctest: +SKIP
    """
    folder = prepared_tunes(settings.sources, settings.split_seed, out, progress)
    model = load_model(settings.model)
    index = NgramIndex()
    for place, (_, tune) in enumerate(training_tunes(folder)):
        index.add(str(place), tune)

    def compute(place: int) -> dict[str, Any]:
        if place == len(settings.temperatures):
            real = [tune for _, tune in held_out_tunes(folder)]
            nats = np.concatenate(surprise(model, load_prepared(folder).test))
            return _row(real, index, len(real), float(nats.mean()))
        config = SamplingConfig(settings.temperatures[place])
        drawn = sample(model, settings.n, seed=settings.seed, settings=config)
        tunes = _finished(model, drawn)
        return _row(tunes, index, len(drawn), nats_of_drawn(drawn))

    names = [*(f"{value:g}" for value in settings.temperatures), "real tunes"]
    about = {"settings": settings, "model": digest(model)}
    rows = rows_of_songs(
        out, "folk_temperature", about, names, compute, progress=progress, shown="temperatures"
    )
    tables = [_table(rows)]
    _draw(rows, out / "folk_temperature.svg")
    write_run(out, "folk_temperature", settings, tables, rows, {})
    return tables


def _finished(model: FolkModel, drawn: Sequence[SampledTune]) -> list[Tune]:
    """Return the tunes that are finished and can be read."""
    read = (tune_of(model, one.tokens) for one in drawn if one.is_finished)
    return [tune for tune in read if not isinstance(tune, NotationError)]


def _row(tunes: Sequence[Tune], known: NgramIndex, n: int, nats: float) -> dict[str, Any]:
    """Return what is measured of the finished and readable ones of ``n`` tunes."""
    checks = [check_tune(tune) for tune in tunes]
    own = NgramIndex()
    for place, tune in enumerate(tunes):
        own.add(str(place), tune)
    nearness = [max(known.containment(tune).values(), default=0.0) for tune in tunes]
    among = [
        max((x for name, x in own.containment(tune).items() if name != str(place)), default=0.0)
        for place, tune in enumerate(tunes)
    ]
    counts = {"readable": len(tunes), "valid": sum(check.is_valid for check in checks)}
    for rule in ("parts", "tonic", "range"):
        counts[rule] = sum(bool(check.keeps(rule)) for check in checks)
    notes = [check.features.notes for check in checks if check.features]
    return {
        "tunes": n,
        "nats_per_token": nats,
        "rates": {name: rate_of(count, n) for name, count in counts.items()},
        "notes": float(np.median(notes)) if notes else None,
        "nearness": float(np.median(nearness)) if nearness else None,
        "copies": rate_of(sum(value >= _COPIED for value in nearness), n),
        "alike": rate_of(sum(value >= _COPIED for value in among), n),
    }


def _table(rows: Sequence[dict[str, Any]]) -> ResultTable:
    cells = tuple(
        (
            row["song"],
            f"{row['nats_per_token']:.3f}",
            *(rate_cell(row["rates"][name]) for name in ("readable", *_RULES)),
            f"{row['notes'] or 0:.0f}",
            f"{100 * (row['nearness'] or 0):.1f} %",
            rate_cell(row["copies"]),
            rate_cell(row["alike"]),
        )
        for row in rows
    )
    columns = (
        *("temperature", "nats per token", "finished, readable", *_RULES.values()),
        *("notes", "nearness", "copies", "copies of each other"),
    )
    return ResultTable("Sampled tunes by temperature (medians; rates with 95 %)", columns, cells)


def _draw(rows: Sequence[dict[str, Any]], path: Path) -> None:
    """Draw rates and nats by temperature; real tunes are dotted lines."""
    *sampled, real = rows
    temperatures = [float(row["song"]) for row in sampled]
    with svg_figure(path, width=7.0, height=2.8) as figure:
        left, right = figure.subplots(1, 2)
        for (name, label), colour in zip(list(_RULES.items())[:3], COLOURS, strict=False):
            rates = [row["rates"][name] for row in sampled]
            left.plot(temperatures, [rate["value"] for rate in rates], color=colour, label=label)
            bounds = ([rate[side] for rate in rates] for side in ("low", "high"))
            left.fill_between(temperatures, *bounds, color=colour, alpha=0.15, linewidth=0)
            left.axhline(real["rates"][name]["value"], color=colour, linestyle=":")
        left.set_ylabel("fraction of the tunes")
        right.plot(temperatures, [row["nats_per_token"] for row in sampled], color=COLOURS[0])
        right.axhline(real["nats_per_token"], color=COLOURS[0], linestyle=":")
        right.set_ylabel("nats per token at temperature 1")
        for axes in (left, right):
            axes.set_xlabel("temperature")
        left.legend(frameon=False)
