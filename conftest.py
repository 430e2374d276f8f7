"""Seeds for tests and for the examples of docstrings: what they draw does not depend on the run.

Every test and every fixture begins with the same state of the global random generators, whichever
tests ran before it and in whichever process: a network built without a seed is always the same.
Every process, also those that tests start, has one thread a library: sums have one order then, and
the workers of pytest-xdist do not wait for each other.
"""

from __future__ import annotations

import gc
import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # read when NumPy and PyTorch are imported

import random
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, register_random, settings
from tests.support.interpreted import interpret

from otoscope import native

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

interpret()
torch.set_num_threads(1)
_ISA = native.isa()
torch.manual_seed(0)  # of each device, from its first use on


class TorchGenerator:
    """PyTorch's global generator as hypothesis seeds and restores those of Python and NumPy."""

    def seed(self, seed: int) -> None:
        seed_torch(seed)

    def getstate(self) -> torch.Tensor:
        return torch.get_rng_state()

    def setstate(self, state: torch.Tensor) -> None:
        torch.set_rng_state(state)


TORCH_GENERATOR = TorchGenerator()  # hypothesis keeps a weak reference
register_random(TORCH_GENERATOR)


def seed_torch(seed: int) -> None:
    """Seed the generators of the devices that are in use.

    `torch.manual_seed` formats the stack for each device that is not: half the time of quick tests.
    """
    torch.default_generator.manual_seed(seed)
    if torch.cuda.is_initialized():
        torch.cuda.manual_seed_all(seed)


def seed_everything(seed: int = 0) -> None:
    """Seed the global generators of Python, NumPy and PyTorch."""
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002
    seed_torch(seed)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    """Spare the garbage collector the tests and modules, which live as long as the run."""
    gc.disable()
    yield
    gc.freeze()
    gc.enable()


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
    """Undo what a test sets for the whole process: threads, instruction set."""
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)
    native.use_isa(_ISA)
