"""Backends and paths that all tests share."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
import typer

from otoscope import native
from tests.support.browser import launched
from tests.support.paths import SHARED

_ISA = native.isa()


@dataclass(frozen=True)
class Backend:
    """One way to run the operators, and the device that its tensors need."""

    name: str
    device: torch.device


_ORDERS = {"emulated": 0, "emulated-reverse": 1, "emulated-shuffled": 2}
_BACKENDS = [
    *("cpu", "cpu-baseline", "emulated", "emulated-shuffled"),
    pytest.param("emulated-reverse", marks=pytest.mark.slow),  # the shuffled order finds races too
    pytest.param("cuda", marks=pytest.mark.cuda),
]


@pytest.fixture(params=_BACKENDS)
def backend(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Backend:
    """Run a test on each instruction set, in each order of emulated threads, and on a GPU."""
    name = request.param
    if name == "cuda" and not native.cuda_status().available:
        pytest.skip(f"no GPU: {native.cuda_status().reason}")
    if name in _ORDERS:
        emulate(_ORDERS[name], monkeypatch)
    native.use_isa("baseline" if name == "cpu-baseline" else _ISA)
    return Backend(name, torch.device("cuda" if name == "cuda" else "cpu"))


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


@pytest.fixture(scope="session", autouse=True)
def _one_tree_of_commands() -> Iterator[None]:
    """Build the tree of commands once, not at each run of one: that takes most of the time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("typer.testing._get_command", cache(typer.main.get_command))
        yield


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


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Launch a browser."""
    yield from launched()
