"""Pictures and sounds of examples."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from otoscope.explain.maximise.inversion import Inversion
from otoscope.report.figures import COLOURS, svg_figure
from otoscope.signal import write_audio

__all__ = ["Example", "draw_examples", "draw_scores"]

_COLUMNS = 4


@dataclass(frozen=True, eq=False)
class Example:
    """An input of the model [frame, mel] with its name."""

    name: str
    values: Tensor


def draw_examples(
    path: Path, examples: Sequence[Example], model: Any, *, title: str, sounds: Path | None = None
) -> None:
    """Draw inputs as spectrograms on one scale of loudness, that of the real ones if there are.

    With ``sounds``, each is also written as a sound, if the front end of the model has an inverse.
    """
    shown = [_log_mel(example.values, model) for example in examples]
    of_real = [x for x, e in zip(shown, examples, strict=True) if "real" in e.name] or shown
    low, high = np.quantile(torch.cat(of_real).numpy(), [0.05, 0.999])
    n_rows = math.ceil(len(examples) / _COLUMNS)
    with svg_figure(path, width=2.1 * _COLUMNS, height=0.4 + 1.7 * n_rows) as figure:
        figure.suptitle(title, fontsize=9)
        grid = figure.subplots(n_rows, _COLUMNS, squeeze=False)
        for axis in grid.flat:
            axis.set_axis_off()
        for axis, example, values in zip(grid.flat, examples, shown, strict=False):
            axis.imshow(
                values.T.numpy(), origin="lower", aspect="auto", cmap="magma", vmin=low, vmax=high
            )
            axis.set_title(example.name, fontsize=8)
    inversion = Inversion.of(model)
    if sounds is None or inversion is None:
        return
    for i, example in enumerate(examples):
        y = inversion.sound(example.values, seed=i)
        patch = inversion.patch(example.values, y)
        if patch.y is not None and patch.sr is not None:
            name = re.sub(r"[^a-z0-9]+", "-", example.name.partition(":")[0].lower())
            write_audio(sounds / f"{name}.wav", patch.y.float(), sr=round(patch.sr))


def _log_mel(values: Tensor, model: Any) -> Tensor:
    values = values.detach().cpu().double()
    domain = getattr(model, "domain", None)
    return values if domain is None else domain.log_mel(values)


def draw_scores(
    path: Path, panels: Mapping[str, Mapping[str, Sequence[float]]], *, title: str
) -> None:
    """Draw each condition's scores as points with their mean, one panel per judge."""
    n_conditions = max(map(len, panels.values()))
    with svg_figure(path, width=1.6 + 3.0 * len(panels), height=0.8 + 0.3 * n_conditions) as figure:
        figure.suptitle(title, fontsize=9)
        axes = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
        for axis, (judge, conditions) in zip(axes, panels.items(), strict=True):
            for i, scores in enumerate(conditions.values()):
                axis.plot(scores, [i] * len(scores), "o", color=COLOURS[0], alpha=0.3, markersize=4)
                axis.plot(sum(scores) / len(scores), i, "|", color=COLOURS[1], markersize=14)
            axis.set_yticks(range(len(conditions)), list(conditions))
            axis.set_xlim(-0.03, 1.03)
            axis.set_title(judge, fontsize=9)
            axis.spines[["top", "right"]].set_visible(False)
        axes[0].invert_yaxis()
