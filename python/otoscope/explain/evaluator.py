"""The table of an explanation: in one shared forward pass if that can be, else in batches."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from otoscope import ops
from otoscope.explain.evaluate import batch_size, evaluate
from otoscope.explain.shared import NotTraced, SharedForward
from otoscope.protocols import Model, check_outputs

__all__ = ["Evaluator"]

_COALITIONS = 4096  # at once: memory does not grow with the number of samples
_WORTH_A_TRACE = 32  # inputs
_TOLERANCE = {torch.float64: 1e-9, torch.float32: 1e-4}  # of the largest output
_SIMPLE = (bool, int, float, str, type(None))
_OWN = vars(nn.Module()).keys() - {"training"}

Choice = Callable[[int], list[int]]


class Evaluator:
    """Ask a model about every coalition of excerpts.

    Parameters
    ----------
    model : callable
        [batch, 1, frame, mel] -> [batch, output] or [batch].
    shared : bool, optional
        Whether to share one forward pass; by default for an nn.Module, whose changes are noticed,
        and where a trace is worth it.
    max_batch : int, optional
        Coalitions a plain batch.
    verify : int
        How many coalitions to check against plain batches, with TF32 off.
    seed : int
        Of the choice of these.

    Examples
    --------
    >>> evaluator = Evaluator(nn.Flatten(), shared=True)
    >>> cut = ops.SegmentMap(torch.tensor([[0], [1]]))
    >>> outputs, plan = evaluator(
    ...     torch.tensor([[[1.0], [5.0]]]), torch.zeros(1, 2, 1), cut, ops.coalitions(2, "exact")
    ... )
    >>> outputs[0].tolist()
    [[0.0, 0.0], [1.0, 0.0], [0.0, 5.0], [1.0, 5.0]]
    >>> plan
    'shared forward pass: all 1 operations, for 4 coalitions'
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
        self.model = model
        self.shared = isinstance(model, nn.Module) if shared is None else shared
        self.max_batch = max_batch
        self.verify, self.seed = verify, seed
        self._at_least = _WORTH_A_TRACE if shared is None else 0
        self._traced: tuple[object, SharedForward | NotTraced] | None = None

    def __call__(
        self,
        values: Tensor,
        contents: Tensor | ops.Noise,
        segments: ops.SegmentMap,
        coalitions: ops.Coalitions,
        choose: Choice = lambda n: list(range(n)),
    ) -> tuple[Tensor, str]:
        """Give the outputs for every excerpt and coalition.

        Parameters
        ----------
        values : Tensor [excerpt, frame, mel]
            The patches.
        contents : Tensor [excerpt, frame, mel] or ops.Noise
            What stands where a segment is off; noise, which is new in each sample, is not shared.
        segments : ops.SegmentMap
            The id of each cell.
        coalitions : ops.Coalitions
            Which segments stay.
        choose : callable
            From the number of outputs to the columns that are wanted.

        Returns
        -------
        outputs : Tensor [excerpt, coalition, column], float64, on the CPU
            In the order of the coalitions.
        plan : str
            What was done, and what it saved.

        Raises
        ------
        ParameterError
            If the model returns something else than a row for each excerpt.
        """
        if isinstance(contents, ops.Noise):
            return self._plainly(values, contents, segments, coalitions, choose, "")
        with _exactly(self.verify > 0):
            try:
                forward = self._forward(values, len(coalitions))
                outputs = self._share(forward, values, contents, segments, coalitions)
            except NotTraced as why:
                return self._plainly(values, contents, segments, coalitions, choose, str(why))
            outputs = outputs[..., choose(outputs.shape[-1])]
            plan = _described(forward, coalitions)
            if self.verify:
                error = self._error(outputs, values, contents, segments, coalitions, choose)
                if error > _TOLERANCE.get(values.dtype, 1e-2):
                    said = f"the shared pass was off by {error:.2g} of the largest output"
                    warnings.warn(f"{said}; plain batches are used", stacklevel=2)
                    return self._plainly(values, contents, segments, coalitions, choose, said)
                plan += f"; {self.verify} coalitions checked, off by at most {error:.1g}"
        return outputs, plan

    def _share(
        self,
        forward: SharedForward,
        values: Tensor,
        contents: Tensor,
        segments: ops.SegmentMap,
        coalitions: ops.Coalitions,
    ) -> Tensor:
        ids, at_once = segments.ids[None], 4 if values.device.type == "cpu" else 16
        with torch.no_grad():
            parts = [
                [
                    check_outputs(table, len(rows)).double().cpu()
                    for patches, content in zip(
                        values.split(at_once), contents.split(at_once), strict=True
                    )
                    for table in forward(patches[:, None], content[:, None], ids, rows)
                ]
                for rows in _parts(coalitions)
            ]
        return torch.cat([torch.stack(part) for part in parts], dim=1)

    def _forward(self, values: Tensor, n_coalitions: int) -> SharedForward:
        """Trace the model, if it or the patches changed; or raise why it is not shared."""
        if not self.shared:
            raise NotTraced("")
        if n_coalitions * len(values) < self._at_least:
            raise NotTraced(f"fewer than {self._at_least} inputs are not worth a trace")
        shape, batch = (1, *values.shape[1:]), batch_size(values.device, self.max_batch)
        if batch == 1:
            raise NotTraced("max_batch is 1, sharing needs 2")
        key = (shape, values.dtype, values.device, _fingerprint(self.model))
        if self._traced is None or self._traced[0] != key:
            forward: SharedForward | NotTraced
            try:
                forward = SharedForward(self.model, shape, values.dtype, values.device, batch)
            except NotTraced as problem:
                forward = NotTraced(f"the model cannot be traced: {problem}")
            self._traced = key, forward
        if isinstance(self._traced[1], NotTraced):
            raise self._traced[1]
        return self._traced[1]

    def _plainly(
        self,
        values: Tensor,
        contents: Tensor | ops.Noise,
        segments: ops.SegmentMap,
        coalitions: ops.Coalitions,
        choose: Choice,
        why: str,
    ) -> tuple[Tensor, str]:
        tables = []
        for excerpt, patch in enumerate(values):
            content = contents if isinstance(contents, ops.Noise) else contents[excerpt]
            batches = evaluate(
                self.model, patch, content, segments, coalitions, max_batch=self.max_batch
            )
            tables.append(torch.cat([rows[:, choose(rows.shape[1])] for rows in batches]))
        step = batch_size(values.device, self.max_batch)
        plan = f"plain batches of {step}: {len(coalitions):,} passes"
        return torch.stack(tables), f"{plan}; {why}" if why else plan

    def _error(
        self,
        outputs: Tensor,
        values: Tensor,
        contents: Tensor,
        segments: ops.SegmentMap,
        coalitions: ops.Coalitions,
        choose: Choice,
    ) -> float:
        """How far some coalitions are from plain batches, relative to the largest output."""
        generator = torch.Generator().manual_seed(self.seed)
        rows = torch.randperm(len(coalitions), generator=generator)[: self.verify]
        some = ops.Coalitions(
            coalitions.bits[rows.to(coalitions.bits.device)], coalitions.n_segments
        )
        plain, _ = self._plainly(values, contents, segments, some, choose, "")
        scale = outputs.abs().max().clamp(min=torch.finfo(torch.float64).tiny)
        return float((outputs[:, rows] - plain).abs().max() / scale)


def _described(forward: SharedForward, coalitions: ops.Coalitions) -> str:
    report = forward.report
    done = "all" if not report.stopped else f"{report.shared} of"
    plan = f"shared forward pass: {done} {report.operations} operations"
    if report.work.done:
        passes = report.work.done * len(coalitions) / report.work.plain
        plan += f" for the work of {passes:.1f} passes"
    plan += f", for {len(coalitions):,} coalitions"
    if report.stopped:
        plan += f"; then plain batches of {forward.batch}, because {report.stopped}"
    return plan


def _parts(coalitions: ops.Coalitions) -> Iterator[ops.Coalitions]:
    for first in range(0, len(coalitions), _COALITIONS):
        yield coalitions[first : first + _COALITIONS]


def _fingerprint(model: object) -> object:
    """What a trace rests on: modules, their tensors, other attributes and hooks."""
    if not isinstance(model, nn.Module):
        return None
    return [
        (
            part,
            [id(t) for t in (*part._parameters.values(), *part._buffers.values())],
            [(name, _state(value)) for name, value in vars(part).items() if name not in _OWN],
            [list(h) for h in (part._forward_hooks, part._forward_pre_hooks)],
        )
        for part in model.modules()
    ]


def _state(value: object) -> object:
    """What of an attribute can be compared later."""
    if isinstance(value, _SIMPLE):
        return value
    return repr(value) if isinstance(value, (dict, list, set, tuple)) else id(value)


@contextmanager
def _exactly(wanted: bool) -> Iterator[None]:
    """Switch TF32 off, so that two ways to compute the same agree."""
    before = torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32
    if wanted:
        torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
    try:
        yield
    finally:
        torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32 = before
