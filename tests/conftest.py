"""Seeds, backends and paths that all tests share.

Every test and every fixture begins with the same state of the global random generators, whichever
tests ran before it and in whichever process: a network built without a seed is always the same.
"""

from __future__ import annotations

import random as python_random
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, register_random, settings

from otoscope import native
from tests.support.paths import SHARED

# "quick", of `make test`: the same examples on every machine and in every run. "long", of
# `make test-all`: five times as many, others in each run. Nothing here measures time (deadline,
# too_slow): that is a claim about the machine.
_SUPPRESSED = [HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
settings.register_profile(
    "quick", derandomize=True, deadline=None, suppress_health_check=_SUPPRESSED
)
settings.register_profile(
    "long", max_examples=500, deadline=None, suppress_health_check=_SUPPRESSED, print_blob=True
)
settings.load_profile("quick")

torch.set_num_threads(1)  # as OMP_NUM_THREADS asks, if it was read too late


class TorchGenerator:
    """PyTorch's global generator as hypothesis seeds and restores those of Python and NumPy."""

    def seed(self, seed: int) -> None:
        torch.manual_seed(seed)

    def getstate(self) -> torch.Tensor:
        return torch.get_rng_state()

    def setstate(self, state: torch.Tensor) -> None:
        torch.set_rng_state(state)


TORCH_GENERATOR = TorchGenerator()  # hypothesis keeps a weak reference
register_random(TORCH_GENERATOR)


def seed_everything(seed: int = 0) -> None:
    """Seed the global generators of Python, NumPy and PyTorch."""
    python_random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002
    torch.manual_seed(seed)


@pytest.hookimpl(tryfirst=True)
def pytest_fixture_setup() -> None:
    """Seed each fixture: one of a session is the same whichever test asks for it first."""
    seed_everything()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_call() -> None:
    """Seed each test."""
    seed_everything()


@pytest.fixture(autouse=True)
def _threads_and_instructions() -> Iterator[None]:
    """Undo what a test sets for the whole process."""
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)
    native.use_isa("best")


@dataclass(frozen=True)
class Backend:
    """One way to run the operators, and the device that its tensors need."""

    name: str
    device: torch.device


_ORDERS = {"emulated": 0, "emulated-reverse": 1, "emulated-shuffled": 2}
_BACKENDS = ["cpu", "cpu-baseline", *_ORDERS, pytest.param("cuda", marks=pytest.mark.cuda)]


@pytest.fixture(params=_BACKENDS)
def backend(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Backend]:
    """Run a test on each instruction set, in each order of emulated threads, and on a GPU."""
    name = request.param
    if name == "cuda" and not native.cuda_status().available:
        pytest.skip(f"no GPU: {native.cuda_status().reason}")
    if name in _ORDERS:
        emulate(_ORDERS[name], monkeypatch)
    native.use_isa("baseline" if name == "cpu-baseline" else "best")
    yield Backend(name, torch.device("cuda" if name == "cuda" else "cpu"))
    native.use_isa("best")


def emulate(order: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the operators call the CUDA kernels' bodies on the host, thread by thread."""
    try:
        emulated = import_module("otoscope._emulated")
    except ModuleNotFoundError:
        pytest.skip("this otoscope was built without OTOSCOPE_EMULATED=ON (make test builds it)")

    def kernels(device: torch.device) -> tuple[ModuleType, int]:
        return emulated, order

    for name, module in list(sys.modules.items()):
        if name.startswith("otoscope.ops.") and hasattr(module, "kernels"):
            monkeypatch.setattr(module, "kernels", kernels)


@pytest.fixture
def random() -> torch.Generator:
    """Seed what a test draws."""
    return torch.Generator().manual_seed(0)


@pytest.fixture
def shared() -> Path:
    """Find the data that lie beside the checkout; a lone clone has none."""
    if not SHARED.is_dir():
        pytest.skip("no ../shared beside this checkout, and OTOSCOPE_SHARED is not set")
    return SHARED
