"""Evaluator: a model's outputs for every coalition, by one shared forward pass or by batches.

The model is any callable, [batch, 1, frame, mel] -> [batch, output] or [batch].
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import copy
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import torch
from torch import Tensor

from otoscope import ops
from otoscope.errors import ParameterError, require_integer
from otoscope.explain.shared import TRACING, NotTraced, SharedForward, settings_of_torch
from otoscope.progress import Progress, silent, tracked
from otoscope.protocols import (
    Model,
    among_louder,
    batch_dependence,
    call_model,
    check_outputs,
    dependence_text,
)
from otoscope.protocols.reach import State, modules_of, state_of
from otoscope.protocols.signature import is_module, with_remedy

__all__ = [
    "Choice",
    "Evaluator",
    "PlainPasses",
    "batch_size",
    "evaluate",
]

Choice: TypeAlias = Callable[[int], list[int]]
"""Chooses columns of the output, given their number."""

_COALITIONS = 4096  # per shared pass: memory does not grow with the number of samples
_WORTH_A_TRACE = 32  # inputs
_MANY_PASSES = 1024
_TOLERANCE = {torch.float64: 1e-9, torch.float32: 1e-4}  # relative to the largest output


class PlainPasses(UserWarning):
    """Warns that a function around a network is evaluated without sharing, and how to share."""


@dataclass(frozen=True, eq=False)
class _Table:
    """Patches and coalitions to evaluate: one row of outputs per patch and coalition."""

    values: Tensor  # [excerpt, frame, mel]
    contents: Tensor | ops.Noise  # [excerpt, frame, mel]
    segments: ops.SegmentMap
    coalitions: ops.Coalitions
    choose: Choice
    progress: Progress = silent


@dataclass(frozen=True, eq=False)
class _Traced:
    """The last trace, or why there is none, with all that it depends on."""

    settings: object
    state: State
    forward: SharedForward | NotTraced

    def serves(self, settings: object, state: State) -> bool:
        """Whether the trace is that of another state of the model too."""
        if settings != self.settings:
            return False
        if isinstance(self.forward, NotTraced):  # plain batches are right in any state
            return state.resembles(self.state)
        return state == self.state and self.forward.trace.is_current


class Evaluator:
    """Evaluate a model on every coalition of excerpts.

    Parameters
    ----------
    model : callable
        [batch, 1, frame, mel] -> [batch, output] or [batch].
    shared : bool, optional
        Share one forward pass between the coalitions. By default for an nn.Module, whose changes
        are noticed, if there are enough inputs to be worth a trace.
    max_batch : int, optional
        Largest number of coalitions per plain batch; default 8 on the CPU, 256 elsewhere.
    verify : int
        Number of coalitions to check against plain batches, with TF32 off.
    seed : int
        Random seed of the choice of the coalitions to check.

    Examples
    --------
    >>> evaluator = Evaluator(torch.nn.Flatten(), shared=True)
    >>> segment_map = ops.SegmentMap(torch.tensor([[0], [1]]))
    >>> outputs, plan, passes = evaluator(
    ...     torch.tensor([[[1.0], [5.0]]]),
    ...     torch.zeros(1, 2, 1),
    ...     segment_map,
    ...     ops.coalitions(2, "exact"),
    ... )
    >>> outputs[0].tolist()
    [[0.0, 0.0], [1.0, 0.0], [0.0, 5.0], [1.0, 5.0]]
    >>> plan, passes
    ('shared forward pass: all 1 operations for the work of 2.0 passes, for 4 coalitions', 2.0)
    """

    def __init__(
        self,
        model: Model,
        *,
        shared: bool | None = None,
        max_batch: int | None = None,
        verify: int = 0,
        seed: int = 0,
    ) -> None:
        batch_size(torch.device("cpu"), max_batch)  # in range
        if shared not in (None, True, False):
            raise ParameterError(f"shared is {shared!r}, must be True, False or None")
        self.model = model
        self.shared = is_module(model) if shared is None else shared
        self.max_batch, self.verify, self.seed = max_batch, verify, seed
        self._at_least = _WORTH_A_TRACE if shared is None else 0
        self._traced: _Traced | None = None
        self._independent: tuple[object, State] | None = None  # of which outputs need no check
        self._may_advise = shared is None and not self.shared

    def __getstate__(self) -> dict[str, Any]:
        """Leave out what is known of the model: it belongs to this process."""
        return {**vars(self), "_traced": None, "_independent": None}

    def around(self, model: Model, *, pays: bool) -> Evaluator:
        """Make an evaluator of a module around the model; it shares by default if that pays."""
        evaluator = copy(self)
        evaluator.shared = self.shared and (pays or not self._at_least)
        evaluator.model = model
        evaluator._may_advise = self._may_advise and bool(modules_of(self.model))
        return evaluator

    def __call__(
        self,
        values: Tensor,
        contents: Tensor | ops.Noise,
        segments: ops.SegmentMap,
        coalitions: ops.Coalitions,
        choose: Choice = lambda n: list(range(n)),
        progress: Progress = silent,
    ) -> tuple[Tensor, str, float]:
        """Return the outputs for every excerpt and coalition.

        Parameters
        ----------
        values : Tensor [excerpt, frame, mel]
            Values of the patches.
        contents : Tensor [excerpt, frame, mel] or ops.Noise
            Values where a segment is occluded. Noise differs in each sample, so it is not shared.
        segments : ops.SegmentMap
            Segment of each cell.
        coalitions : ops.Coalitions
            Segments that stay, by row.
        choose : callable
            Chooses columns of the output, given their number.
        progress : callable or bool
            Progress of the excerpts, and of the operations or batches of each.

        Returns
        -------
        outputs : Tensor [excerpt, coalition, column], float64, on the CPU
            Outputs in the order of the coalitions.
        plan : str
            Description of the evaluation and of the work it saved.
        passes : float
            Work for each excerpt, in forward passes of the model.

        Raises
        ------
        ParameterError
            If the model does not return one row per excerpt.
        """
        table = _Table(values, contents, segments, coalitions, choose, progress)
        if isinstance(contents, ops.Noise):
            return self._by_batches(table, "")
        with _tf32_off(self.verify > 0):
            try:
                forward = self._forward(values, len(coalitions))
                forward.progress = progress
                outputs, passes = self._share(forward, table, contents)
            except NotTraced as reason:
                return self._by_batches(table, str(reason))
            outputs = outputs[..., choose(outputs.shape[-1])]
            plan = _description(forward, len(coalitions), passes)
            if self.verify:
                error = self._error(outputs, table)
                if error > _TOLERANCE.get(values.dtype, 1e-2):
                    reason_text = f"the shared pass was off by {error:.2g} of the largest output"
                    warnings.warn(f"{reason_text}; plain batches are used", stacklevel=2)
                    return self._by_batches(table, reason_text)
                plan += f"; {self.verify} coalitions checked, off by at most {error:.1g}"
        return outputs, plan, passes + self.verify

    def _share(self, forward: SharedForward, table: _Table, fill: Tensor) -> tuple[Tensor, float]:
        ids, at_once = table.segments.ids[None], 4 if table.values.device.type == "cpu" else 16
        pairs = list(zip(table.values.split(at_once), fill.split(at_once), strict=True))
        parts, passes = [], 0.0
        with torch.no_grad():
            for first in range(0, len(table.coalitions), _COALITIONS):
                rows = table.coalitions[first : first + _COALITIONS]
                part = [
                    check_outputs(outputs, len(rows)).double().cpu()
                    for patches, content in tracked(table.progress, pairs, "excerpts")
                    for outputs in forward(patches[:, None], content[:, None], ids, rows)
                ]
                parts.append(torch.stack(part))
                passes += forward.report.passes
        return torch.cat(parts, dim=1), passes

    def _forward(self, values: Tensor, n_coalitions: int) -> SharedForward:
        """Trace the model if it or the shape of the patches changed; raise if it is not shared."""
        if not self.shared:
            raise NotTraced("")
        if n_coalitions * len(values) < self._at_least:
            raise NotTraced(f"fewer than {self._at_least} inputs are not worth a trace")
        shape, batch = (1, *values.shape[1:]), batch_size(values.device, self.max_batch)
        if batch == 1:
            raise NotTraced("max_batch is 1, sharing needs 2")
        settings = (shape, values.dtype, values.device, settings_of_torch(values.device))
        with TRACING:
            state = state_of(self.model)
            if self._traced is not None and self._traced.serves(settings, state):
                known = self._traced.forward
            else:
                known = _attempt(self.model, shape, values, batch)
                self._traced = _Traced(settings, state, known)
        if isinstance(known, NotTraced):
            raise known
        return copy(known)

    def _by_batches(self, table: _Table, reason: str) -> tuple[Tensor, str, float]:
        """Evaluate plain batches; one coalition at a time if outputs depend on the batch."""
        step, passes = batch_size(table.values.device, self.max_batch), len(table.coalitions)
        outputs = self._plain(table, step)
        dependence = self._dependence(table, outputs, step)
        text = dependence_text(dependence, "a coalition")
        reason = "; ".join(filter(None, (reason, text if dependence else "")))
        if dependence == "random":
            warnings.warn(text, stacklevel=6)
        elif dependence:
            warnings.warn(f"{text}; each is evaluated alone", stacklevel=6)
            step, passes = 1, 2 * passes
            try:
                outputs = self._plain(table, step)
            except ParameterError as err:
                raise ParameterError(f"{text}, and alone: {err}") from err
        self._advise(len(table.values) * len(table.coalitions))
        plan = f"plain batches of {step}: {passes:,} passes"
        return outputs, f"{plan}; {reason}" if reason else plan, float(passes)

    def _advise(self, n_passes: int) -> None:
        """Say once how to share the passes of a function that calls a network."""
        if self._may_advise and n_passes >= _MANY_PASSES and modules_of(self.model):
            self._may_advise = False
            warnings.warn(
                f"{n_passes:,} plain passes of a function that calls a network: give the nn.Module "
                "itself (layout=, fixed=, output= and pooling= do what a function around it "
                "would), or shared=True if the function has no side effects",
                PlainPasses,
                stacklevel=7,
            )

    def _plain(self, table: _Table, step: int) -> Tensor:
        """Return the outputs [excerpt, coalition, column] of batches of ``step`` coalitions."""
        tables, firsts = [], range(0, len(table.coalitions), step)
        for excerpt in tracked(table.progress, range(len(table.values)), "excerpts"):
            shown = tracked(table.progress, firsts, "batches")
            rows = torch.cat([next(self._rows(table, excerpt, i, i + step)) for i in shown])
            tables.append(rows[:, table.choose(rows.shape[1])])
        return torch.stack(tables)

    def _rows(self, table: _Table, excerpt: int, first: int, last: int) -> Iterator[Tensor]:
        """Yield the outputs of one batch."""
        content = self._content(table, excerpt, first)
        values, some = table.values[excerpt], table.coalitions[first:last]
        return evaluate(self.model, values, content, table.segments, some, max_batch=last - first)

    def _content(self, table: _Table, excerpt: int, first: int) -> Tensor | ops.Noise:
        """Return the content of an excerpt for the coalitions from ``first`` on."""
        if isinstance(table.contents, ops.Noise):
            return replace(table.contents, first_sample=table.contents.first_sample + first)
        return table.contents[excerpt]

    def _dependence(self, table: _Table, outputs: Tensor, step: int) -> str:
        """Compare some rows with other batches, once for each state of the model."""
        if step == 1:
            return ""
        key = (step, table.values.shape[1:], table.values.dtype), state_of(self.model)
        if self._independent == key:
            return ""

        def again(first: int, last: int) -> Tensor:
            (rows,) = self._rows(table, 0, first, last)
            return rows[:, table.choose(rows.shape[1])].to(table.values.dtype)

        dependence = batch_dependence(again, outputs[0], step, beside=lambda: self._beside(table))
        self._independent = None if dependence else key
        return dependence

    def _beside(self, table: _Table) -> Tensor:
        """Return the outputs of the first and the last coalition, evaluated among louder rows."""
        x, n = table.values[0], len(table.coalitions)
        ends = [
            ops.occlude(x, self._content(table, 0, i), table.segments, table.coalitions[i : i + 1])
            for i in (0, n - 1)
        ]
        outputs = call_model(self.model, among_louder(torch.cat(ends))[:, None])[1:-1]
        return outputs[:, table.choose(outputs.shape[1])].to("cpu", table.values.dtype)

    def _error(self, outputs: Tensor, table: _Table) -> float:
        """Compare some coalitions with plain batches: error relative to the largest output."""
        generator = torch.Generator().manual_seed(self.seed)
        coalitions = table.coalitions
        rows = torch.randperm(len(coalitions), generator=generator)[: self.verify]
        some = ops.Coalitions(
            coalitions.bits[rows.to(coalitions.bits.device)], coalitions.n_segments
        )
        plain = self._plain(
            replace(table, coalitions=some, progress=silent),
            batch_size(table.values.device, self.max_batch),
        )
        scale = outputs.abs().max().clamp(min=torch.finfo(torch.float64).tiny)
        return float((outputs[:, rows] - plain).abs().max() / scale)


def evaluate(
    model: Model,
    values: Tensor,
    content: Tensor | ops.Noise,
    segments: ops.SegmentMap,
    coalitions: ops.Coalitions,
    *,
    max_batch: int | None = None,
) -> Iterator[Tensor]:
    """Yield the outputs [batch, output] for a patch's coalitions, float64 on the CPU, by batches.

    Noise is drawn by the coalition's row, so that it does not depend on the batches.
    """
    step = batch_size(values.device, max_batch)
    for first in range(0, len(coalitions), step):
        drawn = content
        if isinstance(content, ops.Noise):
            drawn = replace(content, first_sample=content.first_sample + first)
        excerpts = ops.occlude(values, drawn, segments, coalitions[first : first + step])
        try:
            yield call_model(model, excerpts[:, None]).double().cpu()
        except ParameterError as err:
            raise with_remedy(err, model, excerpts[:2, None]) from err.__cause__


def batch_size(device: torch.device, max_batch: int | None) -> int:
    """Return the number of coalitions per batch: a CPU's caches hold about 8."""
    require_integer("max_batch", 1 if max_batch is None else max_batch, least=1)
    return max_batch or (8 if device.type == "cpu" else 256)


def _description(forward: SharedForward, n_coalitions: int, passes: float) -> str:
    report = forward.report
    n_shared = "all" if not report.stopped else f"{report.shared} of"
    plan = f"shared forward pass: {n_shared} {report.operations} operations"
    plan += f" for the work of {passes:.1f} passes, for {n_coalitions:,} coalitions"
    if report.stopped:
        plan += f"; then plain batches of {forward.batch}, because {report.stopped}"
    return plan


def _attempt(
    model: Model, shape: tuple[int, ...], values: Tensor, batch: int
) -> SharedForward | NotTraced:
    try:
        return SharedForward(model, shape, values.dtype, values.device, batch)
    except NotTraced as problem:
        return NotTraced(f"the model cannot be traced: {problem}")


@contextmanager
def _tf32_off(enabled: bool) -> Iterator[None]:
    """Switch TF32 off, so that two ways to compute the same outputs agree."""
    before = torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32
    if enabled:
        torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
    try:
        yield
    finally:
        torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32 = before
