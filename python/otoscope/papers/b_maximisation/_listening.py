"""Sounds of settings, from the best to the worst, as a list for ``otoscope listening-test``."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from otoscope import records
from otoscope.errors import ParameterError
from otoscope.explain.maximise import ActivationMaximiser, Setting
from otoscope.explain.maximise.inversion import Inversion
from otoscope.papers.b_maximisation._search import UnitSearch, direction_name
from otoscope.signal import write_audio

__all__ = ["write_listening_list"]

_N_SETTINGS = 9  # with the real excerpts as many as a listener compares with care


def write_listening_list(
    settings: Sequence[Setting],
    distances: Tensor,
    search: UnitSearch,
    maximiser: ActivationMaximiser,
    folder: Path,
    *,
    n: int,
) -> None:
    """Write n sounds of up to nine settings and of the furthest real excerpts, and their list.

    ``listening-maximise.csv``, or ``-minimise``, has the columns condition, item, file and score,
    which is the distance [setting] to the real excerpts; settings without one are left out. The
    sounds lie in a folder of the same name.
    """
    inversion = Inversion.of(search.model)
    if inversion is None:
        raise ParameterError("the model takes no spectrograms: there are no sounds to write")
    order = [i for i in distances.argsort(stable=True).tolist() if bool(distances[i].isfinite())]
    ranks = np.linspace(0, len(order) - 1, min(_N_SETTINGS, len(order))).round().astype(int)
    name = f"listening-{direction_name(maximiser.maximise)}"
    rows = list[tuple[str, str, str, str]]()

    def write(condition: str, inputs: Tensor, score: str) -> None:
        place = folder / name / condition.replace(" ", "-")
        place.mkdir(parents=True, exist_ok=True)
        for i, values in enumerate(inputs, 1):
            write_sound(inversion, values[0], place / f"{i}.wav", seed=i)
            file = (place / f"{i}.wav").relative_to(folder).as_posix()
            rows.append((condition, str(i), file, score))

    for rank in ranks.tolist():
        setting = settings[order[rank]]
        result = maximiser.run(**vars(setting), seeds=n, seed=search.settings.seed)
        write(f"rank {rank + 1}", result.input, f"{float(distances[order[rank]]):.6g}")
    real = search.real.furthest(n, maximise=maximiser.maximise)
    write("real", search.real.values[real], "")
    table = io.StringIO()
    writer = csv.writer(table, lineterminator="\n")
    writer.writerows([("condition", "item", "file", "score"), *rows])
    records.write_text(folder / f"{name}.csv", table.getvalue())


def write_sound(inversion: Any, values: Tensor, path: Path, *, seed: int) -> None:
    """Invert an input [frame, mel] and write its sound, with a peak of 0.99."""
    patch = inversion.patch(values, inversion.sound(values, seed=seed))
    if patch.y is None:
        raise ParameterError("the front end of the model has no inverse: no sounds")
    write_audio(path, patch.y.float(), sr=round(patch.sr))
