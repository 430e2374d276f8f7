"""Renderings of items and the answers to them, in this process or in several."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, suppress
from functools import partial
from typing import Any, Protocol

import torch
from torch import Tensor

from otoscope.errors import ParameterError, WorkerEnded
from otoscope.intervene.interrogation.items import Features, Seeded, Sounds
from otoscope.intervene.transforms.controls import OtherItem
from otoscope.pool import Pool, n_cores

__all__ = ["Answering", "RenderPool"]

_WORTH = 500.0  # seconds of renderings that repay the start of a process


class Answering(Protocol):
    """Answer for items: the system itself, or a writer of files that others answer later."""

    by_scores: bool

    def label_item(
        self, renderings: Tensor, item: int, *, round_name: str, max_batch: int
    ) -> list[str]:
        """Return one answer per rendering of an item in a round."""


class RenderPool(Pool):
    """Processes that render items, and answer as well if the system can be sent to them.

    A listening model on the CPU answers there, where it does not compete with renderings for the
    cores. What else a system is may keep a state of its own, and answers in this process.

    Parameters
    ----------
    items : Sounds or Features
        Items of the interrogation.
    duration : float or None
        Analysed duration in seconds.
    workers : int or None
        Number of processes; by default as many as repay their start, at most one per core.
    labeller : Answering, optional
        System that answers, if it is always the same.
    """

    def __init__(
        self,
        items: Sounds | Features,
        duration: float | None,
        workers: int | None,
        labeller: Answering | None = None,
    ) -> None:
        is_copied = getattr(labeller, "is_stateless", False)
        copy = _pickled_or_none(labeller) if is_copied and workers != 1 else None
        super().__init__(partial(_rendering, copy))
        self._items, self._duration, self._workers = items, duration, workers
        self._answers = copy is not None

    def label(
        self,
        labeller: Answering,
        interventions: Callable[[int], list[Seeded]],
        indices: Iterable[int],
        *,
        round_name: str = "",
        max_batch: int = 64,
    ) -> Iterator[tuple[int, list[str] | WorkerEnded]]:
        """Render items and label the renderings, with a few items in memory at a time.

        ``interventions`` maps the index of an item to what it is rendered under. Yields the index
        of each item with one answer per rendering, or with the end of the process that worked on
        it.
        """
        items, duration, remaining = self._items, self._duration, list(indices)
        asked: dict[str, Any] = {"round_name": round_name, "max_batch": max_batch}

        def answered(index: int, renderings: Tensor) -> list[str]:
            try:
                return labeller.label_item(renderings, index, **asked)
            except ParameterError as err:
                raise err.within(items.names[index]) from err

        def here(index: int) -> Iterator[Any]:
            renderings = items.rendered(index, interventions(index), duration)
            yield answered(index, renderings) if self._answers else renderings

        def sent(index: int) -> bytes:
            changes = interventions(index)
            with_partner = any(isinstance(change, OtherItem) for change, _ in changes)
            item = items.only(index, with_partner=with_partner)
            return _pickled((item, changes, duration, index, asked))

        workers = self._workers
        if workers is None:
            n_renderings = len(remaining) * len(interventions(remaining[0])) if remaining else 0
            workers = min(n_cores(), max(1, int(n_renderings * (duration or 0.0) / _WORTH)))
        with closing(self.mapped(remaining, workers, here=here, sent=sent)) as rendered:
            for index, results in zip(remaining, rendered, strict=True):
                try:
                    (result,) = results
                except WorkerEnded as err:
                    yield index, err
                    continue
                yield index, result if self._answers else answered(index, torch.as_tensor(result))


def _rendering(labeller: bytes | None) -> Callable[[bytes], Iterator[Any]]:
    """Make the work of a process: an item in, its renderings or answers out."""
    answering = None if labeller is None else pickle.loads(labeller)

    def work(sent: bytes) -> Iterator[Any]:
        item, interventions, duration, index, asked = pickle.loads(sent)
        renderings = item.rendered(0, interventions, duration)
        if answering is None:
            yield renderings.numpy()
        else:
            yield answering.label_item(renderings, index, **asked)

    return work


def _pickled(thing: Any) -> bytes:
    """Pickle a thing with the code of classes and functions that other processes cannot import."""
    import cloudpickle

    pickled: bytes = cloudpickle.dumps(thing)
    return pickled


def _pickled_or_none(thing: Any) -> bytes | None:
    with suppress(Exception):  # whatever its members raise
        return _pickled(thing)
    return None
