"""The rival of an explanation: the same coalitions, one by one, as one writes it in torch."""

from __future__ import annotations

import time
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

import otoscope as oto

__all__ = ["BATCHES", "LAYOUTS", "Plain", "Question", "fastest"]

BATCHES = (1, 2, 4, 8, 16, 32, 128)
"""Batch sizes that `fastest` tries."""

LAYOUTS = {"contiguous": torch.contiguous_format, "channels last": torch.channels_last}
"""Memory layouts that `fastest` tries."""


@dataclass(frozen=True)
class Plain:
    """A model as torch runs it: in a memory layout, by batches of a size."""

    model: Callable[[Tensor], Tensor]
    layout: str
    batch: int

    def __call__(self, inputs: Tensor) -> Tensor:
        """[batch, 1, frame, mel] -> [batch, output]."""
        return self.model(inputs.contiguous(memory_format=LAYOUTS[self.layout]))

    def __str__(self) -> str:
        """Name layout and batch size."""
        return f"{self.layout}, batch {self.batch}"


@dataclass(frozen=True)
class Question:
    """A model, excerpts, segments in time, and the coalitions to evaluate.

    ``values`` is [excerpt, frame, mel]; without ``n_samples`` all coalitions are evaluated.
    """

    name: str
    model: nn.Module
    values: Tensor
    n_segments: int
    n_samples: int | None = None
    target: int = 0

    @property
    def lime(self) -> oto.SoundLIME:
        """Our explainer."""
        design = "exact" if self.n_samples is None else "bernoulli"
        return oto.SoundLIME(
            self.model,
            segments=oto.segments.temporal(self.n_segments),
            content="mean_inp",
            design=design,
            n_samples=self.n_samples,
            target=self.target,
        )

    @property
    def ids(self) -> Tensor:
        """Segment of each frame."""
        frames = self.values.shape[1]
        length = frames // self.n_segments
        ids = (torch.arange(frames) // length).clamp(max=self.n_segments - 1)
        return ids.to(self.values.device)

    def content(self, excerpt: int) -> Tensor:
        """Mean of an excerpt, everywhere."""
        return torch.full_like(self.values[excerpt], float(self.values[excerpt].mean()))

    def in_batches(self, keep: Tensor, plain: Plain) -> Tensor:
        """Compute the outputs of all excerpts: Tensor [excerpt, coalition]."""
        rows_of_ids, outputs = self.ids, []
        with torch.inference_mode():
            for excerpt, patch in enumerate(self.values):
                content = self.content(excerpt)
                parts = [
                    plain(torch.where(rows[:, rows_of_ids][:, None, :, None], patch, content))
                    for rows in keep.split(plain.batch)
                ]
                outputs.append(torch.cat(parts)[:, self.target])
        return torch.stack(outputs)

    def plain(self, layout: str, batch: int) -> Plain:
        """Copy the model to a memory layout."""
        model: Any = deepcopy(self.model)
        model = model.to(memory_format=LAYOUTS[layout])
        return Plain(model, layout, batch)


def fastest(
    question: Question, keep: Tensor, *, compiled: bool = False
) -> tuple[Plain, dict[str, float]]:
    """Find torch's fastest layout and batch size on 128 of the coalitions.

    Parameters
    ----------
    question : Question
        Model and excerpts; the first excerpt is used.
    keep : Tensor [coalition, segment]
        Coalitions, on the model's device.
    compiled : bool
        Try torch.compile too, in the layout and at the batch size that were fastest.

    Returns
    -------
    tuple of (Plain, dict of str to float)
        The fastest, and the seconds per coalition of all that were tried.
    """
    some = keep[:: max(1, len(keep) // 128)][:128]
    one = replace(question, values=question.values[:1])
    seconds: dict[Plain, float] = {}

    def take(plain: Plain) -> None:
        one.in_batches(some[: plain.batch], plain)
        start = time.perf_counter()
        one.in_batches(some, plain).cpu()
        seconds[plain] = (time.perf_counter() - start) / len(some)

    for layout in LAYOUTS:
        whole = question.plain(layout, 1)
        for batch in (b for b in BATCHES if b <= len(some)):
            take(replace(whole, batch=batch))
    best = min(seconds, key=seconds.__getitem__)
    tried = {str(plain): s for plain, s in seconds.items()}
    if compiled:
        try:
            take(Plain(torch.compile(best.model), best.layout, len(some) // 8 or 1))
            take(Plain(torch.compile(best.model), best.layout, best.batch))
        except Exception as problem:  # whatever a compiler may raise
            tried[f"torch.compile: {str(problem).splitlines()[0]}"] = float("nan")
        tried |= {f"{plain}, compiled": s for plain, s in list(seconds.items())[len(tried) :]}
    return min(seconds, key=seconds.__getitem__), tried
