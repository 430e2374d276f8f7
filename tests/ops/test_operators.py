"""Every operator of the library passes torch's own checks."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

import otoscope.ops  # registers the operators
from otoscope.ops.frames import frames_of
from otoscope.ops.self_test import self_test


def cases() -> dict[str, list[tuple[Any, ...]]]:
    random = torch.Generator().manual_seed(0)
    patch = torch.randn(2, 6, 5, generator=random, requires_grad=True)
    content = torch.randn(2, 1, 5, generator=random, requires_grad=True)
    segment = torch.randint(4, (6, 5), generator=random, dtype=torch.int32)
    bits = torch.randint(16, (3, 1), generator=random)
    scale = torch.rand(5, generator=random)
    below = torch.tensor([1, 2, 3, 4, 2**32])
    head: tuple[Any, ...] = (patch, content, None, [0, 0, 0], segment, bits, 4)
    quiet = (patch.detach(), content.detach(), None, [0, 0, 0], segment, bits, 4, None, scale)
    noisy = (patch, content, scale.view(1, 1, 5), [3, 1, 2], segment, bits, 4)
    return (
        consistency_cases()
        | moments_cases()
        | {
            "occlude": [
                (*head, None, None, torch.float32),
                (*head, scale, scale, torch.float16),
                (*noisy, None, None, torch.float32),
            ],
            "occlude_out": [(*quiet, torch.empty(2, 3, 6, 5))],
            "occlude_backward": [
                (
                    torch.randn(2, 3, 6, 5, requires_grad=True),
                    segment,
                    bits,
                    4,
                    scale,
                    torch.float32,
                )
            ],
            "pack": [(torch.rand(4, 70, generator=random) < 0.5,)],
            "draw_coalitions": [
                (bits.clone(), 4, -3, 5, 2**31, None),
                (bits.clone(), 4, 3, 0, 2**31, below),
            ],
        }
    )


def moments_cases() -> dict[str, list[tuple[Any, ...]]]:
    random = torch.Generator().manual_seed(0)
    x = torch.randn(2, 5, 3, generator=random)
    a, b = otoscope.ops.moments(x), otoscope.ops.moments(1 + x)
    return {"moments_update": [(*a, x.half()), (*a, x)], "moments_merge": [(*a, *b)]}


def consistency_cases() -> dict[str, list[tuple[Any, ...]]]:
    """With frames of 256 samples, which have a kernel, and of 10, which go through torch.fft."""
    found: dict[str, list[tuple[Any, ...]]] = {}
    random = torch.Generator().manual_seed(0)
    for n_fft, hop in ((256, 64), (10, 3)):
        shape, complex_ = (2, 3, n_fft // 2 + 1), {"dtype": torch.complex64, "generator": random}
        y = torch.randn(2, 2 * hop + n_fft + 1, generator=random, requires_grad=True)
        D = torch.randn(shape, **complex_, requires_grad=True)  # type: ignore[call-overload]
        C, before = D.detach(), torch.randn(shape, **complex_)  # type: ignore[call-overload]
        magnitude, gradient = torch.rand(2, *shape, generator=random)
        frames = frames_of(torch.rand(n_fft, generator=random) + 0.1, hop, like=y)
        tail = (*frames[:2], hop)
        turned = (C, magnitude, before, 0.5, *tail)
        radius = torch.ones(2, dtype=torch.float64)
        for name, *arguments in (
            ("stft", y, frames.window, hop),
            ("istft", D, *tail),
            ("istft", D, frames.window, None, hop),
            ("project", D, None, None, 0.0, *tail),
            ("project", *turned),
            ("project", C, magnitude, None, 0.0, *tail),
            ("project_out", C, None, None, 0.0, *tail, torch.empty(shape, dtype=C.dtype)),
            ("project_out", *turned, torch.empty(shape, dtype=C.dtype)),
            ("griffin_lim_step", *turned, torch.empty(shape, dtype=C.dtype)),
            ("magnitude_step", magnitude, gradient, C, magnitude, *tail, 0.1, radius),
        ):
            found.setdefault(str(name), []).append(tuple(arguments))
    return found


def operators() -> list[str]:
    names = torch._C._dispatch_get_all_op_names()
    return sorted(n.split("::")[1] for n in names if n.startswith("otoscope::"))


def test_every_operator_has_a_case() -> None:
    assert callable(otoscope.ops.occlude)
    assert sorted(cases()) == operators()


@pytest.mark.parametrize("name", sorted(cases()))
def test_opcheck(name: str) -> None:
    for arguments in cases()[name]:
        torch.library.opcheck(getattr(torch.ops.otoscope, name).default, arguments)


@pytest.mark.cuda
@pytest.mark.parametrize("name", sorted(cases()))
def test_opcheck_on_a_gpu(name: str) -> None:
    from otoscope import native

    if not native.cuda_status().available:
        pytest.skip(f"no GPU: {native.cuda_status().reason}")
    for arguments in cases()[name]:
        moved = tuple(
            a.detach().cuda().requires_grad_(a.requires_grad) if isinstance(a, Tensor) else a
            for a in arguments
        )
        torch.library.opcheck(getattr(torch.ops.otoscope, name).default, moved)


class CountElements(TorchDispatchMode):
    """Add up the sizes of all tensors that operations return: work, whatever the machine."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.elements = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        self.elements += sum(
            part.numel() for part in tree_leaves(result) if isinstance(part, Tensor)
        )
        return result


def test_doctor_checks_every_operator_with_little_work() -> None:
    with CountElements() as work:
        checks = self_test()
    assert work.elements < 10_000_000
    assert all(check.ok for check in checks), checks
    on_cpu = [check.name for check in checks if check.device == "cpu"]
    assert on_cpu == [
        "occlude",
        "coalitions",
        "exact coalitions",
        "stft",
        "istft_ls",
        "project",
        "griffin_lim_step",
        "magnitude_step",
        "moments",
    ]
