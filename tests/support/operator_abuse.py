"""Call every registered operator with arguments that do not fit: run as a program, see main."""

from __future__ import annotations

import random
import sys
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tests.ops.test_operators import cases

_SIZES = (0, 1, 2, 3, 63, 64, 65, 256, 1000)
_NUMBERS = (-(2**63), -(2**31), -65, -64, -1, 0, 1, 2, 63, 64, 2**31 - 1, 2**31, 2**62, 2**63 - 1)
_FILLS = (-(2**31), -1, 99, 2**31 - 1, 0), (0, 99, 255)
_DTYPES = (torch.float16, torch.float32, torch.float64, torch.int32, torch.int64, torch.bool,
           torch.uint8, torch.complex64, torch.complex128)  # fmt: skip


def changed_tensor(tensor: Tensor, draw: random.Random) -> Tensor:
    """Change the shape, the type, the layout, the alignment or the numbers of a tensor."""
    tensor = tensor.detach().clone()
    kind = draw.randrange(8)
    if kind == 0:
        return tensor.to(draw.choice(_DTYPES))
    if kind == 1:
        shape = [draw.choice(_SIZES) if draw.random() < 0.4 else n for n in tensor.shape]
        return tensor.new_zeros(shape)
    if kind == 2:
        return tensor.reshape(-1) if draw.random() < 0.5 else tensor[None]
    if kind == 3:
        return tensor.new_zeros([draw.choice(_SIZES[:6]) for _ in range(draw.randrange(6))])
    if kind == 4 and tensor.ndim > 1:
        return tensor.transpose(0, draw.randrange(tensor.ndim))
    if kind == 5 and not tensor.is_complex() and not tensor.is_floating_point():
        return torch.full_like(tensor, draw.choice(_FILLS[tensor.dtype == torch.uint8]))
    if kind == 6 and tensor.numel() and tensor.dtype != torch.bool:
        raw = np.zeros(tensor.numel() * tensor.element_size() + 1, np.uint8)
        odd = torch.frombuffer(raw, dtype=tensor.dtype, offset=1, count=tensor.numel())
        return odd.reshape(tensor.shape)
    return tensor.fill_(1) if tensor.dtype == torch.bool else tensor.mul_(3)


def changed(argument: Any, draw: random.Random) -> Any:
    """Change an argument of any type."""
    if isinstance(argument, Tensor):
        return changed_tensor(argument, draw)
    if isinstance(argument, list):
        return [draw.choice(_NUMBERS) for _ in range(draw.choice((0, 2, 3, 3, 3, 4)))]
    if isinstance(argument, torch.dtype):
        return draw.choice(_DTYPES)
    if isinstance(argument, float):
        return draw.choice((0.0, -1.0, float("nan"), float("inf"), 1e300))
    return draw.choice(_NUMBERS) if isinstance(argument, int) else argument


def main(seed: int, rounds: int) -> None:
    """Try ``rounds`` calls per operator; the last line counts those that were refused."""
    draw, n_refused = random.Random(seed), 0
    for name, calls in sorted(cases().items()):
        operator = getattr(torch.ops.otoscope, name)
        for round_ in range(rounds):
            torch.set_num_threads(1 + round_ % 2)
            arguments = list(draw.choice(calls))
            for place in draw.choices(range(len(arguments)), k=draw.choice((1, 1, 1, 2, 3))):
                arguments[place] = changed(arguments[place], draw)
            shapes = [tuple(a.shape) if isinstance(a, Tensor) else a for a in arguments]
            sys.stdout.write(f"{name} {round_} {shapes}\n")
            sys.stdout.flush()
            try:
                outputs = operator(*arguments)
                for part in outputs if isinstance(outputs, tuple) else (outputs,):
                    if isinstance(part, Tensor) and part.requires_grad:
                        part.abs().sum().backward()
            except Exception:
                n_refused += 1
    sys.stdout.write(f"{n_refused}\n")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
