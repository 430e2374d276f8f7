"""Arguments of occlude: what is accepted, what is refused, and with what message."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from otoscope.errors import ParameterError
from otoscope.ops import Coalitions, SegmentMap, occlude, pack
from tests.ops.test_occlude import case, same

PATCH, CONTENT, SEGMENT, KEEP = case()


def opcheck_cases() -> dict[str, list[tuple[Any, ...]]]:
    random = torch.Generator().manual_seed(0)
    patch = torch.randn(2, 6, 5, generator=random, requires_grad=True)
    content = torch.randn(2, 1, 5, generator=random, requires_grad=True)
    grad = torch.randn(2, 3, 6, 5, generator=random, requires_grad=True)
    segment = torch.randint(4, (6, 5), generator=random, dtype=torch.int32)
    bits = torch.randint(16, (3, 1), generator=random)
    scale = torch.rand(5, generator=random)
    head: tuple[Any, ...] = (patch, content, None, [0, 0, 0], segment, bits, 4)
    detached = (patch.detach(), content.detach(), None, [0, 0, 0], segment, bits, 4, None, scale)
    noisy = (patch, content, scale.view(1, 1, 5), [3, 1, 2], segment, bits, 4)
    return {
        "occlude": [
            (*head, None, None, torch.float32),
            (*head, scale, scale, torch.float16),
            (*noisy, None, None, torch.float32),
        ],
        "occlude_out": [(*detached, torch.empty(2, 3, 6, 5))],
        "occlude_backward": [(grad, segment, bits, 4, scale, torch.float32)],
    }


def test_a_segment_map_is_checked_once() -> None:
    patch, content, segment, keep = case()
    checked = SegmentMap(segment, 6)
    same(occlude(patch, content, checked, keep), occlude(patch, content, segment, keep))
    assert checked.ids.dtype == torch.int32
    assert checked.to("cpu").n == 6


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"patch": PATCH.int()}, r"patch is torch.int32 \(2, 23, 16\); it must be floating point"),
        ({"patch": PATCH[0, 0]}, r"patch is torch.float32 \(16,\)"),
        ({"content": CONTENT[:, :5]}, r"content has shape \(2, 5, 16\), patch has \(2, 23, 16\)"),
        ({"content": CONTENT[None]}, r"content has shape \(1, 2, 23, 16\), patch has"),
        ({"segment": SEGMENT[:3]}, r"segment has shape \(3, 16\), patch has \(23, 16\)"),
        ({"segment": SEGMENT + 1}, r"segment holds 6; ids must be in 0 to 5"),
        ({"segment": SEGMENT - 1}, r"segment holds -1; ids must be in 0 to 5"),
        ({"segment": SEGMENT.double()}, r"segment is torch.float64 .*; it must be integer"),
        ({"segment": SegmentMap(SEGMENT, 7)}, r"keep has 6 segments, segment has 7"),
        ({"keep": KEEP.int()}, r"keep is torch.int32 \(5, 6\); it must be torch.bool"),
        (
            {"keep": KEEP[0]},
            r"keep is torch.bool \(6,\); it must be torch.bool \[sample, segment\]",
        ),
        ({"shift": torch.ones(15)}, r"shift has shape \(15,\), patch has 16 mel bands"),
        ({"scale": torch.ones(16, requires_grad=True)}, r"scale requires a gradient"),
        ({"dtype": torch.int32}, r"dtype is torch.int32"),
        (
            {"out": torch.empty(2, 5, 16, 23)},
            r"out has shape \(2, 5, 16, 23\); it must be \(2, 5, 23, 16\)",
        ),
        ({"out": torch.empty(2, 5, 16, 23).mT}, r"is not contiguous"),
        ({"out": torch.empty(2, 5, 23, 16), "dtype": torch.float16}, r"out is torch.float32"),
        (
            {"out": torch.empty(2, 5, 23, 16), "patch": PATCH.clone().requires_grad_()},
            r"out= gives no gradient",
        ),
        ({"content": CONTENT.to("meta")}, r"content is on meta, the rest is on cpu"),
        ({"keep": Coalitions(pack(KEEP).bits.to("meta"), 6)}, r"keep is on meta, the rest is on"),
    ],
)
def test_refuses_what_does_not_fit(change: dict[str, object], message: str) -> None:
    arguments = {"patch": PATCH, "content": CONTENT, "segment": SEGMENT, "keep": KEEP} | change
    with pytest.raises(ParameterError, match=message):
        occlude(**arguments)  # type: ignore[arg-type]


def test_kernels_refuse_a_segment_that_is_out_of_bounds() -> None:
    args = (PATCH, CONTENT, None, [0, 0, 0], SEGMENT.int() * 99, pack(KEEP).bits, 6, None, None)
    with pytest.raises(ValueError, match="segment holds 495, keep has segments 0 to 5"):
        torch.ops.otoscope.occlude(*args, torch.float32)
