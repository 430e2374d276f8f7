"""Import the compiled modules, and report which of them this machine can use.

The environment variable ``OTOSCOPE_ISA`` sets the instruction set of the CPU kernels: "baseline"
(SSE2 or NEON, which every CPU of the architecture has), "avx2", or "best" (default). It lets
results of another machine be reproduced.

``_cpu`` always exists; ``_cuda`` exists if the package was built where nvcc works. Importing them
needs no driver: CUDA is queried once, at the first use.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from types import ModuleType
from typing import Any

import torch

from otoscope.errors import CudaUnavailable, ParameterError, StaleBuild

__all__ = ["CudaStatus", "cuda_status", "features", "host_kernel", "isa", "kernels", "use_isa"]

_cpu = import_module("otoscope._cpu")  # import-linter misreads an import statement
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


# The oldest driver on Linux for each major version of CUDA, by NVIDIA's notes on compatibility.
_LEAST_DRIVER = {12: "525 or newer", 13: "580 or newer"}


@dataclass(frozen=True)
class CudaStatus:
    """Availability of the CUDA kernels.

    Parameters
    ----------
    built : bool
        True if the package contains the CUDA kernels.
    devices : int
        Number of CUDA devices that the kernels can use.
    reason : str
        Reason why the kernels cannot be used; empty if they can.
    build : str
        CUDA version and architectures that the kernels were compiled for, and the driver that they
        need; empty if they were not compiled.
    """

    built: bool
    devices: int
    reason: str
    build: str = ""

    @property
    def available(self) -> bool:
        """True if the kernels can use a device."""
        return self.devices > 0


@cache
def cuda_status() -> CudaStatus:
    """Query, once per process, whether the CUDA kernels can be used; never raises."""
    if _cuda is None:
        reason = "otoscope was built without CUDA kernels (no working nvcc, or OTOSCOPE_CUDA=OFF)"
        return CudaStatus(False, 0, reason)
    devices, error = _cuda.device_status()
    build = _build_of(_cuda)
    if devices == 0:
        return CudaStatus(True, 0, error or "no CUDA device is visible", build)
    if not torch.cuda.is_available():
        theirs = torch.version.cuda or "CPU only"
        reason = f"torch cannot use CUDA (torch {torch.__version__}, {theirs})"
        return CudaStatus(True, 0, reason, build)
    return CudaStatus(True, devices, "", build)


def _build_of(module: ModuleType) -> str:
    """Describe the build of the CUDA kernels."""
    version = module.runtime_version()
    chips = ", ".join(f"sm_{name.split('-')[0]}" for name in module.architectures().split())
    driver = _LEAST_DRIVER.get(version // 1000, "of the same CUDA version")
    return f"CUDA {version // 1000}.{version % 1000 // 10}, for {chips}; needs driver {driver}"


def kernels(device: torch.device) -> tuple[ModuleType, int]:
    """Return the kernels for a device and their last argument: threads or the current stream.

    Parameters
    ----------
    device : torch.device
        Device of the tensors.

    Returns
    -------
    ModuleType
        The compiled module.
    int
        Number of threads on the CPU; handle of the current stream on a GPU.

    Raises
    ------
    CudaUnavailable
        If the kernels cannot be used on that device; says why.

    Examples
    --------
    >>> kernels(torch.device("cpu"))[0].__name__
    'otoscope._cpu'
    """
    if device.type == "cpu":
        return _cpu, torch.get_num_threads()
    if _cuda is None or not cuda_status().available:
        raise CudaUnavailable(
            f"a tensor is on {device}, but {cuda_status().reason}; "
            "move it to the CPU, or reinstall otoscope where nvcc works (docs/howto/gpu.md)"
        )
    return _cuda, torch.cuda.current_stream(device).cuda_stream


def host_kernel(name: str) -> Callable[..., Any]:
    """Return a kernel that runs on the CPU only, by name.

    Parameters
    ----------
    name : str
        Name of the function in the compiled module.

    Returns
    -------
    callable
        The function; its tensors are on the CPU.

    Raises
    ------
    StaleBuild
        If the compiled module is older than the Python files beside it and lacks the kernel.

    Examples
    --------
    >>> host_kernel("propagate_phases").__name__
    'propagate_phases'
    """
    kernel: Callable[..., Any] | None = getattr(_cpu, name, None)
    if kernel is None:
        raise StaleBuild(
            f"otoscope._cpu lacks {name}, it was compiled from older sources; "
            "build it again: pip install --force-reinstall --no-deps ."
        )
    return kernel
