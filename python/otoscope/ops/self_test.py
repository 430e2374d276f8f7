"""Compare the kernels of this installation with their definitions in plain torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypedDict

import torch
from torch import Tensor

from otoscope.native import cuda_status
from otoscope.ops.coalitions import coalitions
from otoscope.ops.moments import moments
from otoscope.ops.occlude import occlude
from otoscope.ops.stft import griffin_lim_step, istft_ls, magnitude_step, project, stft

__all__ = ["Check", "self_test"]


@dataclass(frozen=True)
class Check:
    """Comparison of one operator with its definition, on one device."""

    name: str
    device: str
    ok: bool
    detail: str


def self_test() -> list[Check]:
    """Compare every operator with its definition, on every available device.

    Returns
    -------
    list of Check
        Result for each operator and device; takes well under a second.

    Examples
    --------
    >>> all(check.ok for check in self_test())
    True
    """
    devices = ["cpu", "cuda"] if cuda_status().available else ["cpu"]
    checks = (
        _check_occlude,
        _check_coalitions,
        _check_exact_coalitions,
        _check_stft,
        _check_istft_ls,
        _check_project,
        _check_griffin_lim_step,
        _check_magnitude_step,
        _check_moments,
    )
    return [check(device) for device in devices for check in checks]


def _check_occlude(device: str) -> Check:
    random = torch.Generator().manual_seed(0)
    patch, content = torch.randn(2, 2, 115, 80, generator=random).to(device)
    segment = torch.randint(10, (115, 80), generator=random).to(device)
    keep = (torch.rand(16, 10, generator=random) < 0.5).to(device)
    expected = torch.where(keep[:, segment], patch[:, None], content[:, None])
    wrong = int((occlude(patch, content, segment, keep) != expected).sum())
    return Check("occlude", device, wrong == 0, f"{wrong} of {expected.numel()} cells differ")


def _check_coalitions(device: str) -> Check:
    drawn = coalitions(100, "bernoulli", 1000, seed=3, device=device).unpack()
    fraction = float(drawn.double().mean())
    sizes = coalitions(6, "by_size", 200, seed=3, device=device).unpack().sum(1)
    ok = abs(fraction - 0.5) < 0.01 and int(sizes.min()) >= 1 and int(sizes.max()) <= 5
    return Check("coalitions", device, ok, f"{fraction:.3f} of segments kept, expected 0.5")


def _check_exact_coalitions(device: str) -> Check:
    rows = coalitions(6, "exact", device=device).unpack()
    missing = 64 - len(rows.unique(dim=0))
    ok = missing == 0 and len(rows) == 64
    return Check("exact coalitions", device, ok, f"{missing} of 64 are missing")


def _check_stft(device: str) -> Check:
    y = _noise(2, 3072, device=device)
    return _compare("stft", device, stft(y, **_frames(device)), _torch_stft(y))


def _check_istft_ls(device: str) -> Check:
    D = _spectrum(device)
    return _compare("istft_ls", device, istft_ls(D, **_frames(device)), _torch_istft(D))


def _check_project(device: str) -> Check:
    D = _spectrum(device)
    return _compare("project", device, project(D, **_frames(device)), _torch_project(D))


def _check_griffin_lim_step(device: str) -> Check:
    D, S = _spectrum(device), _noise(2, 9, 513, device=device).abs()
    Z, _ = griffin_lim_step(D, magnitude=S, **_frames(device))
    return _compare("griffin_lim_step", device, Z, _torch_project(S * D.sgn()))


def _check_magnitude_step(device: str) -> Check:
    D, X, gradient = _spectrum(device), *_noise(2, 2, 9, 513, device=device).abs()
    radius = torch.tensor([10.0, 1e3], device=device)
    Y, _ = magnitude_step(X, gradient, D, X, step=0.1, radius=radius, **_frames(device))
    Z = _torch_project((X - 0.1 * gradient).clamp(min=0) * D.sgn()).abs()
    nu = ((Z - X).norm(dim=(1, 2)) / radius - 1).clamp(min=0)[:, None, None]
    return _compare("magnitude_step", device, Y, (Z + nu * X) / (1 + nu))


def _check_moments(device: str) -> Check:
    features = _noise(300, 40, device=device)
    centred = features.double() - features.double().mean(0)
    return _compare("moments", device, moments(features).scatter, centred.T @ centred)


def _frames(device: str) -> _Frames:
    return {"window": torch.hamming_window(1024, device=device), "hop_length": 256}


class _Frames(TypedDict):
    window: Tensor
    hop_length: int


def _noise(*shape: int, device: str) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0)).to(device)


def _spectrum(device: str) -> Tensor:
    return torch.view_as_complex(_noise(2, 9, 513, 2, device=device))


def _torch_istft(D: Tensor) -> Tensor:
    window = torch.hamming_window(1024, device=D.device)
    return torch.istft(D.mT, 1024, 256, window=window, center=False)


def _torch_stft(y: Tensor) -> Tensor:
    window = torch.hamming_window(1024, device=y.device)
    return torch.stft(y, 1024, 256, window=window, center=False, return_complex=True).mT


def _torch_project(D: Tensor) -> Tensor:
    return _torch_stft(_torch_istft(D))


def _compare(name: str, device: str, result: Tensor, expected: Tensor) -> Check:
    error = float((result - expected).abs().max() / expected.abs().max())
    return Check(name, device, error < 1e-5, f"largest error {error:.1g} of the largest value")
