"""Every operator of the library passes torch's own checks."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

import otoscope.ops  # registers the operators
from otoscope.ops.self_test import self_test


def cases() -> dict[str, list[tuple[Any, ...]]]:
    """Collect the arguments that the test files of the operators give for opcheck."""
    collected: dict[str, list[tuple[Any, ...]]] = {}
    for path in sorted(Path(__file__).parent.glob("test_*.py")):
        if path.stem != Path(__file__).stem:
            module = import_module(f"tests.ops.{path.stem}")
            collected |= getattr(module, "opcheck_cases", dict)()
    return collected


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
