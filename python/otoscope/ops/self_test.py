"""A quick check that the kernels of this installation do what they are defined to do."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from otoscope.native import cuda_status
from otoscope.ops.coalitions import coalitions
from otoscope.ops.consistency import project
from otoscope.ops.occlude import occlude

__all__ = ["Check", "self_test"]


@dataclass(frozen=True)
class Check:
    """One operator, compared on one device with its definition in plain torch."""

    name: str
    device: str
    ok: bool
    detail: str


def self_test() -> list[Check]:
    """Compare every operator with its definition, on every device that can be used.

    Returns
    -------
    list of Check
        Takes well under a second.

    Examples
    --------
    >>> all(check.ok for check in self_test())
    True
    """
    devices = ["cpu", "cuda"] if cuda_status().available else ["cpu"]
    checks = (_check_occlude, _check_coalitions, _check_project)
    return [check(device) for device in devices for check in checks]


def _check_occlude(device: str) -> Check:
    random = torch.Generator().manual_seed(0)
    patch, content = torch.randn(2, 2, 115, 80, generator=random).to(device)
    segment = torch.randint(10, (115, 80), generator=random).to(device)
    keep = (torch.rand(16, 10, generator=random) < 0.5).to(device)
    defined = torch.where(keep[:, segment], patch[:, None], content[:, None])
    wrong = int((occlude(patch, content, segment, keep) != defined).sum())
    return Check("occlude", device, wrong == 0, f"{wrong} of {defined.numel()} cells differ")


def _check_coalitions(device: str) -> Check:
    drawn = coalitions(100, "bernoulli", 1000, seed=3, device=device).unpack()
    share = float(drawn.double().mean())
    sizes = coalitions(6, "by_size", 200, seed=3, device=device).unpack().sum(1)
    ok = abs(share - 0.5) < 0.01 and int(sizes.min()) >= 1 and int(sizes.max()) <= 5
    return Check("coalitions", device, ok, f"{share:.3f} of segments stay, of 0.5 wanted")


def _check_project(device: str) -> Check:
    random = torch.Generator().manual_seed(0)
    D = torch.randn(2, 9, 513, dtype=torch.complex64, generator=random).to(device)
    window = torch.hamming_window(1024, device=device)
    y = torch.istft(D.mT, 1024, 256, window=window, center=False)
    defined = torch.stft(y, 1024, 256, window=window, center=False, return_complex=True).mT
    got = project(D, window=window, hop_length=256)
    off = float((got - defined).abs().max() / defined.abs().max())
    return Check("project", device, off < 1e-5, f"off by {off:.1g} of the largest value")
