"""Real excerpts as a model hears them, file by file, and where each came from."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from otoscope.errors import ParameterError
from otoscope.progress import Progress
from otoscope.protocols import device_of
from otoscope.signal import read_audio
from otoscope.signal.excerpts import sliding


class RealExcerpts:
    """Excerpts [1, frame, mel] of some sound files, every so many seconds."""

    def __init__(
        self, model: Any, paths: Sequence[Path], *, every: float, progress: Progress
    ) -> None:
        if not 0 < every < math.inf:
            raise ParameterError(f"every is {every}, must be seconds above 0")
        self._paths = paths
        self._model, self._progress = model, progress
        self._hop = max(1, round(every * model.sample_rate / model.hop_length))
        self._firsts: list[int] = []  # index of each file's first excerpt
        self.skipped: dict[Path, ParameterError] = {}

    def __iter__(self) -> Iterator[Tensor]:
        model, n_seen = self._model, 0
        device = device_of(model)
        for path in self._progress(self._paths, "files"):
            self._firsts.append(n_seen)
            try:
                y = read_audio(path, sr=model.sample_rate)[0]
                with torch.no_grad():
                    values = model.prepare(y.to(device))
                excerpts = sliding(values, model.patch_frames, hop=self._hop)
            except ParameterError as err:
                self.skipped[path] = err
                continue
            n_seen += len(excerpts)
            for excerpt in excerpts:  # a copy: what is kept must not keep its whole file
                yield excerpt[None].clone()
        if n_seen == 0:
            path, why = next(iter(self.skipped.items()))
            n_files = len(self._paths)
            raise why.within(f"none of {n_files} sound files can be used; {path}")

    def place(self, index: int) -> tuple[Path, float]:
        """File and second of an excerpt."""
        file = bisect_right(self._firsts, index) - 1
        frames = (index - self._firsts[file]) * self._hop
        return self._paths[file], frames * self._model.hop_length / self._model.sample_rate
