"""Tunes with a form: how many have it with and without the mask, and what the mask costs.

A mask makes form and bars right by construction, so beside each stand unconstrained tunes, the nats
of the tokens by the unmasked network, and held-out real tunes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from otoscope.folk.abc import Form, NotationError, Tune
from otoscope.folk.data import load_prepared
from otoscope.folk.metrics import check_tune, has_form
from otoscope.folk.model import SamplingConfig, sample, surprise
from otoscope.folk.workflows.sample import SHIPPED, load_model
from otoscope.papers.d_folkrnn._rates import nats_of_drawn, rate_cell, rate_of
from otoscope.papers.d_folkrnn._tunes import digest, held_out_tunes, prepared_tunes, tune_of
from otoscope.papers.runs import rows_of_songs, write_run
from otoscope.progress import Progress, silent
from otoscope.report.figures import ResultTable

__all__ = ["FolkFormConfig", "folk_form"]


@dataclass(frozen=True)
class FolkFormConfig:
    """Network, forms and number of tunes.

    Parameters
    ----------
    model : str
        Network: "folkrnn-small", a file, or the folder of a training.
    sources : tuple of str
        Sources that the network was trained on; their held-out tunes are the real ones.
    split_seed : int
        Random seed of the split that the network was trained with.
    forms : tuple of str
        Forms to ask for.
    n : int
        Number of tunes of each kind.
    seed : int
        Random seed of the sampled tunes.

    Examples
    --------
    >>> FolkFormConfig().forms
    ('AABB:8', 'ABAC:8')
    """

    model: str = SHIPPED
    sources: tuple[str, ...] = ("aird", "oneill", "ryan", "misc")
    split_seed: int = 1
    forms: tuple[str, ...] = ("AABB:8", "ABAC:8")
    n: int = 200
    seed: int = 0

    @classmethod
    def quick(cls) -> FolkFormConfig:
        """Return a version for a first look: one small collection, 4 tunes of each kind."""
        return cls(sources=("misc",), forms=("AABB:4",), n=4)


def folk_form(
    settings: FolkFormConfig, out: Path, *, progress: Progress = silent
) -> list[ResultTable]:
    """Sample with and without the mask, and write the record.

    Parameters
    ----------
    settings : FolkFormConfig
        Network, forms and number of tunes.
    out : Path
        Folder for ``folk_form.json``; made if it does not exist.
    progress : bool or callable
        True shows a bar over the "samplings".

    Returns
    -------
    list of ResultTable
        Rates and nats of each sampling, beside held-out real tunes.

    Raises
    ------
    MissingExtra
        If music21's tunes are not installed.

    Examples
    --------
    >>> folk_form(FolkFormConfig.quick(), Path("form"))  # doctest: +SKIP
    """
    folder = prepared_tunes(settings.sources, settings.split_seed, out, progress)
    model = load_model(settings.model)
    samplings = {"no mask": SamplingConfig(), "bars add up": SamplingConfig(bars_add_up=True)}
    for form in settings.forms:
        samplings[form] = SamplingConfig(form=form)
        samplings[f"{form}, bars add up"] = SamplingConfig(form=form, bars_add_up=True)
    names = [*samplings, "real tunes"]

    def compute(place: int) -> dict[str, Any]:
        if place == len(samplings):
            nats = float(np.concatenate(surprise(model, load_prepared(folder).test)).mean())
            return _row([tune for _, tune in held_out_tunes(folder)], settings.forms, nats, 0.0)
        drawn = sample(model, settings.n, seed=settings.seed, settings=samplings[names[place]])
        read = [tune_of(model, t.tokens) if t.is_finished else None for t in drawn]
        nats = nats_of_drawn(drawn)
        return _row(read, settings.forms, nats, sum(t.masked_nats for t in drawn) / len(drawn))

    about = {"settings": settings, "model": digest(model)}
    rows = rows_of_songs(
        out, "folk_form", about, names, compute, progress=progress, shown="samplings"
    )
    tables = [_table(rows, settings.forms)]
    write_run(out, "folk_form", settings, tables, rows, {})
    return tables


def _row(
    tunes: Sequence[Tune | NotationError | None],
    forms: Sequence[str],
    nats: float,
    masked_nats: float,
) -> dict[str, Any]:
    """Count over all tunes; those that cannot be read or are unfinished have no form."""
    read = [tune for tune in tunes if isinstance(tune, Tune)]
    counts = {form: sum(has_form(tune, Form.parse(form)) for tune in read) for form in forms}
    counts["valid"] = sum(check_tune(tune).is_valid for tune in read)
    return {
        "tunes": len(tunes),
        "counts": counts,
        "nats_per_token": nats,
        "masked_nats_per_tune": masked_nats,
    }


def _table(rows: Sequence[dict[str, Any]], forms: Sequence[str]) -> ResultTable:
    def cells(row: dict[str, Any]) -> tuple[str, ...]:
        rates = (rate_of(row["counts"][name], row["tunes"]) for name in (*forms, "valid"))
        nats = f"{row['nats_per_token']:.3f}", f"{row['masked_nats_per_tune']:.1f}"
        return (row["song"], *map(rate_cell, rates), *nats)

    return ResultTable(
        "Tunes that have a form, 95 % bounds; nats by the unmasked network, and of the mask",
        ("", *forms, "no bad bar", "nats per token", "mask, nats per tune"),
        tuple(cells(row) for row in rows),
    )
