"""The compiled modules, and what of them can be used on this machine.

The environment variable ``OTOSCOPE_ISA`` sets the instruction set of the CPU kernels: "baseline"
(SSE2 or NEON, which every CPU of the architecture has), "avx2", or "best" (default). It lets
results of another machine be reproduced.

``_cpu`` is always there; ``_cuda`` is, if the package was built where nvcc works. Importing either
needs no driver: whether CUDA can be used is asked once, when it matters.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from types import ModuleType

import torch

from otoscope.errors import CudaUnavailable, ParameterError

__all__ = ["CudaStatus", "cuda_status", "features", "isa", "kernels", "use_isa"]

_cpu = import_module("otoscope._cpu")  # an import statement would read as one of all floors
features = _cpu.features
isa = _cpu.isa
use_isa = _cpu.use_isa


def _use_isa_of_the_environment() -> None:
    name = os.environ.get("OTOSCOPE_ISA") or "best"
    try:
        use_isa(name)
    except ValueError as err:
        raise ParameterError(f"OTOSCOPE_ISA is {name!r}: {err}") from err


_use_isa_of_the_environment()


def _built_module(name: str) -> ModuleType | None:
    try:
        return import_module(name)
    except ModuleNotFoundError as err:
        if err.name != name:
            raise
        return None


_cuda = _built_module("otoscope._cuda")


@dataclass(frozen=True)
class CudaStatus:
    """Whether the CUDA kernels can be used, and if not, why.

    Attributes
    ----------
    built : bool
        The package was built with the CUDA kernels.
    devices : int
        Number of CUDA devices that the kernels can see.
    reason : str
        Why they cannot be used; empty if they can.

    Examples
    --------
    >>> CudaStatus(built=False, devices=0, reason="built without CUDA").available
    False
    """

    built: bool
    devices: int
    reason: str

    @property
    def available(self) -> bool:
        """True if there is a device for the kernels."""
        return self.devices > 0


@cache
def cuda_status() -> CudaStatus:
    """Say whether the CUDA kernels can be used, and if not, why.

    Returns
    -------
    CudaStatus
        Asked once a process; never raises.

    Examples
    --------
    >>> status = cuda_status()
    >>> status.available or bool(status.reason)
    True
    """
    if _cuda is None:
        reason = "otoscope was built without CUDA kernels (no working nvcc, or OTOSCOPE_CUDA=OFF)"
        return CudaStatus(False, 0, reason)
    devices, error = _cuda.device_status()
    if devices == 0:
        return CudaStatus(True, 0, error or "no CUDA device is visible")
    if not torch.cuda.is_available():
        build = torch.version.cuda or "CPU only"
        return CudaStatus(True, 0, f"torch cannot use CUDA (torch {torch.__version__}, {build})")
    return CudaStatus(True, devices, "")


def kernels(device: torch.device) -> tuple[ModuleType, int]:
    """Return the kernels for a device, and the last argument of each.

    Parameters
    ----------
    device : torch.device
        Where the tensors lie.

    Returns
    -------
    module : ModuleType
        ``_cpu`` or ``_cuda``.
    launch : int
        Last argument of every kernel: the number of threads on a CPU, the current stream on a GPU.

    Raises
    ------
    CudaUnavailable
        If the device is a GPU that the kernels cannot use.

    Examples
    --------
    >>> module, threads = kernels(torch.device("cpu"))
    >>> threads >= 1
    True
    """
    if device.type == "cpu":
        return _cpu, torch.get_num_threads()
    if _cuda is None or not cuda_status().available:
        raise CudaUnavailable(
            f"a tensor is on {device}, but {cuda_status().reason}; "
            "move it to the CPU, or reinstall otoscope where nvcc works (docs/howto/gpu.md)"
        )
    return _cuda, torch.cuda.current_stream(device).cuda_stream
